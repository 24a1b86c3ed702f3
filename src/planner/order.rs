//! The order of joins: the cheapest tree over the parts of a chain, whatever order FROM names them in.
//!
//! Parts are what a chain of inner joins connects. A left, semi or anti join below it takes part too: its right side is a part
//! that may be joined, as the right side, as soon as all that its condition names is there; by then it does not matter which
//! inner joins came before. Up to [`SPLITS_MAX`] splits all trees over connected sets of parts are tried (Selinger 1979,
//! bushy ones too); beyond, pairs that give the fewest rows are joined first (Fegaras 1998).

use super::access;
use super::columns::conjuncts;
use super::columns::{ColumnSet, produced_in, used_by};
use super::estimate::{Estimator, table_rows};
use super::rewrite::{all_of, filtered, is_equation};
use crate::sql::tree::{Expr, JoinKind, Rel};
use std::collections::HashMap;

/// The most parts whose order is looked for.
pub(super) const PARTS_MAX: usize = 64;
/// The most parts over which all trees are tried, and the most ways to split their sets.
const EXACT_MAX: usize = 12;
const SPLITS_MAX: u64 = 100_000;

/// A part of a chain.
pub(super) struct Part {
    pub(super) rel: Rel,
    /// When it is not joined by an inner join.
    pub(super) outer: Option<Outer>,
}

/// How a part is joined that is the right side of an outer, semi or anti join.
pub(super) struct Outer {
    pub(super) kind: JoinKind,
    pub(super) on: Vec<Expr>,
    /// The parts on its left, by position: joined before if the condition names none of them.
    pub(super) scope: std::ops::Range<usize>,
}

/// A set of parts.
type Set = u64;

/// A condition on several parts.
struct Condition {
    expr: Expr,
    parts: Set,
}

/// The best way found to join a set of parts.
#[derive(Clone, Copy)]
struct Best {
    cost: f64,
    rows: f64,
    left: Set,
    right: Set,
}

struct Search<'a> {
    known: &'a Estimator,
    parts: Vec<Part>,
    conditions: Vec<Condition>,
    /// By part: rows, and the cost of reading it alone.
    sizes: Vec<(f64, f64)>,
    /// By part that is not joined by an inner join: what must be there before.
    needs: Vec<Option<Set>>,
    /// By part: those that a condition connects it with.
    near: Vec<Set>,
    /// What pairs of parts keep of their product.
    pairs: Vec<(Set, f64)>,
    /// By part and conditions: rows that a look-up in an index gives, if one serves.
    lookups: HashMap<(usize, Vec<usize>), Option<f64>>,
}

/// Joins all parts under conditions that name several of them. Conditions on one part alone are in it already, unless it is
/// the right side of an outer join.
pub(super) fn join(known: &Estimator, parts: Vec<Part>, conditions: Vec<Expr>) -> Rel {
    if parts.len() > PARTS_MAX {
        return in_sequence(parts, conditions);
    }
    let mut search = Search::new(known, parts, conditions);
    let plan = search.plan();
    search.build(&plan)
}

/// As written.
fn in_sequence(parts: Vec<Part>, conditions: Vec<Expr>) -> Rel {
    let mut parts = parts.into_iter();
    let first = parts.next().map_or_else(|| Rel::Values { columns: Vec::new(), rows: Vec::new() }, |part| part.rel);
    let chain = parts.fold(first, |left, part| {
        let (kind, on) = part.outer.map_or((JoinKind::Inner, Vec::new()), |outer| (outer.kind, outer.on));
        Rel::Join { kind, left: Box::new(left), right: Box::new(part.rel), on: all_of(on), lateral: false }
    });
    filtered(chain, conditions)
}

/// What a part is sorted by, so that the order in FROM plays no role: its tables and size.
fn shape(known: &Estimator, part: &Part) -> (Vec<u32>, u64, String) {
    let mut tables = Vec::new();
    let mut words = String::new();
    super::columns::for_rels(&part.rel, &mut |rel| {
        if let Rel::Scan { relation, .. } = rel {
            tables.push(relation.oid.0);
        }
        if let Rel::Filter { predicate, .. } = rel {
            // Constants tell two scans of one table apart; column numbers follow FROM and must not.
            super::columns::for_parts(predicate, &mut |arg| constants(arg, &mut words));
        }
    });
    (tables, known.rows(&part.rel).to_bits(), words)
}

fn constants(expr: &Expr, words: &mut String) {
    use crate::sql::tree::ExprKind;
    use std::fmt::Write as _;
    if let ExprKind::Const(value) = &expr.kind {
        let _ = write!(words, "{value:?} ");
    }
    super::columns::for_parts(expr, &mut |part| constants(part, words));
}

fn bits(set: Set) -> impl Iterator<Item = usize> {
    (0..Set::BITS as usize).filter(move |i| set & (1 << i) != 0)
}

impl<'a> Search<'a> {
    fn new(known: &'a Estimator, parts: Vec<Part>, conditions: Vec<Expr>) -> Search<'a> {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_cached_key(|i| shape(known, &parts[*i]));
        let mut place = vec![0; parts.len()];
        order.iter().enumerate().for_each(|(at, i)| place[*i] = at);
        let mut taken: Vec<Option<Part>> = parts.into_iter().map(Some).collect();
        let parts: Vec<Part> = order.iter().filter_map(|i| taken[*i].take()).collect();
        let columns: Vec<ColumnSet> = parts
            .iter()
            .map(|part| {
                let mut set = ColumnSet::new();
                produced_in(&part.rel, &mut set);
                set
            })
            .collect();
        let touched = |expr: &Expr| -> Set {
            let mut used = ColumnSet::new();
            used_by(expr, &mut used);
            let touches = |set: Set, (i, columns): (usize, &ColumnSet)| {
                if used.intersects(columns) { set | 1 << i } else { set }
            };
            columns.iter().enumerate().fold(0, touches)
        };
        let conditions: Vec<Condition> =
            conditions.into_iter().map(|expr| Condition { parts: touched(&expr), expr }).collect();
        let needs: Vec<Option<Set>> = parts
            .iter()
            .enumerate()
            .map(|(i, part)| {
                let outer = part.outer.as_ref()?;
                let named = outer.on.iter().fold(0, |set, on| set | touched(on)) & !(1 << i);
                let scope = || outer.scope.clone().fold(0, |set, i| set | 1 << place[i]);
                Some(if named == 0 { scope() } else { named })
            })
            .collect();
        let sizes = parts.iter().map(|part| (known.rows(&part.rel), cost_alone(known, &part.rel))).collect();
        let mut near = vec![0; parts.len()];
        let needed = needs.iter().enumerate().filter_map(|(i, needs)| needs.map(|needs| needs | 1 << i));
        for group in conditions.iter().map(|condition| condition.parts).chain(needed) {
            bits(group).for_each(|i| near[i] |= group & !(1 << i));
        }
        let lookups = HashMap::new();
        let mut search = Search { known, parts, conditions, sizes, needs, near, pairs: Vec::new(), lookups };
        search.pairs = search.pair_parts();
        search
    }

    /// What conditions between the same parts keep together: a look-up by a unique key finds one row, however little its columns
    /// keep one by one.
    fn pair_parts(&self) -> Vec<(Set, f64)> {
        let mut groups: Vec<(Set, Vec<&Expr>)> = Vec::new();
        for condition in &self.conditions {
            match groups.iter_mut().find(|(parts, _)| *parts == condition.parts) {
                Some((_, group)) => group.push(&condition.expr),
                None => groups.push((condition.parts, vec![&condition.expr])),
            }
        }
        let kept = |(parts, group): (Set, Vec<&Expr>)| {
            let mut part = self.known.all(&group);
            if parts.count_ones() == 2 {
                for i in bits(parts) {
                    if let Some(rows) = self.unique_rows(i, &group) {
                        part = part.max(1.0 / rows);
                    }
                }
            }
            (parts, part)
        };
        groups.into_iter().map(kept).collect()
    }

    /// The rows of a part's table, if these conditions find at most one of them.
    fn unique_rows(&self, part: usize, more: &[&Expr]) -> Option<f64> {
        let (relation, columns, mut conditions) = scan_of(&self.parts[part].rel)?;
        conditions.extend(more);
        access::is_one_row(self.known, relation, columns, &conditions).then(|| table_rows(relation))
    }

    /// The rows of a set's join, by whatever tree.
    fn rows(&self, set: Set) -> f64 {
        let mut rows = 1.0;
        for i in bits(set) {
            rows *= match &self.parts[i].outer {
                None => self.sizes[i].0,
                Some(outer) => {
                    let on: Vec<&Expr> = outer.on.iter().collect();
                    self.known.join_rows(outer.kind, 1e6, self.sizes[i].0, &on) / 1e6
                }
            };
        }
        for (parts, kept) in &self.pairs {
            if parts & !set == 0 {
                rows *= kept;
            }
        }
        rows.max(1.0)
    }

    fn single(&self, part: usize) -> Best {
        let (rows, cost) = self.sizes[part];
        Best { cost, rows, left: 1 << part, right: 0 }
    }

    /// A part that is alone in a set.
    fn alone(set: Set) -> Option<usize> {
        (set.count_ones() == 1).then(|| set.trailing_zeros() as usize)
    }

    /// The cost of joining two sets, the second on the right; `None`: it would mean something else.
    fn cost(&mut self, (left, l): (Set, Best), (right, r): (Set, Best), rows: f64) -> Option<f64> {
        if Self::alone(left).is_some_and(|part| self.needs[part].is_some()) {
            return None;
        }
        let part = Self::alone(right);
        let outer = part.filter(|part| self.needs[*part].is_some());
        let mut conditions: Vec<usize> = Vec::new();
        if let Some(part) = outer {
            if self.needs[part].is_some_and(|needs| needs & !left != 0) {
                return None;
            }
        } else {
            conditions.extend((0..self.conditions.len()).filter(|c| {
                let parts = self.conditions[*c].parts;
                parts & !(left | right) == 0 && parts & left != 0 && parts & right != 0
            }));
        }
        let output = rows * 0.5;
        if let Some(part) = part
            && let Some(found) = self.lookup(part, conditions.clone())
        {
            let looked_up = l.rows * (4.0 + found);
            if looked_up <= r.cost + 20.0 {
                return Some(l.cost + looked_up + output);
            }
        }
        let equal = match outer {
            Some(part) => self.parts[part].outer.as_ref().is_some_and(|outer| outer.on.iter().any(is_equation)),
            None => conditions.iter().any(|c| is_equation(&self.conditions[*c].expr)),
        };
        let (small, large) = (l.rows.min(r.rows), l.rows.max(r.rows));
        let joining = if equal { large + 2.0 * small } else { l.rows * r.rows };
        Some(l.cost + r.cost + joining + output)
    }

    /// The rows that a look-up in an index of a part gives under its own conditions, its join's and these.
    fn lookup(&mut self, part: usize, conditions: Vec<usize>) -> Option<f64> {
        let key = (part, conditions);
        if let Some(found) = self.lookups.get(&key) {
            return *found;
        }
        let found = scan_of(&self.parts[part].rel).and_then(|(relation, columns, mut all)| {
            all.extend(key.1.iter().map(|c| &self.conditions[*c].expr));
            all.extend(self.parts[part].outer.iter().flat_map(|outer| &outer.on));
            let path = access::best_path(self.known, relation, columns, &all)?;
            (!path.equals.is_empty()).then_some(path.rows)
        });
        self.lookups.insert(key, found);
        found
    }

    /// The sets in the order in which they are joined, each with its halves; the last one holds all parts.
    fn plan(&mut self) -> HashMap<Set, Best> {
        let mut plan: HashMap<Set, Best> = (0..self.parts.len()).map(|i| (1 << i, self.single(i))).collect();
        let mut tops = Vec::new();
        for component in self.components() {
            if !self.is_small(component) || !self.search_all(component, &mut plan) {
                self.search_greedily(component, &mut plan);
            }
            tops.push(component);
        }
        // What nothing connects is multiplied, the smallest first.
        tops.sort_by(|a, b| plan[a].rows.total_cmp(&plan[b].rows).then(a.cmp(b)));
        let mut all: Set = 0;
        for top in tops {
            if all != 0 {
                let (left, right) = (plan[&all], plan[&top]);
                let rows = self.rows(all | top);
                let cost = left.cost + right.cost + left.rows * right.rows;
                plan.insert(all | top, Best { cost, rows, left: all, right: top });
            }
            all |= top;
        }
        plan
    }

    fn components(&self) -> Vec<Set> {
        let all: Set = if self.parts.len() == PARTS_MAX { Set::MAX } else { (1 << self.parts.len()) - 1 };
        let (mut left, mut components) = (all, Vec::new());
        while left != 0 {
            let component = self.reach(left & left.wrapping_neg(), all);
            components.push(component);
            left &= !component;
        }
        components
    }

    /// What is connected with `from` within a set.
    fn reach(&self, from: Set, within: Set) -> Set {
        let mut reached = from;
        loop {
            let more = bits(reached).fold(reached, |set, i| set | self.near[i]) & within;
            if more == reached {
                return reached;
            }
            reached = more;
        }
    }

    fn is_connected(&self, set: Set) -> bool {
        self.reach(set & set.wrapping_neg(), set) == set
    }

    /// Whether all trees over a component can be tried.
    fn is_small(&self, component: Set) -> bool {
        if component.count_ones() as usize > EXACT_MAX {
            return false;
        }
        let splits = subsets(component).filter(|set| self.is_connected(*set)).map(|set| 1u64 << set.count_ones());
        splits.sum::<u64>() <= SPLITS_MAX
    }

    /// Tries all trees; `false`: there is none without a product.
    fn search_all(&mut self, component: Set, plan: &mut HashMap<Set, Best>) -> bool {
        for set in subsets(component) {
            if set.count_ones() < 2 || !self.is_connected(set) {
                continue;
            }
            let rows = self.rows(set);
            let mut best: Option<Best> = None;
            for left in subsets(set) {
                let right = set & !left;
                let (Some(l), Some(r)) = (plan.get(&left).copied(), plan.get(&right).copied()) else { continue };
                if let Some(cost) = self.cost((left, l), (right, r), rows)
                    && best.is_none_or(|best| cost < best.cost)
                {
                    best = Some(Best { cost, rows, left, right });
                }
            }
            if let Some(best) = best {
                plan.insert(set, best);
            }
        }
        plan.contains_key(&component)
    }

    /// Joins the pair that gives the fewest rows, again and again.
    fn search_greedily(&mut self, component: Set, plan: &mut HashMap<Set, Best>) {
        let mut trees: Vec<Set> = bits(component).map(|i| 1 << i).collect();
        while trees.len() > 1 {
            let mut best: Option<(bool, Best)> = None;
            for (left, right) in trees.iter().flat_map(|left| trees.iter().map(move |right| (*left, *right))) {
                if left == right {
                    continue;
                }
                let rows = self.rows(left | right);
                let Some(cost) = self.cost((left, plan[&left]), (right, plan[&right]), rows) else { continue };
                let product = bits(left).fold(0, |set, i| set | self.near[i]) & right == 0;
                let better = |(other_product, other): (bool, Best)| {
                    (product, rows)
                        .partial_cmp(&(other_product, other.rows))
                        .is_some_and(|order| order.is_lt() || order.is_eq() && cost < other.cost)
                };
                if best.is_none_or(better) {
                    best = Some((product, Best { cost, rows, left, right }));
                }
            }
            let Some((_, best)) = best else { break };
            trees.retain(|tree| *tree != best.left && *tree != best.right);
            trees.push(best.left | best.right);
            plan.insert(best.left | best.right, best);
        }
    }

    /// The tree of a plan.
    fn build(mut self, plan: &HashMap<Set, Best>) -> Rel {
        let all = if self.parts.len() == PARTS_MAX { Set::MAX } else { (1 << self.parts.len()) - 1 };
        let mut parts: Vec<Option<Part>> = self.parts.drain(..).map(Some).collect();
        let tree = build_set(all, plan, &mut parts, &mut self.conditions);
        filtered(tree, self.conditions.into_iter().map(|condition| condition.expr).collect())
    }
}

fn build_set(set: Set, plan: &HashMap<Set, Best>, parts: &mut [Option<Part>], conditions: &mut Vec<Condition>) -> Rel {
    let Best { left, right, .. } = plan[&set];
    if right == 0 {
        let part = parts[set.trailing_zeros() as usize].take();
        return part.expect("a part is in one place of a tree").rel;
    }
    let outer = match right.count_ones() {
        1 => parts[right.trailing_zeros() as usize].as_mut().and_then(|part| part.outer.take()),
        _ => None,
    };
    let (l, r) = (build_set(left, plan, parts, conditions), build_set(right, plan, parts, conditions));
    let (ready, later): (Vec<_>, Vec<_>) =
        std::mem::take(conditions).into_iter().partition(|condition| condition.parts & !set == 0);
    *conditions = later;
    let ready: Vec<Expr> = ready.into_iter().map(|condition| condition.expr).collect();
    let join = |kind: JoinKind, on: Vec<Expr>| Rel::Join {
        kind,
        left: Box::new(l),
        right: Box::new(r),
        on: all_of(on),
        lateral: false,
    };
    match outer {
        // What holds after an outer join is no part of its condition.
        Some(outer) => filtered(join(outer.kind, outer.on), ready),
        None => join(JoinKind::Inner, ready),
    }
}

/// All subsets of a set but the empty one, those before that they are part of.
fn subsets(set: Set) -> impl Iterator<Item = Set> {
    let mut next = Some(set & set.wrapping_neg());
    std::iter::from_fn(move || {
        let subset = next.filter(|subset| *subset != 0)?;
        next = Some(subset.wrapping_sub(set) & set);
        Some(subset)
    })
}

/// A table's scan with its conditions.
fn scan_of(rel: &Rel) -> Option<(&crate::catalog::image::Relation, &[ScanColumns], Vec<&Expr>)> {
    match rel {
        Rel::Scan { relation, columns } => Some((relation, columns, Vec::new())),
        Rel::Filter { input, predicate } => match &**input {
            Rel::Scan { relation, columns } => Some((relation, columns, conjuncts(predicate))),
            _ => None,
        },
        _ => None,
    }
}

type ScanColumns = (crate::sql::tree::ScanColumn, crate::sql::tree::ColumnId);

/// What reading a part costs, in rows of a sequential scan.
fn cost_alone(known: &Estimator, rel: &Rel) -> f64 {
    if let Some((relation, columns, conditions)) = scan_of(rel) {
        let all = table_rows(relation);
        return access::best_path(known, relation, columns, &conditions).map_or(all, |path| path.cost().min(all));
    }
    super::columns::inputs(rel).into_iter().map(|input| cost_alone(known, input)).sum::<f64>() + known.rows(rel)
}

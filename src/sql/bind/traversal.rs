//! SEARCH and CYCLE of recursive WITH parts (PostgreSQL's `rewriteSearchCycle.c`): columns that the part carries along.
//!
//! ```text
//! SEARCH DEPTH FIRST    array of the rows from the seed to here
//! SEARCH BREADTH FIRST  row of the depth and the ordering columns
//! CYCLE                 a mark, and the array of the rows from the seed to here; a marked row is not followed
//! ```
//! The step reads the columns of the row that it follows from the last round, where its own names do not find them.

use super::Binder;
use super::coerce::constant;
use super::query::{Bound, column_expr, syntax};
use super::scope::Clause;
use crate::catalog::builtin;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{self, SetExpr, TableRef};
use crate::sql::tree::{Call, ColumnId, Expr, ExprKind, OutputColumn, Rel};
use crate::types::{Datum, Type, oid};

/// What SEARCH and CYCLE add to a part.
pub(super) struct Traversal {
    search: Option<Search>,
    cycle: Option<Cycle>,
}

struct Search {
    breadth: bool,
    by: Vec<usize>,
    name: String,
}

struct Cycle {
    by: Vec<usize>,
    mark: String,
    path: String,
    ty: Type,
    there: Expr,
    elsewhere: Expr,
}

impl Traversal {
    /// The added columns, in order.
    pub(super) fn columns(&self) -> Vec<(String, Type)> {
        let mut columns = Vec::new();
        if let Some(search) = &self.search {
            let ty = if search.breadth { oid::RECORD } else { oid::RECORD_ARRAY };
            columns.push((search.name.clone(), Type::new(ty)));
        }
        if let Some(cycle) = &self.cycle {
            columns.push((cycle.mark.clone(), cycle.ty));
            columns.push((cycle.path.clone(), Type::new(oid::RECORD_ARRAY)));
        }
        columns
    }
}

/// `ROW(…)` of some columns.
fn row(columns: &[ColumnId], types: &[Type], by: &[usize]) -> Vec<Expr> {
    by.iter().map(|i| column_expr(columns[*i], types[*i])).collect()
}

fn record(fields: Vec<Expr>) -> Expr {
    Expr { kind: ExprKind::Row(fields), ty: Type::new(oid::RECORD) }
}

fn array(item: Expr) -> Expr {
    Expr { kind: ExprKind::ArrayOf { items: vec![item], nested: false }, ty: Type::new(oid::RECORD_ARRAY) }
}

impl Binder<'_> {
    /// The columns that SEARCH and CYCLE add to a part.
    pub(super) fn traversal_columns(&mut self, part: &ast::Cte) -> Result<Vec<(String, Type)>> {
        let search = part.search.as_ref().map(|search| Search {
            breadth: search.breadth,
            by: Vec::new(),
            name: search.sequence.clone(),
        });
        let cycle = part.cycle.as_ref().map(|cycle| self.cycle_values(cycle, Vec::new())).transpose()?;
        Ok(Traversal { search, cycle }.columns())
    }

    /// SEARCH and CYCLE of a part whose columns are these.
    pub(super) fn traversal(
        &mut self,
        part: &ast::Cte,
        left: &SetExpr,
        right: &SetExpr,
        columns: &[(String, Type)],
    ) -> Result<Option<Traversal>> {
        if part.search.is_none() && part.cycle.is_none() {
            return Ok(None);
        }
        Self::check_form(part, left, right)?;
        let search = part.search.as_ref().map(|search| self.search(search, columns)).transpose()?;
        let cycle = part.cycle.as_ref().map(|cycle| self.cycle(cycle, columns)).transpose()?;
        self.check_distinct_names(part)?;
        Ok(Some(Traversal { search, cycle }))
    }

    /// Both sides must be plain SELECTs, and the right one must name the part in its FROM.
    fn check_form(part: &ast::Cte, left: &SetExpr, right: &SetExpr) -> Result<()> {
        let refuse = |message: &str| Err(Error::new(SqlState::FeatureNotSupported, message));
        if !matches!(left, SetExpr::Select(_) | SetExpr::Values { .. }) {
            return refuse("with a SEARCH or CYCLE clause, the left side of the UNION must be a SELECT");
        }
        let SetExpr::Select(select) = right else {
            return Err(syntax("with a SEARCH or CYCLE clause, the right side of the UNION must be a SELECT"));
        };
        if !select.from.iter().any(|item| names(item, &part.name)) {
            return refuse(
                "with a SEARCH or CYCLE clause, the recursive reference to WITH query \"{}\" must be at the top level of its right-hand SELECT"
                    .replace("{}", &part.name)
                    .as_str(),
            );
        }
        if !select.group_by.is_empty() || select.having.is_some() || !matches!(select.distinct, ast::Distinct::All) {
            return refuse("SEARCH or CYCLE over a grouped or DISTINCT recursive term is not supported");
        }
        Ok(())
    }

    fn listed(&self, list: &[ast::Ident], columns: &[(String, Type)], what: &str, pos: u32) -> Result<Vec<usize>> {
        let mut found: Vec<usize> = Vec::new();
        for ident in list {
            let at = self.position(pos);
            let Some(i) = columns.iter().position(|(name, _)| *name == ident.name) else {
                let message = format!("{what} column \"{}\" not in WITH query column list", ident.name);
                return Err(syntax(message).at(at));
            };
            if found.contains(&i) {
                let message = format!("{what} column \"{}\" specified more than once", ident.name);
                return Err(Error::new(SqlState::DuplicateColumn, message).at(at));
            }
            found.push(i);
        }
        Ok(found)
    }

    fn unused(&self, name: &str, columns: &[(String, Type)], what: &str, pos: u32) -> Result<()> {
        if columns.iter().any(|(known, _)| known == name) {
            let message = format!("{what} column name \"{name}\" already used in WITH query column list");
            return Err(syntax(message).at(self.position(pos)));
        }
        Ok(())
    }

    fn search(&self, search: &ast::Search, columns: &[(String, Type)]) -> Result<Search> {
        let by = self.listed(&search.columns, columns, "search", search.pos)?;
        self.unused(&search.sequence, columns, "search sequence", search.pos)?;
        Ok(Search { breadth: search.breadth, by, name: search.sequence.clone() })
    }

    fn cycle(&mut self, cycle: &ast::Cycle, columns: &[(String, Type)]) -> Result<Cycle> {
        let by = self.listed(&cycle.columns, columns, "cycle", cycle.pos)?;
        self.unused(&cycle.mark, columns, "cycle mark", cycle.pos)?;
        self.unused(&cycle.path, columns, "cycle path", cycle.pos)?;
        if cycle.mark == cycle.path {
            let message = "cycle mark column name and cycle path column name are the same";
            return Err(syntax(message).at(self.position(cycle.pos)));
        }
        self.cycle_values(cycle, by)
    }

    fn cycle_values(&mut self, cycle: &ast::Cycle, by: Vec<usize>) -> Result<Cycle> {
        let (there, elsewhere, ty) = match &cycle.values {
            None => {
                let truth = |value| constant(Datum::Bool(value), oid::BOOL);
                (truth(true), truth(false), Type::new(oid::BOOL))
            }
            Some((there, elsewhere)) => {
                self.push_scope();
                let bound = self.bind_expr(there, Clause::Select);
                let other = self.bind_expr(elsewhere, Clause::Select);
                self.pop_scope();
                let (bound, other) = (bound?, other?);
                let typed = [(bound.ty.oid, there.location()), (other.ty.oid, elsewhere.location())];
                let common = Type::new(self.select_common_type(&typed, "CYCLE")?);
                let bound = self.coerce_common(bound, common, "CYCLE/SET/TO", there.location())?;
                let other = self.coerce_common(other, common, "CYCLE/SET/DEFAULT", elsewhere.location())?;
                (bound, other, common)
            }
        };
        self.equality(ty.oid).map_err(|error| error.at(self.position(cycle.pos)))?;
        let (mark, path) = (cycle.mark.clone(), cycle.path.clone());
        Ok(Cycle { by, mark, path, ty, there, elsewhere })
    }

    fn check_distinct_names(&self, part: &ast::Cte) -> Result<()> {
        let (Some(search), Some(cycle)) = (&part.search, &part.cycle) else { return Ok(()) };
        let clash = match &search.sequence {
            name if *name == cycle.mark => "cycle mark",
            name if *name == cycle.path => "cycle path",
            _ => return Ok(()),
        };
        let message = format!("search sequence column name and {clash} column name are the same");
        Err(syntax(message).at(self.position(search.pos)))
    }

    /// Adds the columns to both sides. `extras`: those of the row that the step follows.
    pub(super) fn traverse(
        &mut self,
        traversal: &Traversal,
        seed: &mut Bound,
        step: &mut Bound,
        step_columns: &mut Vec<ColumnId>,
        extras: &[ColumnId],
    ) -> Result<()> {
        let types: Vec<Type> = seed.columns.iter().map(|column| column.ty).collect();
        let firsts: Vec<ColumnId> = seed.columns.iter().map(|column| column.column).collect();
        let nexts = step_columns.clone();
        let mut extras = traversal.columns().into_iter().zip(extras).map(|((_, ty), column)| column_expr(*column, ty));
        let mut before = || extras.next().ok_or_else(|| Error::internal("a recursive step without its last round"));
        let (mut first, mut next) = (Vec::new(), Vec::new());
        let mut follow = None;
        if let Some(search) = &traversal.search {
            let (own, other) = (row(&firsts, &types, &search.by), row(&nexts, &types, &search.by));
            let before = before()?;
            if search.breadth {
                let depth = constant(Datum::Int8(0), oid::INT8);
                first.push(record(std::iter::once(depth).chain(own).collect()));
                let ty = Type::new(oid::INT8);
                let depth = Expr { kind: ExprKind::Field { record: Box::new(before), field: 0 }, ty };
                let depth = self.apply(
                    &ast::OperatorName::new("+"),
                    Some(depth),
                    constant(Datum::Int8(1), oid::INT8),
                    (0, 0),
                    0,
                )?;
                next.push(record(std::iter::once(depth).chain(other).collect()));
            } else {
                first.push(array(record(own)));
                next.push(self.appended(before, record(other))?);
            }
        }
        if let Some(cycle) = &traversal.cycle {
            let (own, other) = (row(&firsts, &types, &cycle.by), record(row(&nexts, &types, &cycle.by)));
            let (mark, path) = (before()?, before()?);
            first.push(cycle.elsewhere.clone());
            first.push(array(record(own)));
            let compare =
                builtin::comparison("=", oid::RECORD).ok_or_else(|| Error::internal("records have no equality"))?;
            let (left, array) = (Box::new(other.clone()), Box::new(path.clone()));
            let met = ExprKind::ArrayComparison { left, array, all: false, compare };
            let met = Expr { kind: met, ty: Type::new(oid::BOOL) };
            let kind = ExprKind::Case {
                operand: None,
                arms: vec![(met, cycle.there.clone())],
                otherwise: Some(Box::new(cycle.elsewhere.clone())),
            };
            next.push(Expr { kind, ty: cycle.ty });
            next.push(self.appended(path, other)?);
            let left = (mark, cycle.there.clone());
            follow = Some(self.apply(&ast::OperatorName::new("<>"), Some(left.0), left.1, (0, 0), 0)?);
        }
        if let Some(predicate) = follow {
            let input = Box::new(std::mem::replace(&mut step.rel, super::query::one_row()));
            step.rel = Rel::Filter { input, predicate };
        }
        let added = self.computed(std::mem::replace(&mut seed.rel, super::query::one_row()), first);
        seed.rel = added.0;
        for ((name, ty), column) in traversal.columns().into_iter().zip(added.1) {
            seed.columns.push(OutputColumn { name, column, ty, origin: None });
        }
        let (rel, columns) = self.computed(std::mem::replace(&mut step.rel, super::query::one_row()), next);
        step.rel = rel;
        step_columns.extend(columns);
        Ok(())
    }

    /// `path || row`
    fn appended(&mut self, path: Expr, row: Expr) -> Result<Expr> {
        let function = builtin::functions_named("array_append")
            .iter()
            .find(|function| function.args.len() == 2)
            .ok_or_else(|| Error::internal("array_append is missing"))?;
        let kind = ExprKind::Call(Call { function, args: vec![path, row] });
        Ok(Expr { kind, ty: Type::new(oid::RECORD_ARRAY) })
    }
}

/// Whether a FROM item is, or joins, a reference to that name.
fn names(item: &TableRef, wanted: &str) -> bool {
    match item {
        TableRef::Relation { name, .. } => matches!(&name.parts[..], [only] if only == wanted),
        TableRef::Join { left, right, .. } => names(left, wanted) || names(right, wanted),
        TableRef::Subquery { .. } | TableRef::Function { .. } => false,
    }
}

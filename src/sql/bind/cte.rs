//! WITH: queries, recursive queries, parts that write.

use super::Binder;
use super::query::{Bound, Tail, column_expr};
use super::scope::{CteName, CteState};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{self, SetExpr, SetOpKind};
use crate::sql::tree::{ColumnId, Cte, CteBody, CteId, OutputColumn, Rel};
use crate::sql::visit;
use crate::types::Type;

/// Stands for the number of a recursive part until its body is bound: numbers follow the order of evaluation.
fn provisional(depth: usize) -> CteId {
    CteId(u32::MAX - depth as u32)
}

/// 42P19
fn recursion(message: impl Into<String>) -> Error {
    Error::new(SqlState::InvalidRecursion, message)
}

impl Binder<'_> {
    /// Binds a WITH clause; its names stay in sight until the caller takes them away.
    pub(crate) fn with(&mut self, with: &ast::With) -> Result<()> {
        for (i, cte) in with.ctes.iter().enumerate() {
            if with.ctes[..i].iter().any(|other| other.name == cte.name) {
                let message = format!("WITH query name \"{}\" specified more than once", cte.name);
                return Err(Error::new(SqlState::DuplicateAlias, message).at(self.position(cte.pos)));
            }
        }
        let outer = std::mem::take(&mut self.later_ctes);
        let result = if with.recursive { self.with_in_any_order(&with.ctes) } else { self.with_in_order(&with.ctes) };
        self.later_ctes = outer;
        result
    }

    fn with_in_order(&mut self, parts: &[ast::Cte]) -> Result<()> {
        for (i, part) in parts.iter().enumerate() {
            self.later_ctes = parts[i..].iter().map(|part| part.name.clone()).collect();
            self.part(part, false)?;
        }
        Ok(())
    }

    /// WITH RECURSIVE lets a part name a later one: parts that do so are bound after it.
    fn with_in_any_order(&mut self, parts: &[ast::Cte]) -> Result<()> {
        self.later_ctes.clear();
        let mut waiting: Vec<&ast::Cte> = parts.iter().collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut next: Vec<&ast::Cte> = Vec::new();
            for (i, part) in waiting.iter().enumerate() {
                let (ctes, names, columns) = (self.ctes.clone(), self.cte_names.len(), self.columns.len());
                for later in next.iter().chain(&waiting[i + 1..]) {
                    self.push_name(later, provisional(names), Vec::new(), CteState::Later);
                }
                let later = names..self.cte_names.len();
                match self.part(part, true) {
                    Ok(()) => _ = self.cte_names.drain(later),
                    Err(_) if self.waits_for.is_some_and(|name| later.contains(&name)) => {
                        self.waits_for = None;
                        self.ctes = ctes;
                        self.cte_names.truncate(names);
                        self.columns.truncate(columns);
                        self.levels.truncate(columns);
                        self.late_columns.retain(|scan, _| (scan.0 as usize) < columns);
                        self.records.retain(|column, _| (column.0 as usize) < columns);
                        next.push(part);
                    }
                    Err(error) => return Err(error),
                }
            }
            if next.len() == before {
                let message = "mutual recursion between WITH items is not implemented";
                return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(next[0].pos)));
            }
            waiting = next;
        }
        Ok(())
    }

    /// One part.
    fn part(&mut self, part: &ast::Cte, recursive: bool) -> Result<()> {
        visit::deeper(|| match &*part.statement {
            ast::Statement::Query(query) => {
                if recursive && let SetExpr::SetOp { op: SetOpKind::Union, all, left, right, pos: _ } = &query.body {
                    return self.recursive_part(part, query, *all, left, right);
                }
                if part.search.is_some() || part.cycle.is_some() {
                    return Err(super::query::syntax("WITH query is not recursive").at(self.position(part.pos)));
                }
                if recursive {
                    self.push_name(part, provisional(self.cte_names.len()), Vec::new(), CteState::Malformed);
                }
                let bound = self.query(query, true);
                if recursive {
                    self.cte_names.pop();
                }
                let bound = bound?;
                self.finish_part(part, CteBody::Query(bound.rel), &bound.columns, true)
            }
            statement => {
                if !self.scopes.is_empty() || !self.views.is_empty() || self.cte_depth > 0 {
                    let message = "WITH clause containing a data-modifying statement must be at the top level";
                    let pos = self.position(part.pos);
                    return Err(Error::new(SqlState::FeatureNotSupported, message).at(pos));
                }
                self.cte_depth += 1;
                let bound = self.root(statement);
                self.cte_depth -= 1;
                let (root, output) = bound?;
                let returns = !output.is_empty();
                self.finish_part(part, CteBody::Write(root), &output, returns)
            }
        })
    }

    fn push_name(&mut self, part: &ast::Cte, cte: CteId, columns: Vec<(String, Type)>, state: CteState) {
        self.cte_names.push(CteName {
            name: part.name.clone(),
            cte,
            columns,
            origins: Vec::new(),
            width: None,
            state,
            pos: part.pos,
        });
    }

    /// Column names of a part: its own list, then those of its query.
    fn part_columns(&self, part: &ast::Cte, output: &[OutputColumn]) -> Result<Vec<(String, Type)>> {
        if part.columns.len() > output.len() {
            let message = format!(
                "WITH query \"{}\" has {} columns available but {} columns specified",
                part.name,
                output.len(),
                part.columns.len()
            );
            return Err(Error::new(SqlState::InvalidColumnReference, message).at(self.position(part.pos)));
        }
        let name = |i: usize| part.columns.get(i).unwrap_or(&output[i].name).clone();
        Ok((0..output.len()).map(|i| (name(i), output[i].ty)).collect())
    }

    fn finish_part(&mut self, part: &ast::Cte, body: CteBody, output: &[OutputColumn], rows: bool) -> Result<()> {
        let columns = self.part_columns(part, output)?;
        let id = CteId(self.ctes.len() as u32);
        self.ctes.push(Cte {
            id,
            name: part.name.clone(),
            body,
            columns: output.iter().map(|column| column.column).collect(),
            uses: 0,
            materialized: part.materialized,
        });
        self.push_name(part, id, columns, if rows { CteState::Ready } else { CteState::NoRows });
        let name = self.cte_names.last_mut().expect("it was just pushed");
        name.origins = output.iter().map(|column| column.origin).collect();
        Ok(())
    }

    /// `seed UNION [ALL] step`, if the step does name the part; otherwise a plain UNION.
    fn recursive_part(
        &mut self,
        part: &ast::Cte,
        query: &ast::Query,
        all: bool,
        left: &SetExpr,
        right: &SetExpr,
    ) -> Result<()> {
        let names = self.cte_names.len();
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        let depth = self.cte_names.len();
        let id = provisional(depth);
        self.push_name(part, id, Vec::new(), CteState::Seed);
        let seed = self.side(left, true);
        self.cte_names.pop();
        let mut seed = seed?;

        let mut columns = self.part_columns(part, &seed.columns)?;
        let own_columns = columns.clone();
        columns.extend(self.traversal_columns(part)?);
        self.push_name(part, id, columns, CteState::Step);
        self.cte_names.last_mut().expect("it was just pushed").width = Some(own_columns.len());
        let uses = std::mem::take(&mut self.working_uses);
        let parts_before = self.ctes.len();
        let step = self.side(right, false);
        let recursive = std::mem::replace(&mut self.working_uses, uses) > 0;
        self.cte_names.pop();
        let mut step = step?;
        let extras = std::mem::take(&mut self.working_extras);
        self.cte_names.truncate(names);
        if !recursive && (part.search.is_some() || part.cycle.is_some()) {
            return Err(super::query::syntax("WITH query is not recursive").at(self.position(part.pos)));
        }

        let place = |expr: &ast::Expr| expr.location();
        let tail = [
            (query.order_by.first().map(|item| place(&item.expr)), "ORDER BY"),
            (query.offset.as_ref().map(place), "OFFSET"),
            (query.limit.as_ref().map(place), "LIMIT"),
            (query.locking.first().map(|locking| locking.pos), "FOR UPDATE/SHARE"),
        ];
        let clause = tail.iter().find_map(|(pos, name)| Some(((*pos)?, *name)));
        if !recursive {
            // Not recursive after all: bind it as the plain query that it is.
            if clause.is_some() || query.with.is_some() {
                let bound = self.query(query, true)?;
                return self.finish_part(part, CteBody::Query(bound.rel), &bound.columns, true);
            }
            let bound = self.combine(SetOpKind::Union, all, seed, step)?;
            return self.finish_part(part, CteBody::Query(bound.rel), &bound.columns, true);
        }
        if let Some((pos, clause)) = clause {
            let message = format!("{clause} in a recursive query is not implemented");
            return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(pos)));
        }
        let traversal = self.traversal(part, left, right, &own_columns)?;
        let mut step_columns = self.match_step(part, &seed, &mut step, all)?;
        if let Some(traversal) = traversal {
            self.own_columns(&mut seed);
            self.traverse(&traversal, &mut seed, &mut step, &mut step_columns, &extras)?;
        }
        let own = CteId(self.ctes.len() as u32);
        let number = |rel: &mut Rel| {
            visit::all_rels(rel, &mut |rel| {
                if let Rel::Working { cte, .. } = rel
                    && *cte == id
                {
                    *cte = own;
                }
            });
        };
        number(&mut step.rel);
        for inner in &mut self.ctes[parts_before..] {
            match &mut inner.body {
                CteBody::Query(rel) => number(rel),
                CteBody::Recursive { seed, step, .. } => {
                    number(seed);
                    number(step);
                }
                CteBody::Write(root) => number(visit::root_source(root)),
            }
        }
        self.own_columns(&mut seed);
        let body = CteBody::Recursive { seed: seed.rel, step: step.rel, step_columns, all };
        self.finish_part(part, body, &seed.columns, true)
    }

    /// One side of a recursive part's UNION.
    fn side(&mut self, body: &SetExpr, resolve: bool) -> Result<Bound> {
        match body {
            SetExpr::Select(select) => self.select(select, &Tail::EMPTY, resolve),
            SetExpr::Values { rows, pos } => self.values(rows, *pos, &Tail::EMPTY, resolve),
            SetExpr::Query(query) => self.query(query, resolve),
            SetExpr::SetOp { .. } => self.set_operation(body, &Tail::EMPTY),
        }
    }

    /// The seed's columns as distinct columns: the part's rows are stored by them.
    fn own_columns(&mut self, seed: &mut Bound) {
        let mut seen: Vec<ColumnId> = Vec::new();
        let mut exprs = Vec::new();
        for output in &mut seed.columns {
            if seen.contains(&output.column) {
                let column = self.column(output.ty);
                exprs.push((column, column_expr(output.column, output.ty)));
                output.column = column;
            }
            seen.push(output.column);
        }
        if !exprs.is_empty() {
            let empty = super::query::one_row();
            let input = Box::new(std::mem::replace(&mut seed.rel, empty));
            seed.rel = Rel::Project { input, exprs };
        }
    }

    /// The step's columns brought to the seed's types; 42804 where the UNION of both would have another type.
    fn match_step(&mut self, part: &ast::Cte, seed: &Bound, step: &mut Bound, all: bool) -> Result<Vec<ColumnId>> {
        if seed.columns.len() != step.columns.len() {
            let pos = self.position(step.positions.first().copied().unwrap_or(0));
            return Err(super::query::syntax("each UNION query must have the same number of columns").at(pos));
        }
        let mut values = Vec::new();
        for i in 0..seed.columns.len() {
            let (wanted, given) = (seed.columns[i].ty, step.columns[i].ty);
            let typed = [(wanted.oid, seed.positions[i]), (given.oid, step.positions[i])];
            let common = self.select_common_type(&typed, "UNION")?;
            // numeric(10, 2) and numeric(10, 3) have numeric in common, without a modifier.
            let overall = if wanted == given { wanted } else { Type::new(common) };
            if overall != wanted {
                let shown = |ty: Type| self.namespace().format_type(ty.oid, Some(ty.typmod));
                let message = format!(
                    "recursive query \"{}\" column {} has type {} in non-recursive term but type {} overall",
                    part.name,
                    i + 1,
                    shown(wanted),
                    shown(overall)
                );
                return Err(Error::new(SqlState::DatatypeMismatch, message)
                    .hint("Cast the output of the non-recursive term to the correct type.")
                    .at(self.position(seed.positions[i])));
            }
            if !all {
                self.equality(common).map_err(|error| error.at(self.position(part.pos)))?;
            }
            let literal = step.literals[i].take();
            let value = literal.unwrap_or_else(|| column_expr(step.columns[i].column, given));
            values.push(if value.ty == wanted {
                value
            } else {
                self.coerce_common(value, wanted, "UNION", step.positions[i])?
            });
        }
        let rel = std::mem::replace(&mut step.rel, super::query::one_row());
        let (rel, columns) = self.computed(rel, values);
        step.rel = rel;
        Ok(columns)
    }

    /// 42P19 for a part that names itself and is no UNION.
    pub(crate) fn malformed_recursion(&self, name: &str, pos: u32) -> Error {
        let message =
            format!("recursive query \"{name}\" does not have the form non-recursive-term UNION [ALL] recursive-term");
        recursion(message).at(self.position(pos))
    }
}

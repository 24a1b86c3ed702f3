//! UNION, INTERSECT, EXCEPT: the operands' columns are brought to common types, pair by pair and bottom up.

use super::Binder;
use super::query::{Bound, Tail, column_expr, syntax};
use super::scope::{Clause, Item};
use super::select::{BoundTarget, lock_name};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{SetExpr, SetOpKind};
use crate::sql::tree::{ColumnId, OutputColumn, Rel};
use crate::sql::visit;
use crate::types::{Oid, Type};

fn name(op: SetOpKind) -> &'static str {
    match op {
        SetOpKind::Union => "UNION",
        SetOpKind::Intersect => "INTERSECT",
        SetOpKind::Except => "EXCEPT",
    }
}

impl Binder<'_> {
    /// A set operation with the clauses that follow it.
    pub(crate) fn set_operation(&mut self, body: &SetExpr, tail: &Tail<'_>) -> Result<Bound> {
        if let Some(locking) = tail.locking.first() {
            let message = format!("{} is not allowed with UNION/INTERSECT/EXCEPT", lock_name(locking.strength));
            return Err(Error::new(SqlState::FeatureNotSupported, message));
        }
        let outer = std::mem::take(&mut self.operands);
        let bound = self.operand(body);
        let operands = std::mem::replace(&mut self.operands, outer);
        let mut bound = bound?;
        bound.lock_refused = Some("UNION/INTERSECT/EXCEPT");
        bound.lockable.clear();
        if tail.order_by.is_empty() && tail.limit.is_none() && tail.offset.is_none() {
            return Ok(bound);
        }
        self.push_scope();
        let done = self.sorted_operation(bound, operands, tail);
        self.pop_scope();
        done
    }

    /// ORDER BY may name result columns only.
    fn sorted_operation(&mut self, mut bound: Bound, operands: Vec<Item>, tail: &Tail<'_>) -> Result<Bound> {
        let mut item = Self::query_item("*SELECT*", &bound);
        item.bare = true;
        self.own_item(&item);
        // Hints are about the operands' columns.
        self.scope().all_items = operands;
        self.scope().items.push(Item { named: false, ..item });
        let mut targets: Vec<BoundTarget> =
            bound.columns.iter().map(|column| BoundTarget::of_column(column, 0)).collect();
        let order = self.order_by(tail.order_by, &mut targets, Clause::OrderBy)?;
        if let Some(item) = order.iter().find(|item| targets[item.target].hidden) {
            return Err(Error::new(SqlState::FeatureNotSupported, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
                .detail("Only result column names can be used, not expressions or functions.")
                .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause.")
                .at(self.position(item.pos)));
        }
        let keys: Vec<_> = order.iter().map(|item| item.key(&targets)).collect();
        if !keys.is_empty() {
            bound.rel = Rel::Sort { input: Box::new(bound.rel), keys: keys.clone() };
        }
        // LIMIT and OFFSET see no columns.
        self.scope().items.clear();
        let counts = self.row_counts(tail)?;
        bound.rel = self.limit(bound.rel, tail, counts, keys)?;
        Ok(bound)
    }

    /// One operand; unknown literals stay unknown, so that the other operand can give them their type.
    fn operand(&mut self, body: &SetExpr) -> Result<Bound> {
        visit::deeper(|| {
            let bound = match body {
                SetExpr::Select(select) => self.select(select, &Tail::EMPTY, false),
                SetExpr::Query(query) => self.query(query, false),
                SetExpr::Values { rows, pos } => self.values(rows, *pos, &Tail::EMPTY, false),
                SetExpr::SetOp { op, all, left, right, pos: _ } => {
                    let left = self.operand(left)?;
                    let right = self.operand(right)?;
                    return self.combine(*op, *all, left, right);
                }
            }?;
            let name = format!("*SELECT* {}", self.operands.len() + 1);
            self.operands.push(Self::query_item(&name, &bound));
            Ok(bound)
        })
    }

    /// Two bound operands as one.
    pub(crate) fn combine(&mut self, op: SetOpKind, all: bool, mut left: Bound, mut right: Bound) -> Result<Bound> {
        let construct = name(op);
        if left.columns.len() != right.columns.len() {
            let pos = self.position(right.positions.first().copied().unwrap_or(0));
            return Err(syntax(format!("each {construct} query must have the same number of columns")).at(pos));
        }
        let mut columns = Vec::new();
        let mut left_exprs = Vec::new();
        let mut right_exprs = Vec::new();
        for i in 0..left.columns.len() {
            let (a, b) = (&left.columns[i], &right.columns[i]);
            let typed: [(Oid, u32); 2] = [(a.ty.oid, left.positions[i]), (b.ty.oid, right.positions[i])];
            let common = self.select_common_type(&typed, construct)?;
            let ty = if a.ty == b.ty && a.ty.oid == common { a.ty } else { Type::new(common) };
            if !all || op != SetOpKind::Union {
                self.equality(common).map_err(|error| error.at(self.position(left.positions[i])))?;
            }
            let output = OutputColumn { name: a.name.clone(), column: self.column(ty), ty, origin: None };
            left_exprs.push(self.operand_column(&mut left, i, ty, construct)?);
            right_exprs.push(self.operand_column(&mut right, i, ty, construct)?);
            columns.push(output);
        }
        let (left_rel, left_columns) = self.computed(left.rel, left_exprs);
        let (right_rel, right_columns) = self.computed(right.rel, right_exprs);
        let rel = Rel::SetOp {
            op,
            all,
            left: Box::new(left_rel),
            left_columns,
            right: Box::new(right_rel),
            right_columns,
            columns: columns.iter().map(|column| column.column).collect(),
        };
        Ok(Bound {
            rel,
            literals: vec![None; columns.len()],
            columns,
            positions: left.positions,
            lockable: Vec::new(),
            lock_refused: Some("UNION/INTERSECT/EXCEPT"),
            idle: 0,
        })
    }

    /// An operand's column as a value of the common type.
    fn operand_column(
        &mut self,
        bound: &mut Bound,
        i: usize,
        ty: Type,
        construct: &str,
    ) -> Result<crate::sql::tree::Expr> {
        let column = &bound.columns[i];
        let value = bound.literals[i].take().unwrap_or_else(|| column_expr(column.column, column.ty));
        if value.ty == ty {
            return Ok(value);
        }
        self.coerce_common(value, ty, construct, bound.positions[i])
    }

    /// Values above a relation as columns: a Project for those that are none.
    pub(crate) fn computed(&mut self, rel: Rel, values: Vec<crate::sql::tree::Expr>) -> (Rel, Vec<ColumnId>) {
        let mut exprs = Vec::new();
        let mut columns = Vec::new();
        for value in values {
            if let crate::sql::tree::ExprKind::Column(column) = value.kind {
                columns.push(column);
            } else {
                let column = self.column(value.ty);
                exprs.push((column, value));
                columns.push(column);
            }
        }
        let rel = if exprs.is_empty() { rel } else { Rel::Project { input: Box::new(rel), exprs } };
        (rel, columns)
    }
}

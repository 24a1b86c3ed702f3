//! UPDATE and its SET list, which ON CONFLICT DO UPDATE has too.

use super::Binder;
use super::insert::attribute;
use super::query::{column_expr, syntax, truth};
use super::scope::{Clause, Item, Lateral, is_system_column};
use crate::catalog::image::{Attribute, Identity, Relation};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast;
use crate::sql::tree::{
    ColumnId, Expr, ExprKind, JoinKind, OutputColumn, Rel, ScanColumn, Subquery, SubqueryKind, Update,
};
use crate::types::{Type, oid};
use std::sync::Arc;

/// The scan of a write's target.
pub(crate) struct TargetScan {
    pub rel: Rel,
    pub item: Item,
    pub row_id: ColumnId,
    pub columns: Vec<(i16, ColumnId)>,
}

impl Binder<'_> {
    /// Binds an UPDATE.
    pub(crate) fn update(&mut self, update: &ast::Update) -> Result<(Update, Vec<OutputColumn>)> {
        let names = self.cte_names.len();
        if let Some(with) = &update.with {
            self.with(with)?;
        }
        self.push_scope();
        let bound = self.update_inner(update);
        self.pop_scope();
        self.cte_names.truncate(names);
        bound
    }

    fn update_inner(&mut self, update: &ast::Update) -> Result<(Update, Vec<OutputColumn>)> {
        let target = self.write_target(&update.table, "update")?;
        let scan = self.target_scan(&target, update.alias.as_ref());
        let mut source = self.write_source(scan.rel, scan.item, &update.from)?;
        if let Some(filter) = &update.filter {
            let predicate = self.bind_bool(filter, Clause::Where, "WHERE")?;
            source = Rel::Filter { input: Box::new(source), predicate };
        }
        let assignments = self.assignments(&target, &update.assignments, &mut source)?;
        let row_columns = self.row_columns(&target);
        let generated = self.generated(&target, &row_columns)?;
        let checks = self.write_checks(&target, &row_columns)?;
        // RETURNING sees the new row under the target's name.
        let mut items = self.scope().items.clone();
        let (row, key) = self.written_item(&target, &items[0].name, &row_columns);
        items[0] = Item { relation: items[0].relation.clone(), aliased: items[0].aliased, ..row };
        let (returning, output) = self.returning(&update.returning, items)?;
        let written = self.late_columns.remove(&key).unwrap_or_default();
        let bound = Update {
            target,
            source,
            row_id: scan.row_id,
            old_columns: scan.columns,
            assignments,
            generated,
            row_columns,
            checks,
            written,
            returning,
        };
        Ok((bound, output))
    }

    /// The scan of a write's target, with its row id.
    pub(crate) fn target_scan(&mut self, target: &Arc<Relation>, alias: Option<&ast::Ident>) -> TargetScan {
        let (mut rel, mut item) = self.scan(target);
        let row_id = self.column(Type::new(oid::INT8));
        let mut columns = Vec::new();
        if let Rel::Scan { columns: read, .. } = &mut rel {
            columns.extend(read.iter().filter_map(|(what, column)| match what {
                ScanColumn::Attribute(number) => Some((*number, *column)),
                _ => None,
            }));
            read.push((ScanColumn::RowId, row_id));
        }
        item.named = true;
        item.bare = true;
        if let Some(alias) = alias {
            item.name.clone_from(&alias.name);
            item.relation = None;
            item.aliased = true;
        }
        self.own_item(&item);
        TargetScan { rel, item, row_id, columns }
    }

    /// The target joined with FROM or USING; leaves all items in the scope, the target's first.
    pub(crate) fn write_source(&mut self, target: Rel, item: Item, from: &[ast::TableRef]) -> Result<Rel> {
        // What is in FROM cannot see the target's row, LATERAL or not.
        self.scope().items = vec![Item { lateral: Lateral::Forbidden, ..item }];
        if from.is_empty() {
            self.scope().items[0].lateral = Lateral::Open;
            return Ok(target);
        }
        let right = self.bind_from(from)?;
        Ok(Rel::Join {
            kind: JoinKind::Inner,
            left: Box::new(target),
            right: Box::new(right),
            on: truth(),
            lateral: false,
        })
    }

    /// A SET list over the scope's items. A multiple-column subquery is computed once a row, as a record, above `source`.
    pub(crate) fn assignments(
        &mut self,
        target: &Arc<Relation>,
        list: &[ast::Assignment],
        source: &mut Rel,
    ) -> Result<Vec<(i16, Expr)>> {
        let mut assigned: Vec<(i16, Expr)> = Vec::new();
        for assignment in list {
            let mut numbers = Vec::new();
            for column in &assignment.columns {
                if is_system_column(&column.name) {
                    let message = format!("cannot assign to system column \"{}\"", column.name);
                    return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(column.pos)));
                }
                let number = self.target_column(target, column)?;
                if numbers.contains(&number) || assigned.iter().any(|(other, _)| *other == number) {
                    return Err(syntax(format!("multiple assignments to same column \"{}\"", column.name)));
                }
                numbers.push(number);
            }
            if assignment.multiple {
                assigned.extend(self.multiple_assignment(target, &numbers, &assignment.value, source)?);
            } else {
                let attribute = attribute(target, numbers[0]);
                assigned.push((numbers[0], self.assignment(target, attribute, &assignment.value)?));
            }
        }
        Ok(assigned)
    }

    /// One column's new value.
    fn assignment(&mut self, target: &Arc<Relation>, attribute: &Attribute, value: &ast::Expr) -> Result<Expr> {
        if matches!(value.kind, ast::ExprKind::Default) {
            if attribute.generated {
                // It is computed anew in any case; what is assigned is never read.
                let ty = attribute.ty;
                return Ok(Expr { kind: ExprKind::Const(crate::types::Datum::Null), ty });
            }
            return self.default_value(target, attribute);
        }
        self.may_be_set(attribute)?;
        let bound = self.bind_expr(value, Clause::UpdateSet)?;
        self.assign(bound, attribute, value.location())
    }

    /// 428C9 for columns that only take DEFAULT.
    fn may_be_set(&self, attribute: &Attribute) -> Result<()> {
        let detail = if attribute.generated {
            format!("Column \"{}\" is a generated column.", attribute.name)
        } else if attribute.identity == Some(Identity::Always) {
            format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", attribute.name)
        } else {
            return Ok(());
        };
        let message = format!("column \"{}\" can only be updated to DEFAULT", attribute.name);
        Err(Error::new(SqlState::GeneratedAlways, message).detail(detail))
    }

    /// `(a, b) = …`
    fn multiple_assignment(
        &mut self,
        target: &Arc<Relation>,
        numbers: &[i16],
        value: &ast::Expr,
        source: &mut Rel,
    ) -> Result<Vec<(i16, Expr)>> {
        let place = self.position(value.location());
        let mismatch = || syntax("number of columns does not match number of values").at(place);
        match &value.kind {
            ast::ExprKind::Row { fields, explicit: _ } => {
                if fields.len() != numbers.len() {
                    return Err(mismatch());
                }
                let mut assigned = Vec::new();
                for (number, field) in numbers.iter().zip(fields) {
                    let attribute = attribute(target, *number);
                    assigned.push((*number, self.assignment(target, attribute, field)?));
                }
                Ok(assigned)
            }
            ast::ExprKind::Scalar(query) => {
                for number in numbers {
                    self.may_be_set(attribute(target, *number))?;
                }
                self.scope().clause = Clause::UpdateSet;
                let (rel, columns) = self.subquery(query, query.pos)?;
                if columns.len() != numbers.len() {
                    return Err(mismatch());
                }
                let record = self.subquery_record(rel, &columns, source);
                let mut assigned = Vec::new();
                for (field, (number, column)) in numbers.iter().zip(&columns).enumerate() {
                    let record = Box::new(record.clone());
                    let value = Expr { kind: ExprKind::Field { record, field }, ty: column.ty };
                    assigned.push((*number, self.assign(value, attribute(target, *number), 0)?));
                }
                Ok(assigned)
            }
            _ if numbers.len() == 1 => {
                let attribute = attribute(target, numbers[0]);
                Ok(vec![(numbers[0], self.assignment(target, attribute, value)?)])
            }
            _ => {
                let message = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
                Err(Error::new(SqlState::FeatureNotSupported, message).at(place))
            }
        }
    }

    /// A subquery's one row as a record, computed once per row of `source`.
    fn subquery_record(&mut self, rel: Rel, columns: &[OutputColumn], source: &mut Rel) -> Expr {
        let ty = Type::new(oid::RECORD);
        let fields = columns.iter().map(|column| column_expr(column.column, column.ty)).collect();
        let row = self.column(ty);
        let rel = Rel::Project { input: Box::new(rel), exprs: vec![(row, Expr { kind: ExprKind::Row(fields), ty })] };
        let subquery = Subquery { rel, columns: vec![row], kind: SubqueryKind::Scalar };
        let record = self.column(ty);
        let input = Box::new(std::mem::replace(source, super::query::one_row()));
        let exprs = vec![(record, Expr { kind: ExprKind::Subquery(Box::new(subquery)), ty })];
        *source = Rel::Project { input, exprs };
        column_expr(record, ty)
    }
}

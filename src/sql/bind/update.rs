//! UPDATE and its SET list, which ON CONFLICT DO UPDATE has too.

use super::Binder;
use super::insert::attribute;
use super::query::{Bound, column_expr, syntax, truth};
use super::scope::{Clause, Item, Lateral, is_system_column};
use super::updatable::{Verb, WriteTarget};
use crate::catalog::image::{Attribute, Identity, Relation};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast;
use crate::sql::tree::{
    ColumnId, Expr, ExprKind, JoinKind, OutputColumn, Rel, Root, ScanColumn, Statement, Subquery, SubqueryKind, Update,
    WriteChecks,
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
        let written = self.write_target(&update.table, Verb::Update)?;
        let target = written.relation.clone();
        let scan = self.write_scan(&written, update.alias.as_ref())?;
        let mut source = self.write_source(scan.rel, scan.item, &update.from)?;
        if let Some(filter) = &update.filter {
            let predicate = self.bind_bool(filter, Clause::Where, "WHERE")?;
            source = Rel::Filter { input: Box::new(source), predicate };
        }
        let assignments = self.assignments(&written, &update.assignments, &mut source)?;
        let row_columns = self.row_columns(&target);
        let generated = self.generated(&target, &row_columns)?;
        let mut checks = self.write_checks(&target, &row_columns)?;
        // RETURNING sees the new row under the target's name.
        let mut items = self.scope().items.clone();
        let (row, key, computed) = match self.new_row_layers(&written, &row_columns)? {
            Some((layers, demanded)) => {
                layers.refuse_system(!update.returning.is_empty() || !demanded.is_empty())?;
                checks.views = demanded;
                (Item { name: items[0].name.clone(), ..layers.item.clone() }, None, layers.computed())
            }
            None => {
                let (row, key) = self.written_item(&target, &items[0].name, &row_columns);
                (row, Some(key), Vec::new())
            }
        };
        items[0] = Item { relation: items[0].relation.clone(), aliased: items[0].aliased, ..row };
        let (mut returning, output) = self.returning(&update.returning, items)?;
        if !returning.is_empty() {
            returning.splice(0..0, computed);
        }
        let written = key.and_then(|key| self.late_columns.remove(&key)).unwrap_or_default();
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

    /// An UPDATE of all rows that sets nothing but the hidden columns of the table's indexes.
    pub(crate) fn hidden_update(mut self, target: &Arc<Relation>) -> Result<Statement> {
        self.push_scope();
        let scan = self.target_scan(target, None);
        let row_columns = self.row_columns(target);
        let checks = WriteChecks { hidden: self.write_checks(target, &row_columns)?.hidden, ..WriteChecks::default() };
        self.pop_scope();
        let update = Update {
            target: target.clone(),
            source: scan.rel,
            row_id: scan.row_id,
            old_columns: scan.columns,
            assignments: Vec::new(),
            generated: Vec::new(),
            row_columns,
            checks,
            written: Vec::new(),
            returning: Vec::new(),
        };
        self.finish(Root::Update(Box::new(update)), Vec::new())
    }

    /// The rows that a write may change: of the target's table those that its view shows.
    pub(crate) fn write_scan(&mut self, target: &WriteTarget, alias: Option<&ast::Ident>) -> Result<TargetScan> {
        if target.view.is_none() {
            return Ok(self.target_scan(&target.relation, alias));
        }
        let mut scan = self.target_scan(&target.relation, None);
        let Some(layers) = self.view_layers(target, scan.item.clone(), &scan.columns)? else { return Ok(scan) };
        let (rel, mut item) = layers.over(scan.rel);
        if let Some(alias) = alias {
            item.name.clone_from(&alias.name);
            item.relation = None;
            item.aliased = true;
        }
        self.own_item(&item);
        (scan.rel, scan.item) = (rel, item);
        Ok(scan)
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
        written: &WriteTarget,
        list: &[ast::Assignment],
        source: &mut Rel,
    ) -> Result<Vec<(i16, Expr)>> {
        let target = &written.relation;
        let mut assigned: Vec<(i16, Expr)> = Vec::new();
        for assignment in list {
            let mut numbers = Vec::new();
            for column in &assignment.columns {
                if is_system_column(&column.name) {
                    let message = format!("cannot assign to system column \"{}\"", column.name);
                    return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(column.pos)));
                }
                let number = self.target_column(written, column)?;
                if numbers.contains(&number) || assigned.iter().any(|(other, _)| *other == number) {
                    return Err(syntax(format!("multiple assignments to same column \"{}\"", column.name)));
                }
                numbers.push(number);
            }
            if assignment.multiple {
                assigned.extend(self.multiple_assignment(written, &numbers, &assignment.value, source)?);
            } else {
                let attribute = attribute(target, numbers[0]);
                assigned.push((numbers[0], self.assignment(written, attribute, &assignment.value)?));
            }
        }
        Ok(assigned)
    }

    /// One column's new value.
    fn assignment(&mut self, written: &WriteTarget, attribute: &Attribute, value: &ast::Expr) -> Result<Expr> {
        let (target, through_view) = (&written.relation, written.view.is_some());
        if matches!(value.kind, ast::ExprKind::Default) && through_view {
            // The view's column has no default, and an UPDATE does not look for the table's.
            self.may_be_set(attribute)?;
            return Ok(Expr { kind: ExprKind::Const(crate::types::Datum::Null), ty: attribute.ty });
        }
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
        written: &WriteTarget,
        numbers: &[i16],
        value: &ast::Expr,
        source: &mut Rel,
    ) -> Result<Vec<(i16, Expr)>> {
        let target = &written.relation;
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
                    assigned.push((*number, self.assignment(written, attribute, field)?));
                }
                Ok(assigned)
            }
            ast::ExprKind::Scalar(query) => {
                for number in numbers {
                    self.may_be_set(attribute(target, *number))?;
                }
                self.scope().clause = Clause::UpdateSet;
                let Bound { rel, columns, .. } = self.subquery(query, query.pos)?;
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

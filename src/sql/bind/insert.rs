//! INSERT, and what all writes share: target columns, defaults, checks, RETURNING.

use super::Binder;
use super::coerce::Coercion;
use super::query::{Bound, column_expr, one_row, syntax};
use super::scope::{Clause, Item};
use super::select::project_sets;
use super::updatable::{Verb, WriteTarget};
use crate::catalog::image::{Attribute, Body, ConstraintKind, Identity, Index, Relation};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{self, SetExpr};
use crate::sql::tree::{ColumnId, ConflictUpdate, Expr, ExprKind, Insert, OnConflict, OutputColumn, Rel, WriteChecks};
use crate::types::{Datum, Type, oid};
use std::sync::Arc;

/// What a row of more values than columns is told.
const TOO_MANY: &str = "INSERT has more expressions than target columns";

impl Binder<'_> {
    /// Binds an INSERT.
    pub(crate) fn insert(&mut self, insert: &ast::Insert) -> Result<(Insert, Vec<OutputColumn>)> {
        let names = self.cte_names.len();
        if let Some(with) = &insert.with {
            self.with(with)?;
        }
        self.push_scope();
        let bound = self.insert_inner(insert);
        self.pop_scope();
        self.cte_names.truncate(names);
        bound
    }

    fn insert_inner(&mut self, insert: &ast::Insert) -> Result<(Insert, Vec<OutputColumn>)> {
        let written = self.write_target(&insert.table, Verb::Insert)?;
        let target = written.relation.clone();
        let columns = self.insert_columns(&written, insert)?;
        let (source, given) = self.insert_source(&target, &columns, insert).map_err(|error| {
            // One value too many is one for a view's column that takes none.
            match written.all_columns().1 {
                Some(refused) if insert.columns.is_empty() && error.report().message == TOO_MANY => refused,
                _ => error,
            }
        })?;
        let (values, row_columns) = self.insert_values(&target, given)?;
        let mut checks = self.write_checks(&target, &row_columns)?;
        let name = insert.alias.as_ref().map_or(&written.named().name, |alias| &alias.name).clone();
        if let Some((layers, demanded)) = self.new_row_layers(&written, &row_columns)? {
            if insert.on_conflict.is_some() {
                return Err(Error::unsupported("ON CONFLICT on a view"));
            }
            layers.refuse_system(!insert.returning.is_empty() || !demanded.is_empty())?;
            checks.views = demanded;
            let item = Item { name, ..layers.item.clone() };
            let (mut returning, output) = self.returning(&insert.returning, vec![item])?;
            if !returning.is_empty() {
                returning.splice(0..0, layers.computed());
            }
            let (on_conflict, written) = (None, Vec::new());
            return Ok((
                Insert { target, source, values, row_columns, checks, on_conflict, written, returning },
                output,
            ));
        }
        let on_conflict = match &insert.on_conflict {
            Some(conflict) => Some(self.on_conflict(&target, &name, conflict, &row_columns)?),
            None => None,
        };
        let (row, key) = self.written_item(&target, &name, &row_columns);
        let row = Item { aliased: insert.alias.is_some(), ..row };
        let (returning, output) = self.returning(&insert.returning, vec![row])?;
        let written = self.late_columns.remove(&key).unwrap_or_default();
        Ok((Insert { target, source, values, row_columns, checks, on_conflict, written, returning }, output))
    }

    /// The item of a row that is no scan's, with the number by which its system columns are asked for.
    pub(crate) fn written_item(
        &mut self,
        target: &Arc<Relation>,
        name: &str,
        columns: &[(i16, ColumnId)],
    ) -> (Item, ColumnId) {
        let key = self.column(Type::new(oid::INT8));
        let row = Self::row_item(target, name, columns);
        (Item { scan: Some((key, target.clone())), written: true, ..row }, key)
    }

    /// A target column's attribute number; subscripts and fields are refused.
    pub(crate) fn target_column(&self, target: &WriteTarget, column: &ast::TargetColumn) -> Result<i16> {
        let Some(number) = target.attribute(&column.name) else {
            let relation = &target.named().name;
            let message = format!("column \"{}\" of relation \"{relation}\" does not exist", column.name);
            return Err(Error::new(SqlState::UndefinedColumn, message).at(self.position(column.pos)));
        };
        if !column.path.is_empty() {
            return Err(Error::unsupported("assignment to an array element or field").at(self.position(column.pos)));
        }
        number
    }

    /// The target columns with their positions; all live ones when none are named.
    fn insert_columns(&self, target: &WriteTarget, insert: &ast::Insert) -> Result<Vec<(i16, u32)>> {
        if insert.columns.is_empty() {
            return Ok(target.all_columns().0.into_iter().map(|number| (number, 0)).collect());
        }
        let mut columns: Vec<(i16, u32)> = Vec::new();
        for column in &insert.columns {
            let number = self.target_column(target, column)?;
            if columns.iter().any(|(other, _)| *other == number) {
                let message = format!("column \"{}\" specified more than once", column.name);
                return Err(Error::new(SqlState::DuplicateColumn, message).at(self.position(column.pos)));
            }
            columns.push((number, column.pos));
        }
        Ok(columns)
    }

    /// The source's rows, and for each target column that they fill its value over them.
    fn insert_source(
        &mut self,
        target: &Arc<Relation>,
        columns: &[(i16, u32)],
        insert: &ast::Insert,
    ) -> Result<(Rel, Vec<(i16, Expr)>)> {
        let Some(query) = &insert.source else { return Ok((one_row(), Vec::new())) };
        let plain = query.with.is_none()
            && query.order_by.is_empty()
            && query.limit.is_none()
            && query.offset.is_none()
            && query.locking.is_empty();
        match &query.body {
            SetExpr::Values { rows, pos: _ } if plain && rows.len() == 1 => {
                self.insert_row(target, columns, &rows[0], insert)
            }
            SetExpr::Values { rows, pos: _ } if plain => self.insert_rows(target, columns, rows, insert),
            _ => {
                let bound = self.query(query, false)?;
                self.insert_query(target, columns, bound, insert)
            }
        }
    }

    /// The widths of source and target must fit.
    fn check_width(&self, width: usize, columns: &[(i16, u32)], extra: u32, insert: &ast::Insert) -> Result<()> {
        if width > columns.len() {
            let error = syntax(TOO_MANY);
            return Err(error.at(self.position(extra)));
        }
        if width < columns.len() && !insert.columns.is_empty() {
            let error = syntax("INSERT has more target columns than expressions");
            return Err(error.at(self.position(columns[width].1)));
        }
        Ok(())
    }

    /// One row of VALUES: expressions over no input, set-returning ones allowed.
    fn insert_row(
        &mut self,
        target: &Arc<Relation>,
        columns: &[(i16, u32)],
        row: &[ast::Expr],
        insert: &ast::Insert,
    ) -> Result<(Rel, Vec<(i16, Expr)>)> {
        let extra = row.get(columns.len()).map_or(0, ast::Expr::location);
        self.check_width(row.len(), columns, extra, insert)?;
        let mut values = Vec::new();
        for (value, (number, _)) in row.iter().zip(columns) {
            let attribute = attribute(target, *number);
            if matches!(value.kind, ast::ExprKind::Default) {
                continue;
            }
            let bound = self.bind_expr(value, Clause::InsertValues)?;
            if self.takes_given(target, attribute, insert)? {
                values.push((*number, self.assign(bound, attribute, value.location())?));
            }
        }
        let sets = std::mem::take(&mut self.scope().sets);
        Ok((project_sets(one_row(), sets), values))
    }

    /// Several rows of VALUES: each value is coerced to its column's type by itself, and DEFAULT may stand in some rows.
    fn insert_rows(
        &mut self,
        target: &Arc<Relation>,
        columns: &[(i16, u32)],
        rows: &[Vec<ast::Expr>],
        insert: &ast::Insert,
    ) -> Result<(Rel, Vec<(i16, Expr)>)> {
        let width = rows[0].len();
        if let Some(row) = rows.iter().find(|row| row.len() != width) {
            let pos = self.position(row.first().map_or(0, ast::Expr::location));
            return Err(syntax("VALUES lists must all be the same length").at(pos));
        }
        let extra = rows[0].get(columns.len()).map_or(0, ast::Expr::location);
        self.check_width(width, columns, extra, insert)?;
        let is_default = |value: &ast::Expr| matches!(value.kind, ast::ExprKind::Default);
        let mut taken = Vec::new();
        for (j, (number, _)) in columns.iter().enumerate().take(width) {
            // A column that is DEFAULT in every row is as good as not named.
            let given = !rows.iter().all(|row| is_default(&row[j]));
            if given && self.takes_given(target, attribute(target, *number), insert)? {
                taken.push((j, *number));
            }
        }
        let mut bound_rows = Vec::with_capacity(rows.len());
        for row in rows {
            let mut bound_row = Vec::with_capacity(taken.len());
            for (j, number) in &taken {
                let attribute = attribute(target, *number);
                bound_row.push(if is_default(&row[*j]) {
                    self.default_value(target, attribute)?
                } else {
                    let bound = self.bind_expr(&row[*j], Clause::Values)?;
                    self.assign(bound, attribute, row[*j].location())?
                });
            }
            bound_rows.push(bound_row);
        }
        let mut numbers = Vec::new();
        let mut values = Vec::new();
        for (_, number) in &taken {
            let ty = attribute(target, *number).ty;
            let column = self.column(ty);
            numbers.push(column);
            values.push((*number, column_expr(column, ty)));
        }
        Ok((Rel::Values { columns: numbers, rows: bound_rows }, values))
    }

    /// The rows of a query.
    fn insert_query(
        &mut self,
        target: &Arc<Relation>,
        columns: &[(i16, u32)],
        mut bound: Bound,
        insert: &ast::Insert,
    ) -> Result<(Rel, Vec<(i16, Expr)>)> {
        let extra = bound.positions.get(columns.len()).copied().unwrap_or(0);
        self.check_width(bound.columns.len(), columns, extra, insert)?;
        let mut values = Vec::new();
        for (i, (number, _)) in columns.iter().enumerate().take(bound.columns.len()) {
            let attribute = attribute(target, *number);
            if !self.takes_given(target, attribute, insert)? {
                continue;
            }
            let output = &bound.columns[i];
            let value = bound.literals[i].take().unwrap_or_else(|| column_expr(output.column, output.ty));
            values.push((*number, self.assign(value, attribute, bound.positions[i])?));
        }
        Ok((bound.rel, values))
    }

    /// Whether a value given for a column counts: not for an identity column with OVERRIDING USER VALUE. 428C9 for a
    /// generated column, and for an identity column that is always generated.
    fn takes_given(&self, _target: &Relation, attribute: &Attribute, insert: &ast::Insert) -> Result<bool> {
        let refuse = |detail: String| {
            let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", attribute.name);
            Error::new(SqlState::GeneratedAlways, message).detail(detail)
        };
        if attribute.generated {
            return Err(refuse(format!("Column \"{}\" is a generated column.", attribute.name)));
        }
        match (attribute.identity, insert.overriding_user) {
            (Some(_), Some(true)) => Ok(false),
            (Some(Identity::Always), None) => {
                let detail =
                    format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", attribute.name);
                Err(refuse(detail).hint("Use OVERRIDING SYSTEM VALUE to override."))
            }
            _ => Ok(true),
        }
    }

    /// Every live attribute's value: given ones, defaults, and generated ones last; and the new row's columns.
    fn insert_values(
        &mut self,
        target: &Arc<Relation>,
        given: Vec<(i16, Expr)>,
    ) -> Result<(Vec<(i16, Expr)>, Vec<(i16, ColumnId)>)> {
        let row_columns = self.row_columns(target);
        let mut given: Vec<Option<(i16, Expr)>> = given.into_iter().map(Some).collect();
        let mut values = Vec::with_capacity(row_columns.len());
        for attribute in target.live_attributes().filter(|attribute| !attribute.generated) {
            let found = given.iter_mut().find(|value| value.as_ref().is_some_and(|(n, _)| *n == attribute.number));
            values.push(match found.and_then(Option::take) {
                Some(value) => value,
                None => (attribute.number, self.default_value(target, attribute)?),
            });
        }
        values.extend(self.generated(target, &row_columns)?);
        Ok((values, row_columns))
    }

    /// Fresh columns for a row of a table, by live attribute.
    pub(crate) fn row_columns(&mut self, target: &Relation) -> Vec<(i16, ColumnId)> {
        target.live_attributes().map(|attribute| (attribute.number, self.column(attribute.ty))).collect()
    }

    /// The generated columns over a new row.
    pub(crate) fn generated(
        &mut self,
        target: &Arc<Relation>,
        row_columns: &[(i16, ColumnId)],
    ) -> Result<Vec<(i16, Expr)>> {
        let mut values = Vec::new();
        for attribute in target.live_attributes().filter(|attribute| attribute.generated) {
            let text = attribute.default.as_deref().unwrap_or("NULL");
            let expr = self.stored_expression(text, target, row_columns, Clause::Generated, Some(attribute.ty))?;
            values.push((attribute.number, expr));
        }
        Ok(values)
    }

    /// A column's default, of the column's type.
    pub(crate) fn default_value(&mut self, target: &Arc<Relation>, attribute: &Attribute) -> Result<Expr> {
        if attribute.identity.is_some() {
            let owned = Some((target.oid, attribute.number));
            let sequence = self.ctx.image.relations.values().find_map(|relation| match &relation.body {
                Body::Sequence(sequence) if sequence.identity && sequence.owned_by == owned => Some(relation.oid),
                _ => None,
            });
            let Some(sequence) = sequence else {
                return Err(Error::internal(format!("no sequence for the identity column \"{}\"", attribute.name)));
            };
            self.depend(sequence);
            let next = Expr { kind: ExprKind::NextValue(sequence), ty: Type::new(oid::INT8) };
            return self.assign(next, attribute, 0);
        }
        match &attribute.default {
            Some(text) => self.stored_expression(text, target, &[], Clause::Default, Some(attribute.ty)),
            None => match self.domain_default(attribute.ty, target)? {
                Some(value) => Ok(value),
                None => Ok(Expr { kind: ExprKind::Const(Datum::Null), ty: attribute.ty }),
            },
        }
    }

    /// A value as a column takes it: assignment cast and length check.
    pub(crate) fn assign(&mut self, value: Expr, attribute: &Attribute, pos: u32) -> Result<Expr> {
        let given = value.ty;
        self.coerce_to(value, attribute.ty, Coercion::Assignment, pos)?.ok_or_else(|| {
            let (wanted, given) = (self.type_name(Type::new(attribute.ty.oid)), self.type_name(Type::new(given.oid)));
            let message =
                format!("column \"{}\" is of type {wanted} but expression is of type {given}", attribute.name);
            Error::new(SqlState::DatatypeMismatch, message)
                .hint("You will need to rewrite or cast the expression.")
                .at(self.position(pos))
        })
    }

    /// What a new version of a row must satisfy.
    pub(crate) fn write_checks(&mut self, target: &Arc<Relation>, row: &[(i16, ColumnId)]) -> Result<WriteChecks> {
        let not_null = target.live_attributes().filter(|a| a.not_null).map(|a| a.number).collect();
        let boolean = Some(Type::new(oid::BOOL));
        let mut checks = Vec::new();
        let mut constraints: Vec<_> = target.constraints.iter().collect();
        // PostgreSQL tests them in the order of their names.
        constraints.sort_by(|a, b| a.name.cmp(&b.name));
        for constraint in constraints {
            if let ConstraintKind::Check { expression, .. } = &constraint.kind {
                let check = self.stored_expression(expression, target, row, Clause::Check, boolean)?;
                checks.push((constraint.name.clone(), check));
            }
        }
        let mut hidden = Vec::new();
        for index in &target.indexes {
            for key in index.keys.iter().filter(|key| key.attribute == 0) {
                let text = key.expression.as_deref().unwrap_or("NULL");
                let value = self.stored_expression(text, target, row, Clause::IndexExpression, Some(key.ty))?;
                hidden.push((key.storage, value));
            }
            if let Some((text, storage)) = &index.predicate {
                let value = self.stored_expression(text, target, row, Clause::IndexPredicate, boolean)?;
                hidden.push((*storage, value));
            }
        }
        Ok(WriteChecks { not_null, checks, views: Vec::new(), hidden })
    }

    /// RETURNING over these items.
    pub(crate) fn returning(
        &mut self,
        list: &[ast::Target],
        items: Vec<Item>,
    ) -> Result<(Vec<(ColumnId, Expr)>, Vec<OutputColumn>)> {
        if list.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let scope = self.scope();
        scope.items = items.clone();
        scope.all_items = items.clone();
        items.iter().for_each(|item| self.own_item(item));
        let targets = self.targets(list, Clause::Returning)?;
        if targets.len() > super::select::ENTRIES_MAX {
            // PostgreSQL finds out when it makes the first row.
            let message =
                format!("number of columns ({}) exceeds limit ({})", targets.len(), super::select::ENTRIES_MAX);
            return Err(Error::new(SqlState::TooManyColumns, message));
        }
        let origins = self.origins();
        let mut returning = Vec::new();
        let mut output = Vec::new();
        for target in targets {
            let expr = self.coerce_unknown_to_text(target.expr);
            let origin = match expr.kind {
                ExprKind::Column(column) => origins.get(&column).copied(),
                _ => None,
            };
            let column = self.column(expr.ty);
            output.push(OutputColumn { name: target.name, column, ty: expr.ty, origin });
            returning.push((column, expr));
        }
        Ok((returning, output))
    }

    /// ON CONFLICT.
    fn on_conflict(
        &mut self,
        target: &Arc<Relation>,
        name: &str,
        conflict: &ast::OnConflict,
        row_columns: &[(i16, ColumnId)],
    ) -> Result<OnConflict> {
        let arbiters = match &conflict.target {
            None if conflict.update.is_some() => {
                return Err(syntax("ON CONFLICT DO UPDATE requires inference specification or constraint name")
                    .hint("For example, ON CONFLICT (column_name).")
                    .at(self.position(conflict.pos)));
            }
            None => Vec::new(),
            Some(ast::ConflictTarget::Constraint(constraint)) => vec![self.arbiter_constraint(target, constraint)?],
            Some(ast::ConflictTarget::Index { items, filter, pos }) => {
                self.infer_arbiters(target, items, filter.as_ref(), *pos)?
            }
        };
        let update = match &conflict.update {
            None => None,
            Some((assignments, filter)) => {
                Some(self.conflict_update(target, name, assignments, filter.as_ref(), row_columns)?)
            }
        };
        Ok(OnConflict { arbiters, update })
    }

    fn arbiter_constraint(&self, target: &Relation, name: &ast::Ident) -> Result<Arc<Index>> {
        let constraint = target.constraints.iter().find(|constraint| constraint.name == name.name);
        let Some(constraint) = constraint else {
            let message = format!("constraint \"{}\" for table \"{}\" does not exist", name.name, target.name);
            return Err(Error::new(SqlState::UndefinedObject, message));
        };
        let index = match &constraint.kind {
            ConstraintKind::PrimaryKey { index, .. } | ConstraintKind::Unique { index, .. } => *index,
            _ => {
                let message = "constraint in ON CONFLICT clause has no associated index";
                return Err(Error::new(SqlState::WrongObjectType, message));
            }
        };
        let found = target.indexes.iter().find(|known| known.oid == index).cloned();
        let found = found.ok_or_else(|| Error::internal("a unique constraint has lost its index"))?;
        Ok(found)
    }

    /// The unique indexes over just these columns and expressions, whose predicate follows from the one given.
    fn infer_arbiters(
        &mut self,
        target: &Arc<Relation>,
        items: &[ast::ConflictItem],
        filter: Option<&ast::Expr>,
        pos: u32,
    ) -> Result<Vec<Arc<Index>>> {
        let row = self.row_columns(target);
        let mut attributes: Vec<i16> = Vec::new();
        let mut exprs: Vec<Expr> = Vec::new();
        for item in items {
            if let Some(class) = &item.operator_class {
                return Err(Error::unsupported("an operator class in ON CONFLICT").at(self.position(class.pos)));
            }
            // A bare column's place is that of the list, as PostgreSQL has it.
            let expr = match &item.expr.kind {
                ast::ExprKind::Column(_) => &ast::Expr::new(item.expr.kind.clone(), pos),
                _ => &item.expr,
            };
            let bound = self.expression_over(expr, target, &row, Clause::IndexExpression, None)?;
            match bound.kind {
                ExprKind::Column(column) => {
                    let number = row.iter().find(|(_, known)| *known == column).map_or(0, |(number, _)| *number);
                    attributes.push(number);
                }
                _ => exprs.push(bound),
            }
        }
        let boolean = Some(Type::new(oid::BOOL));
        let given = match filter {
            Some(filter) => Some(self.expression_over(filter, target, &row, Clause::IndexPredicate, boolean)?),
            None => None,
        };
        let mut arbiters = Vec::new();
        for index in target.indexes.iter().filter(|index| index.unique) {
            let plain: Vec<i16> = index.keys.iter().map(|key| key.attribute).filter(|n| *n != 0).collect();
            let same_columns =
                plain.iter().all(|n| attributes.contains(n)) && attributes.iter().all(|n| plain.contains(n));
            let computed: Vec<_> = index.keys.iter().filter(|key| key.attribute == 0).collect();
            if !same_columns || computed.len() != exprs.len() {
                continue;
            }
            let mut matches = true;
            for key in computed {
                let text = key.expression.as_deref().unwrap_or("NULL");
                let expr = self.stored_expression(text, target, &row, Clause::IndexExpression, None)?;
                matches = matches && exprs.iter().any(|given| super::aggregate::same_expr(given, &expr));
            }
            if let Some((text, _)) = &index.predicate {
                let predicate = self.stored_expression(text, target, &row, Clause::IndexPredicate, boolean)?;
                matches = matches && given.as_ref().is_some_and(|given| implies(given, &predicate));
            }
            if matches {
                arbiters.push(index.clone());
            }
        }
        if arbiters.is_empty() {
            let message = "there is no unique or exclusion constraint matching the ON CONFLICT specification";
            self.plan_error.get_or_insert(Error::new(SqlState::InvalidColumnReference, message));
        }
        Ok(arbiters)
    }

    /// DO UPDATE: the existing row under the table's name, the proposed one as EXCLUDED.
    fn conflict_update(
        &mut self,
        target: &Arc<Relation>,
        name: &str,
        assignments: &[ast::Assignment],
        filter: Option<&ast::Expr>,
        proposed: &[(i16, ColumnId)],
    ) -> Result<ConflictUpdate> {
        let existing_columns = self.row_columns(target);
        let row_columns = self.row_columns(target);
        let (existing, key) = self.written_item(target, name, &existing_columns);
        let existing = Item { written: false, aliased: name != target.name, ..existing };
        let mut excluded = Self::row_item(target, "excluded", proposed);
        // A bare name is the existing row's: the proposed one's have to be qualified.
        excluded.bare = true;
        let items = vec![existing, excluded];
        items.iter().for_each(|item| self.own_item(item));
        self.scope().items = items;
        let mut source = one_row();
        let written = WriteTarget::table(target.clone());
        let mut bound = self.assignments(&written, assignments, &mut source)?;
        if !matches!(&source, Rel::Values { .. }) {
            return Err(Error::unsupported("a multiple-column subquery in ON CONFLICT DO UPDATE"));
        }
        let predicate = match filter {
            Some(filter) => Some(self.bind_bool(filter, Clause::ConflictWhere, "WHERE")?),
            None => None,
        };
        self.scope().items.clear();
        let existing_system = self.late_columns.remove(&key).unwrap_or_default();
        bound.extend(self.generated(target, &row_columns)?);
        let checks = self.write_checks(target, &row_columns)?;
        Ok(ConflictUpdate { existing_columns, existing_system, assignments: bound, row_columns, checks, predicate })
    }
}

/// The attribute of that number.
pub(crate) fn attribute(relation: &Relation, number: i16) -> &Attribute {
    &relation.attributes[number as usize - 1]
}

/// Whether one condition follows from another: each of its conjuncts is one of the other's.
fn implies(given: &Expr, wanted: &Expr) -> bool {
    let parts = |expr: &Expr| match &expr.kind {
        ExprKind::And(parts) => parts.clone(),
        _ => vec![expr.clone()],
    };
    let given = parts(given);
    parts(wanted).iter().all(|wanted| given.iter().any(|given| super::aggregate::same_expr(given, wanted)))
}

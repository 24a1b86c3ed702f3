//! ALTER TABLE: its actions in PostgreSQL's passes, so that what is dropped makes room for what is added whatever their order.
//!
//! | action | rows |
//! |---|---|
//! | ADD COLUMN without a default, or with one that is the same for all rows | stay: they end before the column and read its default |
//! | ADD COLUMN with any other default, generated, identity, serial | written anew |
//! | ALTER TYPE between types of one stored form, to a wider or no limit | stay |
//! | any other ALTER TYPE | written anew |
//! | DROP COLUMN | stay |

use super::create_table::{OwnSequence, can_refer, number};
use super::dependency::Target;
use super::expression::ColumnExpr;
use super::rewrite::hidden_columns;
use super::{DdlContext, RelationKind};
use crate::catalog::image::{Attribute, Body, ConstraintKind, Identity, Index, Relation};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::string::quote_identifier as quote;
use crate::planner::columns::{ColumnSet, used_by};
use crate::sql::ast::Ident;
use crate::sql::ast::utility::{AlterTable, AlterTableAction, ColumnDef, ConstraintBody, ExprText};
use crate::sql::bind::coerce::Coercion;
use crate::sql::bind::scope::Clause;
use crate::sql::tree::ExprKind;
use crate::types::{Oid, Type, oid, physical, typmod};
use lightning_storage::{ColumnDef as StorageColumn, ColumnNo, LockMode, OwnedValue};
use std::collections::HashMap;
use std::sync::Arc;

/// The largest statistics target.
const STATISTICS_MAX: i32 = 10_000;

/// PostgreSQL's passes (tablecmds.c), in order.
fn pass(action: &AlterTableAction) -> u8 {
    use AlterTableAction::*;
    match action {
        DropColumn { .. } | DropConstraint { .. } | DropDefault { .. } | DropNotNull { .. } => 0,
        DropExpression { .. } | DropIdentity { .. } => 0,
        AlterType { .. } => 1,
        AddColumn { .. } => 2,
        SetNotNull { .. } | SetIdentity { .. } => 3,
        AddConstraint(def) => match def.kind {
            ConstraintBody::PrimaryKey { .. } | ConstraintBody::Unique { .. } | ConstraintBody::UsingIndex { .. } => 4,
            ConstraintBody::ForeignKey(_) => 6,
            _ => 5,
        },
        SetDefault { .. } | AddIdentity { .. } => 6,
        _ => 7,
    }
}

impl DdlContext<'_> {
    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> Result<&'static str> {
        const TAG: &str = "ALTER TABLE";
        if alter.if_exists && self.find(&alter.name).is_none() {
            let message = format!("relation \"{}\" does not exist, skipping", alter.name.name());
            self.notice(SqlState::SuccessfulCompletion, message);
            return Ok(TAG);
        }
        // What all relations have, ALTER TABLE changes of all.
        let shared = |action: &AlterTableAction| {
            matches!(
                action,
                AlterTableAction::RenameTable { .. }
                    | AlterTableAction::RenameColumn { .. }
                    | AlterTableAction::OwnerTo(_)
                    | AlterTableAction::SetSchema(_)
            )
        };
        if let Some(relation) = self.find(&alter.name)
            && matches!(relation.kind, RelationKind::View | RelationKind::Sequence)
            && alter.actions.iter().all(shared)
        {
            self.check_owner(&relation)?;
            alter.actions.iter().try_for_each(|action| self.alter_shared(&relation, action))?;
            return Ok(TAG);
        }
        let relation = self.owned(&alter.name, RelationKind::Table)?;
        self.lock(relation.oid, LockMode::AccessExclusive)?;
        let mut actions: Vec<&AlterTableAction> = alter.actions.iter().collect();
        for (at, action) in actions.iter().enumerate() {
            let AlterTableAction::AlterType { name, .. } = action else { continue };
            let again = |other: &&AlterTableAction| matches!(other, AlterTableAction::AlterType { name: other, .. } if other.name == name.name);
            if actions[..at].iter().any(again) {
                let message = format!("cannot alter type of column \"{}\" twice", name.name);
                return Err(Error::new(SqlState::FeatureNotSupported, message));
            }
        }
        actions.sort_by_key(|action| pass(action));
        for action in actions {
            self.alter(relation.oid, action)?;
        }
        Ok(TAG)
    }

    fn alter(&mut self, table: Oid, action: &AlterTableAction) -> Result<()> {
        use AlterTableAction as A;
        match action {
            A::AddColumn { if_not_exists, column } => self.add_column(table, column, *if_not_exists),
            A::DropColumn { if_exists, name, cascade } => self.drop_column(table, name, *if_exists, *cascade),
            A::AlterType { name, ty, collation, using } => {
                if let Some(collation) = collation
                    && !matches!(collation.name(), "C" | "POSIX" | "default" | "ucs_basic")
                {
                    return Err(Error::unsupported(format!("collation \"{}\"", collation.display())).at(collation.pos));
                }
                let ty = self.bind_type(ty)?;
                self.alter_type(table, name, ty, using.as_ref())
            }
            A::SetDefault { name, expr } => {
                self.refuse_identity_or_generated(table, name, "")?;
                let relation = self.table(table)?;
                let text = ColumnExpr { number: number(&relation, name)?, expr: expr.clone(), generated: false };
                // PostgreSQL tells no place here.
                self.check_column_expr(&relation, &text).map_err(Error::without_position)?;
                self.change_attribute(table, name, |a| a.default = Some(expr.text.clone()))
            }
            A::DropDefault { name } => {
                let hints = "Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead.";
                self.refuse_identity_or_generated(table, name, hints)?;
                self.change_attribute(table, name, |a| a.default = None)
            }
            A::SetNotNull { name } => {
                let column = number(&*self.table(table)?, name)?;
                self.require_not_null(table, column, true)
            }
            A::DropNotNull { name } => self.drop_not_null(table, name),
            A::DropExpression { name, if_exists } => self.drop_expression(table, name, *if_exists),
            A::AddIdentity { name, always, options } => self.add_identity(table, name, *always, options),
            A::SetIdentity { name, always, options } => self.set_identity(table, name, *always, options),
            A::DropIdentity { name, if_exists } => self.drop_identity(table, name, *if_exists),
            A::AddConstraint(def) => self.add_constraint(table, def, true).map_err(|error| match def.kind {
                ConstraintBody::UsingIndex { .. } => error,
                _ => error.without_position(),
            }),
            A::AlterConstraint { name, deferrable, initially_deferred } => {
                self.alter_constraint(table, name, *deferrable, *initially_deferred)
            }
            A::ValidateConstraint { name } => self.validate_constraint(table, name),
            A::DropConstraint { if_exists, name, cascade } => self.drop_constraint(table, name, *if_exists, *cascade),
            A::RenameColumn { from, to } => self.rename_column(table, from, to),
            A::RenameConstraint { from, to } => self.rename_constraint(table, from, to),
            A::RenameTable { .. } | A::OwnerTo(_) | A::SetSchema(_) => {
                let relation = self.table(table)?;
                self.alter_shared(&relation, action)
            }
            A::SetOptions(options) | A::ResetOptions(options) => {
                match options.iter().find(|option| option.name != "fillfactor") {
                    Some(option) => {
                        Err(Error::unsupported(format!("storage parameter \"{}\"", option.name)).at(option.pos))
                    }
                    // Pages are filled as the engine sees fit.
                    None => Ok(()),
                }
            }
            A::SetTablespace(name) if name.name == "pg_default" => Ok(()),
            A::SetTablespace(name) => {
                let message = format!("tablespace \"{}\" does not exist", name.name);
                Err(Error::new(SqlState::UndefinedObject, message))
            }
            A::SetLogged(true) => Ok(()),
            A::SetLogged(false) => Err(Error::unsupported("UNLOGGED tables")),
            A::SetStatistics { name, target } => self.set_statistics(table, name, *target),
            A::SetStorage { name, storage } => self.set_storage(table, name, storage),
            A::ReplicaIdentity(_) => Err(Error::unsupported("REPLICA IDENTITY")),
            A::Unsupported(what) => Err(Error::unsupported(what)),
        }
    }

    /// SET STATISTICS: shown, no more.
    fn set_statistics(&mut self, table: Oid, name: &Ident, target: i32) -> Result<()> {
        if target < -1 {
            let message = format!("statistics target {target} is too low");
            return Err(Error::new(SqlState::InvalidParameterValue, message));
        }
        if target > STATISTICS_MAX {
            let message = format!("lowering statistics target to {STATISTICS_MAX}");
            self.notices.push(crate::error::Report {
                code: SqlState::InvalidParameterValue,
                message,
                ..crate::error::Report::default()
            });
        }
        let target = Some(target.min(STATISTICS_MAX)).filter(|target| *target != -1);
        self.change_attribute(table, name, |a| a.steering.statistics = target)
    }

    /// SET STORAGE: shown, no more.
    fn set_storage(&mut self, table: Oid, name: &Ident, storage: &str) -> Result<()> {
        let mode = match storage.to_ascii_lowercase().as_str() {
            "plain" => b'p',
            "external" => b'e',
            "extended" => b'x',
            "main" => b'm',
            _ => {
                let message = format!("invalid storage type \"{storage}\"");
                return Err(Error::new(SqlState::InvalidParameterValue, message));
            }
        };
        let relation = self.table(table)?;
        let ty = self.attribute_of(&relation, name)?.ty;
        let own = crate::catalog::builtin::laid_out_as(ty.oid).map_or(b'x', |ty| ty.storage);
        if mode != b'p' && own == b'p' {
            let ty = self.binder(|binder| Ok(binder.type_name(Type::new(ty.oid))))?;
            let message = format!("column data type {ty} can only have storage PLAIN");
            return Err(Error::new(SqlState::FeatureNotSupported, message));
        }
        self.change_attribute(table, name, |a| a.steering.storage = Some(mode).filter(|mode| *mode != own))
    }

    /// A column by its name.
    fn attribute_of<'r>(&self, relation: &'r Relation, name: &Ident) -> Result<&'r Attribute> {
        Ok(&relation.attributes[number(relation, name)? as usize - 1])
    }

    fn change_attribute(&mut self, table: Oid, name: &Ident, change: impl FnOnce(&mut Attribute)) -> Result<()> {
        let mut relation = (*self.table(table)?).clone();
        let number = number(&relation, name)?;
        change(&mut relation.attributes[number as usize - 1]);
        self.put_relation(relation)
    }

    fn rename_column(&mut self, table: Oid, from: &Ident, to: &Ident) -> Result<()> {
        let relation = self.table(table)?;
        if relation.attribute(&from.name).is_none() {
            let message = format!("column \"{}\" does not exist", from.name);
            return Err(Error::new(SqlState::UndefinedColumn, message));
        }
        super::create_table::check_column_name(&to.name)?;
        if relation.attribute(&to.name).is_some() {
            let message = format!("column \"{}\" of relation \"{}\" already exists", to.name, relation.name);
            return Err(Error::new(SqlState::DuplicateColumn, message));
        }
        self.change_attribute(table, from, |a| a.name = to.name.clone())
    }

    /// ADD COLUMN.
    fn add_column(&mut self, table: Oid, def: &ColumnDef, if_not_exists: bool) -> Result<()> {
        let relation = self.table(table)?;
        super::create_table::check_column_name(&def.name)?;
        if relation.attribute(&def.name).is_some() {
            let message = format!("column \"{}\" of relation \"{}\" already exists", def.name, relation.name);
            if if_not_exists {
                self.notice(SqlState::DuplicateColumn, format!("{message}, skipping"));
                return Ok(());
            }
            return Err(Error::new(SqlState::DuplicateColumn, message));
        }
        super::create_table::check_column_count(relation.attributes.len() + 1)?;
        let (mut constraints, mut sequences, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let column = super::like::Column { def: def.clone(), ty: None };
        let mut attribute = self.attribute(
            &column,
            &relation.name,
            relation.attributes.len(),
            (&mut constraints, &mut sequences, &mut texts),
        )?;
        let not_null = std::mem::take(&mut attribute.not_null);
        let number = attribute.number;
        let mut probe = (*relation).clone();
        probe.attributes.push(attribute.clone());
        texts.iter().try_for_each(|text| self.check_column_expr(&probe, text))?;
        if sequences.is_empty() && !attribute.generated && self.append_column(&relation, &mut attribute)? {
            // Rows stay as they are.
        } else {
            self.add_computed_column(&relation, attribute, sequences)?;
        }
        if not_null {
            self.require_not_null(table, number, true)?;
        }
        constraints.sort_by_key(|constraint| matches!(constraint.kind, ConstraintBody::ForeignKey(_)));
        constraints.iter().try_for_each(|constraint| self.add_constraint(table, constraint, true))
    }

    /// Adds a column whose default is one value for all rows; `false`: it is not.
    fn append_column(&mut self, relation: &Arc<Relation>, attribute: &mut Attribute) -> Result<bool> {
        let Body::Table { storage, .. } = relation.body else { return Ok(false) };
        let value = self.binder(|mut binder| binder.default_value(relation, attribute))?;
        let ExprKind::Const(value) = value.kind else { return Ok(false) };
        let mut def = self.with(|tx| tx.table_def(storage))?;
        attribute.storage = u16::try_from(def.columns.len())
            .map_err(|_| Error::new(SqlState::TooManyColumns, "the table has had too many columns"))?;
        let mut scratch = Vec::new();
        let default = physical::to_value(&value, attribute.ty, &mut scratch)?.to_owned();
        let ty = physical::column_type(attribute.ty);
        def.columns.push(StorageColumn { no: ColumnNo(attribute.storage), ty, default, dropped: false });
        self.with(|tx| tx.alter_table(storage, def))?;
        let mut changed = (**relation).clone();
        changed.attributes.push(attribute.clone());
        self.put_relation(changed)?;
        Ok(true)
    }

    /// Adds a column that each row has a value of its own for.
    fn add_computed_column(
        &mut self,
        relation: &Arc<Relation>,
        attribute: Attribute,
        sequences: Vec<OwnSequence>,
    ) -> Result<()> {
        let (table, number) = (relation.oid, attribute.number);
        // The sequence belongs to a column, which must be there: without a storage column nobody reads it.
        let mut changed = (**relation).clone();
        let generated = attribute.generated;
        changed.attributes.push(attribute);
        self.put_relation(changed.clone())?;
        let mut values = HashMap::new();
        for sequence in sequences {
            self.own_sequence(table, sequence)?;
        }
        let owned = Some((table, number));
        let sequence =
            self.image().relations.values().find(|r| matches!(&r.body, Body::Sequence(s) if s.owned_by == owned));
        if let Some(sequence) = sequence {
            let name = self.qualified(sequence).replace('\'', "''");
            let ty = self.binder(|binder| Ok(binder.type_name(changed.attributes[number as usize - 1].ty)))?;
            values.insert(number, format!("nextval('{name}'::regclass)::{ty}"));
        }
        let complete = (*self.table(table)?).clone();
        // Rows are read as the table was.
        self.put_relation((**relation).clone())?;
        let fresh = if generated || values.contains_key(&number) { Vec::new() } else { vec![number] };
        let indexes = complete.indexes.iter().map(|index| (**index).clone()).collect();
        self.rewrite(complete, indexes, &values, &fresh)
    }

    /// DROP COLUMN.
    fn drop_column(&mut self, table: Oid, name: &Ident, if_exists: bool, cascade: bool) -> Result<()> {
        let relation = self.table(table)?;
        let Some(attribute) = relation.attribute(&name.name) else {
            let message = format!("column \"{}\" of relation \"{}\" does not exist", name.name, relation.name);
            if if_exists {
                self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
                return Ok(());
            }
            return Err(Error::new(SqlState::UndefinedColumn, message));
        };
        self.drop_all(vec![Target::Column(table, attribute.number)], cascade, false)
    }

    /// Takes a column out of the catalog; its values stay in the rows until they are written anew.
    pub(super) fn remove_column(&mut self, table: Oid, number: i16) -> Result<()> {
        let Some(relation) = self.image().relations.get(&table).cloned() else { return Ok(()) };
        let mut changed = (*relation).clone();
        let attribute = &mut changed.attributes[number as usize - 1];
        let storage_column = attribute.storage;
        attribute.dropped = true;
        attribute.name = format!("........pg.dropped.{number}........");
        attribute.not_null = false;
        attribute.default = None;
        attribute.generated = false;
        attribute.identity = None;
        self.put_relation(changed)?;
        self.drop_storage_columns(&relation, [storage_column])
    }

    /// Marks the hidden columns of a dropped index as dropped.
    pub(super) fn drop_hidden_columns(&mut self, index: &Index) -> Result<()> {
        let hidden: Vec<u16> = hidden_columns(index).map(|(column, _)| column).collect();
        match self.image().relations.get(&index.table).cloned() {
            Some(table) if !hidden.is_empty() => self.drop_storage_columns(&table, hidden),
            _ => Ok(()),
        }
    }

    fn drop_storage_columns(&mut self, table: &Relation, columns: impl IntoIterator<Item = u16>) -> Result<()> {
        let Body::Table { storage, .. } = table.body else { return Ok(()) };
        let mut def = self.with(|tx| tx.table_def(storage))?;
        for column in columns {
            def.columns[column as usize].dropped = true;
            def.columns[column as usize].default = OwnedValue::Null;
        }
        self.with(|tx| tx.alter_table(storage, def))
    }

    /// ALTER COLUMN … TYPE.
    fn alter_type(&mut self, table: Oid, name: &Ident, ty: Type, using: Option<&ExprText>) -> Result<()> {
        let relation = self.table(table)?;
        let column = number(&relation, name)?;
        let attribute = &relation.attributes[column as usize - 1];
        self.check_alter_type(&relation, attribute, ty, using)?;
        let mut changed = (*relation).clone();
        changed.attributes[column as usize - 1].ty = ty;
        if using.is_none() && keeps_form(attribute.ty, ty) {
            self.put_relation(changed)?;
            for index in relation.indexes.iter().filter(|index| index.keys.iter().any(|key| key.attribute == column)) {
                let mut entry = (*self.table(index.oid)?).clone();
                let mut index = (**index).clone();
                for (attribute, key) in entry.attributes.iter_mut().zip(&mut index.keys) {
                    if key.attribute == column {
                        (attribute.ty, key.ty) = (ty, ty);
                    }
                }
                entry.body = Body::Index(Arc::new(index));
                self.put_relation(entry)?;
            }
            return Ok(());
        }
        let source = using.map_or_else(|| quote(&name.name), |using| format!("({})", using.text));
        let values = HashMap::from([(column, source)]);
        let indexes = self.retyped_indexes(&changed)?;
        self.rewrite(changed, indexes, &values, &[])?;
        let concerned: Vec<Oid> = self
            .table(table)?
            .constraints
            .iter()
            .filter(|constraint| match &constraint.kind {
                ConstraintKind::Check { columns, .. } | ConstraintKind::ForeignKey { columns, .. } => {
                    constraint.validated && columns.contains(&column)
                }
                _ => false,
            })
            .map(|constraint| constraint.oid)
            .collect();
        let attribute = &self.table(table)?.attributes[column as usize - 1];
        if attribute.not_null {
            self.check_not_null(&*self.table(table)?, column)?;
        }
        concerned.into_iter().try_for_each(|constraint| self.validate(table, constraint))
    }

    /// The indexes of a table whose columns have other types now: keys that are expressions have their types found anew.
    fn retyped_indexes(&self, relation: &Relation) -> Result<Vec<Index>> {
        let probe = Arc::new(relation.clone());
        let retyped = |index: &Arc<Index>| {
            let mut index = (**index).clone();
            for key in &mut index.keys {
                if let Some(text) = &key.expression {
                    key.ty = self.index_expression(&probe, text)?.ty;
                }
            }
            Ok(index)
        };
        relation.indexes.iter().map(retyped).collect()
    }

    /// What stands in the way of another type for a column.
    fn check_alter_type(
        &self,
        relation: &Arc<Relation>,
        attribute: &Attribute,
        ty: Type,
        using: Option<&ExprText>,
    ) -> Result<()> {
        let name = &attribute.name;
        if matches!(ty.oid, oid::UNKNOWN | oid::VOID | oid::ANY | oid::RECORD | oid::ANYELEMENT | oid::ANYARRAY) {
            let message = format!("column \"{name}\" has a pseudo-type");
            return Err(Error::new(SqlState::InvalidTableDefinition, message));
        }
        if attribute.identity.is_some() && !matches!(ty.oid, oid::INT2 | oid::INT4 | oid::INT8) {
            let message = "identity column type must be smallint, integer, or bigint";
            return Err(Error::new(SqlState::InvalidParameterValue, message));
        }
        if attribute.generated && using.is_some() {
            let message = "cannot specify USING when altering type of generated column";
            return Err(Error::new(SqlState::InvalidTableDefinition, message)
                .detail(format!("Column \"{name}\" is a generated column.")));
        }
        let shown = self.binder(|binder| Ok(binder.type_name(ty)))?;
        let castable = match using {
            Some(using) => self.binder_of(super::CLIENT_TEXT, |mut binder| {
                let row = binder.row_columns(relation);
                let (bound, _) = binder.definition(&using.expr, relation, &row, Clause::AlterType, None)?;
                let cast = binder.coerce_to(bound, ty, Coercion::Assignment, 0)?;
                cast.map(|_| ()).ok_or_else(|| Error::new(SqlState::DatatypeMismatch, ""))
            }),
            None => self.binder(|mut binder| {
                let row = binder.row_columns(relation);
                binder.stored_expression(&quote(name), relation, &row, Clause::AlterType, Some(ty)).map(|_| ())
            }),
        };
        if let Err(error) = castable {
            if error.code() != SqlState::DatatypeMismatch {
                return Err(error);
            }
            let (message, hint) = match using {
                Some(_) => (
                    format!(
                        "result of USING clause for column \"{name}\" cannot be cast automatically to type {shown}"
                    ),
                    "You might need to add an explicit cast.".to_owned(),
                ),
                None => (
                    format!("column \"{name}\" cannot be cast automatically to type {shown}"),
                    format!("You might need to specify \"USING {}::{shown}\".", quote(name)),
                ),
            };
            return Err(Error::new(SqlState::DatatypeMismatch, message).hint(hint));
        }
        if attribute.default.is_some() && !attribute.generated {
            let probe = Attribute { ty, ..attribute.clone() };
            self.binder(|mut binder| binder.default_value(relation, &probe)).map_err(|_| {
                let message = format!("default for column \"{name}\" cannot be cast automatically to type {shown}");
                Error::new(SqlState::DatatypeMismatch, message)
            })?;
        }
        for other in relation.live_attributes().filter(|other| other.generated && other.number != attribute.number) {
            let text = other.default.as_deref().unwrap_or_default();
            if self.names_column(relation, attribute.number, text) {
                let message = "cannot alter type of a column used by a generated column";
                return Err(Error::new(SqlState::FeatureNotSupported, message)
                    .detail(format!("Column \"{name}\" is used by generated column \"{}\".", other.name)));
            }
        }
        if let Some(view) = self.views_naming(relation, attribute.number, &self.view_sources()).first() {
            let message = "cannot alter type of a column used by a view or rule";
            let view = self.describe(Target::Relation(*view));
            let detail = format!("rule _RETURN on {view} depends on column \"{name}\"");
            return Err(Error::new(SqlState::FeatureNotSupported, message).detail(detail));
        }
        let keys = relation.constraints.iter().chain(&relation.referenced_by);
        for key in keys {
            let ConstraintKind::ForeignKey { columns, references, referenced_columns, .. } = &key.kind else {
                continue;
            };
            let (from, to) = (self.table(key.table)?, self.table(*references)?);
            for (own, other) in columns.iter().zip(referenced_columns) {
                let type_of =
                    |table: &Relation, column: i16| match (table.oid, column) == (relation.oid, attribute.number) {
                        true => ty,
                        false => table.attributes[column as usize - 1].ty,
                    };
                let (own_type, other_type) = (type_of(&from, *own), type_of(&to, *other));
                if !can_refer(own_type.oid, other_type.oid) {
                    let types = self.binder(|binder| Ok((binder.type_name(own_type), binder.type_name(other_type))))?;
                    let detail = format!(
                        "Key columns \"{}\" and \"{}\" are of incompatible types: {} and {}.",
                        from.attributes[*own as usize - 1].name,
                        to.attributes[*other as usize - 1].name,
                        types.0,
                        types.1
                    );
                    let message = format!("foreign key constraint \"{}\" cannot be implemented", key.name);
                    return Err(Error::new(SqlState::DatatypeMismatch, message).detail(detail));
                }
            }
        }
        Ok(())
    }

    /// Whether an expression over a table's row names a column.
    pub(super) fn names_column(&self, relation: &Relation, column: i16, text: &str) -> bool {
        self.binder(|mut binder| {
            let row = binder.row_columns(relation);
            let expr = binder.stored_expression(text, relation, &row, Clause::Check, None)?;
            let mut used = ColumnSet::new();
            used_by(&expr, &mut used);
            Ok(row.iter().any(|(number, id)| *number == column && used.contains(*id)))
        })
        .unwrap_or(false)
    }

    /// The views over a table that name one of its columns: those that cannot be bound without it.
    pub(super) fn views_naming(&self, relation: &Relation, column: i16, sources: &HashMap<Oid, Vec<Oid>>) -> Vec<Oid> {
        let mut image = (**self.image()).clone();
        let mut without = relation.clone();
        without.attributes[column as usize - 1].dropped = true;
        image.relations.insert(relation.oid, Arc::new(without));
        let mut ctx = self.bind_context();
        ctx.image = Arc::new(image);
        let over = sources.iter().filter(|(_, sources)| sources.contains(&relation.oid));
        let broken = over.filter_map(|(view, _)| {
            let relation = ctx.image.relations.get(view)?;
            crate::sql::bind::Binder::new(&ctx, "").view(relation).err().map(|_| *view)
        });
        let mut views: Vec<Oid> = broken.collect();
        views.sort();
        views
    }

    /// What depends on a column, and whether it goes along silently.
    pub(super) fn dependents_of_column(
        &self,
        table: Oid,
        column: i16,
        sources: &HashMap<Oid, Vec<Oid>>,
    ) -> Result<Vec<(Target, bool)>> {
        let relation = self.table(table)?;
        let mut list = Vec::new();
        for constraint in &relation.constraints {
            let names = match &constraint.kind {
                ConstraintKind::Check { columns, .. }
                | ConstraintKind::PrimaryKey { columns, .. }
                | ConstraintKind::Unique { columns, .. }
                | ConstraintKind::ForeignKey { columns, .. } => columns.contains(&column),
            };
            if names {
                list.push((Target::Constraint(table, constraint.oid), true));
            }
        }
        for key in &relation.referenced_by {
            let names = matches!(&key.kind, ConstraintKind::ForeignKey { referenced_columns, .. } if referenced_columns.contains(&column));
            if names && key.table != table {
                list.push((Target::Constraint(key.table, key.oid), false));
            }
        }
        for index in &relation.indexes {
            let texts = index.keys.iter().filter_map(|key| key.expression.as_ref());
            let mut texts = texts.chain(index.predicate.iter().map(|(text, _)| text));
            let named = index.keys.iter().any(|key| key.attribute == column) || index.include.contains(&column);
            let owner = self.table(index.oid).ok().and_then(|entry| self.constraint_of_index(&entry));
            if owner.is_none() && (named || texts.any(|text| self.names_column(&relation, column, text))) {
                list.push((Target::Relation(index.oid), true));
            }
        }
        for other in self.image().relations.values() {
            if matches!(&other.body, Body::Sequence(s) if s.owned_by == Some((table, column))) {
                list.push((Target::Relation(other.oid), true));
            }
        }
        for other in relation.live_attributes().filter(|other| other.generated && other.number != column) {
            if self.names_column(&relation, column, other.default.as_deref().unwrap_or_default()) {
                list.push((Target::Column(table, other.number), false));
            }
        }
        list.extend(
            self.views_naming(&relation, column, sources).into_iter().map(|view| (Target::Relation(view), false)),
        );
        Ok(list)
    }

    fn validate_constraint(&mut self, table: Oid, name: &Ident) -> Result<()> {
        let relation = self.table(table)?;
        let constraint = self.constraint_named(&relation, name)?;
        if !matches!(constraint.kind, ConstraintKind::Check { .. } | ConstraintKind::ForeignKey { .. }) {
            let message = format!(
                "constraint \"{}\" of relation \"{}\" is not a foreign key or check constraint",
                name.name, relation.name
            );
            return Err(Error::new(SqlState::WrongObjectType, message));
        }
        if constraint.validated {
            return Ok(());
        }
        self.validate(table, constraint.oid)?;
        self.change_constraint(table, constraint.oid, |constraint| constraint.validated = true)
    }

    fn alter_constraint(
        &mut self,
        table: Oid,
        name: &Ident,
        deferrable: Option<bool>,
        deferred: Option<bool>,
    ) -> Result<()> {
        let relation = self.table(table)?;
        let constraint = self.constraint_named(&relation, name)?;
        if !matches!(constraint.kind, ConstraintKind::ForeignKey { .. }) {
            let message = format!(
                "constraint \"{}\" of relation \"{}\" is not a foreign key constraint",
                name.name, relation.name
            );
            return Err(Error::new(SqlState::WrongObjectType, message));
        }
        self.change_constraint(table, constraint.oid, |constraint| {
            constraint.deferrable = deferrable.unwrap_or(deferred == Some(true));
            constraint.deferred = deferred.unwrap_or(false);
        })
    }

    fn rename_constraint(&mut self, table: Oid, from: &Ident, to: &Ident) -> Result<()> {
        let relation = self.table(table)?;
        let constraint = self.constraint_named(&relation, from).map_err(|_| {
            let message = format!("constraint \"{}\" for table \"{}\" does not exist", from.name, relation.name);
            Error::new(SqlState::UndefinedObject, message)
        })?;
        if relation.constraints.iter().any(|other| other.name == to.name) {
            let message = format!("constraint \"{}\" for relation \"{}\" already exists", to.name, relation.name);
            return Err(Error::new(SqlState::DuplicateObject, message));
        }
        match super::drop::constraint_index(&constraint) {
            // The index has the constraint's name, and its renaming renames the constraint.
            Some(index) => {
                let index = self.table(index)?;
                self.rename_relation(&index, &to.name)
            }
            None => self.change_constraint(table, constraint.oid, |constraint| constraint.name.clone_from(&to.name)),
        }
    }

    fn constraint_named(&self, relation: &Relation, name: &Ident) -> Result<Arc<crate::catalog::image::Constraint>> {
        relation.constraints.iter().find(|constraint| constraint.name == name.name).cloned().ok_or_else(|| {
            let message = format!("constraint \"{}\" of relation \"{}\" does not exist", name.name, relation.name);
            Error::new(SqlState::UndefinedObject, message)
        })
    }

    fn change_constraint(
        &mut self,
        table: Oid,
        constraint: Oid,
        change: impl FnOnce(&mut crate::catalog::image::Constraint),
    ) -> Result<()> {
        let mut changed = (*self.table(table)?).clone();
        if let Some(found) = changed.constraints.iter_mut().find(|other| other.oid == constraint) {
            change(Arc::make_mut(found));
        }
        self.put_relation(changed)
    }

    fn drop_not_null(&mut self, table: Oid, name: &Ident) -> Result<()> {
        let relation = self.table(table)?;
        let attribute = self.attribute_of(&relation, name)?;
        if attribute.identity.is_some() {
            let message = format!("column \"{}\" of relation \"{}\" is an identity column", name.name, relation.name);
            return Err(Error::new(SqlState::SyntaxError, message));
        }
        let primary = |kind: &ConstraintKind| matches!(kind, ConstraintKind::PrimaryKey { columns, .. } if columns.contains(&attribute.number));
        if relation.constraints.iter().any(|constraint| primary(&constraint.kind)) {
            let message = format!("column \"{}\" is in a primary key", name.name);
            return Err(Error::new(SqlState::InvalidTableDefinition, message));
        }
        self.change_attribute(table, name, |a| a.not_null = false)
    }

    fn refuse_identity_or_generated(&self, table: Oid, name: &Ident, hint: &str) -> Result<()> {
        let relation = self.table(table)?;
        let attribute = self.attribute_of(&relation, name)?;
        if attribute.identity.is_some() {
            let message = format!("column \"{}\" of relation \"{}\" is an identity column", name.name, relation.name);
            let error = Error::new(SqlState::SyntaxError, message);
            return Err(if hint.is_empty() { error } else { error.hint(hint) });
        }
        if attribute.generated {
            let message = format!("column \"{}\" of relation \"{}\" is a generated column", name.name, relation.name);
            let error = Error::new(SqlState::SyntaxError, message);
            let instead = "Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead.";
            return Err(if hint.is_empty() { error } else { error.hint(instead) });
        }
        Ok(())
    }

    fn drop_expression(&mut self, table: Oid, name: &Ident, if_exists: bool) -> Result<()> {
        let relation = self.table(table)?;
        if self.attribute_of(&relation, name)?.generated {
            return self.change_attribute(table, name, |a| {
                a.generated = false;
                a.default = None;
            });
        }
        let message =
            format!("column \"{}\" of relation \"{}\" is not a stored generated column", name.name, relation.name);
        if if_exists {
            self.notice(SqlState::SuccessfulCompletion, format!("{message}, skipping"));
            return Ok(());
        }
        Err(Error::new(SqlState::ObjectNotInPrerequisiteState, message))
    }

    fn add_identity(
        &mut self,
        table: Oid,
        name: &Ident,
        always: bool,
        options: &[crate::sql::ast::utility::SequenceOption],
    ) -> Result<()> {
        let relation = self.table(table)?;
        let attribute = self.attribute_of(&relation, name)?.clone();
        let column = format!("column \"{}\" of relation \"{}\"", name.name, relation.name);
        let refused = |message: String| Err(Error::new(SqlState::ObjectNotInPrerequisiteState, message));
        if !matches!(attribute.ty.oid, oid::INT2 | oid::INT4 | oid::INT8) {
            let message = "identity column type must be smallint, integer, or bigint";
            return Err(Error::new(SqlState::InvalidParameterValue, message));
        }
        if !attribute.not_null {
            return refused(format!("{column} must be declared NOT NULL before identity can be added"));
        }
        if attribute.identity.is_some() {
            return refused(format!("{column} is already an identity column"));
        }
        if attribute.default.is_some() {
            return refused(format!("{column} already has a default value"));
        }
        let identity = if always { Identity::Always } else { Identity::ByDefault };
        self.change_attribute(table, name, |a| a.identity = Some(identity))?;
        let own = OwnSequence {
            attribute: attribute.number,
            ty: attribute.ty.oid,
            identity: true,
            options: options.to_vec(),
        };
        self.own_sequence(table, own)
    }

    /// The sequence behind an identity column; 55000 when the column is none.
    fn identity_sequence(&self, table: Oid, name: &Ident) -> Result<Oid> {
        let relation = self.table(table)?;
        let attribute = self.attribute_of(&relation, name)?;
        let owned = Some((table, attribute.number));
        let sequences = self.image().relations.values();
        let mut own = sequences.filter(|r| matches!(&r.body, Body::Sequence(s) if s.identity && s.owned_by == owned));
        let sequence = own.next().filter(|_| attribute.identity.is_some()).map(|sequence| sequence.oid);
        sequence.ok_or_else(|| {
            let message =
                format!("column \"{}\" of relation \"{}\" is not an identity column", name.name, relation.name);
            Error::new(SqlState::ObjectNotInPrerequisiteState, message)
        })
    }

    fn set_identity(
        &mut self,
        table: Oid,
        name: &Ident,
        always: Option<bool>,
        options: &[crate::sql::ast::utility::SequenceOption],
    ) -> Result<()> {
        let sequence = self.identity_sequence(table, name)?;
        if !options.is_empty() {
            self.change_sequence(sequence, options, true)?;
        }
        match always {
            Some(true) => self.change_attribute(table, name, |a| a.identity = Some(Identity::Always)),
            Some(false) => self.change_attribute(table, name, |a| a.identity = Some(Identity::ByDefault)),
            None => Ok(()),
        }
    }

    fn drop_identity(&mut self, table: Oid, name: &Ident, if_exists: bool) -> Result<()> {
        match self.identity_sequence(table, name) {
            Ok(sequence) => {
                self.change_attribute(table, name, |a| a.identity = None)?;
                self.drop_all(vec![Target::Relation(sequence)], false, false)
            }
            Err(error) if if_exists && error.code() == SqlState::ObjectNotInPrerequisiteState => {
                let message = format!("{}, skipping", error.report().message);
                self.notice(SqlState::SuccessfulCompletion, message);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether values of one type are stored as they are under the other one, and all fit.
fn keeps_form(from: Type, to: Type) -> bool {
    let text = |ty: Type| matches!(ty.oid, oid::TEXT | oid::VARCHAR);
    if text(from) && text(to) {
        return to.oid == oid::TEXT
            || to.typmod < 0
            || (from.oid == oid::VARCHAR && (0..=to.typmod).contains(&from.typmod));
    }
    if from.oid != to.oid || physical::column_type(from) != physical::column_type(to) {
        return false;
    }
    match (typmod::numeric(from.typmod), typmod::numeric(to.typmod)) {
        _ if from.typmod == to.typmod || to.typmod < 0 => true,
        (Some((old, scale)), Some((new, same))) if to.oid == oid::NUMERIC => scale == same && new >= old,
        _ => false,
    }
}

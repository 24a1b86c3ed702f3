//! CREATE VIEW: the query's text with the search path of its creation, and its columns' names and types.

use super::DdlContext;
use crate::catalog::image::{Attribute, Body, CheckOption, Relation, RelationKind};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::string::quote_identifier;
use crate::sql::ast::utility::{CreateView, DefValue};
use crate::sql::ast::{ObjectName, Statement};
use crate::sql::tree::OutputColumn;
use crate::types::{Oid, Type, oid};
use lightning_storage::LockMode;
use std::sync::Arc;

/// Columns that a view may have.
const COLUMNS_MAX: usize = 1600;

impl DdlContext<'_> {
    pub(super) fn create_view(&mut self, create: &CreateView) -> Result<&'static str> {
        const TAG: &str = "CREATE VIEW";
        let check = check_option(create)?;
        let (text, statement) = match create.recursive {
            true => recursive_text(create)?,
            false => (create.query.text.clone(), Statement::Query(create.query.query.clone())),
        };
        // The rewritten text of a recursive view must give no positions: it is not the client's.
        let client_text = if create.recursive { "" } else { create.query.text.as_str() };
        let (output, sources) = self.binder_of(client_text, |binder| {
            let bound = binder.statement(&statement)?;
            if matches!(&statement, Statement::Query(query) if writes(query)) {
                let message = "views must not contain data-modifying statements in WITH";
                return Err(Error::new(SqlState::FeatureNotSupported, message));
            }
            if !bound.params.is_empty() {
                return Err(crate::sql::parse::refuse_parameters(&create.query.text, create.query.query.pos));
            }
            Ok((bound.output, bound.dependencies))
        })?;
        let image = self.image().clone();
        let over_temporary =
            sources.iter().any(|source| image.relations.get(source).is_some_and(|relation| relation.temporary));
        let temporary = create.temporary || (over_temporary && create.name.schema().is_none());
        if temporary && !create.temporary {
            let message = format!("view \"{}\" will be a temporary view", create.name.name());
            self.notice(SqlState::SuccessfulCompletion, message);
        }
        let attributes = view_attributes(create, &output)?;
        let (schema, name) = self.creation_target(&create.name, temporary).map_err(super::without_position)?;
        if over_temporary && self.temp_schema() != Some(schema) {
            let message = "cannot create temporary relation in non-temporary schema";
            return Err(Error::new(SqlState::InvalidTableDefinition, message));
        }
        let names = |oid: &Oid| self.image().schemas.get(oid).map(|schema| schema.name.clone());
        let search_path = self.search_path().iter().filter_map(names).collect();
        let body = Body::View { text, search_path, check };
        if create.or_replace
            && let Some(old) = self.image().relation(schema, &name).cloned()
        {
            return self.replace_view(&old, attributes, body, &sources).map(|()| TAG);
        }
        self.is_taken(schema, &name, false)?;
        let schema_name = self.image().schemas.get(&schema).map_or_else(String::new, |s| s.name.clone());
        let relation = Relation {
            oid: self.new_oid()?,
            schema,
            schema_name,
            name,
            kind: RelationKind::View,
            owner: self.user,
            row_type: self.new_oid()?,
            temporary: self.temp_schema() == Some(schema),
            attributes,
            constraints: Vec::new(),
            referenced_by: Vec::new(),
            indexes: Vec::new(),
            body,
            row_estimate: -1.0,
        };
        let oid = relation.oid;
        self.put_relation(relation)?;
        self.check_checkable(oid)?;
        Ok(TAG)
    }

    /// CREATE OR REPLACE VIEW: columns stay as they are, new ones come last.
    fn replace_view(&mut self, old: &Arc<Relation>, new: Vec<Attribute>, body: Body, sources: &[Oid]) -> Result<()> {
        super::check_kind(old, RelationKind::View)?;
        self.check_owner(old)?;
        let invalid = |message: String| Error::new(SqlState::InvalidTableDefinition, message);
        if new.len() < old.attributes.len() {
            return Err(invalid("cannot drop columns from view".to_owned()));
        }
        for (before, after) in old.attributes.iter().zip(&new) {
            if before.name != after.name {
                let message = format!("cannot change name of view column \"{}\" to \"{}\"", before.name, after.name);
                let hint = "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.";
                return Err(invalid(message).hint(hint));
            }
            if before.ty != after.ty {
                let (from, to) = self.binder(|binder| Ok((binder.type_name(before.ty), binder.type_name(after.ty))))?;
                let message = format!("cannot change data type of view column \"{}\" from {from} to {to}", before.name);
                return Err(invalid(message));
            }
        }
        if sources.contains(&old.oid) {
            let message = format!("infinite recursion detected in rules for relation \"{}\"", old.name);
            return Err(Error::new(SqlState::InvalidObjectDefinition, message));
        }
        self.lock(old.oid, LockMode::AccessExclusive)?;
        self.put_relation(Relation { attributes: new, body, ..(**old).clone() })?;
        self.check_checkable(old.oid)
    }

    /// 0A000 for a CHECK OPTION of a view that takes no writes.
    fn check_checkable(&mut self, view: Oid) -> Result<()> {
        let view = self.table(view)?;
        if !matches!(view.body, Body::View { check: Some(_), .. }) {
            return Ok(());
        }
        let call = self.bind.call;
        match crate::sql::bind::updatable::refusal(call, self.image(), &view) {
            None => Ok(()),
            Some(reason) => {
                let message = "WITH CHECK OPTION is supported only on automatically updatable views";
                Err(Error::new(SqlState::FeatureNotSupported, message).hint(reason))
            }
        }
    }
}

/// WITH CHECK OPTION, or the option that says the same.
fn check_option(create: &CreateView) -> Result<Option<CheckOption>> {
    let mut check = create.check_option;
    for option in &create.options {
        let value = match &option.value {
            Some(DefValue::Text(value)) => value.to_ascii_lowercase(),
            _ => String::new(),
        };
        check = match (option.name.as_str(), value.as_str()) {
            ("check_option", "local") => Some(CheckOption::Local),
            ("check_option", "cascaded") => Some(CheckOption::Cascaded),
            ("check_option", _) => {
                let message = format!("invalid value for enum option \"check_option\": {value}");
                return Err(Error::new(SqlState::InvalidParameterValue, message)
                    .detail("Valid values are \"local\" and \"cascaded\"."));
            }
            _ => return Err(Error::unsupported(format!("view option \"{}\"", option.name)).at(option.pos)),
        };
    }
    Ok(check)
}

fn writes(query: &crate::sql::ast::Query) -> bool {
    let parts = query.with.iter().flat_map(|with| &with.ctes);
    parts.into_iter().any(|part| !matches!(*part.statement, Statement::Query(_)))
}

fn view_attributes(create: &CreateView, output: &[OutputColumn]) -> Result<Vec<Attribute>> {
    if create.columns.len() > output.len() {
        let message = "CREATE VIEW specifies more column names than columns";
        return Err(Error::new(SqlState::SyntaxError, message));
    }
    if output.len() > COLUMNS_MAX {
        let message = format!("tables can have at most {COLUMNS_MAX} columns");
        return Err(Error::new(SqlState::TooManyColumns, message));
    }
    let mut attributes: Vec<Attribute> = Vec::with_capacity(output.len());
    for (i, column) in output.iter().enumerate() {
        let name = create.columns.get(i).map_or_else(|| column.name.clone(), |c| c.name.clone());
        if attributes.iter().any(|a| a.name == name) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(Error::new(SqlState::DuplicateColumn, message));
        }
        let ty = if column.ty.oid == oid::UNKNOWN { Type::new(oid::TEXT) } else { column.ty };
        attributes.push(super::create_as::plain_attribute(i, name, ty)?);
    }
    Ok(attributes)
}

/// `CREATE RECURSIVE VIEW v (a) AS q` is `CREATE VIEW v AS WITH RECURSIVE v (a) AS (q) SELECT a FROM v`.
fn recursive_text(create: &CreateView) -> Result<(String, Statement)> {
    let ObjectName { parts, .. } = &create.name;
    let name = quote_identifier(parts.last().map_or("", String::as_str));
    let columns: Vec<String> = create.columns.iter().map(|column| quote_identifier(&column.name)).collect();
    let columns = columns.join(", ");
    let text = format!("WITH RECURSIVE {name} ({columns}) AS ({}) SELECT {columns} FROM {name}", create.query.text);
    let statement = crate::sql::parse::parse_one(&text)?;
    Ok((text, statement))
}

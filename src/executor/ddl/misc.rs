//! CREATE SCHEMA, SEQUENCE, VIEW.

use super::DdlContext;
use crate::catalog::image::{Attribute, Body, Relation, RelationKind, Schema, Sequence};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::Statement;
use crate::sql::ast::utility::{CreateSchema, CreateSequence, CreateView, SequenceOption};
use crate::types::{Oid, Type, oid};
use lightning_storage::{ObjectId, SequenceDef};

impl DdlContext<'_> {
    pub(super) fn create_schema(&mut self, create: &CreateSchema) -> Result<&'static str> {
        const TAG: &str = "CREATE SCHEMA";
        if !create.elements.is_empty() || create.owner.is_some() {
            return Err(Error::unsupported("CREATE SCHEMA with elements or AUTHORIZATION"));
        }
        let Some(name) = &create.name else { return Err(Error::unsupported("CREATE SCHEMA without a name")) };
        if name.name.starts_with("pg_") {
            let message = format!("unacceptable schema name \"{}\"", name.name);
            let detail = "The prefix \"pg_\" is reserved for system schemas.";
            return Err(Error::new(SqlState::ReservedName, message).detail(detail));
        }
        if self.image().schema_names.contains_key(&name.name) {
            let message = format!("schema \"{}\" already exists", name.name);
            if create.if_not_exists {
                self.notice(SqlState::DuplicateSchema, format!("{message}, skipping"));
                return Ok(TAG);
            }
            return Err(Error::new(SqlState::DuplicateSchema, message));
        }
        self.claim("schema", Oid::NONE, &name.name)?;
        let schema = Schema { oid: self.new_oid()?, name: name.name.clone(), owner: self.user };
        let mut transaction = self.transaction.lock();
        let transaction = transaction.as_mut().ok_or_else(|| Error::internal("DDL runs outside of a transaction"))?;
        self.change.put_schema(transaction, schema)?;
        Ok(TAG)
    }

    pub(super) fn create_sequence(&mut self, create: &CreateSequence) -> Result<&'static str> {
        const TAG: &str = "CREATE SEQUENCE";
        if create.temporary || create.unlogged {
            return Err(Error::unsupported("temporary and unlogged sequences"));
        }
        let (schema, name) = self.creation_target(&create.name)?;
        if self.is_taken(schema, &name, create.if_not_exists)? {
            return Ok(TAG);
        }
        let sequence = sequence_definition(self, &create.options, None, None)?;
        self.put_sequence(schema, name, sequence)?;
        Ok(TAG)
    }

    pub(super) fn put_sequence(&mut self, schema: Oid, name: String, mut sequence: Sequence) -> Result<Oid> {
        let def = SequenceDef {
            start: sequence.start,
            increment: sequence.increment,
            min: sequence.min,
            max: sequence.max,
            cycle: sequence.cycle,
        };
        sequence.storage = self.with(|tx| tx.create_sequence(def))?;
        let oid = self.new_oid()?;
        let attribute = |(i, (name, ty)): (usize, (&str, Oid))| Attribute {
            number: i as i16 + 1,
            name: name.to_owned(),
            ty: Type::new(ty),
            not_null: true,
            default: None,
            generated: false,
            identity: None,
            dropped: false,
            storage: i as u16,
            missing: None,
        };
        let columns = [("last_value", oid::INT8), ("log_cnt", oid::INT8), ("is_called", oid::BOOL)];
        let schema_name = self.image().schemas.get(&schema).map_or_else(String::new, |s| s.name.clone());
        self.put_relation(Relation {
            oid,
            schema,
            schema_name,
            name,
            kind: RelationKind::Sequence,
            owner: self.user,
            row_type: Oid::NONE,
            temporary: false,
            attributes: columns.into_iter().enumerate().map(attribute).collect(),
            constraints: Vec::new(),
            referenced_by: Vec::new(),
            indexes: Vec::new(),
            body: Body::Sequence(sequence),
            row_estimate: -1.0,
        })?;
        Ok(oid)
    }

    pub(super) fn create_view(&mut self, create: &CreateView) -> Result<&'static str> {
        const TAG: &str = "CREATE VIEW";
        if create.temporary || create.recursive || create.check_option.is_some() || !create.options.is_empty() {
            return Err(Error::unsupported("TEMPORARY, RECURSIVE, WITH and CHECK OPTION of a view"));
        }
        if create.or_replace {
            return Err(Error::unsupported("CREATE OR REPLACE VIEW"));
        }
        let (schema, name) = self.creation_target(&create.name)?;
        self.is_taken(schema, &name, false)?;
        let statement = Statement::Query(create.query.query.clone());
        let bound = self.binder(|binder| binder.statement(&statement))?;
        if create.columns.len() > bound.output.len() {
            let message = "CREATE VIEW specifies more column names than columns";
            return Err(Error::new(SqlState::SyntaxError, message));
        }
        let mut attributes: Vec<Attribute> = Vec::new();
        for (i, column) in bound.output.iter().enumerate() {
            let name = create.columns.get(i).map_or_else(|| column.name.clone(), |c| c.name.clone());
            if attributes.iter().any(|a| a.name == name) {
                let message = format!("column \"{name}\" specified more than once");
                return Err(Error::new(SqlState::DuplicateColumn, message));
            }
            let ty = if column.ty.oid == oid::UNKNOWN { Type::new(oid::TEXT) } else { column.ty };
            attributes.push(Attribute {
                number: i as i16 + 1,
                name,
                ty,
                not_null: false,
                default: None,
                generated: false,
                identity: None,
                dropped: false,
                storage: i as u16,
                missing: None,
            });
        }
        let names = |oid: &Oid| self.image().schemas.get(oid).map(|schema| schema.name.clone());
        let search_path = self.bind.search_path.iter().filter_map(names).collect();
        let schema_name = self.image().schemas.get(&schema).map_or_else(String::new, |s| s.name.clone());
        let relation = Relation {
            oid: self.new_oid()?,
            schema,
            schema_name,
            name,
            kind: RelationKind::View,
            owner: self.user,
            row_type: self.new_oid()?,
            temporary: false,
            attributes,
            constraints: Vec::new(),
            referenced_by: Vec::new(),
            indexes: Vec::new(),
            body: Body::View { text: create.query.text.clone(), search_path },
            row_estimate: -1.0,
        };
        self.put_relation(relation)?;
        Ok(TAG)
    }
}

/// A sequence of the given options; `ty` is fixed for serial and identity columns.
pub(super) fn sequence_definition(
    ctx: &DdlContext<'_>,
    options: &[SequenceOption],
    ty: Option<Oid>,
    _before: Option<&Sequence>,
) -> Result<Sequence> {
    let invalid = |message: String| Error::new(SqlState::InvalidParameterValue, message);
    let mut ty = ty.unwrap_or(oid::INT8);
    let (mut increment, mut min, mut max, mut start, mut cache, mut cycle) = (1, None, None, None, 1, false);
    for option in options {
        match option {
            SequenceOption::As(name) => {
                ty = ctx.bind_type(name)?.oid;
                if !matches!(ty, oid::INT2 | oid::INT4 | oid::INT8) {
                    return Err(invalid("sequence type must be smallint, integer, or bigint".to_owned()));
                }
            }
            SequenceOption::Increment(0) => return Err(invalid("INCREMENT must not be zero".to_owned())),
            SequenceOption::Increment(by) => increment = *by,
            SequenceOption::MinValue(value) => min = *value,
            SequenceOption::MaxValue(value) => max = *value,
            SequenceOption::Start(value) => start = Some(*value),
            SequenceOption::Cache(value) if *value <= 0 => {
                return Err(invalid(format!("CACHE ({value}) must be greater than zero")));
            }
            SequenceOption::Cache(value) => cache = *value,
            SequenceOption::Cycle(value) => cycle = *value,
            SequenceOption::OwnedBy(None) => {}
            SequenceOption::OwnedBy(Some(_)) => return Err(Error::unsupported("OWNED BY in CREATE SEQUENCE")),
            SequenceOption::Restart(_) | SequenceOption::Name(_) => {
                return Err(Error::unsupported("RESTART or SEQUENCE NAME here"));
            }
        }
    }
    let (lowest, highest) = match ty {
        oid::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        oid::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    let min = min.unwrap_or(if increment > 0 { 1 } else { lowest });
    let max = max.unwrap_or(if increment > 0 { highest } else { -1 });
    if min >= max {
        return Err(invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
    }
    let start = start.unwrap_or(if increment > 0 { min } else { max });
    if start < min {
        return Err(invalid(format!("START value ({start}) cannot be less than MINVALUE ({min})")));
    }
    if start > max {
        return Err(invalid(format!("START value ({start}) cannot be greater than MAXVALUE ({max})")));
    }
    Ok(Sequence { storage: ObjectId(0), ty, start, increment, min, max, cache, cycle, owned_by: None, identity: false })
}

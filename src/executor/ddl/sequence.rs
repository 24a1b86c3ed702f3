//! CREATE and ALTER SEQUENCE.
//!
//! A sequence's value is outside of transactions, so RESTART makes a new storage object that replaces the old one at
//! COMMIT; a change of bounds alone keeps the object.

use super::DdlContext;
use super::dependency::Target;
use crate::catalog::image::{Attribute, Body, Relation, RelationKind, Sequence};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::ObjectName;
use crate::sql::ast::utility::{AlterSequence, CreateSequence, SequenceOption};
use crate::types::{Oid, Type, oid};
use lightning_storage::{LockMode, ObjectId, SequenceDef};

/// What sequence options come to.
pub(super) struct Wanted {
    pub(super) sequence: Sequence,
    /// RESTART: the value to begin with.
    restart: Option<i64>,
    /// OWNED BY: `Some(None)` is NONE.
    owned_by: Option<Option<ObjectName>>,
}

impl DdlContext<'_> {
    pub(super) fn create_sequence(&mut self, create: &CreateSequence) -> Result<&'static str> {
        const TAG: &str = "CREATE SEQUENCE";
        if create.unlogged {
            return Err(Error::unsupported("unlogged sequences"));
        }
        let (schema, name) = self.creation_target(&create.name, create.temporary).map_err(super::without_position)?;
        if self.is_taken(schema, &name, create.if_not_exists)? {
            return Ok(TAG);
        }
        let wanted = sequence_definition(self, &create.options, None, None)?;
        if wanted.restart.is_some() {
            return Err(Error::new(SqlState::SyntaxError, "sequence option \"restart\" not supported here"));
        }
        let oid = self.put_sequence(schema, name, wanted.sequence)?;
        if let Some(owner) = wanted.owned_by {
            self.set_sequence_owner(oid, owner.as_ref())?;
        }
        Ok(TAG)
    }

    pub(super) fn put_sequence(&mut self, schema: Oid, name: String, mut sequence: Sequence) -> Result<Oid> {
        sequence.storage = self.with(|tx| tx.create_sequence(storage_definition(&sequence)))?;
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
            steering: Default::default(),
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
            temporary: self.temp_schema() == Some(schema),
            attributes: columns.into_iter().enumerate().map(attribute).collect(),
            constraints: Vec::new(),
            referenced_by: Vec::new(),
            indexes: Vec::new(),
            body: Body::Sequence(sequence),
            row_estimate: -1.0,
        })?;
        Ok(oid)
    }

    pub(super) fn alter_sequence(&mut self, alter: &AlterSequence) -> Result<&'static str> {
        const TAG: &str = "ALTER SEQUENCE";
        if alter.if_exists && self.find(&alter.name).is_none() {
            let message = format!("relation \"{}\" does not exist, skipping", alter.name.name());
            self.notice(SqlState::SuccessfulCompletion, message);
            return Ok(TAG);
        }
        let relation = self.owned(&alter.name, RelationKind::Sequence)?;
        self.change_sequence(relation.oid, &alter.options, false)?;
        Ok(TAG)
    }

    /// Sequence options on a sequence that exists; `identity`: written as ALTER COLUMN … SET or RESTART.
    pub(super) fn change_sequence(&mut self, oid: Oid, options: &[SequenceOption], identity: bool) -> Result<()> {
        self.lock(oid, LockMode::ShareRowExclusive)?;
        let relation = self.table(oid)?;
        let Body::Sequence(before) = &relation.body else {
            return Err(Error::internal(format!("\"{}\" is not a sequence", relation.name)));
        };
        let wanted = sequence_definition(self, options, None, Some(before))?;
        if identity && wanted.owned_by.is_some() {
            return Err(Error::new(SqlState::SyntaxError, "sequence option \"owned_by\" not supported here"));
        }
        let (last, called) = self.with(|tx| tx.sequence_state(before.storage))?;
        let (value, called) = wanted.restart.map_or((last, called), |value| (value, false));
        let (min, max) = (wanted.sequence.min, wanted.sequence.max);
        let outside = |word: &str, name: &str, bound: i64| {
            let message = format!("RESTART value ({value}) cannot be {word} than {name} ({bound})");
            Err(Error::new(SqlState::InvalidParameterValue, message))
        };
        if value < min {
            return outside("less", "MINVALUE", min);
        }
        if value > max {
            return outside("greater", "MAXVALUE", max);
        }
        let mut changed = (*relation).clone();
        let mut sequence = wanted.sequence;
        if wanted.restart.is_some() {
            sequence.storage = self.renewed_storage(before.storage, &sequence, value, called)?;
        } else {
            self.with(|tx| tx.alter_sequence(before.storage, storage_definition(&sequence)))?;
        }
        changed.body = Body::Sequence(sequence);
        self.put_relation(changed)?;
        match wanted.owned_by {
            Some(owner) => self.set_sequence_owner(oid, owner.as_ref()),
            None => Ok(()),
        }
    }

    /// Makes a sequence begin again at `value`.
    pub(super) fn restart_sequence(&mut self, oid: Oid, value: i64, called: bool) -> Result<()> {
        let mut relation = (*self.table(oid)?).clone();
        let Body::Sequence(sequence) = &mut relation.body else { return Ok(()) };
        self.lock(oid, LockMode::ShareRowExclusive)?;
        sequence.storage = self.renewed_storage(sequence.storage, sequence, value, called)?;
        self.put_relation(relation)
    }

    /// A new storage object in the place of an old one.
    fn renewed_storage(&self, old: ObjectId, sequence: &Sequence, value: i64, called: bool) -> Result<ObjectId> {
        self.with(|tx| {
            let new = tx.create_sequence(storage_definition(sequence))?;
            tx.setval(new, value, called)?;
            tx.drop_object(old)?;
            Ok(new)
        })
    }

    /// OWNED BY.
    fn set_sequence_owner(&mut self, oid: Oid, owner: Option<&ObjectName>) -> Result<()> {
        let mut relation = (*self.table(oid)?).clone();
        let wrong_state = |message: &str| Err(Error::new(SqlState::ObjectNotInPrerequisiteState, message));
        let owned_by = match owner {
            None => None,
            Some(name) if name.parts.len() < 2 => {
                let error = Error::new(SqlState::SyntaxError, "invalid OWNED BY option");
                return Err(error.hint("Specify OWNED BY table.column or OWNED BY NONE."));
            }
            Some(name) => {
                let (column, table) = name.parts.split_last().expect("there are two parts or more");
                let table = self.find_required(&ObjectName { parts: table.to_vec(), pos: name.pos })?;
                if !matches!(table.body, Body::Table { .. }) {
                    let message = format!("sequence cannot be owned by relation \"{}\"", table.name);
                    return Err(Error::new(SqlState::WrongObjectType, message));
                }
                if table.owner != relation.owner {
                    return wrong_state("sequence must have same owner as table it is linked to");
                }
                if table.schema != relation.schema {
                    return wrong_state("sequence must be in same schema as table it is linked to");
                }
                let Some(attribute) = table.attribute(column) else {
                    let message = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
                    return Err(Error::new(SqlState::UndefinedColumn, message));
                };
                Some((table.oid, attribute.number))
            }
        };
        let Body::Sequence(sequence) = &mut relation.body else { return Ok(()) };
        if sequence.identity {
            let table = sequence.owned_by.map(|(table, _)| self.describe(Target::Relation(table))).unwrap_or_default();
            let detail = format!("Sequence \"{}\" is linked to {}.", relation.name, quoted(&table));
            let message = "cannot change ownership of identity sequence";
            return Err(Error::new(SqlState::FeatureNotSupported, message).detail(detail));
        }
        sequence.owned_by = owned_by;
        self.put_relation(relation)
    }
}

/// `table t` as `table "t"`.
fn quoted(description: &str) -> String {
    match description.split_once(' ') {
        Some((kind, name)) => format!("{kind} \"{}\"", name.trim_matches('"')),
        None => description.to_owned(),
    }
}

fn storage_definition(sequence: &Sequence) -> SequenceDef {
    SequenceDef {
        start: sequence.start,
        increment: sequence.increment,
        min: sequence.min,
        max: sequence.max,
        cycle: sequence.cycle,
    }
}

/// The bounds of a sequence's type.
fn bounds(ty: Oid) -> (i64, i64) {
    match ty {
        oid::INT2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        oid::INT4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

/// A sequence of the given options, over what it was before; `ty` is the type of serial and identity columns.
pub(super) fn sequence_definition(
    ctx: &DdlContext<'_>,
    options: &[SequenceOption],
    ty: Option<Oid>,
    before: Option<&Sequence>,
) -> Result<Wanted> {
    let invalid = |message: String| Error::new(SqlState::InvalidParameterValue, message);
    let mut sequence = before.cloned().unwrap_or(Sequence {
        storage: ObjectId(0),
        ty: ty.unwrap_or(oid::INT8),
        start: 0,
        increment: 1,
        min: 0,
        max: 0,
        cache: 1,
        cycle: false,
        owned_by: None,
        identity: false,
    });
    let (mut min, mut max, mut start) = match before {
        Some(before) => (Some(before.min), Some(before.max), Some(before.start)),
        None => (None, None, None),
    };
    let (mut restart, mut owned_by) = (None, None);
    for option in options {
        match option {
            SequenceOption::As(name) => {
                let new = ctx.bind_type(name)?.oid;
                if !matches!(new, oid::INT2 | oid::INT4 | oid::INT8) {
                    let what = if ty.is_some() { "identity column type" } else { "sequence type" };
                    return Err(invalid(format!("{what} must be smallint, integer, or bigint")));
                }
                // Bounds that were the old type's follow the type.
                let old = bounds(sequence.ty);
                max = max.filter(|max| *max != old.1);
                min = min.filter(|min| *min != old.0);
                sequence.ty = new;
            }
            SequenceOption::Increment(0) => return Err(invalid("INCREMENT must not be zero".to_owned())),
            SequenceOption::Increment(by) => sequence.increment = *by,
            SequenceOption::MinValue(value) => min = *value,
            SequenceOption::MaxValue(value) => max = *value,
            SequenceOption::Start(value) => start = Some(*value),
            SequenceOption::Cache(value) if *value <= 0 => {
                return Err(invalid(format!("CACHE ({value}) must be greater than zero")));
            }
            SequenceOption::Cache(value) => sequence.cache = *value,
            SequenceOption::Cycle(value) => sequence.cycle = *value,
            SequenceOption::OwnedBy(owner) => owned_by = Some(owner.clone()),
            SequenceOption::Restart(value) => restart = Some(*value),
            SequenceOption::Name(_) => return Err(Error::unsupported("SEQUENCE NAME")),
        }
    }
    let ((lowest, highest), up) = (bounds(sequence.ty), sequence.increment > 0);
    sequence.min = min.unwrap_or(if up { 1 } else { lowest });
    sequence.max = max.unwrap_or(if up { highest } else { -1 });
    let type_name = ctx.binder(|binder| Ok(binder.type_name(Type::new(sequence.ty))))?;
    for (name, value) in [("MAXVALUE", sequence.max), ("MINVALUE", sequence.min)] {
        if !(lowest..=highest).contains(&value) {
            return Err(invalid(format!("{name} ({value}) is out of range for sequence data type {type_name}")));
        }
    }
    if sequence.min >= sequence.max {
        let message = format!("MINVALUE ({}) must be less than MAXVALUE ({})", sequence.min, sequence.max);
        return Err(invalid(message));
    }
    sequence.start = start.unwrap_or(if up { sequence.min } else { sequence.max });
    if sequence.start < sequence.min {
        let message = format!("START value ({}) cannot be less than MINVALUE ({})", sequence.start, sequence.min);
        return Err(invalid(message));
    }
    if sequence.start > sequence.max {
        let message = format!("START value ({}) cannot be greater than MAXVALUE ({})", sequence.start, sequence.max);
        return Err(invalid(message));
    }
    let restart = restart.map(|value| value.unwrap_or(sequence.start));
    Ok(Wanted { sequence, restart, owned_by })
}

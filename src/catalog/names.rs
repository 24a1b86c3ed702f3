//! Types and other objects by name and by oid, over one catalog image and search path: `format_type`, visibility, quoting.

use super::builtin::{self, BuiltinType};
use super::image::{EnumLabel, Image, Relation, UserType};
use super::store::fixed;
use super::system;
use crate::error::{Error, Result, SqlState};
use crate::types::text_io::Names;
use crate::types::{Oid, Text, interval, oid, typmod};
use std::sync::Arc;

/// A catalog and the order in which its schemas are searched, implicit ones included.
#[derive(Clone, Copy, Debug)]
pub struct Namespace<'a> {
    /// The catalog.
    pub image: &'a Image,
    /// Schemas in order.
    pub path: &'a [Oid],
}

/// array_subscript_handler: what true arrays are subscripted by.
const ARRAY_SUBSCRIPT: Oid = Oid(6179);

/// A type of either world.
enum Known {
    BuiltIn(&'static BuiltinType),
    Row(Arc<Relation>),
    /// The array type over a row type.
    RowArray(Arc<Relation>),
    /// An enum or a domain.
    User(Arc<UserType>),
    /// The array type over one.
    UserArray(Arc<UserType>),
}

impl Image {
    /// The relation whose row type this is.
    pub fn relation_of_row_type(&self, ty: Oid) -> Option<&Arc<Relation>> {
        if ty == Oid::NONE {
            return None;
        }
        match builtin::type_by_oid(ty) {
            Some(built_in) => self.relations.get(&built_in.relation),
            None => self.relations.get(self.row_types.get(&ty)?),
        }
    }
}

/// The labels alone.
impl Names for Image {
    fn label(&self, ty: Oid, place: &str) -> Option<Text> {
        let label = self.types.get(&ty)?.labels().iter().find(|label| label.place == place)?;
        Some(Text::from(label.name.as_str()))
    }
    fn place(&self, ty: Oid, label: &str) -> Result<Text> {
        Namespace { image: self, path: &[] }.place(ty, label)
    }
    fn read(&self, _: Oid, text: &str) -> Result<Oid> {
        Err(Error::unsupported(format!("looking up the name \"{text}\" here")))
    }
    fn show(&self, _: Oid, _: Oid) -> Option<String> {
        None
    }
}

impl Namespace<'_> {
    /// The relation that a name without a schema means.
    pub fn relation(&self, name: &str) -> Option<&Arc<Relation>> {
        self.searched().find_map(|schema| self.image.relation(schema, name))
    }

    /// The session's schema of temporary relations, if it has one.
    pub fn temporary_schema(&self) -> Option<Oid> {
        let is_temporary = |schema: &&Oid| {
            self.image.schemas.get(schema).is_some_and(|schema| schema.name.starts_with(super::store::TEMPORARY_SCHEMA))
        };
        self.path.iter().find(is_temporary).copied()
    }

    /// Whether a relation is what its name without a schema means.
    pub fn relation_is_visible(&self, relation: &Relation) -> bool {
        self.relation(&relation.name).is_some_and(|found| found.oid == relation.oid)
    }

    /// The schemas in order; pg_catalog is always among them, first when it is not named.
    fn searched(&self) -> impl Iterator<Item = Oid> + '_ {
        let implicit = (!self.path.contains(&fixed::PG_CATALOG)).then_some(fixed::PG_CATALOG);
        implicit.into_iter().chain(self.path.iter().copied())
    }

    fn known(&self, ty: Oid) -> Option<Known> {
        if let Some(row) = builtin::type_by_oid(ty) {
            return Some(Known::BuiltIn(row));
        }
        if let Some((found, array)) = self.image.user_type(ty) {
            return Some(if array { Known::UserArray(found.clone()) } else { Known::User(found.clone()) });
        }
        if let Some(relation) = self.image.relation_of_row_type(ty) {
            return Some(Known::Row(relation.clone()));
        }
        let row_type = system::element_of_array_oid(ty)?;
        self.image.relation_of_row_type(row_type).cloned().map(Known::RowArray)
    }

    /// The type that a name means: built-in ones first where their schema is searched first.
    pub fn find_type(&self, schema: Option<&str>, name: &str) -> Option<Oid> {
        let row_type = |relation: &Arc<Relation>| Some(relation.row_type).filter(|ty| *ty != Oid::NONE);
        match schema {
            Some(schema) => builtin::type_in_schema(schema, name).map(|ty| ty.oid).or_else(|| {
                let schema = match (schema, self.temporary_schema()) {
                    ("pg_temp", Some(temporary)) => temporary,
                    _ => *self.image.schema_names.get(schema)?,
                };
                let user = self.image.type_named(schema, name);
                user.or_else(|| self.image.relation(schema, name).and_then(row_type))
            }),
            None => self.searched().find_map(|schema| {
                let built_in = match schema {
                    fixed::PG_CATALOG => builtin::type_by_name(name),
                    fixed::INFORMATION_SCHEMA => builtin::type_in_schema("information_schema", name),
                    _ => None,
                };
                let found = built_in.map(|ty| ty.oid).or_else(|| self.image.type_named(schema, name));
                found.or_else(|| self.image.relation(schema, name).and_then(row_type))
            }),
        }
    }

    /// Whether a type is what its name without a schema means; `None`: there is no such type.
    pub fn type_is_visible(&self, ty: Oid) -> Option<bool> {
        Some(match self.known(ty)? {
            Known::BuiltIn(row) => self.find_type(None, row.name) == Some(ty),
            Known::Row(relation) => self.find_type(None, &relation.name) == Some(ty),
            Known::RowArray(relation) => self.path.contains(&relation.schema),
            Known::User(found) => self.find_type(None, &found.name) == Some(ty),
            Known::UserArray(found) => self.find_type(None, &found.array_name) == Some(ty),
        })
    }

    /// `format_type`: SQL's name of a type, with its modifier when one is given, qualified when it is not visible.
    pub fn format_type(&self, ty: Oid, modifier: Option<i32>) -> String {
        if ty == Oid::NONE {
            return "-".to_owned();
        }
        let Some(known) = self.known(ty) else { return "???".to_owned() };
        let array = |element: Oid| format!("{}[]", self.format_type(element, modifier));
        match known {
            // name, point and their like have elements but are no arrays.
            Known::BuiltIn(row) if row.subscript == ARRAY_SUBSCRIPT && row.storage != b'p' => array(row.element),
            Known::BuiltIn(row) => match sql_name(ty, modifier) {
                Some(name) => name,
                None => self.qualified(self.type_is_visible(ty) == Some(true), row.schema, row.name),
            },
            Known::Row(relation) => {
                let visible = self.type_is_visible(ty) == Some(true);
                self.qualified(visible, &relation.schema_name, &relation.name)
            }
            Known::RowArray(relation) => array(relation.row_type),
            Known::User(found) => {
                let schema = self.image.schemas.get(&found.schema).map_or("", |schema| &schema.name);
                self.qualified(self.type_is_visible(ty) == Some(true), schema, &found.name)
            }
            Known::UserArray(found) => array(found.oid),
        }
    }

    /// The place of an enum's label, for a new value.
    ///
    /// # Errors
    /// 22P02 when the enum has no such label, 55P04 when this transaction has added it.
    pub fn place(&self, ty: Oid, label: &str) -> Result<Text> {
        let known = self.image.types.get(&ty).and_then(|ty| ty.labels().iter().find(|known| known.name == label));
        let Some(known) = known else {
            let message = format!("invalid input value for enum {}: \"{label}\"", self.format_type(ty, None));
            return Err(Error::new(SqlState::InvalidTextRepresentation, message));
        };
        self.check_label(ty, known)?;
        Ok(known.place.as_str().into())
    }

    /// 55P04 for a label that the transaction has added: values with it would outlive the label in indexes if the transaction
    /// were rolled back.
    ///
    /// # Errors
    /// See above.
    pub fn check_label(&self, ty: Oid, label: &EnumLabel) -> Result<()> {
        if !self.image.new_labels.contains(&label.oid) {
            return Ok(());
        }
        let message = format!("unsafe use of new value \"{}\" of enum type {}", label.name, self.format_type(ty, None));
        Err(Error::new(SqlState::UnsafeNewEnumValueUsage, message)
            .hint("New enum values must be committed before they can be used."))
    }

    fn qualified(&self, visible: bool, schema: &str, name: &str) -> String {
        if visible { quote(name) } else { format!("{}.{}", quote(schema), quote(name)) }
    }

    /// A relation's name as regclass shows it.
    pub fn relation_name(&self, relation: &Relation) -> String {
        let visible = self.relation_is_visible(relation);
        let schema = self.image.schemas.get(&relation.schema).map_or("", |schema| &schema.name);
        self.qualified(visible, schema, &relation.name)
    }

    /// Whether built-in functions, operators, … of a schema are found by their names alone.
    pub fn built_in_is_visible(&self, schema: &str) -> bool {
        self.searched().any(|searched| searched == system::schema_oid(schema))
    }
}

/// An identifier as SQL text needs it.
pub fn quote(name: &str) -> String {
    crate::executor::functions::string::quote_identifier(name)
}

/// The names that SQL itself has for types, modifiers included.
fn sql_name(ty: Oid, modifier: Option<i32>) -> Option<String> {
    let given = modifier.filter(|modifier| *modifier >= 0);
    let length = |name: &str| match given {
        Some(modifier) => format!("{name}({})", modifier - 4),
        None => name.to_owned(),
    };
    let precision = |name: &str, zone: &str| match given {
        Some(modifier) => format!("{name}({modifier}) {zone} time zone"),
        None => format!("{name} {zone} time zone"),
    };
    Some(match ty {
        oid::BOOL => "boolean".to_owned(),
        oid::INT2 => "smallint".to_owned(),
        oid::INT4 => "integer".to_owned(),
        oid::INT8 => "bigint".to_owned(),
        oid::FLOAT4 => "real".to_owned(),
        oid::FLOAT8 => "double precision".to_owned(),
        oid::NUMERIC => match given.and_then(typmod::numeric) {
            Some((precision, scale)) => format!("numeric({precision},{scale})"),
            None => "numeric".to_owned(),
        },
        // char without a length is char(1) in SQL: the type without any modifier keeps its own name.
        oid::BPCHAR if modifier.is_some() && given.is_none() => "bpchar".to_owned(),
        oid::BPCHAR => length("character"),
        oid::VARCHAR => length("character varying"),
        oid::CHAR => "\"char\"".to_owned(),
        oid::TIME => precision("time", "without"),
        oid::TIMETZ => precision("time", "with"),
        oid::TIMESTAMP => precision("timestamp", "without"),
        oid::TIMESTAMPTZ => precision("timestamp", "with"),
        oid::INTERVAL => match given {
            Some(modifier) => format!("interval{}", interval::interval_typmod_out(modifier)),
            None => "interval".to_owned(),
        },
        Oid(1560) => match (modifier, given) {
            (Some(_), None) => "\"bit\"".to_owned(),
            (_, Some(modifier)) => format!("bit({modifier})"),
            _ => "bit".to_owned(),
        },
        Oid(1562) => match given {
            Some(modifier) => format!("bit varying({modifier})"),
            None => "bit varying".to_owned(),
        },
        _ => return None,
    })
}

/// The comment on an object: a user's, else what is built in.
pub fn comment(image: &Image, object: Oid, class: Option<Oid>, sub: i32) -> Option<String> {
    let own = match class {
        Some(class) => image.comments.get(&(object, class, sub)),
        None => image.comments.iter().find(|((of, _, at), _)| *of == object && *at == sub).map(|(_, text)| text),
    };
    own.cloned().or_else(|| system::built_in_comment(object, class, sub))
}

/// The class oid of a catalog's name, for comments.
pub fn class_of(catalog: &str) -> Option<Oid> {
    system::relations().iter().find(|relation| relation.name == catalog).map(|relation| relation.oid)
}

//! Rows made of json by the columns that a definition list names (`json_to_record` and its kin), or that a row's type has
//! (`json_populate_record` and its kin).

use super::super::macros::strict;
use super::super::{CallContext, Rows};
use super::index::{Index, Kind};
use super::invalid;
use super::read::part_text;
use crate::error::{Error, Result, SqlState};
use crate::types::json::Strings;
use crate::types::jsonb::{Node, View};
use crate::types::{Array, ArrayDim, Datum, Type, oid, text_io, typmod};
use std::sync::Arc;

/// Whether a function has to be told the columns of its definition list: as one more argument, a row of name after name,
/// each before a NULL of the column's type.
pub fn takes_columns(symbol: &str) -> bool {
    matches!(symbol, "json_to_record" | "jsonb_to_record" | "json_to_recordset" | "jsonb_to_recordset")
}

/// Whether a function has to be told the columns of its first argument, likewise.
pub fn populates(symbol: &str) -> bool {
    matches!(
        symbol,
        "json_populate_record" | "jsonb_populate_record" | "json_populate_recordset" | "jsonb_populate_recordset"
    )
}

/// A value of either kind of json.
#[derive(Clone, Copy)]
enum Source<'a> {
    Text(&'a Index<'a>, usize),
    Binary(View<'a>),
}

enum Form<'a> {
    Null,
    Scalar,
    Array(Vec<Source<'a>>),
    Object,
}

impl<'a> Source<'a> {
    fn form(self) -> Form<'a> {
        match self {
            Source::Text(index, at) => match index.kind(at) {
                Kind::Null => Form::Null,
                Kind::Array => Form::Array(index.inner(at).map(|(_, item)| Source::Text(index, item)).collect()),
                Kind::Object => Form::Object,
                _ => Form::Scalar,
            },
            Source::Binary(value) => match value.node() {
                Node::Null => Form::Null,
                Node::Array(items) => Form::Array(items.iter().map(Source::Binary).collect()),
                Node::Object(_) => Form::Object,
                _ => Form::Scalar,
            },
        }
    }

    fn field(self, name: &str) -> Option<Source<'a>> {
        match self {
            Source::Text(index, at) => index.field(at, name).map(|at| Source::Text(index, at)),
            Source::Binary(value) => value.as_object()?.get(name).map(Source::Binary),
        }
    }

    /// As json.
    fn json(self) -> String {
        match self {
            Source::Text(index, at) => index.source(at).to_owned(),
            Source::Binary(value) => value.to_string(),
        }
    }

    /// A string's own text, any other's json.
    fn text(self) -> String {
        match self {
            Source::Text(index, at) => index.text(at).unwrap_or("null").to_owned(),
            Source::Binary(value) => part_text(value).map_or_else(|| "null".to_owned(), |text| text.to_string()),
        }
    }
}

/// Where a value stands, for errors: the column, and subscripts.
#[derive(Clone, Copy)]
struct Place<'a> {
    column: &'a str,
    subscripts: &'a [usize],
}

fn malformed(message: &str, place: Place<'_>) -> Error {
    let error = Error::new(SqlState::InvalidTextRepresentation, message);
    match place.subscripts {
        [] => error.hint(format!("See the value of key \"{}\".", place.column)),
        subscripts => {
            let subscripts: String = subscripts.iter().map(|at| format!("[{at}]")).collect();
            error.hint(format!("See the array element {subscripts} of key \"{}\".", place.column))
        }
    }
}

/// A value as one of a type.
fn value_of(ctx: &CallContext, source: Option<Source<'_>>, ty: Type, place: Place<'_>) -> Result<Datum> {
    let Some(source) = source else { return Ok(Datum::Null) };
    let form = source.form();
    let ty = crate::catalog::builtin::base_type(ty);
    if let Form::Null = form {
        return Ok(Datum::Null);
    }
    let text = match ty.oid {
        oid::JSON | oid::JSONB => source.json(),
        other => {
            let is_string = matches!(form, Form::Scalar) && source.json().starts_with('"');
            match oid::element_of(other) {
                Some(element) if !is_string => {
                    let Form::Array(items) = form else { return Err(malformed("expected JSON array", place)) };
                    return array_of(ctx, items, Type::with_typmod(element, ty.typmod), place);
                }
                None if crate::catalog::builtin::type_by_oid(other).is_none() => {
                    return Err(Error::unsupported("a row value made of json"));
                }
                _ => source.text(),
            }
        }
    };
    typmod::apply(text_io::input_plain(&text, ty, &ctx.text())?, ty, false)
}

fn array_of(ctx: &CallContext, items: Vec<Source<'_>>, element: Type, place: Place<'_>) -> Result<Datum> {
    let mut found = Found { ctx, element, column: place.column, dims: Vec::new(), known: false, items: Vec::new() };
    found.level(items, &mut Vec::new())?;
    if found.items.is_empty() {
        return Ok(Datum::Array(Arc::new(Array::of(element.oid, Vec::new()))));
    }
    let dims = found.dims.into_iter().map(|len| ArrayDim { len: len as i32, lower: 1 }).collect();
    Ok(Datum::Array(Arc::new(Array { element: element.oid, dims, items: found.items })))
}

/// An array's items and the lengths of its dimensions, as they are found: the first item that is no array ends their count.
struct Found<'a> {
    ctx: &'a CallContext,
    element: Type,
    column: &'a str,
    dims: Vec<usize>,
    known: bool,
    items: Vec<Datum>,
}

impl Found<'_> {
    fn level(&mut self, items: Vec<Source<'_>>, at: &mut Vec<usize>) -> Result<()> {
        let depth = at.len();
        if !self.known && self.dims.len() == depth {
            if depth == 6 {
                let message = "number of array dimensions (7) exceeds the maximum allowed (6)";
                return Err(Error::new(SqlState::ProgramLimitExceeded, message));
            }
            self.dims.push(items.len());
        } else if self.dims.get(depth).is_some_and(|len| *len != items.len()) {
            return Err(Error::new(SqlState::InvalidTextRepresentation, "malformed JSON array")
                .detail("Multidimensional arrays must have sub-arrays with matching dimensions."));
        }
        for (number, item) in items.into_iter().enumerate() {
            at.push(number);
            let place = Place { column: self.column, subscripts: at };
            match item.form() {
                Form::Array(inner) if !self.known || self.dims.len() > depth + 1 => self.level(inner, at)?,
                _ if self.known && self.dims.len() > depth + 1 => {
                    return Err(malformed("expected JSON array", place));
                }
                _ => {
                    self.known = true;
                    let value = value_of(self.ctx, Some(item), self.element, place)?;
                    self.items.push(value);
                }
            }
            at.pop();
        }
        Ok(())
    }
}

/// One row; what the object lacks is the base row's.
fn row_of(ctx: &CallContext, source: Source<'_>, target: &Target<'_>) -> Result<Datum> {
    let (columns, _) = target.columns.as_chunks::<2>();
    let mut fields = Vec::with_capacity(columns.len());
    for (at, [(_, name), (ty, _)]) in columns.iter().enumerate() {
        let Datum::Text(name) = name else { return Err(Error::internal("a column without a name")) };
        let place = Place { column: name, subscripts: &[] };
        let value = match (source.field(name), target.base) {
            (None, Some(base)) => base.get(at).map(|field| field.1.clone()).unwrap_or_default(),
            (found, _) => value_of(ctx, found, *ty, place)?,
        };
        fields.push((*ty, value));
    }
    Ok(Datum::Record(fields.into()))
}

/// What rows are made as.
struct Target<'a> {
    /// Name after name, each before a NULL of the column's type.
    columns: &'a [(Type, Datum)],
    base: Option<&'a [(Type, Datum)]>,
    function: &'a str,
}

impl<'a> Target<'a> {
    /// By a definition list.
    fn defined(args: &'a [Datum], function: &'a str) -> Result<(&'a Datum, Target<'a>)> {
        match args {
            [source, Datum::Record(columns)] => Ok((source, Target { columns, base: None, function })),
            _ => Err(Error::unsupported(format!("{function}() without a column definition list"))),
        }
    }

    /// By the type of a row, the first argument.
    fn populated(args: &'a [Datum], function: &'a str) -> Result<(&'a Datum, Target<'a>)> {
        let (base, source, columns) = match args {
            [base, source, Datum::Record(columns)] | [base, source, _, Datum::Record(columns)] => {
                (base, source, columns)
            }
            _ => {
                let message = format!("could not determine row type for result of {function}");
                return Err(Error::new(SqlState::FeatureNotSupported, message).hint(
                    "Provide a non-null record argument, or call the function in the FROM clause using a column \
                     definition list.",
                ));
            }
        };
        let base = match base {
            Datum::Record(base) => Some(&base[..]),
            _ => None,
        };
        Ok((source, Target { columns, base, function }))
    }

    /// The object as a row.
    fn row(&self, ctx: &CallContext, source: &Datum) -> Result<Datum> {
        with_source(source, |source| match source.map(|source| (source, source.form())) {
            None => Ok(self.base.map_or(Datum::Null, |base| Datum::Record(base.into()))),
            Some((source, Form::Object)) => row_of(ctx, source, self),
            Some((_, Form::Array(_))) => Err(invalid("cannot call populate_composite on an array")),
            Some(_) => Err(invalid("cannot call populate_composite on a scalar")),
        })
    }

    /// The objects of an array as rows.
    fn rows(&self, ctx: &CallContext, source: &Datum) -> Result<Rows> {
        let item = |item: Source<'_>| match item.form() {
            Form::Object => row_of(ctx, item, self),
            _ => Err(invalid(format!("argument of {} must be an array of objects", self.function))),
        };
        let rows = with_source(source, |source| match source.map(Source::form) {
            None => Ok(Vec::new()),
            Some(Form::Array(items)) => items.into_iter().map(item).collect::<Result<Vec<_>>>(),
            Some(_) if matches!(source, Some(Source::Binary(_))) => {
                Err(invalid(format!("cannot call {} on a non-array", self.function)))
            }
            Some(Form::Object) => Err(invalid(format!("cannot call {} on an object", self.function))),
            Some(_) => Err(invalid(format!("cannot call {} on a scalar", self.function))),
        })?;
        Ok(Box::new(rows.into_iter().map(Ok)))
    }
}

/// Runs something over a value of json or jsonb.
fn with_source<T>(source: &Datum, run: impl FnOnce(Option<Source<'_>>) -> Result<T>) -> Result<T> {
    match source {
        Datum::Jsonb(value) => run(Some(Source::Binary(value.view()))),
        Datum::Text(text) => {
            let index = Index::of(text, Strings::Text)?;
            run(Some(Source::Text(&index, 0)))
        }
        _ => run(None),
    }
}

macro_rules! record_functions {
    ($($name:ident, $target:ident, $run:ident -> $result:ty;)*) => {$(
        fn $name(ctx: &CallContext, args: &[Datum]) -> Result<$result> {
            let (source, target) = Target::$target(args, stringify!($name))?;
            target.$run(ctx, source)
        }
    )*};
}

record_functions! {
    json_to_record, defined, row -> Datum;
    jsonb_to_record, defined, row -> Datum;
    json_to_recordset, defined, rows -> Rows;
    jsonb_to_recordset, defined, rows -> Rows;
    json_populate_record, populated, row -> Datum;
    jsonb_populate_record, populated, row -> Datum;
    json_populate_recordset, populated, rows -> Rows;
    jsonb_populate_recordset, populated, rows -> Rows;
}

strict! {
    TABLE:
    json_to_record = row;
    jsonb_to_record = row;
    json_to_recordset = set;
    jsonb_to_recordset = set;
    json_populate_record = row;
    jsonb_populate_record = row;
    json_populate_recordset = set;
    jsonb_populate_recordset = set;
}

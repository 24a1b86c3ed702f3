//! Literals of composite types: `(a,"b c",)` (PostgreSQL's `record_in`).

use super::Binder;
use crate::catalog::image::Relation;
use crate::error::{Error, Result, SqlState};
use crate::sql::tree::{Expr, ExprKind};
use crate::types::text_io::{self, TextContext};
use crate::types::{Datum, Type, typmod};

/// The fields of a literal as texts, NULL where nothing stands; `Err` says what is wrong with it.
fn fields(text: &str, count: usize) -> std::result::Result<Vec<Option<String>>, &'static str> {
    let rest = text.trim_start().strip_prefix('(').ok_or("Missing left parenthesis.")?;
    let mut characters = rest.chars().peekable();
    let mut fields = Vec::with_capacity(count);
    for i in 0..count {
        if i > 0 && characters.next_if_eq(&',').is_none() {
            return Err("Too few columns.");
        }
        if matches!(characters.peek(), Some(',' | ')')) {
            fields.push(None);
            continue;
        }
        let (mut value, mut quoted) = (String::new(), false);
        while quoted || !matches!(characters.peek(), Some(',' | ')')) {
            match characters.next().ok_or("Unexpected end of input.")? {
                '\\' => value.push(characters.next().ok_or("Unexpected end of input.")?),
                '"' if !quoted => quoted = true,
                '"' if characters.next_if_eq(&'"').is_some() => value.push('"'),
                '"' => quoted = false,
                other => value.push(other),
            }
        }
        fields.push(Some(value));
    }
    match characters.next() {
        Some(')') if characters.all(|c| c.is_ascii_whitespace()) => Ok(fields),
        Some(')') => Err("Junk after right parenthesis."),
        _ => Err("Too many columns."),
    }
}

impl Binder<'_> {
    /// A literal as a row of a relation, each field read by its type.
    pub(super) fn read_record(&mut self, text: &str, ty: Type, relation: &Relation, pos: u32) -> Result<Expr> {
        let types: Vec<Type> = relation.live_attributes().map(|attribute| attribute.ty).collect();
        let fields = fields(text, types.len()).map_err(|detail| {
            let message = format!("malformed record literal: \"{text}\"");
            Error::new(SqlState::InvalidTextRepresentation, message).detail(detail).at(self.position(pos))
        })?;
        let call = self.ctx.call;
        let names: &dyn text_io::Names = &*call.host;
        let context =
            TextContext { format: &call.format, time_zone: &call.time_zone, now: call.transaction_time, names };
        let mut values = Vec::with_capacity(fields.len());
        for (field, ty) in fields.into_iter().zip(types) {
            let value = match field {
                None => Datum::Null,
                Some(field) => text_io::input_plain(&field, ty, &context)
                    .and_then(|value| typmod::apply(value, ty, false))
                    .map_err(|error| error.at(self.position(pos)))?,
            };
            values.push(Expr { kind: ExprKind::Const(value), ty });
        }
        Ok(Expr { kind: ExprKind::Row(values), ty })
    }
}

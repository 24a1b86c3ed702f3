//! json_agg, json_object_agg and those of jsonb. The result is NULL where no row came; null values are kept.

use super::{Accumulator, Start};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::executor::functions::json::build::{array_of, object_of};
use crate::executor::functions::json::value::{Typed, is_structured, key_text, to_jsonb, write};
use crate::types::json::quote;
use crate::types::jsonb::Jsonb;
use crate::types::{Datum, Type, oid};

/// The type of an argument.
fn argument(start: &Start<'_>, at: usize) -> Type {
    start.args.get(at).map_or(Type::new(oid::TEXT), |ty| crate::catalog::builtin::base_type(*ty))
}

fn typed(value: &Datum, ty: Type) -> Typed<'_> {
    // Rows have become json before they come here.
    Typed { value, ty, shape: &Datum::Null }
}

/// json_agg and jsonb_agg. Another argument beside the value says that it was a row.
pub(super) struct Items {
    ty: Type,
    structured: bool,
    items: Values,
}

enum Values {
    Text(Option<String>),
    Binary(Vec<Jsonb>, usize),
}

impl Items {
    pub(super) fn text(start: &Start<'_>) -> Items {
        let ty = argument(start, 0);
        let structured = start.args.len() > 1 || is_structured(ty.oid);
        Items { ty, structured, items: Values::Text(None) }
    }

    pub(super) fn binary(start: &Start<'_>) -> Items {
        Items { ty: argument(start, 0), structured: false, items: Values::Binary(Vec::new(), 0) }
    }
}

impl Accumulator for Items {
    fn add(&mut self, ctx: &CallContext, args: &[Datum]) -> Result<()> {
        let value = typed(&args[0], self.ty);
        match &mut self.items {
            Values::Text(text) => {
                match text {
                    None => *text = Some("[".to_owned()),
                    Some(text) => {
                        text.push_str(", ");
                        if self.structured && !args[0].is_null() {
                            text.push_str("\n ");
                        }
                    }
                }
                write(ctx, value, text.get_or_insert_default())
            }
            Values::Binary(items, bytes) => {
                let item = to_jsonb(ctx, value)?;
                *bytes += item.bytes().len();
                items.push(item);
                Ok(())
            }
        }
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        match &self.items {
            Values::Text(text) => Ok(text.as_ref().map_or(Datum::Null, |text| Datum::Text(format!("{text}]").into()))),
            Values::Binary(items, _) if items.is_empty() => Ok(Datum::Null),
            Values::Binary(items, _) => array_of(items).map(Datum::Jsonb),
        }
    }

    fn memory(&self) -> usize {
        match &self.items {
            Values::Text(text) => text.as_ref().map_or(0, String::capacity),
            Values::Binary(items, bytes) => items.capacity() * size_of::<Jsonb>() + bytes,
        }
    }
}

/// json_object_agg and jsonb_object_agg.
pub(super) struct Pairs {
    key: Type,
    value: Type,
    pairs: PairValues,
}

enum PairValues {
    Text(Option<String>),
    Binary(Vec<(String, Jsonb)>, usize),
}

impl Pairs {
    pub(super) fn text(start: &Start<'_>) -> Pairs {
        Pairs { key: argument(start, 0), value: argument(start, 1), pairs: PairValues::Text(None) }
    }

    pub(super) fn binary(start: &Start<'_>) -> Pairs {
        Pairs { key: argument(start, 0), value: argument(start, 1), pairs: PairValues::Binary(Vec::new(), 0) }
    }
}

impl Accumulator for Pairs {
    fn add(&mut self, ctx: &CallContext, args: &[Datum]) -> Result<()> {
        if args[0].is_null() {
            return Err(Error::new(SqlState::InvalidParameterValue, "field name must not be null"));
        }
        let key = key_text(ctx, typed(&args[0], self.key))?;
        let value = typed(&args[1], self.value);
        match &mut self.pairs {
            PairValues::Text(text) => {
                match text {
                    None => *text = Some("{ ".to_owned()),
                    Some(text) => text.push_str(", "),
                }
                let text = text.get_or_insert_default();
                quote(&key, text);
                text.push_str(" : ");
                write(ctx, value, text)
            }
            PairValues::Binary(pairs, bytes) => {
                let value = to_jsonb(ctx, value)?;
                *bytes += key.len() + value.bytes().len();
                pairs.push((key, value));
                Ok(())
            }
        }
    }

    fn result(&self, _ctx: &CallContext) -> Result<Datum> {
        match &self.pairs {
            PairValues::Text(text) => {
                Ok(text.as_ref().map_or(Datum::Null, |text| Datum::Text(format!("{text} }}").into())))
            }
            PairValues::Binary(pairs, _) if pairs.is_empty() => Ok(Datum::Null),
            PairValues::Binary(pairs, _) => object_of(pairs).map(Datum::Jsonb),
        }
    }

    fn memory(&self) -> usize {
        match &self.pairs {
            PairValues::Text(text) => text.as_ref().map_or(0, String::capacity),
            PairValues::Binary(pairs, bytes) => pairs.capacity() * size_of::<(String, Jsonb)>() + bytes,
        }
    }
}

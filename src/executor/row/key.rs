//! Index keys: from values to the ranges of encoded keys that an index scan reads.

use super::frame::Frame;
use super::plan::{KeyEnd, KeyRange};
use super::{prefix, value};
use crate::catalog::image::{Index, IndexKey};
use crate::error::Result;
use crate::types::numeric::Numeric;
use crate::types::{self, Datum, Type, oid};
use lightning_storage::ColumnType;
use lightning_storage::KeyRange as Range;
use std::cmp::Ordering;
use std::ops::Bound;

/// The ranges of one scan, in the index's order; none when a value is NULL.
pub(super) fn ranges(range: &KeyRange, index: &Index, f: &mut Frame) -> Result<Vec<Range>> {
    let mut begin = Vec::with_capacity(range.equals.len() + 1);
    for (code, key) in range.equals.iter().zip(&index.keys) {
        let Fitted::Value(value) = fit(code.eval(f)?, key) else { return Ok(Vec::new()) };
        begin.push(value);
    }
    let next = index.keys.get(begin.len());
    if range.is_null {
        begin.push(Datum::Null);
        return Ok(vec![equal(&begin, index)?]);
    }
    if let (Some(code), Some(next)) = (&range.one_of, next) {
        let Datum::Array(array) = code.eval(f)? else { return Ok(Vec::new()) };
        let fitting = |item: &Datum| exact(item.clone(), next);
        let mut items: Vec<Datum> = array.items.iter().filter_map(fitting).collect();
        items.sort_by(value::compare);
        items.dedup_by(|a, b| value::compare(a, b) == Ordering::Equal);
        if next.descending {
            items.reverse();
        }
        let mut then = Vec::with_capacity(range.then.len());
        for (code, key) in range.then.iter().zip(&index.keys[begin.len() + 1..]) {
            let Some(value) = exact(code.eval(f)?, key) else { return Ok(Vec::new()) };
            then.push(value);
        }
        let mut ranges = Vec::with_capacity(items.len());
        for item in items {
            let all: Vec<Datum> = begin.iter().chain([&item]).chain(&then).cloned().collect();
            ranges.push(equal(&all, index)?);
        }
        return Ok(ranges);
    }
    if let Some((kind, code)) = &range.prefix {
        let Datum::Text(pattern) = code.eval(f)? else { return Ok(Vec::new()) };
        let text = prefix::of(*kind, &pattern).text;
        let upper = prefix::end(&text).map(|end| (vec![Datum::Text(end.into())], false));
        let lower = Some((vec![Datum::Text(text.into())], true));
        return between(&begin, lower, upper, index);
    }
    let mut end = |end: &Option<KeyEnd>| -> Result<Option<End>> {
        let Some(KeyEnd { values, inclusive }) = end else { return Ok(None) };
        let values = values.iter().map(|code| code.eval(f)).collect::<Result<_>>()?;
        Ok(Some((values, *inclusive)))
    };
    let (lower, upper) = (end(&range.lower)?, end(&range.upper)?);
    if lower.is_some() || upper.is_some() || range.not_null {
        return between(&begin, lower, upper, index);
    }
    Ok(vec![equal(&begin, index)?])
}

/// Values of consecutive keys, and whether keys equal to them are meant.
type End = (Vec<Datum>, bool);

/// All keys that begin with `prefix`.
fn equal(prefix: &[Datum], index: &Index) -> Result<Range> {
    if prefix.is_empty() {
        return Ok(Range { lower: Bound::Unbounded, upper: Bound::Unbounded });
    }
    let bytes = value::encode_key(prefix, index)?;
    Ok(Range { lower: Bound::Included(bytes.clone()), upper: Bound::Included(bytes) })
}

/// Keys that begin with `prefix` and whose next column lies between two ends; its NULLs are never among them.
fn between(prefix: &[Datum], lower: Option<End>, upper: Option<End>, index: &Index) -> Result<Vec<Range>> {
    let Some(key) = index.keys.get(prefix.len()) else { return Ok(vec![equal(prefix, index)?]) };
    // A bound beyond the column's type is no bound, or leaves nothing.
    let first = |end: &Option<End>| end.as_ref().and_then(|(values, _)| values.first()).map(|v| fit(v.clone(), key));
    let lower = match (first(&lower), lower) {
        (None | Some(Fitted::Below), _) | (_, None) => None,
        (Some(Fitted::Value(_)), Some(end)) => Some(fitting(end, &index.keys[prefix.len()..])),
        (Some(Fitted::After(value)), _) => Some((vec![value], false)),
        (Some(Fitted::Null | Fitted::Above), _) => return Ok(Vec::new()),
    };
    let upper = match (first(&upper), upper) {
        (None | Some(Fitted::Above), _) | (_, None) => None,
        (Some(Fitted::Value(_)), Some(end)) => Some(fitting(end, &index.keys[prefix.len()..])),
        (Some(Fitted::After(value)), _) => Some((vec![value], true)),
        (Some(Fitted::Null | Fitted::Below), _) => return Ok(Vec::new()),
    };
    let with = |end: &[Datum]| -> Result<Vec<u8>> { value::encode_key(&[prefix, end].concat(), index) };
    let bound = |side: Option<End>, nulls_here: bool| -> Result<Bound<Vec<u8>>> {
        Ok(match side {
            Some((values, true)) => Bound::Included(with(&values)?),
            Some((values, false)) => Bound::Excluded(with(&values)?),
            None if nulls_here => Bound::Excluded(with(&[Datum::Null])?),
            None if prefix.is_empty() => Bound::Unbounded,
            None => Bound::Included(value::encode_key(prefix, index)?),
        })
    };
    // In the index's own order a descending column's bounds change sides.
    let (first, last) = if key.descending { (upper, lower) } else { (lower, upper) };
    Ok(vec![Range { lower: bound(first, key.nulls_first)?, upper: bound(last, !key.nulls_first)? }])
}

/// The values of an end that their keys hold exactly, up to the first that is NULL or not held: what is beyond it, the
/// filter judges.
fn fitting((values, inclusive): End, keys: &[IndexKey]) -> End {
    let count = values.len();
    let held: Vec<Datum> = values.into_iter().zip(keys).map_while(|(value, key)| exact(value, key)).collect();
    let whole = held.len() == count;
    (held, inclusive || !whole)
}

/// A value seen as a key column's type.
enum Fitted {
    Value(Datum),
    Null,
    /// Less than every value of the type.
    Below,
    /// Greater than every value of the type.
    Above,
    /// Between this value of the type and the next.
    After(Datum),
}

/// A numeric as a column stores it that keeps scaled integers: rounded down where it has more digits.
fn fit_numeric(value: &Numeric, ty: Type) -> Fitted {
    let scale = types::typmod::numeric(ty.typmod).map_or(0, |(_, scale)| scale);
    if !value.is_finite() {
        return match value {
            Numeric::NaN => Fitted::Value(Datum::Numeric(Numeric::NaN)),
            _ if value.signum() < 0 => Fitted::Below,
            // NaN is stored above all numbers: nothing lies between infinity and it, and a range to infinity ends before it.
            _ => Fitted::After(Datum::Numeric(Numeric::Small { coefficient: i64::MAX - 1, scale: scale as u16 })),
        };
    }
    match value.round(scale) {
        Ok(Numeric::Small { coefficient, scale }) => {
            let rounded = Numeric::Small { coefficient, scale };
            match rounded.cmp(value) {
                Ordering::Equal => Fitted::Value(Datum::Numeric(rounded)),
                Ordering::Less => Fitted::After(Datum::Numeric(rounded)),
                Ordering::Greater => {
                    let below = Numeric::Small { coefficient: coefficient.saturating_sub(1), scale };
                    Fitted::After(Datum::Numeric(below))
                }
            }
        }
        _ if value.signum() < 0 => Fitted::Below,
        _ => Fitted::After(Datum::Numeric(Numeric::Small { coefficient: i64::MAX - 1, scale: scale as u16 })),
    }
}

/// A value as the key column's type holds it exactly; `None` for NULL and what it cannot hold.
pub(super) fn exact(value: Datum, key: &IndexKey) -> Option<Datum> {
    match fit(value, key) {
        Fitted::Value(value) => Some(value),
        Fitted::Null | Fitted::Below | Fitted::Above | Fitted::After(_) => None,
    }
}

/// Integers of other widths become the column's.
fn fit(value: Datum, key: &IndexKey) -> Fitted {
    let integer = match (&value, key.ty.oid) {
        (Datum::Null, _) => return Fitted::Null,
        (Datum::Numeric(v), oid::NUMERIC) if types::physical::column_type(key.ty) == ColumnType::Int64 => {
            return fit_numeric(v, key.ty);
        }
        (Datum::Int2(v), oid::INT4 | oid::INT8) => i64::from(*v),
        (Datum::Int4(v), oid::INT2 | oid::INT8) => i64::from(*v),
        (Datum::Int8(v), oid::INT2 | oid::INT4) => *v,
        _ => return Fitted::Value(value),
    };
    let fitted = match key.ty.oid {
        oid::INT2 => i16::try_from(integer).ok().map(Datum::Int2),
        oid::INT4 => i32::try_from(integer).ok().map(Datum::Int4),
        _ => Some(Datum::Int8(integer)),
    };
    match fitted {
        Some(value) => Fitted::Value(value),
        None if integer < 0 => Fitted::Below,
        None => Fitted::Above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(ty: Type) -> IndexKey {
        IndexKey { attribute: 1, expression: None, storage: 0, ty, descending: false, nulls_first: false }
    }

    fn shown(fitted: Fitted) -> String {
        match fitted {
            Fitted::Value(Datum::Numeric(Numeric::Small { coefficient, scale })) => format!("{coefficient}/{scale}"),
            Fitted::After(Datum::Numeric(Numeric::Small { coefficient, scale })) => {
                format!("after {coefficient}/{scale}")
            }
            Fitted::Value(value) => format!("{value:?}"),
            Fitted::After(value) => format!("after {value:?}"),
            Fitted::Null => "null".into(),
            Fitted::Below => "below".into(),
            Fitted::Above => "above".into(),
        }
    }

    #[test]
    fn values_fit_into_narrower_keys_or_lie_beside_them() {
        let small = key(Type::new(oid::INT2));
        assert_eq!(shown(fit(Datum::Int8(7), &small)), "Int2(7)");
        assert_eq!(shown(fit(Datum::Int8(70_000), &small)), "above");
        assert_eq!(shown(fit(Datum::Int4(-70_000), &small)), "below");
        let money = key(Type::with_typmod(oid::NUMERIC, types::typmod::of_numeric(10, 2)));
        let numeric = |text: &str| Datum::Numeric(Numeric::parse(text).unwrap());
        assert_eq!(shown(fit(numeric("1.5"), &money)), "150/2");
        assert_eq!(shown(fit(numeric("1.505"), &money)), "after 150/2");
        assert_eq!(shown(fit(numeric("1.509"), &money)), "after 150/2");
        assert_eq!(shown(fit(numeric("-1.505"), &money)), "after -151/2");
        assert_eq!(shown(fit(numeric("-1e30"), &money)), "below");
        assert!(shown(fit(numeric("1e30"), &money)).starts_with("after 9223372036854775806"));
        assert_eq!(shown(fit(Datum::Null, &money)), "null");
    }
}

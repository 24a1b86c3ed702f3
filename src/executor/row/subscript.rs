//! Array construction and subscripting: ARRAY[…], a\[i\]\[j\], a\[i:j\].

use crate::error::{Error, Result, SqlState};
use crate::types::{Array, ArrayDim, Datum, Oid};
use std::sync::Arc;

/// One evaluated subscript.
#[derive(Debug)]
pub(super) enum Bounds {
    /// `[i]`
    Index(i32),
    /// `[i:j]`, sides that are left out take the dimension's own.
    Slice(Option<i32>, Option<i32>),
}

/// `array[…]`: an element, or an array for slices. Out of range is NULL (an empty array for slices), as in PostgreSQL.
pub(super) fn subscript(array: &Array, bounds: &[Bounds]) -> Datum {
    if bounds.iter().any(|b| matches!(b, Bounds::Slice(..))) {
        return Datum::Array(Arc::new(slice(array, bounds)));
    }
    let index = |bounds: &Bounds| if let Bounds::Index(index) = bounds { Some(*index) } else { None };
    let indexes: Vec<i32> = bounds.iter().filter_map(index).collect();
    array.element(&indexes).cloned().unwrap_or(Datum::Null)
}

/// Slices: a plain index means `1:index`, dimensions not named are taken whole, lower bounds become 1.
fn slice(array: &Array, bounds: &[Bounds]) -> Array {
    let empty = Array { element: array.element, dims: Vec::new(), items: Vec::new() };
    if array.dims.is_empty() || bounds.len() > array.dims.len() {
        return empty;
    }
    let mut ranges = Vec::with_capacity(array.dims.len());
    for (i, dim) in array.dims.iter().enumerate() {
        let last = i64::from(dim.lower) + i64::from(dim.len) - 1;
        let (from, to) = match bounds.get(i) {
            None => (i64::from(dim.lower), last),
            Some(Bounds::Index(index)) => (1, i64::from(*index)),
            Some(Bounds::Slice(from, to)) => (from.map_or(i64::from(dim.lower), i64::from), to.map_or(last, i64::from)),
        };
        let from = from.max(i64::from(dim.lower));
        let to = to.min(last);
        if from > to {
            return empty;
        }
        ranges.push(((from - i64::from(dim.lower)) as usize, (to - from + 1) as usize));
    }
    let mut items = Vec::with_capacity(ranges.iter().map(|r| r.1).product());
    collect(array, &ranges, 0, 0, &mut items);
    let dims = ranges.iter().map(|(_, len)| ArrayDim { len: *len as i32, lower: 1 }).collect();
    Array { element: array.element, dims, items }
}

fn collect(array: &Array, ranges: &[(usize, usize)], depth: usize, base: usize, items: &mut Vec<Datum>) {
    let (from, len) = ranges[depth];
    for at in from..from + len {
        let offset = base * array.dims[depth].len as usize + at;
        if depth + 1 == ranges.len() {
            items.push(array.items[offset].clone());
        } else {
            collect(array, ranges, depth + 1, offset, items);
        }
    }
}

/// ARRAY[[…], […]]: arrays as elements make one more dimension; NULL ones count as empty.
pub(super) fn nest(element: Oid, items: Vec<Datum>) -> Result<Datum> {
    let mismatch = || {
        Error::new(
            SqlState::ArraySubscriptError,
            "multidimensional arrays must have array expressions with matching dimensions",
        )
    };
    let mut inner: Option<Vec<ArrayDim>> = None;
    let mut empties = false;
    let mut out = Vec::new();
    let count = items.len();
    for item in items {
        match item {
            Datum::Array(array) if !array.dims.is_empty() => {
                match &inner {
                    None => inner = Some(array.dims.clone()),
                    Some(dims) if *dims == array.dims => {}
                    Some(_) => return Err(mismatch()),
                }
                out.extend(array.items.iter().cloned());
            }
            _ => empties = true,
        }
    }
    let Some(inner) = inner else {
        return Ok(Datum::Array(Arc::new(Array { element, dims: Vec::new(), items: Vec::new() })));
    };
    if empties {
        return Err(mismatch());
    }
    let mut dims = vec![ArrayDim { len: count as i32, lower: 1 }];
    dims.extend(inner);
    if dims.len() > 6 {
        return Err(Error::new(
            SqlState::ProgramLimitExceeded,
            format!("number of array dimensions ({}) exceeds the maximum allowed (6)", dims.len()),
        ));
    }
    Ok(Datum::Array(Arc::new(Array { element, dims, items: out })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::oid;

    fn ints(values: &[i32]) -> Datum {
        Datum::Array(Arc::new(Array::of(oid::INT4, values.iter().map(|v| Datum::Int4(*v)).collect())))
    }

    #[test]
    fn elements_and_slices_follow_dimensions() {
        let Datum::Array(matrix) = nest(oid::INT4, vec![ints(&[1, 2, 3]), ints(&[4, 5, 6])]).unwrap() else { panic!() };
        assert!(matches!(subscript(&matrix, &[Bounds::Index(2), Bounds::Index(3)]), Datum::Int4(6)));
        assert!(subscript(&matrix, &[Bounds::Index(2)]).is_null());
        assert!(subscript(&matrix, &[Bounds::Index(3), Bounds::Index(1)]).is_null());
        let Datum::Array(part) = subscript(&matrix, &[Bounds::Slice(Some(2), None), Bounds::Index(2)]) else {
            panic!()
        };
        assert_eq!(part.dims.iter().map(|d| d.len).collect::<Vec<_>>(), [1, 2]);
        assert!(matches!(part.items[..], [Datum::Int4(4), Datum::Int4(5)]));
        assert!(nest(oid::INT4, vec![ints(&[1]), ints(&[1, 2])]).is_err());
    }
}

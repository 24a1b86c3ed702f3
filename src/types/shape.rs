//! What the types that users make are made of, by oid.
//!
//! A type's oid says all that is needed to store, compare and take apart its values: the binder, the executor and the text and
//! binary forms ask here, without a catalog at hand. That works because what is told here never changes under an oid (a domain
//! keeps what it is over, an enum stays one), and an oid is never given twice: entries are only added, when a type is made
//! or its catalog read, and one that a rollback leaves behind tells of an oid that nothing names.
//! What does change (names, labels, constraints) is in the catalog image.

use super::{Oid, Text, Type};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a type is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An enum, and the array type over it.
    Enum {
        /// The array type.
        array: Oid,
    },
    /// A domain.
    Domain {
        /// The type that it is over, with its modifier: a domain perhaps.
        base: Type,
        /// The array type over the domain.
        array: Oid,
        /// Its collation; none for types that have none.
        collation: Oid,
    },
    /// The array type over one of these.
    Array {
        /// The element type.
        element: Oid,
    },
}

/// The types that PostgreSQL numbers by hand have none of these among them.
const HAND_NUMBERED: u32 = 10_000;

static SHAPES: LazyLock<RwLock<HashMap<Oid, Shape>>> = LazyLock::new(RwLock::default);

/// Makes known what a type is made of.
pub fn register(ty: Oid, shape: Shape) {
    SHAPES.write().insert(ty, shape);
}

/// What a type is made of; `None` for other built-in types and row types.
#[inline]
pub fn of(ty: Oid) -> Option<Shape> {
    if ty.0 < HAND_NUMBERED { None } else { SHAPES.read().get(&ty).copied() }
}

/// Whether a type is an enum.
#[inline]
pub fn is_enum(ty: Oid) -> bool {
    matches!(of(ty), Some(Shape::Enum { .. }))
}

/// Whether a type is a domain.
#[inline]
pub fn is_domain(ty: Oid) -> bool {
    matches!(of(ty), Some(Shape::Domain { .. }))
}

/// What a domain is over in the end, with its modifier; other types are themselves.
#[inline]
pub fn base(ty: Type) -> Type {
    match of(ty.oid) {
        Some(Shape::Domain { base: below, .. }) => base(below),
        _ => ty,
    }
}

/// The element type of an array type over an enum or a domain.
pub fn element_of(array: Oid) -> Option<Oid> {
    match of(array)? {
        Shape::Array { element } => Some(element),
        _ => None,
    }
}

/// The array type over an enum or a domain.
pub fn array_of(element: Oid) -> Option<Oid> {
    match of(element)? {
        Shape::Enum { array } | Shape::Domain { array, .. } => Some(array),
        Shape::Array { .. } => None,
    }
}

/// Places of an enum's labels: what its values are stored, indexed, compared and grouped by.
///
/// PostgreSQL stores a label's oid and looks up the label's place (`enumsortorder`) to compare two of them; when there is no room between two places it
/// numbers all of them anew. An index here has its order in its bytes, so a value is stored as its label's place itself, and a place must last as
/// long as the label: ADD VALUE takes one between two others and leaves all others as they are. Places are fractions
/// in base 62, of any number of digits and never with a zero at the end, so that there is room between any two; their digits are ASCII characters
/// whose order is theirs. A label of CREATE TYPE, or one added at the end, has four.
pub mod place {
    use super::Text;

    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const BASE: u32 = 62;

    /// The place of the label with this number among those that CREATE TYPE names; `None`: too many.
    pub fn numbered(number: u32) -> Option<Text> {
        // The last digit is none of the zeros.
        let (mut rest, last) = (number / (BASE - 1), number % (BASE - 1) + 1);
        let mut digits = [last; 4];
        for digit in digits[..3].iter_mut().rev() {
            (rest, *digit) = (rest / BASE, rest % BASE);
        }
        (rest == 0).then(|| text(&digits))
    }

    /// A place behind the last one.
    pub fn after(last: &str) -> Option<Text> {
        let digits = digits(last);
        // A place made by `between` may have any fourth digit, or fewer.
        let digit = |at: usize| digits.get(at).copied().unwrap_or(0);
        let whole = (0..3).fold(0, |sum, at| sum * BASE + digit(at));
        let next = whole * (BASE - 1) + digit(3);
        numbered(next).or_else(|| Some(text(&middle(&digits, None))))
    }

    /// A place between two, or before the first.
    pub fn between(low: Option<&str>, high: &str) -> Text {
        text(&middle(&digits(low.unwrap_or("")), Some(&digits(high))))
    }

    fn digits(place: &str) -> Vec<u32> {
        place.bytes().map(|byte| DIGITS.iter().position(|digit| *digit == byte).unwrap_or(0) as u32).collect()
    }

    fn text(digits: &[u32]) -> Text {
        digits.iter().map(|digit| char::from(DIGITS[*digit as usize])).collect::<String>().into()
    }

    /// A fraction between `low` and `high` (one, if there is none), neither with a zero at the end.
    fn middle(low: &[u32], high: Option<&[u32]>) -> Vec<u32> {
        let (first, limit) = (low.first().copied().unwrap_or(0), high.map_or(BASE, |high| high[0]));
        let behind = low.get(1..).unwrap_or(&[]);
        if limit == first {
            let rest = middle(behind, high.and_then(|high| high.get(1..)).filter(|rest| !rest.is_empty()));
            return [&[first], &rest[..]].concat();
        }
        if limit - first > 1 {
            return vec![(first + limit) / 2];
        }
        match high {
            // The digits of `high` but for its last ones are below it, and above `low`, which begins lower.
            Some(high) if high.len() > 1 && limit != 0 => vec![limit],
            _ => [&[first], &middle(behind, None)[..]].concat(),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn there_is_always_room() {
            let mut places: Vec<Text> = (0..200).map(|number| numbered(number).unwrap()).collect();
            assert!(places.is_sorted());
            // Before the first, behind the last, and in the middle, many times; then in all gaps.
            for _ in 0..100 {
                places.insert(0, between(None, &places[0]));
                places.push(after(&places[places.len() - 1]).unwrap());
                let at = places.len() / 2;
                places.insert(at, between(Some(&places[at - 1]), &places[at]));
                places.insert(at + 1, between(Some(&places[at]), &places[at + 1]));
                places.insert(2, between(Some(&places[1]), &places[2]));
            }
            for at in (1..places.len()).rev() {
                places.insert(at, between(Some(&places[at - 1]), &places[at]));
            }
            assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
            assert!(places.iter().all(|place| !place.ends_with('0')));
            assert!(places.iter().filter(|place| place.len() == 4).count() >= 300);
        }

        #[test]
        fn places_run_out_late() {
            assert_eq!(numbered(0).unwrap(), "0001");
            assert_eq!(numbered(61).unwrap(), "0011");
            let last = numbered(62 * 62 * 62 * 61 - 1).unwrap();
            assert_eq!((last.as_str(), numbered(62 * 62 * 62 * 61)), ("zzzz", None));
            assert!(after(&last).unwrap() > last);
        }
    }
}

//! The binary forms of all types: PostgreSQL's send and receive functions, big endian.

use super::numeric::Numeric;
use super::text_io::Names;
use super::{Array, ArrayDim, Datum, Interval, Oid, Type, datetime, json, jsonb, oid, physical, shape, typmod};
use crate::error::{Error, Result, SqlState};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::sync::Arc;

/// The version of jsonb's binary form: a json text follows it.
const JSONB_VERSION: u8 = 1;

/// Appends the binary form of a value that is not NULL (its length is the caller's).
pub fn send(value: &Datum, ty: Type, names: &dyn Names, out: &mut BytesMut) {
    match value {
        Datum::Null => {}
        Datum::Bool(v) => out.put_u8(u8::from(*v)),
        Datum::Char(v) => out.put_u8(*v),
        Datum::Int2(v) => out.put_i16(*v),
        Datum::Int4(v) | Datum::Date(v) => out.put_i32(*v),
        Datum::Int8(v) if ty.oid == oid::TID => {
            out.put_u32((*v >> 16) as u32);
            out.put_u16(*v as u16);
        }
        Datum::Int8(v) | Datum::Time(v) | Datum::Timestamp(v) | Datum::TimestampTz(v) => out.put_i64(*v),
        Datum::Float4(v) => out.put_f32(*v),
        Datum::Float8(v) => out.put_f64(*v),
        Datum::Numeric(v) => {
            let mut bytes = Vec::new();
            v.send(&mut bytes);
            out.put_slice(&bytes);
        }
        Datum::Text(v) | Datum::Padded(v) => out.put_slice(v.as_bytes()),
        Datum::Bytea(v) => out.put_slice(v),
        Datum::Jsonb(v) => {
            out.put_u8(JSONB_VERSION);
            out.put_slice(v.view().to_string().as_bytes());
        }
        Datum::TimeTz(v, west) => {
            out.put_i64(*v);
            out.put_i32(*west);
        }
        Datum::Interval(v) => {
            out.put_i64(v.micros);
            out.put_i32(v.days);
            out.put_i32(v.months);
        }
        Datum::Uuid(v) => out.put_slice(v),
        Datum::Enum(ty, place) => out.put_slice(names.label(*ty, place).unwrap_or_default().as_bytes()),
        Datum::Oid(v) => out.put_u32(v.0),
        Datum::Array(v) => send_array(v, ty, names, out),
        Datum::Record(fields) => {
            out.put_i32(fields.len() as i32);
            for (ty, field) in fields.iter() {
                out.put_u32(ty.oid.0);
                send_sized(field, *ty, names, out);
            }
        }
    }
}

/// Appends a value with its length in front; NULL is length -1.
pub fn send_sized(value: &Datum, ty: Type, names: &dyn Names, out: &mut BytesMut) {
    if value.is_null() {
        return out.put_i32(-1);
    }
    let start = out.len();
    out.put_i32(0);
    send(value, ty, names, out);
    let len = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

fn send_array(array: &Array, ty: Type, names: &dyn Names, out: &mut BytesMut) {
    out.put_i32(array.dims.len() as i32);
    out.put_i32(i32::from(array.items.iter().any(Datum::is_null)));
    let element = super::array_element(array, ty);
    out.put_u32(element.0);
    for dim in &array.dims {
        out.put_i32(dim.len);
        out.put_i32(dim.lower);
    }
    let element = Type::with_typmod(element, ty.typmod);
    array.items.iter().for_each(|item| send_sized(item, element, names, out));
}

fn incorrect(ty: Type) -> Error {
    Error::new(SqlState::InvalidBinaryRepresentation, format!("incorrect binary data format for type {}", ty.oid))
}

fn too_short() -> Error {
    Error::new(SqlState::ProtocolViolation, "insufficient data left in message")
}

/// Reads a value of type `ty` from its whole binary form.
///
/// # Errors
/// 22P03, 08P01 for a wrong length, 22021 for text that is not UTF-8, 22008 for a date out of range.
pub fn receive(mut bytes: &[u8], ty: Type, names: &dyn Names) -> Result<Datum> {
    let value = receive_plain(&mut bytes, ty, names)?;
    if bytes.has_remaining() {
        return Err(incorrect(ty));
    }
    typmod::apply(value, ty, true)
}

fn receive_plain(bytes: &mut &[u8], ty: Type, names: &dyn Names) -> Result<Datum> {
    if shape::is_domain(ty.oid) {
        return receive(std::mem::take(bytes), shape::base(ty), names);
    }
    let need = |bytes: &[u8], len: usize| if bytes.len() < len { Err(too_short()) } else { Ok(()) };
    let i64_of = |bytes: &mut &[u8]| need(bytes, 8).map(|()| bytes.get_i64());
    let i32_of = |bytes: &mut &[u8]| need(bytes, 4).map(|()| bytes.get_i32());
    Ok(match ty.oid {
        oid::BOOL => need(bytes, 1).map(|()| Datum::Bool(bytes.get_u8() != 0))?,
        oid::CHAR => need(bytes, 1).map(|()| Datum::Char(bytes.get_u8()))?,
        oid::INT2 => need(bytes, 2).map(|()| Datum::Int2(bytes.get_i16()))?,
        oid::INT4 => Datum::Int4(i32_of(bytes)?),
        oid::INT8 => Datum::Int8(i64_of(bytes)?),
        oid::TID => {
            need(bytes, 6)?;
            Datum::Int8(i64::from(bytes.get_u32()) << 16 | i64::from(bytes.get_u16()))
        }
        oid::FLOAT4 => need(bytes, 4).map(|()| Datum::Float4(bytes.get_f32()))?,
        oid::FLOAT8 => need(bytes, 8).map(|()| Datum::Float8(bytes.get_f64()))?,
        oid::NUMERIC => Datum::Numeric(Numeric::receive(std::mem::take(bytes))?),
        oid::BYTEA => Datum::Bytea(Bytes::copy_from_slice(std::mem::take(bytes))),
        oid::DATE => Datum::Date(datetime::check_date(i32_of(bytes)?)?),
        oid::TIME => Datum::Time(datetime::check_time(i64_of(bytes)?)?),
        oid::TIMETZ => {
            let time = datetime::check_time(i64_of(bytes)?)?;
            Datum::TimeTz(time, datetime::check_displacement(i32_of(bytes)?)?)
        }
        oid::TIMESTAMP => Datum::Timestamp(datetime::check_timestamp(i64_of(bytes)?)?),
        oid::TIMESTAMPTZ => Datum::TimestampTz(datetime::check_timestamp(i64_of(bytes)?)?),
        oid::INTERVAL => {
            let micros = i64_of(bytes)?;
            let (days, months) = (i32_of(bytes)?, i32_of(bytes)?);
            Datum::Interval(Interval { months, days, micros })
        }
        oid::UUID => {
            need(bytes, 16)?;
            let mut uuid = [0; 16];
            bytes.copy_to_slice(&mut uuid);
            Datum::Uuid(uuid)
        }
        oid::JSON => {
            let text = crate::wire::frontend::utf8(std::mem::take(bytes))?;
            json::validate(text)?;
            Datum::Text(text.into())
        }
        oid::JSONB => {
            let version = need(bytes, 1).map(|()| bytes.get_u8())?;
            if version != JSONB_VERSION {
                return Err(Error::internal(format!("unsupported jsonb version number {version}")));
            }
            Datum::Jsonb(jsonb::parse(crate::wire::frontend::utf8(std::mem::take(bytes))?)?)
        }
        other if physical::is_oid(other) => Datum::Oid(Oid(i32_of(bytes)? as u32)),
        oid::RECORD | oid::VOID => return Err(Error::unsupported("binary input of this pseudo-type")),
        other => {
            let element = match other {
                oid::INT2VECTOR => Some(oid::INT2),
                oid::OIDVECTOR => Some(oid::OID),
                _ => oid::element_of(other),
            };
            match element {
                Some(element) => receive_array(bytes, Type::with_typmod(element, ty.typmod), names)?,
                None => {
                    let text = crate::wire::frontend::utf8(std::mem::take(bytes))?;
                    if shape::is_enum(other) {
                        return Ok(Datum::Enum(other, names.place(other, text)?));
                    }
                    let text = text.into();
                    if other == oid::BPCHAR { Datum::bpchar(text) } else { Datum::Text(text) }
                }
            }
        }
    })
}

fn receive_array(bytes: &mut &[u8], element: Type, names: &dyn Names) -> Result<Datum> {
    let invalid = |what: String| Error::new(SqlState::InvalidBinaryRepresentation, what);
    let next = |bytes: &mut &[u8]| if bytes.len() < 4 { Err(too_short()) } else { Ok(bytes.get_i32()) };
    let count = next(bytes)?;
    if !(0..=6).contains(&count) {
        return Err(invalid(format!("invalid number of dimensions: {count}")));
    }
    let flags = next(bytes)?;
    if flags != 0 && flags != 1 {
        return Err(invalid("invalid array flags".into()));
    }
    let declared = Oid(next(bytes)? as u32);
    if declared != element.oid {
        let message = format!("binary data has array element type {declared} instead of expected {}", element.oid);
        return Err(Error::new(SqlState::DatatypeMismatch, message));
    }
    let mut dims = Vec::new();
    let mut total = usize::from(count > 0);
    for _ in 0..count {
        let (len, lower) = (next(bytes)?, next(bytes)?);
        total = usize::try_from(len).ok().and_then(|len| total.checked_mul(len)).unwrap_or(usize::MAX);
        dims.push(ArrayDim { len, lower });
    }
    // Every item takes four bytes at least: a larger claim is not believed.
    if total > bytes.len() / 4 {
        return Err(too_short());
    }
    let mut items = Vec::with_capacity(total);
    for _ in 0..total {
        let len = next(bytes)?;
        if len == -1 {
            items.push(Datum::Null);
            continue;
        }
        let len = usize::try_from(len).map_err(|_| too_short())?;
        let (item, rest) = bytes.split_at_checked(len).ok_or_else(too_short)?;
        *bytes = rest;
        items.push(receive(item, element, names)?);
    }
    if items.is_empty() {
        dims.clear();
    }
    Ok(Datum::Array(Arc::new(Array { element: element.oid, dims, items })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::text_io::NoNames;

    #[test]
    fn no_prefix_of_a_value_is_taken_or_panics() {
        let array = Array::of(oid::INT4, vec![Datum::Int4(1), Datum::Null]);
        let values = [
            (Datum::Int4(7), oid::INT4),
            (Datum::Interval(Interval { months: 1, days: 2, micros: 3 }), oid::INTERVAL),
            (Datum::Uuid([1; 16]), oid::UUID),
            (Datum::Array(Arc::new(array)), oid::INT4_ARRAY),
        ];
        for (value, ty) in values {
            let ty = Type::new(ty);
            let mut out = BytesMut::new();
            send(&value, ty, &NoNames, &mut out);
            assert_eq!(format!("{:?}", receive(&out, ty, &NoNames).unwrap()), format!("{value:?}"));
            for end in 0..out.len() {
                assert!(receive(&out[..end], ty, &NoNames).is_err());
            }
        }
    }
}

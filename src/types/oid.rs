//! Oids of the built-in types, and [`Type`]: an oid with its type modifier.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An object identifier, as PostgreSQL's. Zero is "none"; user objects begin at 16,384.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Oid(pub u32);

impl Oid {
    /// `InvalidOid`.
    pub const NONE: Oid = Oid(0);
    /// The first oid handed out to user objects (`FirstNormalObjectId`).
    pub const FIRST_USER: Oid = Oid(16_384);
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A SQL type: PostgreSQL's type oid and its modifier (`atttypmod`; -1 is none).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Type {
    /// The oid in pg_type.
    pub oid: Oid,
    /// `varchar(n)`: n + 4; `numeric(p, s)`: ((p << 16) | (s & 0x7ff)) + 4; `timestamp(p)`: p; `interval`: PostgreSQL's packing.
    pub typmod: i32,
}

impl Type {
    /// The type with no modifier.
    pub const fn new(oid: Oid) -> Type {
        Type { oid, typmod: -1 }
    }

    /// The type with modifier `typmod`.
    pub const fn with_typmod(oid: Oid, typmod: i32) -> Type {
        Type { oid, typmod }
    }
}

macro_rules! oids {
    ($($name:ident = $number:literal $(, array $array:ident = $array_number:literal)?;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "` in pg_type.")]
            pub const $name: Oid = Oid($number);
            $(
                #[doc = concat!("The array type of [`", stringify!($name), "`].")]
                pub const $array: Oid = Oid($array_number);
            )?
        )*

        /// The array type over `element`, a built-in type or one of [`super::shape`].
        pub fn array_of(element: Oid) -> Option<Oid> {
            match element.0 {
                $($($number => Some(Oid($array_number)),)?)*
                _ => super::shape::array_of(element),
            }
        }

        /// The element type of the array type `array`, a built-in one or one of [`super::shape`].
        pub fn element_of(array: Oid) -> Option<Oid> {
            match array.0 {
                $($($array_number => Some(Oid($number)),)?)*
                _ => super::shape::element_of(array),
            }
        }
    };
}

oids! {
    BOOL = 16, array BOOL_ARRAY = 1000;
    BYTEA = 17, array BYTEA_ARRAY = 1001;
    CHAR = 18, array CHAR_ARRAY = 1002;
    NAME = 19, array NAME_ARRAY = 1003;
    INT8 = 20, array INT8_ARRAY = 1016;
    INT2 = 21, array INT2_ARRAY = 1005;
    INT2VECTOR = 22, array INT2VECTOR_ARRAY = 1006;
    INT4 = 23, array INT4_ARRAY = 1007;
    REGPROC = 24, array REGPROC_ARRAY = 1008;
    TEXT = 25, array TEXT_ARRAY = 1009;
    OID = 26, array OID_ARRAY = 1028;
    TID = 27, array TID_ARRAY = 1010;
    XID = 28, array XID_ARRAY = 1011;
    CID = 29, array CID_ARRAY = 1012;
    OIDVECTOR = 30, array OIDVECTOR_ARRAY = 1013;
    JSON = 114, array JSON_ARRAY = 199;
    PG_NODE_TREE = 194;
    FLOAT4 = 700, array FLOAT4_ARRAY = 1021;
    FLOAT8 = 701, array FLOAT8_ARRAY = 1022;
    UNKNOWN = 705;
    ACLITEM = 1033, array ACLITEM_ARRAY = 1034;
    BPCHAR = 1042, array BPCHAR_ARRAY = 1014;
    VARCHAR = 1043, array VARCHAR_ARRAY = 1015;
    DATE = 1082, array DATE_ARRAY = 1182;
    TIME = 1083, array TIME_ARRAY = 1183;
    TIMESTAMP = 1114, array TIMESTAMP_ARRAY = 1115;
    TIMESTAMPTZ = 1184, array TIMESTAMPTZ_ARRAY = 1185;
    INTERVAL = 1186, array INTERVAL_ARRAY = 1187;
    TIMETZ = 1266, array TIMETZ_ARRAY = 1270;
    NUMERIC = 1700, array NUMERIC_ARRAY = 1231;
    REFCURSOR = 1790, array REFCURSOR_ARRAY = 2201;
    REGPROCEDURE = 2202, array REGPROCEDURE_ARRAY = 2207;
    REGOPER = 2203, array REGOPER_ARRAY = 2208;
    REGOPERATOR = 2204, array REGOPERATOR_ARRAY = 2209;
    REGCLASS = 2205, array REGCLASS_ARRAY = 2210;
    REGTYPE = 2206, array REGTYPE_ARRAY = 2211;
    RECORD = 2249, array RECORD_ARRAY = 2287;
    CSTRING = 2275, array CSTRING_ARRAY = 1263;
    ANY = 2276;
    ANYARRAY = 2277;
    VOID = 2278;
    TRIGGER = 2279;
    INTERNAL = 2281;
    ANYELEMENT = 2283;
    ANYNONARRAY = 2776;
    UUID = 2950, array UUID_ARRAY = 2951;
    ANYENUM = 3500;
    JSONB = 3802, array JSONB_ARRAY = 3807;
    JSONPATH = 4072;
    REGNAMESPACE = 4089, array REGNAMESPACE_ARRAY = 4090;
    REGROLE = 4096, array REGROLE_ARRAY = 4097;
    REGCOLLATION = 4191, array REGCOLLATION_ARRAY = 4192;
    ANYCOMPATIBLE = 5077;
    ANYCOMPATIBLEARRAY = 5078;
    ANYCOMPATIBLENONARRAY = 5079;
}

//! Types with their edge values, the tables that random statements read, and the functions and operators of the catalog.

use tokio_postgres::{Client, SimpleQueryMessage};

/// A type that random expressions have.
pub(crate) struct Kind {
    pub name: &'static str,
    /// Texts of constants, the harmless first.
    pub values: &'static [&'static str],
    /// Whether equal values look alike.
    pub image: bool,
}

const fn kind(name: &'static str, image: bool, values: &'static [&'static str]) -> Kind {
    Kind { name, values, image }
}

pub(crate) const KINDS: &[Kind] = &[
    kind("boolean", true, &["t", "f"]),
    kind("smallint", true, &["1", "0", "-1", "2", "7", "32767", "-32768"]),
    kind("integer", true, &["1", "0", "-1", "2", "3", "10", "100", "2147483647", "-2147483648"]),
    kind("bigint", true, &["1", "0", "-1", "2", "5", "4294967296", "9223372036854775807", "-9223372036854775808"]),
    kind(
        "real",
        false,
        &["1", "0", "-0", "1.5", "-2.25", "NaN", "Infinity", "-Infinity", "3.4028235e38", "1e-45", "0.1"],
    ),
    kind(
        "double precision",
        false,
        &[
            "1",
            "0",
            "-0",
            "0.5",
            "-1.5",
            "2.5",
            "NaN",
            "Infinity",
            "-Infinity",
            "1.7976931348623157e308",
            "5e-324",
            "0.1",
            "1e15",
        ],
    ),
    kind(
        "numeric",
        false,
        &[
            "1",
            "0",
            "1.0",
            "1.00",
            "-1.5",
            "0.000",
            "2.5",
            "100",
            "NaN",
            "Infinity",
            "-Infinity",
            "12345678901234567890.123456789",
            "0.0001",
            "-99999999.99",
            "1e20",
        ],
    ),
    kind(
        "text",
        true,
        &[
            "a",
            "",
            " ",
            "ab",
            "abc",
            "A",
            "a b ",
            "1",
            "-7",
            "1.50",
            "t",
            "ä",
            "日本",
            "a%b",
            "a_c",
            "\\",
            "%",
            "2020-02-29",
            "abcabc",
        ],
    ),
    kind("character varying", true, &["a", "", " ", "ab", "B", "a  ", "10", "é"]),
    kind("character", false, &["a", "", "b", "1", " "]),
    kind("bytea", true, &["\\x61", "\\x", "\\x00", "\\xff00", "\\x616263", "\\xdeadbeef"]),
    kind(
        "date",
        true,
        &[
            "2020-02-29",
            "2000-01-01",
            "1999-12-31",
            "0044-03-15 BC",
            "infinity",
            "-infinity",
            "2024-12-31",
            "5874897-12-31",
            "4713-01-01 BC",
        ],
    ),
    kind("time without time zone", true, &["12:34:56", "00:00", "24:00", "23:59:59.999999", "01:02:03.5"]),
    kind("time with time zone", true, &["12:34:56+00", "00:00+15:59", "24:00-08", "12:00:00.5-00:30", "13:34:56+01"]),
    kind(
        "timestamp without time zone",
        true,
        &[
            "2020-02-29 12:34:56.789",
            "2000-01-01 00:00",
            "1999-12-31 23:59:59.999999",
            "infinity",
            "-infinity",
            "0001-01-01 00:00 BC",
            "2021-03-14 02:30",
            "294276-12-31 23:59:59.999999",
        ],
    ),
    kind(
        "timestamp with time zone",
        true,
        &[
            "2020-02-29 12:34:56.789+00",
            "2000-01-01 00:00+00",
            "1969-12-31 23:59:59.999999+00",
            "infinity",
            "-infinity",
            "0044-03-15 00:00+00 BC",
            "2021-03-14 07:00+00",
            "2021-11-07 06:00+00",
        ],
    ),
    kind(
        "interval",
        false,
        &[
            "1 day",
            "0",
            "1 month",
            "30 days",
            "24 hours",
            "-1 mon 2 days -03:04:05.678",
            "1 year 2 mons 3 days 04:05:06",
            "00:00:00.000001",
            "-178000000 years",
            "720 hours",
        ],
    ),
    kind(
        "uuid",
        true,
        &[
            "00000000-0000-0000-0000-000000000000",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ],
    ),
    kind("integer[]", true, &["{1,2}", "{}", "{NULL}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={5,6}", "{1}"]),
    kind("text[]", true, &["{a,b}", "{}", "{NULL,\"\"}", "{\"a b\",\"null\"}", "{{a},{b}}", "{a}"]),
    kind("numeric[]", false, &["{1,2.0}", "{}", "{NaN,NULL}", "{1.00,1}"]),
];

/// Index of a type in [`KINDS`].
pub(crate) type Ty = usize;
pub(crate) const BOOL: Ty = 0;
pub(crate) const INT4: Ty = 2;
pub(crate) const INT8: Ty = 3;
pub(crate) const FLOAT8: Ty = 5;
pub(crate) const NUMERIC: Ty = 6;
pub(crate) const TEXT: Ty = 7;
pub(crate) const CHAR: Ty = 9;

pub(crate) fn named(name: &str) -> Option<Ty> {
    KINDS.iter().position(|kind| kind.name == name)
}

/// Columns of the tables `t0` to `t3`: name, declaration, type.
pub(crate) const COLUMNS: &[(&str, &str, &str)] = &[
    ("id", "integer primary key", "integer"),
    ("b", "boolean", "boolean"),
    ("i2", "smallint", "smallint"),
    ("i4", "integer", "integer"),
    ("i8", "bigint", "bigint"),
    ("f4", "real", "real"),
    ("f8", "double precision", "double precision"),
    ("n", "numeric", "numeric"),
    ("m", "numeric(12,2)", "numeric"),
    ("t", "text", "text"),
    ("v", "varchar(10)", "character varying"),
    ("c", "char(3)", "character"),
    ("y", "bytea", "bytea"),
    ("d", "date", "date"),
    ("h", "time", "time without time zone"),
    ("hz", "timetz", "time with time zone"),
    ("s", "timestamp", "timestamp without time zone"),
    ("sz", "timestamptz", "timestamp with time zone"),
    ("iv", "interval", "interval"),
    ("u", "uuid", "uuid"),
    ("ai", "integer[]", "integer[]"),
    ("at", "text[]", "text[]"),
    ("an", "numeric[]", "numeric[]"),
];
pub(crate) const TABLES: usize = 4;

/// The statements that make the tables; the last one stays empty.
pub(crate) fn tables(rng: &mut super::Rng) -> Vec<String> {
    let mut out = Vec::new();
    for kind in KINDS {
        let name = edge_table(kind.name);
        let values = (0..kind.values.len()).map(|i| format!("({i}, '{}')", kind.values[i])).collect::<Vec<_>>();
        out.push(format!("create table {name} (k int, v {})", kind.name.replace("character[", "bpchar[")));
        let values = values.join(", ");
        out.push(format!("insert into {name} values (-1, null), {values}"));
    }
    for table in 0..TABLES {
        let columns = COLUMNS.iter().map(|(name, declaration, _)| format!("{name} {declaration}")).collect::<Vec<_>>();
        out.push(format!("create table t{table} ({})", columns.join(", ")));
        let rows = [12, 9, 6, 0][table];
        for id in 0..rows {
            let values = COLUMNS.iter().map(|(name, _, ty)| match *name {
                "id" => id.to_string(),
                _ if rng.one_in(5) => "null".to_owned(),
                "m" => format!("'{}'", ["1", "0", "-1.5", "2.25", "NaN", "9999999999.99"][rng.below(6)]),
                _ => {
                    let values = KINDS[named(ty).expect("a known type")].values;
                    // The harmless come often, so that joins find partners.
                    let of = if rng.one_in(2) { 3.min(values.len()) } else { values.len() };
                    format!("'{}'", values[rng.below(of)])
                }
            });
            let values = values.collect::<Vec<_>>().join(", ");
            out.push(format!("insert into t{table} values ({values})"));
        }
    }
    out
}

/// Random indexes of every kind on the tables.
pub(crate) fn indexes(rng: &mut super::Rng) -> Vec<String> {
    const EXPRESSIONS: &[&str] =
        &["lower(t)", "(i8 % 10)", "(-n)", "coalesce(v, t)", "(i4 is null)", "(d = 'infinity')", "abs(f8)"];
    const PREDICATES: &[&str] = &["b", "i4 > 0", "t is not null", "n <= 1", "c = 'a'", "not b", "d > '2000-01-01'"];
    let mut out = Vec::new();
    for n in 0..10 {
        let mut keys = (0..rng.below(3) + 1)
            .map(|_| {
                let key = if rng.one_in(4) {
                    EXPRESSIONS[rng.below(EXPRESSIONS.len())]
                } else {
                    COLUMNS[rng.below(COLUMNS.len())].0
                };
                let order = ["", "", " desc", " nulls first", " desc nulls last"][rng.below(5)];
                format!("{key}{order}")
            })
            .collect::<Vec<_>>();
        let unique = rng.one_in(4);
        if unique {
            keys.push("id".to_owned());
        }
        let include =
            if rng.one_in(4) { format!(" include ({})", COLUMNS[rng.below(COLUMNS.len())].0) } else { String::new() };
        let predicate =
            if rng.one_in(4) { format!(" where {}", PREDICATES[rng.below(PREDICATES.len())]) } else { String::new() };
        let (unique, keys) = (if unique { "unique " } else { "" }, keys.join(", "));
        out.push(format!("create {unique}index on t{} ({keys}){include}{predicate}", n % 3));
    }
    out.push("analyze".to_owned());
    out
}

/// The table of a type's edge values.
pub(crate) fn edge_table(kind: &str) -> String {
    format!("e_{}", kind.replace(' ', "_").replace("[]", "_array"))
}

/// A function or operator of the catalog.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub name: String,
    pub arguments: Vec<Ty>,
    pub result: Ty,
    pub operator: bool,
    /// Never raises for edge values.
    pub total: bool,
}

impl Signature {
    pub(crate) fn shown(&self) -> String {
        let arguments = self.arguments.iter().map(|ty| KINDS[*ty].name).collect::<Vec<_>>();
        format!("{}({})", self.name, arguments.join(", "))
    }

    /// A call of it.
    pub(crate) fn call(&self, arguments: Vec<super::Tree>) -> super::Tree {
        use super::Tree;
        let mut parts = Vec::new();
        if self.operator {
            let both = arguments.len() == 2;
            parts.push(Tree::from("("));
            for (i, argument) in arguments.into_iter().enumerate() {
                if i == 1 || !both {
                    parts.push(format!(" {} ", self.name).into());
                }
                parts.push(argument);
            }
            parts.push(")".into());
        } else {
            parts.push(format!("pg_catalog.\"{}\"(", self.name).into());
            for (i, argument) in arguments.into_iter().enumerate() {
                if i > 0 {
                    parts.push(", ".into());
                }
                parts.push(argument);
            }
            parts.push(")".into());
        }
        Tree::Row(parts)
    }
}

/// Functions whose answers hang on the moment, the server, or are not for users; whose numbers are the C library's own (the last
/// digit of a cube root; a comparison's result beyond its sign); and length functions that take the modifier's inner form.
const NOT: &str = "^(pg_|has_|txid|current|inet|query_to|table_to|schema_to|database_to|cursor_to|xml|to_reg|obj_desc|col_desc|shobj|\
                   version|getdatabaseencoding|factorial$|hash|bt|.*_support$|lo_|loread|binary_upgrade|set_config|now$|\
                   statement_timestamp|timeofday|json|to_json|row_to_json|ts|to_ts|websearch|plainto|phraseto|array_to_ts|strip|\
                   dblink|txid|age$|_pg_|nextval|currval|setval|brin|gin|gist|spg|in_range$|.*_sortsupport$|getpgusername|format_type|make_|interval$|bpchar$|\
                   d?cbrt$|(bpchar|bytea|uuid_)cmp$)";

pub(crate) async fn rows(client: &Client, query: &str) -> Vec<Vec<String>> {
    let messages = client.simple_query(query).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|i| row.get(i).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        })
        .collect()
}

/// All functions and operators over our types that PostgreSQL has, polymorphic ones with a few elements.
pub(crate) async fn signatures(postgres: &Client) -> Vec<Signature> {
    let functions = format!(
        "select proname, array_to_string(array(select format_type(a, null) from unnest(proargtypes) with ordinality x(a, i) order by i), ';'),
         format_type(prorettype, null), 'f' from pg_proc where prokind = 'f' and not proretset and provolatile in ('i', 's')
         and pronamespace = 'pg_catalog'::regnamespace and pronargs > 0 and provariadic = 0 and proname !~ '{NOT}'
         union select oprname, array_to_string(array(select format_type(a, null) from unnest(array[oprleft, oprright]) with ordinality x(a, i)
         where a <> 0 order by i), ';'), format_type(oprresult, null), 'o' from pg_operator where oprname <> '||/' order by 4, 1, 2, 3"
    );
    let mut found = Vec::new();
    for row in rows(postgres, &functions).await {
        for element in ["", "integer", "text", "numeric"] {
            let arguments = row[1].split(';').collect::<Vec<_>>();
            let polymorphic = arguments.iter().any(|name| name.starts_with("any"));
            if polymorphic == element.is_empty() {
                continue;
            }
            let of = |name: &str| match name {
                "anyarray" | "anycompatiblearray" => named(&format!("{element}[]")),
                "anyelement" | "anycompatible" => named(element),
                _ => named(name),
            };
            let Some(arguments) = arguments.into_iter().map(of).collect::<Option<Vec<_>>>() else { continue };
            let Some(result) = of(&row[2]) else { continue };
            found.push(Signature { name: row[0].clone(), arguments, result, operator: row[3] == "o", total: false });
        }
    }
    found
}

/// Whether random arguments of a call tell nothing: PostgreSQL's planner rewrites it, so that some of them do not count (coercions
/// to a declared length, and OVERLAPS, an expression in SQL of which constant parts are computed first).
pub(crate) fn is_odd(signature: &Signature) -> bool {
    // What PostgreSQL takes for a zone's name is nearly any text.
    if signature.name == "timezone" && KINDS[signature.arguments[0]].name == "text" {
        return true;
    }
    let coercions = ["varchar", "numeric", "timestamp", "timestamptz", "time", "timetz", "interval", "overlaps"];
    signature.arguments.len() > 1 && coercions.contains(&signature.name.as_str())
}

/// Whether the error that a sweep ends with hangs on which of the joined rows comes first: of three tables' rows, and of two
/// where a function raises one error before it looks for NULL and another one after.
pub(crate) fn fails_by_row(signature: &Signature) -> bool {
    let is_date = |ty: &usize| KINDS[*ty].name == "date";
    signature.arguments.len() > 2 || signature.name == "date_part" && signature.arguments.iter().any(is_date)
}

/// The statement that computes a signature over its arguments' edge values.
pub(crate) fn sweep(signature: &Signature) -> String {
    let count = signature.arguments.len();
    let (mut from, mut limit, mut arguments, mut order) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (i, ty) in signature.arguments.iter().enumerate() {
        from.push(format!("{} a{i}", edge_table(KINDS[*ty].name)));
        order.push(format!("a{i}.k"));
        arguments.push(super::Tree::from(format!("a{i}.v")));
        if count > 2 {
            limit.push(format!("a{i}.k < {}", if count == 3 { 6 } else { 3 }));
        }
    }
    let filter = if limit.is_empty() { String::new() } else { format!(" where {}", limit.join(" and ")) };
    let call = signature.call(arguments).text();
    format!("select {}, {call} from {}{filter}", order.join(", "), from.join(", "))
}

//! Functions, aggregates and text forms against what PostgreSQL 15 answered (`oracle.tsv`).

use super::aggregate::{SortOrder, Start, aggregate};
use super::window::in_range;
use super::{AdvisoryRequest, CallContext, Form, Host, implementation};
use crate::catalog::image::Image;
use crate::error::{Error, Result};
use crate::types::compare::compare;
use crate::types::format::{DateOrder, DateStyle, FormatSettings, IntervalStyle};
use crate::types::text_io::{self, Names};
use crate::types::{Datum, Oid, Type, oid, timezone};
use std::sync::Arc;

/// A session that has nothing but its settings.
struct Bare;

impl Names for Bare {
    fn read(&self, _: Oid, text: &str) -> Result<Oid> {
        Err(Error::unsupported(text))
    }
    fn show(&self, _: Oid, _: Oid) -> Option<String> {
        None
    }
}

impl Host for Bare {
    fn catalog(&self) -> Arc<Image> {
        Arc::new(Image::default())
    }
    fn setting(&self, _: &str) -> Option<String> {
        None
    }
    fn set_setting(&self, name: &str, _: &str, _: bool) -> Result<String> {
        Err(Error::unsupported(name))
    }
    fn user(&self, _: bool) -> String {
        String::new()
    }
    fn database(&self) -> String {
        String::new()
    }
    fn search_path(&self, _: bool) -> Vec<Oid> {
        Vec::new()
    }
    fn backend_pid(&self) -> i32 {
        0
    }
    fn nextval(&self, _: Oid) -> Result<i64> {
        Err(Error::unsupported("sequences"))
    }
    fn currval(&self, _: Option<Oid>) -> Result<i64> {
        Err(Error::unsupported("sequences"))
    }
    fn setval(&self, _: Oid, _: i64, _: bool) -> Result<i64> {
        Err(Error::unsupported("sequences"))
    }
    fn advisory(&self, _: AdvisoryRequest) -> Result<bool> {
        Err(Error::unsupported("locks"))
    }
    fn signal_backend(&self, _: i32, _: bool) -> Result<bool> {
        Ok(false)
    }
    fn relation_size(&self, _: Oid) -> Option<i64> {
        None
    }
    fn fact(&self, name: &str) -> Result<Datum> {
        Err(Error::unsupported(name))
    }
}

pub(super) fn context() -> CallContext {
    let (time_zone, _) = timezone::named("America/New_York").expect("a zone");
    CallContext {
        time_zone,
        format: FormatSettings { extra_float_digits: 1, ..FormatSettings::default() },
        transaction_time: 657_849_600_000_000,
        statement_time: 657_849_600_000_000,
        host: Arc::new(Bare),
    }
}

fn type_named(name: &str) -> Type {
    Type::new(match name {
        "bool" => oid::BOOL,
        "int2" => oid::INT2,
        "int4" => oid::INT4,
        "int8" => oid::INT8,
        "float4" => oid::FLOAT4,
        "float8" => oid::FLOAT8,
        "float8[]" => oid::FLOAT8_ARRAY,
        "numeric" => oid::NUMERIC,
        "text" => oid::TEXT,
        "date" => oid::DATE,
        "time" => oid::TIME,
        "timetz" => oid::TIMETZ,
        "timestamp" => oid::TIMESTAMP,
        "timestamptz" => oid::TIMESTAMPTZ,
        "interval" => oid::INTERVAL,
        _ => panic!("{name}"),
    })
}

/// A type that writes the datum as its own would.
fn type_of(datum: &Datum) -> Type {
    Type::new(match datum {
        Datum::Date(_) => oid::DATE,
        Datum::Array(array) => oid::array_of(array.element).expect("built-in elements only"),
        _ => oid::TEXT,
    })
}

/// Computes one line of the file: `=text`, `NULL` or `!SQLSTATE message`.
fn answer(ctx: &CallContext, symbol: &str, args: &[&str]) -> String {
    if let Some(style) = symbol.strip_prefix("style:") {
        return styled(style, args[0]);
    }
    let compute = || -> Result<Datum> {
        if let Some(ty) = symbol.strip_prefix("read:") {
            let (_, text) = args[0].split_once('=').expect("type=text");
            return text_io::input(text, type_named(ty), &ctx.text());
        }
        let typed = |arg: &&str| {
            let (ty, text) = arg.split_once('=').expect("type=text");
            let ty = type_named(ty);
            let value = if text == "NULL" { Datum::Null } else { text_io::input(text, ty, &ctx.text())? };
            Ok((ty, value))
        };
        let args = args.iter().map(typed).collect::<Result<Vec<_>>>()?;
        if let Some(name) = symbol.strip_prefix("set:") {
            return ordered_set(ctx, name, args);
        }
        if let Some(name) = symbol.strip_prefix("agg:") {
            let types = [args[0].0];
            let make = aggregate(name, &types).expect(name);
            let mut state = make(&Start { args: &types, direct: &[], order: &[] })?;
            for (_, value) in args {
                state.add(ctx, &[value])?;
            }
            return state.result(ctx);
        }
        let values: Vec<Datum> = args.into_iter().map(|(_, value)| value).collect();
        if symbol == "in_range" {
            let flag = |value: &Datum| matches!(value, Datum::Bool(true));
            let [value, base, offset, sub, less] = &values[..] else { panic!("{values:?}") };
            return in_range(ctx, value, base, offset, flag(sub), flag(less)).map(Datum::Bool);
        }
        match &implementation(symbol).unwrap_or_else(|| panic!("{symbol} is missing")).form {
            Form::Scalar(form) => form(ctx, &values),
            Form::Set(_) => panic!("{symbol} is a set function"),
        }
    };
    match compute() {
        Ok(Datum::Null) => "NULL".to_owned(),
        Ok(datum) => {
            let mut out = "=".to_owned();
            text_io::output(&datum, type_of(&datum), &ctx.text(), &mut out);
            out
        }
        Err(error) => format!("!{} {}", error.code().code(), error.report().message),
    }
}

/// `set:NAME`: the direct arguments come first; rows are sorted here, NULLs last.
fn ordered_set(ctx: &CallContext, name: &str, mut args: Vec<(Type, Datum)>) -> Result<Datum> {
    let rows = args.split_off(usize::from(name != "mode"));
    let direct: Vec<Datum> = args.into_iter().map(|(_, value)| value).collect();
    let types = [rows[0].0];
    let mut rows: Vec<Datum> = rows.into_iter().map(|(_, value)| value).collect();
    rows.sort_by(|a, b| match (a.is_null(), b.is_null()) {
        (false, false) => compare(a, b),
        (a, b) => a.cmp(&b),
    });
    let make = aggregate(name, &types).expect(name);
    let mut state = make(&Start { args: &types, direct: &direct, order: &[SortOrder::default()] })?;
    for value in rows {
        state.add(ctx, &[value])?;
    }
    state.result(ctx)
}

/// `style:DATESTYLE/ORDER/INTERVALSTYLE`: reads and writes a value under these settings.
fn styled(style: &str, arg: &str) -> String {
    let mut parts = style.split('/');
    let mut ctx = context();
    ctx.format.date_style = match parts.next() {
        Some("SQL") => DateStyle::Sql,
        Some("Postgres") => DateStyle::Postgres,
        Some("German") => DateStyle::German,
        _ => DateStyle::Iso,
    };
    ctx.format.date_order = match parts.next() {
        Some("DMY") => DateOrder::Dmy,
        Some("YMD") => DateOrder::Ymd,
        _ => DateOrder::Mdy,
    };
    ctx.format.interval_style = match parts.next() {
        Some("sql_standard") => IntervalStyle::SqlStandard,
        Some("postgres_verbose") => IntervalStyle::PostgresVerbose,
        Some("iso_8601") => IntervalStyle::Iso8601,
        _ => IntervalStyle::Postgres,
    };
    let (ty, text) = arg.split_once('=').expect("type=text");
    match text_io::input(text, type_named(ty), &ctx.text()) {
        Ok(value) => {
            let mut out = "=".to_owned();
            text_io::output(&value, type_named(ty), &ctx.text(), &mut out);
            out
        }
        Err(error) => format!("!{} {}", error.code().code(), error.report().message),
    }
}

#[test]
fn answers_are_postgresqls() {
    let ctx = context();
    let mut wrong = Vec::new();
    let mut lines = 0;
    for line in include_str!("oracle.tsv").lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let (symbol, args, expected) = (fields[0], &fields[1..fields.len() - 1], fields[fields.len() - 1]);
        let expected = expected.replace("\\\\", "\\");
        let answer = answer(&ctx, symbol, args);
        lines += 1;
        if answer != expected {
            wrong.push(format!("{symbol}{args:?}\n  PostgreSQL {expected}\n  here       {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {lines} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Texts that make values of a type; more of them than rows are drawn, so that pairs differ.
fn samples(ty: Oid) -> Option<&'static [&'static str]> {
    Some(match ty {
        oid::BOOL => &["t", "f"],
        oid::INT2 => &["0", "1", "-7", "32767", "-32768"],
        oid::INT4 => &["0", "1", "-12", "2147483647", "-2147483648", "5"],
        oid::INT8 => &["0", "3", "-9", "9223372036854775807", "-9223372036854775808"],
        oid::FLOAT4 => &["0", "1.5", "-2.25", "NaN", "Infinity"],
        oid::FLOAT8 => &["0", "1.5", "-2.25", "1e300", "NaN", "-Infinity"],
        oid::NUMERIC => &["0", "1.50", "-2.25", "1e30", "NaN", "0.001"],
        oid::TEXT => &[
            "",
            "day",
            "abc",
            "a text that is longer than any inline form holds",
            "é",
            "1",
            "UTC",
            "YYYY-MM-DD",
            "week",
        ],
        oid::BYTEA => &["\\x", "\\x616263", "\\x00"],
        oid::JSON | oid::JSONB => {
            &["null", "[]", "{\"a\": [1.50, \"x\"], \"b\": {}}", "[1, [true, null]]", "\"s\"", "-2.5"]
        }
        oid::DATE => &["2020-01-31", "infinity", "0044-03-15 BC", "5874897-12-31", "4714-11-24 BC"],
        oid::TIME => &["00:00:00", "13:04:05.678", "24:00:00"],
        oid::TIMETZ => &["00:00:00+00", "13:04:05.678-05"],
        oid::TIMESTAMP => {
            &["2020-01-31 13:04:05.678", "-infinity", "294276-12-31 23:59:59.999999", "4714-11-24 00:00:00 BC"]
        }
        oid::TIMESTAMPTZ => &[
            "2020-01-31 13:04:05+00",
            "infinity",
            "2024-03-10 07:00:00+00",
            "4714-11-24 00:00:00+00 BC",
            "294276-12-31 00:00+00",
        ],
        oid::INTERVAL => &[
            "1 mon 2 days 03:04:05",
            "-1 day",
            "00:00:00",
            "2147483647 mons 2147483647 days 2562047788:00:54.775807",
            "-2147483648 mons -2147483648 days -2562047788:00:54.775807",
        ],
        oid::UUID => &["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
        oid::OID => &["0", "16384"],
        _ => return None,
    })
}

/// Every scalar function of the catalog: what the batch form gives is what the row form gives row by row.
#[test]
fn batch_form_agrees_with_row_form() {
    use super::batch::{Operand, Writer, evaluate, value_at};
    use super::{FunctionKind, Volatility};
    use arrow_buffer::BooleanBuffer;
    const ROWS: usize = 100;
    let ctx = context();
    let show = |value: &Datum, ty: Type| {
        let mut out = String::new();
        text_io::output(value, ty, &ctx.text(), &mut out);
        format!("{}{out}", if value.is_null() { "NULL" } else { "=" })
    };
    let mut state = 1u64;
    let mut random = move |below: usize| {
        // Knuth's MMIX generator; the high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut compared = 0;
    for function in crate::catalog::builtin::functions() {
        let Some(Form::Scalar(form)) = function.implementation.map(|implementation| &implementation.form) else {
            continue;
        };
        let Some(samples) = function.args.iter().map(|ty| samples(*ty)).collect::<Option<Vec<_>>>() else { continue };
        let known = samples_exist(function.result) && function.kind == FunctionKind::Function;
        if !known || function.volatility == Volatility::Volatile {
            continue;
        }
        let result = Type::new(function.result);
        let mut columns: Vec<Writer> = function.args.iter().map(|ty| Writer::new(Type::new(*ty), ROWS)).collect();
        let (mut selected, mut expected) = (Vec::new(), Vec::new());
        let mut any_error = false;
        for _ in 0..ROWS {
            let mut values = Vec::new();
            for (column, (texts, ty)) in columns.iter_mut().zip(samples.iter().zip(function.args)) {
                let value = match random(texts.len() + 1) {
                    0 => Datum::Null,
                    n => text_io::input(texts[n - 1], Type::new(*ty), &ctx.text()).expect("a sample"),
                };
                column.append(&value).expect("a value of the column's type");
                values.push(value);
            }
            let skipped = random(4) == 0;
            let value = match function.strict && values.iter().any(Datum::is_null) {
                true => Ok(Datum::Null),
                false => form(&ctx, &values),
            };
            any_error |= value.is_err();
            selected.push(!skipped && value.is_ok());
            expected.push(if skipped { Datum::Null } else { value.unwrap_or_default() });
        }
        let arrays: Vec<_> = columns.into_iter().map(Writer::finish).collect();
        let operands: Vec<_> =
            arrays.iter().zip(function.args).map(|(array, ty)| Operand::Column(array, Type::new(*ty))).collect();
        let selection = BooleanBuffer::from(selected.clone());
        let batch = evaluate(function, &ctx, &operands, result, ROWS, Some(&selection))
            .unwrap_or_else(|error| panic!("{}: {error}", function.symbol));
        for (row, expected) in expected.iter().enumerate() {
            let value = value_at(&batch, result, row).expect("a value of the result type");
            assert_eq!(show(&value, result), show(expected, result), "{} row {row}", function.symbol);
        }
        if any_error && !function.args.is_empty() {
            let all = evaluate(function, &ctx, &operands, result, ROWS, None);
            assert!(all.is_err(), "{} raises on a row that is selected", function.symbol);
        }
        compared += 1;
    }
    assert!(compared > 500, "only {compared} functions were compared");
}

fn samples_exist(ty: Oid) -> bool {
    samples(ty).is_some()
}

/// Texts and templates of the right letters in any order raise errors at most.
#[test]
fn no_text_makes_a_reader_panic() {
    const PIECES: [&str; 48] = [
        "2020",
        "-",
        "01",
        "31",
        "/",
        ":",
        ".",
        " ",
        "T",
        "Z",
        "+05",
        "EST",
        "BC",
        "PM",
        "jan",
        "Mon",
        "P",
        "1Y",
        "2M",
        "W",
        "3D",
        "4.5S",
        "ago",
        "days",
        "é",
        "y",
        "m",
        "J2458854",
        "9999999999",
        "99999",
        "EEEE",
        "9",
        "0",
        ",",
        "S",
        "MI",
        "PR",
        "FM",
        "YYYY",
        "Y,YYY",
        "DDD",
        "IW",
        "TZH",
        "\"",
        "\\",
        "Month",
        "RM",
        "HH12",
    ];
    let ctx = context();
    let mut state = 7u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let types = ["date", "time", "timetz", "timestamp", "timestamptz", "interval"];
    for _ in 0..20_000 {
        let mut text = || (0..random(7)).map(|_| PIECES[random(PIECES.len())]).collect::<String>();
        let (text, template) = (text(), text());
        for ty in types {
            let ty = type_named(ty);
            if let Ok(value) = text_io::input(&text, ty, &ctx.text()) {
                let mut out = String::new();
                text_io::output(&value, ty, &ctx.text(), &mut out);
                let again =
                    text_io::input(&out, ty, &ctx.text()).unwrap_or_else(|error| panic!("{text} {out}: {error}"));
                assert!(compare(&value, &again).is_eq(), "{text} {out}");
            }
        }
        let args = [text.as_str(), template.as_str()].map(|text| Datum::Text(text.into()));
        for symbol in ["to_timestamp", "to_date", "numeric_to_number"] {
            let Some(Form::Scalar(form)) = implementation(symbol).map(|implementation| &implementation.form) else {
                panic!("{symbol} is missing");
            };
            let _ = form(&ctx, &args);
        }
        let number = [Datum::Float8(-1234.5), Datum::Text(template.as_str().into())];
        let moment = [Datum::TimestampTz(657_849_600_123_456), Datum::Text(template.as_str().into())];
        for (symbol, args) in [("float8_to_char", &number), ("timestamptz_to_char", &moment)] {
            if let Some(Form::Scalar(form)) = implementation(symbol).map(|implementation| &implementation.form) {
                let _ = form(&ctx, args);
            }
        }
    }
}

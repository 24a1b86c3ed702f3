//! Functions, aggregates and text forms against what PostgreSQL 15 answered (`oracle.tsv`).

use super::aggregate::{Start, aggregate};
use super::{AdvisoryRequest, CallContext, Form, Host, implementation};
use crate::catalog::image::Image;
use crate::error::{Error, Result};
use crate::types::format::FormatSettings;
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

fn context() -> CallContext {
    let (time_zone, time_zone_name) = timezone::named("America/New_York").expect("a zone");
    CallContext {
        time_zone,
        time_zone_name,
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

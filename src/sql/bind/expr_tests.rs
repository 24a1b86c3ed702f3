//! Expressions against PostgreSQL 15: the output column's name and type, or the error with its place.
//!
//! `sql/bind/expressions.tsv` holds an expression and what psql's `SELECT expression \gdesc` says of it; constant
//! expressions that fail have the error of their execution, because constants are folded by the binder here.

use super::{BindContext, Binder};
use crate::catalog::image::{Image, Schema};
use crate::error::{Error, Result};
use crate::executor::functions::{AdvisoryRequest, CallContext, Host};
use crate::sql::parse;
use crate::types::format::FormatSettings;
use crate::types::text_io::Names;
use crate::types::{Datum, Oid};
use std::sync::Arc;

struct Bare;

impl Names for Bare {
    fn read(&self, _: Oid, text: &str) -> Result<Oid> {
        match text {
            "pg_class" => Ok(Oid(1259)),
            "int4" => Ok(Oid(23)),
            _ => Err(Error::unsupported(text)),
        }
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
        "postgres".into()
    }
    fn database(&self) -> String {
        "test".into()
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

fn describe(text: &str) -> String {
    let call = CallContext {
        time_zone: jiff::tz::TimeZone::UTC,
        format: FormatSettings { extra_float_digits: 1, ..FormatSettings::default() },
        transaction_time: 0,
        statement_time: 0,
        host: Arc::new(Bare),
    };
    let mut image = Image::default();
    for (oid, name) in [(11, "pg_catalog"), (12, "information_schema"), (2200, "public")] {
        let schema = Schema { oid: Oid(oid), name: name.into(), owner: Oid(10) };
        image.schemas.insert(Oid(oid), Arc::new(schema));
        image.schema_names.insert(name.into(), Oid(oid));
    }
    let ctx = BindContext {
        image: Arc::new(image),
        search_path: vec![Oid(11), Oid(2200)],
        temp_schema: None,
        user: Oid(10),
        declared_params: Vec::new(),
        call: &call,
        reads_clock: Default::default(),
    };
    let bound = parse::parse_one(text).and_then(|statement| Binder::new(&ctx, text).statement(&statement));
    let bound = bound.and_then(|bound| match bound.failures.first() {
        Some((_, error)) => Err(error.clone()),
        None => Ok(bound),
    });
    match bound {
        Ok(bound) => {
            let column = &bound.output[0];
            let shown = Binder::new(&ctx, "").type_name(column.ty);
            format!("{}\t{shown}", column.name)
        }
        Err(error) => {
            let report = error.report();
            format!("!{}@{} {}", report.code.code(), report.position.unwrap_or(0), report.message)
        }
    }
}

/// A type's name without its modifier.
fn plain(text: &str) -> String {
    match (text.find('('), text.find(')')) {
        (Some(open), Some(close)) if !text.starts_with('!') && open > 0 => {
            format!("{}{}", &text[..open], &text[close + 1..])
        }
        _ => text.to_owned(),
    }
}

#[test]
fn expressions_mean_what_postgresql_says() {
    let mut wrong = Vec::new();
    let text = include_str!("../../../sql/bind/expressions.tsv");
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (expression, expected) = line.split_once('\t').expect("two columns");
        let found = describe(&format!("select {expression} "));
        if plain(&found) != plain(expected) {
            wrong.push(format!("{expression}\n    want {expected}\n    have {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), text.lines().count(), wrong.join("\n"));
}

#[test]
fn huge_and_deep_expressions_are_bound() {
    let list: Vec<String> = (0..100_000).map(|i| i.to_string()).collect();
    assert_eq!(describe(&format!("select 1 in ({})", list.join(", "))), "?column?\tboolean");
    assert_eq!(describe(&format!("select {} false", "$1 = 1 or ".repeat(100_000))), "?column?\tboolean");
    assert_eq!(describe(&format!("select {}1{}", "(".repeat(3_000), ")".repeat(3_000))), "?column?\tinteger");
    assert_eq!(describe(&format!("select '{}'", "x".repeat(64 << 20))), "?column?\ttext");
    let deep = describe(&format!("select {}1{}", "abs(".repeat(10_000), ")".repeat(10_000)));
    assert!(deep.starts_with("!54001"), "{deep}");
}

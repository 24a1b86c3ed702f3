//! Statements that are too long, too deep or no text at all: each is answered within seconds, and the server goes on.

use crate::support::{Lightning, Wire};
use std::time::{Duration, Instant};

/// Longest that one of these statements may take in a build without optimization.
const PATIENCE: Duration = Duration::from_secs(60);

fn repeated(count: usize, item: impl Fn(usize) -> String, between: &str) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(between)
}

#[test]
fn hostile_statements_are_answered_and_the_server_lives() {
    attack(1, PATIENCE);
}

/// The same, each ten times as large.
#[test]
#[ignore = "long tier"]
fn hostile_statements_at_full_size() {
    attack(10, PATIENCE);
}

fn attack(size: usize, patience: Duration) {
    let server = Lightning::start();
    let nested = |depth: usize| format!("select {}1{}", "(".repeat(depth), ")".repeat(depth));
    let subqueries = |depth: usize| format!("select {}1{}", "(select ".repeat(depth), ")".repeat(depth));
    let cases = |depth: usize| format!("select {}1{}", "case when true then ".repeat(depth), " end".repeat(depth));
    let from = |depth: usize| format!("{} 1 as x {}", "select * from (select ".repeat(depth), ") s".repeat(depth));
    let statements: Vec<(&str, Vec<u8>, &[&str])> = vec![
        (
            "100,000 terms of OR",
            format!("select {}", repeated(100_000 * size, |i| format!("1 = {i}"), " or ")).into(),
            &[""],
        ),
        (
            "100,000 terms of +",
            format!("select {}", repeated(100_000 * size, |_| "1".into(), " + ")).into(),
            &["", "54001"],
        ),
        ("IN of 100,000", format!("select 5 in ({})", repeated(100_000 * size, |i| i.to_string(), ", ")).into(), &[""]),
        ("3,000 parentheses", nested(3_000).into(), &["", "54001"]),
        ("50,000 parentheses", nested(50_000 * size).into(), &["54001"]),
        ("unclosed parentheses", "(".repeat(100_000 * size).into(), &["54001", "42601"]),
        ("1,000 subqueries", subqueries(1_000).into(), &["", "54001"]),
        ("20,000 subqueries", subqueries(20_000 * size).into(), &["54001"]),
        ("20,000 CASE", cases(20_000 * size).into(), &["", "54001"]),
        ("5,000 FROM", from(5_000).into(), &["54001", "42601"]),
        ("20,000 NOT", format!("select {} true", "not ".repeat(20_000 * size)).into(), &["", "54001"]),
        ("20,000 minus", format!("select {} 1", "- ".repeat(20_000 * size)).into(), &["", "54001"]),
        ("20,000 casts", format!("select 1{}", "::int".repeat(20_000 * size)).into(), &["", "54001"]),
        (
            "10,000 columns",
            format!("select {}", repeated(10_000, |i| format!("{i} as c{i}"), ", ")).into(),
            &["", "54011"],
        ),
        ("1,600 columns", format!("select {}", repeated(1_600, |i| format!("{i} as c{i}"), ", ")).into(), &[""]),
        ("identifier of 1 MB", format!("select 1 as \"{}\"", "x".repeat(1 << 20)).into(), &[""]),
        ("literal of 64 MB", format!("select length('{}')", "x".repeat(64 << 20)).into(), &["", "54000"]),
        ("comment of 64 MB", format!("select 1 /*{}*/", "x".repeat(64 << 20)).into(), &[""]),
        ("nested comments", format!("select 1 {}", "/*".repeat(100_000 * size)).into(), &["42601"]),
        ("20,000 statements", "select 1;".repeat(20_000 * size).into(), &[""]),
        (
            "10,000 rows of VALUES",
            format!("values {}", repeated(10_000 * size, |i| format!("({i})"), ", ")).into(),
            &[""],
        ),
        ("300 joins", format!("select 1 from {}", repeated(300, |i| format!("(select 1) s{i}"), ", ")).into(), &[""]),
        ("1,000 UNION ALL", repeated(1_000, |i| format!("select {i}"), " union all ").into(), &["", "54001"]),
        ("20,000 UNION ALL", repeated(20_000 * size, |i| format!("select {i}"), " union all ").into(), &["", "54001"]),
        ("array nesting", format!("select '{}'::int[]", "{".repeat(100_000 * size)).into(), &["54000"]),
        ("no UTF-8", b"select '\xff\xfe'".to_vec(), &["22021"]),
        ("cut UTF-8", b"select '\xc3".to_vec(), &["22021"]),
        ("a zero byte", b"select 1\0 garbage".to_vec(), &["08P01", ""]),
    ];
    let mut failures = Vec::new();
    let mut wire = Wire::open(server.port);
    for (name, text, expected) in statements {
        let begun = Instant::now();
        let code = wire.ask(&text);
        let took = begun.elapsed();
        eprintln!("{name}: {code:?} in {took:?}");
        if !expected.contains(&code.as_str()) || took > patience {
            failures.push(format!("{name}: {code:?} in {took:?}, expected {expected:?}"));
        }
        if !wire.ask(b"select 1").is_empty() {
            // PostgreSQL ends a connection whose messages are malformed, no other.
            if !matches!(name, "a zero byte") {
                failures.push(format!("{name}: the connection is gone"));
            }
            wire = Wire::open(server.port);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

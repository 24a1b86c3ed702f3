//! Random statements on the real program and on a private PostgreSQL 15, whose answers must be equal.
//!
//! A statement comes of a seed, which is printed. Where the answers differ the statement is made simpler while they do, and printed.
//! Rows are compared as a multiset, or in order where the statement's order is total; errors by SQLSTATE; message and position
//! are compared as a weaker class. Which error an expression raises may hang on the order of evaluation only where there are
//! several rows or conditions: expressions that may raise are therefore asked over one row, and joins, groups and the like
//! are made of functions that raise for no edge value (a sweep over all of them finds out which). So no error is excused.
//!
//! The gate's seeds are fixed while differences are known to be open; the long tier's is fresh.
//! `LIGHTNING_RANDOM_SEED` and `LIGHTNING_RANDOM_COUNT` replay or prolong; the long tier is `cargo test … random -- --ignored`.

mod expression;
mod query;
mod schema;
mod sessions;
mod tree;
mod writes;

use crate::support::{Lightning, Postgres};
use expression::{Catalog, Generator};
use schema::{KINDS, edge_table};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};
use tree::Tree;

/// Splitmix64.
pub(crate) struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("below a usize")
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq)]
enum Answer {
    /// What rows look like, and the rows.
    Rows(String, Vec<String>),
    /// SQLSTATE; message and position.
    Error(String, String),
    /// The connection is gone.
    Lost(String),
}

/// How a statement reaches the servers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Road {
    Simple,
    /// Extended protocol, binary results.
    Extended,
    /// The same, constants as parameters in text or binary.
    Text,
    Binary,
}

/// How two answers differ, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Lost,
    Rows,
    Types,
    MissingError,
    WrongError,
    Sqlstate,
    Words,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Same,
    /// We say that we cannot, or PostgreSQL 15 does what we do not want to do.
    Refused(String),
    /// One of the two took too long.
    Slow,
    Differ(Class),
}

fn judge(ours: &Answer, theirs: &Answer, ordered: bool) -> Verdict {
    use Answer::{Error, Lost, Rows};
    match (ours, theirs) {
        (Lost(_), _) | (_, Lost(_)) => Verdict::Differ(Class::Lost),
        (Error(code, _), _) | (_, Error(code, _)) if code == "57014" => Verdict::Slow,
        (Error(one, words), Error(other, expected)) if one == other => {
            if words == expected {
                Verdict::Same
            } else {
                Verdict::Differ(Class::Words)
            }
        }
        (Error(code, words), _) if code == "0A000" => {
            Verdict::Refused(words.rsplit_once(" at ").map_or(words.as_str(), |(words, _)| words).to_owned())
        }
        // It subtracts times without a look at overflow, which later versions have.
        (Error(code, words), Rows(..)) if code == "22008" && words.starts_with("interval out of range") => {
            Verdict::Refused("PostgreSQL 15 wraps around: interval out of range".to_owned())
        }
        // Rows of CYCLE that differ in text and varchar alone.
        (Rows(..), Error(code, words))
            if code == "42804" && words.starts_with("cannot compare dissimilar column types") =>
        {
            Verdict::Refused("PostgreSQL cannot: cannot compare dissimilar column types".to_owned())
        }
        (Error(..), Error(..)) => Verdict::Differ(Class::Sqlstate),
        (Error(..), Rows(..)) => Verdict::Differ(Class::WrongError),
        (Rows(..), Error(..)) => Verdict::Differ(Class::MissingError),
        (Rows(head, _), Rows(expected, _)) if head != expected => Verdict::Differ(Class::Types),
        (Rows(_, ours), Rows(_, theirs)) => {
            let same = if ordered {
                ours == theirs
            } else {
                let [mut ours, mut theirs] = [ours.clone(), theirs.clone()];
                ours.sort();
                theirs.sort();
                ours == theirs
            };
            if same { Verdict::Same } else { Verdict::Differ(Class::Rows) }
        }
    }
}

fn failure(error: &tokio_postgres::Error) -> Answer {
    let Some(error) = error.as_db_error() else { return Answer::Lost(format!("{error:?}")) };
    let position = match error.position() {
        Some(tokio_postgres::error::ErrorPosition::Original(position)) => format!(" at {position}"),
        _ => String::new(),
    };
    Answer::Error(error.code().code().to_owned(), format!("{}{position}", error.message()))
}

async fn simple(client: &Client, text: &str) -> Answer {
    let (mut head, mut rows) = (String::new(), Vec::new());
    match client.simple_query(text).await {
        Err(error) => return failure(&error),
        Ok(messages) => {
            for message in messages {
                match message {
                    SimpleQueryMessage::Row(row) => {
                        rows.push((0..row.len()).map(|i| row.get(i).unwrap_or("NULL")).collect::<Vec<_>>().join("|"));
                    }
                    SimpleQueryMessage::RowDescription(columns) => {
                        columns.iter().for_each(|column| _ = write!(head, "{} ", column.name()));
                    }
                    SimpleQueryMessage::CommandComplete(count) => _ = write!(head, "count {count} "),
                    _ => {}
                }
            }
        }
    }
    Answer::Rows(head, rows)
}

/// A value as it goes over the wire.
#[derive(Clone, Debug)]
struct Raw(Option<Vec<u8>>, bool);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Raw(Some(raw.to_vec()), true))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut bytes::BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(bytes) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        if self.1 { Format::Binary } else { Format::Text }
    }

    to_sql_checked!();
}

async fn extended(client: &Client, text: &str, parameters: &[(Type, Raw)]) -> Answer {
    let types = parameters.iter().map(|parameter| parameter.0.clone()).collect::<Vec<_>>();
    let statement = match client.prepare_typed(text, &types).await {
        Ok(statement) => statement,
        Err(error) => return failure(&error),
    };
    let head =
        statement.columns().iter().map(|column| format!("{} {}, ", column.name(), column.type_().name())).collect();
    let values = parameters.iter().map(|parameter| &parameter.1 as &(dyn ToSql + Sync)).collect::<Vec<_>>();
    let rows = match client.query(&statement, &values).await {
        Ok(rows) => rows,
        Err(error) => return failure(&error),
    };
    let field = |row: &tokio_postgres::Row, i: usize| match row.get::<_, Option<Raw>>(i) {
        Some(Raw(Some(bytes), _)) => bytes.iter().fold(String::new(), |mut out, byte| {
            _ = write!(out, "{byte:02x}");
            out
        }),
        _ => "NULL".to_owned(),
    };
    Answer::Rows(
        head,
        rows.iter().map(|row| (0..row.len()).map(|i| field(row, i)).collect::<Vec<_>>().join("|")).collect(),
    )
}

async fn connect(port: u16) -> Client {
    let url = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("the server takes connections");
    tokio::spawn(connection);
    client.batch_execute("set statement_timeout = '3s'").await.expect("a setting of both");
    client
}

/// Both servers with the same tables.
struct World {
    lightning: Lightning,
    postgres: Postgres,
    ours: Client,
    theirs: Client,
    setup: Vec<String>,
    /// `lightning.road`
    road: &'static str,
    /// Constants' types and binary forms.
    constants: HashMap<(String, &'static str), (Type, Vec<u8>)>,
}

impl World {
    /// `None` where PostgreSQL is not installed.
    async fn start(setup: Vec<String>) -> Option<World> {
        let postgres = Postgres::start()?;
        let lightning = Lightning::start();
        let (ours, theirs) = (connect(lightning.port).await, connect(postgres.port).await);
        let world = World { lightning, postgres, ours, theirs, setup, road: "auto", constants: HashMap::new() };
        for text in &world.setup {
            world.theirs.batch_execute(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
            world.ours.batch_execute(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        }
        Some(world)
    }

    /// On both.
    async fn run(&self, text: &str) {
        for client in [&self.ours, &self.theirs] {
            client.batch_execute(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        }
    }

    /// A connection again after it was lost, and a server after it died.
    async fn revive(&mut self) {
        if std::net::TcpStream::connect(("127.0.0.1", self.lightning.port)).is_err() {
            self.lightning = Lightning::start();
            self.ours = connect(self.lightning.port).await;
            for text in &self.setup {
                self.ours.batch_execute(text).await.expect("it ran before");
            }
        } else {
            self.ours = connect(self.lightning.port).await;
        }
        self.take(self.road).await;
    }

    /// From now on everything that has a form there goes down this road.
    async fn take(&mut self, road: &'static str) {
        self.road = road;
        self.ours.batch_execute(&format!("set lightning.road = {road}")).await.expect("a setting of ours");
    }

    async fn ask(&mut self, tree: &Tree, road: Road) -> (Answer, Answer) {
        let text = tree.text();
        match road {
            Road::Simple => tokio::join!(simple(&self.ours, &text), simple(&self.theirs, &text)),
            Road::Extended => tokio::join!(extended(&self.ours, &text, &[]), extended(&self.theirs, &text, &[])),
            Road::Text | Road::Binary => {
                let (text, constants) = tree.with_parameters();
                let mut parameters = Vec::new();
                for (text, kind) in constants {
                    let (ty, bytes) = self.constant(&text, kind).await;
                    let raw = match (text.as_str(), road) {
                        ("null", _) => Raw(None, true),
                        (_, Road::Text) => Raw(Some(text.into_bytes()), false),
                        _ => Raw(Some(bytes), true),
                    };
                    parameters.push((ty, raw));
                }
                tokio::join!(extended(&self.ours, &text, &parameters), extended(&self.theirs, &text, &parameters))
            }
        }
    }

    async fn constant(&mut self, text: &str, kind: &'static str) -> (Type, Vec<u8>) {
        let key = (text.to_owned(), kind);
        if !self.constants.contains_key(&key) {
            let shown = if text == "null" { "null".to_owned() } else { format!("'{text}'") };
            let row = self.theirs.query_one(&format!("select {shown}::{kind}"), &[]).await.expect("an edge value");
            let bytes = row.get::<_, Option<Raw>>(0).and_then(|raw| raw.0).unwrap_or_default();
            self.constants.insert(key.clone(), (row.columns()[0].type_().clone(), bytes));
        }
        self.constants[&key].clone()
    }

    /// The simplest statement that still differs in the same way.
    async fn shrink(&mut self, tree: Tree, road: Road, ordered: bool, class: Class) -> Tree {
        let (mut tree, mut n, mut tries) = (tree, 0, 0);
        while let Some(candidate) = tree.simpler(n)
            && tries < 1500
        {
            tries += 1;
            let (ours, theirs) = self.ask(&candidate, road).await;
            if matches!(ours, Answer::Lost(_)) {
                self.revive().await;
            }
            if judge(&ours, &theirs, ordered) == Verdict::Differ(class) {
                tree = candidate;
            } else {
                n += 1;
            }
        }
        tree
    }

    /// Functions and casts over all their edge values: what differs, and the catalog for expressions.
    async fn sweep(&mut self, report: &mut Report, compare: bool) -> Catalog {
        let mut catalog = Catalog { signatures: vec![Vec::new(); KINDS.len()], casts: vec![Vec::new(); KINDS.len()] };
        for mut signature in schema::signatures(&self.theirs).await {
            let tree = Tree::from(schema::sweep(&signature));
            let (ours, theirs) = if compare {
                self.ask(&tree, Road::Simple).await
            } else {
                let nulls = signature.arguments.iter().map(|ty| format!("null::{}", KINDS[*ty].name).into()).collect();
                let text = format!("select {}", signature.call(nulls).text());
                let sweep = tree.text();
                tokio::join!(simple(&self.ours, &text), simple(&self.theirs, &sweep))
            };
            // The sweep of three arguments does not come to lengths that are too large.
            let pads = signature.name == "lpad" || signature.name == "rpad";
            signature.total = matches!(theirs, Answer::Rows(..)) && !pads;
            if matches!(&theirs, Answer::Error(code, _) if code == "57014" || code == "54000" || code == "53200") {
                continue;
            }
            let verdict = judge(&ours, &theirs, false);
            let refused = matches!(&ours, Answer::Error(code, _) if code == "0A000" || code == "42883");
            if compare {
                if refused {
                    *report.missing.entry(signature.shown()).or_default() += 1;
                } else if !schema::fails_by_row(&signature)
                    || !matches!((&ours, &theirs), (Answer::Error(..), Answer::Error(..)))
                {
                    report.note(self, "sweep", &tree, Road::Simple, false, &verdict, &ours, &theirs).await;
                }
            }
            if !refused && !schema::is_odd(&signature) {
                catalog.signatures[signature.result].push(signature);
            }
        }
        for (to, target) in KINDS.iter().enumerate() {
            for (from, source) in KINDS.iter().enumerate() {
                let text = format!("select k, v::{} from {}", target.name, edge_table(source.name));
                let (ours, theirs) = self.ask(&text.clone().into(), Road::Simple).await;
                let impossible = matches!(&theirs, Answer::Error(code, _) if code == "42846");
                if compare {
                    let verdict = judge(&ours, &theirs, false);
                    report.note(self, "cast", &text.into(), Road::Simple, false, &verdict, &ours, &theirs).await;
                }
                if !impossible {
                    catalog.casts[to].push((from, matches!(theirs, Answer::Rows(..))));
                }
            }
        }
        catalog
    }
}

/// What a run came to.
#[derive(Default)]
struct Report {
    statements: usize,
    errors: usize,
    slow: usize,
    refused: BTreeMap<String, usize>,
    missing: BTreeMap<String, usize>,
    classes: BTreeMap<Class, usize>,
    text: String,
}

/// How many differences are made simpler and printed.
const SHOWN_MAX: usize = 60;

impl Report {
    async fn note(
        &mut self,
        world: &mut World,
        from: &str,
        tree: &Tree,
        road: Road,
        ordered: bool,
        verdict: &Verdict,
        ours: &Answer,
        theirs: &Answer,
    ) {
        self.statements += 1;
        self.errors += usize::from(matches!(theirs, Answer::Error(..)));
        let class = match verdict {
            Verdict::Same => return,
            Verdict::Slow => return self.slow += 1,
            Verdict::Refused(words) => return *self.refused.entry(words.clone()).or_default() += 1,
            Verdict::Differ(class) => *class,
        };
        if matches!(ours, Answer::Lost(_)) {
            world.revive().await;
        }
        *self.classes.entry(class).or_default() += 1;
        if self.classes.values().sum::<usize>() > SHOWN_MAX {
            return;
        }
        let tree = world.shrink(tree.clone(), road, ordered, class).await;
        let (ours, theirs) = if tree.simpler(0).is_none() && from == "sweep" || from == "cast" {
            (ours.clone(), theirs.clone())
        } else {
            world.ask(&tree, road).await
        };
        if matches!(ours, Answer::Lost(_)) {
            world.revive().await;
        }
        let text = tree.text();
        let (ours, theirs) = only_different(ours, theirs, ordered);
        let [ours, theirs] = [ours, theirs].map(|answer| shown(&answer));
        let difference =
            format!("-- {class:?}, {road:?}, {from}\n{text};\n--   ours:       {ours}\n--   PostgreSQL: {theirs}\n");
        eprintln!("{difference}");
        self.text += &difference;
    }

    fn finish(&self) {
        let refused =
            self.refused.iter().map(|(words, count)| format!("\n  refused {count}: {words}")).collect::<String>();
        eprintln!(
            "random: {} statements ({} of them errors), {} too slow, {} refused, differences {:?}{refused}",
            self.statements,
            self.errors,
            self.slow,
            self.refused.values().sum::<usize>(),
            self.classes
        );
        if !self.missing.is_empty() {
            eprintln!("without implementation: {}", self.missing.keys().cloned().collect::<Vec<_>>().join(", "));
        }
        assert!(self.classes.keys().all(|class| *class == Class::Words), "answers differ:\n{}", self.text);
    }
}

/// The rows that only one of the two has.
fn only_different(ours: Answer, theirs: Answer, ordered: bool) -> (Answer, Answer) {
    let (Answer::Rows(one, mut ours), Answer::Rows(other, mut theirs)) = (ours.clone(), theirs.clone()) else {
        return (ours, theirs);
    };
    if !ordered {
        ours.retain(|row| match theirs.iter().position(|other| other == row) {
            Some(at) => {
                theirs.swap_remove(at);
                false
            }
            None => true,
        });
    }
    (Answer::Rows(one, ours), Answer::Rows(other, theirs))
}

fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Rows(head, rows) => {
            let some = rows.iter().take(6).cloned().collect::<Vec<_>>().join(" ; ");
            format!("({head}) {} rows: {}", rows.len(), some.chars().take(400).collect::<String>())
        }
        Answer::Error(code, words) => format!("{code} {words}"),
        Answer::Lost(words) => format!("connection lost: {words}"),
    }
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seed: `LIGHTNING_RANDOM_SEED`, else the one given, else a fresh one.
fn seed(given: Option<u64>) -> u64 {
    let fresh = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let seed = setting("LIGHTNING_RANDOM_SEED").or(given).unwrap_or_else(fresh);
    eprintln!("random: LIGHTNING_RANDOM_SEED={seed}");
    seed
}

/// A number of random queries.
async fn queries(world: &mut World, catalog: &Catalog, report: &mut Report, seed: u64, count: u64) {
    for n in seed..seed + count {
        let mut rng = Rng(n.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let road = [Road::Simple, Road::Simple, Road::Extended, Road::Text, Road::Binary][rng.below(5)];
        // Whether parameters are folded like constants hangs on the plan: custom or generic.
        let risky = rng.one_in(3) && !matches!(road, Road::Text | Road::Binary);
        let mut generator =
            Generator { rng, catalog, scopes: Vec::new(), risky, queries: 4, parts: Vec::new(), names: 0 };
        let (tree, ordered) = generator.statement();
        let (ours, theirs) = world.ask(&tree, road).await;
        let verdict = judge(&ours, &theirs, ordered);
        report.note(world, &format!("LIGHTNING_RANDOM_SEED={n}"), &tree, road, ordered, &verdict, &ours, &theirs).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_answer_as_postgresql() {
    let seed = seed(Some(10_000));
    let Some(mut world) = World::start(schema::tables(&mut Rng(seed))).await else { return };
    let mut report = Report::default();
    let count = setting("LIGHTNING_RANDOM_COUNT").unwrap_or(300);
    let catalog = world.sweep(&mut report, false).await;
    queries(&mut world, &catalog, &mut report, seed, count).await;
    // The same again over indexes, and in little memory.
    for text in schema::indexes(&mut Rng(seed)) {
        world.run(&text).await;
        world.setup.push(text);
    }
    queries(&mut world, &catalog, &mut report, seed, count).await;
    world.run("set work_mem = '64kB'").await;
    queries(&mut world, &catalog, &mut report, seed, count).await;
    report.finish();
}

/// The same statements with everything that has a form there on the vector road.
#[tokio::test(flavor = "multi_thread")]
async fn queries_answer_as_postgresql_on_the_vector_road() {
    let seed = seed(Some(10_000));
    let Some(mut world) = World::start(schema::tables(&mut Rng(seed))).await else { return };
    let mut report = Report::default();
    let count = setting("LIGHTNING_RANDOM_COUNT").unwrap_or(300);
    let catalog = world.sweep(&mut report, false).await;
    world.take("vector").await;
    queries(&mut world, &catalog, &mut report, seed, count).await;
    report.finish();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes"]
async fn functions_answer_as_postgresql_for_edge_values() {
    let Some(mut world) = World::start(schema::tables(&mut Rng(1))).await else { return };
    let mut report = Report::default();
    world.sweep(&mut report, true).await;
    report.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_answer_as_postgresql() {
    let seed = seed(Some(1));
    let Some(mut world) = World::start(Vec::new()).await else { return };
    let mut report = Report::default();
    writes::scripts(&mut world, &mut report, seed, setting("LIGHTNING_RANDOM_COUNT").unwrap_or(100)).await;
    report.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_answer_as_postgresql() {
    let seed = seed(Some(1));
    let Some(world) = World::start(Vec::new()).await else { return };
    let mut report = Report::default();
    let count = setting("LIGHTNING_RANDOM_COUNT").unwrap_or(10);
    sessions::schedules(world.lightning.port, world.postgres.port, &mut report, seed, count).await;
    report.finish();
}

/// All of it, long: for `LIGHTNING_RANDOM_COUNT` (20,000) queries and parts of it of the others.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "an hour"]
async fn everything_answers_as_postgresql() {
    let (seed, count) = (seed(None), setting("LIGHTNING_RANDOM_COUNT").unwrap_or(20_000));
    let Some(mut world) = World::start(schema::tables(&mut Rng(seed))).await else { return };
    let mut report = Report::default();
    let catalog = world.sweep(&mut report, true).await;
    for road in ["row", "vector"] {
        world.take(road).await;
        queries(&mut world, &catalog, &mut report, seed, count).await;
    }
    world.take("auto").await;
    writes::scripts(&mut world, &mut report, seed, count / 10).await;
    sessions::schedules(world.lightning.port, world.postgres.port, &mut report, seed, count / 50).await;
    report.finish();
}

//! What a Rust application does through tokio-postgres: prepared statements, pipelines, portals, COPY, notifications, cancel
//! requests, and what goes wrong. The lines that it makes of our server and of PostgreSQL must be the same.

use crate::server::Server;
use crate::support::{Postgres, difference};
use bytes::{Bytes, BytesMut};
use futures_util::future::{join_all, poll_fn};
use futures_util::{SinkExt, StreamExt, TryStreamExt};
use std::error::Error as StdError;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};
use tokio_postgres::binary_copy::{BinaryCopyInWriter, BinaryCopyOutStream};
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{AsyncMessage, Client, Error, IsolationLevel, NoTls, Row, SimpleQueryMessage, Statement};

/// A parameter of any type, sent as text.
#[derive(Debug)]
struct Text(&'static str);

impl ToSql for Text {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

/// A value's bytes as they came.
struct Raw(Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Raw, Box<dyn StdError + Sync + Send>> {
        Ok(Raw(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A connection, what came beside its answers, and the lines so far.
struct Session {
    client: Client,
    aside: Arc<Mutex<Vec<String>>>,
    lines: Vec<String>,
}

fn fields(error: &DbError) -> String {
    let position = match error.position() {
        Some(ErrorPosition::Original(position)) => format!(" at {position}"),
        Some(ErrorPosition::Internal { position, query }) => format!(" at {position} of {query}"),
        None => String::new(),
    };
    let more = [
        error.detail(),
        error.hint(),
        error.schema(),
        error.table(),
        error.column(),
        error.datatype(),
        error.constraint(),
    ];
    format!("{} {} {}{position} {more:?}", error.severity(), error.code().code(), error.message())
}

/// Of an error that the server did not send: the driver's words.
fn failure(error: &Error) -> String {
    match error.as_db_error() {
        Some(error) => fields(error),
        None => format!("{error}: {}", error.source().map(ToString::to_string).unwrap_or_default()),
    }
}

fn values(row: &Row) -> String {
    let value = |i| match row.try_get::<_, Option<Raw>>(i) {
        Ok(None) => "NULL".to_owned(),
        Ok(Some(Raw(bytes))) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        Err(error) => error.to_string(),
    };
    (0..row.len()).map(value).collect::<Vec<_>>().join("|")
}

fn shown(answer: Result<Vec<Row>, Error>) -> String {
    match answer {
        Ok(rows) => format!("{} rows: {}", rows.len(), rows.iter().map(values).collect::<Vec<_>>().join(" ")),
        Err(error) => failure(&error),
    }
}

fn counted(answer: Result<u64, Error>) -> String {
    answer.map_or_else(|error| failure(&error), |count| count.to_string())
}

fn described(statement: &Statement) -> String {
    let parameters = statement.params().iter().map(Type::name).collect::<Vec<_>>();
    let columns = statement.columns().iter().map(|column| {
        let is_own = column.type_().oid() >= 16_384;
        let ty = (column.type_().name(), if is_own { 0 } else { column.type_().oid() }, column.type_modifier());
        format!("{} {ty:?} {}", column.name(), column.column_id().unwrap_or(0))
    });
    format!("{parameters:?} -> {:?}", columns.collect::<Vec<_>>())
}

impl Session {
    async fn open(url: &str) -> Session {
        let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        let aside = Arc::new(Mutex::new(Vec::new()));
        let kept = aside.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                kept.lock().unwrap().push(match message {
                    AsyncMessage::Notice(notice) => format!("notice {}", fields(&notice)),
                    AsyncMessage::Notification(note) => format!("notification {}: {}", note.channel(), note.payload()),
                    _ => "another message".to_owned(),
                });
            }
        });
        Session { client, aside, lines: Vec::new() }
    }

    fn show(&mut self, name: &str, what: impl std::fmt::Display) {
        self.lines.push(format!("{name}: {what}"));
        let aside = std::mem::take(&mut *self.aside.lock().unwrap());
        self.lines.extend(aside.into_iter().map(|line| format!("{name}, aside: {line}")));
    }

    async fn query(&mut self, text: &str, parameters: &[&(dyn ToSql + Sync)]) {
        let answer = shown(self.client.query(text, parameters).await);
        self.show(text, answer);
    }

    async fn execute(&mut self, text: &str, parameters: &[&(dyn ToSql + Sync)]) {
        let answer = counted(self.client.execute(text, parameters).await);
        self.show(text, answer);
    }

    async fn simple(&mut self, text: &str) {
        let answer = match self.client.simple_query(text).await {
            Err(error) => failure(&error),
            Ok(messages) => {
                let message = |message: &SimpleQueryMessage| match message {
                    SimpleQueryMessage::Row(row) => {
                        format!("{:?}", (0..row.len()).map(|i| row.get(i)).collect::<Vec<_>>())
                    }
                    SimpleQueryMessage::CommandComplete(count) => format!("done {count}"),
                    SimpleQueryMessage::RowDescription(columns) => format!("{} columns", columns.len()),
                    _ => "another message".to_owned(),
                };
                messages.iter().map(message).collect::<Vec<_>>().join(", ")
            }
        };
        self.show(text, answer);
    }
}

/// A type, and values of it.
const TYPES: [(&str, &[&str]); 22] = [
    ("bool", &["t", "false", "maybe"]),
    ("int2", &["-32768", "32767", "32768"]),
    ("int4", &["-2147483648", " 7 ", "1.5"]),
    ("int8", &["9223372036854775807", "9223372036854775808", ""]),
    ("float4", &["1.5", "-Infinity", "1e39"]),
    ("float8", &["0.1", "-0", "NaN", "1e400"]),
    ("numeric", &["0", "-0.000", "123456789012345678901234567890.123456789", "NaN", "1e-20", "1,5"]),
    ("numeric(6,2)", &["1234.565", "12345.67"]),
    ("text", &["", "Grüße, 世界", "a\\b'c\"d\n\t"]),
    ("varchar(3)", &["abcdef"]),
    ("char(5)", &["ab"]),
    ("bytea", &["\\x00ff", "a\\000\\\\", "\\x0"]),
    ("date", &["2024-02-29", "0001-01-01 BC", "infinity", "2023-02-29"]),
    ("time", &["23:59:59.999999", "25:00"]),
    ("timestamp", &["1999-12-31 23:59:59.999999", "-infinity"]),
    ("timestamptz", &["2024-07-01 12:00+02", "2024-07-01 12:00 Europe/Berlin"]),
    ("interval", &["1 year -3 days 04:05:06.789", "P1M", "x"]),
    ("uuid", &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99"]),
    ("jsonb", &["{\"b\": [1, 2.50, null], \"a\": \"x\", \"b\": true}", "{", "\"\\u00e4\""]),
    ("json", &["{\"b\":1,  \"b\":2}", "[1,]"]),
    ("int4[]", &["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[2:3]={5,6}", "{1,{2}}"]),
    ("text[]", &["{a,\"b,c\",\"d\\\"e\",\"\",NULL}", "{a"]),
];

async fn types(session: &mut Session) {
    for (ty, texts) in TYPES {
        let text = format!("select $1::{ty}, array[$1]::{}[], $1 is null", ty.trim_end_matches("[]"));
        for value in texts {
            session.query(&text, &[&Text(value)]).await;
        }
        session.query(&text, &[&None::<Text>]).await;
    }
    // The driver's own forms, binary.
    let moment = UNIX_EPOCH + Duration::from_micros(1_719_835_200_123_456);
    session.query("select $1::int2 + $2::int4 + $3::int8", &[&1i16, &-2i32, &i64::MAX]).await;
    session.query("select $1::float4 * $2::float8, $3::bool", &[&1.1f32, &f64::MIN_POSITIVE, &true]).await;
    session.query("select $1 || $2::text, length($3::bytea), $3", &[&"a", &"ß", &vec![0u8, 255, 7]]).await;
    session.query("select $1::timestamp, $2::timestamptz, $1::date", &[&moment, &moment]).await;
    session.query("select $1::int4[], $2::text[], $3 = any($1)", &[&vec![1, 2], &vec![Some("x"), None], &2i32]).await;
    session.query("select $1::text::numeric * 3, $2::text::numeric(5,1)", &[&"1e50", &"2.25"]).await;
    session.query("select coalesce($1, 'none'), $2::int is null", &[&None::<&str>, &None::<i32>]).await;
    session.query("select g from generate_series(1, $1) g where g = any($2)", &[&9i32, &vec![3, 5, 11]]).await;
    let typed: [(&(dyn ToSql + Sync), Type); 2] = [(&5i32, Type::INT4), (&"7", Type::TEXT)];
    let answer = shown(session.client.query_typed("select $1 + 1, $2", &typed).await);
    session.show("typed", answer);
}

async fn statements(session: &mut Session) {
    session
        .execute(
            "create table item (id serial primary key, name varchar(20) not null unique, price numeric(10,2) check (price >= 0),
             tags text[], at timestamptz default '2024-01-01 00:00Z', data jsonb)",
            &[],
        )
        .await;
    for text in [
        "select * from item where id = $1 and name like $2",
        "insert into item (name, price) values ($1, $2) returning id, price",
        "update item set price = price * $1 where id between $2 and $3",
        "select $1, $2::int, count(*) from item group by 1",
        "select $1 + $2",
        "select name as x, price x, tags[1], data -> 'a', item.* from item limit $1",
        "values ($1::date, 'x')",
        "begin",
        "",
        "select $2::int",
        "select 1; select 2",
    ] {
        let answer = session.client.prepare(text).await.map_or_else(|error| failure(&error), |ready| described(&ready));
        session.show(text, answer);
    }
    let answer = session.client.prepare_typed("select $1, $2", &[Type::INT8]).await;
    let answer = answer.map_or_else(|error| failure(&error), |ready| described(&ready));
    session.show("prepared with a type", answer);
    let insert =
        session.client.prepare("insert into item (name, price, tags) values ($1, $2, $3) returning id").await.unwrap();
    for (name, price) in [
        ("one", "1.50"),
        ("two", "2"),
        ("one", "3"),
        ("three", "-1"),
        ("four", "1e9"),
        ("a name that is far too long", "4"),
    ] {
        let answer = shown(session.client.query(&insert, &[&name, &Text(price), &vec![name, "tag"]]).await);
        session.show(name, answer);
    }
    session.execute("insert into item (id, name) values (0, null)", &[]).await;
    session.execute("insert into item (id, name) values ($1, $2)", &[&1i32, &"five"]).await;
    session.execute("update item set data = $1 where id = $2", &[&Text("{\"a\": 1}"), &2i32]).await;
    session.query("select id, name, price, tags, data from item where price > $1 order by id", &[&Text("0")]).await;
    session.query("select id from item where tags @> $1 and data is null", &[&vec!["tag"]]).await;
    // What is prepared sees changed tables.
    let star = session.client.prepare("select * from item where id = $1").await.unwrap();
    session.execute("alter table item add note text default 'n'", &[]).await;
    let answer = shown(session.client.query(&star, &[&1i32]).await);
    session.show("after ALTER TABLE", answer);
    session.execute("alter table item drop note", &[]).await;
    let answer = shown(session.client.query(&star, &[&1i32]).await);
    session.show("and back", answer);
    drop((star, insert));
    session.query("select count(*) from pg_prepared_statements where not from_sql", &[]).await;
    session
        .simple("select 1, null; update item set at = at where id < 3; select where false; create temp table x ()")
        .await;
    session.simple("select 1; select 1 / 0; select 3").await;
    session.simple("drop table if exists nosuch; drop table x").await;
    session.simple(";;").await;
}

async fn wrong(session: &mut Session) {
    for text in [
        "selec 1",
        "select 1 +",
        "select * from item where nosuch = 1",
        "select * from nosuch",
        "select 'x'::int",
        "select nosuch(1)",
        "select 1 / (id - id) from item",
        "select 'a' + 1",
        "insert into item (id) values ('x')",
        "select $1::nosuch",
        "delete from item where id = (select id from item)",
        "set nosuch = 1",
        "update item set id = default, id = 1",
    ] {
        session.query(text, &[]).await;
    }
    // Mistakes that the driver finds.
    session.query("select $1::int", &[&"text"]).await;
    session.query("select $1::date", &[&1i64]).await;
    session.query("select $1::int, $2::int", &[&1i32, &None::<&str>]).await;
    let answer = session.client.query_one("select id from item", &[]).await.map(|row| values(&row));
    session.show("one of two", answer.unwrap_or_else(|error| failure(&error)));
    let row = session.client.query_one("select 1::int8 as a, null::text as b", &[]).await.unwrap();
    let answers = [
        row.try_get::<_, i32>(0).map(|_| ()),
        row.try_get::<_, &str>("b").map(|_| ()),
        row.try_get::<_, i64>("c").map(|_| ()),
    ];
    for answer in answers {
        session.show("get", answer.map_or_else(|error| failure(&error), |()| "a value".to_owned()));
    }
}

async fn transactions(session: &mut Session) {
    session.simple("begin").await;
    session.execute("insert into item (name) values ($1)", &[&"in a transaction"]).await;
    session.query("select nosuch", &[]).await;
    session.query("select 1", &[]).await;
    session.execute("insert into item (name) values ($1)", &[&"refused"]).await;
    session.simple("rollback").await;
    session.query("select count(*) from item", &[]).await;
    session.simple("begin; select 1 / 0").await;
    session.simple("commit").await;
    session.simple("commit").await;
    session.simple("begin; begin").await;
    session.simple("rollback").await;

    let Session { client, .. } = session;
    let mut lines = Vec::new();
    let mut transaction = client.transaction().await.unwrap();
    let answer = counted(transaction.execute("update item set price = 9 where id = 1", &[]).await);
    lines.push(answer);
    let savepoint = transaction.savepoint("here").await.unwrap();
    lines.push(counted(savepoint.execute("insert into item (name) values ('one')", &[]).await));
    lines.push(savepoint.rollback().await.map_or_else(|error| failure(&error), |()| "rolled back".to_owned()));
    lines.push(shown(transaction.query("select price from item where id = 1", &[]).await));
    // Dropped: rolled back.
    drop(transaction);
    lines.push(shown(client.query("select price from item where id = 1", &[]).await));
    let built =
        client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await;
    let transaction = built.unwrap();
    lines.push(shown(
        transaction
            .query("select current_setting('transaction_isolation'), current_setting('transaction_read_only')", &[])
            .await,
    ));
    lines.push(counted(transaction.execute("delete from item", &[]).await));
    lines.push(transaction.commit().await.map_or_else(|error| failure(&error), |()| "committed".to_owned()));
    for line in lines {
        session.show("transaction", line);
    }
}

/// Many requests under way at once: answers come in order, and an error spoils none but its own.
async fn pipeline(session: &mut Session) {
    let by_id = session.client.prepare("select name, 12 / (3 - id) from item where id = $1").await.unwrap();
    let ids = [1, 2, 3, 1, 99, 2];
    let client = &session.client;
    session.client.execute("insert into item (id, name) values (3, 'three')", &[]).await.unwrap();
    let answers = join_all(ids.iter().map(|id| async { shown(client.query(&by_id, &[id]).await) })).await;
    let texts = ["select 1", "selec", "select $1::int + 1", "select count(*) from item", "select 5::text"];
    let more = join_all(texts.iter().map(|text| async move {
        let parameter = 41i32;
        let all: [&(dyn ToSql + Sync); 1] = [&parameter];
        shown(client.query(*text, if text.contains('$') { &all } else { &[] }).await)
    }))
    .await;
    for (i, answer) in answers.into_iter().chain(more).enumerate() {
        session.show(&format!("pipeline {i}"), answer);
    }
    session.execute("delete from item where id = 3", &[]).await;
}

async fn portals(session: &mut Session) {
    let mut lines = Vec::new();
    let transaction = session.client.transaction().await.unwrap();
    let series = transaction.prepare("select g, g * g from generate_series(1, $1::int) g").await.unwrap();
    let (long, short) =
        (transaction.bind(&series, &[&10i32]).await.unwrap(), transaction.bind(&series, &[&2i32]).await.unwrap());
    for (portal, rows) in [(&long, 4), (&short, 1), (&long, 4), (&short, 5), (&long, 4), (&long, 4), (&short, 0)] {
        lines.push(shown(transaction.query_portal(portal, rows).await));
    }
    let all = transaction.bind("select id, name from item order by id", &[]).await.unwrap();
    lines.push(shown(transaction.query_portal(&all, 0).await));
    let write =
        transaction.bind("insert into item (name) values ($1), ($2) returning name", &[&"p", &"q"]).await.unwrap();
    lines.push(shown(transaction.query_portal(&write, 1).await));
    lines.push(shown(transaction.query("select count(*) from item", &[]).await));
    lines.push(shown(transaction.query_portal(&write, 5).await));
    let failing = transaction.bind("select 10 / (3 - g) from generate_series(1, 5) g", &[]).await.unwrap();
    let deletes = "with gone as (delete from item where id > 0 returning name) select name, length(name) from gone";
    let changing = transaction.bind(deletes, &[]).await.unwrap();
    for rows in [2, 5] {
        lines.push(shown(transaction.query_portal(&changing, rows).await));
        lines.push(shown(transaction.query("select count(*) from item", &[]).await));
    }
    for _ in 0..3 {
        lines.push(shown(transaction.query_portal(&failing, 2).await));
    }
    lines.push(shown(transaction.query_portal(&long, 1).await));
    transaction.rollback().await.unwrap();
    for line in lines {
        session.show("portal", line);
    }
}

/// COPY FROM STDIN of some chunks.
async fn copy_in(client: &Client, text: &str, chunks: &[&'static str]) -> String {
    let sink = match client.copy_in::<_, Bytes>(text).await {
        Ok(sink) => sink,
        Err(error) => return failure(&error),
    };
    let mut sink = pin!(sink);
    for chunk in chunks {
        if let Err(error) = sink.send(Bytes::from_static(chunk.as_bytes())).await {
            return failure(&error);
        }
    }
    counted(sink.finish().await)
}

async fn copy_out(client: &Client, text: &str) -> String {
    match client.copy_out(text).await {
        Err(error) => failure(&error),
        Ok(stream) => match pin!(stream)
            .try_fold(Vec::new(), |mut all, chunk| async move {
                all.extend_from_slice(&chunk);
                Ok(all)
            })
            .await
        {
            Err(error) => failure(&error),
            Ok(all) => String::from_utf8_lossy(&all).escape_debug().to_string(),
        },
    }
}

async fn copies(session: &mut Session, url: &str) {
    session.execute("create table load (a int primary key, b text, c numeric, d date)", &[]).await;
    for (text, chunks) in [
        ("copy load from stdin", &["1\tx\t1.50\t2024-01-01\n2\t\\", "N\t\\N\t\\N\n3\ta\\tb\t-1\t1999-12-31\n"][..]),
        ("copy load (a, b) from stdin with (format csv, header)", &["a,b\n4,\"x,\n\"\"y\"\"\"\n", "5,\n"]),
        ("copy load from stdin", &["6\tx\t1\t2024-01-01\n1\tx\t1\t2024-01-01\n"]),
        ("copy load from stdin", &["7\tx\n"]),
        ("copy load from stdin", &["8\tx\tone\t2024-01-01\n"]),
        ("copy load from stdin", &[]),
    ] {
        let answer = copy_in(&session.client, text, chunks).await;
        session.show(text, answer);
    }
    // The driver is out of step after that.
    let answer = copy_in(&Session::open(url).await.client, "copy nosuch from stdin", &["1\n"]).await;
    session.show("COPY into nothing", answer);
    // Given up on the way: nothing of it stays.
    let sink = session.client.copy_in::<_, Bytes>("copy load from stdin").await.unwrap();
    let mut sink = Box::pin(sink);
    sink.send(Bytes::from_static(b"9\tx\t1\t2024-01-01\n")).await.unwrap();
    drop(sink);
    session.query("select count(*) from load", &[]).await;
    let sink = session.client.copy_in("copy load (a, b) from stdin with (format binary)").await.unwrap();
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TEXT]));
    for a in 10..13 {
        writer.as_mut().write(&[&a, &Some("binary").filter(|_| a != 11)]).await.unwrap();
    }
    let answer = counted(writer.finish().await);
    session.show("binary COPY", answer);
    for text in [
        "copy load to stdout",
        "copy (select a, b, c from load order by a desc) to stdout with (format csv, header, force_quote (b))",
        "copy (select 1 / (a - 3) from load) to stdout",
        "copy (select 1 where false) to stdout",
        "copy nosuch to stdout",
    ] {
        let answer = copy_out(&session.client, text).await;
        session.show(text, answer);
    }
    let stream = session
        .client
        .copy_out("copy (select a, b from load order by a) to stdout with (format binary)")
        .await
        .unwrap();
    let mut rows = pin!(BinaryCopyOutStream::new(stream, &[Type::INT4, Type::TEXT]));
    let mut answer = String::new();
    while let Some(row) = rows.next().await {
        let row = row.unwrap();
        answer += &format!("{:?} ", (row.get::<i32>(0), row.get::<Option<&str>>(1)));
    }
    session.show("binary COPY out", answer);
}

async fn notifications(session: &mut Session, url: &str) {
    let other = Session::open(url).await;
    session.simple("listen news").await;
    session.simple("begin; notify news, 'own'; notify news, 'own'; notify other, 'unheard'").await;
    session.simple("select 1").await;
    session.simple("commit").await;
    session.simple("select 2").await;
    other.client.execute("select pg_notify($1, $2)", &[&"news", &"from another"]).await.unwrap();
    for _ in 0..200 {
        if !session.aside.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    session.show("heard", "");
    session.simple("unlisten *; notify news").await;
    session.simple("select 3").await;
}

async fn cancels(session: &mut Session) {
    let token = session.client.cancel_token();
    let (answer, ()) = tokio::join!(session.client.query("select pg_sleep(60)", &[]), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        token.cancel_query(NoTls).await.unwrap();
    });
    session.show("cancelled", shown(answer));
    session.query("select 'goes on'", &[]).await;
    token.cancel_query(NoTls).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    session.query("select 'nothing to cancel'", &[]).await;
    session.simple("set statement_timeout = '100ms'").await;
    session.query("select pg_sleep(60)", &[]).await;
    session.simple("reset statement_timeout").await;
}

async fn scenario(url: &str) -> String {
    let mut session = Session::open(url).await;
    types(&mut session).await;
    statements(&mut session).await;
    wrong(&mut session).await;
    transactions(&mut session).await;
    pipeline(&mut session).await;
    portals(&mut session).await;
    copies(&mut session, url).await;
    notifications(&mut session, url).await;
    cancels(&mut session).await;
    session.lines.join("\n") + "\n"
}

#[tokio::test]
async fn tokio_postgres_sees_what_it_sees_of_postgresql() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let expected = scenario(&format!("postgresql://postgres@127.0.0.1:{}/postgres", postgres.port)).await;
    let found = scenario(&server.url).await;
    assert!(expected.lines().count() > 200, "the scenario ends early: {expected}");
    let difference = difference(&expected, &found);
    assert!(difference.is_empty(), "{difference}");
}

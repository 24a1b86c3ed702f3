//! Enums and domains over the life of a server: sessions beside each other, `kill -9`, copies of databases.

use crate::roles::assert_clean;
use crate::server::Server;
use tokio_postgres::types::{Kind, Type};

async fn texts(client: &tokio_postgres::Client, query: &str) -> Vec<String> {
    client.query(query, &[]).await.expect(query).iter().map(|row| row.get(0)).collect()
}

async fn connect_to(server: &Server, database: &str) -> tokio_postgres::Client {
    let url = format!("postgresql://postgres@127.0.0.1:{}/{database}", server.port());
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect(&url);
    tokio::spawn(connection);
    client
}

const SCHEMA: &str = "create type mood as enum ('sad', 'ok');
    create domain small as int check (value < 10);
    create table t (id small primary key, m mood, ms mood[] default '{ok,sad}');
    create index by_mood on t (m);
    insert into t values (1, 'ok'), (2, 'sad');
    alter type mood add value 'so so' before 'ok';
    alter type mood rename value 'ok' to 'fine';
    alter domain small add check (value > 0)";

/// The types, the rows in the enum's order by way of its index, and what the domain refuses.
async fn assert_whole(client: &tokio_postgres::Client) {
    client.batch_execute("set enable_seqscan = off").await.unwrap();
    let rows = texts(client, "select id || ' ' || m || ' ' || ms::text from t where m >= 'sad' order by m").await;
    assert_eq!(rows, ["2 sad {fine,sad}", "3 so so {fine,sad}", "1 fine {fine,sad}"]);
    assert_eq!(texts(client, "select enum_range(null::mood)::text").await, ["{sad,\"so so\",fine}"]);
    for value in [0, 10] {
        let refused = client.batch_execute(&format!("insert into t values ({value})")).await.unwrap_err();
        assert_eq!(refused.code().map(|code| code.code()), Some("23514"));
    }
}

#[tokio::test]
async fn types_outlive_a_crash_and_are_copied_with_their_database() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    for statement in SCHEMA.split(';') {
        client.batch_execute(statement).await.expect(statement);
    }
    client.batch_execute("insert into t values (3, 'so so')").await.unwrap();
    assert_whole(&client).await;
    // What is not committed is not there afterwards.
    client
        .batch_execute(
            "begin; create type gone as enum ('x'); alter type mood add value 'y'; drop domain small cascade",
        )
        .await
        .unwrap();
    server.kill();
    drop(server);
    let server = Server::start(folder.path());
    let client = server.connect().await;
    assert_whole(&client).await;
    assert_eq!(texts(&client, "select typname::text from pg_type where typname = 'gone'").await, [""; 0]);
    drop(client);
    let template = connect_to(&server, "template1").await;
    template.batch_execute("create database copy template postgres").await.unwrap();
    assert_whole(&connect_to(&server, "copy").await).await;
    server.kill();
    drop(server);
    assert_clean(folder.path());
}

#[tokio::test]
async fn sessions_see_each_others_types_once_they_are_committed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (one, other) = (server.connect().await, server.connect().await);
    for statement in SCHEMA.split(';') {
        one.batch_execute(statement).await.expect(statement);
    }
    // A driver's view of the types, and values both ways in binary.
    let statement = other.prepare("select m, ms, id from t where m = $1").await.unwrap();
    let mood = statement.params()[0].clone();
    assert_eq!(*mood.kind(), Kind::Enum(vec!["sad".to_owned(), "so so".to_owned(), "fine".to_owned()]));
    assert_eq!(*statement.columns()[1].type_().kind(), Kind::Array(mood.clone()));
    assert_eq!(*statement.columns()[2].type_(), Type::INT4);
    let row = other.query_one(&statement, &[&Label("sad")]).await.unwrap();
    assert_eq!(row.get::<_, Read>(0).0, "sad");
    assert_eq!(row.get::<_, Vec<Read>>(1).iter().map(|read| read.0.as_str()).collect::<Vec<_>>(), ["fine", "sad"]);
    let refused = other.query(&statement, &[&Label("ok")]).await.unwrap_err();
    assert_eq!(refused.code().map(|code| code.code()), Some("22P02"));
    // A label is there for others when its transaction has committed, and a plan from before knows it then.
    one.batch_execute("begin; alter type mood add value 'great'").await.unwrap();
    let refused = other.query(&statement, &[&Label("great")]).await.unwrap_err();
    assert_eq!(refused.code().map(|code| code.code()), Some("22P02"));
    one.batch_execute("commit; insert into t values (4, 'great')").await.unwrap();
    let row = other.query_one(&statement, &[&Label("great")]).await.unwrap();
    assert_eq!(row.get::<_, Read>(0).0, "great");
    // A domain's tests are the newest.
    let put = other.prepare("insert into t (id) values ($1::int)").await.unwrap();
    other.execute(&put, &[&5_i32]).await.unwrap();
    one.batch_execute("alter domain small add constraint few check (value < 6)").await.unwrap();
    let refused = other.execute(&put, &[&6_i32]).await.unwrap_err();
    assert_eq!(refused.as_db_error().and_then(|error| error.constraint()), Some("few"));
    // Who drops a type waits for whoever defines something of it.
    one.batch_execute("begin; create table u (m mood)").await.unwrap();
    other.batch_execute("set lock_timeout = '300ms'").await.unwrap();
    let refused = other.batch_execute("drop type mood cascade").await.unwrap_err();
    assert_eq!(refused.code().map(|code| code.code()), Some("55P03"));
    one.batch_execute("rollback").await.unwrap();
    other.batch_execute("drop type mood cascade").await.unwrap();
    let rows = texts(&one, "select t::text from t order by id").await;
    assert_eq!(rows, ["(1)", "(2)", "(4)", "(5)"]);
}

/// An enum's value as a driver without a Rust enum for it sends and reads it.
#[derive(Debug)]
struct Label(&'static str);

impl tokio_postgres::types::ToSql for Label {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(tokio_postgres::types::IsNull::No)
    }
    fn accepts(_: &Type) -> bool {
        true
    }
    tokio_postgres::types::to_sql_checked!();
}

struct Read(String);

impl<'a> tokio_postgres::types::FromSql<'a> for Read {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Read, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Read(std::str::from_utf8(raw)?.to_owned()))
    }
    fn accepts(ty: &Type) -> bool {
        matches!(ty.kind(), Kind::Enum(_))
    }
}

//! Which road a statement takes, as EXPLAIN tells; a relation that proves far larger than thought changes over.

use crate::server::Server;
use tokio_postgres::{Client, SimpleQueryMessage};

async fn lines(client: &Client, text: &str) -> Vec<String> {
    let messages = client.simple_query(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|i| row.get(i).unwrap_or("null").to_owned()).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

async fn json(client: &Client, text: &str) -> serde_json::Value {
    let plan = serde_json::from_str::<serde_json::Value>(&lines(client, text).await.join("\n")).expect("JSON");
    plan[0].clone()
}

/// The operator of the vector road whose text begins so.
fn operator<'a>(node: &'a serde_json::Value, begins: &str) -> Option<&'a serde_json::Value> {
    if node["Operator"].as_str().is_some_and(|line| line.starts_with(begins)) {
        return Some(node);
    }
    let lists = ["Plans", "Operators"].iter().filter_map(|list| node[*list].as_array());
    lists.flatten().find_map(|inner| operator(inner, begins))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_says_which_road_and_why_and_what_each_operator_did() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    client
        .batch_execute(
            "create table t (id int primary key, k int, v text);
             insert into t select g, g % 100, md5(g::text) from generate_series(1, 30000) g;
             create table small (id int primary key)",
        )
        .await
        .unwrap();
    for (text, expected) in [
        ("explain select k, count(*) from t group by k", "Road: vector (reads 30"),
        ("explain select count(*) from t where id = 7", "Road: row (index, 1 rows)"),
        ("explain select * from t for update", "Road: row (no vector form: row locks)"),
        ("explain select count(*) from small", "Road: row (100 rows)"),
        ("set lightning.road = row; explain select k, count(*) from t group by k", "Road: row (lightning.road = row)"),
        ("set lightning.road = auto; explain insert into small select k from t group by k", "Road: vector (reads 30"),
    ] {
        // How large the table is, is an estimate.
        let plan = lines(&client, text).await;
        assert!(plan[0].starts_with(expected), "{text}: {plan:?}");
    }
    assert_eq!(lines(&client, "explain (costs off) select 1").await, ["Result"]);
    let plan = json(&client, "explain (format json) select k, count(*) from t group by k").await;
    assert_eq!((plan["Road"].as_str(), plan["Plan"]["Node Type"].as_str()), (Some("vector"), Some("Vector")), "{plan}");

    let text = lines(&client, "explain (analyze) select k, count(*) from t where v > '8' group by k").await;
    let scan = text.iter().find(|line| line.contains("Scan on t")).unwrap_or_else(|| panic!("{text:?}"));
    assert!(scan.contains("(actual time=") && scan.contains(" rows="), "{scan}");
    let untimed = lines(&client, "explain (analyze, timing off) select k, count(*) from t group by k").await;
    let scan = untimed.iter().find(|line| line.contains("Scan on t")).unwrap_or_else(|| panic!("{untimed:?}"));
    assert!(scan.contains("(actual rows=30000)"), "{scan}");
    let plan = json(&client, "explain (analyze, format json) select k, count(*) from t group by k").await;
    let scan = operator(&plan["Plan"], "Scan on t").unwrap_or_else(|| panic!("{plan}"));
    assert_eq!(scan["Actual Rows"], 30000, "{plan}");
    assert!(scan["Actual Total Time"].as_f64().is_some_and(|time| time > 0.0), "{plan}");
    let sort = "explain (analyze, format json) select v, count(*) from t group by v order by count(*), v";
    let plan = json(&client, &format!("set work_mem = '32MB'; {sort}")).await;
    assert!(operator(&plan["Plan"], "SortExec").is_some(), "{plan}");
}

/// Every row of `a` passes, of which one in two hundred was expected, and finds ten partners.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relation_that_proves_far_larger_than_thought_begins_again_on_the_vector_road() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (client, other) = (server.connect().await, server.connect().await);
    client
        .batch_execute(
            "create table a (id int primary key, x int);
             insert into a select g, g from generate_series(1, 15000) g;
             create table b (id int primary key, k int, v int);
             insert into b select g, g % 15000 + 1, g from generate_series(1, 150000) g;
             create index on b (k)",
        )
        .await
        .unwrap();
    let query = "select count(*), sum(b.v), min(a.id), max(b.id) from a join b on b.k = a.id where abs(a.x) = a.x";
    let expected = ["150000|11250075000|1|150000"];
    assert!(lines(&client, &format!("explain {query}")).await[0].starts_with("Road: row"), "it is thought small");
    assert_eq!(lines(&client, query).await, expected);
    let plan = lines(&client, &format!("explain (analyze) {query}")).await;
    assert!(plan[0].starts_with("Road: vector (read far more than "), "{plan:?}");
    // The same snapshot, whichever road.
    client.batch_execute("begin isolation level repeatable read").await.unwrap();
    assert_eq!(lines(&client, "select count(*) from a").await, ["15000"]);
    other.batch_execute("delete from b where id > 100").await.unwrap();
    assert_eq!(lines(&client, query).await, expected);
    client.batch_execute("commit").await.unwrap();
    assert_eq!(lines(&client, query).await, ["100|5050|2|100"]);
}

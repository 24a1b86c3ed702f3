//! Which road a statement takes, as EXPLAIN tells; a relation that proves far larger than thought changes over.

use crate::server::Server;
use crate::support::Postgres;
use tokio_postgres::{Client, SimpleQueryMessage};

/// A server on new data, and a client of it that has run these statements.
async fn started(statements: &str) -> (tempfile::TempDir, Server, Client) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let client = server.connect().await;
    client.batch_execute(statements).await.unwrap();
    (folder, server, client)
}

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
    let (_folder, _server, client) = started(
        "create table t (id int primary key, k int, v text);
             insert into t select g, g % 100, md5(g::text) from generate_series(1, 30000) g;
             create table small (id int primary key);
             create domain amount as numeric(10, 2) check (value >= 0); create domain price as amount;
             create table sales (id int primary key, p price);
             insert into sales select g, g / 8.0 from generate_series(1, 30000) g",
    )
    .await;
    for (text, expected) in [
        ("explain select k, count(*) from t group by k", "Road: vector (reads 30"),
        ("explain select p, sum(p * 2) from sales group by p", "Road: vector (reads 30"),
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

    assert!(plan.get("Planning Time").is_none() && plan.get("Execution Time").is_none(), "{plan}");
    let text = lines(&client, "explain (analyze) select k, count(*) from t where v > '8' group by k").await;
    let times = [&text[text.len() - 2], &text[text.len() - 1]];
    assert!(times[0].starts_with("Planning Time: ") && times[1].starts_with("Execution Time: "), "{times:?}");
    let planned = lines(&client, "explain (summary) select 1").await;
    assert!(planned.len() == 2 && planned[1].starts_with("Planning Time: "), "{planned:?}");
    let plain = lines(&client, "explain (analyze, summary off, timing off, costs off) select 1").await;
    assert_eq!(plain, ["Result (actual rows=1 loops=1)"]);
    let scan = text.iter().find(|line| line.contains("Scan on t")).unwrap_or_else(|| panic!("{text:?}"));
    assert!(scan.contains("(actual time=") && scan.contains(" rows="), "{scan}");
    let untimed = lines(&client, "explain (analyze, timing off) select k, count(*) from t group by k").await;
    let scan = untimed.iter().find(|line| line.contains("Scan on t")).unwrap_or_else(|| panic!("{untimed:?}"));
    assert!(scan.contains("(actual rows=30000)"), "{scan}");
    let plan = json(&client, "explain (analyze, format json) select k, count(*) from t group by k").await;
    assert!(plan["Planning Time"].is_f64() && plan["Execution Time"].is_f64(), "{plan}");
    let scan = operator(&plan["Plan"], "Scan on t").unwrap_or_else(|| panic!("{plan}"));
    assert_eq!(scan["Actual Rows"], 30000, "{plan}");
    assert!(scan["Actual Total Time"].as_f64().is_some_and(|time| time > 0.0), "{plan}");
    let join = "explain (analyze) select count(*) from t join (select k from t where id < 3000) s on s.k = t.id";
    let text = lines(&client, join).await;
    let scan = text.iter().find(|line| line.contains("DynamicFilter [ ")).unwrap_or_else(|| panic!("{text:?}"));
    assert!(scan.contains(" IN (SET) ([") && scan.contains("…])") && scan.len() < 400, "{scan}");
    let sort = "explain (analyze, format json) select v, count(*) from t group by v order by count(*), v";
    let plan = json(&client, &format!("set work_mem = '32MB'; {sort}")).await;
    assert!(operator(&plan["Plan"], "SortExec").is_some(), "{plan}");
}

/// Plain EXPLAIN of what hangs on values: parameters are put in, what subqueries give has a name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_shows_parameters_by_value_and_subqueries_by_name() {
    let (_folder, _server, client) = started(
        "create table t (id int primary key, k int, n numeric(12, 2));
             insert into t select g, g % 100, g from generate_series(1, 30000) g;
             prepare p (int) as select k, count(*) from t where k > $1 and n < (select avg(n) from t) group by k",
    )
    .await;
    for (text, expected) in [
        ("execute p (5)", vec!["Scan on t where c1@0 > 5 and c2@1 < $0", "InitPlan 2 (returns $0)"]),
        (
            "select k, sum(n) from t group by k having sum(n) > (select sum(n) * 0.01 from t)",
            vec!["@1 > $0, projection=[", "InitPlan 2 (returns $0)"],
        ),
        (
            "select k from t where id = 2 * (select max(id) from t) and exists (select from t where k = 7) order by k",
            vec!["where CASE WHEN $1 THEN c0@0 = row_expression($0) ELSE false END", "InitPlan 4 (returns $1)"],
        ),
    ] {
        let plan = lines(&client, &format!("explain (costs off) {text}")).await;
        assert!(plan[0].starts_with("Road: vector"), "{plan:?}");
        for part in expected {
            assert!(plan.iter().any(|line| line.contains(part)), "{part}: {plan:#?}");
        }
        let run = lines(&client, &format!("explain (analyze, costs off) {text}")).await;
        let operator = |line: &&String| line.trim_start().starts_with("Scan") || line.contains("FilterExec");
        assert!(!run.iter().filter(operator).any(|line| line.contains('$')), "{run:#?}");
    }
}

/// A plan that is kept counts a parameter as an average one; an execution knows its value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_road_and_the_index_are_those_for_the_values_of_parameters() {
    let (_folder, _server, client) = started(
        "create table t (id int primary key, k int, v int);
             insert into t select g, g, g % 10 from generate_series(1, 60000) g;
             create index on t (k);
             analyze;
             prepare above (int) as select v, count(*) from t where k > $1 group by v order by v;
             prepare among (int[]) as select count(*) from t where v = any ($1)",
    )
    .await;
    for (text, is_vector) in [
        ("execute above (100)", true),
        ("execute above (59990)", false),
        ("execute above (null)", false),
        ("execute above (100)", true),
        ("execute among ('{1,2,3}')", true),
    ] {
        for explain in ["explain (costs off)", "explain (analyze, costs off)"] {
            let plan = lines(&client, &format!("{explain} {text}")).await;
            assert_eq!(plan[0].starts_with("Road: vector (reads "), is_vector, "{explain} {text}: {plan:#?}");
            assert_eq!(plan.iter().any(|line| line.contains("Index")), !is_vector, "{plan:#?}");
        }
    }
    let above = client.prepare("select v, count(*) from t where k > $1 group by v order by v").await.unwrap();
    for (value, rows, first) in [(Some(0), 10, 6000), (Some(59_995), 5, 1), (None, 0, 0), (Some(30_000), 10, 3000)] {
        let found = client.query(&above, &[&value]).await.unwrap();
        assert_eq!(found.len(), rows, "{value:?}");
        assert!(found.iter().all(|row| row.get::<_, i64>(1) == first), "{value:?}");
    }
    for (value, count) in [(59_998, "2"), (1, "59999"), (59_000, "1000")] {
        assert_eq!(lines(&client, &format!("select count(*) from t where k > {value}")).await, [count]);
    }
}

/// Estimates of joins may be worth nothing; what keys and groups say of their size is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_gather_what_cannot_have_more_rows() {
    let (_folder, _server, client) = started(
        "create table orders (id int primary key, customer int);
             insert into orders select g, g % 1500 from generate_series(1, 15000) g;
             create table lines (order_id int references orders, quantity int);
             insert into lines select g / 4 + 1, g % 50 from generate_series(0, 59999) g;
             analyze",
    )
    .await;
    let scans = async |text: &str| {
        let plan = lines(&client, &format!("explain (costs off) {text}")).await;
        let scans: Vec<_> = plan
            .iter()
            .filter_map(|line| line.trim_start().strip_prefix("Scan on ")?.split(' ').next().map(str::to_owned))
            .collect();
        (scans, plan)
    };
    // Large orders, by groups of their lines: the groups are gathered, then the few orders, and the lines are read for these.
    let (found, plan) = scans(
        "select o.customer, sum(quantity) from orders o join lines l on l.order_id = o.id
         where o.id in (select order_id from lines group by order_id having sum(quantity) > 150) group by o.customer",
    )
    .await;
    assert_eq!(found, ["lines", "orders", "lines"], "{plan:#?}");
    // Lines of one order lie together, but orders have four on the average: nothing is gained by asking of each order once.
    let (found, plan) =
        scans("select count(*) from orders o where exists (select from lines l where l.order_id = o.id)").await;
    assert_eq!(found.len(), 2, "{plan:#?}");
    assert_eq!(plan.iter().filter(|line| line.contains("AggregateExec")).count(), 2, "{plan:#?}");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_of_padded_texts_tell_how_many_rows_are_equal() {
    let (_folder, _server, client) = started(
        "create table c (id int primary key, k char(12));
             insert into c select g, case g % 4 when 0 then 'one' when 1 then 'two' else 'three' end
             from generate_series(1, 4000) g;
             analyze c",
    )
    .await;
    for (condition, rows) in [("k = 'one'", 1000), ("k in ('one', 'two  ')", 2000), ("k < 'three'", 1000)] {
        let plan = json(&client, &format!("explain (format json) select * from c where {condition}")).await;
        let expected = plan["Plan"]["Plan Rows"].as_i64().unwrap();
        assert!((rows - 100..rows + 100).contains(&expected), "{condition}: {plan}");
    }
}

/// Of the ids that rows have had, few are taken still: random ids find none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_of_a_table_that_lost_most_of_its_rows_are_of_all_that_stayed() {
    let (_folder, _server, client) = started(
        "create table t (id int primary key);
         insert into t select generate_series(1, 200000);
         delete from t where id % 400 <> 0;
         set default_statistics_target = 1;
         analyze t",
    )
    .await;
    assert_eq!(lines(&client, "select reltuples from pg_class where relname = 't'").await, ["500"]);
    // The sample is 300 rows of the 500: were they the first ones, it would end at 120000.
    let ends = "select histogram_bounds::text::int[] from pg_stats where tablename = 't'";
    let ends =
        lines(&client, &format!("select (h)[1] < 20000, (h)[cardinality(h)] > 180000 from ({ends}) s (h)")).await;
    assert_eq!(ends, ["t|t"]);
}

/// Queries with parts that have no form on the vector road, or that are windows; of more rows than one batch on each way.
const MIXED: [&str; 26] = [
    "select count(*), sum(g), min(v) from t join generate_series(1, 50000) g on g = id",
    "select g, id, v from generate_series(19990, 40000) g join t on t.id = g and t.k < 50 order by g",
    "select d.id, d.k, t.v from (select distinct on (id) id, k from t order by id) d join t on t.id = d.id",
    "select count(*), sum(a + b) from generate_series(1, 40000) a join generate_series(1, 40000) b on a = b join t on id = b",
    "select a, b, id from generate_series(1, 30000) a full join generate_series(20000, 50000) b on a = b left join t on id = b order by a",
    "with x as materialized (select k, count(*) c from t group by k) select count(*), sum(c) from t join x using (k)",
    "with x as materialized (select id, v from t) select a.id, b.v from x a join x b on a.id = b.id where a.v < '1' order by 1",
    "with recursive r (i) as (values (1) union all select i + 1 from r where i < 30000) select sum(i), min(v) from r join t on id = i",
    "select sum(l.x) from t cross join lateral (select t.id + 1 as x offset 0) l",
    "select count(*), max(w.n) from t join (values (1, 'a'), (2, 'b'), (3, null)) w (k, n) using (k)",
    "select relname, count(*) from t join pg_class c on c.relname = 't' where t.k = 3 group by relname",
    "select k, grouping(k), count(*), sum(c) from (select k, id % 7 as d, count(*) c from t group by k, id % 7) s group by rollup (k)",
    "select count(*), sum(id) from (select distinct on (k) k, id from t order by k, id desc) s where id > 3",
    "select k, count(*) from (select k from t intersect all select g % 100 from generate_series(1, 5000) g) s group by k",
    "select count(*) from t where k in (select g from generate_series(1, 100, 7) g)",
    "select count(*) from t where k not in (select g from generate_series(1, 100, 7) g union all select null)",
    "select id, row_number() over (order by id), lag(v) over (order by id), sum(k) over (order by id) from t",
    "select id, row_number() over w, rank() over (partition by k order by id % 10), dense_rank() over (partition by k order by id % 10),
         sum(id) over w, avg(n) over w, count(*) filter (where id % 2 = 0) over w, first_value(v) over w, ntile(7) over w
     from t window w as (partition by k order by id) order by id",
    "select id, sum(id) over (partition by id % 20000), min(v) over (partition by id % 20000),
         string_agg(v, ',') over (partition by id % 20000 order by id desc rows between 1 preceding and current row) from t",
    "select id, sum(n) over (partition by k order by n range between 5 preceding and 2.5 following exclude current row),
         max(id) over (partition by k order by n groups between 1 preceding and 1 following exclude ties) from t order by id",
    "select k, sum(s) over (order by k desc), percent_rank() over (order by k), nth_value(s, 2) over (order by k)
     from (select k, sum(id) s from t group by k) g order by k",
    "select count(*), sum(r) from (select k, row_number() over (partition by k order by id) r from t) s where r <= 3",
    "select sum(f) over (partition by k order by id), id from t",
    "select count(*) from (select id, v, row_number() over () r from (select id, v from t order by v) a) b where r <= 10 and v < '1'",
    "with recursive fib (a, b) as (values (0, 1) union all select b, a + b from fib)
     select count(*) from (select a from fib limit 10) s join t on t.k = s.a",
    "select count(*) from (select l.x from t cross join lateral (select 10 / (5 - t.id) as x offset 0) l limit 3) s",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_and_parts_of_rows_answer_alike_on_both_roads() {
    let (_folder, _server, client) = started(
        "create table t (id int primary key, k int, v text, n numeric(10, 2), f float8);
             insert into t select g, g % 100, md5(g::text), g / 3.0, g / 7.0 from generate_series(1, 40000) g",
    )
    .await;
    for query in MIXED {
        client.batch_execute("set lightning.road = row").await.unwrap();
        let mut by_rows = lines(&client, query).await;
        client.batch_execute("set lightning.road = vector").await.unwrap();
        let plan = lines(&client, &format!("explain {query}")).await;
        // What a LIMIT ends early may fail behind it: that is left to the row road.
        assert!(plan[0].starts_with("Road: vector") || query.contains(" limit "), "{query}: {plan:?}");
        let mut by_batches = lines(&client, query).await;
        by_rows.sort_unstable();
        by_batches.sort_unstable();
        assert!(!by_rows.is_empty(), "{query}");
        for (row, batch) in by_rows.iter().zip(&by_batches) {
            assert_eq!(row, batch, "{query}");
        }
        assert_eq!(by_rows.len(), by_batches.len(), "{query}");
    }
    // Both are seen in the plan, and what each did.
    let plan = lines(&client, &format!("explain (analyze, timing off, costs off) {}", MIXED[0])).await;
    let has = |text: &str| assert!(plan.iter().any(|line| line.contains(text)), "{text}: {plan:?}");
    has("Rows of part 0 (actual rows=50000)");
    has("Function Scan on generate_series (actual rows=50000 loops=1)");
    // What ends early, and what fails, in a part.
    assert_eq!(
        lines(&client, "select g from generate_series(1, 10000000) g join t on id = g order by g limit 2").await.len(),
        2
    );
    let failing = "select sum(l.x) from t cross join lateral (select 10 / (t.id - 39999) as x offset 0) l";
    let error = client.simple_query(failing).await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("22012"));
    client
        .batch_execute("begin; declare c cursor for select g, v from generate_series(1, 30000) g join t on id = g")
        .await
        .unwrap();
    for _ in 0..3 {
        assert_eq!(lines(&client, "fetch 9000 from c").await.len(), 9000);
        client.batch_execute("insert into t values ((select max(id) + 1 from t), 0, 'later', 1, 1)").await.unwrap();
    }
    assert_eq!(lines(&client, "fetch all from c").await.len(), 3000);
    client.batch_execute("rollback; set statement_timeout = '100ms'").await.unwrap();
    let endless = "select count(*) from generate_series(1, 100000000000) g join t on id = g";
    let error = client.simple_query(endless).await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("57014"));
}

/// Tables over which the vector road's rules have something to do; zeros in `d` and `f`, of both signs, and NULLs in `x`.
const RULED: &str = "create table t (id int primary key, k int, v text, d int, f float8, x int);
    insert into t select g, g % 100, md5(g::text), g % 10, (array['0', '-0', '1.5'])[g % 3 + 1]::float8, nullif(g % 7, 3)
    from generate_series(1, 30000) g;
    create table u (id int primary key, t int, x int);
    insert into u select g, g % 30000 + 1, nullif(g % 5, 2) from generate_series(1, 20000) g;
    create index on u (t)";

/// What the logical rules that are on do with a query: lines of the plan, in this order, that are not there without the rule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_that_are_on_do_their_work() {
    let (_folder, _server, client) = started(&format!("{RULED}; set lightning.road = vector")).await;
    for (rule, query, expected) in [
        (
            "count(DISTINCT x) by two groupings",
            "select count(distinct v) from t",
            &["aggr=[count(alias1)", "mode=FinalPartitioned, gby=[alias1@0 as alias1], aggr=[]"][..],
        ),
        (
            "count(DISTINCT x) of groups by two groupings",
            "select k, count(distinct v), min(v) from t group by k",
            &["aggr=[count(alias1), min(alias2)]", "alias1@1 as alias1], aggr=[min(c2) as alias2]", "Scan on t"],
        ),
        (
            "what two sums share is computed once",
            "select sum(id * d), sum(id * d + k) from t",
            &["sum(__common_expr_1) as c", "[intmul(c0@0, c3@2) as __common_expr_1", "Scan on t"],
        ),
        (
            "what the scan's condition alone reads is not carried",
            "select t.k, u.id from t join u on u.t = t.id where v > 'a'",
            &["HashJoinExec", "ProjectionExec: expr=[c0@0 as c0, c1@1 as c1]", "Scan on t where c2@2 > a"],
        ),
        (
            "a LIMIT goes below a cross join",
            "select count(*) from (select t.id from t cross join u limit 5) s",
            &["CrossJoinExec", "LocalLimitExec: fetch=5", "Scan on u", "LocalLimitExec: fetch=5", "Scan on t"],
        ),
    ] {
        let plan = lines(&client, &format!("explain (costs off) {query}")).await;
        assert!(plan[0].starts_with("Road: vector"), "{query}: {plan:#?}");
        let mut rest = plan.iter();
        for part in expected {
            assert!(rest.any(|line| line.contains(part)), "{rule}: {part} is not in its place: {plan:#?}");
        }
    }
}

/// What would be answered otherwise with rules that are off: the vector road answers as PostgreSQL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_rules_that_are_off_answers_are_postgresqls() {
    let Some(postgres) = Postgres::start() else { return };
    let url = format!("postgresql://postgres@127.0.0.1:{}/postgres", postgres.port);
    let (oracle, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let (_folder, _server, client) = started(&format!("{RULED}; set lightning.road = vector")).await;
    oracle.batch_execute(RULED).await.unwrap();
    for query in [
        // SimplifyExpressions: a CASE computes what it comes to, and a comparison with NULL is no comparison.
        "select sum(case when d = 0 then 0 else id / d end) from t",
        "select count(*) from t where case when d = 0 then false else id / d > 100 end",
        "select k, max(case when d > 0 then 1000 / d end) from t group by k order by k",
        "select count(*) from t where x > nullif(k, k) and x > 5",
        "select count(*) from t where not (x > nullif(d, d) and x > 5)",
        "select count(*) from t where f = 0.0 and f = -0.0",
        // PushDownFilter: a condition guards another, beside it and above it.
        "select count(*) from t where d <> 0 and id / d > 100",
        "select count(*) from t where d = 0 or id / d > 100",
        "select count(*) from (select id, d from t where d <> 0 offset 0) s where id / d > 100",
        "select count(*), sum(u.id) from t join u on u.t = t.id and t.d <> 0 and u.id / t.d > 100",
        "select count(*) from t left join u on u.t = t.id and u.id > 100 where u.id is null",
        // The rules that unnest: NULLs of IN, and groups that are not there.
        "select count(*) from t where x not in (select x from u)",
        "select count(*) from t where x not in (select x from u where x is not null)",
        "select count(*) from t where (x in (select x from u)) is null",
        "select count(*) from t where x in (select x from u where x > 2) or d = 0",
        "select count(*) from t where (select count(*) from u where u.t = t.id and u.id > 5) = 0",
        // EliminateCrossJoin: joins named in an unhappy order.
        "select count(*), sum(b.id) from t a, t c, u b where b.t = a.id and c.id = b.id and a.d <> 0 and c.id / a.d > 100",
        // TypeCoercion: types are PostgreSQL's.
        "select sum(id / 7), sum(id / 7.0), avg(k), sum(f + d), max(id * 1.5) from t where id > 2.5 and k = 7::bigint",
    ] {
        let plan = lines(&client, &format!("explain {query}")).await;
        assert!(plan[0].starts_with("Road: vector"), "{query}: {plan:#?}");
        assert_eq!(lines(&client, query).await, lines(&oracle, query).await, "{query}: {plan:#?}");
    }
    for query in ["select sum(id / d) from t", "select count(*) from t where id > 0 and id / d > 100"] {
        let states = [client.simple_query(query).await, oracle.simple_query(query).await]
            .map(|answer| answer.unwrap_err().code().map(|code| code.code().to_owned()));
        assert_eq!(states, [Some("22012".to_owned()), Some("22012".to_owned())], "{query}");
    }
}

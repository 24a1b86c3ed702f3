//! The plans of the statements that must be quick: pgbench's and TPC-C's reach their rows by index.

use super::physical;
use crate::catalog::image::Image;
use crate::executor::row::explain::{self, ExplainOptions};
use crate::sql::bind::tests::{bind_in, catalog, indexed};
use crate::types::{Oid, Type, oid};
use lightning_storage::ObjectId;
use std::sync::Arc;

const INT: Type = Type::new(oid::INT4);
const TEXT: Type = Type::new(oid::TEXT);
const STAMP: Type = Type::new(oid::TIMESTAMP);
const NUMBER: Type = Type::with_typmod(oid::NUMERIC, ((12 << 16) | 2) + 4);

fn pgbench() -> Image {
    let mut accounts = indexed(
        30_000,
        "pgbench_accounts",
        &[("aid", INT), ("bid", INT), ("abalance", INT), ("filler", TEXT)],
        &[&["aid"]],
        true,
    );
    accounts.row_estimate = 1e6;
    let tellers =
        indexed(30_020, "pgbench_tellers", &[("tid", INT), ("bid", INT), ("tbalance", INT)], &[&["tid"]], true);
    let branches = indexed(30_040, "pgbench_branches", &[("bid", INT), ("bbalance", INT)], &[&["bid"]], true);
    let columns = [("tid", INT), ("bid", INT), ("aid", INT), ("delta", INT), ("mtime", STAMP), ("filler", TEXT)];
    let history = indexed(30_060, "pgbench_history", &columns, &[], false);
    catalog([accounts, tellers, branches, history])
}

fn tpcc() -> Image {
    let many = |mut relation: crate::catalog::image::Relation| {
        relation.row_estimate = 300_000.0;
        relation
    };
    let warehouse =
        indexed(31_000, "warehouse", &[("w_id", INT), ("w_ytd", NUMBER), ("w_name", TEXT)], &[&["w_id"]], true);
    let district = indexed(
        31_020,
        "district",
        &[("d_w_id", INT), ("d_id", INT), ("d_next_o_id", INT), ("d_ytd", NUMBER), ("d_tax", NUMBER)],
        &[&["d_w_id", "d_id"]],
        true,
    );
    let customer = many(indexed(
        31_040,
        "customer",
        &[("c_w_id", INT), ("c_d_id", INT), ("c_id", INT), ("c_last", TEXT), ("c_first", TEXT), ("c_balance", NUMBER)],
        &[&["c_w_id", "c_d_id", "c_id"], &["c_w_id", "c_d_id", "c_last", "c_first", "c_id"]],
        true,
    ));
    let orders = many(indexed(
        31_060,
        "orders",
        &[("o_w_id", INT), ("o_d_id", INT), ("o_id", INT), ("o_c_id", INT), ("o_entry_d", STAMP)],
        &[&["o_w_id", "o_d_id", "o_id"], &["o_w_id", "o_d_id", "o_c_id", "o_id"]],
        true,
    ));
    let new_order = many(indexed(
        31_080,
        "new_order",
        &[("no_w_id", INT), ("no_d_id", INT), ("no_o_id", INT)],
        &[&["no_w_id", "no_d_id", "no_o_id"]],
        true,
    ));
    let order_line = many(indexed(
        31_100,
        "order_line",
        &[
            ("ol_w_id", INT),
            ("ol_d_id", INT),
            ("ol_o_id", INT),
            ("ol_number", INT),
            ("ol_i_id", INT),
            ("ol_amount", NUMBER),
            ("ol_delivery_d", STAMP),
        ],
        &[&["ol_w_id", "ol_d_id", "ol_o_id", "ol_number"]],
        true,
    ));
    let stock = many(indexed(
        31_120,
        "stock",
        &[("s_w_id", INT), ("s_i_id", INT), ("s_quantity", INT), ("s_ytd", INT)],
        &[&["s_w_id", "s_i_id"]],
        true,
    ));
    let item =
        many(indexed(31_140, "item", &[("i_id", INT), ("i_price", NUMBER), ("i_name", TEXT)], &[&["i_id"]], true));
    catalog([warehouse, district, customer, orders, new_order, order_line, stock, item])
}

/// The plan's nodes as EXPLAIN (COSTS OFF) names them.
fn plan(image: Image, text: &str) -> String {
    let statement = bind_in(image, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let plan = physical::plan(&statement).unwrap_or_else(|error| panic!("{text}: {error}"));
    let options = ExplainOptions { costs: false, timing: false, ..ExplainOptions::default() };
    explain::text(&plan, options, None, None).join("\n")
}

fn by_index_alone(image: fn() -> Image, statements: &[&str]) {
    for statement in statements {
        let plan = plan(image(), statement);
        assert!(plan.contains("Index"), "{statement}\n{plan}");
        for slow in ["Seq Scan", "Sort", "Hash Join"] {
            assert!(!plan.contains(slow), "{statement}\n{plan}");
        }
    }
}

#[test]
fn pgbench_statements_are_index_lookups() {
    by_index_alone(
        pgbench,
        &[
            "select abalance from pgbench_accounts where aid = $1",
            "select abalance from pgbench_accounts where aid = 4711",
            "update pgbench_accounts set abalance = abalance + $1 where aid = $2",
            "update pgbench_tellers set tbalance = tbalance + $1 where tid = $2",
            "update pgbench_branches set bbalance = bbalance + -17 where bid = 3",
            "delete from pgbench_accounts where aid = $1",
            "select abalance from pgbench_accounts where aid = $1 for update",
        ],
    );
    let insert = "insert into pgbench_history (tid, bid, aid, delta, mtime) values ($1, $2, $3, $4, current_timestamp)";
    assert!(!plan(pgbench(), insert).contains("Scan"));
}

#[test]
fn tpcc_statements_are_index_lookups() {
    by_index_alone(
        tpcc,
        &[
            "select c_balance, w_name from customer, warehouse where w_id = $1 and c_w_id = w_id and c_d_id = $2 and c_id = $3",
            "select d_next_o_id, d_tax from district where d_w_id = $1 and d_id = $2 for update",
            "update district set d_next_o_id = d_next_o_id + 1 where d_w_id = $1 and d_id = $2 returning d_next_o_id",
            "select i_price, i_name from item where i_id = $1",
            "select s_quantity from stock where s_w_id = $1 and s_i_id = $2 for update",
            "update stock set s_quantity = $1, s_ytd = s_ytd + $2 where s_w_id = $3 and s_i_id = $4",
            "update warehouse set w_ytd = w_ytd + $1 where w_id = $2",
            "select count(c_id) from customer where c_w_id = $1 and c_d_id = $2 and c_last = $3",
            "select c_first, c_id from customer where c_w_id = $1 and c_d_id = $2 and c_last = $3 order by c_first",
            "select o_id, o_entry_d from orders where o_w_id = $1 and o_d_id = $2 and o_c_id = $3 order by o_id desc limit 1",
            "select no_o_id from new_order where no_w_id = $1 and no_d_id = $2 order by no_o_id limit 1 for update",
            "select min(no_o_id) from new_order where no_w_id = $1 and no_d_id = $2",
            "delete from new_order where no_w_id = $1 and no_d_id = $2 and no_o_id = $3",
            "update order_line set ol_delivery_d = $1 where ol_w_id = $2 and ol_d_id = $3 and ol_o_id = $4",
            "select sum(ol_amount) from order_line where ol_w_id = $1 and ol_d_id = $2 and ol_o_id = $3",
            "select count(*) from (select distinct s_i_id from order_line, stock where ol_w_id = $1 and ol_d_id = $2 \
             and ol_o_id < $3 and ol_o_id >= $3 - 20 and s_w_id = $1 and s_i_id = ol_i_id and s_quantity < $4) s",
        ],
    );
}

#[test]
fn conditions_reach_into_ctes_and_subqueries() {
    by_index_alone(
        pgbench,
        &[
            "with w as (select * from pgbench_accounts) select abalance from w where aid = 7",
            "select * from (select aid, abalance + 1 as b from pgbench_accounts) s where aid = 7",
        ],
    );
}

/// A table with indexes on texts of expressions and with predicates.
fn people() -> Image {
    let columns = [("id", INT), ("name", TEXT), ("age", INT), ("team", INT), ("active", Type::new(oid::BOOL))];
    let mut people = indexed(32_000, "people", &columns, &[&["id"], &["age", "team"], &["name"]], true);
    people.row_estimate = 100_000.0;
    let plain = people.indexes[0].clone();
    let derived = |n: u32, name: &str, expression: Option<(&str, Type)>, predicate: Option<&str>, unique: bool| {
        let mut index = (*plain).clone();
        (index.oid, index.storage) = (Oid(32_100 + n), ObjectId(32_100 + n));
        (index.name, index.unique, index.primary) = (name.into(), unique, false);
        let key = &mut index.keys[0];
        (key.attribute, key.storage, key.ty) = (3, 2, INT);
        if let Some((text, ty)) = expression {
            (key.attribute, key.storage, key.ty) = (0, 10 + n as u16, ty);
            key.expression = Some(text.into());
        }
        index.predicate = predicate.map(|text| (text.into(), 20 + n as u16));
        Arc::new(index)
    };
    people.indexes.push(derived(1, "people_lower", Some(("lower(name)", TEXT)), None, true));
    people.indexes.push(derived(2, "people_sum", Some(("age + team", INT)), None, false));
    people.indexes.push(derived(3, "people_active", None, Some("active and team > 10"), false));
    let other = indexed(32_020, "other", &[("x", INT), ("y", TEXT)], &[&["x"]], true);
    catalog([people, other])
}

fn people_plan(text: &str) -> String {
    plan(people(), text)
}

#[test]
fn expressions_are_searched_through_their_indexes() {
    for (text, expected) in [
        ("select id from people where lower(name) = 'x'", "Index Cond: (lower(name) = 'x'::text)"),
        ("select id from people where 'x' = lower(name)", "Index Cond: (lower(name) = 'x'::text)"),
        ("select id from people where lower(name) = $1", "Index Cond: (lower(name) = $1)"),
        (
            "select id from people where lower(name) like 'ab%'",
            "((lower(name) >= 'ab'::text) AND (lower(name) < 'ac'::text))",
        ),
        ("select id from people where lower(name) in ('a', 'b')", "Index Cond: (lower(name) = ANY ('{a,b}'"),
        ("select id from people order by lower(name) limit 3", "Index Scan using people_lower"),
        ("select id from people order by lower(name) desc limit 3", "Index Scan Backward using people_lower"),
        ("select min(age + team) from people", "Index Scan using people_sum"),
        ("select max(lower(name)) from people", "Index Scan Backward using people_lower"),
        ("select id from people where age + team between 3 and 4", "Index Cond: ((age + team"),
        ("select id from people, other where x = 5 and lower(name) = y", "Index Cond: (lower(name) = other.y)"),
    ] {
        let plan = people_plan(text);
        assert!(plan.contains(expected), "{text}\n{plan}");
    }
}

#[test]
fn a_partial_index_serves_what_implies_its_predicate() {
    let uses = |condition: &str| {
        let text = format!("select id from people where {condition} and name <> 'x' order by age limit 3");
        people_plan(&text).contains("people_active")
    };
    for implied in [
        "active and team > 10",
        "active and team = 11",
        "active = true and team in (11, 12)",
        "active and team >= 11 and team < 20",
    ] {
        assert!(uses(implied), "{implied}");
    }
    for open in [
        "team > 10",
        "active and team > 9",
        "active and team > $1",
        "active and team in (10, 11)",
        "not active and team > 10",
        "(active or team > 10)",
    ] {
        assert!(!uses(open), "{open}");
    }
}

#[test]
fn patterns_rows_and_alternatives_are_ranges() {
    for (text, expected) in [
        ("select id from people where name like 'ab%'", "Index Cond: ((name >= 'ab'::text) AND (name < 'ac'::text))"),
        ("select id from people where name ^@ 'ab'", "Index Cond: ((name >= 'ab'::text) AND (name < 'ac'::text))"),
        ("select id from people where name like 'ab'", "Index Cond: (name = 'ab'::text)"),
        ("select id from people where name like $1", "Index Cond: (name ~~ $1)"),
        ("select id from people where (age, team) > ($1, $2)", "Index Cond: (ROW(age, team) > ROW($1, $2))"),
        (
            "select id from people where (age, team) > ($1, $2) order by age, team limit 9",
            "Index Scan using people_age_team",
        ),
        ("select id from people where id = 3 or id = $1", "Index Cond: (id = ANY (ARRAY[3, $1]))"),
        ("select id from people where id = any ($1)", "Index Cond: (id = ANY ($1))"),
        ("select id from people where name is null", "Index Cond: (name IS NULL)"),
        ("select id from people where name is not distinct from 'x'", "Index Cond: (name = 'x'::text)"),
    ] {
        let plan = people_plan(text);
        assert!(plan.contains(expected), "{text}\n{plan}");
    }
}

fn shop() -> Image {
    let table = |oid: u32, name: &str, rows: f64, columns: &[(&str, Type)], keys: &[&[&str]]| {
        let mut table = indexed(oid, name, columns, keys, true);
        table.row_estimate = rows;
        table
    };
    catalog([
        table(33_000, "nation", 25.0, &[("n_key", INT), ("n_name", TEXT)], &[&["n_key"]]),
        table(33_020, "customer", 15_000.0, &[("c_key", INT), ("c_nation", INT), ("c_segment", TEXT)], &[&["c_key"]]),
        table(33_040, "orders", 150_000.0, &[("o_key", INT), ("o_customer", INT), ("o_day", INT)], &[&["o_key"]]),
        table(
            33_060,
            "line",
            600_000.0,
            &[("l_order", INT), ("l_number", INT), ("l_part", INT), ("l_supplier", INT)],
            &[&["l_order", "l_number"]],
        ),
        table(33_080, "part", 20_000.0, &[("p_key", INT), ("p_name", TEXT)], &[&["p_key"]]),
        table(33_100, "supplier", 1_000.0, &[("s_key", INT), ("s_nation", INT)], &[&["s_key"]]),
    ])
}

/// All orders of a list.
fn permutations<'a>(items: &[&'a str]) -> Vec<Vec<&'a str>> {
    if items.len() < 2 {
        return vec![items.to_vec()];
    }
    let mut all = Vec::new();
    for (i, first) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(i);
        for mut order in permutations(&rest) {
            order.insert(0, first);
            all.push(order);
        }
    }
    all
}

#[test]
fn the_order_of_from_does_not_matter() {
    let joins: [(&str, &[&str]); 5] = [
        (
            "c_key = o_customer and o_key = l_order and l_part = p_key and p_name = 'x'",
            &["customer", "orders", "line", "part"],
        ),
        (
            "c_key = o_customer and o_key = l_order and c_nation = n_key and n_name = 'x' and o_day < 10",
            &["customer", "orders", "line", "nation"],
        ),
        (
            "c_key = o_customer and o_key = l_order and l_supplier = s_key and s_nation = n_key and c_nation = s_nation",
            &["customer", "orders", "line", "supplier", "nation"],
        ),
        (
            "o_key = l_order and l_part = p_key and l_supplier = s_key and s_nation = n_key and o_key = $1",
            &["orders", "line", "part", "supplier", "nation"],
        ),
        (
            "c_key = o_customer and o_key = l_order and l_supplier = s_key and s_nation = n_key and l_part = p_key \
             and p_name like 'a%' and n_name = 'x' and c_segment = 'y'",
            &["customer", "orders", "line", "supplier", "nation", "part"],
        ),
    ];
    let image = shop();
    for (conditions, tables) in joins {
        let first = plan(image.clone(), &format!("select count(*) from {} where {conditions}", tables.join(", ")));
        for order in permutations(tables) {
            let text = format!("select count(*) from {} where {conditions}", order.join(", "));
            assert_eq!(plan(image.clone(), &text), first, "{text}");
        }
    }
}

#[test]
fn joins_begin_where_few_rows_are() {
    let text = "select * from line, orders, customer where o_key = l_order and c_key = o_customer and o_key = 7";
    let chosen = plan(shop(), text);
    assert!(!chosen.contains("Seq Scan") && !chosen.contains("Hash"), "{chosen}");
    let outer = "select * from line left join part on p_key = l_part, orders where o_key = l_order and o_key = 7";
    let chosen = plan(shop(), outer);
    assert!(!chosen.contains("Seq Scan") && chosen.contains("Left Join"), "{chosen}");
    let semi = "select * from orders where o_key = 7 and exists (select 1 from line where l_order = o_key)";
    let chosen = plan(shop(), semi);
    assert!(!chosen.contains("Seq Scan") && chosen.contains("Semi Join"), "{chosen}");
}

#[test]
fn what_all_arms_of_an_or_share_joins() {
    let text = "select * from line, part where (p_key = l_part and p_name = 'a' and l_number < 3)
                or (l_number > 5 and p_key = l_part and p_name = 'b')";
    let chosen = plan(shop(), text);
    assert!(!chosen.contains("Nested Loop\n") && chosen.contains("p_name = 'a'"), "{chosen}");
    assert!(chosen.contains("Hash Cond") || chosen.contains("Index Cond"), "{chosen}");
    // The third arm demands nothing of part alone.
    let text = text.to_owned() + " or (p_key = l_part and l_number = 4)";
    assert!(!plan(shop(), &text).contains("Filter: ((p_name"), "{text}");
}

/// What is computed once for all outer rows has no subquery left in its plan.
#[test]
fn correlated_subqueries_are_joined() {
    let joined = [
        "select c_key, (select count(*) from orders where o_customer = c_key) from customer",
        "select c_key, (select max(o_day) + c_nation from orders where o_customer = c_key having count(*) > 1) from customer",
        "select c_key, (select o_day from orders where o_customer = c_key order by o_key desc limit 1) from customer",
        "select c_key, (select n_name from nation where n_key = c_nation) from customer",
        "select c_key, exists (select from orders where o_customer = c_key and o_day < 3) from customer",
        "select c_key from customer where c_nation = 3 or exists (select from orders where o_customer = c_key)",
        "select c_key from customer where c_nation not in (select o_day from orders where o_customer = c_key)",
        "select sum((select count(*) from orders where o_customer = c_key)) from customer",
        "select c_key, l.* from customer, lateral (select count(*), min(o_day) from orders where o_customer = c_key) l",
        "select c_key, o_day from customer, lateral (select * from orders where o_customer = c_key order by o_day limit 3) l",
        "select c_key, l.* from customer, lateral (select o_day, count(*) from orders where o_customer = c_key group by 1) l",
    ];
    for text in joined {
        let chosen = plan(shop(), text);
        assert!(!chosen.contains("SubPlan") && !chosen.contains("Nested Loop"), "{text}\n{chosen}");
        assert!(chosen.contains("Hash"), "{text}\n{chosen}");
    }
    let left_alone = [
        // Few outer rows and an index.
        "select o_key, (select count(*) from line where l_order = o_key) from orders where o_key = 7",
        "select o_key, (select count(*) from line where l_order = o_key) from orders order by o_key limit 10",
        // A group that nobody asks for might fail.
        "select c_key, (select sum(10 / o_day) from orders where o_customer = c_key) from customer",
        // No equality.
        "select c_key, (select count(*) from orders where o_customer < c_key) from customer",
        // Computed for some rows only.
        "select case when c_key = 1 then 0 else (select count(*) from orders where o_customer = c_key) end from customer",
    ];
    for text in left_alone {
        let chosen = plan(shop(), text);
        assert!(chosen.contains("SubPlan"), "{text}\n{chosen}");
    }
    let few = "select o_key, l.* from orders, lateral (select l_part from line where l_order = o_key order by l_number limit 1) l
               limit 10";
    let chosen = plan(shop(), few);
    assert!(chosen.contains("Nested Loop") && !chosen.contains("WindowAgg"), "{chosen}");
}

//! The plans of the statements that must be quick: pgbench's and TPC-C's reach their rows by index.

use super::{physical, rewrite};
use crate::catalog::image::Image;
use crate::executor::row::explain::{self, ExplainOptions};
use crate::sql::bind::tests::{bind_in, catalog, indexed};
use crate::types::{Type, oid};

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
    let plan = physical::plan(&rewrite::statement(statement)).unwrap_or_else(|error| panic!("{text}: {error}"));
    let options = ExplainOptions { costs: false, timing: false, verbose: false };
    explain::text(&plan, options, None).join("\n")
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

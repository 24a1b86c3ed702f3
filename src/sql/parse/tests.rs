//! What parses, and how refusals read: checked against PostgreSQL 15's own messages and positions.

use super::*;

fn refusal(text: &str) -> (String, u32) {
    let error = parse(text).expect_err(text);
    (error.report().message.clone(), error.report().position.unwrap_or(0))
}

#[test]
fn accepts_what_postgresql_accepts() {
    for text in ACCEPTED.split(";\n").map(str::trim).filter(|text| !text.is_empty()) {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    }
}

#[test]
fn syntax_errors_stand_where_postgresql_puts_them() {
    for (text, near, position) in [
        ("selec 1", "selec", 1),
        ("select 1 1", "1", 10),
        ("select 'a' 'b'", "'b'", 12),
        ("select * from where", "where", 15),
        ("select a < b < c", "<", 14),
        ("select 1 year", "year", 10),
        ("create table t (a int,)", ")", 23),
        ("insert into t values 1", "1", 22),
        ("select ä, from x", "from", 11),
        ("begin; selec", "selec", 8),
        ("select (1", "", 10),
    ] {
        let message = match near {
            "" => "syntax error at end of input".to_owned(),
            _ => format!("syntax error at or near \"{near}\""),
        };
        assert_eq!(refusal(text), (message, position), "{text}");
    }
}

#[test]
fn statements_are_split_with_their_places() {
    let text = " select 1 ; ; -- nothing\n insert into t values (';') ;";
    let all = parse(text).expect("parses");
    let parts: Vec<&str> = all.iter().map(|parsed| &text[parsed.start..parsed.end]).collect();
    assert_eq!(parts, ["select 1", "insert into t values (';')"]);
    assert!(parse(" -- ping").expect("parses").is_empty());
}

#[test]
fn huge_and_deep_statements_end_well() {
    let ored = format!("select 1 where {} a = 0", "a = 1 or ".repeat(100_000));
    assert_eq!(parse(&ored).expect("parses").len(), 1);
    let nested = format!("select {}1{}", "(".repeat(3_000), ")".repeat(3_000));
    assert_eq!(parse(&nested).expect("parses").len(), 1);
    let sum = format!("select 1{}", " + 1".repeat(100_000));
    assert_eq!(parse(&sum).expect_err("too deep").code(), SqlState::StatementTooComplex);
    let deep = format!("select {}1", "- (".repeat(50_000));
    assert_eq!(parse(&deep).expect_err("too deep").code(), SqlState::StatementTooComplex);
}

#[test]
fn precedence() {
    let shape = |text: &str| format!("{:?}", strip(&expression(text).expect("parses")));
    assert_eq!(shape("-2 ^ 2"), shape("(-2) ^ 2"));
    assert_eq!(shape("a or b and not c = d"), shape("a or (b and (not (c = d)))"));
    assert_eq!(shape("a + b * c || d"), shape("(a + (b * c)) || d"));
    assert_eq!(shape("a between 1 and 2 and c"), shape("(a between 1 and 2) and c"));
    assert_eq!(shape("a = b is null"), shape("(a = b) is null"));
    assert_eq!(shape("x::int + 1"), shape("(x::int) + 1"));
    assert_eq!(shape("-a::int"), shape("-(a::int)"));
    assert_eq!(shape("a like b || c"), shape("a like (b || c)"));
}

/// Debug text without positions.
fn strip(expr: &Expr) -> String {
    let text = format!("{expr:?}");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("pos: ") {
        out.push_str(&rest[..at]);
        rest = rest[at + 5..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out + rest
}

const ACCEPTED: &str = r#"
select; table t; select all 1; select distinct on (a, b) a, b c from t as x (p, q), only u, lateral f(1) with ordinality as g (v, n);
select * from t join u using (a, b) as j left join v on true natural full outer join w cross join (x join y on x.a = y.a) as z;
select * from a join b join c on b.x = c.x on a.x = b.x;
select f(variadic arr), g(a => 1, b := 2), count(*) filter (where a) over (partition by b order by c desc nulls last rows between 1 preceding and current row exclude ties);
select percentile_cont(0.5) within group (order by x), string_agg(distinct a, ',' order by a);
select * from json_to_record('{}') as x(a int, b text), rows from (f(1), g(2) as (c int)) with ordinality;
select a from t for no key update of t nowait for key share skip locked limit 5 offset 3 rows;
select a from t order by a using > fetch first 3 rows with ties;
select 1 union all (select 2 order by 1 limit 1) intersect values (3), (4) except table t;
with recursive a (x) as (select 1 union all select x + 1 from a), b as not materialized (delete from t returning *) select * from a, b;
select case a when 1 then 2 else 3 end, case when a then b end, cast(a as numeric(10, 2)), a::varchar(3)[], interval '1' day, interval(3) '1', interval '1-2' year to month, date '2020-01-01', numeric(3,1) '1.5', pg_catalog.int4 '1';
select extract(year from d), extract('epoch' from d), substring(a from 1 for 2), substring(a for 2), substring(a similar 'x' escape '#'), position('a' in 'b'), overlay(a placing b from 1), trim(both 'x' from a), trim(leading from a), trim(a);
select a at time zone 'utc', a collate "C", a is distinct from b, a is not unknown, a between symmetric 1 and 2, a not in (1, 2), a in (select 1), a = any (array[1, 2]), a <> all (select 1), a like any (b), a not similar to 'x' escape '!';
select (array[[1, 2], [3, 4]])[1][2:], (c).f, (c).*, t.*, (a, b) = (1, 2), row (1), row (), array(select 1), exists (select 1), (select 1), ((select 1) + 1), ((select 1));
select (a, b) overlaps (c, d), current_date, current_timestamp(3), user, current_schema, operator(pg_catalog.+) 1, 1 operator(pg_catalog.+) 2, - - 1, not not a, @ -5;
select $1, $2::int, 'a'
'b', E'\n', U&'\0061', $$x$$, b'101', x'1F', 1e5, .5, 5., 9223372036854775808, null, true;
select a from t group by distinct rollup (a, (b, c)), cube (d), grouping sets ((), (a), rollup (b)), a + 1 having count(*) > 1 window w as (order by a), v as (w);
insert into t as x (a, b[1], c.d) overriding system value select 1 on conflict (a, lower(b) collate "C" text_ops) where a > 0 do update set a = excluded.a, (b, c) = (1, default), (d, e) = (select 1, 2) where x.a > 1 returning *, a as z;
insert into t default values on conflict do nothing;
insert into t (select 1); insert into t (a) (select 1); insert into t values (1, default), (2, 3) on conflict on constraint k do nothing;
update only t as x set a = default, b[1] = 2 from u where x.a = u.a returning x.*; update t set a = 1 where current of c;
delete from t using u where t.a = u.a; delete from only (t) x;
create table if not exists s.t (a int primary key, b text collate "C" not null default 'x' unique, c int generated always as (a + 1) stored, d int generated by default as identity (start with 10 increment by 2), e int references u (x) match full on delete set null (e) on update cascade deferrable initially deferred, check (a > 0) no inherit, constraint k unique nulls not distinct (a, b) include (c) with (fillfactor = 70) using index tablespace pg_default, foreign key (a, b) references v not valid, like w including all excluding indexes) with (fillfactor = 50, autovacuum_enabled = false) tablespace pg_default;
create temp table t (a int) on commit drop; create unlogged table t (); create table t (a, b) as select 1, 2 with no data; create table t as execute p (1); select 1 into temp t;
create unique index concurrently if not exists i on only t using btree (a desc nulls last, lower(b) text_pattern_ops, (a + b)) include (c) nulls not distinct with (fillfactor = 90) where a > 0; create index on t (a);
create or replace temp view v (a) with (security_barrier) as select 1 with local check option; create recursive view v (n) as select 1;
create schema if not exists s authorization current_user; create schema authorization joe create table x (a int) create view y as select 1;
create sequence if not exists s start 5 increment by -1 no minvalue maxvalue 10 cache 3 cycle owned by t.a as bigint; alter sequence s restart with 3 owned by none;
create database d with owner = x template template0 encoding 'utf8' connection limit 5 is_template true; drop database if exists d with (force); alter database d rename to e; alter database d owner to x; alter database d set a.b to 'x', y;
create role r with login password 'x' superuser nocreatedb connection limit 3 valid until 'infinity' in role a, b; create user u encrypted password 'x'; alter role r set search_path = a, b; alter user current_user nologin; alter role r rename to q; drop role if exists a, b;
alter table if exists only t add column if not exists a int default 1, drop column b cascade, alter c type text using c::text, alter column d set default 5, alter e drop not null, alter f set not null, add constraint k check (a > 0) not valid, validate constraint k, drop constraint if exists k, owner to joe, set (fillfactor = 3), alter g add generated always as identity, alter g set generated by default set start 5 restart, alter g drop identity if exists, alter h drop expression, alter i set statistics 100, alter constraint k deferrable initially immediate;
alter table t rename a to b; alter table t rename constraint a to b; alter table t rename to u; alter table t set schema s; alter index i rename to j; alter view v alter a set default 1; alter table t add primary key using index i; alter table t inherit u;
drop table if exists a, s.b cascade; drop index concurrently i; drop view v; drop schema s restrict; truncate table only t, u restart identity cascade;
comment on column s.t.a is 'x'; comment on constraint k on t is null; comment on table t is 'y';
begin isolation level serializable, read only, not deferrable; start transaction read write; commit and chain; end; rollback to savepoint s; abort; savepoint s; release s; prepare transaction 'x'; commit prepared 'x';
set a = 1, 'b', c; set local a.b to default; set session time zone interval '-8' hour to minute; set time zone 'utc'; set names 'utf8'; set role none; set session authorization default; set constraints all deferred; set constraints a, b.c immediate; set transaction isolation level repeatable read; set session characteristics as transaction read only; set schema 'x'; set search_path to a, "B"; set x to on; set time zone -8;
reset all; reset a.b; show all; show time zone; show transaction isolation level; discard all; discard temp;
prepare p (int, text) as select $1; execute p (1, 'x'); execute p; deallocate all; deallocate prepare p;
declare c binary insensitive no scroll cursor with hold for select 1 for update; fetch c; fetch all c; fetch next from c; fetch 5 in c; fetch backward all from c; fetch absolute -1 c; fetch relative 0 from c; move forward 3 in c; close all; close c;
explain analyze verbose select 1; explain (analyze, costs off, format json) insert into t values (1); explain (select 1); explain execute p; explain create table t as select 1;
analyze; analyze verbose t (a, b), u; vacuum; vacuum full verbose analyze t; vacuum (analyze, parallel 2) t; checkpoint; lock table a, b in share row exclusive mode nowait; lock t; reindex table concurrently t; reindex (verbose) index i;
copy t (a, b) from stdin with (format csv, header match, null '', force_null (a), delimiter E'\t') where a > 0; copy (select 1) to stdout csv header quote '"' force quote *; copy binary t to '/x'; copy t from stdin; copy t to stdout with delimiter as '|' null as ''; copy t from program 'x';
listen a; notify a, 'b'; unlisten *; grant select on t to joe; revoke all on t from joe; do $$begin end$$; create function f() returns int language sql as 'select 1'; create extension if not exists x; cluster t using i;
select t.values, interval, a.int from t; select left('abc', 1); select 1 as select, 2 value, 3 "x";
"#;

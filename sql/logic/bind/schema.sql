create table t (a int primary key, b text, c int, d numeric(10,2));
create table u (a int, x int, y text);
create table g (id int generated always as identity, v int not null, w int generated always as (v * 2) stored);
create table p (k int, v int default 7, lower_name text, unique (k));
create view v as select a, b from t;

-- COPY FROM: values in every plain and odd form, errors with their CONTEXT, and what is left after them.
create table t (a int primary key, b numeric(7, 2), c varchar(5), d char(4), e date, f timestamp, g text);
copy t from stdin;
1	1.5	abc	x	2000-02-29	2000-02-29 23:59:59	plain
2	-0.25	abc  	x 	1999-12-31	1999-12-31 00:00:00.5	tab\tand\\backslash
3	\N	\N	\N	\N	\N	\N
 4 	1e3	äöüßé	y   	Jan 5, 2001	2001-01-05T04:05:06	\x41\102
+5	.5		z	20010203	20010203 040506	
-6	99999.994	12345      	    	0099-01-01	2000-01-01 24:00:00	last
\.
select * from t order by a;
-- refused values: nothing of the statement stays
copy t from stdin;
10	1	a	a	2000-01-01	2000-01-01 00:00:00	good
11	1x	a	a	2000-01-01	2000-01-01 00:00:00	bad numeric
\.
copy t from stdin;
10	1	a	a	2000-01-01	2000-01-01 00:00:00	good
99999999999	1	a	a	2000-01-01	2000-01-01 00:00:00	bad int
\.
copy t from stdin;
10	100000	a	a	2000-01-01	2000-01-01 00:00:00	numeric overflow
\.
copy t from stdin;
10	1	abcdef	a	2000-01-01	2000-01-01 00:00:00	too long
\.
copy t from stdin;
10	1	a	a	2000-02-30	2000-01-01 00:00:00	bad date
\.
copy t from stdin;
10	1	a
\.
copy t from stdin;
10	1	a	a	2000-01-01	2000-01-01 00:00:00	too	many
\.
copy t from stdin;
\N	1	a	a	2000-01-01	2000-01-01 00:00:00	no key
\.
-- a key that is there, and one that comes twice: the line that is in the way is named
copy t from stdin;
20	1	a	a	2000-01-01	2000-01-01 00:00:00	good
30	1	a	a	2000-01-01	2000-01-01 00:00:00	good
3	1	a	a	2000-01-01	2000-01-01 00:00:00	there
25	1	a	a	2000-01-01	2000-01-01 00:00:00	good
1	1	a	a	2000-01-01	2000-01-01 00:00:00	there too
\.
copy t from stdin;
22	1	a	a	2000-01-01	2000-01-01 00:00:00	good
21	1	a	a	2000-01-01	2000-01-01 00:00:00	good
22	1	a	a	2000-01-01	2000-01-01 00:00:00	twice
\.
select count(*), min(a), max(a) from t;
-- a later line that cannot be read comes before a key that is there
copy t from stdin;
3	1	a	a	2000-01-01	2000-01-01 00:00:00	there
40	x	a	a	2000-01-01	2000-01-01 00:00:00	bad
\.
-- columns in another order, and left out
copy t (g, a) from stdin;
text	50
\N	51
\.
copy t (a, g) from stdin csv;
52,"quoted, ""text"""
53,
54,""
\.
copy t (a, b) from stdin with (format csv, header match, delimiter ';', null 'none');
a;b
55;none
56;12.345
\.
select * from t where a >= 50 order by a;
-- in a block with savepoints
begin;
savepoint s;
copy t (a) from stdin;
60
61
\.
select count(*) from t where a >= 60;
rollback to s;
copy t (a) from stdin;
62
1
\.
rollback to s;
copy t (a) from stdin;
62
\.
commit;
select a from t where a >= 60;
-- defaults, checks, generated columns, indexes on expressions and partial ones
create sequence numbers;
create table u (id int default nextval('numbers'), v int not null check (v > 0), w int generated always as (v * 2) stored,
  name text default 'none', unique (w));
create unique index u_name on u (name) where v < 100;
create index u_lower on u (lower(name));
create index u_odd on u (v) where v % 2 = 1;
copy u (v, name) from stdin;
1	One
2	Two
200	one
201	ONE
\.
copy u (v, name) from stdin;
3	Three
4	Two
\.
copy u (v) from stdin;
5
-1
\.
copy u (v) from stdin;
6
\N
\.
copy u (v, w) from stdin;
select * from u order by v;
select v from u where v % 2 = 1 order by v;
select v from u where lower(name) = 'one' order by v;
create table filtered (v int, name text);
copy filtered from stdin where v % 2 = 0;
7	seven
8	eight
9	nine
10	ten
\.
select * from filtered order by v;
-- foreign keys, deferrable constraints
create table parent (id int primary key);
create table child (id int primary key deferrable initially deferred, p int references parent);
copy parent from stdin;
1
2
\.
copy child from stdin;
1	1
2	\N
3	2
\.
copy child from stdin;
4	1
5	3
\.
copy child from stdin;
6	1
1	2
\.
select * from child order by id;
begin;
set constraints all deferred;
copy child from stdin;
3	1
\.
update child set id = 33 where p = 2;
commit;
select * from child order by id;
-- large values among small ones
create table large (id int primary key, v text);
\copy large from program 'for i in 1 2 3 4 5 6; do printf "%d\\t" $i; head -c $((i * i * 1000)) /dev/zero | tr "\\0" x; echo; done'
select id, length(v) from large order by id;
\copy large from program 'for i in 7 8 2; do printf "%d\\t" $i; head -c $((i * i * 1000)) /dev/zero | tr "\\0" x; echo; done'
select count(*) from large;
-- many rows: the batch that has the key, and the line
create table many (id int, k int unique);
\copy many from program 'seq 1 5000 | awk "{ print \$1 \"\\t\" (\$1 * 7919) % 5003 }"'
select count(*), sum(k), count(distinct k) from many;
select id from many where k = 4321;
\copy many from program 'seq 6001 9000 | awk "{ print \$1 \"\\t\" (\$1 == 8765 ? 4321 : \$1) }"'
select count(*), max(id) from many;
-- COPY TO writes what COPY FROM reads
copy t to stdout;
copy (select a, b, d, g from t order by a) to stdout csv header;
create table numbers_out (a smallint, b bigint, c numeric, d numeric(12, 4), e numeric(3, 3), f char(40), g bytea);
insert into numbers_out values (-32768, -9223372036854775808, 123456789012345678901234567890.5, -0.5, 0.001, 'blanks', '\x00ff'),
  (0, 0, 0, 0, 0, '', ''), (7, 9223372036854775807, 'NaN', 12345678.9, -0.999, E'\t\n\\\r\x0b\b\f', null);
copy numbers_out to stdout;
select * from numbers_out;
-- WHERE over columns that are not copied: their defaults
create table partly (a int, b int default 5, c char(3) default 'x', g int generated always as (a + 1) stored, i int generated always as identity, s serial, n text);
\copy partly(a) from program 'seq 1 4' where b = 5 and c = 'x  ' and length(c::text) = 1 and i > 2 and n is null
\copy partly(n, a) from program 'printf "p\t1\nq\t2\n\\\\N\t3\n"' where n <> 'p' and partly.s > 1
\copy partly(i, a) from program 'printf "70\t1\n80\t2\n"' where i > 75
select * from partly order by i;
-- bytes that no text has
create table nul (a text, b text);
\copy nul from program 'printf "one\ttwo\nx\\\\0y\tz\n"'
\copy nul from program 'printf "one\ttwo\nx\\\\x00y\tz\n"'
\copy nul from program 'printf "one\ttwo\nx\\\\377y\tz\n"'
\copy nul from program 'printf "one,two\nx\\\\0y,z\n"' csv
\copy nul from program 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\2\0\0\0\3x\0y\0\0\0\1z\377\377"' binary
select * from nul;
drop table t, u, partly, nul, filtered, child, parent, large, many, numbers_out;

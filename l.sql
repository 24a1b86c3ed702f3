select (with r1(n, x) as materialized (select 1, 1/0) select n as c0 from r1);

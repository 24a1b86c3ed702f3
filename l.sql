with recursive r1(n, x) as (select 1, null::int[] union all select n + 1, array[1/0] from r1 where n < 4 and null::boolean) select null from r1;

"""What applications do through psycopg 3. Prints what they see; the same is run against PostgreSQL and compared.

Usage: scenario.py CONNINFO
"""

import datetime
import decimal
import sys
import threading
import time
import uuid

import psycopg
from psycopg.rows import dict_row

CONNINFO = sys.argv[1]


def connect(**options):
    return psycopg.connect(CONNINFO, **options)


def show(name, *values):
    print(f"{name}:", *[repr(value) for value in values], flush=True)


def fails(name, call):
    """Prints the error that a call ends with, all its fields."""
    try:
        call()
        show(name, "no error")
    except psycopg.Error as error:
        diag = error.diag
        fields = ["severity", "sqlstate", "message_primary", "message_detail", "message_hint", "statement_position",
                  "context", "schema_name", "table_name", "column_name", "datatype_name", "constraint_name"]
        show(name, type(error).__name__, {f: getattr(diag, f) for f in fields if getattr(diag, f)})


def connection():
    with connect() as conn:
        if "sslmode=require" in CONNINFO:
            assert conn.pgconn.ssl_in_use, "the connection is not encrypted"
        info = conn.info
        show("info", info.user, info.dbname, info.status.name, info.transaction_status.name, info.encoding)
        for name in ["server_encoding", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone",
                     "integer_datetimes", "standard_conforming_strings", "is_superuser", "session_authorization"]:
            show("parameter", name, info.parameter_status(name))
        show("version", info.server_version // 10000)
    fails("no such database", lambda: psycopg.connect(CONNINFO, dbname="nosuch"))


TYPES = [
    ("bool", [True, False, None]),
    ("int2", [-32768, 32767]),
    ("int4", [-2147483648, 2147483647]),
    ("int8", [-9223372036854775808, 9223372036854775807]),
    ("float4", [0.0, 1.5, float("inf"), float("-inf")]),
    ("float8", [0.1, -1e308, 5e-324, float("inf")]),
    ("numeric", [decimal.Decimal(x) for x in ("0", "-0.000", "1e50", "123456789012345678901234567890.123456789", "NaN",
                                              "0.0001", "10000", "-9999.9999", "Infinity")]),
    ("numeric(20,4)", [decimal.Decimal("1.5"), decimal.Decimal("-123456.78905")]),
    ("text", ["", "Grüße, 世界 🙂", "a\\b'c\"d\n\t", "x" * 100000]),
    ("varchar(5)", ["abc", "abcde"]),
    ("char(5)", ["abc", "abcde"]),
    ("name", ["a name"]),
    ("\"char\"", ["a"]),
    ("bytea", [b"", b"\x00\x01\xfe\xff'\\", bytes(range(256)) * 10]),
    ("date", [datetime.date(1, 1, 1), datetime.date(2024, 2, 29), datetime.date(9999, 12, 31)]),
    ("time", [datetime.time(0, 0), datetime.time(23, 59, 59, 999999)]),
    ("timetz", [datetime.time(12, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))]),
    ("timestamp", [datetime.datetime(1999, 12, 31, 23, 59, 59, 999999), datetime.datetime(1, 1, 1)]),
    ("timestamptz", [datetime.datetime(2024, 7, 1, 12, 0, tzinfo=datetime.timezone.utc)]),
    ("interval", [datetime.timedelta(0), datetime.timedelta(days=-3, seconds=7, microseconds=5)]),
    ("uuid", [uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
    ("oid", [0, 4294967295]),
    ("int4[]", [[], [1, 2, 3], [[1, 2], [3, 4]], [None, 7]]),
    ("text[]", [["a", "b,c", 'd"e', "", None]]),
    ("numeric[]", [[decimal.Decimal("1.5"), None]]),
    ("timestamptz[]", [[datetime.datetime(2024, 7, 1, tzinfo=datetime.timezone.utc)]]),
    ("uuid[]", [[uuid.UUID(int=5)]]),
    ("bool[]", [[True, False, None]]),
    ("bytea[]", [[b"\x00", b"a"]]),
]


def types():
    """Every type as parameter and result, in text and binary."""
    with connect(autocommit=True) as conn:
        for name, values in TYPES:
            for value in values:
                for form in ("t", "b"):
                    for binary in (False, True):
                        try:
                            cur = conn.cursor(binary=binary)
                            cur.execute(f"select %{form}::{name}, pg_typeof(%{form}::{name})::text", [value, value])
                            got, kind = cur.fetchone()
                            text = repr(got)
                            show("type", name, form, binary, kind, text if len(text) < 300 else hash_of(text),
                                 cur.description[0].type_code, cur.description[0].display_size,
                                 cur.description[0].internal_size, cur.description[0].precision,
                                 cur.description[0].scale)
                        except (psycopg.Error, NotImplementedError) as error:
                            show("type", name, form, binary, type(error).__name__, getattr(error, "sqlstate", None),
                                 str(error).split("\n")[0])


def hash_of(text):
    import hashlib
    return hashlib.md5(text.encode()).hexdigest()


def statements():
    with connect(autocommit=True, row_factory=dict_row) as conn:
        conn.execute("create table item (id serial primary key, name text not null unique, price numeric(10,2) check (price >= 0),"
                     " at timestamptz default '2024-01-01 00:00Z')")
        cur = conn.cursor()
        cur.executemany("insert into item (name, price) values (%s, %s) returning id, name",
                        [(f"item {i}", i) for i in range(20)], returning=True)
        while True:
            show("executemany", cur.fetchone(), cur.statusmessage)
            if not cur.nextset():
                break
        for i in range(12):  # the sixth time it is prepared by name
            cur.execute("select name, price from item where id = %s", [i])
            show("prepared", cur.fetchone(), cur.rowcount, cur.statusmessage)
        prepared = conn.execute("select count(*) from pg_prepared_statements").fetchone()
        show("prepared statements", prepared)
        conn.execute("alter table item add note text")
        for _ in range(2):
            cur.execute("select * from item where id = %s", [3], prepare=True)
            show("star", cur.fetchone())
        conn.execute("alter table item drop note")
        fails("changed result", lambda: cur.execute("select * from item where id = %s", [3], prepare=True))
        cur.execute("update item set price = price + 1 where id <= 5 returning id, price")
        show("returning", cur.fetchall(), cur.statusmessage, cur.rowcount)
        cur.execute("select 1 as a, 2 as a; select 'x' as b; update item set price = price where id < 3; select 4 where false")
        while True:
            show("several", cur.statusmessage, cur.description and cur.fetchall())
            if not cur.nextset():
                break
        fails("syntax", lambda: conn.execute("selec 1"))
        fails("column", lambda: conn.execute("select nosuch from item"))
        fails("unique", lambda: conn.execute("insert into item (name) values ('item 1')"))
        fails("check", lambda: conn.execute("insert into item (name, price) values ('x', -1)"))
        fails("not null", lambda: conn.execute("insert into item (name) values (null)"))
        fails("zero", lambda: conn.execute("select 1 / (id - id) from item"))
        fails("type", lambda: conn.execute("select %s::int", ["x"]))
        fails("parameters", lambda: conn.execute("select %s + %s", ["x", 1]))
        fails("numeric overflow", lambda: conn.execute("insert into item (name, price) values ('y', 1e9)"))


def transactions():
    with connect() as conn:
        conn.execute("create table t (k int primary key, v text)")
        conn.commit()
        with conn.transaction():
            conn.execute("insert into t values (1, 'one')")
            try:
                with conn.transaction():
                    conn.execute("insert into t values (2, 'two')")
                    conn.execute("insert into t values (1, 'again')")
            except psycopg.errors.UniqueViolation as error:
                show("savepoint", error.sqlstate, error.diag.constraint_name, conn.info.transaction_status.name)
            conn.execute("insert into t values (3, 'three')")
        show("after", conn.execute("select * from t order by k").fetchall())
        fails("in a block", lambda: conn.execute("select 1 / 0"))
        fails("failed block", lambda: conn.execute("select 1"))
        show("status", conn.info.transaction_status.name)
        conn.rollback()
        show("status", conn.info.transaction_status.name)
        conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        show("modes", conn.execute("show transaction_isolation").fetchone(), conn.execute("show transaction_read_only").fetchone())
        fails("read only", lambda: conn.execute("insert into t values (9, 'nine')"))
        conn.rollback()


def pipelines():
    with connect(autocommit=True) as conn:
        conn.execute("create table p (k int primary key)")
        with conn.pipeline() as pipe:
            cursors = [conn.execute("insert into p values (%s) returning k", [k]) for k in range(50)]
            pipe.sync()
            show("pipeline", sum(cur.fetchone()[0] for cur in cursors))
        try:
            with conn.pipeline() as pipe:
                conn.execute("insert into p values (100)")
                pipe.sync()
                conn.execute("insert into p values (101)")
                conn.execute("insert into p values (1)")
                conn.execute("insert into p values (102)")
                pipe.sync()
        except psycopg.Error as error:
            show("pipeline fails", type(error).__name__, error.sqlstate)
        show("pipeline left", conn.execute("select k from p where k >= 50 order by k").fetchall())


def cursors():
    with connect() as conn:
        for scrollable, hold in ((None, False), (True, False), (False, True)):
            with conn.cursor(f"c{hold}", scrollable=scrollable, withhold=hold) as cur:
                cur.itersize = 7
                cur.execute("select g, g::text from generate_series(1, 30) g")
                show("server cursor", cur.fetchone(), cur.fetchmany(3), len(cur.fetchall()))
                if scrollable:
                    cur.scroll(5, "absolute")
                    show("scrolled", cur.fetchone())
                    cur.scroll(-3)
                    show("scrolled", cur.fetchmany(2))
                if hold:
                    conn.commit()
        with conn.cursor("walk") as cur:
            cur.itersize = 10
            cur.execute("select generate_series(1, 95)")
            show("walk", sum(row[0] for row in cur))
        fails("no cursor", lambda: conn.execute("fetch 1 from nosuch"))


def copies():
    with connect() as conn:
        conn.execute("create table c (a int, b text, c numeric, d bytea)")
        with conn.cursor().copy("copy c from stdin") as copy:
            for i in range(1000):
                copy.write_row((i, f"row\t{i}\\\n", decimal.Decimal(i) / 4, bytes([i % 256])))
        show("copied", conn.execute("select count(*), sum(c), sum(length(b)), md5(string_agg(b, '' order by a)) from c").fetchone())
        with conn.cursor().copy("copy (select * from c where a < 5 order by a) to stdout") as copy:
            for row in copy.rows():
                show("text row", row)
        with conn.cursor().copy("copy (select * from c where a < 3 order by a) to stdout (format binary)") as copy:
            copy.set_types(["int4", "text", "numeric", "bytea"])
            for row in copy.rows():
                show("binary row", *[bytes(v) if isinstance(v, memoryview) else v for v in row])
        with conn.cursor().copy("copy c from stdin (format binary)") as copy:
            copy.set_types(["int4", "text", "numeric", "bytea"])
            for i in range(100):
                copy.write_row((i, "b", decimal.Decimal("1.25"), b"\x00"))
        show("copied", conn.execute("select count(*), sum(c) from c").fetchone())
        with conn.cursor().copy("copy (select a, b, c from c where a < 3 and b <> 'b' order by a) to stdout (format csv, header, force_quote *)") as copy:
            show("csv", b"".join(bytes(block) for block in copy))
        conn.commit()

        def bad():
            with conn.cursor().copy("copy c from stdin") as copy:
                copy.write("1\tx\t1\t\\\\x00\n")
                copy.write("two\tx\t1\t\\\\x00\n")

        fails("bad copy", bad)
        conn.rollback()

        def left():
            with conn.cursor().copy("copy c from stdin") as copy:
                copy.write_row((1, "x", 1, b""))
                raise RuntimeError("the application's own")

        try:
            left()
        except psycopg.Error as error:
            show("left copy", error.sqlstate, conn.info.transaction_status.name)
        conn.rollback()
        show("still", conn.execute("select count(*) from c").fetchone())
        fails("copy of nothing", lambda: conn.cursor().copy("copy nosuch from stdin").__enter__())
        conn.rollback()
        conn.commit()
    conn = connect()
    fails("unread copy", lambda: conn.execute("select 1; copy c to stdout"))
    conn.close()


def cancels():
    with connect(autocommit=True) as conn:
        for text in ("select pg_sleep(60)", "select count(*) from generate_series(1, 100000000000)"):
            timer = threading.Timer(0.3, conn.cancel)
            timer.start()
            begun = time.monotonic()
            fails("cancel", lambda: conn.execute(text))
            timer.join()
            show("soon", time.monotonic() - begun < 5, conn.info.transaction_status.name)
        conn.execute("set statement_timeout = '100ms'")
        fails("timeout", lambda: conn.execute("select pg_sleep(60)"))
        conn.execute("set statement_timeout = 0; set lock_timeout = '100ms'")
        with connect() as other:
            other.execute("create table locked (k int primary key)")
            other.commit()
            other.execute("lock table locked")
            fails("lock timeout", lambda: conn.execute("select * from locked"))
            fails("nowait", lambda: conn.execute("lock table locked in share mode nowait"))
        conn.execute("set idle_session_timeout = '100ms'")
        time.sleep(0.4)
        try:
            conn.execute("select 1")
        except psycopg.OperationalError as error:
            show("idle", conn.closed, "idle-session timeout" in str(error))


def notifications():
    with connect(autocommit=True) as conn, connect() as other:
        conn.execute("listen news")
        other.execute("notify news, 'one'; notify news, 'two'; notify news, 'one'; notify elsewhere")
        other.rollback()
        other.execute("select pg_notify('news', 'three')")
        other.execute("notify news")
        other.commit()
        got = conn.notifies()
        show("notified", [(n.channel, n.payload, n.pid == other.info.backend_pid) for n in (next(got), next(got))])
        got.close()
    with connect(autocommit=True) as conn:
        notices = []
        conn.add_notice_handler(lambda diag: notices.append((diag.severity, diag.sqlstate, diag.message_primary)))
        conn.execute("create table if not exists item (a int)")
        conn.execute("drop table if exists nosuch")
        conn.execute("commit")
        show("notices", notices)


def wrong_paths():
    # A connection that is dropped in the middle of everything leaves no lock.
    conn = connect()
    conn.execute("create table w (k int)")
    conn.commit()
    conn.execute("lock table w")
    conn.pgconn.finish()
    with connect(autocommit=True) as other:
        other.execute("set lock_timeout = '10s'; insert into w values (1)")
        show("dropped", other.execute("select count(*) from w").fetchone())
    with connect() as conn:
        pid = conn.info.backend_pid
        conn.execute("select 1")
        with connect(autocommit=True) as other:
            show("terminate", other.execute("select pg_terminate_backend(%s)", [pid]).fetchone())
            time.sleep(0.2)
        try:
            conn.execute("select 1")
        except psycopg.OperationalError as error:
            show("terminated", conn.closed, getattr(error, "sqlstate", None))
    with connect(autocommit=True) as conn:
        fails("many parameters", lambda: conn.execute("select " + ", ".join(["%s"] * 70000), [1] * 70000))
        fails("zero byte", lambda: conn.execute("select %s::text", ["a\x00b"]))
        show("wide", len(conn.execute("select " + ", ".join(["%s::int"] * 1600), [1] * 1600).fetchone()))
        fails("too wide", lambda: conn.execute("select " + ", ".join(["%s::int"] * 1700), [1] * 1700))
        show("large", len(conn.execute("select %s::text", ["é" * (8 << 20)]).fetchone()[0]))


for part in (connection, types, statements, transactions, pipelines, cursors, copies, cancels, notifications, wrong_paths):
    print(f"== {part.__name__}", flush=True)
    part()

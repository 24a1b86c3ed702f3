import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.sql.*;
import java.util.Arrays;
import java.util.Properties;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** What applications do through pgjdbc. Prints what they see; the same is run against PostgreSQL and compared.
 *
 * Arguments: URL, user, password. */
public class Scenario {
    static String url;
    static Properties properties = new Properties();

    static Connection connect(String... options) throws SQLException {
        Properties all = new Properties();
        all.putAll(properties);
        for (int i = 0; i < options.length; i += 2) all.put(options[i], options[i + 1]);
        return DriverManager.getConnection(url, all);
    }

    static void show(String name, Object... values) {
        StringBuilder line = new StringBuilder(name).append(':');
        for (Object value : values) line.append(' ').append(text(value));
        System.out.println(line);
    }

    static String text(Object value) {
        if (value instanceof byte[]) return "bytes " + Arrays.toString((byte[]) value);
        if (value instanceof Object[]) return Arrays.deepToString((Object[]) value);
        if (value instanceof int[]) return Arrays.toString((int[]) value);
        if (value instanceof java.sql.Array) {
            try { return "array " + text(((java.sql.Array) value).getArray()); } catch (SQLException e) { return e.getMessage(); }
        }
        return String.valueOf(value);
    }

    interface Call { void run() throws Exception; }

    static void fails(String name, Call call) {
        try {
            call.run();
            show(name, "no error");
        } catch (SQLException e) {
            show(name, e.getClass().getSimpleName(), e.getSQLState(), e.getMessage().replace('\n', '|'));
        } catch (Exception e) {
            show(name, e.toString());
        }
    }

    static void rows(String name, ResultSet rs) throws SQLException {
        rows(name, rs, false);
    }

    /** Prints a result's rows, sorted where their order means nothing. */
    static void rows(String name, ResultSet rs, boolean sorted) throws SQLException {
        java.util.List<String> lines = new java.util.ArrayList<>();
        ResultSetMetaData meta = rs.getMetaData();
        int count = 0;
        for (; rs.next(); count++) {
            StringBuilder line = new StringBuilder(name).append(':');
            for (int i = 1; i <= meta.getColumnCount(); i++)
                line.append(' ').append(meta.getColumnLabel(i)).append('=').append(rs.getString(i));
            lines.add(line.toString());
        }
        if (sorted) java.util.Collections.sort(lines);
        lines.forEach(System.out::println);
        show(name + " rows", count);
        rs.close();
    }

    static void types() throws Exception {
        String[] literals = {
            "true::bool", "(-32768)::int2", "2147483647", "9223372036854775807", "1.5::float4", "'-Infinity'::float8", "0.1::float8",
            "123456789012345678901234567890.123456789::numeric", "'NaN'::numeric", "0.00::numeric(10,2)", "'Grüße 🙂'::text",
            "'abc'::varchar(5)", "'abc'::char(5)", "'a'::\"char\"", "'n'::name", "'\\x0001feff'::bytea", "date '2024-02-29'",
            "date '0044-03-15 BC'", "date 'infinity'", "time '23:59:59.999999'", "timetz '12:30+02'", "timestamp '1999-12-31 23:59:59.999999'",
            "timestamptz '2024-07-01 12:00Z'", "timestamptz '-infinity'", "interval '1 year 2 mons -3 days 04:05:06.7'",
            "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "4294967295::oid", "array[1,2,null]", "array[[1,2],[3,4]]", "'{}'::text[]",
            "array['a','b,c',null]", "array[1.5,null]", "array[true,false]", "array[timestamp '2024-01-01']", "null::int", "null::text",
            "'pg_class'::regclass", "'int4'::regtype", "'x'::unknown",
        };
        for (String mode : new String[] {"simple", "extended", "prepared"}) {
            String[] options = mode.equals("simple") ? new String[] {"preferQueryMode", "simple"}
                : mode.equals("prepared") ? new String[] {"prepareThreshold", "-1"} : new String[] {};
            try (Connection c = connect(options)) {
                for (String literal : literals) {
                    fails("type " + mode + " " + literal, () -> {
                        try (PreparedStatement s = c.prepareStatement("select " + literal + " as v"); ResultSet rs = s.executeQuery()) {
                            ResultSetMetaData m = rs.getMetaData();
                            rs.next();
                            Object value = rs.getObject(1);
                            show("value", literal, value instanceof byte[] ? null : rs.getString(1), value, value == null ? null : value.getClass().getSimpleName(), m.getColumnTypeName(1),
                                m.getColumnType(1), m.getColumnClassName(1), m.getPrecision(1), m.getScale(1), m.getColumnDisplaySize(1),
                                m.isSigned(1), m.isNullable(1));
                        }
                    });
                }
            }
        }
        try (Connection c = connect("prepareThreshold", "-1")) {
            Object[][] values = {
                {"bool", true}, {"int2", (short) -7}, {"int4", 7}, {"int8", 7L}, {"float4", 1.5f}, {"float8", 0.1}, {"numeric", new BigDecimal("-0.0012300")},
                {"text", "Grüße"}, {"bytea", new byte[] {0, 1, -1}}, {"uuid", new UUID(1, 2)}, {"date", Date.valueOf("2024-02-29")},
                {"timestamp", Timestamp.valueOf("2024-02-29 12:34:56.789012")}, {"time", Time.valueOf("12:34:56")},
                {"date", java.time.LocalDate.of(2024, 2, 29)}, {"timestamptz", java.time.OffsetDateTime.parse("2024-07-01T12:00:00Z")},
                {"int4[]", c.createArrayOf("int4", new Object[] {1, null, 3})}, {"text[]", c.createArrayOf("text", new Object[] {"a", "b,\"c"})},
            };
            for (Object[] value : values)
                fails("parameter " + value[0], () -> {
                    try (PreparedStatement s = c.prepareStatement("select ?::" + value[0] + ", ? is null")) {
                        for (int i = 0; i < 2; i++) {
                            s.setObject(1, value[1]);
                            s.setObject(2, value[1]);
                            try (ResultSet rs = s.executeQuery()) {
                                rs.next();
                                show("got", value[1] instanceof byte[] ? rs.getBytes(1) : rs.getString(1), rs.getBoolean(2));
                            }
                        }
                    }
                });
        }
    }

    static void statements() throws Exception {
        try (Connection c = connect(); Statement s = c.createStatement()) {
            s.execute("create table item (id serial primary key, name varchar(40) not null unique, price numeric(10,2) check (price >= 0))");
            try (PreparedStatement p = c.prepareStatement("insert into item (name, price) values (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
                for (int i = 0; i < 10; i++) {
                    p.setString(1, "item " + i);
                    p.setBigDecimal(2, new BigDecimal(i));
                    p.addBatch();
                }
                show("batch", p.executeBatch());
                rows("keys", p.getGeneratedKeys());
            }
            try (PreparedStatement p = c.prepareStatement("insert into item (name, price) values (?, ?)")) {
                for (int i = 8; i < 14; i++) {
                    p.setString(1, "item " + (i == 11 ? 1 : i + 10));
                    p.setBigDecimal(2, new BigDecimal(i));
                    p.addBatch();
                }
                try {
                    show("batch", p.executeBatch());
                } catch (BatchUpdateException e) {
                    show("batch fails", e.getSQLState(), e.getUpdateCounts(), e.getNextException().getMessage().replace('\n', '|'));
                }
            }
            rows("left", s.executeQuery("select name from item order by id"));
            c.setAutoCommit(false);
            try (Statement b = c.createStatement()) {
                b.addBatch("insert into item (name) values ('in a block')");
                b.addBatch("insert into item (name) values (null)");
                b.addBatch("insert into item (name) values ('never')");
                b.executeBatch();
            } catch (BatchUpdateException e) {
                show("batch in a block", e.getSQLState(), e.getUpdateCounts());
            }
            fails("failed block", () -> s.executeQuery("select 1"));
            c.rollback();
            Savepoint point = c.setSavepoint("here");
            s.executeUpdate("insert into item (name) values ('kept')");
            Savepoint inner = c.setSavepoint();
            fails("in a savepoint", () -> s.executeUpdate("insert into item (name) values ('kept')"));
            c.rollback(inner);
            c.releaseSavepoint(inner);
            c.commit();
            rows("kept", s.executeQuery("select count(*) from item where name = 'kept'"));
            c.commit();
            c.setAutoCommit(true);
            try (PreparedStatement p = c.prepareStatement("select name, price from item where id = ?")) {
                for (int i = 0; i < 12; i++) {
                    p.setInt(1, i);
                    try (ResultSet rs = p.executeQuery()) { show("prepared", rs.next() ? rs.getString(1) + rs.getBigDecimal(2) : null); }
                }
                ParameterMetaData m = p.getParameterMetaData();
                show("parameters", m.getParameterCount(), m.getParameterTypeName(1), p.getMetaData().getColumnName(2), p.getMetaData().getTableName(1));
            }
            boolean more = s.execute("select 1 as a; update item set price = 1 where id < 3; select 2 as b");
            for (int i = 0; i < 4; i++) {
                show("several", more, s.getUpdateCount());
                if (more) rows("result", s.getResultSet());
                more = s.getMoreResults();
            }
            try (Statement u = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE);
                 ResultSet rs = u.executeQuery("select id, name, price from item order by id")) {
                rs.absolute(2);
                rs.updateString("name", "changed");
                rs.updateRow();
                rs.moveToInsertRow();
                rs.updateString("name", "inserted");
                rs.insertRow();
                rs.last();
                show("updatable", rs.getRow());
            }
            rows("changed", s.executeQuery("select name from item where name in ('changed', 'inserted') order by 1"));
            fails("syntax", () -> s.execute("selec 1"));
            fails("escape", () -> rows("escape", s.executeQuery("select {fn upper('a')}, {d '2024-01-01'}, {ts '2024-01-01 00:00:00'} as t")));
            fails("call", () -> { try (CallableStatement call = c.prepareCall("{? = call upper(?)}")) {
                call.registerOutParameter(1, Types.VARCHAR); call.setString(2, "abc"); call.execute(); show("call", call.getString(1)); } });
            show("max rows", limited(c));
        }
    }

    static int limited(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.setMaxRows(5);
            int n = 0;
            try (ResultSet rs = s.executeQuery("select generate_series(1, 100)")) { while (rs.next()) n++; }
            return n;
        }
    }

    static void fetching() throws Exception {
        try (Connection c = connect()) {
            c.setAutoCommit(false);
            for (int size : new int[] {1, 7, 100}) {
                try (PreparedStatement s = c.prepareStatement("select g, repeat('x', g) from generate_series(1, ?) g")) {
                    s.setFetchSize(size);
                    s.setInt(1, 100);
                    long sum = 0;
                    try (ResultSet rs = s.executeQuery()) {
                        while (rs.next()) {
                            sum += rs.getInt(1) + rs.getString(2).length();
                            if (rs.getInt(1) == 50) try (Statement other = c.createStatement()) { other.execute("select 1"); }
                        }
                    }
                    show("fetched", size, sum);
                }
            }
            c.commit();
            try (Statement s = c.createStatement()) {
                s.setFetchSize(10);
                ResultSet rs = s.executeQuery("select 10 / (50 - g) from generate_series(1, 100) g");
                int n = 0;
                try { while (rs.next()) n++; } catch (SQLException e) { show("fails in the middle", n, e.getSQLState()); }
            }
            c.rollback();
        }
    }

    static void copies() throws Exception {
        try (Connection c = connect(); Statement s = c.createStatement()) {
            s.execute("create table c (a int, b text)");
            CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < 1000; i++) text.append(i).append('\t').append("row ").append(i).append('\n');
            show("copied", copy.copyIn("copy c from stdin", new StringReader(text.toString())));
            show("csv", copy.copyIn("copy c from stdin with (format csv)", new StringReader("5000,\"a \"\"quoted\"\" one\"\n")));
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            show("copied out", copy.copyOut("copy (select * from c where a >= 995 order by a) to stdout csv header", out), out.toString("UTF-8"));
            fails("bad copy", () -> copy.copyIn("copy c from stdin", new StringReader("1\tx\n2\n")));
            fails("no copy", () -> copy.copyIn("copy nosuch from stdin", new StringReader("1\n")));
            rows("still", s.executeQuery("select count(*) from c"));
        }
    }

    static void cancels() throws Exception {
        try (Connection c = connect(); Statement s = c.createStatement()) {
            Thread other = new Thread(() -> { try { Thread.sleep(300); s.cancel(); } catch (Exception e) { show("cancel", e); } });
            other.start();
            fails("cancelled", () -> s.executeQuery("select count(*) from generate_series(1, 100000000000)"));
            other.join();
            s.setQueryTimeout(1);
            fails("timeout", () -> s.executeQuery("select pg_sleep(60)"));
            s.setQueryTimeout(0);
            rows("goes on", s.executeQuery("select 1"));
            show("valid", c.isValid(5), c.isReadOnly(), c.getTransactionIsolation(), c.getCatalog(), c.getSchema());
            c.setReadOnly(true);
            fails("read only", () -> s.executeUpdate("create table x (a int)"));
            c.setReadOnly(false);
            PGConnection listener = c.unwrap(PGConnection.class);
            s.execute("listen news");
            try (Connection d = connect(); Statement t = d.createStatement()) { t.execute("notify news, 'hello'"); }
            for (org.postgresql.PGNotification n : listener.getNotifications(5000)) show("notified", n.getName(), n.getParameter());
            s.execute("create table if not exists item (a int)");
            for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) show("warning", w.getSQLState(), w.getMessage());
        }
        fails("no such database", () -> DriverManager.getConnection(url.replaceFirst("/postgres", "/nosuch"), properties));
    }

    static void metadata() throws Exception {
        try (Connection c = connect(); Statement s = c.createStatement()) {
            s.execute("create schema meta; set search_path = meta");
            s.execute("create table parent (a int, b text, c numeric(8,3) default 7, primary key (b, a)); comment on table parent is 'the parent'");
            s.execute("create table child (id bigint generated by default as identity primary key, a int, b text, t timestamptz(3) not null default now(),"
                + " l varchar(7)[], u uuid unique, d double precision, g int generated always as (a * 2) stored,"
                + " constraint to_parent foreign key (b, a) references parent (b, a) on delete cascade on update set null deferrable)");
            s.execute("comment on column child.u is 'the uuid'; create index child_expr on child (lower(b), a desc) where a > 0; create index child_d on child (d desc nulls last)");
            s.execute("create view shown as select id, l from child; create sequence counted; create table \"Odd Name\" (\"A b\" int)");
            DatabaseMetaData m = c.getMetaData();
            show("product", m.getDatabaseProductName(), m.getDatabaseMajorVersion(), m.getDriverMajorVersion(), m.getIdentifierQuoteString(),
                m.getMaxColumnNameLength(), m.getMaxIndexLength(), m.getDefaultTransactionIsolation(), m.getUserName(), m.supportsSavepoints());
            rows("tables", m.getTables(null, "meta", "%", null));
            rows("tables of kinds", m.getTables(null, "meta", "%", new String[] {"TABLE", "VIEW"}));
            rows("system tables", m.getTables(null, "pg_catalog", "pg_cl%", new String[] {"SYSTEM TABLE"}));
            rows("columns", m.getColumns(null, "meta", "%", "%"));
            for (String table : new String[] {"parent", "child", "Odd Name"}) {
                rows("primary key " + table, m.getPrimaryKeys(null, "meta", table));
                rows("indexes " + table, m.getIndexInfo(null, "meta", table, false, true));
                rows("unique indexes " + table, m.getIndexInfo(null, "meta", table, true, false));
                rows("imported " + table, m.getImportedKeys(null, "meta", table));
                rows("exported " + table, m.getExportedKeys(null, "meta", table));
                rows("best row " + table, m.getBestRowIdentifier(null, "meta", table, DatabaseMetaData.bestRowSession, true));
                rows("versions " + table, m.getVersionColumns(null, "meta", table));
                rows("table privileges " + table, m.getTablePrivileges(null, "meta", table));
            }
            rows("cross reference", m.getCrossReference(null, "meta", "parent", null, "meta", "child"));
            rows("schemas", m.getSchemas(null, "m%"));
            rows("catalogs", m.getCatalogs());
            rows("table types", m.getTableTypes());
            rows("types", m.getTypeInfo(), true);
            rows("functions", m.getFunctions(null, "pg_catalog", "abs%"));
            rows("function columns", m.getFunctionColumns(null, "pg_catalog", "lpad", "%"));
            rows("procedures", m.getProcedures(null, "meta", "%"));
            rows("udts", m.getUDTs(null, "meta", "%", null));
            rows("client info", m.getClientInfoProperties());
            show("functions", m.getStringFunctions(), m.getNumericFunctions(), m.getTimeDateFunctions(), m.getSQLKeywords());
            s.execute("drop schema meta cascade");
        }
    }

    public static void main(String[] args) throws Exception {
        url = args[0];
        properties.put("user", args[1]);
        properties.put("password", args[2]);
        java.util.TimeZone.setDefault(java.util.TimeZone.getTimeZone("UTC"));
        String[] names = {"types", "statements", "fetching", "copies", "cancels", "metadata"};
        Call[] parts = {Scenario::types, Scenario::statements, Scenario::fetching, Scenario::copies, Scenario::cancels, Scenario::metadata};
        for (int i = 0; i < parts.length; i++) {
            System.out.println("== " + names[i]);
            try {
                parts[i].run();
            } catch (Exception e) {
                show("ends with", e);
            }
        }
    }
}

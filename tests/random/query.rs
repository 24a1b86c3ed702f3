//! Random queries.

use super::expression::{Column, Generator, Scope};
use super::schema::{BOOL, COLUMNS, INT4, INT8, KINDS, TABLES, Ty, named};
use super::tree::{Tree, row};

impl Generator<'_> {
    /// A whole statement and whether its rows come in a total order.
    pub(crate) fn statement(&mut self) -> (Tree, bool) {
        if self.risky {
            return (self.single(), true);
        }
        let count = self.rng.below(3) + 1;
        let types = (0..count).map(|_| self.any_type()).collect::<Vec<_>>();
        let query = self.query(&types, 3);
        if self.rng.one_in(3) { (self.ordered(&types, query), true) } else { (query, false) }
    }

    /// One expression that may raise, over a row at most: whatever it raises, PostgreSQL's must be the same.
    fn single(&mut self) -> Tree {
        let ty = self.rng.below(KINDS.len());
        self.queries = 0;
        if self.rng.one_in(3) {
            return row!("select ", self.value(ty, 3));
        }
        let table = self.rng.below(TABLES - 1);
        let id = self.rng.below(6);
        self.scopes.push(Scope { columns: table_columns("x"), ..Scope::default() });
        let value = self.value(ty, 3);
        self.scopes.pop();
        row!("select ", value, format!(" from t{table} x where id = {id}"))
    }

    /// A query's rows in a total order, perhaps only some of them.
    fn ordered(&mut self, types: &[Ty], query: Tree) -> Tree {
        let names = (0..types.len()).map(|i| format!("c{i}")).collect::<Vec<_>>();
        let mut order = Vec::new();
        let mut exact = true;
        for (name, ty) in names.iter().zip(types) {
            let direction = ["", " desc", " nulls first", " desc nulls last", " asc nulls last"][self.rng.below(5)];
            order.push(format!("{name}{direction}"));
            exact &= KINDS[*ty].image;
        }
        let firsts = names.iter().zip(types).filter(|(_, ty)| !KINDS[**ty].image).map(|(name, ty)| exactly(name, *ty));
        let ties = firsts.collect::<Vec<_>>();
        let order = [order, ties].concat().join(", ");
        let on = if exact && self.rng.one_in(5) { "distinct on (c0) " } else { "" };
        let limit = match self.rng.below(4) {
            0 => format!(" limit {}", self.rng.below(4)),
            1 => format!(" offset {} limit {}", self.rng.below(4), self.rng.below(9)),
            2 => format!(" fetch first {} rows with ties", self.rng.below(4)),
            _ => String::new(),
        };
        let names = names.join(", ");
        row!(
            "select ",
            Tree::maybe(on.into()),
            "* from (",
            query,
            format!(") o({names}) order by {order}"),
            Tree::maybe(limit.into())
        )
    }

    /// A query of columns `c0`, `c1`, … of some types, without an order.
    pub(crate) fn query(&mut self, types: &[Ty], depth: usize) -> Tree {
        let kind = format!("query {types:?}");
        let image = types.iter().all(|ty| KINDS[*ty].image);
        if self.queries == 0 {
            return Tree::kind(kind, self.plain(types, 0));
        }
        self.queries -= 1;
        let depth = depth.min(2);
        let query = match self.rng.below(16) {
            0 | 1 => {
                let mut names = vec![" union all "];
                if image {
                    names.extend([" union ", " intersect ", " except ", " intersect all ", " except all "]);
                }
                let name = names[self.rng.below(names.len())];
                let sides = vec![row!("(", self.query(types, depth), ")"), row!("(", self.query(types, depth), ")")];
                Tree::list(sides, name, 1)
            }
            2 => {
                let count = self.rng.below(3) + 1;
                let rows = (0..count).map(|_| {
                    let values = types.iter().map(|ty| self.value(*ty, depth)).collect();
                    row!("(", Tree::list(values, ", ", types.len()), ")")
                });
                let rows = rows.collect();
                row!("values ", Tree::list(rows, ", ", 1))
            }
            3 | 4 => self.with(types, depth),
            5 => self.recursive(types, depth),
            6..=9 => self.grouped(types, depth),
            10 | 11 => self.windowed(types, depth),
            12 => {
                let query = self.query(types, depth);
                self.ordered(types, query)
            }
            _ => self.plain(types, depth),
        };
        self.queries += 1;
        Tree::kind(kind, query)
    }

    fn outputs(&mut self, types: &[Ty], depth: usize) -> Tree {
        let items = types.iter().enumerate().map(|(i, ty)| row!(self.value(*ty, depth), format!(" as c{i}")));
        let items = items.collect();
        Tree::list(items, ", ", types.len())
    }

    fn plain(&mut self, types: &[Ty], depth: usize) -> Tree {
        let count = self.rng.below(3) + 1;
        let (from, columns) = self.from(count, depth);
        self.scopes.push(Scope { columns, ..Scope::default() });
        let distinct = if types.iter().all(|ty| KINDS[*ty].image) && self.rng.one_in(5) { "distinct " } else { "" };
        let outputs = self.outputs(types, depth);
        let filter = row!(" where ", self.value(BOOL, depth.max(1)));
        self.scopes.pop();
        row!("select ", Tree::maybe(distinct.into()), outputs, " from ", from, Tree::maybe(filter))
    }

    fn grouped(&mut self, types: &[Ty], depth: usize) -> Tree {
        let count = self.rng.below(2) + 1;
        let (from, columns) = self.from(count, depth);
        self.scopes.push(Scope { columns: columns.clone(), ..Scope::default() });
        let filter = if self.rng.one_in(2) { row!(" where ", self.value(BOOL, depth)) } else { "".into() };
        self.scopes.pop();
        let images = columns.iter().filter(|column| KINDS[column.ty].image).cloned().collect::<Vec<_>>();
        let count = self.rng.below(4);
        let keys =
            (0..count.min(images.len())).map(|_| images[self.rng.below(images.len())].clone()).collect::<Vec<_>>();
        let clause = self.group_clause(&keys);
        self.scopes.push(Scope { columns: keys.clone(), rows: Some(columns), windows: None });
        let mut outputs = self.outputs(types, depth);
        if !keys.is_empty() && types == [INT4] {
            let names = keys.iter().map(|key| key.text.as_str()).collect::<Vec<_>>().join(", ");
            outputs = row!(format!("grouping({names}) as c0"));
        }
        let having = if self.rng.one_in(3) { row!(" having ", self.value(BOOL, depth.max(1))) } else { "".into() };
        self.scopes.pop();
        row!("select ", outputs, " from ", from, Tree::maybe(filter), clause, Tree::maybe(having))
    }

    fn group_clause(&mut self, keys: &[Column]) -> Tree {
        let texts = keys.iter().map(|key| key.text.clone()).collect::<Vec<_>>();
        if texts.is_empty() {
            return if self.rng.one_in(3) { " group by ()".into() } else { "".into() };
        }
        let all = texts.join(", ");
        let clause = match self.rng.below(8) {
            0 => format!("rollup ({all})"),
            1 => format!("cube ({all})"),
            2 => format!("grouping sets (({all}), ({}), ())", texts[0]),
            3 => format!("{}, rollup ({all})", texts[0]),
            4 => format!("distinct grouping sets (({all}), ({all}), rollup ({}))", texts[texts.len() - 1]),
            _ => all,
        };
        format!(" group by {clause}").into()
    }

    fn windowed(&mut self, types: &[Ty], depth: usize) -> Tree {
        let (from, columns) = if self.rng.one_in(2) {
            let (table, name) = (self.rng.below(TABLES), self.name("w"));
            (row!(format!("t{table} {name}")), table_columns(&name))
        } else {
            self.from_query(depth, false)
        };
        let mut order = columns.iter().map(|column| column.text.clone()).collect::<Vec<_>>();
        if columns.len() == COLUMNS.len() {
            order.truncate(1);
            // Peers come of an order by something else first, when frames are by groups.
        } else {
            order.extend(
                columns.iter().filter(|column| !KINDS[column.ty].image).map(|column| exactly(&column.text, column.ty)),
            );
        }
        let windows = Some(order.join(if self.rng.one_in(2) { ", " } else { " desc, " }));
        self.scopes.push(Scope { columns: columns.clone(), rows: None, windows });
        let outputs = self.outputs(types, depth.max(1));
        self.scopes.pop();
        self.scopes.push(Scope { columns, ..Scope::default() });
        let filter = if self.rng.one_in(2) { row!(" where ", self.value(BOOL, depth)) } else { "".into() };
        self.scopes.pop();
        row!("select ", outputs, " from ", from, Tree::maybe(filter))
    }

    fn with(&mut self, types: &[Ty], depth: usize) -> Tree {
        let inner = (0..self.rng.below(2) + 1).map(|_| self.any_type()).collect::<Vec<_>>();
        let name = self.name("p");
        let how = ["", "materialized ", "not materialized "][self.rng.below(3)];
        let part = self.query(&inner, depth);
        self.parts.push((name.clone(), inner));
        let query = self.query(types, depth);
        self.parts.pop();
        row!("with ", name, " as ", how, "(", part, ") ", query)
    }

    fn recursive(&mut self, types: &[Ty], depth: usize) -> Tree {
        let name = self.name("r");
        let all = if self.rng.one_in(2) { " union all " } else { " union " };
        let ty = self.image_type();
        let start = row!("select 1, ", self.value(ty, depth));
        self.scopes.push(Scope {
            columns: vec![Column { text: format!("{name}.n"), ty: INT4 }, Column { text: format!("{name}.x"), ty }],
            ..Scope::default()
        });
        let queries = std::mem::replace(&mut self.queries, 0);
        let next = self.value(ty, depth);
        let condition = self.value(BOOL, depth);
        self.queries = queries;
        self.scopes.pop();
        let table = self.rng.below(TABLES);
        let join = if self.rng.one_in(2) {
            format!(", (select i2 from t{table} where i2 between 0 and 2) q")
        } else {
            String::new()
        };
        let step = row!(
            "select n + 1, ",
            next,
            format!(" from {name}"),
            Tree::maybe(join.into()),
            " where n < 4",
            Tree::maybe(row!(" and ", condition))
        );
        let search = match self.rng.below(6) {
            0 => " search depth first by n, x set o",
            1 => " search breadth first by n set o",
            2 => " cycle x set y using z",
            _ => "",
        };
        let (outer_queries, query) = (self.queries, {
            self.parts.push((name.clone(), Vec::new()));
            self.scopes.push(Scope {
                columns: vec![Column { text: format!("{name}.n"), ty: INT4 }, Column { text: format!("{name}.x"), ty }],
                ..Scope::default()
            });
            let outputs = self.outputs(types, depth.min(1));
            self.scopes.pop();
            self.parts.pop();
            row!("select ", outputs, format!(" from {name}"))
        });
        self.queries = outer_queries;
        row!(
            "with recursive ",
            name.clone(),
            "(n, x) as (",
            start,
            all,
            step,
            ")",
            Tree::maybe(search.into()),
            " ",
            query
        )
    }

    /// Tables, queries and joins, and the columns that they give.
    pub(crate) fn from(&mut self, count: usize, depth: usize) -> (Tree, Vec<Column>) {
        let (mut tree, mut columns) = self.item(depth);
        for _ in 1..count {
            let lateral = self.rng.one_in(4) && self.queries > 0;
            if lateral {
                self.scopes.push(Scope { columns: columns.clone(), ..Scope::default() });
                let (right, more) = self.from_query(depth, true);
                self.scopes.pop();
                let (left, on) =
                    [(" cross join lateral ", ""), (" left join lateral ", " on true"), (", lateral ", "")]
                        [self.rng.below(3)];
                tree = row!(tree, Tree::maybe(row!(left, right, on)));
                columns.extend(more);
                continue;
            }
            if self.rng.one_in(5) {
                let (right, more, _) = self.using();
                tree = row!("(", tree, ") cross join (", right, ")");
                columns.extend(more);
                continue;
            }
            let (right, more) = if self.rng.one_in(4) {
                let (tree, columns) = self.from(2, depth);
                (row!("(", tree, ")"), columns)
            } else {
                self.item(depth)
            };
            if self.rng.one_in(6) {
                tree = row!(tree, Tree::maybe(row!(" cross join ", right)));
                columns.extend(more);
                continue;
            }
            let how = [" join ", " left join ", " right join ", " full join "][self.rng.below(4)];
            let on = self.condition(&columns, &more, depth, how == " full join ");
            columns.extend(more);
            tree = row!(tree, Tree::maybe(row!(how, right, " on ", on)));
        }
        (Tree::kind("from", tree), columns)
    }

    /// A join's condition: mostly an equality of both sides' columns.
    fn condition(&mut self, left: &[Column], right: &[Column], depth: usize, full: bool) -> Tree {
        let mut pairs = Vec::new();
        for one in left {
            pairs.extend(right.iter().filter(|other| other.ty == one.ty).map(|other| (one.clone(), other.clone())));
        }
        let mut items = Vec::new();
        if !pairs.is_empty() && (full || !self.rng.one_in(4)) {
            let (one, other) = &pairs[self.rng.below(pairs.len())];
            items.push(Tree::from(format!("{} = {}", one.text, other.text)));
        }
        if items.is_empty() && full {
            return "true".into();
        }
        if items.is_empty() || self.rng.one_in(3) {
            self.scopes.push(Scope { columns: [left, right].concat(), ..Scope::default() });
            let value = self.value(BOOL, depth.min(1));
            self.scopes.pop();
            items.push(value);
        }
        Tree::list(items, " and ", 1)
    }

    /// A join by common names.
    fn using(&mut self) -> (Tree, Vec<Column>, ()) {
        let [a, b, k, x, z] = ["a", "b", "k", "x", "z"].map(|letter| self.name(letter));
        let key = COLUMNS[self.rng.below(COLUMNS.len())];
        let [left, right] = [0, 1].map(|_| COLUMNS[self.rng.below(COLUMNS.len())]);
        let [one, other] = [0, 1].map(|_| self.rng.below(TABLES));
        let how = ["join", "left join", "right join", "full join"][self.rng.below(4)];
        let (natural, using) =
            if self.rng.one_in(3) { ("natural ", String::new()) } else { ("", format!(" using ({k})")) };
        let text = format!(
            "(select {}, {} from t{one}) {a}({k}, {x}) {natural}{how} (select {}, {} from t{other}) {b}({k}, {z}){using}",
            key.0, left.0, key.0, right.0
        );
        let column = |text: String, of: &(&str, &str, &str)| Column { text, ty: named(of.2).expect("a known type") };
        let columns =
            vec![column(k.clone(), &key), column(format!("{a}.{k}"), &key), column(x, &left), column(z, &right)];
        (text.into(), columns, ())
    }

    fn item(&mut self, depth: usize) -> (Tree, Vec<Column>) {
        let depth = depth.min(1);
        match self.rng.below(10) {
            0 | 1 if self.queries > 0 => self.from_query(depth, false),
            2 => {
                let name = self.name("g");
                let call = [
                    "generate_series(1, 3)",
                    "generate_series(-1, 1)",
                    "unnest('{1,2,NULL}'::int[])",
                    "generate_series(3, 1)",
                ];
                let call = call[self.rng.below(4)];
                if self.rng.one_in(3) {
                    let columns = vec![
                        Column { text: format!("{name}.v"), ty: INT4 },
                        Column { text: format!("{name}.o"), ty: INT8 },
                    ];
                    return (format!("{call} with ordinality {name}(v, o)").into(), columns);
                }
                (format!("{call} {name}(v)").into(), vec![Column { text: format!("{name}.v"), ty: INT4 }])
            }
            3..=5 if self.parts.iter().any(|part| !part.1.is_empty()) => {
                let parts = self.parts.iter().filter(|part| !part.1.is_empty()).cloned().collect::<Vec<_>>();
                let (part, types) = parts[self.rng.below(parts.len())].clone();
                self.aliased(part.into(), &types)
            }
            _ => {
                // The empty table comes seldom.
                let table = if self.rng.one_in(10) { TABLES - 1 } else { self.rng.below(TABLES - 1) };
                let name = self.name("x");
                (format!("t{table} {name}").into(), table_columns(&name))
            }
        }
    }

    fn aliased(&mut self, tree: Tree, types: &[Ty]) -> (Tree, Vec<Column>) {
        let name = self.name("q");
        let names = (0..types.len()).map(|i| format!("c{i}")).collect::<Vec<_>>();
        let columns =
            names.iter().zip(types).map(|(column, ty)| Column { text: format!("{name}.{column}"), ty: *ty }).collect();
        (row!(tree, format!(" {name}({})", names.join(", "))), columns)
    }

    /// A query in FROM.
    fn from_query(&mut self, depth: usize, lateral: bool) -> (Tree, Vec<Column>) {
        let types = (0..self.rng.below(3) + 1).map(|_| self.any_type()).collect::<Vec<_>>();
        // Without LATERAL the columns beside are not in sight.
        let query = if self.queries == 0 {
            self.plain_table(&types)
        } else {
            self.queries -= 1;
            let query = self.query(&types, depth);
            self.queries += 1;
            query
        };
        _ = lateral;
        self.aliased(row!("(", query, ")"), &types)
    }

    fn plain_table(&mut self, types: &[Ty]) -> Tree {
        let (table, name) = (self.rng.below(TABLES), self.name("x"));
        self.scopes.push(Scope { columns: table_columns(&name), ..Scope::default() });
        let outputs = self.outputs(types, 0);
        self.scopes.pop();
        row!("select ", outputs, format!(" from t{table} {name}"))
    }
}

/// The columns of a table of the schema under an alias.
pub(crate) fn table_columns(alias: &str) -> Vec<Column> {
    let columns = COLUMNS.iter();
    columns
        .map(|(name, _, ty)| Column { text: format!("{alias}.{name}"), ty: named(ty).expect("a known type") })
        .collect()
}

/// What tells values apart that are equal though they look different; text loses the blanks of a character.
fn exactly(column: &str, ty: Ty) -> String {
    let length = if KINDS[ty].name == "character" { format!(", octet_length({column})") } else { String::new() };
    format!("{column}::text{length}")
}

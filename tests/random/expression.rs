//! Random expressions by type.

use super::Rng;
use super::schema::{BOOL, CHAR, FLOAT8, INT4, INT8, KINDS, NUMERIC, Signature, TEXT, Ty, named};
use super::tree::{Tree, row};

/// What expressions are made of.
#[derive(Default)]
pub(crate) struct Catalog {
    /// By type of the result.
    pub signatures: Vec<Vec<Signature>>,
    /// By target: the source, and whether no edge value makes it raise.
    pub casts: Vec<Vec<(Ty, bool)>>,
}

#[derive(Clone)]
pub(crate) struct Column {
    pub text: String,
    pub ty: Ty,
}

/// The columns of one query level.
#[derive(Clone, Default)]
pub(crate) struct Scope {
    pub columns: Vec<Column>,
    /// In a grouped query: what aggregates' arguments see.
    pub rows: Option<Vec<Column>>,
    /// Whether window functions may stand here (the rows have a total order by these texts).
    pub windows: Option<String>,
}

pub(crate) struct Generator<'a> {
    pub rng: Rng,
    pub catalog: &'a Catalog,
    /// Outermost first.
    pub scopes: Vec<Scope>,
    /// Whether expressions may raise.
    pub risky: bool,
    /// How many more queries may be nested.
    pub queries: usize,
    /// Names of tables of WITH parts in sight, with their columns' types.
    pub parts: Vec<(String, Vec<Ty>)>,
    pub names: usize,
}

impl Generator<'_> {
    pub(crate) fn name(&mut self, letter: &str) -> String {
        self.names += 1;
        format!("{letter}{}", self.names)
    }

    pub(crate) fn any_type(&mut self) -> Ty {
        if self.rng.one_in(2) {
            [BOOL, INT4, INT8, NUMERIC, TEXT][self.rng.below(5)]
        } else {
            self.rng.below(KINDS.len())
        }
    }

    pub(crate) fn image_type(&mut self) -> Ty {
        loop {
            let ty = self.any_type();
            if KINDS[ty].image {
                return ty;
            }
        }
    }

    pub(crate) fn constant(&mut self, ty: Ty) -> Tree {
        let kind = &KINDS[ty];
        let text = if self.rng.one_in(12) { "null" } else { kind.values[self.rng.below(kind.values.len())] };
        Tree::Constant { text: text.to_owned(), kind: kind.name }
    }

    /// A column of a type, of an inner level rather than of an outer one.
    fn column(&mut self, ty: Ty) -> Option<Tree> {
        for level in (0..self.scopes.len()).rev() {
            let fitting = self.scopes[level].columns.iter().filter(|column| column.ty == ty).collect::<Vec<_>>();
            if !fitting.is_empty() && (level == 0 || !self.rng.one_in(4)) {
                return Some(Tree::Text(fitting[self.rng.below(fitting.len())].text.clone()));
            }
        }
        None
    }

    pub(crate) fn leaf(&mut self, ty: Ty) -> Tree {
        let leaf = match self.rng.below(5) {
            0 => None,
            _ => self.column(ty),
        };
        let leaf = leaf.unwrap_or_else(|| self.constant(ty));
        Tree::kind(format!("value {}", KINDS[ty].name), leaf)
    }

    pub(crate) fn value(&mut self, ty: Ty, depth: usize) -> Tree {
        if depth == 0 || self.rng.one_in(5) {
            return self.leaf(ty);
        }
        let found =
            if ty == BOOL && self.rng.one_in(2) { self.predicate(depth - 1) } else { self.operation(ty, depth - 1) };
        Tree::kind(format!("value {}", KINDS[ty].name), found)
    }

    fn operation(&mut self, ty: Ty, depth: usize) -> Tree {
        let scope = self.scopes.last();
        if scope.is_some_and(|scope| scope.rows.is_some()) && self.rng.one_in(2) {
            return self.aggregate(ty, depth);
        }
        if scope.is_some_and(|scope| scope.windows.is_some()) && self.rng.one_in(2) {
            return self.window(ty, depth);
        }
        match self.rng.below(20) {
            0 | 1 => self.case(ty, depth),
            2 => {
                let count = self.rng.below(3) + 1;
                let items = (0..count).map(|_| self.value(ty, depth)).collect();
                row!("coalesce(", Tree::list(items, ", ", 1), ")")
            }
            3 => row!("nullif(", self.value(ty, depth), ", ", self.value(ty, depth), ")"),
            4 => {
                let items = vec![self.value(ty, depth), self.value(ty, depth)];
                row!(if self.rng.one_in(2) { "greatest(" } else { "least(" }, Tree::list(items, ", ", 1), ")")
            }
            5..=7 => self.cast(ty, depth),
            8 | 9 if self.queries > 0 => self.scalar(ty, depth),
            10 => self.array(ty, depth),
            _ => self.call(ty, depth),
        }
    }

    fn call(&mut self, ty: Ty, depth: usize) -> Tree {
        let all = &self.catalog.signatures[ty];
        for _ in 0..20 {
            if all.is_empty() {
                break;
            }
            let signature = &all[self.rng.below(all.len())];
            if signature.total || self.risky {
                let arguments = signature.arguments.iter().map(|ty| self.value(*ty, depth)).collect();
                return signature.call(arguments);
            }
        }
        self.leaf(ty)
    }

    fn cast(&mut self, ty: Ty, depth: usize) -> Tree {
        let risky = self.risky;
        let from = self.catalog.casts[ty].iter().filter(|cast| cast.1 || risky).map(|cast| cast.0).collect::<Vec<_>>();
        if from.is_empty() {
            return self.leaf(ty);
        }
        let from = from[self.rng.below(from.len())];
        row!("cast(", self.value(from, depth), " as ", KINDS[ty].name, ")")
    }

    fn case(&mut self, ty: Ty, depth: usize) -> Tree {
        let of = if self.rng.one_in(3) { Some(self.image_type()) } else { None };
        let mut parts = vec![Tree::from("(case ")];
        if let Some(of) = of {
            parts.push(self.value(of, depth));
        }
        let count = self.rng.below(2) + 1;
        let branches = (0..count).map(|_| {
            let when = match of {
                Some(of) => self.value(of, depth),
                None => self.value(BOOL, depth),
            };
            row!(" when ", when, " then ", self.value(ty, depth))
        });
        let branches = branches.collect();
        parts.push(Tree::list(branches, "", 1));
        let otherwise = row!(" else ", self.value(ty, depth));
        parts.push(Tree::maybe(otherwise));
        parts.push(" end)".into());
        Tree::Row(parts)
    }

    /// Something with arrays that has a type.
    fn array(&mut self, ty: Ty, depth: usize) -> Tree {
        let name = KINDS[ty].name;
        if let Some(element) = name.strip_suffix("[]").and_then(named) {
            if self.rng.one_in(3) && self.queries > 0 && KINDS[element].image {
                return row!("array(", self.query(&[element], depth), " order by 1)");
            }
            let count = self.rng.below(3) + 1;
            let items = (0..count).map(|_| self.value(element, depth)).collect();
            return row!("array[", Tree::list(items, ", ", 1), "]");
        }
        match named(&format!("{name}[]")) {
            Some(array) => row!("(", self.value(array, depth), ")[", self.leaf(INT4), "]"),
            None => self.leaf(ty),
        }
    }

    /// A subquery of one value.
    fn scalar(&mut self, ty: Ty, depth: usize) -> Tree {
        self.queries -= 1;
        let (from, columns) = self.from(1, depth);
        self.scopes.push(Scope { rows: Some(columns.clone()), ..Scope::default() });
        let value = self.aggregate(ty, depth);
        self.scopes.pop();
        if !matches!(value, Tree::Row(_)) && value.text() != "count(*)" {
            self.queries += 1;
            return value;
        }
        self.scopes.push(Scope { columns, ..Scope::default() });
        let filter = row!(" where ", self.value(BOOL, depth));
        self.scopes.pop();
        self.queries += 1;
        row!("(select ", value, " from ", from, Tree::maybe(filter), ")")
    }

    fn predicate(&mut self, depth: usize) -> Tree {
        const COMPARE: [&str; 6] = [" = ", " <> ", " < ", " <= ", " > ", " >= "];
        let compare = COMPARE[self.rng.below(6)];
        let mut ty = self.any_type();
        if self.rng.one_in(4) {
            ty = self.image_type();
        }
        match self.rng.below(20) {
            0 | 1 => {
                let items = vec![self.value(BOOL, depth), self.value(BOOL, depth)];
                row!("(", Tree::list(items, if self.rng.one_in(2) { " and " } else { " or " }, 1), ")")
            }
            2 => row!("(not ", self.value(BOOL, depth), ")"),
            3 => {
                let test = [" is null", " is not null"][self.rng.below(2)];
                row!("(", self.value(ty, depth), test, ")")
            }
            4 => {
                let test = [" is true", " is not true", " is false", " is not false", " is unknown", " is not unknown"]
                    [self.rng.below(6)];
                row!("(", self.value(BOOL, depth), test, ")")
            }
            5 => {
                let test = [" is distinct from ", " is not distinct from "][self.rng.below(2)];
                row!("(", self.value(ty, depth), test, self.value(ty, depth), ")")
            }
            6 | 7 => {
                let count = self.rng.below(4) + 1;
                let items = (0..count).map(|_| self.leaf(ty)).collect();
                let not = if self.rng.one_in(2) { " not in (" } else { " in (" };
                row!("(", self.value(ty, depth), not, Tree::list(items, ", ", 1), "))")
            }
            8 => {
                let between =
                    [" between ", " not between ", " between symmetric ", " not between symmetric "][self.rng.below(4)];
                row!("(", self.value(ty, depth), between, self.leaf(ty), " and ", self.leaf(ty), ")")
            }
            9 => {
                let some = [" any ", " all "][self.rng.below(2)];
                let count = self.rng.below(3) + 1;
                let items = (0..count).map(|_| self.leaf(ty)).collect();
                let array = row!("(array[", Tree::list(items, ", ", 1), "])");
                row!("(", self.value(ty, depth), compare.trim(), some, array, ")")
            }
            10 => {
                let others = [self.image_type(), ty];
                let [left, right] =
                    [0, 1].map(|_| row!("(", self.value(others[0], 0), ", ", self.value(others[1], 0), ")"));
                row!("(", left, compare, right, ")")
            }
            11 => {
                let not = ["", "not "][self.rng.below(2)];
                let like = [" like ", " ilike ", " not like ", " ~ ", " similar to "]
                    [self.rng.below(if self.risky { 5 } else { 3 })];
                let pattern = ["'%'", "'a%'", "'_b%'", "'%b_'", "''", "'a\\%b'", "'A%'"][self.rng.below(7)];
                row!("(", not, self.value(TEXT, depth), like, pattern, ")")
            }
            12 | 13 if self.queries > 0 => {
                let not = ["", "not "][self.rng.below(2)];
                row!("(", not, "exists (", self.query(&[ty], depth), "))")
            }
            14 | 15 if self.queries > 0 => {
                let not = [" in ", " not in "][self.rng.below(2)];
                row!("(", self.value(ty, depth), not, "(", self.query(&[ty], depth), "))")
            }
            16 if self.queries > 0 => {
                let some = [" any ", " all "][self.rng.below(2)];
                row!("(", self.value(ty, depth), compare.trim(), some, "(", self.query(&[ty], depth), "))")
            }
            17 if self.queries > 0 => {
                let other = self.image_type();
                let not = [" in ", " not in "][self.rng.below(2)];
                let left = row!("(", self.value(ty, 0), ", ", self.value(other, 0), ")");
                row!("(", left, not, "(", self.query(&[ty, other], depth), "))")
            }
            _ => row!("(", self.value(ty, depth), compare, self.value(ty, depth), ")"),
        }
    }

    /// An aggregate call whose answer does not hang on the order of rows.
    pub(crate) fn aggregate(&mut self, ty: Ty, depth: usize) -> Tree {
        let Some(scope) = self.scopes.pop() else { return self.leaf(ty) };
        let columns = scope.rows.clone().unwrap_or_default();
        self.scopes.push(Scope { columns, ..Scope::default() });
        let call = self.aggregate_call(ty, depth);
        let call = call.map(|call| {
            let filter =
                if self.rng.one_in(4) { row!(" filter (where ", self.value(BOOL, depth), ")") } else { "".into() };
            row!(call, Tree::maybe(filter))
        });
        self.scopes.pop();
        self.scopes.push(scope);
        call.unwrap_or_else(|| self.leaf(ty))
    }

    pub(crate) fn aggregate_call(&mut self, ty: Ty, depth: usize) -> Option<Tree> {
        let distinct = if self.rng.one_in(3) { "distinct " } else { "" };
        let int2 = INT4 - 1;
        let name = KINDS[ty].name;
        let pick = self.rng.below(4);
        Some(match (name, pick) {
            ("boolean", 0 | 1) => {
                let name = ["bool_and(", "bool_or(", "every("][self.rng.below(3)];
                row!(name, self.value(BOOL, depth), ")")
            }
            ("bigint", 0) => "count(*)".into(),
            ("bigint", 1) => {
                let of = self.any_type();
                row!("count(", distinct, self.value(of, depth), ")")
            }
            ("bigint", 2) => {
                let of = [int2, INT4][self.rng.below(2)];
                row!("sum(", distinct, self.value(of, depth), ")")
            }
            ("numeric", _) => {
                let names = ["sum(", "avg(", "variance(", "stddev(", "var_pop("];
                let name = names[self.rng.below(if self.risky { 5 } else { 2 })];
                let of = if self.rng.one_in(2) { INT8 } else { INT4 };
                row!(name, distinct, self.value(of, depth), ")")
            }
            ("smallint" | "integer" | "bigint", 3) => {
                let name = ["bit_and(", "bit_or(", "bit_xor("][self.rng.below(3)];
                row!(name, self.value(ty, depth), ")")
            }
            ("integer[]", _) => {
                let value = self.leaf(INT4);
                row!(
                    "array_agg(",
                    distinct,
                    value.clone(),
                    " order by ",
                    value,
                    Tree::maybe(" desc nulls last".into()),
                    ")"
                )
            }
            ("text[]", _) => {
                let value = self.leaf(TEXT);
                row!("array_agg(", distinct, value.clone(), " order by ", value, ")")
            }
            ("text", 0) => {
                let value = self.leaf(TEXT);
                row!("string_agg(", distinct, value.clone(), ", ',' order by ", value, " desc)")
            }
            ("bytea" | "uuid" | "boolean", _) => return None,
            _ if !KINDS[ty].image && ty != CHAR => return None,
            (_, 2) if ty != CHAR => {
                let name = ["percentile_disc(0.5)", "mode()"][self.rng.below(2)];
                row!(name, " within group (order by ", self.value(ty, depth), Tree::maybe(" desc".into()), ")")
            }
            // Which of values that differ in their blanks alone hangs on the rows' order.
            _ if ty == CHAR => {
                let name = ["min(", "max("][self.rng.below(2)];
                row!("cast(", name, self.value(ty, depth), ") as character(9))")
            }
            _ => row!(["min(", "max("][self.rng.below(2)], self.value(ty, depth), ")"),
        })
    }

    /// A window function over rows whose total order is known.
    fn window(&mut self, ty: Ty, depth: usize) -> Tree {
        let order = {
            let scope = self.scopes.last_mut().expect("a level with windows");
            scope.windows.take().expect("a level with windows")
        };
        let depth = depth.min(1);
        let call = match (ty, self.rng.below(6)) {
            (INT8, 0..=2) => ["row_number()", "rank()", "dense_rank()"][self.rng.below(3)].into(),
            (INT4, 0) => row!("ntile(", ["1", "2", "3", "100"][self.rng.below(4)], ")"),
            (FLOAT8, _) => ["percent_rank()", "cume_dist()"][self.rng.below(2)].into(),
            (_, 0 | 1) => {
                let name = ["lag(", "lead("][self.rng.below(2)];
                let offset = row!(", ", ["0", "1", "2", "-1"][self.rng.below(4)]);
                let default = row!(", ", self.leaf(ty));
                row!(name, self.value(ty, depth), Tree::maybe(row!(offset, Tree::maybe(default))), ")")
            }
            (_, 2) => row!("nth_value(", self.value(ty, depth), ", ", ["1", "2", "3"][self.rng.below(3)], ")"),
            (_, 3) => row!(["first_value(", "last_value("][self.rng.below(2)], self.value(ty, depth), ")"),
            _ => match self.aggregate_call(ty, depth) {
                Some(call) if !["distinct", " order by ", "within"].iter().any(|word| call.text().contains(word)) => {
                    let filter =
                        if self.rng.one_in(3) { row!(" filter (where ", self.value(BOOL, 1), ")") } else { "".into() };
                    row!(call, Tree::maybe(filter))
                }
                _ => row!(["first_value(", "last_value("][self.rng.below(2)], self.value(ty, depth), ")"),
            },
        };
        let partition = match self.rng.below(3) {
            0 => "".into(),
            _ => {
                let ty = self.image_type();
                row!("partition by ", self.leaf(ty), " ")
            }
        };
        let frame = self.frame();
        self.scopes.last_mut().expect("the same level").windows = Some(order.clone());
        row!(call, " over (", Tree::maybe(partition), "order by ", order, Tree::maybe(frame), ")")
    }

    fn frame(&mut self) -> Tree {
        let mode = [" rows ", " groups ", " range "][self.rng.below(3)];
        let bound = |rng: &mut Rng, first: bool| {
            let offset = mode != " range ";
            match rng.below(if offset { 5 } else { 2 }) {
                0 => "current row",
                1 if first => "unbounded preceding",
                1 => "unbounded following",
                2 => "1 preceding",
                3 => "1 following",
                _ => "2 following",
            }
        };
        let (start, end) = (bound(&mut self.rng, true), bound(&mut self.rng, false));
        let exclude =
            ["", " exclude current row", " exclude group", " exclude ties", " exclude no others"][self.rng.below(5)];
        row!(mode, "between ", start, " and ", end, Tree::maybe(exclude.into()))
    }
}

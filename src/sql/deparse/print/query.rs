//! Queries (`get_query_def` and what it calls).

use super::super::tree::{
    Body, Bound, Distinct, Frame, From, FunctionSource, Group, Item, Kind, Node, Query, Select, SetTree, SortItem,
    Source,
};
use super::expr::Label;
use super::names::Names;
use super::{JOIN, Printer, STD, VAR, type_name};
use crate::sql::ast::{FrameExclude, FrameUnit, JoinKind, LockStrength, LockWait, SetOpKind};

impl<'a> Printer<'a> {
    /// A query; `columns` are names for its result that count before its own, `named`: column names are seen by whoever
    /// reads it.
    pub(super) fn query(&mut self, query: &'a Query, columns: Option<&[String]>, named: bool) {
        crate::sql::visit::deeper(|| {
            let names = Names::of(self.image, query, &self.levels);
            self.levels.push(names);
            let (indent, prefix) = (self.indent, self.prefix);
            // Every level but that of a lone expression writes its columns with their tables.
            self.prefix = true;
            self.query_here(query, columns, named);
            self.prefix = prefix;
            self.indent = indent;
            self.levels.pop();
        });
    }

    fn query_here(&mut self, query: &'a Query, columns: Option<&[String]>, named: bool) {
        self.with(query);
        let by_number = match &query.body {
            Body::Select(select) => {
                self.begin_select();
                self.select(select, query, columns, named);
                false
            }
            Body::Values(rows) => {
                self.begin_select();
                self.values(rows);
                false
            }
            Body::Set(tree) => {
                self.set_tree(tree, columns, named);
                true
            }
        };
        if !query.order.is_empty() {
            self.keyword(" ORDER BY ", -STD, STD, 1);
            if let Body::Values(_) = query.body {
                // PostgreSQL names the columns of the VALUES list.
                let names: Vec<String> = query.order.iter().map(|item| format!("column{}", item.number)).collect();
                for (i, (name, item)) in names.iter().zip(&query.order).enumerate() {
                    self.push(if i > 0 { ", " } else { "" });
                    self.push(name);
                    self.direction(item);
                }
            } else {
                self.order(&query.order, by_number);
            }
        }
        if let Some(offset) = &query.offset {
            self.keyword(" OFFSET ", -STD, STD, 0);
            self.expr(offset, false);
        }
        if let Some(limit) = &query.limit {
            if query.ties {
                self.keyword(" FETCH FIRST ", -STD, STD, 0);
                self.push("(");
                self.expr(limit, false);
                self.push(")");
                self.push(" ROWS WITH TIES");
            } else {
                self.keyword(" LIMIT ", -STD, STD, 0);
                match &limit.kind {
                    Kind::Const(super::super::tree::Constant::Null) => self.push("ALL"),
                    _ => self.expr(limit, false),
                }
            }
        }
        for (item, strength, wait) in &query.locks {
            let mode = match strength {
                LockStrength::KeyShare => " FOR KEY SHARE",
                LockStrength::Share => " FOR SHARE",
                LockStrength::NoKeyUpdate => " FOR NO KEY UPDATE",
                LockStrength::Update => " FOR UPDATE",
            };
            self.keyword(mode, -STD, STD, 0);
            let table = self.levels.last().and_then(|names| names.tables[*item].clone()).unwrap_or_default();
            self.push(" OF ");
            self.push_name(&table);
            self.push(match wait {
                LockWait::Wait => "",
                LockWait::NoWait => " NOWAIT",
                LockWait::SkipLocked => " SKIP LOCKED",
            });
        }
    }

    fn begin_select(&mut self) {
        if self.layout.indent {
            self.indent += STD;
            self.push(" ");
        }
    }

    fn with(&mut self, query: &'a Query) {
        if query.ctes.is_empty() {
            return;
        }
        if self.layout.indent {
            self.indent += STD;
            self.push(" ");
        }
        for (i, cte) in query.ctes.iter().enumerate() {
            self.push(match (i, query.recursive) {
                (0, true) => "WITH RECURSIVE ",
                (0, false) => "WITH ",
                _ => ", ",
            });
            self.push_name(&cte.name);
            if !cte.aliases.is_empty() {
                self.push("(");
                self.separated(&cte.aliases, ", ", |p, name| p.push_name(name));
                self.push(")");
            }
            self.push(" AS ");
            self.push(match cte.materialized {
                Some(true) => "MATERIALIZED ",
                Some(false) => "NOT MATERIALIZED ",
                None => "",
            });
            self.push("(");
            self.keyword("", 0, 0, 0);
            self.query(&cte.query, None, true);
            self.keyword("", 0, 0, 0);
            self.push(")");
        }
        if self.layout.indent {
            self.indent -= STD;
            self.keyword("", 0, 0, 0);
        } else {
            self.push(" ");
        }
    }

    fn select(&mut self, select: &'a Select, query: &'a Query, columns: Option<&[String]>, named: bool) {
        self.push("SELECT");
        match &select.distinct {
            Distinct::All => {}
            Distinct::Rows => self.push(" DISTINCT"),
            Distinct::On(nodes) => {
                self.push(" DISTINCT ON (");
                for (i, node) in nodes.iter().enumerate() {
                    self.push(if i > 0 { ", " } else { "" });
                    self.sort_expr(node);
                }
                self.push(")");
            }
        }
        self.targets(select, columns, named);
        self.from_clause(select, query);
        if let Some(filter) = &select.filter {
            self.keyword(" WHERE ", -STD, STD, 1);
            self.expr(filter, false);
        }
        if !select.group.is_empty() {
            self.keyword(" GROUP BY ", -STD, STD, 1);
            self.push(if select.group_distinct { "DISTINCT " } else { "" });
            for (i, group) in select.group.iter().enumerate() {
                self.push(if i > 0 { ", " } else { "" });
                self.group(group, true);
            }
        }
        if let Some(having) = &select.having {
            self.keyword(" HAVING ", -STD, STD, 0);
            self.expr(having, false);
        }
        self.window_clause(query);
    }

    fn targets(&mut self, select: &'a Select, columns: Option<&[String]>, named: bool) {
        let mut several_lines = false;
        for (i, target) in select.targets.iter().enumerate() {
            self.push(if i > 0 { ", " } else { " " });
            let text = self.apart(|p| {
                let shown = match &target.expr.kind {
                    Kind::Column(place) => Some(p.column(*place)),
                    Kind::WholeRow { up, item } => {
                        let table = p.levels[p.levels.len() - 1 - up].tables[*item].clone().unwrap_or_default();
                        p.push_name(&table);
                        p.push(".*::");
                        let name = type_name(p.image, p.path, target.expr.ty, true);
                        p.push(&name);
                        None
                    }
                    Kind::SystemColumn { name, .. } => {
                        p.expr(&target.expr, true);
                        Some(name.clone())
                    }
                    _ => {
                        p.expr(&target.expr, true);
                        (!named).then(|| "?column?".to_owned())
                    }
                };
                let name = columns.and_then(|columns| columns.get(i)).unwrap_or(&target.name);
                if shown.as_ref() != Some(name) {
                    p.push(" AS ");
                    p.push_name(name);
                }
            });
            if self.layout.indent && self.layout.wrap >= 0 {
                if text.starts_with('\n') {
                    self.trim();
                } else if i > 0 && (several_lines || self.line_length() + text.len() as i32 > self.layout.wrap) {
                    self.keyword("", -STD, STD, VAR);
                }
                several_lines = text.trim_start_matches('\n').contains('\n');
            }
            self.push(&text);
        }
    }

    fn values(&mut self, rows: &'a [Vec<Node>]) {
        self.push("VALUES ");
        for (i, row) in rows.iter().enumerate() {
            self.push(if i > 0 { ", (" } else { "(" });
            for (j, value) in row.iter().enumerate() {
                self.push(if j > 0 { "," } else { "" });
                self.top(value, false);
            }
            self.push(")");
        }
    }

    fn set_tree(&mut self, tree: &'a SetTree, columns: Option<&[String]>, named: bool) {
        let (op, all, left, right) = match tree {
            SetTree::Leaf(query) => {
                let parens = !query.ctes.is_empty()
                    || !query.order.is_empty()
                    || !query.locks.is_empty()
                    || query.limit.is_some()
                    || query.offset.is_some();
                self.push(if parens { "(" } else { "" });
                self.query(query, columns, named);
                return self.push(if parens { ")" } else { "" });
            }
            SetTree::Operation { op, all, left, right } => (*op, *all, left, right),
        };
        let same = |tree: &SetTree| matches!(tree, SetTree::Operation { op: o, all: a, .. } if (*o, *a) == (op, all));
        let parens = matches!(**left, SetTree::Operation { .. }) && !same(left);
        let inner = if parens { STD } else { 0 };
        if parens {
            self.push("(");
            self.keyword("", inner, 0, 0);
        }
        self.set_tree(left, columns, named);
        if parens {
            self.keyword(") ", -inner, 0, 0);
        } else if self.layout.indent {
            self.keyword("", -inner, 0, 0);
        } else {
            self.push(" ");
        }
        self.push(match op {
            SetOpKind::Union => "UNION ",
            SetOpKind::Intersect => "INTERSECT ",
            SetOpKind::Except => "EXCEPT ",
        });
        self.push(if all { "ALL " } else { "" });
        let parens = matches!(**right, SetTree::Operation { .. });
        let inner = if parens { STD } else { 0 };
        self.push(if parens { "(" } else { "" });
        self.keyword("", inner, 0, 0);
        self.set_tree(right, columns, false);
        if self.layout.indent {
            self.indent -= inner;
        }
        if parens {
            self.keyword(")", 0, 0, 0);
        }
    }

    // --- FROM ---

    fn from_clause(&mut self, select: &'a Select, query: &'a Query) {
        for (i, from) in select.from.iter().enumerate() {
            if i == 0 {
                self.keyword(" FROM ", -STD, STD, 2);
                self.from_item(from, query);
                continue;
            }
            self.push(", ");
            let text = self.apart(|p| p.from_item(from, query));
            if self.layout.indent && self.layout.wrap >= 0 {
                if text.starts_with('\n') {
                    self.trim();
                } else if self.line_length() + text.len() as i32 > self.layout.wrap {
                    self.keyword("", -STD, STD, VAR);
                }
            }
            self.push(&text);
        }
    }

    fn from_item(&mut self, from: &'a From, query: &'a Query) {
        match from {
            From::Item(number) => self.table(*number, &query.items[*number]),
            From::Join { kind, left, right, using, on, item } => {
                let alias = query.items[*item].alias.is_some();
                let parens = !self.layout.paren || alias;
                self.push(if parens { "(" } else { "" });
                self.from_item(left, query);
                let conditioned = on.is_some() || !using.is_empty();
                let word = match kind {
                    JoinKind::Left => " LEFT JOIN ",
                    JoinKind::Right => " RIGHT JOIN ",
                    JoinKind::Full => " FULL JOIN ",
                    _ if conditioned => " JOIN ",
                    _ => " CROSS JOIN ",
                };
                self.keyword(word, -STD, STD, JOIN);
                let on_right = self.layout.paren
                    && matches!(&**right, From::Join { item, .. } if query.items[*item].alias.is_none());
                self.push(if on_right { "(" } else { "" });
                self.from_item(right, query);
                self.push(if on_right { ")" } else { "" });
                if !using.is_empty() {
                    self.push(" USING (");
                    self.separated(using, ", ", |p, (name, ..)| p.push_name(name));
                    self.push(")");
                } else if let Some(on) = on {
                    self.push(" ON ");
                    self.push(if self.layout.paren { "" } else { "(" });
                    self.expr(on, false);
                    self.push(if self.layout.paren { "" } else { ")" });
                } else if matches!(kind, JoinKind::Left | JoinKind::Right | JoinKind::Full) {
                    self.push(" ON TRUE");
                }
                self.push(if parens { ")" } else { "" });
                if alias {
                    self.alias(*item, true);
                }
            }
        }
    }

    fn table(&mut self, number: usize, item: &'a Item) {
        self.push(if item.lateral { "LATERAL " } else { "" });
        let mut aliased = item.alias.is_some();
        let name = self.levels.last().and_then(|names| names.tables[number].clone()).unwrap_or_default();
        let listed = self.levels.last().is_some_and(|names| names.listed[number]);
        match &item.source {
            Source::Relation { oid, only } => {
                self.push(if *only { "ONLY " } else { "" });
                if let Some(relation) = self.image.relations.get(oid) {
                    // A WITH part of the same name would be found first.
                    let hidden =
                        self.levels.iter().any(|names| names.query.ctes.iter().any(|c| c.name == relation.name));
                    let text = match hidden {
                        true => super::qualified_name(self.image, relation),
                        false => super::relation_name(self.image, self.path, relation),
                    };
                    self.push(&text);
                    aliased |= name != relation.name;
                }
            }
            Source::Subquery(query) => {
                self.push("(");
                self.query(query, None, true);
                self.push(")");
                aliased = true;
            }
            Source::Functions { calls, rows_from, ordinality } => {
                self.functions(calls, *rows_from, *ordinality);
                aliased = true;
            }
            Source::Cte(cte) => {
                self.push_name(cte);
                aliased |= name != *cte;
            }
            Source::Join => {}
        }
        if let Source::Functions { calls, .. } = &item.source
            && let [FunctionSource { definitions, .. }] = &calls[..]
            && !definitions.is_empty()
        {
            self.alias(number, false);
            self.push("(");
            let columns = self.levels.last().map_or_else(Vec::new, |names| names.columns[number].clone());
            let typed: Vec<(String, crate::types::Type)> =
                columns.into_iter().zip(definitions).map(|(name, (_, ty))| (name, *ty)).collect();
            self.definitions(&typed);
            return self.push(")");
        }
        if aliased || listed {
            self.alias(number, listed);
        }
    }

    /// ` alias(columns)`
    fn alias(&mut self, number: usize, listed: bool) {
        let Some(names) = self.levels.last() else { return };
        let (table, columns) = (names.tables[number].clone(), names.columns[number].clone());
        let listed = listed && names.listed[number];
        if let Some(table) = table {
            self.push(" ");
            self.push_name(&table);
        }
        if listed {
            self.push("(");
            self.separated(&columns, ", ", |p, name| p.push_name(name));
            self.push(")");
        }
    }

    fn definitions(&mut self, columns: &[(String, crate::types::Type)]) {
        self.separated(columns, ", ", |p, (name, ty)| {
            p.push_name(name);
            let ty = format!(" {}", type_name(p.image, p.path, *ty, true));
            p.push(&ty);
        });
    }

    fn functions(&mut self, calls: &'a [FunctionSource], rows_from: bool, ordinality: bool) {
        let unnest = |call: &FunctionSource| {
            matches!(&call.call.kind, Kind::Function { function, .. }
                if crate::catalog::builtin::function_by_oid(*function).is_some_and(|f| f.name == "unnest"))
        };
        match calls {
            [only] if only.definitions.is_empty() || !ordinality => {
                let _ = rows_from;
                self.expr(&only.call, true);
            }
            several if several.iter().all(|call| unnest(call) && call.definitions.is_empty()) => {
                self.push("UNNEST(");
                for (i, call) in several.iter().enumerate() {
                    self.push(if i > 0 { ", " } else { "" });
                    if let Kind::Function { args, .. } = &call.call.kind {
                        self.expr(&args[0], true);
                    }
                }
                self.push(")");
            }
            several => {
                self.push("ROWS FROM(");
                for (i, call) in several.iter().enumerate() {
                    self.push(if i > 0 { ", " } else { "" });
                    self.expr(&call.call, true);
                    if !call.definitions.is_empty() {
                        self.push(" AS (");
                        self.definitions(&call.definitions);
                        self.push(")");
                    }
                }
                self.push(")");
            }
        }
        self.push(if ordinality { " WITH ORDINALITY" } else { "" });
    }

    // --- grouping, sorting, windows ---

    /// An expression of ORDER BY and its like, safe from being taken for a position or a grouping construct.
    fn sort_expr(&mut self, node: &'a Node) {
        match &node.kind {
            Kind::Const(_) => self.constant(node, Label::Always),
            Kind::Column(_) | Kind::SystemColumn { .. } | Kind::WholeRow { .. } => self.expr(node, true),
            kind => {
                let function = matches!(kind, Kind::Function { .. } | Kind::Aggregate { .. } | Kind::Window { .. });
                let parens = self.layout.paren || function;
                self.push(if parens { "(" } else { "" });
                self.expr(node, true);
                self.push(if parens { ")" } else { "" });
            }
        }
    }

    pub(super) fn order(&mut self, items: &'a [SortItem], by_number: bool) {
        for (i, item) in items.iter().enumerate() {
            self.push(if i > 0 { ", " } else { "" });
            match by_number {
                true => self.push(&item.number.to_string()),
                false => self.sort_expr(&item.expr),
            }
            self.direction(item);
        }
    }

    fn direction(&mut self, item: &SortItem) {
        self.push(match (item.descending, item.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        });
    }

    fn group(&mut self, group: &'a Group, bare: bool) {
        let (begin, inner, bare_inside) = match group {
            Group::Plain(node) => return self.sort_expr(node),
            Group::Set(nodes) => {
                let parens = !bare || nodes.len() != 1;
                self.push(if parens { "(" } else { "" });
                for (i, node) in nodes.iter().enumerate() {
                    self.push(if i > 0 { ", " } else { "" });
                    self.sort_expr(node);
                }
                return self.push(if parens { ")" } else { "" });
            }
            Group::Rollup(inner) => ("ROLLUP(", inner, true),
            Group::Cube(inner) => ("CUBE(", inner, true),
            Group::Sets(inner) => ("GROUPING SETS (", inner, false),
        };
        self.push(begin);
        for (i, group) in inner.iter().enumerate() {
            self.push(if i > 0 { ", " } else { "" });
            self.group(group, bare_inside);
        }
        self.push(")");
    }

    fn window_clause(&mut self, query: &'a Query) {
        let named = query.windows.iter().filter_map(|window| Some((window.name.as_ref()?, window)));
        for (i, (name, _)) in named.enumerate() {
            match i {
                0 => self.keyword(" WINDOW ", -STD, STD, 1),
                _ => self.push(", "),
            }
            self.push_name(name);
            self.push(" AS ");
            let at = query.windows.iter().position(|window| window.name.as_ref() == Some(name)).unwrap_or(0);
            self.window(query, at);
        }
    }

    /// What follows OVER.
    pub(super) fn over(&mut self, number: usize) {
        let Some(query) = self.levels.last().map(|names| names.query) else { return };
        match query.windows.get(number).and_then(|window| window.name.as_ref()) {
            Some(name) => self.push_name(name),
            None => self.window(query, number),
        }
    }

    fn window(&mut self, query: &'a Query, number: usize) {
        let Some(window) = query.windows.get(number) else { return };
        self.push("(");
        let mut space = "";
        if let Some(base) = &window.base {
            self.push_name(base);
            space = " ";
        }
        if !window.partition.is_empty() {
            self.push(space);
            self.push("PARTITION BY ");
            for (i, node) in window.partition.iter().enumerate() {
                self.push(if i > 0 { ", " } else { "" });
                self.sort_expr(node);
            }
            space = " ";
        }
        if !window.order.is_empty() {
            self.push(space);
            self.push("ORDER BY ");
            self.order(&window.order, false);
            space = " ";
        }
        if let Some(frame) = &window.frame {
            self.push(space);
            self.frame(frame);
        }
        self.push(")");
    }

    fn frame(&mut self, frame: &'a Frame) {
        self.push(match frame.unit {
            FrameUnit::Rows => "ROWS ",
            FrameUnit::Range => "RANGE ",
            FrameUnit::Groups => "GROUPS ",
        });
        self.push(if frame.between { "BETWEEN " } else { "" });
        self.bound(&frame.start);
        if frame.between {
            self.push(" AND ");
            self.bound(&frame.end);
        }
        self.push(match frame.exclude {
            FrameExclude::NoOthers => "",
            FrameExclude::CurrentRow => " EXCLUDE CURRENT ROW",
            FrameExclude::Group => " EXCLUDE GROUP",
            FrameExclude::Ties => " EXCLUDE TIES",
        });
    }

    fn bound(&mut self, bound: &'a Bound) {
        match bound {
            Bound::UnboundedPreceding => self.push("UNBOUNDED PRECEDING"),
            Bound::CurrentRow => self.push("CURRENT ROW"),
            Bound::UnboundedFollowing => self.push("UNBOUNDED FOLLOWING"),
            Bound::Preceding(offset) => {
                self.expr(offset, false);
                self.push(" PRECEDING");
            }
            Bound::Following(offset) => {
                self.expr(offset, false);
                self.push(" FOLLOWING");
            }
        }
    }
}

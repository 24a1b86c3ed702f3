//! Queries: select lists, set operations, WITH, grouping, ORDER BY (PostgreSQL's `analyze.c`, `parse_clause.c`).

use super::super::tree::{Body, Constant, Cte, Distinct, Group, Kind, Node, Query, Select, SetTree, SortItem, Target};
use super::call::sort_item;
use super::{Analyzer, Level, coerce, output, unexpected};
use crate::error::{Error, Result};
use crate::sql::ast::{self, ExprKind as Ast, GroupItem, Indirection, Literal, SetExpr, Statement};
use crate::sql::visit;
use crate::types::{Type, oid};

/// A select-list item, or what only ORDER BY, GROUP BY or DISTINCT ON name.
struct Entry {
    target: Target,
    hidden: bool,
}

impl Analyzer<'_> {
    /// A query in a level of its own; `resolve`: literals of unknown type become text.
    pub(super) fn query(&mut self, query: &ast::Query, resolve: bool) -> Result<Query> {
        visit::deeper(|| {
            self.levels.push(Level::default());
            let made = self.query_in_level(query, resolve);
            let level = self.levels.pop().unwrap_or_default();
            made.map(|made| Query { items: level.items, windows: level.windows, ..made })
        })
    }

    fn query_in_level(&mut self, query: &ast::Query, resolve: bool) -> Result<Query> {
        let mut made = Query::default();
        if let Some(with) = &query.with {
            made.recursive = with.recursive;
            made.ctes = self.with(with)?;
        }
        match &query.body {
            SetExpr::Select(select) => self.select(select, query, resolve, &mut made)?,
            SetExpr::Values { rows, .. } => {
                let rows = self.values(rows, resolve)?;
                made.body = Body::Values(rows);
                let columns = output(&made);
                made.order = self.order_by_number(&query.order_by, &columns)?;
            }
            // Clauses around a query in parentheses are that query's.
            SetExpr::Query(inner) => {
                let mut merged = (**inner).clone();
                merged.with = merged.with.or_else(|| query.with.clone());
                if merged.order_by.is_empty() {
                    merged.order_by.clone_from(&query.order_by);
                }
                merged.limit = query.limit.clone().or(merged.limit);
                merged.offset = query.offset.clone().or(merged.offset);
                merged.with_ties |= query.with_ties;
                merged.locking.extend(query.locking.iter().cloned());
                return self.query_in_level(&merged, resolve);
            }
            SetExpr::SetOp { .. } => {
                made.body = Body::Set(self.set_tree(&query.body)?);
                let columns = output(&made);
                made.order = self.order_by_number(&query.order_by, &columns)?;
            }
        }
        made.limit = query.limit.as_ref().map(|limit| self.row_count(limit)).transpose()?;
        made.offset = query.offset.as_ref().map(|offset| self.row_count(offset)).transpose()?;
        made.ties = query.with_ties;
        self.locks(&query.locking, &mut made)?;
        Ok(made)
    }

    fn row_count(&mut self, expr: &ast::Expr) -> Result<Node> {
        let node = self.expr(expr)?;
        self.assign(node, Type::new(oid::INT8))
    }

    fn locks(&mut self, locking: &[ast::Locking], made: &mut Query) -> Result<()> {
        for clause in locking {
            let level = self.outer(0);
            let tables = level.visible.iter().filter(|visible| visible.named);
            let chosen: Vec<usize> = match clause.of.is_empty() {
                true => tables.map(|visible| visible.item).collect(),
                false => tables
                    .map(|visible| visible.item)
                    .filter(|item| clause.of.iter().any(|of| of.name() == self.item_name(&level.items[*item])))
                    .collect(),
            };
            made.locks.extend(chosen.into_iter().map(|item| (item, clause.strength, clause.wait)));
        }
        Ok(())
    }

    // --- WITH ---

    fn with(&mut self, with: &ast::With) -> Result<Vec<Cte>> {
        let mut parts = Vec::new();
        let mut waiting: Vec<&ast::Cte> = with.ctes.iter().collect();
        // WITH RECURSIVE lets a part name a later one.
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut failure = None;
            let mut next = Vec::new();
            for part in waiting {
                match self.part(part, with.recursive) {
                    Ok(made) => parts.push(made),
                    Err(error) if with.recursive => {
                        failure = Some(error);
                        next.push(part);
                    }
                    Err(error) => return Err(error),
                }
            }
            match failure {
                Some(error) if next.len() == before => return Err(error),
                _ => waiting = next,
            }
        }
        let place = |name: &str| with.ctes.iter().position(|cte| cte.name == name);
        parts.sort_by_key(|part| place(&part.name));
        Ok(parts)
    }

    fn part(&mut self, part: &ast::Cte, recursive: bool) -> Result<Cte> {
        let Statement::Query(query) = &*part.statement else { return Err(unexpected("a writing WITH part")) };
        if part.search.is_some() || part.cycle.is_some() {
            return Err(Error::unsupported("SEARCH or CYCLE in a view"));
        }
        let named = |columns: Vec<(String, Type)>| -> Vec<(String, Type)> {
            let alias = |i: usize, name: String| part.columns.get(i).cloned().unwrap_or(name);
            columns.into_iter().enumerate().map(|(i, (name, ty))| (alias(i, name), ty)).collect()
        };
        let names = self.level().ctes.len();
        if recursive && let SetExpr::SetOp { left, .. } = &query.body {
            // The seed gives the part's columns to its step.
            let seed = self.operand(left)?;
            let columns = named(output(&seed));
            self.level().ctes.push((part.name.clone(), columns));
        }
        let made = self.query(query, true);
        self.level().ctes.truncate(names);
        let made = made?;
        let columns = named(output(&made));
        self.level().ctes.push((part.name.clone(), columns));
        Ok(Cte { name: part.name.clone(), aliases: part.columns.clone(), materialized: part.materialized, query: made })
    }

    // --- set operations ---

    /// An operand as a query of its own, its unknown literals left.
    fn operand(&mut self, body: &SetExpr) -> Result<Query> {
        let query = ast::Query {
            with: None,
            body: body.clone(),
            order_by: Vec::new(),
            limit: None,
            with_ties: false,
            offset: None,
            locking: Vec::new(),
            pos: 0,
        };
        self.query(&query, false)
    }

    fn set_tree(&mut self, body: &SetExpr) -> Result<SetTree> {
        match body {
            SetExpr::SetOp { op, all, left, right, .. } => {
                let (mut left, mut right) = (self.set_tree(left)?, self.set_tree(right)?);
                let (a, b) = (super::set_output(&left), super::set_output(&right));
                let common: Vec<Type> = a.iter().zip(&b).map(|((_, a), (_, b))| coerce::common(*a, *b)).collect();
                self.settle(&mut left, &common)?;
                self.settle(&mut right, &common)?;
                Ok(SetTree::Operation { op: *op, all: *all, left: Box::new(left), right: Box::new(right) })
            }
            SetExpr::Query(query) => match &query.body {
                // Parentheses alone around a set operation are no level.
                SetExpr::SetOp { .. } if is_bare(query) => self.set_tree(&query.body),
                _ => Ok(SetTree::Leaf(Box::new(self.query(query, false)?))),
            },
            body => Ok(SetTree::Leaf(Box::new(self.operand(body)?))),
        }
    }

    /// Gives unknown literals of a leaf the type that the operation has for their column.
    fn settle(&mut self, tree: &mut SetTree, common: &[Type]) -> Result<()> {
        let SetTree::Leaf(query) = tree else { return Ok(()) };
        let mut give = |node: &mut Node, ty: Type| -> Result<()> {
            if node.ty.oid == oid::UNKNOWN {
                let ty = if ty.oid == oid::UNKNOWN { oid::TEXT } else { ty.oid };
                *node = self.implicit(node.clone(), ty)?;
            }
            Ok(())
        };
        match &mut query.body {
            Body::Select(select) => {
                for (target, ty) in select.targets.iter_mut().zip(common) {
                    give(&mut target.expr, *ty)?;
                }
            }
            Body::Values(rows) => {
                for row in rows {
                    for (value, ty) in row.iter_mut().zip(common) {
                        give(value, *ty)?;
                    }
                }
            }
            Body::Set(_) => {}
        }
        Ok(())
    }

    /// ORDER BY over result columns alone.
    fn order_by_number(&mut self, list: &[ast::OrderBy], columns: &[(String, Type)]) -> Result<Vec<SortItem>> {
        let mut order: Vec<SortItem> = Vec::new();
        for item in list {
            let at = match &item.expr.kind {
                Ast::Column(parts) => columns.iter().position(|(name, _)| Some(name) == parts.last()),
                Ast::Literal(Literal::Integer(number)) => usize::try_from(*number - 1).ok(),
                _ => None,
            };
            let at = at.ok_or_else(|| unexpected("an ORDER BY that names no result column"))?;
            let ty = columns.get(at).map_or(Type::new(oid::TEXT), |(_, ty)| *ty);
            let expr = Node { kind: Kind::Const(Constant::Null), ty };
            if !order.iter().any(|other| other.number == at + 1) {
                order.push(sort_item(expr, at + 1, item));
            }
        }
        Ok(order)
    }

    fn values(&mut self, rows: &[Vec<ast::Expr>], resolve: bool) -> Result<Vec<Vec<Node>>> {
        let mut made: Vec<Vec<Node>> = Vec::with_capacity(rows.len());
        for row in rows {
            made.push(row.iter().map(|value| self.expr(value)).collect::<Result<_>>()?);
        }
        let width = made.first().map_or(0, Vec::len);
        for i in 0..width {
            let column: Vec<Node> = made.iter_mut().map(|row| row[i].clone()).collect();
            if !resolve && column.iter().all(|node| node.ty.oid == oid::UNKNOWN) {
                continue;
            }
            let (column, _) = self.to_common(column)?;
            for (row, value) in made.iter_mut().zip(column) {
                row[i] = value;
            }
        }
        Ok(made)
    }

    // --- SELECT ---

    fn select(&mut self, select: &ast::Select, query: &ast::Query, resolve: bool, made: &mut Query) -> Result<()> {
        let from = self.from(&select.from)?;
        for (name, spec) in &select.windows {
            let window = self.window_definition(Some(name.name.clone()), spec)?;
            self.level().windows.push(window);
        }
        let mut entries = self.targets(&select.targets)?;
        let filter = select.filter.as_ref().map(|filter| self.boolean(filter)).transpose()?;
        let having = select.having.as_ref().map(|having| self.boolean(having)).transpose()?;
        let mut order: Vec<(usize, &ast::OrderBy)> = Vec::new();
        for item in &query.order_by {
            let at = self.find_target(&item.expr, &mut entries, false)?;
            if !order.iter().any(|(other, _)| *other == at) {
                order.push((at, item));
            }
        }
        let group =
            select.group_by.iter().map(|item| self.group(item, &mut entries)).collect::<Result<Vec<Vec<Group>>>>()?;
        let distinct = match &select.distinct {
            ast::Distinct::All => Distinct::All,
            ast::Distinct::Rows => Distinct::Rows,
            ast::Distinct::On(exprs) => {
                let mut on = Vec::new();
                for expr in exprs {
                    let at = self.find_target(expr, &mut entries, false)?;
                    if !on.contains(&at) {
                        on.push(at);
                    }
                }
                // As ORDER BY has them first.
                on.sort_by_key(|at| order.iter().position(|(other, _)| other == at).unwrap_or(usize::MAX));
                Distinct::On(on.into_iter().map(|at| entries[at].target.expr.clone()).collect())
            }
        };
        for entry in &mut entries {
            if resolve || entry.hidden {
                let expr = entry.target.expr.clone();
                entry.target.expr = self.text_if_unknown(expr)?;
            }
        }
        made.order =
            order.into_iter().map(|(at, item)| sort_item(entries[at].target.expr.clone(), at + 1, item)).collect();
        made.body = Body::Select(Box::new(Select {
            distinct,
            targets: entries.into_iter().filter(|entry| !entry.hidden).map(|entry| entry.target).collect(),
            from,
            filter,
            group: group.into_iter().flatten().collect(),
            group_distinct: select.group_distinct,
            having,
        }));
        Ok(())
    }

    fn targets(&mut self, list: &[ast::Target]) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let shown = |expr: Node, name: String| Entry { target: Target { expr, name }, hidden: false };
        for target in list {
            match &target.expr.kind {
                Ast::Star(qualifier) => {
                    let (up, items): (usize, Vec<usize>) = match &qualifier[..] {
                        [] => {
                            let visible = &self.outer(0).visible;
                            (0, visible.iter().filter(|visible| visible.bare).map(|visible| visible.item).collect())
                        }
                        [table] => self.found(None, table)?,
                        [.., schema, table] => self.found(Some(schema), table)?,
                    };
                    for item in items {
                        for column in 0..self.outer(up).items[item].columns.len() {
                            let name = self.outer(up).items[item].columns[column].name.clone();
                            entries.push(shown(self.column(super::Place { up, item, column }), name));
                        }
                    }
                }
                Ast::Indirection(base, path) if matches!(path.last(), Some(Indirection::Star)) => {
                    let inner = match path.len() {
                        1 => (**base).clone(),
                        n => ast::Expr::new(Ast::Indirection(base.clone(), path[..n - 1].to_vec()), base.pos),
                    };
                    let record = self.expr(&inner)?;
                    for (name, _) in self.composite_fields(&record) {
                        entries.push(shown(self.field(record.clone(), &name)?, name));
                    }
                }
                _ => {
                    let expr = self.expr(&target.expr)?;
                    let name = target.name.clone().unwrap_or_else(|| self.binder.output_name(&target.expr));
                    entries.push(shown(expr, name));
                }
            }
        }
        Ok(entries)
    }

    fn found(&self, schema: Option<&str>, table: &str) -> Result<(usize, Vec<usize>)> {
        let found = self.find_item(schema, table);
        found.map(|(up, item)| (up, vec![item])).ok_or_else(|| unexpected("an unknown table's columns"))
    }

    /// The entry that an ORDER BY, GROUP BY or DISTINCT ON item means; a hidden one is added if need be.
    fn find_target(&mut self, expr: &ast::Expr, entries: &mut Vec<Entry>, grouping: bool) -> Result<usize> {
        let mut shown = entries.iter().enumerate().filter(|(_, entry)| !entry.hidden);
        match &expr.kind {
            Ast::Column(parts) if parts.len() == 1 => {
                let input = grouping
                    && self.outer(0).visible.iter().filter(|visible| visible.bare).any(|visible| {
                        self.outer(0).items[visible.item].columns.iter().any(|column| column.name == parts[0])
                    });
                if !input && let Some((at, _)) = shown.find(|(_, entry)| entry.target.name == parts[0]) {
                    return Ok(at);
                }
            }
            Ast::Literal(Literal::Integer(number)) => {
                let nth = usize::try_from(*number - 1).ok().and_then(|n| shown.nth(n));
                return nth.map(|(at, _)| at).ok_or_else(|| unexpected("a position that is not in the select list"));
            }
            _ => {}
        }
        let node = self.expr(expr)?;
        if let Some(at) = entries.iter().position(|entry| entry.target.expr == node) {
            return Ok(at);
        }
        let expr = self.text_if_unknown(node)?;
        entries.push(Entry { target: Target { expr, name: String::new() }, hidden: true });
        Ok(entries.len() - 1)
    }

    /// Expressions of one grouping set.
    fn group_set(&mut self, exprs: &[ast::Expr], entries: &mut Vec<Entry>) -> Result<Vec<Node>> {
        let mut nodes = Vec::with_capacity(exprs.len());
        for expr in exprs {
            let at = self.find_target(expr, entries, true)?;
            nodes.push(entries[at].target.expr.clone());
        }
        Ok(nodes)
    }

    fn group_sets(&mut self, sets: &[Vec<ast::Expr>], entries: &mut Vec<Entry>) -> Result<Vec<Group>> {
        sets.iter().map(|exprs| self.group_set(exprs, entries).map(Group::Set)).collect()
    }

    fn group(&mut self, item: &GroupItem, entries: &mut Vec<Entry>) -> Result<Vec<Group>> {
        // A row's fields are keys of one set.
        let fields = |expr: &ast::Expr| match &expr.kind {
            Ast::Row { fields, explicit: false } => fields.clone(),
            _ => vec![expr.clone()],
        };
        Ok(match item {
            GroupItem::Expr(expr) => self.group_set(&fields(expr), entries)?.into_iter().map(Group::Plain).collect(),
            GroupItem::Empty(_) => vec![Group::Set(Vec::new())],
            GroupItem::Rollup(sets, _) => vec![Group::Rollup(self.group_sets(sets, entries)?)],
            GroupItem::Cube(sets, _) => vec![Group::Cube(self.group_sets(sets, entries)?)],
            GroupItem::Sets(items, _) => {
                let mut inner = Vec::new();
                for item in items {
                    match item {
                        GroupItem::Expr(expr) => inner.push(Group::Set(self.group_set(&fields(expr), entries)?)),
                        other => inner.extend(self.group(other, entries)?),
                    }
                }
                vec![Group::Sets(inner)]
            }
        })
    }
}

/// A query in parentheses without clauses of its own.
fn is_bare(query: &ast::Query) -> bool {
    query.with.is_none()
        && query.order_by.is_empty()
        && query.limit.is_none()
        && query.offset.is_none()
        && query.locking.is_empty()
}

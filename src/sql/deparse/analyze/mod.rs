//! From syntax to the analysed tree: what PostgreSQL's parse analysis would have stored.
//!
//! Types, operators and functions are found by the binder's own code; names are found here, because the tree needs their
//! places. The text is one that the binder has taken before: what does not fit is an internal error, no message for users.

mod call;
pub(super) mod coerce;
mod expr;
mod from;
mod query;

use super::tree::{Body, Item, ItemColumn, Kind, Node, Place, Query, Select, SetTree, Source, Window};
use crate::catalog::image::Relation;
use crate::error::{Error, Result};
use crate::sql::ast;
use crate::sql::bind::{BindContext, Binder};
use crate::types::{Oid, Type, oid};

/// A FROM item as names see it.
#[derive(Clone, Copy, Debug)]
struct Visible {
    item: usize,
    /// Found by `name.…`.
    named: bool,
    /// Its columns are found by their bare names.
    bare: bool,
    /// Its FROM clause is not finished: in sight of LATERAL items only.
    lateral_only: bool,
}

/// A query level being analysed.
#[derive(Debug, Default)]
struct Level {
    items: Vec<Item>,
    visible: Vec<Visible>,
    lateral_active: bool,
    /// WITH names and their columns.
    ctes: Vec<(String, Vec<(String, Type)>)>,
    windows: Vec<Window>,
}

/// See the module.
pub(super) struct Analyzer<'a> {
    binder: Binder<'a>,
    levels: Vec<Level>,
    /// Output of constants: the session's settings, or fixed ones when the text is to be stored.
    stored: bool,
}

/// What the binder would have refused.
fn unexpected(what: &str) -> Error {
    Error::internal(format!("a stored text holds {what}"))
}

impl<'a> Analyzer<'a> {
    /// An analyzer under this catalog and search path; `stored`: constants are written so that any session reads them alike.
    pub(super) fn new(ctx: &'a BindContext<'a>, stored: bool) -> Analyzer<'a> {
        Analyzer { binder: Binder::new(ctx, ""), levels: Vec::new(), stored }
    }

    /// A statement's query.
    pub(super) fn whole_query(&mut self, query: &ast::Query) -> Result<Query> {
        self.query(query, true)
    }

    /// An expression over a relation's row, with the one-item query level that it is read in; cast to `expected` as what is
    /// assigned to a column is.
    pub(super) fn whole_expression(
        &mut self,
        expr: &ast::Expr,
        relation: Option<&Relation>,
        expected: Option<Type>,
    ) -> Result<(Node, Query)> {
        let mut level = Level::default();
        if let Some(relation) = relation {
            level.items.push(Self::relation_item(relation));
            level.visible.push(Visible { item: 0, named: true, bare: true, lateral_only: false });
        }
        self.levels.push(level);
        let node = self.expr(expr);
        let level = self.levels.pop().unwrap_or_default();
        let mut node = node?;
        node = match expected {
            Some(ty) => self.assign(node, ty)?,
            None => self.text_if_unknown(node)?,
        };
        Ok((node, Query { items: level.items, ..Query::default() }))
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("expressions are analysed inside a level")
    }

    /// The level `up` levels outwards.
    fn outer(&self, up: usize) -> &Level {
        &self.levels[self.levels.len() - 1 - up]
    }

    /// An item over a relation's live attributes.
    fn relation_item(relation: &Relation) -> Item {
        let columns = relation.live_attributes().map(|attribute| ItemColumn {
            name: attribute.name.clone(),
            ty: attribute.ty,
            attribute: attribute.number,
            of: Vec::new(),
        });
        Item {
            source: Source::Relation { oid: relation.oid, only: false },
            alias: None,
            alias_columns: Vec::new(),
            columns: columns.collect(),
            lateral: false,
            row_type: relation.row_type,
        }
    }

    /// The name by which an item is found.
    fn item_name(&self, item: &Item) -> String {
        if let Some(alias) = &item.alias {
            return alias.clone();
        }
        match &item.source {
            Source::Relation { oid, .. } => {
                self.binder.ctx.image.relations.get(oid).map_or_else(String::new, |relation| relation.name.clone())
            }
            Source::Functions { calls, .. } => calls.first().map_or_else(String::new, |call| call.name.clone()),
            Source::Cte(name) => name.clone(),
            Source::Subquery(_) | Source::Join => String::new(),
        }
    }

    // --- names ---

    /// `a`, `t.a`, `s.t.a`, or a whole row.
    fn name(&mut self, parts: &[String]) -> Result<Node> {
        match parts {
            [name] => match self.bare_column(name) {
                Some(node) => Ok(node),
                None => match self.find_item(None, name) {
                    Some((up, item)) => Ok(self.whole_row(up, item)),
                    None => Err(unexpected(&format!("the unknown name \"{name}\""))),
                },
            },
            [table, name] => self.qualified(None, table, name),
            [schema, table, name] | [_, schema, table, name] => self.qualified(Some(schema), table, name),
            _ => Err(unexpected("a name of too many parts")),
        }
    }

    fn qualified(&mut self, schema: Option<&str>, table: &str, name: &str) -> Result<Node> {
        let missing = || unexpected(&format!("the unknown name \"{table}.{name}\""));
        let (up, item) = self.find_item(schema, table).ok_or_else(missing)?;
        let columns = &self.outer(up).items[item].columns;
        if let Some(column) = columns.iter().position(|column| column.name == name) {
            return Ok(self.column(Place { up, item, column }));
        }
        self.system_column(up, item, name).ok_or_else(missing)
    }

    fn system_column(&self, up: usize, item: usize, name: &str) -> Option<Node> {
        let ty = match name {
            "tableoid" => oid::OID,
            "ctid" => oid::TID,
            "xmin" | "xmax" => oid::XID,
            "cmin" | "cmax" => oid::CID,
            _ => return None,
        };
        let Source::Relation { .. } = self.outer(up).items[item].source else { return None };
        Some(Node { kind: Kind::SystemColumn { up, item, name: name.to_owned() }, ty: Type::new(ty) })
    }

    fn in_sight<'l>(level: &'l Level) -> impl Iterator<Item = &'l Visible> + use<'l> {
        level.visible.iter().filter(|visible| !visible.lateral_only || level.lateral_active)
    }

    fn bare_column(&self, name: &str) -> Option<Node> {
        for up in 0..self.levels.len() {
            let level = self.outer(up);
            for visible in Self::in_sight(level).filter(|visible| visible.bare) {
                let columns = &level.items[visible.item].columns;
                if let Some(column) = columns.iter().position(|column| column.name == name) {
                    return Some(self.column(Place { up, item: visible.item, column }));
                }
            }
            for visible in Self::in_sight(level).filter(|visible| visible.bare) {
                if let Some(node) = self.system_column(up, visible.item, name) {
                    return Some(node);
                }
            }
        }
        None
    }

    fn find_item(&self, schema: Option<&str>, name: &str) -> Option<(usize, usize)> {
        for up in 0..self.levels.len() {
            let level = self.outer(up);
            for visible in Self::in_sight(level).filter(|visible| visible.named) {
                let item = &level.items[visible.item];
                let in_schema = || match &item.source {
                    Source::Relation { oid, .. } if item.alias.is_none() => {
                        let relation = self.binder.ctx.image.relations.get(oid);
                        relation.is_some_and(|relation| Some(relation.schema_name.as_str()) == schema)
                    }
                    _ => false,
                };
                if self.item_name(item) == name && (schema.is_none() || in_schema()) {
                    return Some((up, visible.item));
                }
            }
        }
        None
    }

    /// A column; one that a join without alias merely passes on is its table's.
    fn column(&self, place: Place) -> Node {
        let item = &self.outer(place.up).items[place.item];
        let column = &item.columns[place.column];
        if item.source == Source::Join
            && item.alias.is_none()
            && let [of] = column.of[..]
        {
            return self.column(Place { up: place.up, ..of });
        }
        Node { kind: Kind::Column(place), ty: column.ty }
    }

    fn whole_row(&self, up: usize, item: usize) -> Node {
        let source = &self.outer(up).items[item];
        // A function that gives one plain value a row: the row is that value.
        if let (Source::Functions { calls, .. }, [column]) = (&source.source, &source.columns[..])
            && calls.len() == 1
            && calls[0].call.ty.oid == column.ty.oid
        {
            return self.column(Place { up, item, column: 0 });
        }
        let row_type = if source.row_type == Oid::NONE { oid::RECORD } else { source.row_type };
        Node { kind: Kind::WholeRow { up, item }, ty: Type::new(row_type) }
    }
}

/// The shown columns of a query: names and types.
fn output(query: &Query) -> Vec<(String, Type)> {
    match &query.body {
        Body::Select(select) => select_output(select),
        Body::Values(rows) => {
            let first = rows.first().map_or(&[][..], Vec::as_slice);
            first.iter().enumerate().map(|(i, value)| (format!("column{}", i + 1), value.ty)).collect()
        }
        Body::Set(tree) => set_output(tree),
    }
}

fn select_output(select: &Select) -> Vec<(String, Type)> {
    select.targets.iter().map(|target| (target.name.clone(), target.expr.ty)).collect()
}

fn set_output(tree: &SetTree) -> Vec<(String, Type)> {
    match tree {
        SetTree::Leaf(query) => output(query),
        SetTree::Operation { left, right, .. } => {
            let (left, right) = (set_output(left), set_output(right));
            left.into_iter().zip(right).map(|((name, a), (_, b))| (name, coerce::common(a, b))).collect()
        }
    }
}

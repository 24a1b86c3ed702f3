//! Writes through views: a view over one table takes them for it, and views over such views.
//!
//! What is written goes to the table. A view is bound over the table's columns twice: over those of its scan, for the rows that
//! UPDATE and DELETE find and what their expressions read, and over those of the new row, for RETURNING and WITH CHECK OPTION.

use super::Binder;
use super::query::truth;
use super::scope::{Clause, Item, ScopeColumn};
use crate::catalog::image::{Body, CheckOption, Relation, RelationKind};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::CallContext;
use crate::sql::tree::{ColumnId, Expr, ExprKind, Rel, RelationLock};
use crate::sql::{ast, deparse, parse};
use crate::types::Oid;
use std::sync::Arc;

/// A kind of write, as messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Insert,
    Update,
    Delete,
}

impl Verb {
    /// 55000
    fn refuse(self, view: &str, reason: &str) -> Error {
        let (what, doing, event) = match self {
            Verb::Insert => ("insert into", "inserting into", "INSERT"),
            Verb::Update => ("update", "updating", "UPDATE"),
            Verb::Delete => ("delete from", "deleting from", "DELETE"),
        };
        let hint = format!(
            "To enable {doing} the view, provide an INSTEAD OF {event} trigger or an unconditional ON {event} DO INSTEAD rule."
        );
        Error::new(SqlState::ObjectNotInPrerequisiteState, format!("cannot {what} view \"{view}\""))
            .detail(reason)
            .hint(hint)
    }
}

/// The table that a write goes to.
pub(crate) struct WriteTarget {
    /// The table.
    pub relation: Arc<Relation>,
    /// The view by which it is named.
    pub view: Option<ViewTarget>,
    verb: Verb,
}

/// A view that writes go through.
pub(crate) struct ViewTarget {
    /// The view.
    pub relation: Arc<Relation>,
    /// It and the views below it, outermost first.
    levels: Vec<Level>,
    /// What its columns are of the table.
    columns: Vec<Source>,
}

/// A view whose query reads one relation.
struct Level {
    view: Arc<Relation>,
    select: ast::Select,
    alias: Option<ast::Alias>,
    path: Vec<Oid>,
}

/// What a view's column is of the table.
#[derive(Clone)]
enum Source {
    Attribute(i16),
    /// None of its columns: the column and the view that computes it, and why it takes no values.
    Computed {
        column: String,
        view: String,
        detail: &'static str,
    },
}

/// Views bound over a row of the table.
pub(crate) struct Layers {
    /// The outermost view's columns.
    pub item: Item,
    /// From the innermost on: the view, the rows that it shows, and its columns that are computed.
    layers: Vec<(Arc<Relation>, Option<Expr>, Vec<(ColumnId, Expr)>)>,
    sources: Vec<Source>,
    /// A column is a system column, which a row that is only being written does not have.
    system: bool,
}

impl Layers {
    /// 0A000 for RETURNING and CHECK OPTION over system columns.
    pub(crate) fn refuse_system(&self, evaluated: bool) -> Result<()> {
        match self.system && evaluated {
            true => Err(Error::unsupported("RETURNING or CHECK OPTION of a view that shows system columns")),
            false => Ok(()),
        }
    }

    /// The rows of the table that the views show, with their columns.
    pub(crate) fn over(self, table: Rel) -> (Rel, Item) {
        let mut rel = table;
        for (_, predicate, exprs) in self.layers {
            if let Some(predicate) = predicate {
                rel = Rel::Filter { input: Box::new(rel), predicate };
            }
            if !exprs.is_empty() {
                rel = Rel::Project { input: Box::new(rel), exprs };
            }
        }
        (rel, self.item)
    }

    /// The computed columns, in the order in which they are.
    pub(crate) fn computed(&self) -> Vec<(ColumnId, Expr)> {
        self.layers.iter().flat_map(|(_, _, computed)| computed.clone()).collect()
    }

    /// What WITH CHECK OPTION demands of a new row: the names of views and what each shows, outermost first.
    fn checks(&self) -> Vec<(String, Expr)> {
        let (mut checks, mut cascaded) = (Vec::new(), false);
        for (at, (view, predicate, _)) in self.layers.iter().enumerate().rev() {
            let Body::View { check, .. } = &view.body else { continue };
            cascaded |= *check == Some(CheckOption::Cascaded);
            let Some(predicate) = predicate.clone().filter(|_| cascaded || check.is_some()) else { continue };
            // What the views below compute is computed first.
            let below = self.layers[..at].iter().flat_map(|(_, _, computed)| computed);
            let condition = below.rev().fold(predicate, |condition, (column, expr)| Expr {
                ty: condition.ty,
                kind: ExprKind::Case {
                    operand: Some((*column, Box::new(expr.clone()))),
                    arms: vec![(truth(), condition)],
                    otherwise: None,
                },
            });
            checks.push((view.name.clone(), condition));
        }
        // PostgreSQL tests the innermost one first.
        checks.reverse();
        checks
    }
}

impl WriteTarget {
    /// A table that is its own name.
    pub(crate) fn table(relation: Arc<Relation>) -> WriteTarget {
        WriteTarget { relation, view: None, verb: Verb::Update }
    }

    /// The target as it is named.
    pub(crate) fn named(&self) -> &Arc<Relation> {
        self.view.as_ref().map_or(&self.relation, |view| &view.relation)
    }

    /// The attributes that an INSERT without a column list gives values, in order; and the error for one value more than these, if a
    /// view has a column there that takes none.
    pub(crate) fn all_columns(&self) -> (Vec<i16>, Option<Error>) {
        let Some(view) = &self.view else {
            return (self.relation.live_attributes().map(|attribute| attribute.number).collect(), None);
        };
        let mut numbers = Vec::new();
        for source in &view.columns {
            match source {
                Source::Attribute(number) => numbers.push(*number),
                computed => return (numbers, Some(self.refuse_column(computed))),
            }
        }
        (numbers, None)
    }

    /// The attribute behind a column of the name; `None`: there is no such column.
    pub(crate) fn attribute(&self, name: &str) -> Option<Result<i16>> {
        let Some(view) = &self.view else {
            return self.relation.attribute(name).map(|attribute| Ok(attribute.number));
        };
        let at = view.relation.attributes.iter().position(|attribute| attribute.name == name)?;
        Some(match &view.columns[at] {
            Source::Attribute(number) => Ok(*number),
            computed => Err(self.refuse_column(computed)),
        })
    }

    fn refuse_column(&self, source: &Source) -> Error {
        let Source::Computed { column, view, detail } = source else {
            return Error::internal("a view's column that is the table's was refused");
        };
        let verb = if self.verb == Verb::Insert { "insert into" } else { "update" };
        let message = format!("cannot {verb} column \"{column}\" of view \"{view}\"");
        Error::new(SqlState::FeatureNotSupported, message).detail(*detail)
    }
}

impl Binder<'_> {
    /// The table of a write.
    pub(crate) fn write_target(&mut self, name: &ast::ObjectName, verb: Verb) -> Result<WriteTarget> {
        if name.parts.len() == 1 && self.cte_names.iter().any(|cte| cte.name == name.parts[0]) {
            let message = format!("relation \"{}\" cannot be the target of a modifying statement", name.parts[0]);
            return Err(Error::new(SqlState::WrongObjectType, message).at(self.position(name.pos)));
        }
        let named = self.relation(name)?;
        let (relation, view) = match named.kind {
            RelationKind::View if matches!(named.body, Body::View { .. }) => {
                self.check_access(&named)?;
                let (table, levels) = self.levels(&named, verb)?;
                let row = self.row_columns(&table);
                let item = Self::row_item(&table, &table.name, &row);
                let columns = self.layers(&levels, item, &row, verb)?.sources;
                if verb != Verb::Delete && !columns.iter().any(|source| matches!(source, Source::Attribute(_))) {
                    let reason = "Views that have no updatable columns are not automatically updatable.";
                    return Err(verb.refuse(&named.name, reason));
                }
                (table, Some(ViewTarget { relation: named, levels, columns }))
            }
            _ => (named, None),
        };
        match (&relation.body, relation.kind) {
            (Body::Table { .. }, _) => {}
            (Body::System(_), _) => {
                let message = format!("permission denied: \"{}\" is a system catalog", relation.name);
                return Err(Error::new(SqlState::InsufficientPrivilege, message));
            }
            _ => {
                let message = format!("cannot change sequence \"{}\"", relation.name);
                return Err(Error::new(SqlState::WrongObjectType, message));
            }
        }
        match view.as_ref().and_then(|view| view.levels.last()) {
            // The view's owner writes the table.
            Some(level) => {
                let user = std::mem::replace(&mut self.user, level.view.owner);
                let checked = self.check_access(&relation);
                self.user = user;
                checked?;
            }
            None => self.check_access(&relation)?,
        }
        self.lock(relation.oid, RelationLock::Write);
        for index in &relation.indexes {
            self.depend(index.oid);
        }
        Ok(WriteTarget { relation, view, verb })
    }

    /// A view and the views below it down to a table, which comes with them.
    fn levels(&mut self, view: &Arc<Relation>, verb: Verb) -> Result<(Arc<Relation>, Vec<Level>)> {
        let (mut levels, mut next) = (Vec::<Level>::new(), view.clone());
        while let Body::View { text, search_path, .. } = &next.body {
            if levels.iter().any(|level| level.view.oid == next.oid) {
                let message = format!("infinite recursion detected in rules for relation \"{}\"", next.name);
                return Err(Error::new(SqlState::InvalidObjectDefinition, message));
            }
            let ast::Statement::Query(query) = parse::parse_one(text)? else {
                return Err(Error::internal(format!("the view \"{}\" is no query", next.name)));
            };
            let (select, name, alias) = single_source(*query).map_err(|reason| verb.refuse(&next.name, reason))?;
            let schemas = &self.ctx.image.schema_names;
            let path: Vec<Oid> = search_path.iter().filter_map(|name| schemas.get(name).copied()).collect();
            self.lock(next.oid, RelationLock::Read);
            self.views.push(next.oid);
            let below = self.apart(Some(path.clone()), |binder| binder.relation(&name));
            self.views.pop();
            let below = below?;
            if !matches!(below.kind, RelationKind::Table | RelationKind::View) {
                let reason = "Views that do not select from a single table or view are not automatically updatable.";
                return Err(verb.refuse(&next.name, reason));
            }
            levels.push(Level { view: next.clone(), select, alias, path });
            next = below;
        }
        Ok((next, levels))
    }

    /// A target's views over the columns of a row of its table, which `item` has under the table's name.
    pub(crate) fn view_layers(
        &mut self,
        target: &WriteTarget,
        item: Item,
        row: &[(i16, ColumnId)],
    ) -> Result<Option<Layers>> {
        let Some(view) = &target.view else { return Ok(None) };
        self.layers(&view.levels, item, row, target.verb).map(Some)
    }

    fn layers(&mut self, levels: &[Level], table: Item, row: &[(i16, ColumnId)], verb: Verb) -> Result<Layers> {
        let attribute = |column: &ScopeColumn| row.iter().find(|(_, id)| *id == column.column).map_or(0, |(n, _)| *n);
        let sources = table.columns.iter().map(|column| Source::Attribute(attribute(column))).collect();
        let mut layers = Layers { item: table, layers: Vec::new(), sources, system: false };
        for level in levels.iter().rev() {
            let user = std::mem::replace(&mut self.user, level.view.owner);
            self.views.push(level.view.oid);
            let done = self.apart(Some(level.path.clone()), |binder| {
                binder.push_scope();
                let done = binder.layer(level, &mut layers, verb);
                binder.pop_scope();
                done
            });
            self.views.pop();
            self.user = user;
            done?;
        }
        Ok(layers)
    }

    /// One view over the item below it.
    fn layer(&mut self, level: &Level, layers: &mut Layers, verb: Verb) -> Result<()> {
        let below = self.named(layers.item.clone(), level.alias.as_ref())?;
        let scanned = below.scan.is_some();
        let names: Vec<String> = below.columns.iter().map(|column| column.name.clone()).collect();
        let of_system = |parts: &[String]| parts.last().is_some_and(|name| is_system(name) && !names.contains(name));
        let ids: Vec<ColumnId> = below.columns.iter().map(|column| column.column).collect();
        self.scope().items = vec![below];
        let predicate = match &level.select.filter {
            Some(filter) => Some(self.bind_bool(filter, Clause::Where, "WHERE")?),
            None => None,
        };
        let mut list = level.select.targets.clone();
        if !scanned {
            for target in &mut list {
                if matches!(&target.expr.kind, ast::ExprKind::Column(parts) if of_system(parts)) {
                    layers.system = true;
                    target.expr.kind = ast::ExprKind::Literal(ast::Literal::Null);
                }
            }
        }
        let targets = self.targets(&list, Clause::Select)?;
        let scope = self.scope();
        let reason = if !scope.aggregates.is_empty() {
            Some("Views that return aggregate functions are not automatically updatable.")
        } else if !scope.windows.is_empty() {
            Some("Views that return window functions are not automatically updatable.")
        } else if !scope.sets.is_empty() {
            Some("Views that return set-returning functions are not automatically updatable.")
        } else {
            None
        };
        if let Some(reason) = reason {
            return Err(verb.refuse(&level.view.name, reason));
        }
        let (mut columns, mut computed, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        for (target, attribute) in targets.into_iter().zip(level.view.live_attributes()) {
            let expr = self.coerce_unknown_to_text(target.expr);
            let ty = expr.ty;
            let below = match expr.kind {
                ExprKind::Column(column) => ids.iter().position(|id| *id == column).map(|at| (column, at)),
                _ => None,
            };
            let column = match below {
                Some((column, at)) => {
                    sources.push(layers.sources[at].clone());
                    column
                }
                None => {
                    let written = &level.select.targets[columns.len()].expr.kind;
                    let detail = match written {
                        ast::ExprKind::Column(parts) if of_system(parts) => {
                            "View columns that refer to system columns are not updatable."
                        }
                        _ => "View columns that are not columns of their base relation are not updatable.",
                    };
                    let (column, view) = (attribute.name.clone(), level.view.name.clone());
                    sources.push(Source::Computed { column, view, detail });
                    let column = self.column(ty);
                    computed.push((column, expr));
                    column
                }
            };
            let origin = Some((level.view.oid, attribute.number));
            columns.push(ScopeColumn { name: attribute.name.clone(), column, ty, origin });
        }
        layers.item = Item {
            relation: Some(level.view.clone()),
            row_type: level.view.row_type,
            named: true,
            bare: true,
            ..Item::new(&level.view.name, columns)
        };
        layers.layers.push((level.view.clone(), predicate, computed));
        layers.sources = sources;
        Ok(())
    }

    /// A view's item and computed columns over a new row, and what its CHECK OPTION demands of the row.
    pub(crate) fn new_row_layers(
        &mut self,
        target: &WriteTarget,
        row: &[(i16, ColumnId)],
    ) -> Result<Option<(Layers, Vec<(String, Expr)>)>> {
        let item = Self::row_item(&target.relation, &target.relation.name, row);
        let layers = self.view_layers(target, item, row)?;
        Ok(layers.map(|layers| {
            let checks = layers.checks();
            (layers, checks)
        }))
    }
}

/// Whether a name is a system column's, which no other column can have.
fn is_system(name: &str) -> bool {
    matches!(name, "tableoid" | "ctid" | "xmin" | "cmin" | "xmax" | "cmax")
}

/// The SELECT of a query that reads one relation and nothing besides, the relation's name and its alias.
///
/// # Errors
/// PostgreSQL's reason why a view of the query takes no writes (`view_query_is_auto_updatable`).
fn single_source(
    query: ast::Query,
) -> std::result::Result<(ast::Select, ast::ObjectName, Option<ast::Alias>), &'static str> {
    let set_operation = "Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.";
    let not_single = "Views that do not select from a single table or view are not automatically updatable.";
    let (with, limited) = (query.with.is_some(), query.limit.is_some() || query.offset.is_some());
    let with_reason = "Views containing WITH are not automatically updatable.";
    let limit_reason = "Views containing LIMIT or OFFSET are not automatically updatable.";
    let late = || if with { with_reason } else { limit_reason };
    let mut select = match query.body {
        ast::SetExpr::Select(select) => *select,
        ast::SetExpr::SetOp { .. } => return Err(set_operation),
        ast::SetExpr::Query(inner) if !with && !limited => return single_source(*inner),
        _ if with || limited => return Err(late()),
        _ => return Err(not_single),
    };
    if !matches!(select.distinct, ast::Distinct::All) {
        return Err("Views containing DISTINCT are not automatically updatable.");
    }
    if !select.group_by.is_empty() {
        return Err("Views containing GROUP BY are not automatically updatable.");
    }
    if select.having.is_some() {
        return Err("Views containing HAVING are not automatically updatable.");
    }
    if with || limited {
        return Err(late());
    }
    match select.from.pop() {
        Some(ast::TableRef::Relation { sample: Some(_), .. }) => {
            Err("Views containing TABLESAMPLE are not automatically updatable.")
        }
        Some(ast::TableRef::Relation { name, alias, .. }) if select.from.is_empty() => Ok((select, name, alias)),
        _ => Err(not_single),
    }
}

/// Why a new view takes no writes; `None`: it does.
pub(crate) fn refusal(
    call: &CallContext,
    image: &Arc<crate::catalog::image::Image>,
    view: &Relation,
) -> Option<String> {
    let path = [crate::catalog::store::fixed::PG_CATALOG];
    let ctx = deparse::context(image, &path, call);
    let refused = Binder::new(&ctx, "").columns_written(&Arc::new(view.clone())).err()?;
    Some(refused.report().detail.clone().unwrap_or_else(|| refused.report().message.clone()))
}

/// The columns of a view that take values, by their order; `None`: it takes no writes at all.
pub(crate) fn written_columns(
    call: &CallContext,
    image: &Arc<crate::catalog::image::Image>,
    view: &Arc<Relation>,
) -> Option<Vec<bool>> {
    let path = [crate::catalog::store::fixed::PG_CATALOG];
    let ctx = deparse::context(image, &path, call);
    Binder::new(&ctx, "").columns_written(view).ok()
}

impl Binder<'_> {
    fn columns_written(&mut self, view: &Arc<Relation>) -> Result<Vec<bool>> {
        let (table, levels) = self.levels(view, Verb::Update)?;
        let row = self.row_columns(&table);
        let item = Self::row_item(&table, &table.name, &row);
        let sources = self.layers(&levels, item, &row, Verb::Update)?.sources;
        let stored = matches!(table.body, Body::Table { .. });
        Ok(sources.iter().map(|source| stored && matches!(source, Source::Attribute(_))).collect())
    }
}

//! Query levels and what their names mean: PostgreSQL's namespaces (`parse_relation.c`) over column numbers.
//!
//! A name is looked for in the innermost level first. While a FROM clause is being bound its earlier items are in sight
//! only of LATERAL items ([`Lateral`]). The errors, with their hints and positions, are PostgreSQL's.

use super::Binder;
use crate::catalog::image::{Body, Relation, RelationKind};
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::ObjectName;
use crate::sql::columns::ColumnSet;
use crate::sql::tree::{AggregateCall, ColumnId, CteId, Expr, ExprKind, ScanColumn, SortKey, WindowCall};
use crate::types::{Oid, Type, oid};
use std::sync::Arc;

/// Where in its query an expression stands: decides what it may hold, and the words of the refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Clause {
    Select,
    FromSubquery,
    FromFunction,
    JoinOn,
    Where,
    GroupBy,
    Having,
    Filter,
    WindowPartition,
    WindowOrder,
    WindowFrame(&'static str),
    OrderBy,
    DistinctOn,
    Limit,
    Offset,
    InsertValues,
    Values,
    UpdateSet,
    ConflictWhere,
    Returning,
    Default,
    Check,
    Generated,
    IndexExpression,
    IndexPredicate,
    AlterType,
    ExecuteParameter,
}

impl Clause {
    /// As in "aggregate functions are not allowed in …".
    pub(crate) fn name(self) -> &'static str {
        match self {
            Clause::Select => "SELECT",
            Clause::FromSubquery => "FROM clause of their own query level",
            Clause::FromFunction => "functions in FROM",
            Clause::JoinOn => "JOIN conditions",
            Clause::Where => "WHERE",
            Clause::GroupBy => "GROUP BY",
            Clause::Having => "HAVING",
            Clause::Filter => "FILTER",
            Clause::WindowPartition | Clause::WindowOrder => "window definitions",
            Clause::WindowFrame(name) => name,
            Clause::OrderBy => "ORDER BY",
            Clause::DistinctOn => "DISTINCT ON",
            Clause::Limit => "LIMIT",
            Clause::Offset => "OFFSET",
            Clause::InsertValues | Clause::Values => "VALUES",
            Clause::UpdateSet => "UPDATE",
            Clause::ConflictWhere => "WHERE",
            Clause::Returning => "RETURNING",
            Clause::Default => "DEFAULT expressions",
            Clause::Check => "check constraints",
            Clause::Generated => "column generation expressions",
            Clause::IndexExpression => "index expressions",
            Clause::IndexPredicate => "index predicates",
            Clause::AlterType => "transform expressions",
            Clause::ExecuteParameter => "EXECUTE parameters",
        }
    }

    /// As in "cannot use subquery in …"; `None` where a subquery may stand.
    pub(crate) fn refuses_subquery(self) -> Option<&'static str> {
        Some(match self {
            Clause::Default => "DEFAULT expression",
            Clause::Check => "check constraint",
            Clause::Generated => "column generation expression",
            Clause::IndexExpression => "index expression",
            Clause::IndexPredicate => "index predicate",
            Clause::ExecuteParameter => "EXECUTE parameter",
            _ => return None,
        })
    }
}

/// A column as names see it.
#[derive(Clone, Debug)]
pub(crate) struct ScopeColumn {
    /// Its name, column aliases applied.
    pub name: String,
    /// Its number.
    pub column: ColumnId,
    /// Its type.
    pub ty: Type,
    /// The table column that it plainly is.
    pub origin: Option<(Oid, i16)>,
}

/// What a LATERAL reference to an item of the same FROM clause may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lateral {
    /// The item is visible to everybody: its FROM clause is complete, or it is an operand of the JOIN whose ON is bound.
    Open,
    /// The FROM clause is still being bound: visible to LATERAL items only.
    Only,
    /// As `Only`, but the join between forbids it (42P10).
    Forbidden,
}

/// An item of a FROM clause as names see it.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Alias, or the relation's name; empty for a join without alias.
    pub name: String,
    /// The relation, when no alias hides its name.
    pub relation: Option<Arc<Relation>>,
    /// Whether an alias was given.
    pub aliased: bool,
    /// Columns in order.
    pub columns: Vec<ScopeColumn>,
    /// First column of the table scan behind it: where `ctid` and its like are added.
    pub scan: Option<(ColumnId, Arc<Relation>)>,
    /// A row that is being written, for RETURNING.
    pub written: bool,
    /// Type of the whole row: a table's row type, or record.
    pub row_type: Oid,
    /// A function that returns no record: the whole row is its one value.
    pub scalar: bool,
    /// Found by `name.…`.
    pub named: bool,
    /// Its columns are found by their bare names, and part of `*`.
    pub bare: bool,
    /// See [`Lateral`].
    pub lateral: Lateral,
    /// A join: hints pass over it.
    pub join: bool,
    /// Scans below that FOR UPDATE locks: first column and table.
    pub lockable: Vec<(ColumnId, Arc<Relation>)>,
    /// Why FOR UPDATE cannot lock its rows.
    pub lock_refused: Option<&'static str>,
}

/// A reference to a column, for the errors that grouping raises later.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// What was named.
    pub column: ColumnId,
    /// Where.
    pub span: u32,
    /// Where, by clause.
    pub clause: Clause,
    /// Serial of the level that names it.
    pub from: u32,
    /// As part of the whole row.
    pub whole: bool,
}

/// An aggregate of a query level.
#[derive(Clone, Debug)]
pub(crate) struct BoundAggregate {
    /// Where its result goes.
    pub column: ColumnId,
    /// The call.
    pub call: AggregateCall,
    /// Where it stands.
    pub span: u32,
}

/// GROUPING(…) of a query level.
#[derive(Clone, Debug)]
pub(crate) struct BoundGrouping {
    /// Where its result goes.
    pub column: ColumnId,
    /// Its arguments.
    pub args: Vec<Expr>,
    /// Where these stand.
    pub places: Vec<u32>,
    /// Whether it stands in HAVING.
    pub having: bool,
}

/// A window function call of a query level.
#[derive(Clone, Debug)]
pub(crate) struct BoundWindow {
    /// Where its result goes.
    pub column: ColumnId,
    /// PARTITION BY.
    pub partition: Vec<Expr>,
    /// ORDER BY.
    pub order: Vec<SortKey>,
    /// The call.
    pub call: WindowCall,
    /// Where it stands.
    pub span: u32,
}

/// A set-returning call of a select list.
#[derive(Clone, Debug)]
pub(crate) struct BoundSet {
    /// Where its values go.
    pub column: ColumnId,
    /// The call.
    pub call: Expr,
    /// Calls whose arguments name another's column run above it.
    pub depth: usize,
    /// Where it stands.
    pub span: u32,
}

/// A named window, its parts bound.
#[derive(Clone, Debug)]
pub(crate) struct NamedWindow {
    /// Its name.
    pub name: String,
    /// PARTITION BY.
    pub partition: Vec<Expr>,
    /// ORDER BY.
    pub order: Vec<SortKey>,
    /// Its parenthesis in the text.
    pub pos: u32,
    /// Its frame clause, if it has one: such a window may be used as it is, not be built upon.
    pub frame: Option<crate::sql::ast::FrameSpec>,
}

/// A query level.
#[derive(Debug)]
pub(crate) struct Scope {
    /// Unique in the statement, from 1.
    pub serial: u32,
    /// What is being bound.
    pub clause: Clause,
    /// What names see now.
    pub items: Vec<Item>,
    /// Every item that was ever made at this level, for hints.
    pub all_items: Vec<Item>,
    /// A LATERAL item is being bound: `Lateral::Only` items are in sight.
    pub lateral_active: bool,
    /// Aggregates of this level.
    pub aggregates: Vec<BoundAggregate>,
    /// GROUPING(…) calls of this level.
    pub groupings: Vec<BoundGrouping>,
    /// Window calls of this level.
    pub windows: Vec<BoundWindow>,
    /// WINDOW clause.
    pub named_windows: Vec<NamedWindow>,
    /// Set-returning calls of this level.
    pub sets: Vec<BoundSet>,
    /// Columns that USING computes of both sides'.
    pub merged: Vec<(ColumnId, Expr)>,
    /// Column references to this level.
    pub references: Vec<Reference>,
    /// Its FROM clause reads a recursive part's last round.
    pub reads_working: bool,
    /// With grouping sets: the columns that are keys of every one.
    pub common_keys: Option<ColumnSet>,
}

/// A WITH name in sight.
#[derive(Clone, Debug)]
pub(crate) struct CteName {
    /// The name.
    pub name: String,
    /// The part.
    pub cte: CteId,
    /// Its columns: name and type.
    pub columns: Vec<(String, Type)>,
    /// Per column: the table column that it plainly is.
    pub origins: Vec<Option<(Oid, i16)>>,
    /// In a recursive part's step: how many columns it has without SEARCH's and CYCLE's.
    pub width: Option<usize>,
    /// What a reference to it means now.
    pub state: CteState,
    /// Where it is defined.
    pub pos: u32,
}

/// What a reference to a WITH name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CteState {
    /// A finished part.
    Ready,
    /// A part of WITH RECURSIVE that is still to be bound.
    Later,
    /// A data-modifying part without RETURNING.
    NoRows,
    /// A part of WITH RECURSIVE that is no UNION: a reference to itself is an error.
    Malformed,
    /// A recursive part whose seed is being bound: a reference is an error.
    Seed,
    /// A recursive part whose step is being bound: a reference reads the round before.
    Step,
}

impl Scope {
    pub(crate) fn new(serial: u32) -> Scope {
        Scope {
            serial,
            common_keys: None,
            clause: Clause::Select,
            items: Vec::new(),
            all_items: Vec::new(),
            lateral_active: false,
            aggregates: Vec::new(),
            groupings: Vec::new(),
            windows: Vec::new(),
            named_windows: Vec::new(),
            sets: Vec::new(),
            merged: Vec::new(),
            references: Vec::new(),
            reads_working: false,
        }
    }
}

/// Whether a column of a table cannot have this name.
pub(crate) fn is_system_column(name: &str) -> bool {
    matches!(name, "tableoid" | "ctid" | "xmin" | "cmin" | "xmax" | "cmax")
}

/// System columns of a stored table; 0A000 for what storage does not know of a row.
fn system_column(name: &str, item: &Item) -> Result<(ScanColumn, Type)> {
    Ok(match name {
        "tableoid" => (ScanColumn::TableOid, Type::new(oid::OID)),
        "ctid" => (ScanColumn::Ctid, Type::new(oid::TID)),
        "xmin" => (ScanColumn::Xmin, Type::new(oid::XID)),
        "xmax" if item.written => (ScanColumn::Xmax, Type::new(oid::XID)),
        _ => return Err(Error::unsupported(format!("system column \"{name}\""))),
    })
}

/// Why a definition cannot name a system column.
fn system_column_in(clause: Clause, name: &str) -> Option<Error> {
    let invalid = |message: String| Some(Error::new(SqlState::InvalidColumnReference, message));
    match clause {
        Clause::Check | Clause::Generated if name == "tableoid" => {
            Some(Error::unsupported("tableoid in a table's definition"))
        }
        Clause::Check => invalid(format!("system column \"{name}\" reference in check constraint is invalid")),
        Clause::Generated => invalid(format!("cannot use system column \"{name}\" in column generation expression")),
        Clause::IndexExpression | Clause::IndexPredicate => {
            Some(Error::new(SqlState::FeatureNotSupported, "index creation on system columns is not supported"))
        }
        _ => None,
    }
}

/// PostgreSQL's attribute number of a system column.
pub(crate) fn system_attribute(what: ScanColumn) -> Option<i16> {
    match what {
        ScanColumn::Ctid => Some(-1),
        ScanColumn::Xmin => Some(-2),
        ScanColumn::Xmax => Some(-4),
        ScanColumn::TableOid => Some(-6),
        ScanColumn::Attribute(_) | ScanColumn::RowId => None,
    }
}

impl Binder<'_> {
    /// What a possibly qualified name means: a column, a system column, or a whole row.
    ///
    /// `a`, `t.a`, `schema.t.a`, `database.schema.t.a`; a name that is no column may be an item's whole row.
    pub(crate) fn resolve_name(&mut self, parts: &[String], span: u32) -> Result<Expr> {
        if self.scope().clause == Clause::Default {
            let message = "cannot use column reference in DEFAULT expression";
            return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(span)));
        }
        match parts {
            [name] => {
                if let Some(found) = self.bare_column(name, span)? {
                    return Ok(found);
                }
                // A row by its bare name, PostgreSQL's way back to `t` in `select t from t`.
                if let Some((level, item)) = self.find_item(None, name, span)? {
                    return self.whole_row(level, item, span);
                }
                Err(self.missing_column(None, name, span))
            }
            [table, name] => self.qualified(None, table, name, span),
            [schema, table, name] => self.qualified(Some(schema), table, name, span),
            [database, schema, table, name] => {
                let current = self.ctx.call.host.database();
                if *database != current {
                    let message = format!("cross-database references are not implemented: {}", parts.join("."));
                    return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(span)));
                }
                self.qualified(Some(schema), table, name, span)
            }
            _ => {
                let message = format!("improper qualified name (too many dotted names): {}", parts.join("."));
                Err(Error::new(SqlState::SyntaxError, message).at(self.position(span)))
            }
        }
    }

    fn qualified(&mut self, schema: Option<&str>, table: &str, name: &str, span: u32) -> Result<Expr> {
        let Some((level, item)) = self.find_item(schema, table, span)? else {
            // `column.field` of a composite is asked for by the caller, who sees the error's code.
            return Err(self.missing_table(schema, table, span));
        };
        if let Some(found) = self.item_column(level, item, name, span)? {
            return Ok(found);
        }
        Err(self.missing_column(Some(table), name, span))
    }

    /// The column of that name in some visible item, innermost level first.
    fn bare_column(&mut self, name: &str, span: u32) -> Result<Option<Expr>> {
        for level in (0..self.scopes.len()).rev() {
            let scope = &self.scopes[level];
            let mut found: Option<(usize, usize)> = None;
            for (i, item) in scope.items.iter().enumerate() {
                if !item.bare || (item.lateral != Lateral::Open && !scope.lateral_active) {
                    continue;
                }
                for (j, column) in item.columns.iter().enumerate() {
                    if column.name != name {
                        continue;
                    }
                    if found.is_some() {
                        let message = format!("column reference \"{name}\" is ambiguous");
                        return Err(Error::new(SqlState::AmbiguousColumn, message).at(self.position(span)));
                    }
                    found = Some((i, j));
                }
            }
            if found.is_none()
                && is_system_column(name)
                && let Some(i) = self.only_scan(level, name, span)?
            {
                return self.item_column(level, i, name, span);
            }
            if let Some((i, j)) = found {
                self.check_lateral(level, i, span)?;
                return Ok(Some(self.reference(level, i, j, span)));
            }
        }
        Ok(None)
    }

    /// The one visible stored table of a level, for a system column's bare name.
    fn only_scan(&self, level: usize, name: &str, span: u32) -> Result<Option<usize>> {
        let scope = &self.scopes[level];
        let visible = |item: &Item| item.bare && (item.lateral == Lateral::Open || scope.lateral_active);
        let mut scans = (0..scope.items.len()).filter(|i| visible(&scope.items[*i]) && scope.items[*i].scan.is_some());
        let first = scans.next();
        if scans.next().is_some() {
            let message = format!("column reference \"{name}\" is ambiguous");
            return Err(Error::new(SqlState::AmbiguousColumn, message).at(self.position(span)));
        }
        Ok(first)
    }

    fn check_lateral(&self, level: usize, item: usize, span: u32) -> Result<()> {
        let item = &self.scopes[level].items[item];
        if item.lateral != Lateral::Forbidden {
            return Ok(());
        }
        let message = format!("invalid reference to FROM-clause entry for table \"{}\"", item.name);
        Err(Error::new(SqlState::InvalidColumnReference, message)
            .detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference.")
            .at(self.position(span)))
    }

    /// The visible item of that name: (level, position in its items).
    pub(crate) fn find_item(&self, schema: Option<&str>, name: &str, span: u32) -> Result<Option<(usize, usize)>> {
        for level in (0..self.scopes.len()).rev() {
            let scope = &self.scopes[level];
            let mut found = None;
            for (i, item) in scope.items.iter().enumerate() {
                if !item.named || item.name != name || (item.lateral != Lateral::Open && !scope.lateral_active) {
                    continue;
                }
                if let Some(schema) = schema
                    && item.relation.as_ref().is_none_or(|relation| relation.schema_name != schema)
                {
                    continue;
                }
                if found.is_some() {
                    let message = format!("table reference \"{name}\" is ambiguous");
                    return Err(Error::new(SqlState::AmbiguousAlias, message).at(self.position(span)));
                }
                found = Some(i);
            }
            if let Some(i) = found {
                self.check_lateral(level, i, span)?;
                return Ok(Some((level, i)));
            }
        }
        Ok(None)
    }

    /// A column of an item, a system column included.
    fn item_column(&mut self, level: usize, item: usize, name: &str, span: u32) -> Result<Option<Expr>> {
        let columns = &self.scopes[level].items[item].columns;
        let mut matches = (0..columns.len()).filter(|j| columns[*j].name == name);
        let first = matches.next();
        if matches.next().is_some() {
            let message = format!("column reference \"{name}\" is ambiguous");
            return Err(Error::new(SqlState::AmbiguousColumn, message).at(self.position(span)));
        }
        if let Some(j) = first {
            return Ok(Some(self.reference(level, item, j, span)));
        }
        if !is_system_column(name) {
            return Ok(None);
        }
        let Some((key, relation)) = self.scopes[level].items[item].scan.clone() else { return Ok(None) };
        let (what, ty) = system_column(name, &self.scopes[level].items[item]).map_err(|e| e.at(self.position(span)))?;
        if matches!(relation.body, Body::System(_)) && what != ScanColumn::TableOid {
            return Err(Error::unsupported(format!("system column \"{name}\" of a system catalog")));
        }
        let column = self.late_column(level, key, what, ty);
        self.note(level, column, span);
        Ok(Some(Expr { kind: ExprKind::Column(column), ty }))
    }

    /// A column that a scan is told to read as well.
    pub(crate) fn late_column(&mut self, level: usize, scan: ColumnId, what: ScanColumn, ty: Type) -> ColumnId {
        let known = self.late_columns.get(&scan).and_then(|all| all.iter().find(|(have, _)| *have == what));
        if let Some((_, column)) = known {
            return *column;
        }
        let column = self.column(ty);
        self.levels[column.0 as usize] = self.scopes[level].serial;
        self.late_columns.entry(scan).or_default().push((what, column));
        column
    }

    pub(crate) fn reference(&mut self, level: usize, item: usize, column: usize, span: u32) -> Expr {
        let found = &self.scopes[level].items[item].columns[column];
        let (column, ty) = (found.column, found.ty);
        self.note(level, column, span);
        Expr { kind: ExprKind::Column(column), ty }
    }

    /// Notes where a column of a level was named.
    fn note(&mut self, level: usize, column: ColumnId, span: u32) {
        let inner = self.scopes.last().expect("names are resolved inside a scope");
        let (from, clause) = (inner.serial, self.scopes[level].clause);
        self.scopes[level].references.push(Reference { column, span, clause, from, whole: false });
    }

    /// Notes that the whole row that was named at a place stands for its columns there.
    pub(crate) fn note_parts(&mut self, span: u32) {
        let references = self.scopes.iter_mut().flat_map(|scope| &mut scope.references);
        references.filter(|reference| reference.span == span).for_each(|reference| reference.whole = false);
    }

    /// A whole row; NULL as a whole where an outer join found no partner.
    pub(crate) fn whole_row(&mut self, level: usize, item: usize, span: u32) -> Result<Expr> {
        let count = self.scopes[level].items[item].columns.len();
        let (scalar, row_type) = {
            let item = &self.scopes[level].items[item];
            (item.scalar, item.row_type)
        };
        if scalar && count == 1 {
            return Ok(self.reference(level, item, 0, span));
        }
        let noted = self.scopes[level].references.len();
        let fields: Vec<Expr> = (0..count).map(|j| self.reference(level, item, j, span)).collect();
        self.scopes[level].references[noted..].iter_mut().for_each(|reference| reference.whole = true);
        if row_type == Oid::NONE {
            let columns = &self.scopes[level].items[item].columns;
            let names = columns.iter().map(|column| column.name.clone()).collect();
            self.whole_rows.insert(columns.iter().map(|column| column.column).collect(), names);
        }
        let ty = Type::new(if row_type == Oid::NONE { oid::RECORD } else { row_type });
        let row = Expr { kind: ExprKind::Row(fields), ty };
        let Some((key, relation)) = self.scopes[level].items[item].scan.clone() else { return Ok(row) };
        if !matches!(relation.body, Body::Table { .. }) || self.scopes[level].items.len() < 2 {
            return Ok(row);
        }
        let marker_type = Type::new(oid::INT8);
        let marker = self.late_column(level, key, ScanColumn::RowId, marker_type);
        let marker = Expr { kind: ExprKind::Column(marker), ty: marker_type };
        let there = Expr { kind: ExprKind::IsNotNull(Box::new(marker)), ty: Type::new(oid::BOOL) };
        Ok(Expr { kind: ExprKind::Case { operand: None, arms: vec![(there, row)], otherwise: None }, ty })
    }

    /// Adds a finished item to the innermost level's record of items, and gives its columns to that level.
    pub(crate) fn own_item(&mut self, item: &Item) {
        let serial = self.scope().serial;
        for column in &item.columns {
            self.levels[column.column.0 as usize] = serial;
        }
        self.scope().all_items.push(item.clone());
    }

    /// 42P01 for a qualifier that names no visible item.
    pub(crate) fn missing_table(&self, schema: Option<&str>, name: &str, span: u32) -> Error {
        let hidden = self.scopes.iter().rev().flat_map(|scope| &scope.all_items).find(|item| {
            let by_relation = item.scan.as_ref().is_some_and(|(_, relation)| {
                relation.name == name && schema.is_none_or(|schema| relation.schema_name == schema)
            });
            // A row being written is no scan.
            let origin = item.columns.first().and_then(|column| column.origin).filter(|_| item.aliased);
            let written = origin.and_then(|(oid, _)| self.ctx.image.relations.get(&oid));
            let by_relation = by_relation || written.is_some_and(|relation| relation.name == name);
            by_relation || (!item.join && item.name == name)
        });
        let error = |message: &str| {
            Error::new(SqlState::UndefinedTable, format!("{message} FROM-clause entry for table \"{name}\""))
                .at(self.position(span))
        };
        match hidden {
            None => error("missing"),
            Some(item) if item.aliased && item.name != name && self.is_visible(&item.name) => {
                error("invalid reference to")
                    .hint(format!("Perhaps you meant to reference the table alias \"{}\".", item.name))
            }
            Some(_) => error("invalid reference to").hint(format!(
                "There is an entry for table \"{name}\", but it cannot be referenced from this part of the query."
            )),
        }
    }

    fn is_visible(&self, name: &str) -> bool {
        matches!(self.find_item(None, name, 0), Ok(Some(_)))
    }

    /// 42703 for a column that no visible item has, with PostgreSQL's guess at what was meant.
    pub(crate) fn missing_column(&self, table: Option<&str>, name: &str, span: u32) -> Error {
        let clause = self.scopes.last().map(|scope| scope.clause);
        if is_system_column(name)
            && let Some(refusal) = clause.and_then(|clause| system_column_in(clause, name))
        {
            let placed = !matches!(clause, Some(Clause::IndexExpression | Clause::IndexPredicate));
            return if placed { refusal.at(self.position(span)) } else { refusal };
        }
        let message = match table {
            Some(table) => format!("column {table}.{name} does not exist"),
            None => format!("column \"{name}\" does not exist"),
        };
        let error = Error::new(SqlState::UndefinedColumn, message).at(self.position(span));
        match self.guess(table, name) {
            Guess::Nothing => error,
            Guess::Hidden(item) => error.hint(format!(
                "There is a column named \"{name}\" in table \"{item}\", but it cannot be referenced from this part of the query."
            )),
            Guess::One(first) => error.hint(format!("Perhaps you meant to reference the column \"{first}\".")),
            Guess::Two(first, second) => error.hint(format!(
                "Perhaps you meant to reference the column \"{first}\" or the column \"{second}\"."
            )),
        }
    }

    /// PostgreSQL's `searchRangeTableForCol`.
    fn guess(&self, table: Option<&str>, name: &str) -> Guess {
        const FARTHEST: usize = 3;
        let (mut best, mut closest) = (FARTHEST + 1, Vec::<String>::new());
        for scope in self.scopes.iter().rev() {
            for item in scope.all_items.iter().filter(|item| !item.join) {
                let penalty = match table {
                    Some(table) => levenshtein(table, &item.name).min(FARTHEST + 1),
                    None => 0,
                };
                let system = item.scan.is_some() && is_system_column(name);
                if penalty == 0 && (system || item.columns.iter().any(|column| column.name == name)) {
                    return Guess::Hidden(item.name.clone());
                }
                for column in &item.columns {
                    let distance = levenshtein(name, &column.name);
                    if distance > name.len() / 2 {
                        continue;
                    }
                    let distance = distance + penalty;
                    let label = || format!("{}.{}", item.name, column.name);
                    if distance < best {
                        best = distance;
                        closest = vec![label()];
                    } else if distance == best {
                        match closest.len() {
                            2 => {
                                closest.clear();
                                best = distance.saturating_sub(1);
                            }
                            1 => closest.push(label()),
                            _ if best <= FARTHEST => closest = vec![label()],
                            _ => {}
                        }
                    }
                }
            }
        }
        let mut closest = closest.into_iter();
        match (closest.next(), closest.next()) {
            (None, _) => Guess::Nothing,
            (Some(first), None) => Guess::One(first),
            (Some(first), Some(second)) => Guess::Two(first, second),
        }
    }

    /// The relation of a possibly qualified name, by the search path; `None` when there is none.
    pub(crate) fn find_relation(&self, schema: Option<&str>, name: &str) -> Option<Arc<Relation>> {
        let image = &self.ctx.image;
        match schema {
            Some("pg_temp") => image.relation(self.ctx.temp_schema?, name).cloned(),
            Some(schema) => image.relation(*image.schema_names.get(schema)?, name).cloned(),
            None => self.search_path.iter().find_map(|schema| image.relation(*schema, name)).cloned(),
        }
    }

    /// The table, view or system relation of a name as FROM or a write names it; 42P01, 3F000-free as PostgreSQL's, 42809 for an index.
    pub(crate) fn relation(&mut self, names: &ObjectName) -> Result<Arc<Relation>> {
        let (parts, span) = (&names.parts, names.pos);
        let (schema, name) = match &parts[..] {
            [name] => (None, name),
            [schema, name] => (Some(schema.as_str()), name),
            [database, schema, name] if *database == self.ctx.call.host.database() => (Some(schema.as_str()), name),
            _ => {
                let message = format!("cross-database references are not implemented: \"{}\"", parts.join("."));
                return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(span)));
            }
        };
        if let Some(oid) = schema.and_then(|schema| self.ctx.image.schema_names.get(schema))
            && self.ctx.temp_schema != Some(*oid)
            && self.views.is_empty()
        {
            self.ctx.image.check_use(self.user, *oid).map_err(|error| error.at(self.position(span)))?;
        }
        let Some(relation) = self.find_relation(schema, name) else {
            let full = schema.map_or_else(|| name.clone(), |schema| format!("{schema}.{name}"));
            let message = format!("relation \"{full}\" does not exist");
            return Err(Error::new(SqlState::UndefinedTable, message).at(self.position(span)));
        };
        if relation.kind == RelationKind::Index {
            let message = format!("\"{}\" is an index", relation.name);
            return Err(Error::new(SqlState::WrongObjectType, message).at(self.position(span)));
        }
        self.depend(relation.oid);
        if !self.text.is_empty() && self.places.iter().all(|(oid, _)| *oid != relation.oid) {
            self.places.push((relation.oid, span));
        }
        Ok(relation)
    }
}

/// What a missing column may have meant.
enum Guess {
    Nothing,
    Hidden(String),
    One(String),
    Two(String, String),
}

/// Edit distance with unit costs, in characters.
fn levenshtein(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::levenshtein;

    #[test]
    fn edit_distance() {
        assert_eq!(levenshtein("name", "nmae"), 2);
        assert_eq!(levenshtein("", "abc"), 3);
        assert_eq!(levenshtein("id", "id"), 0);
    }
}

//! `pg_get_…def`: objects back to the statements that make them (PostgreSQL's `ruleutils.c`), on top of [`deparse`].
//!
//! The node trees of pg_catalog (`adbin`, `conbin`, `indexprs`, …) are stored texts here: `pg_get_expr` reads one over the
//! relation that it is given and writes it as PostgreSQL would. What an object does not have (triggers, rules but those of
//! views, partitions, statistics objects) is NULL, as PostgreSQL has it for an unknown oid.

use super::inline::functions;
use super::string::quote_identifier as quote;
use super::{CallContext, FunctionKind, Volatility};
use crate::catalog::builtin::{self, FunctionDetail};
use crate::catalog::image::{Body, Constraint, ConstraintKind, Image, Index, ReferentialAction, Relation};
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::Function;
use crate::sql::deparse::{self, Layout};
use crate::types::{Oid, Type, oid};
use std::fmt::Write as _;
use std::sync::Arc;

functions! {
    TABLE:
    raises(ctx) pg_get_expr(text: &str, relation: Oid) -> Option<String> = expression(ctx, text, relation, false);
    raises(ctx) pg_get_expr_ext(text: &str, relation: Oid, pretty: bool) -> Option<String> = expression(ctx, text, relation, pretty);
    raises(ctx) pg_get_viewdef(oid: Oid) -> Option<String> = view(ctx, oid, Layout::of(false));
    raises(ctx) pg_get_viewdef_ext(oid: Oid, pretty: bool) -> Option<String> = view(ctx, oid, Layout::of(pretty));
    raises(ctx) pg_get_viewdef_wrap(oid: Oid, wrap: i32) -> Option<String> = view(ctx, oid, Layout { wrap, ..Layout::of(true) });
    raises(ctx) pg_get_viewdef_name(name: &str) -> Option<String> = view(ctx, named(ctx, name)?, Layout::of(false));
    raises(ctx) pg_get_viewdef_name_ext(name: &str, pretty: bool) -> Option<String> = view(ctx, named(ctx, name)?, Layout::of(pretty));
    raises(ctx) pg_get_indexdef(oid: Oid) -> Option<String> = index(ctx, oid, 0, false);
    raises(ctx) pg_get_indexdef_ext(oid: Oid, column: i32, pretty: bool) -> Option<String> = index(ctx, oid, column, pretty);
    raises(ctx) pg_get_constraintdef(constraint: Oid) -> Option<String> = constraint_by_oid(ctx, constraint, false);
    raises(ctx) pg_get_constraintdef_ext(oid: Oid, pretty: bool) -> Option<String> = constraint_by_oid(ctx, oid, pretty);
    raises(ctx) pg_get_ruledef(oid: Oid) -> Option<String> = rule(ctx, oid, false);
    raises(ctx) pg_get_ruledef_ext(oid: Oid, pretty: bool) -> Option<String> = rule(ctx, oid, pretty);
    safe pg_get_triggerdef(trigger: Oid) -> Option<String> = None;
    safe pg_get_triggerdef_ext(trigger: Oid, pretty: bool) -> Option<String> = None;
    safe pg_get_partkeydef(relation: Oid) -> Option<String> = None;
    safe pg_get_partition_constraintdef(relation: Oid) -> Option<String> = None;
    safe pg_get_statisticsobjdef(statistics: Oid) -> Option<String> = None;
    safe pg_get_statisticsobjdef_columns(statistics: Oid) -> Option<String> = None;
    safe pg_get_statisticsobjdef_expressions(statistics: Oid) -> Option<String> = None;
    raises(ctx) pg_get_functiondef(function: Oid) -> Option<String> = function_definition(ctx, function);
    safe(ctx) pg_get_function_arguments(function: Oid) -> Option<String> = with_function(function, |f, d| arguments(ctx, f, d, true, false));
    safe(ctx) pg_get_function_identity_arguments(function: Oid) -> Option<String> = with_function(function, |f, d| arguments(ctx, f, d, false, false));
    safe(ctx) pg_get_function_result(function: Oid) -> Option<String> = with_function(function, |f, d| result(ctx, f, d)).flatten();
    safe pg_get_function_sqlbody(function: Oid) -> Option<String> = None;
    safe pg_get_function_arg_default(function: Oid, argument: i32) -> Option<String> = argument_default(function, argument);
}

/// A stored expression over a relation's columns; NULL when there is no such relation.
fn expression(ctx: &CallContext, text: &str, relation: Oid, pretty: bool) -> Result<Option<String>> {
    let image = ctx.host.catalog();
    let found = image.relations.get(&relation);
    if found.is_none() && relation != Oid::NONE {
        return Ok(None);
    }
    shown(ctx, text, found, pretty).map(|(text, _)| Some(text))
}

/// A stored expression as users see it, and whether it is a function call; its own text where that cannot be read.
fn shown(ctx: &CallContext, text: &str, relation: Option<&Arc<Relation>>, pretty: bool) -> Result<(String, bool)> {
    let relation = relation.map(Arc::as_ref);
    Ok(deparse::shown_expression(ctx, text, relation, Layout::of(pretty)).unwrap_or_else(|_| (text.to_owned(), false)))
}

fn named(ctx: &CallContext, name: &str) -> Result<Oid> {
    ctx.host.read(oid::REGCLASS, name)
}

fn view(ctx: &CallContext, view: Oid, layout: Layout) -> Result<Option<String>> {
    let image = ctx.host.catalog();
    let Some(relation) = image.relations.get(&view) else { return Ok(None) };
    let Body::View { text, search_path, .. } = &relation.body else {
        return Ok(Some("Not a view".to_owned()));
    };
    let path: Vec<Oid> = search_path.iter().filter_map(|name| image.schema_names.get(name).copied()).collect();
    let columns: Vec<String> = relation.live_attributes().map(|attribute| attribute.name.clone()).collect();
    let shown = deparse::shown_query(ctx, text, &path, &columns, layout).unwrap_or_else(|_| text.clone());
    Ok(Some(format!("{shown};")))
}

/// The rule behind a view, whose oid is the view's.
fn rule(ctx: &CallContext, rule: Oid, pretty: bool) -> Result<Option<String>> {
    let image = ctx.host.catalog();
    let Some(relation) = image.relations.get(&rule).filter(|r| matches!(r.body, Body::View { .. })) else {
        return Ok(None);
    };
    let name = match pretty {
        true => deparse::relation_name(&image, &ctx.host.search_path(true), relation),
        false => deparse::qualified_name(&image, relation),
    };
    let query = view(ctx, rule, Layout::of(pretty))?.unwrap_or_default();
    Ok(Some(format!("CREATE RULE \"_RETURN\" AS\n    ON SELECT TO {name} DO INSTEAD {query}")))
}

// --- indexes ---

fn index(ctx: &CallContext, index: Oid, column: i32, pretty: bool) -> Result<Option<String>> {
    let image = ctx.host.catalog();
    let Some(Body::Index(index)) = image.relations.get(&index).map(|relation| &relation.body) else { return Ok(None) };
    let Some(table) = image.relations.get(&index.table) else { return Ok(None) };
    if column != 0 {
        return index_column(ctx, index, table, column, pretty).map(Some);
    }
    let mut keys = Vec::with_capacity(index.keys.len());
    for (at, key) in index.keys.iter().enumerate() {
        let mut text = index_column(ctx, index, table, at as i32 + 1, pretty)?;
        text.push_str(match (key.descending, key.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        });
        keys.push(text);
    }
    let unique = if index.unique { "UNIQUE " } else { "" };
    let on = match pretty {
        true => deparse::relation_name(&image, &ctx.host.search_path(true), table),
        false => deparse::qualified_name(&image, table),
    };
    let mut text = format!("CREATE {unique}INDEX {} ON {on} USING btree ({})", quote(&index.name), keys.join(", "));
    if !index.include.is_empty() {
        let _ = write!(text, " INCLUDE ({})", columns(table, &index.include));
    }
    if index.nulls_not_distinct {
        text.push_str(" NULLS NOT DISTINCT");
    }
    if let Some((predicate, _)) = &index.predicate {
        let _ = write!(text, " WHERE {}", shown(ctx, predicate, Some(table), pretty)?.0);
    }
    Ok(Some(text))
}

/// One column, counted from 1, INCLUDE's after the keys; empty beyond them.
pub(in crate::executor) fn index_column(
    ctx: &CallContext,
    index: &Index,
    table: &Arc<Relation>,
    column: i32,
    pretty: bool,
) -> Result<String> {
    let Ok(at) = usize::try_from(column - 1) else { return Ok(String::new()) };
    let Some(key) = index.keys.get(at) else {
        let included = index.include.get(at - index.keys.len());
        return Ok(included.map_or_else(String::new, |number| columns(table, &[*number])));
    };
    match &key.expression {
        Some(text) => {
            let (text, function) = shown(ctx, text, Some(table), pretty)?;
            Ok(if function { text } else { format!("({text})") })
        }
        None => Ok(columns(table, &[key.attribute])),
    }
}

/// Column names of a table, separated by commas.
fn columns(table: &Relation, numbers: &[i16]) -> String {
    let name = |number: &i16| {
        let attribute = usize::try_from(*number - 1).ok().and_then(|at| table.attributes.get(at));
        attribute.map_or_else(String::new, |attribute| quote(&attribute.name))
    };
    numbers.iter().map(name).collect::<Vec<_>>().join(", ")
}

// --- constraints ---

fn constraint_by_oid(ctx: &CallContext, constraint: Oid, pretty: bool) -> Result<Option<String>> {
    let image = ctx.host.catalog();
    let all = image.relations.values();
    let found = all.flat_map(|relation| relation.constraints.iter().map(move |each| (relation, each)));
    let mut found = found.filter(|(_, each)| each.oid == constraint);
    match found.next() {
        Some((table, constraint)) => constraint_text(ctx, &image, table, constraint, pretty).map(Some),
        None => Ok(domain_check(ctx, &image, constraint, pretty)),
    }
}

/// A domain's check.
fn domain_check(ctx: &CallContext, image: &Image, constraint: Oid, pretty: bool) -> Option<String> {
    image.types.values().filter_map(|ty| ty.domain()).find_map(|domain| {
        let check = domain.checks.iter().find(|check| check.oid == constraint)?;
        let shown = deparse::shown_check(ctx, &check.expression, domain, Layout::of(pretty));
        let shown = shown.unwrap_or_else(|_| check.expression.clone());
        Some(format!("CHECK ({shown}){}", if check.validated { "" } else { " NOT VALID" }))
    })
}

fn constraint_text(
    ctx: &CallContext,
    image: &Image,
    table: &Arc<Relation>,
    constraint: &Constraint,
    pretty: bool,
) -> Result<String> {
    let key = |what: &str, columns_of: &[i16], index: Oid| {
        let index = image.relations.get(&index).and_then(|relation| match &relation.body {
            Body::Index(index) => Some(index.clone()),
            _ => None,
        });
        let nulls = index.as_ref().is_some_and(|index| index.nulls_not_distinct);
        let mut text =
            format!("{what}{} ({})", if nulls { " NULLS NOT DISTINCT" } else { "" }, columns(table, columns_of));
        if let Some(index) = index.filter(|index| !index.include.is_empty()) {
            let _ = write!(text, " INCLUDE ({})", columns(table, &index.include));
        }
        text
    };
    let mut text = match &constraint.kind {
        ConstraintKind::Check { expression, no_inherit, .. } => {
            let (shown, _) = shown(ctx, expression, Some(table), pretty)?;
            format!("CHECK ({shown}){}", if *no_inherit { " NO INHERIT" } else { "" })
        }
        ConstraintKind::PrimaryKey { columns, index } => key("PRIMARY KEY", columns, *index),
        ConstraintKind::Unique { columns, index } => key("UNIQUE", columns, *index),
        ConstraintKind::ForeignKey { .. } => foreign_key(ctx, image, table, &constraint.kind),
    };
    if constraint.deferrable {
        text.push_str(" DEFERRABLE");
    }
    if constraint.deferred {
        text.push_str(" INITIALLY DEFERRED");
    }
    if !constraint.validated {
        text.push_str(" NOT VALID");
    }
    Ok(text)
}

fn foreign_key(ctx: &CallContext, image: &Image, table: &Relation, kind: &ConstraintKind) -> String {
    let ConstraintKind::ForeignKey {
        columns: own,
        references,
        referenced_columns,
        on_update,
        on_delete,
        delete_columns,
        match_full,
        index: _,
    } = kind
    else {
        return String::new();
    };
    let Some(target) = image.relations.get(references) else { return String::new() };
    let name = deparse::relation_name(image, &ctx.host.search_path(true), target);
    let (own, referenced) = (columns(table, own), columns(target, referenced_columns));
    let mut text = format!("FOREIGN KEY ({own}) REFERENCES {name}({referenced})");
    if *match_full {
        text.push_str(" MATCH FULL");
    }
    for (event, action) in [("UPDATE", on_update), ("DELETE", on_delete)] {
        let action = match action {
            ReferentialAction::NoAction => continue,
            ReferentialAction::Restrict => "RESTRICT",
            ReferentialAction::Cascade => "CASCADE",
            ReferentialAction::SetNull => "SET NULL",
            ReferentialAction::SetDefault => "SET DEFAULT",
        };
        let _ = write!(text, " ON {event} {action}");
    }
    if !delete_columns.is_empty() {
        let _ = write!(text, " ({})", columns(table, delete_columns));
    }
    text
}

// --- functions ---

fn with_function<T>(oid: Oid, show: impl FnOnce(&'static Function, &'static FunctionDetail) -> T) -> Option<T> {
    Some(show(builtin::function_by_oid(oid)?, builtin::function_detail(oid)?))
}

fn type_name(ctx: &CallContext, ty: Oid) -> String {
    deparse::type_name(&ctx.host.catalog(), &ctx.host.search_path(true), Type::new(ty), false)
}

/// The arguments as CREATE FUNCTION has them; with `table`, the columns of RETURNS TABLE instead.
fn arguments(ctx: &CallContext, function: &Function, detail: &FunctionDetail, defaults: bool, table: bool) -> String {
    let all: &[Oid] = if detail.all_args.is_empty() { function.args } else { &detail.all_args };
    // Ordered-set aggregates: where ORDER BY stands among the arguments.
    let aggregate = (function.kind == FunctionKind::Aggregate).then(|| builtin::aggregate(function.oid)).flatten();
    let ordered = aggregate.filter(|row| row.kind != b'n').map(|row| row.direct_args as usize);
    let first_default = function.args.len() - detail.defaults.len();
    let (mut text, mut shown, mut input) = (String::new(), 0, 0);
    for (i, ty) in all.iter().enumerate() {
        let mode = detail.modes.get(i).copied().unwrap_or(b'i');
        let is_input = matches!(mode, b'i' | b'b' | b'v');
        let at = input;
        input += usize::from(is_input);
        if (mode == b't') != table {
            continue;
        }
        if Some(shown) == ordered {
            text.push_str(if shown > 0 { " " } else { "" });
            text.push_str("ORDER BY ");
        } else if shown > 0 {
            text.push_str(", ");
        }
        shown += 1;
        text.push_str(match mode {
            b'o' => "OUT ",
            b'b' => "INOUT ",
            b'v' => "VARIADIC ",
            _ => "",
        });
        if let Some(name) = detail.names.get(i).filter(|name| !name.is_empty()) {
            let _ = write!(text, "{} ", quote(name));
        }
        text.push_str(&type_name(ctx, *ty));
        if defaults && is_input && at >= first_default {
            let _ = write!(text, " DEFAULT {}", detail.defaults[at - first_default]);
        }
        // A hypothetical-set aggregate's one variadic argument stands on both sides.
        if ordered == Some(shown) && i + 1 == all.len() && mode == b'v' {
            let _ = write!(text, " ORDER BY VARIADIC {}", type_name(ctx, *ty));
        }
    }
    text
}

fn result(ctx: &CallContext, function: &Function, detail: &FunctionDetail) -> Option<String> {
    if function.kind == FunctionKind::Procedure {
        return None;
    }
    if function.set && detail.modes.contains(&b't') {
        return Some(format!("TABLE({})", arguments(ctx, function, detail, false, true)));
    }
    Some(format!("{}{}", if function.set { "SETOF " } else { "" }, type_name(ctx, function.result)))
}

fn argument_default(function: Oid, argument: i32) -> Option<String> {
    with_function(function, |function, detail| {
        let first = function.args.len() - detail.defaults.len();
        let at = usize::try_from(argument - 1).ok()?.checked_sub(first)?;
        detail.defaults.get(at).map(|text| (*text).to_owned())
    })
    .flatten()
}

fn function_definition(ctx: &CallContext, oid: Oid) -> Result<Option<String>> {
    let Some((function, detail)) = with_function(oid, |function, detail| (function, detail)) else { return Ok(None) };
    if function.kind == FunctionKind::Aggregate {
        let message = format!("\"{}\" is an aggregate function", function.name);
        return Err(Error::new(SqlState::WrongObjectType, message));
    }
    if detail.language == "sql" {
        return Err(Error::unsupported(format!("the definition of \"{}\", which is written in SQL,", function.name)));
    }
    let kind = if function.kind == FunctionKind::Procedure { "PROCEDURE" } else { "FUNCTION" };
    let (schema, name) = (quote(detail.schema), quote(function.name));
    let mut text =
        format!("CREATE OR REPLACE {kind} {schema}.{name}({})\n", arguments(ctx, function, detail, true, false));
    if let Some(result) = result(ctx, function, detail) {
        let _ = writeln!(text, " RETURNS {result}");
    }
    let _ = writeln!(text, " LANGUAGE {}", quote(detail.language));
    let mut properties = String::new();
    let mut add = |present: bool, property: &str| {
        if present {
            properties.push(' ');
            properties.push_str(property);
        }
    };
    add(function.kind == FunctionKind::Window, "WINDOW");
    add(function.volatility == Volatility::Immutable, "IMMUTABLE");
    add(function.volatility == Volatility::Stable, "STABLE");
    add(detail.parallel == b's', "PARALLEL SAFE");
    add(detail.parallel == b'r', "PARALLEL RESTRICTED");
    add(function.strict, "STRICT");
    add(detail.security_definer, "SECURITY DEFINER");
    add(detail.leakproof, "LEAKPROOF");
    add(detail.cost != "1", &format!("COST {}", detail.cost));
    add(!matches!(detail.rows, "0" | "1000"), &format!("ROWS {}", detail.rows));
    let support = builtin::function_by_oid(detail.support);
    add(support.is_some(), &format!("SUPPORT {}", support.map_or("", |function| function.name)));
    if !properties.is_empty() {
        let _ = writeln!(text, "{properties}");
    }
    let tag = kind.to_lowercase();
    let _ = writeln!(text, "AS ${tag}${}${tag}$", function.symbol);
    Ok(Some(text))
}

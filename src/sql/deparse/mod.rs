//! Stored expressions and queries back to SQL text, exactly as PostgreSQL 15's `ruleutils.c` writes it.
//!
//! The typed tree that is executed has lost what the text needs: the syntax of joins and windows, which casts were
//! written, IN lists, names. So the way back begins at the syntax tree, in two steps with a tree between them:
//!
//! | step | what |
//! |---|---|
//! | [`analyze`] | syntax tree to PostgreSQL's analysed tree ([`tree`]): names become places, objects oids, implicit casts nodes; operators, functions and types are found by the binder's own code |
//! | `print` | that tree to text, under a search path and a layout |
//!
//! The catalogs of the two steps may differ. A text that is read under the catalog as it was before a RENAME and written
//! under the one after it says the same under the new names: that is how views, checks, defaults and index expressions
//! follow their tables (`Source::rewritten`). Texts are stored in canonical form (`Source::canonical`): every `*`
//! expanded, every name outside pg_catalog qualified, so that no later search path or new column changes their meaning.
//!
//! Absent: writing statements (views have none), functions in SQL bodies, rules, triggers.

mod analyze;
mod print;
mod tree;
mod visit;

use crate::catalog::image::{Domain, Image, Relation};
use crate::catalog::store::fixed;
use crate::error::{Error, Result};
use crate::executor::functions::CallContext;
pub(crate) use crate::executor::functions::string::quote_identifier as quote;
use crate::sql::ast::{self, Statement};
use crate::sql::bind::BindContext;
use crate::sql::parse;
use crate::types::{Oid, Type};
use analyze::Analyzer;
pub(crate) use print::Layout;
use print::Printer;
pub(crate) use print::{qualified_name, relation_name, type_name};
use std::sync::Arc;

/// Schemas that a stored text needs no qualification for.
const STORED_PATH: &[Oid] = &[fixed::PG_CATALOG];

/// The binder's context for a catalog and search path.
pub(crate) fn context<'a>(image: &Arc<Image>, path: &[Oid], call: &'a CallContext) -> BindContext<'a> {
    BindContext {
        image: image.clone(),
        search_path: path.to_vec(),
        temp_schema: None,
        user: fixed::POSTGRES_ROLE,
        declared_params: Vec::new(),
        call,
        reads_clock: Default::default(),
    }
}

/// An expression as a canonical text: what DEFAULT, CHECK, generated columns and indexes store. `expected` is the type that
/// it is assigned to, for a column's value.
///
/// # Errors
/// XX000 when the binder would not take the text.
pub(crate) fn canonical_expression(
    ctx: &BindContext<'_>,
    text: &str,
    relation: Option<&Relation>,
    expected: Option<Type>,
) -> Result<String> {
    let expr = parse::expression(text)?;
    let (node, level) = Analyzer::new(ctx, true).whole_expression(&expr, relation, expected)?;
    Ok(Printer::new(&ctx.image, STORED_PATH, Layout::STORED).expression(&node, &level))
}

/// A view's query as a canonical text.
///
/// # Errors
/// XX000 when the binder would not take the text.
pub(crate) fn canonical_query(ctx: &BindContext<'_>, text: &str) -> Result<String> {
    let query = Analyzer::new(ctx, true).whole_query(&parse_query(text)?)?;
    Ok(Printer::new(&ctx.image, STORED_PATH, Layout::STORED).view(&query, None))
}

/// A stored expression over `relation` (none for a DEFAULT), read under the catalog `before` and written under `after`.
///
/// # Errors
/// XX000 when the text does not fit the catalog.
pub(crate) fn renamed_expression(
    before: &Arc<Image>,
    after: &Image,
    call: &CallContext,
    text: &str,
    relation: Option<&Relation>,
) -> Result<String> {
    let ctx = context(before, STORED_PATH, call);
    let expr = parse::expression(text)?;
    let (node, level) = Analyzer::new(&ctx, true).whole_expression(&expr, relation, None)?;
    Ok(Printer::new(after, STORED_PATH, Layout::STORED).expression(&node, &level))
}

/// A stored query, read under the catalog `before` and written under `after`.
///
/// # Errors
/// XX000 when the text does not fit the catalog.
pub(crate) fn renamed_query(before: &Arc<Image>, after: &Image, call: &CallContext, text: &str) -> Result<String> {
    let ctx = context(before, STORED_PATH, call);
    let query = Analyzer::new(&ctx, true).whole_query(&parse_query(text)?)?;
    Ok(Printer::new(after, STORED_PATH, Layout::STORED).view(&query, None))
}

/// A stored expression as users are shown it under the session's search path; and whether it looks like a function call.
pub(crate) fn shown_expression(
    call: &CallContext,
    text: &str,
    relation: Option<&Relation>,
    layout: Layout,
) -> Result<(String, bool)> {
    let image = call.host.catalog();
    let path = call.host.search_path(true);
    let ctx = context(&image, STORED_PATH, call);
    let expr = parse::expression(text)?;
    let (node, level) = Analyzer::new(&ctx, false).whole_expression(&expr, relation, None)?;
    let function = print::looks_like_function(&node);
    Ok((Printer::new(&image, &path, layout).expression(&node, &level), function))
}

/// A domain's check as users are shown it: the value that it is about is VALUE.
pub(crate) fn shown_check(call: &CallContext, text: &str, domain: &Domain, layout: Layout) -> Result<String> {
    let (shown, _) = shown_expression(call, text, Some(&domain.row()), layout)?;
    let mut out = String::with_capacity(shown.len());
    let mut at = 0;
    for word in parse::words(&shown)? {
        if &shown[word.clone()] == "value" {
            out.push_str(&shown[at..word.start]);
            out.push_str("VALUE");
            at = word.end;
        }
    }
    out.push_str(&shown[at..]);
    Ok(out)
}

/// A stored query as users are shown it; `columns` are the view's names for its columns.
pub(crate) fn shown_query(
    call: &CallContext,
    text: &str,
    path: &[Oid],
    columns: &[String],
    layout: Layout,
) -> Result<String> {
    let image = call.host.catalog();
    let shown = call.host.search_path(true);
    let ctx = context(&image, path, call);
    let query = Analyzer::new(&ctx, false).whole_query(&parse_query(text)?)?;
    Ok(Printer::new(&image, &shown, layout).view(&query, Some(columns)))
}

fn parse_query(text: &str) -> Result<ast::Query> {
    match parse::parse_one(text)? {
        Statement::Query(query) => Ok(*query),
        _ => Err(Error::internal("a stored query is no query")),
    }
}

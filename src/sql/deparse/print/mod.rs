//! From the analysed tree to text, as PostgreSQL 15's `ruleutils.c` writes it.
//!
//! Two switches: `indent` breaks lines (all of PostgreSQL's functions set it), `paren` leaves out parentheses that
//! precedence makes needless (their `pretty` argument).

mod expr;
mod names;
mod query;
mod types;

pub(super) use expr::looks_like_function;
pub(crate) use types::type_name;

use super::quote;
use super::tree::{Node, Query};
use crate::catalog::image::{Image, Relation};
use crate::types::Oid;
use names::Names;

/// How a text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Line breaks and indentation.
    pub(crate) indent: bool,
    /// Only parentheses that are needed.
    pub(crate) paren: bool,
    /// Columns after which a select list is wrapped; 0: one item a line, negative: never.
    pub(crate) wrap: i32,
}

impl Layout {
    /// One line, all parentheses: for texts that are read again.
    pub(crate) const STORED: Layout = Layout { indent: false, paren: false, wrap: -1 };

    /// What PostgreSQL's functions use for their `pretty` argument.
    pub(crate) const fn of(pretty: bool) -> Layout {
        Layout { indent: true, paren: pretty, wrap: 0 }
    }
}

/// Indentations of `ruleutils.c`.
const STD: i32 = 8;
const JOIN: i32 = 4;
const VAR: i32 = 4;
const LIMIT: i32 = 40;

/// See the module.
pub(super) struct Printer<'a> {
    image: &'a Image,
    /// Schemas whose names need no qualification.
    path: &'a [Oid],
    layout: Layout,
    out: String,
    indent: i32,
    /// Query levels, outermost first.
    levels: Vec<Names<'a>>,
    /// Columns are written with their table's name.
    prefix: bool,
}

impl<'a> Printer<'a> {
    pub(super) fn new(image: &'a Image, path: &'a [Oid], layout: Layout) -> Printer<'a> {
        Printer { image, path, layout, out: String::new(), indent: 0, levels: Vec::new(), prefix: false }
    }

    /// An expression over the one item of `level`, its columns unqualified.
    pub(super) fn expression(mut self, node: &'a Node, level: &'a Query) -> String {
        self.levels.push(Names::of(self.image, level, &[]));
        self.expr(node, false);
        self.out
    }

    /// A view's query; `columns` are the view's names for its columns.
    pub(super) fn view(mut self, query: &'a Query, columns: Option<&[String]>) -> String {
        self.prefix = true;
        self.query(query, columns, true);
        self.out
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn push_name(&mut self, name: &str) {
        let name = quote(name);
        self.out.push_str(&name);
    }

    fn trim(&mut self) {
        let kept = self.out.trim_end_matches(' ').len();
        self.out.truncate(kept);
    }

    /// A keyword on a new line where lines are broken (`appendContextKeyword`).
    fn keyword(&mut self, text: &str, before: i32, after: i32, plus: i32) {
        if !self.layout.indent {
            return self.push(text);
        }
        self.indent += before;
        self.trim();
        let amount = match self.indent < LIMIT {
            true => self.indent.max(0) + plus,
            false => (LIMIT + (self.indent - LIMIT) / (STD / 2)) % LIMIT + plus,
        };
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', amount.max(0) as usize));
        self.out.push_str(text);
        self.indent = (self.indent + after).max(0);
    }

    /// Writes something apart, so that its length decides about a line break.
    fn apart(&mut self, write: impl FnOnce(&mut Self)) -> String {
        let before = std::mem::take(&mut self.out);
        write(self);
        std::mem::replace(&mut self.out, before)
    }

    /// Bytes on the last line so far.
    fn line_length(&self) -> i32 {
        (self.out.len() - self.out.rfind('\n').map_or(0, |at| at + 1)) as i32
    }

    fn separated<T>(&mut self, items: &[T], separator: &str, mut write: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.push(separator);
            }
            write(self, item);
        }
    }
}

/// A relation's name, qualified unless the path finds it.
pub(crate) fn relation_name(image: &Image, path: &[Oid], relation: &Relation) -> String {
    let first = path.iter().find_map(|schema| image.relation(*schema, &relation.name));
    match first.is_some_and(|found| found.oid == relation.oid) {
        true => quote(&relation.name),
        false => qualified_name(image, relation),
    }
}

/// A relation's name with its schema.
pub(crate) fn qualified_name(image: &Image, relation: &Relation) -> String {
    let schema = image.schemas.get(&relation.schema).map_or(relation.schema_name.as_str(), |schema| &schema.name);
    format!("{}.{}", quote(schema), quote(&relation.name))
}

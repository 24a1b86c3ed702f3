//! A statement's text apart from its literals, and literals as parameters: how the plan cache knows one statement with
//! other values.
//!
//! 1. [`Template::of`] runs the lexer over a text and gives its *shape*: the text with every plain literal replaced by its class
//!    (int4, int8, numeric with its scale, string). Two texts of one shape differ in literals' values only.
//! 2. [`parameterize`] makes `$n` of those literals of a syntax tree whose value neither grammar nor planning reads: an operand
//!    of a comparison or of arithmetic whose other operand has a column, in WHERE, ON and SET, and the items of an INSERT's
//!    single row. There a parameter of the literal's type means what the literal means: nothing is folded, nothing is named by
//!    it, no position or modifier is meant. All other literals stay, and a plan serves only texts that have the same ones.
//!
//! An unquoted string's type is undecided as that of a parameter without a declared type: the same rules decide both.

use super::lexer::{self, Kind, Lexer, Token};
use crate::sql::ast::{Assignment, Expr, ExprKind, JoinCondition, Literal, SetExpr, Statement, TableRef};
use crate::types::{Oid, oid};

/// Longest text that has a shape, and most literals in it: what is larger takes its time anyway.
const TEXT_BYTES_MAX: usize = 16 << 10;
const LITERALS_MAX: usize = 500;

/// What type a literal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Int4,
    Int8,
    /// By its digits behind the point.
    Numeric(u16),
    String,
}

/// A literal of a text.
#[derive(Clone, Copy, Debug)]
struct Place {
    class: Class,
    token: Token,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Template<'a> {
    text: &'a str,
    /// The text with a mark for each literal.
    shape: Vec<u8>,
    literals: Vec<Place>,
    /// It names parameters itself.
    pub has_parameters: bool,
}

/// A literal that has become a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    /// Which of the text's literals.
    literal: u16,
    /// A minus stands before it, which is part of its value.
    negative: bool,
}

impl<'a> Template<'a> {
    /// The shape of a text with one statement that is planned; `None`: it is none, has an error, or is too large.
    pub(crate) fn of(text: &'a str) -> Option<Template<'a>> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let mut lexer = Lexer::for_literals(text);
        let mut template =
            Template { text, shape: Vec::with_capacity(text.len() + 16), literals: Vec::new(), has_parameters: false };
        let mut copied = 0;
        let mut ended = false;
        let first = lexer.next().ok()?;
        let word = &text[first.start as usize..first.end as usize];
        if !["select", "insert", "update", "delete", "with", "values", "table"]
            .iter()
            .any(|w| word.eq_ignore_ascii_case(w))
        {
            return None;
        }
        loop {
            let token = lexer.next().ok()?;
            match token.kind {
                Kind::End => break,
                _ if ended => return None,
                Kind::Sign(b';') => ended = true,
                Kind::Param => template.has_parameters = true,
                Kind::Integer | Kind::Number | Kind::String => {
                    let source = &text[token.start as usize..token.end as usize];
                    let Some(class) = class(token.kind, source) else { continue };
                    if template.literals.len() == LITERALS_MAX {
                        return None;
                    }
                    template.shape.extend_from_slice(&text.as_bytes()[copied..token.start as usize]);
                    // No text has a NUL in it.
                    match class {
                        Class::Int4 => template.shape.extend_from_slice(b"\0i"),
                        Class::Int8 => template.shape.extend_from_slice(b"\0l"),
                        Class::Numeric(scale) => {
                            template.shape.extend_from_slice(b"\0n");
                            template.shape.extend_from_slice(&scale.to_be_bytes());
                        }
                        Class::String => template.shape.extend_from_slice(b"\0s"),
                    }
                    template.literals.push(Place { class, token });
                    copied = token.end as usize;
                }
                _ => {}
            }
        }
        template.shape.extend_from_slice(&text.as_bytes()[copied..]);
        Some(template)
    }

    /// The text itself.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// The text with a mark for each literal.
    pub(crate) fn shape(&self) -> &[u8] {
        &self.shape
    }

    fn source(&self, place: &Place) -> &'a str {
        &self.text[place.token.start as usize..place.token.end as usize]
    }

    /// The literals that are no parameters, as written.
    pub(crate) fn fixed(&self, holes: &[Hole]) -> Vec<Box<str>> {
        let is_hole = |i: usize| holes.iter().any(|hole| usize::from(hole.literal) == i);
        let fixed = self.literals.iter().enumerate().filter(|(i, _)| !is_hole(*i));
        fixed.map(|(_, place)| self.source(place).into()).collect()
    }

    /// Whether those are `fixed`. Holes are in the order of the text.
    pub(crate) fn has_fixed(&self, holes: &[Hole], fixed: &[Box<str>]) -> bool {
        let (mut holes, mut fixed) = (holes.iter().peekable(), fixed.iter());
        self.literals.iter().enumerate().all(|(i, place)| {
            if holes.next_if(|hole| usize::from(hole.literal) == i).is_some() {
                return true;
            }
            fixed.next().is_some_and(|fixed| **fixed == *self.source(place))
        })
    }

    /// The text of a parameter's value as its type's input function reads it.
    pub(crate) fn value(&self, hole: Hole) -> Option<std::borrow::Cow<'a, str>> {
        let place = self.literals.get(usize::from(hole.literal))?;
        let source = self.source(place);
        Some(match place.class {
            Class::String if is_plain(source) => source[1..source.len() - 1].into(),
            Class::String => lexer::string_value(self.text, place.token).ok()?.into(),
            _ if hole.negative => format!("-{source}").into(),
            _ => source.into(),
        })
    }

    /// The type that a parameter in a literal's place is declared with; `None`: as undecided as the string.
    fn declared(&self, hole: Hole) -> Option<Oid> {
        match self.literals[usize::from(hole.literal)].class {
            Class::Int4 => Some(oid::INT4),
            Class::Int8 => Some(oid::INT8),
            Class::Numeric(_) => Some(oid::NUMERIC),
            Class::String => None,
        }
    }

    /// The literal that begins at a character position, perhaps with a minus before it.
    fn at(&self, pos: u32, is_ascii: bool) -> Option<(usize, bool)> {
        let byte = match is_ascii {
            true => pos.checked_sub(1)? as usize,
            false => self.text.char_indices().nth(pos.checked_sub(1)? as usize)?.0,
        };
        let negative = self.text.as_bytes().get(byte) == Some(&b'-');
        let from = match negative {
            true => byte + 1 + self.text[byte + 1..].find(|c: char| !c.is_ascii_whitespace())?,
            false => byte,
        };
        let at = self.literals.binary_search_by_key(&(from as u32), |place| place.token.start).ok()?;
        Some((at, negative))
    }
}

/// One piece without a quote in it.
fn is_plain(source: &str) -> bool {
    source.len() >= 2 && source.starts_with('\'') && source.bytes().filter(|b| *b == b'\'').count() == 2
}

/// A literal's class; `None` for what stays part of the text.
fn class(kind: Kind, source: &str) -> Option<Class> {
    match kind {
        Kind::Integer => Some(Class::Int4),
        Kind::String => source.starts_with('\'').then_some(Class::String),
        _ if source.bytes().all(|b| b.is_ascii_digit()) => match source.parse::<u64>() {
            // With a minus before them these are of a narrower type.
            Ok(2_147_483_648 | 9_223_372_036_854_775_808) => None,
            Ok(value) if value <= i64::MAX as u64 => Some(Class::Int8),
            _ => Some(Class::Numeric(0)),
        },
        _ if source.contains(['e', 'E']) => None,
        _ => {
            let scale = source.find('.').map_or(0, |point| source.len() - point - 1);
            u16::try_from(scale).ok().map(Class::Numeric)
        }
    }
}

/// Makes `$1`, `$2`, … of the literals of a statement that may be parameters, or of `only` these: which, and the types declared
/// for them.
pub(crate) fn parameterize(
    statement: &mut Statement,
    template: &Template<'_>,
    only: Option<&[Hole]>,
) -> (Vec<Hole>, Vec<Option<Oid>>) {
    let is_ascii = template.text.is_ascii();
    let mut walk = Walk { template, is_ascii, found: Vec::new() };
    walk.statement(statement);
    // Numbered in the order of the text.
    let mut found = walk.found;
    found.retain(|(hole, _)| only.is_none_or(|only| only.contains(hole)));
    found.sort_by_key(|(hole, _)| hole.literal);
    let unique = found.windows(2).all(|pair| pair[0].0.literal != pair[1].0.literal);
    debug_assert!(unique, "a literal is one node of the tree");
    for (i, (_, expr)) in found.iter_mut().enumerate() {
        expr.kind = ExprKind::Param(i as u32 + 1);
    }
    let holes: Vec<Hole> = found.iter().map(|(hole, _)| *hole).collect();
    let declared = holes.iter().map(|hole| template.declared(*hole)).collect();
    (holes, declared)
}

struct Walk<'t, 'a, 'e> {
    template: &'t Template<'a>,
    is_ascii: bool,
    found: Vec<(Hole, &'e mut Expr)>,
}

impl<'e> Walk<'_, '_, 'e> {
    fn statement(&mut self, statement: &'e mut Statement) {
        match statement {
            Statement::Query(query) => {
                if let SetExpr::Select(select) = &mut query.body {
                    select.from.iter_mut().for_each(|item| self.table(item));
                    select.filter.iter_mut().for_each(|filter| self.condition(filter));
                }
            }
            Statement::Insert(insert) => {
                if let Some(source) = &mut insert.source
                    && source.with.is_none()
                    && source.order_by.is_empty()
                    && source.limit.is_none()
                    && source.offset.is_none()
                    && let SetExpr::Values { rows, .. } = &mut source.body
                    && let [row] = &mut rows[..]
                {
                    row.iter_mut().for_each(|item| self.literal(item));
                }
                if let Some(conflict) = &mut insert.on_conflict
                    && let Some((assignments, filter)) = &mut conflict.update
                {
                    self.assignments(assignments);
                    filter.iter_mut().for_each(|filter| self.condition(filter));
                }
            }
            Statement::Update(update) => {
                self.assignments(&mut update.assignments);
                update.from.iter_mut().for_each(|item| self.table(item));
                update.filter.iter_mut().for_each(|filter| self.condition(filter));
            }
            Statement::Delete(delete) => {
                delete.using.iter_mut().for_each(|item| self.table(item));
                delete.filter.iter_mut().for_each(|filter| self.condition(filter));
            }
            Statement::Utility(_) => {}
        }
    }

    fn table(&mut self, item: &'e mut TableRef) {
        if let TableRef::Join { left, right, condition, .. } = item {
            self.table(left);
            self.table(right);
            if let JoinCondition::On(condition) = condition {
                self.condition(condition);
            }
        }
    }

    fn assignments(&mut self, assignments: &'e mut [Assignment]) {
        for assignment in assignments {
            if !assignment.multiple && assignment.columns.iter().all(|column| column.path.is_empty()) {
                match assignment.value.kind {
                    ExprKind::Literal(_) => self.literal(&mut assignment.value),
                    _ => self.arithmetic(&mut assignment.value),
                }
            }
        }
    }

    fn condition(&mut self, expr: &'e mut Expr) {
        match &mut expr.kind {
            ExprKind::And(items) | ExprKind::Or(items) => items.iter_mut().for_each(|item| self.condition(item)),
            ExprKind::Not(inner) => self.condition(inner),
            ExprKind::Operator { op, left: Some(left), right }
                if op.schema.is_none() && matches!(&*op.name, "=" | "<>" | "<" | "<=" | ">" | ">=") =>
            {
                self.operands(left, right);
            }
            ExprKind::Between { negated: _, symmetric: false, expr, low, high } if has_column(expr) => {
                self.arithmetic(expr);
                self.literal(low);
                self.literal(high);
            }
            _ => {}
        }
    }

    fn arithmetic(&mut self, expr: &'e mut Expr) {
        if let ExprKind::Operator { op, left: Some(left), right } = &mut expr.kind
            && op.schema.is_none()
            && matches!(&*op.name, "+" | "-" | "*" | "/" | "%")
        {
            self.operands(left, right);
        }
    }

    /// Two operands, one of which has a column: a literal that is the other.
    fn operands(&mut self, left: &'e mut Expr, right: &'e mut Expr) {
        match (has_column(left), has_column(right)) {
            (true, false) => {
                self.arithmetic(left);
                self.literal(right);
            }
            (false, true) => {
                self.literal(left);
                self.arithmetic(right);
            }
            (true, true) => {
                self.arithmetic(left);
                self.arithmetic(right);
            }
            (false, false) => {}
        }
    }

    fn literal(&mut self, expr: &'e mut Expr) {
        let ExprKind::Literal(literal) = &expr.kind else { return };
        let Some((at, negative)) = self.template.at(expr.pos, self.is_ascii) else { return };
        let hole = Hole { literal: at as u16, negative };
        // The token must be all that the node was made of.
        let same = match (literal, self.template.value(hole)) {
            (Literal::Integer(value), Some(text)) => text.parse() == Ok(*value),
            (Literal::Numeric(value) | Literal::String(value), Some(text)) => *text == **value,
            _ => false,
        };
        if same {
            self.found.push((hole, expr));
        }
    }
}

/// Whether an expression is computed of a column, so that nothing of it is constant; subqueries are not looked into.
fn has_column(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Column(_) => true,
        ExprKind::Operator { op: _, left, right } => left.as_deref().is_some_and(has_column) || has_column(right),
        ExprKind::Cast { expr, ty: _ } => has_column(expr),
        ExprKind::Function(call) => call.args.iter().any(|argument| has_column(&argument.value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text's parameters as they would be declared, `?` for undecided ones, and the literals that stay.
    fn shown(text: &str) -> String {
        let template = Template::of(text).unwrap();
        let mut statement = crate::sql::parse::parse_one(text).unwrap();
        let (holes, declared) = parameterize(&mut statement, &template, None);
        let holes_shown = holes.iter().zip(declared).map(|(hole, ty)| {
            let ty = match ty {
                None => "?",
                Some(oid::INT4) => "int4",
                Some(oid::INT8) => "int8",
                Some(_) => "numeric",
            };
            format!("{}:{ty}", template.value(*hole).unwrap())
        });
        let holes_shown: Vec<String> = holes_shown.collect();
        format!("{} | {}", holes_shown.join(" "), template.fixed(&holes).join(" "))
    }

    #[test]
    fn only_values_become_parameters() {
        assert_eq!(shown("select a from t where b = 5 and c < 'x''y'"), "5:int4 x'y:? | ");
        assert_eq!(shown("select 1, 'a' from t where b + 3000000000 > 1.50"), "3000000000:int8 1.50:numeric | 1 'a'");
        assert_eq!(
            shown("update t set a = a + -5, b = 'z', c = - 7 where d between 1 and 2;"),
            "-5:int4 z:? -7:int4 1:int4 2:int4 | "
        );
        assert_eq!(shown("insert into t values (1, -2, 'a', now(), 1 + 1)"), "1:int4 -2:int4 a:? | 1 1");
        // What the grammar or the planner reads stays.
        assert_eq!(shown("select a from t where b in (1, 2) order by 1 limit 3"), " | 1 2 1 3");
        assert_eq!(
            shown("select a::numeric(4, 2) from t where b like 'x%' and c = date '2020-01-01'"),
            " | 4 2 'x%' '2020-01-01'"
        );
        assert_eq!(shown("select 1 where 1 = 1"), " | 1 1 1");
        assert_eq!(shown("select a + 1 from t group by a + 1"), " | 1 1");
        assert_eq!(shown("select a from t where b = interval '1 day' and 'é' <> c"), "é:? | '1 day'");
        assert_eq!(shown("insert into t values (1), (2)"), " | 1 2");
        // The narrowest negative number of a type is wider without its sign.
        assert_eq!(shown("select a from t where b = -2147483648 or b = -2147483647"), "-2147483647:int4 | ");
        assert_eq!(shown("select a from t where b = E'x' or b = 'c'"), "c:? | ");
    }

    #[test]
    fn texts_have_one_shape_when_they_differ_in_values_alone() {
        let same = |a: &str, b: &str| Template::of(a).unwrap().shape() == Template::of(b).unwrap().shape();
        assert!(same("select 1", "select 2147483647"));
        assert!(!same("select 1", "select 3000000000"));
        assert!(!same("select 1.5", "select 1.50"));
        assert!(same("select 'a'", "select 'it''s'"));
        assert!(!same("select 'a'", "select  'a'"));
        assert!(!same("select E'a'", "select E'b'"));
        for none in ["begin", "select 1; select 2", "create table t (a int)", "select 'a", "explain select 1", ""] {
            assert!(Template::of(none).is_none(), "{none}");
        }
    }
}

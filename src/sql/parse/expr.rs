//! Expressions: precedence climbing over PostgreSQL's table of operators.
//!
//! Lowest first: OR; AND; NOT; IS; comparisons; BETWEEN, IN, LIKE; other operators; + -; * / %; ^; AT TIME ZONE; COLLATE;
//! unary minus; subscripts, `::`. IS, comparisons and BETWEEN/IN/LIKE do not associate. Unary minus binds tighter than `^`:
//! `-2 ^ 2` is 4.

use super::keywords::Category;
use super::lexer::{self, Kind};
use super::parser::Parser;
use super::types::system_type;
use crate::error::Result;
use crate::sql::ast::{
    Argument, BooleanTest, BoundSpec, Expr, ExprKind, FrameExclude, FrameSpec, FrameUnit, FunctionCall, Ident,
    Indirection, LikeKind, Literal, ObjectName, OperatorName, OrderBy, Over, Query, SqlValue, TypeName, WindowSpec,
};

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const IS: u8 = 4;
const COMPARE: u8 = 5;
const RANGE: u8 = 6;
const OPERATOR: u8 = 8;
const ADD: u8 = 9;
const MULTIPLY: u8 = 10;
const POWER: u8 = 11;
const AT: u8 = 12;
const COLLATE: u8 = 13;
const UNARY_MINUS: u8 = 14;

/// A call of a function of pg_catalog.
fn system_call(name: &str, args: Vec<Expr>, pos: u32) -> Expr {
    let name = ObjectName { parts: vec!["pg_catalog".to_owned(), name.to_owned()], pos };
    let args = args.into_iter().map(|value| Argument { name: None, value }).collect();
    let mut call = empty_call(name);
    call.args = args;
    call.sql_syntax = true;
    Expr::new(ExprKind::Function(Box::new(call)), pos)
}

/// The same where the text has it as a common call.
fn plain_call(name: &str, args: Vec<Expr>, pos: u32) -> Expr {
    let mut call = system_call(name, args, pos);
    if let ExprKind::Function(call) = &mut call.kind {
        call.sql_syntax = false;
    }
    call
}

fn empty_call(name: ObjectName) -> FunctionCall {
    FunctionCall {
        name,
        args: Vec::new(),
        variadic: false,
        star: false,
        distinct: false,
        order_by: Vec::new(),
        within_group: Vec::new(),
        filter: None,
        over: None,
        sql_syntax: false,
    }
}

fn literal(value: Literal, pos: u32) -> Expr {
    Expr::new(ExprKind::Literal(value), pos)
}

/// What stands behind `op ANY (` and in `(…)`.
enum Parenthesised {
    Query(Box<Query>),
    Exprs(Vec<Expr>),
}

impl Parser<'_> {
    /// a_expr.
    pub(super) fn expr(&mut self) -> Result<Expr> {
        self.climb(OR, false)
    }

    /// b_expr: what may stand before BETWEEN's AND and in DEFAULT: nothing that begins or ends with a reserved word.
    pub(super) fn restricted_expr(&mut self) -> Result<Expr> {
        self.climb(COMPARE, true)
    }

    fn climb(&mut self, least: u8, restricted: bool) -> Result<Expr> {
        self.deeper(|parser| parser.climb_here(least, restricted))
    }

    fn climb_here(&mut self, least: u8, restricted: bool) -> Result<Expr> {
        let mut left = self.prefix(restricted)?;
        // The level of a non-associative operator just applied: the same level again is an error.
        let mut closed = 0;
        let mut chain = 0u32;
        while let Some(level) = self.infix_level(restricted) {
            if level < least {
                break;
            }
            if level == closed {
                return Err(self.syntax_error());
            }
            // A chain of left-associative operators is a tree as deep as it is long.
            chain += 1;
            if chain > super::DEPTH_MAX && level != AND && level != OR {
                return Err(super::parser::too_deep());
            }
            let (next, open_ended) = self.infix(left, level, restricted)?;
            left = next;
            closed = if open_ended && matches!(level, IS | COMPARE | RANGE) { level } else { 0 };
        }
        Ok(left)
    }

    /// The level of the operator that comes next, if one does.
    fn infix_level(&self, restricted: bool) -> Option<u8> {
        if self.label == Some(self.mark()) {
            return None;
        }
        Some(match self.kind() {
            Kind::Sign(b'<' | b'>' | b'=') | Kind::LessEquals | Kind::GreaterEquals | Kind::NotEquals => COMPARE,
            Kind::Sign(b'+' | b'-') => ADD,
            Kind::Sign(b'*' | b'/' | b'%') => MULTIPLY,
            Kind::Sign(b'^') => POWER,
            Kind::Operator => OPERATOR,
            Kind::Cast | Kind::Sign(b'[') => UNARY_MINUS + 1,
            Kind::Keyword(_) => match self.word() {
                "operator" if self.is_sign_at(1, b'(') => OPERATOR,
                "or" if !restricted => OR,
                "and" if !restricted => AND,
                "is" if restricted => {
                    let ahead = if self.word_at(1) == "not" { 2 } else { 1 };
                    if self.word_at(ahead) != "distinct" {
                        return None;
                    }
                    COMPARE
                }
                "is" | "isnull" | "notnull" => IS,
                "between" | "in" | "like" | "ilike" if !restricted => RANGE,
                "similar" if !restricted && self.word_at(1) == "to" => RANGE,
                "not" if !restricted && matches!(self.word_at(1), "between" | "in" | "like" | "ilike" | "similar") => {
                    RANGE
                }
                "at" if !restricted && self.word_at(1) == "time" => AT,
                "collate" if !restricted => COLLATE,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Applies the next operator; also whether its rule ends in an operand.
    fn infix(&mut self, left: Expr, level: u8, restricted: bool) -> Result<(Expr, bool)> {
        let pos = self.pos();
        match level {
            OR | AND => self.junction(left, level, pos).map(|expr| (expr, false)),
            IS => self.is_test(left, pos),
            COMPARE if self.is_word("is") => self.is_test(left, pos),
            RANGE => self.range_test(left, pos),
            AT => {
                self.expect_words(&["at", "time", "zone"])?;
                let zone = self.climb(AT + 1, false)?;
                Ok((system_call("timezone", vec![zone, left], pos), false))
            }
            COLLATE => {
                self.advance();
                let collation = self.object_name()?;
                Ok((Expr::new(ExprKind::Collate { expr: Box::new(left), collation }, pos), false))
            }
            _ if self.kind() == Kind::Cast => {
                self.advance();
                let ty = self.type_name()?;
                Ok((Expr::new(ExprKind::Cast { expr: Box::new(left), ty }, pos), false))
            }
            // Only primaries take subscripts; what got here is none.
            _ if self.is_sign(b'[') => Err(self.syntax_error()),
            _ => {
                let op = self.any_operator()?;
                if matches!(level, COMPARE | OPERATOR | ADD | MULTIPLY | POWER)
                    && !restricted
                    && let Some(all) = self.quantifier()?
                {
                    return self.quantified(left, op, all, pos).map(|expr| (expr, false));
                }
                let right = self.climb(level + 1, restricted)?;
                let kind = ExprKind::Operator { op, left: Some(Box::new(left)), right: Box::new(right) };
                Ok((Expr::new(kind, pos), true))
            }
        }
    }

    /// qual_Op, MathOp.
    fn any_operator(&mut self) -> Result<OperatorName> {
        if self.is_word("operator") {
            return self.qualified_operator();
        }
        Ok(OperatorName::new(self.operator_sign()?))
    }

    /// ANY, SOME or ALL: reserved words, so a parenthesis must follow.
    fn quantifier(&mut self) -> Result<Option<bool>> {
        let found = self.one_of(&["any", "some", "all"]).map(|word| word == "all");
        if found.is_some() && !self.is_sign(b'(') {
            return Err(self.syntax_error());
        }
        Ok(found)
    }

    fn quantified(&mut self, left: Expr, op: OperatorName, all: bool, pos: u32) -> Result<Expr> {
        let left = Box::new(left);
        let kind = match self.query_or_exprs()? {
            Parenthesised::Query(query) => ExprKind::AnyQuery { op, all, left, query },
            Parenthesised::Exprs(mut list) => match (list.pop(), list.is_empty()) {
                (Some(array), true) => ExprKind::AnyArray { op, all, left, array: Box::new(array) },
                _ => return Err(self.syntax_error()),
            },
        };
        Ok(Expr::new(kind, pos))
    }

    /// `(SELECT …)` or `(expr, …)`.
    fn query_or_exprs(&mut self) -> Result<Parenthesised> {
        if self.is_query_in_parentheses() {
            return self.query_in_parentheses().map(|query| Parenthesised::Query(Box::new(query)));
        }
        self.parenthesised(Self::expr).map(Parenthesised::Exprs)
    }

    fn junction(&mut self, left: Expr, level: u8, pos: u32) -> Result<Expr> {
        let word = if level == OR { "or" } else { "and" };
        let mut items = Vec::new();
        let mut pos = pos;
        match (level, left.kind) {
            // A list in parentheses is flattened too, as PostgreSQL does.
            (OR, ExprKind::Or(list)) | (AND, ExprKind::And(list)) => {
                items = list;
                pos = left.pos;
            }
            (_, kind) => items.push(Expr::new(kind, left.pos)),
        }
        while self.take_word(word) {
            items.push(self.climb(level + 1, false)?);
        }
        Ok(Expr::new(if level == OR { ExprKind::Or(items) } else { ExprKind::And(items) }, pos))
    }

    fn is_test(&mut self, left: Expr, pos: u32) -> Result<(Expr, bool)> {
        let expr = Box::new(left);
        if self.take_word("isnull") {
            return Ok((Expr::new(ExprKind::IsNull { expr, negated: false }, pos), false));
        }
        if self.take_word("notnull") {
            return Ok((Expr::new(ExprKind::IsNull { expr, negated: true }, pos), false));
        }
        self.expect_word("is")?;
        let negated = self.take_word("not");
        let kind = match self.word() {
            "null" => ExprKind::IsNull { expr, negated },
            "true" => ExprKind::IsBool(expr, if negated { BooleanTest::NotTrue } else { BooleanTest::True }),
            "false" => ExprKind::IsBool(expr, if negated { BooleanTest::NotFalse } else { BooleanTest::False }),
            "unknown" => ExprKind::IsBool(expr, if negated { BooleanTest::NotUnknown } else { BooleanTest::Unknown }),
            "distinct" => {
                self.advance();
                self.expect_word("from")?;
                let right = Box::new(self.climb(COMPARE, false)?);
                return Ok((Expr::new(ExprKind::IsDistinct { left: expr, right, negated }, pos), true));
            }
            "document" => return Err(self.unsupported("IS DOCUMENT")),
            "normalized" | "nfc" | "nfd" | "nfkc" | "nfkd" => {
                let mut args = vec![*expr];
                if !self.is_word("normalized") {
                    let at = self.pos();
                    args.push(literal(Literal::String(self.word().to_uppercase()), at));
                    self.advance();
                }
                self.expect_word("normalized")?;
                let test = system_call("is_normalized", args, pos);
                let kind = if negated { ExprKind::Not(Box::new(test)) } else { test.kind };
                return Ok((Expr::new(kind, pos), false));
            }
            _ => return Err(self.syntax_error()),
        };
        self.advance();
        Ok((Expr::new(kind, pos), false))
    }

    fn range_test(&mut self, left: Expr, pos: u32) -> Result<(Expr, bool)> {
        let negated = self.take_word("not");
        let expr = Box::new(left);
        let word = self.word();
        self.advance();
        match word {
            "between" => {
                let symmetric = self.take_word("symmetric");
                if !symmetric {
                    self.take_word("asymmetric");
                }
                let low = Box::new(self.restricted_expr()?);
                self.expect_word("and")?;
                let high = Box::new(self.climb(RANGE + 1, false)?);
                Ok((Expr::new(ExprKind::Between { negated, symmetric, expr, low, high }, pos), true))
            }
            "in" => {
                let kind = match self.query_or_exprs()? {
                    Parenthesised::Query(query) => ExprKind::InQuery { negated, expr, query },
                    Parenthesised::Exprs(list) => ExprKind::In { negated, expr, list },
                };
                Ok((Expr::new(kind, pos), false))
            }
            _ => {
                let kind = match word {
                    "like" => LikeKind::Like,
                    "ilike" => LikeKind::ILike,
                    _ => {
                        self.expect_word("to")?;
                        LikeKind::SimilarTo
                    }
                };
                if kind != LikeKind::SimilarTo
                    && matches!(self.word(), "any" | "some" | "all")
                    && self.is_sign_at(1, b'(')
                {
                    let sign = match (kind, negated) {
                        (LikeKind::Like, false) => "~~",
                        (LikeKind::Like, true) => "!~~",
                        (_, false) => "~~*",
                        (_, true) => "!~~*",
                    };
                    let all = self.one_of(&["any", "some", "all"]) == Some("all");
                    return self.quantified(*expr, OperatorName::new(sign), all, pos).map(|expr| (expr, false));
                }
                let pattern = Box::new(self.climb(RANGE + 1, false)?);
                let escape = match self.take_word("escape") {
                    true => Some(Box::new(self.climb(RANGE + 1, false)?)),
                    false => None,
                };
                Ok((Expr::new(ExprKind::Like { kind, negated, expr, pattern, escape }, pos), true))
            }
        }
    }

    /// What begins an expression: prefix operators and primaries.
    fn prefix(&mut self, restricted: bool) -> Result<Expr> {
        let pos = self.pos();
        match self.kind() {
            Kind::Sign(b'-') => {
                self.advance();
                let operand = self.climb(UNARY_MINUS, restricted)?;
                Ok(negate(operand, pos))
            }
            Kind::Sign(b'+') => {
                self.advance();
                let right = Box::new(self.climb(UNARY_MINUS, restricted)?);
                Ok(Expr::new(ExprKind::Operator { op: OperatorName::new("+"), left: None, right }, pos))
            }
            Kind::Operator => {
                let op = self.any_operator()?;
                let right = Box::new(self.climb(OPERATOR + 1, restricted)?);
                Ok(Expr::new(ExprKind::Operator { op, left: None, right }, pos))
            }
            Kind::Keyword(_) => match self.word() {
                "not" if !restricted => {
                    self.advance();
                    let operand = self.climb(NOT, false)?;
                    Ok(Expr::new(ExprKind::Not(Box::new(operand)), pos))
                }
                "operator" if self.is_sign_at(1, b'(') => {
                    let op = self.qualified_operator()?;
                    let right = Box::new(self.climb(OPERATOR + 1, restricted)?);
                    Ok(Expr::new(ExprKind::Operator { op, left: None, right }, pos))
                }
                _ => self.primary(),
            },
            _ => self.primary(),
        }
    }

    /// c_expr with its subscripts.
    fn primary(&mut self) -> Result<Expr> {
        let pos = self.pos();
        match self.kind() {
            Kind::Integer => {
                let value = self.integer()?;
                Ok(literal(Literal::Integer(value), pos))
            }
            Kind::Number => {
                let token = self.advance();
                Ok(literal(Literal::Numeric(self.source(token).to_owned()), pos))
            }
            Kind::String | Kind::EscapeString | Kind::UnicodeString | Kind::DollarString => {
                let value = self.string()?;
                Ok(literal(Literal::String(value), pos))
            }
            Kind::Bits => {
                let token = self.advance();
                Ok(literal(Literal::Bits(lexer::string_value(self.text, token)?), pos))
            }
            Kind::Param => {
                let token = self.advance();
                // PostgreSQL's scanner reads it with atol() into an int.
                let written = self.source(token)[1..].parse::<i64>().unwrap_or(i64::MAX) as i32;
                let number = u32::try_from(written).unwrap_or(0);
                if number == 0 || number > 65_535 {
                    let message = format!("there is no parameter ${written}");
                    return Err(crate::error::Error::new(crate::error::SqlState::UndefinedParameter, message).at(pos));
                }
                let param = Expr::new(ExprKind::Param(number), pos);
                self.indirection(param)
            }
            Kind::Sign(b'(') => self.parentheses(pos),
            Kind::Word | Kind::QuotedName | Kind::UnicodeName => self.name_expr(pos),
            Kind::Keyword(_) => match self.category() {
                Some(Category::Reserved) => self.reserved_expr(pos),
                Some(Category::ColumnName) => self.column_keyword_expr(pos),
                _ => self.name_expr(pos),
            },
            _ => Err(self.syntax_error()),
        }
    }

    /// `(…)`: a query, a row, or an expression.
    fn parentheses(&mut self, pos: u32) -> Result<Expr> {
        if self.is_query_in_parentheses() {
            let query = self.query_in_parentheses()?;
            let expr = Expr::new(ExprKind::Scalar(Box::new(query)), pos);
            return self.indirection(expr);
        }
        self.advance();
        let first = self.expr()?;
        if self.is_sign(b',') {
            let mut fields = vec![first];
            while self.take_sign(b',') {
                fields.push(self.expr()?);
            }
            self.expect_sign(b')')?;
            return self.overlaps(Expr::new(ExprKind::Row { fields, explicit: false }, pos));
        }
        self.expect_sign(b')')?;
        self.indirection(first)
    }

    /// `row OVERLAPS row`.
    fn overlaps(&mut self, left: Expr) -> Result<Expr> {
        if !self.is_word("overlaps") {
            return Ok(left);
        }
        let pos = self.pos();
        self.advance();
        let at = self.pos();
        self.take_word("row");
        let right = self.parenthesised(Self::expr)?;
        let ExprKind::Row { fields: mut args, .. } = left.kind else { return Err(self.syntax_error()) };
        if args.len() != 2 {
            return Err(self.error_at("wrong number of parameters on left side of OVERLAPS expression", left.pos));
        }
        if right.len() != 2 {
            return Err(self.error_at("wrong number of parameters on right side of OVERLAPS expression", at));
        }
        args.extend(right);
        Ok(system_call("overlaps", args, pos))
    }

    /// `.field`, `[subscript]` behind an expression.
    fn indirection(&mut self, base: Expr) -> Result<Expr> {
        let path = self.indirection_path()?;
        if path.is_empty() {
            return Ok(base);
        }
        let pos = base.pos;
        Ok(Expr::new(ExprKind::Indirection(Box::new(base), path), pos))
    }

    pub(super) fn indirection_path(&mut self) -> Result<Vec<Indirection>> {
        let mut path = Vec::new();
        loop {
            if self.take_sign(b'.') {
                let pos = self.pos();
                path.push(match self.take_sign(b'*') {
                    true => Indirection::Star,
                    false => Indirection::Field(Ident { name: self.any_label()?, pos }),
                });
            } else if self.take_sign(b'[') {
                path.push(self.subscript()?);
            } else {
                return Ok(path);
            }
        }
    }

    fn subscript(&mut self) -> Result<Indirection> {
        let low = if self.is_sign(b':') { None } else { Some(self.expr()?) };
        let subscript = match self.take_sign(b':') {
            true => {
                let high = if self.is_sign(b']') { None } else { Some(self.expr()?) };
                Indirection::Slice(low, high)
            }
            false => Indirection::Index(low.ok_or_else(|| self.syntax_error())?),
        };
        self.expect_sign(b']')?;
        Ok(subscript)
    }

    /// A name: column, function call, or `type 'literal'`.
    fn name_expr(&mut self, pos: u32) -> Result<Expr> {
        let function_only = self.category() == Some(Category::TypeFunction);
        let word = self.word();
        let mark = self.mark();
        if self.are_words(&["double", "precision"])
            && self.is_string_at(2)
            && let Some(ty) = self.keyword_type()?
        {
            return self.typed_literal(ty, pos);
        }
        let mut parts = vec![self.any_label()?];
        while self.is_sign(b'.') && self.category_at(1).is_some() {
            self.advance();
            parts.push(self.any_label()?);
        }
        if self.is_sign(b'(') {
            return self.call_or_typed(parts, pos, mark);
        }
        if self.is_string() && (parts.len() > 1 || self.category_at(0).is_none()) {
            let ty = TypeName { names: parts, typmods: Vec::new(), array_bounds: Vec::new(), setof: false, pos };
            return self.typed_literal(ty, pos);
        }
        if function_only && parts.len() == 1 {
            if word == "current_schema" {
                return Ok(Expr::new(ExprKind::SqlValue { value: SqlValue::CurrentSchema, precision: None }, pos));
            }
            return Err(self.syntax_error());
        }
        if self.is_sign(b'.') && self.is_sign_at(1, b'*') {
            return self.whole_row(parts, pos);
        }
        let column = Expr::new(ExprKind::Column(parts), pos);
        self.indirection(column)
    }

    /// `name.*`, with nothing behind it.
    fn whole_row(&mut self, parts: Vec<String>, pos: u32) -> Result<Expr> {
        self.advance();
        self.advance();
        if !self.indirection_path()?.is_empty() {
            return Err(self.error_near("improper use of \"*\""));
        }
        Ok(Expr::new(ExprKind::Star(parts), pos))
    }

    /// `type 'literal'`.
    fn typed_literal(&mut self, ty: TypeName, _pos: u32) -> Result<Expr> {
        let at = self.pos();
        let value = self.string()?;
        let expr = Box::new(literal(Literal::String(value), at));
        Ok(Expr::new(ExprKind::Cast { expr, ty }, 0))
    }

    /// A call, or `type(modifiers) 'literal'`.
    fn call_or_typed(&mut self, parts: Vec<String>, pos: u32, mark: usize) -> Result<Expr> {
        let call = self.call(ObjectName { parts, pos })?;
        if self.is_string() && plain_arguments(&call) {
            self.reset(mark);
            let ty = self.type_name()?;
            return self.typed_literal(ty, pos);
        }
        let call = self.call_tail(call)?;
        self.indirection(Expr::new(ExprKind::Function(Box::new(call)), pos))
    }

    /// The arguments of a call, in parentheses.
    fn call(&mut self, name: ObjectName) -> Result<FunctionCall> {
        self.expect_sign(b'(')?;
        let mut call = empty_call(name);
        if self.take_sign(b')') {
            return Ok(call);
        }
        if self.take_sign(b'*') {
            self.expect_sign(b')')?;
            call.star = true;
            return Ok(call);
        }
        let all = self.take_word("all");
        call.distinct = !all && self.take_word("distinct");
        loop {
            if self.take_word("variadic") {
                call.variadic = true;
                call.args.push(self.argument()?);
                break;
            }
            call.args.push(self.argument()?);
            if !self.take_sign(b',') {
                break;
            }
        }
        call.order_by = self.opt_order_by()?;
        self.expect_sign(b')')?;
        Ok(call)
    }

    fn argument(&mut self) -> Result<Argument> {
        let named = matches!(self.kind_at(1), Kind::EqualsGreater | Kind::ColonEquals)
            && !matches!(self.category(), Some(Category::Reserved | Category::ColumnName) | None);
        let name = if named {
            let pos = self.pos();
            let name = self.any_label()?;
            self.advance();
            Some(Ident { name, pos })
        } else {
            None
        };
        Ok(Argument { name, value: self.expr()? })
    }

    /// WITHIN GROUP, FILTER, OVER.
    fn call_tail(&mut self, mut call: FunctionCall) -> Result<FunctionCall> {
        if self.are_words(&["within", "group"]) && self.kind_at(2) == Kind::Sign(b'(') {
            let pos = self.pos();
            self.expect_words(&["within", "group"])?;
            self.expect_sign(b'(')?;
            call.within_group = self.order_by()?;
            self.expect_sign(b')')?;
            for (present, what) in [
                (!call.order_by.is_empty(), "multiple ORDER BY clauses with"),
                (call.distinct, "DISTINCT with"),
                (call.variadic, "VARIADIC with"),
            ] {
                if present {
                    let message = match what.starts_with("multiple") {
                        true => "cannot use multiple ORDER BY clauses with WITHIN GROUP".to_owned(),
                        false => format!("cannot use {what} WITHIN GROUP"),
                    };
                    return Err(self.error_at(message, pos));
                }
            }
        }
        if self.is_word("filter") && self.is_sign_at(1, b'(') {
            self.advance();
            self.advance();
            self.expect_word("where")?;
            call.filter = Some(self.expr()?);
            self.expect_sign(b')')?;
        }
        if self.take_word("over") {
            call.over = Some(match self.is_sign(b'(') {
                true => Over::Spec(Box::new(self.window_spec()?)),
                false => Over::Name(self.ident()?),
            });
        }
        Ok(call)
    }

    /// `([name] [PARTITION BY …] [ORDER BY …] [frame])`.
    pub(super) fn window_spec(&mut self) -> Result<WindowSpec> {
        let pos = self.pos();
        self.expect_sign(b'(')?;
        let begins_clause = matches!(self.word(), "partition" | "range" | "rows" | "groups");
        let base = if self.is_name() && !begins_clause { Some(self.ident()?) } else { None };
        let partition = match self.take_word("partition") {
            true => {
                self.expect_word("by")?;
                self.list(Self::expr)?
            }
            false => Vec::new(),
        };
        let order_by = self.opt_order_by()?;
        let frame = self.frame()?;
        self.expect_sign(b')')?;
        Ok(WindowSpec { base, partition, order_by, frame, pos })
    }

    fn frame(&mut self) -> Result<Option<FrameSpec>> {
        let pos = self.pos();
        let unit = match self.one_of(&["rows", "range", "groups"]) {
            Some("rows") => FrameUnit::Rows,
            Some("range") => FrameUnit::Range,
            Some(_) => FrameUnit::Groups,
            None => return Ok(None),
        };
        let (start, end);
        let between = self.take_word("between");
        if between {
            let start_pos = self.pos();
            start = self.frame_bound()?;
            self.expect_word("and")?;
            let end_pos = self.pos();
            end = self.frame_bound()?;
            check_frame(&start, &end, start_pos, end_pos)?;
        } else {
            let start_pos = self.pos();
            start = self.frame_bound()?;
            end = BoundSpec::CurrentRow;
            let message = match start {
                BoundSpec::UnboundedFollowing => "frame start cannot be UNBOUNDED FOLLOWING",
                BoundSpec::Following(_) => "frame starting from following row cannot end with current row",
                _ => "",
            };
            if !message.is_empty() {
                return Err(windowing_error(message, start_pos));
            }
        }
        let mut exclude = FrameExclude::NoOthers;
        if self.take_word("exclude") {
            exclude = match self.one_of(&["current", "group", "ties", "no"]) {
                Some("current") => {
                    self.expect_word("row")?;
                    FrameExclude::CurrentRow
                }
                Some("group") => FrameExclude::Group,
                Some("ties") => FrameExclude::Ties,
                Some(_) => {
                    self.expect_word("others")?;
                    FrameExclude::NoOthers
                }
                None => return Err(self.syntax_error()),
            };
        }
        Ok(Some(FrameSpec { unit, start, end, between, exclude, pos }))
    }

    fn frame_bound(&mut self) -> Result<BoundSpec> {
        if self.is_word("unbounded") && matches!(self.word_at(1), "preceding" | "following") {
            self.advance();
            return Ok(match self.one_of(&["preceding", "following"]) {
                Some("preceding") => BoundSpec::UnboundedPreceding,
                _ => BoundSpec::UnboundedFollowing,
            });
        }
        if self.take_words(&["current", "row"]) {
            return Ok(BoundSpec::CurrentRow);
        }
        let offset = self.expr()?;
        match self.one_of(&["preceding", "following"]) {
            Some("preceding") => Ok(BoundSpec::Preceding(offset)),
            Some(_) => Ok(BoundSpec::Following(offset)),
            None => Err(self.syntax_error()),
        }
    }

    pub(super) fn opt_order_by(&mut self) -> Result<Vec<OrderBy>> {
        if self.is_word("order") { self.order_by() } else { Ok(Vec::new()) }
    }

    /// ORDER BY ….
    pub(super) fn order_by(&mut self) -> Result<Vec<OrderBy>> {
        self.expect_words(&["order", "by"])?;
        self.list(|parser| {
            let expr = parser.expr()?;
            let mut item = OrderBy { pos: expr.location(), expr, descending: None, nulls_first: None, using: None };
            match parser.one_of(&["asc", "desc", "using"]) {
                Some("using") => {
                    item.pos = parser.pos();
                    item.using = Some(parser.any_operator()?);
                }
                Some(word) => item.descending = Some(word == "desc"),
                None => {}
            }
            if parser.is_word("nulls") && matches!(parser.word_at(1), "first" | "last") {
                parser.advance();
                item.nulls_first = parser.one_of(&["first", "last"]).map(|word| word == "first");
            }
            Ok(item)
        })
    }

    /// A reserved word that begins an expression.
    fn reserved_expr(&mut self, pos: u32) -> Result<Expr> {
        let word = self.word();
        let simple = |value| Expr::new(ExprKind::SqlValue { value, precision: None }, pos);
        let token = self.token();
        let mark = self.mark();
        self.advance();
        Ok(match word {
            "null" => literal(Literal::Null, pos),
            "true" => literal(Literal::Bool(true), pos),
            "false" => literal(Literal::Bool(false), pos),
            "default" => Expr::new(ExprKind::Default, pos),
            "case" => return self.case(pos),
            "cast" => {
                self.expect_sign(b'(')?;
                let expr = Box::new(self.expr()?);
                self.expect_word("as")?;
                let ty = self.type_name()?;
                self.expect_sign(b')')?;
                Expr::new(ExprKind::Cast { expr, ty }, pos)
            }
            "array" if self.is_sign(b'[') => {
                // Subscripts need parentheses around the constructor.
                return self.array_items(pos);
            }
            "array" if self.is_query_in_parentheses() => {
                let query = self.query_in_parentheses()?;
                return Ok(Expr::new(ExprKind::ArrayQuery(Box::new(query)), pos));
            }
            "array" => {
                self.take_sign(b'(');
                return Err(self.syntax_error());
            }
            "current_date" => simple(SqlValue::CurrentDate),
            "current_time" => return self.sql_time(SqlValue::CurrentTime, pos),
            "current_timestamp" => return self.sql_time(SqlValue::CurrentTimestamp, pos),
            "localtime" => return self.sql_time(SqlValue::LocalTime, pos),
            "localtimestamp" => return self.sql_time(SqlValue::LocalTimestamp, pos),
            "current_user" => simple(SqlValue::CurrentUser),
            "user" => simple(SqlValue::User),
            "current_role" => simple(SqlValue::CurrentRole),
            "session_user" => simple(SqlValue::SessionUser),
            "current_catalog" => simple(SqlValue::CurrentCatalog),
            _ => {
                self.reset(mark);
                return Err(self.syntax_error_at(token));
            }
        })
    }

    fn sql_time(&mut self, value: SqlValue, pos: u32) -> Result<Expr> {
        let mut precision = None;
        if self.take_sign(b'(') {
            precision = Some(self.integer()?);
            self.expect_sign(b')')?;
        }
        Ok(Expr::new(ExprKind::SqlValue { value, precision }, pos))
    }

    fn array_items(&mut self, pos: u32) -> Result<Expr> {
        self.deeper(|parser| {
            parser.expect_sign(b'[')?;
            let mut items = Vec::new();
            if !parser.is_sign(b']') {
                items = match parser.is_sign(b'[') {
                    true => parser.list(|inner| {
                        let at = inner.pos();
                        inner.array_items(at)
                    })?,
                    false => parser.list(Self::expr)?,
                };
            }
            parser.expect_sign(b']')?;
            Ok(Expr::new(ExprKind::Array(items), pos))
        })
    }

    fn case(&mut self, pos: u32) -> Result<Expr> {
        let operand = if self.is_word("when") { None } else { Some(Box::new(self.expr()?)) };
        let mut arms = Vec::new();
        let mut places = Vec::new();
        while self.is_word("when") {
            places.push(self.pos());
            self.advance();
            let when = self.expr()?;
            self.expect_word("then")?;
            arms.push((when, self.expr()?));
        }
        if arms.is_empty() {
            return Err(self.syntax_error());
        }
        let otherwise = match self.take_word("else") {
            true => Some(Box::new(self.expr()?)),
            false => None,
        };
        self.expect_word("end")?;
        Ok(Expr::new(ExprKind::Case { operand, arms, places, otherwise }, pos))
    }

    /// A keyword that may name a column but no function: a special form, a type with a literal, or that column.
    fn column_keyword_expr(&mut self, pos: u32) -> Result<Expr> {
        let word = self.word();
        if self.is_sign_at(1, b'(') {
            if let Some(special) = self.special_form(word, pos)? {
                return Ok(special);
            }
        } else if word == "interval" && self.is_string_at(1) {
            self.advance();
            let at = self.pos();
            let value = self.string()?;
            let mut ty = system_type("interval", pos);
            ty.typmods = self.interval_fields()?;
            let expr = Box::new(literal(Literal::String(value), at));
            return Ok(Expr::new(ExprKind::Cast { expr, ty }, 0));
        }
        let mark = self.mark();
        if word == "interval" && self.is_sign_at(1, b'(') {
            self.advance();
            let ty = self.interval_modifiers(pos)?;
            return self.typed_literal(ty, pos);
        }
        if let Some(ty) = self.keyword_type()? {
            if self.is_string() {
                return self.typed_literal(ty, pos);
            }
            let bare = self.mark() == mark + 1;
            if !bare {
                return Err(self.syntax_error());
            }
            self.reset(mark);
        }
        let name = self.name()?;
        let mut parts = vec![name];
        while self.is_sign(b'.') && self.category_at(1).is_some() {
            self.advance();
            parts.push(self.any_label()?);
        }
        if self.is_sign(b'(') {
            if parts.len() == 1 {
                return Err(self.syntax_error());
            }
            let call = self.call(ObjectName { parts, pos })?;
            let call = self.call_tail(call)?;
            return self.indirection(Expr::new(ExprKind::Function(Box::new(call)), pos));
        }
        if self.is_sign(b'.') && self.is_sign_at(1, b'*') {
            return self.whole_row(parts, pos);
        }
        self.indirection(Expr::new(ExprKind::Column(parts), pos))
    }

    /// `word(…)` of func_expr_common_subexpr; `None` when the word is a type's.
    fn special_form(&mut self, word: &'static str, pos: u32) -> Result<Option<Expr>> {
        let call = |name: &str, args: Vec<Expr>| Ok(Some(system_call(name, args, pos)));
        match word {
            "coalesce" | "greatest" | "least" => {
                self.advance();
                let args = self.parenthesised(Self::expr)?;
                let kind = match word {
                    "coalesce" => ExprKind::Coalesce(args),
                    _ => ExprKind::MinMax { greatest: word == "greatest", args },
                };
                Ok(Some(Expr::new(kind, pos)))
            }
            "grouping" => {
                self.advance();
                Ok(Some(Expr::new(ExprKind::Grouping(self.parenthesised(Self::expr)?), pos)))
            }
            "row" => {
                self.advance();
                self.advance();
                let fields = if self.is_sign(b')') { Vec::new() } else { self.list(Self::expr)? };
                self.expect_sign(b')')?;
                let row = self.overlaps(Expr::new(ExprKind::Row { fields, explicit: true }, pos))?;
                self.indirection(row).map(Some)
            }
            "exists" => {
                self.advance();
                if !self.is_query_in_parentheses() {
                    self.advance();
                    return Err(self.syntax_error());
                }
                Ok(Some(Expr::new(ExprKind::Exists(Box::new(self.query_in_parentheses()?)), pos)))
            }
            "nullif" => {
                self.advance();
                self.expect_sign(b'(')?;
                let left = Box::new(self.expr()?);
                self.expect_sign(b',')?;
                let right = Box::new(self.expr()?);
                self.expect_sign(b')')?;
                Ok(Some(Expr::new(ExprKind::NullIf(left, right), pos)))
            }
            "extract" => {
                self.advance();
                self.expect_sign(b'(')?;
                let at = self.pos();
                let field = if self.is_string() { self.string()? } else { self.extract_field()? };
                self.expect_word("from")?;
                let from = self.expr()?;
                self.expect_sign(b')')?;
                call("extract", vec![literal(Literal::String(field), at), from])
            }
            "normalize" => {
                self.advance();
                self.expect_sign(b'(')?;
                let mut args = vec![self.expr()?];
                if self.take_sign(b',') {
                    let at = self.pos();
                    match self.one_of(&["nfc", "nfd", "nfkc", "nfkd"]) {
                        Some(form) => args.push(literal(Literal::String(form.to_uppercase()), at)),
                        None => return Err(self.syntax_error()),
                    }
                }
                self.expect_sign(b')')?;
                call("normalize", args)
            }
            "overlay" => self.overlay(pos).map(Some),
            "position" => {
                self.advance();
                self.expect_sign(b'(')?;
                let needle = self.restricted_expr()?;
                self.expect_word("in")?;
                let haystack = self.restricted_expr()?;
                self.expect_sign(b')')?;
                call("position", vec![haystack, needle])
            }
            "substring" => self.substring(pos).map(Some),
            "trim" => self.trim(pos).map(Some),
            "treat" | "xmlconcat" | "xmlelement" | "xmlexists" | "xmlforest" | "xmlparse" | "xmlpi" | "xmlroot"
            | "xmlserialize" | "xmltable" => Err(self.unsupported(&word.to_uppercase())),
            _ => Ok(None),
        }
    }

    fn extract_field(&mut self) -> Result<String> {
        match self.kind() {
            Kind::Word | Kind::QuotedName | Kind::UnicodeName => self.any_label(),
            _ => match self.one_of(&["year", "month", "day", "hour", "minute", "second"]) {
                Some(word) => Ok(word.to_owned()),
                None => Err(self.syntax_error()),
            },
        }
    }

    fn overlay(&mut self, pos: u32) -> Result<Expr> {
        self.advance();
        self.expect_sign(b'(')?;
        let mut args = vec![self.expr()?];
        if self.take_word("placing") {
            args.push(self.expr()?);
            self.expect_word("from")?;
            args.push(self.expr()?);
            if self.take_word("for") {
                args.push(self.expr()?);
            }
        } else {
            while self.take_sign(b',') {
                args.push(self.expr()?);
            }
            self.expect_sign(b')')?;
            return Ok(plain_call("overlay", args, pos));
        }
        self.expect_sign(b')')?;
        Ok(system_call("overlay", args, pos))
    }

    fn substring(&mut self, pos: u32) -> Result<Expr> {
        self.advance();
        self.expect_sign(b'(')?;
        let mut args = vec![self.expr()?];
        match self.one_of(&["from", "for", "similar"]) {
            Some("from") => {
                args.push(self.expr()?);
                if self.take_word("for") {
                    args.push(self.expr()?);
                }
            }
            Some("for") => {
                let length = self.expr()?;
                match self.take_word("from") {
                    true => {
                        args.push(self.expr()?);
                        args.push(length);
                    }
                    false => {
                        // The length is cast, so that substring(text FOR text) is not taken for the pattern form.
                        args.push(literal(Literal::Integer(1), 0));
                        let ty = system_type("int4", 0);
                        args.push(Expr::new(ExprKind::Cast { expr: Box::new(length), ty }, 0));
                    }
                }
            }
            Some(_) => {
                args.push(self.expr()?);
                self.expect_word("escape")?;
                args.push(self.expr()?);
            }
            None => {
                while self.take_sign(b',') {
                    args.push(self.expr()?);
                }
                self.expect_sign(b')')?;
                return Ok(plain_call("substring", args, pos));
            }
        }
        self.expect_sign(b')')?;
        Ok(system_call("substring", args, pos))
    }

    fn trim(&mut self, pos: u32) -> Result<Expr> {
        self.advance();
        self.expect_sign(b'(')?;
        let name = match self.one_of(&["both", "leading", "trailing"]) {
            Some("leading") => "ltrim",
            Some("trailing") => "rtrim",
            _ => "btrim",
        };
        let mut args;
        if self.take_word("from") {
            args = self.list(Self::expr)?;
        } else {
            let first = self.expr()?;
            if self.take_word("from") {
                args = self.list(Self::expr)?;
                args.push(first);
            } else {
                args = vec![first];
                while self.take_sign(b',') {
                    args.push(self.expr()?);
                }
            }
        }
        self.expect_sign(b')')?;
        Ok(system_call(name, args, pos))
    }
}

fn windowing_error(message: &str, pos: u32) -> crate::error::Error {
    crate::error::Error::new(crate::error::SqlState::WindowingError, message).at(pos)
}

/// 42P20 for frames that could hold no row in any window.
fn check_frame(start: &BoundSpec, end: &BoundSpec, start_pos: u32, end_pos: u32) -> Result<()> {
    let (message, pos) = match (start, end) {
        (BoundSpec::UnboundedFollowing, _) => ("frame start cannot be UNBOUNDED FOLLOWING", start_pos),
        (_, BoundSpec::UnboundedPreceding) => ("frame end cannot be UNBOUNDED PRECEDING", end_pos),
        (BoundSpec::CurrentRow, BoundSpec::Preceding(_)) => {
            ("frame starting from current row cannot have preceding rows", end_pos)
        }
        (BoundSpec::Following(_), BoundSpec::Preceding(_) | BoundSpec::CurrentRow) => {
            ("frame starting from following row cannot have preceding rows", end_pos)
        }
        _ => return Ok(()),
    };
    Err(windowing_error(message, pos))
}

/// Whether what was read as a call's arguments could be a type's modifiers.
fn plain_arguments(call: &FunctionCall) -> bool {
    !call.star
        && !call.distinct
        && !call.variadic
        && call.order_by.is_empty()
        && !call.args.is_empty()
        && call.args.iter().all(|argument| argument.name.is_none())
}

/// Unary minus: a number's sign is part of it.
fn negate(operand: Expr, pos: u32) -> Expr {
    match operand.kind {
        ExprKind::Literal(Literal::Integer(value)) => literal(Literal::Integer(value.wrapping_neg()), pos),
        ExprKind::Literal(Literal::Numeric(text)) => {
            let text = match text.strip_prefix('-') {
                Some(positive) => positive.to_owned(),
                None => format!("-{text}"),
            };
            literal(Literal::Numeric(text), pos)
        }
        kind => {
            let right = Box::new(Expr::new(kind, operand.pos));
            Expr::new(ExprKind::Operator { op: OperatorName::new("-"), left: None, right }, pos)
        }
    }
}

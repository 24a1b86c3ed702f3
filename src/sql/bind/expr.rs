//! Expressions: from the syntax tree to typed nodes (PostgreSQL's `parse_expr.c`).

use super::Binder;
use super::coerce::{Coercion, base_type, constant};
use super::query::Bound;
use super::scope::Clause;
use crate::catalog::builtin;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::{self, BooleanTest, ExprKind as Ast, Indirection, LikeKind, Literal, ObjectName, OperatorName};
use crate::sql::tree::{Call, Expr, ExprKind, OutputColumn, Rel, RowOp, SqlValue, Subquery, SubqueryKind, Subscript};
use crate::sql::visit;
use crate::types::text_io::{self, TextContext};
use crate::types::{Datum, Oid, Type, oid, shape};

fn boolean(kind: ExprKind) -> Expr {
    Expr { kind, ty: Type::new(oid::BOOL) }
}

fn negate(expr: Expr) -> Expr {
    boolean(ExprKind::Not(Box::new(expr)))
}

fn row_op(name: &str) -> Option<RowOp> {
    Some(match name {
        "=" => RowOp::Eq,
        "<>" => RowOp::Ne,
        "<" => RowOp::Lt,
        "<=" => RowOp::Le,
        ">" => RowOp::Gt,
        ">=" => RowOp::Ge,
        _ => return None,
    })
}

impl Binder<'_> {
    /// Binds an expression that stands in `clause`. Literals and parameters of undecided type stay `unknown`: the caller
    /// casts them, or makes text of them ([`Binder::coerce_unknown_to_text`]).
    pub(crate) fn bind_expr(&mut self, expr: &ast::Expr, clause: Clause) -> Result<Expr> {
        let before = std::mem::replace(&mut self.scope().clause, clause);
        let explicit = self.explicit.take();
        let bound = self.expr(expr);
        self.explicit = explicit;
        self.scope().clause = before;
        let bound = bound?;
        Ok(if self.expr_depth == 0 { self.fold(bound) } else { bound })
    }

    /// Binds a condition; `what` is its name in "argument of … must be type boolean".
    pub(crate) fn bind_bool(&mut self, expr: &ast::Expr, clause: Clause, what: &str) -> Result<Expr> {
        let bound = self.bind_expr(expr, clause)?;
        self.to_bool(bound, what, expr.location())
    }

    /// A parameter of EXECUTE: a constant as the type that the prepared statement has for it.
    pub(crate) fn parameter(&mut self, number: usize, expr: &ast::Expr, ty: Type) -> Result<Expr> {
        self.push_scope();
        let bound = self.bind_expr(expr, Clause::ExecuteParameter);
        self.pop_scope();
        let bound = bound?;
        let given = bound.ty;
        let Some(cast) = self.coerce_to(bound, ty, Coercion::Assignment, expr.location())? else {
            let (given, wanted) = (self.type_name(given), self.type_name(ty));
            let message =
                format!("parameter ${number} of type {given} cannot be coerced to the expected type {wanted}");
            return Err(Error::new(SqlState::DatatypeMismatch, message)
                .hint("You will need to rewrite or cast the expression.")
                .at(self.position(expr.location())));
        };
        match self.failures.pop() {
            Some((_, error)) => Err(error),
            None => Ok(cast),
        }
    }

    fn to_bool(&mut self, expr: Expr, what: &str, pos: u32) -> Result<Expr> {
        let given = expr.ty;
        if given.oid == oid::BOOL {
            return Ok(expr);
        }
        match self.coerce_to(expr, Type::new(oid::BOOL), Coercion::Assignment, pos)? {
            Some(expr) => Ok(expr),
            None => {
                let message = format!("argument of {what} must be type boolean, not type {}", self.type_name(given));
                Err(Error::new(SqlState::DatatypeMismatch, message).at(self.position(pos)))
            }
        }
    }

    /// Binds an expression inside another.
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Result<Expr> {
        self.expr_depth += 1;
        let outer = self.explicit.take();
        let result = visit::deeper(|| self.expr_here(expr));
        self.expr_depth -= 1;
        let bound = result?;
        let inner = self.explicit.take();
        let own = match &expr.kind {
            Ast::Collate { collation, .. } => Some((collation.name().to_owned(), expr.pos)),
            _ => inner.filter(|_| is_collatable(bound.ty.oid)),
        };
        self.explicit = outer;
        self.merge_explicit(own)?;
        Ok(bound)
    }

    /// Joins an explicit collation with those of the parts before it; 42P21 when it is another one.
    fn merge_explicit(&mut self, own: Option<(String, u32)>) -> Result<()> {
        let Some((second, pos)) = own else { return Ok(()) };
        match &self.explicit {
            Some((first, _)) if *first != second => {
                let message = format!("collation mismatch between explicit collations \"{first}\" and \"{second}\"");
                Err(Error::new(SqlState::CollationMismatch, message).at(self.position(pos)))
            }
            Some(_) => Ok(()),
            None => {
                self.explicit = Some((second, pos));
                Ok(())
            }
        }
    }

    fn expr_here(&mut self, expr: &ast::Expr) -> Result<Expr> {
        let pos = expr.pos;
        match &expr.kind {
            Ast::Literal(literal) => self.literal(literal, pos),
            Ast::Param(number) => self.param(*number, pos),
            Ast::Column(_) if self.scope().clause == Clause::Default => {
                let message = "cannot use column reference in DEFAULT expression";
                Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(pos)))
            }
            Ast::Column(parts) => self.resolve_name(parts, pos),
            Ast::Star(qualifier) if !qualifier.is_empty() => {
                let (table, schema) = (&qualifier[qualifier.len() - 1], qualifier.iter().rev().nth(1));
                match self.find_item(schema.map(String::as_str), table, pos)? {
                    Some((level, item)) => self.whole_row(level, item, pos),
                    None => Err(self.missing_table(schema.map(String::as_str), table, pos)),
                }
            }
            Ast::Star(_) => {
                let message = "row expansion via \"*\" is not supported here";
                Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(pos)))
            }
            Ast::Indirection(base, path) => self.indirection(base, path),
            Ast::Operator { op, left, right } => self.operator(op, left.as_deref(), right, pos),
            Ast::And(items) => Ok(boolean(ExprKind::And(self.conditions(items, "AND")?))),
            Ast::Or(items) => Ok(boolean(ExprKind::Or(self.conditions(items, "OR")?))),
            Ast::Not(inner) => {
                let bound = self.expr(inner)?;
                Ok(negate(self.to_bool(bound, "NOT", inner.location())?))
            }
            Ast::IsNull { expr: inner, negated } => {
                // A parameter is not decided by this: PostgreSQL does not either.
                let bound = Box::new(self.expr(inner)?);
                Ok(boolean(if *negated { ExprKind::IsNotNull(bound) } else { ExprKind::IsNull(bound) }))
            }
            Ast::IsBool(inner, test) => self.boolean_test(inner, *test),
            Ast::IsDistinct { left, right, negated } => self.is_distinct(left, right, *negated, pos),
            Ast::NullIf(left, right) => self.null_if(left, right, pos),
            Ast::Like { kind, negated, expr: left, pattern, escape } => {
                self.like(*kind, *negated, left, pattern, escape.as_deref(), pos)
            }
            Ast::Between { negated, symmetric, expr: inner, low, high } => {
                let side = |low: &ast::Expr, high: &ast::Expr| between(inner, low, high, *negated, pos);
                match (symmetric, negated) {
                    (false, _) => self.expr(&side(low, high)),
                    (true, false) => self.expr(&ast::Expr::new(Ast::Or(vec![side(low, high), side(high, low)]), pos)),
                    (true, true) => self.expr(&ast::Expr::new(Ast::And(vec![side(low, high), side(high, low)]), pos)),
                }
            }
            Ast::In { negated, expr: left, list } => self.in_list(left, list, *negated, pos),
            Ast::InQuery { negated, expr: left, query } => {
                let (name, all) = if *negated { ("<>", true) } else { ("=", false) };
                self.quantified(&OperatorName::new(name), all, left, query, pos)
            }
            Ast::AnyArray { op, all, left, array } => {
                let bound = self.expr(left)?;
                let array_expr = self.expr(array)?;
                self.array_comparison(op, *all, bound, array_expr, (left.location(), array.location()), pos)
            }
            Ast::AnyQuery { op, all, left, query } => self.quantified(op, *all, left, query, pos),
            Ast::Function(call) => self.call(call, pos),
            Ast::Cast { expr: inner, ty } => self.cast(inner, ty, pos),
            Ast::Collate { expr: inner, collation } => self.collate(inner, collation, pos),
            Ast::Case { operand, arms, places, otherwise } => {
                let sets = self.scope().sets.len();
                let case = self.case(operand.as_deref(), arms, places, otherwise.as_deref(), pos)?;
                self.no_more_sets(sets, "CASE")?;
                Ok(case)
            }
            Ast::Coalesce(items) => {
                let sets = self.scope().sets.len();
                let items = self.common(items, "COALESCE")?;
                self.no_more_sets(sets, "COALESCE")?;
                let ty = items[0].ty;
                Ok(Expr { kind: ExprKind::Coalesce(items), ty })
            }
            Ast::MinMax { greatest, args } => {
                let args = self.common(args, if *greatest { "GREATEST" } else { "LEAST" })?;
                let ty = args[0].ty;
                self.ordering(ty.oid).map_err(|error| error.at(self.position(pos)))?;
                Ok(Expr { kind: ExprKind::MinMax { greatest: *greatest, args }, ty: Type::new(ty.oid) })
            }
            Ast::SqlValue { value, precision } => self.sql_value(*value, *precision),
            Ast::Array(items) => self.array(items, None, pos),
            Ast::ArrayQuery(query) => self.array_query(query, pos),
            Ast::Row { fields, explicit: _ } => {
                let mut values = Vec::with_capacity(fields.len());
                for field in fields {
                    let value = self.expr(field)?;
                    self.explicit = None;
                    // `t.*` stands for its columns, `t` for one row.
                    if let (Ast::Star(_), ExprKind::Row(columns)) = (&field.kind, &value.kind) {
                        self.note_parts(field.pos);
                        values.extend(columns.iter().cloned());
                        continue;
                    }
                    // A parameter is not decided by standing in a row.
                    values.push(match value.kind {
                        ExprKind::Param(_) => value,
                        _ => self.coerce_unknown_to_text(value),
                    });
                }
                if values.len() > super::select::ENTRIES_MAX {
                    let message = format!("ROW expressions can have at most {} entries", super::select::ENTRIES_MAX);
                    return Err(Error::new(SqlState::TooManyColumns, message).at(self.position(pos)));
                }
                Ok(Expr { kind: ExprKind::Row(values), ty: Type::new(oid::RECORD) })
            }
            Ast::Exists(query) => {
                let Bound { rel, columns, idle, .. } = self.outermost(|binder| binder.subquery(query, pos))?;
                Ok(boolean(match idle {
                    0 => subquery(rel, &columns, SubqueryKind::Exists),
                    _ => subquery(below(rel, idle), &[], SubqueryKind::Exists),
                }))
            }
            Ast::Scalar(query) => {
                let (rel, columns) = self.query_inside(query, pos)?;
                let [column] = &columns[..] else {
                    let message = "subquery must return only one column";
                    return Err(Error::new(SqlState::SyntaxError, message).at(self.position(pos)));
                };
                let ty = column.ty;
                Ok(Expr { kind: subquery(rel, &columns, SubqueryKind::Scalar), ty })
            }
            Ast::Grouping(args) => self.outermost(|binder| binder.grouping(args, pos)),
            Ast::Default => {
                let message = "DEFAULT is not allowed in this context";
                Err(Error::new(SqlState::SyntaxError, message).at(self.position(pos)))
            }
            Ast::CurrentOf(_) => Err(Error::unsupported("WHERE CURRENT OF").at(self.position(pos))),
        }
    }

    fn query_inside(&mut self, query: &ast::Query, pos: u32) -> Result<(Rel, Vec<OutputColumn>)> {
        let bound = self.outermost(|binder| binder.subquery(query, pos))?;
        Ok((bound.rel, bound.columns))
    }

    // --- leaves ---

    fn literal(&mut self, literal: &Literal, pos: u32) -> Result<Expr> {
        Ok(match literal {
            Literal::Integer(value) => constant(Datum::Int4(*value), oid::INT4),
            Literal::Numeric(text) => match text.parse::<i64>() {
                Ok(value) => match i32::try_from(value) {
                    Ok(value) => constant(Datum::Int4(value), oid::INT4),
                    Err(_) => constant(Datum::Int8(value), oid::INT8),
                },
                Err(_) => {
                    let call = self.ctx.call;
                    let names: &dyn text_io::Names = &*call.host;
                    let context = TextContext {
                        format: &call.format,
                        time_zone: &call.time_zone,
                        now: call.transaction_time,
                        names,
                    };
                    let value = text_io::input_plain(text, Type::new(oid::NUMERIC), &context)
                        .map_err(|error| error.at(self.position(pos)))?;
                    constant(value, oid::NUMERIC)
                }
            },
            Literal::String(text) => constant(Datum::Text(text.as_str().into()), oid::UNKNOWN),
            Literal::Bits(_) => return Err(Error::unsupported("type bit").at(self.position(pos))),
            Literal::Bool(value) => constant(Datum::Bool(*value), oid::BOOL),
            Literal::Null => constant(Datum::Null, oid::UNKNOWN),
        })
    }

    fn param(&mut self, number: u32, pos: u32) -> Result<Expr> {
        let index = number as usize - 1;
        if let Some(args) = self.inlined.last() {
            let missing = || Error::internal("the body of a function names an argument that it does not have");
            return args.get(index).cloned().ok_or_else(missing);
        }
        if self.no_params {
            let message = format!("there is no parameter ${number}");
            return Err(Error::new(SqlState::UndefinedParameter, message).at(self.position(pos)));
        }
        if self.params.len() <= index {
            self.params.resize(index + 1, None);
        }
        let ty = *self.params[index].get_or_insert(Type::new(oid::UNKNOWN));
        let param = Expr { kind: ExprKind::Param(index), ty };
        if shape::is_domain(ty.oid) {
            // What comes is the base type's: the plan tests it, by what the domain is then.
            let base = shape::base(ty);
            return self.coerce_to_domain(Expr { kind: ExprKind::Relabel(Box::new(param)), ty: base }, ty.oid);
        }
        Ok(param)
    }

    fn sql_value(&mut self, value: SqlValue, precision: Option<i32>) -> Result<Expr> {
        let ty = match value {
            SqlValue::CurrentDate => oid::DATE,
            SqlValue::CurrentTime => oid::TIMETZ,
            SqlValue::CurrentTimestamp => oid::TIMESTAMPTZ,
            SqlValue::LocalTime => oid::TIME,
            SqlValue::LocalTimestamp => oid::TIMESTAMP,
            SqlValue::CurrentUser
            | SqlValue::User
            | SqlValue::SessionUser
            | SqlValue::CurrentRole
            | SqlValue::CurrentCatalog
            | SqlValue::CurrentSchema => oid::NAME,
        };
        let expr = Expr { kind: ExprKind::SqlValue(value), ty: Type::new(ty) };
        match precision {
            Some(precision) => self.apply_typmod(expr, Type::with_typmod(ty, precision.min(6)), Coercion::Implicit),
            None => Ok(expr),
        }
    }

    // --- operators ---

    fn operator(&mut self, op: &OperatorName, left: Option<&ast::Expr>, right: &ast::Expr, pos: u32) -> Result<Expr> {
        let Some(left) = left else {
            let operand = self.expr(right)?;
            return self.apply(op, None, operand, (0, right.location()), pos);
        };
        if let (Ast::Row { fields: a, .. }, Ast::Row { fields: b, .. }) = (&left.kind, &right.kind) {
            return self.row_comparison(op, a, b, pos);
        }
        if let (Ast::Row { fields, .. }, Ast::Scalar(query)) = (&left.kind, &right.kind) {
            return self.row_against_query(op, fields, query, pos);
        }
        let a = self.expr(left)?;
        let b = self.expr(right)?;
        self.apply(op, Some(a), b, (left.location(), right.location()), pos)
    }

    /// An operator over bound operands whose places are `at`.
    pub(super) fn apply(
        &mut self,
        op: &OperatorName,
        left: Option<Expr>,
        right: Expr,
        at: (u32, u32),
        pos: u32,
    ) -> Result<Expr> {
        let left_type = left.as_ref().map_or(Oid::NONE, |left| left.ty.oid);
        let found = self.find_operator(op, left_type, right.ty.oid, pos)?;
        let function = builtin::function_by_oid(found.code).ok_or_else(|| {
            Error::new(SqlState::UndefinedFunction, format!("operator is only a shell: {}", op.display()))
        })?;
        let (mut declared, given) = match &left {
            Some(left) => (vec![found.left, found.right], vec![left.ty.oid, right.ty.oid]),
            None => (vec![found.right], vec![right.ty.oid]),
        };
        let result = self
            .resolve_polymorphic(&mut declared, &given, found.result, &found.name.to_uppercase())
            .map_err(|error| error.at(self.position(pos)))?;
        let mut args = Vec::with_capacity(2);
        let mut wanted = declared.into_iter().map(Type::new);
        if let Some(left) = left {
            args.push(self.coerce(left, wanted.next().unwrap_or(right.ty), Coercion::Implicit, at.0)?);
        }
        let want = wanted.next().unwrap_or(right.ty);
        args.push(self.coerce(right, want, Coercion::Implicit, at.1)?);
        let args = self.text_arguments(function, args)?;
        if let Some(body) = super::call::sql_body(function) {
            return self.inline(body, args, Type::new(result), pos);
        }
        Ok(Expr { kind: ExprKind::Call(Call { function, args }), ty: Type::new(result) })
    }

    /// `left = right` of bound values.
    pub(crate) fn equal(&mut self, left: Expr, right: Expr, pos: u32) -> Result<Expr> {
        self.apply(&OperatorName::new("="), Some(left), right, (pos, pos), pos)
    }

    fn conditions(&mut self, items: &[ast::Expr], what: &str) -> Result<Vec<Expr>> {
        let mut all = Vec::with_capacity(items.len());
        for item in items {
            let bound = self.expr(item)?;
            all.push(self.to_bool(bound, what, item.location())?);
        }
        Ok(all)
    }

    fn boolean_test(&mut self, inner: &ast::Expr, test: BooleanTest) -> Result<Expr> {
        let what = match test {
            BooleanTest::True => "IS TRUE",
            BooleanTest::NotTrue => "IS NOT TRUE",
            BooleanTest::False => "IS FALSE",
            BooleanTest::NotFalse => "IS NOT FALSE",
            BooleanTest::Unknown => "IS UNKNOWN",
            BooleanTest::NotUnknown => "IS NOT UNKNOWN",
        };
        let bound = self.expr(inner)?;
        let bound = self.to_bool(bound, what, inner.location())?;
        let equal = self.equality(oid::BOOL)?;
        let is = |bound: Expr, value: bool, negated: bool| {
            let right = Box::new(constant(Datum::Bool(value), oid::BOOL));
            boolean(ExprKind::IsDistinct { left: Box::new(bound), right, negated, equal })
        };
        Ok(match test {
            BooleanTest::True => is(bound, true, true),
            BooleanTest::NotTrue => is(bound, true, false),
            BooleanTest::False => is(bound, false, true),
            BooleanTest::NotFalse => is(bound, false, false),
            BooleanTest::Unknown => boolean(ExprKind::IsNull(Box::new(bound))),
            BooleanTest::NotUnknown => boolean(ExprKind::IsNotNull(Box::new(bound))),
        })
    }

    /// Operands of `=` as IS DISTINCT FROM and NULLIF use them: both cast, and the function.
    fn equals(
        &mut self,
        left: Expr,
        right: Expr,
        at: (u32, u32),
        what: &str,
        pos: u32,
    ) -> Result<(Box<Expr>, Box<Expr>, &'static crate::executor::functions::Function)> {
        let applied = self.apply(&OperatorName::new("="), Some(left), right, at, pos)?;
        let ExprKind::Call(Call { function, args }) = applied.kind else {
            return Err(Error::internal("an operator was bound to something else than a call"));
        };
        let mut args = args.into_iter().map(Box::new);
        match (args.next(), args.next()) {
            (Some(left), Some(right)) if applied.ty.oid == oid::BOOL => Ok((left, right, function)),
            _ => {
                let message = format!("{what} requires = operator to yield boolean");
                Err(Error::new(SqlState::DatatypeMismatch, message).at(self.position(pos)))
            }
        }
    }

    fn is_distinct(&mut self, left: &ast::Expr, right: &ast::Expr, negated: bool, pos: u32) -> Result<Expr> {
        if let (Ast::Row { fields: a, .. }, Ast::Row { fields: b, .. }) = (&left.kind, &right.kind) {
            if a.len() != b.len() {
                return Err(self.unequal_rows(pos));
            }
            let mut parts = Vec::new();
            for (a, b) in a.iter().zip(b) {
                parts.push(self.is_distinct(a, b, negated, pos)?);
                self.explicit = None;
            }
            return Ok(boolean(if negated { ExprKind::And(parts) } else { ExprKind::Or(parts) }));
        }
        // A NULL literal on either side makes it IS [NOT] NULL.
        let null = |side: &ast::Expr| matches!(side.kind, Ast::Literal(Literal::Null));
        if null(left) || null(right) {
            let other = self.expr(if null(right) { left } else { right })?;
            let other = Box::new(self.coerce_unknown_to_text(other));
            return Ok(boolean(if negated { ExprKind::IsNull(other) } else { ExprKind::IsNotNull(other) }));
        }
        let (a, b) = (self.expr(left)?, self.expr(right)?);
        let at = (left.location(), right.location());
        let (left, right, equal) = self.equals(a, b, at, "IS DISTINCT FROM", pos)?;
        Ok(boolean(ExprKind::IsDistinct { left, right, negated, equal }))
    }

    fn null_if(&mut self, left: &ast::Expr, right: &ast::Expr, pos: u32) -> Result<Expr> {
        let (a, b) = (self.expr(left)?, self.expr(right)?);
        let at = (left.location(), right.location());
        let (left, right, equal) = self.equals(a, b, at, "NULLIF", pos)?;
        let ty = left.ty;
        Ok(Expr { kind: ExprKind::NullIf { left, right, equal }, ty })
    }

    fn like(
        &mut self,
        kind: LikeKind,
        negated: bool,
        left: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
        pos: u32,
    ) -> Result<Expr> {
        let name = match (kind, negated) {
            (LikeKind::Like, false) => "~~",
            (LikeKind::Like, true) => "!~~",
            (LikeKind::ILike, false) => "~~*",
            (LikeKind::ILike, true) => "!~~*",
            (LikeKind::SimilarTo, false) => "~",
            (LikeKind::SimilarTo, true) => "!~",
        };
        let function = match (kind, escape) {
            (LikeKind::SimilarTo, _) => Some("similar_to_escape"),
            (_, Some(_)) => Some("like_escape"),
            (_, None) => None,
        };
        let pattern = match function {
            None => pattern.clone(),
            Some(function) => {
                let name = ObjectName { parts: vec!["pg_catalog".to_owned(), function.to_owned()], pos };
                let args = std::iter::once(pattern).chain(escape);
                let args = args.map(|value| ast::Argument { name: None, value: value.clone() }).collect();
                let call = ast::FunctionCall {
                    name,
                    args,
                    variadic: false,
                    star: false,
                    distinct: false,
                    order_by: Vec::new(),
                    within_group: Vec::new(),
                    filter: None,
                    over: None,
                    sql_syntax: false,
                };
                ast::Expr::new(Ast::Function(Box::new(call)), pos)
            }
        };
        self.operator(&OperatorName::new(name), Some(left), &pattern, pos)
    }

    // --- rows, lists, arrays, subqueries ---

    fn unequal_rows(&self, pos: u32) -> Error {
        Error::new(SqlState::SyntaxError, "unequal number of entries in row expressions").at(self.position(pos))
    }

    /// `ROW(…) op (SELECT …)`: the subquery's one row is kept as a record, NULL when there is none.
    fn row_against_query(
        &mut self,
        op: &OperatorName,
        fields: &[ast::Expr],
        query: &ast::Query,
        pos: u32,
    ) -> Result<Expr> {
        let (rel, columns) = self.query_inside(query, pos)?;
        let mut values = Vec::with_capacity(fields.len());
        for field in fields {
            values.push((self.expr(field)?, field.location()));
            self.explicit = None;
        }
        if columns.len() != values.len() {
            let few = if columns.len() < values.len() { "few" } else { "many" };
            let message = format!("subquery has too {few} columns");
            return Err(Error::new(SqlState::SyntaxError, message).at(self.position(pos)));
        }
        let record_type = Type::new(oid::RECORD);
        let row = columns.iter().map(|c| Expr { kind: ExprKind::Column(c.column), ty: c.ty }).collect();
        let column = self.column(record_type);
        let exprs = vec![(column, Expr { kind: ExprKind::Row(row), ty: record_type })];
        let rel = Rel::Project { input: Box::new(rel), exprs };
        let query = Subquery { rel, columns: vec![column], kind: SubqueryKind::Scalar };
        let query = Expr { kind: ExprKind::Subquery(Box::new(query)), ty: record_type };
        let record = self.column(record_type);
        let mut pairs = Vec::with_capacity(values.len());
        for (field, ((value, place), column)) in values.into_iter().zip(&columns).enumerate() {
            let record = Box::new(Expr { kind: ExprKind::Column(record), ty: record_type });
            let right = Expr { kind: ExprKind::Field { record, field }, ty: column.ty };
            pairs.push((value, right, (place, pos)));
        }
        let test = self.compare_pairs(op, pairs, pos)?;
        let constant = |value: bool| Expr { kind: ExprKind::Const(Datum::Bool(value)), ty: Type::new(oid::BOOL) };
        let arms = vec![(test.clone(), constant(true)), (negate(test), constant(false))];
        Ok(boolean(ExprKind::Case { operand: Some((record, Box::new(query))), arms, otherwise: None }))
    }

    /// A comparison function of one pair of a row comparison.
    fn row_function(
        &self,
        name: &str,
        left: &Expr,
        right: &Expr,
        op: &OperatorName,
        pos: u32,
    ) -> Result<&'static crate::executor::functions::Function> {
        let found = builtin::operator(name, left.ty.oid, right.ty.oid)
            .and_then(|operator| builtin::function_by_oid(operator.code))
            .or_else(|| builtin::comparison(name, base_type(left.ty.oid)));
        found.ok_or_else(|| {
            let message = format!("could not determine interpretation of row comparison operator {}", op.display());
            Error::new(SqlState::FeatureNotSupported, message).at(self.position(pos))
        })
    }

    fn row_comparison(&mut self, op: &OperatorName, left: &[ast::Expr], right: &[ast::Expr], pos: u32) -> Result<Expr> {
        if left.len() != right.len() {
            return Err(self.unequal_rows(pos));
        }
        if left.is_empty() {
            let message = "cannot compare rows of zero length";
            return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(pos)));
        }
        let mut pairs = Vec::with_capacity(left.len());
        for (l, r) in left.iter().zip(right) {
            let at = (l.location(), r.location());
            let (l, r) = (self.expr(l)?, self.expr(r)?);
            self.explicit = None;
            pairs.push((l, r, at));
        }
        self.compare_pairs(op, pairs, pos)
    }

    fn no_row_operator(&self, op: &OperatorName, pos: u32) -> Error {
        let message = format!("could not determine interpretation of row comparison operator {}", op.display());
        Error::new(SqlState::FeatureNotSupported, message)
            .hint("Row comparison operators must be associated with btree operator families.")
            .at(self.position(pos))
    }

    /// A row comparison of bound values, pair by pair, with the places of both.
    fn compare_pairs(&mut self, op: &OperatorName, pairs: Vec<(Expr, Expr, (u32, u32))>, pos: u32) -> Result<Expr> {
        let (mut a, mut b, mut equal, mut less) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (l, r, at) in pairs {
            let applied = self.apply(op, Some(l), r, at, pos)?;
            let ExprKind::Call(Call { function: _, args }) = applied.kind else {
                return Err(Error::internal("an operator was bound to something else than a call"));
            };
            let mut args = args.into_iter();
            let (Some(l), Some(r)) = (args.next(), args.next()) else {
                return Err(Error::internal("a comparison has two operands"));
            };
            if row_op(&op.name).is_none() {
                return Err(self.no_row_operator(op, pos));
            }
            equal.push(self.row_function("=", &l, &r, op, pos)?);
            less.push(self.row_function("<", &l, &r, op, pos)?);
            a.push(l);
            b.push(r);
        }
        let row_op = row_op(&op.name).ok_or_else(|| self.no_row_operator(op, pos))?;
        Ok(boolean(ExprKind::RowComparison { op: row_op, left: a, right: b, equal, less }))
    }

    /// `expr [NOT] IN (list)`: one comparison with an array where the items name no columns and have a common type.
    fn in_list(&mut self, left: &ast::Expr, list: &[ast::Expr], negated: bool, pos: u32) -> Result<Expr> {
        let op = OperatorName::new(if negated { "<>" } else { "=" });
        let join = |parts: Vec<Expr>| boolean(if negated { ExprKind::And(parts) } else { ExprKind::Or(parts) });
        if let Ast::Row { fields, .. } = &left.kind {
            let mut parts = Vec::with_capacity(list.len());
            for item in list {
                parts.push(match &item.kind {
                    Ast::Row { fields: other, .. } => self.row_comparison(&op, fields, other, pos)?,
                    _ => self.operator(&op, Some(left), item, pos)?,
                });
            }
            return Ok(join(parts));
        }
        let bound = self.expr(left)?;
        let mut constants = Vec::new();
        let mut parts = Vec::new();
        for item in list {
            let value = self.expr(item)?;
            if names_columns(&value) {
                parts.push((value, item.location()));
            } else {
                constants.push((value, item.location()));
            }
        }
        let mut tests = Vec::new();
        if constants.len() > 1 {
            let mut types = vec![bound.ty.oid];
            types.extend(constants.iter().map(|(value, _)| value.ty.oid));
            let common = self.common_type_or_none(&types);
            if let Some(array_type) = common.filter(|ty| *ty != oid::RECORD).and_then(builtin::array_of) {
                let common = Type::new(common.unwrap_or(oid::TEXT));
                let mut items = Vec::with_capacity(constants.len());
                for (value, place) in constants.drain(..) {
                    items.push(self.coerce(value, common, Coercion::Implicit, place)?);
                }
                let array = Expr { kind: ExprKind::ArrayOf { items, nested: false }, ty: Type::new(array_type) };
                tests.push(self.array_comparison(&op, negated, bound.clone(), array, (left.location(), pos), pos)?);
            }
        }
        for (value, place) in constants.into_iter().chain(parts) {
            tests.push(self.apply(&op, Some(bound.clone()), value, (left.location(), place), pos)?);
        }
        Ok(if tests.len() == 1 { tests.swap_remove(0) } else { join(tests) })
    }

    /// `left op ANY/ALL (array)`.
    fn array_comparison(
        &mut self,
        op: &OperatorName,
        all: bool,
        left: Expr,
        array: Expr,
        at: (u32, u32),
        pos: u32,
    ) -> Result<Expr> {
        let element = match array.ty.oid {
            oid::UNKNOWN => oid::UNKNOWN,
            ty => match builtin::element_of(base_type(ty)).or_else(|| vector_element(ty)) {
                Some(element) => element,
                None => {
                    let message = "op ANY/ALL (array) requires array on right side";
                    return Err(Error::new(SqlState::WrongObjectType, message).at(self.position(pos)));
                }
            },
        };
        let found = self.find_operator(op, left.ty.oid, element, pos)?;
        let function =
            builtin::function_by_oid(found.code).ok_or_else(|| Error::internal("an operator without a function"))?;
        if found.result != oid::BOOL {
            let message = "op ANY/ALL (array) requires operator to yield boolean";
            return Err(Error::new(SqlState::WrongObjectType, message).at(self.position(pos)));
        }
        let mut declared = [found.left, found.right];
        let given = [left.ty.oid, if element == oid::UNKNOWN { left.ty.oid } else { element }];
        self.resolve_polymorphic(&mut declared, &given, found.result, "ARRAY")?;
        let left = Box::new(self.coerce(left, Type::new(declared[0]), Coercion::Implicit, at.0)?);
        let wanted = match builtin::array_of(declared[1]) {
            Some(_) if vector_element(array.ty.oid) == Some(declared[1]) => array.ty.oid,
            Some(wanted) => wanted,
            None => {
                let name = self.type_name(Type::new(declared[1]));
                let message = format!("could not find array type for data type {name}");
                return Err(Error::new(SqlState::UndefinedObject, message).at(self.position(pos)));
            }
        };
        let array = Box::new(self.coerce(array, Type::new(wanted), Coercion::Implicit, at.1)?);
        Ok(boolean(ExprKind::ArrayComparison { left, array, all, compare: function }))
    }

    /// `left op ANY/ALL (SELECT …)`, IN, and `ROW(…) op (SELECT …)`.
    fn quantified(
        &mut self,
        op: &OperatorName,
        all: bool,
        left: &ast::Expr,
        query: &ast::Query,
        pos: u32,
    ) -> Result<Expr> {
        let places: Vec<&ast::Expr> = match &left.kind {
            Ast::Row { fields, .. } => fields.iter().collect(),
            _ => vec![left],
        };
        let (rel, columns) = self.query_inside(query, pos)?;
        let mut values = Vec::with_capacity(places.len());
        for place in &places {
            values.push(self.expr(place)?);
            self.explicit = None;
        }
        if columns.len() != values.len() {
            let few = if columns.len() < values.len() { "few" } else { "many" };
            let message = format!("subquery has too {few} columns");
            return Err(Error::new(SqlState::SyntaxError, message).at(self.position(pos)));
        }
        let several = values.len() > 1;
        let ordered = several && !matches!(row_op(&op.name), Some(RowOp::Eq | RowOp::Ne));
        let mut equal = Vec::new();
        let mut lefts = Vec::with_capacity(values.len());
        let mut compare = Vec::with_capacity(values.len());
        let mut ids = Vec::with_capacity(values.len());
        let mut computed = Vec::new();
        for (i, value) in values.into_iter().enumerate() {
            let column = &columns[i];
            let right = Expr { kind: ExprKind::Column(column.column), ty: column.ty };
            let applied = self.apply(op, Some(value), right, (places[i].location(), pos), pos)?;
            let ExprKind::Call(Call { function, mut args }) = applied.kind else {
                return Err(Error::internal("an operator was bound to something else than a call"));
            };
            if applied.ty.oid != oid::BOOL {
                let message = format!(
                    "operator {} must return type boolean, not type {}",
                    op.display(),
                    self.type_name(applied.ty)
                );
                return Err(Error::new(SqlState::WrongObjectType, message).at(self.position(pos)));
            }
            let right = args.pop().unwrap_or_else(|| constant(Datum::Null, oid::UNKNOWN));
            let left = args.pop();
            if several && row_op(&op.name).is_none() {
                return Err(self.no_row_operator(op, pos));
            }
            if let Some(left) = left.as_ref().filter(|_| ordered) {
                equal.push(self.row_function("=", left, &right, op, pos)?);
            }
            lefts.extend(left);
            compare.push(function);
            match right.kind {
                ExprKind::Column(column) => ids.push(column),
                kind => {
                    let right = Expr { kind, ty: right.ty };
                    let column = self.column(right.ty);
                    ids.push(column);
                    computed.push((column, right));
                }
            }
        }
        let rel = match computed.is_empty() {
            true => rel,
            false => Rel::Project { input: Box::new(rel), exprs: computed },
        };
        let op = row_op(&op.name).unwrap_or(RowOp::Eq);
        let kind = SubqueryKind::Quantified { left: lefts, compare, equal, op, all };
        Ok(boolean(ExprKind::Subquery(Box::new(Subquery { rel, columns: ids, kind }))))
    }

    fn array_query(&mut self, query: &ast::Query, pos: u32) -> Result<Expr> {
        let (rel, columns) = self.query_inside(query, pos)?;
        let [column] = &columns[..] else {
            let message = "subquery must return only one column";
            return Err(Error::new(SqlState::SyntaxError, message).at(self.position(pos)));
        };
        let ty = column.ty;
        let array = if builtin::element_of(ty.oid).is_some() { Some(ty.oid) } else { builtin::array_of(ty.oid) };
        let Some(array) = array else {
            let message = format!("could not find array type for data type {}", self.type_name(ty));
            return Err(Error::new(SqlState::UndefinedObject, message).at(self.position(pos)));
        };
        let ty = Type::with_typmod(array, ty.typmod);
        Ok(Expr { kind: subquery(rel, &columns, SubqueryKind::Array), ty })
    }

    /// ARRAY[…]; `target` is the array type that a cast around it asks for.
    fn array(&mut self, items: &[ast::Expr], target: Option<Type>, pos: u32) -> Result<Expr> {
        let mut values = Vec::with_capacity(items.len());
        let mut nested = false;
        for item in items {
            let value = match &item.kind {
                Ast::Array(inner) => self.array(inner, target, item.pos)?,
                _ => self.expr(item)?,
            };
            nested |= matches!(item.kind, Ast::Array(_)) || builtin::element_of(value.ty.oid).is_some();
            values.push(value);
        }
        let places: Vec<u32> = items.iter().map(ast::Expr::location).collect();
        let (ty, element, why) = match target {
            Some(array) => {
                let element = match nested {
                    true => array,
                    false => {
                        let element = builtin::element_of(base_type(array.oid)).unwrap_or(oid::TEXT);
                        Type::with_typmod(element, array.typmod)
                    }
                };
                (array, element, Coercion::Explicit)
            }
            None => {
                if values.is_empty() {
                    return Err(Error::new(SqlState::IndeterminateDatatype, "cannot determine type of empty array")
                        .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
                        .at(self.position(pos)));
                }
                let typed: Vec<(Oid, u32)> = values.iter().zip(&places).map(|(v, place)| (v.ty.oid, *place)).collect();
                let common = self.select_common_type(&typed, "ARRAY")?;
                let array = if nested { Some(common) } else { builtin::array_of(common) };
                let Some(array) = array else {
                    let name = self.type_name(Type::new(common));
                    let message = format!("could not find array type for data type {name}");
                    return Err(Error::new(SqlState::UndefinedObject, message).at(self.position(pos)));
                };
                (Type::new(array), Type::new(common), Coercion::Implicit)
            }
        };
        let mut ready = Vec::with_capacity(values.len());
        for (value, place) in values.into_iter().zip(places) {
            let from = value.ty;
            match self.coerce_to(value, element, why, place)? {
                Some(value) => ready.push(value),
                None => {
                    let message = format!("cannot cast type {} to {}", self.type_name(from), self.type_name(element));
                    return Err(Error::new(SqlState::CannotCoerce, message).at(self.position(place)));
                }
            }
        }
        Ok(Expr { kind: ExprKind::ArrayOf { items: ready, nested }, ty })
    }

    // --- casts, CASE, fields ---

    fn cast(&mut self, inner: &ast::Expr, name: &ast::TypeName, pos: u32) -> Result<Expr> {
        let ty = self.bind_type(name)?;
        let bound = match &inner.kind {
            Ast::Array(items) if builtin::element_of(base_type(ty.oid)).is_some() => {
                self.array(items, Some(ty), inner.pos)?
            }
            _ => self.expr(inner)?,
        };
        let from = bound.ty;
        match self.coerce_to(bound, ty, Coercion::Explicit, inner.location())? {
            Some(expr) => Ok(expr),
            None => {
                let place = if pos > 0 { pos } else { name.pos };
                let message = format!("cannot cast type {} to {}", self.type_name(from), self.type_name(ty));
                Err(Error::new(SqlState::CannotCoerce, message).at(self.position(place)))
            }
        }
    }

    /// What decides which of its parts are evaluated takes no set-returning function.
    fn no_more_sets(&mut self, before: usize, what: &str) -> Result<()> {
        let Some(span) = self.scope().sets.get(before).map(|set| set.span) else { return Ok(()) };
        let message = format!("set-returning functions are not allowed in {what}");
        Err(Error::new(SqlState::FeatureNotSupported, message)
            .hint("You might be able to move the set-returning function into a LATERAL FROM item.")
            .at(self.position(span)))
    }

    fn collate(&mut self, inner: &ast::Expr, collation: &ObjectName, pos: u32) -> Result<Expr> {
        let bound = self.expr(inner)?;
        if !is_collatable(bound.ty.oid) {
            let message = format!("collations are not supported by type {}", self.type_name(bound.ty));
            return Err(Error::new(SqlState::DatatypeMismatch, message).at(self.position(pos)));
        }
        match (collation.schema().unwrap_or("pg_catalog"), collation.name()) {
            ("pg_catalog", "C" | "POSIX" | "default" | "ucs_basic") => Ok(bound),
            _ => {
                let message = format!("collation \"{}\" for encoding \"UTF8\" does not exist", collation.display());
                Err(Error::new(SqlState::UndefinedObject, message).at(self.position(pos)))
            }
        }
    }

    /// Values of one type, for COALESCE and its like.
    fn common(&mut self, items: &[ast::Expr], what: &str) -> Result<Vec<Expr>> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.expr(item)?);
        }
        let typed: Vec<(Oid, u32)> = values.iter().zip(items).map(|(v, item)| (v.ty.oid, item.location())).collect();
        let common = self.select_common_type(&typed, what)?;
        let ty = common_typmod(common, &values);
        values
            .into_iter()
            .zip(items)
            .map(|(value, item)| self.coerce_common(value, ty, what, item.location()))
            .collect()
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        arms: &[(ast::Expr, ast::Expr)],
        places: &[u32],
        otherwise: Option<&ast::Expr>,
        pos: u32,
    ) -> Result<Expr> {
        let operand = match operand {
            Some(operand) => {
                let bound = self.expr(operand)?;
                let bound = self.coerce_unknown_to_text(bound);
                Some((self.column(bound.ty), Box::new(bound), operand.location()))
            }
            None => None,
        };
        self.explicit = None;
        let mut conditions = Vec::with_capacity(arms.len());
        let mut results = Vec::with_capacity(arms.len() + 1);
        // The default counts first when the common type is chosen.
        let default = match otherwise {
            Some(otherwise) => (self.expr(otherwise)?, otherwise.location()),
            None => (constant(Datum::Null, oid::UNKNOWN), pos),
        };
        results.push(default);
        let last = self.explicit.take();
        for ((when, then), when_pos) in arms.iter().zip(places) {
            // Only results give the CASE their collation.
            let explicit = self.explicit.take();
            let bound = self.expr(when)?;
            self.explicit = explicit;
            conditions.push(match &operand {
                Some((column, value, place)) => {
                    let left = Expr { kind: ExprKind::Column(*column), ty: value.ty };
                    let at = (*place, when.location());
                    let test = self.apply(&OperatorName::new("="), Some(left), bound, at, *when_pos)?;
                    self.to_bool(test, "CASE/WHEN", when.location())?
                }
                None => self.to_bool(bound, "CASE/WHEN", when.location())?,
            });
            results.push((self.expr(then)?, then.location()));
        }
        self.merge_explicit(last)?;
        let typed: Vec<(Oid, u32)> = results.iter().map(|(value, place)| (value.ty.oid, *place)).collect();
        let common = self.select_common_type(&typed, "CASE")?;
        let values: Vec<Expr> = results.iter().map(|(value, _)| value.clone()).collect();
        let ty = common_typmod(common, &values);
        let mut cast = Vec::with_capacity(results.len());
        for (i, (value, place)) in results.into_iter().enumerate() {
            let what = if i == 0 { "CASE/ELSE" } else { "CASE/WHEN" };
            cast.push(self.coerce_common(value, ty, what, place)?);
        }
        let mut cast = cast.into_iter();
        let default = cast.next().filter(|_| otherwise.is_some()).map(Box::new);
        let arms = conditions.into_iter().zip(cast).collect();
        let operand = operand.map(|(column, value, _)| (column, value));
        Ok(Expr { kind: ExprKind::Case { operand, arms, otherwise: default }, ty })
    }

    fn indirection(&mut self, base: &ast::Expr, path: &[Indirection]) -> Result<Expr> {
        let mut value = self.expr(base)?;
        let mut subscripts: Vec<&Indirection> = Vec::new();
        for step in path {
            match step {
                Indirection::Index(_) | Indirection::Slice(..) => subscripts.push(step),
                Indirection::Field(field) => {
                    value = self.subscripted(value, std::mem::take(&mut subscripts), base.pos)?;
                    value = self.field(value, field, base.pos)?;
                }
                Indirection::Star => {
                    let message = "row expansion via \"*\" is not supported here";
                    return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(base.pos)));
                }
            }
        }
        self.subscripted(value, subscripts, base.pos)
    }

    fn field(&mut self, record: Expr, field: &ast::Ident, pos: u32) -> Result<Expr> {
        let place = self.position(pos);
        let Some(fields) = self.record_fields(&record) else {
            if record.ty.oid == oid::RECORD {
                let message = format!("could not identify column \"{}\" in record data type", field.name);
                return Err(Error::new(SqlState::UndefinedColumn, message).at(place));
            }
            let name = self.type_name(record.ty);
            let message =
                format!("column notation .{} applied to type {name}, which is not a composite type", field.name);
            return Err(Error::new(SqlState::WrongObjectType, message).at(place));
        };
        let Some(index) = fields.iter().position(|(name, _)| *name == field.name) else {
            if let Some(item) = self.row_of(&record) {
                return Err(self.missing_column(Some(&item), &field.name, pos));
            }
            let message = match record.ty.oid {
                oid::RECORD => format!("could not identify column \"{}\" in record data type", field.name),
                _ => format!("column \"{}\" not found in data type {}", field.name, self.type_name(record.ty)),
            };
            return Err(Error::new(SqlState::UndefinedColumn, message).at(place));
        };
        let ty = fields[index].1;
        if let ExprKind::Row(mut values) = record.kind {
            return Ok(values.swap_remove(index));
        }
        Ok(Expr { kind: ExprKind::Field { record: Box::new(record), field: index }, ty })
    }

    /// The name of the FROM item whose whole row this is.
    fn row_of(&self, record: &Expr) -> Option<String> {
        let ExprKind::Row(values) = &record.kind else { return None };
        let ExprKind::Column(first) = values.first()?.kind else { return None };
        let items = self.scopes.iter().rev().flat_map(|scope| &scope.items).filter(|item| item.named);
        let whole = |item: &&super::scope::Item| {
            item.columns.len() == values.len() && item.columns.first().is_some_and(|column| column.column == first)
        };
        items.into_iter().find(whole).map(|item| item.name.clone())
    }

    fn subscripted(&mut self, array: Expr, path: Vec<&Indirection>, pos: u32) -> Result<Expr> {
        if path.is_empty() {
            return Ok(array);
        }
        let base = base_type(array.ty.oid);
        if base == oid::JSONB {
            return self.jsonb_subscripted(array, &path, pos);
        }
        let Some(element) = builtin::element_of(base).or_else(|| vector_element(base)) else {
            let name = self.type_name(array.ty);
            let message = format!("cannot subscript type {name} because it does not support subscripting");
            return Err(Error::new(SqlState::DatatypeMismatch, message).at(self.position(pos)));
        };
        let sliced = path.iter().any(|step| matches!(step, Indirection::Slice(..)));
        let mut subscripts = Vec::with_capacity(path.len());
        for step in path {
            subscripts.push(match step {
                Indirection::Index(index) if sliced => {
                    // `a[2]` among slices means `a[1:2]`.
                    Subscript::Slice(Some(constant(Datum::Int4(1), oid::INT4)), Some(self.subscript(index)?))
                }
                Indirection::Index(index) => Subscript::Index(self.subscript(index)?),
                Indirection::Slice(low, high) => {
                    let low = low.as_ref().map(|low| self.subscript(low)).transpose()?;
                    let high = high.as_ref().map(|high| self.subscript(high)).transpose()?;
                    Subscript::Slice(low, high)
                }
                Indirection::Field(_) | Indirection::Star => continue,
            });
        }
        let ty = match sliced {
            // A slice of a vector type is a plain array.
            true if vector_element(base).is_some() => Type::new(builtin::array_of(element).unwrap_or(base)),
            true => builtin::base_type(array.ty),
            false => Type::with_typmod(element, array.ty.typmod),
        };
        Ok(Expr { kind: ExprKind::Subscript { array: Box::new(array), subscripts }, ty })
    }

    fn subscript(&mut self, index: &ast::Expr) -> Result<Expr> {
        let bound = self.expr(index)?;
        match self.coerce_to(bound, Type::new(oid::INT4), Coercion::Assignment, index.location())? {
            Some(bound) => Ok(bound),
            None => {
                let message = "array subscript must have type integer";
                Err(Error::new(SqlState::DatatypeMismatch, message).at(self.position(index.location())))
            }
        }
    }

    /// The name of a select-list column that has none given (PostgreSQL's `FigureColname`).
    pub(crate) fn output_name(&self, expr: &ast::Expr) -> String {
        figure(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
    }
}

/// The name that an expression suggests, and whether it is a strong one.
fn figure(expr: &ast::Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match &expr.kind {
        Ast::Column(parts) => parts.last().map(|name| (name.clone(), true)),
        Ast::Indirection(base, path) => {
            let last = path.iter().rev().find_map(|step| match step {
                Indirection::Field(field) => Some(field.name.clone()),
                _ => None,
            });
            last.map_or_else(|| figure(base), |name| Some((name, true)))
        }
        Ast::Function(call) => strong(call.name.name()),
        Ast::NullIf(..) => strong("nullif"),
        Ast::Cast { expr, ty } => match figure(expr) {
            Some((name, true)) => Some((name, true)),
            _ => ty.names.last().map(|name| (name.clone(), false)),
        },
        Ast::Collate { expr, .. } => figure(expr),
        Ast::Grouping(_) => strong("grouping"),
        Ast::Exists(_) => strong("exists"),
        Ast::ArrayQuery(_) | Ast::Array(_) => strong("array"),
        Ast::Scalar(query) => {
            let first = first_target(&query.body)?;
            match &first.name {
                Some(name) => Some((name.clone(), true)),
                None => figure(&first.expr),
            }
        }
        Ast::Case { otherwise, .. } => match otherwise.as_deref().and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        Ast::Row { .. } => strong("row"),
        Ast::Coalesce(_) => strong("coalesce"),
        Ast::MinMax { greatest, .. } => strong(if *greatest { "greatest" } else { "least" }),
        Ast::SqlValue { value, .. } => strong(match value {
            SqlValue::CurrentDate => "current_date",
            SqlValue::CurrentTime => "current_time",
            SqlValue::CurrentTimestamp => "current_timestamp",
            SqlValue::LocalTime => "localtime",
            SqlValue::LocalTimestamp => "localtimestamp",
            SqlValue::CurrentUser => "current_user",
            SqlValue::User => "user",
            SqlValue::SessionUser => "session_user",
            SqlValue::CurrentRole => "current_role",
            SqlValue::CurrentCatalog => "current_catalog",
            SqlValue::CurrentSchema => "current_schema",
        }),
        _ => None,
    }
}

fn first_target(body: &ast::SetExpr) -> Option<&ast::Target> {
    match body {
        ast::SetExpr::Select(select) => select.targets.first(),
        ast::SetExpr::SetOp { left, .. } => first_target(left),
        ast::SetExpr::Query(query) => first_target(&query.body),
        ast::SetExpr::Values { .. } => None,
    }
}

fn subquery(rel: Rel, columns: &[OutputColumn], kind: SubqueryKind) -> ExprKind {
    let columns = columns.iter().map(|column| column.column).collect();
    ExprKind::Subquery(Box::new(Subquery { rel, columns, kind }))
}

/// A query without the operators on its top that EXISTS does not run: select list, order, duplicates, grouping without
/// aggregates and a LIMIT that leaves a row, as PostgreSQL's `simplify_EXISTS_query`.
fn below(mut rel: Rel, mut idle: usize) -> Rel {
    while idle > 0
        && let [input] = &mut visit::rel_inputs(&mut rel)[..]
    {
        let input = std::mem::replace(*input, Rel::Values { columns: Vec::new(), rows: Vec::new() });
        (rel, idle) = (input, idle - 1);
    }
    rel
}

/// `expr >= low AND expr <= high`, or its negation.
fn between(expr: &ast::Expr, low: &ast::Expr, high: &ast::Expr, negated: bool, pos: u32) -> ast::Expr {
    let test = |name: &str, bound: &ast::Expr| {
        let kind = Ast::Operator {
            op: OperatorName::new(name),
            left: Some(Box::new(expr.clone())),
            right: Box::new(bound.clone()),
        };
        ast::Expr::new(kind, pos)
    };
    let kind = match negated {
        false => Ast::And(vec![test(">=", low), test("<=", high)]),
        true => Ast::Or(vec![test("<", low), test(">", high)]),
    };
    ast::Expr::new(kind, pos)
}

/// Whether an expression names a column of any query level.
fn names_columns(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Const(_) | ExprKind::Param(_) => false,
        ExprKind::Column(_) | ExprKind::Subquery(_) => true,
        ExprKind::Call(call) => call.args.iter().any(names_columns),
        ExprKind::Relabel(inner) | ExprKind::CoerceViaIo(inner) => names_columns(inner),
        ExprKind::SqlValue(_) => false,
        _ => true,
    }
}

/// Whether values of a type have a collation.
fn is_collatable(ty: Oid) -> bool {
    let text = |ty| matches!(ty, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::UNKNOWN);
    text(base_type(ty)) || builtin::element_of(ty).is_some_and(text)
}

/// The common type with the modifier that all values share.
fn common_typmod(common: Oid, values: &[Expr]) -> Type {
    let typmod = values.first().map_or(-1, |value| value.ty.typmod);
    let same = values.iter().all(|value| value.ty == Type::with_typmod(common, typmod));
    if same { Type::with_typmod(common, typmod) } else { Type::new(common) }
}

/// Elements of the two vector types, which take subscripts though they are no arrays.
fn vector_element(ty: Oid) -> Option<Oid> {
    match ty {
        oid::INT2VECTOR => Some(oid::INT2),
        oid::OIDVECTOR => Some(oid::OID),
        _ => None,
    }
}

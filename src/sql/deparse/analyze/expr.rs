//! Expressions (PostgreSQL's `parse_expr.c`).

use super::super::tree::{Constant, Form, Kind, Node, Query, SublinkKind};
use super::{Analyzer, output, unexpected};
use crate::catalog::builtin;
use crate::error::Result;
use crate::sql::ast::{self, ExprKind as Ast, Indirection, LikeKind, Literal, ObjectName, OperatorName};
use crate::sql::bind::coerce::{Coercion, base_type};
use crate::sql::tree::SqlValue;
use crate::sql::visit;
use crate::types::{Datum, Oid, Type, oid};

fn boolean(kind: Kind) -> Node {
    Node { kind, ty: Type::new(oid::BOOL) }
}

fn negate(node: Node) -> Node {
    boolean(Kind::Not(Box::new(node)))
}

impl Analyzer<'_> {
    pub(super) fn expr(&mut self, expr: &ast::Expr) -> Result<Node> {
        visit::deeper(|| self.expr_here(expr))
    }

    fn all(&mut self, items: &[ast::Expr]) -> Result<Vec<Node>> {
        items.iter().map(|item| self.expr(item)).collect()
    }

    pub(super) fn boolean(&mut self, expr: &ast::Expr) -> Result<Node> {
        let node = self.expr(expr)?;
        self.assign(node, Type::new(oid::BOOL))
    }

    fn booleans(&mut self, items: &[ast::Expr]) -> Result<Vec<Node>> {
        items.iter().map(|item| self.boolean(item)).collect()
    }

    fn expr_here(&mut self, expr: &ast::Expr) -> Result<Node> {
        match &expr.kind {
            Ast::Literal(literal) => self.literal(literal),
            Ast::Param(number) => Ok(Node { kind: Kind::Param(*number), ty: Type::new(oid::UNKNOWN) }),
            Ast::Column(parts) => self.name(parts),
            Ast::Star(parts) => {
                let (schema, table) = match &parts[..] {
                    [table] => (None, table),
                    [.., schema, table] => (Some(schema.as_str()), table),
                    [] => return Err(unexpected("* in an expression")),
                };
                let found = self.find_item(schema, table);
                let (up, item) = found.ok_or_else(|| unexpected("an unknown table's row"))?;
                Ok(self.whole_row(up, item))
            }
            Ast::Indirection(base, path) => self.indirection(base, path),
            Ast::Operator { op, left, right } => self.operation(op, left.as_deref(), right),
            Ast::And(items) => Ok(boolean(Kind::And(self.booleans(items)?))),
            Ast::Or(items) => Ok(boolean(Kind::Or(self.booleans(items)?))),
            Ast::Not(inner) => Ok(negate(self.boolean(inner)?)),
            Ast::IsNull { expr, negated } => {
                let arg = self.expr(expr)?;
                let arg = Box::new(self.text_if_unknown(arg)?);
                Ok(boolean(Kind::IsNull { arg, negated: *negated }))
            }
            Ast::IsBool(inner, test) => Ok(boolean(Kind::IsBool(Box::new(self.boolean(inner)?), *test))),
            Ast::IsDistinct { left, right, negated } => self.is_distinct(left, right, *negated),
            Ast::NullIf(left, right) => {
                let (left, right) = self.compared(left, right)?;
                let ty = left.ty;
                Ok(Node { kind: Kind::NullIf(Box::new(left), Box::new(right)), ty })
            }
            Ast::Like { kind, negated, expr, pattern, escape } => {
                self.like(*kind, *negated, expr, pattern, escape.as_deref())
            }
            Ast::Between { negated, symmetric, expr, low, high } => self.between(expr, low, high, *negated, *symmetric),
            Ast::In { negated, expr, list } => self.in_list(expr, list, *negated),
            Ast::InQuery { negated, expr, query } => {
                let found = self.quantified(&OperatorName::new("="), expr, query, SublinkKind::Any)?;
                Ok(if *negated { negate(found) } else { found })
            }
            Ast::AnyArray { op, all, left, array } => {
                let (left, array) = (self.expr(left)?, self.expr(array)?);
                self.any_array(op, *all, left, array)
            }
            Ast::AnyQuery { op, all: false, left, query } => self.quantified(op, left, query, SublinkKind::Any),
            Ast::AnyQuery { op, all: true, left, query } => self.quantified(op, left, query, SublinkKind::All),
            Ast::Function(call) => self.call(call),
            Ast::Cast { expr, ty } => self.cast(expr, ty),
            Ast::Collate { expr, collation } => {
                let arg = self.expr(expr)?;
                let arg = self.text_if_unknown(arg)?;
                let ty = arg.ty;
                Ok(Node { kind: Kind::Collate(Box::new(arg), collation.name().to_owned()), ty })
            }
            Ast::Case { operand, arms, places: _, otherwise } => {
                self.case(operand.as_deref(), arms, otherwise.as_deref())
            }
            Ast::Coalesce(items) => {
                let items = self.all(items)?;
                let (items, ty) = self.to_common(items)?;
                Ok(Node { kind: Kind::Coalesce(items), ty })
            }
            Ast::MinMax { greatest, args } => {
                let args = self.all(args)?;
                let (args, ty) = self.to_common(args)?;
                Ok(Node { kind: Kind::MinMax { greatest: *greatest, args }, ty })
            }
            Ast::SqlValue { value, precision } => Ok(sql_value(*value, *precision)),
            Ast::Array(items) => self.array(items, None),
            Ast::Row { fields, explicit: _ } => {
                let fields = self.fields(fields)?;
                Ok(Node { kind: Kind::Row { fields, labelled: false }, ty: Type::new(oid::RECORD) })
            }
            Ast::Exists(query) => Ok(boolean(self.sublink(SublinkKind::Exists, Vec::new(), query)?.0)),
            Ast::Scalar(query) => {
                let (kind, columns) = self.sublink(SublinkKind::Scalar, Vec::new(), query)?;
                Ok(Node { kind, ty: columns.first().copied().unwrap_or(Type::new(oid::TEXT)) })
            }
            Ast::ArrayQuery(query) => {
                let (kind, columns) = self.sublink(SublinkKind::Array, Vec::new(), query)?;
                let column = columns.first().map_or(oid::TEXT, |ty| ty.oid);
                let array =
                    if builtin::element_of(column).is_some() { Some(column) } else { builtin::array_of(column) };
                Ok(Node { kind, ty: Type::new(array.unwrap_or(oid::TEXT_ARRAY)) })
            }
            Ast::Grouping(args) => Ok(Node { kind: Kind::Grouping(self.all(args)?), ty: Type::new(oid::INT4) }),
            Ast::Default => Err(unexpected("DEFAULT")),
            Ast::CurrentOf(_) => Err(unexpected("WHERE CURRENT OF")),
        }
    }

    fn fields(&mut self, fields: &[ast::Expr]) -> Result<Vec<Node>> {
        let mut values = Vec::with_capacity(fields.len());
        for field in fields {
            let value = self.expr(field)?;
            values.push(self.text_if_unknown(value)?);
        }
        Ok(values)
    }

    fn literal(&mut self, literal: &Literal) -> Result<Node> {
        let plain = |text: String, ty: Oid| Node { kind: Kind::Const(Constant::Text(text)), ty: Type::new(ty) };
        Ok(match literal {
            Literal::Integer(value) => self.constant(&Datum::Int4(*value), Type::new(oid::INT4)),
            Literal::Numeric(text) => match text.parse::<i64>() {
                Ok(value) if i32::try_from(value).is_ok() => plain(text.clone(), oid::INT4),
                Ok(_) => plain(text.clone(), oid::INT8),
                Err(_) => {
                    let unknown = plain(text.clone(), oid::UNKNOWN);
                    self.implicit(unknown, oid::NUMERIC)?
                }
            },
            Literal::String(text) => plain(text.clone(), oid::UNKNOWN),
            Literal::Bits(_) => return Err(unexpected("a bit string")),
            Literal::Bool(value) => self.constant(&Datum::Bool(*value), Type::new(oid::BOOL)),
            Literal::Null => Node { kind: Kind::Const(Constant::Null), ty: Type::new(oid::UNKNOWN) },
        })
    }

    // --- operators ---

    fn operation(&mut self, op: &OperatorName, left: Option<&ast::Expr>, right: &ast::Expr) -> Result<Node> {
        let Some(left) = left else {
            let operand = self.expr(right)?;
            return self.apply(op, None, operand);
        };
        match (&left.kind, &right.kind) {
            (Ast::Row { fields: a, .. }, Ast::Row { fields: b, .. }) => {
                let (a, b) = (self.all(a)?, self.all(b)?);
                return self.row_comparison(op, a, b);
            }
            (Ast::Row { .. }, Ast::Scalar(query)) => return self.quantified(op, left, query, SublinkKind::Row),
            _ => {}
        }
        let (left, right) = (self.expr(left)?, self.expr(right)?);
        self.apply(op, Some(left), right)
    }

    fn apply(&mut self, op: &OperatorName, left: Option<Node>, right: Node) -> Result<Node> {
        let left_type = left.as_ref().map_or(Oid::NONE, |left| left.ty.oid);
        let found = self.binder.find_operator(op, left_type, right.ty.oid, 0)?;
        let (mut declared, given) = match &left {
            Some(left) => (vec![found.left, found.right], vec![left.ty.oid, right.ty.oid]),
            None => (vec![found.right], vec![right.ty.oid]),
        };
        let result = self.binder.resolve_polymorphic(&mut declared, &given, found.result, found.name)?;
        let mut args = Vec::with_capacity(2);
        for (arg, wanted) in left.into_iter().chain([right]).zip(declared) {
            args.push(self.implicit(arg, wanted)?);
        }
        Ok(Node { kind: Kind::Operator { operator: found.oid, args }, ty: Type::new(result) })
    }

    /// Both operands as `=` takes them.
    fn compared(&mut self, left: &ast::Expr, right: &ast::Expr) -> Result<(Node, Node)> {
        let applied = self.operation(&OperatorName::new("="), Some(left), right)?;
        let Kind::Operator { mut args, .. } = applied.kind else { return Err(unexpected("a comparison of rows")) };
        match (args.pop(), args.pop()) {
            (Some(right), Some(left)) => Ok((left, right)),
            _ => Err(unexpected("an operator of one operand")),
        }
    }

    fn is_distinct(&mut self, left: &ast::Expr, right: &ast::Expr, negated: bool) -> Result<Node> {
        if let (Ast::Row { fields: a, .. }, Ast::Row { fields: b, .. }) = (&left.kind, &right.kind) {
            let parts = a.iter().zip(b).map(|(a, b)| self.is_distinct(a, b, false)).collect::<Result<Vec<_>>>()?;
            let any = boolean(Kind::Or(parts));
            return Ok(if negated { negate(any) } else { any });
        }
        let null = |side: &ast::Expr| matches!(side.kind, Ast::Literal(Literal::Null));
        if null(left) || null(right) {
            let arg = self.expr(if null(right) { left } else { right })?;
            let arg = Box::new(self.text_if_unknown(arg)?);
            return Ok(boolean(Kind::IsNull { arg, negated: !negated }));
        }
        let (left, right) = self.compared(left, right)?;
        let distinct = boolean(Kind::Distinct(Box::new(left), Box::new(right)));
        Ok(if negated { negate(distinct) } else { distinct })
    }

    fn like(
        &mut self,
        kind: LikeKind,
        negated: bool,
        left: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
    ) -> Result<Node> {
        let name = match (kind, negated) {
            (LikeKind::Like, false) => "~~",
            (LikeKind::Like, true) => "!~~",
            (LikeKind::ILike, false) => "~~*",
            (LikeKind::ILike, true) => "!~~*",
            (LikeKind::SimilarTo, false) => "~",
            (LikeKind::SimilarTo, true) => "!~",
        };
        let function = match (kind, escape) {
            (LikeKind::SimilarTo, _) => "similar_to_escape",
            (_, Some(_)) => "like_escape",
            (_, None) => return self.operation(&OperatorName::new(name), Some(left), pattern),
        };
        let left = self.expr(left)?;
        let args = std::iter::once(pattern).chain(escape);
        let call = ast::FunctionCall {
            name: ObjectName { parts: vec!["pg_catalog".to_owned(), function.to_owned()], pos: 0 },
            args: args.map(|value| ast::Argument { name: None, value: value.clone() }).collect(),
            variadic: false,
            star: false,
            distinct: false,
            order_by: Vec::new(),
            within_group: Vec::new(),
            filter: None,
            over: None,
            sql_syntax: false,
        };
        let pattern = self.call(&call)?;
        self.apply(&OperatorName::new(name), Some(left), pattern)
    }

    fn between(
        &mut self,
        expr: &ast::Expr,
        low: &ast::Expr,
        high: &ast::Expr,
        negated: bool,
        symmetric: bool,
    ) -> Result<Node> {
        let mut side = |low: &ast::Expr, high: &ast::Expr| -> Result<Node> {
            let (above, below) = if negated { ("<", ">") } else { (">=", "<=") };
            let parts = vec![
                self.operation(&OperatorName::new(above), Some(expr), low)?,
                self.operation(&OperatorName::new(below), Some(expr), high)?,
            ];
            Ok(boolean(if negated { Kind::Or(parts) } else { Kind::And(parts) }))
        };
        if !symmetric {
            return side(low, high);
        }
        let sides = vec![side(low, high)?, side(high, low)?];
        Ok(boolean(if negated { Kind::And(sides) } else { Kind::Or(sides) }))
    }

    // --- rows, lists, arrays ---

    fn row_comparison(&mut self, op: &OperatorName, left: Vec<Node>, right: Vec<Node>) -> Result<Node> {
        let mut parts = Vec::new();
        for (left, right) in left.into_iter().zip(right) {
            parts.push(self.apply(op, Some(left), right)?);
        }
        if parts.len() == 1 {
            return Ok(parts.swap_remove(0));
        }
        Ok(boolean(match op.name.as_str() {
            "=" => Kind::And(parts),
            "<>" => Kind::Or(parts),
            _ => {
                let (mut left, mut right) = (Vec::new(), Vec::new());
                for part in parts {
                    if let Kind::Operator { mut args, .. } = part.kind {
                        right.extend(args.pop());
                        left.extend(args.pop());
                    }
                }
                Kind::RowComparison { operator: op.name.clone(), left, right }
            }
        }))
    }

    fn in_list(&mut self, left: &ast::Expr, list: &[ast::Expr], negated: bool) -> Result<Node> {
        let op = OperatorName::new(if negated { "<>" } else { "=" });
        let mut result: Option<Node> = None;
        let join = |result: &mut Option<Node>, test: Node| {
            *result = Some(match result.take() {
                None => test,
                Some(before) if negated => boolean(Kind::And(vec![before, test])),
                Some(before) => boolean(Kind::Or(vec![before, test])),
            });
        };
        if let Ast::Row { .. } = &left.kind {
            for item in list {
                let test = self.operation(&op, Some(left), item)?;
                join(&mut result, test);
            }
            return result.ok_or_else(|| unexpected("an empty list"));
        }
        let bound = self.expr(left)?;
        let mut rest = self.all(list)?;
        let (plain, with_columns): (Vec<Node>, Vec<Node>) =
            rest.iter().cloned().partition(|item| !names_columns(item, 0));
        if plain.len() > 1 {
            let types: Vec<Oid> = std::iter::once(&bound).chain(&plain).map(|node| node.ty.oid).collect();
            let common = self.binder.common_type_or_none(&types).filter(|ty| *ty != oid::RECORD);
            if let Some((common, array)) = common.and_then(|common| Some((common, builtin::array_of(common)?))) {
                let items = plain.into_iter().map(|item| self.implicit(item, common)).collect::<Result<_>>()?;
                let array = Node { kind: Kind::Array(items), ty: Type::new(array) };
                let test = self.any_array(&op, negated, bound.clone(), array)?;
                join(&mut result, test);
                rest = with_columns;
            }
        }
        for item in rest {
            let test = self.apply(&op, Some(bound.clone()), item)?;
            join(&mut result, test);
        }
        result.ok_or_else(|| unexpected("an empty list"))
    }

    fn any_array(&mut self, op: &OperatorName, all: bool, left: Node, array: Node) -> Result<Node> {
        let element = match array.ty.oid {
            oid::UNKNOWN => oid::UNKNOWN,
            oid::INT2VECTOR => oid::INT2,
            oid::OIDVECTOR => oid::OID,
            ty => builtin::element_of(base_type(ty)).ok_or_else(|| unexpected("ANY over no array"))?,
        };
        let found = self.binder.find_operator(op, left.ty.oid, element, 0)?;
        let mut declared = [found.left, found.right];
        let given = [left.ty.oid, if element == oid::UNKNOWN { left.ty.oid } else { element }];
        self.binder.resolve_polymorphic(&mut declared, &given, found.result, "ARRAY")?;
        let left = Box::new(self.implicit(left, declared[0])?);
        let array = match (array.ty.oid, builtin::array_of(declared[1])) {
            (oid::INT2VECTOR | oid::OIDVECTOR, _) | (_, None) => array,
            (_, Some(wanted)) => self.implicit(array, wanted)?,
        };
        Ok(boolean(Kind::AnyArray { operator: found.oid, all, left, array: Box::new(array) }))
    }

    /// ARRAY[…]; `target` is the array type that a cast around it asks for.
    fn array(&mut self, items: &[ast::Expr], target: Option<Type>) -> Result<Node> {
        let mut values = Vec::with_capacity(items.len());
        let mut nested = false;
        for item in items {
            let value = match &item.kind {
                Ast::Array(inner) => self.array(inner, target)?,
                _ => self.expr(item)?,
            };
            nested |= matches!(item.kind, Ast::Array(_)) || builtin::element_of(value.ty.oid).is_some();
            values.push(value);
        }
        let Some(target) = target else {
            let (values, common) = self.to_common(values)?;
            let array = if nested { common.oid } else { builtin::array_of(common.oid).unwrap_or(oid::TEXT_ARRAY) };
            return Ok(Node { kind: Kind::Array(values), ty: Type::new(array) });
        };
        let element = match nested {
            true => target,
            false => Type::with_typmod(builtin::element_of(base_type(target.oid)).unwrap_or(oid::TEXT), target.typmod),
        };
        let values = values
            .into_iter()
            .map(|value| self.coerce_to(value, element, Coercion::Explicit, Form::Explicit))
            .collect::<Result<_>>()?;
        Ok(Node { kind: Kind::Array(values), ty: target })
    }

    // --- subqueries ---

    fn sublink(&mut self, kind: SublinkKind, test: Vec<Node>, query: &ast::Query) -> Result<(Kind, Vec<Type>)> {
        let query = self.query(query, true)?;
        let columns = output(&query).into_iter().map(|(_, ty)| ty).collect();
        Ok((Kind::Sublink { kind, test, query: Box::new(query) }, columns))
    }

    fn quantified(
        &mut self,
        op: &OperatorName,
        left: &ast::Expr,
        query: &ast::Query,
        kind: impl FnOnce(String) -> SublinkKind,
    ) -> Result<Node> {
        let values = match &left.kind {
            Ast::Row { fields, .. } => self.all(fields)?,
            _ => vec![self.expr(left)?],
        };
        let query: Query = self.query(query, true)?;
        let mut test = Vec::with_capacity(values.len());
        for (value, (_, ty)) in values.into_iter().zip(output(&query)) {
            let right = Node { kind: Kind::Param(0), ty };
            let Kind::Operator { mut args, .. } = self.apply(op, Some(value), right)?.kind else { continue };
            test.push(args.swap_remove(0));
        }
        let kind = kind(op.name.clone());
        Ok(boolean(Kind::Sublink { kind, test, query: Box::new(query) }))
    }

    // --- casts, CASE, fields ---

    fn cast(&mut self, inner: &ast::Expr, name: &ast::TypeName) -> Result<Node> {
        let ty = self.binder.bind_type(name)?;
        let node = match &inner.kind {
            Ast::Array(items) if builtin::element_of(base_type(ty.oid)).is_some() => self.array(items, Some(ty))?,
            _ => self.expr(inner)?,
        };
        self.coerce_to(node, ty, Coercion::Explicit, Form::Explicit)
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        arms: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
    ) -> Result<Node> {
        let operand = match operand {
            Some(operand) => {
                let node = self.expr(operand)?;
                Some(self.text_if_unknown(node)?)
            }
            None => None,
        };
        let mut results = vec![match otherwise {
            Some(otherwise) => self.expr(otherwise)?,
            None => Node { kind: Kind::Const(Constant::Null), ty: Type::new(oid::UNKNOWN) },
        }];
        let mut conditions = Vec::with_capacity(arms.len());
        for (when, then) in arms {
            conditions.push(match &operand {
                Some(operand) => {
                    let value = self.expr(when)?;
                    let test = self.apply(&OperatorName::new("="), Some(operand.clone()), value)?;
                    match test.kind {
                        Kind::Operator { mut args, .. } if args.len() == 2 => args.swap_remove(1),
                        _ => return Err(unexpected("a CASE over rows")),
                    }
                }
                None => self.boolean(when)?,
            });
            results.push(self.expr(then)?);
        }
        let (results, ty) = self.to_common(results)?;
        let mut results = results.into_iter();
        let otherwise = Box::new(results.next().ok_or_else(|| unexpected("an empty CASE"))?);
        let arms = conditions.into_iter().zip(results).collect();
        Ok(Node { kind: Kind::Case { operand: operand.map(Box::new), arms, otherwise }, ty })
    }

    fn indirection(&mut self, base: &ast::Expr, path: &[Indirection]) -> Result<Node> {
        let mut value = self.expr(base)?;
        let mut steps: Vec<&Indirection> = Vec::new();
        for step in path {
            match step {
                Indirection::Index(_) | Indirection::Slice(..) => steps.push(step),
                Indirection::Field(field) => {
                    value = self.subscripted(value, std::mem::take(&mut steps))?;
                    value = self.field(value, &field.name)?;
                }
                Indirection::Star => return Err(unexpected("(row).* in an expression")),
            }
        }
        self.subscripted(value, steps)
    }

    /// Names and types of a composite value's fields.
    pub(super) fn composite_fields(&self, record: &Node) -> Vec<(String, Type)> {
        if let Some(relation) = self.binder.composite(record.ty.oid) {
            return relation.live_attributes().map(|a| (a.name.clone(), a.ty)).collect();
        }
        match &record.kind {
            Kind::Function { function, .. } => {
                let columns = builtin::out_columns(*function).unwrap_or_default();
                columns.into_iter().map(|(name, ty)| (name.to_owned(), Type::new(ty))).collect()
            }
            Kind::Row { fields, .. } => {
                fields.iter().enumerate().map(|(i, field)| (format!("f{}", i + 1), field.ty)).collect()
            }
            Kind::WholeRow { up, item } => {
                self.outer(*up).items[*item].columns.iter().map(|column| (column.name.clone(), column.ty)).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn field(&mut self, record: Node, name: &str) -> Result<Node> {
        let fields = self.composite_fields(&record);
        let Some(column) = fields.iter().position(|(field, _)| field == name) else {
            return Err(unexpected(&format!("the unknown field \"{name}\"")));
        };
        if let Kind::WholeRow { up, item } = record.kind {
            return Ok(self.column(super::Place { up, item, column }));
        }
        let ty = fields[column].1;
        Ok(Node { kind: Kind::Field { record: Box::new(record), name: name.to_owned() }, ty })
    }

    fn subscripted(&mut self, array: Node, path: Vec<&Indirection>) -> Result<Node> {
        if path.is_empty() {
            return Ok(array);
        }
        let base = base_type(array.ty.oid);
        let element = match base {
            oid::INT2VECTOR => oid::INT2,
            oid::OIDVECTOR => oid::OID,
            _ => builtin::element_of(base).ok_or_else(|| unexpected("a subscript of no array"))?,
        };
        let sliced = path.iter().any(|step| matches!(step, Indirection::Slice(..)));
        let mut subscripts = Vec::with_capacity(path.len());
        let mut index = |expr: &ast::Expr| {
            let node = self.expr(expr)?;
            self.assign(node, Type::new(oid::INT4))
        };
        for step in path {
            subscripts.push(match step {
                Indirection::Index(upper) if sliced => {
                    let one = Node { kind: Kind::Const(Constant::Text("1".to_owned())), ty: Type::new(oid::INT4) };
                    (true, Some(one), Some(index(upper)?))
                }
                Indirection::Index(upper) => (false, None, Some(index(upper)?)),
                Indirection::Slice(low, high) => {
                    let low = low.as_ref().map(&mut index).transpose()?;
                    (true, low, high.as_ref().map(&mut index).transpose()?)
                }
                Indirection::Field(_) | Indirection::Star => continue,
            });
        }
        let ty = if sliced { array.ty } else { Type::with_typmod(element, array.ty.typmod) };
        Ok(Node { kind: Kind::Subscript { array: Box::new(array), subscripts }, ty })
    }
}

fn sql_value(value: SqlValue, precision: Option<i32>) -> Node {
    let ty = match value {
        SqlValue::CurrentDate => oid::DATE,
        SqlValue::CurrentTime => oid::TIMETZ,
        SqlValue::CurrentTimestamp => oid::TIMESTAMPTZ,
        SqlValue::LocalTime => oid::TIME,
        SqlValue::LocalTimestamp => oid::TIMESTAMP,
        _ => oid::NAME,
    };
    let typmod = precision.map_or(-1, |precision| precision.min(6));
    Node { kind: Kind::SqlValue(value, precision), ty: Type::with_typmod(ty, typmod) }
}

/// Whether an expression names a column of the level that is `up` levels outside of it.
fn names_columns(node: &Node, up: usize) -> bool {
    let mut found = false;
    super::super::visit::columns(node, up, &mut |_| found = true);
    found
}

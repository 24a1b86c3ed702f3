//! Expressions (`get_rule_expr` and what it calls).

use super::super::analyze::coerce::Places;
use super::super::tree::{CastHow, Constant, Form, Kind, Node, Place, SublinkKind};
use super::super::visit::has_test;
use super::{Layout, Printer, VAR, type_name};
use crate::catalog::builtin;
use crate::executor::functions::string::quote_literal_plain;
use crate::sql::ast::{BooleanTest, SqlValue};
use crate::types::format::FormatSettings;
use crate::types::text_io;
use crate::types::{Oid, Type, oid};

/// How a constant bears its type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Never,
    IfNeeded,
    Always,
}

impl<'a> Printer<'a> {
    /// An expression; `implicit`: casts that nobody wrote are shown too.
    pub(super) fn expr(&mut self, node: &'a Node, implicit: bool) {
        crate::sql::visit::deeper(|| self.expr_here(node, implicit));
    }

    /// An operand: in parentheses where precedence demands them and the operand brings none itself.
    fn operand(&mut self, node: &'a Node, implicit: bool, parent: &Node) {
        let parens = self.layout.paren && !is_simple(node, parent);
        if parens {
            self.push("(");
        }
        self.expr(node, implicit);
        if parens {
            self.push(")");
        }
    }

    /// Parentheses that are left out in the spare layout.
    fn enclosed(&mut self, write: impl FnOnce(&mut Self)) {
        if !self.layout.paren {
            self.push("(");
        }
        write(self);
        if !self.layout.paren {
            self.push(")");
        }
    }

    fn list(&mut self, nodes: &'a [Node], implicit: bool) {
        for (i, node) in nodes.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            self.expr(node, implicit);
        }
    }

    /// A row's field or a VALUES item: a whole row is labelled, lest it be taken for several columns.
    pub(super) fn top(&mut self, node: &'a Node, implicit: bool) {
        self.expr(node, implicit);
        if let Kind::WholeRow { .. } = node.kind {
            let label = format!("::{}", type_name(self.image, self.path, node.ty, true));
            self.push(&label);
        }
    }

    fn expr_here(&mut self, node: &'a Node, implicit: bool) {
        match &node.kind {
            Kind::Const(_) => self.constant(node, Label::IfNeeded),
            Kind::Param(number) => {
                let text = format!("${number}");
                self.push(&text);
            }
            Kind::Column(place) => {
                self.column(*place);
            }
            Kind::SystemColumn { up, item, name } => {
                self.table_prefix(*up, *item, false);
                self.push_name(name);
            }
            Kind::WholeRow { up, item } => {
                self.table_prefix(*up, *item, true);
                self.push("*");
            }
            Kind::Function { form: Form::Implicit, args, .. } if !implicit => self.operand(&args[0], false, node),
            Kind::Function { form: Form::Explicit | Form::Implicit, args, .. } => self.cast(&args[0], node),
            Kind::Function { function, form, args, variadic } => {
                if *form != Form::Special || !self.special(*function, args, node) {
                    self.function(*function, args, *variadic);
                }
            }
            Kind::Operator { operator, args } => self.operator(*operator, args, node),
            Kind::And(args) => self.junction(args, " AND ", node),
            Kind::Or(args) => self.junction(args, " OR ", node),
            Kind::Not(arg) => self.enclosed(|p| {
                p.push("NOT ");
                p.operand(arg, false, node);
            }),
            Kind::IsNull { arg, negated } => self.enclosed(|p| {
                p.operand(arg, true, node);
                p.push(if *negated { " IS NOT NULL" } else { " IS NULL" });
            }),
            Kind::IsBool(arg, test) => self.enclosed(|p| {
                p.operand(arg, false, node);
                p.push(match test {
                    BooleanTest::True => " IS TRUE",
                    BooleanTest::NotTrue => " IS NOT TRUE",
                    BooleanTest::False => " IS FALSE",
                    BooleanTest::NotFalse => " IS NOT FALSE",
                    BooleanTest::Unknown => " IS UNKNOWN",
                    BooleanTest::NotUnknown => " IS NOT UNKNOWN",
                });
            }),
            Kind::Distinct(left, right) => self.enclosed(|p| {
                p.operand(left, true, node);
                p.push(" IS DISTINCT FROM ");
                p.operand(right, true, node);
            }),
            Kind::NullIf(left, right) => {
                self.push("NULLIF(");
                self.expr(left, true);
                self.push(", ");
                self.expr(right, true);
                self.push(")");
            }
            Kind::AnyArray { operator, all, left, array } => self.any_array(*operator, *all, left, array, node),
            Kind::Case { operand, arms, otherwise } => self.case(operand.as_deref(), arms, otherwise),
            Kind::Coalesce(args) => self.call("COALESCE(", args),
            Kind::MinMax { greatest, args } => self.call(if *greatest { "GREATEST(" } else { "LEAST(" }, args),
            Kind::Array(items) => {
                self.push("ARRAY[");
                self.list(items, true);
                self.push("]");
                if items.is_empty() {
                    self.label(Type::new(node.ty.oid));
                }
            }
            Kind::Subscript { array, subscripts } => self.subscript(array, subscripts),
            Kind::Row { fields, labelled } => {
                self.push("ROW(");
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        self.push(", ");
                    }
                    self.top(field, true);
                }
                self.push(")");
                if *labelled {
                    self.label(node.ty);
                }
            }
            Kind::RowComparison { operator, left, right } => {
                self.push("(ROW(");
                self.list(left, true);
                let middle = format!(") {operator} ROW(");
                self.push(&middle);
                self.list(right, true);
                self.push("))");
            }
            Kind::Field { record, name } => {
                let parens = !matches!(record.kind, Kind::Subscript { .. } | Kind::Field { .. });
                if parens {
                    self.push("(");
                }
                self.expr(record, true);
                self.push(if parens { ")." } else { "." });
                self.push_name(name);
            }
            Kind::Cast { arg, form: Form::Implicit, .. } if !implicit => self.operand(arg, false, node),
            // A written cast of ARRAY[…] is a cast of its items: read again, the text would say something else.
            Kind::Cast { arg, form: Form::Implicit, how: CastHow::Array }
                if self.layout == Layout::STORED && matches!(arg.kind, Kind::Array(_)) =>
            {
                self.expr(arg, false);
            }
            Kind::Cast { arg, .. } => self.cast(arg, node),
            Kind::Collate(arg, collation) => self.enclosed(|p| {
                p.operand(arg, implicit, node);
                p.push(" COLLATE ");
                p.push_name(collation);
            }),
            Kind::SqlValue(value, precision) => self.sql_value(*value, *precision),
            Kind::Aggregate { .. } => self.aggregate(node),
            Kind::Window { function, args, star, filter, window } => {
                self.function_name(*function);
                self.push("(");
                if *star {
                    self.push("*");
                }
                self.list(args, true);
                self.push(")");
                self.filter(filter.as_deref());
                self.push(" OVER ");
                self.over(*window);
            }
            Kind::Grouping(args) => self.call("GROUPING(", args),
            Kind::Sublink { kind, test, query } => self.sublink(kind, test, query),
        }
    }

    fn call(&mut self, begin: &str, args: &'a [Node]) {
        self.push(begin);
        self.list(args, true);
        self.push(")");
    }

    fn junction(&mut self, args: &'a [Node], word: &str, node: &Node) {
        self.enclosed(|p| {
            for (i, arg) in args.iter().enumerate() {
                if i > 0 {
                    p.push(word);
                }
                p.operand(arg, false, node);
            }
        });
    }

    // --- names ---

    /// `table.` where it is wanted.
    fn table_prefix(&mut self, up: usize, item: usize, always: bool) {
        let names = &self.levels[self.levels.len() - 1 - up];
        if let Some(table) = names.tables[item].clone()
            && (self.prefix || always)
        {
            self.push_name(&table);
            self.push(".");
        }
    }

    /// A column; gives its name.
    pub(super) fn column(&mut self, place: Place) -> String {
        self.table_prefix(place.up, place.item, false);
        let name = self.levels[self.levels.len() - 1 - place.up].columns[place.item][place.column].clone();
        self.push_name(&name);
        name
    }

    fn function_name(&mut self, function: Oid) {
        let Some(row) = builtin::function_by_oid(function) else { return self.push("???") };
        match builtin::function_detail(function) {
            Some(detail) if detail.schema != "pg_catalog" => {
                self.push_name(detail.schema);
                self.push(".");
            }
            _ => {}
        }
        self.push_name(row.name);
    }

    fn label(&mut self, ty: Type) {
        let label = format!("::{}", type_name(self.image, self.path, ty, true));
        self.push(&label);
    }

    // --- constants ---

    pub(super) fn constant(&mut self, node: &Node, label: Label) {
        let Kind::Const(constant) = &node.kind else { return };
        let text = match constant {
            Constant::Null => {
                self.push("NULL");
                if label != Label::Never {
                    self.label(node.ty);
                }
                return;
            }
            Constant::Text(text) => text.clone(),
            Constant::Object(object) => self.object(node.ty.oid, *object),
            Constant::Places(text) => self.labels(node.ty, text),
        };
        let mut needed = false;
        match node.ty.oid {
            oid::INT4 if !text.starts_with('-') => self.push(&text),
            oid::NUMERIC if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(['e', 'E', '.']) => {
                self.push(&text);
                needed = node.ty.typmod >= 0;
            }
            oid::BOOL => self.push(if text.starts_with('t') { "true" } else { "false" }),
            ty => {
                let quoted = quote_literal_plain(&text);
                self.push(&quoted);
                needed = ty != oid::UNKNOWN;
            }
        }
        if label == Label::Always || (needed && label == Label::IfNeeded) {
            self.label(node.ty);
        }
    }

    /// The text of an enum's value or an array of them that is given with places for labels.
    fn labels(&self, ty: Type, places: &str) -> String {
        let format = FormatSettings::default();
        let mut text = String::new();
        if let Ok(value) = text_io::input_plain(places, ty, &text_io::bare(&format, &Places)) {
            text_io::output(&value, ty, &text_io::bare(&format, self.image), &mut text);
        }
        text
    }

    /// The name of an object of a reg type.
    fn object(&self, ty: Oid, object: Oid) -> String {
        let image = self.image;
        match ty {
            oid::REGCLASS => image.relations.get(&object).map(|r| super::relation_name(image, self.path, r)),
            oid::REGROLE => image.roles.get(&object).map(|role| super::quote(&role.name)),
            oid::REGNAMESPACE => image.schemas.get(&object).map(|schema| super::quote(&schema.name)),
            oid::REGTYPE => Some(type_name(image, self.path, Type::new(object), false)),
            _ => None,
        }
        .unwrap_or_else(|| object.to_string())
    }

    fn sql_value(&mut self, value: SqlValue, precision: Option<i32>) {
        self.push(match value {
            SqlValue::CurrentDate => "CURRENT_DATE",
            SqlValue::CurrentTime => "CURRENT_TIME",
            SqlValue::CurrentTimestamp => "CURRENT_TIMESTAMP",
            SqlValue::LocalTime => "LOCALTIME",
            SqlValue::LocalTimestamp => "LOCALTIMESTAMP",
            SqlValue::CurrentUser => "CURRENT_USER",
            SqlValue::User => "USER",
            SqlValue::SessionUser => "SESSION_USER",
            SqlValue::CurrentRole => "CURRENT_ROLE",
            SqlValue::CurrentCatalog => "CURRENT_CATALOG",
            SqlValue::CurrentSchema => "CURRENT_SCHEMA",
        });
        if let Some(precision) = precision {
            let text = format!("({precision})");
            self.push(&text);
        }
    }

    // --- casts, operators, calls ---

    /// `arg::type` (`get_coercion_expr`).
    fn cast(&mut self, arg: &'a Node, node: &Node) {
        let plain = matches!(arg.kind, Kind::Const(_)) && arg.ty == Type::new(node.ty.oid);
        match plain {
            // A constant and its length coercion were written as one.
            true => self.constant(arg, Label::Never),
            false => self.enclosed(|p| p.operand(arg, false, node)),
        }
        self.label(node.ty);
    }

    fn operator(&mut self, operator: Oid, args: &'a [Node], node: &Node) {
        let name = builtin::operator_by_oid(operator).map_or("?", |row| row.name);
        self.enclosed(|p| {
            if let [left, right] = args {
                p.operand(left, true, node);
                p.push(" ");
                p.push(name);
                p.push(" ");
                p.operand(right, true, node);
            } else if let [arg] = args {
                p.push(name);
                p.push(" ");
                p.operand(arg, true, node);
            }
        });
    }

    fn any_array(&mut self, operator: Oid, all: bool, left: &'a Node, array: &'a Node, node: &Node) {
        let name = builtin::operator_by_oid(operator).map_or("?", |row| row.name);
        self.enclosed(|p| {
            p.operand(left, true, node);
            let middle = format!(" {name} {} (", if all { "ALL" } else { "ANY" });
            p.push(&middle);
            p.operand(array, true, node);
            // A bare sub-SELECT here would be taken for a list of rows.
            if let Kind::Sublink { kind: SublinkKind::Scalar, .. } = array.kind {
                p.label(array.ty);
            }
            p.push(")");
        });
    }

    pub(super) fn function(&mut self, function: Oid, args: &'a [Node], variadic: bool) {
        self.function_name(function);
        self.push("(");
        for (i, arg) in args.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            if variadic && i + 1 == args.len() {
                self.push("VARIADIC ");
            }
            self.expr(arg, true);
        }
        self.push(")");
    }

    /// SQL's special forms (`get_func_sql_syntax`); `false`: there is none for this function.
    fn special(&mut self, function: Oid, args: &'a [Node], node: &Node) -> bool {
        let name = builtin::function_by_oid(function).map_or("", |row| row.name);
        let mut each = |begin: &str, parts: &[(&'a Node, &str)]| {
            self.push(begin);
            for (arg, after) in parts {
                self.expr(arg, false);
                self.push(after);
            }
        };
        match (name, args) {
            ("timezone", [zone, value]) => {
                self.push("(");
                self.operand(value, false, node);
                self.push(" AT TIME ZONE ");
                self.operand(zone, false, node);
                self.push(")");
            }
            ("overlaps", [a, b, c, d]) => each("((", &[(a, ", "), (b, ") OVERLAPS ("), (c, ", "), (d, "))")]),
            ("extract", [field, from]) => {
                let Kind::Const(Constant::Text(text)) = &field.kind else { return false };
                self.push("EXTRACT(");
                self.push(text);
                self.push(" FROM ");
                self.expr(from, false);
                self.push(")");
            }
            ("overlay", [a, b, c]) => each("OVERLAY(", &[(a, " PLACING "), (b, " FROM "), (c, ")")]),
            ("overlay", [a, b, c, d]) => {
                each("OVERLAY(", &[(a, " PLACING "), (b, " FROM "), (c, " FOR "), (d, ")")]);
            }
            ("position", [whole, part]) => each("POSITION((", &[(part, ") IN ("), (whole, "))")]),
            ("substring", [a, b]) => each("SUBSTRING(", &[(a, " FROM "), (b, ")")]),
            ("substring", [a, b, c]) if c.ty.oid == oid::TEXT => {
                each("SUBSTRING(", &[(a, " SIMILAR "), (b, " ESCAPE "), (c, ")")]);
            }
            ("substring", [a, b, c]) => each("SUBSTRING(", &[(a, " FROM "), (b, " FOR "), (c, ")")]),
            ("btrim", [a]) => each("TRIM(BOTH FROM ", &[(a, ")")]),
            ("ltrim", [a]) => each("TRIM(LEADING FROM ", &[(a, ")")]),
            ("rtrim", [a]) => each("TRIM(TRAILING FROM ", &[(a, ")")]),
            ("btrim", [a, b]) => each("TRIM(BOTH ", &[(b, " FROM "), (a, ")")]),
            ("ltrim", [a, b]) => each("TRIM(LEADING ", &[(b, " FROM "), (a, ")")]),
            ("rtrim", [a, b]) => each("TRIM(TRAILING ", &[(b, " FROM "), (a, ")")]),
            ("pg_collation_for", [a]) => each("COLLATION FOR (", &[(a, ")")]),
            ("normalize", [a]) => each("NORMALIZE(", &[(a, ")")]),
            _ => return false,
        }
        true
    }

    fn case(&mut self, operand: Option<&'a Node>, arms: &'a [(Node, Node)], otherwise: &'a Node) {
        self.keyword("CASE", 0, VAR, 0);
        if let Some(operand) = operand {
            self.push(" ");
            self.expr(operand, true);
        }
        let space = |p: &mut Self| {
            if !p.layout.indent {
                p.push(" ");
            }
        };
        for (when, then) in arms {
            space(self);
            self.keyword("WHEN ", 0, 0, 0);
            self.expr(when, false);
            self.push(" THEN ");
            self.expr(then, true);
        }
        space(self);
        self.keyword("ELSE ", 0, 0, 0);
        self.expr(otherwise, true);
        space(self);
        self.keyword("END", -VAR, 0, 0);
    }

    fn subscript(&mut self, array: &'a Node, subscripts: &'a [(bool, Option<Node>, Option<Node>)]) {
        let parens = !matches!(array.kind, Kind::Column(_) | Kind::Field { .. });
        if parens {
            self.push("(");
        }
        self.expr(array, true);
        if parens {
            self.push(")");
        }
        for (slice, low, high) in subscripts {
            self.push("[");
            low.iter().for_each(|low| self.expr(low, false));
            if *slice {
                self.push(":");
            }
            high.iter().for_each(|high| self.expr(high, false));
            self.push("]");
        }
    }

    fn filter(&mut self, filter: Option<&'a Node>) {
        if let Some(filter) = filter {
            self.push(" FILTER (WHERE ");
            self.expr(filter, false);
            self.push(")");
        }
    }

    fn aggregate(&mut self, node: &'a Node) {
        let Kind::Aggregate { function, direct, args, star, distinct, variadic, order, within_group, filter } =
            &node.kind
        else {
            return;
        };
        self.function_name(*function);
        self.push(if *distinct { "(DISTINCT " } else { "(" });
        if *star {
            self.push("*");
        }
        let shown = if *within_group { direct } else { args };
        for (i, arg) in shown.iter().enumerate() {
            if i > 0 {
                self.push(", ");
            }
            if *variadic && i + 1 == shown.len() {
                self.push("VARIADIC ");
            }
            self.expr(arg, true);
        }
        if !order.is_empty() {
            self.push(if *within_group { ") WITHIN GROUP (ORDER BY " } else { " ORDER BY " });
            self.order(order, false);
        }
        self.push(")");
        self.filter(filter.as_deref());
    }

    fn sublink(&mut self, kind: &SublinkKind, test: &'a [Node], query: &'a super::super::tree::Query) {
        self.push(if *kind == SublinkKind::Array { "ARRAY(" } else { "(" });
        if has_test(kind) {
            if test.len() > 1 {
                self.push("(");
            }
            self.list(test, true);
            if test.len() > 1 {
                self.push(")");
            }
        }
        match kind {
            SublinkKind::Exists => self.push("EXISTS ("),
            SublinkKind::Any(name) if name == "=" => self.push(" IN ("),
            SublinkKind::Any(name) => self.push(&format!(" {name} ANY (")),
            SublinkKind::All(name) => self.push(&format!(" {name} ALL (")),
            SublinkKind::Row(name) => self.push(&format!(" {name} (")),
            SublinkKind::Scalar | SublinkKind::Array => {}
        }
        self.query(query, None, false);
        self.push(if matches!(kind, SublinkKind::Scalar | SublinkKind::Array) { ")" } else { "))" });
    }
}

/// Whether an operand needs no parentheses inside `parent` (`isSimpleNode`).
fn is_simple(node: &Node, parent: &Node) -> bool {
    match &node.kind {
        Kind::Const(_)
        | Kind::Param(_)
        | Kind::Column(_)
        | Kind::SystemColumn { .. }
        | Kind::WholeRow { .. }
        | Kind::Subscript { .. }
        | Kind::Array(_)
        | Kind::Row { .. }
        | Kind::Coalesce(_)
        | Kind::MinMax { .. }
        | Kind::SqlValue(..)
        | Kind::NullIf(..)
        | Kind::Aggregate { .. }
        | Kind::Grouping(_)
        | Kind::Window { .. }
        | Kind::Function { .. }
        | Kind::Case { .. } => true,
        Kind::Field { .. } => !matches!(parent.kind, Kind::Field { .. }),
        Kind::Cast { arg, .. } => is_simple(arg, node),
        Kind::Operator { args, .. } if matches!(parent.kind, Kind::Operator { .. }) => {
            binds_tighter(node, args, parent)
        }
        Kind::Operator { .. } | Kind::Sublink { .. } | Kind::IsNull { .. } | Kind::IsBool(..) | Kind::Distinct(..) => {
            match parent.kind {
                Kind::And(_) | Kind::Or(_) | Kind::Not(_) => true,
                _ => separates(parent),
            }
        }
        Kind::And(_) | Kind::Not(_) | Kind::Or(_) => match parent.kind {
            Kind::And(_) => !matches!(node.kind, Kind::Or(_)),
            Kind::Or(_) => true,
            Kind::Not(_) => false,
            _ => separates(parent),
        },
        Kind::AnyArray { .. } | Kind::RowComparison { .. } | Kind::Collate(..) => false,
    }
}

/// Nodes whose parts stand between separators of their own.
fn separates(parent: &Node) -> bool {
    match &parent.kind {
        Kind::Function { form, .. } => *form == Form::Call,
        Kind::Subscript { .. }
        | Kind::Array(_)
        | Kind::Row { .. }
        | Kind::Coalesce(_)
        | Kind::MinMax { .. }
        | Kind::NullIf(..)
        | Kind::Aggregate { .. }
        | Kind::Grouping(_)
        | Kind::Window { .. }
        | Kind::Case { .. } => true,
        _ => false,
    }
}

/// Of two arithmetic operators, whether the inner one needs no parentheses.
fn binds_tighter(node: &Node, args: &[Node], parent: &Node) -> bool {
    let level = |node: &Node| -> Option<u8> {
        let Kind::Operator { operator, args } = &node.kind else { return None };
        match builtin::operator_by_oid(*operator)?.name {
            "+" | "-" if args.len() == 2 => Some(1),
            "*" | "/" | "%" if args.len() == 2 => Some(2),
            _ => None,
        }
    };
    let _ = args;
    let (Some(inner), Some(outer)) = (level(node), level(parent)) else { return false };
    let Kind::Operator { args, .. } = &parent.kind else { return false };
    inner > outer || (inner == outer && args.first().is_some_and(|first| std::ptr::eq(first, node)))
}

/// Whether an index key of this expression needs no parentheses (`looks_like_function`).
pub(in super::super) fn looks_like_function(node: &Node) -> bool {
    match &node.kind {
        Kind::Function { form, .. } => matches!(form, Form::Call | Form::Special),
        Kind::Coalesce(_) | Kind::MinMax { .. } | Kind::NullIf(..) | Kind::SqlValue(..) => true,
        _ => false,
    }
}

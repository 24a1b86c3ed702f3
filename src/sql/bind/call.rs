//! Function calls: resolution, argument coercion, defaults, named and variadic arguments; what kind of call it is.

use super::Binder;
use super::coerce::{Coercion, Path, can_coerce, pathway};
use super::overload::{Candidate, Match, matching, select};
use crate::catalog::builtin;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::json::takes_types;
use crate::executor::functions::{Function, FunctionKind, enums};
use crate::sql::ast::{self, FunctionCall};
use crate::sql::parse;
use crate::sql::tree::{Call, Expr, ExprKind};
use crate::types::{Datum, Oid, Type, oid};

impl Binder<'_> {
    /// A call in function notation.
    pub(super) fn call(&mut self, call: &FunctionCall, pos: u32) -> Result<Expr> {
        let name = call.name.name();
        let mut names = Vec::new();
        for argument in &call.args {
            match &argument.name {
                Some(name) if names.contains(&name.name) => {
                    let message = format!("argument name \"{}\" used more than once", name.name);
                    return Err(Error::new(SqlState::SyntaxError, message).at(self.position(name.pos)));
                }
                Some(name) => names.push(name.name.clone()),
                None if !names.is_empty() => {
                    let message = "positional argument cannot follow named argument";
                    let place = self.position(argument.value.location());
                    return Err(Error::new(SqlState::SyntaxError, message).at(place));
                }
                None => {}
            }
        }
        let sources: Vec<&ast::Expr> = call
            .args
            .iter()
            .map(|argument| &argument.value)
            .chain(call.within_group.iter().map(|item| &item.expr))
            .collect();
        let mut args = Vec::with_capacity(sources.len());
        for source in &sources {
            args.push(self.expr(source)?);
        }
        let mut sources = sources;
        if call.within_group.is_empty() {
            // pgjdbc's place for a result among the parameters of a call, as in PostgreSQL's ParseFuncOrColumn.
            let is_result = |arg: &Expr| arg.ty.oid == oid::VOID && matches!(arg.kind, ExprKind::Param(_));
            let mut kept = args.iter().map(|arg| !is_result(arg)).collect::<Vec<_>>().into_iter();
            sources.retain(|_| kept.next().unwrap_or(true));
            args.retain(|arg| !is_result(arg));
        }
        self.unify_hypothetical(call, &mut args, &sources, pos)?;
        let given: Vec<Oid> = args.iter().map(|arg| arg.ty.oid).collect();
        let candidates = self.function_candidates(call.name.schema(), name, given.len(), &names, call.variadic);
        let chosen = match self.choose(&candidates, &given, call) {
            Some(chosen) => chosen,
            None => {
                if let Some(cast) = self.cast_call(call, &mut args, &sources, pos)? {
                    return Ok(cast);
                }
                return self.choose_or_refuse(&candidates, &given, call, pos);
            }
        };
        let function = chosen.of.function;
        self.check_decorations(function, call, pos)?;
        let shapes = self.json_shapes(function, &args);
        let (mut args, ty) = self.arguments(chosen, args, &given, &sources)?;
        let mut function = function;
        if call.variadic && function.variadic == oid::ANY {
            let place = sources.last().map_or(pos, |source| source.location());
            (function, args) = self.variadic_any(function, args, (pos, place))?;
        } else {
            args = self.text_arguments(function, args)?;
        }
        args = self.json_arguments(function, args, shapes, call.variadic);
        match function.kind {
            FunctionKind::Aggregate => self.outermost(|binder| binder.aggregate(function, args, call, ty, pos)),
            FunctionKind::Window => self.outermost(|binder| {
                let args = args.into_iter().map(|arg| binder.fold(arg)).collect();
                binder.window_call(function, args, call, ty, pos)
            }),
            FunctionKind::Procedure => {
                let message = format!("{}({}) is a procedure", call.name.display(), self.type_list(&given));
                Err(Error::new(SqlState::WrongObjectType, message)
                    .hint("To call a procedure, use CALL.")
                    .at(self.position(pos)))
            }
            FunctionKind::Function => {
                if function.set {
                    let args = args.into_iter().map(|arg| self.fold(arg)).collect();
                    let expr = Expr { kind: ExprKind::Call(Call { function, args }), ty };
                    return self.set_returning(expr, pos);
                }
                // A value does not know its type: the tree does.
                if function.symbol == "pg_typeof" {
                    let ty = Datum::Oid(args[0].ty.oid);
                    return Ok(Expr { kind: ExprKind::Const(ty), ty: Type::new(oid::REGTYPE) });
                }
                if enums::takes_type(function.symbol) {
                    let ty = args[0].ty.oid;
                    args.push(super::coerce::constant(Datum::Oid(ty), oid::OID));
                }
                if let Some(body) = sql_body(function) {
                    // A constant NULL ends it before its body takes its place.
                    if function.strict && args.iter().any(is_null) {
                        return Ok(Expr { kind: ExprKind::Const(Datum::Null), ty });
                    }
                    return self.inline(body, args, ty, pos);
                }
                Ok(Expr { kind: ExprKind::Call(Call { function, args }), ty })
            }
        }
    }

    /// The direct arguments of a hypothetical-set aggregate are values of the columns that it orders by.
    fn unify_hypothetical(
        &mut self,
        call: &FunctionCall,
        args: &mut [Expr],
        sources: &[&ast::Expr],
        pos: u32,
    ) -> Result<()> {
        let hypothetical =
            |function: &&'static Function| builtin::aggregate(function.oid).is_some_and(|row| row.kind == b'h');
        let ordered = call.within_group.len();
        if ordered == 0 || !builtin::functions_named(call.name.name()).iter().any(hypothetical) {
            return Ok(());
        }
        let direct = args.len() - ordered;
        if direct != ordered {
            let given: Vec<Oid> = args.iter().map(|arg| arg.ty.oid).collect();
            let name = call.name.display();
            let message = format!("function {name}({}) does not exist", self.type_list(&given));
            return Err(Error::new(SqlState::UndefinedFunction, message)
                .hint(format!(
                    "To use the hypothetical-set aggregate {name}, the number of hypothetical direct arguments (here \
                     {direct}) must match the number of ordering columns (here {ordered})."
                ))
                .at(self.position(pos)));
        }
        for i in 0..direct {
            let (a, b) = (direct + i, i);
            let typed = [(args[a].ty.oid, sources[a].location()), (args[b].ty.oid, sources[b].location())];
            let common = Type::new(self.select_common_type(&typed, "WITHIN GROUP")?);
            for at in [b, a] {
                if args[at].ty.oid != common.oid {
                    args[at] = self.coerce_common(args[at].clone(), common, "WITHIN GROUP", sources[at].location())?;
                }
            }
        }
        Ok(())
    }

    /// A call with `VARIADIC array` of a function of any types: concat and concat_ws are `array_to_string` then, and format
    /// takes the array itself.
    fn variadic_any(
        &mut self,
        function: &'static Function,
        mut args: Vec<Expr>,
        (pos, place): (u32, u32),
    ) -> Result<(&'static Function, Vec<Expr>)> {
        if args.last().is_none_or(|arg| builtin::element_of(arg.ty.oid).is_none()) {
            return Err(
                Error::new(SqlState::DatatypeMismatch, "VARIADIC argument must be an array").at(self.position(place))
            );
        }
        let joined = builtin::functions_named("array_to_string").iter().find(|function| function.args.len() == 2);
        match (function.symbol, joined) {
            ("text_concat", Some(joined)) => {
                args.push(super::coerce::constant(Datum::Text("".into()), oid::TEXT));
                Ok((joined, args))
            }
            ("text_concat_ws", Some(joined)) => {
                args.reverse();
                Ok((joined, args))
            }
            ("text_format", _) => Ok((function, args)),
            (symbol, _) if takes_types(symbol).is_some() => Ok((function, args)),
            _ => Err(Error::unsupported(format!("VARIADIC in a call of {}", function.name)).at(self.position(pos))),
        }
    }

    /// A function that PostgreSQL writes in SQL, as its body over the arguments.
    pub(super) fn inline(&mut self, body: &str, args: Vec<Expr>, ty: Type, pos: u32) -> Result<Expr> {
        let source = parse::expression(body)?;
        self.inlined.push(args);
        let bound = self.expr(&source);
        self.inlined.pop();
        let bound = bound.map_err(|mut error| {
            error.report_mut().position = Some(self.position(pos)).filter(|place| *place > 0);
            error
        })?;
        self.coerce(bound, ty, Coercion::Explicit, 0)
    }

    /// Runs something as if no expression surrounded it: its own expressions are folded where they end.
    pub(super) fn outermost<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let depth = std::mem::take(&mut self.expr_depth);
        let result = run(self);
        self.expr_depth = depth;
        result
    }

    pub(in crate::sql) fn choose(
        &self,
        candidates: &[Candidate<Match>],
        given: &[Oid],
        call: &FunctionCall,
    ) -> Option<Candidate<Match>> {
        if let Some(exact) = candidates.iter().find(|candidate| candidate.args == given) {
            return Some(exact.clone());
        }
        // A function-style cast of an unknown literal or between like representations goes before other matches.
        if self.is_cast_call(call, given) {
            return None;
        }
        let mut fitting = matching(given, candidates);
        match fitting.len() {
            0 => None,
            1 => fitting.pop(),
            _ => select(given, fitting),
        }
    }

    pub(in crate::sql) fn cast_target(&self, call: &FunctionCall) -> Option<Oid> {
        let plain = call.args.len() == 1
            && call.args[0].name.is_none()
            && !call.star
            && !call.distinct
            && call.order_by.is_empty()
            && call.within_group.is_empty()
            && call.filter.is_none()
            && call.over.is_none();
        let schema = call.name.schema().unwrap_or("pg_catalog");
        if !plain || schema != "pg_catalog" {
            return None;
        }
        builtin::type_by_name(call.name.name()).map(|ty| ty.oid)
    }

    fn is_cast_call(&self, call: &FunctionCall, given: &[Oid]) -> bool {
        let Some(target) = self.cast_target(call) else { return false };
        match given {
            [oid::UNKNOWN] => true,
            [from] => match pathway(*from, target, Coercion::Explicit) {
                Some(Path::Relabel) => true,
                Some(Path::Text) => super::coerce::category(*from) == b'S' || super::coerce::category(target) == b'S',
                _ => false,
            },
            _ => false,
        }
    }

    /// `type(value)`.
    fn cast_call(
        &mut self,
        call: &FunctionCall,
        args: &mut Vec<Expr>,
        sources: &[&ast::Expr],
        _pos: u32,
    ) -> Result<Option<Expr>> {
        let given: Vec<Oid> = args.iter().map(|arg| arg.ty.oid).collect();
        if !self.is_cast_call(call, &given) {
            return Ok(None);
        }
        let (Some(target), Some(arg)) = (self.cast_target(call), args.pop()) else { return Ok(None) };
        self.coerce_to(arg, Type::new(target), Coercion::Explicit, sources[0].location())
    }

    fn choose_or_refuse(
        &self,
        candidates: &[Candidate<Match>],
        given: &[Oid],
        call: &FunctionCall,
        pos: u32,
    ) -> Result<Expr> {
        let mut list: Vec<String> = Vec::new();
        for (i, ty) in given.iter().enumerate() {
            let name = call.args.get(i).and_then(|argument| argument.name.as_ref());
            let shown = self.type_name(Type::new(*ty));
            list.push(name.map_or_else(|| shown.clone(), |name| format!("{} => {shown}", name.name)));
        }
        let shown = format!("{}({})", call.name.display(), list.join(", "));
        let several = matching(given, candidates).len() > 1;
        let place = self.position(pos);
        if several {
            let message = format!("function {shown} is not unique");
            return Err(Error::new(SqlState::AmbiguousFunction, message)
                .hint("Could not choose a best candidate function. You might need to add explicit type casts.")
                .at(place));
        }
        let schema = call.name.schema();
        if let Some(schema) = schema
            && !self.ctx.image.schema_names.contains_key(schema)
        {
            let message = format!("schema \"{schema}\" does not exist");
            return Err(Error::new(SqlState::InvalidSchemaName, message).at(place));
        }
        let message = format!("function {shown} does not exist");
        let hint = match call.order_by.is_empty() {
            true => "No function matches the given name and argument types. You might need to add explicit type casts.",
            false => {
                "No aggregate function matches the given name and argument types. Perhaps you misplaced ORDER BY; ORDER BY must appear after all regular arguments of the aggregate."
            }
        };
        Err(Error::new(SqlState::UndefinedFunction, message).hint(hint).at(place))
    }

    /// What only aggregates and window functions may be written with.
    fn check_decorations(&self, function: &'static Function, call: &FunctionCall, pos: u32) -> Result<()> {
        let name = call.name.display();
        let refuse = |message: String| Err(Error::new(SqlState::WrongObjectType, message).at(self.position(pos)));
        let aggregate = function.kind == FunctionKind::Aggregate;
        let ordered = builtin::aggregate(function.oid).is_some_and(|row| row.kind != b'n');
        if !aggregate {
            let what = [
                (call.star, format!("{name}(*)")),
                (call.distinct, "DISTINCT".to_owned()),
                (!call.within_group.is_empty(), "WITHIN GROUP".to_owned()),
                (!call.order_by.is_empty(), "ORDER BY".to_owned()),
            ];
            let window = function.kind == FunctionKind::Window;
            for (present, what) in what {
                if present && !window {
                    return refuse(format!("{what} specified, but {name} is not an aggregate function"));
                }
            }
            if call.filter.is_some() && !window {
                return refuse(format!("FILTER specified, but {name} is not an aggregate function"));
            }
            if call.over.is_some() && !window {
                return refuse(format!(
                    "OVER specified, but {name} is not a window function nor an aggregate function"
                ));
            }
            return Ok(());
        }
        if ordered && call.within_group.is_empty() {
            return refuse(format!("WITHIN GROUP is required for ordered-set aggregate {name}"));
        }
        if !ordered && !call.within_group.is_empty() {
            return refuse(format!("{name} is not an ordered-set aggregate, so it cannot have WITHIN GROUP"));
        }
        if !call.star && call.args.is_empty() && call.within_group.is_empty() && !ordered {
            return refuse(format!("{name}(*) must be used to call a parameterless aggregate function"));
        }
        Ok(())
    }

    /// The arguments as the function declares them, and the call's type.
    fn arguments(
        &mut self,
        chosen: Candidate<Match>,
        args: Vec<Expr>,
        given: &[Oid],
        sources: &[&ast::Expr],
    ) -> Result<(Vec<Expr>, Type)> {
        let Match { function, spread, order } = chosen.of;
        let mut declared = chosen.args;
        let result = self.resolve_polymorphic(&mut declared, given, function.result, function.name)?;
        let mut cast: Vec<Option<Expr>> = Vec::with_capacity(args.len());
        for (i, arg) in args.into_iter().enumerate() {
            let (wanted, place) = (declared[i], sources[i].location());
            let from = arg.ty;
            if !can_coerce(from.oid, wanted, Coercion::Implicit) {
                let (from, wanted) = (self.type_name(from), self.type_name(Type::new(wanted)));
                let message = format!("cannot cast type {from} to {wanted}");
                return Err(Error::new(SqlState::CannotCoerce, message).at(self.position(place)));
            }
            cast.push(Some(self.coerce(arg, Type::new(wanted), Coercion::Implicit, place)?));
        }
        let fixed = cast.len() - spread;
        let mut ready = Vec::with_capacity(function.args.len());
        if spread > 0 {
            let items: Vec<Expr> = cast.split_off(fixed).into_iter().flatten().collect();
            ready.extend(cast.into_iter().flatten());
            let element = declared.last().copied().unwrap_or(oid::TEXT);
            let array = builtin::array_of(element).unwrap_or(oid::TEXT_ARRAY);
            ready.push(Expr { kind: ExprKind::ArrayOf { items, nested: false }, ty: Type::new(array) });
            return Ok((ready, Type::new(result)));
        }
        let detail = builtin::function_detail(function.oid);
        for (place, slot) in order.iter().enumerate() {
            match slot {
                Some(i) => ready.extend(cast[*i].take()),
                None => {
                    let defaults = detail.map_or(&[][..], |detail| &detail.defaults[..]);
                    let first = function.args.len() - defaults.len();
                    let source = parse::expression(defaults[place - first])?;
                    let value = self.expr(&source)?;
                    ready.push(self.coerce(value, Type::new(function.args[place]), Coercion::Implicit, 0)?);
                }
            }
        }
        Ok((ready, Type::new(result)))
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Const(Datum::Null))
}

/// Bodies of pg_catalog's functions in SQL that share their name with an internal function they call.
pub(super) fn sql_body(function: &'static Function) -> Option<&'static str> {
    Some(match (function.name, function.args) {
        ("lpad", [oid::TEXT, oid::INT4]) => "pg_catalog.lpad($1, $2, ' ')",
        ("rpad", [oid::TEXT, oid::INT4]) => "pg_catalog.rpad($1, $2, ' ')",
        // The other way round: which argument is evaluated first shows when both fail.
        (
            "integer_pl_date" | "interval_pl_date" | "interval_pl_time" | "interval_pl_timestamp"
            | "interval_pl_timestamptz" | "interval_pl_timetz" | "timedate_pl" | "timetzdate_pl",
            _,
        ) => "$2 + $1",
        ("date_part", [oid::TEXT, oid::DATE]) => "pg_catalog.date_part($1, cast($2 as timestamp))",
        ("quote_literal", [oid::ANYELEMENT]) => "pg_catalog.quote_literal($1::text)",
        ("quote_nullable", [oid::ANYELEMENT]) => "pg_catalog.quote_nullable($1::text)",
        ("pg_relation_size", [oid::REGCLASS]) => "pg_catalog.pg_relation_size($1, 'main')",
        ("pg_sleep_for", [oid::INTERVAL]) => {
            "pg_catalog.pg_sleep(extract(epoch from clock_timestamp() + $1) - extract(epoch from clock_timestamp()))"
        }
        ("pg_sleep_until", [oid::TIMESTAMPTZ]) => {
            "pg_catalog.pg_sleep(extract(epoch from $1) - extract(epoch from clock_timestamp()))"
        }
        ("age", [oid::TIMESTAMPTZ]) => "pg_catalog.age(cast(current_date as timestamptz), $1)",
        ("_pg_truetypid", _) => "case when ($2).typtype = 'd' then ($2).typbasetype else ($1).atttypid end",
        ("_pg_truetypmod", _) => "case when ($2).typtype = 'd' then ($2).typtypmod else ($1).atttypmod end",
        ("_pg_char_max_length", _) => {
            "case when $2 = -1 then null::int4 when $1 in (1042, 1043) then $2 - 4 when $1 in (1560, 1562) then $2 end"
        }
        ("_pg_char_octet_length", _) => {
            "case when $1 in (25, 1042, 1043) then case when $2 = -1 then 1073741824
             else information_schema._pg_char_max_length($1, $2) * 4 end end"
        }
        ("_pg_numeric_precision", _) => {
            "case $1 when 21 then 16 when 23 then 32 when 20 then 64
             when 1700 then case when $2 = -1 then null else (($2 - 4) >> 16) & 65535 end when 700 then 24 when 701 then 53 end"
        }
        ("_pg_numeric_precision_radix", _) => "case when $1 in (21, 23, 20, 700, 701) then 2 when $1 = 1700 then 10 end",
        ("_pg_numeric_scale", _) => {
            "case when $1 in (21, 23, 20) then 0 when $1 = 1700 then case when $2 = -1 then null else ($2 - 4) & 65535 end end"
        }
        ("_pg_datetime_precision", _) => {
            "case when $1 = 1082 then 0 when $1 in (1083, 1114, 1184, 1266) then case when $2 < 0 then 6 else $2 end
             when $1 = 1186 then case when $2 < 0 or $2 & 65535 = 65535 then 6 else $2 & 65535 end end"
        }
        ("_pg_interval_type", _) => {
            "case when $1 = 1186 then upper(nullif(pg_catalog.regexp_replace(pg_catalog.format_type($1, $2), '^interval[()0-9]* ?', ''), '')) end"
        }
        ("_pg_index_position", _) => {
            "(select (ss.a).n from (select information_schema._pg_expandarray(indkey) as a from pg_catalog.pg_index
              where indexrelid = $1) ss where (ss.a).x = $2)"
        }
        ("age", [oid::TIMESTAMP]) => "pg_catalog.age(cast(current_date as timestamp), $1)",
        _ => return None,
    })
}

//! Relations of the typed tree as a DataFusion logical plan.
//!
//! Every column has its generated name (`c` and its number), unqualified and unique in the statement; its physical form is
//! known here. Join order, pushed-down conditions and unnesting were decided on the typed tree. What has no place on this
//! road is [`Refused`], and the planner's row plan runs in its stead.

use super::expression::{Translated, call, can_raise, name};
use super::form::Form;
use super::functions::OrderKey;
use super::scan::{self, Column as ScanColumnPlan, Source, Table};
use crate::catalog::image::{Body, Relation};
use crate::error::Error;
use crate::executor::StatementContext;
use crate::executor::row::expr::operator_of;
use crate::sql::columns::{ColumnSet, for_exprs, free_columns, produced_in, used_by};
use crate::sql::tree::{
    AggregateCall, Call, ColumnId, Expr, ExprKind, JoinKind, Rel, RowOp, ScanColumn, SetOpKind, SortKey, Subquery,
    SubqueryKind,
};
use crate::types::{Datum, Type, oid};
use datafusion::common::{Column, DataFusionError, JoinType, NullEquality, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::expr::{AggregateFunction, Sort};
use datafusion::logical_expr::{
    AggregateUDF, Case, Expr as DfExpr, JoinConstraint, LogicalPlan, LogicalPlanBuilder, logical_plan,
};
use lightning_storage::ColumnNo;
use std::collections::HashMap;
use std::sync::Arc;

/// Why a statement cannot take this road.
#[derive(Clone, Debug)]
pub(crate) struct Refused(pub(crate) String);

impl Refused {
    pub(super) fn because(reason: impl Into<String>) -> Refused {
        Refused(reason.into())
    }
}

impl From<DataFusionError> for Refused {
    fn from(error: DataFusionError) -> Refused {
        Refused(error.to_string())
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused(error.report().message.clone())
    }
}

type Result<T, E = Refused> = std::result::Result<T, E>;

/// The translation of one relation.
pub(super) struct Translator<'a> {
    /// The form of every column that there is so far.
    pub(super) forms: HashMap<ColumnId, Form>,
    /// The types of all the statement's columns.
    pub(super) types: &'a [Type],
    pub(super) slots: usize,
    pub(super) params: Arc<[Datum]>,
    pub(super) ctx: StatementContext,
    /// No operator above gathers all rows before it gives one: rows may have been sent when an error is met.
    pub(super) streaming: bool,
    tables: usize,
}

impl<'a> Translator<'a> {
    pub(super) fn new(types: &'a [Type], slots: usize, params: Arc<[Datum]>, ctx: StatementContext) -> Translator<'a> {
        Translator { forms: HashMap::new(), types, slots, params, ctx, streaming: true, tables: 0 }
    }

    /// A plan that gives the `needed` columns of `rel`.
    pub(super) fn rel(&mut self, rel: &Rel, needed: &ColumnSet) -> Result<LogicalPlan> {
        stacker::maybe_grow(64 * 1024, 1024 * 1024, || self.rel_inner(rel, needed))
    }

    fn rel_inner(&mut self, rel: &Rel, above: &ColumnSet) -> Result<LogicalPlan> {
        let mut needed = above.clone();
        for_exprs(rel, &mut |expr| used_by(expr, &mut needed));
        match rel {
            Rel::Scan { relation, columns } => self.scan(relation, columns, &needed),
            Rel::Project { input, exprs } => {
                let plan = self.rel(input, &needed)?;
                self.project(plan, exprs, &needed)
            }
            Rel::Filter { input, predicate } => {
                let mut plan = self.rel(input, &needed)?;
                let mut rest = Vec::new();
                for condition in conjuncts(predicate) {
                    match self.membership(condition, &mut plan)? {
                        true => {}
                        false => rest.push(condition),
                    }
                }
                self.filter(plan, &rest)
            }
            Rel::Join { lateral: true, .. } => Err(Refused::because("LATERAL")),
            Rel::Join { kind, left, right, on, lateral: false } => self.join(*kind, left, right, on, &needed),
            Rel::Aggregate { input, keys, sets, aggregates, groupings } => {
                if sets.is_some() || !groupings.is_empty() {
                    return Err(Refused::because("GROUPING SETS"));
                }
                self.aggregate(input, keys, aggregates, &needed)
            }
            Rel::Sort { input, keys } => self.sort(input, keys, None, &needed),
            Rel::Limit { input, limit, offset, ties: None } => {
                self.limit(input, limit.as_ref(), offset.as_ref(), &needed)
            }
            Rel::Limit { ties: Some(_), .. } => Err(Refused::because("WITH TIES")),
            Rel::Distinct { input, on } => self.distinct(input, on, above, &needed),
            Rel::SetOp { op, all, left, left_columns, right, right_columns, columns } => {
                if *op != SetOpKind::Union {
                    return Err(Refused::because("INTERSECT or EXCEPT"));
                }
                self.union(*all, (left, left_columns), (right, right_columns), columns)
            }
            Rel::Values { .. } => Err(Refused::because("VALUES")),
            Rel::Functions { .. } | Rel::ProjectSet { .. } => Err(Refused::because("a set-returning function")),
            Rel::CteScan { .. } | Rel::Working { .. } => Err(Refused::because("a WITH part")),
            Rel::Window { .. } => Err(Refused::because("a window function")),
            Rel::LockRows { .. } => Err(Refused::because("row locks")),
        }
    }

    fn scan(
        &mut self,
        relation: &Arc<Relation>,
        columns: &[(ScanColumn, ColumnId)],
        needed: &ColumnSet,
    ) -> Result<LogicalPlan> {
        let Body::Table { storage, .. } = &relation.body else {
            return Err(Refused::because("a system relation"));
        };
        let mut plans = Vec::new();
        for (what, column) in columns.iter().filter(|(_, column)| needed.contains(*column)) {
            let (source, form) = match what {
                ScanColumn::Attribute(number) => {
                    let attribute = &relation.attributes[*number as usize - 1];
                    (Source::Stored(ColumnNo(attribute.storage)), Form::Stored(attribute.ty))
                }
                ScanColumn::RowId => (Source::RowId, Form::Stored(Type::new(oid::INT8))),
                _ => return Err(Refused::because("a system column")),
            };
            if let Form::Stored(ty) = form
                && !Form::holds(ty)
            {
                return Err(Refused::because("a type without a form"));
            }
            self.forms.insert(*column, form);
            plans.push((name(*column), ScanColumnPlan { source, form }));
        }
        let table = Table {
            schema: scan::schema(plans.iter().map(|(name, column)| (name.clone(), column.form))),
            columns: plans.iter().map(|(_, column)| *column).collect(),
            relation: relation.clone(),
            table: *storage,
            rows: relation.row_estimate.max(1.0),
            ctx: self.ctx.clone(),
        };
        self.tables += 1;
        let qualifier = format!("t{}", self.tables);
        let source = provider_as_source(Arc::new(table));
        let builder = LogicalPlanBuilder::scan(qualifier.as_str(), source, None)?;
        // Names are unique in the statement: they need no qualifier from here on.
        let columns =
            plans.iter().map(|(name, _)| DfExpr::Column(Column::new(Some(qualifier.as_str()), name)).alias(name));
        Ok(builder.project(columns.collect::<Vec<_>>())?.build()?)
    }

    /// All columns that a plan gives.
    fn columns_of(plan: &LogicalPlan) -> Vec<DfExpr> {
        plan.schema().columns().into_iter().map(DfExpr::Column).collect()
    }

    fn project(&mut self, plan: LogicalPlan, exprs: &[(ColumnId, Expr)], needed: &ColumnSet) -> Result<LogicalPlan> {
        let mut plan = plan;
        // Later expressions may read earlier ones: those go into a projection above.
        let mut pending: Vec<(ColumnId, &Expr)> =
            exprs.iter().filter(|(column, _)| needed.contains(*column)).map(|(column, expr)| (*column, expr)).collect();
        while !pending.is_empty() {
            let own: ColumnSet = pending.iter().map(|(column, _)| *column).collect();
            let (now, later): (Vec<_>, Vec<_>) = pending.into_iter().partition(|(_, expr)| {
                let mut used = ColumnSet::new();
                used_by(expr, &mut used);
                !used.intersects(&own)
            });
            if now.is_empty() {
                return Err(Refused::because("a projection that reads itself"));
            }
            let mut columns = Self::columns_of(&plan);
            let mut forms = Vec::new();
            for (column, expr) in now {
                let translated = self.expr(expr)?;
                forms.push((column, translated.form));
                columns.push(translated.expr.alias(name(column)));
            }
            self.forms.extend(forms);
            plan = LogicalPlanBuilder::from(plan).project(columns)?.build()?;
            pending = later;
        }
        Ok(plan)
    }

    /// The condition whose conjuncts hold: those that can raise an error run where all others are true.
    fn condition(&self, conditions: &[&Expr]) -> Result<Option<DfExpr>> {
        let (raising, safe): (Vec<&Expr>, Vec<&Expr>) = conditions.iter().copied().partition(|c| can_raise(c));
        let all = |exprs: &[&Expr]| -> Result<Option<DfExpr>> {
            let mut all: Option<DfExpr> = None;
            for expr in exprs {
                let next = self.expr(expr)?.expr;
                all = Some(match all {
                    Some(before) => before.and(next),
                    None => next,
                });
            }
            Ok(all)
        };
        let mut guarded = all(&safe)?;
        for expr in raising {
            let next = self.expr(expr)?.expr;
            guarded = Some(match guarded {
                None => next,
                Some(before) => {
                    let otherwise = Box::new(DfExpr::Literal(ScalarValue::Boolean(Some(false)), None));
                    DfExpr::Case(Case::new(None, vec![(Box::new(before), Box::new(next))], Some(otherwise)))
                }
            });
        }
        Ok(guarded)
    }

    fn filter(&self, plan: LogicalPlan, conditions: &[&Expr]) -> Result<LogicalPlan> {
        match self.condition(conditions)? {
            Some(condition) => Ok(LogicalPlanBuilder::from(plan).filter(condition)?.build()?),
            None => Ok(plan),
        }
    }

    /// `x IN (subquery)` and `x NOT IN (subquery)` as conjuncts: joins of the plan so far.
    fn membership(&mut self, condition: &Expr, plan: &mut LogicalPlan) -> Result<bool> {
        let (subquery, negated) = match &condition.kind {
            ExprKind::Subquery(subquery) => (subquery, false),
            ExprKind::Not(inner) => match &inner.kind {
                ExprKind::Subquery(subquery) => (subquery, true),
                _ => return Ok(false),
            },
            _ => return Ok(false),
        };
        let Subquery { rel, columns, kind: SubqueryKind::Quantified { left, compare, equal: _, op, all } } =
            &**subquery
        else {
            return Ok(false);
        };
        let anti = match (op, all, negated) {
            (RowOp::Eq, false, negated) => negated,
            (RowOp::Ne, true, false) => true,
            _ => return Ok(false),
        };
        if !free_columns(rel).is_empty() || anti && left.len() != 1 {
            return Ok(false);
        }
        let equality = |function: &crate::executor::functions::Function| {
            matches!(operator_of(function), Some(RowOp::Eq | RowOp::Ne))
        };
        if !compare.iter().all(|function| equality(function)) {
            return Ok(false);
        }
        let streaming = std::mem::replace(&mut self.streaming, false);
        let right = self.rel(rel, &columns.iter().copied().collect())?;
        self.streaming = streaming;
        let mut on = Vec::new();
        for (left, column) in left.iter().zip(columns) {
            let left = self.expr(left)?;
            let right = self.expr(&self.column_expr(*column))?;
            let (Some(pair), _) = (self.comparable(left.clone(), right.clone()), ()) else {
                if left.form.oid() != right.form.oid() {
                    return Err(Refused::because("IN over types without a common form"));
                }
                on.push((self.key(left), self.key(right)));
                continue;
            };
            on.push(pair);
        }
        let kind = if anti { JoinType::LeftAnti } else { JoinType::LeftSemi };
        let taken = std::mem::replace(plan, LogicalPlanBuilder::empty(false).build()?);
        *plan = joined(taken, right, on, None, kind, anti)?;
        Ok(true)
    }

    fn column_expr(&self, column: ColumnId) -> Expr {
        Expr { kind: ExprKind::Column(column), ty: self.types[column.0 as usize] }
    }

    fn join(&mut self, kind: JoinKind, left: &Rel, right: &Rel, on: &Expr, needed: &ColumnSet) -> Result<LogicalPlan> {
        let (mut of_left, mut of_right) = (ColumnSet::new(), ColumnSet::new());
        produced_in(left, &mut of_left);
        produced_in(right, &mut of_right);
        let streaming = self.streaming;
        let left = self.rel(left, needed)?;
        self.streaming = false;
        let right = self.rel(right, needed)?;
        self.streaming = streaming;
        let (mut keys, mut rest) = (Vec::new(), Vec::new());
        for condition in conjuncts(on) {
            match self.join_key(condition, &of_left, &of_right)? {
                Some(pair) => keys.push(pair),
                None => rest.push(condition),
            }
        }
        let filter = self.condition(&rest)?;
        let kind = match kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Right => JoinType::Right,
            JoinKind::Full => JoinType::Full,
            JoinKind::Semi => JoinType::LeftSemi,
            JoinKind::Anti => JoinType::LeftAnti,
        };
        let plan = joined(left, right, keys, filter, kind, false)?;
        let columns: Vec<DfExpr> = plan
            .schema()
            .columns()
            .into_iter()
            .filter(|column| {
                column.name.strip_prefix('c').and_then(|n| n.parse().ok()).is_some_and(|n| needed.contains(ColumnId(n)))
            })
            .map(DfExpr::Column)
            .collect();
        if columns.len() == plan.schema().fields().len() {
            return Ok(plan);
        }
        Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
    }

    /// An equality of one side's value with the other's.
    fn join_key(&self, condition: &Expr, left: &ColumnSet, right: &ColumnSet) -> Result<Option<(DfExpr, DfExpr)>> {
        let ExprKind::Call(Call { function, args }) = &condition.kind else { return Ok(None) };
        let [a, b] = &args[..] else { return Ok(None) };
        if operator_of(function) != Some(RowOp::Eq) || can_raise(a) || can_raise(b) {
            return Ok(None);
        }
        let side = |expr: &Expr, of: &ColumnSet| {
            let mut used = ColumnSet::new();
            used_by(expr, &mut used);
            !used.is_empty() && used.is_subset(of)
        };
        let (a, b) = match (side(a, left) && side(b, right), side(a, right) && side(b, left)) {
            (true, _) => (a, b),
            (_, true) => (b, a),
            _ => return Ok(None),
        };
        let (a, b) = (self.expr(a)?, self.expr(b)?);
        if let Some(pair) = self.comparable(a.clone(), b.clone()) {
            return Ok(Some(pair));
        }
        if a.form.oid() != b.form.oid() {
            return Ok(None);
        }
        let key = |part: Translated| call(OrderKey::new(part.form), vec![part.expr]);
        Ok(Some((key(a), key(b))))
    }

    fn aggregate(
        &mut self,
        input: &Rel,
        keys: &[(ColumnId, Expr)],
        aggregates: &[(ColumnId, AggregateCall)],
        needed: &ColumnSet,
    ) -> Result<LogicalPlan> {
        let streaming = std::mem::replace(&mut self.streaming, false);
        let grouped = self.grouped(input, keys, aggregates, needed);
        self.streaming = streaming;
        grouped
    }

    fn grouped(
        &mut self,
        input: &Rel,
        keys: &[(ColumnId, Expr)],
        aggregates: &[(ColumnId, AggregateCall)],
        needed: &ColumnSet,
    ) -> Result<LogicalPlan> {
        let plan = self.rel(input, needed)?;
        let mut group = Vec::new();
        let mut calls = Vec::new();
        let mut forms = Vec::new();
        for (column, key) in keys {
            let key = self.expr(key)?;
            forms.push((*column, key.form));
            if key.form.is_ordered() {
                group.push(key.expr.alias(name(*column)));
            } else {
                // Equal values may have several texts: grouped by what is equal, shown as one of them.
                group.push(self.key(key.clone()).alias(format!("k{}", column.0)));
                calls.push(aggregate_of(min_udaf(), key.expr, false, None).alias(name(*column)));
            }
        }
        for (column, call) in aggregates {
            let (expr, form) = self.aggregate_call(call)?;
            forms.push((*column, form));
            calls.push(expr.alias(name(*column)));
        }
        self.forms.extend(forms);
        Ok(LogicalPlanBuilder::from(plan).aggregate(group, calls)?.build()?)
    }

    fn aggregate_call(&self, call: &AggregateCall) -> Result<(DfExpr, Form)> {
        if !call.direct.is_empty() || !call.order.is_empty() {
            return Err(Refused::because("an ordered aggregate"));
        }
        let filter = match &call.filter {
            Some(filter) if can_raise(filter) || call.args.iter().any(can_raise) => {
                return Err(Refused::because("FILTER over what can raise an error"));
            }
            Some(filter) => Some(Box::new(self.expr(filter)?.expr)),
            None => None,
        };
        let distinct = call.distinct;
        let arg = match &call.args[..] {
            [] if call.name == "count" => {
                let one = DfExpr::Literal(ScalarValue::Int64(Some(1)), None);
                return Ok((aggregate_of(count_udaf(), one, false, filter), Form::Stored(call.ty)));
            }
            [arg] => self.expr(arg)?,
            _ => return Err(Refused::because(format!("aggregate {}", call.name))),
        };
        let key = |arg: Translated| self.key(arg);
        match call.name {
            "count" if distinct => Ok((aggregate_of(count_udaf(), key(arg), true, filter), Form::Stored(call.ty))),
            "count" => Ok((aggregate_of(count_udaf(), arg.expr, false, filter), Form::Stored(call.ty))),
            "min" | "max" if arg.form.is_ordered() => {
                let function = if call.name == "min" { min_udaf() } else { max_udaf() };
                Ok((aggregate_of(function, arg.expr, false, filter), arg.form))
            }
            "sum" | "avg" if !distinct => match super::aggregate::Sum::new(call.name == "avg", arg.form) {
                Some(sum) => {
                    let form = sum.result();
                    Ok((aggregate_of(Arc::new(AggregateUDF::from(sum)), arg.expr, false, filter), form))
                }
                None => Err(Refused::because(format!("aggregate {} of this type", call.name))),
            },
            _ => Err(Refused::because(format!("aggregate {}", call.name))),
        }
    }

    fn sort(&mut self, input: &Rel, keys: &[SortKey], fetch: Option<usize>, needed: &ColumnSet) -> Result<LogicalPlan> {
        let streaming = std::mem::replace(&mut self.streaming, false);
        let sorted = self.rel(input, needed).and_then(|plan| {
            let mut sorts = Vec::new();
            for key in keys {
                let expr = self.expr(&key.expr)?;
                sorts.push(Sort::new(self.key(expr), !key.descending, key.nulls_first));
            }
            Ok((plan, sorts))
        });
        self.streaming = streaming;
        let (plan, sorts) = sorted?;
        Ok(LogicalPlanBuilder::from(plan).sort_with_limit(sorts, fetch)?.build()?)
    }

    fn limit(
        &mut self,
        input: &Rel,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        needed: &ColumnSet,
    ) -> Result<LogicalPlan> {
        let count = |translator: &Self, expr: Option<&Expr>| match expr {
            None => Ok(None),
            Some(expr) => match translator.expr(expr)?.expr {
                DfExpr::Literal(ScalarValue::Int64(value), _) => match value {
                    Some(value) => usize::try_from(value).map(Some).map_err(|_| Refused::because("a negative LIMIT")),
                    None => Ok(None),
                },
                _ => Err(Refused::because("a computed LIMIT")),
            },
        };
        let (fetch, skip) = (count(self, limit)?, count(self, offset)?.unwrap_or(0));
        let plan = match input {
            Rel::Sort { input, keys } => {
                let mut needed = needed.clone();
                keys.iter().for_each(|key| used_by(&key.expr, &mut needed));
                self.sort(input, keys, fetch.map(|fetch| fetch.saturating_add(skip)), &needed)?
            }
            _ => self.rel(input, needed)?,
        };
        Ok(LogicalPlanBuilder::from(plan).limit(skip, fetch)?.build()?)
    }

    fn distinct(&mut self, input: &Rel, on: &[Expr], above: &ColumnSet, needed: &ColumnSet) -> Result<LogicalPlan> {
        let mut columns = Vec::new();
        for expr in on {
            match &expr.kind {
                ExprKind::Column(column) => columns.push(*column),
                _ => return Err(Refused::because("DISTINCT ON")),
            }
        }
        let given: ColumnSet = columns.iter().copied().collect();
        let mut produced = ColumnSet::new();
        produced_in(input, &mut produced);
        if produced.iter().any(|column| above.contains(column) && !given.contains(column)) {
            return Err(Refused::because("DISTINCT ON"));
        }
        if matches!(input, Rel::Sort { .. }) {
            return Err(Refused::because("DISTINCT over ORDER BY"));
        }
        let keys: Vec<(ColumnId, Expr)> = columns.iter().map(|column| (*column, self.column_expr(*column))).collect();
        self.aggregate(input, &keys, &[], needed)
    }

    fn union(
        &mut self,
        all: bool,
        left: (&Rel, &[ColumnId]),
        right: (&Rel, &[ColumnId]),
        columns: &[ColumnId],
    ) -> Result<LogicalPlan> {
        let streaming = self.streaming;
        self.streaming = streaming && all;
        let united = self.united(all, left, right, columns);
        self.streaming = streaming;
        united
    }

    fn united(
        &mut self,
        all: bool,
        left: (&Rel, &[ColumnId]),
        right: (&Rel, &[ColumnId]),
        columns: &[ColumnId],
    ) -> Result<LogicalPlan> {
        let mut plans = Vec::new();
        let mut forms: Vec<Vec<Form>> = Vec::new();
        for (rel, own) in [left, right] {
            let plan = self.rel(rel, &own.iter().copied().collect())?;
            let mut exprs = Vec::new();
            let mut own_forms = Vec::new();
            for (own, out) in own.iter().zip(columns) {
                let translated = self.expr(&self.column_expr(*own))?;
                own_forms.push(translated.form);
                exprs.push(translated.expr.alias(name(*out)));
            }
            plans.push(LogicalPlanBuilder::from(plan).project(exprs)?.build()?);
            forms.push(own_forms);
        }
        for ((column, a), b) in columns.iter().zip(&forms[0]).zip(&forms[1]) {
            if !a.reads_as(*b) {
                return Err(Refused::because("UNION of two forms of a type"));
            }
            self.forms.insert(*column, *a);
        }
        let right = plans.pop().ok_or_else(|| Refused::because("UNION"))?;
        let left = plans.pop().ok_or_else(|| Refused::because("UNION"))?;
        let plan = LogicalPlanBuilder::from(left).union(right)?.build()?;
        if all {
            return Ok(plan);
        }
        let (mut group, mut calls) = (Vec::new(), Vec::new());
        for column in columns {
            let own = self.expr(&self.column_expr(*column))?;
            if own.form.is_ordered() {
                group.push(own.expr);
            } else {
                group.push(self.key(own.clone()).alias(format!("k{}", column.0)));
                calls.push(aggregate_of(min_udaf(), own.expr, false, None).alias(name(*column)));
            }
        }
        Ok(LogicalPlanBuilder::from(plan).aggregate(group, calls)?.build()?)
    }
}

fn aggregate_of(function: Arc<AggregateUDF>, arg: DfExpr, distinct: bool, filter: Option<Box<DfExpr>>) -> DfExpr {
    DfExpr::AggregateFunction(AggregateFunction::new_udf(function, vec![arg], distinct, filter, Vec::new(), None))
}

fn joined(
    left: LogicalPlan,
    right: LogicalPlan,
    on: Vec<(DfExpr, DfExpr)>,
    filter: Option<DfExpr>,
    kind: JoinType,
    null_aware: bool,
) -> Result<LogicalPlan> {
    let join = logical_plan::Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        filter,
        kind,
        JoinConstraint::On,
        NullEquality::NullEqualsNothing,
        null_aware,
    )?;
    Ok(LogicalPlan::Join(join))
}

/// The conjuncts of a condition; constant true has none.
fn conjuncts(predicate: &Expr) -> Vec<&Expr> {
    match &predicate.kind {
        ExprKind::And(args) => args.iter().flat_map(conjuncts).collect(),
        ExprKind::Const(Datum::Bool(true)) => Vec::new(),
        _ => vec![predicate],
    }
}

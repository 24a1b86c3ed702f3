//! Relations of the typed tree as a DataFusion logical plan.
//!
//! Every column has its generated name (`c` and its number), unqualified and unique in the statement; its physical form is
//! known here. Join order, pushed-down conditions and unnesting were decided on the typed tree. What has no place on this
//! road is [`Refused`], and the planner's row plan runs in its stead.
//!
//! Here are scans, projections, filters, sorts and limits; [`join`], [`group`], [`set`] and [`window`] have the others.

mod group;
mod join;
mod set;
mod window;

pub(crate) use window::window_may_raise;

use super::expression::{as_unknown, can_raise, is_constant, name};
use super::form::Form;
use super::rows::Rows;
use super::scan::{self, Column as ScanColumnPlan, Source, Table};
use crate::catalog::image::{Body, Relation};
use crate::error::Error;
use crate::executor::StatementContext;
use crate::executor::row::plan::{Sizes, VectorPlan};
use crate::sql::columns::{ColumnSet, conjuncts, for_exprs, split_gates, used_by};
use crate::sql::tree::{ColumnId, CteId, Expr, ExprKind, Rel, ScanColumn, SetOpKind, SortKey};
use crate::types::{Datum, Type, oid};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DataFusionError, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{Case, EmptyRelation, Expr as DfExpr, LogicalPlan, LogicalPlanBuilder};
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
    pub(super) sizes: &'a dyn Sizes,
    pub(super) params: Arc<[Datum]>,
    /// For EXPLAIN: those behind so many have no value yet.
    pub(super) known: Option<usize>,
    pub(super) ctx: StatementContext,
    /// No operator above gathers all rows before it gives one: rows may have been sent when an error is met.
    pub(super) streaming: bool,
    /// A result hangs on the order of rows: the relation runs in one partition.
    pub(super) in_order: bool,
    /// What is computed above the last blocking operator may raise an error: rows are held back until all are there.
    pub(super) held: bool,
    /// The parts that run on the row road.
    pub(super) leaves: Vec<Rows>,
    tables: usize,
    windows: usize,
}

impl<'a> Translator<'a> {
    pub(super) fn new(plan: &'a VectorPlan, params: Arc<[Datum]>, ctx: StatementContext) -> Translator<'a> {
        Translator {
            forms: HashMap::new(),
            types: &plan.types,
            slots: plan.slots,
            sizes: &*plan.sizes,
            params,
            known: None,
            ctx,
            streaming: true,
            in_order: false,
            held: false,
            leaves: Vec::new(),
            tables: 0,
            windows: 0,
        }
    }

    /// Translates with `streaming` as given.
    pub(super) fn with_streaming<T>(
        &mut self,
        streaming: bool,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let before = std::mem::replace(&mut self.streaming, streaming);
        let done = work(self);
        self.streaming = before;
        done
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
                let streaming = self.streaming;
                if is_single(input) {
                    self.streaming = false;
                } else if streaming
                    && is_blocking(input)
                    && exprs.iter().any(|(column, expr)| needed.contains(*column) && can_raise(expr))
                {
                    self.streaming = false;
                    self.held = true;
                }
                let projected = self.project(plan, exprs, &needed);
                self.streaming = streaming;
                projected
            }
            Rel::Filter { input, predicate } => {
                let mut plan = self.rel(input, &needed)?;
                let (gates, mut conditions) = split_gates(input, &conjuncts(predicate));
                for gate in gates {
                    match self.gate(gate)? {
                        Some(true) => {}
                        Some(false) => {
                            let schema = plan.schema().clone();
                            return Ok(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema }));
                        }
                        None => conditions.push(gate),
                    }
                }
                let mut rest = Vec::new();
                for condition in conditions {
                    match self.membership(condition, input, &mut plan)? {
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
                let (left, right) = ((&**left, &left_columns[..]), (&**right, &right_columns[..]));
                match (op, all) {
                    (SetOpKind::Union, all) => self.union(*all, left, right, columns),
                    (_, true) => Err(Refused::because("INTERSECT ALL or EXCEPT ALL")),
                    (op, false) => self.matched(*op == SetOpKind::Except, left, right, columns),
                }
            }
            Rel::Values { .. } => Err(Refused::because("VALUES")),
            Rel::Functions { .. } | Rel::ProjectSet { .. } => Err(Refused::because("a set-returning function")),
            Rel::CteScan { cte, .. } => self.leaf(*cte),
            Rel::Working { .. } => Err(Refused::because("recursion")),
            Rel::Window { input, partition, order, calls } => self.window(input, partition, order, calls, &needed),
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
                    (Source::Stored(ColumnNo(attribute.storage)), Form::of(attribute.ty))
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
        self.table(Arc::new(table), plans.into_iter().map(|(name, _)| name))
    }

    /// A part that runs on the row road.
    fn leaf(&mut self, cte: CteId) -> Result<LogicalPlan> {
        let place = self.leaves.iter().position(|rows| rows.number == cte);
        let Some(rows) = place.map(|place| self.leaves.swap_remove(place)) else {
            return Err(Refused::because("a WITH part"));
        };
        if self.streaming && rows.raises {
            return Err(Refused::because("an error may come after rows"));
        }
        self.forms.extend(rows.columns.iter().copied());
        let names: Vec<String> = rows.columns.iter().map(|(column, _)| name(*column)).collect();
        self.table(Arc::new(rows), names.into_iter())
    }

    /// A scan of a provider whose columns have unique names: they need no qualifier from here on.
    fn table(
        &mut self,
        provider: Arc<dyn TableProvider>,
        columns: impl Iterator<Item = String>,
    ) -> Result<LogicalPlan> {
        self.tables += 1;
        let qualifier = format!("t{}", self.tables);
        let builder = LogicalPlanBuilder::scan(qualifier.as_str(), provider_as_source(provider), None)?;
        let columns = columns.map(|name| {
            let column = Column::new(Some(qualifier.as_str()), &name);
            DfExpr::Column(column).alias(name)
        });
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

    /// Whether a condition that names no column is true; `None`: it is not known yet, or a subquery's rows decide.
    fn gate(&self, condition: &Expr) -> Result<Option<bool>> {
        if !is_constant(condition) || self.unknown(condition).is_some() {
            return Ok(None);
        }
        Ok(Some(matches!(self.evaluate(condition)?, Datum::Bool(true))))
    }

    fn column_expr(&self, column: ColumnId) -> Expr {
        Expr { kind: ExprKind::Column(column), ty: self.types[column.0 as usize] }
    }

    fn sort(&mut self, input: &Rel, keys: &[SortKey], fetch: Option<usize>, needed: &ColumnSet) -> Result<LogicalPlan> {
        self.with_streaming(false, |translator| {
            let plan = translator.rel(input, needed)?;
            let mut sorts = Vec::new();
            for key in keys {
                let expr = translator.expr(&key.expr)?;
                sorts.push(Sort::new(translator.key(expr), !key.descending, key.nulls_first));
            }
            Ok(LogicalPlanBuilder::from(plan).sort_with_limit(sorts, fetch)?.build()?)
        })
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
                unknown if as_unknown(&unknown).is_some() => Ok(None),
                _ => Err(Refused::because("a computed LIMIT")),
            },
        };
        let (fetch, skip) = (count(self, limit)?, count(self, offset)?.unwrap_or(0));
        if fetch == Some(0) {
            // Nothing is read; a sort that keeps no row would not know what to do.
            let schema = self.with_streaming(true, |translator| translator.rel(input, needed))?.schema().clone();
            return Ok(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema }));
        }
        let plan = match input {
            Rel::Sort { input, keys } => {
                let mut needed = needed.clone();
                keys.iter().for_each(|key| used_by(&key.expr, &mut needed));
                self.sort(input, keys, fetch.map(|fetch| fetch.saturating_add(skip)), &needed)?
            }
            // Rows behind the last that is wanted are computed too: they must not raise an error.
            _ => self.with_streaming(true, |translator| translator.rel(input, needed))?,
        };
        Ok(LogicalPlanBuilder::from(plan).limit(skip, fetch)?.build()?)
    }
}

/// Whether a relation gives one row at most: nothing is given before an error in what is computed of it.
fn is_single(rel: &Rel) -> bool {
    match rel {
        Rel::Aggregate { keys, sets, .. } => keys.is_empty() && sets.is_none(),
        Rel::Project { input, .. } | Rel::Filter { input, .. } | Rel::Sort { input, .. } => is_single(input),
        _ => false,
    }
}

/// Whether a relation gives its first row after it has read all of its input.
fn is_blocking(rel: &Rel) -> bool {
    match rel {
        Rel::Aggregate { .. } | Rel::Sort { .. } | Rel::Distinct { .. } => true,
        Rel::Project { input, .. } | Rel::Filter { input, .. } => is_blocking(input),
        _ => false,
    }
}

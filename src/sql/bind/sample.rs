//! TABLESAMPLE: a condition on the row ids of a scan.
//!
//! Whether a row is in the sample is decided by a hash of its id and a seed: REPEATABLE's, or one of the statement's own.
//! BERNOULLI decides for each row, SYSTEM for runs of [`RUN_ROWS`] ids that lie together.

use super::Binder;
use super::coerce::Coercion;
use super::from::FromItem;
use super::scope::Clause;
use crate::catalog::image::Body;
use crate::error::{Error, Result, SqlState};
use crate::executor::functions::{self, Function, FunctionKind, Volatility};
use crate::sql::ast;
use crate::sql::tree::{Call, Expr, ExprKind, Rel, ScanColumn};
use crate::types::{Datum, Oid, Type, oid};
use std::sync::LazyLock;

/// Row ids that SYSTEM takes or leaves together: about a page of small rows.
const RUN_ROWS: i64 = 128;

/// The function behind it, which is none of pg_proc's.
static SAMPLE: LazyLock<Function> = LazyLock::new(|| Function {
    oid: Oid::NONE,
    name: "lightning_sample",
    symbol: "lightning_sample",
    args: &[oid::INT8, oid::INT8, oid::FLOAT4, oid::BOOL, oid::FLOAT8],
    result: oid::BOOL,
    set: false,
    strict: false,
    volatility: Volatility::Stable,
    variadic: Oid::NONE,
    kind: FunctionKind::Function,
    implementation: functions::implementation("lightning_sample"),
});

impl Binder<'_> {
    /// The rows of a table's scan that are in the sample.
    pub(super) fn sampled(&mut self, item: FromItem, sample: &ast::Sample, pos: u32) -> Result<FromItem> {
        let FromItem { mut rel, items, lateral } = item;
        let Rel::Scan { relation, columns } = &mut rel else {
            let message = "TABLESAMPLE clause can only be applied to tables and materialized views";
            return Err(Error::new(SqlState::FeatureNotSupported, message).at(self.position(pos)));
        };
        if !matches!(relation.body, Body::Table { .. }) {
            return Err(Error::unsupported("TABLESAMPLE of a system relation").at(self.position(sample.pos)));
        }
        let at = self.position(sample.pos);
        let method = sample.method.display();
        let run = match (sample.method.schema().unwrap_or("pg_catalog"), sample.method.name()) {
            ("pg_catalog", "bernoulli") => 1,
            ("pg_catalog", "system") => RUN_ROWS,
            _ => {
                let message = format!("tablesample method {method} does not exist");
                return Err(Error::new(SqlState::UndefinedObject, message).at(at));
            }
        };
        let [percent] = &sample.args[..] else {
            let given = sample.args.len();
            let message = format!("tablesample method {method} requires 1 argument, not {given}");
            return Err(Error::new(SqlState::InvalidTablesampleArgument, message).at(at));
        };
        let constant = |value, ty| Expr { kind: ExprKind::Const(value), ty: Type::new(ty) };
        let row_id = self.column(Type::new(oid::INT8));
        columns.push((ScanColumn::RowId, row_id));
        let percent = self.sample_argument(percent, oid::FLOAT4)?;
        let seed = match &sample.seed {
            Some(seed) => self.sample_argument(seed, oid::FLOAT8)?,
            None => constant(Datum::Null, oid::FLOAT8),
        };
        let args = vec![
            Expr { kind: ExprKind::Column(row_id), ty: Type::new(oid::INT8) },
            constant(Datum::Int8(run), oid::INT8),
            percent,
            constant(Datum::Bool(sample.seed.is_some()), oid::BOOL),
            seed,
        ];
        let predicate = Expr { kind: ExprKind::Call(Call { function: &SAMPLE, args }), ty: Type::new(oid::BOOL) };
        Ok(FromItem { rel: Rel::Filter { input: Box::new(rel), predicate }, items, lateral })
    }

    fn sample_argument(&mut self, source: &ast::Expr, wanted: Oid) -> Result<Expr> {
        let bound = self.bind_expr(source, Clause::FromFunction)?;
        let given = bound.ty;
        let pos = source.location();
        self.coerce_to(bound, Type::new(wanted), Coercion::Assignment, pos)?.ok_or_else(|| {
            let (wanted, given) = (self.type_name(Type::new(wanted)), self.type_name(given));
            let message = format!("argument of TABLESAMPLE must be type {wanted}, not type {given}");
            Error::new(SqlState::DatatypeMismatch, message).at(self.position(pos))
        })
    }
}

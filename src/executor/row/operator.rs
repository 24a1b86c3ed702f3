//! The operator interface, and the making of operators from a plan.

use super::aggregate::AggregateOp;
use super::basic::{DistinctOp, FilterOp, GateOp, LimitOp, MaterializeOp, ProjectOp, ProjectSetOp, ValuesOp};
use super::cte::{CteScanOp, RecursiveUnionOp, WorkingScanOp};
use super::frame::Frame;
use super::functions::FunctionsOp;
use super::join::{HashJoinOp, NestedLoopOp};
use super::lock::LockRowsOp;
use super::plan::{Kind, Node};
use super::road::RoadOp;
use super::scan::{IndexScanOp, SeqScanOp, SystemScanOp};
use super::setop::SetOpOp;
use super::sort::SortOp;
use super::window::WindowOp;
use super::write::{DeleteOp, InsertOp, UpdateOp};
use crate::error::Result;
use lightning_storage::RowView;
use std::time::Instant;

/// An operator: keeps its state in itself, not on the stack.
pub(crate) trait Operator: Send {
    /// Puts the next row into its slots; `false` at the end, and again if called again.
    ///
    /// `Err` may be no error: a wait ([`crate::error::Error::waiter`]) or the end of a time slice
    /// ([`crate::error::Error::is_pause`]). Then nothing was lost, and the same call is made again later.
    fn next(&mut self, f: &mut Frame) -> Result<bool>;

    /// Back to the start; reads outer slots anew.
    fn rewind(&mut self, f: &mut Frame) -> Result<()>;

    /// Asks for rows whose columns are not put into slots: [`Operator::stored`] shows them. `false`: it cannot do that.
    fn keep_stored(&mut self) -> bool {
        false
    }

    /// The current row as it is stored.
    fn stored(&self) -> Option<RowView<'_>> {
        None
    }
}

/// The operator of a node.
pub(super) fn build(node: &Node, f: &Frame) -> Box<dyn Operator> {
    let operator: Box<dyn Operator> = match &node.kind {
        Kind::Values(p) => Box::new(ValuesOp::new(p)),
        Kind::SeqScan(p) => Box::new(SeqScanOp::new(p, node.id)),
        Kind::IndexScan(p) => Box::new(IndexScanOp::new(p, node.id)),
        Kind::SystemScan(p) => Box::new(SystemScanOp::new(p, node.id)),
        Kind::Functions(p) => Box::new(FunctionsOp::new(p)),
        Kind::CteScan(p) => Box::new(CteScanOp::new(p)),
        Kind::WorkingScan(p) => Box::new(WorkingScanOp::new(p)),
        Kind::Project(p) => Box::new(ProjectOp::new(p, f)),
        Kind::ProjectSet(p) => Box::new(ProjectSetOp::new(p, f)),
        Kind::Filter(p) => Box::new(FilterOp::new(p, node.id, f)),
        Kind::Gate(p) => Box::new(GateOp::new(p, f)),
        Kind::NestedLoop(p) => Box::new(NestedLoopOp::new(p, f)),
        Kind::HashJoin(p) => Box::new(HashJoinOp::new(p, f)),
        Kind::Materialize(p) => Box::new(MaterializeOp::new(p, f)),
        Kind::Aggregate(p) => Box::new(AggregateOp::new(p, f)),
        Kind::Window(p) => Box::new(WindowOp::new(p, f)),
        Kind::Sort(p) => Box::new(SortOp::new(p, f)),
        Kind::Distinct(p) => Box::new(DistinctOp::new(p, f)),
        Kind::Limit(p) => Box::new(LimitOp::new(p, f)),
        Kind::SetOp(p) => Box::new(SetOpOp::new(p, f)),
        Kind::RecursiveUnion(p) => Box::new(RecursiveUnionOp::new(p, f)),
        Kind::Road(p) => Box::new(RoadOp::new(p, node.id)),
        Kind::LockRows(p) => Box::new(LockRowsOp::new(p, f)),
        Kind::Insert(p) => Box::new(InsertOp::new(p, f)),
        Kind::Update(p) => Box::new(UpdateOp::new(p, f)),
        Kind::Delete(p) => Box::new(DeleteOp::new(p, f)),
    };
    if f.instruments.is_some() {
        Box::new(Instrumented { id: node.id as usize, inner: operator, started: false })
    } else {
        operator
    }
}

/// Counts rows and time, under EXPLAIN ANALYZE.
struct Instrumented {
    id: usize,
    inner: Box<dyn Operator>,
    started: bool,
}

impl Operator for Instrumented {
    fn next(&mut self, f: &mut Frame) -> Result<bool> {
        let start = Instant::now();
        let given = self.inner.next(f);
        let elapsed = start.elapsed();
        if let Some(counter) = f.instruments.as_mut().and_then(|all| all.get_mut(self.id)) {
            counter.total += elapsed;
            if !self.started {
                counter.loops += 1;
            }
            if counter.rows == 0 {
                counter.first += elapsed;
            }
            counter.rows += u64::from(matches!(given, Ok(true)));
        }
        self.started = true;
        given
    }

    fn rewind(&mut self, f: &mut Frame) -> Result<()> {
        self.started = false;
        self.inner.rewind(f)
    }
}

//! Row ids of a table, given out in runs: whoever inserts has a run of its own, so that transactions that insert at the same
//! time fill leaves of their own.
//!
//! 1. A transaction takes a run with its first row, and gives back what is left of it when it ends. Who comes next goes on
//!    there, at the highest place left: transactions that follow one another give ascending ids, as if there were no runs.
//! 2. A run that is used up goes on behind all others. While nobody else inserts that is where it ended; else it is a long
//!    one, whose first row begins a leaf.
//! 3. What is left of runs is lost when the engine stops: ids have holes.

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::ops::Range;

/// Ids taken at once by who inserts alone, at most.
const ALONE_MAX: u64 = 1024;
/// Ids of a run beside others: some dozens of leaves, of which the last one is filled in part.
const BESIDE_OTHERS: u64 = 4096;

/// A table's row ids.
#[derive(Debug)]
pub(crate) struct RowIds {
    /// Least id in no run; it rises under the mutex, or by recovery.
    next: AtomicU64,
    runs: Mutex<Runs>,
}

#[derive(Debug, Default)]
struct Runs {
    /// How many transactions have a run.
    taken: usize,
    /// What others have left.
    left: Vec<Range<u64>>,
}

/// A transaction's run.
#[derive(Debug)]
pub(crate) struct RowRun {
    pub(crate) ids: Range<u64>,
    /// This id is to begin a leaf.
    pub(crate) begins: Option<u64>,
    /// How many to take next time.
    size: u64,
}

impl RowIds {
    pub(crate) fn new() -> RowIds {
        RowIds { next: AtomicU64::new(1), runs: Mutex::default() }
    }

    /// Exclusive upper end of the ids given out.
    pub(crate) fn bound(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// No id below `bound` will be given out.
    pub(crate) fn raise_bound(&self, bound: u64) {
        self.next.fetch_max(bound, Ordering::Relaxed);
    }

    /// A run for a transaction that begins to insert.
    pub(crate) fn take(&self) -> RowRun {
        let mut runs = self.runs.lock();
        runs.taken += 1;
        let highest = (0..runs.left.len()).max_by_key(|at| runs.left[*at].start);
        let ids = highest.map_or(0..0, |at| runs.left.swap_remove(at));
        RowRun { ids, begins: None, size: 1 }
    }

    /// More ids for a run that is used up.
    pub(crate) fn extend(&self, run: &mut RowRun) {
        let runs = self.runs.lock();
        let alone = runs.taken == 1;
        let count = if alone { run.size } else { BESIDE_OTHERS };
        let start = self.next.fetch_add(count, Ordering::Relaxed);
        // Right behind its own last row, or behind those of transactions that are over, a run goes on in their leaf.
        run.begins = (!alone && start != run.ids.end).then_some(start);
        run.ids = start..start + count;
        run.size = (run.size * 2).min(ALONE_MAX);
    }

    /// So many consecutive ids at once; what a run has left that is too short is lost, unless it goes on behind itself.
    pub(crate) fn take_many(&self, run: &mut RowRun, count: u64) -> u64 {
        if run.ids.end - run.ids.start < count {
            let runs = self.runs.lock();
            let alone = runs.taken == 1;
            let more = if alone { count } else { count.max(BESIDE_OTHERS) };
            let start = self.next.fetch_add(more, Ordering::Relaxed);
            if start == run.ids.end {
                run.ids.end += more;
            } else {
                run.begins = (!alone).then_some(start);
                run.ids = start..start + more;
            }
        }
        run.ids.start += count;
        run.ids.start - count
    }

    /// The transaction is over.
    pub(crate) fn give_back(&self, run: RowRun) {
        let mut runs = self.runs.lock();
        runs.taken -= 1;
        if !run.ids.is_empty() {
            runs.left.push(run.ids);
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    fn take_one(ids: &RowIds, run: &mut RowRun) -> u64 {
        if run.ids.is_empty() {
            ids.extend(run);
        }
        run.ids.next().expect("it was just extended")
    }

    #[test]
    fn those_who_come_after_one_another_go_on_and_those_at_once_have_runs_of_their_own() {
        let ids = RowIds::new();
        let mut last = 0;
        for rows in [1, 5, 2000, 1] {
            let mut run = ids.take();
            for _ in 0..rows {
                let id = take_one(&ids, &mut run);
                assert!(id > last && run.begins.is_none());
                last = id;
            }
            ids.give_back(run);
        }
        assert!(last < 2010, "holes");
        let (mut one, mut two) = (ids.take(), ids.take());
        let of_one: Vec<u64> = (0..5000).map(|_| take_one(&ids, &mut one)).collect();
        let first = take_one(&ids, &mut two);
        assert_eq!(two.begins, Some(first));
        let of_two: Vec<u64> = (0..5000).map(|_| take_one(&ids, &mut two)).collect();
        assert!(of_one.is_sorted() && of_two.is_sorted() && of_one.iter().all(|id| of_two.binary_search(id).is_err()));
        let runs = |ids: &[u64]| ids.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        assert!(runs(&of_one) <= 2 && runs(&of_two) <= 2);
        ids.give_back(one);
        ids.give_back(two);
        let bound = ids.bound();
        let mut next = ids.take();
        assert!(take_one(&ids, &mut next) > *of_two.last().unwrap() && ids.bound() == bound);
    }
}

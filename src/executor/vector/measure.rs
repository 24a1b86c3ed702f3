//! The vector road's operators for EXPLAIN, with what each did under ANALYZE.

use datafusion::physical_plan::{ExecutionPlan, displayable};
use serde_json::{Map, Value as Json, json};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// DataFusion's names for the memory that an operator had at most.
const MEMORY: [&str; 3] = ["peak_mem_used", "build_mem_used", "mem_used"];

/// A plan under way: its operators count as they run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run(Arc<OnceLock<Arc<dyn ExecutionPlan>>>);

impl Run {
    /// The plan has been made.
    pub(super) fn started(&self, plan: &Arc<dyn ExecutionPlan>) {
        // A run has one plan.
        let _ = self.0.set(plan.clone());
    }

    /// Its operators with what they have done so far; `None`: it has not begun.
    pub(crate) fn operators(&self) -> Option<Operator> {
        self.0.get().map(|plan| Operator::of(&**plan, true))
    }
}

/// An operator as shown.
pub(crate) struct Operator {
    name: String,
    line: String,
    measured: Option<Measured>,
    inputs: Vec<Operator>,
}

struct Measured {
    rows: Option<usize>,
    /// Of all threads together.
    time: Duration,
    memory: usize,
    spills: usize,
    spilled: usize,
}

impl Operator {
    pub(super) fn of(plan: &dyn ExecutionPlan, measured: bool) -> Operator {
        // It passes on what it is given.
        if let ("CooperativeExec", [input]) = (plan.name(), &plan.children()[..]) {
            return Operator::of(&***input, measured);
        }
        Operator {
            name: plan.name().to_owned(),
            // A value that is not known yet is a function there, `$0()`.
            line: shortened(&displayable(plan).one_line().to_string().trim().replace("()", "")),
            measured: if measured { Measured::of(plan) } else { None },
            inputs: plan.children().into_iter().map(|input| Operator::of(&**input, measured)).collect(),
        }
    }

    /// The tree as lines.
    pub(crate) fn lines(&self, timing: bool) -> Vec<String> {
        let mut lines = Vec::new();
        self.write(0, timing, &mut lines);
        lines
    }

    fn write(&self, depth: usize, timing: bool, lines: &mut Vec<String>) {
        let measured = self.measured.as_ref().map_or_else(String::new, |measured| measured.text(timing));
        lines.push(format!("{}{}{measured}", "  ".repeat(depth), self.line));
        self.inputs.iter().for_each(|input| input.write(depth + 1, timing, lines));
    }

    /// The tree with PostgreSQL's names of fields, where it has such.
    pub(crate) fn json(&self, timing: bool) -> Json {
        let mut object = Map::new();
        object.insert("Node Type".into(), json!(self.name));
        object.insert("Operator".into(), json!(self.line));
        if let Some(measured) = &self.measured {
            if timing {
                object.insert("Actual Total Time".into(), json!(measured.time.as_secs_f64() * 1000.0));
            }
            if let Some(rows) = measured.rows {
                object.insert("Actual Rows".into(), json!(rows));
            }
            object.insert("Actual Loops".into(), json!(1));
            if measured.memory > 0 {
                object.insert("Peak Memory Usage".into(), json!(measured.memory.div_ceil(1024)));
            }
            if measured.spills > 0 {
                object.insert("Spills".into(), json!(measured.spills));
                object.insert("Disk Usage".into(), json!(measured.spilled.div_ceil(1024)));
            }
        }
        if !self.inputs.is_empty() {
            object.insert("Plans".into(), self.inputs.iter().map(|input| input.json(timing)).collect());
        }
        Json::Object(object)
    }
}

/// An operator's line, of the values that a join has found for a scan only the first: there may be thousands.
fn shortened(line: &str) -> String {
    const LIST: &str = " IN (SET) ([";
    let (mut short, mut rest) = (String::new(), line);
    while let Some(list) = rest.find("DynamicFilter [").and_then(|at| Some(at + rest[at..].find(LIST)? + LIST.len())) {
        let end = list + rest[list..].find("])").unwrap_or(rest.len() - list);
        let kept = match rest[list..end].char_indices().nth(80) {
            Some((at, _)) => format!("{}…", &rest[list..list + at]),
            None => rest[list..end].to_owned(),
        };
        short.push_str(&rest[..list]);
        short.push_str(&kept);
        rest = &rest[end..];
    }
    short + rest
}

impl Measured {
    /// `None`: the operator counts nothing.
    fn of(plan: &dyn ExecutionPlan) -> Option<Measured> {
        let metrics = plan.metrics()?;
        let memory = MEMORY.iter().filter_map(|name| metrics.sum_by_name(name)).map(|value| value.as_usize()).sum();
        Some(Measured {
            rows: metrics.output_rows(),
            time: Duration::from_nanos(metrics.elapsed_compute().unwrap_or(0) as u64),
            memory,
            spills: metrics.spill_count().unwrap_or(0),
            spilled: metrics.spilled_bytes().unwrap_or(0),
        })
    }

    fn text(&self, timing: bool) -> String {
        let mut parts = Vec::new();
        if timing {
            parts.push(format!("time={:.3}", self.time.as_secs_f64() * 1000.0));
        }
        parts.extend(self.rows.map(|rows| format!("rows={rows}")));
        if self.memory > 0 {
            parts.push(format!("memory={}kB", self.memory.div_ceil(1024)));
        }
        if self.spills > 0 {
            parts.push(format!("spills={} disk={}kB", self.spills, self.spilled.div_ceil(1024)));
        }
        if parts.is_empty() { String::new() } else { format!(" (actual {})", parts.join(" ")) }
    }
}

//! EXPLAIN: a plan as PostgreSQL's text tree, or as JSON; with ANALYZE, what each operator did.
//!
//! Projections are not shown (PostgreSQL's nodes project themselves), and a filter over an operator is shown as that
//! operator's. Conditions are written from their compiled form: columns by name, operators by their functions' symbols.

use super::expr::{Code, Comparison, SubscriptCode};
use super::frame::{Instrument, Measured, Taken};
use super::plan::{KeyEnd, KeyRange, Kind, Node, Plan, Road, RowReason, Slot, SortBy, TableColumns};
use super::prefix;
use super::subquery::{SubqueryPlan, SubqueryUse};
use crate::catalog::image::{Index, Relation};
use crate::catalog::names::Namespace;
use crate::executor::StatementContext;
use crate::executor::functions::Function;
use crate::executor::vector::{self, Operator};
use crate::sql::tree::{JoinKind, RowOp, SetOpKind};
use crate::types::format::FormatSettings;
use crate::types::text_io::{self, Names, TextContext};
use crate::types::{Datum, Oid, Type, oid};
use serde_json::{Map, Value as Json, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// What EXPLAIN was asked to show.
#[derive(Clone, Copy, Debug)]
pub struct ExplainOptions {
    /// COSTS
    pub costs: bool,
    /// TIMING (ANALYZE only)
    pub timing: bool,
    /// VERBOSE
    pub verbose: bool,
    /// SUMMARY: how long planning took.
    pub planning: Option<Duration>,
    /// SUMMARY and ANALYZE: how long execution took.
    pub execution: Option<Duration>,
}

impl Default for ExplainOptions {
    fn default() -> ExplainOptions {
        ExplainOptions { costs: true, timing: true, verbose: false, planning: None, execution: None }
    }
}

/// With the statement's context and parameters, what the vector road would do is shown.
pub type Surroundings<'a> = (&'a StatementContext, &'a [Datum]);

/// One operator as shown.
struct Shown {
    title: String,
    /// JSON's "Node Type" and its companions.
    fields: Map<String, Json>,
    /// `Filter: …` and the like: key and values.
    properties: Vec<(&'static str, Property)>,
    children: Vec<(Option<String>, Shown)>,
    estimate: super::plan::Estimate,
    counter: Option<Instrument>,
}

enum Property {
    Text(String),
    List(Vec<String>),
    Operators(Operator),
    Count(u64),
}

/// The plan as lines of text; the first one says which road it takes, and why, where it reads a table. `measured` is
/// [`super::execution::Execution::measured`] after ANALYZE.
pub fn text(
    plan: &Plan,
    options: ExplainOptions,
    measured: Option<Measured<'_>>,
    surroundings: Option<Surroundings<'_>>,
) -> Vec<String> {
    let explainer = Explainer::new(plan, measured, surroundings);
    let mut lines = Vec::from_iter(explainer.choice().map(|(road, reason)| format!("Road: {road} ({reason})")));
    write_text(&explainer.statement(), options, None, 0, &mut lines);
    for (what, took) in [("Planning", options.planning), ("Execution", options.execution)] {
        lines.extend(took.map(|took| format!("{what} Time: {:.3} ms", milliseconds(took, 1))));
    }
    lines
}

/// The plan as EXPLAIN (FORMAT JSON) shows it.
pub fn json(
    plan: &Plan,
    options: ExplainOptions,
    measured: Option<Measured<'_>>,
    surroundings: Option<Surroundings<'_>>,
) -> Json {
    let explainer = Explainer::new(plan, measured, surroundings);
    let mut object = Map::new();
    object.insert("Plan".into(), to_json(&explainer.statement(), options, None));
    if let Some((road, reason)) = explainer.choice() {
        object.insert("Road".into(), json!(road));
        object.insert("Road Reason".into(), json!(reason));
    }
    if let Some(planning) = options.planning {
        object.insert("Planning Time".into(), json!(milliseconds(planning, 1)));
    }
    if measured.is_some() {
        object.insert("Triggers".into(), json!([]));
    }
    if let Some(execution) = options.execution {
        object.insert("Execution Time".into(), json!(milliseconds(execution, 1)));
    }
    json!([object])
}

fn milliseconds(duration: Duration, loops: u64) -> f64 {
    duration.as_secs_f64() * 1000.0 / loops.max(1) as f64
}

/// A node at `indent` columns: its line, its properties, its children.
fn write_text(shown: &Shown, options: ExplainOptions, label: Option<&str>, indent: usize, lines: &mut Vec<String>) {
    let mut line = " ".repeat(indent);
    let mut inner = indent + 2;
    if let Some(label) = label {
        lines.push(format!("{line}{label}"));
        line.push_str("  ");
        inner += 2;
    }
    if indent > 0 || label.is_some() {
        line.push_str("->  ");
        inner += 4;
    }
    line.push_str(&shown.title);
    if options.costs {
        let e = &shown.estimate;
        line.push_str(&format!(
            "  (cost={:.2}..{:.2} rows={:.0} width={})",
            e.startup,
            e.total,
            e.rows.max(1.0),
            e.width
        ));
    }
    if let Some(counter) = &shown.counter {
        if counter.loops == 0 {
            line.push_str(" (never executed)");
        } else {
            let rows = (counter.rows as f64 / counter.loops as f64).round();
            let times = if options.timing {
                let (first, total) =
                    (milliseconds(counter.first, counter.loops), milliseconds(counter.total, counter.loops));
                format!("time={first:.3}..{total:.3} ")
            } else {
                String::new()
            };
            line.push_str(&format!(" (actual {times}rows={rows:.0} loops={})", counter.loops));
        }
    }
    lines.push(line);
    for (key, property) in &shown.properties {
        let pad = " ".repeat(inner);
        match property {
            Property::Text(text) => lines.push(format!("{pad}{key}: {text}")),
            Property::List(list) => lines.push(format!("{pad}{key}: {}", list.join(", "))),
            Property::Operators(tree) => {
                lines.extend(tree.lines(options.timing).iter().map(|line| format!("{pad}{line}")));
            }
            Property::Count(count) => lines.push(format!("{pad}{key}: {count}")),
        }
    }
    for (label, child) in &shown.children {
        write_text(child, options, label.as_deref(), inner, lines);
    }
}

fn to_json(shown: &Shown, options: ExplainOptions, label: Option<&str>) -> Json {
    let mut object = shown.fields.clone();
    if let Some(label) = label {
        object.insert("Subplan Name".into(), json!(label));
    }
    if options.costs {
        let e = &shown.estimate;
        object.insert("Startup Cost".into(), json!(e.startup));
        object.insert("Total Cost".into(), json!(e.total));
        object.insert("Plan Rows".into(), json!(e.rows.max(1.0).round() as u64));
        object.insert("Plan Width".into(), json!(e.width));
    }
    if let Some(counter) = &shown.counter {
        if options.timing {
            object.insert("Actual Startup Time".into(), json!(milliseconds(counter.first, counter.loops)));
            object.insert("Actual Total Time".into(), json!(milliseconds(counter.total, counter.loops)));
        }
        object.insert("Actual Rows".into(), json!(counter.rows.checked_div(counter.loops).unwrap_or(0)));
        object.insert("Actual Loops".into(), json!(counter.loops));
    }
    for (key, property) in &shown.properties {
        let value = match property {
            Property::Text(text) => json!(text),
            Property::List(list) => json!(list),
            Property::Operators(tree) => json!([tree.json(options.timing)]),
            Property::Count(count) => json!(count),
        };
        object.insert((*key).into(), value);
    }
    if !shown.children.is_empty() {
        let children = shown.children.iter().map(|(label, child)| to_json(child, options, label.as_deref())).collect();
        object.insert("Plans".into(), Json::Array(children));
    }
    Json::Object(object)
}

/// The relations with a plan for either road, and the scans of tables, from a node down.
fn collect<'p>(node: &'p Node, roads: &mut Vec<(&'p Node, &'p Road)>, scans: &mut Vec<&'p Node>) {
    match &node.kind {
        Kind::Road(road) => {
            roads.push((node, road));
            return collect(&road.row, roads, scans);
        }
        Kind::SeqScan(_) | Kind::IndexScan(_) => scans.push(node),
        _ => {}
    }
    node.inputs().into_iter().for_each(|input| collect(input, roads, scans));
}

struct Explainer<'a> {
    plan: &'a Plan,
    counters: Option<&'a [Instrument]>,
    /// The roads that were taken.
    roads: &'a [(u32, Taken)],
    surroundings: Option<Surroundings<'a>>,
    /// Columns of the scan being shown: written without their relation.
    bare: RefCell<Vec<Slot>>,
    /// Columns that an operator computes, as the expressions that they are.
    computed: RefCell<HashMap<Slot, String>>,
}

impl<'a> Explainer<'a> {
    fn new(plan: &'a Plan, measured: Option<Measured<'a>>, surroundings: Option<Surroundings<'a>>) -> Explainer<'a> {
        let explainer = Explainer {
            plan,
            counters: measured.map(|measured| measured.counters),
            roads: measured.map_or(&[], |measured| measured.roads),
            surroundings,
            bare: RefCell::default(),
            computed: RefCell::default(),
        };
        plan.ctes.iter().for_each(|cte| explainer.name_computed(&cte.node));
        explainer.name_computed(&plan.root);
        explainer
    }

    /// Notes what the columns are that a node and those below it compute, the lowest first.
    fn name_computed(&self, node: &Node) {
        node.inputs().into_iter().for_each(|input| self.name_computed(input));
        let note = |slot: Slot, text: String| self.computed.borrow_mut().insert(slot, text);
        match &node.kind {
            Kind::Project(p) => p.exprs.iter().for_each(|(slot, code)| {
                note(*slot, self.code(code));
            }),
            Kind::Aggregate(p) => {
                p.keys.iter().for_each(|(slot, code)| {
                    note(*slot, self.code(code));
                });
                for call in &p.aggregates {
                    let distinct = if call.call.distinct { "DISTINCT " } else { "" };
                    let args = if call.args.is_empty() && call.direct.is_empty() {
                        "*".to_owned()
                    } else {
                        call.direct.iter().chain(&call.args).map(|arg| self.code(arg)).collect::<Vec<_>>().join(", ")
                    };
                    note(call.slot, format!("{}({distinct}{args})", call.call.name));
                }
            }
            _ => {}
        }
    }

    fn statement(&self) -> Shown {
        let mut shown = self.node(&self.plan.root, None);
        let parts = self.plan.ctes.iter().map(|cte| (Some(format!("CTE {}", cte.name)), self.node(&cte.node, None)));
        shown.children.splice(0..0, parts);
        shown
    }

    fn node(&self, node: &Node, filter: Option<&Code>) -> Shown {
        match &node.kind {
            // Not shown: what lies below projects.
            Kind::Project(p) => {
                let mut shown = self.node(&p.input, filter);
                for (_, code) in &p.exprs {
                    self.subplans(code, &mut shown);
                }
                return shown;
            }
            // Begun on the row road, where it has stayed.
            Kind::Road(p) if p.row_first && !matches!(self.taken(node), Some(Taken::Vector(..))) => {
                return self.node(&p.row, filter);
            }
            Kind::Filter(p) if filter.is_none() && !matches!(p.input.kind, Kind::Filter(_)) => {
                let mut shown = self.node(&p.input, Some(&p.predicate));
                if let Some(counter) = self.counters.and_then(|all| all.get(node.id as usize)) {
                    shown.properties.push(("Rows Removed by Filter", Property::Count(counter.removed)));
                    shown.counter = Some(*counter);
                }
                return shown;
            }
            _ => {}
        }
        let mut shown = Shown {
            title: String::new(),
            fields: Map::new(),
            properties: Vec::new(),
            children: Vec::new(),
            estimate: node.estimate,
            counter: self.counters.and_then(|all| all.get(node.id as usize)).copied(),
        };
        self.describe(node, &mut shown);
        if let Some(filter) = filter {
            shown.properties.push(("Filter", Property::Text(self.code(filter))));
            self.subplans(filter, &mut shown);
        }
        shown
    }

    fn title(&self, shown: &mut Shown, kind: &str, title: String) {
        shown.fields.insert("Node Type".into(), json!(kind));
        shown.title = title;
    }

    fn relation(&self, shown: &mut Shown, relation: &Relation) {
        shown.fields.insert("Relation Name".into(), json!(relation.name));
        shown.fields.insert("Schema".into(), json!(relation.schema_name));
        shown.fields.insert("Alias".into(), json!(relation.name));
    }

    fn filter(&self, shown: &mut Shown, filter: Option<&Code>) {
        let Some(filter) = filter else { return };
        shown.properties.push(("Filter", Property::Text(self.code(filter))));
        if let Some(counter) = &shown.counter
            && counter.removed > 0
        {
            let per_loop = counter.removed / counter.loops.max(1);
            shown.properties.push(("Rows Removed by Filter", Property::Count(per_loop)));
        }
        self.subplans(filter, shown);
    }

    fn describe(&self, node: &Node, shown: &mut Shown) {
        match &node.kind {
            Kind::Values(p) if p.slots.is_empty() => self.title(shown, "Result", "Result".into()),
            Kind::Values(_) => self.title(shown, "Values Scan", "Values Scan on \"*VALUES*\"".into()),
            Kind::SeqScan(p) => {
                self.title(shown, "Seq Scan", format!("Seq Scan on {}", p.relation.name));
                self.relation(shown, &p.relation);
                self.bare.replace(p.columns.stored.iter().map(|column| column.slot).collect());
                self.filter(shown, p.filter.as_ref());
                self.bare.take();
            }
            Kind::IndexScan(p) => {
                let backward = if p.backward { " Backward" } else { "" };
                let title = format!("Index Scan{backward} using {} on {}", p.index.name, p.relation.name);
                self.title(shown, "Index Scan", title);
                shown.fields.insert("Index Name".into(), json!(p.index.name));
                shown.fields.insert("Scan Direction".into(), json!(if p.backward { "Backward" } else { "Forward" }));
                self.relation(shown, &p.relation);
                if let Some(condition) = self.key_range(&p.range, &p.index, &p.relation, &p.columns) {
                    shown.properties.push(("Index Cond", Property::Text(condition)));
                }
                self.bare.replace(p.columns.stored.iter().map(|column| column.slot).collect());
                self.filter(shown, p.filter.as_ref());
                self.bare.take();
            }
            Kind::SystemScan(p) => {
                self.title(shown, "Seq Scan", format!("Seq Scan on {}", p.relation.name));
                self.relation(shown, &p.relation);
                if let Some((attribute, code)) = &p.key {
                    let name = &p.relation.attributes[*attribute as usize - 1].name;
                    shown.properties.push(("Index Cond", Property::Text(format!("({name} = {})", self.code(code)))));
                }
                self.bare.replace(p.columns.iter().map(|(_, slot)| *slot).collect());
                self.filter(shown, p.filter.as_ref());
                self.bare.take();
            }
            Kind::Functions(p) => {
                let name = p.calls.first().and_then(|call| call.function).map_or("", |function| function.name);
                self.title(shown, "Function Scan", format!("Function Scan on {name}"));
            }
            Kind::CteScan(p) => self.title(shown, "CTE Scan", format!("CTE Scan on {}", p.name)),
            Kind::WorkingScan(p) => self.title(shown, "WorkTable Scan", format!("WorkTable Scan on {}", p.name)),
            Kind::Project(p) => self.child(shown, &p.input),
            Kind::ProjectSet(p) => {
                self.title(shown, "ProjectSet", "ProjectSet".into());
                self.child(shown, &p.input);
            }
            Kind::Filter(p) => {
                self.title(shown, "Result", "Result".into());
                self.filter(shown, Some(&p.predicate));
                self.child(shown, &p.input);
            }
            Kind::Gate(p) => {
                self.title(shown, "Result", "Result".into());
                shown.properties.push(("One-Time Filter", Property::Text(self.code(&p.predicate))));
                self.subplans(&p.predicate, shown);
                self.child(shown, &p.input);
            }
            Kind::NestedLoop(p) => {
                self.join(shown, "Nested Loop", "Nested Loop", p.kind);
                if let Some(on) = &p.on {
                    shown.properties.push(("Join Filter", Property::Text(self.code(on))));
                }
                self.child(shown, &p.left);
                self.child(shown, &p.right);
            }
            Kind::HashJoin(p) => {
                self.join(shown, "Hash Join", "Hash", p.kind);
                let pairs = p.left_keys.iter().zip(&p.right_keys);
                let conditions: Vec<String> =
                    pairs.map(|(l, r)| format!("({} = {})", self.code(l), self.code(r))).collect();
                let condition =
                    if conditions.len() == 1 { conditions.concat() } else { format!("({})", conditions.join(" AND ")) };
                shown.properties.push(("Hash Cond", Property::Text(condition)));
                if let Some(residual) = &p.residual {
                    shown.properties.push(("Join Filter", Property::Text(self.code(residual))));
                }
                self.child(shown, &p.left);
                let table = Shown {
                    title: "Hash".into(),
                    fields: Map::from_iter([("Node Type".to_owned(), json!("Hash"))]),
                    properties: Vec::new(),
                    estimate: p.right.estimate,
                    counter: self.counters.and_then(|all| all.get(p.right.id as usize)).copied(),
                    children: vec![(None, self.node(&p.right, None))],
                };
                shown.children.push((None, table));
            }
            Kind::Materialize(p) => {
                self.title(shown, "Materialize", "Materialize".into());
                self.child(shown, &p.input);
            }
            Kind::Aggregate(p) => {
                let keys: Vec<String> = p.keys.iter().map(|(_, key)| self.code(key)).collect();
                let title = match (keys.is_empty(), p.sorted, p.sets.len() > 1) {
                    (true, ..) => "Aggregate",
                    (_, true, _) => "GroupAggregate",
                    (_, _, true) => "MixedAggregate",
                    _ => "HashAggregate",
                };
                self.title(shown, "Aggregate", title.into());
                if p.sets.len() > 1 {
                    for set in &p.sets {
                        let set = set.iter().map(|key| keys[*key as usize].clone()).collect::<Vec<_>>();
                        let set = if set.is_empty() { vec!["()".to_owned()] } else { set };
                        shown.properties.push(("Group Key", Property::List(set)));
                    }
                } else if !keys.is_empty() {
                    shown.properties.push(("Group Key", Property::List(keys)));
                }
                self.child(shown, &p.input);
            }
            Kind::Window(p) => {
                self.title(shown, "WindowAgg", "WindowAgg".into());
                self.child(shown, &p.input);
            }
            Kind::Sort(p) => {
                self.title(shown, "Sort", "Sort".into());
                let keys = p.keys.iter().map(|key| self.sort_key(key)).collect();
                shown.properties.push(("Sort Key", Property::List(keys)));
                self.child(shown, &p.input);
            }
            Kind::Distinct(p) => {
                if p.sorted {
                    self.title(shown, "Unique", "Unique".into());
                } else {
                    self.title(shown, "Aggregate", "HashAggregate".into());
                    let keys = p.on.iter().map(|key| self.code(key)).collect();
                    shown.properties.push(("Group Key", Property::List(keys)));
                }
                self.child(shown, &p.input);
            }
            Kind::Limit(p) => {
                self.title(shown, "Limit", "Limit".into());
                self.child(shown, &p.input);
            }
            Kind::SetOp(p) => {
                let title = match (p.op, p.all) {
                    (SetOpKind::Union, true) => "Append",
                    (SetOpKind::Union, false) => "HashAggregate",
                    (SetOpKind::Intersect, false) => "HashSetOp Intersect",
                    (SetOpKind::Intersect, true) => "HashSetOp Intersect All",
                    (SetOpKind::Except, false) => "HashSetOp Except",
                    (SetOpKind::Except, true) => "HashSetOp Except All",
                };
                self.title(shown, title.split(' ').next().unwrap_or(title), title.into());
                self.child(shown, &p.left);
                self.child(shown, &p.right);
            }
            Kind::RecursiveUnion(p) => {
                self.title(shown, "Recursive Union", "Recursive Union".into());
                self.child(shown, &p.seed);
                self.child(shown, &p.step);
            }
            Kind::Road(p) => self.road(node, shown, p),
            Kind::LockRows(p) => {
                self.title(shown, "LockRows", "LockRows".into());
                self.child(shown, &p.input);
            }
            Kind::Insert(p) => self.write(shown, "Insert", &p.target, &p.input),
            Kind::Update(p) => self.write(shown, "Update", &p.target, &p.input),
            Kind::Delete(p) => self.write(shown, "Delete", &p.target, &p.input),
        }
    }

    /// The road that a node's relation took last.
    fn taken(&self, node: &Node) -> Option<&Taken> {
        self.roads.iter().rev().find(|(id, _)| *id == node.id).map(|(_, taken)| taken)
    }

    /// The operators on the vector road, as they ran or would run; or why it is the row road.
    fn operators(&self, node: &Node, road: &Road) -> Result<Option<Operator>, String> {
        match (self.taken(node), self.surroundings) {
            (Some(Taken::Vector(run, _)), _) => Ok(run.operators()),
            (Some(Taken::Row(reason)), _) => Err(reason.clone()),
            (None, Some((ctx, params))) => {
                vector::explain(&road.vector, params, ctx).map(Some).map_err(|refused| refused.0)
            }
            (None, None) => Ok(None),
        }
    }

    /// The vector road's operators where it runs, else the row road's with the reason.
    fn road(&self, node: &Node, shown: &mut Shown, road: &Road) {
        match self.operators(node, road) {
            Ok(operators) => {
                self.title(shown, "Vector", "Vector".into());
                shown.properties.extend(operators.map(|tree| ("Operators", Property::Operators(tree))));
                for (number, input) in road.inputs.iter().enumerate() {
                    let begins = shown.children.len();
                    self.subplans(input, shown);
                    if let Some((Some(label), _)) = shown.children.get_mut(begins) {
                        label.push_str(&format!(" (returns ${number})"));
                    }
                }
                for source in &road.vector.sources {
                    shown.children.push((Some(format!("Part {}", source.cte.0)), self.node(&source.node, None)));
                }
            }
            Err(reason) => {
                self.title(shown, "Row", "Row".into());
                shown.properties.push(("Reason", Property::Text(reason)));
                self.child(shown, &road.row);
            }
        }
    }

    /// The road and the reason for it; `None` where no table is read.
    fn choice(&self) -> Option<(&'static str, String)> {
        self.surroundings?;
        if self.plan.scanned_rows <= 0.0 {
            return None;
        }
        let (mut roads, mut scans) = (Vec::new(), Vec::new());
        for node in std::iter::once(&self.plan.root).chain(self.plan.ctes.iter().map(|cte| &cte.node)) {
            collect(node, &mut roads, &mut scans);
        }
        let mut refused = None;
        for (node, road) in roads {
            let later = match self.taken(node) {
                Some(Taken::Vector(_, later)) => *later,
                _ if road.row_first => continue,
                _ => false,
            };
            match self.operators(node, road) {
                Ok(_) if later => return Some(("vector", format!("read far more than {:.0} rows", road.reads))),
                Ok(_) => return Some(("vector", format!("reads {:.0} rows", road.reads))),
                Err(reason) => refused = refused.or(Some(reason)),
            }
        }
        let rows = self.plan.scanned_rows;
        Some(match (self.plan.row_reason, refused) {
            (_, Some(reason)) => ("row", format!("no vector form: {reason}")),
            (Some(RowReason::NoForm(reason)), None) => ("row", format!("no vector form: {reason}")),
            (Some(RowReason::Forced), None) => ("row", "lightning.road = row".to_owned()),
            (Some(RowReason::Few), None) => {
                let index = !scans.is_empty() && scans.iter().all(|scan| matches!(scan.kind, Kind::IndexScan(_)));
                ("row", format!("{}{rows:.0} rows", if index { "index, " } else { "" }))
            }
            // In a subquery.
            (None, None) => ("vector", format!("reads {rows:.0} rows")),
        })
    }

    fn write(&self, shown: &mut Shown, operation: &str, target: &Relation, input: &Node) {
        self.title(shown, "ModifyTable", format!("{operation} on {}", target.name));
        shown.fields.insert("Operation".into(), json!(operation));
        self.relation(shown, target);
        self.child(shown, input);
    }

    fn child(&self, shown: &mut Shown, node: &Node) {
        shown.children.push((None, self.node(node, None)));
    }

    fn join(&self, shown: &mut Shown, kind: &str, stem: &str, join: JoinKind) {
        let name = match join {
            JoinKind::Inner => "Inner",
            JoinKind::Left => "Left",
            JoinKind::Right => "Right",
            JoinKind::Full => "Full",
            JoinKind::Semi => "Semi",
            JoinKind::Anti => "Anti",
        };
        let title = match join {
            JoinKind::Inner => kind.to_owned(),
            _ => format!("{stem} {name} Join"),
        };
        self.title(shown, kind, title);
        shown.fields.insert("Join Type".into(), json!(name));
    }

    fn sort_key(&self, key: &SortBy) -> String {
        let mut text = self.code(&key.code);
        // An expression is in parentheses, a column is not.
        let column = matches!(&key.code, Code::Slot(slot) if self.is_column(*slot));
        if !column && !text.starts_with('(') {
            text = format!("({text})");
        }
        if key.descending {
            text.push_str(" DESC");
        }
        if key.nulls_first != key.descending {
            text.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
        }
        text
    }

    fn key_range(&self, range: &KeyRange, index: &Index, relation: &Relation, _: &TableColumns) -> Option<String> {
        let name = |at: usize| match index.keys.get(at) {
            Some(key) if key.attribute > 0 => relation.attributes[key.attribute as usize - 1].name.clone(),
            Some(key) => key.expression.clone().unwrap_or_default(),
            None => String::new(),
        };
        let next = name(range.equals.len());
        let mut parts: Vec<String> =
            range.equals.iter().enumerate().map(|(i, code)| format!("({} = {})", name(i), self.code(code))).collect();
        if let Some(code) = &range.one_of {
            parts.push(format!("({next} = ANY ({}))", self.code(code)));
            let after =
                |(i, code): (usize, &Code)| format!("({} = {})", name(range.equals.len() + 1 + i), self.code(code));
            parts.extend(range.then.iter().enumerate().map(after));
        }
        match &range.prefix {
            Some((kind, Code::Const(Datum::Text(pattern)))) => {
                let text = prefix::of(*kind, pattern).text;
                let end = prefix::end(&text).map(|end| constant(&Datum::Text(end.into())));
                parts.push(format!("({next} >= {})", constant(&Datum::Text(text.into()))));
                parts.extend(end.map(|end| format!("({next} < {end})")));
            }
            Some((prefix::Kind::Like, code)) => parts.push(format!("({next} ~~ {})", self.code(code))),
            Some((prefix::Kind::Start, code)) => parts.push(format!("({next} ^@ {})", self.code(code))),
            None => {}
        }
        let end = |end: &KeyEnd, strict: &str| {
            let operator = if end.inclusive { format!("{strict}=") } else { strict.to_owned() };
            match &end.values[..] {
                [value] => format!("({next} {operator} {})", self.code(value)),
                values => {
                    let first = range.equals.len();
                    let keys: Vec<String> = (first..first + values.len()).map(&name).collect();
                    format!("(ROW({}) {operator} ROW({}))", keys.join(", "), self.list(values, ", "))
                }
            }
        };
        parts.extend(range.lower.as_ref().map(|lower| end(lower, ">")));
        parts.extend(range.upper.as_ref().map(|upper| end(upper, "<")));
        if range.is_null {
            parts.push(format!("({next} IS NULL)"));
        }
        if range.not_null {
            parts.push(format!("({next} IS NOT NULL)"));
        }
        match parts.len() {
            0 => None,
            1 => parts.pop(),
            _ => Some(format!("({})", parts.join(" AND "))),
        }
    }

    /// Adds the plans of an expression's subqueries as children.
    fn subplans(&self, code: &Code, shown: &mut Shown) {
        let mut found = Vec::new();
        collect_subqueries(code, &mut found);
        for subquery in found {
            let kind = if subquery.correlated { "SubPlan" } else { "InitPlan" };
            let label = format!("{kind} {}", subquery.number + 1);
            shown.children.push((Some(label), self.node(&subquery.node, None)));
        }
    }

    fn slot(&self, slot: Slot) -> String {
        match self.plan.names.get(slot as usize) {
            Some(Some((_, name))) if self.plan.scans < 2 || self.bare.borrow().contains(&slot) => name.clone(),
            Some(Some((relation, name))) => format!("{relation}.{name}"),
            _ if self.computed.borrow().contains_key(&slot) => self.computed.borrow()[&slot].clone(),
            _ => self
                .plan
                .output
                .iter()
                .find(|column| column.column.0 == slot)
                .map_or_else(|| format!("${slot}"), |column| column.name.clone()),
        }
    }

    /// Whether a slot is shown as the column of a relation.
    fn is_column(&self, slot: Slot) -> bool {
        let text = self.slot(slot);
        text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '"'))
    }

    fn list(&self, codes: &[Code], between: &str) -> String {
        codes.iter().map(|code| self.code(code)).collect::<Vec<_>>().join(between)
    }

    /// An enum's value, as far as the catalog is at hand.
    fn label(&self, ty: Oid, place: &str) -> String {
        let Some((ctx, _)) = self.surroundings else { return format!("'{place}'") };
        let host = &ctx.call.host;
        let names = Namespace { image: &ctx.catalog, path: &host.search_path(true) };
        let label = host.label(ty, place).unwrap_or_default().replace('\'', "''");
        format!("'{label}'::{}", names.format_type(ty, None))
    }

    /// An expression as text.
    fn code(&self, code: &Code) -> String {
        match code {
            Code::Slot(slot) => self.slot(*slot),
            Code::Const(Datum::Enum(ty, place)) => self.label(*ty, place),
            Code::Const(value) => constant(value),
            Code::Param(n) => format!("${}", n + 1),
            Code::Call1(function, _, arg) => self.call(function, std::slice::from_ref(&**arg)),
            Code::Call2(function, _, args) => self.call(function, &args[..]),
            Code::Call(function, _, args) => self.call(function, args),
            Code::Compare(_, comparison, args) => {
                format!("({} {} {})", self.code(&args[0]), comparison_text(*comparison), self.code(&args[1]))
            }
            Code::And(args) => format!("({})", self.list(args, " AND ")),
            Code::Or(args) => format!("({})", self.list(args, " OR ")),
            Code::Not(arg) => format!("(NOT {})", self.code(arg)),
            Code::IsNull(arg) => format!("({} IS NULL)", self.code(arg)),
            Code::IsNotNull(arg) => format!("({} IS NOT NULL)", self.code(arg)),
            Code::IsDistinct(args, negated, _) => {
                let not = if *negated { "NOT " } else { "" };
                format!("({} IS {not}DISTINCT FROM {})", self.code(&args[0]), self.code(&args[1]))
            }
            Code::Case(case) => {
                let mut text = String::from("CASE");
                for (when, then) in &case.arms {
                    text.push_str(&format!(" WHEN {} THEN {}", self.code(when), self.code(then)));
                }
                if let Some(otherwise) = &case.otherwise {
                    text.push_str(&format!(" ELSE {}", self.code(otherwise)));
                }
                text + " END"
            }
            Code::Coalesce(args) => format!("COALESCE({})", self.list(args, ", ")),
            Code::NullIf(args, _) => format!("NULLIF({})", self.list(&args[..], ", ")),
            Code::MinMax(greatest, args) => {
                format!("{}({})", if *greatest { "GREATEST" } else { "LEAST" }, self.list(args, ", "))
            }
            Code::ArrayComparison(c) => self.array_comparison(c),
            Code::InWords(set) => self.array_comparison(&set.0),
            Code::ArrayOf(_, _, items) => format!("ARRAY[{}]", self.list(items, ", ")),
            Code::Subscript(parts) => {
                let mut text = format!("({})", self.code(&parts.0));
                for subscript in &parts.1 {
                    text.push_str(&match subscript {
                        SubscriptCode::Index(index) => format!("[{}]", self.code(index)),
                        SubscriptCode::Slice(from, to) => {
                            let side = |code: &Option<Code>| code.as_ref().map(|c| self.code(c)).unwrap_or_default();
                            format!("[{}:{}]", side(from), side(to))
                        }
                    });
                }
                text
            }
            Code::Row(fields) => {
                let fields: Vec<String> = fields.iter().map(|(_, field)| self.code(field)).collect();
                format!("ROW({})", fields.join(", "))
            }
            Code::Field(record, field) => format!("({}).f{}", self.code(record), field + 1),
            Code::RowComparison(c) => {
                let side = |pick: fn(&(Code, Code)) -> &Code| {
                    c.pairs.iter().map(|pair| self.code(pick(pair))).collect::<Vec<_>>().join(", ")
                };
                format!("(ROW({}) {} ROW({}))", side(|p| &p.0), row_op_text(c.op), side(|p| &p.1))
            }
            Code::Subquery(subquery) => self.subquery(subquery),
            Code::CoerceViaIo(arg, _, to) => format!("({})::{}", self.code(arg), type_text(to.oid)),
            Code::CoerceArray(parts) => self.code(&parts.0),
            Code::SqlValue(what, _) => format!("{what:?}").to_uppercase(),
            Code::NextValue(sequence, _) => format!("nextval({sequence})"),
        }
    }

    fn array_comparison(&self, c: &super::expr::ArrayComparison) -> String {
        let quantifier = if c.all { "ALL" } else { "ANY" };
        let operator = operator_text(c.function).unwrap_or(c.function.name);
        format!("({} {operator} {quantifier} ({}))", self.code(&c.left), self.code(&c.array))
    }

    fn subquery(&self, subquery: &SubqueryPlan) -> String {
        let plan = format!("SubPlan {}", subquery.number + 1);
        match &subquery.kind {
            SubqueryUse::Quantified(q) => {
                format!("({} {} {plan})", self.list(&q.left, ", "), if q.all { "ALL" } else { "ANY" })
            }
            SubqueryUse::Exists => format!("(EXISTS {plan})"),
            SubqueryUse::Scalar | SubqueryUse::Array(..) => format!("({plan})"),
        }
    }

    fn call(&self, function: &Function, args: &[Code]) -> String {
        match (operator_text(function), args) {
            (Some(operator), [left, right]) => format!("({} {operator} {})", self.code(left), self.code(right)),
            // A cast is the function of its target's name.
            (None, [arg, ..]) if is_cast(function) => format!("({})::{}", self.code(arg), type_text(function.result)),
            _ => format!("{}({})", function.name, self.list(args, ", ")),
        }
    }
}

/// Whether a function is named as the type that it gives, and so is called by a cast.
fn is_cast(function: &Function) -> bool {
    const TYPES: [(&str, Oid); 12] = [
        ("int2", oid::INT2),
        ("int4", oid::INT4),
        ("int8", oid::INT8),
        ("float4", oid::FLOAT4),
        ("float8", oid::FLOAT8),
        ("numeric", oid::NUMERIC),
        ("text", oid::TEXT),
        ("varchar", oid::VARCHAR),
        ("bpchar", oid::BPCHAR),
        ("date", oid::DATE),
        ("timestamp", oid::TIMESTAMP),
        ("timestamptz", oid::TIMESTAMPTZ),
    ];
    TYPES.contains(&(function.name, function.result))
}

/// The subqueries of an expression, outermost first.
fn collect_subqueries(code: &Code, found: &mut Vec<Arc<SubqueryPlan>>) {
    if let Code::Subquery(subquery) = code {
        found.push(subquery.clone());
    }
    code.for_parts(&mut |part| collect_subqueries(part, found));
}

fn comparison_text(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Eq => "=",
        Comparison::Ne => "<>",
        Comparison::Lt => "<",
        Comparison::Le => "<=",
        Comparison::Gt => ">",
        Comparison::Ge => ">=",
    }
}

fn row_op_text(op: RowOp) -> &'static str {
    match op {
        RowOp::Eq => "=",
        RowOp::Ne => "<>",
        RowOp::Lt => "<",
        RowOp::Le => "<=",
        RowOp::Gt => ">",
        RowOp::Ge => ">=",
    }
}

/// The operator that a function of two arguments is, by the letters its symbol ends in.
fn operator_text(function: &Function) -> Option<&'static str> {
    const SUFFIXES: [(&str, &str); 19] = [
        ("nlike", "!~~"),
        ("like", "~~"),
        ("icregexeq", "~*"),
        ("regexeq", "~"),
        ("regexne", "!~"),
        ("eq", "="),
        ("ne", "<>"),
        ("lt", "<"),
        ("le", "<="),
        ("gt", ">"),
        ("ge", ">="),
        ("_add", "+"),
        ("_sub", "-"),
        ("_mul", "*"),
        ("_div", "/"),
        ("pl", "+"),
        ("mi", "-"),
        ("mul", "*"),
        ("div", "/"),
    ];
    if function.args.len() != 2 {
        return None;
    }
    if function.symbol == "textcat" {
        return Some("||");
    }
    SUFFIXES.iter().find(|(suffix, _)| function.symbol.ends_with(suffix)).map(|(_, operator)| *operator)
}

fn type_text(ty: Oid) -> String {
    let name = match ty {
        oid::BOOL => "boolean",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::INT8 => "bigint",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::NUMERIC => "numeric",
        oid::TEXT => "text",
        oid::VARCHAR => "character varying",
        oid::BPCHAR => "character",
        oid::DATE => "date",
        oid::TIMESTAMP => "timestamp without time zone",
        oid::TIMESTAMPTZ => "timestamp with time zone",
        oid::UUID => "uuid",
        oid::BYTEA => "bytea",
        oid::JSON => "json",
        oid::JSONB => "jsonb",
        oid::TIME => "time without time zone",
        oid::TIMETZ => "time with time zone",
        oid::INTERVAL => "interval",
        oid::OID => "oid",
        oid::NAME => "name",
        oid::CHAR => "\"char\"",
        _ => {
            return match oid::element_of(ty) {
                Some(element) => format!("{}[]", type_text(element)),
                None => ty.to_string(),
            };
        }
    };
    name.to_owned()
}

/// A constant as PostgreSQL writes it: with its type where it would be read as another.
fn constant(value: &Datum) -> String {
    let Some(ty) = constant_type(value) else { return "NULL".into() };
    let (format, time_zone) = (FormatSettings::default(), jiff::tz::TimeZone::UTC);
    let ctx = TextContext { format: &format, time_zone: &time_zone, now: 0, names: &NoNames };
    let mut text = String::new();
    text_io::output(value, Type::new(ty), &ctx, &mut text);
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let bare = match ty {
        oid::BOOL => return if text == "t" { "true".into() } else { "false".into() },
        oid::INT4 => digits,
        oid::NUMERIC => digits && text.contains(['.', 'e', 'E']),
        _ => false,
    };
    if bare { text } else { format!("'{}'::{}", text.replace('\'', "\'\'"), type_text(ty)) }
}

/// The type of a constant by its value; `None` for NULL.
fn constant_type(value: &Datum) -> Option<Oid> {
    Some(match value {
        Datum::Null => return None,
        Datum::Bool(_) => oid::BOOL,
        Datum::Char(_) => oid::CHAR,
        Datum::Int2(_) => oid::INT2,
        Datum::Int4(_) => oid::INT4,
        Datum::Int8(_) => oid::INT8,
        Datum::Float4(_) => oid::FLOAT4,
        Datum::Float8(_) => oid::FLOAT8,
        Datum::Numeric(_) => oid::NUMERIC,
        Datum::Bytea(_) => oid::BYTEA,
        Datum::Jsonb(_) => oid::JSONB,
        Datum::Padded(_) => oid::BPCHAR,
        Datum::Date(_) => oid::DATE,
        Datum::Time(_) => oid::TIME,
        Datum::TimeTz(..) => oid::TIMETZ,
        Datum::Timestamp(_) => oid::TIMESTAMP,
        Datum::TimestampTz(_) => oid::TIMESTAMPTZ,
        Datum::Interval(_) => oid::INTERVAL,
        Datum::Uuid(_) => oid::UUID,
        Datum::Oid(_) => oid::OID,
        Datum::Array(array) => oid::array_of(array.element).unwrap_or(oid::TEXT),
        _ => oid::TEXT,
    })
}

/// Constants are shown by their values.
struct NoNames;

impl Names for NoNames {
    fn read(&self, _: Oid, text: &str) -> crate::error::Result<Oid> {
        Err(crate::error::Error::unsupported(text))
    }
    fn show(&self, _: Oid, _: Oid) -> Option<String> {
        None
    }
}

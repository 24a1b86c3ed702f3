//! Writes and constraints over trees made by hand, against an engine in memory.

use super::execution::{Execution, Step};
use super::load::Inserter;
use super::plan::Plan;
use super::tests::{call, col, context_over, expr, functions, int, show, statement};
use crate::catalog::image::{
    Attribute, Body, Constraint, ConstraintKind, Image, Index, IndexKey, OnCommit, ReferentialAction, Relation,
    RelationKind, Role, Schema,
};
use crate::error::Result;
use crate::executor::context::{SharedTransaction, StatementContext};
use crate::sql::tree::*;
use crate::types::{Datum, Oid, Type, oid};
use lightning_storage::{
    ColumnDef, ColumnNo, ColumnType, Engine, IndexDef, Isolation, KeyColumn, ObjectId, TableDef, Unique,
};
use parking_lot::Mutex;
use std::sync::Arc;

const INT: Type = Type::new(oid::INT4);

/// Tables `t` (a, b) and `child` (a, b), a being the key of each; `child.b` may refer to `t.a`.
pub(super) struct World {
    engine: Engine,
    image: Arc<Image>,
}

/// One client.
pub(super) struct Client<'w> {
    world: &'w World,
    transaction: SharedTransaction,
    constraints: Arc<Mutex<super::constraint::ConstraintQueue>>,
    repeatable_read: bool,
}

fn table(transaction: &mut lightning_storage::Transaction, unique: Unique, second: bool) -> (ObjectId, Vec<ObjectId>) {
    let columns = (0..2)
        .map(|no| ColumnDef { no: ColumnNo(no), ty: ColumnType::Int32, default: Default::default(), dropped: false })
        .collect();
    let table = transaction.create_table(TableDef { columns, temporary: false }).unwrap();
    let mut index = |column: u16, unique: Unique| {
        let columns = vec![KeyColumn { column: ColumnNo(column), descending: false, nulls_first: false }];
        let def = IndexDef { table, columns, unique, nulls_distinct: true, predicate: None };
        let index = transaction.create_index(def).unwrap();
        let snapshot = transaction.snapshot();
        while !transaction.build_index(&snapshot, index, 1000).unwrap() {}
        index
    };
    let mut indexes = vec![index(0, unique)];
    if second {
        indexes.push(index(1, Unique::No));
    }
    (table, indexes)
}

fn index(
    number: u32,
    name: &str,
    table: u32,
    attribute: i16,
    storage: ObjectId,
    unique: bool,
    deferrable: bool,
) -> Arc<Index> {
    Arc::new(Index {
        oid: Oid(number),
        name: name.into(),
        table: Oid(table),
        storage,
        keys: vec![IndexKey {
            attribute,
            expression: None,
            storage: attribute as u16 - 1,
            ty: INT,
            descending: false,
            nulls_first: false,
        }],
        include: Vec::new(),
        unique,
        nulls_not_distinct: false,
        primary: unique,
        deferrable,
        predicate: None,
    })
}

fn relation(number: u32, name: &str, storage: ObjectId, indexes: Vec<Arc<Index>>) -> Relation {
    let attribute = |number: i16, name: &str, not_null: bool| Attribute {
        number,
        name: name.into(),
        ty: INT,
        not_null,
        default: None,
        generated: false,
        identity: None,
        dropped: false,
        storage: number as u16 - 1,
        steering: Default::default(),
        missing: None,
    };
    Relation {
        oid: Oid(number),
        schema: Oid(2200),
        schema_name: "public".into(),
        name: name.into(),
        kind: RelationKind::Table,
        owner: Oid(10),
        row_type: Oid(number + 1),
        temporary: false,
        attributes: vec![attribute(1, "a", true), attribute(2, "b", false)],
        constraints: Vec::new(),
        referenced_by: Vec::new(),
        indexes,
        body: Body::Table { storage, on_commit: OnCommit::PreserveRows },
        row_estimate: -1.0,
    }
}

impl World {
    fn new(unique: Unique, deferred_key: bool) -> World {
        World::with_action(unique, deferred_key, ReferentialAction::NoAction)
    }

    fn with_action(unique: Unique, deferred_key: bool, action: ReferentialAction) -> World {
        let engine = super::tests_engine::engine();
        let mut transaction = engine.begin(Isolation::ReadCommitted);
        let (t, of_t) = table(&mut transaction, unique, false);
        let (child, of_child) = table(&mut transaction, Unique::Immediate, true);
        commit(&engine, transaction);
        let deferrable = unique == Unique::Deferrable;
        let mut t = relation(100, "t", t, vec![index(101, "t_pkey", 100, 1, of_t[0], true, deferrable)]);
        let mut child = relation(
            200,
            "child",
            child,
            vec![
                index(201, "child_pkey", 200, 1, of_child[0], true, false),
                index(202, "child_b", 200, 2, of_child[1], false, false),
            ],
        );
        let constraint = Arc::new(Constraint {
            oid: Oid(300),
            name: "child_b_fkey".into(),
            table: Oid(200),
            kind: ConstraintKind::ForeignKey {
                columns: vec![2],
                references: Oid(100),
                referenced_columns: vec![1],
                index: Oid(101),
                on_update: action,
                on_delete: action,
                delete_columns: Vec::new(),
                match_full: false,
            },
            deferrable: deferred_key,
            deferred: deferred_key,
            validated: true,
        });
        t.referenced_by.push(constraint.clone());
        child.constraints.push(constraint);
        let mut image = Image::default();
        for (oid, name) in [(Oid(2200), "public"), (Oid(11), "pg_catalog")] {
            image.schemas.insert(oid, Arc::new(Schema { oid, name: name.into(), owner: Oid(10) }));
            image.schema_names.insert(name.into(), oid);
        }
        image.relation_names.insert((Oid(2200), "t".into()), Oid(100));
        image.relation_names.insert((Oid(2200), "child".into()), Oid(200));
        image.row_types.insert(t.row_type, t.oid);
        image.relations.insert(Oid(100), Arc::new(t));
        image.relations.insert(Oid(200), Arc::new(child));
        World { engine, image: Arc::new(image) }
    }

    /// With a superuser as the tables' owner, for binding.
    pub(super) fn with_roles() -> World {
        let world = World::new(Unique::Immediate, false);
        let mut image = (*world.image).clone();
        let role = Role {
            oid: Oid(10),
            name: "postgres".into(),
            superuser: true,
            login: true,
            create_db: true,
            create_role: true,
            inherit: true,
            connection_limit: -1,
            password: None,
            valid_until: None,
        };
        image.roles.insert(Oid(10), Arc::new(role));
        World { image: Arc::new(image), ..world }
    }

    fn relation(&self, number: u32) -> Arc<Relation> {
        self.image.relations[&Oid(number)].clone()
    }

    pub(super) fn client(&self, isolation: Isolation) -> Client<'_> {
        let transaction = Arc::new(Mutex::new(Some(self.engine.begin(isolation))));
        let repeatable_read = isolation == Isolation::RepeatableRead;
        Client { world: self, transaction, constraints: Arc::default(), repeatable_read }
    }
}

/// Commits and makes it durable.
fn commit(engine: &Engine, transaction: lightning_storage::Transaction) {
    let position = transaction.commit().unwrap();
    while let Some(waiter) = engine.wait_durable(position) {
        engine.log_step().unwrap();
        assert!(waiter.is_ready() || engine.wait_durable(position).is_none());
    }
}

impl Client<'_> {
    pub(super) fn context(&self) -> StatementContext {
        let snapshot = self.transaction.lock().as_mut().unwrap().snapshot();
        let mut ctx = context_over(self.world.engine.clone(), self.transaction.clone(), snapshot);
        ctx.catalog = self.world.image.clone();
        ctx.constraints = self.constraints.clone();
        ctx.repeatable_read = self.repeatable_read;
        ctx
    }

    fn run(&self, statement: &Statement) -> Result<(u64, String)> {
        let plan = Arc::new(crate::planner::physical::plan(statement)?);
        let mut execution = Execution::start(plan.clone(), Arc::new([]), self.context())?;
        let mut rows = Vec::new();
        loop {
            match execution.next()? {
                Step::Row => {
                    let row: Vec<String> = (0..plan.output.len()).map(|i| show(execution.output(i))).collect();
                    rows.push(row.join(" "));
                }
                Step::Yield => {}
                Step::Done { affected } => return Ok((affected, rows.join(" | "))),
            }
        }
    }

    fn insert(&self, number: u32, rows: &[(i32, Option<i32>)]) -> Result<(u64, String)> {
        self.run(&insert(&self.world.relation(number), rows, None))
    }

    fn rows(&self, number: u32) -> String {
        let scan = scan(&self.world.relation(number));
        let keys = vec![SortKey { expr: col(0), descending: false, nulls_first: false }];
        self.run(&statement(Rel::Sort { input: Box::new(scan), keys }, &[0, 1], Vec::new())).unwrap().1
    }

    pub(super) fn commit(self) -> Result<()> {
        let ctx = self.context();
        if let Some(mut end) = super::constraint::ConstraintQueue::commit(&ctx, true) {
            end.run(&ctx)?;
        }
        let transaction = self.transaction.lock().take().unwrap();
        drop(ctx);
        commit(&self.world.engine, transaction);
        Ok(())
    }
}

/// Scans (a, b, row id) into columns 0, 1, 2.
fn scan(relation: &Arc<Relation>) -> Rel {
    Rel::Scan {
        relation: relation.clone(),
        columns: vec![
            (ScanColumn::Attribute(1), ColumnId(0)),
            (ScanColumn::Attribute(2), ColumnId(1)),
            (ScanColumn::RowId, ColumnId(2)),
        ],
    }
}

fn of_row(a: u32, b: u32) -> Vec<(i16, ColumnId)> {
    vec![(1, ColumnId(a)), (2, ColumnId(b))]
}

fn checks() -> WriteChecks {
    let positive = call(functions::lt, vec![int(0), col(11)]);
    WriteChecks { not_null: vec![1], checks: vec![("b_check".into(), positive)], views: Vec::new(), hidden: Vec::new() }
}

fn write(root: Root, returning: bool) -> Statement {
    let mut statement = statement(Rel::Values { columns: Vec::new(), rows: Vec::new() }, &[], Vec::new());
    statement.root = root;
    if returning {
        let column = |c| OutputColumn { name: "x".into(), column: ColumnId(c), ty: INT, origin: None };
        statement.output = vec![column(20), column(21)];
    }
    statement
}

fn insert(relation: &Arc<Relation>, rows: &[(i32, Option<i32>)], on_conflict: Option<OnConflict>) -> Statement {
    let value = |v: Option<i32>| expr(ExprKind::Const(v.map_or(Datum::Null, Datum::Int4)), INT);
    let source = Rel::Values {
        columns: vec![ColumnId(5), ColumnId(6)],
        rows: rows.iter().map(|(a, b)| vec![value((*a >= 0).then_some(*a)), value(*b)]).collect(),
    };
    let insert = Insert {
        target: relation.clone(),
        source,
        values: vec![(1, col(5)), (2, col(6))],
        row_columns: of_row(10, 11),
        checks: checks(),
        on_conflict,
        written: Vec::new(),
        returning: vec![(ColumnId(20), col(10)), (ColumnId(21), col(11))],
    };
    write(Root::Insert(Box::new(insert)), true)
}

fn update(relation: &Arc<Relation>, predicate: Expr, assignments: Vec<(i16, Expr)>) -> Statement {
    let update = Update {
        target: relation.clone(),
        source: Rel::Filter { input: Box::new(scan(relation)), predicate },
        row_id: ColumnId(2),
        old_columns: of_row(0, 1),
        assignments,
        generated: Vec::new(),
        row_columns: of_row(10, 11),
        checks: checks(),
        written: Vec::new(),
        returning: vec![(ColumnId(20), col(10)), (ColumnId(21), col(11))],
    };
    write(Root::Update(Box::new(update)), true)
}

fn delete(relation: &Arc<Relation>, predicate: Expr) -> Statement {
    let delete = Delete {
        target: relation.clone(),
        source: Rel::Filter { input: Box::new(scan(relation)), predicate },
        row_id: ColumnId(2),
        old_columns: of_row(0, 1),
        returning: vec![(ColumnId(20), col(0)), (ColumnId(21), col(1))],
    };
    write(Root::Delete(Box::new(delete)), true)
}

fn equals(c: u32, v: i32) -> Expr {
    call(functions::eq, vec![col(c), int(v)])
}

#[test]
fn inserted_rows_are_checked_and_found_by_index() {
    let world = World::new(Unique::Immediate, false);
    let client = world.client(Isolation::ReadCommitted);
    assert_eq!(client.insert(100, &[(1, Some(10)), (2, None)]).unwrap(), (2, "1 10 | 2 -".into()));
    let found = Rel::Filter { input: Box::new(scan(&world.relation(100))), predicate: equals(0, 1) };
    let statement = statement(found, &[0, 1], Vec::new());
    let plan = crate::planner::physical::plan(&statement).unwrap();
    let text =
        super::explain::text(&plan, super::explain::ExplainOptions { costs: false, ..Default::default() }, None, None);
    assert_eq!(text, ["Index Scan using t_pkey on t", "  Index Cond: (a = 1)"]);
    assert_eq!(client.run(&statement).unwrap().1, "1 10");
    let fails = |rows: &[(i32, Option<i32>)]| {
        let error = client.insert(100, rows).unwrap_err();
        let report = error.report();
        format!("{} {} {}", report.code.code(), report.message, report.detail.clone().unwrap_or_default())
    };
    assert_eq!(
        fails(&[(2, Some(5))]),
        "23505 duplicate key value violates unique constraint \"t_pkey\" Key (a)=(2) already exists."
    );
    assert_eq!(
        fails(&[(-1, Some(5))]),
        "23502 null value in column \"a\" of relation \"t\" violates not-null constraint Failing row contains (null, 5)."
    );
    assert_eq!(
        fails(&[(3, Some(0))]),
        "23514 new row for relation \"t\" violates check constraint \"b_check\" Failing row contains (3, 0)."
    );
}

#[test]
fn an_update_sees_no_row_twice_and_a_command_not_its_own_rows() {
    let world = World::new(Unique::No, false);
    let client = world.client(Isolation::ReadCommitted);
    client.insert(100, &[(1, Some(10)), (2, Some(20))]).unwrap();
    let all = call(functions::lt, vec![int(0), col(0)]);
    let assign = vec![(1, call(functions::plus, vec![col(0), int(1)]))];
    let (affected, rows) = client.run(&update(&world.relation(100), all, assign)).unwrap();
    assert_eq!((affected, rows.as_str()), (2, "2 10 | 3 20"));
    // INSERT INTO t SELECT FROM t
    let mut copy = insert(&world.relation(100), &[], None);
    if let Root::Insert(insert) = &mut copy.root {
        insert.source = scan(&world.relation(100));
        insert.values = vec![(1, col(0)), (2, col(1))];
    }
    assert_eq!(client.run(&copy).unwrap().0, 2);
    assert_eq!(client.rows(100), "2 10 | 2 10 | 3 20 | 3 20");
    assert_eq!(client.run(&delete(&world.relation(100), equals(0, 2))).unwrap(), (2, "2 10 | 2 10".into()));
    assert_eq!(client.rows(100), "3 20 | 3 20");
}

#[test]
fn on_conflict_does_nothing_or_updates() {
    let world = World::new(Unique::Immediate, false);
    let client = world.client(Isolation::ReadCommitted);
    client.insert(100, &[(1, Some(10))]).unwrap();
    let t = world.relation(100);
    let nothing = || OnConflict { arbiters: Vec::new(), update: None };
    let run = |rows: &[(i32, Option<i32>)], conflict| client.run(&insert(&t, rows, Some(conflict)));
    assert_eq!(run(&[(1, Some(5)), (2, Some(6)), (2, Some(7))], nothing()).unwrap(), (1, "2 6".into()));
    let update = || OnConflict {
        arbiters: t.indexes.clone(),
        update: Some(ConflictUpdate {
            existing_columns: of_row(30, 31),
            existing_system: Vec::new(),
            assignments: vec![(2, call(functions::plus, vec![col(31), col(11)]))],
            row_columns: of_row(40, 41),
            checks: WriteChecks::default(),
            predicate: Some(call(functions::lt, vec![col(31), int(100)])),
        }),
    };
    assert_eq!(run(&[(1, Some(5)), (3, Some(6))], update()).unwrap(), (2, "1 15 | 3 6".into()));
    assert_eq!(client.rows(100), "1 15 | 2 6 | 3 6");
    let error = run(&[(9, Some(5)), (9, Some(6))], update()).unwrap_err();
    assert_eq!(error.code().code(), "21000");
}

#[test]
fn a_row_changed_meanwhile_is_judged_again_or_refused() {
    let world = World::new(Unique::Immediate, false);
    let setup = world.client(Isolation::ReadCommitted);
    setup.insert(100, &[(1, Some(10)), (2, Some(20)), (3, Some(30))]).unwrap();
    setup.commit().unwrap();
    let t = world.relation(100);
    let plus = |n| vec![(2, call(functions::plus, vec![col(1), int(n)]))];
    for isolation in [Isolation::ReadCommitted, Isolation::RepeatableRead] {
        let client = world.client(isolation);
        let below = call(functions::lt, vec![col(1), int(100)]);
        let plan = Arc::new(crate::planner::physical::plan(&update(&t, below, plus(1))).unwrap());
        let mut execution = Execution::start(plan, Arc::new([]), client.context()).unwrap();
        // Another transaction changes one row, takes one out of the condition's reach and deletes one.
        let other = world.client(Isolation::ReadCommitted);
        other.run(&update(&t, equals(0, 1), plus(5))).unwrap();
        other.run(&update(&t, equals(0, 2), plus(200))).unwrap();
        other.run(&delete(&t, equals(0, 3))).unwrap();
        other.commit().unwrap();
        if isolation == Isolation::RepeatableRead {
            assert_eq!(execution.next().unwrap_err().code().code(), "40001");
            continue;
        }
        assert_eq!(execution.next().unwrap(), Step::Row);
        assert_eq!(execution.next().unwrap(), Step::Done { affected: 1 });
        drop(execution);
        client.commit().unwrap();
        let reader = world.client(Isolation::ReadCommitted);
        assert_eq!(reader.rows(100), "1 16 | 2 220");
        reader.insert(100, &[(3, Some(30))]).unwrap();
        reader.run(&update(&t, equals(0, 2), vec![(2, int(20))])).unwrap();
        reader.commit().unwrap();
    }
}

#[test]
fn foreign_keys_hold_at_the_end_of_the_statement_or_at_commit() {
    for deferred in [false, true] {
        let world = World::new(Unique::Immediate, deferred);
        let client = world.client(Isolation::ReadCommitted);
        client.insert(100, &[(1, Some(10)), (2, Some(20))]).unwrap();
        client.insert(200, &[(7, Some(1)), (8, None)]).unwrap();
        let orphan = client.insert(200, &[(9, Some(5))]);
        if deferred {
            orphan.unwrap();
            let error = client.commit().unwrap_err();
            assert_eq!(error.report().detail.as_deref(), Some("Key (b)=(5) is not present in table \"t\"."));
            continue;
        }
        let error = orphan.unwrap_err();
        assert_eq!(
            error.report().message,
            "insert or update on table \"child\" violates foreign key constraint \"child_b_fkey\""
        );
        let t = world.relation(100);
        let error = client.run(&delete(&t, equals(0, 1))).unwrap_err();
        assert_eq!(
            error.report().message,
            "update or delete on table \"t\" violates foreign key constraint \"child_b_fkey\" on table \"child\""
        );
        assert_eq!(error.report().detail.as_deref(), Some("Key (a)=(1) is still referenced from table \"child\"."));
        client.run(&delete(&t, equals(0, 2))).unwrap();
    }
}

#[test]
fn a_deferrable_key_may_be_violated_within_a_statement() {
    let world = World::new(Unique::Deferrable, false);
    let client = world.client(Isolation::ReadCommitted);
    client.insert(100, &[(1, Some(10)), (2, Some(20))]).unwrap();
    let t = world.relation(100);
    let all = call(functions::lt, vec![int(0), col(0)]);
    client.run(&update(&t, all, vec![(1, call(functions::plus, vec![col(0), int(1)]))])).unwrap();
    let error = client.run(&update(&t, equals(0, 2), vec![(1, int(3))])).unwrap_err();
    assert_eq!(error.report().detail.as_deref(), Some("Key (a)=(3) already exists."));
}

#[test]
fn an_inserter_runs_the_statement_once_per_row() {
    let world = World::new(Unique::Immediate, false);
    let client = world.client(Isolation::ReadCommitted);
    let mut copy = insert(&world.relation(100), &[(0, None)], None);
    copy.params = vec![INT, INT];
    copy.output.clear();
    if let Root::Insert(insert) = &mut copy.root {
        let param = |n| expr(ExprKind::Param(n), INT);
        insert.source = Rel::Values { columns: vec![ColumnId(5), ColumnId(6)], rows: vec![vec![param(0), param(1)]] };
    }
    let plan: Arc<Plan> = Arc::new(crate::planner::physical::plan(&copy).unwrap());
    let mut inserter = Inserter::start(plan.clone(), client.context()).unwrap();
    for i in 1..=3 {
        inserter.insert(Arc::new([Datum::Int4(i), Datum::Int4(i * 10)])).unwrap();
    }
    assert_eq!((inserter.pending(), inserter.finish().unwrap()), (3, 3));
    assert_eq!(client.rows(100), "1 10 | 2 20 | 3 30");
    let mut inserter = Inserter::start(plan, client.context()).unwrap();
    for i in [4, 1, 5] {
        inserter.insert(Arc::new([Datum::Int4(i), Datum::Null])).unwrap();
    }
    let refused = inserter.finish().unwrap_err();
    assert_eq!((refused.code().code(), inserter.failed_row()), ("23505", Some(1)));
}

/// Two clients at one row: the second waits, is called again and goes on with what the first left.
#[test]
fn a_blocked_statement_continues_where_it_was() {
    let world = World::new(Unique::Immediate, false);
    let setup = world.client(Isolation::ReadCommitted);
    setup.insert(100, &[(1, Some(10)), (2, Some(20))]).unwrap();
    setup.commit().unwrap();
    let t = world.relation(100);
    let plus = |n| vec![(2, call(functions::plus, vec![col(1), int(n)]))];
    let first = world.client(Isolation::ReadCommitted);
    first.run(&update(&t, equals(0, 2), plus(5))).unwrap();
    let second = world.client(Isolation::ReadCommitted);
    let all = call(functions::lt, vec![int(0), col(0)]);
    let plan = Arc::new(crate::planner::physical::plan(&update(&t, all, plus(1))).unwrap());
    let mut execution = Execution::start(plan, Arc::new([]), second.context()).unwrap();
    assert_eq!(execution.next().unwrap(), Step::Row);
    let wait = execution.next().unwrap_err();
    let waiter = wait.waiter().expect("the second row is locked").clone();
    assert!(!waiter.is_ready());
    // A third client, not willing to wait.
    let third = world.client(Isolation::ReadCommitted);
    let locked = |wait| {
        let target = LockTarget { row_id: ColumnId(2), relation: t.clone(), strength: LockStrength::Update, wait };
        let rel = Rel::LockRows { input: Box::new(scan(&t)), targets: vec![target] };
        third.run(&statement(rel, &[0, 1], Vec::new()))
    };
    let refused = locked(LockWait::NoWait).unwrap_err();
    assert_eq!(refused.report().message, "could not obtain lock on row in relation \"t\"");
    assert_eq!(locked(LockWait::SkipLocked).unwrap().1, "");
    first.commit().unwrap();
    assert!(waiter.is_ready());
    assert_eq!(execution.next().unwrap(), Step::Row);
    assert_eq!(show(execution.output(1)), "26");
    assert_eq!(execution.next().unwrap(), Step::Done { affected: 2 });
    drop(execution);
    second.commit().unwrap();
    assert_eq!(third.rows(100), "1 11 | 2 26");
    let child = world.client(Isolation::ReadCommitted);
    child.insert(200, &[(1, Some(1))]).unwrap();
    // The foreign key's check holds the parent row: its deletion waits.
    let plan = Arc::new(crate::planner::physical::plan(&delete(&t, equals(0, 1))).unwrap());
    let mut execution = Execution::start(plan, Arc::new([]), third.context()).unwrap();
    assert!(execution.next().unwrap_err().waiter().is_some());
    child.commit().unwrap();
    let error = loop {
        match execution.next() {
            Ok(_) => {}
            Err(error) if error.waiter().is_some() => {
                world.engine.log_step().unwrap();
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error.code().code(), "23503");
}

#[test]
fn explain_shows_the_tree_as_postgresql_does() {
    let world = World::new(Unique::Immediate, false);
    let child = Rel::Scan {
        relation: world.relation(200),
        columns: vec![(ScanColumn::Attribute(1), ColumnId(7)), (ScanColumn::Attribute(2), ColumnId(8))],
    };
    let joined = Rel::Join {
        kind: JoinKind::Left,
        left: Box::new(scan(&world.relation(100))),
        right: Box::new(child),
        on: expr(
            ExprKind::And(vec![call(functions::eq, vec![col(0), col(8)]), call(functions::lt, vec![col(7), col(1)])]),
            Type::new(oid::BOOL),
        ),
        lateral: false,
    };
    let filtered = Rel::Filter { input: Box::new(joined), predicate: call(functions::lt, vec![col(1), int(5)]) };
    let keys = vec![SortKey { expr: col(1), descending: true, nulls_first: true }];
    let limit = expr(ExprKind::Const(Datum::Int8(3)), Type::new(oid::INT8));
    let sorted = Rel::Sort { input: Box::new(filtered), keys };
    let rel = Rel::Limit { input: Box::new(sorted), limit: Some(limit), offset: None, ties: None };
    let plan = Arc::new(crate::planner::physical::plan(&statement(rel, &[0, 7], Vec::new())).unwrap());
    let options = super::explain::ExplainOptions { costs: false, timing: false, ..Default::default() };
    let client = world.client(Isolation::ReadCommitted);
    client.insert(100, &[(1, Some(1)), (2, Some(20))]).unwrap();
    let mut execution = Execution::start_instrumented(plan.clone(), Arc::new([]), client.context()).unwrap();
    execution.run_blocking(|_| Ok(())).unwrap();
    let text = super::explain::text(&plan, options, Some(execution.measured()), None);
    let expected = [
        "Limit (actual rows=1 loops=1)",
        "  ->  Sort (actual rows=1 loops=1)",
        "        Sort Key: t.b DESC",
        "        ->  Hash Right Join (actual rows=1 loops=1)",
        "              Hash Cond: (child.b = t.a)",
        "              Join Filter: (child.a < t.b)",
        "              ->  Seq Scan on child (actual rows=0 loops=1)",
        "              ->  Hash (actual rows=1 loops=1)",
        "                    ->  Seq Scan on t (actual rows=1 loops=1)",
        "                          Filter: (b < 5)",
        "                          Rows Removed by Filter: 1",
    ];
    assert_eq!(text, expected);
}

#[test]
fn ranges_are_read_by_index_whether_narrow_or_wide() {
    let world = World::new(Unique::Immediate, false);
    let client = world.client(Isolation::ReadCommitted);
    let rows: Vec<(i32, Option<i32>)> = (1..=500).map(|i| (i, Some(i))).collect();
    client.insert(100, &rows).unwrap();
    let count = |predicate: Expr| {
        let rel = Rel::Filter { input: Box::new(scan(&world.relation(100))), predicate };
        client.run(&statement(rel, &[0, 1], Vec::new())).unwrap().0
    };
    assert_eq!(count(call(functions::lt, vec![col(0), int(4)])), 3);
    assert_eq!(count(call(functions::lt, vec![int(2), col(0)])), 498);
    let both = vec![call(functions::lt, vec![int(10), col(0)]), call(functions::lt, vec![col(0), int(20)])];
    assert_eq!(count(expr(ExprKind::And(both), Type::new(oid::BOOL))), 9);
    let wide = |n| expr(ExprKind::Const(Datum::Int8(n)), Type::new(oid::INT8));
    assert_eq!(count(call(&functions::int48eq, vec![col(0), wide(7)])), 1);
    assert_eq!(count(call(&functions::int48eq, vec![col(0), wide(1 << 40)])), 0);
    // ORDER BY the key with a LIMIT, and max(key), end after the first row.
    let keys = vec![SortKey { expr: col(0), descending: true, nulls_first: true }];
    let sorted = Rel::Sort { input: Box::new(scan(&world.relation(100))), keys };
    let rel = Rel::Limit { input: Box::new(sorted), limit: Some(wide(2)), offset: None, ties: None };
    let limited = statement(rel, &[0], Vec::new());
    let plan = crate::planner::physical::plan(&limited).unwrap();
    let options = super::explain::ExplainOptions { costs: false, ..Default::default() };
    let text = super::explain::text(&plan, options, None, None);
    assert_eq!(text, ["Limit", "  ->  Index Scan Backward using t_pkey on t"]);
    assert_eq!(client.run(&limited).unwrap().1, "500 | 499");
}

#[test]
fn referential_actions_change_the_referring_rows() {
    let run = |action, change: &dyn Fn(&Client<'_>) -> Result<(u64, String)>| {
        let world = World::with_action(Unique::Immediate, false, action);
        let client = world.client(Isolation::ReadCommitted);
        client.insert(100, &[(1, Some(10)), (2, Some(20))]).unwrap();
        client.insert(200, &[(7, Some(1)), (8, Some(2)), (9, None)]).unwrap();
        change(&client).map(|_| client.rows(200)).map_err(|error| error.report().message.clone())
    };
    let delete_one = |client: &Client<'_>| client.run(&delete(&client.world.relation(100), equals(0, 1)));
    let move_one =
        |client: &Client<'_>| client.run(&update(&client.world.relation(100), equals(0, 1), vec![(1, int(5))]));
    assert_eq!(run(ReferentialAction::Cascade, &delete_one).unwrap(), "8 2 | 9 -");
    assert_eq!(run(ReferentialAction::Cascade, &move_one).unwrap(), "7 5 | 8 2 | 9 -");
    assert_eq!(run(ReferentialAction::SetNull, &delete_one).unwrap(), "7 - | 8 2 | 9 -");
    assert_eq!(run(ReferentialAction::SetNull, &move_one).unwrap(), "7 - | 8 2 | 9 -");
    assert_eq!(run(ReferentialAction::SetDefault, &delete_one).unwrap(), "7 - | 8 2 | 9 -");
    assert!(run(ReferentialAction::Restrict, &delete_one).unwrap_err().contains("violates foreign key constraint"));
}

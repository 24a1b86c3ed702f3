//! Statements that do not bind, against what PostgreSQL 15 says to them; and the shapes of trees that the planner counts on.

use super::{BindContext, Binder};
use crate::catalog::image::{
    Attribute, Body, Constraint, ConstraintKind, Identity, Image, Index, IndexKey, OnCommit, Relation, RelationKind,
    Role, Schema, Sequence,
};
use crate::error::{Error, Result};
use crate::executor::functions::{AdvisoryRequest, CallContext, Host};
use crate::sql::parse;
use crate::sql::tree::{CteBody, JoinKind, Rel, Root, Statement};
use crate::types::format::FormatSettings;
use crate::types::text_io::Names;
use crate::types::{Datum, Oid, Type, oid, timezone};
use lightning_storage::ObjectId;
use std::sync::Arc;

/// A session that has nothing.
struct Bare;

impl Names for Bare {
    fn read(&self, _: Oid, text: &str) -> Result<Oid> {
        Err(Error::unsupported(text))
    }
    fn show(&self, _: Oid, _: Oid) -> Option<String> {
        None
    }
}

impl Host for Bare {
    fn catalog(&self) -> Arc<Image> {
        Arc::new(Image::default())
    }
    fn setting(&self, _: &str) -> Option<String> {
        None
    }
    fn set_setting(&self, name: &str, _: &str, _: bool) -> Result<String> {
        Err(Error::unsupported(name))
    }
    fn user(&self, _: bool) -> String {
        "postgres".into()
    }
    fn database(&self) -> String {
        "test".into()
    }
    fn search_path(&self, _: bool) -> Vec<Oid> {
        Vec::new()
    }
    fn backend_pid(&self) -> i32 {
        0
    }
    fn nextval(&self, _: Oid) -> Result<i64> {
        Err(Error::unsupported("sequences"))
    }
    fn currval(&self, _: Option<Oid>) -> Result<i64> {
        Err(Error::unsupported("sequences"))
    }
    fn setval(&self, _: Oid, _: i64, _: bool) -> Result<i64> {
        Err(Error::unsupported("sequences"))
    }
    fn advisory(&self, _: AdvisoryRequest) -> Result<bool> {
        Err(Error::unsupported("locks"))
    }
    fn signal_backend(&self, _: i32, _: bool) -> Result<bool> {
        Ok(false)
    }
    fn relation_size(&self, _: Oid) -> Option<i64> {
        None
    }
    fn fact(&self, name: &str) -> Result<Datum> {
        Err(Error::unsupported(name))
    }
}

const OWNER: Oid = Oid(10);
const PUBLIC: Oid = Oid(2200);

pub(crate) fn attribute(number: i16, name: &str, ty: Type) -> Attribute {
    Attribute {
        number,
        name: name.into(),
        ty,
        not_null: false,
        default: None,
        generated: false,
        identity: None,
        dropped: false,
        storage: number as u16 - 1,
        steering: Default::default(),
        missing: None,
    }
}

/// A stored table; `unique` names its keys by their columns, the first one being the primary key if `primary`.
pub(crate) fn relation(oid: u32, name: &str, columns: &[(&str, Type)], unique: Option<(&str, bool)>) -> Relation {
    let keys: Vec<&[&str]> = unique.iter().map(|(column, _)| std::slice::from_ref(column)).collect();
    let primary = unique.is_some_and(|(_, primary)| primary);
    indexed(oid, name, columns, &keys, primary)
}

/// A stored table with unique indexes over lists of columns.
pub(crate) fn indexed(
    oid: u32,
    name: &str,
    columns: &[(&str, Type)],
    keys: &[&[&str]],
    first_is_primary: bool,
) -> Relation {
    let attributes: Vec<Attribute> =
        columns.iter().enumerate().map(|(i, (name, ty))| attribute(i as i16 + 1, name, *ty)).collect();
    let mut indexes = Vec::new();
    let mut constraints = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        let primary = n == 0 && first_is_primary;
        let number = oid + 1 + 2 * n as u32;
        let named = |column: &&str| attributes.iter().find(|a| a.name == **column).expect("the key is a column");
        let key_columns: Vec<&Attribute> = key.iter().map(named).collect();
        let index = Index {
            oid: Oid(number),
            name: format!("{name}_{}", key.join("_")),
            table: Oid(oid),
            storage: ObjectId(number),
            keys: key_columns
                .iter()
                .map(|key| IndexKey {
                    attribute: key.number,
                    expression: None,
                    storage: key.storage,
                    ty: key.ty,
                    descending: false,
                    nulls_first: false,
                })
                .collect(),
            include: Vec::new(),
            unique: true,
            nulls_not_distinct: false,
            primary,
            deferrable: false,
            predicate: None,
        };
        let columns = key_columns.iter().map(|key| key.number).collect();
        let kind = match primary {
            true => ConstraintKind::PrimaryKey { columns, index: index.oid },
            false => ConstraintKind::Unique { columns, index: index.oid },
        };
        constraints.push(Arc::new(Constraint {
            oid: Oid(number + 1),
            name: index.name.clone(),
            table: Oid(oid),
            kind,
            deferrable: false,
            deferred: false,
            validated: true,
        }));
        indexes.push(Arc::new(index));
    }
    Relation {
        oid: Oid(oid),
        schema: PUBLIC,
        schema_name: "public".into(),
        name: name.into(),
        kind: RelationKind::Table,
        owner: OWNER,
        row_type: Oid(oid + 9),
        temporary: false,
        attributes,
        constraints,
        referenced_by: Vec::new(),
        indexes,
        body: Body::Table { storage: ObjectId(oid), on_commit: OnCommit::PreserveRows },
        row_estimate: 1000.0,
    }
}

/// The catalog of `sql/logic/bind/schema.sql`.
fn image() -> Image {
    let int = Type::new(oid::INT4);
    let text = Type::new(oid::TEXT);
    let money = Type::with_typmod(oid::NUMERIC, ((10 << 16) | 2) + 4);
    let t = relation(20_000, "t", &[("a", int), ("b", text), ("c", int), ("d", money)], Some(("a", true)));
    let u = relation(20_010, "u", &[("a", int), ("x", int), ("y", text)], None);
    let mut g = relation(20_020, "g", &[("id", int), ("v", int), ("w", int)], None);
    g.attributes[0].identity = Some(Identity::Always);
    g.attributes[1].not_null = true;
    g.attributes[2].generated = true;
    g.attributes[2].default = Some("v * 2".into());
    let mut p = relation(20_030, "p", &[("k", int), ("v", int), ("lower_name", text)], Some(("k", false)));
    p.attributes[1].default = Some("7".into());
    let mut v = relation(20_040, "v", &[("a", int), ("b", text)], None);
    v.kind = RelationKind::View;
    v.body = Body::View { text: "SELECT a, b FROM t".into(), search_path: vec!["public".into()], check: None };
    let mut sequence = relation(20_050, "g_id_seq", &[], None);
    sequence.kind = RelationKind::Sequence;
    sequence.body = Body::Sequence(Sequence {
        storage: ObjectId(20_050),
        ty: oid::INT4,
        start: 1,
        increment: 1,
        min: 1,
        max: 1 << 31,
        cache: 1,
        cycle: false,
        owned_by: Some((g.oid, 1)),
        identity: true,
    });
    catalog([t, u, g, p, v, sequence])
}

/// A catalog of these relations, in the schema public, with one role that may do all.
pub(crate) fn catalog(relations: impl IntoIterator<Item = Relation>) -> Image {
    let mut image = Image { version: 1, database: Oid(5), ..Image::default() };
    image.schemas.insert(PUBLIC, Arc::new(Schema { oid: PUBLIC, name: "public".into(), owner: OWNER }));
    image.schema_names.insert("public".into(), PUBLIC);
    image.roles.insert(
        OWNER,
        Arc::new(Role {
            oid: OWNER,
            name: "postgres".into(),
            superuser: true,
            login: true,
            create_db: true,
            create_role: true,
            inherit: true,
            connection_limit: -1,
            password: None,
            valid_until: None,
        }),
    );
    for relation in relations {
        image.relation_names.insert((PUBLIC, relation.name.as_str().into()), relation.oid);
        image.row_types.insert(relation.row_type, relation.oid);
        image.relations.insert(relation.oid, Arc::new(relation));
    }
    image
}

fn bind(text: &str) -> Result<Statement> {
    bind_in(image(), text)
}

/// Binds a statement in a catalog.
pub(crate) fn bind_in(image: Image, text: &str) -> Result<Statement> {
    let (time_zone, _) = timezone::named("UTC").expect("a zone");
    let call = CallContext {
        time_zone,
        format: FormatSettings::default(),
        transaction_time: 0,
        statement_time: 0,
        host: Arc::new(Bare),
    };
    let ctx = BindContext {
        image: Arc::new(image),
        search_path: vec![PUBLIC],
        temp_schema: None,
        user: OWNER,
        declared_params: Vec::new(),
        call: &call,
        reads_clock: Default::default(),
    };
    let statement = parse::parse_one(text)?;
    Binder::new(&ctx, text).statement(&statement)
}

fn bound(text: &str) -> Statement {
    bind(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn refusals_are_postgresqls() {
    let file = include_str!("../../../sql/logic/bind/errors.txt");
    let mut wrong = Vec::new();
    for entry in file.split("\n\n").skip(1) {
        let (statement, expected) = entry.trim_end().split_once('\n').expect("an answer below each statement");
        let answer = match bind(statement) {
            Ok(_) => "it binds".to_owned(),
            Err(error) => {
                let report = error.report();
                let position = report.position.unwrap_or(0);
                let mut answer = format!("{} {position} {}", report.code.code(), report.message);
                if let Some(detail) = &report.detail {
                    answer += &format!("\nDETAIL {detail}");
                }
                if let Some(hint) = &report.hint {
                    answer += &format!("\nHINT {hint}");
                }
                answer
            }
        };
        if answer != expected.trim_end() {
            wrong.push(format!("{statement}\n  ours:   {answer}\n  theirs: {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn query(text: &str) -> Rel {
    match bound(text).root {
        Root::Query(rel) => rel,
        other => panic!("{other:?}"),
    }
}

#[test]
fn output_names_types_and_origins() {
    let statement = bound("select a, t.b as x, a + 1, count(*) over (), v.* from t join v using (a, b)");
    let shown: Vec<_> =
        statement.output.iter().map(|c| (c.name.as_str(), c.ty.oid, c.origin.map(|o| (o.0.0, o.1)))).collect();
    assert_eq!(
        shown,
        [
            ("a", oid::INT4, Some((20_000, 1))),
            ("x", oid::TEXT, Some((20_000, 2))),
            ("?column?", oid::INT4, None),
            ("count", oid::INT8, None),
            ("a", oid::INT4, Some((20_040, 1))),
            ("b", oid::TEXT, Some((20_040, 2))),
        ]
    );
}

#[test]
fn limit_is_below_the_select_list_and_above_the_sort() {
    let Rel::Project { input, .. } = query("select c + 1 from t order by b limit 3") else { panic!("Project") };
    let Rel::Limit { input, .. } = *input else { panic!("Limit") };
    assert!(matches!(*input, Rel::Sort { .. }));
}

#[test]
fn a_primary_key_among_the_keys_carries_its_row() {
    let rel = query("select a, b, max(c) from t group by a");
    let Rel::Aggregate { keys, aggregates, .. } = rel else { panic!("{rel:?}") };
    assert_eq!((keys.len(), aggregates.len()), (2, 1));
}

#[test]
fn equal_aggregates_are_computed_once() {
    let rel = query("select sum(c), sum(c) + 1 from t having sum(c) > 0");
    fn aggregates(rel: &Rel) -> usize {
        match rel {
            Rel::Aggregate { aggregates, .. } => aggregates.len(),
            Rel::Project { input, .. } | Rel::Filter { input, .. } => aggregates(input),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(aggregates(&rel), 1);
}

#[test]
fn grouping_sets_are_the_products_of_their_items() {
    let rel = query("select count(*) from t group by a, rollup (b, c)");
    let Rel::Aggregate { sets, .. } = rel else { panic!("{rel:?}") };
    assert_eq!(sets.expect("sets"), [vec![0, 1, 2], vec![0, 1], vec![0]]);
}

#[test]
fn lateral_joins_know_what_they_depend_on() {
    let lateral = |text: &str| match query(text) {
        Rel::Join { lateral, kind: JoinKind::Inner | JoinKind::Left, .. } => lateral,
        other => panic!("{other:?}"),
    };
    assert!(lateral("select * from t, generate_series(1, t.a) g"));
    assert!(!lateral("select * from t, generate_series(1, 3) g"));
    assert!(lateral("select * from t left join lateral (select x from u where u.a = t.a) s on true"));
    assert!(!lateral("select * from t, lateral (select x from u) s"));
}

#[test]
fn recursion_is_recognised_by_its_reference() {
    let body = |text: &str| bound(text).ctes.remove(0).body;
    let recursive = "with recursive w (n) as (select 1 union all select n + 1 from w where n < 9) select * from w";
    assert!(matches!(body(recursive), CteBody::Recursive { all: true, .. }));
    let plain = "with recursive w (n) as (select 1 union select 2) select * from w";
    assert!(matches!(body(plain), CteBody::Query(Rel::SetOp { .. })));
    let forward = bound("with recursive a as (select * from b), b as (select 1 as x) select * from a");
    assert_eq!(forward.ctes.iter().map(|cte| cte.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn writes_name_every_column() {
    let Root::Insert(insert) = bound("insert into g (v) values (3), (default) returning *").root else {
        panic!("an INSERT")
    };
    assert_eq!(insert.values.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(insert.checks.not_null, [2]);
    let Root::Update(update) = bound("update t set (b, c) = (select y, x from u where u.a = t.a), d = 1").root else {
        panic!("an UPDATE")
    };
    assert_eq!(update.assignments.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [2, 3, 4]);
    let upsert = "insert into p values (1, 2, 'x') on conflict (k) do update set v = excluded.v + p.v where p.v > 0";
    let Root::Insert(insert) = bound(upsert).root else { panic!("an INSERT") };
    let conflict = insert.on_conflict.expect("ON CONFLICT");
    assert_eq!(conflict.arbiters.len(), 1);
    assert!(conflict.update.is_some_and(|update| update.predicate.is_some()));
}

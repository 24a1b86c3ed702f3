//! Random writes under constraints, in transactions with savepoints: every answer and, after each statement, all the tables.
//!
//! Updates that could meet their own unique values in the order of the rows on disk are made for one row or for constraints
//! that are checked at the end, because that order is each server's own affair; so is which of several rows joined wins.
//! Once rows may have moved on disk (PostgreSQL writes a new version behind the others), what hangs on their order is made
//! for one row too: which foreign key of several finds its row still there, which number a row draws.

use super::tree::{Tree, row};
use super::{Answer, Class, Report, Rng, Road, Verdict, World, judge, only_different, shown, simple};

const CONTENT: &str = "select 'a', id, k, t, n, g, e, null from a union all select 'c', id, a, null, null, b, null, null from c
                       union all select 'l', ord, null, what, null, null, null, null from l order by 1, 2, 3, 4, 5, 6, 7";

/// Tables that differ from run to run.
fn tables(rng: &mut Rng) -> Vec<String> {
    let mut pick = |of: &[&'static str]| of[rng.below(of.len())];
    let action = [" on delete cascade", " on delete set null", " on delete set default", " on delete restrict", ""];
    let update = ["", " on update cascade", " on update set null"];
    let defer = ["", "", " deferrable", " deferrable initially deferred"];
    let unique =
        ["unique", "unique nulls not distinct", "unique deferrable", "unique deferrable initially deferred", ""];
    vec![
        "drop table if exists c, a, l".to_owned(),
        format!(
            "create table a (id int primary key, k int {}, t varchar(4) not null default 'd', n numeric(4,1) check (n >= 0),
             g int generated always as (k * 2) stored, e text default 'e' {}, {} check (k <> 13 or t <> 'x'))",
            pick(&unique),
            pick(&["", "check (e <> 'oneee')", "not null"]),
            pick(&["", "unique (t, n),", "constraint pair unique (n, k),"]),
        ),
        format!(
            "create table c (id int generated {} as identity primary key, a int {} references a{}{}{}, b int default 0 references a (id){}{})",
            pick(&["by default", "always"]),
            pick(&["", "not null"]),
            pick(&action),
            pick(&update),
            pick(&defer),
            pick(&action),
            pick(&defer),
        ),
        format!("create table l (ord serial, what text {})", pick(&["", "unique", "check (length(what) < 6)"])),
        pick(&["select 1", "create unique index on a (k) where t = 'x'", "create unique index on a (lower(t), k)", "create index on a (k desc)"])
            .to_owned(),
        "insert into a (id, k, t, n) values (0, 0, 'zero', 0), (1, 10, 'one', 1), (2, 20, 'two', 2.5), (3, null, 'x', null)".to_owned(),
        "insert into c (a, b) values (1, 2), (2, 0), (0, 0)".to_owned(),
    ]
}

struct Writer<'a> {
    rng: &'a mut Rng,
    /// Rows may have moved on disk.
    moved: bool,
}

impl Writer<'_> {
    fn pick(&mut self, of: &[&'static str]) -> Tree {
        of[self.rng.below(of.len())].into()
    }

    fn id(&mut self) -> Tree {
        self.pick(&["0", "1", "2", "3", "4", "5", "null"])
    }

    fn k(&mut self) -> Tree {
        self.pick(&[
            "0",
            "10",
            "20",
            "13",
            "30",
            "null",
            "default",
            "7",
            "2147483647",
            "(select max(k) from a)",
            "'10'",
            "1.5",
        ])
    }

    fn t(&mut self) -> Tree {
        self.pick(&["'x'", "'y'", "'one'", "'long text'", "null", "default", "'ab   '", "''", "'zero'", "5"])
    }

    fn n(&mut self) -> Tree {
        self.pick(&["1", "2.5", "-1", "999.96", "null", "default", "0.04", "'NaN'", "1e2"])
    }

    fn returning(&mut self, table: &str) -> Tree {
        let what = if table == "a" {
            ["*", "id, k + 1 as r", "g, t", "a.*, (select count(*) from c where c.a = a.id)"][self.rng.below(4)]
        } else {
            ["*", "id, a", "b, c.a is null"][self.rng.below(3)]
        };
        if self.rng.one_in(2) { Tree::maybe(format!(" returning {what}").into()) } else { "".into() }
    }

    fn condition(&mut self) -> Tree {
        self.pick(&[
            "id = 1",
            "id = 2",
            "k = 10",
            "k is null",
            "t = 'x'",
            "n > 1",
            "id in (select a from c)",
            "exists (select from c where c.b = a.id)",
            "true",
        ])
    }

    /// A condition on rows whose order matters.
    fn ordered_condition(&mut self) -> Tree {
        if self.moved { row!("id = ", self.id()) } else { self.condition() }
    }

    fn insert(&mut self) -> Tree {
        let rows = (0..self.rng.below(3) + 1)
            .map(|_| row!("(", self.id(), ", ", self.k(), ", ", self.t(), ", ", self.n(), ")"))
            .collect();
        let source = if self.rng.one_in(4) {
            let source = [
                "select id + 3, k, t, n from a order by id",
                "select 4, 40, 'n', 1 where false",
                "select id, k + 1, t, n from a order by id",
            ];
            self.pick(&source)
        } else {
            row!("values ", Tree::list(rows, ", ", 1))
        };
        let mut conflict = "".into();
        if self.rng.one_in(2) {
            let target = self.pick(&[
                " (id)",
                " (k)",
                "",
                " on constraint a_pkey",
                " (t, n)",
                " (k) where t = 'x'",
                " (lower(t), k)",
            ]);
            let action = if self.rng.one_in(3) {
                row!(" do nothing")
            } else {
                let set = self.pick(&[
                    "k = excluded.k",
                    "t = excluded.t",
                    "n = a.n + 1",
                    "(k, t) = (excluded.k, 'up')",
                    "k = default",
                    "(n, e) = (select 1, 'sub')",
                    "id = excluded.id + 1",
                ]);
                let filter =
                    self.pick(&["", " where a.k > 5", " where excluded.n is null", " where a.t <> excluded.t"]);
                self.moved = true;
                row!(" do update set ", set, Tree::maybe(filter))
            };
            conflict = row!(" on conflict", target, action);
        }
        row!("insert into a (id, k, t, n) ", source, Tree::maybe(conflict), self.returning("a"))
    }

    fn update(&mut self) -> Tree {
        self.moved = true;
        match self.rng.below(5) {
            0 => row!("update a set id = ", self.id(), " where id = ", self.id(), self.returning("a")),
            1 => row!(
                "update a set (k, t) = (",
                self.k(),
                ", ",
                self.t(),
                ") where id = ",
                self.id(),
                self.returning("a")
            ),
            2 => {
                let set =
                    self.pick(&["n = n + 1", "e = t || 'e'", "n = default, e = null", "t = left(t, 1)", "n = c.id"]);
                let from = if set.text().contains("c.") { " from c where c.id = a.id and " } else { " where " };
                let returning = if from.contains("from") { "".into() } else { self.returning("a") };
                row!("update a set ", set, from, self.condition(), returning)
            }
            3 => row!("update c set a = ", self.id(), " where id = ", self.id(), self.returning("c")),
            _ => row!("update c set b = a, a = b where id < ", self.id(), self.returning("c")),
        }
    }

    fn write(&mut self) -> Tree {
        match self.rng.below(10) {
            0..=3 => self.insert(),
            4..=6 => self.update(),
            7 => match self.rng.below(3) {
                0 => row!("delete from a using c where c.a = a.id and c.id = ", self.id()),
                1 => row!("delete from c where a = ", self.id(), self.returning("c")),
                _ => row!("delete from a where ", self.ordered_condition(), self.returning("a")),
            },
            8 => {
                let identity = self.pick(&["", " overriding system value", " overriding user value"]);
                let values = if self.rng.one_in(3) {
                    row!("(", self.id(), ", ", self.id(), ", default)")
                } else {
                    row!("(default, ", self.id(), ", ", self.id(), ")")
                };
                row!("insert into c (id, a, b)", identity, " values ", values, self.returning("c"))
            }
            _ => match self.rng.below(3) {
                0 => row!("with w as (", self.write_plain(), ") insert into l (what) select t from w"),
                1 => row!("insert into l (what) select distinct t from a order by t"),
                _ => row!("with w as (", self.write_plain(), ") select count(*), max(id) from w"),
            },
        }
    }

    fn write_plain(&mut self) -> Tree {
        match self.rng.below(3) {
            0 => row!("delete from a where ", self.ordered_condition(), " returning id, t"),
            1 => {
                let filter = self.ordered_condition();
                self.moved = true;
                row!("update a set n = n * 2 where ", filter, " returning id, t")
            }
            _ => row!(
                "insert into a values (",
                self.id(),
                ", ",
                self.k(),
                ", ",
                self.t(),
                ", ",
                self.n(),
                ") returning id, t"
            ),
        }
    }

    fn statement(&mut self) -> Tree {
        match self.rng.below(12) {
            0 => "begin".into(),
            1 => self.pick(&["commit", "rollback", "commit and chain", "rollback"]),
            2 => "savepoint s".into(),
            3 => self.pick(&["rollback to s", "release s", "savepoint s", "savepoint r", "rollback to r"]),
            4 => self.pick(&[
                "set constraints all immediate",
                "set constraints all deferred",
                "truncate c",
                "truncate a cascade",
                "select 1/0",
            ]),
            _ => self.write(),
        }
    }
}

/// The answers of a script's statements on both, up to the first that differs.
async fn script(world: &World, setup: &[String], statements: &Tree) -> (String, Answer, Answer, Verdict) {
    world.run("rollback").await;
    for text in setup {
        world.run(text).await;
    }
    let Tree::List { items, .. } = statements else { unreachable!("a script is a list") };
    for item in items {
        for text in [item.text(), CONTENT.to_owned()] {
            let (ours, theirs) = tokio::join!(simple(&world.ours, &text), simple(&world.theirs, &text));
            let verdict = judge(&ours, &theirs, text == CONTENT);
            if verdict != Verdict::Same && verdict != Verdict::Differ(Class::Words) {
                return (text, ours, theirs, verdict);
            }
        }
    }
    (String::new(), Answer::Rows(String::new(), Vec::new()), Answer::Rows(String::new(), Vec::new()), Verdict::Same)
}

/// A number of random scripts.
pub(super) async fn scripts(world: &mut World, report: &mut Report, seed: u64, count: u64) {
    for n in seed..seed + count {
        let mut rng = Rng(n.wrapping_mul(0x9e6c_63d0_876a_68ee));
        let setup = tables(&mut rng);
        let length = rng.below(12) + 4;
        let mut writer = Writer { rng: &mut rng, moved: false };
        let mut tree = Tree::list((0..length).map(|_| writer.statement()).collect(), ";\n", 1);
        report.statements += length;
        let (_, mut ours, theirs, verdict) = script(world, &setup, &tree).await;
        let class = match verdict {
            Verdict::Differ(class) => class,
            Verdict::Refused(words) => {
                *report.refused.entry(words).or_default() += 1;
                continue;
            }
            Verdict::Same | Verdict::Slow => continue,
        };
        *report.classes.entry(class).or_default() += 1;
        if report.classes.values().sum::<usize>() > super::SHOWN_MAX {
            continue;
        }
        let (mut step, mut last, mut theirs) = (0, String::new(), theirs);
        while let Some(candidate) = tree.simpler(step) {
            if matches!(ours, Answer::Lost(_)) {
                world.revive().await;
            }
            let (text, one, other, verdict) = script(world, &setup, &candidate).await;
            if verdict == Verdict::Differ(class) {
                (tree, last, ours, theirs) = (candidate, text, one, other);
            } else {
                step += 1;
            }
        }
        let (ours, theirs) = only_different(ours, theirs, false);
        let difference = format!(
            "-- {class:?}, {:?}, writes, LIGHTNING_RANDOM_SEED={n}\n{};\n{};\n-- at {last}\n--   ours:       {}\n--   PostgreSQL: {}\n",
            Road::Simple,
            setup.join(";\n"),
            tree.text(),
            shown(&ours),
            shown(&theirs)
        );
        eprintln!("{difference}");
        report.text += &difference;
    }
    // The last one may have left its transaction open.
    world.run("rollback").await;
}

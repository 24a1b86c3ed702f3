//! Random short transactions of two or three sessions, the same interleaving on both servers, step by step.
//!
//! A step sends one statement and waits until it has ended or waits for another session, on both servers alike; whoever waits is
//! looked at again after each step. A deadlock's victim is the one who closes the circle: PostgreSQL looks after 100 ms, and no
//! step is taken before that. Statements touch rows by key, so that the order in which rows are locked is the statement's own.

use super::{Answer, Class, Report, Rng, Verdict, judge, shown, simple};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

const SETUP: &str = "drop table if exists c, a; create table a (id int primary key, v int, k int unique); \
                     create table c (id int primary key, a int references a on delete cascade); \
                     insert into a values (1, 0, 10), (2, 0, 20), (3, 0, 30); insert into c values (1, 1), (2, 2)";

/// A session on one server.
struct Side {
    client: Arc<Client>,
    pid: String,
    running: Option<JoinHandle<Answer>>,
}

impl Side {
    async fn open(port: u16) -> Side {
        let client = super::connect(port).await;
        client.batch_execute("set statement_timeout = '20s'").await.expect("a setting");
        let Answer::Rows(_, rows) = simple(&client, "select pg_backend_pid()").await else { panic!("it has a number") };
        Side { client: Arc::new(client), pid: rows[0].clone(), running: None }
    }

    fn send(&mut self, text: &str) {
        let (client, text) = (self.client.clone(), text.to_owned());
        self.running = Some(tokio::spawn(async move { simple(&client, &text).await }));
    }

    fn ended(&self) -> bool {
        self.running.as_ref().is_none_or(JoinHandle::is_finished)
    }

    async fn answer(&mut self) -> Option<Answer> {
        match self.running.take() {
            Some(running) => running.await.ok(),
            None => None,
        }
    }
}

struct Both {
    ours: Side,
    theirs: Side,
    /// The statement that waits.
    waiting: Option<String>,
}

fn statement(rng: &mut Rng, open: &mut bool) -> String {
    let id = rng.below(3) + 1;
    let wait = ["", "", "", " nowait", " skip locked"][rng.below(5)];
    let strength = ["update", "no key update", "share", "key share"][rng.below(4)];
    if !*open && rng.one_in(2) {
        *open = true;
        return ["begin", "begin isolation level repeatable read", "begin"][rng.below(3)].to_owned();
    }
    match rng.below(20) {
        0..=3 => format!("update a set v = v + 1 where id = {id}"),
        4 => format!("update a set v = v * 2 where id = {id} and v < 3 returning v"),
        5 => format!("update a set k = {} where id = {id}", [10, 20, 40][rng.below(3)]),
        6 => format!("update a set id = id + 10 where id = {id}"),
        7 => format!("delete from a where id = {id} returning v"),
        8 => format!("insert into a values ({}, 7, {})", rng.below(5) + 1, [10, 40, 50][rng.below(3)]),
        9 => format!(
            "insert into a values ({}, 7, 60) on conflict (id) do update set v = a.v + 100 returning id, v",
            rng.below(5) + 1
        ),
        10 => format!("insert into a values ({}, 7, 70) on conflict do nothing", rng.below(5) + 1),
        11 => format!("insert into c values ({}, {id})", rng.below(5) + 1),
        12 => format!("delete from c where a = {id}"),
        13 | 14 => format!("select * from a where id = {id} for {strength}{wait}"),
        15 => format!("select id, v from a order by id for {strength}{wait}"),
        16 => "select id, v, k from a order by id".to_owned(),
        17 => "select id, a from c order by id".to_owned(),
        18 => "savepoint s".to_owned(),
        _ if *open && rng.one_in(3) => "rollback to s".to_owned(),
        _ => {
            *open = false;
            ["commit", "commit", "rollback"][rng.below(3)].to_owned()
        }
    }
}

/// Whether a session of PostgreSQL waits for another.
async fn blocked(monitor: &Client, pid: &str) -> bool {
    simple(monitor, &format!("select cardinality(pg_blocking_pids({pid})) > 0")).await
        == Answer::Rows("?column? count 1 ".into(), vec!["t".into()])
}

/// Whether an answer is that a key is taken. PostgreSQL waits for whoever is changing the row that has it, or for the row that is to be
/// changed, before it looks; here a key that is taken whatever they do is known at once.
fn is_known_sooner(ours: &Answer, text: &str) -> bool {
    match ours {
        Answer::Error(code, _) => code == "23505",
        Answer::Rows(head, rows) => {
            text.contains("on conflict do nothing") && rows.is_empty() && head.contains("count 0")
        }
        Answer::Lost(_) => false,
    }
}

/// What such a wait may end in on PostgreSQL.
fn is_deadlock(theirs: &Answer) -> bool {
    matches!(theirs, Answer::Error(code, _) if code == "40P01")
}

/// Waits until every session has ended on both or waits on both; what differs.
async fn settle(monitor: &Client, sessions: &mut [Both], log: &mut String) -> Option<(Class, String)> {
    // A sleeper may be woken by another that ends only now: looked at until nothing moves.
    loop {
        let mut moved = false;
        // Several may wait for one: who of them comes first when that ends is chance.
        let waiting = sessions.iter().filter(|session| session.waiting.is_some()).count();
        for (n, session) in sessions.iter_mut().enumerate() {
            let Some(text) = session.waiting.clone() else { continue };
            let begun = Instant::now();
            let mut since = None;
            loop {
                let (ours, theirs) = (session.ours.ended(), session.theirs.ended());
                if ours && theirs {
                    let (ours, theirs) = (session.ours.answer().await, session.theirs.answer().await);
                    let gone = || Answer::Lost("no answer".into());
                    let (ours, theirs) = (ours.unwrap_or_else(gone), theirs.unwrap_or_else(gone));
                    session.waiting = None;
                    moved = true;
                    _ = writeln!(log, "{n}: ends: {text} -- {}", shown(&theirs));
                    match judge(&ours, &theirs, true) {
                        Verdict::Differ(class) if class != Class::Words => {
                            return Some((
                                if is_deadlock(&theirs) && is_known_sooner(&ours, text.as_str()) {
                                    Class::Words
                                } else {
                                    class
                                },
                                format!(
                                    "{n}: {text}\n--   ours:       {}\n--   PostgreSQL: {}",
                                    shown(&ours),
                                    shown(&theirs)
                                ),
                            ));
                        }
                        _ => break,
                    }
                }
                // Blocked on PostgreSQL for longer than its look for deadlocks, and still running here.
                if !theirs && !ours && blocked(monitor, &session.theirs.pid).await {
                    if since.get_or_insert_with(Instant::now).elapsed() > Duration::from_millis(160) {
                        break;
                    }
                } else {
                    since = None;
                }
                if begun.elapsed() > Duration::from_secs(4) {
                    let who = if ours {
                        "PostgreSQL waits, we do not"
                    } else if theirs {
                        "we wait, PostgreSQL does not"
                    } else {
                        "both run"
                    };
                    let answer = if ours {
                        session.ours.answer().await
                    } else if theirs {
                        session.theirs.answer().await
                    } else {
                        None
                    };
                    let sooner = ours && answer.as_ref().is_some_and(|answer| is_known_sooner(answer, text.as_str()));
                    return Some((
                        if sooner || waiting > 1 { Class::Words } else { Class::Rows },
                        format!("{n}: {text}: {who}: {}", answer.map(|answer| shown(&answer)).unwrap_or_default()),
                    ));
                }
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
        }
        if !moved {
            return None;
        }
    }
}

/// Runs one schedule; what differs and the steps so far.
async fn schedule(
    ours: u16,
    theirs: u16,
    monitor: &Client,
    steps: &[(usize, String)],
    count: usize,
) -> Option<(Class, String)> {
    let mut sessions = Vec::new();
    for _ in 0..count {
        sessions.push(Both { ours: Side::open(ours).await, theirs: Side::open(theirs).await, waiting: None });
    }
    for client in [&sessions[0].ours.client, &sessions[0].theirs.client] {
        client.batch_execute(SETUP).await.expect("tables");
    }
    let mut log = String::new();
    let mut found = None;
    for (n, text) in steps {
        let session = &mut sessions[*n];
        if session.waiting.is_some() {
            continue;
        }
        _ = writeln!(log, "{n}: {text}");
        session.waiting = Some(text.clone());
        session.ours.send(text);
        session.theirs.send(text);
        found = settle(monitor, &mut sessions, &mut log).await;
        if found.is_some() {
            break;
        }
    }
    // Whoever still waits does so for a session that is idle: its connection ends here.
    for session in &mut sessions {
        for side in [&mut session.ours, &mut session.theirs] {
            let token = side.client.cancel_token();
            if !side.ended() {
                _ = token.cancel_query(tokio_postgres::NoTls).await;
                _ = side.answer().await;
            }
            _ = simple(&side.client, "rollback").await;
        }
    }
    found.map(|(class, text)| (class, format!("{log}=> {text}")))
}

/// A number of random schedules.
pub(super) async fn schedules(ours: u16, theirs: u16, report: &mut Report, seed: u64, count: u64) {
    let monitor = super::connect(theirs).await;
    monitor.batch_execute("alter system set deadlock_timeout = '100ms'").await.expect("a superuser");
    monitor.batch_execute("select pg_reload_conf()").await.expect("a superuser");
    for n in seed..seed + count {
        let mut rng = Rng(n.wrapping_mul(0xd134_2543_de82_ef95));
        let count = rng.below(2) + 2;
        let mut open = vec![false; count];
        let mut steps = (0..rng.below(14) + 8)
            .map(|_| {
                let at = rng.below(count);
                (at, statement(&mut rng, &mut open[at]))
            })
            .collect::<Vec<_>>();
        report.statements += steps.len();
        let Some((class, mut text)) = schedule(ours, theirs, &monitor, &steps, count).await else { continue };
        *report.classes.entry(class).or_default() += 1;
        // Without each step in turn.
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.remove(at);
            match schedule(ours, theirs, &monitor, &fewer, count).await {
                Some((other, shorter)) if other == class => (steps, text) = (fewer, shorter),
                _ => at += 1,
            }
        }
        let difference = format!("-- {class:?}, sessions, LIGHTNING_RANDOM_SEED={n}\n{text}\n");
        eprintln!("{difference}");
        report.text += &difference;
    }
}

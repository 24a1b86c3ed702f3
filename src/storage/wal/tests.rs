use super::*;
use crate::io::sim::{Faults, SimIo};

fn append(log: &Log, body: &[u8]) -> Position {
    let room = log.reserve(body.len()).unwrap();
    log.append(room, body, |_| ()).0
}

fn records(io: &SimIo, from: Position) -> Result<(Vec<(Position, Vec<u8>)>, Tail)> {
    let mut all = Vec::new();
    let tail = read(io, from, 0, |position, body| {
        all.push((position, body.to_vec()));
        Ok(())
    })?;
    Ok((all, tail))
}

fn body(i: usize) -> Vec<u8> {
    vec![i as u8; (i * 977) % 9000]
}

#[test]
fn what_was_durable_is_read_back_from_any_position() {
    let io = SimIo::new();
    let log = Log::open(Arc::new(io.clone()), 1, Position(0)).unwrap();
    let mut written = Vec::new();
    for i in 0..60 {
        written.push((append(&log, &body(i)), body(i)));
        if i % 7 == 0 {
            log.step().unwrap();
        }
    }
    log.flush(log.next()).unwrap();
    for cut in [0, 1, 17, 59] {
        let from = if cut == 0 { Position(0) } else { written[cut - 1].0 };
        let (read, tail) = records(&io.crash(|| false), from).unwrap();
        assert_eq!(read, written[cut..]);
        assert_eq!(tail.end, log.durable());
    }
}

#[test]
fn a_power_cut_keeps_a_prefix_that_holds_all_that_was_durable() {
    let mut seed = 1u64;
    let mut coin = move || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        seed >> 63 == 1
    };
    for _ in 0..20 {
        let io = SimIo::new();
        let log = Log::open(Arc::new(io.clone()), 1, Position(0)).unwrap();
        let mut written = Vec::new();
        let mut moments = Vec::new();
        for i in 0..12 {
            written.push((append(&log, &body(i)), body(i)));
            if coin() {
                io.record();
                let before = moments.last().map_or(0, |(_, durable)| *durable);
                log.step().unwrap();
                moments.extend(io.recorded().into_iter().map(|snapshot| (snapshot, before)));
                moments.push((io.snapshot(), written.len()));
            }
        }
        for (snapshot, durable) in moments {
            let after = snapshot.crash(&mut coin);
            let (read, tail) = records(&after, Position(0)).unwrap();
            assert!(read.len() >= durable, "a durable record is missing");
            assert_eq!(read, written[..read.len()]);
            // The next incarnation goes on behind the tail, and is read together with what was before.
            let next = Log::open(Arc::new(after.clone()), tail.incarnation + 1, tail.end).unwrap();
            append(&next, b"after");
            next.flush(next.next()).unwrap();
            let (again, _) = records(&after, Position(0)).unwrap();
            assert_eq!(again.len(), read.len() + 1);
            assert_eq!(again[read.len()].1, b"after");
        }
        log.flush(log.next()).unwrap();
        assert_eq!(records(&io.crash(|| false), Position(0)).unwrap().0.len(), written.len());
    }
}

#[test]
fn damage_before_a_durable_block_is_named_and_a_torn_tail_is_not() {
    let io = SimIo::new();
    let log = Log::open(Arc::new(io.clone()), 1, Position(0)).unwrap();
    for i in 0..4 {
        append(&log, &[i; 100]);
        log.step().unwrap();
    }
    let damaged = io.crash(|| true);
    damaged.flip(&segment_name(0), 8 * (BLOCK_BYTES as u64 + 50));
    assert!(matches!(records(&damaged, Position(0)), Err(Error::Corrupt(_))));
    let torn = io.crash(|| true);
    torn.flip(&segment_name(0), 8 * (3 * BLOCK_BYTES as u64 + 50));
    assert_eq!(records(&torn, Position(0)).unwrap().0.len(), 3);
}

#[test]
fn a_failed_sync_poisons_and_a_full_disk_strikes_before_the_first_byte() {
    let io = SimIo::new();
    let log = Log::open(Arc::new(io.clone()), 1, Position(0)).unwrap();
    let position = append(&log, b"x");
    let waiter = log.wait(position).unwrap().unwrap();
    io.set_faults(Faults { syncs_left: Some(0), ..Faults::default() });
    assert!(matches!(log.step(), Err(Error::Io(_))));
    assert!(waiter.is_ready());
    io.set_faults(Faults::default());
    assert!(matches!(log.step(), Err(Error::Poisoned)));
    assert!(matches!(log.reserve(1), Err(Error::Poisoned)));
    assert!(matches!(log.wait(position), Err(Error::Poisoned)));

    let io = SimIo::new();
    let log = Log::open(Arc::new(io.clone()), 1, Position(0)).unwrap();
    io.set_faults(Faults { capacity_bytes: Some(SEGMENT_BYTES + 100), ..Faults::default() });
    assert!(matches!(log.reserve(2 * SEGMENT_BYTES as usize), Err(Error::Full)));
    append(&log, b"small ones still fit");
    log.step().unwrap();
}

#[test]
fn old_files_are_recycled_and_their_blocks_are_not_taken_for_new_ones() {
    let io = SimIo::new();
    let log = Log::open(Arc::new(io.clone()), 1, Position(0)).unwrap();
    let big = vec![7u8; 1 << 20];
    let mut last = Position(0);
    for _ in 0..40 {
        last = append(&log, &big);
        log.step().unwrap();
        log.release(last).unwrap();
    }
    let files = io.list().unwrap().len();
    assert!(files <= 3, "{files} files");
    append(&log, b"end");
    log.step().unwrap();
    let (read, _) = records(&io.crash(|| false), last).unwrap();
    assert_eq!(read.iter().map(|(_, body)| &body[..]).collect::<Vec<_>>(), [b"end"]);
}

/// A torn flush leaves blocks behind the log's end. The next incarnation overwrites some of them, and its checkpoint's position
/// may lie just before one that is still there.
#[test]
fn a_block_of_a_flush_that_did_not_happen_is_no_part_of_a_later_log() {
    let io = SimIo::new();
    let log = Log::open(Arc::new(io.clone()), 1, Position(0)).unwrap();
    for i in 1..4 {
        append(&log, &[i; 100]);
        log.step().unwrap();
    }
    drop(log);
    // The first block of these was torn, let us say.
    let log = Log::open(Arc::new(io.clone()), 2, Position(0)).unwrap();
    for i in 4..6 {
        append(&log, &[i; 100]);
        log.step().unwrap();
    }
    let end = log.durable();
    let after = io.crash(|| false);
    assert_eq!(records(&after, Position(0)).unwrap().1.end, end);
    let mut found = 0;
    let mut read_since = |since| {
        let count = |_: Position, _: &[u8]| {
            found += 1;
            Ok(())
        };
        read(&after, end, since, count).unwrap().end
    };
    assert_eq!(read_since(2), end);
    assert!(read_since(0) > end, "there is such a block");
    assert_eq!(found, 1);
}

/// A torn flush leaves its first sector before what a recycled file holds, the next one loses just its first: together they
/// are the older block.
#[test]
fn a_torn_block_is_not_made_whole_by_the_next_flush() {
    let torn = |io: &SimIo, log: &Log, kept: fn(usize) -> bool| {
        io.record();
        log.step().unwrap();
        let mut sector = 0;
        io.recorded().last().expect("before the sync").crash(|| {
            sector += 1;
            kept(sector - 1)
        })
    };
    let io = SimIo::new();
    let log = Log::open(Arc::new(io.clone()), 1, Position(0)).unwrap();
    let file = io.open(&segment_name(0)).unwrap();
    file.write_at(&[7; 100], 2000).unwrap();
    file.sync().unwrap();
    append(&log, b"old");
    let after = torn(&io, &log, |sector| sector == 0);
    let (read, tail) = records(&after, Position(0)).unwrap();
    assert!(read.is_empty());
    let log = Log::open(Arc::new(after.clone()), 2, tail.end).unwrap();
    append(&log, b"new");
    let after = torn(&after, &log, |sector| sector > 0);
    assert!(records(&after, Position(0)).unwrap().0.is_empty(), "transactions are back that were not there");
}

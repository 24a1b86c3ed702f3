use super::*;
use crate::io::sim::SimIo;
use crate::space::PAGE_HEADER_BYTES;

const AT: usize = PAGE_HEADER_BYTES;

fn open(io: &SimIo, frames: usize) -> (Pool, Vec<u8>) {
    let (store, opened) = Store::open(io).unwrap();
    (Pool::new(Arc::new(store), frames * PAGE_SIZE).unwrap(), opened.notes)
}

fn checkpoint(pool: &Pool, position: u64) {
    let closed = pool.gate().close();
    let mut cut = pool.cut();
    drop(closed);
    while !pool.write_cut(&mut cut, 3).unwrap() {}
    pool.complete(cut, Position(position), &position.to_le_bytes()).unwrap();
}

#[test]
fn more_pages_than_frames_and_what_a_checkpoint_holds() {
    let io = SimIo::new();
    let (pool, _) = open(&io, 16);
    let pages: Vec<PageId> = (0..100u8)
        .map(|i| {
            let mut page = pool.allocate().unwrap();
            page[AT] = i;
            page.id()
        })
        .collect();
    checkpoint(&pool, 7);
    for (i, page) in pages.iter().enumerate() {
        assert_eq!(pool.read(*page).unwrap()[AT], i as u8);
        pool.write(*page).unwrap()[AT] = 200;
    }
    // Not checkpointed: a power cut goes back to the checkpoint, whatever was evicted since.
    for keep in [false, true] {
        let after = io.crash(|| keep);
        let (pool, notes) = open(&after, 16);
        assert_eq!(notes, 7u64.to_le_bytes());
        for (i, page) in pages.iter().enumerate() {
            assert_eq!(pool.read(*page).unwrap()[AT], i as u8);
        }
    }
}

#[test]
fn a_checkpoint_holds_pages_as_they_were_at_the_cut() {
    let io = SimIo::new();
    let (pool, _) = open(&io, 64);
    let pages: Vec<PageId> = (0..40).map(|_| pool.allocate().unwrap().id()).collect();
    let closed = pool.gate().close();
    let mut cut = pool.cut();
    drop(closed);
    for (i, page) in pages.iter().enumerate() {
        match i % 3 {
            0 => pool.write(*page).unwrap()[AT] = 9,
            1 => pool.free(*page),
            _ => {}
        }
        if i == 20 {
            pool.write_cut(&mut cut, 10).unwrap();
        }
    }
    while !pool.write_cut(&mut cut, 100).unwrap() {}
    pool.complete(cut, Position(1), b"").unwrap();
    let (after, _) = open(&io.crash(|| true), 64);
    for page in &pages {
        assert_eq!(after.read(*page).unwrap()[AT], 0);
    }
    assert_eq!(pool.read(pages[0]).unwrap()[AT], 9);
    checkpoint(&pool, 2);
    let (after, _) = open(&io.crash(|| true), 64);
    assert_eq!(after.read(pages[0]).unwrap()[AT], 9);
    assert!(after.read(pages[1]).is_err(), "a freed page has no place");
}

#[test]
fn every_moment_of_many_checkpoints_recovers_to_one_of_them() {
    let io = SimIo::new();
    let (pool, _) = open(&io, 16);
    let pages: Vec<PageId> = (0..30).map(|_| pool.allocate().unwrap().id()).collect();
    checkpoint(&pool, 1);
    let mut moments = Vec::new();
    for round in 2..40u8 {
        for page in pages.iter().skip(round as usize % 5).step_by(3) {
            pool.write(*page).unwrap()[AT] = round;
        }
        for page in &pages {
            let mut page = pool.write(*page).unwrap();
            page[AT + 1] = round;
        }
        io.record();
        checkpoint(&pool, u64::from(round));
        let recorded = io.recorded();
        let step = (recorded.len() / 4).max(1);
        moments.extend(recorded.into_iter().step_by(step).map(|m| (m, round)));
    }
    let mut coin = 0u64;
    for (moment, round) in moments {
        let after = moment.crash(|| {
            coin = coin.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            coin >> 63 == 1
        });
        let (pool, notes) = open(&after, 16);
        let at = u64::from_le_bytes(notes.try_into().unwrap()) as u8;
        assert!(at == round || at + 1 == round, "checkpoint {at} while {round} was made");
        for page in &pages {
            let read = pool.read(*page).unwrap();
            assert!(read[AT + 1] == at || at == 1, "page {} of {at}: {}", page.0, read[AT + 1]);
        }
    }
    let (used, total) = pool.store().blocks();
    assert!(total <= 200, "places are used again: {used} of {total}");
}

#[test]
fn latches_hold_among_threads() {
    let io = SimIo::new();
    let (pool, _) = open(&io, 16);
    let pages: Vec<PageId> = (0..40).map(|_| pool.allocate().unwrap().id()).collect();
    std::thread::scope(|scope| {
        for t in 0..4usize {
            let (pool, pages) = (&pool, &pages);
            scope.spawn(move || {
                for i in 0..4000usize {
                    let page = pages[(i * 7 + t * 13) % pages.len()];
                    let _pass = pool.gate().enter();
                    let mut write = pool.write(page).unwrap();
                    let n = u32::from_le_bytes(write[AT..AT + 4].try_into().unwrap()) + 1;
                    write[AT..AT + 4].copy_from_slice(&n.to_le_bytes());
                }
            });
        }
        for round in 0..10 {
            checkpoint(&pool, round);
        }
    });
    let sum = |pool: &Pool| -> u32 {
        pages.iter().map(|p| u32::from_le_bytes(pool.read(*p).unwrap()[AT..AT + 4].try_into().unwrap())).sum()
    };
    assert_eq!(sum(&pool), 16_000);
    checkpoint(&pool, 11);
    assert_eq!(sum(&open(&io.crash(|| false), 16).0), 16_000);
}

fn scan(pool: &Pool, page: PageId) {
    loop {
        match pool.try_read_once(page) {
            Some(read) => return assert_eq!(read.id(), page),
            None => pool.load_for(page, Use::Once).unwrap(),
        }
    }
}

/// Scans go through more pages than the pool has frames, again and again; what others use stays.
#[test]
fn a_scan_keeps_to_its_share() {
    let (pool, _) = open(&SimIo::new(), 64);
    let pages: Vec<PageId> = (0..300).map(|_| pool.allocate().unwrap().id()).collect();
    checkpoint(&pool, 1);
    let (hot, rest) = pages.split_at(40);
    let use_hot = || hot.iter().for_each(|page| drop(pool.read(*page).unwrap()));
    use_hot();
    use_hot();
    for _ in 0..3 {
        rest.iter().for_each(|page| scan(&pool, *page));
    }
    assert!(hot.iter().filter(|page| !pool.is_resident(**page)).count() <= 8, "a scan drove out what others use");
    // What fits beside the rest is kept.
    let io = SimIo::new();
    let (pool, _) = open(&io, 64);
    let few: Vec<PageId> = (0..60).map(|_| pool.allocate().unwrap().id()).collect();
    checkpoint(&pool, 1);
    let (pool, _) = open(&io.crash(|| true), 64);
    few.iter().for_each(|page| scan(&pool, *page));
    assert!(few.iter().all(|page| pool.is_resident(*page)));
}

#[test]
fn what_a_scan_has_read_and_others_use_stays() {
    let (pool, _) = open(&SimIo::new(), 64);
    let rest: Vec<PageId> = (0..300).map(|_| pool.allocate().unwrap().id()).collect();
    checkpoint(&pool, 1);
    rest.iter().for_each(|page| scan(&pool, *page));
    scan(&pool, rest[0]);
    // A page that was scanned and is used by others stays, too.
    drop(pool.read(rest[0]).unwrap());
    rest[1..].iter().for_each(|page| scan(&pool, *page));
    assert!(pool.is_resident(rest[0]));
}

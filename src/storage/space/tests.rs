use super::*;
use crate::io::sim::{Faults, SimIo};

#[test]
fn damage_is_named() {
    let io = SimIo::new();
    let (store, opened) = Store::open(&io).unwrap();
    assert!(opened.created && opened.incarnation == 1);
    let page = store.allocate_page().unwrap();
    let place = store.reserve_place().unwrap();
    store.write_page(page, &mut [5; PAGE_SIZE], place, None).unwrap();
    let cut = store.cut();
    store.complete(cut, Position(3), b"notes").unwrap();
    let again = Store::open(&io.crash(|| false)).unwrap().1;
    assert_eq!((again.incarnation, again.position, &again.notes[..]), (2, Position(3), &b"notes"[..]));

    let bit = |block: u32| u64::from(block) * PAGE_SIZE as u64 * 8 + 8 * 1000;
    let damaged = io.crash(|| true);
    damaged.flip("data", bit(place));
    let (store, _) = Store::open(&damaged).unwrap();
    assert!(matches!(store.read_page(page, &mut [0; PAGE_SIZE]), Err(Error::CorruptPage { .. })));

    let damaged = io.crash(|| true);
    damaged.flip("data", bit(0));
    damaged.flip("data", bit(1));
    assert!(matches!(Store::open(&damaged), Err(Error::Corrupt(_))));
}

#[test]
fn a_full_disk_strikes_at_the_reservation_and_room_comes_back() {
    let io = SimIo::new();
    let (store, _) = Store::open(&io).unwrap();
    io.set_faults(Faults { capacity_bytes: Some(134 * PAGE_SIZE as u64), ..Faults::default() });
    let mut places = Vec::new();
    let full = loop {
        match store.reserve_place() {
            Ok(place) => places.push(place),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::Full));
    assert!(places.len() >= 90);
    {
        let _draw = Draw::Checkpoint.allow();
        places.extend((0..30).map(|_| store.reserve_place().unwrap()));
    }
    assert!(matches!(store.reserve_place(), Err(Error::Full)));
    places.drain(..).for_each(|place| store.unreserve(place));
    let extent = store.write_extent(&[3; 50 * PAGE_SIZE]).unwrap();
    assert_eq!(store.read_extent(extent).unwrap(), [3; 50 * PAGE_SIZE]);
}

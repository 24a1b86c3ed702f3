//! Trees of many levels against an ordinary map: long keys make pages hold few entries.

use super::{Tree, node};
use crate::buffer::Pool;
use crate::io::sim::SimIo;
use crate::space::Store;
use crate::types::{ObjectId, PAGE_SIZE};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::BTreeMap;
use std::sync::Arc;

const OBJECT: ObjectId = ObjectId(7);

fn pool(frames: usize) -> Pool {
    let (store, _) = Store::open(&SimIo::new()).unwrap();
    Pool::new(Arc::new(store), frames * PAGE_SIZE).unwrap()
}

/// Entries in order, by forward and by backward descents; they must agree.
fn entries(tree: &Tree, pool: &Pool) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut forward, mut next) = (Vec::new(), Some(Vec::new()));
    while let Some(at) = next {
        let leaf = tree.read_leaf(pool, &at).unwrap();
        forward.extend((0..node::count(&leaf)).map(|i| (node::key(&leaf, i), node::value(&leaf, i).to_vec())));
        next = node::upper_fence(&leaf).map(<[u8]>::to_vec);
    }
    let (mut backward, mut below) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let leaf = tree.read_leaf_below(pool, below.as_deref()).unwrap();
        backward.extend((0..node::count(&leaf)).rev().map(|i| (node::key(&leaf, i), node::value(&leaf, i).to_vec())));
        if node::lower_fence(&leaf).is_empty() {
            break;
        }
        below = Some(node::lower_fence(&leaf).to_vec());
    }
    backward.reverse();
    assert_eq!(forward, backward);
    forward
}

fn random_key(rng: &mut StdRng, longest: usize) -> Vec<u8> {
    let mut key = vec![b'k'; if rng.random_bool(0.5) { rng.random_range(0..longest) } else { 3 }];
    key.extend_from_slice(&rng.random_range(0..3000u32).to_be_bytes());
    key
}

#[test]
fn deep_trees_agree_with_a_map() {
    for (seed, longest) in [(1, 2700), (2, 2700), (3, 400), (4, 8)] {
        let (mut rng, pool) = (StdRng::seed_from_u64(seed), pool(64));
        let tree = Tree::create(&pool, OBJECT).unwrap();
        let mut model = BTreeMap::new();
        for phase in 0..3 {
            for _ in 0..2500 {
                let key = random_key(&mut rng, longest);
                if rng.random_bool([0.1, 0.5, 0.9][phase]) {
                    // Most of what is removed is there.
                    let key = model.range(key.clone()..).next().map_or(key, |(found, _): (&Vec<u8>, _)| found.clone());
                    assert_eq!(tree.remove(&pool, &key).unwrap(), model.remove(&key).is_some());
                } else {
                    let value = vec![phase as u8; rng.random_range(0..1000)];
                    assert_eq!(tree.put(&pool, &key, &value).unwrap(), !model.contains_key(&key));
                    model.insert(key, value);
                }
            }
            let mut damage = Vec::new();
            tree.check(&pool, OBJECT, &mut damage, &mut |_| Ok(())).unwrap();
            assert_eq!(damage, Vec::<String>::new());
            assert_eq!(entries(&tree, &pool), model.clone().into_iter().collect::<Vec<_>>());
            let estimate = tree.estimate(&pool, &[], None).unwrap() as f64;
            let count = model.len() as f64;
            assert!(longest > 8 || (count / 3.0..count * 3.0).contains(&estimate), "{estimate} of {count}");
        }
        for key in model.keys() {
            assert!(tree.remove(&pool, key).unwrap());
        }
        assert_eq!(entries(&tree, &pool), Vec::new());
        let pages = pool.store().pages();
        assert!(pages <= 30, "{pages} pages of an empty tree");
        tree.all_pages(&pool, &mut |_| Ok(())).unwrap().into_iter().for_each(|page| pool.free(page));
        assert_eq!(pool.store().pages(), 0);
    }
}

#[test]
fn threads_put_and_remove_without_losing_a_key() {
    let pool = pool(64);
    let tree = Tree::create(&pool, OBJECT).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (tree, pool) = (&tree, &pool);
            scope.spawn(move || {
                let mut rng = StdRng::seed_from_u64(thread);
                let mut mine = BTreeMap::new();
                for _ in 0..6000 {
                    let mut key = random_key(&mut rng, 600);
                    key.push(thread as u8);
                    if rng.random_bool(0.5) {
                        assert_eq!(tree.remove(pool, &key).unwrap(), mine.remove(&key).is_some());
                    } else {
                        tree.put(pool, &key, &[1; 40]).unwrap();
                        mine.insert(key, ());
                    }
                }
                for key in mine.keys() {
                    assert!(tree.remove(pool, key).unwrap());
                }
            });
        }
    });
    assert_eq!(entries(&tree, &pool), Vec::new());
}

#[test]
fn descents_find_their_leaf_while_others_split_and_drop_leaves() {
    let pool = pool(64);
    let tree = Tree::create(&pool, OBJECT).unwrap();
    let key = |number: u32| [&[b'k'; 600][..], &number.to_be_bytes()].concat();
    let kept: Vec<u32> = (0..400).map(|i| i * 10).collect();
    kept.iter().for_each(|number| assert!(tree.put(&pool, &key(*number), &number.to_le_bytes()).unwrap()));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (tree, pool, kept, done) = (&tree, &pool, &kept, &done);
            scope.spawn(move || {
                let mut rng = StdRng::seed_from_u64(seed);
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let key = key(kept[rng.random_range(0..kept.len())]);
                    let leaf = tree.read_leaf(pool, &key).unwrap();
                    assert!(node::search(&leaf, &key).is_ok());
                    drop(leaf);
                    let leaf = tree.read_leaf_below(pool, Some(&key)).unwrap();
                    assert!(node::lower_fence(&leaf) < &key[..] || node::lower_fence(&leaf).is_empty());
                }
            });
        }
        for round in 0..4 {
            // Whole leaves come and go between those that stay.
            let between = || (0..kept.len() as u32 - 1).filter(|i| i % 4 == round).map(|i| i * 10);
            for first in between() {
                (1..10).for_each(|i| assert!(tree.put(&pool, &key(first + i), &[0; 900]).unwrap()));
            }
            for first in between() {
                (1..10).for_each(|i| assert!(tree.remove(&pool, &key(first + i)).unwrap()));
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let mut damage = Vec::new();
    tree.check(&pool, OBJECT, &mut damage, &mut |_| Ok(())).unwrap();
    assert_eq!(damage, Vec::<String>::new());
    assert_eq!(entries(&tree, &pool).len(), kept.len());
}

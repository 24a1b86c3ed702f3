//! A B+tree over the pool: descent past immutable inner pages to one latched leaf, splits from the top down.
//!
//! 1. A descent latches nothing but the leaf: inner pages are published (see `buffer`), and who changes one replaces it whole.
//! 2. So a descent may come to a leaf that has been split or has gone. Once it has the leaf's latch it looks whether the parent
//!    is still the one that led there, and else starts again; likewise on each level above. Whoever has a leaf from here holds
//!    the one that covers the key.
//! 3. Inner pages change only under the tree's `structure` mutex, with the page and its parent latched exclusively, parent first.
//!    The parent is replaced before its child is, or the latch of a leaf is given up, or the id of a leaf that went is free.
//! 4. Only empty leaves go; inner pages stay while their tree does.
//! 5. The root's page id never changes: a root that is full moves its entries to a new child.
//! 6. Descents hold no latch across I/O; splits, which are rare, may.
//! 7. Cursors are keys: nothing is held between calls, and a leaf's neighbour is found from the root by its fence.

use super::node::{self, Bytes};
use crate::buffer::{Misses, PageRead, PageWrite, Pool, Seen, Use};
use crate::error::{Error, Result};
use crate::sync::{Mutex, yield_now};
use crate::types::{ObjectId, PageId};
use std::ops::Deref;

/// Levels beyond which a tree must be damaged.
const LEVELS_MAX: usize = 24;
/// Descents in vain beyond which a tree must be damaged: each met another split, or a leaf that went.
const TRIES_MAX: usize = 10_000;

/// A tree.
pub(crate) struct Tree {
    object: ObjectId,
    root: PageId,
    structure: Mutex<()>,
}

/// Which child to go to.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// The one that covers the key.
    Key(&'a [u8]),
    /// The one that covers the greatest keys below it; `None`: the last.
    Below(Option<&'a [u8]>),
}

impl Target<'_> {
    fn child_index(self, page: &Bytes) -> usize {
        match self {
            Target::Key(key) => node::child_index(page, key),
            Target::Below(None) => node::count(page) - 1,
            Target::Below(Some(key)) => node::lower_bound(page, key).saturating_sub(1),
        }
    }
}

impl Tree {
    /// A new, empty tree.
    pub(crate) fn create(pool: &Pool, object: ObjectId) -> Result<Tree> {
        let mut page = pool.allocate()?;
        node::init(&mut page, object, 0, &[], None);
        Ok(Tree::open(object, page.id()))
    }

    /// The object's tree, whose root this is.
    pub(crate) fn open(object: ObjectId, root: PageId) -> Tree {
        Tree { object, root, structure: Mutex::new(()) }
    }

    /// Its root, for good.
    pub(crate) fn root(&self) -> PageId {
        self.root
    }

    /// The leaf that covers `key`, shared.
    pub(crate) fn read_leaf<'a>(&self, pool: &'a Pool, key: &[u8]) -> Result<PageRead<'a>> {
        self.descend(pool, Target::Key(key), Use::Often, |page| Ok(pool.try_read(page)))
    }

    /// [`Self::read_leaf`] for a scan of so many pages that it must not drive others out.
    pub(crate) fn read_leaf_once<'a>(&self, pool: &'a Pool, key: &[u8]) -> Result<PageRead<'a>> {
        self.descend(pool, Target::Key(key), Use::Once, |page| Ok(pool.try_read_once(page)))
    }

    /// Sees to it that the leaf that covers `key` is in the pool: a change that comes next need not wait for it.
    pub(crate) fn reach(&self, pool: &Pool, key: &[u8]) -> Result<()> {
        loop {
            match self.leaf_id(pool, Target::Key(key)) {
                Some(Ok((id, _))) if pool.is_resident(id) => return Ok(()),
                Some(Ok((missing, _)) | Err(missing)) => match pool.load(missing) {
                    Err(error @ Error::Wait(_)) => return Err(error),
                    // What is wrong with it is for the change to say.
                    Err(_) => return Ok(()),
                    Ok(()) => {}
                },
                None => yield_now(),
            }
        }
    }

    /// The leaf that covers `key`, exclusive.
    pub(crate) fn write_leaf<'a>(&self, pool: &'a Pool, key: &[u8]) -> Result<PageWrite<'a>> {
        self.descend(pool, Target::Key(key), Use::Often, |page| pool.try_write(page))
    }

    /// The leaf that covers the greatest keys below `key` (`None`: of all), shared.
    pub(crate) fn read_leaf_below<'a>(&self, pool: &'a Pool, key: Option<&[u8]>) -> Result<PageRead<'a>> {
        self.descend(pool, Target::Below(key), Use::Often, |page| Ok(pool.try_read(page)))
    }

    /// The target's leaf under the latch that `latch` takes.
    fn descend<L: Deref<Target = Bytes>>(
        &self,
        pool: &Pool,
        target: Target<'_>,
        used: Use,
        latch: impl Fn(PageId) -> Result<Option<L>>,
    ) -> Result<L> {
        let mut failed = None;
        for _ in 0..TRIES_MAX {
            let missing = match self.leaf_id(pool, target) {
                Some(Ok((id, parent))) => match latch(id)? {
                    Some(leaf) if self.is_current(pool, &leaf, parent) => return Ok(leaf),
                    Some(_) => None,
                    None => Some(id),
                },
                Some(Err(missing)) => Some(missing),
                None => None,
            };
            match missing.map(|missing| (missing, pool.load_for(missing, used))) {
                None => yield_now(),
                Some((_, Ok(()))) => {}
                Some((_, Err(error @ Error::Wait(_)))) => return Err(error),
                // An empty leaf may have gone meanwhile: then nothing names it any more.
                Some((missing, Err(_))) if failed != Some(missing) => failed = Some(missing),
                Some((_, Err(error))) => return Err(error),
            }
        }
        Err(Error::CorruptPage { page: self.root, what: "a tree that leads nowhere" })
    }

    /// Whether a latched page is the leaf that covers the target. A tree that has been dropped is nobody's: its pages may be
    /// another's by now.
    fn is_current(&self, pool: &Pool, leaf: &Bytes, parent: Option<Seen>) -> bool {
        parent.is_none_or(|parent| pool.is_current(parent)) && node::is_of(leaf, self.object) && node::level(leaf) == 0
    }

    /// The page where the target's leaf was a moment ago, and the parent that said so (`None`: the root is the leaf); `Err`: on
    /// the way there this page has to be loaded; `None`: the way has changed meanwhile.
    fn leaf_id(&self, pool: &Pool, target: Target<'_>) -> Option<std::result::Result<(PageId, Option<Seen>), PageId>> {
        let pin = pool.pin();
        let (mut id, mut parent) = (self.root, None);
        for _ in 0..LEVELS_MAX {
            let Some((page, seen)) = pool.inner(&pin, id) else {
                let Some(page) = pool.try_read(id) else { return Some(Err(id)) };
                match (node::is_of(&page, self.object), node::level(&page)) {
                    (true, 0) => return Some(Ok((id, parent))),
                    (true, _) => pool.publish_inner(&page),
                    (false, _) => return None,
                }
                continue;
            };
            if parent.is_some_and(|parent| !pool.is_current(parent)) || !node::is_of(page, self.object) {
                return None;
            }
            id = node::child(page, target.child_index(page));
            parent = Some(seen);
            if node::level(page) == 1 {
                return Some(Ok((id, parent)));
            }
        }
        None
    }

    /// Splits until the leaf that covers `key` has room for an entry of `key` and `value_bytes` more. Holds nothing afterwards:
    /// the caller looks again.
    pub(crate) fn make_room(&self, pool: &Pool, key: &[u8], value_bytes: usize) -> Result<()> {
        let _load = Misses::load();
        let _structure = self.structure.lock();
        // Separators are no longer than the longest key that can be in the tree's way here.
        loop {
            if self.make_room_step(pool, key, value_bytes)? {
                return Ok(());
            }
        }
    }

    /// Sees to it that the entry of `key`, greater than all in its leaf, comes to a leaf of its own.
    pub(crate) fn begin_leaf(&self, pool: &Pool, key: &[u8]) -> Result<()> {
        let _load = Misses::load();
        let _structure = self.structure.lock();
        let goes_on = |leaf: &Bytes| node::search(leaf, key).is_err_and(|at| at > 0 && at == node::count(leaf));
        while !self.split_step(pool, key, goes_on)? {}
        Ok(())
    }

    /// One split at most, of the topmost page that needs it; `true`: the leaf has room.
    fn make_room_step(&self, pool: &Pool, key: &[u8], value_bytes: usize) -> Result<bool> {
        let needed = key.len() + value_bytes + 16;
        self.split_step(pool, key, |leaf| node::free_bytes(leaf) < needed)
    }

    /// Splits the topmost page on the way to `key` that has no room for a split below it, or the leaf if `is_due` says so;
    /// `true`: none, or others have emptied it meanwhile.
    fn split_step(&self, pool: &Pool, key: &[u8], is_due: impl Fn(&Bytes) -> bool) -> Result<bool> {
        let mut parent: Option<PageId> = None;
        let mut id = self.root;
        loop {
            let page = pool.read(id)?;
            let level = node::level(&page);
            if if level == 0 { is_due(&page) } else { node::free_bytes(&page) < inner_room(&page, key) } {
                drop(page);
                return match parent {
                    None => self.grow_root(pool).map(|()| false),
                    Some(parent) => self.split_child(pool, parent, id, key).map(|split| !split),
                };
            }
            if level == 0 {
                return Ok(true);
            }
            let child = node::child(&page, node::child_index(&page, key));
            drop(page);
            parent = Some(id);
            id = child;
        }
    }

    /// Moves the root's entries to a new page, its only child.
    fn grow_root(&self, pool: &Pool) -> Result<()> {
        let mut child = pool.allocate()?;
        let mut root = match pool.write(self.root) {
            Ok(root) => root,
            Err(error) => {
                free_unused(pool, child);
                return Err(error);
            }
        };
        child.copy_from_slice(&root[..]);
        let level = node::level(&root);
        node::init(&mut root, self.object, level + 1, &[], None);
        node::insert(&mut root, 0, &[], &child.id().0.to_le_bytes());
        Ok(())
    }

    /// Splits `id`, whose parent has room for another entry of the usual size; `false`: others have emptied it meanwhile.
    fn split_child(&self, pool: &Pool, parent: PageId, id: PageId, key: &[u8]) -> Result<bool> {
        let mut right = pool.allocate()?;
        let latched = pool.write(parent).and_then(|parent| Ok((parent, pool.write(id)?)));
        let (mut parent, mut page) = match latched {
            Ok(latched) => latched,
            Err(error) => {
                free_unused(pool, right);
                return Err(error);
            }
        };
        let Some((middle, separator)) = node::split_point(&page, key) else {
            drop((parent, page));
            free_unused(pool, right);
            return Ok(false);
        };
        let at = match node::search(&parent, &separator) {
            Ok(_) => return Err(Error::CorruptPage { page: id, what: "its separator is in the parent already" }),
            Err(at) => at,
        };
        if !node::insert(&mut parent, at, &separator, &right.id().0.to_le_bytes()) {
            // A longer key than foreseen came into the leaf: the parent is split first, next time round.
            let parent_id = parent.id();
            drop((parent, page));
            free_unused(pool, right);
            return self.split_inner(pool, parent_id, key);
        }
        node::split(&mut page, &mut right, middle, &separator);
        drop(parent); // rule 3
        Ok(true)
    }

    /// Splits the inner page `id` on the way to `key`.
    fn split_inner(&self, pool: &Pool, id: PageId, key: &[u8]) -> Result<bool> {
        if id == self.root {
            return self.grow_root(pool).map(|()| true);
        }
        let mut parent = self.root;
        loop {
            let page = pool.read(parent)?;
            let child = node::child(&page, node::child_index(&page, key));
            drop(page);
            if child == id {
                return self.split_child(pool, parent, id, key);
            }
            parent = child;
        }
    }

    /// Puts an entry in, or gives it another value; `true`: it is new.
    pub(crate) fn put(&self, pool: &Pool, key: &[u8], value: &[u8]) -> Result<bool> {
        loop {
            let mut leaf = self.write_leaf(pool, key)?;
            let (done, new) = match node::search(&leaf, key) {
                Ok(at) => (node::replace(&mut leaf, at, value), false),
                Err(at) => (node::insert(&mut leaf, at, key, value), true),
            };
            if done {
                return Ok(new);
            }
            drop(leaf);
            self.make_room(pool, key, value.len())?;
        }
    }

    /// Takes an entry out; `true`: it was there.
    pub(crate) fn remove(&self, pool: &Pool, key: &[u8]) -> Result<bool> {
        let mut leaf = self.write_leaf(pool, key)?;
        let found = node::search(&leaf, key);
        if let Ok(at) = found {
            node::remove(&mut leaf, at);
        }
        let empty = node::count(&leaf) == 0;
        drop(leaf);
        if empty {
            self.drop_empty(pool, key)?;
        }
        Ok(found.is_ok())
    }

    /// Takes the leaf that covers `key` out of the tree if it is empty: its left neighbour under the same parent, or else its
    /// right one, covers its keys from then on. The caller holds no latch.
    pub(crate) fn drop_empty(&self, pool: &Pool, key: &[u8]) -> Result<()> {
        let _load = Misses::load();
        let _structure = self.structure.lock();
        let mut id = self.root;
        loop {
            let page = pool.read(id)?;
            match node::level(&page) {
                0 => return Ok(()), // the root alone
                1 => break,
                _ => {
                    let child = node::child(&page, node::child_index(&page, key));
                    drop(page);
                    id = child;
                }
            }
        }
        let mut parent = pool.write(id)?;
        let at = node::child_index(&parent, key);
        if node::count(&parent) < 2 {
            return Ok(());
        }
        let (left, right) = (at.saturating_sub(1), at.saturating_sub(1) + 1);
        // Leaves are latched from left to right, as their parent names them.
        let (left_id, right_id) = (node::child(&parent, left), node::child(&parent, right));
        let mut left_page = pool.write(left_id)?;
        let mut right_page = pool.write(right_id)?;
        let empty_id = if at == left { left_id } else { right_id };
        if node::count(if at == left { &left_page } else { &right_page }) > 0 {
            return Ok(());
        }
        let lower = node::lower_fence(&left_page).to_vec();
        let upper = node::upper_fence(&right_page).map(<[u8]>::to_vec);
        let heir = if at == left { &mut right_page } else { &mut left_page };
        if !node::refence(heir, &lower, upper.as_deref()) {
            return Ok(());
        }
        // The right one's entry goes; the left one's key is the lower fence of both.
        node::remove(&mut parent, right);
        if at == left {
            let replaced = node::replace(&mut parent, left, &right_id.0.to_le_bytes());
            debug_assert!(replaced, "page ids are of one size");
        }
        drop((parent, left_page, right_page)); // rule 3
        pool.free(empty_id);
        Ok(())
    }

    /// Every page; `leaf` sees the leaves.
    pub(crate) fn all_pages(&self, pool: &Pool, leaf: &mut dyn FnMut(&Bytes) -> Result<()>) -> Result<Vec<PageId>> {
        let mut found = vec![self.root];
        let mut next = 0;
        while next < found.len() {
            let page = pool.read(found[next])?;
            match node::level(&page) {
                0 => leaf(&page)?,
                _ => found.extend((0..node::count(&page)).map(|i| node::child(&page, i))),
            }
            next += 1;
        }
        Ok(found)
    }

    /// Roughly how many entries lie in `[lower, upper)`: exact within a leaf.
    pub(crate) fn estimate(&self, pool: &Pool, lower: &[u8], upper: Option<&[u8]>) -> Result<u64> {
        let (from, left) = self.rank(pool, Some(lower))?;
        let (to, right) = self.rank(pool, upper)?;
        Ok(((to - from) * (left + right) / 2.0).round().max(0.0) as u64)
    }

    /// The part of the tree below `key` (`None`: all of it), and how many entries there are if all pages are as full as those
    /// on the way.
    fn rank(&self, pool: &Pool, key: Option<&[u8]>) -> Result<(f64, f64)> {
        let (mut below, mut width, mut size) = (0.0, 1.0, 1.0);
        let mut id = self.root;
        loop {
            let page = pool.read(id)?;
            if !node::is_of(&page, self.object) {
                return Ok((below, size)); // a leaf that has gone meanwhile
            }
            let (count, level) = (node::count(&page), node::level(&page));
            size *= count.max(usize::from(id != self.root)) as f64;
            width /= count.max(1) as f64;
            if level == 0 {
                let at = key.map_or(count, |key| node::lower_bound(&page, key));
                return Ok((below + at as f64 * width, size));
            }
            let at = key.map_or(count - 1, |key| node::child_index(&page, key));
            below += at as f64 * width;
            id = node::child(&page, at);
        }
    }

    /// How many pages the tree has, read off its inner pages: roughly, while others write.
    pub(crate) fn pages(&self, pool: &Pool) -> Result<u64> {
        let root = pool.read(self.root)?;
        let mut todo: Vec<PageId> = Vec::new();
        let mut pages = 1;
        let count = |page: &Bytes, todo: &mut Vec<PageId>| {
            let (level, children) = (node::level(page), node::count(page));
            if level > 1 {
                todo.extend((0..children).map(|at| node::child(page, at)));
            }
            if level > 0 { children as u64 } else { 0 }
        };
        pages += count(&root, &mut todo);
        drop(root);
        while let Some(id) = todo.pop() {
            let page = pool.read(id)?;
            // A page that was let go of meanwhile may be another's.
            if node::is_of(&page, self.object) {
                pages += count(&page, &mut todo);
            }
        }
        Ok(pages)
    }

    /// Walks the whole tree and reports what breaks an invariant; `leaf` sees every leaf in key order. Nobody may write meanwhile.
    pub(crate) fn check(
        &self,
        pool: &Pool,
        object: ObjectId,
        damage: &mut Vec<String>,
        leaf: &mut dyn FnMut(&Bytes) -> Result<()>,
    ) -> Result<u64> {
        let mut pages = 0;
        let root = pool.read(self.root)?;
        let level = node::level(&root);
        drop(root);
        let mut todo = vec![(self.root, level, Vec::new(), None::<Vec<u8>>)];
        while let Some((id, level, lower, upper)) = todo.pop() {
            let page = pool.read(id)?;
            pages += 1;
            let mut complain = |what: &str| damage.push(format!("object {object}, page {id}: {what}"));
            if let Some(what) = node::damage(&page) {
                complain(what);
                continue;
            }
            if node::object(&page) != object {
                complain("belongs to another object");
            }
            if node::level(&page) != level {
                complain("wrong level");
                continue;
            }
            if node::lower_fence(&page) != lower || node::upper_fence(&page) != upper.as_deref() {
                complain("fences differ from the parent's keys");
            }
            let count = node::count(&page);
            if count > 0
                && !(node::covers(&page, &node::key(&page, 0)) && node::covers(&page, &node::key(&page, count - 1)))
            {
                complain("a key lies outside the fences");
            }
            if level == 0 {
                leaf(&page)?;
                continue;
            }
            if count == 0 || node::key(&page, 0) != lower {
                complain("the first key is not the lower fence");
            }
            for i in (0..count).rev() {
                let end = if i + 1 < count { Some(node::key(&page, i + 1)) } else { upper.clone() };
                todo.push((node::child(&page, i), level - 1, node::key(&page, i), end));
            }
        }
        Ok(pages)
    }
}

/// Frees a page that was allocated in vain.
fn free_unused(pool: &Pool, page: PageWrite<'_>) {
    let id = page.id();
    drop(page);
    pool.free(id);
}

/// Room that an inner page must have before its child is split: a separator as long as the longest in sight.
fn inner_room(page: &Bytes, key: &[u8]) -> usize {
    let fences = node::lower_fence(page).len().max(node::upper_fence(page).map_or(0, <[u8]>::len));
    key.len().max(fences) + 32
}

//! Hash maps whose order depends on their contents alone: what goes over a map goes over it alike in every run, so that a
//! simulation can be replayed. Keys are numbers of the engine's own, or go no further than a choice of latch.

/// How every map of the engine hashes.
pub(crate) type Hasher = foldhash::fast::FixedState;
/// A map.
pub(crate) type HashMap<K, V> = hashbrown::HashMap<K, V, Hasher>;
/// A set.
pub(crate) type HashSet<T> = hashbrown::HashSet<T, Hasher>;

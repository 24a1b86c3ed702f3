//! From the typed tree to a physical plan: rewrites, join order, access paths, the plan cache.

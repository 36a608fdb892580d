//! What keeps a repository small and fast, at the level of contents, packs and indexes.
//!
//! Each task here states what must be true before it may delete anything, takes the time from its
//! caller (the storage's clock, not the local one) and is safe to be killed between any two
//! operations on the storage. When which task may run, and with which margins, is decided by pure
//! functions: `kopist_format::maintenance`.
//!
//! Sources: `kopia:repo/maintenance/`, `kopia:internal/epoch/`.

mod schedule;

//! Contents: from an id to its bytes.
//!
//! The index says in which pack a content lies, at which offset and how long; [`PackReader`]
//! gets those bytes through the caches; [`open_content`] decrypts and decompresses them. The
//! encryption authenticates every byte, so a read either returns what was written or fails.
//!
//! For reading much at once, [`Repository::plan_reads`](crate::Repository::plan_reads) turns a
//! list of contents into few large reads, each pack from front to back.

mod blocks;
mod open;
mod packs;
mod plan;

pub(crate) use open::{open_content, open_payload, unreadable_blob};
pub(crate) use packs::{From, PackReader};
pub use plan::{PackRun, PlanOptions, Visit};

/// What the index knows of a content.
pub type ContentInfo = kopist_format::index::Entry;

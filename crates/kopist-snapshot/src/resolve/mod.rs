//! Which snapshot a path that was backed up means, as in `restore /some/path`.
//!
//! A path is looked for in the complete snapshots of its own source and of the directories above
//! it; [`SnapshotTime`] says which of those that hold it. Ids are the business of
//! [`browse`](crate::browse). Facts: `kopia:cli/command_restore.go`.

mod path;
mod when;

pub use path::{SnapshotPath, by_path};
pub use when::{InvalidTime, SnapshotTime};

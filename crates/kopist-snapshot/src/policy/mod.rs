//! Policies: settings at four levels, global, host, user and path.
//!
//! [`Policy`] is what is stored for one level. For a source the levels are folded into an
//! [`EffectivePolicy`], the most specific first; inside the source's tree a [`PolicyTree`] tells
//! which policy is in effect in each directory. All of this is arithmetic on values:
//! [`PolicySet`] holds every policy of a repository, [`crate::store`] loads and saves them.

mod compression;
pub mod cron;
mod defaults;
mod merge;
mod model;
mod set;
#[cfg(test)]
mod tests;
mod tree;
mod validate;

pub use defaults::built_in;
pub use merge::{Origins, merge};
pub use model::{
    ActionCommand, Actions, Compression, DirectoryLogging, EntryLogging, ErrorHandling, ExtraMap,
    Files, Logging, MetadataCompression, OsSnapshots, Policy, Retention, Scheduling, Splitter,
    TimeOfDay, Unset, Upload, VolumeShadowCopy,
};
pub use set::{EffectivePolicy, Labels, PolicySet, StoredPolicy, labels, target_of};
pub use tree::{PolicyAt, PolicyTree};
pub use validate::{PolicyError, validate};

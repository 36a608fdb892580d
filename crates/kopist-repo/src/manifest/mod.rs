//! Manifests: small labelled JSON documents (snapshots, policies, maintenance parameters).
//!
//! They lie in contents with prefix `m`, several in one, and are read all at once: a
//! [`ManifestView`] is the merged result, immutable and cheap to share. What a
//! [`RepositoryWriter`](crate::RepositoryWriter) has put or deleted and not yet flushed is laid
//! over it by [`RepositoryWriter::manifests`](crate::RepositoryWriter::manifests).
//!
//! Sources: `kopia:repo/manifest/`.

mod load;
mod view;

pub use kopist_format::manifest::{Labels, ManifestEntry};
pub(crate) use load::{ManifestCache, load, load_readable};
pub use view::{ManifestId, ManifestMeta, ManifestView};

/// The label that every manifest has.
pub const TYPE_LABEL: &str = "type";

/// Manifest contents are written as one when there are this many.
pub(crate) const COMPACT_AT: usize = 16;

//! Directory trees: listing, comparing, making and changing them.
//!
//! A [`Listing`] is what a restore must bring back: for every path its type, mode, time, owner,
//! size, digest and link target. Golden descriptions hold such listings, and two restores of one
//! snapshot have the same one.

mod compare;
mod list;
mod random;

pub use compare::{Comparison, Differences, compare};
pub use list::list;
pub use random::{RandomTree, Rng, TreeShape};

use serde::{Deserialize, Serialize};

/// Entries of a tree in order of their paths; the first is the root, with the path `.`.
pub type Listing = Vec<Entry>;

/// One file, directory or symbolic link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path below the root. Bytes that are not UTF-8 appear as `\xNN`.
    pub path: String,
    /// `f` file, `d` directory, `s` symbolic link, `?` anything else.
    #[serde(rename = "type")]
    pub kind: char,
    /// Permission bits in octal with setuid, setgid and sticky; none for symbolic links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Unix nanoseconds.
    pub mtime_ns: i64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Digest of a file, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Target of a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

//! Packs: blobs that hold many contents.
//!
//! ```text
//! [ copy of the format blob ]   only where passwords cannot be changed
//! [ 32 random bytes ]           preamble
//! [ content ][ content ] …      each encrypted, back to back, no framing
//! [ 1..4096 random bytes ]      so that the next field starts at a multiple of 4096
//! [ local index ]               encrypted; an index of the entries of this pack
//! [ postamble ]                 where the local index lies; last byte is its own length
//! ```
//!
//! Readers find contents by the offsets in indexes and look at nothing else. The local index and
//! the [`Postamble`] serve one purpose: to recover the index of a repository that lost its own.
//!
//! Sources: `kopia:repo/content/content_manager.go`, `content_index_recovery.go`.

mod postamble;
#[cfg(test)]
mod tests;

pub use postamble::{MAX_POSTAMBLE_LENGTH, Postamble, PostambleError};

use crate::{id::ContentId, index::PackName, session::SessionId};

/// Random bytes in front of the first content.
pub const PREAMBLE_LENGTH: usize = 32;

/// The local index starts at a multiple of this.
pub const ALIGNMENT: usize = 4096;

/// What a repository without a size setting uses.
pub const DEFAULT_MAX_PACK_SIZE: usize = 20 << 20;

/// Bytes at the end of a pack to fetch for recovery: enough for most local indexes.
pub const RECOVERY_TAIL: u64 = 8192;

/// What a pack holds; contents of the two kinds never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PackKind {
    /// `p`: contents without prefix, which is file data.
    Data,
    /// `q`: contents with a prefix: directories, manifests, lists of pieces.
    Metadata,
}

impl PackKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Data, Self::Metadata];

    /// Where a content goes.
    pub fn of_content(id: &ContentId) -> Self {
        if id.has_prefix() { Self::Metadata } else { Self::Data }
    }

    /// The kind of a pack blob; `None` for other blobs.
    pub fn of_blob(name: &str) -> Option<Self> {
        match name.as_bytes().first() {
            Some(b'p') => Some(Self::Data),
            Some(b'q') => Some(Self::Metadata),
            _ => None,
        }
    }

    /// First letter of the names of its packs.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Data => "p",
            Self::Metadata => "q",
        }
    }

    /// The name of a new pack, from 16 random bytes.
    pub fn new_name(self, random: [u8; 16], session: &SessionId) -> PackName {
        format!("{}{}-{session}", self.prefix(), hex::encode(random)).into()
    }
}

/// How many random bytes go between the last content and the local index, in a pack of `length`
/// bytes so far: 1 to 4096. A pack that is aligned already gets 4096, as kopia does it.
pub fn padding_length(length: usize) -> usize {
    ALIGNMENT - length % ALIGNMENT
}

//! Where a blob lives in a tree of directories.
//!
//! Stores that keep blobs as files (filesystem, SFTP, WebDAV, rclone) share one layout, so a
//! repository can be moved between them. A blob is the file `<rest>.f` below directories that
//! are cut off the front of its id; how many bytes each takes is written in the file `.shards`
//! at the root. `[1, 3]` puts `p1234567…` at `p/123/4567….f`; ids of up to 20 bytes stay at
//! the root.
//!
//! `.shards` alone decides: a blob is looked for in one place only. That is why the first write
//! to a store must leave that file behind, and why nothing ever guesses.
//!
//! Facts: kopia:repo/blob/sharded.

mod listing;
mod parameters;

pub use listing::{blob_of_file, leads_to};
pub use parameters::{Override, Parameters};

/// Name of the file that describes the layout, at the root of a store.
pub const PARAMETERS_FILE: &str = ".shards";

/// Ends the name of every complete blob's file; files without it are no blobs.
pub const BLOB_SUFFIX: &str = ".f";

/// The layout a new store gets.
pub const DEFAULT_FOR_CREATE: &[usize] = &[1, 3];

/// The layout of a store that has no `.shards` file although it is in use already: such ones
/// were made before the file existed.
pub const DEFAULT_FOR_CONNECT: &[usize] = &[3, 3];

/// Ids of up to this many bytes stay at the root, unless `.shards` says otherwise.
pub const DEFAULT_UNSHARDED_LENGTH: usize = 20;

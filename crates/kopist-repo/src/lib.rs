//! An open Kopia repository.
//!
//! ```text
//! manifests ('m' contents)        objects (streams of any length)
//!            └────────── contents (id → bytes) ─────────┘
//! packs 'p'/'q'  +  session markers 's'  +  index blobs ('x…' epochs | 'n','m','l' before)
//!                           blob store
//! ```
//!
//! * [`create`] makes a repository, [`Repository::open`] opens one: contents, objects and
//!   manifests as they are committed.
//! * [`RepositoryWriter`] writes: everything that it wrote becomes visible at
//!   [`flush`](RepositoryWriter::flush), through one index blob.
//! * [`maintenance`] has what keeps a repository small: renewing short packs, dropping deleted
//!   contents, deleting packs that nothing refers to, compacting indexes.
//! * [`sync`] copies a repository to another place, blob by blob.
//! * [`LocalConfig`] is the client's side: where the repository is and who we are.
//!
//! Everything blocks and everything may be called from any thread. Time comes from a [`Clock`].
//!
//! Nothing above this crate touches packs or index blobs.

pub mod cache;
mod clock;
pub mod config;
mod content;
mod error;
mod identity;
mod index;
pub mod maintenance;
pub mod manifest;
mod object;
mod pack;
mod recover;
mod repository;
mod settings;
pub mod sync;
mod util;
pub mod verify;
mod writer;

pub use cache::CacheOptions;
pub use clock::{Clock, ManualClock, SystemClock};
pub use config::LocalConfig;
pub use content::{ContentInfo, PackRun, PlanOptions, Visit};
pub use error::{RepoError, Result, Unreadable};
pub use identity::ClientIdentity;
pub use index::{ContentSet, Entries, IndexView, KeyRange, Ordinal};
pub use manifest::{ManifestId, ManifestMeta, ManifestView};
pub use object::{Chunk, ObjectOptions, ObjectReader, ObjectWriter};
pub use recover::recover_format_blob;
pub use repository::{OpenOptions, Repository, Sessions};
pub use settings::{CreateOptions, ParameterChange, Parameters, RetentionChange, create};
pub use verify::{VerifyError, VerifyObserver, VerifyOptions, VerifyReport};
pub use writer::{RepositoryWriter, WriterOptions, WriterStats};

//! A backup engine that reads and writes the Kopia repository format natively.
//!
//! A *repository* is a place of blobs ([`blob`], [`cloud`]) in a fixed format ([`format`](mod@format)). An
//! open one has contents, objects and manifests ([`repo`]); on these stand sources, policies,
//! snapshots, restores and maintenance ([`snapshot`]). What one of kopist and kopia writes, the
//! other reads.
//!
//! A backup and a restore:
//!
//! ```
//! use std::path::Path;
//!
//! use kopist::cloud::{self, ConnectOptions};
//! use kopist::repo::{ClientIdentity, CreateOptions, OpenOptions, Repository, WriterOptions};
//! use kopist::snapshot::restore::{self, RestoreOptions};
//! use kopist::snapshot::upload::{self, UploadSource};
//! use kopist::snapshot::{SnapshotRequest, SourceInfo};
//! use kopist::{SecretString, StorageConfig};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let dir = tempfile::tempdir()?;
//!     let (home, copy) = (dir.path().join("home"), dir.path().join("copy"));
//!     std::fs::create_dir(&home)?;
//!     std::fs::write(home.join("letter.txt"), "Dear reader")?;
//!
//!     // A place for blobs, and a repository in it.
//!     let place = serde_json::json!({ "path": dir.path().join("backups") });
//!     let storage = StorageConfig::new("filesystem", place);
//!     let store = cloud::create(&storage, &ConnectOptions::default())?;
//!     let password = SecretString::from("correct horse battery staple");
//!     kopist::repo::create(&*store, &password, &CreateOptions::default())?;
//!
//!     // A snapshot. What a writer wrote becomes visible when it is flushed.
//!     let identity = ClientIdentity::new("me", "my-laptop");
//!     let options = OpenOptions { identity, ..OpenOptions::default() };
//!     let repository = Repository::open(store, &password, options)?;
//!     let writer = repository.writer(WriterOptions::default())?;
//!     let source = SourceInfo::new("my-laptop", "me", "/home/me");
//!     let request = SnapshotRequest::new(source, UploadSource::local(&home)?);
//!     let created = kopist::snapshot::create(&writer, request, &upload::Silent)?;
//!     writer.flush()?;
//!
//!     // And every byte back.
//!     let root = created.manifest.root_entry.ok_or("the snapshot is empty")?;
//!     let stats =
//!         restore::restore(&repository, &root, &copy, &RestoreOptions::default(), &restore::Silent)?;
//!     assert_eq!(stats.files, 1);
//!     assert_eq!(std::fs::read_to_string(copy.join("letter.txt"))?, "Dear reader");
//!     Ok(())
//! }
//! ```
//!
//! The feature `program`, on by default, adds what the `kopist` binary needs. A library user
//! turns it off, and names the kinds of storage that are wanted besides directories (`s3`, `gcs`,
//! `azure`, `b2`, `webdav`, `sftp`, `rclone`, `gdrive`, or `stores` for all of them):
//!
//! ```toml
//! kopist = { version = "0.1", default-features = false, features = ["s3"] }
//! ```
//!
//! Everything blocks, and everything may be called from any thread.

#[doc(no_inline)]
pub use kopist_blob as blob;
#[doc(no_inline)]
pub use kopist_cloud as cloud;
#[doc(no_inline)]
pub use kopist_format as format;
#[doc(no_inline)]
pub use kopist_repo as repo;
#[doc(no_inline)]
pub use kopist_snapshot as snapshot;

pub use kopist_blob::{BlobStore, StorageConfig};
pub use kopist_repo::{Repository, RepositoryWriter};
pub use kopist_snapshot::{SnapshotRequest, SourceInfo};
/// A password: never printed, wiped when dropped.
pub use secrecy::SecretString;

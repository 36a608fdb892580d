//! Snapshots on a Kopia repository: what people mean by a backup.
//!
//! - [`source`]: who backs up what; [`policy`]: how; [`ignore`]: what is left out;
//!   [`retention`]: what is kept. All four are pure.
//! - [`fs`]: the trees that are backed up; [`upload`]: getting one into a repository;
//!   [`actions`]: commands that run around it; [`estimate`](mod@estimate): how large it would be.
//! - [`store`]: snapshots and policies as they are stored; [`create`](mod@create),
//!   [`expire`]: making and deleting snapshots.
//! - [`browse`]: looking into snapshots; [`resolve`]: which one a path means;
//!   [`restore`](mod@restore): getting one back; [`verify`](mod@verify): making sure that one
//!   could; [`usage`]: what each adds to the storage.
//! - [`diff`](mod@diff): comparing two; [`fix`]: repairing them; [`history`]: giving them to
//!   somebody else; [`migrate`]: getting them from another repository.
//! - [`walk`](mod@walk): all objects of all snapshots, each once; [`gc`]: what is not among them;
//!   [`maintenance`]: the run of all that keeps a repository small.
//!
//! Everything is blocking and runs on plain threads.

pub mod actions;
pub mod browse;
pub mod create;
pub mod diff;
mod error;
pub mod estimate;
pub mod expire;
pub mod fix;
pub mod fs;
pub mod gc;
pub mod history;
pub mod ignore;
pub mod maintenance;
pub mod migrate;
pub mod policy;
mod queue;
pub mod resolve;
pub mod restore;
pub mod retention;
pub mod source;
pub mod store;
pub mod upload;
pub mod usage;
pub mod verify;
pub mod walk;

pub use create::{Created, SnapshotRequest, create};
pub use error::{Result, SnapshotError};
pub use source::SourceInfo;

//! Snapshots of real trees in real repositories.

// Files that tests make get the machine's times.
#![allow(clippy::disallowed_methods)]
// A failed precondition is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod archive;
mod common;
mod fix;
mod golden;
mod limits;
mod maintenance;
mod migrate;
mod oracle;
mod resolve;
mod restore;
mod shallow;
mod upload;
mod verify;

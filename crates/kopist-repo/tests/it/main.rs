//! Tests of the repository as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed precondition is a failed test

mod caches;
mod common;
mod crash;
mod epochs;
mod golden;
mod maintenance;
mod oracle;
mod recovery;
mod requests;
mod settings;
mod sync;
mod writing;

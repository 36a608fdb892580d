//! Tests of the repository as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed precondition is a failed test

mod common;
mod crash;
mod golden;
mod oracle;
mod requests;
mod writing;

//! Tests that need a disk, many threads or the real kopia.

// Files that tests make get the machine's times.
#![allow(clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)] // tests may panic

mod conformance;
mod filesystem;
mod killed;
mod kopia;
mod vectors;

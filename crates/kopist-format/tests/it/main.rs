//! Tests that need a repository on disk, or kopia itself.

// A failed precondition of a test is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod kopia_opens;

//! Tests that need a repository on disk, or kopia itself.

mod kopia_opens;

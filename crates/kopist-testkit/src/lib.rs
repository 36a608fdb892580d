//! What kopist's tests share.
//!
//! - [`golden`]: repositories written by kopia itself, with a description of everything they hold;
//! - [`vectors`]: inputs and outputs of single functions of the format, measured on kopia;
//! - [`tree`]: listing, comparing, making and changing directory trees;
//! - [`oracle`]: kopia itself, when it is installed, run in an isolated directory;
//! - [`servers`]: real servers of storage, when they are installed, started for one test;
//! - [`proxy`]: a bad network between a client and such a server.
//!
//! Only tests depend on this crate. It fails by panicking with a message that names the file or
//! the command, because that is what a test report shows.

// A failed precondition of a test is a failed test: the panic message is the report.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod golden;
pub mod oracle;
pub mod proxy;
pub mod servers;
pub mod tree;
pub mod vectors;

use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir.ancestors().nth(2).expect("the crate lies two levels below the root").to_path_buf()
}

/// The folder `testdata/` of the checkout.
pub fn testdata() -> PathBuf {
    checkout().join("testdata")
}

//! The one suite that every store must pass (feature `testing`).
//!
//! ```
//! use std::sync::Arc;
//! use kopist_blob::{MemoryStore, testing};
//!
//! testing::conformance(&|| Arc::new(MemoryStore::new()));
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used)] // a suite fails by panicking

mod cases;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

pub use cases::CASES;

use crate::BlobStore;

/// One promise of a store.
pub struct Case {
    /// The promise in words.
    pub name: &'static str,
    /// Panics when an empty store does not keep it.
    pub run: fn(&dyn BlobStore),
}

/// Runs every case against a new, empty store from `make`, and panics naming those that failed.
pub fn conformance(make: &dyn Fn() -> Arc<dyn BlobStore>) {
    let mut failed = Vec::new();
    let mut first_panic = None;
    for case in CASES {
        let store = make();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (case.run)(&*store))) {
            failed.push(format!("{}: {}", store.display_name(), case.name));
            first_panic.get_or_insert(panic);
        }
    }
    if let Some(panic) = first_panic {
        // The messages of the panics themselves are on standard error already.
        tracing::error!(?failed, "a store does not keep its promises");
        if failed.len() == 1 {
            resume_unwind(panic);
        }
        panic!("a store does not keep its promises:\n{}", failed.join("\n"));
    }
}

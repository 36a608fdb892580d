//! Ignore rules: what a snapshot leaves out.
//!
//! A [`Pattern`] is one rule, in the dialect of kopia, which resembles that of git but differs in
//! ways that decide what is backed up. A [`Context`] holds the rules of one directory, from its
//! policy and its dot-ignore files, and points to its parent's. Facts: `kopia:internal/wcmatch`,
//! `kopia:fs/ignorefs/ignorefs.go`.

mod class;
mod context;
mod pattern;
#[cfg(test)]
mod tests;

pub use context::{Candidate, Context, IgnoreError, Verdict, code_points, is_cache_tag};
pub use pattern::{Pattern, PatternError};

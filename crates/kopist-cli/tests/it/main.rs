//! Tests of the command line as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is how a test reports

mod errors;
mod parity;
mod surface;
mod sync;
mod throttle;

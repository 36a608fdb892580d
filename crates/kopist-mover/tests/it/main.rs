//! Scenarios of the container contract, each run as a process of its own, with kopia as
//! the judge of what is in the repository afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed step of a test is a failed test

mod authorities;
mod container;
mod deploy;
mod differential;
mod expect;
mod looking;
mod operator;
mod planning;
mod pod;
mod remote;
mod rooted;
mod runs;
mod scenario;
mod setup;
mod telling;
mod walk;

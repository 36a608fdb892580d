//! The container contract of the VolSync Kopia mover.
//!
//! The operator starts a container with a word and an environment, and reads back an
//! exit status and the last lines of the log. In between there are two steps:
//! [`plan::plan`] turns the environment into a typed plan without touching
//! anything, and [`run::run`] executes the plan in this process, over one open
//! repository.
//!
//! | module | idea |
//! | --- | --- |
//! | [`env`](mod@env) | the environment, folded |
//! | [`variables`] | every variable of the contract, one row each |
//! | [`probe`] | mounted files and limits of the pod |
//! | [`plan`] | the decisions, as a pure function |
//! | [`run`] | the execution |
//! | [`report`] | the log, line by line |
//! | [`telemetry`] | what else a run tells: metrics, a report, signs of life |
//! | [`root`] | where container paths lie on this machine |
//!
//! `docs/mover.md` is the contract for its users.

pub mod env;
mod mover;
pub mod plan;
pub mod probe;
pub mod report;
pub mod root;
pub mod run;
pub mod telemetry;
pub mod variables;

pub use mover::{Mover, main};

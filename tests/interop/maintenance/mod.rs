//! Maintenance of one repository by both programs.
//!
//! - [`golden`]: a repository whose space never came back under kopia alone;
//! - [`turns`]: weeks in which the two take turns as the owner of maintenance;
//! - [`at_once`]: a run without margins;
//! - [`aging`]: how days pass for programs that go by the system's clock.

mod aging;
mod at_once;
mod golden;
mod turns;

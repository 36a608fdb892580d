//! Maintenance of one repository by both programs.
//!
//! - [`golden`]: a repository whose space never came back under kopia alone;
//! - [`turns`]: weeks in which the two take turns as the owner of maintenance;
//! - [`aging`]: how days pass for programs that go by the system's clock.

mod aging;
mod golden;
mod turns;

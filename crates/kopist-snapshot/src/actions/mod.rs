//! Actions: commands of a policy that run around a snapshot.
//!
//! ```text
//! before-snapshot-root            once for the snapshot, inherited like other settings
//!   before-folder                 for each directory with a policy of its own that has one
//!     … the directory …           read at the place that the action named, or its own
//!   after-folder
//! after-snapshot-root
//! ```
//!
//! * A "before" and its "after" are a pair: one id, one working directory, one environment.
//!   The "after" runs whenever its "before" did not fail, also when the snapshot did.
//! * An `essential` action that fails fails what it belongs to; any other failure is told and
//!   passed over; an `async` one is started and nobody waits for it ([`Background`]).
//! * A command is the head of its own process group. When its time is over or the run is
//!   stopped, the whole group is: what a script started does not stay behind.
//! * A "before" can name another directory to be read in the place of its own, such as the
//!   mounted snapshot of a volume, with a line `KOPIA_SNAPSHOT_PATH=…` on standard output.
//!
//! Source: `kopia:snapshot/upload/upload_actions.go`.

mod background;
mod pair;
mod process;

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use background::Background;
pub use pair::{ActionError, Pair};
pub use process::{Ended, Limits, Stream, describe_exit, end_group, watch};

/// When an action runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Before the snapshot.
    BeforeSnapshotRoot,
    /// After the snapshot.
    AfterSnapshotRoot,
    /// Before a directory is read.
    BeforeFolder,
    /// After a directory was stored.
    AfterFolder,
}

impl Action {
    /// The name that the command finds in `KOPIA_ACTION`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeSnapshotRoot => "before-snapshot-root",
            Self::AfterSnapshotRoot => "after-snapshot-root",
            Self::BeforeFolder => "before-folder",
            Self::AfterFolder => "after-folder",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether and how actions run.
#[derive(Clone, Debug)]
pub struct ActionOptions {
    /// Run them. Without it they are passed over, and that is told.
    pub enabled: bool,
    /// What the commands find as `KOPIA_VERSION`.
    pub version: String,
    /// The environment of the commands; `None` is the one of this process.
    pub environment: Option<Vec<(OsString, OsString)>>,
    /// Where their output goes.
    pub output: ActionOutput,
    /// Actions that nobody waits for.
    pub background: Background,
}

impl Default for ActionOptions {
    /// Actions do not run.
    fn default() -> Self {
        Self {
            enabled: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            environment: None,
            output: ActionOutput::Inherit,
            background: Background::default(),
        }
    }
}

/// A listener to lines of output.
pub type LineListener = Arc<dyn Fn(&ActionLine<'_>) + Send + Sync>;

/// Where the output of actions goes.
#[derive(Clone, Default)]
pub enum ActionOutput {
    /// Standard error is that of this process; standard output is not shown. Of asynchronous
    /// actions, which may outlive this process, nothing is shown.
    #[default]
    Inherit,
    /// Both go to a listener, line by line.
    Lines(LineListener),
}

impl fmt::Debug for ActionOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inherit => "Inherit",
            Self::Lines(_) => "Lines",
        })
    }
}

/// A line that an action printed.
#[derive(Clone, Copy, Debug)]
pub struct ActionLine<'a> {
    /// Which action.
    pub action: Action,
    /// The directory that it belongs to.
    pub source: &'a Path,
    /// Where it was printed.
    pub stream: Stream,
    /// The line without its end.
    pub text: &'a [u8],
}

/// What is told of actions while they run.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    /// Something that is as it should be.
    Info(&'a str),
    /// Something that failed and was passed over.
    Problem(&'a str),
}

//! The log: the only thing that is read back.
//!
//! The operator keeps the last kilobyte of it in the status of the resource, people
//! search it, and tests of the operator look for certain phrases. So lines have fixed
//! forms, come in one stream (the order across two pipes is not defined), are short,
//! have no carriage returns, and pass a mask that knows every credential of the
//! environment. What matters is printed last.
//!
//! | module | what it prints |
//! | --- | --- |
//! | `mask` | replaces credentials by value |
//! | `environment` | which variables are set |
//! | `discovery` | which snapshots there are, for people and for the operator's parser |
//! | `outcome` | how it ended: result, reason, figures |
//! | `summary` | the last block of every run |
//! | `hints` | what usually helps |
//! | `termination` | one JSON object for `/dev/termination-log` |

pub mod discovery;
mod environment;
mod events;
mod hints;
mod mask;
mod outcome;
mod summary;
mod termination;

pub use environment::{environment_status, log_configuration};
pub use events::forward_events;
pub use hints::hint;
pub use mask::Mask;
pub use outcome::{Checked, Figures, Outcome, Reason, Verdict, Written, bytes};
pub use summary::{CacheUse, MaintenanceSummary, Summary};
pub use termination::termination_message;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// Longer lines are cut: the operator's scanner gives up at 64 KiB.
const MAX_LINE_BYTES: usize = 4096;

/// How much of what the libraries tell is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What failed.
    Error,
    /// What may surprise.
    Warn,
    /// What happens.
    Info,
    /// How it happens.
    Debug,
}

impl Level {
    /// The level of `KOPIA_LOG_LEVEL`; unknown words mean the usual one.
    pub fn of(word: Option<&str>) -> Self {
        match word {
            Some("debug" | "trace") => Self::Debug,
            Some("warning" | "warn") => Self::Warn,
            Some("error" | "fatal") => Self::Error,
            _ => Self::Info,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// Writes the log of one run; shared by all threads.
pub struct Report {
    out: Mutex<Box<dyn Write + Send>>,
    mask: Mask,
    level: Level,
    json: AtomicBool,
    now: fn() -> Timestamp,
}

impl Report {
    /// Writes lines of text to `out`; `now` stamps the lines of the JSON form.
    pub fn new(
        out: Box<dyn Write + Send>,
        mask: Mask,
        level: Level,
        now: fn() -> Timestamp,
    ) -> Self {
        Self { out: Mutex::new(out), mask, level, json: AtomicBool::new(false), now }
    }

    /// Writes one JSON object a line instead of text from now on.
    pub fn use_json(&self, json: bool) {
        self.json.store(json, Ordering::Relaxed);
    }

    /// The text as it would be printed: without credentials.
    pub fn masked(&self, text: &str) -> String {
        self.mask.apply(text)
    }

    /// Whether lines of this level of detail are printed.
    pub fn shows(&self, level: Level) -> bool {
        level <= self.level
    }

    /// A line in a form of its own, without a prefix.
    pub fn line(&self, text: impl AsRef<str>) {
        self.write(Level::Info, "", text.as_ref());
    }

    /// `INFO: …`
    pub fn info(&self, text: impl AsRef<str>) {
        self.write(Level::Info, "INFO: ", text.as_ref());
    }

    /// `WARN: …`
    pub fn warn(&self, text: impl AsRef<str>) {
        self.write(Level::Warn, "WARN: ", text.as_ref());
    }

    /// `ERROR: …`
    pub fn error(&self, text: impl AsRef<str>) {
        self.write(Level::Error, "ERROR: ", text.as_ref());
    }

    /// `DEBUG: …`, when asked for.
    pub fn debug(&self, text: impl AsRef<str>) {
        if self.shows(Level::Debug) {
            self.write(Level::Debug, "DEBUG: ", text.as_ref());
        }
    }

    fn write(&self, level: Level, prefix: &str, text: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        for line in self.mask.apply(text).split(['\n', '\r']) {
            if line.is_empty() && !text.is_empty() {
                continue;
            }
            let line = clean(line);
            // A log that nobody takes any more must not stop a backup.
            let _ = if self.json.load(Ordering::Relaxed) {
                let object = serde_json::json!({
                    "time": (self.now)().to_string(),
                    "level": level.word(),
                    "message": line,
                });
                writeln!(out, "{object}")
            } else {
                writeln!(out, "{prefix}{line}")
            };
        }
        let _ = out.flush();
    }
}

/// Without control characters, and not too long.
fn clean(line: &str) -> String {
    let mut clean: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.len() > MAX_LINE_BYTES {
        clean.truncate(clean.floor_char_boundary(MAX_LINE_BYTES));
        clean.push('…');
    }
    clean
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use std::sync::Arc;

    /// A log in memory.
    #[derive(Clone, Default)]
    pub(crate) struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Memory {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        pub(crate) fn report(&self, level: Level) -> Report {
            Report::new(Box::new(self.clone()), Mask::default(), level, || Timestamp::UNIX_EPOCH)
        }
    }

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Memory;
    use super::*;

    #[test]
    fn forms_of_lines() {
        let memory = Memory::default();
        let report = memory.report(Level::Info);
        report.line("=== A ===");
        report.info("b\rc\n");
        report.warn("d");
        report.error("e\x1b[31m");
        report.debug("not shown");
        assert_eq!(memory.text(), "=== A ===\nINFO: b\nINFO: c\nWARN: d\nERROR: e [31m\n");
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let memory = Memory::default();
        memory.report(Level::Info).line("ä".repeat(5000));
        let text = memory.text();
        assert!(text.len() < 4200 && text.ends_with("ä…\n"));
    }

    #[test]
    fn json_lines() {
        let memory = Memory::default();
        let report = memory.report(Level::Info);
        report.use_json(true);
        report.warn("x \"y\"");
        assert_eq!(
            memory.text(),
            "{\"time\":\"1970-01-01T00:00:00Z\",\"level\":\"warn\",\"message\":\"x \\\"y\\\"\"}\n"
        );
    }
}

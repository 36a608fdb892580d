//! How commands fail.

use std::{error::Error, fmt, io};

/// Exit code of a command that kopia has and this program does not have yet.
pub const NOT_SUPPORTED: u8 = 3;

/// Exit code of a process whose reader has gone away, as a shell shows a death by `SIGPIPE`.
const BROKEN_PIPE: u8 = 141;

/// The failure of a command: what to say and how to exit.
#[derive(Debug)]
pub struct CommandError {
    message: String,
    code: u8,
}

impl CommandError {
    /// A failure with a message, exit code 1.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// A failure about which everything has been said already.
    pub fn silent(code: u8) -> Self {
        Self { message: String::new(), code }
    }

    /// The refusal of something that kopia has and this program does not have yet.
    pub fn not_supported(what: &str) -> Self {
        Self {
            message: format!(
                "{what} is not supported by kopist yet; use kopia itself for it, \
                 both work on the same repository"
            ),
            code: NOT_SUPPORTED,
        }
    }

    /// Says before the message what was being done.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        if !self.message.is_empty() {
            self.message = format!("{what}: {}", self.message);
        }
        self
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The message of an error followed by those of its sources that it does not contain already.
pub(crate) fn full_message(error: &(dyn Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        source = inner.source();
    }
    message
}

impl<E: Error + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        let error: &(dyn Error + 'static) = &error;
        match error.downcast_ref::<io::Error>() {
            Some(io) if io.kind() == io::ErrorKind::BrokenPipe => Self::silent(BROKEN_PIPE),
            _ => Self::new(full_message(error)),
        }
    }
}

/// Adds what was being done to the errors of libraries.
pub(crate) trait Context<T> {
    /// Says before the message what was being done.
    fn context(self, what: impl fmt::Display) -> Result<T, CommandError>;
}

impl<T, E: Into<CommandError>> Context<T> for Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T, CommandError> {
        self.map_err(|e| e.into().context(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn messages_contain_each_source_once() {
        let error = CommandError::from(Outer(io::Error::other("inner")));
        assert_eq!(error.context("doing").to_string(), "doing: outer: inner");
        let pipe = CommandError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((pipe.code(), pipe.to_string()), (141, String::new()));
    }
}

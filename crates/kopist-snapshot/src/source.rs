//! Sources: who backed up what, as `user@host:path`.
//!
//! Facts: `kopia:snapshot/source.go`, `kopia:repo/userhost.go`.

use std::fmt;

use kopist_format::snapshot::SnapshotSource;
use serde::{Deserialize, Serialize};

/// A source of snapshots, or the level that a policy is for: with parts missing it means all
/// paths of a user, all users of a host, or everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceInfo {
    /// Host name.
    pub host: String,
    /// User name.
    #[serde(rename = "userName")]
    pub user_name: String,
    /// Absolute path with the separators of the machine it is on.
    pub path: String,
}

/// A text that names no source.
#[derive(Debug, thiserror::Error)]
#[error("invalid hostname in {0:?}; write user@host:path, user@host, @host or a local path")]
pub struct ParseSourceError(String);

impl SourceInfo {
    /// A source from its parts.
    pub fn new(
        user_name: impl Into<String>,
        host: impl Into<String>,
        path: impl Into<String>,
    ) -> Self {
        Self { host: host.into(), user_name: user_name.into(), path: path.into() }
    }

    /// The target of the global policy.
    #[must_use]
    pub fn global() -> Self {
        Self::default()
    }

    /// Whether this is the target of the global policy.
    #[must_use]
    pub fn is_global(&self) -> bool {
        *self == Self::default()
    }

    /// Reads `(global)`, `user@host:path`, `user@host`, `@host`, or a local path.
    ///
    /// A local path is made absolute against `current_dir` and cleaned without looking at the
    /// disk; it belongs to `user_name` at `host`. The parts of the other forms are taken as
    /// they are.
    pub fn parse(
        text: &str,
        host: &str,
        user_name: &str,
        current_dir: &str,
    ) -> Result<Self, ParseSourceError> {
        if text == "(global)" {
            return Ok(Self::global());
        }
        match (text.find('@'), text.find(':')) {
            (Some(at), Some(colon)) if at > 0 && at < colon => {
                return Ok(Self::new(&text[..at], &text[at + 1..colon], &text[colon + 1..]));
            }
            (Some(at), None) => {
                if at + 1 == text.len() {
                    return Err(ParseSourceError(text.to_owned()));
                }
                return Ok(Self::new(&text[..at], &text[at + 1..], ""));
            }
            _ => {}
        }
        let absolute =
            if text.starts_with('/') { text.to_owned() } else { format!("{current_dir}/{text}") };
        Ok(Self::new(user_name, host, clean_path(&absolute)))
    }
}

/// An absolute path without `.`, `..`, doubled or trailing slashes.
#[must_use]
pub fn clean_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The host name that kopia would use: up to the first dot, in lower case.
#[must_use]
pub fn default_host(os_host: &str) -> String {
    os_host.split('.').next().unwrap_or_default().to_lowercase()
}

impl fmt::Display for SourceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_global() {
            f.write_str("(global)")
        } else if self.path.is_empty() {
            write!(f, "{}@{}", self.user_name, self.host)
        } else {
            write!(f, "{}@{}:{}", self.user_name, self.host, self.path)
        }
    }
}

impl From<&SnapshotSource> for SourceInfo {
    fn from(source: &SnapshotSource) -> Self {
        Self::new(&source.user_name, &source.host, &source.path)
    }
}

impl From<&SourceInfo> for SnapshotSource {
    fn from(source: &SourceInfo) -> Self {
        Self {
            host: source.host.clone(),
            user_name: source.user_name.clone(),
            path: source.path.clone(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> String {
        match SourceInfo::parse(text, "box", "me", "/home/me") {
            Ok(source) => source.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_form() {
        for (text, source) in [
            ("(global)", "(global)"),
            ("u@h:/p", "u@h:/p"),
            ("u@h:C:\\x y", "u@h:C:\\x y"),
            ("u@h:", "u@h"),
            ("u@h", "u@h"),
            ("@h", "@h"),
            ("/a/b/../c//d/./", "me@box:/a/c/d"),
            ("x", "me@box:/home/me/x"),
            ("..", "me@box:/home"),
            ("", "me@box:/home/me"),
            ("a:b@c", "me@box:/home/me/a:b@c"),
            ("@h:/p", "me@box:/home/me/@h:/p"),
        ] {
            assert_eq!(parse(text), source, "{text}");
        }
        assert!(parse("u@").starts_with("invalid hostname in \"u@\""));
        assert_eq!(clean_path("/../.."), "/");
        assert_eq!(default_host("Web01.Example.com"), "web01");
    }
}

//! The rules in effect in one directory.

use std::sync::Arc;

use super::pattern::{Pattern, PatternError};
use crate::policy::Files;

/// The rules of one directory, with those of the directories above. Cheap to clone; a directory
/// without rules of its own shares its parent's.
#[derive(Clone, Debug, Default)]
pub struct Context(Arc<Rules>);

#[derive(Debug, Default)]
struct Rules {
    parent: Option<Context>,
    patterns: Vec<Pattern>,
    dot_files: Vec<String>,
    max_file_size: i64,
    one_file_system: bool,
    /// Whether this or any context above has a pattern.
    any_pattern: bool,
}

/// Rules that cannot be used. The directory counts as unreadable: guessing what was meant could
/// leave out what must be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoreError {
    /// A rule of a policy.
    #[error("unable to parse ignore entry of the policy of {directory:?}: {source}")]
    Policy {
        /// Path from the root of the source; empty for the root.
        directory: String,
        /// What is wrong.
        source: PatternError,
    },
    /// A line of a dot-ignore file.
    #[error("unable to parse ignore file {file}: unable to parse ignore entry {line}: {source}")]
    File {
        /// Its name.
        file: String,
        /// The line.
        line: String,
        /// What is wrong.
        source: PatternError,
    },
    /// A dot-ignore file exists but cannot be read.
    #[error("unable to read ignore file {file}: {source}")]
    Read {
        /// Its name.
        file: String,
        /// What is wrong.
        source: std::io::Error,
    },
}

/// What a rule is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Path from the root of the source with a leading slash, as code points.
    pub path: &'a [char],
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Bytes; of a symbolic link, of its target text.
    pub size: i64,
    /// Whether it is on the device of the directory it is in.
    pub same_device: bool,
}

/// What happens to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored.
    Keep,
    /// A rule names it. Only this one is reported to whoever watches.
    Ignored,
    /// It is larger than the policy allows.
    TooLarge,
    /// It is on another file system.
    OtherDevice,
}

/// Lines longer than this end the file silently, as in kopia.
const MAX_LINE: usize = 64 << 10;

impl Context {
    /// The context of the directory at `path` (empty for the root, else `/a/b`) below this one.
    ///
    /// `policy` is the policy defined for exactly this directory; the root has one always.
    /// `read` gives the content of a file of the directory, or `None` if there is no such file.
    pub fn enter(
        &self,
        path: &str,
        policy: Option<&Files>,
        read: &mut dyn FnMut(&str) -> std::io::Result<Option<Vec<u8>>>,
    ) -> Result<Self, IgnoreError> {
        let names = policy.map_or(&self.0.dot_files, |policy| &policy.ignore_dot_files);
        let mut files = Vec::new();
        for name in names {
            let content =
                read(name).map_err(|source| IgnoreError::Read { file: name.clone(), source })?;
            files.extend(content.map(|content| (name, content)));
        }
        if files.is_empty() && policy.is_none() {
            return Ok(self.clone());
        }
        let mut rules = Rules {
            dot_files: Vec::new(),
            max_file_size: self.0.max_file_size,
            one_file_system: self.0.one_file_system,
            ..Rules::default()
        };
        for name in names {
            if !rules.dot_files.contains(name) {
                rules.dot_files.push(name.clone());
            }
        }
        if let Some(policy) = policy {
            if policy.max_file_size != 0 {
                rules.max_file_size = policy.max_file_size;
            }
            rules.one_file_system = policy.one_file_system.unwrap_or(false);
            for rule in &policy.ignore {
                let pattern = Pattern::parse(rule, path)
                    .map_err(|source| IgnoreError::Policy { directory: path.to_owned(), source })?;
                rules.patterns.push(pattern);
            }
        }
        for (name, content) in files {
            read_rules(&mut rules.patterns, path, name, &content)?;
        }
        rules.any_pattern = self.0.any_pattern || !rules.patterns.is_empty();
        rules.parent = Some(self.clone());
        Ok(Self(Arc::new(rules)))
    }

    /// What happens to an entry of this directory.
    #[must_use]
    pub fn judge(&self, candidate: Candidate<'_>) -> Verdict {
        let rules = &*self.0;
        if self.ignores(candidate.path, candidate.is_dir) {
            Verdict::Ignored
        } else if rules.max_file_size > 0
            && !candidate.is_dir
            && candidate.size > rules.max_file_size
        {
            Verdict::TooLarge
        } else if rules.one_file_system && !candidate.same_device {
            Verdict::OtherDevice
        } else {
            Verdict::Keep
        }
    }

    /// Whether any rule can match, so that paths are worth turning into code points.
    #[must_use]
    pub fn has_patterns(&self) -> bool {
        self.0.any_pattern
    }

    /// Whether entries on other devices are left out.
    #[must_use]
    pub fn one_file_system(&self) -> bool {
        self.0.one_file_system
    }

    fn ignores(&self, path: &[char], is_dir: bool) -> bool {
        let rules = &*self.0;
        if !rules.any_pattern {
            return false;
        }
        let mut ignored = rules.parent.as_ref().is_some_and(|parent| parent.ignores(path, is_dir));
        for pattern in &rules.patterns {
            // A plain rule can only ignore, a negated one only re-include.
            if pattern.is_negated() == ignored {
                ignored = pattern.matches(path, is_dir);
            }
        }
        ignored
    }
}

fn read_rules(
    patterns: &mut Vec<Pattern>,
    base: &str,
    file: &str,
    content: &[u8],
) -> Result<(), IgnoreError> {
    for line in content.split(|byte| *byte == b'\n') {
        if line.len() >= MAX_LINE {
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = kopist_format::directory::lossy_text(line);
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let pattern = Pattern::parse(&line, base).map_err(|source| IgnoreError::File {
            file: file.to_owned(),
            line: line.into_owned(),
            source,
        })?;
        patterns.push(pattern);
    }
    Ok(())
}

/// A path as code points; each byte that is not UTF-8 counts as U+FFFD.
pub fn code_points(path: &[u8], out: &mut Vec<char>) {
    out.clear();
    for chunk in path.utf8_chunks() {
        out.extend(chunk.valid().chars());
        out.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
    }
}

/// What a `CACHEDIR.TAG` must begin with.
const CACHE_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Whether the content of a `CACHEDIR.TAG` marks a directory as a cache.
#[must_use]
pub fn is_cache_tag(content: &[u8]) -> bool {
    content.starts_with(CACHE_TAG)
}

//! What comes from the surroundings of the process: variables, directories, user and host.
//!
//! Everything is read once at the edge, into [`Environment`]; nothing else in this crate asks
//! the operating system for variables.

mod identity;
mod keyring;
mod password;
mod paths;

use std::{collections::HashMap, ffi::OsString, path::PathBuf};

pub use identity::{default_host_name, default_user_name};
pub use paths::{absolute, clean, expand_home};

/// The variables of the process.
#[derive(Clone, Debug, Default)]
pub struct Environment(HashMap<OsString, OsString>);

impl Environment {
    /// The variables of this process.
    pub fn process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// Given variables, for tests and for callers that run a command in process.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// A variable.
    pub fn os(&self, name: &str) -> Option<OsString> {
        self.0.get(std::ffi::OsStr::new(name)).cloned()
    }

    /// A variable that is not empty, as text.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.os(name)?.to_string_lossy().into_owned();
        (!value.is_empty()).then_some(value)
    }

    /// A variable that says true in Go's syntax.
    pub fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|v| crate::grammar::parse_bool(&v) == Ok(true))
    }

    fn directory(&self, variable: &str, below_home: &str) -> PathBuf {
        match self.text(variable) {
            Some(dir) => dir.into(),
            None => PathBuf::from(self.os("HOME").unwrap_or_default()).join(below_home),
        }
    }

    /// The directory of configuration files: `$XDG_CONFIG_HOME/kopia`.
    pub fn config_dir(&self) -> PathBuf {
        self.directory("XDG_CONFIG_HOME", ".config").join("kopia")
    }

    /// The directory of caches and logs: `$XDG_CACHE_HOME/kopia`.
    pub fn cache_dir(&self) -> PathBuf {
        self.directory("XDG_CACHE_HOME", ".cache").join("kopia")
    }

    /// The configuration file: a name without directory lies in [`Self::config_dir`].
    pub fn config_file(&self, given: &std::ffi::OsStr) -> PathBuf {
        let path = PathBuf::from(given);
        let bare = path.file_name().is_some_and(|name| name == given);
        if bare { self.config_dir().join(path) } else { path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_names_lie_in_the_configuration_directory() {
        let env = Environment::new([("HOME".into(), "/home/u".into())]);
        let file = |name: &str| env.config_file(name.as_ref());
        assert_eq!(
            file("repository.config"),
            PathBuf::from("/home/u/.config/kopia/repository.config")
        );
        assert_eq!(file("./x"), PathBuf::from("./x"));
        assert_eq!(file("/a/b"), PathBuf::from("/a/b"));
        let env = Environment::new([("XDG_CACHE_HOME".into(), "/c".into())]);
        assert_eq!(env.cache_dir(), PathBuf::from("/c/kopia"));
    }
}

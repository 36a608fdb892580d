//! The environment of the container, folded the way the contract says.
//!
//! A pod's environment list may name a variable twice; the *last* value counts
//! (a shell does the same, `getenv` does not). An empty value counts as not set.
//! Values from file-based secrets often end in a newline, so texts are trimmed;
//! multi-line values such as keys and scripts are read with [`Env::raw`].
//!
//! Every value is held as a secret: what is one and what is not depends on the
//! variable, and `Debug` must never be the place where that is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// The environment variables of one run.
#[derive(Clone, Default)]
pub struct Env {
    values: BTreeMap<String, SecretString>,
    not_text: BTreeSet<String>,
}

impl Env {
    /// Folds `vars_os()`-like pairs; a later pair wins over an earlier one.
    pub fn from_os(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut env = Self::default();
        for (name, value) in vars {
            let Ok(name) = name.into_string() else {
                continue; // no variable of the contract has such a name
            };
            if let Ok(value) = value.into_string() {
                env.not_text.remove(&name);
                env.values.insert(name, value.into());
            } else {
                env.values.remove(&name);
                env.not_text.insert(name);
            }
        }
        env
    }

    /// The value without surrounding white space; `None` when absent or blank.
    pub fn text(&self, name: &str) -> Option<&str> {
        let text = self.values.get(name)?.expose_secret().trim();
        (!text.is_empty()).then_some(text)
    }

    /// The value exactly as delivered; `None` when absent or blank.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.text(name)?;
        self.values.get(name).map(ExposeSecret::expose_secret)
    }

    /// The trimmed value as a secret.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    /// Whether the variable counts as set.
    pub fn is_set(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// The first of `names` that is set, with its trimmed value.
    pub fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &str)> {
        names.iter().find_map(|name| self.text(name).map(|value| (*name, value)))
    }

    /// Names of all variables that count as set, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str).filter(|name| self.is_set(name))
    }

    /// The variables that begin with `prefix`, under the rest of their names.
    #[must_use]
    pub fn below(&self, prefix: &str) -> Self {
        let rest = |name: &str| name.strip_prefix(prefix).map(str::to_owned);
        Self {
            values: self
                .values
                .iter()
                .filter_map(|(name, value)| Some((rest(name)?, value.clone())))
                .collect(),
            not_text: self.not_text.iter().filter_map(|name| rest(name)).collect(),
        }
    }

    /// Variables whose value is not UTF-8; they cannot be used.
    pub fn not_text(&self) -> impl Iterator<Item = &str> {
        self.not_text.iter().map(String::as_str)
    }

    /// All pairs, for handing the environment on to a hook.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.expose_secret()))
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self::from_os(pairs.into_iter().map(|(name, value)| (name.into(), value.into())))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn the_last_of_two_equal_names_wins() {
        let env: Env = [("A", "first"), ("A", "second")].into_iter().collect();
        assert_eq!(env.text("A"), Some("second"));
    }

    #[test]
    fn blank_counts_as_not_set_and_text_is_trimmed() {
        let env: Env =
            [("EMPTY", ""), ("BLANK", " \n"), ("URL", "filesystem:///r\n")].into_iter().collect();
        assert!(!env.is_set("EMPTY") && !env.is_set("BLANK"));
        assert_eq!(env.raw("BLANK"), None);
        assert_eq!(env.text("URL"), Some("filesystem:///r"));
        assert_eq!(env.raw("URL"), Some("filesystem:///r\n"));
        assert_eq!(env.first(&["EMPTY", "URL"]), Some(("URL", "filesystem:///r")));
    }

    #[test]
    fn values_that_are_no_text_are_named_unless_replaced() {
        let bad = OsString::from_vec(vec![0xff]);
        let env = Env::from_os([
            ("A".into(), bad.clone()),
            ("B".into(), bad),
            ("B".into(), "fine".into()),
        ]);
        assert_eq!(env.not_text().collect::<Vec<_>>(), ["A"]);
        assert_eq!(env.text("B"), Some("fine"));
    }

    #[test]
    fn a_prefix_makes_an_environment_of_its_own() {
        let env: Env = [("T_A", "1"), ("A", "2"), ("T_", "3")].into_iter().collect();
        let below = env.below("T_");
        assert_eq!((below.text("A"), below.text("T_A")), (Some("1"), None));
        assert!(!env.below("X_").is_set("A"));
    }

    #[test]
    fn debug_shows_names_only() {
        let env: Env = [("KOPIA_PASSWORD", "TOPSECRET")].into_iter().collect();
        let shown = format!("{env:?}");
        assert!(shown.contains("KOPIA_PASSWORD") && !shown.contains("TOPSECRET"));
    }
}

//! The typed result of a parse.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
};

use super::{Command, Flag, Value};

/// The selected command with the values of its flags and arguments.
///
/// Values are asked for by the names of the tables. Asking for a name that the command does not
/// have is a mistake in the program: it yields "absent", and stops debug builds.
#[derive(Debug, Default)]
pub struct Matches {
    pub(super) path: Vec<&'static Command>,
    pub(super) known: Vec<&'static str>,
    /// Given on the command line or by variable, else the default.
    pub(super) values: BTreeMap<&'static str, Vec<Value>>,
    /// Names of flags given on the command line.
    pub(super) given: Vec<&'static str>,
}

impl Matches {
    /// The command and the groups around it, outermost first.
    pub fn path(&self) -> &[&'static Command] {
        &self.path
    }

    /// The words that select the command, aliases resolved: `snapshot create`.
    pub fn command_name(&self) -> String {
        let words: Vec<_> = self.path.iter().map(|c| c.name).collect();
        words.join(" ")
    }

    /// Whether the flag stands on the command line.
    pub fn given(&self, name: &str) -> bool {
        self.given.contains(&name)
    }

    /// The flags that stand on the command line, but for switches that are turned off.
    pub fn given_flags(
        &self,
        root: &'static Command,
    ) -> impl Iterator<Item = &'static Flag> + use<'_> {
        let known = root.all_flags().chain(self.path.iter().flat_map(|c| c.all_flags()));
        known
            .filter(|flag| self.given(flag.name))
            .filter(|flag| !flag.is_switch() || self.flag(flag.name))
    }

    fn all(&self, name: &str) -> &[Value] {
        debug_assert!(self.known.contains(&name), "no flag or argument '{name}'");
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    fn last(&self, name: &str) -> Option<&Value> {
        self.all(name).last()
    }

    /// A truth value; absent is false.
    pub fn flag(&self, name: &str) -> bool {
        self.bool(name).unwrap_or(false)
    }

    /// A truth value.
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.last(name) {
            Some(Value::Bool(v)) => Some(*v),
            _ => None,
        }
    }

    /// A text as given, which need not be UTF-8.
    pub fn os(&self, name: &str) -> Option<&OsStr> {
        match self.last(name) {
            Some(Value::Text(v)) => Some(v),
            _ => None,
        }
    }

    /// All texts of a repeated flag or argument.
    pub fn os_list(&self, name: &str) -> Vec<OsString> {
        let text = |v: &Value| match v {
            Value::Text(v) => Some(v.clone()),
            _ => None,
        };
        self.all(name).iter().filter_map(text).collect()
    }

    /// A text; bytes that are not UTF-8 are replaced.
    pub fn text(&self, name: &str) -> Option<String> {
        self.os(name).map(|v| v.to_string_lossy().into_owned())
    }

    /// A text that is not empty.
    pub fn non_empty(&self, name: &str) -> Option<String> {
        self.text(name).filter(|v| !v.is_empty())
    }

    /// All texts of a repeated flag or argument; bytes that are not UTF-8 are replaced.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.os_list(name);
        list.iter().map(|v| v.to_string_lossy().into_owned()).collect()
    }

    /// All truth values of a repeated flag, in order.
    pub fn bools(&self, name: &str) -> Vec<bool> {
        let truth = |v: &Value| match v {
            Value::Bool(v) => Some(*v),
            _ => None,
        };
        self.all(name).iter().filter_map(truth).collect()
    }

    /// An integer.
    pub fn int(&self, name: &str) -> Option<i64> {
        match self.last(name) {
            Some(Value::Int(v)) => Some(*v),
            Some(Value::Uint(v)) => i64::try_from(*v).ok(),
            _ => None,
        }
    }

    /// A positive number of things, such as threads; absent, zero and negative are `None`.
    pub fn count(&self, name: &str) -> Option<usize> {
        let value = self.int(name).and_then(|v| usize::try_from(v).ok());
        value.filter(|v| *v > 0)
    }

    /// A floating point number.
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.last(name) {
            Some(Value::Float(v)) => Some(*v),
            _ => None,
        }
    }

    /// A duration in nanoseconds.
    pub fn duration(&self, name: &str) -> Option<i64> {
        match self.last(name) {
            Some(Value::Duration(v)) => Some(*v),
            _ => None,
        }
    }

    /// All durations of a repeated flag, in nanoseconds.
    pub fn durations(&self, name: &str) -> Vec<i64> {
        let nanos = |v: &Value| match v {
            Value::Duration(v) => Some(*v),
            _ => None,
        };
        self.all(name).iter().filter_map(nanos).collect()
    }
}

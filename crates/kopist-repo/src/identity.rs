//! Who is writing.

use std::fmt;

/// The name under which this client writes: in session markers, as owner of the maintenance, as
/// part of the default source of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClientIdentity {
    /// User name, e.g. `backup`.
    pub username: String,
    /// Host name, lower case, e.g. `db-1`.
    pub hostname: String,
}

impl ClientIdentity {
    /// An identity from its two parts.
    pub fn new(username: impl Into<String>, hostname: impl Into<String>) -> Self {
        Self { username: username.into(), hostname: hostname.into() }
    }
}

impl fmt::Display for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.username, self.hostname)
    }
}

//! Certificates that somebody vouches for besides the system.

use std::fmt;
use std::sync::Arc;

/// Root certificates (PEM) that every connection by TLS believes in addition to those that it
/// would believe anyway. A store whose settings pin one certificate, or believe anyone, does as
/// before.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ExtraRoots(Arc<[u8]>);

impl ExtraRoots {
    /// The certificates of a PEM text; other things in it are passed over. What is wrong with it
    /// shows when a store that speaks TLS is opened.
    pub fn from_pem(pem: impl Into<Arc<[u8]>>) -> Self {
        Self(pem.into())
    }

    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn pem(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ExtraRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExtraRoots({} bytes)", self.0.len())
    }
}

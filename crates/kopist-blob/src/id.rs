use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::BlobError;

/// The name of a blob: short ASCII text such as `p2f6a…-s1` or `kopia.repository`.
///
/// Cheap to clone. Ids order by their bytes, which is the order of an object store's listing.
///
/// Building an id from text (`BlobId::from("…")`) does not check it; every store calls
/// [`BlobId::check`] before it touches anything, so that an id out of a damaged index can never
/// become a path outside the store. [`FromStr`] checks at once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobId(Arc<str>);

impl BlobId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the id starts with `prefix` (plain bytes, no path segments).
    pub fn starts_with(&self, prefix: &str) -> bool {
        self.0.starts_with(prefix)
    }

    /// Refuses ids that no store may hold: empty ones, and those with a control character, a
    /// `/`, a `\` or two dots in a row, which could lead out of a directory.
    pub fn check(&self) -> Result<(), BlobError> {
        match flaw(&self.0) {
            None => Ok(()),
            Some(reason) => Err(BlobError::InvalidId { id: self.to_string(), reason }),
        }
    }
}

/// What makes `id` unusable as the name of a blob.
fn flaw(id: &str) -> Option<&'static str> {
    if id.is_empty() {
        Some("it is empty")
    } else if id.contains(['/', '\\']) {
        Some("it contains a path separator")
    } else if id.contains("..") {
        Some("it contains \"..\"")
    } else if id.contains(|c: char| c.is_control()) {
        Some("it contains a control character")
    } else {
        None
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for BlobId {
    type Err = BlobError;

    fn from_str(text: &str) -> Result<Self, BlobError> {
        let id = Self::from(text);
        id.check()?;
        Ok(id)
    }
}

impl From<&str> for BlobId {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl From<String> for BlobId {
    fn from(text: String) -> Self {
        Self(Arc::from(text))
    }
}

impl From<Arc<str>> for BlobId {
    fn from(text: Arc<str>) -> Self {
        Self(text)
    }
}

impl Borrow<str> for BlobId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for BlobId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for BlobId {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for BlobId {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_lead_elsewhere_are_refused() {
        for bad in ["", "a/b", "..", "x..y", "a\\b", "nul\0", "line\nbreak", "/etc/passwd"] {
            assert!(bad.parse::<BlobId>().is_err(), "{bad:?} was accepted");
        }
        for good in ["p", "kopia.repository", "xn0_4a-s1-c1", "_log_20261121102347_70ca", ".hidden"]
        {
            assert_eq!(good.parse::<BlobId>().unwrap(), good);
        }
    }
}

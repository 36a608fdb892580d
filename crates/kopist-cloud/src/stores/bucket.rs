//! What stores have in common that keep each blob as one object of a bucket.

use jiff::Timestamp;
use kopist_blob::{BlobError, BlobId};

/// The text in front of the id of each blob in the key of its object. It is plain text: a `/`
/// at its end must be given.
#[derive(Clone, Debug)]
pub(super) struct Prefix(String);

impl Prefix {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The key of a blob.
    pub(super) fn key(&self, id: &BlobId) -> Result<String, BlobError> {
        id.check()?;
        Ok(self.join(id.as_str()))
    }

    /// The beginning of the keys of all blobs whose ids begin with `part`.
    pub(super) fn join(&self, part: &str) -> String {
        format!("{}{part}", self.0)
    }

    /// The id of the blob with this key, if it can be one.
    pub(super) fn id(&self, key: &str) -> Option<BlobId> {
        key.strip_prefix(&self.0)?.parse().ok()
    }
}

/// A time that was set by us and is kept beside the object: nanoseconds since 1970, decimal.
#[cfg(any(feature = "azure", feature = "b2", feature = "gcs"))]
pub(super) fn set_time(text: &str) -> Option<Timestamp> {
    Timestamp::from_nanosecond(text.trim().parse().ok()?).ok()
}

/// When a lock that starts now ends.
#[cfg(any(feature = "azure", feature = "gcs", feature = "s3"))]
pub(super) fn end_of_lock(period: std::time::Duration) -> Result<Timestamp, String> {
    crate::clock::now()
        .checked_add(period)
        .map_err(|_| "the retention period is too long".to_owned())
}

/// MD5 of slices, in base64, as in the header `Content-MD5`.
#[cfg(any(feature = "azure", feature = "s3"))]
pub(super) fn content_md5(parts: &[&[u8]]) -> String {
    use base64::Engine as _;
    use md5::Digest as _;

    let mut hash = md5::Md5::new();
    for part in parts {
        hash.update(part);
    }
    base64::engine::general_purpose::STANDARD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_prefix_and_the_id() {
        let prefix = Prefix::new("a/b");
        assert_eq!(prefix.key(&"p1".into()).unwrap(), "a/bp1");
        assert_eq!(prefix.id("a/bp1"), Some("p1".into()));
        assert_eq!(prefix.id("a/p1"), None);
        assert!(prefix.key(&"../p1".into()).is_err());
    }
}

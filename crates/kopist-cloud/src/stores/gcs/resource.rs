use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kopist_blob::{BlobId, BlobMeta};
use serde::Deserialize;

use crate::stores::bucket::set_time;

/// The metadata that holds a time set by us: nanoseconds since 1970, decimal. kopia reads it in
/// exactly this case.
pub(super) const MTIME: &str = "Kopia-Mtime";

/// What the service tells of an object, or of one generation of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    #[serde(default)]
    pub(super) name: String,
    /// A decimal number.
    #[serde(default)]
    size: String,
    pub(super) time_created: Timestamp,
    pub(super) time_deleted: Option<Timestamp>,
    #[serde(default)]
    pub(super) generation: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Of the content, as [`checksum`] writes it.
    #[serde(default)]
    crc32c: String,
    retention: Option<Lock>,
}

/// Until when an object may be neither replaced nor deleted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lock {
    retain_until_time: Timestamp,
}

/// A page of a listing.
#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
pub(super) struct Page {
    pub(super) items: Vec<Resource>,
    pub(super) next_page_token: String,
}

impl Resource {
    pub(super) fn meta(&self, id: BlobId) -> BlobMeta {
        let set = self
            .metadata
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(MTIME))
            .and_then(|(_, text)| set_time(text));
        BlobMeta {
            id,
            length: self.size.parse().unwrap_or_default(),
            timestamp: set.unwrap_or(self.time_created),
        }
    }

    /// Whether this is its content.
    pub(super) fn holds(&self, data: &[&[u8]]) -> bool {
        self.size.parse() == Ok(crate::http::length(data)) && self.crc32c == checksum(data)
    }

    /// Whether a lock of its own lasts at least until then.
    pub(super) fn is_locked_until(&self, end: Timestamp) -> bool {
        self.retention.as_ref().is_some_and(|lock| lock.retain_until_time >= end)
    }
}

/// CRC-32C of slices as the service wants it: big-endian, in base64.
pub(super) fn checksum(data: &[&[u8]]) -> String {
    let sum = data.iter().fold(0, |sum, part| crc32c::crc32c_append(sum, part));
    STANDARD.encode(sum.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_was_set_counts() {
        let text = r#"{"name":"p","size":"12","timeCreated":"2026-01-02T03:04:05.6Z",
            "metadata":{"kopia-mtime":"1000000000"}}"#;
        let resource: Resource = serde_json::from_str(text).unwrap();
        let meta = resource.meta("p".into());
        assert_eq!((meta.length, meta.timestamp.as_second()), (12, 1));
        let text = text.replace("1000000000", "soon");
        let resource: Resource = serde_json::from_str(&text).unwrap();
        assert_eq!(resource.meta("p".into()).timestamp.to_string(), "2026-01-02T03:04:05.6Z");
    }

    #[test]
    fn checksums_are_those_of_the_service() {
        // The documentation's example: CRC-32C of "123456789" is 0xe3069283.
        assert_eq!(checksum(&[b"1234", b"56789"]), STANDARD.encode([0xe3, 0x06, 0x92, 0x83]));
    }
}

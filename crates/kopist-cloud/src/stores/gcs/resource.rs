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

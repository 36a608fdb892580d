//! The bytes of a manifest content.

use std::fmt;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};

use super::ManifestEntry;

/// A payload larger than this is refused rather than unpacked: a content is at most some
/// hundred megabytes, and manifests of it more would not fit anyone's memory.
const MAX_UNPACKED: u64 = 2 << 30;

/// A manifest content cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not gzip, or cut short.
    #[error("cannot unpack a manifest content: {0}; the content is damaged")]
    Unpack(#[from] std::io::Error),
    /// Unpacks to more than anyone writes.
    #[error(
        "a manifest content unpacks to more than {MAX_UNPACKED} bytes; it is damaged or hostile"
    )]
    TooLarge,
    /// The JSON has another shape.
    #[error("cannot read a manifest content: {0}; the content is damaged")]
    Json(#[from] serde_json::Error),
}

/// The bytes of a manifest content with these entries.
pub fn encode(entries: &[ManifestEntry]) -> Result<Vec<u8>, ManifestError> {
    #[derive(Serialize)]
    struct Payload<'a> {
        entries: &'a [ManifestEntry],
    }
    // Ids are random, so nothing depends on these bytes being Go's: plain JSON will do.
    let mut json = serde_json::to_vec(&Payload { entries })?;
    json.push(b'\n');
    let mut gzip = GzEncoder::new(Vec::with_capacity(json.len() / 4 + 64), Compression::default());
    gzip.write_all(&json)?;
    Ok(gzip.finish()?)
}

/// The entries of a manifest content.
///
/// Keys are compared without regard to case and only one list of entries is accepted, as the
/// stock reader does; what follows the closing brace is ignored.
pub fn decode(content: &[u8]) -> Result<Vec<ManifestEntry>, ManifestError> {
    let mut json = Vec::with_capacity(content.len().saturating_mul(4).min(64 << 20));
    MultiGzDecoder::new(content).take(MAX_UNPACKED + 1).read_to_end(&mut json)?;
    if json.len() as u64 > MAX_UNPACKED {
        return Err(ManifestError::TooLarge);
    }
    Ok(serde_json::Deserializer::from_slice(&json).deserialize_map(Payload)?)
}

struct Payload;

impl<'de> Visitor<'de> for Payload {
    type Value = Vec<ManifestEntry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("manifest entries")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Option<Option<Vec<ManifestEntry>>> = None;
        while let Some(key) = map.next_key::<String>()? {
            if !key.eq_ignore_ascii_case("entries") {
                map.next_value::<IgnoredAny>()?;
            } else if entries.is_some() {
                return Err(serde::de::Error::duplicate_field("entries"));
            } else {
                entries = Some(map.next_value()?);
            }
        }
        Ok(entries.flatten().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::super::{labels_match, merge};
    use super::*;
    use crate::directory::UtcNanos;

    fn gzip(text: &str) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        gzip.finish().unwrap()
    }

    fn entry(id: &str, modified: i64, data: Option<&str>) -> ManifestEntry {
        ManifestEntry {
            id: id.into(),
            labels: data.map(|_| ("type".to_owned(), "t".to_owned())).into_iter().collect(),
            modified: UtcNanos(modified),
            deleted: data.is_none(),
            data: data.map(|text| RawValue::from_string(text.to_owned()).unwrap()),
        }
    }

    #[test]
    fn the_json_inside() {
        let bytes = encode(&[entry("a", 1, Some(r#"{"x":"y"}"#)), entry("b", 2, None)]).unwrap();
        let mut text = String::new();
        MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"entries":[{"id":"a","labels":{"type":"t"},"modified":"1970-01-01T00:00:00.000000001Z","data":{"x":"y"}},"#,
                r#"{"id":"b","labels":null,"modified":"1970-01-01T00:00:00.000000002Z","deleted":true,"data":null}]}"#,
                "\n"
            )
        );
    }

    #[test]
    fn tolerant_where_the_stock_reader_is() {
        assert!(decode(&gzip(r#"{"ENTRIES":[]}tail"#)).unwrap().is_empty());
        assert!(decode(&gzip(r#"{"entries":null}"#)).unwrap().is_empty());
        assert_eq!(decode(&gzip(r#"{"entries":[{"id":"a"}],"x":1}"#)).unwrap()[0].id, "a");
        assert!(decode(&gzip(r#"{"entries":[],"Entries":[]}"#)).is_err());
        assert!(decode(&gzip(r#"{"entries":["#)).is_err());
        assert!(decode(b"plain").is_err());
    }

    #[test]
    fn the_later_entry_counts_and_the_first_of_equals() {
        let merged = merge([
            entry("a", 5, Some("1")),
            entry("a", 5, Some("2")),
            entry("b", 1, Some("3")),
            entry("b", 2, None),
            entry("c", 9, None),
            entry("c", 3, Some("4")),
            entry("d", 1, None),
            entry("d", 2, Some("5")),
        ]);
        let left: Vec<_> =
            merged.values().map(|entry| entry.data.as_ref().unwrap().get()).collect();
        assert_eq!(left, ["1", "5"]);
    }

    #[test]
    fn labels_are_a_subset_query() {
        let labels = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let have = labels(&[("type", "snapshot"), ("path", "/a")]);
        assert!(labels_match(&have, &labels(&[("type", "snapshot")])));
        assert!(!labels_match(&have, &labels(&[("type", "policy")])));
        assert!(!labels_match(&have, &labels(&[("type", "snapshot"), ("hostname", "")])));
    }

    proptest! {
        #[test]
        fn bytes_and_back(
            items in proptest::collection::vec(("[0-9a-f]{32}", any::<i64>(), proptest::option::of("[ -~é]{0,20}")), 0..8)
        ) {
            let entries: Vec<_> = items
                .iter()
                .map(|(id, modified, text)| {
                    let json = text.as_ref().map(|text| serde_json::to_string(text).unwrap());
                    entry(id, *modified, json.as_deref())
                })
                .collect();
            let again = decode(&encode(&entries).unwrap()).unwrap();
            prop_assert_eq!(format!("{again:?}"), format!("{entries:?}"));
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}

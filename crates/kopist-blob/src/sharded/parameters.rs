use serde::{Deserialize, Deserializer, Serialize};

use super::{BLOB_SUFFIX, DEFAULT_UNSHARDED_LENGTH};
use crate::{BlobError, normalize_keys};

/// The contents of `.shards`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// Bytes of the id that each directory takes, outermost first; empty means flat.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub default: Vec<usize>,
    /// Ids of up to this many bytes stay at the root.
    #[serde(default, rename = "maxNonShardedLength")]
    pub max_non_sharded_length: usize,
    /// Other shards for ids with some prefix; the first match counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_empty")]
    pub overrides: Vec<Override>,
}

/// Shards of the blobs whose id starts with a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// The prefix.
    #[serde(default)]
    pub prefix: String,
    /// As [`Parameters::default`].
    #[serde(default, deserialize_with = "null_as_empty")]
    pub shards: Vec<usize>,
}

fn null_as_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Parameters {
    /// The usual file for these shards.
    pub fn with_shards(shards: &[usize]) -> Self {
        Self {
            default: shards.to_vec(),
            max_non_sharded_length: DEFAULT_UNSHARDED_LENGTH,
            overrides: Vec::new(),
        }
    }

    /// Reads the contents of `.shards`; `file` names it in errors. Bytes after the JSON object
    /// are ignored, as kopia does.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, BlobError> {
        let invalid = |message: String| BlobError::InvalidLayout { file: file.to_owned(), message };
        let value = serde_json::Deserializer::from_slice(bytes)
            .into_iter::<serde_json::Value>()
            .next()
            .ok_or_else(|| invalid("it is empty".to_owned()))?
            .map_err(|error| invalid(error.to_string()))?;
        if !value.is_object() {
            return Err(invalid("it does not hold a JSON object".to_owned()));
        }
        let value = normalize_keys(&value, &["default", "maxNonShardedLength", "overrides"]);
        serde_json::from_value(value).map_err(|error| invalid(error.to_string()))
    }

    /// The contents of `.shards`: compact JSON and a newline.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of numbers and strings always serialises.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    fn shards_of(&self, id: &str) -> &[usize] {
        self.overrides
            .iter()
            .find(|o| id.starts_with(&o.prefix))
            .map_or(&self.default, |o| &o.shards)
    }

    /// Path of a blob's file below the root, with `/` between the names.
    ///
    /// # Errors
    /// [`BlobError::InvalidId`] for an id that no blob can have, and for one that this layout
    /// would put in a directory called `.` or cut within a character.
    pub fn path_of(&self, id: &crate::BlobId) -> Result<String, BlobError> {
        id.check()?;
        let id = id.as_str();
        let invalid = |reason| BlobError::InvalidId { id: id.to_owned(), reason };
        let mut path = String::with_capacity(id.len() + 8);
        let mut rest = id;
        if id.len() > self.max_non_sharded_length {
            for &size in self.shards_of(id) {
                if rest.len() <= size {
                    break;
                }
                let (Some(name), Some(tail)) = (rest.get(..size), rest.get(size..)) else {
                    return Err(invalid("its directory would end within a character"));
                };
                if name == "." {
                    return Err(invalid("its directory would be called \".\""));
                }
                if !name.is_empty() {
                    path.push_str(name);
                    path.push('/');
                }
                rest = tail;
            }
        }
        path.push_str(rest);
        path.push_str(BLOB_SUFFIX);
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BlobId;
    use proptest::prelude::*;

    #[test]
    fn the_file_is_written_as_kopia_writes_it() {
        let usual = Parameters::with_shards(&[1, 3]);
        assert_eq!(usual.to_bytes(), b"{\"default\":[1,3],\"maxNonShardedLength\":20}\n");
        let flat = Parameters::with_shards(&[]);
        assert_eq!(flat.to_bytes(), b"{\"default\":[],\"maxNonShardedLength\":20}\n");
        let text = b"{\"default\":[3,2,1],\"maxNonShardedLength\":2,\"overrides\":[{\"prefix\":\"p\",\"shards\":[2,2]}]}\n";
        assert_eq!(Parameters::parse(text, "f").unwrap().to_bytes(), text);
    }

    #[test]
    fn unusual_files_are_read_as_kopia_reads_them() {
        let trailing = b"{\"default\":[2],\"maxNonShardedLength\":3} trailing";
        assert_eq!(Parameters::parse(trailing, "f").unwrap().max_non_sharded_length, 3);
        let null = b"{\"Default\":null,\"overrides\":null}";
        let null = Parameters::parse(null, "f").unwrap();
        assert_eq!((null.default.len(), null.max_non_sharded_length), (0, 0));
        for bad in [&b""[..], b"[]", b"{", b"{\"default\":[-1]}", b"{\"default\":\"x\"}"] {
            let error = Parameters::parse(bad, "/r/.shards").unwrap_err();
            assert!(error.to_string().starts_with("/r/.shards"), "{error}");
        }
    }

    #[test]
    fn layouts_that_would_leave_their_directory_are_refused() {
        let one = Parameters { max_non_sharded_length: 0, ..Parameters::with_shards(&[1, 1]) };
        assert!(one.path_of(&BlobId::from("a.bcd")).is_err());
        assert!(one.path_of(&BlobId::from("äbcd")).is_err());
        assert!(one.path_of(&BlobId::from("..abc")).is_err());
        assert_eq!(one.path_of(&BlobId::from("ab.cd")).unwrap(), "a/b/.cd.f");
    }

    proptest! {
        /// Joining the names of the path gives the id back: a listing finds what a put wrote.
        #[test]
        fn a_listing_finds_what_was_put(
            id in "[a-z0-9_-]{1,60}",
            shards in prop::collection::vec(0usize..6, 0..4),
            max in 0usize..30,
        ) {
            let layout = Parameters { max_non_sharded_length: max, ..Parameters::with_shards(&shards) };
            let path = layout.path_of(&BlobId::from(id.as_str())).unwrap();
            let (dirs, file) = path.rsplit_once('/').unwrap_or(("", &path));
            let names = dirs.replace('/', "");
            prop_assert_eq!(super::super::blob_of_file(&names, file, &id), Some(id.clone()));
            prop_assert!(super::super::leads_to(&names, &id));
        }
    }
}

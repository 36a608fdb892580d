//! Storage classes: the object `.storageconfig`, which an operator may put beside the blobs,
//! says which blobs get which class.

use serde::Deserialize;

/// Name of the object, below the prefix of the store.
pub(super) const CONFIG_NAME: &str = ".storageconfig";

/// Which blobs get which storage class.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Classes {
    blob_options: Vec<Class>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Class {
    prefix: String,
    storage_class: String,
}

impl Classes {
    /// Reads the object.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The class of a blob: that of the first prefix which fits, if it names one.
    pub(super) fn of(&self, id: &str) -> Option<&str> {
        let class = self.blob_options.iter().find(|class| id.starts_with(&class.prefix))?;
        (!class.storage_class.is_empty()).then_some(&class.storage_class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_prefix_that_fits_counts() {
        let text = br#"{"blobOptions":[{"prefix":"p","storageClass":"GLACIER_IR"},
            {"prefix":"x"},{"prefix":"","storageClass":"STANDARD_IA"}]}"#;
        let classes = Classes::parse(text).unwrap();
        assert_eq!(classes.of("p1"), Some("GLACIER_IR"));
        assert_eq!(classes.of("x1"), None);
        assert_eq!(classes.of("q1"), Some("STANDARD_IA"));
        assert!(Classes::parse(b"").is_err());
    }
}

//! Which compressor a file gets (`kopia:snapshot/policy/compression_policy.go`).

use kopist_format::compression::Compressor;

use super::model::{Compression, MetadataCompression};

impl Compression {
    /// The compressor's name for a file, or `None`.
    ///
    /// The lists are searched as sorted ones, as kopia does: a list that is not sorted may miss.
    #[must_use]
    pub fn name_for(&self, file_name: &[u8], size: i64) -> Option<&str> {
        let name = self.compressor_name.as_str();
        if name.is_empty() || name == "none" {
            return None;
        }
        if self.min_size > 0 && size < self.min_size {
            return None;
        }
        if self.max_size > 0 && size > self.max_size {
            return None;
        }
        let extension = extension(file_name);
        if has(&self.only_compress, extension) {
            return Some(name);
        }
        if has(&self.never_compress, extension) {
            return None;
        }
        Some(name)
    }

    /// The compressor for a file; `None` also for a name that this version does not know.
    #[must_use]
    pub fn for_file(&self, file_name: &[u8], size: i64) -> Option<Compressor> {
        self.name_for(file_name, size).and_then(Compressor::by_name)
    }
}

impl MetadataCompression {
    /// The compressor for directories, if any.
    #[must_use]
    pub fn compressor(&self) -> Option<Compressor> {
        match self.compressor_name.as_str() {
            "" | "none" => None,
            name => Compressor::by_name(name),
        }
    }
}

/// From the last dot to the end; `.rc` is all extension.
fn extension(name: &[u8]) -> &[u8] {
    name.iter().rposition(|byte| *byte == b'.').map_or(b"", |dot| &name[dot..])
}

/// The smallest index whose element is not below the extension, as a binary search finds it.
fn has(sorted: &[String], extension: &[u8]) -> bool {
    let at = sorted.partition_point(|item| item.as_bytes() < extension);
    sorted.get(at).is_some_and(|item| item.as_bytes() == extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compress_restricts_nothing() {
        let policy = Compression {
            compressor_name: "zstd".into(),
            only_compress: vec![".log".into(), ".txt".into()],
            never_compress: vec![".gz".into(), ".txt".into()],
            min_size: 10,
            max_size: 100,
            ..Default::default()
        };
        let name = |file: &str, size| policy.name_for(file.as_bytes(), size);
        assert_eq!(name("a.txt", 50), Some("zstd"));
        assert_eq!(name("a.other", 50), Some("zstd"));
        assert_eq!(name("a.gz", 50), None);
        assert_eq!(name("a.GZ", 50), Some("zstd"));
        assert_eq!(name(".gz", 50), None);
        assert_eq!(name("plain", 50), Some("zstd"));
        assert_eq!(name("a.txt", 9), None);
        assert_eq!(name("a.txt", 101), None);
        let none = Compression { compressor_name: "none".into(), ..policy };
        assert_eq!(none.name_for(b"a.txt", 50), None);
    }
}

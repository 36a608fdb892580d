//! Finding blobs by walking the tree: which directories to enter, which files to report.

use super::BLOB_SUFFIX;

/// Whether blobs starting with `wanted` may live below the directory whose names, joined from
/// the root, are `names`.
pub fn leads_to(names: &str, wanted: &str) -> bool {
    names.starts_with(wanted) || wanted.starts_with(names)
}

/// The id of the blob in the file `name` below a directory whose joined names are `names`, if it
/// is a blob and starts with `wanted`.
pub fn blob_of_file(names: &str, name: &str, wanted: &str) -> Option<String> {
    let rest = name.strip_suffix(BLOB_SUFFIX)?;
    let mut id = String::with_capacity(names.len() + rest.len());
    id.push_str(names);
    id.push_str(rest);
    (!id.is_empty() && id.starts_with(wanted)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directories_that_can_match_are_entered() {
        for (names, wanted, enter) in [
            ("x", "xn0_", true),
            ("xn0_", "x", true),
            ("x", "", true),
            ("p", "xn0_", false),
            ("xs", "xn0_", false),
            ("xn0_", "xn0_", true),
        ] {
            assert_eq!(leads_to(names, wanted), enter, "{names} {wanted}");
        }
    }

    #[test]
    fn files_without_the_suffix_are_no_blobs() {
        assert_eq!(blob_of_file("p123", "456.f", "p1").as_deref(), Some("p123456"));
        assert_eq!(blob_of_file("", "kopia.repository.f", "").as_deref(), Some("kopia.repository"));
        for name in [".shards", "456.f.tmp.0011223344556677", "456.f-12", "456", ".f"] {
            assert_eq!(blob_of_file("", name, ""), None, "{name}");
        }
        assert_eq!(blob_of_file("p123", "456.f", "p2"), None);
    }
}

//! Listing a tree on disk.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Entry, Listing};

/// Lists `root` and everything below it. Symbolic links are not followed.
pub fn list(root: &Path) -> Listing {
    let mut entries = vec![entry(root, ".")];
    if entries[0].kind == 'd' {
        below(root, "", &mut entries);
        entries[1..].sort_by(|a, b| a.path.cmp(&b.path));
    }
    entries
}

fn below(directory: &Path, prefix: &str, entries: &mut Vec<Entry>) {
    let children = std::fs::read_dir(directory)
        .unwrap_or_else(|e| panic!("cannot list {}: {e}", directory.display()));
    for child in children {
        let child = child.unwrap_or_else(|e| panic!("cannot list {}: {e}", directory.display()));
        let name = readable(&child.file_name());
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let entry = entry(&child.path(), &path);
        let is_directory = entry.kind == 'd';
        entries.push(entry);
        if is_directory {
            below(&child.path(), &path, entries);
        }
    }
}

fn entry(path: &Path, name: &str) -> Entry {
    let meta = std::fs::symlink_metadata(path)
        .unwrap_or_else(|e| panic!("cannot stat {}: {e}", path.display()));
    let kind = kind(&meta);
    Entry {
        path: name.to_owned(),
        kind,
        mode: (kind != 's').then(|| format!("{:04o}", meta.mode() & 0o7777)),
        mtime_ns: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
        uid: meta.uid(),
        gid: meta.gid(),
        size: (kind == 'f').then_some(meta.len()),
        sha256: (kind == 'f').then(|| digest(path)),
        target: (kind == 's').then(|| {
            readable(std::fs::read_link(path).expect("a symbolic link has a target").as_os_str())
        }),
    }
}

fn kind(meta: &Metadata) -> char {
    if meta.is_file() {
        'f'
    } else if meta.is_dir() {
        'd'
    } else if meta.is_symlink() {
        's'
    } else {
        '?'
    }
}

fn digest(path: &Path) -> String {
    let mut file =
        std::fs::File::open(path).unwrap_or_else(|e| panic!("cannot open {}: {e}", path.display()));
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file
            .read(&mut buffer)
            .unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
        if read == 0 {
            return hex::encode(hash.finalize());
        }
        hash.update(&buffer[..read]);
    }
}

/// The name as text; bytes that are not UTF-8 become `\xNN`, so distinct names stay distinct.
fn readable(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("writing to a string");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_shows_what_a_restore_must_bring_back() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("a")).unwrap();
        std::fs::write(root.join("a/f"), b"hello").unwrap();
        std::os::unix::fs::symlink("a/f", root.join("l")).unwrap();
        std::fs::write(root.join(OsStr::from_bytes(b"bad\xff")), b"").unwrap();
        filetime::set_file_mtime(root.join("a/f"), filetime::FileTime::from_unix_time(7, 9))
            .unwrap();

        let listing = list(root);

        let paths: Vec<&str> = listing.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, [".", "a", "a/f", "bad\\xff", "l"]);
        assert_eq!(listing[2].mtime_ns, 7_000_000_009);
        assert_eq!(listing[2].size, Some(5));
        assert!(listing[2].sha256.as_deref().unwrap().starts_with("2cf24dba"));
        assert_eq!(listing[4].target.as_deref(), Some("a/f"));
        assert_eq!(listing[4].mode, None);
    }
}

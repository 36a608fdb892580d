//! Both programs restore to archives with the same entries.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use kopist_testkit::tree::{RandomTree, TreeShape};
use sha2::{Digest as _, Sha256};

use crate::pair::{Pair, id, snapshot};

/// What an archive says about an entry.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    kind: char,
    mode: u64,
    mtime: i64,
    owner: (u64, u64),
    /// Digest of a file, or target of a link.
    content: String,
}

type Listing = BTreeMap<String, Entry>;

fn digest(mut from: impl Read) -> String {
    let mut data = Vec::new();
    from.read_to_end(&mut data).unwrap();
    hex::encode(Sha256::digest(data))
}

fn tar_entries(archive: impl Read) -> Listing {
    let mut listing = Listing::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        // kopia has Go's mode bits, which do not fit into octal digits.
        let field = header.as_old().mode;
        let mode = if field[0] & 0x80 == 0 {
            header.mode().unwrap().into()
        } else {
            field.iter().skip(1).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let target = entry.link_name_bytes().map(|name| String::from_utf8(name.into()).unwrap());
        let kind = match header.entry_type() {
            tar::EntryType::Directory => 'd',
            tar::EntryType::Symlink => 's',
            tar::EntryType::Regular => 'f',
            other => panic!("{other:?}"),
        };
        let path = String::from_utf8(entry.path_bytes().into()).unwrap();
        let entry = Entry {
            kind,
            mode: mode & 0o777,
            mtime: header.mtime().unwrap() as i64,
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            content: if kind == 's' { target.unwrap() } else { digest(&mut entry) },
        };
        assert!(listing.insert(path.clone(), entry).is_none(), "{path} twice");
    }
    listing
}

fn zip_entries(path: &Path) -> Listing {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut listing = Listing::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).unwrap();
        let seconds = file.extra_data_fields().find_map(|field| match field {
            zip::extra_fields::ExtraField::ExtendedTimestamp(time) => time.mod_time(),
            _ => None,
        });
        let mode = file.unix_mode().unwrap();
        let kind = match mode & 0o170_000 {
            0o040_000 => 'd',
            0o120_000 => 's',
            _ => 'f',
        };
        let name = file.name().unwrap().into_owned();
        let mut data = Vec::new();
        let mut file = file;
        file.read_to_end(&mut data).unwrap();
        let entry = Entry {
            kind,
            mode: u64::from(mode & 0o7777),
            mtime: i64::from(seconds.unwrap()),
            owner: (0, 0),
            content: if kind == 's' {
                String::from_utf8(data).unwrap()
            } else {
                digest(data.as_slice())
            },
        };
        assert!(listing.insert(name.clone(), entry).is_none(), "{name} twice");
    }
    listing
}

fn entries(path: &Path) -> Listing {
    let name = path.to_str().unwrap();
    if name.contains("zip") {
        zip_entries(path)
    } else if name.ends_with("gz") {
        tar_entries(flate2::read::GzDecoder::new(File::open(path).unwrap()))
    } else {
        tar_entries(File::open(path).unwrap())
    }
}

fn source(folder: &Path) -> std::path::PathBuf {
    let source = folder.join("source");
    let shape = TreeShape { directories: 12, files: 60, largest: 3_000_000, links: 6 };
    RandomTree::create(&source, 31, shape);
    fs::create_dir_all(source.join("empty")).unwrap();
    fs::write(source.join("nothing"), "").unwrap();
    let long = "long name ".repeat(12);
    fs::create_dir_all(source.join(&long).join("é".repeat(100))).unwrap();
    fs::write(source.join(&long).join("é".repeat(100)).join(&long), "deep").unwrap();
    symlink(format!("./../{}//x/", "far/".repeat(60)), source.join("far")).unwrap();
    fs::write(source.join("setuid"), "s").unwrap();
    fs::set_permissions(source.join("setuid"), fs::Permissions::from_mode(0o4711)).unwrap();
    let past = filetime::FileTime::from_unix_time(100, 500_000_000);
    filetime::set_file_times(source.join("nothing"), past, past).unwrap();
    source
}

#[test]
fn archives_have_the_same_entries() {
    let Some(pair) = Pair::created_by_kopia("archives_have_the_same_entries", &[]) else { return };
    let source = source(pair.folder.path());
    let made = snapshot(&pair.kopia, &source);
    for (name, mode) in [
        ("a.tar", "auto"),
        ("a.tar.gz", "auto"),
        ("a.tgz", "auto"),
        ("b-tar", "tar"),
        ("b-gz", "tgz"),
        ("a.zip", "auto"),
        ("b-zip", "zip"),
        ("c-zip", "zip-nocompress"),
    ] {
        let mode_flag = format!("--mode={mode}");
        let mut listings = Vec::new();
        let mut sizes = Vec::new();
        for client in [&pair.kopist, &pair.kopia] {
            let target = client.folder().join(name);
            let target = target.to_str().unwrap();
            let outcome = client.run(&["restore", id(&made), target, &mode_flag]).expect_success();
            let summary = outcome.stderr.lines().find(|line| line.starts_with("Restored "));
            let first = outcome.stderr.lines().next().unwrap().replace(target, "TARGET");
            let told = (mode == "auto").then_some(first);
            listings.push((entries(Path::new(target)), summary.unwrap().to_owned(), told));
            sizes.push(fs::metadata(target).unwrap().len());
        }
        let (theirs, their_summary, their_announcement) = listings.pop().unwrap();
        let (mut ours, summary, announcement) = listings.pop().unwrap();
        assert!(ours.values().any(|entry| entry.kind == 's'));
        assert!(ours.contains_key("empty/"));
        if name.contains("zip") {
            // kopia's has only files.
            ours.retain(|_, entry| entry.kind == 'f');
        }
        assert_eq!(ours, theirs, "{name} {mode}");
        assert_eq!(summary, their_summary, "{name}");
        assert_eq!(announcement, their_announcement, "{name}");
        // Compressed or not as asked: about the same length.
        assert!(sizes[0].abs_diff(sizes[1]) < sizes[1] / 10, "{name}: {sizes:?}");
    }
}

//! How much memory marking and verifying takes on a repository of five million contents:
//! `cargo bench -p kopist-snapshot --bench many_contents [-- CONTENTS]`.
//!
//! The repository is made up: indexes, directories and lists of chunks are real, packs of data are
//! files of the right length with nothing in them. Three fifths of the contents are small files in
//! directories of a thousand, the rest are chunks of large files; one content in ten is used by
//! nothing. Each measurement is a process of its own, with caches on disk as every client has
//! them; its figure is the most memory that the process ever had, mapped files included.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a tool for developers

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use kopist_blob::filesystem::{FilesystemConfig, FilesystemStore};
use kopist_blob::{BlobStore, PutOptions};
use kopist_format::blob_crypto::seal_blob;
use kopist_format::compression::Compressor;
use kopist_format::epoch::{EPOCH_MARKER_BODY, marker_name};
use kopist_format::format_blob::{FORMAT_BLOB, FormatBlob, RepositoryFormat};
use kopist_format::id::{ContentId, Hash, IdPrefix};
use kopist_format::index::{Entry, IndexBuilder};
use kopist_repo::{CacheOptions, Clock, CreateOptions, OpenOptions, Repository, WriterOptions};
use kopist_snapshot::gc::{self, GcOptions};
use kopist_snapshot::maintenance::{self, MaintenanceOptions, Mode};
use kopist_snapshot::verify::{self, Damage, VerifyOptions};
use kopist_snapshot::{store, walk::Root};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PASSWORD: &str = "x";
/// What has been promised, in MiB.
const LIMIT: u64 = 300;
const FILES_IN_A_DIRECTORY: u64 = 1000;
const CHUNKS_IN_A_FILE: u64 = 10_000;
const CONTENTS_IN_A_PACK: u64 = 1000;
const CONTENTS_IN_AN_INDEX: u64 = 500_000;
const CONTENT_BYTES: u32 = 20_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if let [flag, what, folder] = arguments.as_slice()
        && flag == "--measure"
    {
        return measure(what, Path::new(folder));
    }
    let contents = arguments.first().map_or(5_000_000, |number| number.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    build(folder.path(), contents);
    println!("{contents} contents, made in {:.0} s", started.elapsed().as_secs_f64());
    let mut failed = Vec::new();
    for what in ["open", "mark", "verify", "maintain", "merge", "reopen", "verify"] {
        match what {
            // All epochs so far are settled: the next run merges their indexes.
            "merge" => end_epochs(folder.path()),
            "reopen" => std::fs::remove_dir_all(folder.path().join("cache")).unwrap(),
            _ => {}
        }
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--measure", what, folder.path().to_str().unwrap()])
            .status()
            .unwrap();
        if !status.success() {
            failed.push(what);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

fn measure(what: &str, folder: &Path) {
    let started = Instant::now();
    let repo = open(folder, true);
    let result = match what {
        "open" | "reopen" => format!("{} ordinals", repo.index().ordinals()),
        "mark" => {
            let writer = repo.writer(WriterOptions::default()).unwrap();
            let start = repo.clock().now() + SignedDuration::from_hours(48);
            let options = GcOptions { start, min_age: gc::MIN_AGE, parallel: 8, dry_run: true };
            let stats = gc::collect(&writer, &options, &|| false).unwrap().stats;
            format!("{} used, {} unused", stats.in_use.count, stats.unused.count)
        }
        "verify" => {
            let manifests = repo.manifests().unwrap();
            let roots: Vec<Root> = store::all_snapshots(&manifests, &BTreeMap::new())
                .into_iter()
                .map(|manifest| Root { label: manifest.id, entry: manifest.root_entry.unwrap() })
                .collect();
            let damaged = |damage: Damage| panic!("{damage:?}");
            let stats = verify::verify(&repo, &roots, &VerifyOptions::default(), &damaged).unwrap();
            format!("{} objects", stats.objects)
        }
        _ => {
            let options = MaintenanceOptions {
                mode: Some(Mode::Full),
                force: true,
                ..MaintenanceOptions::default()
            };
            format!("{:?}", maintenance::run(&repo, &options, &|_| {}).unwrap())
        }
    };
    let peak = peak_mib();
    let seconds = started.elapsed().as_secs_f64();
    println!("{what:>9}: {peak} MiB, {seconds:.1} s ({result})");
    assert!(peak < LIMIT, "{what} took {peak} MiB, promised are {LIMIT}");
}

/// Marks the beginning of the next two epochs.
fn end_epochs(folder: &Path) {
    let store = FilesystemStore::open(FilesystemConfig::new(folder.join("repository"))).unwrap();
    for epoch in 1..3 {
        let marker = marker_name(epoch).as_str().into();
        store.put(&marker, &[EPOCH_MARKER_BODY], &PutOptions::default()).unwrap();
    }
}

/// The most memory that this process ever had.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

fn open(folder: &Path, cached: bool) -> Repository {
    let store = FilesystemStore::open(FilesystemConfig::new(folder.join("repository"))).unwrap();
    let cache = cached.then(|| CacheOptions::in_dir(folder.join("cache")));
    let options = OpenOptions { cache, ..OpenOptions::default() };
    Repository::open(Arc::new(store), &PASSWORD.into(), options).unwrap()
}

/// Makes up the repository.
fn build(folder: &Path, contents: u64) {
    let place = folder.join("repository");
    std::fs::create_dir(&place).unwrap();
    let store = FilesystemStore::open(FilesystemConfig::new(&place)).unwrap();
    let options = CreateOptions {
        key_derivation: kopist_format::kdf::PBKDF2_KEY_DERIVATION.into(),
        ..CreateOptions::default()
    };
    kopist_repo::create(&store, &PASSWORD.into(), &options).unwrap();
    let now = kopist_repo::SystemClock.now();
    data(&place, &store, contents, now);
    trees(&open(folder, false), contents);
}

/// The content of data with a number.
fn content(number: u64) -> ContentId {
    let mut bytes = [0; 16];
    for (half, salt) in bytes.chunks_mut(8).zip([1, 2]) {
        let mut z = (number * 2 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        half.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    ContentId::new(None, &Hash::new(&bytes).unwrap())
}

/// Packs without bytes, and the indexes that name contents in them.
fn data(place: &Path, store: &dyn BlobStore, contents: u64, now: Timestamp) {
    let stored = std::fs::read(place.join(format!("{FORMAT_BLOB}.f"))).unwrap();
    let blob = FormatBlob::parse(&stored).unwrap();
    let key = blob.derive_key(&PASSWORD.into()).unwrap();
    let format: RepositoryFormat = blob.open(&key).unwrap();
    let (hasher, cipher) = (format.hasher().unwrap(), format.cipher().unwrap());
    let mut builder = IndexBuilder::new();
    let mut pack = String::new();
    for number in 0..contents {
        if number % CONTENTS_IN_A_PACK == 0 {
            pack = format!("p{number:032x}-s0123456789abcdef147");
            let file = place.join(&pack[..1]).join(&pack[1..4]);
            std::fs::create_dir_all(&file).unwrap();
            // A hole of the right length.
            let file = std::fs::File::create(file.join(format!("{}.f", &pack[4..]))).unwrap();
            file.set_len(CONTENTS_IN_A_PACK * u64::from(CONTENT_BYTES)).unwrap();
        }
        builder.add(Entry {
            id: content(number),
            pack: pack.as_str().into(),
            offset: u32::try_from(number % CONTENTS_IN_A_PACK).unwrap() * CONTENT_BYTES,
            packed_length: CONTENT_BYTES,
            original_length: CONTENT_BYTES - 28,
            timestamp: now.as_second() - 48 * 3600,
            deleted: false,
            format_version: 3,
            compression: 0,
            encryption_key: 0,
        });
        if (number + 1) % CONTENTS_IN_AN_INDEX == 0 || number + 1 == contents {
            for shard in builder.build_stable(2).unwrap() {
                let suffix = format!("s{number:016x}147-c1");
                let (name, body) = seal_blob(&hasher, &cipher, &shard, "xn0_", &suffix).unwrap();
                store.put(&name.as_str().into(), &[&body], &PutOptions::default()).unwrap();
            }
            builder.clear();
        }
    }
}

/// A snapshot that uses nine tenths of the contents.
fn trees(repo: &Repository, contents: u64) {
    let writer = repo.writer(WriterOptions::default()).unwrap();
    let put = |prefix: u8, json: &str| {
        let prefix = IdPrefix::new(prefix).unwrap();
        let compressor = Compressor::by_name("zstd-fastest");
        writer.write_content(json.as_bytes(), Some(prefix), compressor).unwrap()
    };
    let small = contents / 10 * 6;
    let used = contents / 10 * 9;
    let mut top = Vec::new();
    let directory = |entries: &[String]| {
        format!(r#"{{"stream":"kopia:directory","entries":[{}]}}"#, entries.join(",")) + "\n"
    };
    let entry = |name: &str, kind: &str, size: u64, object: &str| {
        format!(
            r#"{{"name":"{name}","type":"{kind}","mode":"0755","size":{size},"mtime":"2026-01-01T00:00:00Z","obj":"{object}"}}"#
        )
    };
    for first in (0..small).step_by(usize::try_from(FILES_IN_A_DIRECTORY).unwrap()) {
        let entries: Vec<String> = (first..small.min(first + FILES_IN_A_DIRECTORY))
            .map(|n| entry(&format!("file-{n:09}"), "f", 19_972, &content(n).to_string()))
            .collect();
        let object = put(b'k', &directory(&entries)).to_string();
        top.push(entry(&format!("directory-{first:09}"), "d", 0, &object));
    }
    for first in (small..used).step_by(usize::try_from(CHUNKS_IN_A_FILE).unwrap()) {
        let mut list = String::from(r#"{"stream":"kopia:indirect","entries":["#);
        for number in first..used.min(first + CHUNKS_IN_A_FILE) {
            let start = (number - first) * 19_972;
            let comma = if number == first { "" } else { "," };
            let start = if start == 0 { String::new() } else { format!(r#""s":{start},"#) };
            write!(list, r#"{comma}{{{start}"l":19972,"o":"{}"}}"#, content(number)).unwrap();
        }
        list += "]}\n";
        let object = format!("I{}", put(b'x', &list));
        top.push(entry(&format!("large-{first:09}"), "f", 19_972 * CHUNKS_IN_A_FILE, &object));
    }
    let root = put(b'k', &directory(&top)).to_string();
    let manifest = serde_json::from_value(serde_json::json!({
        "source": {"host": "host", "userName": "user", "path": "/data"},
        "startTime": "2026-01-01T00:00:00Z",
        "endTime": "2026-01-01T00:00:00Z",
        "rootEntry": {
            "name": "data", "type": "d", "mode": "0755", "mtime": "2026-01-01T00:00:00Z",
            "obj": root,
        },
    }));
    store::save_snapshot(&writer, &manifest.unwrap()).unwrap();
    writer.flush().unwrap();
}

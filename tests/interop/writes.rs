//! kopist writes, kopia judges.

use kopist_testkit::tree::{self, RandomTree, TreeShape};

use crate::pair::{Pair, id, restores_to, snapshot, verify};

/// Formats that a repository can be created in; each is written by kopist and read by kopia.
const FORMATS: &[&[&str]] = &[
    &[],
    &["--format-version=1"],
    &["--format-version=2"],
    &["--encryption=CHACHA20-POLY1305-HMAC-SHA256", "--block-hash=BLAKE3-256"],
    &["--block-hash=BLAKE2B-256"],
    &["--block-hash=BLAKE2S-128"],
    &["--block-hash=HMAC-SHA256-128"],
    &["--block-hash=HMAC-SHA3-256"],
    &["--ecc-overhead-percent=10"],
    &["--object-splitter=DYNAMIC-128K-BUZHASH"],
    &["--object-splitter=DYNAMIC-128K-RABINKARP"],
    &["--object-splitter=FIXED-128K", "--format-version=1"],
];

#[test]
fn kopia_reads_every_format_that_kopist_writes() {
    for flags in FORMATS {
        let test = "kopia_reads_every_format_that_kopist_writes";
        let Some(pair) = Pair::created_by_kopist(test, flags) else { return };
        println!("format {flags:?}");
        let mut tree = RandomTree::create(&pair.folder.path().join("source"), 1, shape());
        writes(&pair, &mut tree);
    }
}

/// Compressors that kopia 0.21 to 0.23 read and write.
const COMPRESSORS: &[&str] = &[
    "zstd",
    "zstd-fastest",
    "zstd-better-compression",
    "s2-default",
    "s2-better",
    "gzip",
    "gzip-best-speed",
    "pgzip",
    "deflate-default",
];

#[test]
fn kopia_reads_every_compression_that_kopist_writes() {
    for format in ["--format-version=3", "--format-version=1"] {
        let test = "kopia_reads_every_compression_that_kopist_writes";
        let Some(pair) = Pair::created_by_kopist(test, &[format]) else { return };
        for (seed, compressor) in (10..).zip(COMPRESSORS) {
            println!("{format} {compressor}");
            let source = pair.folder.path().join(compressor);
            let tree = RandomTree::create(&source, seed, shape());
            let policy = ["policy", "set", source.to_str().unwrap()];
            let compression = format!("--compression={compressor}");
            pair.kopist.ok(&[&policy[..], &[&compression]].concat());
            let made = snapshot(&pair.kopist, &source);
            restores_to(&pair.kopia, id(&made), &tree::list(tree.root()));
        }
        verify(&pair.kopia);
        verify(&pair.kopist);
    }
}

/// Two snapshots, kopia's judgement, its full maintenance, and kopist's own verification after it.
fn writes(pair: &Pair, tree: &mut RandomTree) {
    let before = tree::list(tree.root());
    let first = snapshot(&pair.kopist, tree.root());
    tree.change(20);
    let after = tree::list(tree.root());
    let second = snapshot(&pair.kopist, tree.root());

    verify(&pair.kopia);
    pair.kopia.ok(&["index", "inspect", "--all"]);
    assert_eq!(pair.same_snapshots().len(), 2);
    restores_to(&pair.kopia, id(&first), &before);

    pair.kopia.ok(&["maintenance", "run", "--full", "--safety=none"]);
    verify(&pair.kopia);
    verify(&pair.kopist);
    restores_to(&pair.kopia, id(&second), &after);
    restores_to(&pair.kopist, id(&second), &after);
}

fn shape() -> TreeShape {
    TreeShape { directories: 6, files: 25, largest: 900_000, links: 3 }
}

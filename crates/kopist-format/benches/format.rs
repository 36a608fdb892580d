//! How fast one thread cuts, compresses, and looks things up.
//!
//! `cargo bench -p kopist-format --bench format -- splitter` runs one group.

// A benchmark that cannot prepare its input has nothing to measure.
#![allow(clippy::unwrap_used)]

use divan::{Bencher, black_box, counter::BytesCount};
use kopist_format::{
    compression::{Compressor, decompress},
    id::{ContentId, Hash},
    index::{Entry, Index, IndexBuilder, encode, merge},
    splitter::SplitterAlgorithm,
};

fn main() {
    divan::main();
}

/// Bytes without pattern (splitmix64).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend((z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(length);
    out
}

/// Lines that compress about as logs do.
fn log_lines(length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 100);
    for (i, n) in noise(length).chunks_exact(4).enumerate() {
        if out.len() >= length {
            break;
        }
        let line = format!(
            "2026-11-21T12:{:02}:{:02} level={} request={:06x} path=/api/v{}/items/{}\n",
            i / 60 % 60,
            i % 60,
            ["info", "warn", "debug"][usize::from(n[0] % 3)],
            u32::from_le_bytes([n[1], n[2], n[3], 0]),
            n[0] % 4,
            n[1],
        );
        out.extend_from_slice(line.as_bytes());
    }
    out.truncate(length);
    out
}

#[divan::bench(args = [
    "FIXED-4M", "DYNAMIC-128K-BUZHASH", "DYNAMIC-1M-BUZHASH", "DYNAMIC-4M-BUZHASH",
    "DYNAMIC-128K-RABINKARP", "DYNAMIC-4M-RABINKARP",
])]
fn splitter(bencher: Bencher<'_, '_>, name: &str) {
    let data = noise(64 << 20);
    let algorithm = SplitterAlgorithm::by_name(name).unwrap();
    bencher.counter(BytesCount::of_slice(&data)).bench_local(|| {
        let mut splitter = algorithm.new_splitter();
        let mut rest = &data[..];
        let mut cuts = 0;
        while let Some(cut) = splitter.next_cut(black_box(rest)) {
            rest = &rest[cut..];
            cuts += 1;
        }
        cuts
    });
}

const COMPRESSORS: [&str; 9] = [
    "zstd-fastest",
    "zstd",
    "zstd-better-compression",
    "s2-default",
    "s2-better",
    "gzip",
    "gzip-best-speed",
    "deflate-default",
    "pgzip",
];

#[divan::bench(args = COMPRESSORS)]
fn compress(bencher: Bencher<'_, '_>, name: &str) {
    let data = log_lines(4 << 20);
    let compressor = Compressor::by_name(name).unwrap();
    let mut out = Vec::new();
    bencher.counter(BytesCount::of_slice(&data)).bench_local(|| {
        out.clear();
        compressor.compress(black_box(&data), &mut out).unwrap()
    });
}

#[divan::bench(args = COMPRESSORS)]
fn expand(bencher: Bencher<'_, '_>, name: &str) {
    let data = log_lines(4 << 20);
    let mut framed = Vec::new();
    assert!(Compressor::by_name(name).unwrap().compress(&data, &mut framed).unwrap());
    bencher
        .counter(BytesCount::of_slice(&data))
        .bench_local(|| decompress(black_box(&framed), None, data.len()).unwrap().len());
}

#[divan::bench(args = ["zstd-fastest", "s2-default", "gzip"])]
fn compress_noise(bencher: Bencher<'_, '_>, name: &str) {
    let data = noise(4 << 20);
    let compressor = Compressor::by_name(name).unwrap();
    let mut out = Vec::new();
    bencher
        .counter(BytesCount::of_slice(&data))
        .bench_local(|| compressor.compress(black_box(&data), &mut out).unwrap());
}

const ENTRIES: usize = 200_000;

fn ids() -> Vec<ContentId> {
    let ids = noise(16 * ENTRIES);
    ids.chunks_exact(16).map(|hash| ContentId::new(None, &Hash::new(hash).unwrap())).collect()
}

fn builder(ids: &[ContentId], timestamp: i64) -> IndexBuilder {
    let packs: Vec<String> = (0..200).map(|i| format!("p{i:032x}-s0123456789abcdef147")).collect();
    let mut builder = IndexBuilder::new();
    for (i, id) in ids.iter().enumerate() {
        builder.add(Entry {
            id: *id,
            pack: packs[i / 1000].as_str().into(),
            offset: 1000,
            packed_length: 20_000,
            original_length: 40_000,
            timestamp,
            deleted: false,
            format_version: 3,
            compression: 0x1100,
            encryption_key: 0,
        });
    }
    builder
}

#[divan::bench]
fn index_build(bencher: Bencher<'_, '_>) {
    let ids = ids();
    bencher
        .counter(divan::counter::ItemsCount::new(ENTRIES))
        .bench_local(|| builder(black_box(&ids), 1).build_stable(2).unwrap().len());
}

#[divan::bench]
fn index_lookup(bencher: Bencher<'_, '_>) {
    let ids = ids();
    let bytes = builder(&ids, 1).build_stable(2).unwrap().remove(0);
    let index = Index::parse(bytes, 28).unwrap();
    bencher.counter(divan::counter::ItemsCount::new(ENTRIES)).bench_local(|| {
        ids.iter().filter(|id| index.get(black_box(id)).unwrap().is_some()).count()
    });
}

#[divan::bench]
fn index_merge(bencher: Bencher<'_, '_>) {
    let ids = ids();
    let indexes: Vec<Index<Vec<u8>>> = (0..4)
        .map(|i| {
            let part = &ids[i * ENTRIES / 5..(i + 2) * ENTRIES / 5];
            let bytes = builder(part, i as i64).build_stable(2).unwrap().remove(0);
            Index::parse(bytes, 28).unwrap()
        })
        .collect();
    bencher
        .counter(divan::counter::ItemsCount::new(ENTRIES))
        .bench_local(|| encode(2, merge(black_box(&indexes))).unwrap().len());
}

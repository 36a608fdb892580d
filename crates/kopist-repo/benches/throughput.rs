//! How fast contents go in and are found again: `cargo bench -p kopist-repo`.
//!
//! The storage is memory, so that the figures are those of the engine.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a tool for developers

use std::{sync::Arc, time::Instant};

use kopist_blob::{BlobStore, MemoryStore, list_all};
use kopist_format::{compression::Compressor, id::ContentId};
use kopist_repo::{
    ClientIdentity, CreateOptions, ObjectOptions, OpenOptions, Repository, WriterOptions, create,
};

fn repository() -> (Arc<MemoryStore>, Repository) {
    let store = Arc::new(MemoryStore::new());
    let options = CreateOptions {
        key_derivation: kopist_format::kdf::PBKDF2_KEY_DERIVATION.into(),
        ..CreateOptions::default()
    };
    create(store.as_ref(), &"x".into(), &options).unwrap();
    let repo = open(store.clone());
    (store, repo)
}

fn open(store: Arc<dyn BlobStore>) -> Repository {
    let identity = ClientIdentity::new("bench", "host");
    let options = OpenOptions { identity, ..OpenOptions::default() };
    Repository::open(store, &"x".into(), options).unwrap()
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}

/// Half noise, half repetition, as binaries are.
fn binary(seed: u64, length: usize) -> Vec<u8> {
    let mut data = noise(seed, length);
    for (number, piece) in data.chunks_mut(64).enumerate() {
        if number % 2 == 0 {
            piece.fill((number / 128) as u8);
        }
    }
    data
}

fn rate(what: &str, bytes: u64, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!("{what:<44} {:>8.0} MB/s  {seconds:.2} s", bytes as f64 / 1e6 / seconds);
}

fn large(compressor: Option<&str>) {
    let (_, repo) = repository();
    let data = binary(1, 512 << 20);
    for threads in [0, 2] {
        let writer = repo.writer(WriterOptions { threads, ..WriterOptions::default() }).unwrap();
        let options = ObjectOptions {
            compressor: compressor.and_then(Compressor::by_name),
            ..ObjectOptions::default()
        };
        let started = Instant::now();
        let mut object = writer.object_writer(options);
        // A second round must not find its chunks.
        object.write_data(&[threads as u8]).unwrap();
        for part in data.chunks(1 << 20) {
            object.write_data(part).unwrap();
        }
        object.finish().unwrap();
        drop(writer);
        let what = format!("large object, {threads} threads, {}", compressor.unwrap_or("raw"));
        rate(&what, data.len() as u64, started);
    }
}

fn small() -> (Arc<MemoryStore>, Vec<ContentId>) {
    const COUNT: u64 = 200_000;
    const LENGTH: usize = 4096;
    let (store, repo) = repository();
    let data = noise(2, COUNT as usize * 8 + LENGTH);
    let pieces: Vec<&[u8]> = (0..COUNT as usize).map(|i| &data[i * 8..i * 8 + LENGTH]).collect();
    let mut ids = Vec::new();
    for round in ["new", "known, pending", "known, committed"] {
        let writer = repo.writer(WriterOptions::default()).unwrap();
        let started = Instant::now();
        let run = |pieces: &[&[u8]]| -> Vec<ContentId> {
            pieces
                .chunks(16)
                .flat_map(|group| writer.write_contents(group, None, None).unwrap())
                .collect()
        };
        let (left, right) = pieces.split_at(pieces.len() / 2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| run(right));
            ids = run(left);
            ids.extend(other.join().unwrap());
        });
        rate(&format!("200 000 × 4 KiB, 2 threads, {round}"), COUNT * LENGTH as u64, started);
        if round != "new" {
            continue;
        }
        let again = Instant::now();
        for group in pieces.chunks(16) {
            writer.write_contents(group, None, None).unwrap();
        }
        rate("the same again before the flush, 1 thread", COUNT * LENGTH as u64, again);
        let flush = Instant::now();
        writer.flush().unwrap();
        println!("{:<44} {:>8.1} ms", "flush of their index", flush.elapsed().as_secs_f64() * 1e3);
    }
    (store, ids)
}

fn reading(store: &Arc<MemoryStore>, ids: &[ContentId]) {
    let started = Instant::now();
    let repo = open(store.clone());
    println!(
        "{:<44} {:>8.1} ms, {} index blobs",
        "open",
        started.elapsed().as_secs_f64() * 1e3,
        list_all(store.as_ref(), "x").unwrap().len()
    );
    let index = repo.index();
    let started = Instant::now();
    let found = ids.iter().filter(|id| index.find(id).unwrap().is_some()).count();
    let nanos = started.elapsed().as_nanos() / ids.len() as u128;
    println!("{:<44} {nanos:>8} ns", format!("lookup, {found} found"));
    let started = Instant::now();
    repo.read_many(ids, 2, |_, _| Ok(())).unwrap();
    rate("read all by pack, 2 threads", ids.len() as u64 * 4096, started);
}

fn main() {
    large(None);
    large(Some("zstd-fastest"));
    let (store, ids) = small();
    reading(&store, &ids);
}

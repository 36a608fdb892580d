//! How fast contents go in and are found again: `cargo bench -p kopist-repo`.
//!
//! The storage is memory, so that the figures are those of the engine.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a tool for developers

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use kopist_blob::{
    BlobError, BlobId, BlobMeta, BlobStore, ByteRange, MemoryStore, PutOptions, StorageConfig,
};
use kopist_format::{compression::Compressor, id::ContentId};
use kopist_repo::{
    ClientIdentity, CreateOptions, ObjectOptions, OpenOptions, Repository, WriterOptions, create,
};

/// Memory that forgets the bytes of packs, so that only the engine is measured.
#[derive(Debug, Default)]
struct Forgetful(MemoryStore);

impl BlobStore for Forgetful {
    fn get(&self, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        self.0.get(id, range)
    }

    fn metadata(&self, id: &BlobId) -> Result<BlobMeta, BlobError> {
        self.0.metadata(id)
    }

    fn put(
        &self,
        id: &BlobId,
        data: &[&[u8]],
        options: &PutOptions,
    ) -> Result<BlobMeta, BlobError> {
        self.0.put(id, if id.starts_with("p") { &[] } else { data }, options)
    }

    fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        self.0.delete(id)
    }

    fn list(
        &self,
        prefix: &str,
        visit: &mut dyn FnMut(BlobMeta) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        self.0.list(prefix, visit)
    }

    fn storage_config(&self) -> StorageConfig {
        self.0.storage_config()
    }

    fn display_name(&self) -> String {
        self.0.display_name()
    }
}

fn repository<S: BlobStore + Default + 'static>() -> (Arc<S>, Repository) {
    let store = Arc::new(S::default());
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

/// Wall time, and the time of all threads on processors: the latter means something on a machine
/// that does other things, too.
struct Stopwatch(std::time::Instant, f64);

/// Processor seconds of this process so far, from `/proc`.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(12) + ticks(13)) / 100.0
}

impl Stopwatch {
    fn start() -> Self {
        Self(std::time::Instant::now(), cpu())
    }

    fn rate(self, what: &str, bytes: u64) {
        let (wall, busy) = (self.0.elapsed().as_secs_f64(), cpu() - self.1);
        let rate = |seconds: f64| bytes as f64 / 1e6 / seconds;
        let (wall, busy) = (rate(wall), rate(busy));
        println!("{what:<44} {wall:>8.0} MB/s, {busy:>8.0} MB per processor second");
    }

    fn millis(self, what: &str) {
        let (wall, busy) = (self.0.elapsed().as_secs_f64() * 1e3, (cpu() - self.1) * 1e3);
        println!("{what:<44} {wall:>8.1} ms, {busy:>8.0} processor ms");
    }
}

fn large(compressor: Option<&str>) {
    let (_, repo) = repository::<Forgetful>();
    let data = binary(1, 512 << 20);
    for threads in [0, 2] {
        let writer = repo.writer(WriterOptions { threads, ..WriterOptions::default() }).unwrap();
        let options = ObjectOptions {
            compressor: compressor.and_then(Compressor::by_name),
            ..ObjectOptions::default()
        };
        let started = Stopwatch::start();
        let mut object = writer.object_writer(options);
        // A second round must not find its chunks.
        object.write_data(&[threads as u8]).unwrap();
        for part in data.chunks(1 << 20) {
            object.write_data(part).unwrap();
        }
        object.finish().unwrap();
        drop(writer);
        let what = format!("large object, {threads} threads, {}", compressor.unwrap_or("raw"));
        started.rate(&what, data.len() as u64);
    }
}

fn small() -> (Arc<MemoryStore>, Vec<ContentId>) {
    const COUNT: u64 = 200_000;
    const LENGTH: usize = 4096;
    let (store, repo) = repository();
    let data = noise(2, COUNT as usize * 8 + LENGTH);
    let pieces: Vec<&[u8]> = (0..COUNT as usize).map(|i| &data[i * 8..i * 8 + LENGTH]).collect();
    let mut ids = Vec::new();
    for round in ["new", "known"] {
        let writer = repo.writer(WriterOptions::default()).unwrap();
        let started = Stopwatch::start();
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
        started.rate(&format!("200 000 × 4 KiB, 2 threads, {round}"), COUNT * LENGTH as u64);
        if round != "new" {
            continue;
        }
        let again = Stopwatch::start();
        for group in pieces.chunks(16) {
            writer.write_contents(group, None, None).unwrap();
        }
        again.rate("the same again before the flush, 1 thread", COUNT * LENGTH as u64);
        let flush = Stopwatch::start();
        writer.flush().unwrap();
        flush.millis("flush of their index");
    }
    (store, ids)
}

fn reading(store: &Arc<MemoryStore>, ids: &[ContentId]) {
    let started = Stopwatch::start();
    let repo = open(store.clone());
    started.millis("open");
    let index = repo.index();
    let started = Stopwatch::start();
    let found = ids.iter().filter(|id| index.find(id).unwrap().is_some()).count();
    started.millis(&format!("{found} lookups"));
    let started = Stopwatch::start();
    repo.read_many(ids, 2, |_, _| Ok(())).unwrap();
    started.rate("read all by pack, 2 threads", ids.len() as u64 * 4096);
}

fn main() {
    large(None);
    large(Some("zstd-fastest"));
    let (store, ids) = small();
    reading(&store, &ids);
}

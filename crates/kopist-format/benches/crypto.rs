//! Throughput of hashing, encryption and error correction on one thread.

// A benchmark that cannot prepare its input has nothing to measure.
#![allow(clippy::unwrap_used)]

use divan::{Bencher, counter::BytesCount};
use kopist_format::{
    ecc::EccParameters,
    encryption::ContentCipher,
    hashing::{ContentHasher, HashAlgorithm},
};

fn main() {
    divan::main();
}

const SIZES: [usize; 3] = [4 << 10, 64 << 10, 4 << 20];

fn hasher(name: &str) -> ContentHasher {
    ContentHasher::new(HashAlgorithm::by_name(name).unwrap(), &[7; 32]).unwrap()
}

#[divan::bench(args = ["BLAKE2B-256-128", "BLAKE2S-256", "BLAKE3-256", "HMAC-SHA256", "HMAC-SHA3-256"], consts = SIZES)]
fn hash<const SIZE: usize>(bencher: Bencher, name: &str) {
    let (hasher, data) = (hasher(name), vec![1; SIZE]);
    bencher.counter(BytesCount::new(SIZE)).bench(|| hasher.hash(&data));
}

/// Contents of the default hash, this many at once.
#[divan::bench(args = [1, 2, 3, 4, 5, 6, 8, 16], consts = SIZES)]
fn hash_many<const SIZE: usize>(bencher: Bencher, count: usize) {
    let (hasher, data) = (hasher("BLAKE2B-256-128"), vec![vec![1; SIZE]; count]);
    let slices: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
    let mut out = Vec::new();
    bencher.counter(BytesCount::new(SIZE * count)).bench_local(|| {
        out.clear();
        hasher.hash_many(&slices, &mut out);
    });
}

/// The same by the other implementation of a single BLAKE2b, to see that the choice is right here.
#[divan::bench(consts = SIZES)]
fn blake2b_simd_single<const SIZE: usize>(bencher: Bencher) {
    let mut params = blake2b_simd::Params::new();
    params.hash_length(32).key(&[7; 32]);
    let data = vec![1; SIZE];
    bencher.counter(BytesCount::new(SIZE)).bench(|| params.hash(&data));
}

#[divan::bench(args = ["AES256-GCM-HMAC-SHA256", "CHACHA20-POLY1305-HMAC-SHA256"], consts = SIZES)]
fn seal<const SIZE: usize>(bencher: Bencher, name: &str) {
    let cipher = ContentCipher::new(name, &[7; 32], None).unwrap();
    let data = vec![1; SIZE];
    let mut out = Vec::new();
    bencher.counter(BytesCount::new(SIZE)).bench_local(|| {
        out.clear();
        cipher.seal(&data, &[3; 16], &mut out).unwrap();
    });
}

#[divan::bench(args = ["AES256-GCM-HMAC-SHA256", "CHACHA20-POLY1305-HMAC-SHA256"], consts = SIZES)]
fn open<const SIZE: usize>(bencher: Bencher, name: &str) {
    let cipher = ContentCipher::new(name, &[7; 32], None).unwrap();
    let mut sealed = Vec::new();
    cipher.seal(&vec![1; SIZE], &[3; 16], &mut sealed).unwrap();
    bencher.counter(BytesCount::new(SIZE)).bench(|| cipher.open(&sealed, &[3; 16]).unwrap());
}

/// Error correction with this overhead in percent.
#[divan::bench(args = [1, 10, 50, 100])]
fn ecc_seal(bencher: Bencher, percent: u32) {
    const SIZE: usize = 4 << 20;
    let ecc = EccParameters::new(percent).unwrap();
    let cipher = ContentCipher::new("AES256-GCM-HMAC-SHA256", &[7; 32], Some(ecc)).unwrap();
    let data = vec![1; SIZE];
    let mut out = Vec::new();
    bencher.counter(BytesCount::new(SIZE)).bench_local(|| {
        out.clear();
        cipher.seal(&data, &[3; 16], &mut out).unwrap();
    });
}

/// Opening with this many shards of the first block damaged.
#[divan::bench(args = [0, 1, 4])]
fn ecc_open(bencher: Bencher, damaged: usize) {
    const SIZE: usize = 4 << 20;
    let ecc = EccParameters::new(10).unwrap();
    let cipher = ContentCipher::new("AES256-GCM-HMAC-SHA256", &[7; 32], Some(ecc)).unwrap();
    let mut sealed = Vec::new();
    cipher.seal(&vec![1; SIZE], &[3; 16], &mut sealed).unwrap();
    let data_start = sealed.len() - SIZE - SIZE / 16;
    for shard in 0..damaged {
        sealed[data_start + shard * 68] ^= 1;
    }
    bencher.counter(BytesCount::new(SIZE)).bench(|| cipher.open(&sealed, &[3; 16]).unwrap());
}

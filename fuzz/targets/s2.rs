//! The S2 reader, which knows kopia's extensions of snappy.

#![no_main]

use kopist_format::compression::{self, Compressor};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let header = Compressor::by_name("s2-default").expect("a known name").header();
    let framed = [&header.to_be_bytes(), data].concat();
    if let Ok(plain) = compression::decompress(&framed, None, LIMIT) {
        assert!(plain.len() <= LIMIT);
    }
});

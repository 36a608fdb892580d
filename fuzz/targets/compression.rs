//! Every compressor: reading anything, and reading what was written.

#![no_main]

use kopist_format::compression::{self, Compressor};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    if let Ok(plain) = compression::decompress(data, None, LIMIT) {
        assert!(plain.len() <= LIMIT);
    }
    // What follows the header is compressed with the compressor that the header names.
    let Ok((header, plain)) = compression::split_header(data) else { return };
    let Ok(compressor) = Compressor::by_header(header) else { return };
    let mut written = Vec::new();
    if compressor.compress(plain, &mut written).unwrap_or(false) {
        let read = compression::decompress(&written, Some(header), plain.len());
        assert_eq!(read.expect("what was written can be read"), plain);
    }
});

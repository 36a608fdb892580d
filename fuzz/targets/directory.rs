//! Directory objects: what is written again after reading is read the same.

#![no_main]

use kopist_format::directory::DirectoryManifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(directory) = DirectoryManifest::parse(data) else { return };
    let bytes = directory.to_bytes();
    let again = DirectoryManifest::parse(&bytes).expect("what was written can be read");
    assert_eq!(again.to_bytes(), bytes);
});

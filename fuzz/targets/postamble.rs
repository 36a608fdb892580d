//! The end of a pack, and the names of blobs.

#![no_main]

use kopist_format::{blob_crypto, epoch, pack, session};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(postamble) = pack::Postamble::decode(data) {
        // Extra bytes may stand before it; its own encoding is the shortest.
        let bytes = postamble.encode().expect("what was read can be written");
        assert_eq!(pack::Postamble::decode(&bytes), Some(postamble));
    }
    if let Ok(name) = std::str::from_utf8(data) {
        let _ = session::session_of_blob(name);
        let _ = epoch::epoch_of(name);
        let _ = epoch::range_of(name);
        let _ = epoch::watermark_of(name);
        let _ = blob_crypto::iv_of_name(name);
    }
});

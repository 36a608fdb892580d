//! `kopia.repository`, what is sealed in it, `kopia.blobcfg`, and replicas in packs.

#![no_main]

use kopist_format::format_blob::{BlobCfg, FormatBlob, RepositoryFormat, find_replica};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(blob) = FormatBlob::parse(data) {
        let bytes = blob.to_bytes().expect("what was read can be written");
        let again = FormatBlob::parse(&bytes).expect("what was written can be read");
        assert_eq!(again.to_bytes().expect("twice"), bytes);
    }
    let _ = RepositoryFormat::from_json(data);
    let _ = BlobCfg::from_json(data);
    if let Some(replica) = find_replica(data) {
        assert!(replica.len() <= data.len());
    }
});

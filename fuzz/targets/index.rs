//! Index blobs of both versions: reading in place, and building from what was read.

#![no_main]

use kopist_format::index::{Index, IndexBuilder};
use libfuzzer_sys::fuzz_target;

const OVERHEAD: u32 = 28;

fuzz_target!(|data: &[u8]| {
    let Ok(index) = Index::parse(data, OVERHEAD) else { return };
    let mut builder = IndexBuilder::new();
    let mut whole = true;
    for (ordinal, entry) in index.iter().enumerate() {
        let Ok(entry) = entry else {
            whole = false;
            continue;
        };
        let _ = index.get(&entry.id);
        let _ = index.lower_bound(&entry.id);
        let _ = index.key_at(ordinal);
        builder.add_ref(&entry);
    }
    let valid = index.validate().is_ok();
    assert!(!valid || whole, "a valid index has an entry that cannot be read");
    let Ok(shards) = builder.build_stable(2) else { return };
    let mut entries = 0;
    for shard in &shards {
        let again = Index::parse(shard.as_slice(), OVERHEAD).expect("what was built can be read");
        again.validate().expect("what was built is valid");
        for entry in again.iter() {
            let entry = entry.expect("every entry can be read");
            assert_eq!(Some(entry), builder.get(&entry.id));
            entries += 1;
        }
    }
    assert_eq!(entries, builder.len());
});

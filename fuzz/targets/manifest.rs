//! Contents with manifests, snapshot manifests, and policies.

#![no_main]

use kopist_format::json::to_go_json;
use kopist_format::manifest;
use kopist_format::snapshot::SnapshotManifest;
use kopist_snapshot::policy::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(entries) = manifest::decode(data) {
        let _ = manifest::merge(entries);
    }
    if let Ok(snapshot) = serde_json::from_slice::<SnapshotManifest>(data) {
        let bytes = to_go_json(&snapshot).expect("what was read can be written");
        let again: SnapshotManifest = serde_json::from_slice(&bytes).expect("and read again");
        assert_eq!(to_go_json(&again).expect("twice"), bytes);
    }
    if let Ok(policy) = serde_json::from_slice::<Policy>(data) {
        let bytes = to_go_json(&policy).expect("what was read can be written");
        let again: Policy = serde_json::from_slice(&bytes).expect("and read again");
        assert_eq!(to_go_json(&again).expect("twice"), bytes);
    }
});

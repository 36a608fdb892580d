use std::collections::BTreeMap;

use kopist_blob::sharded::Parameters;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    parameters: serde_json::Value,
    paths: BTreeMap<String, String>,
}

#[test]
fn blobs_live_where_kopia_puts_them() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/storage-shards.json");
    let vectors: Vectors = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut checked = 0;
    for case in vectors.cases {
        let text = case.parameters.to_string();
        let parameters = Parameters::parse(text.as_bytes(), "vector").unwrap();
        for (id, path) in case.paths {
            let ours = format!("R/{}", parameters.path_of(&id.as_str().into()).unwrap());
            assert_eq!(ours, path, "{id} in {text}");
            checked += 1;
        }
    }
    assert!(checked >= 20, "only {checked} paths in the vectors");
}

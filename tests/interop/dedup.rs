//! What one program has stored, the other does not store again.

use std::collections::BTreeSet;

use kopist_testkit::oracle::Client;
use kopist_testkit::tree::{RandomTree, TreeShape};

use crate::pair::{Pair, blobs, root, snapshot};

const FORMATS: &[&[&str]] =
    &[&[], &["--format-version=1"], &["--object-splitter=DYNAMIC-128K-BUZHASH"]];

#[test]
fn kopist_adds_no_data_to_what_kopia_stored() {
    for flags in FORMATS {
        let test = "kopist_adds_no_data_to_what_kopia_stored";
        let Some(pair) = Pair::created_by_kopia(test, flags) else { return };
        deduplicates(&pair, &pair.kopia, &pair.kopist);
    }
}

#[test]
fn kopia_adds_no_data_to_what_kopist_stored() {
    for flags in FORMATS {
        let test = "kopia_adds_no_data_to_what_kopist_stored";
        let Some(pair) = Pair::created_by_kopist(test, flags) else { return };
        deduplicates(&pair, &pair.kopist, &pair.kopia);
    }
}

fn deduplicates(pair: &Pair, first: &Client, second: &Client) {
    let source = pair.folder.path().join("source");
    let shape = TreeShape { largest: 6_000_000, ..TreeShape::default() };
    RandomTree::create(&source, 3, shape);
    let one = snapshot(first, &source);
    let packs = data_packs(pair);
    let known = contents(first);

    // As another user, the second finds no earlier snapshot and reads everything again.
    second.ok(&["repository", "set-client", "--username=other"]);
    let two = snapshot(second, &source);

    assert_eq!(root(&one), root(&two), "the same tree has two roots");
    let added: Vec<String> =
        contents(second).difference(&known).filter(|id| !id.starts_with('m')).cloned().collect();
    assert_eq!(added, [""; 0], "the second backup added contents that are no manifests");
    assert_eq!(data_packs(pair), packs, "the second backup added data packs");
}

fn data_packs(pair: &Pair) -> BTreeSet<String> {
    blobs(&pair.repository).into_keys().filter(|name| name.starts_with('p')).collect()
}

fn contents(client: &Client) -> BTreeSet<String> {
    let listed = client.json(&["content", "list", "--json"]);
    (listed.as_array().expect("a list").iter())
        .map(|content| content["contentID"].as_str().expect("an ID").to_owned())
        .collect()
}

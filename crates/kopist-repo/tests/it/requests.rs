//! How many requests things take.

use std::sync::Arc;

use kopist_blob::{MemoryStore, Operation, Recording};
use kopist_repo::{Repository, WriterOptions, create};

use crate::common::{noise, open_options, password, quick_create};

#[test]
fn opening_lists_once_and_a_run_writes_one_index_blob() {
    let store = Arc::new(Recording::new(MemoryStore::new()));
    create(store.as_ref(), &password(), &quick_create()).unwrap();
    store.clear();

    let repo = Repository::open(store.clone(), &password(), open_options()).unwrap();
    assert_eq!(store.targets(Operation::List), ["x"]);
    assert_eq!(store.count(Operation::Get), 2, "kopia.repository and kopia.blobcfg");
    store.clear();

    let writer = repo.writer(WriterOptions::default()).unwrap();
    for i in 0..100 {
        writer.write_content(&noise(i, 1000), None, None).unwrap();
    }
    let labels = [("type".to_owned(), "test".to_owned())].into();
    writer.put_manifest(&labels, &1).unwrap();
    writer.flush().unwrap();
    let mut kinds: Vec<String> =
        store.targets(Operation::Put).iter().map(|blob| blob[..1].to_owned()).collect();
    assert_eq!(kinds.first().map(String::as_str), Some("s"), "the marker is the first");
    assert_eq!(kinds.last().map(String::as_str), Some("x"), "the index is the last");
    kinds.sort();
    assert_eq!(kinds, ["p", "q", "s", "x"]);
    assert_eq!(store.count(Operation::Delete), 1, "the marker");
    store.clear();

    // Nothing new: nothing is written.
    for i in 0..100 {
        writer.write_content(&noise(i, 1000), None, None).unwrap();
    }
    writer.flush().unwrap();
    assert_eq!(store.count(Operation::Put) + store.count(Operation::Delete), 0);
}

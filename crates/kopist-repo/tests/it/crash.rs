//! A session that is cut off anywhere leaves a repository that verifies.

use std::{collections::BTreeMap, sync::Arc};

use kopist_blob::{LastChange, MemoryStore, PowerCut};
use kopist_format::id::{ContentId, IdPrefix};
use kopist_repo::{RepoError, Repository, WriterOptions, create};

use crate::common::{noise, open, open_options, password, quick_create, verify_everything};

/// What a run wrote, by the flush that made it durable.
fn run(repo: &Repository) -> Vec<(bool, Vec<ContentId>)> {
    let writer = repo.writer(WriterOptions::default()).unwrap();
    let mut flushes = Vec::new();
    for round in 0..3_u64 {
        let mut ids = Vec::new();
        let mut write = || -> Result<(), RepoError> {
            for i in 0..3 {
                ids.push(writer.write_content(&noise(round * 10 + i, 2000), None, None)?);
            }
            ids.push(writer.write_content(&noise(round, 500), Some(IdPrefix::DIRECTORY), None)?);
            if round > 0 {
                let old = noise(round * 10 - 10, 2000);
                let id = writer.write_content(&old, None, None)?;
                writer.rewrite_content(&id)?;
            }
            let labels = BTreeMap::from([("type".to_owned(), "run".to_owned())]);
            writer.replace_manifests(&labels, &round)?;
            writer.flush()
        };
        let done = write().is_ok();
        flushes.push((done, ids));
    }
    flushes
}

#[test]
fn after_any_number_of_changes_the_repository_is_whole() {
    let beginning = MemoryStore::new();
    create(&beginning, &password(), &quick_create()).unwrap();
    let count = {
        let store = Arc::new(PowerCut::never(beginning.fork()));
        run(&open(store.clone()));
        store.changes()
    };
    assert!(count >= 12, "{count}");
    for changes in 0..count {
        for last in [LastChange::Lost, LastChange::Applied] {
            let base = Arc::new(beginning.fork());
            let cut = Arc::new(PowerCut::after(base.clone(), changes, last));
            let repo = Repository::open(cut.clone(), &password(), open_options()).unwrap();
            let flushes = run(&repo);
            drop(repo);

            let after = open(base.clone());
            verify_everything(&after);
            for (done, ids) in flushes {
                for id in ids {
                    let there = after.content_info(&id).unwrap().is_some();
                    assert!(there || !done, "after {changes}: flushed, but {id} is gone");
                }
            }
            after.manifests().unwrap();
            // And it can be written to.
            let writer = after.writer(WriterOptions::default()).unwrap();
            writer.write_content(b"afterwards", None, None).unwrap();
            writer.flush().unwrap();
            after.refresh().unwrap();
            verify_everything(&after);
        }
    }
}

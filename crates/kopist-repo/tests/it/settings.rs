//! Settings that change while a repository is open.

use std::sync::Arc;

use jiff::SignedDuration;
use kopist_blob::{BlobId, BlobStore, ByteRange, MemoryStore, PutOptions};
use kopist_format::format_blob::{
    FORMAT_BLOB, FormatBlob, FormatVersion, RequiredFeature, UpgradeLock,
};
use kopist_format::json::Unknown;
use kopist_repo::{
    Clock, CreateOptions, ManualClock, OpenOptions, ParameterChange, RepoError, Repository,
    RetentionChange, WriterOptions, create,
};

use crate::common::{new_repository, open, open_options, password, quick_create};

/// Rewrites the format blob as another client would.
fn change(
    store: &dyn BlobStore,
    change: impl FnOnce(&mut kopist_format::format_blob::RepositoryFormat),
) {
    let id = BlobId::from(FORMAT_BLOB);
    let mut blob = FormatBlob::parse(&store.get(&id, ByteRange::Full).unwrap()).unwrap();
    let key = blob.derive_key(&password()).unwrap();
    let mut format = blob.open(&key).unwrap();
    change(&mut format);
    blob.seal(&format, &key).unwrap();
    store.put(&id, &[&blob.to_bytes().unwrap()], &PutOptions::default()).unwrap();
}

fn with_clock() -> (Arc<MemoryStore>, Arc<ManualClock>, Repository) {
    let store = Arc::new(MemoryStore::new());
    create(store.as_ref(), &password(), &quick_create()).unwrap();
    let clock = Arc::new(ManualClock::new("2026-11-21T12:00:00Z".parse().unwrap()));
    let options = OpenOptions { clock: clock.clone(), ..open_options() };
    let repo = Repository::open(store.clone(), &password(), options).unwrap();
    (store, clock, repo)
}

#[test]
fn an_upgrade_lock_stops_a_long_session_within_15_minutes() {
    let (store, clock, repo) = with_clock();
    let writer = repo.writer(WriterOptions::default()).unwrap();
    writer.write_content(b"before", None, None).unwrap();
    let lock = UpgradeLock {
        owner_id: "somebody".into(),
        creation_time: clock.now(),
        advance_notice: SignedDuration::ZERO,
        io_drain_timeout: SignedDuration::from_mins(15),
        status_poll_interval: SignedDuration::from_mins(1),
        message: "upgrading".into(),
        max_permitted_clock_drift: SignedDuration::from_mins(5),
        unknown: Unknown::default(),
    };
    change(store.as_ref(), |format| format.upgrade_lock = Some(lock));
    clock.advance(SignedDuration::from_mins(9));
    writer.flush().unwrap();
    clock.advance(SignedDuration::from_mins(7));
    let error = writer.write_content(b"after", None, None).unwrap_err();
    assert!(matches!(error, RepoError::UpgradeInProgress { .. }), "{error}");
    assert!(error.to_string().contains("repository upgrade in progress"));
    let options = |owner: &str| OpenOptions {
        clock: clock.clone(),
        upgrade_owner: owner.into(),
        ..open_options()
    };
    let refused = Repository::open(store.clone(), &password(), options("")).unwrap_err();
    assert!(matches!(refused, RepoError::UpgradeInProgress { .. }));
    Repository::open(store.clone(), &password(), options("somebody")).unwrap();
    // When the lock is gone the session goes on.
    change(store.as_ref(), |format| format.upgrade_lock = None);
    clock.advance(SignedDuration::from_mins(16));
    writer.write_content(b"after", None, None).unwrap();
    writer.flush().unwrap();
}

#[test]
fn a_feature_that_appears_stops_a_long_session_too() {
    let (store, clock, repo) = with_clock();
    change(store.as_ref(), |format| {
        let feature = RequiredFeature { feature: "future".into(), ..Default::default() };
        format.required_features.push(feature);
    });
    repo.refresh().unwrap();
    clock.advance(SignedDuration::from_mins(16));
    assert!(matches!(repo.refresh(), Err(RepoError::RequiredFeature(_))));
    let error = Repository::open(store, &password(), open_options()).unwrap_err();
    assert!(error.to_string().contains("does not support feature 'future'"), "{error}");
}

#[test]
fn parameters_are_checked_stored_and_seen_by_others() {
    let (store, repo) = new_repository(&quick_create());
    let other = open(store.clone());
    assert!(!repo.set_parameters(&ParameterChange::default()).unwrap(), "no changes");
    let too_small = ParameterChange { max_pack_size: Some(1 << 20), ..Default::default() };
    assert!(repo.set_parameters(&too_small).unwrap_err().to_string().contains("too small"));
    let down = ParameterChange { index_version: Some(1), ..Default::default() };
    assert!(repo.set_parameters(&down).unwrap_err().to_string().contains("only be upgraded"));
    let change = ParameterChange { max_pack_size: Some(30 << 20), ..Default::default() };
    assert!(repo.set_parameters(&change).unwrap());
    assert_eq!(repo.parameters().max_pack_size, 30 << 20);
    assert_eq!(other.parameters().max_pack_size, 20 << 20);
    assert_eq!(open(store).parameters().max_pack_size, 30 << 20);

    let retention = RetentionChange::Set {
        mode: Some("GOVERNANCE".into()),
        period: Some(SignedDuration::from_hours(1)),
    };
    let change = ParameterChange { retention: Some(retention), ..Default::default() };
    assert!(repo.set_parameters(&change).unwrap_err().to_string().contains("minimum required"));
}

#[test]
fn index_version_2_in_an_old_repository() {
    let v1 = CreateOptions { version: FormatVersion::V1, ..quick_create() };
    let (store, repo) = new_repository(&v1);
    let write = |repo: &Repository, data: &[u8]| {
        let writer = repo.writer(WriterOptions::default()).unwrap();
        let id = writer.write_content(data, None, None).unwrap();
        writer.flush().unwrap();
        id
    };
    let before = write(&repo, b"before");
    let change = ParameterChange { index_version: Some(2), ..Default::default() };
    assert!(repo.set_parameters(&change).unwrap());
    let after = write(&repo, b"after");
    let again = open(store);
    assert_eq!(again.read_content(&before).unwrap(), b"before".as_slice());
    assert_eq!(again.read_content(&after).unwrap(), b"after".as_slice());
    assert!(matches!(again.change_password(&"x".into()), Err(RepoError::Settings(_)),));
}

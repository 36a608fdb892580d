//! Maintenance over simulated weeks, and cut off anywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobStore, ByteRange, LastChange, MemoryStore, PowerCut, PutOptions, list_all};
use kopist_format::{
    format_blob::{EpochParameters, FormatVersion},
    id::{ContentId, IdPrefix},
    maintenance::{Mode, RunInfo, SafetyParameters, Schedule, task},
};
use kopist_repo::{
    Clock, CreateOptions, KeyRange, ManualClock, OpenOptions, RepoError, Repository, WriterOptions,
    create,
    maintenance::{
        LegacyCompaction, PackDeletion, RewriteOptions, compact_legacy, delete_unreferenced_packs,
        drop_deleted, epochs, rewrite_short_packs,
    },
};

use crate::common::{noise, open_options, password, quick_create, verify_everything};

struct World {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
}

impl World {
    fn new(version: FormatVersion) -> Self {
        let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
        let of_store = Arc::clone(&clock);
        let store = Arc::new(MemoryStore::with_clock(move || of_store.now()));
        let epoch = EpochParameters {
            epoch_refresh_frequency: SignedDuration::from_mins(3),
            min_epoch_duration: SignedDuration::from_hours(10),
            epoch_advance_on_count_threshold: 10,
            full_checkpoint_frequency: 3,
            ..EpochParameters::default()
        };
        let options = CreateOptions { version, epoch: Some(epoch), ..quick_create() };
        create(store.as_ref(), &password(), &options).unwrap();
        Self { clock, store }
    }

    /// The same world again, from its beginning.
    fn again(&self) -> Self {
        let clock = Arc::new(ManualClock::new("2026-01-01T00:00:00Z".parse().unwrap()));
        let of_store = Arc::clone(&clock);
        let store = Arc::new(MemoryStore::with_clock(move || of_store.now()));
        for blob in list_all(self.store.as_ref(), "").unwrap() {
            let data = self.store.get(&blob.id, ByteRange::Full).unwrap();
            store.put(&blob.id, &[&data], &PutOptions::default()).unwrap();
        }
        Self { clock, store }
    }

    fn open(&self, store: Arc<dyn BlobStore>) -> Repository {
        let options = OpenOptions { clock: self.clock.clone(), ..open_options() };
        Repository::open(store, &password(), options).unwrap()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn report(schedule: &mut Schedule, task: &str, now: Timestamp) {
    let run = RunInfo { start: now, end: now, success: true, error: String::new(), extra: vec![] };
    schedule.report(task, run);
}

/// One full cycle on `garbage`, in Kopia's order.
fn full_cycle(
    repo: &Repository,
    safety: &SafetyParameters,
    garbage: &BTreeSet<ContentId>,
) -> Result<(), RepoError> {
    let mut schedule = repo.maintenance_schedule()?;
    let start = repo.set_maintenance_schedule(&schedule)?;
    let writer = repo.writer(WriterOptions::default())?;

    for id in garbage {
        match writer.content_info(id)? {
            Some(info) if !info.deleted => writer.delete_content(id)?,
            _ => {}
        }
    }
    writer.flush()?;
    report(&mut schedule, task::SNAPSHOT_GC, start);
    repo.set_maintenance_schedule(&schedule)?;

    if schedule.may_rewrite(Mode::Full, safety) {
        rewrite_short_packs(&writer, &RewriteOptions::new(start, safety))?;
        report(&mut schedule, task::REWRITE_FULL, start);
        repo.set_maintenance_schedule(&schedule)?;
    }
    let settle = if safety.disable_eventual_consistency_safety {
        SignedDuration::ZERO
    } else {
        SignedDuration::from_hours(1)
    };
    if let Some(before) = schedule.safe_drop_time(start, safety) {
        drop_deleted(repo, before, settle)?;
    }
    if schedule.may_delete_packs(start, safety) {
        let options = PackDeletion { start, safety: *safety, metadata_only: false, dry_run: false };
        delete_unreferenced_packs(repo, &options)?;
        report(&mut schedule, task::DELETE_ORPHANED_FULL, start);
        repo.set_maintenance_schedule(&schedule)?;
    }
    if repo.parameters().epoch.enabled {
        epochs::compact_single(repo)?;
        epochs::advance(repo)?;
        epochs::generate_range(repo)?;
        epochs::clean_up_markers(repo)?;
        epochs::delete_superseded(repo)?;
    } else {
        compact_legacy(repo, &LegacyCompaction { settle, ..LegacyCompaction::quick() })?;
    }
    Ok(())
}

fn contents(repo: &Repository) -> BTreeMap<ContentId, bool> {
    let mut found = BTreeMap::new();
    repo.contents(&KeyRange::all(), &mut |entry| {
        found.insert(entry.id, entry.deleted);
        Ok(())
    })
    .unwrap();
    found
}

fn bytes(store: &dyn BlobStore, prefix: &str) -> u64 {
    list_all(store, prefix).unwrap().iter().map(|blob| blob.length).sum()
}

fn weeks(version: FormatVersion) {
    let world = World::new(version);
    let repo = world.open(world.store.clone());
    let safety = SafetyParameters::FULL;
    let mut live: BTreeMap<ContentId, u64> = BTreeMap::new();
    let mut garbage = BTreeSet::new();
    for step in 0..80_u64 {
        let writer = repo.writer(WriterOptions::default()).unwrap();
        for part in 0..4 {
            for i in 0..3 {
                let seed = step * 100 + part * 10 + i;
                let prefix = (i == 0).then_some(IdPrefix::DIRECTORY);
                let id = writer.write_content(&noise(seed, 3000), prefix, None).unwrap();
                live.insert(id, seed);
            }
            // What was garbage is needed again.
            if part == 0
                && step % 7 == 3
                && let Some(id) = garbage.pop_first()
            {
                writer.undelete_content(&id).unwrap();
                live.insert(id, u64::MAX);
            }
            writer.flush().unwrap();
            world.clock.advance(SignedDuration::from_mins(40));
        }
        // Snapshots are forgotten: only the contents of the last 12 steps stay.
        let old: Vec<ContentId> = live
            .iter()
            .filter(|(_, seed)| **seed != u64::MAX && **seed / 100 + 12 < step)
            .map(|(id, _)| *id)
            .collect();
        for id in old {
            live.remove(&id);
            garbage.insert(id);
        }
        world.clock.advance(SignedDuration::from_hours(5));
        if step % 2 == 1 {
            full_cycle(&repo, &safety, &garbage).unwrap();
            let after = world.open(world.store.clone());
            verify_everything(&after);
            let found = contents(&after);
            garbage.retain(|id| found.contains_key(id));
            for (id, seed) in &live {
                assert_eq!(found.get(id), Some(&false), "step {step}: {id} is live");
                if *seed != u64::MAX {
                    assert_eq!(after.read_content(id).unwrap(), noise(*seed, 3000));
                }
            }
        }
    }
    let found = contents(&world.open(world.store.clone()));
    assert!(found.len() < 2 * live.len() + 300, "{} of {}", found.len(), live.len());
    let packs = bytes(world.store.as_ref(), "p") + bytes(world.store.as_ref(), "q");
    // 80 steps wrote 960 contents of 3 KB, each pack has at least 4 KiB around its contents.
    assert!(packs < 1_800_000, "{packs} bytes of packs are left");
    let names = |prefix: &str| list_all(world.store.as_ref(), prefix).unwrap().len();
    if version == FormatVersion::V1 {
        assert!(names("n") < 30 && names("x") == 0, "{} index blobs", names("n"));
        assert!(names("m") + names("l") < 10);
    } else {
        let current = names("xe");
        assert!((1..=3).contains(&current), "{current} epoch markers");
        // Kopia, too, leaves indexes of epochs that only a range covers.
        assert!(names("xr") >= 1 && names("xn") < 150, "{} of {}", names("xr"), names("xn"));
        assert_eq!(names("xw"), 1);
    }
    assert_eq!(names("s"), 0);
}

#[test]
fn weeks_with_epochs() {
    weeks(FormatVersion::V3);
}

#[test]
fn weeks_without_epochs() {
    weeks(FormatVersion::V1);
}

#[test]
fn a_foreign_session_is_left_alone_until_it_expires() {
    let world = World::new(FormatVersion::V3);
    let repo = world.open(world.store.clone());
    let other = world.open(world.store.clone());
    let writer = other.writer(WriterOptions::default()).unwrap();
    // Packs are stored, their index is not.
    let ids: Vec<ContentId> =
        (0..12).map(|i| writer.write_content(&noise(i, 2 << 20), None, None).unwrap()).collect();
    while list_all(world.store.as_ref(), "p").unwrap().is_empty() {
        std::thread::yield_now();
    }
    let delete = |safety: SafetyParameters| {
        let options =
            PackDeletion { start: world.now(), safety, metadata_only: false, dry_run: false };
        delete_unreferenced_packs(&repo, &options).unwrap().stats.deleted_pack_count
    };
    assert_eq!(delete(SafetyParameters::FULL), 0);
    world.clock.advance(SignedDuration::from_hours(30));
    assert_eq!(delete(SafetyParameters::FULL), 0, "old, but its session may live");
    let fork = Arc::new(world.store.fork());
    writer.flush().unwrap();
    repo.refresh().unwrap();
    assert_eq!(verify_everything(&repo).verified, ids.len() as u64);
    assert_eq!(delete(SafetyParameters::FULL), 0);

    // The same world in which that session died.
    let dead = World { clock: world.clock.clone(), store: fork };
    let repo = dead.open(dead.store.clone());
    dead.clock.advance(SignedDuration::from_hours(67));
    let options = PackDeletion {
        start: dead.now(),
        safety: SafetyParameters::FULL,
        metadata_only: false,
        dry_run: false,
    };
    let stats = delete_unreferenced_packs(&repo, &options).unwrap().stats;
    assert!(stats.deleted_pack_count >= 2, "pack and marker: {stats:?}");
    assert!(list_all(dead.store.as_ref(), "p").unwrap().is_empty());
    assert!(list_all(dead.store.as_ref(), "s").unwrap().is_empty());
}

/// Several rounds of writing and maintenance without safety margins.
fn churn(repo: &Repository, clock: &ManualClock) -> Vec<(bool, BTreeMap<ContentId, u64>)> {
    let mut live: BTreeMap<ContentId, u64> = BTreeMap::new();
    let mut states = Vec::new();
    for round in 0..5_u64 {
        let mut state = live.clone();
        let mut garbage = BTreeSet::new();
        let mut work = || -> Result<(), RepoError> {
            for part in 0..3 {
                let writer = repo.writer(WriterOptions::default())?;
                let seed = round * 10 + part;
                let id = writer.write_content(&noise(seed, 1000), None, None)?;
                state.insert(id, seed);
                writer.flush()?;
                clock.advance(SignedDuration::from_hours(4));
            }
            let old: Vec<_> =
                state.iter().filter(|(_, s)| **s / 10 + 1 < round).map(|(id, _)| *id).collect();
            for id in old {
                state.remove(&id);
                garbage.insert(id);
            }
            full_cycle(repo, &SafetyParameters::NONE, &garbage)
        };
        let done = work().is_ok();
        states.push((done, state.clone()));
        if !done {
            break;
        }
        live = state;
    }
    states
}

fn cut_everywhere(version: FormatVersion) {
    let beginning = World::new(version);
    let count = {
        let world = beginning.again();
        let store = Arc::new(PowerCut::never(world.store.clone()));
        let states = churn(&world.open(store.clone()), &world.clock);
        assert!(states.iter().all(|(done, _)| *done));
        store.changes()
    };
    assert!(count > 40, "{count}");
    // Every second place, in both versions a different half.
    let first = u64::from(version == FormatVersion::V1);
    for changes in (first..count).step_by(2) {
        let last = if changes % 4 < 2 { LastChange::Lost } else { LastChange::Applied };
        let world = beginning.again();
        let cut = Arc::new(PowerCut::after(world.store.clone(), changes, last));
        let states = churn(&world.open(cut), &world.clock);

        let after = world.open(world.store.clone());
        verify_everything(&after);
        let found = contents(&after);
        // What was live before the round that was cut off and is not garbage by its end.
        let mut states = states.iter().rev();
        let (_, during) = states.next().unwrap();
        if let Some((_, before)) = states.next() {
            for id in before.keys().filter(|id| during.contains_key(*id)) {
                assert_eq!(found.get(id), Some(&false), "after {changes}: {id}");
            }
        }
        // The next cycle goes through.
        full_cycle(&after, &SafetyParameters::NONE, &BTreeSet::new()).unwrap();
        after.refresh().unwrap();
        verify_everything(&after);
    }
}

#[test]
fn maintenance_cut_off_anywhere_with_epochs() {
    cut_everywhere(FormatVersion::V3);
}

#[test]
fn maintenance_cut_off_anywhere_without_epochs() {
    cut_everywhere(FormatVersion::V1);
}

//! Finding the repository, or making it.
//!
//! Only one answer leads to a new repository: "this is an empty place", and only in a
//! backup. A wrong password, a share that cannot be read, data without its format
//! blob: each of them is an error, because each would otherwise end in a second
//! repository beside the first. Two backups that find the same empty place make one
//! repository: the format blob is stored only if there is none, and the loser opens
//! what the winner made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use kopist_blob::{
    BlobError, BlobId, BlobStore, Limits, Metered, RetryPolicy, StorageConfig, exists, list_all,
};
use kopist_cloud::{ConnectError, ConnectOptions, ExtraRoots};
use kopist_format::format_blob::{BLOBCFG_BLOB, FORMAT_BLOB, FormatVersion};
use kopist_repo::{
    CacheOptions, ClientIdentity, CreateOptions, OpenOptions, RepoError, Repository,
};

use super::Context;
use super::failure::Failure;
use super::sharing;
use crate::plan::{Creation, MoverPlan, Operation, Step, Storage};
use crate::report::Reason;
use crate::telemetry::Opened;

/// How long the loser of a race waits for the winner's format blob.
const PATIENCE: Duration = Duration::from_secs(15);
/// A pod often starts before its network does: names that are not known yet, and services that
/// do not answer, are waited for, nearly a minute in all.
const PATIENT: RetryPolicy = RetryPolicy {
    attempts: 10,
    first_wait: Duration::from_millis(100),
    factor: 2.0,
    longest_wait: Duration::from_secs(30),
};
/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);
/// A creation that has not gone on for so long was interrupted.
const ABANDONED: SignedDuration = SignedDuration::from_mins(2);

/// What connecting comes to.
pub(super) enum Connected {
    /// An open repository.
    Open(Connection),
    /// There is none yet, and this run may not make one.
    Absent {
        /// Where it was looked for, in words.
        place: String,
    },
}

/// An open repository.
pub(super) struct Connection {
    /// The repository.
    pub(super) repository: Repository,
    /// Whether this run made it.
    pub(super) created: bool,
    /// Where it is, in words.
    pub(super) place: String,
}

/// What is at a place.
enum Place {
    Repository(Arc<dyn BlobStore>),
    /// Nothing, not even the directory.
    Empty,
    /// The first blob of a creation that did not go on.
    Unfinished(Arc<dyn BlobStore>),
}

/// Opens the repository that the plan means.
pub(super) fn connect(plan: &MoverPlan, context: &Context) -> Result<Connected, Failure> {
    let mut last = None;
    for storage in &plan.storage {
        match look(plan, context, storage).map_err(|failure| at(context, storage, failure))? {
            Place::Repository(store) => {
                let repository =
                    open(plan, context, store).map_err(|error| at(context, storage, error))?;
                let place = storage.describe();
                return Ok(Connected::Open(Connection { repository, created: false, place }));
            }
            other => last = Some((storage, other)),
        }
        if plan.storage.len() > 1 {
            context.report.warn(format!("no repository in {}", storage.describe()));
        }
    }
    let Some((storage, place)) = last else {
        return Err(Failure::new(Reason::ConfigInvalid, "No repository configuration found"));
    };
    if plan.operation() != Operation::Backup {
        return Ok(Connected::Absent { place: storage.describe() });
    }
    let connection = create(plan, context, storage, place)
        .map_err(|failure| at(context, storage, failure).during("Failed to create repository"))?;
    Ok(Connected::Open(connection))
}

/// Says which place the failure is about, and who may do what there.
fn at(context: &Context, storage: &Storage, failure: Failure) -> Failure {
    let mut failure = failure.during(&storage.describe());
    if failure.reason == Reason::StoragePermission
        && let Storage::Filesystem { path } = storage
    {
        failure.message += &sharing::explain(&context.root.resolve(path));
    }
    failure
}

pub(super) fn config_of(plan: &MoverPlan, storage: &Storage, context: &Context) -> StorageConfig {
    let mut config = StorageConfig::new(storage.kind(), storage.config());
    if storage.kind() == "filesystem"
        && let Some(path) = config.config.get("path").and_then(|path| path.as_str())
    {
        let path = context.root.resolve(path);
        sharing::share(&mut config.config, &path, plan.fs_mode);
        config.config["path"] = serde_json::json!(path);
    }
    config
}

pub(super) fn options_of(
    plan: &MoverPlan,
    context: &Context,
    storage: &StorageConfig,
    root_ca: Option<&[u8]>,
) -> ConnectOptions {
    let mut options = ConnectOptions {
        timer: context.stop.timer().clone(),
        retry: PATIENT,
        extra_roots: root_ca.map(|pem| ExtraRoots::from_pem(pem.to_vec())).unwrap_or_default(),
        ..ConnectOptions::default()
    };
    if plan.upload_speed.is_some() || plan.download_speed.is_some() {
        let given = Limits::from_storage(storage).unwrap_or_default();
        let rate = |speed: Option<u64>, given: f64| speed.map_or(given, |speed| speed as f64);
        options.limits = Some(Limits {
            upload_bytes_per_second: rate(plan.upload_speed, given.upload_bytes_per_second),
            download_bytes_per_second: rate(plan.download_speed, given.download_bytes_per_second),
            ..given
        });
    }
    options
}

fn look(plan: &MoverPlan, context: &Context, storage: &Storage) -> Result<Place, Failure> {
    let config = config_of(plan, storage, context);
    let store = match kopist_cloud::connect(
        &config,
        &options_of(plan, context, &config, plan.root_ca.as_deref()),
    ) {
        Ok(store) => metered(store, context),
        Err(ConnectError::Store(BlobError::Inaccessible { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            return Ok(Place::Empty);
        }
        Err(error) => return Err(error.into()),
    };
    if exists(&*store, &FORMAT_BLOB.into())? {
        return Ok(Place::Repository(store));
    }
    let blobs = list_all(&*store, "")?;
    match blobs.as_slice() {
        [] => Ok(Place::Empty),
        [one] if one.id.as_str() == BLOBCFG_BLOB => Ok(Place::Unfinished(store)),
        [first, ..] => {
            // Another run may have made it between the two questions.
            if exists(&*store, &FORMAT_BLOB.into())? {
                return Ok(Place::Repository(store));
            }
            Err(Failure::new(
                Reason::RepositoryForeign,
                format!(
                    "repository not initialized in the provided storage, which holds other data \
                     ({} files, the first is {}). If a repository was here, its {FORMAT_BLOB} is \
                     lost and must be brought back; nothing is created beside existing data",
                    blobs.len(),
                    first.id
                ),
            ))
        }
    }
}

/// The store, with its calls counted.
fn metered(store: Arc<dyn BlobStore>, context: &Context) -> Arc<dyn BlobStore> {
    Arc::new(Metered::new(store, Arc::clone(&context.telemetry.meter)))
}

/// Said after "creating one".
const JOINING: &str = "another run has created it in the same moment: joining it";

fn create(
    plan: &MoverPlan,
    context: &Context,
    storage: &Storage,
    place: Place,
) -> Result<Connection, Failure> {
    if let Some(error) = plan.objections_to(Step::Create).next() {
        return Err(Failure::new(Reason::ConfigInvalid, error.to_string()));
    }
    let options = creation_options(&plan.creation)?;
    let described = storage.describe();
    context.report.info(format!("no repository in {described}: creating one"));
    let config = config_of(plan, storage, context);
    let store = match place {
        Place::Unfinished(store) => {
            if let Some(repository) = resume(plan, context, &store)? {
                context.report.info(JOINING);
                return Ok(Connection { repository, created: false, place: described });
            }
            store
        }
        _ => metered(
            kopist_cloud::create(
                &config,
                &options_of(plan, context, &config, plan.root_ca.as_deref()),
            )?,
            context,
        ),
    };
    match kopist_repo::create(&*store, &plan.password, &options) {
        Ok(()) => {
            let repository = open(plan, context, store)?;
            Ok(Connection { repository, created: true, place: described })
        }
        // Somebody else was faster.
        Err(
            RepoError::AlreadyInitialized | RepoError::FormatBlobLost | RepoError::ExistingData,
        ) => {
            if !wait_for_format(context, &*store)? {
                return Err(Failure::new(
                    Reason::RepositoryForeign,
                    "another program began to create a repository here and did not finish",
                ));
            }
            context.report.info(JOINING);
            let repository = open(plan, context, store)?;
            Ok(Connection { repository, created: false, place: described })
        }
        Err(error) => Err(error.into()),
    }
}

/// Another run began to create a repository: waits for it. If it was interrupted long
/// ago, its only blob says nothing and is removed.
fn resume(
    plan: &MoverPlan,
    context: &Context,
    store: &Arc<dyn BlobStore>,
) -> Result<Option<Repository>, Failure> {
    if wait_for_format(context, &**store)? {
        return open(plan, context, Arc::clone(store)).map(Some);
    }
    let id = BlobId::from(BLOBCFG_BLOB);
    let age = context.clock.now().duration_since(store.metadata(&id)?.timestamp);
    if age < ABANDONED {
        return Err(Failure::new(
            Reason::RepositoryMissing,
            "the creation of a repository was begun here a moment ago and has not gone on",
        ));
    }
    context.report.warn("an interrupted creation of a repository is cleared away");
    store.delete(&id)?;
    Ok(None)
}

fn wait_for_format(context: &Context, store: &dyn BlobStore) -> Result<bool, Failure> {
    let mut waited = Duration::ZERO;
    loop {
        if exists(store, &FORMAT_BLOB.into())? {
            return Ok(true);
        }
        if context.stop.requested() {
            return Err(Failure::interrupted());
        }
        if waited >= PATIENCE {
            return Ok(false);
        }
        std::thread::sleep(LOOK);
        waited += LOOK;
    }
}

fn creation_options(creation: &Creation) -> Result<CreateOptions, Failure> {
    let mut options = CreateOptions::default();
    let take = |target: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            target.clone_from(value);
        }
    };
    take(&mut options.hash, &creation.hash);
    take(&mut options.encryption, &creation.encryption);
    take(&mut options.splitter, &creation.splitter);
    take(&mut options.ecc, &creation.ecc);
    take(&mut options.key_derivation, &creation.key_derivation);
    let invalid = |what: &str| Failure::new(Reason::ConfigInvalid, what.to_owned());
    if let Some(percent) = creation.ecc_overhead_percent {
        options.ecc_overhead_percent = i64::try_from(percent)
            .map_err(|_| invalid("the overhead of the error correction is no percentage"))?;
    }
    if let Some(version) = creation.format_version {
        options.version = i64::try_from(version)
            .ok()
            .and_then(|version| FormatVersion::from_number(version).ok())
            .ok_or_else(|| invalid("the format version must be 1, 2 or 3"))?;
    }
    Ok(options)
}

fn open(
    plan: &MoverPlan,
    context: &Context,
    store: Arc<dyn BlobStore>,
) -> Result<Repository, Failure> {
    // Who looks after the repository wants to know what the store has, not what a cache has.
    let looks = matches!(
        plan.operation(),
        Operation::Verify | Operation::TestRestore | Operation::Replicate
    );
    let limit = |limit| if looks { 0 } else { limit };
    let cache = CacheOptions {
        content_limit: limit(plan.cache.content_limit),
        metadata_limit: limit(plan.cache.metadata_limit),
        ..CacheOptions::in_dir(context.root.resolve(&plan.cache.dir))
    };
    let options = OpenOptions {
        identity: ClientIdentity::new(&plan.identity.username, &plan.identity.hostname),
        clock: Arc::clone(&context.clock),
        cache: Some(cache),
        read_only: looks,
        ..OpenOptions::default()
    };
    let started = Instant::now();
    let repository = Repository::open(store, &plan.password, options)?;
    context.telemetry.opened(Opened {
        time: started.elapsed(),
        index_blobs: repository.index().blob_count() as u64,
    });
    context.telemetry.caches(repository.cache_meter());
    Ok(repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_is_waited_for_nearly_a_minute() {
        let waits: Duration = (1..PATIENT.attempts).map(|n| PATIENT.wait_after(n)).sum();
        assert!(waits > Duration::from_secs(45), "{waits:?}");
        assert!(waits < Duration::from_mins(5), "{waits:?}");
    }
}

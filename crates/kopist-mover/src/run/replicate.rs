//! A copy of the repository in a second place, blob by blob: any client that opens the original
//! opens the copy, with the same password.
//!
//! Backups and maintenance of the original may go on meanwhile. At the end every content that
//! the original had at the beginning must lie in a pack that the copy has, too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::SignedDuration;
use kopist_blob::{BlobStore, StorageConfig, exists, list_prefixes};
use kopist_repo::sync::{
    Amount, Deletion, SyncError, SyncEvent, SyncObserver, SyncOptions, Update, sync,
};
use kopist_repo::{IndexView, KeyRange, Repository};

use super::Context;
use super::connect::{config_of, options_of};
use super::failure::Failure;
use super::progress::{Ticker, pace};
use super::stop::Stop;
use crate::plan::{MoverPlan, ReplicatePlan};
use crate::report::{Figures, Outcome, Reason, Report, bytes};
use crate::telemetry::Pulse;

/// More than this part of a copy is not deleted at once.
const DELETE_AT_MOST_PERCENT: u8 = 50;
/// Listings of the target at once.
const LISTINGS: usize = 2;

/// Copies an open repository.
pub(super) fn run(
    plan: &MoverPlan,
    copy: &ReplicatePlan,
    context: &Context,
    repository: &Repository,
) -> Result<Outcome, Failure> {
    let report = &context.report;
    let place = copy.target.describe();
    report.info(format!("copying the repository to {place}"));
    let config: StorageConfig = config_of(plan, &copy.target, context);
    let target =
        kopist_cloud::create(&config, &options_of(plan, context, &config, copy.root_ca.as_deref()))
            .map_err(|error| Failure::from(error).during(&place))?;
    repository.refresh()?;
    let before = repository.index();
    let watcher = Arc::new(Watcher::new(context));
    let delete = copy.delete_after.map(|age| {
        let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
        let moment = context.clock.now().saturating_sub(age).unwrap_or(jiff::Timestamp::MIN);
        Deletion { written_before: Some(moment), at_most_percent: Some(DELETE_AT_MOST_PERCENT) }
    });
    let options = SyncOptions {
        update: Update::IfDifferent,
        delete,
        parallel: copy.parallel,
        verify_percent: copy.verify_percent,
        ..SyncOptions::default()
    };
    let done = {
        let shown = Arc::clone(&watcher);
        let _ticker = Ticker::start(context, move |elapsed| {
            let (done, total) = shown.amounts();
            format!(
                "replication: {} of {} blobs copied ({} of {}), {}, {} s",
                done.blobs,
                total.blobs,
                bytes(done.bytes),
                bytes(total.bytes),
                pace(done.bytes, done.bytes, Some(total.bytes), elapsed),
                elapsed.as_secs()
            )
        });
        sync(repository.store().as_ref(), target.as_ref(), &options, &*watcher)
            .map_err(|error| failed(error, &place))?
    };
    let figures = Figures {
        repository: Some(super::hexadecimal(repository.unique_id())),
        copied: Some(done),
        bytes: done.copied.bytes,
        ..Figures::default()
    };
    let contents = complete(repository, &before, target.as_ref())
        .map_err(|failure| failure.during(&place).counting(&figures))?;
    let message = format!(
        "the copy in {place} is complete: {} blobs ({}) copied, {} were there, {} deleted, {} read \
         back; {contents} contents are in it",
        done.copied.blobs,
        bytes(done.copied.bytes),
        done.in_sync.blobs,
        done.deleted.blobs,
        done.verified.blobs,
    );
    report.info(&message);
    Ok(Outcome::success(message, figures))
}

fn failed(error: SyncError, place: &str) -> Failure {
    let text = error.to_string();
    let failure = match error {
        SyncError::Stopped => return Failure::interrupted(),
        SyncError::Store { source, doing } => Failure::from(source).during(doing),
        SyncError::OtherRepository => Failure::new(
            Reason::RepositoryForeign,
            "another repository is there: a copy needs a place of its own",
        ),
        SyncError::Differs(_) | SyncError::Format { .. } => Failure::new(Reason::DataDamaged, text),
        SyncError::TooMuchToDelete { .. } => Failure::new(Reason::ConfigInvalid, text),
        _ => Failure::new(Reason::Internal, text),
    };
    failure.during(place)
}

/// Whether every content that the original had lies in a pack of the copy; how many there are.
///
/// Maintenance may have moved some of them meanwhile. What a pack of the original no longer has,
/// the copy need not have either; only what is still there and missing in the copy is wrong.
fn complete(
    repository: &Repository,
    before: &IndexView,
    target: &dyn BlobStore,
) -> Result<u64, Failure> {
    let lengths: HashMap<String, u64> = list_prefixes(target, &["p", "q"], LISTINGS)?
        .into_iter()
        .map(|blob| (blob.id.as_str().to_owned(), blob.length))
        .collect();
    let (mut contents, mut missing, mut first) = (0, 0_u64, None);
    let mut seen: HashMap<String, bool> = HashMap::new();
    for entry in before.entries(&KeyRange::all()) {
        let (_, entry) = entry?;
        if entry.deleted {
            continue;
        }
        contents += 1;
        let end = u64::from(entry.offset) + u64::from(entry.packed_length);
        if lengths.get(entry.pack).is_some_and(|length| *length >= end) {
            continue;
        }
        let still_there = if let Some(known) = seen.get(entry.pack) {
            *known
        } else {
            let found = exists(repository.store().as_ref(), &entry.pack.into())?;
            seen.insert(entry.pack.to_owned(), found);
            found
        };
        if still_there {
            missing += 1;
            first.get_or_insert_with(|| format!("{} in pack {}", entry.id, entry.pack));
        }
    }
    match first {
        None => Ok(contents),
        Some(first) => Err(Failure::new(
            Reason::DataDamaged,
            format!("{missing} contents are not in the copy, the first is {first}"),
        )),
    }
}

/// Watches the copying.
struct Watcher {
    report: Arc<Report>,
    pulse: Arc<Pulse>,
    stop: Stop,
    done: Mutex<Amount>,
    /// What was planned, in all rounds.
    total: Mutex<Amount>,
}

impl Watcher {
    fn new(context: &Context) -> Self {
        Self {
            report: Arc::clone(&context.report),
            pulse: Arc::clone(&context.telemetry.pulse),
            stop: context.stop.clone(),
            done: Mutex::default(),
            total: Mutex::default(),
        }
    }

    fn amounts(&self) -> (Amount, Amount) {
        let get = |amount: &Mutex<Amount>| *amount.lock().unwrap_or_else(PoisonError::into_inner);
        (get(&self.done), get(&self.total))
    }
}

impl SyncObserver for Watcher {
    fn event(&self, event: SyncEvent<'_>) {
        self.pulse.beat();
        match event {
            SyncEvent::Planned(plan) => {
                let done = self.amounts().0;
                *self.total.lock().unwrap_or_else(PoisonError::into_inner) = Amount {
                    blobs: done.blobs + plan.copy.blobs,
                    bytes: done.bytes + plan.copy.bytes,
                };
                self.report.info(format!(
                    "{} blobs ({}) are to be copied, {} ({}) are there",
                    plan.copy.blobs,
                    bytes(plan.copy.bytes),
                    plan.in_sync.blobs,
                    bytes(plan.in_sync.bytes)
                ));
            }
            SyncEvent::Copied(amount) => {
                *self.done.lock().unwrap_or_else(PoisonError::into_inner) = amount;
            }
            SyncEvent::Gone(blob) => {
                self.report.debug(format!("{blob} was replaced by maintenance meanwhile"));
            }
            SyncEvent::Again => {
                self.report.info("maintenance replaced some blobs meanwhile: listing them again");
            }
            _ => {}
        }
    }

    fn stop(&self) -> bool {
        self.stop.requested()
    }
}

//! Copying a repository to another place, blob by blob.
//!
//! The copy is a repository of the same format, with the same password: any client that opens the
//! original opens the copy. Others may write to the original and maintain it meanwhile:
//!
//! * Blobs that refer to others (indexes, manifests of epochs, settings) are listed before
//!   everything else and copied after it, the oldest first. So the copy never names what it does
//!   not have, whatever is written to the original meanwhile and wherever we are interrupted.
//! * A blob that is gone when its turn comes was replaced by maintenance. Its replacement may not
//!   have been listed yet, so another round follows, until nothing was gone.
//! * What is there already is not copied again: an interrupted copy goes on where it was.
//!
//! A destination that holds another repository is never touched.

mod copy;
mod plan;

use jiff::Timestamp;
use kopist_blob::{BlobError, BlobId, BlobStore, ByteRange, PutOptions};
use kopist_format::format_blob::{FORMAT_BLOB, FormatBlob, FormatError};

use copy::Copying;
pub use plan::{Amount, SyncPlan};

/// How to copy.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// What happens to blobs that are at the destination, too.
    pub update: Update,
    /// Whether blobs that are not at the source are deleted.
    pub delete: Option<Deletion>,
    /// Blobs on their way at once.
    pub parallel: usize,
    /// Give the copies the times of the originals, where the destination can.
    pub keep_times: bool,
    /// The destination must hold a repository.
    pub must_exist: bool,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Copy the markers of sessions in progress. They are of use to nobody but their writers.
    pub markers: bool,
    /// How many of a hundred copies are read back and compared.
    pub verify_percent: f64,
    /// How often to begin again when maintenance of the source replaces what is being copied;
    /// the last round passes over what is gone if `lenient`, and fails otherwise.
    pub rounds: u32,
    /// Pass over what is gone.
    pub lenient: bool,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            update: Update::IfDifferent,
            delete: None,
            parallel: 8,
            keep_times: false,
            must_exist: false,
            dry_run: false,
            markers: false,
            verify_percent: 0.0,
            rounds: 5,
            lenient: false,
        }
    }
}

/// What happens to blobs that are at the destination, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// They stay.
    Never,
    /// They are replaced when the destination says that they are older than the source says.
    IfOlder,
    /// They are replaced when their lengths differ; the few blobs that change under one name are
    /// compared. Clocks do not matter.
    IfDifferent,
}

/// Which blobs are deleted that are not at the source.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Deletion {
    /// Only those written to the destination before this moment, by its clock.
    pub written_before: Option<Timestamp>,
    /// Refuse to delete more than this part of the bytes at the destination, in percent.
    pub at_most_percent: Option<u8>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Copied.
    pub copied: Amount,
    /// There already.
    pub in_sync: Amount,
    /// Deleted from the destination.
    pub deleted: Amount,
    /// Read back and found equal.
    pub verified: Amount,
    /// How often the source was listed.
    pub rounds: u32,
}

/// What goes on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum SyncEvent<'a> {
    /// The destination may be written to; both sides are about to be listed.
    Looking,
    /// The destination is listed.
    Destination(Amount),
    /// So much was found at the source, and so much of it is to be copied; told often.
    Found {
        /// Found.
        source: Amount,
        /// To be copied.
        copy: Amount,
    },
    /// What is to be done is known.
    Planned(&'a SyncPlan),
    /// Copying begins.
    Copying,
    /// So much of what was planned is copied; told after each blob.
    Copied(Amount),
    /// A blob is gone from the source.
    Gone(&'a BlobId),
    /// The destination cannot keep times.
    TimesNotKept,
    /// Something was replaced at the source meanwhile: it is listed again.
    Again,
}

/// Watches a copy. Called from several threads.
pub trait SyncObserver: Sync {
    /// Something goes on.
    fn event(&self, event: SyncEvent<'_>);

    /// Whether to stop; asked between blobs.
    fn stop(&self) -> bool {
        false
    }
}

/// Why there is no complete copy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The destination should hold a repository and does not.
    #[error("destination repository does not have a format blob")]
    NoDestination,
    /// The destination holds another repository, or something else.
    #[error("destination repository contains incompatible data")]
    OtherRepository,
    /// A format blob cannot be read.
    #[error("error parsing unique ID of {which} repository: {source}")]
    Format {
        /// `source` or `destination`.
        which: &'static str,
        /// Why.
        source: FormatError,
    },
    /// A store failed.
    #[error("{doing}: {source}")]
    Store {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: BlobError,
    },
    /// What was read back is not what was written.
    #[error("the copy of blob {0} is not what was written: the destination does not keep data")]
    Differs(BlobId),
    /// Maintenance replaces blobs faster than they are copied.
    #[error(
        "the source was changed by maintenance in each of {0} rounds; run again when it is over"
    )]
    Restless(u32),
    /// More was to be deleted than is plausible.
    #[error(
        "{percent} % of the destination are not at the source any more. That much is not deleted \
         without a person: look at the source, and delete with 'repository sync-to --delete'"
    )]
    TooMuchToDelete {
        /// How much.
        percent: u64,
    },
    /// It was told to stop.
    #[error("copying was told to stop; it goes on from here next time")]
    Stopped,
}

/// Says what was being done when a store failed.
pub(super) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, SyncError>;
}

impl<T> Doing<T> for Result<T, BlobError> {
    fn doing(self, doing: &'static str) -> Result<T, SyncError> {
        self.map_err(|source| SyncError::Store { doing, source })
    }
}

/// Copies the repository in `source` to `destination`.
pub fn sync(
    source: &dyn BlobStore,
    destination: &dyn BlobStore,
    options: &SyncOptions,
    observer: &dyn SyncObserver,
) -> Result<SyncReport, SyncError> {
    check_destination(source, destination, options)?;
    observer.event(SyncEvent::Looking);
    let mut report = SyncReport::default();
    let mut copying = Copying::new(source, destination, options, observer);
    loop {
        report.rounds += 1;
        let plan = plan::plan(source, destination, options, observer)?;
        observer.event(SyncEvent::Planned(&plan));
        report.in_sync = plan.in_sync;
        if options.dry_run {
            return Ok(report);
        }
        observer.event(SyncEvent::Copying);
        let complete = copying.round(&plan)?;
        if complete || options.lenient {
            report.copied = copying.copied();
            report.verified = copying.verified();
            report.deleted = copy::delete(destination, &plan, options, observer)?;
            return Ok(report);
        }
        if report.rounds >= options.rounds.max(1) {
            return Err(SyncError::Restless(report.rounds));
        }
        observer.event(SyncEvent::Again);
    }
}

/// The destination must be empty of repositories, or hold a copy of the same one.
fn check_destination(
    source: &dyn BlobStore,
    destination: &dyn BlobStore,
    options: &SyncOptions,
) -> Result<(), SyncError> {
    let id = BlobId::from(FORMAT_BLOB);
    let ours = source.get(&id, ByteRange::Full).doing("error reading format blob")?;
    let parse = |which, bytes: &[u8]| {
        let parsed = FormatBlob::parse(bytes);
        parsed.map(|blob| blob.unique_id).map_err(|source| SyncError::Format { which, source })
    };
    let theirs = match destination.get(&id, ByteRange::Full) {
        Err(error) if error.is_not_found() => {
            if options.must_exist {
                return Err(SyncError::NoDestination);
            }
            if !options.dry_run {
                // First of all: it says whose place this is.
                destination
                    .put(&id, &[&ours], &PutOptions::default())
                    .doing("error saving format blob")?;
            }
            return Ok(());
        }
        result => result.doing("error reading destination repository format blob")?,
    };
    if parse("source", &ours)? == parse("destination", &theirs)? {
        return Ok(());
    }
    Err(SyncError::OtherRepository)
}

/// What refers to other blobs.
const REFERRING: [&str; 5] = ["x", "n", "m", "l", "kopia."];

/// Whether a blob refers to others.
fn refers(id: &BlobId) -> bool {
    REFERRING.iter().any(|prefix| id.starts_with(prefix))
}

/// Whether a blob may change under its name.
fn changes(id: &BlobId) -> bool {
    id.starts_with("kopia.")
}

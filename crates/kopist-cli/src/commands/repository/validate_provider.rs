//! `repository validate-provider`: does the storage keep the promises that a repository needs?
//!
//! Everything is written below one random name that begins with `z`, which no repository uses,
//! and deleted at the end, also after a failure.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use kopist_blob::{BlobError, BlobId, BlobStore, ByteRange, PutOptions, delete_all, list_all};
use kopist_cloud::ConnectOptions;
use parking_lot::Mutex;

use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome, now},
    commands::random::Pseudo,
    error::{CommandError, Context as _},
    grammar::Matches,
    output::duration,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::int("num-storage-connections", "Number of storage connections.").default("5"),
    Flag::duration("concurrency-test-duration", "Duration of the concurrency test.").default("30s"),
    Flag::int("put-blob-workers", "Number of workers that write.").default("3"),
    Flag::int("get-blob-workers", "Number of workers that read.").default("3"),
    Flag::int("get-metadata-workers", "Number of workers that read metadata.").default("3"),
];

/// `repository validate-provider`
pub(super) static COMMAND: Command =
    Command::new("validate-provider", "Check that a storage behaves as needed.")
        .flags(&[FLAGS])
        .run(run);

/// How much the storage's clock may differ from ours.
const MAX_CLOCK_DRIFT: SignedDuration = SignedDuration::from_mins(3);
/// Bytes of the blob that is read in parts.
const LENGTH: usize = 5_000_000;
/// Longest blob of the concurrency test (`kopia:internal/providervalidation`): half a pack, so that
/// a storage that shows blobs before they are whole is caught at it.
const MAX_LENGTH: u64 = 10_000_000;

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write_direct(app, |session, _| {
        if app.env.text("KOPIA_SKIP_PROVIDER_VALIDATION").is_some() {
            return Ok(());
        }
        let store = Arc::clone(session.repo.store());
        let check = Check {
            app,
            stores: connections(app, &store, matches)?,
            prefix: format!("z{:032x}", Pseudo::from_system()?.next_wide()),
        };
        let result = check.single().and_then(|()| check.concurrent(matches));
        let cleaned = list_all(store.as_ref(), &check.prefix).and_then(|blobs| {
            let ids: Vec<BlobId> = blobs.into_iter().map(|blob| blob.id).collect();
            delete_all(store.as_ref(), &ids, 4)
        });
        if let Err(error) = cleaned {
            let prefix = &check.prefix;
            app.warn(format!("cannot delete the test blobs, {prefix}*: {error}"));
        }
        result.context("provider validation error")?;
        app.info("All good.");
        Ok(())
    })
}

/// The connection of the repository, and others to the same place.
fn connections(
    app: &App,
    store: &Arc<dyn BlobStore>,
    matches: &Matches,
) -> Result<Vec<Arc<dyn BlobStore>>, CommandError> {
    let more = matches.count("num-storage-connections").unwrap_or(1).saturating_sub(1);
    app.info(format!("Opening {more} equivalent storage connections..."));
    let mut stores = vec![Arc::clone(store)];
    for _ in 0..more {
        let opened = kopist_cloud::connect(&store.storage_config(), &ConnectOptions::default());
        stores.push(opened.context("unable to open additional storage connections")?);
    }
    Ok(stores)
}

struct Check<'a> {
    app: &'a App,
    stores: Vec<Arc<dyn BlobStore>>,
    prefix: String,
}

fn wrong(what: impl Into<String>) -> CommandError {
    CommandError::new(what)
}

impl Check<'_> {
    /// The connections in turn.
    fn store(&self, turn: usize) -> &dyn BlobStore {
        let index = turn % self.stores.len().max(1);
        self.stores.get(index).map_or(&*self.stores[0], |store| &**store)
    }

    fn count(&self, turn: usize, prefix: &str, expected: usize) -> Outcome {
        let found = list_all(self.store(turn), prefix).context("error listing blobs")?.len();
        if found == expected {
            return Ok(());
        }
        Err(wrong(format!("invalid blob count: {found} with prefix {prefix}, expected {expected}")))
    }

    /// One call after the other, each through another connection.
    fn single(&self) -> Outcome {
        let app = self.app;
        app.info("Validating storage capacity and usage");
        match self.store(0).capacity() {
            Err(BlobError::Unsupported { .. }) => {}
            Ok(room) if room.available > room.total => {
                return Err(wrong(format!(
                    "expected volume's free space ({}B) to be at most volume size ({}B)",
                    room.available, room.total
                )));
            }
            result => drop(result.context("unexpected error")?),
        }
        app.info("Validating blob list responses");
        self.count(1, &self.prefix, 0)?;
        app.info("Validating non-existent blob responses");
        let id = BlobId::from(format!("{}a1", self.prefix));
        let part = |offset, length| ByteRange::Bounded { offset, length };
        for range in [ByteRange::Full, part(0, 5)] {
            match self.store(2).get(&id, range) {
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error).context("reading a blob that does not exist"),
                Ok(_) => return Err(wrong("a blob that does not exist could be read")),
            }
        }
        match self.store(3).metadata(&id) {
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error).context("asking for a blob that does not exist"),
            Ok(_) => return Err(wrong("there is metadata of a blob that does not exist")),
        }
        let data: Vec<u8> = [1, 2, 3, 4, 5].into_iter().cycle().take(LENGTH).collect();
        app.info(format!("Writing blob ({LENGTH} bytes)"));
        self.store(4).put(&id, &[&data], &PutOptions::default()).context("error writing blob")?;
        app.info("Validating conditional creates...");
        match self.store(0).put(&id, &[&[99]], &PutOptions::create_only()) {
            Err(BlobError::Unsupported { .. } | BlobError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error).context("writing only if it does not exist"),
            Ok(_) => return Err(wrong("a blob was written again although that was forbidden")),
        }
        app.info("Validating list responses...");
        self.count(1, &self.prefix, 1)?;
        self.count(2, &format!("{}a", self.prefix), 1)?;
        self.count(3, &format!("{}b", self.prefix), 0)?;
        app.info("Validating partial reads...");
        let end = LENGTH as u64 - 5;
        for (turn, (offset, length)) in
            [(0, 10), (1, 10), (2, 1), (5, 0), (end, 5)].into_iter().enumerate()
        {
            let got = self
                .store(turn)
                .get(&id, part(offset, length))
                .context(format!("error reading partial blob @{offset}+{length}"))?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let stop = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            if data.get(start..stop) != Some(&got[..]) {
                return Err(wrong(format!("wrong data in partial blob @{offset}+{length}")));
            }
        }
        app.info("Validating full reads...");
        let got = self.store(0).get(&id, ByteRange::Full).context("error reading blob")?;
        if got[..] != data[..] {
            return Err(wrong("wrong data when reading the full blob"));
        }
        app.info("Validating metadata...");
        let meta = self.store(1).metadata(&id).context("error reading metadata")?;
        if meta.length != LENGTH as u64 {
            let length = meta.length;
            return Err(wrong(format!("invalid length in metadata: {length}, not {LENGTH}")));
        }
        let here = now();
        if here.duration_since(meta.timestamp).abs() > MAX_CLOCK_DRIFT {
            let (there, limit) = (meta.timestamp, MAX_CLOCK_DRIFT.as_secs());
            return Err(wrong(format!(
                "the storage's clock says {there}, the clock of this machine {here}; they may \
                 differ by {limit} s"
            )));
        }
        Ok(())
    }

    /// Many at once: what is written must be read back exactly, by everyone, from then on.
    fn concurrent(&self, matches: &Matches) -> Outcome {
        let nanos = matches.duration("concurrency-test-duration").unwrap_or(0);
        self.app.info(format!("Running concurrency test for {}...", duration(nanos)));
        let deadline = Instant::now() + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
        let test = Concurrent {
            check: self,
            deadline,
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
            blobs: Mutex::new(Vec::new()),
        };
        let seed = Pseudo::from_system()?.next();
        let workers = |flag| matches.count(flag).unwrap_or(0) as u64;
        thread::scope(|scope| {
            let mut number = 0;
            for (flag, work) in [
                ("put-blob-workers", Work::Put),
                ("get-blob-workers", Work::Get),
                ("get-metadata-workers", Work::Metadata),
            ] {
                for _ in 0..workers(flag) {
                    number += 1;
                    let mut random = Pseudo::new(seed.wrapping_add(number));
                    let test = &test;
                    scope.spawn(move || test.repeat(&mut random, work));
                }
            }
        });
        match test.error.into_inner() {
            Some(error) => Err(error).context("error validating concurrency"),
            None => Ok(()),
        }
    }
}

/// A blob of the concurrency test: its bytes follow from its seed.
#[derive(Clone)]
struct Planned {
    id: BlobId,
    seed: u64,
    written: bool,
}

fn length_of(seed: u64) -> u64 {
    16 + Pseudo::new(seed).next() % MAX_LENGTH
}

fn data_of(seed: u64) -> Vec<u8> {
    let mut data = vec![0; length_of(seed) as usize];
    Pseudo::new(seed).fill(&mut data);
    data
}

/// What a thread does again and again.
#[derive(Clone, Copy)]
enum Work {
    Put,
    Get,
    Metadata,
}

struct Concurrent<'a> {
    check: &'a Check<'a>,
    deadline: Instant,
    failed: AtomicBool,
    error: Mutex<Option<CommandError>>,
    blobs: Mutex<Vec<Planned>>,
}

impl Concurrent<'_> {
    fn repeat(&self, random: &mut Pseudo, work: Work) {
        while Instant::now() < self.deadline && !self.failed.load(Ordering::Relaxed) {
            let result = match work {
                Work::Put => self.put(random),
                Work::Get => self.get(random),
                Work::Metadata => self.metadata(random),
            };
            if let Err(error) = result {
                self.failed.store(true, Ordering::Relaxed);
                self.error.lock().get_or_insert(error);
            }
        }
    }

    fn store(&self, random: &mut Pseudo) -> &dyn BlobStore {
        self.check.store(random.next() as usize)
    }

    fn pause(random: &mut Pseudo) {
        thread::sleep(Duration::from_millis(random.next() % 500));
    }

    fn pick(&self, random: &mut Pseudo) -> Option<Planned> {
        let blobs = self.blobs.lock();
        let index = random.next() as usize % blobs.len().max(1);
        blobs.get(index).cloned()
    }

    fn put(&self, random: &mut Pseudo) -> Outcome {
        let seed = random.next();
        let id = BlobId::from(format!("{}b{seed:016x}", self.check.prefix));
        self.blobs.lock().push(Planned { id: id.clone(), seed, written: false });
        // Others look for it already.
        Self::pause(random);
        let put = self.store(random).put(&id, &[&data_of(seed)], &PutOptions::default());
        put.context("error writing blob")?;
        if let Some(blob) = self.blobs.lock().iter_mut().find(|blob| blob.id == id) {
            blob.written = true;
        }
        Ok(())
    }

    fn get(&self, random: &mut Pseudo) -> Outcome {
        Self::pause(random);
        let Some(blob) = self.pick(random) else { return Ok(()) };
        match self.store(random).get(&blob.id, ByteRange::Full) {
            Err(error) if error.is_not_found() && !blob.written => Ok(()),
            Err(error) => Err(error).context(format!("unexpected error reading {}", blob.id)),
            Ok(data) if data[..] == data_of(blob.seed)[..] => Ok(()),
            Ok(_) => Err(wrong(format!("invalid data read for {}", blob.id))),
        }
    }

    fn metadata(&self, random: &mut Pseudo) -> Outcome {
        Self::pause(random);
        let Some(blob) = self.pick(random) else { return Ok(()) };
        match self.store(random).metadata(&blob.id) {
            Err(error) if error.is_not_found() && !blob.written => Ok(()),
            Err(error) => Err(error).context(format!("unexpected error for {}", blob.id)),
            Ok(meta) if meta.length == length_of(blob.seed) => Ok(()),
            Ok(meta) => Err(wrong(format!("invalid length {} of {}", meta.length, blob.id))),
        }
    }
}

//! `repository sync-to`: a copy of the repository elsewhere, blob by blob.

use std::sync::OnceLock;

use kopist_cloud::ConnectOptions;
use kopist_repo::sync::{
    Amount, Deletion, SyncEvent, SyncObserver, SyncOptions, SyncPlan, Update, sync,
};

use crate::commands::providers::for_each_storage;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::storage::{self, Purpose},
    error::Context as _,
    grammar::Matches,
    output::speed,
    progress::StatusLine,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("update", "Overwrite blobs that are older at the destination.").default("true"),
    Flag::switch("delete", "Delete blobs that are not at the source."),
    Flag::switch("dry-run", "Show what would be done without doing it.").short('n'),
    Flag::int("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("must-exist", "Fail if the destination is not initialised."),
    Flag::switch("times", "Copy modification times."),
];

/// `repository sync-to`
pub(super) static COMMAND: Command =
    Command::new("sync-to", "Copy the repository to another place.")
        .flags(&[FLAGS])
        .commands(for_each_storage!("Copy the repository to storage", |command| command.run(run)));

fn run(app: &App, matches: &Matches) -> Outcome {
    let chosen = storage::from_flags(app, matches, Purpose::Connect);
    let chosen = chosen.context("can't connect to storage")?;
    let destination = storage::open(&chosen.storage, &ConnectOptions::default(), Purpose::Copy)
        .context("can't connect to storage")?;
    session::read(app, |session| {
        let source = session.repo.store().as_ref();
        app.info("Synchronizing repositories:");
        app.info(format!("  Source:      {}", source.display_name()));
        app.info(format!("  Destination: {}", destination.display_name()));
        let deleting = matches.flag("delete");
        if !deleting {
            app.info("NOTE: By default no BLOBs are deleted, pass --delete to allow it.");
        }
        let shown = Shown {
            app,
            listing: StatusLine::new(app),
            copying: OnceLock::new(),
            planned: OnceLock::new(),
        };
        let result = sync(source, destination.as_ref(), &options(matches, deleting), &shown);
        if let Some(line) = shown.copying.get() {
            line.finish();
        }
        Ok(result.map(drop)?)
    })
}

/// As kopia has it: times decide, and what is gone is passed over.
fn options(matches: &Matches, deleting: bool) -> SyncOptions {
    SyncOptions {
        update: if matches.flag("update") { Update::IfOlder } else { Update::Never },
        delete: deleting.then(Deletion::default),
        parallel: matches.count("parallel").unwrap_or(1).max(1),
        keep_times: matches.flag("times"),
        must_exist: matches.flag("must-exist"),
        dry_run: matches.flag("dry-run"),
        markers: true,
        verify_percent: 0.0,
        rounds: 1,
        lenient: true,
    }
}

/// Shows how it goes on.
struct Shown<'a> {
    app: &'a App,
    listing: StatusLine<'a>,
    /// Begun with the first blob, because it measures the rate.
    copying: OnceLock<StatusLine<'a>>,
    planned: OnceLock<Amount>,
}

impl Shown<'_> {
    fn planned(&self, plan: &SyncPlan) {
        self.listing.finish();
        let app = self.app;
        let (doomed, same) = (plan.delete, plan.in_sync);
        app.info(format!(
            "  Found {} BLOBs to delete ({}), {} in sync ({})",
            doomed.blobs,
            app.size(doomed.bytes),
            same.blobs,
            app.size(same.bytes)
        ));
        self.planned.get_or_init(|| plan.copy);
    }
}

impl SyncObserver for Shown<'_> {
    fn event(&self, event: SyncEvent<'_>) {
        let app = self.app;
        match event {
            SyncEvent::Looking => app.info("Looking for BLOBs to synchronize..."),
            SyncEvent::Destination(Amount { blobs, bytes }) => {
                self.listing.show(|| {
                    let size = app.size(bytes);
                    format!("  Found {blobs} BLOBs in the destination repository ({size})")
                });
                self.listing.finish();
            }
            SyncEvent::Found { source, copy } => self.listing.show(|| {
                let (blobs, size) = (source.blobs, app.size(source.bytes));
                let (count, bytes) = (copy.blobs, app.size(copy.bytes));
                format!(
                    "  Found {blobs} BLOBs ({size}) in the source repository, \
                     {count} ({bytes}) to copy"
                )
            }),
            SyncEvent::Planned(plan) => self.planned(plan),
            SyncEvent::Copying => {
                app.info("Copying...");
                self.copying.get_or_init(|| StatusLine::new(app));
            }
            SyncEvent::Copied(Amount { blobs, bytes }) => {
                let line = self.copying.get_or_init(|| StatusLine::new(app));
                let total = self.planned.get().map_or(bytes, |planned| planned.bytes);
                line.show(|| {
                    let left = line.remaining(bytes, total);
                    let (size, rate) = (app.size(bytes), speed(line.rate(bytes)));
                    format!("  Copied {blobs} blobs ({size}), Speed: {rate}, ETA: {left}")
                });
            }
            SyncEvent::Gone(blob) => app.info(format!("ignoring BLOB not found: {blob}")),
            SyncEvent::TimesNotKept => {
                app.warn("destination repository does not support preserving modification times");
            }
            _ => {}
        }
    }
}

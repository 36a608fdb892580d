//! `content verify`

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use kopist_repo::{VerifyError, VerifyObserver, VerifyOptions, VerifyReport};

use crate::commands::shared;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome, now},
    commands::ids::content_range,
    error::{CommandError, Context as _},
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::int("parallel", "Number of parallel operations.").default("16"),
    Flag::switch("full", "Download and verify every content."),
    Flag::switch("include-deleted", "Include deleted contents."),
    Flag::float("download-percent", "Percentage of contents to download and verify."),
    Flag::duration("progress-interval", "Interval of progress messages.").default("3s"),
];

/// `content verify`
pub(super) static COMMAND: Command =
    Command::new("verify", "Verify that contents are backed by blobs.")
        .flags(&[FLAGS, shared::ID_RANGE])
        .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let percent = matches.float("download-percent").unwrap_or(0.0);
        let options = VerifyOptions {
            range: content_range(matches)?,
            include_deleted: matches.flag("include-deleted"),
            read_percent: if matches.flag("full") { 100.0 } else { percent },
            parallelism: matches.count("parallel").unwrap_or(1),
        };
        let interval = matches.duration("progress-interval").unwrap_or(0);
        let observer = Observer {
            app,
            interval: Duration::from_nanos(u64::try_from(interval).unwrap_or(0)),
            last: AtomicI64::new(0),
        };
        app.info("Verifying contents...");
        let report =
            session.repo.verify_contents(&options, &observer).context("verify contents")?;
        app.info("Finished verifying contents");
        app.info(format!("verifyCounters:\t{}", counters(&report)));
        match report.errors() {
            0 => Ok(()),
            errors => {
                Err(CommandError::new(format!("verify contents: encountered {errors} errors")))
            }
        }
    })
}

/// Reports findings as they come, and progress now and then.
struct Observer<'a> {
    app: &'a App,
    interval: Duration,
    /// Milliseconds of the last report.
    last: AtomicI64,
}

impl VerifyObserver for Observer<'_> {
    fn error(&self, error: &VerifyError) {
        self.app.error(error.to_string());
    }

    fn progress(&self, report: &VerifyReport) {
        let now = now().as_millisecond();
        let last = self.last.load(Ordering::Relaxed);
        let interval = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX);
        if now.saturating_sub(last) >= interval {
            self.last.store(now, Ordering::Relaxed);
            let (verified, errors) = (report.verified, report.errors());
            self.app.info(format!("  Verified {verified} contents, {errors} errors"));
        }
    }
}

fn counters(report: &VerifyReport) -> serde_json::Value {
    serde_json::json!({
        "verifiedContents": report.verified,
        "totalErrorCount": report.errors(),
        "contentsInMissingPacks": report.in_missing_packs,
        "contentsInTruncatedPacks": report.in_truncated_packs,
        "unreadableContents": report.unreadable,
        "readContents": report.read,
        "missingPacks": report.missing_packs,
        "truncatedPacks": report.truncated_packs,
        "corruptedPacks": report.corrupted_packs,
    })
}

//! `snapshot create`

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    thread,
};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use kopist_format::{directory::UtcNanos, snapshot::SnapshotManifest};
use kopist_repo::RepositoryWriter;
use kopist_snapshot::{
    SnapshotError, SnapshotRequest, SourceInfo,
    actions::{ActionOptions, Background},
    create,
    estimate::estimate,
    fs::{Kind, StreamFolder},
    maintenance,
    policy::{PolicySet, PolicyTree},
    store::{load_policies, sources as stored_sources},
    upload::{Cancel, MAX_CHECKPOINT_INTERVAL, UploadOptions, UploadSource},
};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::commands::shared;
use crate::grammar::Matches;
use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome, now},
    commands::sources::{source, tags},
    env::absolute,
    error::{CommandError, Context as _},
    output::{JsonOutput, duration},
    progress::UploadLine,
    session::{Session, write_in},
    upkeep,
};

const FLAGS: &[Flag] = &[
    Flag::switch("all", "Snapshot every known source of this user and host."),
    Flag::int64("upload-limit-mb", "Stop after this many MB were uploaded.").default("0"),
    Flag::duration("checkpoint-interval", "Interval of checkpoints.").hidden(),
    Flag::text("description", "Description of the snapshot."),
    Flag::switch("fail-fast", "Stop at the first error.").env("KOPIA_SNAPSHOT_FAIL_FAST"),
    Flag::float("force-hash", "Percentage of unchanged files to hash again.").default("0"),
    Flag::int("parallel", "Number of files to upload in parallel.").default("0"),
    Flag::text("start-time", "Start time to record."),
    Flag::text("end-time", "End time to record."),
    Flag::switch("force-enable-actions", "Run actions even if the connection does not allow them.")
        .hidden(),
    Flag::switch("force-disable-actions", "Do not run actions.").hidden(),
    Flag::text("stdin-file", "Snapshot standard input as a file of this name."),
    Flag::text("tags", "Tag, key:value.").repeated(),
    Flag::text("pin", "Pin the snapshot under this name: it will not expire.").repeated(),
    Flag::switch("flush-per-source", "Write the index after each source.").hidden(),
    Flag::text("override-source", "Source to record instead of the actual one."),
    Flag::switch("send-snapshot-report", "Send a report through the notification profiles.")
        .default("true"),
    Flag::int("log-dir-detail", "Detail of log messages for directories (0 to 10)."),
    Flag::int("log-entry-detail", "Detail of log messages for entries (0 to 10)."),
];

/// `snapshot create`
pub(super) static COMMAND: Command =
    Command::new("create", "Create snapshots of directories or files.")
        .flags(&[FLAGS, shared::JSON])
        .args(&[Arg::text("source", "Source").repeated()])
        .run(run);

/// The longest description, in bytes (`kopia:cli/command_snapshot_create.go`).
const MAX_DESCRIPTION: usize = 1024;

fn run(app: &App, matches: &Matches) -> Outcome {
    let session = Session::open(app).context("open repository")?;
    if session.repo.is_read_only() {
        // kopia reads and uploads everything before it finds out.
        return Err(CommandError::new(
            "cannot make snapshots with a read-only connection: storage is read-only",
        ));
    }
    let mut errors = Vec::new();
    let mut background = Background::default();
    let written = write_in(app, &session, |writer| {
        maintenance::claim(writer).context("error setting maintenance parameters")?;
        let mut run = Run::new(app, matches, &session, writer)?;
        background = run.upload.actions.background.clone();
        for path in run.paths()? {
            if run.upload.cancel.is_canceled() {
                app.info("Upload canceled");
                break;
            }
            run.snapshot(&path, &mut errors)?;
        }
        run.report(matches)
    });
    let result = written.and_then(|()| finish(app, &session, &errors));
    if std::process::id() == 1 {
        // The end of a container's first process is the end of all others.
        background.wait();
    }
    result
}

fn finish(app: &App, session: &Session, errors: &[String]) -> Outcome {
    match errors {
        [] => upkeep::run_if_due(app, session),
        [error] => Err(CommandError::new(error)),
        errors => Err(CommandError::new(format!(
            "encountered {} errors:\n{}",
            errors.len(),
            errors.join("\n")
        ))),
    }
}

/// What all sources of one command have in common.
struct Run<'a> {
    app: &'a App,
    matches: &'a Matches,
    session: &'a Session,
    writer: &'a RepositoryWriter,
    policies: PolicySet,
    upload: UploadOptions,
    tags: BTreeMap<String, String>,
    start_time: Option<UtcNanos>,
    end_time: Option<UtcNanos>,
}

impl<'a> Run<'a> {
    fn new(
        app: &'a App,
        matches: &'a Matches,
        session: &'a Session,
        writer: &'a RepositoryWriter,
    ) -> Result<Self, CommandError> {
        if matches.flag("all") && !matches.os_list("source").is_empty() {
            return Err(CommandError::new(
                "cannot use --all when a source path argument is specified",
            ));
        }
        let time = |flag: &str| match matches.non_empty(flag) {
            Some(text) => parse_time(&text).map(Some).context(format!("could not parse {flag}")),
            None => Ok(None),
        };
        let (start_time, end_time) = (time("start-time")?, time("end-time")?);
        if matches!((start_time, end_time), (Some(start), Some(end)) if start > end) {
            return Err(CommandError::new(
                "start time override cannot be after the end time override",
            ));
        }
        if matches.text("description").unwrap_or_default().len() > MAX_DESCRIPTION {
            return Err(CommandError::new("description too long"));
        }
        Ok(Self {
            app,
            matches,
            session,
            writer,
            policies: load_policies(&writer.manifests()?)?,
            upload: upload_options(matches, session)?,
            tags: tags(&matches.texts("tags"))?,
            start_time,
            end_time,
        })
    }

    /// The paths to back up: the arguments, or all that this user has backed up from here.
    fn paths(&self) -> Result<Vec<PathBuf>, CommandError> {
        let mut paths: Vec<PathBuf> =
            self.matches.os_list("source").into_iter().map(PathBuf::from).collect();
        if self.matches.flag("all") {
            let identity = self.session.repo.identity();
            for source in stored_sources(&self.writer.manifests()?) {
                let ours =
                    source.host == identity.hostname && source.user_name == identity.username;
                if ours && !self.policies.effective(&source).policy.scheduling.manual {
                    paths.push(source.path.into());
                }
            }
        }
        if paths.is_empty() {
            return Err(CommandError::new("no snapshot sources"));
        }
        Ok(paths)
    }

    /// Backs up one path. What goes wrong is remembered, so that the others get their turn.
    fn snapshot(&mut self, path: &Path, errors: &mut Vec<String>) -> Outcome {
        let absolute = absolute(path).context(format!("invalid source {}", path.display()))?;
        let overridden = self.matches.non_empty("override-source");
        let source = if let Some(text) = &overridden {
            self.overriding_source(text)
                .context(format!("invalid source override {text}"))
                .context("failed to prepare source")?
        } else {
            let identity = self.session.repo.identity();
            SourceInfo::new(&identity.username, &identity.hostname, absolute.to_string_lossy())
        };
        let stdin_file = self.matches.os("stdin-file").filter(|name| !name.is_empty());
        let tree = match stdin_file {
            Some(name) => {
                let name = name.as_encoded_bytes().to_vec();
                let now = UtcNanos::from(now());
                let folder = StreamFolder::new(name, now, Box::new(io::stdin()));
                Ok(UploadSource::stream(&absolute.to_string_lossy(), folder))
            }
            None => local_tree(self.app, &absolute).context("unable to get local filesystem entry"),
        };
        self.app.info(format!("Snapshotting {source} ..."));
        let tree = match tree {
            Ok(tree) => tree,
            Err(error) => {
                errors.push(format!("failed to prepare source: {error}"));
                errors.push(format!("upload error: unsupported source: {source}"));
                return Ok(());
            }
        };
        let manual = overridden.is_some() || stdin_file.is_some();
        let request = SnapshotRequest {
            description: self.matches.text("description").unwrap_or_default(),
            tags: self.tags.clone(),
            pins: self.matches.texts("pin"),
            start_time: self.start_time,
            end_time: self.end_time,
            manual,
            time_zone: TimeZone::system(),
            upload: self.upload.clone(),
            ..SnapshotRequest::new(source.clone(), tree)
        };
        let uploaded = || self.writer.stats().pack_bytes;
        let line = UploadLine::new(self.app, &uploaded);
        let created = if self.app.globals.progress && stdin_file.is_none() {
            let policies = self.policies.tree_with(&source, None);
            estimated_meanwhile(&absolute, &policies, &line, || create(self.writer, request, &line))
        } else {
            create(self.writer, request, &line)
        };
        line.finish();
        match created {
            Ok(created) if created.identical => self.app.info(
                "\n Not saving snapshot because no files have been changed since previous snapshot",
            ),
            Ok(created) => {
                if self.matches.flag("flush-per-source") {
                    self.writer.flush().context("flush error")?;
                }
                self.show(&source, &created.manifest, errors)?;
            }
            Err(SnapshotError::Upload(error)) => errors.push(format!("upload error: {error}")),
            Err(error) => errors.push(error.to_string()),
        }
        Ok(())
    }

    fn overriding_source(&self, text: &str) -> Result<SourceInfo, CommandError> {
        let source = source(&self.session.repo, text)?;
        if source.host.is_empty() || source.user_name.is_empty() || source.path.is_empty() {
            return Err(CommandError::new(format!(
                "source does not resolve into host, user and path: '{text}'"
            )));
        }
        Ok(source)
    }

    /// Prints the result for one source.
    fn show(
        &self,
        source: &SourceInfo,
        manifest: &SnapshotManifest,
        errors: &mut Vec<String>,
    ) -> Outcome {
        let output = JsonOutput::new(self.matches);
        if output.json {
            let mut value = serde_json::to_value(manifest)?;
            if let Some(keys) = value.as_object_mut().filter(|_| !output.verbose) {
                keys.shift_remove("stats");
            }
            self.app.console.line(output.text_behind(&value, "  ")?)?;
        } else {
            let partial = if manifest.is_complete() { "" } else { " partial" };
            let root = manifest.root_object().map(|id| id.to_string()).unwrap_or_default();
            let nanos = manifest.end_time.0.saturating_sub(manifest.start_time.0);
            let took = duration(nanos / 1_000_000_000 * 1_000_000_000);
            let id = &manifest.id;
            self.app
                .info(format!("Created{partial} snapshot with root {root} and ID {id} in {took}"));
        }
        let summary = manifest.root_entry.as_ref().and_then(|root| root.summary.as_ref());
        if let Some(summary) = summary {
            let (ignored, failed) = (summary.ignored_errors, summary.failed);
            if ignored > 0 {
                let text = format!("Ignored {ignored} error(s) while snapshotting {source}.");
                self.app.warn(text);
            }
            if failed > 0 {
                errors.push(format!("Found {failed} fatal error(s) while snapshotting {source}."));
            }
        }
        Ok(())
    }

    /// Says that nobody is notified, if somebody wants to be.
    fn report(&self, matches: &Matches) -> Outcome {
        let profiles = [("type".to_owned(), "notificationProfile".to_owned())].into();
        if matches.flag("send-snapshot-report")
            && !self.writer.manifests()?.find(&profiles).is_empty()
        {
            self.app.warn("notification profiles are not supported by kopist: no report is sent");
        }
        Ok(())
    }
}

/// Does something while the size of the source is found out. What fails in that is of no
/// consequence.
fn estimated_meanwhile<T>(
    path: &Path,
    policies: &PolicyTree,
    line: &UploadLine<'_>,
    work: impl FnOnce() -> T,
) -> T {
    let over = Cancel::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            let path = fs::canonicalize(path).ok();
            let Some(tree) = path.and_then(|path| UploadSource::local(&path).ok()) else { return };
            if tree.metadata.kind != Kind::Directory {
                return line.estimated(tree.metadata.size.unsigned_abs());
            }
            let found = estimate(&tree, policies, 0, &over, &mut |_| {});
            if !over.is_canceled() {
                line.estimated(found.included.bytes);
            }
        });
        let done = work();
        over.cancel();
        done
    })
}

/// Opens a path; a symbolic link is followed, but the source keeps its name.
pub(super) fn local_tree(app: &App, path: &Path) -> Result<UploadSource, CommandError> {
    let shown = path.display();
    let stat = |error: io::Error| {
        let error = kopist_snapshot::fs::errno_text(&error);
        CommandError::new(format!("resolveSymlink: stat: lstat {shown}: {error}"))
    };
    let metadata = fs::symlink_metadata(path).map_err(stat)?;
    if !metadata.is_symlink() {
        return Ok(UploadSource::local(path)?);
    }
    let target = fs::canonicalize(path).context("resolveSymlink")?;
    app.info(format!("{shown} resolved to {}", target.display()));
    Ok(UploadSource::local(&target)?)
}

fn upload_options(matches: &Matches, session: &Session) -> Result<UploadOptions, CommandError> {
    let megabytes = matches.int("upload-limit-mb").unwrap_or(0);
    let mut options = UploadOptions {
        parallel: matches.count("parallel").unwrap_or(0),
        force_hash_percent: matches.float("force-hash").unwrap_or(0.0),
        upload_limit: u64::try_from(megabytes).ok().filter(|mb| *mb > 0).map(|mb| mb << 20),
        fail_fast: matches.flag("fail-fast"),
        time_zone: TimeZone::system(),
        cancel: cancel_on_signals()?,
        actions: ActionOptions {
            enabled: (session.config.client.enable_actions || matches.flag("force-enable-actions"))
                && !matches.flag("force-disable-actions"),
            ..ActionOptions::default()
        },
        log_directories: detail(matches, "log-dir-detail"),
        log_entries: detail(matches, "log-entry-detail"),
        ..UploadOptions::default()
    };
    let interval = SignedDuration::from_nanos(matches.duration("checkpoint-interval").unwrap_or(0));
    if interval > MAX_CHECKPOINT_INTERVAL {
        return Err(CommandError::new("checkpoint interval cannot be greater than 45m0s"));
    }
    if !interval.is_zero() {
        options.checkpoint_interval = interval;
    }
    Ok(options)
}

/// A detail of the log; −1 stands for what the policy says.
fn detail(matches: &Matches, flag: &str) -> Option<i64> {
    matches.int(flag).filter(|detail| *detail != -1)
}

/// Stops the upload at the first `SIGINT` or `SIGTERM`: what was read is saved as an incomplete
/// snapshot. Further signals do nothing.
pub(super) fn cancel_on_signals() -> Result<Cancel, CommandError> {
    let cancel = Cancel::default();
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot handle signals")?;
    let canceled = cancel.clone();
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || signals.forever().for_each(|_| canceled.cancel()))
        .context("cannot handle signals")?;
    Ok(cancel)
}

/// Reads `2006-01-02 15:04:05 MST`: UTC, or the abbreviation of the local zone at that time.
fn parse_time(text: &str) -> Result<UtcNanos, CommandError> {
    let malformed = || {
        CommandError::new(format!(
            "parsing time {text:?}: it must look like \"2006-01-02 15:04:05 MST\""
        ))
    };
    let (clock, zone) = text.rsplit_once(' ').ok_or_else(malformed)?;
    let clock = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", clock);
    let clock = clock.map_err(|_| malformed())?;
    if zone.is_empty() || !zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-".contains(&b)) {
        return Err(malformed());
    }
    let local = clock.to_zoned(TimeZone::system()).map_err(|_| malformed())?;
    let time: Timestamp = if local.strftime("%Z").to_string() == zone {
        local.timestamp()
    } else {
        // Any other abbreviation says nothing about the offset; kopia takes UTC then.
        clock.to_zoned(TimeZone::UTC).map_err(|_| malformed())?.timestamp()
    };
    Ok(UtcNanos::from(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_form() {
        let time = |text: &str| parse_time(text).map(|t| t.to_timestamp().to_string()).ok();
        assert_eq!(time("2024-02-29 10:00:01 UTC").as_deref(), Some("2024-02-29T10:00:01Z"));
        assert_eq!(time("2024-02-30 10:00:01 UTC"), None);
        assert_eq!(time("2024-02-29T10:00:01Z"), None);
        assert_eq!(time("2024-02-29 10:00:01"), None);
    }
}

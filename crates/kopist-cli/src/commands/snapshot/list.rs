//! `snapshot list`

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use kopist_format::{
    directory::DirEntry,
    id::ObjectId,
    snapshot::{SnapshotManifest, StorageStats},
};
use kopist_repo::{ManifestView, Repository};
use kopist_snapshot::{
    SourceInfo, browse,
    expire::{Judged, judge},
    policy::PolicySet,
    retention::compact_reasons,
    store::{all_snapshots, load_policies},
    usage::UsageCounter,
};
use serde::Serialize;

use crate::commands::shared;
use crate::grammar::Matches;
use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::{
        pretty::mode_text,
        sources::{entry_below, snapshots_with, source, tags},
    },
    error::{CommandError, Context as _},
    output::JsonOutput,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("incomplete", "Include incomplete snapshots.").short('i'),
    Flag::switch("human-readable", "Print sizes for people.").default("true"),
    Flag::switch("delta", "Show the difference in size to the previous snapshot.").short('d'),
    Flag::switch("manifest-id", "Show manifest ids.").short('m'),
    Flag::switch("retention", "Show the reasons for which a snapshot is kept.").default("true"),
    Flag::switch("mtime", "Show modification times."),
    Flag::switch("owner", "Show owners."),
    Flag::switch("show-identical", "Show identical snapshots one by one.").short('l'),
    Flag::switch("storage-stats", "Compute how much data each snapshot added."),
    Flag::switch("reverse", "Newest first."),
    Flag::switch("all", "Include other users and hosts.").short('a'),
    Flag::int("max-results", "Number of snapshots to show for each source.").short('n'),
    Flag::text("tags", "Tag, key:value.").repeated(),
];

/// `snapshot list`
pub(super) static COMMAND: Command = Command::new("list", "List snapshots.")
    .aliases(&["ls"])
    .flags(&[FLAGS, shared::JSON])
    .args(&[Arg::text("source", "Source")])
    .run(run);

/// A snapshot as kopia prints it.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    manifest: &'a SnapshotManifest,
    #[serde(rename = "retentionReason", skip_serializing_if = "<[String]>::is_empty")]
    reasons: &'a [String],
}

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let repo = &session.repo;
        let view = repo.manifests()?;
        let policies = load_policies(&view)?;
        let tags = tags(&matches.texts("tags"))?;
        let argument = matches.non_empty("source");
        let (snapshots, path) = find(repo, &view, argument.as_deref(), &tags)?;
        let lister = Lister { app, matches, repo, policies: &policies, path: &path };
        let groups = group(snapshots);
        if JsonOutput::new(matches).json { lister.json(groups) } else { lister.text(groups) }
    })
}

/// The snapshots that an argument chooses, and the path of the source.
fn find(
    repo: &Repository,
    view: &ManifestView,
    argument: Option<&str>,
    tags: &BTreeMap<String, String>,
) -> Result<(Vec<SnapshotManifest>, String), CommandError> {
    let Some(text) = argument else { return Ok((all_snapshots(view, tags), String::new())) };
    let wanted = source(repo, text).context(format!("invalid directory: '{text}'"))?;
    let mut found = snapshots_with(view, &wanted);
    let has = |tag: (&String, &String), manifest: &SnapshotManifest| {
        manifest.tags.get(tag.0) == Some(tag.1)
    };
    found.retain(|manifest| tags.iter().all(|tag| has(tag, manifest)));
    Ok((found, wanted.path))
}

/// The snapshots of each source, sources by their text.
fn group(snapshots: Vec<SnapshotManifest>) -> Vec<(SourceInfo, Vec<SnapshotManifest>)> {
    let mut groups: BTreeMap<String, (SourceInfo, Vec<SnapshotManifest>)> = BTreeMap::new();
    for manifest in snapshots {
        let source = SourceInfo::from(&manifest.source);
        let group = groups.entry(source.to_string()).or_insert_with(|| (source, Vec::new()));
        group.1.push(manifest);
    }
    groups.into_values().collect()
}

struct Lister<'a> {
    app: &'a App,
    matches: &'a Matches,
    repo: &'a Repository,
    policies: &'a PolicySet,
    path: &'a str,
}

/// One row of the text.
struct Row {
    first: String,
    last: String,
    count: usize,
    object: ObjectId,
    bits: Vec<String>,
    reasons: Vec<String>,
    pins: Vec<String>,
}

impl Lister<'_> {
    fn judge(&self, source: &SourceInfo, snapshots: Vec<SnapshotManifest>) -> Vec<Judged> {
        judge(snapshots, source, self.policies, &TimeZone::system())
    }

    /// Oldest first, or newest first with `--reverse`; then the last `--max-results`.
    fn select<T>(&self, items: &mut Vec<T>, manifest: impl Fn(&T) -> &SnapshotManifest) {
        items.sort_by_key(|item| manifest(item).start_time);
        if self.matches.flag("reverse") {
            items.reverse();
        }
        if let Some(most) = self.matches.count("max-results") {
            items.drain(..items.len().saturating_sub(most));
        }
    }

    /// Everything that was found: no other flag selects anything in JSON.
    fn json(&self, groups: Vec<(SourceInfo, Vec<SnapshotManifest>)>) -> Outcome {
        let mut list = JsonOutput::new(self.matches).list(&self.app.console)?;
        for (source, mut snapshots) in groups {
            self.select(&mut snapshots, |manifest| manifest);
            let judged = if self.matches.flag("retention") {
                self.judge(&source, snapshots)
            } else {
                let plain = |manifest| Judged { manifest, reasons: Vec::new() };
                snapshots.into_iter().map(plain).collect()
            };
            let mut counter = self.counter()?;
            for Judged { mut manifest, reasons } in judged {
                count(&mut counter, &mut manifest)?;
                list.item(&Listed { manifest: &manifest, reasons: &reasons })?;
            }
        }
        Ok(())
    }

    fn text(&self, groups: Vec<(SourceInfo, Vec<SnapshotManifest>)>) -> Outcome {
        let (mut separator, found) = ("", !groups.is_empty());
        for (source, snapshots) in groups {
            if !self.is_shown(&source) {
                continue;
            }
            self.app.console.line(format!("{separator}{source}"))?;
            separator = "\n";
            let mut judged = self.judge(&source, snapshots);
            self.select(&mut judged, |judged| &judged.manifest);
            let mut rows = self.rows(&source, judged)?;
            if !self.matches.flag("show-identical") {
                rows = merge(rows);
            }
            for row in rows {
                self.print(row)?;
            }
        }
        if separator.is_empty() && found && !self.matches.flag("all") {
            self.app
                .info("No snapshots found. Pass --all to show snapshots from all users/hosts.\n");
        }
        Ok(())
    }

    /// Counts what each snapshot of a source adds, if that is asked for.
    fn counter(&self) -> Result<Option<UsageCounter<'_>>, CommandError> {
        if !self.matches.flag("storage-stats") {
            return Ok(None);
        }
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Some(UsageCounter::new(self.repo, threads * 4)?))
    }

    fn is_shown(&self, source: &SourceInfo) -> bool {
        let identity = self.repo.identity();
        self.matches.flag("all")
            || source.host == identity.hostname && source.user_name == identity.username
    }

    fn rows(&self, source: &SourceInfo, judged: Vec<Judged>) -> Result<Vec<Row>, CommandError> {
        let below = self.path.strip_prefix(source.path.as_str()).unwrap_or_default();
        let mut rows = Vec::new();
        let mut last_size = 0;
        let mut counter = self.counter()?;
        for Judged { mut manifest, reasons } in judged {
            count(&mut counter, &mut manifest)?;
            let time = self.app.time(manifest.start_time.to_timestamp());
            let entry = match self.entry(&manifest, below) {
                Ok(entry) => entry,
                Err(error) => {
                    self.app.console.line(format!("  {time} <ERROR> {error}"))?;
                    continue;
                }
            };
            if !manifest.is_complete() && !self.matches.flag("incomplete") {
                continue;
            }
            let Some(object) = entry.object else { continue };
            let bits = self.bits(&manifest, &entry, last_size);
            if manifest.is_complete() {
                last_size = manifest.stats.total_size;
            }
            let pins = manifest.pins;
            let (first, last) = (time.clone(), time);
            rows.push(Row { first, last, count: 1, object, bits, reasons, pins });
        }
        Ok(rows)
    }

    /// The entry of the wanted path in a snapshot of a directory above it.
    fn entry(&self, manifest: &SnapshotManifest, below: &str) -> Result<DirEntry, CommandError> {
        entry_below(self.repo, browse::of_snapshot(manifest.clone())?.entry, below)
    }

    fn bits(&self, manifest: &SnapshotManifest, entry: &DirEntry, last_size: i64) -> Vec<String> {
        let wants = |flag: &str| self.matches.flag(flag);
        let mut bits = Vec::new();
        if !manifest.is_complete() {
            bits.push(format!("incomplete:{}", manifest.incomplete));
        }
        let size = entry.summary.as_ref().map_or(entry.size, |summary| summary.size);
        bits.push(if wants("human-readable") { self.app.size(size) } else { size.to_string() });
        bits.push(mode_text(entry));
        if wants("owner") {
            bits.push(format!("uid:{}", entry.uid));
            bits.push(format!("gid:{}", entry.gid));
        }
        if wants("mtime") {
            bits.push(format!("modified:{}", self.app.time(entry.mtime.to_timestamp())));
        }
        if wants("manifest-id") {
            bits.push(format!("manifest:{}", manifest.id));
        }
        if wants("delta") {
            // The size of a directory itself is 0 here, hence a difference only for files.
            let more = entry.size.saturating_sub(last_size);
            let text = if more > 0 { format!("(+{})", self.app.size(more)) } else { String::new() };
            bits.push(text);
        }
        // A file that was backed up alone has a summary, too, of which nothing is told.
        if let Some(summary) = entry.summary.as_ref().filter(|_| entry.is_dir()) {
            bits.push(format!("files:{}", summary.files));
            bits.push(format!("dirs:{}", summary.dirs));
            if summary.failed > 0 {
                bits.push(format!("errors:{}", summary.failed));
            }
        }
        if let Some(StorageStats { new_data, .. }) = &manifest.storage_stats {
            let (original, packed) =
                (new_data.original_content_bytes, new_data.packed_content_bytes);
            bits.push(format!("new-data:{}", self.app.size(packed)));
            bits.push(format!("new-files:{}", new_data.file_objects));
            bits.push(format!("new-dirs:{}", new_data.dir_objects));
            bits.push(format!("compression:{}", saved(original, packed)));
        }
        bits
    }

    fn print(&self, row: Row) -> Outcome {
        let mut bits = row.bits;
        if self.matches.flag("retention") && !row.reasons.is_empty() {
            bits.push(format!("({})", row.reasons.join(",")));
        }
        if !row.pins.is_empty() {
            bits.push(format!("pins:{}", row.pins.join(",")));
        }
        let console = &self.app.console;
        console.line(format!("  {} {} {}", row.first, row.object, bits.join(" ")))?;
        if row.count > 1 {
            let (more, last) = (row.count - 1, row.last);
            console.line(format!("  + {more} identical snapshots until {last}"))?;
        }
        Ok(())
    }
}

/// Notes what a snapshot adds to those before it.
fn count(counter: &mut Option<UsageCounter<'_>>, manifest: &mut SnapshotManifest) -> Outcome {
    if let Some(counter) = counter {
        manifest.storage_stats = Some(counter.add(manifest)?);
    }
    Ok(())
}

/// How much smaller compression has made something.
fn saved(original: i64, packed: i64) -> String {
    if packed >= original {
        return "0%".to_owned();
    }
    format!("{:.1}%", 100.0 * (1.0 - packed as f64 / original as f64))
}

/// Joins neighbouring rows with the same object.
fn merge(rows: Vec<Row>) -> Vec<Row> {
    let mut merged: Vec<Row> = Vec::new();
    for row in rows {
        match merged.last_mut() {
            Some(last) if last.object == row.object => {
                last.count += 1;
                last.last = row.last;
                last.reasons.extend(row.reasons);
                last.pins.extend(row.pins);
            }
            _ => merged.push(row),
        }
    }
    for row in &mut merged {
        row.reasons = compact_reasons(&row.reasons);
        row.pins.sort();
        row.pins.dedup();
    }
    merged
}

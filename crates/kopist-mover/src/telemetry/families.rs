//! A run as metrics. The names are a promise to dashboards and alerts.

use kopist_blob::Operation;
use kopist_blob::metered::{Calls, DURATION_LIMITS};

use super::Record;
use crate::report::Verdict;

/// All metrics of a run, and the labels that each of them has.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Labels of every point.
    pub labels: Vec<(String, String)>,
    /// The metrics.
    pub families: Vec<Family>,
}

/// One metric with its points.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Its name for Prometheus.
    pub name: &'static str,
    /// What it is, in words.
    pub help: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// Its points; never empty.
    pub points: Vec<Point>,
}

/// Kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number as it was in this run.
    Gauge,
    /// A count of this run, from zero.
    Counter,
    /// Durations by class.
    Histogram,
}

/// A number and what it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Labels besides the common ones.
    pub labels: Vec<(&'static str, &'static str)>,
    /// The number.
    pub value: Value,
}

/// The number of a point.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// One number.
    Number(f64),
    /// Durations: how many are in each class, and their sum in seconds.
    Durations {
        /// Counts of the classes of [`DURATION_LIMITS`], each on its own.
        classes: Vec<u64>,
        /// Seconds together.
        sum: f64,
    },
}

#[derive(Default)]
struct Families(Vec<Family>);

impl Families {
    fn gauge(&mut self, name: &'static str, help: &'static str, value: impl Into<Option<f64>>) {
        let Some(value) = value.into() else { return };
        let point = Point { labels: Vec::new(), value: Value::Number(value) };
        self.0.push(Family { name, help, kind: Kind::Gauge, points: vec![point] });
    }

    fn family(&mut self, name: &'static str, help: &'static str, kind: Kind, points: Vec<Point>) {
        if !points.is_empty() {
            self.0.push(Family { name, help, kind, points });
        }
    }
}

fn number(labels: Vec<(&'static str, &'static str)>, value: u64) -> Point {
    Point { labels, value: Value::Number(value as f64) }
}

/// The metrics of a run.
pub fn series(record: &Record<'_>) -> Series {
    let mut labels = vec![("operation".to_owned(), record.operation.to_owned())];
    if let Some(source) = record.source {
        for (name, value) in ["user", "host", "path"].into_iter().zip(source) {
            labels.push((name.to_owned(), value.to_owned()));
        }
    }
    labels.extend(record.labels.iter().cloned());
    let mut families = Families::default();
    of_the_run(record, &mut families);
    of_the_work(record, &mut families);
    of_the_caches(record, &mut families);
    of_the_store(&record.calls, &mut families);
    Series { labels, families: families.0 }
}

/// Of every run.
fn of_the_run(record: &Record<'_>, all: &mut Families) {
    let outcome = record.outcome;
    let done = outcome.verdict != Verdict::Failed;
    all.gauge(
        "kopist_mover_success",
        "Whether the last run did what it should (1) or not (0).",
        f64::from(u8::from(done)),
    );
    all.family(
        "kopist_mover_result",
        "1 for the reason with which the last run ended.",
        Kind::Gauge,
        vec![number(vec![("reason", outcome.reason.code())], 1)],
    );
    let seconds = |time: jiff::Timestamp| time.as_millisecond() as f64 / 1000.0;
    all.gauge(
        "kopist_mover_start_timestamp_seconds",
        "When the last run began.",
        seconds(record.started),
    );
    all.gauge(
        "kopist_mover_duration_seconds",
        "How long the last run took.",
        record.elapsed.as_secs_f64(),
    );
    all.gauge(
        "kopist_mover_last_success_timestamp_seconds",
        "When the last run that did what it should ended.",
        done.then(|| seconds(record.ended)),
    );
    all.gauge(
        "kopist_mover_peak_memory_bytes",
        "Most memory that the process of the last run had at once.",
        record.peak_memory.map(|bytes| bytes as f64),
    );
    all.gauge(
        "kopist_repository_open_seconds",
        "How long the last run took to open the repository and load its index.",
        record.opened.map(|opened| opened.time.as_secs_f64()),
    );
    all.gauge(
        "kopist_repository_index_blobs",
        "Index blobs of the repository when the last run opened it.",
        record.opened.map(|opened| opened.index_blobs as f64),
    );
    all.gauge(
        "kopist_repository_bytes",
        "Bytes of all blobs of the repository.",
        record.repository_bytes.map(|bytes| bytes as f64),
    );
    all.gauge(
        "kopist_cache_bytes",
        "Bytes in the cache after the last run.",
        record.cache.map(|cache| cache.used as f64),
    );
}

/// Of what the run was for.
fn of_the_work(record: &Record<'_>, all: &mut Families) {
    let figures = &record.outcome.figures;
    let mut count = |name, help, value: u64| all.gauge(name, help, value as f64);
    if let Some(written) = figures.written {
        count("kopist_snapshot_files", "Files of the last snapshot.", figures.files);
        count("kopist_snapshot_dirs", "Directories of the last snapshot.", figures.dirs);
        count("kopist_snapshot_bytes", "Bytes of the files of the last snapshot.", figures.bytes);
        count(
            "kopist_snapshot_errors",
            "Entries that the last snapshot should have and could not read.",
            figures.errors,
        );
        count(
            "kopist_snapshot_ignored_errors",
            "Entries that could not be read and are ignored by policy.",
            figures.ignored_errors,
        );
        count(
            "kopist_snapshot_unchanged_files",
            "Files taken over from the snapshot before without reading them.",
            figures.files_unchanged,
        );
        count("kopist_read_bytes", "Bytes read from the source.", figures.bytes_hashed);
        count(
            "kopist_new_bytes",
            "Bytes among those written that the repository did not have yet.",
            written.new_bytes,
        );
        count("kopist_upload_bytes", "Bytes of the packs stored.", figures.bytes_uploaded);
        count("kopist_index_blobs_written", "Index blobs written.", written.index_blobs);
        let read = figures.bytes_hashed as f64;
        let known = (read - written.new_bytes as f64).max(0.0);
        let ratio = (read > 0.0).then(|| known / read);
        all.gauge(
            "kopist_dedup_ratio",
            "Part of the bytes read that the repository had already, 0 to 1.",
            ratio,
        );
    }
    if record.operation == "restore" {
        all.gauge("kopist_restore_files", "Files restored.", figures.files as f64);
        all.gauge("kopist_restore_bytes", "Bytes of the files restored.", figures.bytes as f64);
        all.gauge(
            "kopist_restore_ignored_errors",
            "What could not be restored as it was and was passed over.",
            figures.ignored_errors as f64,
        );
    }
    if let Some(checked) = figures.checked {
        let files = [("ok", checked.read_files), ("failed", checked.failed)]
            .map(|(result, count)| number(vec![("result", result)], count));
        all.family(
            "kopist_verify_files_total",
            "Files that were read and are as they were saved, and those that are not.",
            Kind::Counter,
            files.to_vec(),
        );
        let mut count = |name, help, value: u64| all.gauge(name, help, value as f64);
        count("kopist_verify_snapshots", "Snapshots that were looked at.", checked.snapshots);
        count("kopist_verify_bytes", "Bytes of the files that were read.", checked.read_bytes);
    }
    if let Some(copied) = figures.copied {
        let mut count = |name, help, value: u64| all.gauge(name, help, value as f64);
        count("kopist_replicate_copied_blobs", "Blobs copied.", copied.copied.blobs);
        count("kopist_replicate_copied_bytes", "Bytes copied.", copied.copied.bytes);
        count("kopist_replicate_present_blobs", "Blobs that were there.", copied.in_sync.blobs);
        count("kopist_replicate_deleted_blobs", "Blobs deleted there.", copied.deleted.blobs);
        count("kopist_replicate_verified_blobs", "Copies read back.", copied.verified.blobs);
    }
    if let Some(deleted) = figures.deleted_bytes {
        all.gauge(
            "kopist_maintenance_deleted_bytes",
            "Bytes of the packs that maintenance deleted.",
            deleted as f64,
        );
    }
}

fn of_the_caches(record: &Record<'_>, all: &mut Families) {
    let points = record.cache_counts.iter().flat_map(|(cache, count)| {
        [("hit", count.hits), ("miss", count.misses)]
            .map(|(result, count)| number(vec![("cache", *cache), ("result", result)], count))
    });
    all.family(
        "kopist_cache_requests_total",
        "What each cache was asked for: it was there (hit), or had to be fetched (miss).",
        Kind::Counter,
        points.collect(),
    );
}

fn of_the_store(calls: &[Calls], all: &mut Families) {
    let used: Vec<(&'static str, &Calls)> = calls
        .iter()
        .filter(|calls| calls.succeeded + calls.missing + calls.failed > 0)
        .map(|calls| (kind(calls.operation), calls))
        .collect();
    let requests = used.iter().flat_map(|(kind, calls)| {
        [("ok", calls.succeeded), ("missing", calls.missing), ("failed", calls.failed)]
            .into_iter()
            .filter(|(result, count)| *count > 0 || *result == "ok")
            .map(|(result, count)| number(vec![("kind", *kind), ("result", result)], count))
    });
    all.family(
        "kopist_storage_requests_total",
        "Calls of the store, each once however often it was repeated.",
        Kind::Counter,
        requests.collect(),
    );
    let bytes = used.iter().filter(|(_, calls)| calls.bytes > 0);
    all.family(
        "kopist_storage_bytes_total",
        "Bytes read from the store and written to it.",
        Kind::Counter,
        bytes.map(|(kind, calls)| number(vec![("kind", *kind)], calls.bytes)).collect(),
    );
    let durations = used.iter().map(|(kind, calls)| Point {
        labels: vec![("kind", *kind)],
        value: Value::Durations { classes: calls.classes.to_vec(), sum: calls.seconds },
    });
    all.family(
        "kopist_storage_request_seconds",
        "How long the calls of the store took, with their repetitions.",
        Kind::Histogram,
        durations.collect(),
    );
    debug_assert!(calls.iter().all(|calls| calls.classes.len() == DURATION_LIMITS.len() + 1));
}

/// The word for a kind of call.
pub(super) fn kind(operation: Operation) -> &'static str {
    match operation {
        Operation::Get => "get",
        Operation::Metadata => "metadata",
        Operation::Put => "put",
        Operation::Delete => "delete",
        Operation::List => "list",
        _ => "other",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use kopist_repo::cache::CacheCount;

    use super::*;
    use crate::report::{CacheUse, Figures, Outcome, Reason, Written};
    use crate::telemetry::Opened;

    /// A backup with every figure.
    pub(in crate::telemetry) fn outcome() -> Outcome {
        let figures = Figures {
            snapshot: Some("k1".into()),
            repository: Some("00ff".into()),
            files: 3,
            dirs: 1,
            bytes: 1000,
            bytes_hashed: 400,
            bytes_uploaded: 120,
            files_unchanged: 1,
            written: Some(Written { new_bytes: 100, packs: 1, index_blobs: 1 }),
            ..Figures::default()
        };
        Outcome::success("done", figures)
    }

    pub(in crate::telemetry) fn record(outcome: &Outcome) -> Record<'_> {
        let at = |text: &str| text.parse().unwrap();
        Record {
            operation: "backup",
            source: Some(["app", "ns1", "/data \"x\""]),
            labels: &[],
            outcome,
            started: at("2024-01-31T10:00:00Z"),
            ended: at("2024-01-31T10:00:02.5Z"),
            elapsed: Duration::from_millis(2500),
            opened: Some(Opened { time: Duration::from_millis(250), index_blobs: 7 }),
            repository_bytes: None,
            calls: vec![Calls {
                operation: Operation::Get,
                succeeded: 4,
                missing: 1,
                failed: 0,
                bytes: 99,
                seconds: 0.5,
                classes: [3, 1, 1, 0, 0, 0, 0, 0],
            }],
            cache: Some(CacheUse { used: 10, capacity: 100 }),
            cache_counts: vec![("metadata", CacheCount { hits: 3, misses: 1 })],
            peak_memory: Some(1 << 20),
            memory_limit: Some(1 << 30),
        }
    }

    fn value(series: &Series, name: &str) -> Option<f64> {
        let family = series.families.iter().find(|family| family.name == name)?;
        match family.points.first()?.value {
            Value::Number(number) => Some(number),
            Value::Durations { .. } => None,
        }
    }

    #[test]
    fn a_backup_in_numbers() {
        let outcome = outcome();
        let series = series(&record(&outcome));
        for (name, expected) in [
            ("kopist_mover_success", 1.0),
            ("kopist_mover_duration_seconds", 2.5),
            ("kopist_mover_last_success_timestamp_seconds", 1_706_695_202.5),
            ("kopist_snapshot_bytes", 1000.0),
            ("kopist_read_bytes", 400.0),
            ("kopist_new_bytes", 100.0),
            ("kopist_upload_bytes", 120.0),
            ("kopist_dedup_ratio", 0.75),
            ("kopist_repository_open_seconds", 0.25),
            ("kopist_repository_index_blobs", 7.0),
            ("kopist_mover_peak_memory_bytes", 1_048_576.0),
        ] {
            assert_eq!(value(&series, name), Some(expected), "{name}");
        }
        assert_eq!(value(&series, "kopist_restore_bytes"), None);
        assert_eq!(series.labels[3], ("path".to_owned(), "/data \"x\"".to_owned()));
    }

    #[test]
    fn a_failure_says_nothing_about_the_last_success() {
        let outcome = Outcome::failed(Reason::StorageUnreachable, "nobody there");
        let series = series(&record(&outcome));
        assert_eq!(value(&series, "kopist_mover_success"), Some(0.0));
        assert_eq!(value(&series, "kopist_mover_last_success_timestamp_seconds"), None);
        assert_eq!(value(&series, "kopist_snapshot_files"), None);
        let result =
            series.families.iter().find(|family| family.name == "kopist_mover_result").unwrap();
        assert_eq!(result.points[0].labels, [("reason", "StorageUnreachable")]);
    }
}

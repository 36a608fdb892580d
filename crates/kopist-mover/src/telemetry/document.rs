//! A run as one JSON object: the report file, and what a web hook gets.

use kopist_repo::sync::Amount;
use serde_json::{Map, Value, json};

use super::Record;
use super::families::kind;

/// The report of a run. Keys that do not apply are absent; what is there keeps its meaning.
pub fn document(record: &Record<'_>) -> Value {
    let outcome = record.outcome;
    let figures = &outcome.figures;
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            object.insert(key.to_owned(), value);
        }
    };
    put("version", json!(1));
    put("program", json!(concat!("kopist ", env!("CARGO_PKG_VERSION"))));
    // The keys that chat programs show.
    put("text", json!(sentence(record)));
    put("operation", json!(record.operation));
    put("result", json!(outcome.verdict.word()));
    put("reason", json!(outcome.reason.code()));
    put("message", json!(outcome.message));
    put("hint", json!(outcome.hint));
    put("exitCode", json!(outcome.exit_code));
    if let Some([user, host, path]) = record.source {
        put("source", json!({"user": user, "host": host, "path": path}));
    }
    let labels: Map<String, Value> =
        record.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    put("labels", if labels.is_empty() { Value::Null } else { Value::Object(labels) });
    put("startTime", json!(record.started.to_string()));
    put("endTime", json!(record.ended.to_string()));
    put("durationSeconds", json!(seconds(record.elapsed)));
    let mut repository = Map::new();
    if let Some(id) = &figures.repository {
        repository.insert("id".to_owned(), json!(id));
    }
    if let Some(opened) = record.opened {
        repository.insert("openSeconds".to_owned(), json!(seconds(opened.time)));
        repository.insert("indexBlobs".to_owned(), json!(opened.index_blobs));
    }
    if let Some(bytes) = record.repository_bytes {
        repository.insert("bytes".to_owned(), json!(bytes));
    }
    put("repository", if repository.is_empty() { Value::Null } else { json!(repository) });
    put("snapshot", json!(figures.snapshot));
    put("files", json!(figures.files));
    put("dirs", json!(figures.dirs));
    put("bytes", json!(figures.bytes));
    put("errors", json!(figures.errors));
    put("ignoredErrors", json!(figures.ignored_errors));
    if let Some(written) = figures.written {
        put("filesUnchanged", json!(figures.files_unchanged));
        put("bytesRead", json!(figures.bytes_hashed));
        put("bytesNew", json!(written.new_bytes));
        put("bytesStored", json!(figures.bytes_uploaded));
        put("packsStored", json!(written.packs));
        put("indexBlobsWritten", json!(written.index_blobs));
    }
    if let Some((kept, deleted)) = figures.retention {
        put("retention", json!({"kept": kept, "deleted": deleted}));
    }
    put("bytesDeleted", json!(figures.deleted_bytes));
    if let Some(checked) = figures.checked {
        let value = json!({
            "snapshots": checked.snapshots,
            "objects": checked.objects,
            "files": checked.read_files,
            "bytes": checked.read_bytes,
            "failed": checked.failed,
        });
        put("verified", value);
    }
    if let Some(copied) = figures.copied {
        let amount = |amount: Amount| json!({"blobs": amount.blobs, "bytes": amount.bytes});
        let value = json!({
            "copied": amount(copied.copied),
            "present": amount(copied.in_sync),
            "deleted": amount(copied.deleted),
            "readBack": amount(copied.verified),
        });
        put("replicated", value);
    }
    put("storage", storage(record));
    if let Some(cache) = record.cache {
        let counts = record.cache_counts.iter().map(|(cache, count)| {
            ((*cache).to_owned(), json!({"hits": count.hits, "misses": count.misses}))
        });
        let counts: Map<String, Value> = counts.collect();
        put(
            "cache",
            json!({
                "usedBytes": cache.used,
                "capacityBytes": cache.capacity,
                "requests": counts,
            }),
        );
    }
    let memory = json!({"peakBytes": record.peak_memory, "limitBytes": record.memory_limit});
    put("memory", memory);
    Value::Object(object)
}

fn seconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// The run in one sentence.
fn sentence(record: &Record<'_>) -> String {
    let what = match record.source {
        Some([user, host, path]) => format!("{} of {user}@{host}:{path}", record.operation),
        None => record.operation.to_owned(),
    };
    let word = record.outcome.verdict.word();
    format!("kopist: {what}: {word}. {}", record.outcome.message)
}

fn storage(record: &Record<'_>) -> Value {
    let rows = record.calls.iter().filter_map(|calls| {
        let count = calls.succeeded + calls.missing + calls.failed;
        (count > 0).then(|| {
            let row = json!({
                "requests": count,
                "missing": calls.missing,
                "failed": calls.failed,
                "bytes": calls.bytes,
                "seconds": (calls.seconds * 1000.0).round() / 1000.0,
            });
            (kind(calls.operation).to_owned(), row)
        })
    });
    let rows: Map<String, Value> = rows.collect();
    if rows.is_empty() { Value::Null } else { Value::Object(rows) }
}

#[cfg(test)]
mod tests {
    use super::super::families::tests;
    use super::*;

    #[test]
    fn one_object_with_what_is_known() {
        let outcome = tests::outcome();
        let report = document(&tests::record(&outcome));
        assert_eq!(report["version"], 1);
        assert_eq!(report["text"], "kopist: backup of app@ns1:/data \"x\": success. done");
        assert_eq!(report["source"]["host"], "ns1");
        assert_eq!(report["repository"]["indexBlobs"], 7);
        assert_eq!((&report["bytesRead"], &report["bytesNew"]), (&json!(400), &json!(100)));
        assert_eq!(report["storage"]["get"]["requests"], 5);
        assert_eq!(report["cache"]["requests"]["metadata"]["hits"], 3);
        assert_eq!(report["memory"]["limitBytes"], 1 << 30);
        assert!(report.get("hint").is_none() && report.get("bytesDeleted").is_none());
    }
}

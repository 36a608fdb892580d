//! One JSON object for the kubelet, which keeps it in the status of the pod.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::outcome::Outcome;

/// The kubelet keeps no more.
const MAX_BYTES: usize = 4096;

/// The message: at most 4096 bytes, without a line break.
pub fn termination_message(
    operation: &str,
    source: Option<&str>,
    outcome: &Outcome,
    elapsed: Duration,
) -> String {
    let figures = &outcome.figures;
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            object.insert(key.to_owned(), value);
        }
    };
    put("v", json!(1));
    put("op", json!(operation));
    put("result", json!(outcome.verdict.word()));
    put("reason", json!(outcome.reason.code()));
    put("message", json!(outcome.message));
    put("hint", json!(outcome.hint));
    put("identity", json!(source));
    put("snapshot", json!(figures.snapshot));
    put("startTime", json!(outcome.started.map(|time| time.to_string())));
    put("durationSeconds", json!((elapsed.as_secs_f64() * 1000.0).round() / 1000.0));
    put("files", json!(figures.files));
    put("dirs", json!(figures.dirs));
    put("bytes", json!(figures.bytes));
    put("bytesHashed", json!(figures.bytes_hashed));
    put("bytesUploaded", json!(figures.bytes_uploaded));
    put("filesUnchanged", json!(figures.files_unchanged));
    put("errors", json!(figures.errors));
    put("ignoredErrors", json!(figures.ignored_errors));
    put("repositoryId", json!(figures.repository));
    if let Some((kept, deleted)) = figures.retention {
        put("retention", json!({"kept": kept, "deleted": deleted}));
    }
    let mut text = Value::Object(object.clone()).to_string();
    // Only the message and the path can be long; the message gives way first.
    for key in ["message", "identity", "hint"] {
        if text.len() > MAX_BYTES {
            object.remove(key);
            text = Value::Object(object.clone()).to_string();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{Figures, Reason};
    use super::*;

    #[test]
    fn one_object_that_fits() {
        let figures = Figures {
            snapshot: Some("abc".into()),
            files: 2,
            retention: Some((3, 1)),
            ..Figures::default()
        };
        let outcome = Outcome::success("done", figures);
        let elapsed = Duration::from_millis(1500);
        let text = termination_message("backup", Some("u@h:/p"), &outcome, elapsed);
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["v"], 1);
        assert_eq!(object["result"], "success");
        assert_eq!(object["reason"], "Success");
        assert_eq!(object["identity"], "u@h:/p");
        assert_eq!(object["durationSeconds"], 1.5);
        assert_eq!(object["retention"], json!({"kept": 3, "deleted": 1}));
        assert!(object.get("repositoryId").is_none());

        let long = Outcome::failed(Reason::Internal, "x".repeat(5000));
        let path = "/p".repeat(5000);
        let text = termination_message("backup", Some(&path), &long, Duration::ZERO);
        assert!(text.len() <= MAX_BYTES);
        assert!(text.contains("\"reason\":\"Internal\""));
    }
}

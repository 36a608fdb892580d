//! What a run tells besides its log: metrics, a report, a notice, signs of life.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::container::Container;
use crate::operator;
use crate::runs::{container, env, plant, run, succeed, with_a_backup};

/// What a server was sent.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: String,
    pub(crate) body: String,
}

/// A server that takes everything.
pub(crate) struct Server {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    pub(crate) fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let shared = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    continue;
                }
                let mut headers = String::new();
                while reader.read_line(&mut headers).unwrap() > 2 {}
                let length = headers.lines().find_map(|header| {
                    let (name, value) = header.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length")
                        .then(|| value.trim().parse().ok())?
                });
                let mut body = vec![0; length.unwrap_or(0)];
                reader.read_exact(&mut body).unwrap();
                let body = String::from_utf8(body).unwrap();
                shared.lock().unwrap().push(Received { line, headers, body });
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = reader.get_mut().write_all(answer.as_bytes());
            }
        });
        Self { port, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().unwrap())
    }
}

/// The number of a metric in text.
#[track_caller]
pub(crate) fn number(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")));
    let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// The metrics of a text file.
pub(crate) fn metrics(container: &Container) -> String {
    let files = std::fs::read_dir(container.path("/metrics")).unwrap().flatten();
    let files: Vec<_> = files.map(|entry| entry.path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert!(file.extension().is_some_and(|end| end == "prom"), "{files:?}");
    std::fs::read_to_string(file).unwrap()
}

pub(crate) fn make_directory(container: &Container, path: &str) {
    std::fs::create_dir(container.path(path)).unwrap();
    container.own(&container.path(path));
}

#[test]
fn metrics_by_text_file_push_and_otlp() {
    let container = container();
    plant(&container.path("/data"));
    make_directory(&container, "/metrics");
    let server = Server::start("200 OK");
    let secret = server.url().replace("http://", "http://me:TOPSECRET@");
    let settings = json!({
        "KOPIST_METRICS": format!("textfile:/metrics,pushgateway:{secret},otlp:{}", server.url()),
        "KOPIST_METRICS_HEADERS": "X-Scope-OrgID=tenant",
        "KOPIST_METRICS_LABELS": "cluster=home",
        "POD_NAMESPACE": "media",
    });
    let log = succeed(&container, "backup", &settings);
    assert!(!log.contains("TOPSECRET"), "{log}");
    let text = metrics(&container);
    let labels = r#"{operation="backup",user="app",host="ns1",path="/data",namespace="media",cluster="home""#;
    assert!(text.contains(&format!("kopist_mover_success{labels}}} 1")), "{text}");
    assert!(text.contains(&format!("kopist_mover_result{labels},reason=\"Success\"}} 1")));
    assert_eq!(number(&text, "kopist_snapshot_files") as u64, 5);
    let read = number(&text, "kopist_read_bytes");
    assert!(read >= 6_000_000.0, "two files of 3 MB: {read}");
    let (new, stored) = (number(&text, "kopist_new_bytes"), number(&text, "kopist_upload_bytes"));
    assert!(new > 3_000_000.0 && new < 4_000_000.0, "one of them is new: {new}");
    assert!(stored > 3_000_000.0 && stored < 4_000_000.0, "{stored}");
    assert!(number(&text, "kopist_dedup_ratio") > 0.4, "{text}");
    for name in [
        "kopist_mover_duration_seconds",
        "kopist_mover_peak_memory_bytes",
        "kopist_mover_start_timestamp_seconds",
        "kopist_mover_last_success_timestamp_seconds",
        "kopist_repository_open_seconds",
        "kopist_cache_bytes",
        "kopist_storage_requests_total",
        "kopist_storage_request_seconds_count",
    ] {
        assert!(number(&text, name) > 0.0, "{name}");
    }
    assert_eq!(number(&text, "kopist_snapshot_errors") as u64, 0);

    let received = server.take();
    assert_eq!(received.len(), 2, "{received:?}");
    let group = "PUT /metrics/job/kopist/operation/backup/user/app/host/ns1/path@base64/L2RhdGE\
                 /namespace/media/cluster/home HTTP/1.1";
    assert_eq!(received[0].line.trim(), group);
    assert!(received[0].headers.contains("Basic bWU6VE9QU0VDUkVU"), "{}", received[0].headers);
    assert!(received[0].headers.to_lowercase().contains("x-scope-orgid: tenant"));
    assert_eq!(received[0].body, text);
    assert_eq!(received[1].line.trim(), "POST /v1/metrics HTTP/1.1");
    let body: Value = serde_json::from_str(&received[1].body).unwrap();
    let metrics_of = &body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    let files = metrics_of.as_array().unwrap().iter();
    let files = files.clone().find(|metric| metric["name"] == "kopist_snapshot_files").unwrap();
    assert_eq!(files["gauge"]["dataPoints"][0]["asDouble"], 5.0);

    // The next one opens what the first has written, and stores nothing new.
    succeed(&container, "backup", &settings);
    let second = metrics(&container);
    assert_eq!(number(&second, "kopist_repository_index_blobs") as u64, 1);
    assert_eq!(number(&second, "kopist_index_blobs_written") as u64, 1);
    assert_eq!(number(&second, "kopist_read_bytes") as u64, 0);
    server.take();

    // A failure says so, and does not forget the last success.
    let mut wrong = settings.clone();
    wrong["KOPIA_PASSWORD"] = json!("another");
    assert_eq!(run(&container, "backup", &wrong).code(), 1);
    let third = metrics(&container);
    assert_eq!(number(&third, "kopist_mover_success") as u64, 0);
    assert!(third.contains("reason=\"PasswordInvalid\""), "{third}");
    let last = "kopist_mover_last_success_timestamp_seconds";
    assert!((number(&third, last) - number(&second, last)).abs() < f64::EPSILON);
    let received = server.take();
    assert!(received[0].line.starts_with("POST /metrics/job/kopist/"), "{}", received[0].line);
}

#[test]
fn metrics_of_restores_and_maintenance() {
    let container = with_a_backup();
    make_directory(&container, "/metrics");
    let settings = json!({"KOPIST_METRICS": "textfile:/metrics"});
    std::fs::remove_dir_all(container.path("/cache/kopist")).unwrap();
    succeed(&container, "restore", &settings);
    let cold = metrics(&container);
    succeed(&container, "restore", &settings);
    let text = metrics(&container);
    assert_eq!(number(&text, "kopist_restore_files") as u64, 5);
    let asked = |text: &str, cache: &str, result: &str| {
        let labels = format!("cache=\"{cache}\",result=\"{result}\"}} ");
        let line = text.lines().find(|line| {
            line.starts_with("kopist_cache_requests_total{") && line.contains(&labels)
        });
        let line = line.unwrap_or_else(|| panic!("no {labels} in {text}"));
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    // What the first restore had to fetch, the second finds.
    for cache in ["metadata", "indexes"] {
        assert!(asked(&cold, cache, "miss") > 0, "{cache}: {cold}");
        assert_eq!(asked(&text, cache, "miss"), 0, "{cache}: {text}");
        let hits = asked(&cold, cache, "miss") + asked(&cold, cache, "hit");
        assert_eq!(asked(&text, cache, "hit"), hits, "{cache}: {text}");
    }
    assert!(number(&text, "kopist_restore_bytes") > 6_000_000.0);
    for entry in std::fs::read_dir(container.path("/metrics")).unwrap().flatten() {
        std::fs::remove_file(entry.path()).unwrap();
    }
    succeed(&container, "maintenance", &settings);
    let text = metrics(&container);
    assert!(text.contains("kopist_mover_success{operation=\"maintenance\"} 1"), "{text}");
    assert!(number(&text, "kopist_repository_bytes") > 3_000_000.0);
    assert_eq!(number(&text, "kopist_maintenance_deleted_bytes") as u64, 0);
}

#[test]
fn what_is_not_delivered_fails_nothing() {
    let container = container();
    plant(&container.path("/data"));
    let refusing = Server::start("503 Service Unavailable");
    let metrics = format!("pushgateway:http://127.0.0.1:1,otlp:{},textfile:/none", refusing.url());
    let settings = json!({
        "KOPIST_METRICS": metrics,
        "KOPIST_REPORT_FILE": "/none/report.json",
        "KOPIST_HEALTH_FILE": "/none/health",
        "KOPIST_NOTIFY_URL": "http://127.0.0.1:1/hook",
        "KOPIST_NOTIFY_ON": "always",
    });
    let log = succeed(&container, "backup", &settings);
    for told in [
        "WARN: metrics for pushgateway:http://127.0.0.1:1 did not arrive: no connection",
        "did not arrive: the server answered 503",
        "WARN: metrics for textfile:/none did not arrive",
        "WARN: the report in /none/report.json did not arrive",
        "WARN: the notice for http://127.0.0.1:1 did not arrive",
        "WARN: there is no health file",
        "names the directory /none, which is not there",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    assert!(log.contains("OPERATION_RESULT: SUCCESS"), "{log}");

    // What the operator reads of a failing restore is still at the end.
    let mut lacking = settings.clone();
    lacking["KOPIA_OVERRIDE_USERNAME"] = json!("nosuch");
    lacking["KOPIST_RESTORE_REQUIRE"] = json!("true");
    let ended = run(&container, "restore", &lacking);
    assert_eq!(ended.code(), 1, "{}", ended.log);
    let parsed = operator::parse(&operator::status(&ended.log, true));
    assert_eq!(parsed.requested.as_deref(), Some("nosuch@ns1"), "{}", ended.log);
    assert!(parsed.available.contains_key("app@ns1"), "{parsed:?}");
    assert!(ended.log.contains("hint: snapshots are found by user, host and path"));
}

#[test]
fn a_report_of_each_run_and_a_notice_of_failures() {
    let container = container();
    plant(&container.path("/data"));
    make_directory(&container, "/reports");
    let server = Server::start("204 No Content");
    let settings = json!({
        "KOPIST_REPORT_FILE": "/reports/last.json",
        "KOPIST_NOTIFY_URL": format!("{}/hooks/TOPSECRET", server.url()),
        "KOPIST_METRICS_LABELS": "cluster=home",
    });
    let report = || -> Value {
        let text = std::fs::read_to_string(container.path("/reports/last.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    succeed(&container, "backup", &settings);
    let done = report();
    assert_eq!((&done["operation"], &done["result"]), (&json!("backup"), &json!("success")));
    assert_eq!(done["source"], json!({"user": "app", "host": "ns1", "path": "/data"}));
    assert_eq!((&done["files"], &done["exitCode"]), (&json!(5), &json!(0)));
    assert_eq!(done["labels"]["cluster"], "home");
    assert!(done["bytesNew"].as_u64().unwrap() > 3_000_000);
    assert!(done["storage"]["put"]["requests"].as_u64().unwrap() >= 4, "{done}");
    assert!(done["memory"]["peakBytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(server.take().len(), 0, "only failures are told");

    let mut wrong = settings.clone();
    wrong["KOPIA_PASSWORD"] = json!("another");
    let ended = run(&container, "backup", &wrong);
    assert!(ended.log.contains("INFO: hint: KOPIA_PASSWORD must be the one"), "{}", ended.log);
    let told = server.take();
    assert_eq!(told.len(), 1, "{}", ended.log);
    assert_eq!(told[0].line.trim(), "POST /hooks/TOPSECRET HTTP/1.1");
    let told: Value = serde_json::from_str(&told[0].body).unwrap();
    assert_eq!(told["reason"], "PasswordInvalid");
    assert!(told["text"].as_str().unwrap().starts_with("kopist: backup of app@ns1:/data: failed."));
    assert!(told["hint"].as_str().unwrap().contains("KOPIA_PASSWORD"));
    assert!(!ended.log.contains("TOPSECRET"), "{}", ended.log);

    // A wrong environment is told, too: nothing else would say so.
    let mut wrong = settings.clone();
    wrong["KOPIA_PARALLELISM"] = json!("many");
    assert_eq!(run(&container, "backup", &wrong).code(), 1);
    assert_eq!(
        (&report()["reason"], &report()["result"]),
        (&json!("ConfigInvalid"), &json!("failed"))
    );
    assert_eq!(server.take().len(), 1);
}

#[test]
fn where_a_run_tells_is_in_its_plan() {
    let container = container();
    let settings = json!({
        "KOPIST_METRICS": "pushgateway:http://u:TOPSECRET@gw:9091/x",
        "KOPIST_METRICS_HEADERS": "Authorization=Bearer TOPSECRET",
        "KOPIST_NOTIFY_URL": "https://chat/hooks/TOPSECRET",
        "KOPIST_REPORT_FILE": "/cache/report.json",
        "KOPIST_HEALTH_FILE": "/tmp/health",
        "KOPIST_PROGRESS_INTERVAL": "0",
    });
    let arguments = ["--plan".to_owned(), "backup".to_owned()];
    let log = container.mover(&arguments, &env("backup", &settings)).log;
    for line in [
        "metrics: pushgateway:http://gw:9091",
        "header of requests with metrics: Authorization: [SET]",
        "notice: https://chat, about failures",
        "report: /cache/report.json",
        "health file: /tmp/health",
        "progress: off",
    ] {
        assert!(log.lines().any(|found| found == line), "{line}: {log}");
    }
    assert!(!log.contains("TOPSECRET"), "{log}");
    assert_eq!(std::fs::read_dir(container.path("/cache")).unwrap().count(), 0);
    let wrong = env("backup", &json!({"KOPIST_METRICS": "prometheus"}));
    let ended = container.mover(&arguments, &wrong);
    assert_eq!(ended.code(), 1);
    assert!(ended.log.contains("ERROR: KOPIST_METRICS must be textfile:"), "{}", ended.log);
}

#[test]
fn signs_of_life_and_of_progress() {
    let container = container();
    plant(&container.path("/data"));
    // The next snapshot is expected to be as large.
    let sparse = container.path("/data/sparse");
    std::fs::File::create(&sparse).unwrap().set_len(200 << 20).unwrap();
    succeed(&container, "backup", &json!({}));
    std::fs::remove_file(sparse).unwrap();
    for index in 0..8_u32 {
        let noise: Vec<u8> = (0..2_000_000_u32)
            .map(|i| ((i ^ (index << 27)).wrapping_mul(2_246_822_519) >> 11) as u8)
            .collect();
        std::fs::write(container.path(&format!("/data/big{index}")), noise).unwrap();
    }
    let settings = json!({
        "KOPIST_HEALTH_FILE": "/tmp/health",
        "KOPIST_PROGRESS_INTERVAL": "50ms",
        "KOPIA_UPLOAD_SPEED": "20000",
    });
    let health = |age: &str| {
        let settings = json!({"KOPIST_HEALTH_FILE": "/tmp/health", "KOPIST_HEALTH_MAX_AGE": age});
        container.mover(&["--health".to_owned()], &env("backup", &settings))
    };
    assert_eq!(health("1h").code(), 1, "nobody is alive yet");
    let mut running = container.start(&["backup".to_owned()], &env("backup", &settings));
    // Rates and what is left, by what the snapshot before held.
    running.wait_for(" left, ");
    assert_eq!(health("1h").code(), 0);
    running.terminate();
    let ended = running.end();
    assert_eq!(ended.code(), 143, "{}", ended.log);
    let line = ended.log.lines().find(|line| line.contains(" left, ")).unwrap();
    assert!(line.starts_with("INFO: backup: ") && line.contains("/s, "), "{line}");

    let silent = json!({"KOPIST_PROGRESS_INTERVAL": "0"});
    let log = succeed(&container, "backup", &silent);
    assert!(!log.contains("INFO: backup: "), "{log}");
    assert_eq!(container.mover(&["--health".to_owned()], &env("backup", &json!({}))).code(), 2);
}

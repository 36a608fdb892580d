//! Delivering what is known of a run.
//!
//! Each delivery is tried once, within a time limit. What fails is given back as a sentence; the
//! run is over by then and stays what it was.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kopist_cloud::web::{WebRequest, send};
use secrecy::SecretString;

use super::{Record, Series, document, exposition, otlp, series};
use crate::plan::{Address, MetricsTarget, TelemetryPlan};
use crate::report::Verdict;
use crate::root::ContainerRoot;

/// How deliveries are made.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// Where container paths lie.
    pub root: &'a ContainerRoot,
    /// Further root certificates (PEM).
    pub roots: Option<&'a [u8]>,
    /// How long each request may take.
    pub limit: Duration,
}

/// Delivers metrics, report and notice. The result says in words what did not arrive.
pub fn publish(plan: &TelemetryPlan, record: &Record<'_>, delivery: Delivery<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut note = |what: String, result: Result<(), String>| {
        if let Err(problem) = result {
            problems.push(format!("{what} did not arrive: {problem}"));
        }
    };
    let series = series(record);
    for target in &plan.metrics {
        let result = match target {
            MetricsTarget::TextFile(directory) => {
                let text = exposition::text(&series);
                text_file(&delivery.root.resolve(directory), &series, text)
            }
            MetricsTarget::PushGateway(address) => {
                let success = record.outcome.verdict != Verdict::Failed;
                push(address, plan, &series, success, delivery)
            }
            MetricsTarget::Otlp(address) => {
                let body = otlp::request(&series, record.started, record.ended).to_string();
                let url = otlp_url(address.expose());
                request("POST", &url, &plan.metrics_headers, JSON, body.as_bytes(), delivery)
            }
        };
        note(format!("metrics for {}", target.describe()), result);
    }
    let report = document(record).to_string();
    if let Some(path) = &plan.report_file {
        let content = report.clone() + "\n";
        let result = replace(&delivery.root.resolve(path), content.as_bytes());
        note(format!("the report in {}", path.display()), result);
    }
    if let Some(notify) = &plan.notify
        && (notify.always || record.outcome.verdict == Verdict::Failed)
    {
        let result =
            request("POST", notify.address.expose(), &[], JSON, report.as_bytes(), delivery);
        note(format!("the notice for {}", notify.address.describe()), result);
    }
    problems
}

const JSON: &str = "application/json";

fn request(
    method: &'static str,
    url: &str,
    headers: &[(String, SecretString)],
    content_type: &'static str,
    body: &[u8],
    delivery: Delivery<'_>,
) -> Result<(), String> {
    let request = WebRequest {
        method,
        url,
        headers,
        content_type,
        body,
        roots: delivery.roots,
        limit: delivery.limit,
    };
    match send(&request) {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => Err(format!("the server answered {} {}", answer.status, answer.text)),
        Err(error) => Err(error.to_string()),
    }
}

/// Puts the metrics into the group of this source. A failed run leaves in the group what it says
/// nothing about: the time of the last success.
fn push(
    address: &Address,
    plan: &TelemetryPlan,
    series: &Series,
    success: bool,
    delivery: Delivery<'_>,
) -> Result<(), String> {
    let text = exposition::text(series);
    let method = if success { "PUT" } else { "POST" };
    let url = group_url(address.expose(), series);
    let kind = "text/plain; version=0.0.4";
    request(method, &url, &plan.metrics_headers, kind, text.as_bytes(), delivery)
}

/// `<base>/metrics/job/kopist/operation/backup/user/…`; an address that names a job stays.
fn group_url(base: &str, series: &Series) -> String {
    let base = base.trim_end_matches('/');
    if base.contains("/metrics/job") {
        return base.to_owned();
    }
    let mut url = format!("{base}/metrics/job/kopist");
    for (name, value) in &series.labels {
        let is_plain = !value.is_empty()
            && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if is_plain {
            let _ = write!(url, "/{name}/{value}");
        } else {
            // An empty value is one `=`.
            let coded = URL_SAFE_NO_PAD.encode(value);
            let coded = if coded.is_empty() { "=" } else { coded.as_str() };
            let _ = write!(url, "/{name}@base64/{coded}");
        }
    }
    url
}

/// An address without a path gets the usual one.
fn otlp_url(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    match rest.find('/') {
        None => format!("{address}/v1/metrics"),
        Some(slash) if rest.len() == slash + 1 => format!("{address}v1/metrics"),
        Some(_) => address.to_owned(),
    }
}

const LAST_SUCCESS: &str = "kopist_mover_last_success_timestamp_seconds";

/// Replaces the file of this source in the directory of the node exporter. What a failed run does
/// not know, when the last success was, is taken over from the file before.
fn text_file(directory: &Path, series: &Series, mut text: String) -> Result<(), String> {
    let path = directory.join(file_name(series));
    if !series.families.iter().any(|family| family.name == LAST_SUCCESS)
        && let Ok(before) = std::fs::read_to_string(&path)
    {
        for line in before.lines().filter(|line| line.contains(LAST_SUCCESS)) {
            text += line;
            text.push('\n');
        }
    }
    replace(&path, text.as_bytes())
}

/// One file for each operation and source, with a name that people recognise.
fn file_name(series: &Series) -> String {
    let mut name = "kopist".to_owned();
    let mut hash = Fnv::default();
    for (label, value) in &series.labels {
        hash.add(label);
        hash.add(value);
        if ["operation", "user", "host"].contains(&label.as_str()) {
            name.push('_');
            let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
            name.extend(value.chars().take(40).map(plain));
        }
    }
    format!("{name}_{:016x}.prom", hash.0)
}

/// FNV-1a of texts, each with its end.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, text: &str) {
        for byte in text.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Replaces a file as a whole: who reads it sees the old one or the new one. Everybody may read
/// it, because the program that does runs under another user.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Readers of directories look at ends of names, and pass over hidden files.
    let draft = path.with_file_name(format!(".{name}.new"));
    let write = || {
        let mut file = std::fs::File::create(&draft)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    write().map_err(|error| {
        // The draft is of no use; that it stays is no news beside the failure.
        let _ = std::fs::remove_file(&draft);
        told(error)
    })
}

#[cfg(test)]
mod tests {
    use super::super::families::tests;
    use super::*;
    use crate::report::{Outcome, Reason};

    #[test]
    fn groups_of_a_push_gateway() {
        let outcome = tests::outcome();
        let series = series(&tests::record(&outcome));
        let url = group_url("http://gw:9091/", &series);
        let expected = "http://gw:9091/metrics/job/kopist/operation/backup/user/app/host/ns1/\
                        path@base64/L2RhdGEgIngi";
        assert_eq!(url, expected);
        let own = "http://gw:9091/metrics/job/mine/instance/a";
        assert_eq!(group_url(own, &series), own);
    }

    #[test]
    fn addresses_of_collectors() {
        assert_eq!(otlp_url("http://c:4318"), "http://c:4318/v1/metrics");
        assert_eq!(otlp_url("http://c:4318/"), "http://c:4318/v1/metrics");
        assert_eq!(otlp_url("https://c/otlp/v1/metrics"), "https://c/otlp/v1/metrics");
    }

    #[test]
    fn files_are_replaced_and_the_last_success_stays() {
        let dir = tempfile::tempdir().unwrap();
        let root = ContainerRoot::at(dir.path());
        std::fs::create_dir(dir.path().join("metrics")).unwrap();
        let plan = TelemetryPlan {
            metrics: vec![MetricsTarget::TextFile("/metrics".into())],
            report_file: Some("/metrics/report.json".into()),
            ..TelemetryPlan::default()
        };
        let limit = Duration::from_secs(1);
        let delivery = Delivery { root: &root, roots: None, limit };
        let read = || -> Vec<(String, String)> {
            let mut files: Vec<_> = std::fs::read_dir(dir.path().join("metrics"))
                .unwrap()
                .flatten()
                .map(|entry| {
                    let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                    assert_eq!(mode, 0o644);
                    let name = entry.file_name().into_string().unwrap();
                    (name, std::fs::read_to_string(entry.path()).unwrap())
                })
                .collect();
            files.sort();
            files
        };
        let outcome = tests::outcome();
        assert_eq!(publish(&plan, &tests::record(&outcome), delivery), [""; 0]);
        let files = read();
        assert_eq!(files.len(), 2, "{files:?}");
        assert!(files[0].0.starts_with("kopist_backup_app_ns1_"), "{}", files[0].0);
        assert_eq!(files[1].0, "report.json");
        let success = |text: &str| {
            text.lines().find(|line| line.starts_with(LAST_SUCCESS)).map(str::to_owned)
        };
        let before = success(&files[0].1);
        assert!(before.is_some());

        let outcome = Outcome::failed(Reason::StorageFull, "full");
        assert_eq!(publish(&plan, &tests::record(&outcome), delivery), [""; 0]);
        let files = read();
        assert_eq!(success(&files[0].1), before);
        assert!(files[0].1.contains("kopist_mover_success{") && files[1].1.contains("StorageFull"));
        assert!(files[0].1.contains(&format!("# TYPE {LAST_SUCCESS} gauge")));
    }

    #[test]
    fn what_does_not_arrive_is_said_without_credentials() {
        let root = ContainerRoot::at("/nowhere");
        let env: crate::env::Env = [
            ("KOPIST_METRICS", "textfile:/none,pushgateway:http://u:TOPSECRET@127.0.0.1:1"),
            ("KOPIST_NOTIFY_URL", "http://127.0.0.1:1/hooks/TOPSECRET"),
        ]
        .into_iter()
        .collect();
        let plan = crate::plan::testing::telemetry_of(&env);
        let outcome = Outcome::failed(Reason::StorageFull, "full");
        let limit = Duration::from_secs(5);
        let problems =
            publish(&plan, &tests::record(&outcome), Delivery { root: &root, roots: None, limit });
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(!problems.concat().contains("TOPSECRET"), "{problems:?}");
        assert!(problems[1].starts_with("metrics for pushgateway:http://127.0.0.1:1 did not"));
    }
}

//! Where a run reports to besides its log.
//!
//! Decided before everything else, and known even when the rest of the environment is wrong: an
//! alert about a wrong environment needs a way out, too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::error::{Findings, PlanError};
use super::settings::Settings;
use crate::env::Env;
use crate::probe::Probe;

/// Where a run reports to.
#[derive(Debug, Clone)]
pub struct TelemetryPlan {
    /// Who gets the metrics.
    pub metrics: Vec<MetricsTarget>,
    /// Headers of requests with metrics.
    pub metrics_headers: Vec<(String, SecretString)>,
    /// Labels of every metric, besides those of the run.
    pub labels: Vec<(String, String)>,
    /// File for the report of the run.
    pub report_file: Option<PathBuf>,
    /// Who is told how the run ended.
    pub notify: Option<Notify>,
    /// File that shows that the run is alive.
    pub health_file: Option<PathBuf>,
    /// Between two lines of progress; `None` prints none.
    pub progress: Option<Duration>,
}

impl Default for TelemetryPlan {
    fn default() -> Self {
        Self {
            metrics: Vec::new(),
            metrics_headers: Vec::new(),
            labels: Vec::new(),
            report_file: None,
            notify: None,
            health_file: None,
            progress: Some(PROGRESS),
        }
    }
}

/// Who gets metrics.
#[derive(Debug, Clone)]
pub enum MetricsTarget {
    /// A directory that the node exporter reads.
    TextFile(PathBuf),
    /// A Prometheus Pushgateway.
    PushGateway(Address),
    /// A collector that speaks OTLP over HTTP.
    Otlp(Address),
}

impl MetricsTarget {
    /// In words, without credentials.
    pub fn describe(&self) -> String {
        match self {
            Self::TextFile(directory) => format!("textfile:{}", directory.display()),
            Self::PushGateway(address) => format!("pushgateway:{}", address.describe()),
            Self::Otlp(address) => format!("otlp:{}", address.describe()),
        }
    }
}

/// A URL, perhaps with credentials inside.
#[derive(Debug, Clone)]
pub struct Address(SecretString);

impl Address {
    /// `http://` or `https://` and a host.
    fn of(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit('@').next()?;
        (!host.is_empty() && !text.contains(char::is_whitespace)).then(|| Self(text.into()))
    }

    /// The whole of it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Scheme and host: paths of web hooks are often secrets.
    pub fn describe(&self) -> String {
        let url = self.expose();
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        format!("{scheme}://{}", authority.rsplit('@').next().unwrap_or_default())
    }
}

/// Who is told how a run ended.
#[derive(Debug, Clone)]
pub struct Notify {
    /// Gets the report of the run by POST.
    pub address: Address,
    /// Also about runs that did what they should.
    pub always: bool,
}

/// Between two lines of progress unless it is set.
const PROGRESS: Duration = Duration::from_secs(30);

/// Labels that the run gives.
pub(crate) const OWN_LABELS: &[&str] =
    &["operation", "user", "host", "path", "namespace", "reason", "kind", "result", "le", "job"];

/// Decides where the run reports to.
pub(super) fn telemetry(
    settings: &Settings<'_>,
    env: &Env,
    probe: &dyn Probe,
    findings: &mut Findings,
) -> TelemetryPlan {
    let metrics = targets(settings, probe, findings);
    let metrics_headers = settings
        .pairs("metricsHeaders", "headers such as Authorization=Bearer xyz", is_token, findings)
        .into_iter()
        .map(|(name, value)| (name, SecretString::from(value)))
        .collect();
    let is_label = |name: &str| is_label(name) && !OWN_LABELS.contains(&name);
    let mut labels = settings.pairs(
        "metricsLabels",
        "labels such as cluster=home,stage=prod",
        is_label,
        findings,
    );
    // The name under which the downward API usually hands it on.
    if let Some(namespace) = env.text("POD_NAMESPACE") {
        labels.insert(0, ("namespace".to_owned(), namespace.to_owned()));
    }
    let always = settings.word("notifyOn", &["failure", "always"], "failure, always", findings);
    let notify = settings.address("notifyUrl", findings);
    TelemetryPlan {
        metrics,
        metrics_headers,
        labels,
        report_file: settings.path("reportFile", findings),
        notify: notify.map(|address| Notify { address, always: always == Some("always") }),
        health_file: settings.path("healthFile", findings),
        progress: match settings.duration_or_off("progressInterval", findings) {
            None => Some(PROGRESS),
            Some(interval) => interval,
        },
    }
}

const METRICS: &str = "metrics";

fn targets(
    settings: &Settings<'_>,
    probe: &dyn Probe,
    findings: &mut Findings,
) -> Vec<MetricsTarget> {
    let Some((place, text)) = settings.get(METRICS) else { return Vec::new() };
    let words = text.split([',', ' ', '\n', '\t']).map(str::trim).filter(|word| !word.is_empty());
    let mut targets = Vec::new();
    for word in words {
        match target(word) {
            Some(target) => {
                if let MetricsTarget::TextFile(directory) = &target
                    && !probe.is_dir(directory)
                {
                    findings.notice(format!(
                        "{place} names the directory {}, which is not there: no metrics will be \
                         written to it",
                        directory.display()
                    ));
                }
                targets.push(target);
            }
            None => findings.error(PlanError::BadValue {
                name: place.clone(),
                expected: "textfile:<directory>, pushgateway:<url> or otlp:<url>, or several of \
                           them with commas between",
            }),
        }
    }
    targets
}

fn target(word: &str) -> Option<MetricsTarget> {
    let (kind, rest) = word.split_once(':')?;
    match kind {
        "textfile" => {
            let directory = Path::new(rest);
            directory.is_absolute().then(|| MetricsTarget::TextFile(directory.to_owned()))
        }
        "pushgateway" => Address::of(rest).map(MetricsTarget::PushGateway),
        "otlp" => Address::of(rest).map(MetricsTarget::Otlp),
        _ => None,
    }
}

fn is_label(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

impl Settings<'_> {
    /// An address.
    fn address(&self, name: &str, findings: &mut Findings) -> Option<Address> {
        let (place, value) = self.get(name)?;
        let address = Address::of(value.trim());
        if address.is_none() {
            findings.error(PlanError::BadValue {
                name: place,
                expected: "an address that begins with http:// or https://",
            });
        }
        address
    }

    /// `name=value` pairs with commas between.
    fn pairs(
        &self,
        name: &str,
        expected: &'static str,
        is_name: impl Fn(&str) -> bool,
        findings: &mut Findings,
    ) -> Vec<(String, String)> {
        let Some((place, value)) = self.get(name) else { return Vec::new() };
        let parts = value.split(',').map(str::trim).filter(|part| !part.is_empty());
        let mut pairs = Vec::new();
        for part in parts {
            match part.split_once('=') {
                Some((name, value)) if is_name(name.trim()) && !value.contains(['\r', '\n']) => {
                    pairs.push((name.trim().to_owned(), value.trim().to_owned()));
                }
                _ => {
                    findings.error(PlanError::BadValue { name: place, expected });
                    return pairs;
                }
            }
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::FakeProbe;

    fn plan(env: &[(&str, &str)]) -> (TelemetryPlan, Findings) {
        let env: Env = env.iter().copied().collect();
        let settings = Settings { arguments: &[], env: &env, repository_file: None, manual: None };
        let mut findings = Findings::default();
        let plan = telemetry(&settings, &env, &FakeProbe::default(), &mut findings);
        (plan, findings)
    }

    #[test]
    fn several_targets_of_metrics() {
        let (plan, findings) = plan(&[
            (
                "KOPIST_METRICS",
                "textfile:/cache, pushgateway:http://u:TOPSECRET@gw:9091 otlp:https://c/in",
            ),
            ("KOPIST_METRICS_HEADERS", "Authorization=Bearer TOPSECRET=, X-Scope-OrgID=1"),
            ("KOPIST_METRICS_LABELS", "cluster=home"),
            ("POD_NAMESPACE", "media"),
        ]);
        assert!(findings.errors.is_empty() && findings.notices.is_empty());
        let shown: Vec<String> = plan.metrics.iter().map(MetricsTarget::describe).collect();
        assert_eq!(shown, ["textfile:/cache", "pushgateway:http://gw:9091", "otlp:https://c"]);
        assert_eq!(plan.metrics_headers[0].1.expose_secret(), "Bearer TOPSECRET=");
        assert_eq!(plan.metrics_headers[1].0, "X-Scope-OrgID");
        let labels = [("namespace", "media"), ("cluster", "home")];
        assert_eq!(plan.labels, labels.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(!format!("{plan:?}").contains("TOPSECRET"));
    }

    #[test]
    fn wrong_values_are_named() {
        for (name, value) in [
            ("KOPIST_METRICS", "prometheus"),
            ("KOPIST_METRICS", "textfile:relative"),
            ("KOPIST_METRICS", "otlp:ftp://x"),
            ("KOPIST_METRICS", "pushgateway:http://"),
            ("KOPIST_METRICS_HEADERS", "no value"),
            ("KOPIST_METRICS_LABELS", "1a=b"),
            ("KOPIST_METRICS_LABELS", "operation=b"),
            ("KOPIST_REPORT_FILE", "report.json"),
            ("KOPIST_HEALTH_FILE", "health"),
            ("KOPIST_NOTIFY_URL", "example.com"),
            ("KOPIST_NOTIFY_ON", "never"),
            ("KOPIST_PROGRESS_INTERVAL", "often"),
        ] {
            let (_, findings) = plan(&[(name, value)]);
            assert_eq!(findings.errors.len(), 1, "{name}={value}");
            assert!(findings.errors[0].to_string().starts_with(name), "{:?}", findings.errors);
        }
    }

    #[test]
    fn progress_can_be_switched_off() {
        let interval = |text: &str| plan(&[("KOPIST_PROGRESS_INTERVAL", text)]).0.progress;
        assert_eq!(plan(&[]).0.progress, Some(PROGRESS));
        assert_eq!(interval("2s"), Some(Duration::from_secs(2)));
        assert_eq!(interval("0"), None);
    }

    #[test]
    fn a_missing_directory_is_remarked_upon() {
        let (plan, findings) = plan(&[("KOPIST_METRICS", "textfile:/nowhere")]);
        assert_eq!((plan.metrics.len(), findings.notices.len()), (1, 1));
    }
}

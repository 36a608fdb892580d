//! Metrics as text, in the format that Prometheus reads
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write as _;

use kopist_blob::metered::DURATION_LIMITS;

use super::{Kind, Series, Value};

/// All metrics, with the explanation of each.
pub(super) fn text(series: &Series) -> String {
    let mut text = String::new();
    for family in &series.families {
        let kind = match family.kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(text, "# HELP {} {}", family.name, family.help);
        let _ = writeln!(text, "# TYPE {} {kind}", family.name);
        for point in &family.points {
            let own = point.labels.iter().map(|(name, value)| (*name, *value));
            let common = series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let labels: Vec<(&str, &str)> = common.chain(own).collect();
            match &point.value {
                Value::Number(number) => line(&mut text, family.name, "", &labels, *number),
                Value::Durations { classes, sum } => {
                    durations(&mut text, family.name, &labels, classes, *sum);
                }
            }
        }
    }
    text
}

fn durations(text: &mut String, name: &str, labels: &[(&str, &str)], classes: &[u64], sum: f64) {
    let mut below = 0;
    let limits = DURATION_LIMITS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
    for (count, limit) in classes.iter().zip(limits) {
        below += count;
        let with_limit: Vec<(&str, &str)> =
            labels.iter().copied().chain([("le", limit.as_str())]).collect();
        line(text, name, "_bucket", &with_limit, below as f64);
    }
    line(text, name, "_sum", labels, sum);
    line(text, name, "_count", labels, below as f64);
}

fn line(text: &mut String, name: &str, suffix: &str, labels: &[(&str, &str)], value: f64) {
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    let _ = writeln!(text, "{name}{suffix}{{{}}} {value}", labels.join(","));
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::families::{series, tests};
    use super::*;

    #[test]
    fn lines_as_prometheus_reads_them() {
        let outcome = tests::outcome();
        let text = text(&series(&tests::record(&outcome)));
        let common = r#"operation="backup",user="app",host="ns1",path="/data \"x\"""#;
        for line in [
            "# TYPE kopist_mover_success gauge".to_owned(),
            format!("kopist_mover_success{{{common}}} 1"),
            format!("kopist_mover_duration_seconds{{{common}}} 2.5"),
            "# TYPE kopist_storage_requests_total counter".to_owned(),
            format!("kopist_storage_requests_total{{{common},kind=\"get\",result=\"ok\"}} 4"),
            format!(
                "kopist_storage_request_seconds_bucket{{{common},kind=\"get\",le=\"0.005\"}} 3"
            ),
            format!("kopist_storage_request_seconds_bucket{{{common},kind=\"get\",le=\"0.1\"}} 5"),
            format!("kopist_storage_request_seconds_bucket{{{common},kind=\"get\",le=\"+Inf\"}} 5"),
            format!("kopist_storage_request_seconds_sum{{{common},kind=\"get\"}} 0.5"),
            format!("kopist_storage_request_seconds_count{{{common},kind=\"get\"}} 5"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with('\n'));
    }
}

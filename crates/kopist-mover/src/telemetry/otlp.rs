//! Metrics for a collector that speaks OTLP, in the JSON encoding of OTLP over HTTP
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>). Every collector that takes OTLP over
//! HTTP takes it; the protobuf encoding is not offered.
//!
//! 64-bit integers are texts in this encoding. Names stay as Prometheus has them.

use jiff::Timestamp;
use kopist_blob::metered::DURATION_LIMITS;
use serde_json::{Value as Json, json};

use super::{Kind, Point, Series, Value};

/// The body of a request to `/v1/metrics`.
pub(super) fn request(series: &Series, started: Timestamp, ended: Timestamp) -> Json {
    let resource: Vec<Json> = [("service.name", "kopist"), ("service.version", VERSION)]
        .into_iter()
        .chain(series.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        .map(|(name, value)| attribute(name, value))
        .collect();
    let metrics: Vec<Json> = series
        .families
        .iter()
        .map(|family| {
            let points: Vec<Json> = family
                .points
                .iter()
                .map(|point| data_point(point, &series.labels, started, ended))
                .collect();
            let mut metric = json!({
                "name": family.name,
                "description": family.help,
                "unit": unit(family.name),
            });
            let (key, data) = match family.kind {
                Kind::Gauge => ("gauge", json!({"dataPoints": points})),
                Kind::Counter => (
                    "sum",
                    // Each run counts from zero: these are the counts of one interval.
                    json!({"dataPoints": points, "aggregationTemporality": DELTA, "isMonotonic": true}),
                ),
                Kind::Histogram => {
                    ("histogram", json!({"dataPoints": points, "aggregationTemporality": DELTA}))
                }
            };
            metric[key] = data;
            metric
        })
        .collect();
    json!({
        "resourceMetrics": [{
            "resource": {"attributes": resource},
            "scopeMetrics": [{
                "scope": {"name": "kopist", "version": VERSION},
                "metrics": metrics,
            }],
        }],
    })
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `AGGREGATION_TEMPORALITY_DELTA`
const DELTA: u8 = 1;

fn attribute(name: &str, value: &str) -> Json {
    json!({"key": name, "value": {"stringValue": value}})
}

fn unit(name: &str) -> &'static str {
    if name.contains("_seconds") {
        "s"
    } else if name.contains("_bytes") {
        "By"
    } else {
        "1"
    }
}

fn nanoseconds(time: Timestamp) -> String {
    time.as_nanosecond().to_string()
}

fn data_point(
    point: &Point,
    common: &[(String, String)],
    started: Timestamp,
    ended: Timestamp,
) -> Json {
    let own = point.labels.iter().map(|(name, value)| attribute(name, value));
    // On the points, too: collectors seldom turn attributes of resources into labels.
    let all: Vec<Json> =
        common.iter().map(|(name, value)| attribute(name, value)).chain(own).collect();
    let mut data = json!({
        "attributes": all,
        "startTimeUnixNano": nanoseconds(started),
        "timeUnixNano": nanoseconds(ended),
    });
    match &point.value {
        Value::Number(number) => data["asDouble"] = json!(number),
        Value::Durations { classes, sum } => {
            data["count"] = json!(classes.iter().sum::<u64>().to_string());
            data["sum"] = json!(sum);
            data["bucketCounts"] =
                classes.iter().map(|count| Json::from(count.to_string())).collect();
            data["explicitBounds"] = json!(DURATION_LIMITS);
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::super::families::{series, tests};
    use super::*;

    #[test]
    fn the_body_of_a_request() {
        let outcome = tests::outcome();
        let record = tests::record(&outcome);
        let body = request(&series(&record), record.started, record.ended);
        let resource = &body["resourceMetrics"][0];
        assert_eq!(
            resource["resource"]["attributes"][0],
            json!({"key": "service.name", "value": {"stringValue": "kopist"}})
        );
        let metrics = resource["scopeMetrics"][0]["metrics"].as_array().unwrap();
        let of = |name: &str| metrics.iter().find(|metric| metric["name"] == name).unwrap();
        let duration = of("kopist_mover_duration_seconds");
        assert_eq!(duration["unit"], "s");
        let point = &duration["gauge"]["dataPoints"][0];
        assert_eq!(point["asDouble"], 2.5);
        assert_eq!(point["timeUnixNano"], "1706695202500000000");
        let requests = of("kopist_storage_requests_total");
        assert_eq!(requests["sum"]["isMonotonic"], true);
        let histogram = &of("kopist_storage_request_seconds")["histogram"]["dataPoints"][0];
        assert_eq!(histogram["count"], "5");
        let (counts, bounds) = (&histogram["bucketCounts"], &histogram["explicitBounds"]);
        assert_eq!(counts.as_array().unwrap().len(), bounds.as_array().unwrap().len() + 1);
    }
}

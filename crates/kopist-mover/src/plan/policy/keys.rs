//! The keys of `global-policy.json`: as documented, as Kopia calls them, and what
//! a value must look like.

use serde_json::Value;

use crate::plan::{names, values};

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    /// A whole number, 0 or more.
    Count,
    Texts,
    Compressor,
    Splitter,
    /// A duration text, or seconds as number or digits; stored as seconds.
    Seconds,
    /// An object taken as it is; null leaves the stored one.
    Action,
}

/// One documented key.
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) native_section: &'static str,
    pub(super) native_name: &'static str,
    pub(super) kind: Kind,
}

const fn same(section: &'static str, name: &'static str, kind: Kind) -> Key {
    Key { section, name, native_section: section, native_name: name, kind }
}

const fn named(
    section: &'static str,
    name: &'static str,
    native_section: &'static str,
    native_name: &'static str,
    kind: Kind,
) -> Key {
    Key { section, name, native_section, native_name, kind }
}

use Kind::{Action, Bool, Count, Seconds, Texts};

pub(super) const KEYS: &[Key] = &[
    same("retention", "keepLatest", Count),
    same("retention", "keepHourly", Count),
    same("retention", "keepDaily", Count),
    same("retention", "keepWeekly", Count),
    same("retention", "keepMonthly", Count),
    same("retention", "keepAnnual", Count),
    named("retention", "keepYearly", "retention", "keepAnnual", Count),
    same("retention", "ignoreIdenticalSnapshots", Bool),
    same("compression", "compressorName", Kind::Compressor),
    named("compression", "compressor", "compression", "compressorName", Kind::Compressor),
    same("compression", "minSize", Count),
    same("compression", "maxSize", Count),
    same("compression", "onlyCompress", Texts),
    same("compression", "neverCompress", Texts),
    same("files", "ignore", Texts),
    same("files", "ignoreDotFiles", Texts),
    named("files", "dotIgnoreFiles", "files", "ignoreDotFiles", Texts),
    same("files", "ignoreCacheDirs", Bool),
    same("files", "maxFileSize", Count),
    same("files", "oneFileSystem", Bool),
    same("files", "noParentIgnore", Bool),
    same("files", "noParentDotFiles", Bool),
    same("errorHandling", "ignoreFileErrors", Bool),
    same("errorHandling", "ignoreDirectoryErrors", Bool),
    same("errorHandling", "ignoreUnknownTypes", Bool),
    same("scheduling", "intervalSeconds", Seconds),
    named("scheduling", "interval", "scheduling", "intervalSeconds", Seconds),
    same("scheduling", "cron", Texts),
    same("scheduling", "manual", Bool),
    same("scheduling", "runMissed", Bool),
    named("scheduling", "uploadParallelism", "upload", "maxParallelFileReads", Count),
    same("upload", "maxParallelFileReads", Count),
    same("upload", "maxParallelSnapshots", Count),
    same("upload", "parallelUploadAboveSize", Count),
    same("splitter", "algorithm", Kind::Splitter),
    same("actions", "beforeSnapshotRoot", Action),
    same("actions", "afterSnapshotRoot", Action),
    same("actions", "beforeFolder", Action),
    same("actions", "afterFolder", Action),
    same("metadataCompression", "compressorName", Kind::Compressor),
    same("osSnapshots", "volumeShadowCopy", Action),
    same("logging", "directories", Action),
    same("logging", "entries", Action),
];

/// The name of a compressor of the format: as given, or by the documented short
/// name. `none` means no compression.
pub(crate) fn compressor(name: &str) -> Option<String> {
    let name = match name {
        "s2" => "s2-default",
        other => other,
    };
    (name == "none" || names::compressors().contains(&name)).then(|| name.to_owned())
}

impl Kind {
    /// The value in Kopia's form; `Ok(None)` when it asks for nothing; else what
    /// would be accepted.
    pub(super) fn read(self, value: &Value) -> Result<Option<Value>, &'static str> {
        let accepted = match self {
            Bool => value.is_boolean().then(|| value.clone()),
            Count => value.as_u64().map(Value::from),
            Texts => texts(value),
            Kind::Compressor => value.as_str().and_then(compressor).map(Value::from),
            Kind::Splitter => {
                value.as_str().filter(|name| names::splitters().contains(name)).map(Value::from)
            }
            Seconds => seconds(value),
            Action if value.is_null() => return Ok(None),
            Action => value.is_object().then(|| value.clone()),
        };
        accepted.map(Some).ok_or(match self {
            Bool => "true or false",
            Count => "a whole number, 0 or more",
            Texts => "a list of texts",
            Kind::Compressor => "a compression algorithm of Kopia, such as zstd or s2-default",
            Kind::Splitter => "a splitter of Kopia, such as DYNAMIC-4M-BUZHASH",
            Seconds => "a duration such as 1h, or seconds",
            Action => "an object",
        })
    }
}

/// A list of texts; one text alone stands for a list of one.
fn texts(value: &Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(Value::Array(vec![value.clone()])),
        Value::Array(items) if items.iter().all(Value::is_string) => Some(value.clone()),
        _ => None,
    }
}

fn seconds(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) => value.as_u64().map(Value::from),
        Value::String(text) => values::duration(text).map(|d| Value::from(d.as_secs())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_taken_in_kopias_form_or_refused() {
        let ok = |kind: Kind, given: Value, expected: Value| {
            assert_eq!(kind.read(&given), Ok(Some(expected)), "{kind:?} {given}");
        };
        ok(Bool, json!(false), json!(false));
        ok(Seconds, json!("1h"), json!(3600));
        ok(Seconds, json!("90"), json!(90));
        ok(Seconds, json!(45), json!(45));
        ok(Texts, json!(["a", "b"]), json!(["a", "b"]));
        ok(Texts, json!("a"), json!(["a"]));
        ok(Kind::Compressor, json!("s2"), json!("s2-default"));
        ok(Kind::Compressor, json!("zstd"), json!("zstd"));
        ok(Kind::Compressor, json!("none"), json!("none"));
        ok(Kind::Splitter, json!("FIXED-4M"), json!("FIXED-4M"));
        assert_eq!(Action.read(&Value::Null), Ok(None));
        for (kind, given) in [
            (Bool, json!("true")),
            (Count, json!(-1)),
            (Count, json!("3")),
            (Texts, json!([1])),
            (Kind::Compressor, json!("bogus")),
            (Kind::Splitter, json!("bogus")),
            (Seconds, json!("soon")),
            (Action, json!("script")),
        ] {
            assert!(kind.read(&given).is_err(), "{kind:?} {given}");
        }
    }
}

//! Which settings hold for a source in the end, and who said so.
//!
//! Three parties speak: the fields of the resource (they become the policy of the source), the
//! mounted file (it becomes part of the global policy), and whoever set policies by other means.
//! Kopia's rule decides, the source before its host before the global policy; people see only
//! what they wrote. So the log says what came out of it.

use std::collections::BTreeMap;

use kopist_repo::RepositoryWriter;
use kopist_snapshot::policy::EffectivePolicy;
use kopist_snapshot::{SourceInfo, store};
use serde_json::Value;

use super::failure::Failure;
use crate::plan::{MoverPlan, PolicyPatch};
use crate::report::{Reason, Report};

/// What is told of every source.
const TOLD: [(&str, &str); 7] = [
    ("retention", "keepLatest"),
    ("retention", "keepHourly"),
    ("retention", "keepDaily"),
    ("retention", "keepWeekly"),
    ("retention", "keepMonthly"),
    ("retention", "keepAnnual"),
    ("compression", "compressorName"),
];

/// Says what holds, and where the policy file gave way to a nearer policy.
pub(super) fn tell(
    plan: &MoverPlan,
    report: &Report,
    writer: &RepositoryWriter,
    source: &SourceInfo,
) -> Result<(), Failure> {
    let policies = store::load_policies(&writer.manifests()?)?;
    let global = policies.defined(&SourceInfo::global());
    let view = View {
        source,
        effective: document(&policies.effective(source).policy)?,
        origins: origins(&policies.effective(source)),
        global: global.map(|stored| document(&stored.policy)).transpose()?.unwrap_or(Value::Null),
    };
    report.info(format!("Effective policy: {}", view.sentence()));
    if let Some(file) = &plan.policies.global {
        for line in view.overruled(&file.patch) {
            report.info(line);
        }
    }
    Ok(())
}

/// Whether any policy says something about compression; the defaults say that there is none.
pub(super) fn states_compression(effective: &EffectivePolicy) -> bool {
    effective.origins.contains_key("compression.compressorName")
        || !matches!(effective.policy.compression.compressor_name.as_str(), "" | "none")
}

fn document(policy: &kopist_snapshot::policy::Policy) -> Result<Value, Failure> {
    serde_json::to_value(policy).map_err(|error| {
        Failure::new(Reason::Internal, format!("the policy cannot be shown: {error}"))
    })
}

fn origins(effective: &EffectivePolicy) -> BTreeMap<String, SourceInfo> {
    let named = |(name, source): (&&str, &SourceInfo)| ((*name).to_owned(), source.clone());
    effective.origins.iter().map(named).collect()
}

/// The effective policy with its origins.
struct View<'a> {
    source: &'a SourceInfo,
    effective: Value,
    origins: BTreeMap<String, SourceInfo>,
    global: Value,
}

impl View<'_> {
    /// `keepLatest 10, keepDaily 7 (built-in defaults); keepHourly 3 (this source)`
    fn sentence(&self) -> String {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for (section, key) in TOLD {
            let value = &self.effective[section][key];
            if value.is_null() || value == "" {
                continue;
            }
            let name = if section == "compression" { section } else { key };
            let shown = format!("{name} {}", plain(value));
            let origin = self.origin(section, key);
            match groups.iter_mut().find(|(known, _)| *known == origin) {
                Some((_, settings)) => settings.push(shown),
                None => groups.push((origin, vec![shown])),
            }
        }
        let groups = groups.into_iter();
        let groups: Vec<String> = groups
            .map(|(origin, settings)| format!("{} ({origin})", settings.join(", ")))
            .collect();
        groups.join("; ")
    }

    fn origin(&self, section: &str, key: &str) -> String {
        match self.origins.get(&format!("{section}.{key}")) {
            Some(level) if level == self.source => "this source".to_owned(),
            Some(level) => level.to_string(),
            None if self.global[section].get(key).is_some() => "global policy".to_owned(),
            None => "built-in defaults".to_owned(),
        }
    }

    /// Settings of the file that do not hold for this source. Lists are joined, not replaced.
    fn overruled(&self, file: &PolicyPatch) -> Vec<String> {
        let document = file.to_value();
        let sections = document.as_object().into_iter().flatten();
        let settings = sections.flat_map(|(section, settings)| {
            let settings = settings.as_object().into_iter().flatten();
            settings.map(move |(key, value)| (section, key, value))
        });
        settings
            .filter(|(section, key, value)| {
                !value.is_array()
                    && self.origins.contains_key(&format!("{section}.{key}"))
                    && self.effective[section.as_str()][key.as_str()] != **value
            })
            .map(|(section, key, value)| {
                format!(
                    "{section}.{key}: {} of {} goes before {} of the policy file",
                    plain(&self.effective[section.as_str()][key.as_str()]),
                    self.origin(section, key),
                    plain(value)
                )
            })
            .collect()
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_nearest_policy_is_named() {
        let source = SourceInfo::new("app", "ns1", "/data");
        let host = SourceInfo::new("", "ns1", "");
        let view = View {
            source: &source,
            effective: json!({
                "retention": {"keepLatest": 10, "keepDaily": 5, "keepHourly": 3},
                "compression": {"compressorName": "zstd"},
                "files": {"ignore": ["a", "b"]},
            }),
            origins: [
                ("retention.keepDaily".to_owned(), source.clone()),
                ("retention.keepHourly".to_owned(), host),
                ("files.ignore".to_owned(), source.clone()),
            ]
            .into(),
            global: json!({"compression": {"compressorName": "zstd"}}),
        };
        assert_eq!(
            view.sentence(),
            "keepLatest 10 (built-in defaults); keepHourly 3 (@ns1); keepDaily 5 (this source); \
             compression zstd (global policy)"
        );
        let mut file = PolicyPatch::default();
        file.set("retention", "keepDaily", 12);
        file.set("retention", "keepHourly", 3);
        file.append("files", "ignore", "a");
        file.set("compression", "compressorName", "gzip");
        assert_eq!(
            view.overruled(&file),
            ["retention.keepDaily: 5 of this source goes before 12 of the policy file"]
        );
    }
}

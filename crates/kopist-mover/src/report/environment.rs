//! Which variables are set: names, never values.

use crate::env::Env;
use crate::plan::DEFAULT_CAPACITY;
use crate::report::outcome::bytes;
use crate::variables::VARIABLES;

/// The log settings with their defaults, shown in clear.
const LOG_SETTINGS: [(&str, &str); 6] = [
    ("KOPIA_LOG_LEVEL", "info"),
    ("KOPIA_FILE_LOG_LEVEL", "info"),
    ("KOPIA_LOG_DIR_MAX_FILES", "3"),
    ("KOPIA_LOG_DIR_MAX_AGE", "4h"),
    ("KOPIA_CONTENT_LOG_DIR_MAX_FILES", "3"),
    ("KOPIA_CONTENT_LOG_DIR_MAX_AGE", "4h"),
];

/// The lines of the status table.
pub fn environment_status(env: &Env) -> Vec<String> {
    let mut lines = vec!["=== ENVIRONMENT VARIABLES STATUS ===".to_owned()];
    for variable in VARIABLES.iter().filter(|variable| variable.listed) {
        let name = variable.name;
        let state = if env.is_set(name) { "[SET]" } else { "[NOT SET]" };
        lines.push(if name == "KOPIA_CACHE_CAPACITY_BYTES" {
            let capacity = env.text(name).and_then(|text| text.parse().ok());
            match capacity {
                Some(capacity) => format!("{name}: {state} ({})", bytes(capacity)),
                None => format!("{name}: {state} (default {})", bytes(DEFAULT_CAPACITY)),
            }
        } else {
            format!("{name}: {state}")
        });
    }
    lines
}

/// The lines of the log settings.
pub fn log_configuration(env: &Env) -> Vec<String> {
    let settings = LOG_SETTINGS
        .iter()
        .map(|(name, default)| format!("{name}: {}", env.text(name).unwrap_or(default)));
    std::iter::once("=== Log Configuration ===".to_owned()).chain(settings).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_states_only() {
        let env: Env = [
            ("KOPIA_PASSWORD", "TOPSECRET"),
            ("KOPIA_S3_BUCKET", ""),
            ("KOPIA_CACHE_CAPACITY_BYTES", "1073741824"),
            ("KOPIA_LOG_LEVEL", "error"),
        ]
        .into_iter()
        .collect();
        let lines = environment_status(&env);
        assert_eq!(lines[0], "=== ENVIRONMENT VARIABLES STATUS ===");
        for expected in [
            "KOPIA_PASSWORD: [SET]",
            "KOPIA_S3_BUCKET: [NOT SET]",
            "KOPIA_CACHE_CAPACITY_BYTES: [SET] (1.0 GiB)",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:#?}");
        }
        assert!(!lines.concat().contains("TOPSECRET"));
        let log = log_configuration(&env);
        assert!(log.contains(&"KOPIA_LOG_LEVEL: error".to_owned()));
        assert!(log.contains(&"KOPIA_LOG_DIR_MAX_AGE: 4h".to_owned()));
    }
}

//! Credentials are replaced by value, wherever they might turn up.
//!
//! No message is written with a credential in it; the mask is the second line of
//! defence, for texts that come from servers, hooks and the system.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::env::Env;
use crate::variables::variable;

/// Shorter values are left alone: they would hit ordinary words.
const MIN_BYTES: usize = 6;
const REPLACEMENT: &str = "[SECRET]";

/// Knows every credential of one environment.
#[derive(Default, Clone)]
pub struct Mask {
    /// Longest first, so that a part never spoils the whole.
    secrets: Vec<SecretString>,
}

impl Mask {
    /// Collects the credentials of the environment.
    pub fn of(env: &Env) -> Self {
        let mut found = BTreeSet::new();
        for name in env.names() {
            let Some(variable) = variable(name).filter(|variable| variable.secret) else {
                continue;
            };
            let Some(text) = env.text(name) else { continue };
            match variable.name {
                // Addresses matter to readers; only the password inside is hidden.
                "KOPIST_METRICS" => {
                    let targets = text.split([',', ' ', '\n', '\t']);
                    found.extend(targets.filter_map(url_password).map(str::to_owned));
                }
                "KOPIST_METRICS_HEADERS" => {
                    let values = text.split(',').filter_map(|part| part.split_once('='));
                    for (_, value) in values {
                        found.insert(value.trim().to_owned());
                        found.extend(value.split_whitespace().last().map(str::to_owned));
                    }
                }
                "KOPIA_REPOSITORY" | "WEBDAV_URL" | "HTTP_PROXY" | "HTTPS_PROXY" | "http_proxy"
                | "https_proxy" => {
                    found.extend(url_password(text).map(str::to_owned));
                }
                // Not credentials themselves: texts that people write.
                "KOPIA_BEFORE_SNAPSHOT"
                | "KOPIA_AFTER_SNAPSHOT"
                | "KOPIA_BEFORE_RESTORE"
                | "KOPIA_AFTER_RESTORE"
                | "KOPIA_ADDITIONAL_ARGS"
                | "KOPIA_MANUAL_CONFIG" => {}
                "KOPIA_STRUCTURED_REPOSITORY_CONFIG" => {
                    if let Ok(document) = serde_json::from_str(text) {
                        credentials_in(&document, false, &mut found);
                    }
                }
                // A path of a mounted file is no secret.
                _ if text.starts_with('/') && !text.contains('\n') => {}
                _ => {
                    found.insert(text.to_owned());
                    found.extend(text.lines().map(|line| line.trim().to_owned()));
                    if let Ok(document) = serde_json::from_str(text) {
                        credentials_in(&document, true, &mut found);
                    }
                }
            }
        }
        found.retain(|secret| secret.len() >= MIN_BYTES);
        let mut secrets: Vec<SecretString> = found.into_iter().map(SecretString::from).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
        Self { secrets }
    }

    /// The text without credentials.
    pub fn apply(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for secret in &self.secrets {
            if masked.contains(secret.expose_secret()) {
                masked = masked.replace(secret.expose_secret(), REPLACEMENT);
            }
        }
        masked
    }
}

fn url_password(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next()?;
    let (user_info, _) = authority.rsplit_once('@')?;
    user_info.split_once(':').map(|(_, password)| password)
}

/// Texts of a JSON document: all of them, or those under a telling key.
fn credentials_in(value: &Value, all: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if all => {
            found.insert(text.clone());
            found.extend(text.lines().map(|line| line.trim().to_owned()));
        }
        Value::Array(items) => items.iter().for_each(|item| credentials_in(item, all, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = key.to_lowercase();
                let telling =
                    ["password", "secret", "key", "token", "credential", "embeddedconfig"]
                        .iter()
                        .any(|part| key.contains(part));
                credentials_in(value, all || telling, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_all_kinds_are_masked() {
        let env: Env = [
            ("KOPIA_PASSWORD", "hunter2hunter2"),
            ("KOPIA_REPOSITORY", "sftp://me:sftp-pass@host/path"),
            ("SFTP_KEY_FILE", "-----BEGIN KEY-----\nb3BlbnNzaA==\n-----END KEY-----\n"),
            (
                "GOOGLE_APPLICATION_CREDENTIALS",
                "{\"type\":\"service_account\",\"private_key\":\"-----BEGIN-----\\nTOPSECRETQ7\\n\"}",
            ),
            (
                "KOPIA_STRUCTURED_REPOSITORY_CONFIG",
                "{\"storage\":{\"type\":\"b2\",\"config\":{\"bucket\":\"my-bucket\",\"key\":\"b2-app-key\"}}}",
            ),
            ("AWS_SECRET_ACCESS_KEY", "pw"),
            ("KOPIST_TARGET_AWS_SECRET_ACCESS_KEY", "of-the-copy"),
            ("KOPIST_METRICS", "pushgateway:http://me:gw-pass@gw,otlp:http://c"),
            ("KOPIST_METRICS_HEADERS", "Authorization=Bearer of-the-collector"),
        ]
        .into_iter()
        .collect();
        let mask = Mask::of(&env);
        let masked = |text: &str| mask.apply(text);
        assert_eq!(masked("x hunter2hunter2 y"), "x [SECRET] y");
        assert_eq!(masked("at sftp://me:sftp-pass@host/path"), "at sftp://me:[SECRET]@host/path");
        assert_eq!(masked("line b3BlbnNzaA== here"), "line [SECRET] here");
        assert_eq!(masked("TOPSECRETQ7"), "[SECRET]");
        assert_eq!(masked("bucket my-bucket key b2-app-key"), "bucket my-bucket key [SECRET]");
        assert_eq!(masked("key of-the-copy"), "key [SECRET]");
        assert_eq!(
            masked("http://me:gw-pass@gw of-the-collector"),
            "http://me:[SECRET]@gw [SECRET]"
        );
        // Too short to be replaced without harm.
        assert_eq!(masked("pw"), "pw");
    }

    #[test]
    fn paths_of_mounted_credentials_stay_readable() {
        let env: Env = [("SFTP_KEY_FILE", "/credentials/sftp_key")].into_iter().collect();
        assert_eq!(
            Mask::of(&env).apply("read /credentials/sftp_key"),
            "read /credentials/sftp_key"
        );
    }
}

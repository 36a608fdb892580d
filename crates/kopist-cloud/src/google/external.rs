//! Workload identity federation: a token that somebody else gave us is changed for one of
//! Google's (RFC 8693), and that, if so configured, for one of a service account.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kopist_blob::BlobError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::identity::{Identity, Token};
use crate::http::{Request, query};
use crate::settings::Secret;
use crate::site::Site;

/// What a token is good for that only serves to become a service account.
const ANYTHING: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Credentials of the kind `external_account`.
#[derive(Deserialize)]
pub(super) struct External {
    audience: String,
    subject_token_type: String,
    /// Who changes the tokens.
    token_url: String,
    /// Where a token of a service account can be had; empty if we act for ourselves.
    #[serde(default)]
    service_account_impersonation_url: String,
    #[serde(default)]
    workforce_pool_user_project: String,
    credential_source: Subject,
}

/// Where the other's token is.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Subject {
    file: String,
    url: String,
    headers: BTreeMap<String, Secret>,
    format: Format,
    // What we cannot use.
    environment_id: String,
    executable: Value,
    certificate: Value,
}

/// The token alone, or a field of JSON.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Format {
    r#type: String,
    subject_token_field_name: String,
}

/// A token of a service account.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: Secret,
    expire_time: Timestamp,
}

impl External {
    /// Refuses what we cannot use while it is read.
    pub(super) fn check(&self, place: &str, site: &Site) -> Result<(), BlobError> {
        let source = &self.credential_source;
        let unknown = if !source.environment_id.is_empty() {
            "the metadata of AWS"
        } else if !source.executable.is_null() {
            "an executable"
        } else if !source.certificate.is_null() {
            "a certificate"
        } else if source.file.is_empty() && source.url.is_empty() {
            "nowhere"
        } else if !source.headers.values().all(Secret::is_sendable) {
            return Err(site.invalid(format!(
                "{place} have a header with a character that no header has, such as the end of a \
                 line"
            )));
        } else {
            return Ok(());
        };
        Err(site.invalid(format!(
            "{place} take their token from {unknown}; kopist takes one from a file or a URL"
        )))
    }

    pub(super) fn fetch(&self, identity: &Identity) -> Result<Token, BlobError> {
        let subject = self.subject(identity)?;
        let alone = self.service_account_impersonation_url.is_empty();
        let options = json!({"userProject": self.workforce_pool_user_project}).to_string();
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", self.audience.as_str()),
            ("scope", if alone { identity.scope() } else { ANYTHING }),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", subject.expose()),
            ("subject_token_type", self.subject_token_type.as_str()),
        ];
        if !self.workforce_pool_user_project.is_empty() {
            form.push(("options", options.as_str()));
        }
        let token = identity.buy(&self.token_url, &query(&form))?;
        if alone { Ok(token) } else { self.impersonate(identity, &token) }
    }

    fn impersonate(&self, identity: &Identity, token: &Token) -> Result<Token, BlobError> {
        let url = &self.service_account_impersonation_url;
        let body = json!({"scope": [identity.scope()], "lifetime": "3600s"}).to_string();
        let parts = [body.as_bytes()];
        let request = Request::new("POST", url)
            .header("authorization", format!("Bearer {}", token.access_token.expose()))
            .header("content-type", "application/json")
            .body(&parts);
        let found: Impersonated = identity.ask(url, &request)?;
        let left = found.expire_time.duration_since(crate::clock::now());
        Ok(Token { access_token: found.access_token, expires_in: left.as_secs().max(1) })
    }

    /// The other's token, which somebody keeps fresh.
    fn subject(&self, identity: &Identity) -> Result<Secret, BlobError> {
        let source = &self.credential_source;
        let (place, bytes) = if source.file.is_empty() {
            let mut request = Request::new("GET", &source.url);
            for (name, value) in &source.headers {
                request = request.header(name, value.expose());
            }
            (&source.url, identity.fetch_bytes(&source.url, &request)?.body.to_vec())
        } else {
            let bytes = std::fs::read(&source.file).map_err(|error| {
                identity
                    .site()
                    .invalid(format!("the token in {} cannot be read: {error}", source.file))
            })?;
            (&source.file, bytes)
        };
        let token = if source.format.r#type == "json" {
            let field = &source.format.subject_token_field_name;
            let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        } else {
            String::from_utf8_lossy(&bytes).trim().to_owned()
        };
        if token.is_empty() {
            return Err(identity.site().invalid(format!("there is no token in {place}")));
        }
        Ok(token.into())
    }
}

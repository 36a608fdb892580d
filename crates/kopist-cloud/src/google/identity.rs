//! Who asks, and the token that shows it.

use std::fmt;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobError, Operation};
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::external::External;
use crate::http::{Answer, Client, Request, Trust, query};
use crate::jwt::{self, Algorithm};
use crate::settings::Secret;
use crate::site::{Meaning, Refusal, Site};

/// Tokens are renewed when they hold for less than this.
const MARGIN: SignedDuration = SignedDuration::from_mins(3);

/// How long a token is asked for.
const LIFE: SignedDuration = SignedDuration::from_hours(1);

/// Where a token can be bought when the credentials do not say.
const USUAL_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// A source of tokens.
pub(crate) struct Identity {
    source: Source,
    scope: &'static str,
    site: Site,
    held: Mutex<Option<(Secret, Timestamp)>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

enum Source {
    /// Nobody asks: an emulator.
    Nobody,
    ServiceAccount(ServiceAccount),
    User(User),
    /// Somebody else vouches for us.
    External(Box<External>),
    /// The metadata service of a machine at Google.
    Machine {
        base: String,
    },
}

#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key: Secret,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    token_uri: String,
}

#[derive(Deserialize)]
struct User {
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
    #[serde(default)]
    token_uri: String,
}

/// What is bought.
#[derive(Deserialize)]
pub(super) struct Token {
    pub(super) access_token: Secret,
    /// In seconds; 0 if nobody says.
    #[serde(default)]
    pub(super) expires_in: i64,
}

impl Identity {
    /// For servers that do not ask who we are.
    pub(crate) fn nobody(site: Site) -> Self {
        Self { source: Source::Nobody, scope: "", site, held: Mutex::default() }
    }

    /// From the settings of a store: credentials in the configuration count more than a file,
    /// and without either the usual places are searched (Application Default Credentials).
    pub(crate) fn find(
        embedded: &Value,
        file: &str,
        scope: &'static str,
        site: Site,
    ) -> Result<Self, BlobError> {
        let source = if !embedded.is_null() {
            Source::read(embedded.clone(), "credentials", &site)?
        } else if !file.is_empty() {
            Source::load(&PathBuf::from(file), &site)?
        } else {
            Source::usual(&site)?
        };
        Ok(Self { source, scope, site, held: Mutex::default() })
    }

    /// The header that says who we are; none where nobody asks.
    pub(crate) fn header(&self) -> Result<Option<String>, BlobError> {
        if matches!(self.source, Source::Nobody) {
            return Ok(None);
        }
        // Held while a new one is fetched, so that only one thread does it.
        let mut held = self.held.lock();
        let soon = crate::clock::now() + MARGIN;
        if let Some((token, until)) = &*held
            && *until > soon
        {
            return Ok(Some(format!("Bearer {}", token.expose())));
        }
        let asked = crate::clock::now();
        let token = self.fetch()?;
        let seconds = if token.expires_in > 0 { token.expires_in } else { 600 };
        let until = asked + SignedDuration::from_secs(seconds.min(86_400));
        let header = format!("Bearer {}", token.access_token.expose());
        *held = Some((token.access_token, until));
        Ok(Some(header))
    }

    /// Forgets the token, which the server no longer takes. Returns whether another can be had.
    pub(crate) fn forget(&self) -> bool {
        *self.held.lock() = None;
        !matches!(self.source, Source::Nobody)
    }

    fn fetch(&self) -> Result<Token, BlobError> {
        match &self.source {
            Source::Nobody => Err(self.site.invalid("there is nobody to ask for a token")),
            Source::ServiceAccount(account) => {
                let assertion = account.assertion(self.scope).map_err(|what| {
                    self.site.invalid(format!("the private key of its credentials: {what}"))
                })?;
                let form = query(&[
                    ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                    ("assertion", &assertion),
                ]);
                self.buy(account.token_uri(), &form)
            }
            Source::User(user) => {
                let form = query(&[
                    ("grant_type", "refresh_token"),
                    ("client_id", &user.client_id),
                    ("client_secret", user.client_secret.expose()),
                    ("refresh_token", user.refresh_token.expose()),
                ]);
                let uri = if user.token_uri.is_empty() { USUAL_TOKEN_URI } else { &user.token_uri };
                self.buy(uri, &form)
            }
            Source::Machine { base } => {
                let url = format!(
                    "{base}/computeMetadata/v1/instance/service-accounts/default/token?{}",
                    query(&[("scopes", self.scope)])
                );
                let request = Request::new("GET", url).header("metadata-flavor", "Google");
                self.ask(base, &request)
            }
            Source::External(external) => external.fetch(self),
        }
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    pub(super) fn scope(&self) -> &'static str {
        self.scope
    }

    /// Sends a form to a seller of tokens.
    pub(super) fn buy(&self, uri: &str, form: &str) -> Result<Token, BlobError> {
        let parts = [form.as_bytes()];
        let request = Request::new("POST", uri)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(&parts);
        self.ask(uri, &request)
    }

    /// Asks a service that sells tokens or what they are bought with.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        base: &str,
        request: &Request<'_>,
    ) -> Result<T, BlobError> {
        let answer = self.fetch_bytes(base, request)?;
        serde_json::from_slice(&answer.body)
            .map_err(|_| self.site.nonsense("no token in it", Operation::Open, &self.site.target()))
    }

    /// The same, whatever the answer is.
    pub(super) fn fetch_bytes(
        &self,
        base: &str,
        request: &Request<'_>,
    ) -> Result<Answer, BlobError> {
        let target = self.site.target();
        let client = Client::new(base, &Trust::System, self.site.clone())?;
        let answer = client.send(request, Operation::Open, &target)?;
        if !answer.is_success() {
            let refusal = token_refusal(&answer);
            return Err(self.site.refused(&refusal, Operation::Open, &target));
        }
        Ok(answer)
    }
}

/// How a server of tokens refuses: RFC 6749, section 5.2, or as Google's services do.
fn token_refusal(answer: &Answer) -> Refusal {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |paths: [&str; 2]| {
        let found = paths.iter().find_map(|path| body.pointer(path)?.as_str());
        found.unwrap_or_default().to_owned()
    };
    let code = text(["/error", "/error/status"]);
    let message = text(["/error_description", "/error/message"]);
    let meaning = match Meaning::of_status(answer.status) {
        Meaning::Passing => Meaning::Passing,
        // Google's words for a clock that is wrong.
        _ if message.contains("reasonable timeframe") || message.contains("iat and exp") => {
            Meaning::Clock
        }
        _ => Meaning::WrongCredentials,
    };
    Refusal::new(answer, meaning, &code, &message)
}

impl Source {
    fn read(value: Value, place: &str, site: &Site) -> Result<Self, BlobError> {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let unusable = |error: serde_json::Error| {
            // The error of a parser would repeat what it read.
            let what = if error.is_data() { "a field is missing or of the wrong kind" } else { "" };
            site.invalid(format!("{place} of the kind {kind:?} cannot be used: {what}"))
        };
        match kind.as_str() {
            "service_account" => {
                serde_json::from_value(value).map(Self::ServiceAccount).map_err(unusable)
            }
            "authorized_user" => serde_json::from_value(value).map(Self::User).map_err(unusable),
            "external_account" => {
                let external: External = serde_json::from_value(value).map_err(unusable)?;
                external.check(place, site)?;
                Ok(Self::External(Box::new(external)))
            }
            other => Err(site.invalid(format!(
                "{place} are of the kind {other:?}; kopist knows service_account, \
                 authorized_user and external_account"
            ))),
        }
    }

    fn load(file: &PathBuf, site: &Site) -> Result<Self, BlobError> {
        let place = format!("the credentials in {}", file.display());
        let text = std::fs::read(file)
            .map_err(|error| site.invalid(format!("{place} cannot be read: {error}")))?;
        let value = serde_json::from_slice(&text)
            .map_err(|_| site.invalid(format!("{place} are no JSON")))?;
        Self::read(value, &place, site)
    }

    fn usual(site: &Site) -> Result<Self, BlobError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(file) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
            return Self::load(&PathBuf::from(file), site);
        }
        let folder = variable("CLOUDSDK_CONFIG")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".config/gcloud")));
        if let Some(folder) = folder {
            let file = folder.join("application_default_credentials.json");
            if file.is_file() {
                return Self::load(&file, site);
            }
        }
        let host =
            variable("GCE_METADATA_HOST").unwrap_or_else(|| "metadata.google.internal".to_owned());
        Ok(Self::Machine { base: format!("http://{host}") })
    }
}

impl ServiceAccount {
    fn token_uri(&self) -> &str {
        if self.token_uri.is_empty() { USUAL_TOKEN_URI } else { &self.token_uri }
    }

    /// A claim that we are the account, signed with its key (RFC 7523).
    fn assertion(&self, scope: &str) -> Result<String, String> {
        let now = crate::clock::now();
        let mut header = json!({});
        if !self.private_key_id.is_empty() {
            header["kid"] = json!(self.private_key_id);
        }
        let claim = json!({
            "iss": self.client_email,
            "scope": scope,
            "aud": self.token_uri(),
            "iat": now.as_second(),
            "exp": (now + LIFE).as_second(),
        });
        jwt::sign(Algorithm::Rs256, header, &claim, self.private_key.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::site;

    #[test]
    fn credentials_that_cannot_be_used_are_told_without_secrets() {
        let find = |value: Value| Identity::find(&value, "", "s", site()).unwrap_err().to_string();
        let text = find(json!({"type": "gdch_service_account"}));
        assert!(
            text.contains("gdch_service_account") && text.contains("external_account"),
            "{text}"
        );
        let text = find(json!({"type": "external_account"}));
        assert!(text.contains("external_account") && text.contains("a field is missing"), "{text}");
        let text = find(json!({"type": "service_account", "private_key": "hunter2"}));
        assert!(!text.contains("hunter2"), "{text}");
        let text = Identity::find(&Value::Null, "/none", "s", site()).unwrap_err().to_string();
        assert!(text.contains("/none"), "{text}");
        let bad = json!({"type": "service_account", "private_key": "x", "client_email": "e"});
        let identity = Identity::find(&bad, "", "s", site()).unwrap();
        assert!(identity.header().unwrap_err().to_string().contains("PEM"));
    }
}

//! Who asks, and the token that shows it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use kopist_blob::{BlobError, Operation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::external::External;
use crate::http::{Answer, Client, Failure, Request, Trust, query};
use crate::jwt::{self, Algorithm};
use crate::renewed::{Lent, Renewed};
use crate::settings::Secret;
use crate::site::{Meaning, Refusal, Site};

/// Tokens are renewed when they hold for less than this.
const MARGIN: SignedDuration = SignedDuration::from_mins(3);

/// How long a token is asked for.
const LIFE: SignedDuration = SignedDuration::from_hours(1);

/// How long the metadata service of a machine may take for an answer. Those of new pods are slow.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where a token can be bought when the credentials do not say.
const USUAL_TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// A source of tokens.
pub(crate) struct Identity {
    source: Source,
    scope: &'static str,
    site: Site,
    held: Renewed<Secret>,
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
        /// It has given us a token, so there is one.
        known: AtomicBool,
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
        Self { source: Source::Nobody, scope: "", site, held: Renewed::new(MARGIN) }
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
        Ok(Self { source, scope, site, held: Renewed::new(MARGIN) })
    }

    /// The token that says who we are; none where nobody asks.
    pub(crate) fn token(&self) -> Result<Option<Arc<Secret>>, BlobError> {
        if matches!(self.source, Source::Nobody) {
            return Ok(None);
        }
        let lend = || {
            let asked = crate::clock::now();
            let Token { access_token, expires_in } = self.fetch()?;
            let seconds = if expires_in > 0 { expires_in } else { 600 };
            Lent::token(access_token, asked, seconds, &self.site)
        };
        self.held.get(lend).map(Some)
    }

    /// Forgets a token that the server no longer takes.
    pub(crate) fn forget(&self, used: &Arc<Secret>) {
        self.held.forget(used);
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
            Source::Machine { base, known } => self.of_machine(base, known),
            Source::External(external) => external.fetch(self),
        }
    }

    /// Elsewhere than at Google the name of the service is not known, and there are no
    /// credentials. But once there were some, there will be again.
    fn of_machine(&self, base: &str, known: &AtomicBool) -> Result<Token, BlobError> {
        let path = "computeMetadata/v1/instance/service-accounts/default/token";
        let url = format!("{base}/{path}?{}", query(&[("scopes", self.scope)]));
        let request = Request::new("GET", url).header("metadata-flavor", "Google");
        let site =
            self.site.at("--credentials-file, GOOGLE_APPLICATION_CREDENTIALS, GCE_METADATA_HOST");
        let client = Client::new(base, &Trust::System, site)?;
        let answer = match client.exchange_within(&request, PATIENCE) {
            Ok(answer) => answer,
            Err(Failure::NoHost) if !known.load(Ordering::Relaxed) => {
                return Err(self.site.no_credentials(
                    "--credentials-file is empty, GOOGLE_APPLICATION_CREDENTIALS names no file, \
                     and this is no machine at Google",
                ));
            }
            Err(failure) => {
                let target = self.site.target();
                return Err(client.site().unreachable(base, &failure, Operation::Open, &target));
            }
        };
        let token = self.read(&self.accepted(answer)?)?;
        known.store(true, Ordering::Relaxed);
        Ok(token)
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
        self.read(&self.fetch_bytes(base, request)?)
    }

    fn read<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, BlobError> {
        serde_json::from_slice(&answer.body)
            .map_err(|_| self.site.nonsense("no token in it", Operation::Open, &self.site.target()))
    }

    /// The same, whatever the answer is.
    pub(super) fn fetch_bytes(
        &self,
        base: &str,
        request: &Request<'_>,
    ) -> Result<Answer, BlobError> {
        let site = self.site.at("the addresses in the credentials");
        let client = Client::new(base, &Trust::System, site)?;
        self.accepted(client.send(request, Operation::Open, &self.site.target())?)
    }

    /// An answer of success, or what its refusal means.
    fn accepted(&self, answer: Answer) -> Result<Answer, BlobError> {
        if answer.is_success() {
            return Ok(answer);
        }
        Err(self.site.refused(&token_refusal(&answer), Operation::Open, &self.site.target()))
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

    /// The metadata service at a host.
    fn machine(host: &str) -> Self {
        Self::Machine { base: format!("http://{host}"), known: AtomicBool::new(false) }
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
        Ok(Self::machine(&host))
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
        assert!(identity.token().unwrap_err().to_string().contains("PEM"));
    }

    fn of(source: Source) -> Identity {
        Identity { source, scope: "s", site: site(), held: Renewed::new(MARGIN) }
    }

    #[test]
    fn elsewhere_than_at_google_there_are_no_credentials() {
        let identity = of(Source::machine("metadata.invalid"));
        let error = identity.token().unwrap_err();
        let text = error.to_string();
        for part in ["there are none", "--credentials-file", "GOOGLE_APPLICATION_CREDENTIALS"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!error.is_retriable(), "waiting does not help");
        // Where there was a machine, its name may be unknown for a while.
        if let Source::Machine { known, .. } = &identity.source {
            known.store(true, Ordering::Relaxed);
        }
        assert!(identity.token().unwrap_err().is_retriable());
        // Somebody may be there later.
        let nobody = format!("127.0.0.1:{}", kopist_testkit::servers::free_port());
        let error = of(Source::machine(&nobody)).token().unwrap_err();
        assert!(
            error.is_retriable() && error.to_string().contains("--credentials-file"),
            "{error}"
        );
    }

    fn user(token_uri: &str) -> Value {
        json!({
            "type": "authorized_user", "client_id": "c", "client_secret": "s",
            "refresh_token": "r", "token_uri": token_uri,
        })
    }

    #[test]
    fn a_seller_of_tokens_that_is_not_there_is_no_fault_of_the_store() {
        let nobody = format!("http://127.0.0.1:{}", kopist_testkit::servers::free_port());
        let identity = Identity::find(&user(&nobody), "", "s", site()).unwrap();
        let error = identity.token().unwrap_err();
        let text = error.to_string();
        assert!(text.contains("in the credentials") && !text.contains("--endpoint"), "{text}");
        assert!(error.is_retriable());
    }

    #[test]
    fn tokens_that_cannot_be_sent_are_nonsense() {
        let stub = kopist_testkit::proxy::Stub::start(|_| {
            (200, json!({"access_token": "hunter2\n", "expires_in": 3600}).to_string())
        });
        let identity = Identity::find(&user(&stub.url()), "", "s", site()).unwrap();
        let text = identity.token().unwrap_err().to_string();
        assert!(text.contains("token has characters") && !text.contains("hunter2"), "{text}");
    }
}

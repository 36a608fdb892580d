//! Who we are to Google: a service account or a user, from a file, from the configuration, or
//! from the machine we run on.

use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobError, Operation, Target};
use parking_lot::Mutex;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::http::{Answer, Client, Request, Trust, query};
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

#[derive(Deserialize)]
struct Token {
    access_token: Secret,
    #[serde(default)]
    expires_in: i64,
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
                self.answer(base, &request)
            }
        }
    }

    fn buy(&self, uri: &str, form: &str) -> Result<Token, BlobError> {
        let parts = [form.as_bytes()];
        let request = Request::new("POST", uri)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(&parts);
        self.answer(uri, &request)
    }

    fn answer(&self, base: &str, request: &Request<'_>) -> Result<Token, BlobError> {
        let target = self.site.target();
        let client = Client::new(base, &Trust::System, self.site.clone())?;
        let answer = client.send(request, Operation::Open, &target)?;
        if !answer.is_success() {
            let refusal = token_refusal(&answer);
            return Err(self.site.refused(&refusal, Operation::Open, &target));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| self.site.nonsense("no token in it", Operation::Open, &target))
    }
}

/// How a server of tokens refuses: RFC 6749, section 5.2.
fn token_refusal(answer: &Answer) -> Refusal {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (code, message) = (text("error"), text("error_description"));
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
            other => Err(site.invalid(format!(
                "{place} are of the kind {other:?}; kopist knows service_account and \
                 authorized_user"
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
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
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
        sign_jwt(&header, &claim, self.private_key.expose())
    }
}

/// A token of JSON, signed with RSA and SHA-256. The key is PEM.
pub(crate) fn sign_jwt(header: &Value, claim: &Value, key: &str) -> Result<String, String> {
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claim.to_string())
    );
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| "it is no PEM")?;
    let key = match &key {
        PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return Err("it is not RSA".to_owned()),
    };
    let key = key.map_err(|_| "it is no RSA key that can be used")?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| "signing failed")?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// How Google's services refuse: `{"error": {"code", "message", "errors": [{"reason"}]}}`.
pub(crate) fn refusal(answer: &Answer) -> Refusal {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let error = body.get("error").cloned().unwrap_or_default();
    let reason = error
        .pointer("/errors/0/reason")
        .and_then(Value::as_str)
        .or_else(|| error.get("status").and_then(Value::as_str))
        .unwrap_or_default();
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let meaning = match reason {
        "rateLimitExceeded"
        | "userRateLimitExceeded"
        | "sharingRateLimitExceeded"
        | "backendError"
        | "internalError" => Meaning::Passing,
        "quotaExceeded"
        | "storageQuotaExceeded"
        | "dailyLimitExceeded"
        | "teamDriveFileLimitExceeded" => Meaning::Full,
        "requestedRangeNotSatisfiable" => Meaning::OutOfRange,
        "conditionNotMet" => Meaning::Exists,
        _ if message.contains("bucket does not exist") => Meaning::NoPlace,
        _ => Meaning::of_status(answer.status),
    };
    let message = if message.is_empty() { answer.excerpt() } else { message.to_owned() };
    Refusal::new(answer, meaning, reason, &message)
}

/// One of Google's services: requests with a token, answers in JSON.
#[derive(Debug)]
pub(crate) struct Service {
    client: Client,
    identity: Identity,
    endpoint: String,
}

impl Service {
    pub(crate) fn new(endpoint: &str, identity: Identity, site: Site) -> Result<Self, BlobError> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let client = Client::new(&endpoint, &Trust::System, site)?;
        Ok(Self { client, identity, endpoint })
    }

    pub(crate) fn site(&self) -> &Site {
        self.client.site()
    }

    /// The address of a path, which begins with `/`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.endpoint)
    }

    /// Sends a request with the token; if it has expired, once more with a new one.
    pub(crate) fn send(
        &self,
        method: &'static str,
        url: &str,
        prepare: &dyn Fn(Request<'static>) -> Request<'static>,
        body: Option<&[&[u8]]>,
        operation: Operation,
        target: &Target,
    ) -> Result<Answer, BlobError> {
        let mut renewed = false;
        loop {
            let mut request = prepare(Request::new(method, url));
            if let Some(header) = self.identity.header()? {
                request = request.header("authorization", header);
            }
            let answer = self.client.send(&Request { body, ..request }, operation, target)?;
            if answer.status == 401 && !renewed && self.identity.forget() {
                renewed = true;
                continue;
            }
            return Ok(answer);
        }
    }

    pub(crate) fn refused(
        &self,
        answer: &Answer,
        operation: Operation,
        target: &Target,
    ) -> BlobError {
        let mut refusal = refusal(answer);
        // What is to be made or listed cannot be missing itself.
        let about_bucket = matches!(operation, Operation::Put | Operation::List | Operation::Open);
        if refusal.meaning == Meaning::Missing && about_bucket {
            refusal.meaning = Meaning::NoPlace;
        }
        self.site().refused(&refusal, operation, target)
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        operation: Operation,
        target: &Target,
    ) -> Result<T, BlobError> {
        if !answer.is_success() {
            return Err(self.refused(answer, operation, target));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| self.site().nonsense(error, operation, target))
    }

    /// A request whose body, if any, and whose answer are JSON.
    pub(crate) fn json<T: DeserializeOwned>(
        &self,
        method: &'static str,
        url: &str,
        body: Option<&Value>,
        operation: Operation,
        target: &Target,
    ) -> Result<T, BlobError> {
        let text = body.map(Value::to_string).unwrap_or_default();
        let parts = [text.as_bytes()];
        let prepare = |request: Request<'static>| match body {
            Some(_) => request.header("content-type", "application/json"),
            None => request,
        };
        let body = body.map(|_| parts.as_slice());
        let answer = self.send(method, url, &prepare, body, operation, target)?;
        self.read(&answer, operation, target)
    }

    /// Sends what is known of an object and the object itself, in one request.
    pub(crate) fn multipart<T: DeserializeOwned>(
        &self,
        method: &'static str,
        url: &str,
        resource: &Value,
        data: &[&[u8]],
        operation: Operation,
        target: &Target,
    ) -> Result<T, BlobError> {
        let random = getrandom::u64()
            .map_err(|error| self.site().remote(operation, target, false, error.to_string()))?;
        // A line that blobs do not contain, since nobody can know it before.
        let boundary = format!("kopist-{random:016x}-{:016x}", random.rotate_left(23));
        let head = format!(
            "--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{resource}\r\n\
             --{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let mut parts = Vec::with_capacity(data.len() + 2);
        parts.push(head.as_bytes());
        parts.extend_from_slice(data);
        parts.push(tail.as_bytes());
        let kind = format!("multipart/related; boundary={boundary}");
        let prepare = |request: Request<'static>| request.header("content-type", kind.as_str());
        let answer = self.send(method, url, &prepare, Some(&parts), operation, target)?;
        self.read(&answer, operation, target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::site;

    #[test]
    fn credentials_that_cannot_be_used_are_told_without_secrets() {
        let find = |value: Value| Identity::find(&value, "", "s", site()).unwrap_err().to_string();
        let text = find(json!({"type": "external_account"}));
        assert!(text.contains("external_account") && text.contains("service_account"), "{text}");
        let text = find(json!({"type": "service_account", "private_key": "hunter2"}));
        assert!(!text.contains("hunter2"), "{text}");
        let text = Identity::find(&Value::Null, "/none", "s", site()).unwrap_err().to_string();
        assert!(text.contains("/none"), "{text}");
        let bad = json!({"type": "service_account", "private_key": "x", "client_email": "e"});
        let identity = Identity::find(&bad, "", "s", site()).unwrap();
        assert!(identity.header().unwrap_err().to_string().contains("PEM"));
    }
}

//! Who asks.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobError, Operation};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::config::Config;
use crate::http::{Client, Request, Trust, query};
use crate::jwt::{self, Algorithm};
use crate::settings::Secret;
use crate::site::{Meaning, Refusal, Site};

/// Tokens are renewed when they hold for less than this.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// How long a claim of ours may be used.
const LIFE: SignedDuration = SignedDuration::from_mins(10);

/// How a claim is presented (RFC 7523).
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// For what a token is asked.
const SCOPE: &str = "https://storage.azure.com/.default";

/// How requests show who sends them.
pub(super) enum Identity {
    /// A query that is added to each.
    Sas(Secret),
    /// A signature with the key of the account.
    Key { account: String, key: Vec<u8> },
    /// A token of Entra ID.
    Token(TokenSource),
}

/// Where tokens come from.
pub(super) struct TokenSource {
    url: String,
    client_id: String,
    proof: Proof,
    site: Site,
    held: Mutex<Option<(Secret, Timestamp)>>,
}

enum Proof {
    Secret(Secret),
    /// A file whose contents somebody keeps fresh.
    FederatedFile(String),
    /// The key of a certificate that is registered, and the certificate's SHA-256.
    Certificate {
        key: Secret,
        hash: String,
    },
}

#[derive(Deserialize)]
struct Token {
    access_token: Secret,
    expires_in: i64,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// The first that the settings allow, in the order of kopia.
    pub(super) fn new(config: &Config, site: &Site) -> Result<Self, BlobError> {
        if !config.sas_token.is_empty() {
            let token = config.sas_token.expose().trim_start_matches('?').to_owned();
            return Ok(Self::Sas(token.into()));
        }
        if !config.storage_key.is_empty() {
            let key = STANDARD
                .decode(config.storage_key.expose().trim())
                .map_err(|_| site.invalid("--storage-key is not base64"))?;
            return Ok(Self::Key { account: config.storage_account.clone(), key });
        }
        let named = !config.tenant_id.is_empty() && !config.client_id.is_empty();
        let proof = if named && !config.client_secret.is_empty() {
            Proof::Secret(config.client_secret.clone())
        } else if named && !config.client_certificate.is_empty() {
            certificate(&config.client_certificate)
                .map_err(|what| site.invalid(format!("--client-cert cannot be used: {what}")))?
        } else if named && !config.azure_federated_token_file.is_empty() {
            Proof::FederatedFile(config.azure_federated_token_file.clone())
        } else {
            return Err(site.invalid(
                "one of the storage key, SAS token, client secret, client certificate, or Azure \
                 Federated Token file must be provided",
            ));
        };
        let authority = std::env::var("AZURE_AUTHORITY_HOST")
            .ok()
            .filter(|host| !host.is_empty())
            .unwrap_or_else(|| "https://login.microsoftonline.com".to_owned());
        Ok(Self::Token(TokenSource {
            url: format!(
                "{}/{}/oauth2/v2.0/token",
                authority.trim_end_matches('/'),
                config.tenant_id
            ),
            client_id: config.client_id.clone(),
            proof,
            site: site.clone(),
            held: Mutex::default(),
        }))
    }

    /// Forgets a token that the service no longer takes. Returns whether another can be had.
    pub(super) fn forget(&self) -> bool {
        match self {
            Self::Token(source) => source.held.lock().take().is_some(),
            _ => false,
        }
    }
}

/// A certificate and its key, in one text of PEM.
fn certificate(text: &Secret) -> Result<Proof, String> {
    let pem = text.expose();
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "there is no certificate in PEM in it (PKCS #12 is not supported)")?;
    jwt::read_key(pem)?;
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&certificate));
    Ok(Proof::Certificate { key: text.clone(), hash })
}

impl TokenSource {
    /// A claim that we are the client, signed with the key of its certificate.
    fn assertion(&self, key: &Secret, hash: &str) -> Result<String, String> {
        let now = crate::clock::now();
        let random = getrandom::u64().map_err(|error| error.to_string())?;
        let claim = json!({
            "aud": self.url, "iss": self.client_id, "sub": self.client_id,
            "jti": format!("{random:016x}-{}", now.as_nanosecond()),
            "nbf": now.as_second() - 60, "exp": (now + LIFE).as_second(),
        });
        jwt::sign(Algorithm::Ps256, json!({"x5t#S256": hash}), &claim, key.expose())
    }

    pub(super) fn header(&self) -> Result<String, BlobError> {
        // Held while a new one is fetched, so that only one thread does it.
        let mut held = self.held.lock();
        if let Some((token, until)) = &*held
            && *until > crate::clock::now() + MARGIN
        {
            return Ok(format!("Bearer {}", token.expose()));
        }
        let asked = crate::clock::now();
        let token = self.fetch()?;
        let header = format!("Bearer {}", token.access_token.expose());
        let until = asked + SignedDuration::from_secs(token.expires_in.clamp(0, 86_400));
        *held = Some((token.access_token, until));
        Ok(header)
    }

    fn fetch(&self) -> Result<Token, BlobError> {
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", self.client_id.as_str()),
            ("scope", SCOPE),
        ];
        let assertion;
        match &self.proof {
            Proof::Secret(secret) => form.push(("client_secret", secret.expose())),
            Proof::FederatedFile(file) => {
                assertion = std::fs::read_to_string(file).map_err(|error| {
                    self.site.invalid(format!("--azure-federated-token-file, {file}: {error}"))
                })?;
                form.push(("client_assertion_type", ASSERTION));
                form.push(("client_assertion", assertion.trim()));
            }
            Proof::Certificate { key, hash } => {
                assertion = self.assertion(key, hash).map_err(|what| {
                    self.site.invalid(format!("--client-cert cannot sign: {what}"))
                })?;
                form.push(("client_assertion_type", ASSERTION));
                form.push(("client_assertion", &assertion));
            }
        }
        let form = query(&form);
        let parts = [form.as_bytes()];
        let request = Request::new("POST", &self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(&parts);
        let target = self.site.target();
        let client = Client::new(&self.url, &Trust::System, self.site.clone())?;
        let answer = client.send(&request, Operation::Open, &target)?;
        if !answer.is_success() {
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let text = |key| body.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
            let meaning = match Meaning::of_status(answer.status) {
                Meaning::Passing => Meaning::Passing,
                _ => Meaning::WrongCredentials,
            };
            let refusal = Refusal::new(&answer, meaning, text("error"), text("error_description"));
            return Err(self.site.refused(&refusal, Operation::Open, &target));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| self.site.nonsense("no token in it", Operation::Open, &target))
    }
}

/// What the key of an account signs ("Authorize with Shared Key"). Headers have names in lower
/// case; the query is decoded.
pub(super) fn shared_key(
    account: &str,
    key: &[u8],
    method: &str,
    path: &str,
    query: &[(&str, &str)],
    headers: &[(String, String)],
    length: u64,
) -> String {
    let header = |name: &str| {
        headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    };
    let length = if length == 0 { String::new() } else { length.to_string() };
    let mut text = format!("{method}\n\n\n{length}\n");
    for name in [
        "content-md5",
        "content-type",
        "date",
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    ] {
        text += header(name);
        text.push('\n');
    }
    let mut own: Vec<_> = headers.iter().filter(|(name, _)| name.starts_with("x-ms-")).collect();
    own.sort();
    for (name, value) in own {
        text.extend([format!("{name}:{}\n", value.trim())]);
    }
    text.extend([format!("/{account}{path}")]);
    let mut query: Vec<(String, &str)> =
        query.iter().map(|(name, value)| (name.to_ascii_lowercase(), *value)).collect();
    query.sort();
    for (name, value) in query {
        text.extend([format!("\n{name}:{value}")]);
    }
    // HMAC takes keys of every length.
    let signature = Hmac::<Sha256>::new_from_slice(key).map(|mut mac| {
        mac.update(text.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    });
    format!("SharedKey {account}:{}", signature.unwrap_or_default())
}

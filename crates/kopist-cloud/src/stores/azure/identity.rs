//! Who asks.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::SignedDuration;
use kopist_blob::{BlobError, Operation};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::config::Config;
use crate::http::{Answer, Client, Request, Trust, query};
use crate::jwt::{self, Algorithm};
use crate::renewed::{Lent, Renewed};
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
    Token(Box<TokenSource>),
}

/// Where tokens come from.
pub(super) struct TokenSource {
    url: String,
    client_id: String,
    proof: Proof,
    site: Site,
    held: Renewed<Secret>,
}

/// What shows that we are the client.
pub(super) enum Proof {
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
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(site.invalid(
                    "--sas-token has a character that no token has, such as the end of a line",
                ));
            }
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
        let authority = authority.trim_end_matches('/');
        let url = format!("{authority}/{}/oauth2/v2.0/token", config.tenant_id);
        let site = site.clone().with(proof.setting());
        Ok(Self::Token(Box::new(TokenSource::new(url, &config.client_id, proof, site))))
    }

    /// What to check when we are refused.
    pub(super) fn setting(&self) -> &'static str {
        match self {
            Self::Sas(_) => "--sas-token",
            Self::Key { .. } => "--storage-account and --storage-key",
            Self::Token(source) => source.proof.setting(),
        }
    }
}

impl Proof {
    fn setting(&self) -> &'static str {
        match self {
            Self::Secret(_) => "--tenant-id, --client-id and --client-secret",
            Self::FederatedFile(_) => "--tenant-id, --client-id and --azure-federated-token-file",
            Self::Certificate { .. } => "--tenant-id, --client-id and --client-cert",
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
    pub(super) fn new(url: String, client_id: &str, proof: Proof, site: Site) -> Self {
        Self { url, client_id: client_id.to_owned(), proof, site, held: Renewed::new(MARGIN) }
    }

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

    /// A token that holds now.
    pub(super) fn token(&self) -> Result<Arc<Secret>, BlobError> {
        self.held.get(|| {
            let asked = crate::clock::now();
            let Token { access_token, expires_in } = self.fetch()?;
            Lent::token(access_token, asked, expires_in, &self.site)
        })
    }

    /// Forgets a token that the service no longer takes.
    pub(super) fn forget(&self, used: &Arc<Secret>) {
        self.held.forget(used);
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
        let site = self.site.at("AZURE_AUTHORITY_HOST");
        let client = Client::new(&self.url, &Trust::System, site)?;
        let answer = client.send(&request, Operation::Open, &target)?;
        if !answer.is_success() {
            return Err(self.site.refused(&self.refusal(&answer), Operation::Open, &target));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| self.site.nonsense("no token in it", Operation::Open, &target))
    }

    /// What a refusal of a token means (RFC 6749, section 5.2).
    fn refusal(&self, answer: &Answer) -> Refusal {
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |key| body.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
        let description = text("error_description");
        // "Client assertion is not within its valid time range."
        let out_of_time = description.contains("AADSTS700024");
        let meaning = match (Meaning::of_status(answer.status), &self.proof) {
            (Meaning::Passing, _) => Meaning::Passing,
            (_, Proof::Certificate { .. }) if out_of_time => Meaning::Clock,
            // Somebody else has made it.
            (_, Proof::FederatedFile(_)) if out_of_time => Meaning::ExpiredCredentials,
            _ => Meaning::WrongCredentials,
        };
        Refusal::new(answer, meaning, text("error"), description)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::site;
    use kopist_testkit::proxy::Stub;

    fn source(url: String, proof: Proof) -> TokenSource {
        TokenSource::new(url, "c", proof, site())
    }

    fn secret() -> Proof {
        Proof::Secret("hunter2".to_owned().into())
    }

    #[test]
    fn entra_that_is_not_there_is_named_by_its_own_setting() {
        let nobody = format!("http://127.0.0.1:{}/t", kopist_testkit::servers::free_port());
        let text = source(nobody, secret()).token().unwrap_err().to_string();
        assert!(text.contains("AZURE_AUTHORITY_HOST") && !text.contains("--endpoint"), "{text}");
    }

    #[test]
    fn who_made_a_claim_that_is_out_of_time_decides_what_is_wrong() {
        let stub = Stub::start(|_| {
            let what = "AADSTS700024: Client assertion is not within its valid time range.";
            (401, json!({"error": "invalid_client", "error_description": what}).to_string())
        });
        let ours = Proof::Certificate { key: jwt::new_key().into(), hash: "h".to_owned() };
        let file = tempfile::NamedTempFile::new().unwrap();
        let theirs = Proof::FederatedFile(file.path().display().to_string());
        for (proof, part) in [
            (ours, "clock of this machine"),
            (theirs, "no longer hold"),
            (secret(), "check --access-key"),
        ] {
            let text = source(stub.url(), proof).token().unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_by_the_name_of_its_setting() {
        let config =
            Config { sas_token: "sv=1&sig=hunter2\n".to_owned().into(), ..Config::default() };
        let error = Identity::new(&config, &site()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("--sas-token") && !text.contains("hunter2"), "{text}");
    }
}

//! Where the keys come from: the configuration, the environment, the place we run in, or a role
//! that another key may take.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kopist_blob::{BlobError, Operation};
use parking_lot::Mutex;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::config::Config;
use super::sign::{Draft, Keys, Scope, sign};
use crate::http::{Answer, Client, Request, Trust, query};
use crate::site::{Meaning, Refusal, Site};
use crate::xml::Element;

/// Keys are renewed when they hold for less than this.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// The role's own default.
const USUAL_DURATION: Duration = Duration::from_hours(1);

/// Keys that may have to be renewed.
pub(super) struct Credentials {
    source: Source,
    trust: Trust,
    site: Site,
    held: Mutex<Option<Held>>,
}

#[derive(Clone)]
struct Held {
    keys: Keys,
    until: Option<Timestamp>,
}

enum Source {
    /// As configured.
    Static(Keys),
    /// A role that the configured keys may take.
    Role { keys: Keys, role: Role },
    /// Whatever this machine offers.
    Ambient,
}

struct Role {
    arn: String,
    session: String,
    duration: Duration,
    url: String,
    region: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    pub(super) fn new(config: &Config, trust: Trust, site: Site) -> Self {
        let keys = Keys {
            id: config.access_key_id.clone(),
            secret: config.secret_access_key.clone(),
            token: config.session_token.clone(),
        };
        let source = if !config.role_arn.is_empty() {
            let endpoint = match config.role_endpoint.as_str() {
                "" => "https://sts.amazonaws.com",
                endpoint => endpoint,
            };
            let url = if endpoint.contains("://") {
                endpoint.to_owned()
            } else {
                let scheme = if config.do_not_use_tls { "http" } else { "https" };
                format!("{scheme}://{endpoint}")
            };
            let or = |text: &str, usual: &str| {
                if text.is_empty() { usual.to_owned() } else { text.to_owned() }
            };
            let duration = if config.duration.is_zero() { USUAL_DURATION } else { config.duration };
            let role = Role {
                arn: config.role_arn.clone(),
                session: or(&config.session_name, "kopist"),
                duration,
                url,
                region: or(&config.role_region, "us-east-1"),
            };
            Source::Role { keys, role }
        } else if keys.id.is_empty() || keys.secret.is_empty() {
            Source::Ambient
        } else {
            Source::Static(keys)
        };
        Self { source, trust, site, held: Mutex::new(None) }
    }

    /// Whether new keys can be had when the server says that these have expired.
    pub(super) fn renewable(&self) -> bool {
        !matches!(self.source, Source::Static(_))
    }

    /// Forgets keys that the server no longer takes.
    pub(super) fn forget(&self) {
        *self.held.lock() = None;
    }

    /// Keys that hold now.
    pub(super) fn keys(&self) -> Result<Keys, BlobError> {
        if let Source::Static(keys) = &self.source {
            return Ok(keys.clone());
        }
        // Held while new ones are fetched, so that only one thread does it.
        let mut held = self.held.lock();
        let soon = crate::clock::now() + MARGIN;
        if let Some(held) = &*held
            && held.until.is_none_or(|until| until > soon)
        {
            return Ok(held.keys.clone());
        }
        let fresh = match &self.source {
            Source::Role { keys, role } => self.assume(keys, role)?,
            _ => self.ambient()?,
        };
        Ok(held.insert(fresh).keys.clone())
    }

    fn client(&self, url: &str) -> Result<Client, BlobError> {
        Client::new(url, &self.trust, self.site.clone())
    }

    /// kopia:repo/blob/s3 leaves this to minio-go: one POST to the security token service.
    fn assume(&self, keys: &Keys, role: &Role) -> Result<Held, BlobError> {
        let seconds = role.duration.as_secs().to_string();
        let form = query(&[
            ("Action", "AssumeRole"),
            ("DurationSeconds", &seconds),
            ("RoleArn", &role.arn),
            ("RoleSessionName", &role.session),
            ("Version", "2011-06-15"),
        ]);
        let rest = role.url.split_once("://").map_or(role.url.as_str(), |(_, rest)| rest);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = format!("/{path}");
        let headers =
            vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        let hash = hex::encode(Sha256::digest(&form));
        let draft = Draft {
            method: "POST",
            host,
            path: &path,
            query: &[],
            headers: &headers,
            body_hash: &hash,
        };
        let scope = Scope { service: "sts", region: &role.region, time: crate::clock::now() };
        let mut signed = headers.clone();
        signed.extend(sign(&draft, keys, scope));
        let mut request = Request::new(
            "POST",
            format!("{}/{}", role.url.trim_end_matches('/'), path.trim_start_matches('/')),
        );
        request.headers = signed;
        self.sts(&role.url, request, &form, "AssumeRole")
    }

    /// Sends a request to the security token service.
    fn sts(
        &self,
        base: &str,
        request: Request<'_>,
        form: &str,
        action: &str,
    ) -> Result<Held, BlobError> {
        let target = self.site.target();
        let parts = [form.as_bytes()];
        let request = request.body(&parts);
        let answer = self.client(base)?.send(&request, Operation::Open, &target)?;
        let root = Element::parse(&answer.body);
        if !answer.is_success() {
            let (code, message) = match &root {
                Ok(root) => {
                    let error = root.child("Error").unwrap_or(root);
                    (error.value("Code").to_owned(), error.value("Message").to_owned())
                }
                Err(_) => (String::new(), answer.excerpt()),
            };
            let meaning = match Meaning::of_status(answer.status) {
                Meaning::Passing => Meaning::Passing,
                _ => Meaning::WrongCredentials,
            };
            let refusal = Refusal::new(&answer, meaning, &code, &message);
            return Err(self.site.refused(&refusal, Operation::Open, &target));
        }
        let held = root.ok().and_then(|root| {
            let found = root.child(&format!("{action}Result"))?.child("Credentials")?;
            Some(Held {
                keys: Keys {
                    id: found.value("AccessKeyId").to_owned(),
                    secret: found.value("SecretAccessKey").to_owned().into(),
                    token: found.value("SessionToken").to_owned().into(),
                },
                until: found.value("Expiration").parse().ok(),
            })
        });
        held.ok_or_else(|| self.site.nonsense("no keys in it", Operation::Open, &target))
    }

    /// The usual places, in the usual order.
    fn ambient(&self) -> Result<Held, BlobError> {
        if let Some(held) = from_environment() {
            return Ok(held);
        }
        if let Some(held) = self.web_identity()? {
            return Ok(held);
        }
        if let Some(held) = self.container()? {
            return Ok(held);
        }
        self.machine().ok_or_else(|| BlobError::InvalidCredentials {
            store: self.site.name.clone(),
            message: format!(
                "there are none: {} are empty, and neither the environment nor this machine has any",
                self.site.settings.credentials
            ),
        })
    }

    /// A token in a file, as Kubernetes gives it to a service account.
    fn web_identity(&self) -> Result<Option<Held>, BlobError> {
        let (Some(file), Some(role)) =
            (variable("AWS_WEB_IDENTITY_TOKEN_FILE"), variable("AWS_ROLE_ARN"))
        else {
            return Ok(None);
        };
        let token = std::fs::read_to_string(&file).map_err(|error| {
            self.site.invalid(format!("AWS_WEB_IDENTITY_TOKEN_FILE, {file}: {error}"))
        })?;
        let session = variable("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "kopist".to_owned());
        let form = query(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", &role),
            ("RoleSessionName", &session),
            ("Version", "2011-06-15"),
            ("WebIdentityToken", token.trim()),
        ]);
        let url = variable("AWS_ENDPOINT_URL_STS").unwrap_or_else(|| {
            match variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION")) {
                Some(region) => format!("https://sts.{region}.amazonaws.com"),
                None => "https://sts.amazonaws.com".to_owned(),
            }
        });
        let request = Request::new("POST", format!("{}/", url.trim_end_matches('/')))
            .header("content-type", "application/x-www-form-urlencoded");
        self.sts(&url, request, &form, "AssumeRoleWithWebIdentity").map(Some)
    }

    /// The agent of a container (ECS, EKS Pod Identity).
    fn container(&self) -> Result<Option<Held>, BlobError> {
        let url = match (
            variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ) {
            (Some(path), _) => format!("http://169.254.170.2{path}"),
            (None, Some(url)) => url,
            (None, None) => return Ok(None),
        };
        let mut request = Request::new("GET", &url);
        let token = match variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => Some(std::fs::read_to_string(&file).map_err(|error| {
                let name = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
                self.site.invalid(format!("{name}, {file}: {error}"))
            })?),
            None => variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        };
        if let Some(token) = token {
            request = request.header("authorization", token.trim());
        }
        let target = self.site.target();
        let answer = self.client(&url)?.send(&request, Operation::Open, &target)?;
        if !answer.is_success() {
            let refusal = Refusal::by_status(&answer);
            return Err(self.site.refused(&refusal, Operation::Open, &target));
        }
        let held = Offered::read(&answer);
        held.map(Some).ok_or_else(|| self.site.nonsense("no keys in it", Operation::Open, &target))
    }

    /// The metadata service of a machine at AWS. Elsewhere nobody answers, which is no error.
    fn machine(&self) -> Option<Held> {
        if variable("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
            return None;
        }
        let base = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT")
            .unwrap_or_else(|| "http://169.254.169.254".to_owned());
        let base = base.trim_end_matches('/');
        if !answers_soon(base) {
            return None;
        }
        let client = self.client(base).ok()?;
        let target = self.site.target();
        let ask = |request: Request<'_>| {
            client.send(&request, Operation::Open, &target).ok().filter(Answer::is_success)
        };
        let token = ask(Request::new("PUT", format!("{base}/latest/api/token"))
            .header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
            .body(&[]))?;
        let token = String::from_utf8_lossy(&token.body).into_owned();
        let roles = format!("{base}/latest/meta-data/iam/security-credentials/");
        let get =
            |url: String| ask(Request::new("GET", url).header("x-aws-ec2-metadata-token", &token));
        let names = get(roles.clone())?;
        let names = String::from_utf8_lossy(&names.body).into_owned();
        let role = names.lines().next()?.trim();
        Offered::read(&get(format!("{roles}{role}"))?)
    }
}

/// Whether somebody listens there; nobody waits long to learn that nobody does.
fn answers_soon(base: &str) -> bool {
    use std::net::{TcpStream, ToSocketAddrs as _};
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let Ok(mut addresses) = host.to_socket_addrs() else { return false };
    addresses.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn from_environment() -> Option<Held> {
    let id = variable("AWS_ACCESS_KEY_ID").or_else(|| variable("AWS_ACCESS_KEY"))?;
    let secret = variable("AWS_SECRET_ACCESS_KEY").or_else(|| variable("AWS_SECRET_KEY"))?;
    let token = variable("AWS_SESSION_TOKEN").unwrap_or_default();
    Some(Held { keys: Keys { id, secret: secret.into(), token: token.into() }, until: None })
}

/// Keys as the services of a machine offer them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Offered {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Timestamp,
}

impl Offered {
    fn read(answer: &Answer) -> Option<Held> {
        let offered: Self = serde_json::from_slice(&answer.body).ok()?;
        Some(Held {
            keys: Keys {
                id: offered.access_key_id,
                secret: offered.secret_access_key.into(),
                token: offered.token.into(),
            },
            until: Some(offered.expiration),
        })
    }
}

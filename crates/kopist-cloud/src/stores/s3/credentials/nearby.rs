//! Keys that the place we run in has for us: the agent of a container (ECS, EKS Pod Identity),
//! and the metadata service of a machine at AWS.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use kopist_blob::{BlobError, Operation};
use serde::Deserialize;

use super::super::sign::Keys;
use super::{Credentials, Variables};
use crate::http::{Answer, Client, Failure, Request};
use crate::renewed::Lent;
use crate::settings::{Secret, is_sendable};
use crate::site::{Meaning, Refusal, Site};

/// How long the metadata service, which is next to us, may take for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who gives a container its keys.
pub(super) struct Container {
    url: String,
    token: Proof,
}

/// What the agent of a container wants to see.
enum Proof {
    Nothing,
    Token(Secret),
    /// A file with a token that somebody keeps fresh.
    File(String),
}

/// The metadata service of a machine.
pub(super) struct Machine {
    /// None if it is not to be asked.
    base: Option<String>,
    /// It has given us keys, so there is one.
    known: AtomicBool,
}

/// Keys as these services offer them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Offered {
    access_key_id: String,
    secret_access_key: Secret,
    token: Secret,
    expiration: Timestamp,
}

impl Container {
    pub(super) fn find(variable: Variables<'_>) -> Option<Self> {
        let url = match variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            Some(path) => format!("http://169.254.170.2{path}"),
            None => variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")?,
        };
        let token = match variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            Some(file) => Proof::File(file),
            None => match variable("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
                Some(token) => Proof::Token(token.into()),
                None => Proof::Nothing,
            },
        };
        Some(Self { url, token })
    }
}

impl Machine {
    pub(super) fn new(variable: Variables<'_>) -> Self {
        let disabled = variable("AWS_EC2_METADATA_DISABLED")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let base = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT")
            .unwrap_or_else(|| "http://169.254.169.254".to_owned());
        let base = (!disabled).then(|| base.trim_end_matches('/').to_owned());
        Self { base, known: AtomicBool::new(false) }
    }
}

impl Credentials {
    pub(super) fn of_container(&self, container: &Container) -> Result<Lent<Keys>, BlobError> {
        let site = self.site.at("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        let mut request = Request::new("GET", &container.url);
        let (name, token) = match &container.token {
            Proof::Nothing => ("", None),
            Proof::Token(token) => {
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", Some(token.expose().to_owned()))
            }
            Proof::File(file) => {
                let name = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
                let token = std::fs::read_to_string(file)
                    .map_err(|error| site.invalid(format!("{name}, {file}: {error}")))?;
                (name, Some(token))
            }
        };
        if let Some(token) = token {
            if !is_sendable(token.trim()) {
                return Err(site.invalid(format!("{name} has a character that no token has")));
            }
            request = request.header("authorization", token.trim());
        }
        let target = site.target();
        let client = Client::new(&container.url, &self.trust, site)?;
        let answer = client.send(&request, Operation::Open, &target)?;
        let site = client.site();
        if !answer.is_success() {
            return Err(site.refused(&Refusal::by_status(&answer), Operation::Open, &target));
        }
        Offered::read(&answer)
            .ok_or_else(|| site.nonsense("no keys in it", Operation::Open, &target))
    }

    /// Elsewhere than at AWS nobody answers, or something else does: then there are no keys. But
    /// once there were some, there will be again.
    pub(super) fn of_machine(&self, machine: &Machine) -> Result<Lent<Keys>, BlobError> {
        let known = machine.known.load(Ordering::Relaxed);
        let site = self.site.at("AWS_EC2_METADATA_SERVICE_ENDPOINT");
        let found = match &machine.base {
            Some(base) if known || answers_soon(base) => self.ask_machine(base, &site)?,
            _ => None,
        };
        if let Some(lent) = found {
            machine.known.store(true, Ordering::Relaxed);
            return Ok(lent);
        }
        if known {
            let what = "it has no keys any more";
            return Err(site.nonsense(what, Operation::Open, &site.target()));
        }
        Err(site.no_credentials(
            "--access-key and --secret-access-key are empty, and neither the environment nor \
             this machine has any",
        ))
    }

    /// None if it says that there is nothing.
    fn ask_machine(&self, base: &str, site: &Site) -> Result<Option<Lent<Keys>>, BlobError> {
        let target = site.target();
        let client = Client::new(base, &self.trust, site.clone())?;
        let told = |answer: Result<Answer, Failure>| match answer {
            Ok(answer) if answer.is_success() => Ok(Some(answer)),
            Ok(answer) => {
                let refusal = Refusal::by_status(&answer);
                if refusal.meaning == Meaning::Passing {
                    return Err(site.refused(&refusal, Operation::Open, &target));
                }
                Ok(None)
            }
            Err(failure) => Err(site.unreachable(base, &failure, Operation::Open, &target)),
        };
        let text = |answer: Answer| String::from_utf8_lossy(&answer.body).trim().to_owned();

        let request = Request::new("PUT", format!("{base}/latest/api/token"))
            .header("x-aws-ec2-metadata-token-ttl-seconds", "21600")
            .body(&[]);
        let token = match client.exchange_within(&request, PATIENCE) {
            // The answer to this one reaches no container that is more hops away than the
            // machine allows; the first version of the service asks for no token.
            Err(Failure::Silence) => None,
            answer => match told(answer)? {
                Some(answer) => Some(text(answer)),
                None => return Ok(None),
            },
        };
        let get = |url: &str| {
            let mut request = Request::new("GET", url);
            if let Some(token) = &token {
                request = request.header("x-aws-ec2-metadata-token", token);
            }
            told(client.exchange_within(&request, PATIENCE))
        };
        let roles = format!("{base}/latest/meta-data/iam/security-credentials/");
        let Some(names) = get(&roles)?.map(text) else { return Ok(None) };
        let Some(role) = names.lines().next() else { return Ok(None) };
        let Some(answer) = get(&format!("{roles}{}", role.trim()))? else { return Ok(None) };
        let lent = Offered::read(&answer);
        lent.map(Some).ok_or_else(|| site.nonsense("no keys in it", Operation::Open, &target))
    }
}

/// Whether somebody listens there; nobody waits long to learn that nobody does.
fn answers_soon(base: &str) -> bool {
    let host = base.split_once("://").map_or(base, |(_, host)| host);
    let host = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let Ok(mut addresses) = host.to_socket_addrs() else { return false };
    addresses.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok())
}

impl Offered {
    fn read(answer: &Answer) -> Option<Lent<Keys>> {
        let offered: Self = serde_json::from_slice(&answer.body).ok()?;
        let thing = Keys {
            id: offered.access_key_id,
            secret: offered.secret_access_key,
            token: offered.token,
        };
        Some(Lent { thing, until: Some(offered.expiration) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU16;

    use super::super::tests::find;
    use super::*;
    use kopist_testkit::proxy::{Asked, Stub};
    use serde_json::json;

    /// A machine with a role.
    fn machine(asked: &Asked) -> (u16, String) {
        let offered = json!({
            "AccessKeyId": "k", "SecretAccessKey": "s", "Token": "t",
            "Expiration": "2099-01-01T00:00:00Z",
        });
        match asked.target.as_str() {
            "/latest/api/token" => (200, "the-token".to_owned()),
            "/latest/meta-data/iam/security-credentials/" => (200, "role\n".to_owned()),
            "/latest/meta-data/iam/security-credentials/role" => (200, offered.to_string()),
            _ => (404, String::new()),
        }
    }

    fn of(base: &str) -> Credentials {
        find(&json!({}), &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", base)]).unwrap()
    }

    #[test]
    fn a_metadata_service_that_stumbles_is_asked_again() {
        let status = Arc::new(AtomicU16::new(503));
        let told = Arc::clone(&status);
        let stub = Stub::start(move |asked| match told.load(Ordering::Relaxed) {
            200 => machine(asked),
            status => (status, String::new()),
        });
        let credentials = of(&stub.url());
        // It listens, so it is there.
        assert!(credentials.keys().unwrap_err().is_retriable());
        status.store(200, Ordering::Relaxed);
        let keys = credentials.keys().unwrap();
        assert_eq!(keys.id, "k");
        credentials.forget(&keys);
        // What would say that there is nothing says nothing once there was something.
        for refusal in [503, 429, 404, 401] {
            status.store(refusal, Ordering::Relaxed);
            assert!(credentials.keys().unwrap_err().is_retriable(), "{refusal}");
        }
        drop(stub);
        assert!(credentials.keys().unwrap_err().is_retriable());
    }

    #[test]
    fn elsewhere_there_are_no_keys() {
        let other = Stub::start(|_| (404, String::new()));
        let free = kopist_testkit::servers::free_port();
        for base in [other.url(), format!("http://127.0.0.1:{free}")] {
            let error = of(&base).keys().unwrap_err();
            assert!(!error.is_retriable() && error.to_string().contains("--access-key"), "{error}");
        }
    }

    #[test]
    fn where_no_token_arrives_none_is_shown() {
        let stub = Stub::start(|asked| {
            if asked.method == "PUT" {
                std::thread::sleep(10 * PATIENCE);
            }
            machine(asked)
        });
        assert_eq!(of(&stub.url()).keys().unwrap().id, "k");
        let asked = stub.asked();
        assert!(asked.iter().all(|asked| asked.header("x-aws-ec2-metadata-token").is_none()));
    }
}

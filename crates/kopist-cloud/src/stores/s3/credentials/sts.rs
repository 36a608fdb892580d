//! The security token service, which lends keys for a role to those who may take it.

use std::time::Duration;

use kopist_blob::{BlobError, Operation};
use sha2::{Digest, Sha256};

use super::super::config::Config;
use super::super::sign::{Draft, Keys, Scope, sent_host, sign};
use super::{Credentials, Variables};
use crate::http::{Answer, Client, Request, query};
use crate::renewed::Lent;
use crate::site::{Meaning, Refusal, Site};
use crate::xml::Element;

/// The role's own default.
const USUAL_DURATION: Duration = Duration::from_hours(1);

const FORM: &str = "application/x-www-form-urlencoded";

/// A role, and where it is taken.
pub(super) struct Role {
    arn: String,
    session: String,
    duration: Duration,
    /// Scheme and host.
    base: String,
    /// As it is sent.
    host: String,
    region: String,
}

/// A role for whoever has the token in a file, as Kubernetes gives it to a service account.
pub(super) struct WebIdentity {
    file: String,
    arn: String,
    session: String,
    url: String,
}

fn or(text: &str, usual: &str) -> String {
    if text.is_empty() { usual.to_owned() } else { text.to_owned() }
}

impl Role {
    /// `roleEndpoint` may lack the scheme. What follows the host does not count: kopia asks for
    /// `/` whatever it is (minio-go).
    pub(super) fn new(config: &Config) -> Self {
        let endpoint = or(&config.role_endpoint, "https://sts.amazonaws.com");
        let usual = if config.do_not_use_tls { "http" } else { "https" };
        let (scheme, rest) = endpoint.split_once("://").unwrap_or((usual, &endpoint));
        let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = sent_host(host, scheme == "https");
        Self {
            arn: config.role_arn.clone(),
            session: or(&config.session_name, "kopist"),
            duration: if config.duration.is_zero() { USUAL_DURATION } else { config.duration },
            base: format!("{scheme}://{host}"),
            host: host.to_owned(),
            region: or(&config.role_region, "us-east-1"),
        }
    }
}

impl WebIdentity {
    pub(super) fn find(variable: Variables<'_>) -> Option<Self> {
        let file = variable("AWS_WEB_IDENTITY_TOKEN_FILE")?;
        let arn = variable("AWS_ROLE_ARN")?;
        let session = variable("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "kopist".to_owned());
        let url = variable("AWS_ENDPOINT_URL_STS").unwrap_or_else(|| {
            let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
            match region {
                Some(region) if region.starts_with("cn-") => {
                    format!("https://sts.{region}.amazonaws.com.cn")
                }
                Some(region) => format!("https://sts.{region}.amazonaws.com"),
                None => "https://sts.amazonaws.com".to_owned(),
            }
        });
        Some(Self { file, arn, session, url })
    }
}

impl Credentials {
    /// kopia:repo/blob/s3 leaves this to minio-go: one signed POST.
    pub(super) fn assume(&self, keys: &Keys, role: &Role) -> Result<Lent<Keys>, BlobError> {
        let seconds = role.duration.as_secs().to_string();
        let form = query(&[
            ("Action", "AssumeRole"),
            ("DurationSeconds", &seconds),
            ("RoleArn", &role.arn),
            ("RoleSessionName", &role.session),
            ("Version", "2011-06-15"),
        ]);
        let headers = vec![("content-type".to_owned(), FORM.to_owned())];
        let hash = hex::encode(Sha256::digest(&form));
        let draft = Draft {
            method: "POST",
            host: &role.host,
            path: "/",
            query: &[],
            headers: &headers,
            body_hash: &hash,
        };
        let scope = Scope { service: "sts", region: &role.region, time: crate::clock::now() };
        let mut request = Request::new("POST", format!("{}/", role.base));
        request.headers = headers.iter().cloned().chain(sign(&draft, keys, scope)).collect();
        let site = self.site.at("roleEndpoint");
        self.sts(site, request, &form, "AssumeRole")
    }

    pub(super) fn by_web_identity(&self, identity: &WebIdentity) -> Result<Lent<Keys>, BlobError> {
        let file = &identity.file;
        let token = std::fs::read_to_string(file).map_err(|error| {
            self.site.invalid(format!("AWS_WEB_IDENTITY_TOKEN_FILE, {file}: {error}"))
        })?;
        let form = query(&[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", &identity.arn),
            ("RoleSessionName", &identity.session),
            ("Version", "2011-06-15"),
            ("WebIdentityToken", token.trim()),
        ]);
        let request = Request::new("POST", format!("{}/", identity.url.trim_end_matches('/')))
            .header("content-type", FORM);
        let site = self.site.at("AWS_ENDPOINT_URL_STS and AWS_REGION");
        self.sts(site, request, &form, "AssumeRoleWithWebIdentity")
    }

    fn sts(
        &self,
        site: Site,
        request: Request<'_>,
        form: &str,
        action: &str,
    ) -> Result<Lent<Keys>, BlobError> {
        let target = site.target();
        let parts = [form.as_bytes()];
        let request = request.body(&parts);
        let client = Client::new(&request.url, &self.trust, site)?;
        let answer = client.send(&request, Operation::Open, &target)?;
        if !answer.is_success() {
            return Err(client.site().refused(&refusal(&answer), Operation::Open, &target));
        }
        let lent = Element::parse(&answer.body).ok().and_then(|root| {
            let found = root.child(&format!("{action}Result"))?.child("Credentials")?;
            let thing = Keys {
                id: found.value("AccessKeyId").to_owned(),
                secret: found.value("SecretAccessKey").to_owned().into(),
                token: found.value("SessionToken").to_owned().into(),
            };
            Some(Lent { thing, until: found.value("Expiration").parse().ok() })
        });
        lent.ok_or_else(|| client.site().nonsense("no keys in it", Operation::Open, &target))
    }
}

/// What a refusal of the service means ("Common Error Types" and the errors of each action).
fn refusal(answer: &Answer) -> Refusal {
    let root = Element::parse(&answer.body).ok();
    let error = root.as_ref().map(|root| root.child("Error").unwrap_or(root));
    let code = error.map_or("", |error| error.value("Code"));
    let message = error.map_or_else(|| answer.excerpt(), |error| error.value("Message").to_owned());
    let meaning = match code {
        _ if Meaning::of_status(answer.status) == Meaning::Passing => Meaning::Passing,
        "Throttling" | "ThrottlingException" | "IDPCommunicationError" => Meaning::Passing,
        "RequestExpired" => Meaning::Clock,
        _ if message.starts_with("Signature expired")
            || message.starts_with("Signature not yet current") =>
        {
            Meaning::Clock
        }
        "ExpiredToken" | "ExpiredTokenException" => Meaning::ExpiredCredentials,
        _ => Meaning::WrongCredentials,
    };
    Refusal::new(answer, meaning, code, &message)
}

#[cfg(test)]
mod tests {
    use super::super::tests::find;
    use super::*;
    use kopist_blob::StorageConfig;
    use kopist_testkit::proxy::Stub;
    use serde_json::{Value, json};

    fn role(endpoint: &str, plain: bool) -> Role {
        let config = json!({
            "bucket": "b", "endpoint": "e", "roleARN": "r", "roleEndpoint": endpoint,
            "doNotUseTLS": plain,
        });
        Role::new(&Config::from_storage(&StorageConfig::new("s3", config)).unwrap())
    }

    #[test]
    fn the_host_that_is_signed_is_the_one_that_is_sent() {
        for (endpoint, plain, base, host) in [
            ("", false, "https://sts.amazonaws.com", "sts.amazonaws.com"),
            ("https://h:443", true, "https://h", "h"),
            ("http://h:80/", false, "http://h", "h"),
            ("http://h:443/p/q", false, "http://h:443", "h:443"),
            ("h:8080", true, "http://h:8080", "h:8080"),
            ("h", false, "https://h", "h"),
        ] {
            let role = role(endpoint, plain);
            assert_eq!((role.base.as_str(), role.host.as_str()), (base, host), "{endpoint}");
        }
    }

    #[test]
    fn each_region_has_its_service() {
        let url = |region: &str| {
            let variable = |name: &str| match name {
                "AWS_REGION" => Some(region.to_owned()),
                "AWS_WEB_IDENTITY_TOKEN_FILE" | "AWS_ROLE_ARN" => Some("x".to_owned()),
                _ => None,
            };
            WebIdentity::find(&variable).unwrap().url
        };
        assert_eq!(url("eu-west-1"), "https://sts.eu-west-1.amazonaws.com");
        assert_eq!(url("cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn");
    }

    fn with_role(endpoint: &str) -> Value {
        json!({
            "accessKeyID": "a", "secretAccessKey": "s", "roleARN": "r", "roleEndpoint": endpoint,
        })
    }

    /// The error of taking a role where this is answered.
    fn refused(status: u16, code: &str, message: &str) -> BlobError {
        let body = format!(
            "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error>\
             </ErrorResponse>"
        );
        let stub = Stub::start(move |_| (status, body.clone()));
        // What follows the host does not count.
        let credentials = find(&with_role(&format!("{}/p?q", stub.url())), &[]).unwrap();
        let error = credentials.keys().unwrap_err();
        let asked = stub.asked();
        assert_eq!(
            (asked[0].target.as_str(), asked[0].header("host")),
            ("/", Some(&*stub.address()))
        );
        error
    }

    #[test]
    fn refusals_name_what_to_change() {
        let expired = "Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z";
        for (status, code, message, part, retriable) in [
            (403, "SignatureDoesNotMatch", expired, "clock of this machine", false),
            (403, "SignatureDoesNotMatch", "The signature", "--secret-access-key", false),
            (403, "ExpiredToken", "The security token", "no longer hold", false),
            (400, "Throttling", "Rate exceeded", "Throttling", true),
            (503, "ServiceUnavailable", "", "503", true),
        ] {
            let error = refused(status, code, message);
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(error.is_retriable(), retriable, "{error}");
        }
    }

    #[test]
    fn a_service_that_is_not_there_is_named_by_its_own_setting() {
        let credentials = find(&with_role("http://127.0.0.1:1"), &[]).unwrap();
        let text = credentials.keys().unwrap_err().to_string();
        assert!(text.contains("roleEndpoint") && !text.contains("--endpoint"), "{text}");
        let file = tempfile::NamedTempFile::new().unwrap();
        let variables = [
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path().to_str().unwrap()),
            ("AWS_ROLE_ARN", "r"),
            ("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1"),
        ];
        let text = find(&json!({}), &variables).unwrap().keys().unwrap_err().to_string();
        assert!(text.contains("AWS_ENDPOINT_URL_STS"), "{text}");
    }
}

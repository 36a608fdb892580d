//! Requests to a container.

use std::sync::Arc;

use kopist_blob::{BlobError, Operation, Target};

use super::config::{Config, KIND};
use super::identity::{Identity, shared_key};
use crate::ExtraRoots;
use crate::http::{
    Answer, Ask, Client, Request, Trust, encode_path, encode_segment, http_date, length, query,
};
use crate::settings::Secret;
use crate::site::{Meaning, Refusal, Settings, Site};
use crate::xml::Element;

/// The version of the interface that we speak: the first that knows all that we ask.
const VERSION: &str = "2021-12-02";

const SETTINGS: Settings = Settings {
    address: "--storage-account and --storage-domain",
    trust: "SSL_CERT_FILE",
    credentials: "--storage-key, --sas-token, or --tenant-id, --client-id and --client-secret, \
                  --client-cert or --azure-federated-token-file",
    place: "--container",
};

/// A container, and everything needed to ask it.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    identity: Identity,
    endpoint: String,
    container: String,
}

impl Api {
    pub(super) fn new(config: &Config, roots: ExtraRoots) -> Result<Self, BlobError> {
        let name = format!("Azure: {}", config.container);
        let site = Site { kind: KIND, name, settings: SETTINGS, roots };
        let endpoint = config.endpoint();
        let identity = Identity::new(config, &site)?;
        let site = site.with(identity.setting());
        let client = Client::new(&endpoint, &Trust::System, site)?;
        Ok(Self { client, identity, endpoint, container: encode_segment(&config.container) })
    }

    pub(super) fn site(&self) -> &Site {
        self.client.site()
    }

    /// Sends a request; if its token has expired, once more with a new one.
    pub(super) fn send(
        &self,
        ask: &Ask<'_>,
        operation: Operation,
        target: &Target,
    ) -> Result<Answer, BlobError> {
        let token = self.token()?;
        let answer = self.attempt(ask, token.as_deref(), operation, target)?;
        match (&self.identity, token) {
            (Identity::Token(source), Some(token)) if answer.status == 401 => {
                source.forget(&token);
                self.attempt(ask, self.token()?.as_deref(), operation, target)
            }
            _ => Ok(answer),
        }
    }

    /// The token that shows who we are, if that is how it is shown.
    fn token(&self) -> Result<Option<Arc<Secret>>, BlobError> {
        match &self.identity {
            Identity::Token(source) => source.token().map(Some),
            _ => Ok(None),
        }
    }

    fn attempt(
        &self,
        ask: &Ask<'_>,
        token: Option<&Secret>,
        operation: Operation,
        target: &Target,
    ) -> Result<Answer, BlobError> {
        let path = if ask.key.is_empty() {
            format!("/{}", self.container)
        } else {
            format!("/{}/{}", self.container, encode_path(ask.key))
        };
        let mut headers = ask.headers.clone();
        headers.push(("x-ms-date".to_owned(), http_date(crate::clock::now())));
        headers.push(("x-ms-version".to_owned(), VERSION.to_owned()));
        let mut question = query(ask.query);
        match &self.identity {
            Identity::Sas(token) => {
                if !question.is_empty() {
                    question.push('&');
                }
                question.push_str(token.expose());
            }
            Identity::Key { account, key } => {
                let length = length(ask.body.unwrap_or_default());
                let signature =
                    shared_key(account, key, ask.method, &path, ask.query, &headers, length);
                headers.push(("authorization".to_owned(), signature));
            }
            Identity::Token(_) => {}
        }
        if let Some(token) = token {
            headers.push(("authorization".to_owned(), format!("Bearer {}", token.expose())));
        }
        let mut url = format!("{}{path}", self.endpoint);
        if !question.is_empty() {
            url.push('?');
            url.push_str(&question);
        }
        let request = Request { headers, body: ask.body, ..Request::new(ask.method, url) };
        self.client.send(&request, operation, target)
    }

    /// Sends a request whose refusal is always an error.
    pub(super) fn succeed(
        &self,
        ask: &Ask<'_>,
        operation: Operation,
        target: &Target,
    ) -> Result<Answer, BlobError> {
        let answer = self.send(ask, operation, target)?;
        if answer.is_success() { Ok(answer) } else { Err(self.refused(&answer, operation, target)) }
    }

    pub(super) fn refused(
        &self,
        answer: &Answer,
        operation: Operation,
        target: &Target,
    ) -> BlobError {
        self.site().refused(&refusal(answer, operation), operation, target)
    }
}

/// The code with which the service refuses.
pub(super) fn code_of(answer: &Answer) -> String {
    if let Some(code) = answer.header("x-ms-error-code") {
        return code.to_owned();
    }
    Element::parse(&answer.body).map(|root| root.value("Code").to_owned()).unwrap_or_default()
}

fn refusal(answer: &Answer, operation: Operation) -> Refusal {
    let code = code_of(answer);
    let root = Element::parse(&answer.body).unwrap_or_default();
    let detail = root.value("AuthenticationErrorDetail");
    let message = if detail.is_empty() { root.value("Message") } else { detail };
    // The first line says it, the others are for support.
    let message = message.lines().next().unwrap_or_default();
    let meaning = match code.as_str() {
        "BlobNotFound" => Meaning::Missing,
        "InvalidRange" => Meaning::OutOfRange,
        "BlobAlreadyExists" | "ConditionNotMet" if operation == Operation::Put => Meaning::Exists,
        "ContainerNotFound"
        | "ContainerBeingDeleted"
        | "ContainerDisabled"
        | "InvalidResourceName" => Meaning::NoPlace,
        "AuthenticationFailed"
            if message.contains("x-ms-date")
                || message.contains("Date header")
                || message.contains("Request date header too old") =>
        {
            Meaning::Clock
        }
        "AuthenticationFailed"
            if message.contains("expir")
                || message.contains("Signed expiry")
                // "Signature not valid in the specified time frame: Start [] - Expiry [] - …"
                || message.contains("specified time frame") =>
        {
            Meaning::ExpiredCredentials
        }
        "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" => {
            Meaning::WrongCredentials
        }
        "AuthorizationFailure"
        | "AuthorizationPermissionMismatch"
        | "AuthorizationProtocolMismatch"
        | "AuthorizationSourceIPMismatch"
        | "AuthorizationServiceMismatch"
        | "AuthorizationResourceTypeMismatch"
        | "InsufficientAccountPermissions"
        | "AccountIsDisabled" => Meaning::Denied,
        "AccountLimitExceeded" | "QuotaExceeded" => Meaning::Full,
        "Md5Mismatch" | "ServerBusy" | "InternalError" | "OperationTimedOut" => Meaning::Passing,
        // A HEAD has no body to tell more.
        "" if answer.status == 404 => Meaning::Missing,
        _ => match Meaning::of_status(answer.status) {
            Meaning::Missing | Meaning::Exists => Meaning::Lasting,
            meaning => meaning,
        },
    };
    Refusal::new(answer, meaning, &code, message)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::identity::{Proof, TokenSource};
    use super::*;
    use crate::site::tests::site;
    use kopist_testkit::proxy::Stub;

    #[test]
    fn a_token_that_many_requests_find_expired_is_renewed_once() {
        let sold = AtomicUsize::new(0);
        // They have all been sent before the first hears of it.
        let together = Barrier::new(8);
        let stub = Stub::start(move |asked| {
            if asked.method == "POST" {
                let number = sold.fetch_add(1, Ordering::Relaxed);
                let token = serde_json::json!({
                    "access_token": format!("t{number}"), "expires_in": 3600,
                });
                return (200, token.to_string());
            }
            if asked.header("authorization") == Some("Bearer t0") {
                together.wait();
                return (401, String::new());
            }
            (200, String::new())
        });
        let proof = Proof::Secret("s".to_owned().into());
        let source = TokenSource::new(stub.url(), "c", proof, site());
        let api = Api {
            client: Client::new(&stub.url(), &Trust::System, site()).unwrap(),
            identity: Identity::Token(Box::new(source)),
            endpoint: stub.url(),
            container: "c".to_owned(),
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let ask = || api.succeed(&Ask::new("GET", ""), Operation::List, &site().target());
                scope.spawn(move || ask().map(|_| ()).unwrap());
            }
        });
        let bought = stub.asked().iter().filter(|asked| asked.method == "POST").count();
        assert_eq!(bought, 2);
    }

    #[test]
    fn signatures_that_have_expired_are_told_as_such() {
        let stub = Stub::start(|_| {
            let detail = "Signature not valid in the specified time frame: Start [Thu, 01 Jan \
                          2026 00:00:00 GMT] - Expiry [Fri, 02 Jan 2026 00:00:00 GMT]";
            let body = format!(
                "<Error><Code>AuthenticationFailed</Code><Message>m</Message>\
                 <AuthenticationErrorDetail>{detail}</AuthenticationErrorDetail></Error>"
            );
            (403, body)
        });
        let config = Config { sas_token: "sig=hunter2".to_owned().into(), ..Config::default() };
        let api = Api {
            client: Client::new(&stub.url(), &Trust::System, site()).unwrap(),
            identity: Identity::new(&config, &site()).unwrap(),
            endpoint: stub.url(),
            container: "c".to_owned(),
        };
        let error = api.succeed(&Ask::new("GET", ""), Operation::List, &site().target());
        let text = error.err().unwrap().to_string();
        assert!(text.contains("no longer hold") && !text.contains("hunter2"), "{text}");
    }
}

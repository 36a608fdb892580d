//! Requests to a container.

use kopist_blob::{BlobError, Operation, Target};

use super::config::{Config, KIND};
use super::identity::{Identity, shared_key};
use crate::ExtraRoots;
use crate::http::{
    Answer, Ask, Client, Request, Trust, encode_path, encode_segment, http_date, length, query,
};
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
        let answer = self.attempt(ask, operation, target)?;
        if answer.status == 401 && self.identity.forget() {
            return self.attempt(ask, operation, target);
        }
        Ok(answer)
    }

    fn attempt(
        &self,
        ask: &Ask<'_>,
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
            Identity::Token(source) => {
                headers.push(("authorization".to_owned(), source.header()?));
            }
        }
        let mut url = format!("{}{path}", self.endpoint);
        if !question.is_empty() {
            url.push('?');
            url.push_str(&question);
        }
        let request = Request { method: ask.method, url, headers, body: ask.body };
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
            if message.contains("expir") || message.contains("Signed expiry") =>
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

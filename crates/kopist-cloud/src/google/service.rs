//! Google's services: requests with a token, answers in JSON.

use kopist_blob::{BlobError, Operation, Target};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Identity;
use crate::http::{Answer, Client, Request, Trust};
use crate::site::{Meaning, Refusal, Site};

/// The reason and the message with which Google's services refuse:
/// `{"error": {"code", "message", "errors": [{"reason"}]}}`.
fn reason_and_message(answer: &Answer) -> (String, String) {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = |path| body.pointer(path).and_then(Value::as_str);
    let reason = text("/error/errors/0/reason").or_else(|| text("/error/status"));
    (reason.unwrap_or_default().to_owned(), text("/error/message").unwrap_or_default().to_owned())
}

/// The reason alone; empty if there is none.
pub(crate) fn reason(answer: &Answer) -> String {
    reason_and_message(answer).0
}

fn refusal(answer: &Answer) -> Refusal {
    let (reason, message) = reason_and_message(answer);
    let meaning = match reason.as_str() {
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
    let message = if message.is_empty() { answer.excerpt() } else { message };
    Refusal::new(answer, meaning, &reason, &message)
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
            let token = self.identity.token()?;
            if let Some(token) = &token {
                request = request.header("authorization", format!("Bearer {}", token.expose()));
            }
            let answer = self.client.send(&Request { body, ..request }, operation, target)?;
            match token {
                Some(token) if answer.status == 401 && !renewed => self.identity.forget(&token),
                _ => return Ok(answer),
            }
            renewed = true;
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

    /// The JSON of an answer, or what its refusal means.
    pub(crate) fn read<T: DeserializeOwned>(
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
    pub(crate) fn multipart(
        &self,
        method: &'static str,
        url: &str,
        resource: &Value,
        data: &[&[u8]],
        operation: Operation,
        target: &Target,
    ) -> Result<Answer, BlobError> {
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
        self.send(method, url, &prepare, Some(&parts), operation, target)
    }

    /// Sends what is known of an object, and then the object itself to the address that the
    /// answer names. If that is refused or breaks off, the whole is to be done again.
    #[cfg(feature = "gdrive")]
    pub(crate) fn resumable(
        &self,
        method: &'static str,
        url: &str,
        resource: &Value,
        data: &[&[u8]],
        operation: Operation,
        target: &Target,
    ) -> Result<Answer, BlobError> {
        let again = |what: &str| {
            let text = format!("{what}; it must be sent again from its start");
            self.site().remote(operation, target, true, text)
        };
        let text = resource.to_string();
        let length = crate::http::length(data).to_string();
        let announce = |request: Request<'static>| {
            request
                .header("content-type", "application/json; charset=UTF-8")
                .header("x-upload-content-type", "application/octet-stream")
                .header("x-upload-content-length", length.as_str())
        };
        let answer =
            self.send(method, url, &announce, Some(&[text.as_bytes()]), operation, target)?;
        if !answer.is_success() {
            return Err(self.refused(&answer, operation, target));
        }
        // The token goes nowhere but to the service itself.
        let place = match answer.header("location") {
            Some(place) if place.starts_with(&self.url("/")) => place.to_owned(),
            _ => {
                let what = "it names no place of its own for an upload";
                return Err(self.site().nonsense(what, operation, target));
            }
        };
        let prepare =
            |request: Request<'static>| request.header("content-type", "application/octet-stream");
        let answer = self.send("PUT", &place, &prepare, Some(data), operation, target)?;
        match answer.status {
            308 => Err(again("the server has taken a part of the upload only")),
            404 | 410 => Err(again("the server no longer knows of the upload")),
            _ => Ok(answer),
        }
    }
}

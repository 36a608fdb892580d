//! Requests to B2. A key buys a token for a day and the addresses to use it at; an upload needs
//! an address and a token of its own, which serve one upload at a time.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kopist_blob::{BlobError, Operation, Target};
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::config::{Config, KIND};
use super::meaning_of;
use crate::ExtraRoots;
use crate::http::{Answer, Client, Request, Trust, encode_path};
use crate::settings::Secret;
use crate::site::{Meaning, Refusal, Settings, Site};

const SETTINGS: Settings = Settings {
    address: "the address of B2",
    trust: "SSL_CERT_FILE",
    credentials: "--key-id and --key",
    place: "--bucket",
};

/// A bucket, and everything needed to ask it.
#[derive(Debug)]
pub(super) struct Api {
    config: Config,
    client: Client,
    session: Mutex<Option<Arc<Session>>>,
    bucket_id: Mutex<Option<String>>,
    /// Places to upload to that nobody uses now.
    places: Mutex<Vec<Place>>,
}

/// What a key has bought.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    account_id: String,
    api_url: String,
    download_url: String,
    authorization_token: Secret,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    upload_url: String,
    authorization_token: Secret,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Buckets {
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bucket {
    bucket_id: String,
    bucket_name: String,
}

/// How B2 refuses.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Trouble {
    code: String,
    message: String,
}

impl Api {
    pub(super) fn new(config: Config, roots: ExtraRoots) -> Result<Self, BlobError> {
        let name = format!("B2: {}", config.bucket);
        let site = Site { kind: KIND, name, settings: SETTINGS, roots };
        let client = Client::new(&config.endpoint, &Trust::System, site)?;
        Ok(Self {
            config,
            client,
            session: Mutex::default(),
            bucket_id: Mutex::default(),
            places: Mutex::default(),
        })
    }

    pub(super) fn site(&self) -> &Site {
        self.client.site()
    }

    fn refused(&self, answer: &Answer, operation: Operation, target: &Target) -> BlobError {
        let refusal = refusal(answer);
        self.site().refused(&refusal, operation, target)
    }

    fn read<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        operation: Operation,
        target: &Target,
    ) -> Result<T, BlobError> {
        serde_json::from_slice(&answer.body)
            .map_err(|error| self.site().nonsense(error, operation, target))
    }

    fn session(&self, operation: Operation, target: &Target) -> Result<Arc<Session>, BlobError> {
        // Held while a new one is bought, so that only one thread does it.
        let mut held = self.session.lock();
        if let Some(session) = &*held {
            return Ok(Arc::clone(session));
        }
        let pair = format!("{}:{}", self.config.key_id, self.config.key.expose());
        let url = format!("{}/b2api/v1/b2_authorize_account", self.config.endpoint);
        let request = Request::new("GET", url)
            .header("authorization", format!("Basic {}", STANDARD.encode(pair)));
        let answer = self.client.send(&request, operation, target)?;
        if !answer.is_success() {
            return Err(self.refused(&answer, operation, target));
        }
        let session = Arc::new(self.read::<Session>(&answer, operation, target)?);
        *held = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Sends a request with the token; if it has expired, once more with a new one.
    fn send(
        &self,
        make: &dyn Fn(&Session) -> Request<'static>,
        body: Option<&[&[u8]]>,
        operation: Operation,
        target: &Target,
    ) -> Result<Answer, BlobError> {
        let mut renewed = false;
        loop {
            let session = self.session(operation, target)?;
            let request =
                make(&session).header("authorization", session.authorization_token.expose());
            let answer = self.client.send(&Request { body, ..request }, operation, target)?;
            if answer.status != 401 || renewed {
                return Ok(answer);
            }
            renewed = true;
            let mut held = self.session.lock();
            if held.as_ref().is_some_and(|known| Arc::ptr_eq(known, &session)) {
                *held = None;
            }
        }
    }

    /// Asks a question in JSON.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        name: &str,
        question: &Value,
        operation: Operation,
        target: &Target,
    ) -> Result<T, BlobError> {
        let body = question.to_string();
        let parts = [body.as_bytes()];
        let make = |session: &Session| {
            Request::new("POST", format!("{}/b2api/v1/{name}", session.api_url))
        };
        let answer = self.send(&make, Some(&parts), operation, target)?;
        if !answer.is_success() {
            return Err(self.refused(&answer, operation, target));
        }
        self.read(&answer, operation, target)
    }

    /// The id of the bucket.
    pub(super) fn bucket_id(
        &self,
        operation: Operation,
        target: &Target,
    ) -> Result<String, BlobError> {
        if let Some(known) = &*self.bucket_id.lock() {
            return Ok(known.clone());
        }
        let account = self.session(operation, target)?.account_id.clone();
        let question = json!({"accountId": account, "bucketName": self.config.bucket});
        let found: Buckets = self.ask("b2_list_buckets", &question, operation, target)?;
        let bucket =
            found.buckets.into_iter().find(|bucket| bucket.bucket_name == self.config.bucket);
        let Some(bucket) = bucket else {
            return Err(self.site().invalid(format!(
                "there is no bucket {:?}, or {} may not see it; check {}",
                self.config.bucket, SETTINGS.credentials, SETTINGS.place
            )));
        };
        *self.bucket_id.lock() = Some(bucket.bucket_id.clone());
        Ok(bucket.bucket_id)
    }

    /// Reads a file; the error is the answer that the range does not exist.
    pub(super) fn download(
        &self,
        name: &str,
        range: Option<(u64, u64)>,
        target: &Target,
    ) -> Result<Result<Answer, Answer>, BlobError> {
        let path = format!("/file/{}/{}", encode_path(&self.config.bucket), encode_path(name));
        let make = |session: &Session| {
            Request::new("GET", format!("{}{path}", session.download_url)).range(range)
        };
        let answer = self.send(&make, None, Operation::Get, target)?;
        match answer.status {
            200 | 206 => Ok(Ok(answer)),
            416 => Ok(Err(answer)),
            _ => Err(self.refused(&answer, Operation::Get, target)),
        }
    }

    /// Writes a file.
    pub(super) fn upload<T: DeserializeOwned>(
        &self,
        name: &str,
        data: &[&[u8]],
        info: Option<(&str, String)>,
        target: &Target,
    ) -> Result<T, BlobError> {
        let operation = Operation::Put;
        let idle = self.places.lock().pop();
        let place = if let Some(place) = idle {
            place
        } else {
            let question = json!({"bucketId": self.bucket_id(operation, target)?});
            self.ask("b2_get_upload_url", &question, operation, target)?
        };
        let mut hash = Sha1::new();
        for part in data {
            hash.update(part);
        }
        let hash = hex::encode(hash.finalize());
        let mut request = Request::new("POST", &place.upload_url)
            .header("authorization", place.authorization_token.expose())
            .header("content-type", "b2/x-auto")
            .header("x-bz-file-name", encode_path(name))
            .header("x-bz-content-sha1", hash.as_str())
            .body(data);
        if let Some((name, value)) = info {
            request = request.header(&format!("x-bz-info-{name}"), value);
        }
        // A place that failed is not used again; B2 asks for that.
        let answer = self.client.send(&request, operation, target)?;
        if !answer.is_success() {
            let mut refusal = refusal(&answer);
            if matches!(answer.status, 401 | 503) {
                // Tokens live for a day, and those of the other places are hardly younger.
                self.places.lock().clear();
            }
            if answer.status == 401 {
                // The token of the place has expired, which says nothing of the key.
                refusal.meaning = Meaning::Passing;
            }
            return Err(self.site().refused(&refusal, operation, target));
        }
        let told: Value = self.read(&answer, operation, target)?;
        if told.get("contentSha1").and_then(Value::as_str).is_some_and(|told| told != hash) {
            return Err(self.site().nonsense("it stored other bytes", operation, target));
        }
        self.places.lock().push(place);
        serde_json::from_value(told).map_err(|error| self.site().nonsense(error, operation, target))
    }
}

fn refusal(answer: &Answer) -> Refusal {
    let trouble: Trouble = serde_json::from_slice(&answer.body).unwrap_or_default();
    let meaning = meaning_of(&trouble.code, answer.status);
    Refusal::new(answer, meaning, &trouble.code, &trouble.message)
}

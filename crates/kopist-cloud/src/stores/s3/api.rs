//! Requests to a bucket: addresses, signatures, regions, and what refusals mean.

use std::sync::Arc;

use kopist_blob::{BlobError, Operation, Target};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::config::Config;
use super::credentials::{Credentials, environment};
use super::sign::{Draft, EMPTY_HASH, Keys, Scope, UNSIGNED, sent_host, sign};
use crate::http::{Answer, Ask, Client, Request, encode_path, encode_query};
use crate::settings::is_sendable;
use crate::site::{Meaning, Refusal, Site};
use crate::xml::Element;

/// Where requests are signed for when nobody has said otherwise.
const USUAL_REGION: &str = "us-east-1";

/// A bucket, and everything needed to ask it.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    credentials: Credentials,
    tls: bool,
    endpoint: String,
    bucket: String,
    /// As configured, or learned from an answer.
    region: Mutex<String>,
}

/// A request that was sent once: what came of it, and what it was signed with.
struct Attempt {
    answer: Answer,
    keys: Arc<Keys>,
    region: String,
}

impl Api {
    pub(super) fn new(config: &Config, site: Site) -> Result<Self, BlobError> {
        if config.endpoint.contains("://") || config.endpoint.contains('/') {
            return Err(site.invalid(format!(
                "endpoint {:?} must be a host name, perhaps with a port, without a scheme or path",
                config.endpoint
            )));
        }
        if !is_sendable(&config.region) {
            return Err(site.invalid("--region has a character that no region has"));
        }
        let tls = !config.do_not_use_tls;
        let endpoint = sent_host(&config.endpoint, tls);
        let scheme = if tls { "https" } else { "http" };
        let trust = config.trust()?;
        let credentials = Credentials::new(config, trust.clone(), site, &environment)?;
        let site = credentials.site().clone();
        let client = Client::new(&format!("{scheme}://{endpoint}"), &trust, site)?;
        Ok(Self {
            client,
            credentials,
            tls,
            endpoint: endpoint.to_owned(),
            bucket: config.bucket.clone(),
            region: Mutex::new(config.region.clone()),
        })
    }

    pub(super) fn site(&self) -> &Site {
        self.client.site()
    }

    /// Sends a request, and returns the answer if it is one of success or refuses with one of
    /// the meanings in `expected`.
    pub(super) fn send(
        &self,
        ask: &Ask<'_>,
        operation: Operation,
        target: &Target,
        expected: &[Meaning],
    ) -> Result<Result<Answer, (Meaning, Answer)>, BlobError> {
        let (mut moved, mut renewed) = (false, false);
        loop {
            let Attempt { answer, keys, region } = self.attempt(ask, operation, target)?;
            if answer.is_success() {
                return Ok(Ok(answer));
            }
            // A bucket in another region is told of at most once. Other requests may have learned
            // it in the meantime: what counts is for which this one was signed.
            if !moved
                && let Some(told) = region_told(&answer)
                && told != region
            {
                *self.region.lock() = told;
                moved = true;
                continue;
            }
            let mut refusal = refusal(&answer, ask.key.is_empty());
            let expired = refusal.meaning == Meaning::ExpiredCredentials;
            // To a HEAD nothing is said but the status.
            let perhaps = ask.method == "HEAD" && answer.status == 400;
            if self.credentials.renewable() && (expired || perhaps) {
                if !renewed {
                    self.credentials.forget(&keys);
                    renewed = true;
                    continue;
                }
                if expired {
                    refusal.meaning = Meaning::Passing;
                    refusal.text += "; check ";
                    refusal.text += self.site().settings.credentials;
                }
            }
            if expected.contains(&refusal.meaning) {
                return Ok(Err((refusal.meaning, answer)));
            }
            return Err(self.site().refused(&refusal, operation, target));
        }
    }

    /// Sends a request whose refusal is always an error.
    pub(super) fn succeed(
        &self,
        ask: &Ask<'_>,
        operation: Operation,
        target: &Target,
    ) -> Result<Answer, BlobError> {
        match self.send(ask, operation, target, &[])? {
            Ok(answer) => Ok(answer),
            // Nothing is expected, so this is unreachable; it is an error all the same.
            Err((_, answer)) => {
                let refusal = Refusal::by_status(&answer);
                Err(self.site().refused(&refusal, operation, target))
            }
        }
    }

    fn attempt(
        &self,
        ask: &Ask<'_>,
        operation: Operation,
        target: &Target,
    ) -> Result<Attempt, BlobError> {
        let keys = self.credentials.keys()?;
        let mut region = self.region.lock().clone();
        let (host, root) = self.address(&region);
        if region.is_empty() {
            USUAL_REGION.clone_into(&mut region);
        }
        let path = format!("{root}{}", encode_path(ask.key));
        let query: Vec<(String, String)> = ask
            .query
            .iter()
            .map(|(name, value)| (encode_query(name), encode_query(value)))
            .collect();
        let hash = match ask.body {
            None => EMPTY_HASH.to_owned(),
            Some(_) if self.tls => UNSIGNED.to_owned(),
            Some(parts) => {
                let mut hash = Sha256::new();
                for part in parts {
                    hash.update(part);
                }
                hex::encode(hash.finalize())
            }
        };
        let draft = Draft {
            method: ask.method,
            host: &host,
            path: &path,
            query: &query,
            headers: &ask.headers,
            body_hash: &hash,
        };
        let scope = Scope { service: "s3", region: &region, time: crate::clock::now() };
        let signed = sign(&draft, &keys, scope);
        let scheme = if self.tls { "https" } else { "http" };
        let mut url = format!("{scheme}://{host}{path}");
        for (number, (name, value)) in query.iter().enumerate() {
            url.push(if number == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(value);
        }
        let mut request = Request::new(ask.method, url);
        request.headers = ask.headers.iter().cloned().chain(signed).collect();
        request.body = ask.body;
        let answer = self.client.send(&request, operation, target)?;
        Ok(Attempt { answer, keys, region })
    }

    /// The host to ask, and the path of the bucket on it. Only the large public services are
    /// asked at a host of the bucket's name; others often cannot be.
    fn address(&self, region: &str) -> (String, String) {
        let mut endpoint = self.endpoint.clone();
        if endpoint == "s3.amazonaws.com" && !region.is_empty() && region != USUAL_REGION {
            endpoint = format!("s3.{region}.amazonaws.com");
        }
        let hosts_buckets = ["amazonaws.com", "amazonaws.com.cn", "googleapis.com", "aliyuncs.com"]
            .iter()
            .any(|domain| endpoint.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')));
        // A certificate for *.example.com does not cover a.b.example.com.
        if hosts_buckets && !(self.tls && self.bucket.contains('.')) {
            (format!("{}.{endpoint}", self.bucket), "/".to_owned())
        } else {
            (endpoint, format!("/{}/", encode_path(&self.bucket)))
        }
    }
}

/// The region of the bucket, if a refusal tells it.
fn region_told(answer: &Answer) -> Option<String> {
    if !matches!(answer.status, 301 | 307 | 400 | 403) {
        return None;
    }
    let told = match answer.header("x-amz-bucket-region") {
        Some(region) => region.to_owned(),
        None => Element::parse(&answer.body).ok()?.value("Region").to_owned(),
    };
    (!told.is_empty()).then_some(told)
}

/// What a refusal of S3 means.
fn refusal(answer: &Answer, of_bucket: bool) -> Refusal {
    let root = Element::parse(&answer.body).unwrap_or_default();
    let (code, message) = (root.value("Code"), root.value("Message"));
    let excerpt = if code.is_empty() { answer.excerpt() } else { message.to_owned() };
    let meaning = match code {
        "NoSuchBucket" => Meaning::NoPlace,
        "NoSuchKey" | "NoSuchVersion" => Meaning::Missing,
        "InvalidRange" => Meaning::OutOfRange,
        "PreconditionFailed" => Meaning::Exists,
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            Meaning::ExpiredCredentials
        }
        _ if message.contains("The provided token has expired") => Meaning::ExpiredCredentials,
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "InvalidSecurity"
        | "NotSignedUp"
        | "XAdminUserNotFound"
        | "AuthorizationHeaderMalformed"
        | "InvalidArgument"
            if answer.status == 403 || code != "InvalidArgument" =>
        {
            Meaning::WrongCredentials
        }
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" => Meaning::Denied,
        "RequestTimeTooSkewed" | "RequestExpired" => Meaning::Clock,
        "QuotaExceeded"
        | "XMinioStorageFull"
        | "XMinioAdminBucketQuotaExceeded"
        | "InsufficientStorage" => Meaning::Full,
        "BadDigest"
        | "XAmzContentSHA256Mismatch"
        | "IncompleteBody"
        | "RequestTimeout"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "SlowDown"
        | "InternalError"
        | "ServiceUnavailable"
        | "Throttling"
        | "ThrottlingException"
        | "RequestThrottled"
        | "RequestLimitExceeded" => Meaning::Passing,
        _ => match Meaning::of_status(answer.status) {
            Meaning::Missing if of_bucket => Meaning::NoPlace,
            // Some servers say so of users: only the code of a missing object, or none, as in
            // an answer to HEAD, may be taken for one.
            Meaning::Missing if !code.is_empty() => Meaning::Lasting,
            meaning => meaning,
        },
    };
    Refusal::new(answer, meaning, code, &excerpt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::site;
    use kopist_blob::StorageConfig;
    use serde_json::json;

    /// Host and path of a bucket, as it is asked for in a region.
    fn address(endpoint: &str, bucket: &str, plain: bool, region: &str) -> String {
        let config = json!({
            "bucket": bucket, "endpoint": endpoint, "doNotUseTLS": plain,
            "accessKeyID": "a", "secretAccessKey": "s",
        });
        let config = Config::from_storage(&StorageConfig::new("s3", config)).unwrap();
        let (host, path) = Api::new(&config, site()).unwrap().address(region);
        format!("{host}{path}")
    }

    #[test]
    fn a_region_that_cannot_be_sent_is_refused() {
        let config = json!({"bucket": "b", "endpoint": "e", "region": "eu-west-1\n"});
        let config = Config::from_storage(&StorageConfig::new("s3", config)).unwrap();
        let text = Api::new(&config, site()).unwrap_err().to_string();
        assert!(text.contains("--region"), "{text}");
    }

    #[test]
    fn buckets_have_hosts_of_their_own_where_that_is_known_to_work() {
        #[rustfmt::skip]
        let cases = [
            ("s3.amazonaws.com", "b", false, "", "b.s3.amazonaws.com/"),
            ("s3.amazonaws.com:443", "b", false, "us-east-1", "b.s3.amazonaws.com/"),
            ("s3.amazonaws.com", "b", false, "eu-west-1", "b.s3.eu-west-1.amazonaws.com/"),
            ("s3.cn-north-1.amazonaws.com.cn", "b", false, "cn-north-1", "b.s3.cn-north-1.amazonaws.com.cn/"),
            ("storage.googleapis.com", "b", false, "", "b.storage.googleapis.com/"),
            ("oss-eu-central-1.aliyuncs.com", "b", false, "", "b.oss-eu-central-1.aliyuncs.com/"),
            // No certificate covers a name with another dot.
            ("s3.amazonaws.com", "a.b", false, "eu-west-1", "s3.eu-west-1.amazonaws.com/a.b/"),
            ("s3.amazonaws.com", "a.b", true, "", "a.b.s3.amazonaws.com/"),
            ("minio.example.com:9000", "b", false, "eu-west-1", "minio.example.com:9000/b/"),
            ("notamazonaws.com", "b", true, "", "notamazonaws.com/b/"),
            ("127.0.0.1:80", "b c", true, "", "127.0.0.1/b%20c/"),
        ];
        for (endpoint, bucket, plain, region, expected) in cases {
            assert_eq!(address(endpoint, bucket, plain, region), expected, "{endpoint} {region}");
        }
    }
}

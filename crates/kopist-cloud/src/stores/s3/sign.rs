//! AWS Signature Version 4, as S3 uses it: the path is encoded once, and the hash of the body is
//! a header of its own.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use crate::settings::Secret;

/// SHA-256 of nothing.
pub(super) const EMPTY_HASH: &str =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// In place of the hash of a body that TLS and `Content-MD5` protect already.
pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// A host, perhaps with a port, as it is sent and so must be signed: the usual port is left out.
pub(super) fn sent_host(host: &str, tls: bool) -> &str {
    host.strip_suffix(if tls { ":443" } else { ":80" }).unwrap_or(host)
}

/// Who signs.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: Secret,
    pub(super) token: Secret,
}

/// What is signed: everything is encoded as it will be sent.
pub(super) struct Draft<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    /// Names and values, encoded.
    pub(super) query: &'a [(String, String)],
    /// Names in lower case.
    pub(super) headers: &'a [(String, String)],
    pub(super) body_hash: &'a str,
}

/// For which service, where and when.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) time: Timestamp,
}

/// The headers to add: date, hash, token and signature.
pub(super) fn sign(draft: &Draft<'_>, keys: &Keys, scope: Scope<'_>) -> Vec<(String, String)> {
    let time = scope.time.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = time.get(..8).unwrap_or_default();
    let mut added = vec![
        ("x-amz-date".to_owned(), time.clone()),
        ("x-amz-content-sha256".to_owned(), draft.body_hash.to_owned()),
    ];
    if !keys.token.is_empty() {
        added.push(("x-amz-security-token".to_owned(), keys.token.expose().to_owned()));
    }
    let mut headers: Vec<(&str, String)> = draft
        .headers
        .iter()
        .chain(&added)
        .map(|(name, value)| (name.as_str(), value.trim().to_owned()))
        .chain([("host", draft.host.to_owned())])
        .collect();
    headers.sort();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let lines = lines.concat();
    let mut query = draft.query.to_vec();
    query.sort();
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = format!(
        "{}\n{}\n{}\n{lines}\n{names}\n{}",
        draft.method,
        draft.path,
        query.join("&"),
        draft.body_hash
    );
    let place = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let text =
        format!("AWS4-HMAC-SHA256\n{time}\n{place}\n{}", hex::encode(Sha256::digest(request)));
    let mut key = mac(format!("AWS4{}", keys.secret.expose()).as_bytes(), day);
    for part in [scope.region, scope.service, "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex::encode(mac(&key, &text));
    added.push((
        "authorization".to_owned(),
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{place}, SignedHeaders={names}, Signature={signature}",
            keys.id
        ),
    ));
    added
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of every length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of AWS's documentation, "GET Object" (sig-v4-header-based-auth).
    #[test]
    fn the_published_example() {
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned().into(),
            token: Secret::default(),
        };
        let headers = [("range".to_owned(), "bytes=0-9".to_owned())];
        let draft = Draft {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/test.txt",
            query: &[],
            headers: &headers,
            body_hash: EMPTY_HASH,
        };
        let time = "2013-05-24T00:00:00Z".parse().unwrap();
        let scope = Scope { service: "s3", region: "us-east-1", time };
        let added = sign(&draft, &keys, scope);
        let signature = &added.last().unwrap().1;
        assert_eq!(
            signature,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, \
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    /// The example "Get Bucket (List Objects)" of the same page.
    #[test]
    fn the_published_example_with_a_query() {
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned().into(),
            token: Secret::default(),
        };
        let query =
            [("prefix".to_owned(), "J".to_owned()), ("max-keys".to_owned(), "2".to_owned())];
        let draft = Draft {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/",
            query: &query,
            headers: &[],
            body_hash: EMPTY_HASH,
        };
        let time = "2013-05-24T00:00:00Z".parse().unwrap();
        let added = sign(&draft, &keys, Scope { service: "s3", region: "us-east-1", time });
        let signature = &added.last().unwrap().1;
        assert!(
            signature.ends_with(
                "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
            ),
            "{signature}"
        );
    }
}

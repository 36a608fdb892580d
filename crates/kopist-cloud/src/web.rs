//! Single requests to servers that are no stores: where metrics and reports go.
//!
//! The same client as that of the stores: its proxies, its certificates. Answers are short, and
//! nothing is repeated: who reports decides himself how important it is.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ExtraRoots;
use crate::http::{Client, Request, Trust};
use crate::settings::Secret;
use crate::site::{Settings, Site};

/// A request with everything that it needs.
#[derive(Debug)]
pub struct WebRequest<'a> {
    /// `PUT`, `POST`.
    pub method: &'static str,
    /// `http://` or `https://`; a user and a password before the host become a header.
    pub url: &'a str,
    /// Names and values; values may be credentials.
    pub headers: &'a [(String, secrecy::SecretString)],
    /// Kind of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: &'a [u8],
    /// Certificates (PEM) that are trusted besides those of the system.
    pub roots: Option<&'a [u8]>,
    /// From the first byte to the last.
    pub limit: Duration,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebAnswer {
    /// The status.
    pub status: u16,
    /// The beginning of the body in one line.
    pub text: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// Nothing to send it to.
    #[error("{0}")]
    Invalid(String),
    /// The network, or whoever is there.
    #[error("{0}")]
    Unreachable(String),
}

/// Sends one request and waits for its answer. Every status is an answer.
pub fn send(request: &WebRequest<'_>) -> Result<WebAnswer, WebError> {
    use secrecy::ExposeSecret as _;
    let address = Address::of(request.url)?;
    let settings = Settings {
        address: "the address",
        trust: "the trusted certificates",
        credentials: "the headers",
        place: "the path",
    };
    let roots = request.roots.map(|pem| ExtraRoots::from_pem(pem.to_vec())).unwrap_or_default();
    let site = Site { kind: "web", name: address.url.clone(), settings, roots };
    let invalid = |error: &dyn fmt::Display| WebError::Invalid(error.to_string());
    let client =
        Client::new(&address.url, &Trust::System, site).map_err(|error| invalid(&error))?;
    let body = [request.body];
    let mut sent = Request::new(request.method, address.url)
        .header("content-type", request.content_type)
        .body(&body);
    if let Some(login) = address.login {
        sent = sent.header("authorization", format!("Basic {}", STANDARD.encode(login.expose())));
    }
    for (name, value) in request.headers {
        sent = sent.header(name, value.expose_secret());
    }
    let answer = client
        .exchange_within(&sent, request.limit)
        .map_err(|failure| WebError::Unreachable(failure.to_string()))?;
    Ok(WebAnswer { status: answer.status, text: answer.excerpt() })
}

/// An address without the credentials in it.
struct Address {
    url: String,
    login: Option<Secret>,
}

impl Address {
    fn of(url: &str) -> Result<Self, WebError> {
        let invalid =
            || WebError::Invalid("no address that begins with http:// or https://".into());
        let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
        if !matches!(scheme, "http" | "https") {
            return Err(invalid());
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (login, host) = match authority.rsplit_once('@') {
            Some((login, host)) => (Some(login), host),
            None => (None, authority),
        };
        if host.is_empty() {
            return Err(invalid());
        }
        let login = login.map(|login| {
            let text = percent_encoding::percent_decode_str(login).decode_utf8_lossy();
            Secret::from(text.into_owned())
        });
        Ok(Self { url: format!("{scheme}://{host}{path}"), login })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_address() {
        let address = Address::of("https://me:p%40ss@host:9091/a?b=c@d").unwrap();
        assert_eq!(address.url, "https://host:9091/a?b=c@d");
        assert_eq!(address.login.unwrap().expose(), "me:p@ss");
        assert!(Address::of("http://host").unwrap().login.is_none());
        for bad in ["host", "ftp://host/", "http://", "http:///x", "https://u:p@/x"] {
            assert!(Address::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_there_is_an_answer_in_words() {
        let request = WebRequest {
            method: "PUT",
            url: "http://127.0.0.1:1/x",
            headers: &[],
            content_type: "text/plain",
            body: b"x",
            roots: None,
            limit: Duration::from_secs(5),
        };
        let error = send(&request).unwrap_err().to_string();
        assert!(error.contains("no connection"), "{error}");
    }
}

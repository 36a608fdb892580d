use std::fmt;
use std::io::Read;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kopist_blob::{BlobError, Operation, Target};
use ureq::config::Config;
use ureq::http::{Method, Uri};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, NextTimeout, TcpConnector};
use ureq::{Agent, AsSendBody, Proxy, SendBody};

use super::connector::TlsConnector;
use super::payload::{Slices, length};
use super::{Answer, Failure, Trust};
use crate::site::Site;

const CONNECT: Duration = Duration::from_secs(30);

/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_mins(1);

/// Connections kept open: more than a backup or a restore has requests in flight.
const IDLE_CONNECTIONS: usize = 64;

/// Room that is set aside for a body before any of it has come.
const TRUSTED_LENGTH: u64 = 64 << 20;

/// A request. It borrows its body.
pub(crate) struct Request<'a> {
    pub(crate) method: &'static str,
    /// Absolute, everything encoded.
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    /// Sent one after the other; `None` sends no body and no length.
    pub(crate) body: Option<&'a [&'a [u8]]>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: &'static str, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, parts: &'a [&'a [u8]]) -> Self {
        self.body = Some(parts);
        self
    }

    /// `bytes=first-last` of a range that is not empty.
    pub(crate) fn range(self, range: Option<(u64, u64)>) -> Self {
        match range {
            Some((offset, length)) => {
                self.header("range", format!("bytes={offset}-{}", offset + length - 1))
            }
            None => self,
        }
    }
}

/// A client of one server, with the connections that it keeps open.
pub(crate) struct Client {
    agent: Agent,
    site: Site,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("site", &self.site).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for the server at `base`, which tells it whether a proxy is to be used.
    pub(crate) fn new(base: &str, trust: &Trust, site: Site) -> Result<Self, BlobError> {
        let tls = trust.tls(&site)?;
        let base: Uri = base.parse().map_err(|error| BlobError::InvalidConfig {
            kind: site.kind.to_owned(),
            message: format!("{} is no address: {error}", site.settings.address),
        })?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .max_idle_connections(IDLE_CONNECTIONS)
            .max_idle_connections_per_host(IDLE_CONNECTIONS)
            .max_idle_age(Duration::from_secs(30))
            .user_agent(concat!("kopist/", env!("CARGO_PKG_VERSION")))
            .accept("*/*")
            .proxy(proxy_for(&base))
            .build();
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(TlsConnector::new(tls));
        let agent = Agent::with_parts(config, connector, LocalNames(DefaultResolver::default()));
        Ok(Self { agent, site })
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Sends a request and reads the whole answer. Statuses of failure are answers too.
    pub(crate) fn send(
        &self,
        request: &Request<'_>,
        operation: Operation,
        target: &Target,
    ) -> Result<Answer, BlobError> {
        let start = Instant::now();
        let answer = self.exchange(request, None);
        let path = request.url.split('?').next().unwrap_or_default();
        match &answer {
            Ok(answer) => tracing::debug!(
                method = request.method,
                path,
                status = answer.status,
                received = answer.body.len(),
                took = ?start.elapsed(),
                "request"
            ),
            Err(failure) => {
                tracing::debug!(method = request.method, path, %failure, took = ?start.elapsed(), "request");
            }
        }
        answer.map_err(|failure| self.site.unreachable(&request.url, &failure, operation, target))
    }

    fn run(
        &self,
        request: ureq::http::Request<impl AsSendBody>,
        limit: Option<Duration>,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        if limit.is_none() {
            return self.agent.run(request);
        }
        let request = self.agent.configure_request(request);
        self.agent.run(request.timeout_global(limit).build())
    }

    /// Sends a request that must be over after this time, and reads the whole answer.
    pub(crate) fn exchange_within(
        &self,
        request: &Request<'_>,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        self.exchange(request, Some(limit))
    }

    fn exchange(&self, request: &Request<'_>, limit: Option<Duration>) -> Result<Answer, Failure> {
        let protocol = |error: &dyn fmt::Display| Failure::Protocol(error.to_string());
        let method = Method::from_bytes(request.method.as_bytes()).map_err(|e| protocol(&e))?;
        let mut builder = ureq::http::Request::builder().method(method).uri(&request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let response = match request.body {
            Some(parts) => {
                let mut reader = Slices::new(parts);
                let body = SendBody::from_reader(&mut reader);
                let request = builder.header("content-length", length(parts)).body(body);
                self.run(request.map_err(|e| protocol(&e))?, limit)?
            }
            None => self.run(builder.body(()).map_err(|e| protocol(&e))?, limit)?,
        };
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let mut body = response.into_body();
        let expected = body.content_length().unwrap_or(0).min(TRUSTED_LENGTH);
        let mut data = Vec::with_capacity(expected as usize);
        body.as_reader()
            .read_to_end(&mut data)
            .map_err(|error| Failure::from(ureq::Error::from(error)))?;
        Ok(Answer { status, headers, body: Bytes::from(data) })
    }
}

/// Knows that names below `localhost` are this machine (RFC 6761), which not every system does.
#[derive(Debug)]
struct LocalNames(DefaultResolver);

impl Resolver for LocalNames {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        if !uri.host().is_some_and(|host| host.ends_with(".localhost")) {
            return self.0.resolve(uri, config, timeout);
        }
        let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(usual);
        let mut addresses = self.empty();
        addresses.push((Ipv4Addr::LOCALHOST, port).into());
        Ok(addresses)
    }
}

/// The proxy that the environment names for this server. Servers on this machine are reached
/// directly, as programs in Go do it.
fn proxy_for(base: &Uri) -> Option<Proxy> {
    let host = base.host().unwrap_or_default();
    if host == "localhost"
        || host.ends_with(".localhost")
        || host.starts_with("127.")
        || host == "[::1]"
    {
        return None;
    }
    let names: &[&str] = if base.scheme_str() == Some("https") {
        &["HTTPS_PROXY", "https_proxy"]
    } else {
        &["HTTP_PROXY", "http_proxy"]
    };
    let text = names.iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))?;
    let parsed = Proxy::new(&text).ok()?;
    let exceptions = ["NO_PROXY", "no_proxy"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
        .unwrap_or_default();
    let mut proxy = Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
    if let Some(name) = parsed.username() {
        proxy = proxy.username(name);
    }
    if let Some(password) = parsed.password() {
        proxy = proxy.password(password);
    }
    for exception in exceptions.split(',').chain(["localhost", "127.0.0.1"]) {
        if !exception.trim().is_empty() {
            proxy = proxy.no_proxy(exception.trim());
        }
    }
    proxy.build().ok()
}

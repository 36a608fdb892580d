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
use ureq::{Agent, AsSendBody, SendBody};

use super::connector::TlsConnector;
use super::early::EarlyAnswers;
use super::payload::{Slices, length};
use super::proxies::Proxies;
use super::{Answer, Failure, Trust};
use crate::site::Site;

const CONNECT: Duration = Duration::from_secs(30);

/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_mins(1);

/// How slow a line behind a server may be, in bytes per second. Gateways take a body as fast as
/// they get it and answer when they have passed it on.
const SLOWEST: u64 = 32 << 10;

/// Connections kept open: more than a backup or a restore has requests in flight.
const IDLE_CONNECTIONS: usize = 64;

/// What is read of answers that only say how it went.
const SHORT: u64 = 1 << 20;

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
    /// Bytes that the server has to move before it answers, besides those of the body.
    pub(crate) work: u64,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: &'static str, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: None, work: 0 }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, parts: &'a [&'a [u8]]) -> Self {
        self.body = Some(parts);
        self
    }

    pub(crate) fn work(mut self, bytes: u64) -> Self {
        self.work = bytes;
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
    proxies: Proxies,
    site: Site,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("site", &self.site).finish_non_exhaustive()
    }
}

impl Client {
    /// A client for the server at `base` and others that it leads to.
    pub(crate) fn new(base: &str, trust: &Trust, site: Site) -> Result<Self, BlobError> {
        let tls = trust.tls(&site)?;
        if let Err(error) = base.parse::<Uri>() {
            return Err(site.invalid(format!("{} is no address: {error}", site.settings.address)));
        }
        let proxies = Proxies::of_environment().map_err(|what| site.invalid(what))?;
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
            .proxy(None)
            .build();
        let connector =
            ().chain(ConnectProxyConnector::default())
                .chain(TcpConnector::default())
                .chain(TlsConnector::new(tls))
                .chain(EarlyAnswers::not_of(proxies.addresses()));
        let agent = Agent::with_parts(config, connector, LocalNames(DefaultResolver::default()));
        Ok(Self { agent, proxies, site })
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
        work: u64,
        limit: Option<Duration>,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let proxy = self.proxies.proxy_for(request.uri()).cloned();
        let request = self.agent.configure_request(request);
        let request =
            request.proxy(proxy).timeout_per_read(Some(silence(work))).timeout_global(limit);
        self.agent.run(request.build())
    }

    /// Sends a request that must be over after this time, and reads its answer; of a long one
    /// the beginning.
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
        let work = request.body.map_or(0, length).max(request.work);
        let response = match request.body {
            Some(parts) => {
                let mut reader = Slices::new(parts);
                let body = SendBody::from_reader(&mut reader);
                let request = builder.header("content-length", length(parts)).body(body);
                self.run(request.map_err(|e| protocol(&e))?, work, limit)?
            }
            None => self.run(builder.body(()).map_err(|e| protocol(&e))?, work, limit)?,
        };
        let status = response.status();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let mut body = response.into_body();
        let expected = body.content_length().unwrap_or(0).min(TRUSTED_LENGTH);
        // Those that refuse are only for people to read.
        let short = !status.is_success() || limit.is_some();
        let room = if short { SHORT } else { u64::MAX };
        let mut data = Vec::with_capacity(expected.min(room) as usize);
        body.as_reader()
            .take(room)
            .read_to_end(&mut data)
            .map_err(|error| Failure::from(ureq::Error::from(error)))?;
        Ok(Answer { status: status.as_u16(), headers, body: Bytes::from(data) })
    }
}

/// How long a server may be silent that has so many bytes to move before it answers.
fn silence(work: u64) -> Duration {
    SILENCE + Duration::from_secs(work / SLOWEST)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_get_time_for_what_they_have_to_move() {
        assert_eq!(silence(0), Duration::from_mins(1));
        assert_eq!(silence(10_000), Duration::from_mins(1), "small things take no longer");
        // Three packs at once through a gateway with 8 Mbit/s take a minute.
        assert_eq!(silence(20 << 20), Duration::from_secs(60 + 640));
        assert!(silence(u64::MAX) > silence(20 << 20), "and nothing overflows");
    }
}

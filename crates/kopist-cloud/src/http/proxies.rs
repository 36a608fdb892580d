//! Which proxy is used for what, as the environment says it, and as programs in Go understand it
//! (golang.org/x/net/http/httpproxy).

use std::net::IpAddr;

use ureq::Proxy;
use ureq::ProxyProtocol;
use ureq::http::Uri;

/// Proxies, and who is reached without them.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
}

impl Proxies {
    /// What the environment says; the error names the variable.
    pub(super) fn of_environment() -> Result<Self, String> {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let text = variable(name)?;
                (!text.is_empty()).then_some((name, text))
            })
        };
        let proxy = |names| first(names).map(|(name, text)| parse(name, &text)).transpose();
        let exceptions = first(["NO_PROXY", "no_proxy"]).map(|(_, text)| text).unwrap_or_default();
        Ok(Self {
            http: proxy(["HTTP_PROXY", "http_proxy"])?,
            https: proxy(["HTTPS_PROXY", "https_proxy"])?,
            exceptions: exceptions.split(',').filter_map(Exception::parse).collect(),
        })
    }

    /// The proxy for requests to this address. Servers on this machine and on its link are
    /// reached directly, and so are those that tell a machine in a cloud who it is: what they
    /// told a proxy would be about the proxy.
    pub(super) fn proxy_for(&self, uri: &Uri) -> Option<&Proxy> {
        let is_tls = uri.scheme_str() == Some("https");
        let proxy = if is_tls { &self.https } else { &self.http }.as_ref()?;
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let here = match address {
            Some(address) => address.is_loopback() || is_of_link(address),
            None => {
                host == "localhost"
                    || host.ends_with(".localhost")
                    || host == "metadata.google.internal"
            }
        };
        let excepted =
            here || self.exceptions.iter().any(|exception| exception.means(&host, address, port));
        (!excepted).then_some(proxy)
    }

    /// Where the proxies are.
    pub(super) fn addresses(&self) -> Vec<Uri> {
        [&self.http, &self.https].into_iter().flatten().map(|proxy| proxy.uri().clone()).collect()
    }
}

/// Whether an address counts on its link only, as `169.254.169.254` does, where clouds tell
/// machines of themselves; `fd00:ec2::254` is the same in AWS.
fn is_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.segments()[..2] == [0xfd00, 0x0ec2]
        }
    }
}

/// Reads the address of a proxy. It may hold a password, so no error shows it.
fn parse(variable: &str, text: &str) -> Result<Proxy, String> {
    let text = text.trim();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let proxy = Proxy::new(&with_scheme).ok().filter(|proxy| !proxy.host().is_empty());
    let proxy = proxy.ok_or_else(|| {
        format!("{variable} is not the address of a proxy, such as http://proxy.example:3128")
    })?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(proxy),
        _ => Err(format!(
            "{variable} names a proxy that is none for HTTP; its address must begin with http:// \
             or https://"
        )),
    }
}

/// One of the words of `NO_PROXY`.
#[derive(Debug, PartialEq, Eq)]
enum Exception {
    /// `*`
    All,
    /// `10.0.0.0/8`
    Network { address: IpAddr, bits: u8 },
    /// `10.1.2.3`, perhaps with a port
    Address { address: IpAddr, port: Option<u16> },
    /// `example.com`, also all below it; `.example.com`, only those; perhaps with a port
    Domain { suffix: String, itself: bool, port: Option<u16> },
}

impl Exception {
    /// Words that say nothing are passed over, as in Go.
    fn parse(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        if word == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = word.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let bits = bits.parse().ok()?;
            let all = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= all).then_some(Self::Network { address, bits });
        }
        let (host, port) = split_port(&word);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Self::Address { address: address.to_canonical(), port });
        }
        let host = if host.starts_with("*.") { &host[1..] } else { host };
        match host.strip_prefix('.') {
            _ if host.is_empty() => None,
            Some(_) => Some(Self::Domain { suffix: host.to_owned(), itself: false, port }),
            None => Some(Self::Domain { suffix: format!(".{host}"), itself: true, port }),
        }
    }

    /// Whether this server is meant; `address` is its name if it is one.
    fn means(&self, host: &str, address: Option<IpAddr>, at: u16) -> bool {
        let here = |port: &Option<u16>| port.is_none_or(|port| port == at);
        match (self, address) {
            (Self::All, _) => true,
            (Self::Network { address: network, bits }, Some(address)) => {
                contains(*network, *bits, address)
            }
            (Self::Address { address: meant, port }, Some(address)) => {
                *meant == address && here(port)
            }
            (Self::Domain { suffix, itself, port }, None) => {
                let fits = host.ends_with(suffix) || *itself && suffix.get(1..) == Some(host);
                fits && here(port)
            }
            _ => false,
        }
    }
}

/// `host:port`, `[v6]:port`, `host` or `v6`.
fn split_port(word: &str) -> (&str, Option<u16>) {
    if let Some((host, port)) = word.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, port.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match word.split_once(':') {
        // An address of IPv6 has more of them.
        Some((host, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (word, None),
        },
        _ => (word, None),
    }
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let different = network.to_bits() ^ address.to_bits();
            different.leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let different = network.to_bits() ^ address.to_bits();
            different.leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, String> {
        Proxies::of(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        })
    }

    /// Whether `url` is reached directly with this `NO_PROXY`.
    fn direct(exceptions: &str, url: &str) -> bool {
        let both = [("HTTP_PROXY", "p:1"), ("HTTPS_PROXY", "p:1"), ("no_proxy", exceptions)];
        proxies(&both).unwrap().proxy_for(&url.parse().unwrap()).is_none()
    }

    #[test]
    fn exceptions_are_those_of_go() {
        #[rustfmt::skip]
        let table = [
            // Names cover what is below them, names after a dot or `*.` only that.
            ("corp.local", "https://corp.local/x", true),
            ("corp.local", "https://s3.corp.local/x", true),
            ("corp.local", "https://xcorp.local/x", false),
            (".corp.local", "https://s3.corp.local/", true),
            (".corp.local", "https://corp.local/", false),
            ("*.corp.local", "https://s3.corp.local/", true),
            ("*.corp.local", "https://corp.local/", false),
            (" Corp.Local , other", "https://S3.CORP.local/", true),
            // Ports count if they are named.
            ("corp.local:9000", "http://corp.local:9000/", true),
            ("corp.local:9000", "http://corp.local/", false),
            ("corp.local:443", "https://corp.local/", true),
            ("10.1.2.3:80", "http://10.1.2.3/", true),
            ("10.1.2.3:80", "https://10.1.2.3/", false),
            ("[fd00::1]:80", "http://[fd00::1]/", true),
            // Addresses and networks mean addresses, not names that lead to them.
            ("10.1.2.3", "http://10.1.2.3:9000/", true),
            ("10.1.2.3", "http://110.1.2.3/", false),
            ("fd00::1", "http://[fd00::1]:9000/", true),
            ("10.0.0.0/8", "http://10.255.1.2:9000/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("10.0.0.0/8", "http://ten.example/", false),
            ("10.96.0.0/12,.svc,.cluster.local", "http://10.111.0.1/", true),
            ("10.96.0.0/12,.svc,.cluster.local", "http://10.112.0.1/", false),
            ("10.96.0.0/12,.svc,.cluster.local", "http://minio.backup.svc/", true),
            ("0.0.0.0/0", "http://8.8.8.8/", true),
            ("fd00::/8", "http://[fdab::1]/", true),
            ("fd00::/8", "http://[fe00::1]/", false),
            ("2001:db8::1/128", "http://[2001:db8::1]/", true),
            // Everything, and nothing.
            ("*", "http://anybody/", true),
            ("", "http://anybody/", false),
            (",:80, ,10.0.0.0/33,10.0.0.0/x", "http://10.0.0.1/", false),
            // Whoever is here needs no exception.
            ("", "http://localhost:9000/", true),
            ("", "https://a.blob.localhost/", true),
            ("", "http://127.0.0.2:9000/", true),
            ("", "http://[::1]:9000/", true),
            ("", "http://169.254.169.254/latest", true),
            ("", "http://169.254.170.2/v2", true),
            ("", "http://[fd00:ec2::254]/latest", true),
            ("", "http://metadata.google.internal/x", true),
        ];
        for (exceptions, url, expected) in table {
            assert_eq!(direct(exceptions, url), expected, "{exceptions:?}: {url}");
        }
    }

    #[test]
    fn the_scheme_tells_the_proxy() {
        let found = proxies(&[("HTTPS_PROXY", "http://u:p%40@one:3128"), ("http_proxy", "two")]);
        let found = found.unwrap();
        let host = |url: &str| found.proxy_for(&url.parse().unwrap()).unwrap().host().to_owned();
        assert_eq!((host("https://x/"), host("http://x/")), ("one".to_owned(), "two".to_owned()));
        assert_eq!(found.https.as_ref().unwrap().password(), Some("p@"));
        assert!(proxies(&[]).unwrap().proxy_for(&"http://x/".parse().unwrap()).is_none());
        assert!(proxies(&[("HTTP_PROXY", "")]).unwrap().http.is_none());
    }

    #[test]
    fn what_is_no_proxy_is_an_error() {
        for text in ["http://", "http://u:hunter2@:x", "ftp://hunter2", "socks5://hunter2:1", "a b"]
        {
            let error = proxies(&[("HTTPS_PROXY", text)]).unwrap_err();
            assert!(error.contains("HTTPS_PROXY") && !error.contains("hunter2"), "{error}");
        }
    }
}

use std::io;

use ureq::Timeout;

/// How the network failed: there is no answer, or none that can be used.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The name of the host is not known.
    NoHost,
    /// Nobody is there.
    NoConnection(io::Error),
    /// The certificate is not to be trusted, or TLS cannot be agreed on.
    Tls(String),
    /// Silence.
    Silence,
    /// The connection broke.
    Broken(io::Error),
    /// What came is no HTTP, or what was to be sent is not.
    Protocol(String),
}

impl Failure {
    /// Whether the same request may succeed later.
    pub(crate) fn may_pass(&self) -> bool {
        !matches!(self, Self::Tls(_))
    }
}

impl From<ureq::Error> for Failure {
    fn from(error: ureq::Error) -> Self {
        use io::ErrorKind as K;
        match error {
            ureq::Error::HostNotFound => Self::NoHost,
            ureq::Error::ConnectionFailed => {
                Self::NoConnection(io::Error::from(K::ConnectionRefused))
            }
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                Self::NoConnection(io::Error::from(K::TimedOut))
            }
            ureq::Error::Timeout(_) => Self::Silence,
            ureq::Error::Rustls(error) => Self::Tls(error.to_string()),
            ureq::Error::Tls(text) => Self::Tls(text.to_owned()),
            ureq::Error::Io(error) => from_io(error),
            other => Self::Protocol(other.to_string()),
        }
    }
}

fn from_io(error: io::Error) -> Failure {
    use io::ErrorKind as K;
    // The handshake reports its errors as errors of reading.
    if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>) {
        return Failure::Tls(error.to_string());
    }
    // The standard library has no kind for it.
    if error.to_string().contains("failed to lookup address") {
        return Failure::NoHost;
    }
    match error.kind() {
        K::ConnectionRefused | K::HostUnreachable | K::NetworkUnreachable | K::NetworkDown => {
            Failure::NoConnection(error)
        }
        K::TimedOut | K::WouldBlock => Failure::Silence,
        _ => Failure::Broken(error),
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoHost => f.write_str("its name is not known"),
            Self::NoConnection(error) => write!(f, "no connection ({error})"),
            Self::Tls(text) => write!(f, "no trusted connection ({text})"),
            Self::Silence => f.write_str("it fell silent"),
            Self::Broken(error) => write!(f, "the connection broke ({error})"),
            Self::Protocol(text) => write!(f, "no understanding ({text})"),
        }
    }
}

impl std::error::Error for Failure {}

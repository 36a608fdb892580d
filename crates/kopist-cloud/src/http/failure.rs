use std::io;

use rustls::AlertDescription;
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
            ureq::Error::Rustls(error) => from_tls(error),
            ureq::Error::Tls(text) => Self::Tls(text.to_owned()),
            ureq::Error::Io(error) => from_io(error),
            other => Self::Protocol(other.to_string()),
        }
    }
}

fn from_io(error: io::Error) -> Failure {
    use io::ErrorKind as K;
    // The handshake reports its errors as errors of reading.
    if let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        return from_tls(error.clone());
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

/// Certificates and versions stay as they are; a peer that is overloaded, or bytes that a bad
/// line has changed, may be better the next time.
fn from_tls(error: rustls::Error) -> Failure {
    use AlertDescription as A;
    use rustls::Error as E;
    let passes = match &error {
        E::DecryptError => true,
        E::AlertReceived(alert) => !matches!(
            alert,
            A::HandshakeFailure
                | A::NoCertificate
                | A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateExpired
                | A::CertificateUnknown
                | A::UnknownCA
                | A::AccessDenied
                | A::ExportRestriction
                | A::ProtocolVersion
                | A::InsufficientSecurity
                | A::InappropriateFallback
                | A::UnsupportedExtension
                | A::MissingExtension
                | A::CertificateUnobtainable
                | A::UnrecognisedName
                | A::BadCertificateStatusResponse
                | A::BadCertificateHashValue
                | A::CertificateRequired
                | A::NoApplicationProtocol
                | A::EncryptedClientHelloRequired
        ),
        _ => false,
    };
    if passes { Failure::Broken(io::Error::other(error)) } else { Failure::Tls(error.to_string()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_of_a_peer_in_trouble_may_pass() {
        let passes = |error: rustls::Error| {
            let direct = Failure::from(ureq::Error::Rustls(error.clone())).may_pass();
            let read = Failure::from(ureq::Error::Io(io::Error::other(error))).may_pass();
            assert_eq!(direct, read);
            read
        };
        let alert = |alert| passes(rustls::Error::AlertReceived(alert));
        assert!(alert(AlertDescription::InternalError));
        assert!(alert(AlertDescription::BadRecordMac));
        assert!(alert(AlertDescription::CloseNotify));
        assert!(!alert(AlertDescription::UnknownCA));
        assert!(!alert(AlertDescription::CertificateRequired));
        assert!(!alert(AlertDescription::ProtocolVersion));
        assert!(!passes(rustls::CertificateError::Expired.into()));
        assert!(passes(rustls::Error::DecryptError));
    }
}

//! Whom to believe.

use std::sync::Arc;

use kopist_blob::BlobError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_native_certs::CertificateResult;
use sha2::{Digest, Sha256};

use crate::site::Site;

/// Which certificates of a server are accepted.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// Those of the system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`; where there are none, as in
    /// an empty container, those that Mozilla trusts.
    System,
    /// Those signed by one of these, in PEM. They replace the others.
    Roots(Vec<u8>),
    /// The one with this SHA-256, hex in any case, whoever signed it and whatever its name.
    Fingerprint(String),
    /// All.
    Anyone,
}

impl Trust {
    /// The configuration of TLS for a store.
    pub(super) fn tls(&self, site: &Site) -> Result<Arc<ClientConfig>, BlobError> {
        let setting = site.settings.trust;
        let invalid = |message: String| site.invalid(message);
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid(error.to_string()))?;
        let config = match self {
            Self::System => {
                let is_set = |name: &&str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
                let named: Vec<&str> = NAMED.into_iter().filter(is_set).collect();
                let found = rustls_native_certs::load_native_certs();
                let mut roots = system_roots(found, &named).map_err(invalid)?;
                add_extra(&mut roots, site)?;
                let verifier = WebPkiServerVerifier::builder_with_provider(
                    Arc::new(roots),
                    Arc::clone(&provider),
                )
                .build()
                .map_err(|error| invalid(error.to_string()))?;
                builder.with_webpki_verifier(verifier)
            }
            Self::Roots(pem) => {
                let mut roots = RootCertStore::empty();
                add(&mut roots, pem).map_err(|what| invalid(format!("{setting} {what}")))?;
                add_extra(&mut roots, site)?;
                builder.with_root_certificates(roots)
            }
            Self::Fingerprint(text) => {
                let expected = parse_fingerprint(text).ok_or_else(|| {
                    invalid(format!("{setting} is not a SHA-256 in hexadecimal digits"))
                })?;
                let checked = Pinned { expected: Some(expected), provider };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(checked))
            }
            Self::Anyone => {
                let unchecked = Pinned { expected: None, provider };
                builder.dangerous().with_custom_certificate_verifier(Arc::new(unchecked))
            }
        };
        Ok(Arc::new(config.with_no_client_auth()))
    }
}

/// Adds the certificates of a PEM text, all of which must be usable; says what is wrong with it.
fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("is not PEM: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("holds an unusable certificate: {error}"))?;
    }
    if roots.len() == before { Err("holds no certificate".to_owned()) } else { Ok(()) }
}

fn add_extra(roots: &mut RootCertStore, site: &Site) -> Result<(), BlobError> {
    if site.roots.is_empty() {
        return Ok(());
    }
    add(roots, site.roots.pem())
        .map_err(|what| site.invalid(format!("the file of further root certificates {what}")))
}

/// Variables that say where certificates are, which then replace those of the system.
const NAMED: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The certificates that were found, or those that Mozilla trusts. Whoever has `named` a place
/// for them does not mean Mozilla's.
fn system_roots(found: CertificateResult, named: &[&str]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for error in &found.errors {
        tracing::debug!(%error, "a certificate of the system cannot be read");
    }
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 && !named.is_empty() {
        let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
        return Err(format!("there is no certificate where {} says{why}", named.join(" or ")));
    }
    if added == 0 {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}

fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    hex::decode(digits).ok()?.try_into().ok()
}

/// Accepts a certificate for what it is, not for who signed it. That the server has its key is
/// still checked.
#[derive(Debug)]
struct Pinned {
    /// SHA-256 of the certificate; without one, any will do.
    expected: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(expected) = self.expected else { return Ok(ServerCertVerified::assertion()) };
        let mut presented = std::iter::once(end_entity).chain(intermediates);
        if presented.any(|certificate| Sha256::digest(certificate)[..] == expected) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExtraRoots;
    use crate::site::tests::site;

    const UNUSABLE: &[u8] = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn fingerprints_are_read_in_every_usual_form() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(parse_fingerprint(&plain), Some([0xab; 32]));
        assert_eq!(parse_fingerprint(&colons), Some([0xab; 32]));
        assert_eq!(parse_fingerprint("abcd"), None);
    }

    #[test]
    fn unusable_settings_are_named() {
        for trust in [
            Trust::Roots(b"nothing".to_vec()),
            Trust::Roots(UNUSABLE.to_vec()),
            Trust::Fingerprint("zz".to_owned()),
        ] {
            let error = trust.tls(&site()).unwrap_err().to_string();
            assert!(error.contains("s3") && error.contains("--root-ca-pem-path"), "{error}");
        }
    }

    #[test]
    fn a_place_of_certificates_that_has_none_is_named() {
        let none = CertificateResult::default;
        let error = system_roots(none(), &["SSL_CERT_FILE"]).unwrap_err();
        assert!(error.contains("SSL_CERT_FILE"), "{error}");
        assert!(!system_roots(none(), &[]).unwrap().is_empty(), "nobody was named");
        let mut useless = none();
        useless.certs.push(vec![0].into());
        assert!(system_roots(useless, &["SSL_CERT_FILE", "SSL_CERT_DIR"]).is_err());
        let mut one = none();
        let folder = tempfile::tempdir().unwrap();
        let pem = kopist_testkit::servers::tls::Certificates::make(folder.path()).authority_pem();
        one.certs.push(CertificateDer::from_pem_slice(&pem).unwrap());
        assert_eq!(system_roots(one, &["SSL_CERT_DIR"]).unwrap().len(), 1);
    }

    #[test]
    fn further_certificates_count_where_authorities_do() {
        let with = |pem: &[u8]| Site { roots: ExtraRoots::from_pem(pem), ..site() };
        for pem in [b"nothing", UNUSABLE] {
            let error = Trust::System.tls(&with(pem)).unwrap_err().to_string();
            assert!(error.contains("further root certificates"), "{error}");
            // Whoever is pinned needs no authority.
            assert!(Trust::Fingerprint("ab".repeat(32)).tls(&with(pem)).is_ok());
        }
        assert!(Trust::System.tls(&with(b"")).is_ok());
    }
}

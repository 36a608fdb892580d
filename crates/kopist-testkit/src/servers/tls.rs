//! Certificates for servers on this machine.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Files in PEM: an authority, and a server that it has certified for `localhost`, `127.0.0.1`
/// and the names that some services have for good.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The certificate of the authority.
    pub authority: PathBuf,
    /// The certificate of the server.
    pub certificate: PathBuf,
    /// The key of the server.
    pub key: PathBuf,
}

impl Certificates {
    /// Makes new ones in a folder.
    pub fn make(folder: &Path) -> Self {
        let authority_key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "Test authority");
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_certificate = authority.self_signed(&authority_key).expect("a certificate");
        let issuer = Issuer::new(authority, authority_key);
        let names = [
            "localhost",
            "*.blob.localhost",
            "storage.googleapis.com",
            "www.googleapis.com",
            "oauth2.googleapis.com",
            "api.backblazeb2.com",
            "127.0.0.1",
        ];
        let mut server =
            CertificateParams::new(names.map(str::to_owned).to_vec()).expect("usual names");
        server.distinguished_name.push(DnType::CommonName, "localhost");
        let key = KeyPair::generate().expect("a key");
        let certificate = server.signed_by(&key, &issuer).expect("a certificate");
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("a certificate's file");
            path
        };
        Self {
            authority: write("ca.pem", authority_certificate.pem()),
            certificate: write("server.pem", certificate.pem()),
            key: write("server.key", key.serialize_pem()),
        }
    }

    /// The authority's certificate in PEM.
    pub fn authority_pem(&self) -> Vec<u8> {
        std::fs::read(&self.authority).expect("the authority's certificate")
    }
}

//! Tokens of JSON that are signed with an RSA key (RFC 7515).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

/// How a token is signed: RFC 7518, section 3.1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Algorithm {
    #[cfg(feature = "google")]
    Rs256,
    #[cfg(feature = "azure")]
    Ps256,
}

impl Algorithm {
    fn parts(self) -> (&'static str, &'static dyn RsaEncoding) {
        match self {
            #[cfg(feature = "google")]
            Self::Rs256 => ("RS256", &RSA_PKCS1_SHA256),
            #[cfg(feature = "azure")]
            Self::Ps256 => ("PS256", &RSA_PSS_SHA256),
        }
    }
}

/// Signs a claim. The key is PEM, which may hold certificates besides; the error says what is
/// wrong with it.
pub(crate) fn sign(
    algorithm: Algorithm,
    mut header: Value,
    claim: &Value,
    key: &str,
) -> Result<String, String> {
    let (name, encoding) = algorithm.parts();
    header["alg"] = json!(name);
    header["typ"] = json!("JWT");
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claim.to_string())
    );
    let key = read_key(key)?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| "signing failed")?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The first private key in PEM.
pub(crate) fn read_key(text: &str) -> Result<KeyPair, String> {
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| "it is no PEM")?;
    let key = match &key {
        PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()),
        PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return Err("it is not RSA".to_owned()),
    };
    key.map_err(|_| "it is no RSA key that can be used".to_owned())
}

/// A key for tests.
#[cfg(test)]
pub(crate) fn new_key() -> String {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use base64::engine::general_purpose::STANDARD;

    let key = KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

//! Connection tokens: a storage, and a password if wanted, as one line of text.
//!
//! `base64url` without padding of `{"version":"1","storage":{…},"password":"…"}`. A token is as
//! secret as what it holds.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kopist_blob::StorageConfig;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ConfigError;

/// Packs a storage and, if given, the password.
pub fn encode(
    storage: &StorageConfig,
    password: Option<&SecretString>,
) -> Result<SecretString, ConfigError> {
    #[derive(Serialize)]
    struct Token<'a> {
        version: &'a str,
        storage: &'a StorageConfig,
        #[serde(skip_serializing_if = "str::is_empty")]
        password: &'a str,
    }
    let password = password.map_or("", |p| p.expose_secret());
    let json = serde_json::to_vec(&Token { version: "1", storage, password })
        .map_err(|_| ConfigError::MalformedToken)?;
    Ok(URL_SAFE_NO_PAD.encode(Zeroizing::new(json)).into())
}

/// Unpacks a token; line breaks anywhere in it are ignored.
pub fn decode(token: &str) -> Result<(StorageConfig, Option<SecretString>), ConfigError> {
    #[derive(Deserialize)]
    struct Token {
        #[serde(default)]
        version: String,
        storage: StorageConfig,
        #[serde(default)]
        password: Option<String>,
    }
    let text: Zeroizing<String> = Zeroizing::new(token.replace(['\r', '\n'], ""));
    let json = URL_SAFE_NO_PAD
        .decode(text.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| ConfigError::MalformedToken)?;
    let token: Token = serde_json::from_slice(&json).map_err(|_| ConfigError::MalformedToken)?;
    if token.version != "1" {
        return Err(ConfigError::TokenVersion);
    }
    Ok((token.storage, token.password.filter(|p| !p.is_empty()).map(SecretString::from)))
}

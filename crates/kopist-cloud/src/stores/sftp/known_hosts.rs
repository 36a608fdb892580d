//! The file `known_hosts` of OpenSSH (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::{Algorithm, HashAlg, PublicKey, parse_public_key_base64};
use sha1::Sha1;

/// The keys that one server may have.
#[derive(Clone, Debug, Default)]
pub(super) struct HostKeys {
    trusted: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
    /// Whether a line trusts an authority for this server, which we cannot follow.
    pub(super) by_authority: bool,
}

impl HostKeys {
    /// Those that the text names for a host and port.
    pub(super) fn find(text: &str, host: &str, port: u16) -> Self {
        let name = if port == 22 { host.to_owned() } else { format!("[{host}]:{port}") };
        let mut found = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace().peekable();
            let marker = words.next_if(|word| word.starts_with('@'));
            let (Some(patterns), Some(_kind), Some(key)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            if patterns.starts_with('#') || !matches(patterns, &name) {
                continue;
            }
            let Ok(key) = parse_public_key_base64(key) else { continue };
            match marker {
                None => found.trusted.push(key),
                Some("@revoked") => found.revoked.push(key),
                Some("@cert-authority") => found.by_authority = true,
                Some(_) => {}
            }
        }
        found
    }

    /// Whether any key is known.
    pub(super) fn is_empty(&self) -> bool {
        self.trusted.is_empty()
    }

    /// Whether the server with this key is the right one.
    pub(super) fn accept(&self, key: &PublicKey) -> bool {
        let same = |known: &PublicKey| known.key_data() == key.key_data();
        self.trusted.iter().any(same) && !self.revoked.iter().any(same)
    }

    /// The algorithms that keys of the known kinds can sign with, best first.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms = Vec::new();
        let mut add = |algorithm: Algorithm| {
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        };
        for key in &self.trusted {
            match key.algorithm() {
                Algorithm::Rsa { .. } => {
                    add(Algorithm::Rsa { hash: Some(HashAlg::Sha512) });
                    add(Algorithm::Rsa { hash: Some(HashAlg::Sha256) });
                }
                other => add(other),
            }
        }
        algorithms
    }
}

/// Whether a list of patterns means the host: names with `*` and `?`, `!` in front of those that
/// are not meant, or one hashed name.
fn matches(patterns: &str, name: &str) -> bool {
    if let Some(hashed) = patterns.strip_prefix("|1|") {
        return matches_hash(hashed, name).unwrap_or(false);
    }
    let mut matched = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches_glob(pattern.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => matched |= matches_glob(pattern.as_bytes(), name.as_bytes()),
        }
    }
    matched
}

fn matches_hash(hashed: &str, name: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (STANDARD.decode(salt).ok()?, STANDARD.decode(hash).ok()?);
    let mut mac = Hmac::<Sha1>::new_from_slice(&salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes()[..] == hash)
}

fn matches_glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            matches_glob(rest, name) || (!name.is_empty() && matches_glob(pattern, &name[1..]))
        }
        ([b'?', pattern @ ..], [_, name @ ..]) => matches_glob(pattern, name),
        ([a, pattern @ ..], [b, name @ ..]) => {
            a.eq_ignore_ascii_case(b) && matches_glob(pattern, name)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    #[test]
    fn lines_are_found_by_name_pattern_and_hash() {
        // The hash is HMAC-SHA1 of "example.com" with 20 zero bytes as its key.
        let salt = STANDARD.encode([0; 20]);
        let mut mac = Hmac::<Sha1>::new_from_slice(&[0; 20]).unwrap();
        mac.update(b"example.com");
        let hash = STANDARD.encode(mac.finalize().into_bytes());
        for (patterns, host, port, found) in [
            ("example.com", "example.com", 22, true),
            ("example.com", "example.com", 2222, false),
            ("[example.com]:2222", "example.com", 2222, true),
            ("a,*.com,b", "example.com", 22, true),
            ("*.com,!example.com", "example.com", 22, false),
            ("exam?le.com", "EXAMPLE.com", 22, true),
            (&format!("|1|{salt}|{hash}"), "example.com", 22, true),
            (&format!("|1|{salt}|{hash}"), "example.org", 22, false),
            ("|1|x", "example.com", 22, false),
        ] {
            let text = format!("# note\n\n{patterns} ssh-ed25519 {ED25519} comment\n");
            let keys = HostKeys::find(&text, host, port);
            assert_eq!(!keys.is_empty(), found, "{patterns} {host} {port}");
        }
    }

    #[test]
    fn only_known_keys_are_accepted_and_revoked_ones_never() {
        let text = format!(
            "h ssh-ed25519 {ED25519}\nh ssh-ed25519 {OTHER}\n@revoked * ssh-ed25519 {OTHER}\n\
             @cert-authority h ssh-ed25519 {OTHER}\n"
        );
        let keys = HostKeys::find(&text, "h", 22);
        assert!(keys.accept(&parse_public_key_base64(ED25519).unwrap()));
        assert!(!keys.accept(&parse_public_key_base64(OTHER).unwrap()));
        assert!(keys.by_authority);
        assert_eq!(keys.algorithms(), [Algorithm::Ed25519]);
        assert!(HostKeys::find(&text, "other", 22).is_empty());
    }
}

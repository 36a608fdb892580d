//! Who we are, as a web server wants to hear it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use parking_lot::Mutex;

use crate::settings::Secret;

/// Name and password, and how the server wants them.
#[derive(Debug)]
pub(super) struct Auth {
    username: String,
    password: Secret,
    digest: Mutex<Option<Digest>>,
}

/// A challenge of the Digest scheme (RFC 7616, with MD5, which is what servers of files use).
#[derive(Clone, Debug)]
struct Digest {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    with_qop: bool,
    count: u32,
}

impl Auth {
    pub(super) fn new(username: &str, password: &Secret) -> Self {
        Self { username: username.to_owned(), password: password.clone(), digest: Mutex::new(None) }
    }

    /// The header for a request; none without a name.
    pub(super) fn header(&self, method: &str, path: &str) -> Option<String> {
        if self.username.is_empty() {
            return None;
        }
        let mut digest = self.digest.lock();
        let Some(challenge) = digest.as_mut() else {
            let pair = format!("{}:{}", self.username, self.password.expose());
            return Some(format!("Basic {}", STANDARD.encode(pair)));
        };
        challenge.count += 1;
        Some(challenge.answer(&self.username, self.password.expose(), method, path))
    }

    /// Learns from the refusal of a request with the header `sent` how the server wants it.
    /// Returns whether another attempt is worth while.
    pub(super) fn challenged<'a>(
        &self,
        sent: Option<&str>,
        mut challenges: impl Iterator<Item = &'a str>,
    ) -> bool {
        let Some(challenge) = challenges.find_map(Digest::parse) else { return false };
        if self.username.is_empty() {
            return false;
        }
        // The nonce that was sent means that the password is wrong, another one that it was old.
        // Another thread may have learned this one just now; then its uses are counted on.
        let nonce = format!(" nonce=\"{}\"", challenge.nonce);
        let worth = !sent.is_some_and(|sent| sent.contains(&nonce));
        let mut digest = self.digest.lock();
        if digest.as_ref().is_none_or(|known| known.nonce != challenge.nonce) {
            *digest = Some(challenge);
        }
        worth
    }
}

impl Digest {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix("Digest ").or_else(|| text.strip_prefix("digest "))?;
        let fields = fields(rest);
        let field = |name: &str| {
            fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let algorithm = field("algorithm").unwrap_or_else(|| "MD5".to_owned());
        if !algorithm.eq_ignore_ascii_case("MD5") {
            return None;
        }
        let qop = field("qop").unwrap_or_default();
        Some(Self {
            realm: field("realm")?,
            nonce: field("nonce")?,
            opaque: field("opaque"),
            with_qop: qop.split(',').any(|word| word.trim() == "auth"),
            count: 0,
        })
    }

    fn answer(&self, username: &str, password: &str, method: &str, path: &str) -> String {
        let first = md5(&format!("{username}:{}:{password}", self.realm));
        let second = md5(&format!("{method}:{path}"));
        let cnonce = format!("{:016x}", getrandom::u64().unwrap_or_default());
        let count = format!("{:08x}", self.count);
        let response = if self.with_qop {
            md5(&format!("{first}:{}:{count}:{cnonce}:auth:{second}", self.nonce))
        } else {
            md5(&format!("{first}:{}:{second}", self.nonce))
        };
        let mut header = format!(
            "Digest username=\"{username}\", realm=\"{}\", nonce=\"{}\", uri=\"{path}\", \
             response=\"{response}\"",
            self.realm, self.nonce
        );
        if let Some(opaque) = &self.opaque {
            header.extend([format!(", opaque=\"{opaque}\"")]);
        }
        if self.with_qop {
            header.extend([format!(", qop=auth, nc={count}, cnonce=\"{cnonce}\"")]);
        }
        header
    }
}

fn md5(text: &str) -> String {
    hex::encode(Md5::digest(text))
}

/// `a="x, y", b=z` as pairs; names in lower case.
fn fields(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([',', ' ']).to_ascii_lowercase();
        let (value, left) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        out.push((name, value.trim().to_owned()));
        rest = left;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_the_standard() {
        // The example of RFC 2069, as corrected by its erratum.
        let digest = Digest {
            realm: "testrealm@host.com".to_owned(),
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093".to_owned(),
            opaque: None,
            with_qop: false,
            count: 1,
        };
        let header = digest.answer("Mufasa", "CircleOfLife", "GET", "/dir/index.html");
        assert!(header.contains("response=\"1949323746fe6a43ef61f9606e7febea\""), "{header}");
    }

    #[test]
    fn a_challenge_is_learned_once() {
        let auth = Auth::new("u", &Secret::from("p".to_owned()));
        let basic = auth.header("GET", "/").unwrap();
        assert!(basic.starts_with("Basic "));
        let challenge =
            [r#"Basic realm="x""#, r#"Digest realm="a, b", nonce="n", qop="auth,auth-int""#];
        assert!(auth.challenged(Some(&basic), challenge.into_iter()));
        let header = auth.header("GET", "/f").unwrap();
        assert!(header.contains("realm=\"a, b\"") && header.contains("nc=00000001"), "{header}");
        assert!(!auth.challenged(Some(&header), challenge.into_iter()), "the password is wrong");
        assert!(!auth.challenged(Some(&basic), std::iter::once("Basic realm=x")));
    }

    #[test]
    fn threads_may_learn_the_same_challenge() {
        let auth = Auth::new("u", &Secret::from("p".to_owned()));
        let challenge = |nonce: &str| format!(r#"Digest realm="r", nonce="{nonce}", qop="auth""#);
        let (first, second) = (challenge("n1"), challenge("n2"));
        let sent = [auth.header("GET", "/a"), auth.header("GET", "/b")];
        for sent in &sent {
            assert!(auth.challenged(sent.as_deref(), std::iter::once(&*first)));
        }
        // The nonce grows old under two requests, and both are told the same new one.
        let sent = [auth.header("GET", "/a"), auth.header("GET", "/b")];
        assert!(auth.challenged(sent[0].as_deref(), std::iter::once(&*second)));
        let header = auth.header("GET", "/a").unwrap();
        assert!(header.contains("\"n2\"") && header.contains("nc=00000001"), "{header}");
        assert!(auth.challenged(sent[1].as_deref(), std::iter::once(&*second)));
        let header = auth.header("GET", "/b").unwrap();
        assert!(header.contains("nc=00000002"), "no count comes twice: {header}");
        assert!(!auth.challenged(Some(&header), std::iter::once(&*second)));
    }
}

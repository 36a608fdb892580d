use kopist_blob::{BlobError, Operation, Target};

use super::{Answer, Failure};
use crate::site::{Meaning, Refusal, Site};

impl Meaning {
    /// What the status alone says.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            404 | 410 => Self::Missing,
            416 => Self::OutOfRange,
            412 => Self::Exists,
            401 => Self::WrongCredentials,
            403 => Self::Denied,
            402 | 507 => Self::Full,
            501 | 505 => Self::Lasting,
            408 | 423 | 425 | 429 | 499 | 500.. => Self::Passing,
            _ => Self::Lasting,
        }
    }
}

impl Refusal {
    /// Understood by its status only.
    pub(crate) fn by_status(answer: &Answer) -> Self {
        Self::new(answer, Meaning::of_status(answer.status), "", &answer.excerpt())
    }

    /// With the code and the message that the body contained.
    pub(crate) fn new(answer: &Answer, meaning: Meaning, code: &str, message: &str) -> Self {
        let mut text = format!("the server answered {}", answer.status);
        if !code.is_empty() {
            text += " ";
            text += code;
        }
        let message: String =
            message.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
        if !message.trim().is_empty() {
            text += ": ";
            text += message.trim().trim_end_matches('.');
        }
        Self { meaning, text, wait_seconds: answer.retry_after() }
    }
}

impl Site {
    /// The error for a request that got no answer.
    pub(crate) fn unreachable(
        &self,
        url: &str,
        failure: &Failure,
        operation: Operation,
        target: &Target,
    ) -> BlobError {
        let server = server_of(url);
        let settings = &self.settings;
        let advice = match failure {
            Failure::NoHost | Failure::NoConnection(_) => format!(
                "check {}, the network, and the proxy that the environment names",
                settings.address
            ),
            Failure::Tls(_) => format!("check {} and {}", settings.trust, settings.address),
            Failure::Silence | Failure::Broken(_) => "check the network".to_owned(),
            Failure::Protocol(_) => format!("check {}", settings.address),
        };
        let retriable = failure.may_pass();
        self.remote(operation, target, retriable, format!("{server}: {failure}; {advice}"))
    }
}

/// Host and port of a URL, which is all that an error tells of it: the rest may hold secrets.
fn server_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    host.rsplit_once('@').map_or(host, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::tests::site;

    #[test]
    fn errors_of_the_network_name_what_to_change() {
        let blob = Target::Blob("p1".into());
        let tls = Failure::Tls("unknown issuer".to_owned());
        let error = site().unreachable("https://u:p@h:1/x?sig=s", &tls, Operation::Get, &blob);
        let text = error.to_string();
        assert!(text.contains("--root-ca-pem-path") && text.contains("h:1"), "{text}");
        assert!(!text.contains("sig") && !text.contains("u:p") && !error.is_retriable(), "{text}");
        let error = site().unreachable("https://h/", &Failure::NoHost, Operation::Get, &blob);
        assert!(error.to_string().contains("--endpoint") && error.is_retriable(), "{error}");
    }

    #[test]
    fn statuses_that_may_pass() {
        for status in [408, 429, 500, 502, 503, 504, 520] {
            assert_eq!(Meaning::of_status(status), Meaning::Passing, "{status}");
        }
        for status in [400, 409, 405, 501] {
            assert_eq!(Meaning::of_status(status), Meaning::Lasting, "{status}");
        }
    }
}

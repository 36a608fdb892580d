//! The words for what goes wrong with a remote store: each error names the setting to change.

use std::fmt;
use std::io;

use kopist_blob::{BlobError, Operation, Target};

use crate::ExtraRoots;

/// The settings of a kind of store, as a person knows them, for the errors to name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Where the server is.
    pub(crate) address: &'static str,
    /// Whom it is to be believed.
    pub(crate) trust: &'static str,
    /// Who we are.
    pub(crate) credentials: &'static str,
    /// The bucket, or what takes its place.
    pub(crate) place: &'static str,
}

/// A store as its errors speak of it.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// `type` of the storage.
    pub(crate) kind: &'static str,
    /// Its display name.
    pub(crate) name: String,
    pub(crate) settings: Settings,
    /// Whom its servers, and those that vouch for us, may be certified by besides the usual.
    pub(crate) roots: ExtraRoots,
}

/// What an answer with an error status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// No such blob.
    Missing,
    /// The blob is shorter.
    OutOfRange,
    /// The blob exists and was not to be replaced.
    Exists,
    /// We are not who we say.
    WrongCredentials,
    /// We were, but no longer.
    ExpiredCredentials,
    /// We may not.
    Denied,
    /// No such bucket.
    NoPlace,
    /// No room.
    Full,
    /// The clocks differ.
    Clock,
    /// Something that may pass.
    Passing,
    /// Something that will not.
    Lasting,
}

/// An answer that refuses, understood.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) meaning: Meaning,
    /// The status, the code and the message of the server.
    pub(crate) text: String,
    /// How many seconds the server wants to be left alone; 0 if it does not say.
    pub(crate) wait_seconds: u16,
}

/// The cause inside an error of `kopist-blob`.
#[derive(Debug)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

impl Site {
    /// The error for an answer that refuses.
    pub(crate) fn refused(
        &self,
        refusal: &Refusal,
        operation: Operation,
        target: &Target,
    ) -> BlobError {
        let settings = &self.settings;
        let text = &refusal.text;
        let kind = |kind: io::ErrorKind, text: String| io::Error::new(kind, Cause(text));
        match (refusal.meaning, target) {
            (Meaning::Missing, Target::Blob(id)) => BlobError::NotFound { id: id.clone() },
            (Meaning::Exists, Target::Blob(id)) if operation == Operation::Put => {
                BlobError::AlreadyExists { id: id.clone() }
            }
            (Meaning::WrongCredentials, _) => BlobError::InvalidCredentials {
                store: self.name.clone(),
                message: format!("{text}; check {}", settings.credentials),
            },
            (Meaning::ExpiredCredentials, _) => BlobError::InvalidCredentials {
                store: self.name.clone(),
                message: format!("{text}; {} no longer hold", settings.credentials),
            },
            (Meaning::Denied, target) => BlobError::AccessDenied {
                operation,
                target: target.clone(),
                source: kind(
                    io::ErrorKind::PermissionDenied,
                    format!(
                        "{text}; check what {} may do with {}",
                        settings.credentials, settings.place
                    ),
                ),
            },
            (Meaning::NoPlace, _) => BlobError::InvalidConfig {
                kind: self.kind.to_owned(),
                message: format!(
                    "{text}; check {} and {}, or create what is missing",
                    settings.place, settings.address
                ),
            },
            (Meaning::Full, target) => BlobError::NoSpace {
                operation,
                target: target.clone(),
                source: kind(io::ErrorKind::QuotaExceeded, text.clone()),
            },
            (Meaning::Clock, target) => self.remote(
                operation,
                target,
                false,
                format!(
                    "{text}; the clock of this machine says {}: set it right",
                    crate::clock::now().round(jiff::Unit::Second).unwrap_or_default()
                ),
            ),
            (Meaning::Passing, target) => BlobError::Remote {
                operation,
                target: target.clone(),
                retriable: true,
                wait_seconds: refusal.wait_seconds,
                source: Box::new(Cause(text.clone())),
            },
            (_, target) => self.remote(
                operation,
                target,
                false,
                format!("{text}; check {} and {}", settings.address, settings.place),
            ),
        }
    }

    /// The error for an answer that makes no sense.
    pub(crate) fn nonsense(
        &self,
        what: impl fmt::Display,
        operation: Operation,
        target: &Target,
    ) -> BlobError {
        let text = format!("the answer of the server makes no sense: {what}");
        self.remote(operation, target, true, text)
    }

    /// Any other failure of a remote store.
    #[allow(clippy::unused_self)] // it is this store's error, as those beside it
    pub(crate) fn remote(
        &self,
        operation: Operation,
        target: &Target,
        retriable: bool,
        text: String,
    ) -> BlobError {
        let source = Box::new(Cause(text));
        BlobError::Remote { operation, target: target.clone(), retriable, wait_seconds: 0, source }
    }

    /// The store while somebody else is asked on its behalf, whose address is another setting.
    pub(crate) fn at(&self, address: &'static str) -> Self {
        Self { settings: Settings { address, ..self.settings }, ..self.clone() }
    }

    /// The store as those ask it whose credentials are these settings.
    pub(crate) fn with(self, credentials: &'static str) -> Self {
        Self { settings: Settings { credentials, ..self.settings }, ..self }
    }

    /// There are no credentials; `message` says where they were looked for.
    pub(crate) fn no_credentials(&self, message: &str) -> BlobError {
        BlobError::InvalidCredentials {
            store: self.name.clone(),
            message: format!("there are none: {message}"),
        }
    }

    /// Settings that cannot be used.
    pub(crate) fn invalid(&self, message: impl Into<String>) -> BlobError {
        BlobError::InvalidConfig { kind: self.kind.to_owned(), message: message.into() }
    }

    /// The store as the target of an operation.
    pub(crate) fn target(&self) -> Target {
        Target::Store(self.name.clone())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn site() -> Site {
        Site {
            kind: "s3",
            name: "S3: example bucket".to_owned(),
            settings: Settings {
                address: "--endpoint",
                trust: "--root-ca-pem-path",
                credentials: "--access-key",
                place: "--bucket",
            },
            roots: ExtraRoots::default(),
        }
    }

    #[test]
    fn every_error_names_what_to_change() {
        let blob = Target::Blob("p1".into());
        let cases = [
            (Meaning::WrongCredentials, "--access-key", false),
            (Meaning::ExpiredCredentials, "--access-key", false),
            (Meaning::Denied, "--bucket", false),
            (Meaning::NoPlace, "--bucket", false),
            (Meaning::Full, "quota", false),
            (Meaning::Clock, "clock of this machine", false),
            (Meaning::Passing, "503", true),
            (Meaning::Lasting, "--endpoint", false),
        ];
        for (meaning, part, retriable) in cases {
            let text = "the server answered 503".to_owned();
            let refusal = Refusal { meaning, text, wait_seconds: 7 };
            let error = site().refused(&refusal, Operation::Put, &blob);
            assert!(error.to_string().contains(part), "{meaning:?}: {error}");
            assert_eq!(error.is_retriable(), retriable, "{meaning:?}");
            assert_eq!(error.wait().as_secs(), if retriable { 7 } else { 0 }, "{meaning:?}");
        }
    }
}

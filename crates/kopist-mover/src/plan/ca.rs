//! Further root certificates.

use std::path::Path;

use super::error::Findings;
use crate::env::Env;
use crate::probe::{Probe, ReadError};

/// Certificates longer than this are no certificates.
const MAX_CA_BYTES: u64 = 4 << 20;

/// The PEM text of the file that `CUSTOM_CA` (backups, restores) or
/// `KOPIA_CUSTOM_CA` (maintenance) names. A missing file is ignored, as the
/// reference does; one that cannot be read, or holds none, is reported. Every store that speaks
/// TLS believes them besides the authorities of the image.
pub(super) fn custom_ca(env: &Env, probe: &dyn Probe, findings: &mut Findings) -> Option<Vec<u8>> {
    let (name, path) = env.first(&["CUSTOM_CA", "KOPIA_CUSTOM_CA"])?;
    match probe.read(Path::new(path), MAX_CA_BYTES) {
        Ok(pem) if holds_certificate(&pem) => Some(pem),
        Ok(_) => {
            findings.notice(format!("{name} names {path}, which holds no certificate; ignored"));
            None
        }
        Err(ReadError::Absent) => {
            findings.notice(format!("{name} names {path}, which does not exist; ignored"));
            None
        }
        Err(error) => {
            findings.notice(format!("{name} names {path}, which cannot be read: {error}"));
            None
        }
    }
}

/// Whether the text is PEM with a certificate in it.
fn holds_certificate(pem: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    pem.windows(BEGIN.len()).any(|part| part == BEGIN)
}

//! Is it the credential, or the path of a file that holds it?
//!
//! Backups and restores get a path, maintenance gets the content under the same
//! name. A value that starts like JSON or like a PEM block, or has several lines,
//! is the content; anything else must be the path of an existing file. The value
//! itself never appears in an error.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::{PathOrContent, Source};
use crate::plan::error::PlanError;

/// Reads the variable by content; `None` when it is not set.
pub(super) fn by_content(
    source: &Source<'_>,
    name: &'static str,
) -> Result<Option<PathOrContent>, PlanError> {
    let (Some(text), Some(raw)) = (source.text(name), source.env.raw(name)) else {
        return Ok(None);
    };
    if is_content(text) {
        return Ok(Some(PathOrContent::Content(SecretString::from(raw))));
    }
    if source.probe.is_file(Path::new(text)) {
        return Ok(Some(PathOrContent::Path(PathBuf::from(text))));
    }
    Err(PlanError::CredentialFile(name))
}

/// As [`by_content`], for credentials that are JSON documents.
pub(super) fn json_by_content(
    source: &Source<'_>,
    name: &'static str,
) -> Result<Option<PathOrContent>, PlanError> {
    let found = by_content(source, name)?;
    if let (Some(PathOrContent::Content(_)), Some(text)) = (&found, source.text(name))
        && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_err()
    {
        return Err(PlanError::CredentialJson(name));
    }
    Ok(found)
}

fn is_content(text: &str) -> bool {
    text.starts_with('{') || text.starts_with("-----BEGIN") || text.contains('\n')
}

//! Azure, Google Cloud Storage, Google Drive and B2.
//!
//! A prefix in the URL counts only when the URL also names the container: the
//! reference ignores it beside the container's variable, and a repository that
//! already lies at the top must be found there.

use secrecy::SecretString;

use super::content::json_by_content;
use super::{Source, Storage, prefix_of, split_host};
use crate::plan::error::{Findings, PlanError};

/// Container and prefix: the variable alone, or both parts of the URL.
fn place(
    source: &Source<'_>,
    variables: &[&str],
    schemes: &[&str],
    store: &'static str,
) -> Result<Option<(String, String)>, PlanError> {
    if let Some(name) = source.first(variables) {
        return Ok(Some((name.to_owned(), String::new())));
    }
    let Some(rest) = schemes.iter().find_map(|scheme| source.url(scheme)) else {
        return Ok(None);
    };
    let (container, rest) = split_host(rest);
    if container.is_empty() {
        return Ok(None);
    }
    Ok(Some((container.to_owned(), prefix_of(rest, store)?)))
}

pub(super) fn azure(source: &Source<'_>, _: &mut Findings) -> Result<Storage, PlanError> {
    let (container, prefix) = place(source, &["KOPIA_AZURE_CONTAINER"], &["azure"], "Azure")?
        .ok_or(PlanError::StoreIncomplete {
            store: "Azure",
            what: "a container",
            variables: "KOPIA_AZURE_CONTAINER, or KOPIA_REPOSITORY=azure://container/prefix",
        })?;
    let account = source
        .first(&["KOPIA_AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT", "AZURE_ACCOUNT_NAME"])
        .ok_or(PlanError::StoreIncomplete {
            store: "Azure",
            what: "a storage account",
            variables: "KOPIA_AZURE_STORAGE_ACCOUNT or AZURE_ACCOUNT_NAME",
        })?;
    let key = source.first(&["KOPIA_AZURE_STORAGE_KEY", "AZURE_STORAGE_KEY", "AZURE_ACCOUNT_KEY"]);
    let sas = source.first(&["AZURE_STORAGE_SAS_TOKEN", "AZURE_ACCOUNT_SAS"]);
    Ok(Storage::Azure {
        container,
        prefix,
        account: account.to_owned(),
        key: key.map(SecretString::from),
        sas: sas.map(|sas| SecretString::from(sas.strip_prefix('?').unwrap_or(sas))),
        domain: source
            .text("AZURE_ENDPOINT_SUFFIX")
            .map(|suffix| format!("blob.{}", suffix.trim_start_matches('.'))),
    })
}

pub(super) fn gcs(source: &Source<'_>, _: &mut Findings) -> Result<Storage, PlanError> {
    let (bucket, prefix) =
        place(source, &["KOPIA_GCS_BUCKET", "GCS_BUCKET"], &["gcs", "gs"], "GCS")?.ok_or(
            PlanError::StoreIncomplete {
                store: "Google Cloud Storage",
                what: "a bucket",
                variables: "KOPIA_GCS_BUCKET, or KOPIA_REPOSITORY=gcs://bucket/prefix",
            },
        )?;
    Ok(Storage::Gcs {
        bucket,
        prefix,
        credentials: json_by_content(source, "GOOGLE_APPLICATION_CREDENTIALS")?,
    })
}

pub(super) fn b2(source: &Source<'_>, _: &mut Findings) -> Result<Storage, PlanError> {
    let (bucket, prefix) =
        place(source, &["KOPIA_B2_BUCKET"], &["b2"], "B2")?.ok_or(PlanError::StoreIncomplete {
            store: "B2",
            what: "a bucket",
            variables: "KOPIA_B2_BUCKET, or KOPIA_REPOSITORY=b2://bucket/prefix",
        })?;
    let key_id = source.env.secret("B2_ACCOUNT_ID");
    let key = source.env.secret("B2_APPLICATION_KEY");
    let (Some(key_id), Some(key)) = (key_id, key) else {
        return Err(PlanError::StoreIncomplete {
            store: "B2",
            what: "an application key",
            variables: "B2_ACCOUNT_ID and B2_APPLICATION_KEY",
        });
    };
    Ok(Storage::B2 { bucket, prefix, key_id, key })
}

pub(super) fn gdrive(source: &Source<'_>, _: &mut Findings) -> Result<Storage, PlanError> {
    let folder = source
        .text("GOOGLE_DRIVE_FOLDER_ID")
        .or_else(|| source.url("gdrive").map(|rest| split_host(rest).0))
        .filter(|folder| !folder.is_empty())
        .ok_or(PlanError::StoreIncomplete {
            store: "Google Drive",
            what: "a folder",
            variables: "GOOGLE_DRIVE_FOLDER_ID",
        })?;
    Ok(Storage::GoogleDrive {
        folder: folder.to_owned(),
        credentials: json_by_content(source, "GOOGLE_DRIVE_CREDENTIALS")?,
    })
}

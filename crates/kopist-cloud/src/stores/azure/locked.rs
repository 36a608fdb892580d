//! Deleting what may not be deleted yet.
//!
//! A blob with a policy cannot be deleted, but in a container that keeps versions it can be
//! covered: an empty version with a policy that can be lifted is put over it, the policy is
//! lifted, and the blob, whose newest version is now free, is deleted. What was locked remains as
//! an old version until its time has come. The empty version is removed at last; if that fails,
//! it costs nothing.

use std::time::Duration;

use kopist_blob::{BlobError, Operation, Target};

use super::AzureStore;
use crate::http::{Ask, http_date};

/// The code with which such a deletion is refused.
pub(super) const CODE: &str = "BlobImmutableDueToPolicy";

/// How long the empty version would stay locked if we died in the middle.
const LOCK: Duration = Duration::from_mins(1);

/// Deletes the blob by covering it.
pub(super) fn hide(store: &AzureStore, name: &str, target: &Target) -> Result<(), BlobError> {
    let operation = Operation::Delete;
    let cover = Ask::new("PUT", name)
        .header("content-type", "application/octet-stream")
        .header("x-ms-blob-type", "BlockBlob")
        .header("x-ms-immutability-policy-mode", "Unlocked")
        .header("x-ms-immutability-policy-until-date", http_date(crate::clock::now() + LOCK))
        .body(&[]);
    let covered = store.api.succeed(&cover, operation, target)?;
    let lift = Ask::new("DELETE", name).query(&[("comp", "immutabilityPolicies")]);
    store.api.succeed(&lift, operation, target)?;
    store.api.succeed(&Ask::new("DELETE", name), operation, target)?;
    if let Some(version) = covered.header("x-ms-version-id") {
        let query = [("versionid", version)];
        let gone = Ask::new("DELETE", name).query(&query);
        if let Err(error) = store.api.succeed(&gone, operation, target) {
            tracing::debug!(%error, "an empty version stays");
        }
    }
    Ok(())
}

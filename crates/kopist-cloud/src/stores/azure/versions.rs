//! The versions that the container keeps of blobs that were replaced or deleted.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;
use kopist_blob::{BlobError, BlobId};

use super::AzureStore;
use super::list::{Found, blobs};
use crate::http::Fetched;
use crate::site::Site;
use crate::stores::past::{Version, Versioned};

/// What listings of versions tell besides.
const INCLUDE: &str = "metadata,versions,deletedwithversions";

impl Versioned for AzureStore {
    fn site(&self) -> &Site {
        self.api.site()
    }

    /// Of the container itself nothing tells it to us, but each blob has a version if it does.
    fn keeps_versions(&self) -> Result<bool, BlobError> {
        let mut versioned = false;
        blobs(self, "kopia.repository", INCLUDE, &mut |found| {
            versioned |= !found.version.is_empty();
            ControlFlow::Continue(())
        })?;
        Ok(versioned)
    }

    fn fetch_version(
        &self,
        id: &BlobId,
        version: &str,
        range: Option<(u64, u64)>,
    ) -> Result<Fetched, BlobError> {
        self.fetch(id, Some(version), range)
    }

    fn list_at(
        &self,
        time: Timestamp,
        prefix: &str,
        visit: &mut dyn FnMut(Version) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let mut newest: BTreeMap<BlobId, Found> = BTreeMap::new();
        blobs(self, prefix, INCLUDE, &mut |found| {
            let made: Option<Timestamp> = found.version.parse().ok();
            let made = made.unwrap_or(found.meta.timestamp);
            if made <= time
                && newest.get(&found.meta.id).is_none_or(|known| known.version <= found.version)
            {
                newest.insert(found.meta.id.clone(), found);
            }
            ControlFlow::Continue(())
        })?;
        for (_, found) in newest.into_iter().filter(|(_, found)| !found.deleted) {
            if visit(Version { meta: found.meta, name: found.version }).is_break() {
                break;
            }
        }
        Ok(())
    }
}

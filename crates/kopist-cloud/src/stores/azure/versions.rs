//! The versions that the container keeps of blobs that were replaced or deleted.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;
use kopist_blob::{BlobError, BlobId, Operation};

use super::AzureStore;
use super::list::{Found, blobs};
use crate::http::{Ask, Fetched};
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

    fn fetch(
        &self,
        id: &BlobId,
        version: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> Result<Fetched, BlobError> {
        let name = self.prefix.key(id)?;
        let query = version.map(|version| [("versionid", version)]);
        let mut ask = Ask::new("GET", &name);
        if let Some(query) = &query {
            ask = ask.query(query);
        }
        if let Some((offset, length)) = range {
            ask = ask.header("x-ms-range", format!("bytes={offset}-{}", offset + length - 1));
        }
        let target = id.into();
        let answer = self.api.send(&ask, Operation::Get, &target)?;
        match answer.status {
            200 | 206 => Ok(Fetched::Answer(answer)),
            416 => Ok(Fetched::OutOfRange(answer)),
            _ => Err(self.api.refused(&answer, Operation::Get, &target)),
        }
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

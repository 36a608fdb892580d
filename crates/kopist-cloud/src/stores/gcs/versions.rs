//! The generations that the bucket keeps of objects that were replaced or deleted.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;
use kopist_blob::{BlobError, BlobId, Operation};
use serde_json::Value;

use super::GcsStore;
use super::resource::Resource;
use crate::http::Fetched;
use crate::site::Site;
use crate::stores::past::{Version, Versioned};

impl Versioned for GcsStore {
    fn site(&self) -> &Site {
        self.api.site()
    }

    fn keeps_versions(&self) -> Result<bool, BlobError> {
        let target = self.api.site().target();
        let url = format!("{}?fields=versioning", self.api.bucket_url());
        let bucket: Value =
            self.attempts.run(|| self.api.json("GET", &url, None, Operation::Open, &target))?;
        Ok(bucket.pointer("/versioning/enabled") == Some(&Value::Bool(true)))
    }

    fn fetch(
        &self,
        id: &BlobId,
        generation: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> Result<Fetched, BlobError> {
        let mut query = "alt=media".to_owned();
        if let Some(generation) = generation {
            query.extend([format!("&generation={generation}")]);
        }
        let url = self.object_url(&self.prefix.key(id)?, &query);
        let answer = self.api.send(
            "GET",
            &url,
            &|request| request.range(range),
            None,
            Operation::Get,
            &id.into(),
        )?;
        match answer.status {
            200 | 206 => Ok(Fetched::Answer(answer)),
            416 => Ok(Fetched::OutOfRange(answer)),
            _ => Err(self.api.refused(&answer, Operation::Get, &id.into())),
        }
    }

    fn list_at(
        &self,
        time: Timestamp,
        prefix: &str,
        visit: &mut dyn FnMut(Version) -> ControlFlow<()>,
    ) -> Result<(), BlobError> {
        let mut newest: BTreeMap<BlobId, Resource> = BTreeMap::new();
        self.objects(prefix, true, &mut |id, resource| {
            if resource.time_created <= time
                && newest.get(&id).is_none_or(|known| known.time_created <= resource.time_created)
            {
                newest.insert(id, resource);
            }
            ControlFlow::Continue(())
        })?;
        newest.retain(|_, resource| resource.time_deleted.is_none_or(|gone| gone >= time));
        for (id, resource) in newest {
            if visit(Version { meta: resource.meta(id), name: resource.generation }).is_break() {
                break;
            }
        }
        Ok(())
    }
}

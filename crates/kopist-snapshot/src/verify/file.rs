//! Verifying single files.

use std::collections::HashMap;
use std::sync::Arc;

use kopist_blob::{BlobError, list_prefixes};
use kopist_format::id::{ContentId, ObjectId};
use kopist_repo::{ContentInfo, ContentSet, IndexView, RepoError, Repository};
use parking_lot::Mutex;

/// Verifies files one by one, each content once. Knows which packs there were when it was made.
pub struct FileVerifier<'a> {
    repo: &'a Repository,
    pub(super) view: Arc<IndexView>,
    /// Lengths of all packs.
    packs: HashMap<String, u64>,
    checked: Mutex<ContentSet>,
    pub(super) read: Mutex<ContentSet>,
    percent: f64,
    /// Makes each run read other files.
    salt: u64,
}

impl<'a> FileVerifier<'a> {
    /// A verifier that reads `percent` of a hundred files completely.
    pub fn new(repo: &'a Repository, percent: f64) -> Result<Self, RepoError> {
        let view = repo.fresh_index()?;
        let listed = list_prefixes(repo.store().as_ref(), &["p", "q"], 2)?;
        let packs =
            listed.into_iter().map(|blob| (blob.id.as_str().to_owned(), blob.length)).collect();
        Ok(Self {
            repo,
            packs,
            checked: Mutex::new(ContentSet::new(&view)),
            read: Mutex::new(ContentSet::new(&view)),
            view,
            percent,
            salt: repo.clock().now().as_nanosecond() as u64,
        })
    }

    /// Whether a file can be restored: every content is where the index says, and of some files
    /// every byte is read.
    pub fn verify(&self, object: &ObjectId) -> Result<(), RepoError> {
        let contents = self.check(object)?;
        if !self.is_chosen(object) {
            return Ok(());
        }
        self.check_lengths(object)?;
        for id in contents {
            let ordinal = self.view.find(&id)?.map(|(ordinal, _)| ordinal);
            if ordinal.is_some_and(|ordinal| self.read.lock().contains(ordinal)) {
                continue;
            }
            self.repo.read_content(&id)?;
            if let Some(ordinal) = ordinal {
                self.read.lock().insert(ordinal);
            }
        }
        Ok(())
    }

    /// Checks that all contents of an object are there, and returns them.
    pub(super) fn check(&self, object: &ObjectId) -> Result<Vec<ContentId>, RepoError> {
        let mut contents = Vec::new();
        self.repo.object_contents(object, &mut |content| contents.push(content))?;
        for content in &contents {
            self.check_content(content)?;
        }
        Ok(contents)
    }

    /// The content is known, and its bytes can be where the index says. What fails is not
    /// remembered, so that every file with it is reported.
    fn check_content(&self, id: &ContentId) -> Result<(), RepoError> {
        let Some((ordinal, entry)) = self.view.find(id)? else {
            let info = self.repo.content_info(id)?;
            return self.check_pack(&info.ok_or(RepoError::ContentNotFound(*id))?);
        };
        if self.checked.lock().contains(ordinal) {
            return Ok(());
        }
        self.check_pack(&entry.to_entry())?;
        self.checked.lock().insert(ordinal);
        Ok(())
    }

    fn check_pack(&self, info: &ContentInfo) -> Result<(), RepoError> {
        let end = u64::from(info.offset) + u64::from(info.packed_length);
        let pack = info.pack.as_str();
        let length = match self.packs.get(pack) {
            Some(length) => *length,
            // Written since the listing, or lost.
            None => match self.repo.store().metadata(&pack.into()) {
                Ok(blob) => blob.length,
                Err(BlobError::NotFound { .. }) => {
                    let what = format!("content {}", info.id);
                    return Err(RepoError::BlobNotFound { what, blob: pack.into() });
                }
                Err(error) => return Err(error.into()),
            },
        };
        if length >= end {
            return Ok(());
        }
        Err(RepoError::ContentUnreadable {
            id: info.id,
            pack: pack.into(),
            offset: info.offset.into(),
            length: info.packed_length.into(),
            source: format!("the pack ends at {length}").into(),
        })
    }

    /// Whether a file is among those that are read: the same answer for one object in one run.
    pub fn is_chosen(&self, object: &ObjectId) -> bool {
        let percent = self.percent;
        if percent >= 100.0 {
            return true;
        }
        let content = object.content();
        let mut head = [0; 8];
        for (byte, hash) in head.iter_mut().zip(content.hash().iter().rev()) {
            *byte = *hash;
        }
        let mut mixed = (u64::from_le_bytes(head) ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let dice = ((mixed ^ (mixed >> 29)) >> 11) as f64 / (1_u64 << 53) as f64;
        dice * 100.0 < percent
    }

    /// The chunks of a file have the lengths that its list gives.
    pub(super) fn check_lengths(&self, object: &ObjectId) -> Result<(), RepoError> {
        for chunk in self.repo.object_chunks(object)? {
            let id = chunk.object.content();
            let Some(info) = self.repo.content_info(&id)? else {
                return Err(RepoError::ContentNotFound(id));
            };
            let compressed = chunk.object.is_compressed();
            if !compressed && u64::from(info.original_length) != chunk.length {
                return Err(RepoError::ObjectInvalid {
                    id: *object,
                    reason: format!(
                        "unexpected chunk length {}, expected {} (chunk at {})",
                        info.original_length, chunk.length, chunk.start
                    ),
                });
            }
        }
        Ok(())
    }
}

//! Objects: byte streams of any length made of contents.
//!
//! * A short object is one content: its id is the object id.
//! * A longer one is `I` and the id of another object: a JSON list of chunks with their lengths.
//!   That list may be long itself, so levels nest (`II…`).
//! * In repositories with index version 1, a chunk of data may be compressed before it becomes a
//!   content: `Z` in front of its id.
//!
//! Sources: `kopia:repo/object/`.

mod indirect;
mod reader;
mod writer;

pub use indirect::Chunk;
pub use reader::ObjectReader;
pub use writer::{ObjectOptions, ObjectWriter};

pub(crate) use indirect::{backing_contents, load_chunks};
pub(crate) use reader::{object_chunks, read_object};

use bytes::Bytes;
use kopist_format::id::{ContentId, ObjectId};

use crate::{
    Repository, RepositoryWriter,
    content::ContentInfo,
    error::{RepoError, Result},
};

/// Where an object's contents come from: the committed repository, or that and a session.
pub(crate) trait ContentSource {
    /// The bytes of a content.
    fn content(&self, id: &ContentId) -> Result<Bytes>;
    /// What is known of a content.
    fn info(&self, id: &ContentId) -> Result<Option<ContentInfo>>;

    /// Bytes of an object that is one content.
    fn length(&self, object: &ObjectId) -> Result<u64>
    where
        Self: Sized,
    {
        if object.is_compressed() {
            return Ok(read_object(self, object)?.len() as u64);
        }
        let id = object.content();
        let info = self.info(&id)?.ok_or(RepoError::ContentNotFound(id))?;
        Ok(info.original_length.into())
    }
}

impl ContentSource for Repository {
    fn content(&self, id: &ContentId) -> Result<Bytes> {
        self.read_content(id)
    }

    fn info(&self, id: &ContentId) -> Result<Option<ContentInfo>> {
        self.content_info(id)
    }
}

impl ContentSource for RepositoryWriter {
    fn content(&self, id: &ContentId) -> Result<Bytes> {
        self.read_content(id)
    }

    fn info(&self, id: &ContentId) -> Result<Option<ContentInfo>> {
        self.content_info(id)
    }
}

use std::borrow::Cow;
use std::sync::OnceLock;

use kopist_blob::sharded::{PARAMETERS_FILE, Parameters};
use kopist_blob::{BlobError, BlobId, ByteRange};
use parking_lot::Mutex;

use super::Tree;

/// The layout of one store: read once from `.shards`, or written there before the first blob.
#[derive(Debug)]
pub(super) struct Layout {
    /// The store, for errors.
    store: String,
    known: OnceLock<Parameters>,
    /// For a store that has no `.shards`.
    fallback: Parameters,
    writing: Mutex<()>,
}

impl Layout {
    pub(super) fn new(store: &str, shards: &[usize]) -> Self {
        Self {
            store: store.to_owned(),
            known: OnceLock::new(),
            fallback: Parameters::with_shards(shards),
            writing: Mutex::default(),
        }
    }

    /// The layout for finding blobs. That there is no `.shards` is not remembered, so that a
    /// store which another process creates meanwhile is read as it really is. Unlike kopia,
    /// looking writes nothing.
    pub(super) fn for_reading(&self, tree: &impl Tree) -> Result<Cow<'_, Parameters>, BlobError> {
        if let Some(known) = self.known.get() {
            return Ok(Cow::Borrowed(known));
        }
        match self.load(tree)? {
            Some(found) => Ok(Cow::Borrowed(self.known.get_or_init(|| found))),
            None => Ok(Cow::Owned(self.fallback.clone())),
        }
    }

    /// The layout for writing blobs. A blob is never written without `.shards`, since the next
    /// process might look for the blob elsewhere.
    pub(super) fn for_writing(&self, tree: &impl Tree) -> Result<&Parameters, BlobError> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        // One thread writes it, the others wait and find it known.
        let _writing = self.writing.lock();
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let found = if let Some(found) = self.load(tree)? {
            found
        } else {
            let bytes = self.fallback.to_bytes();
            tree.write(PARAMETERS_FILE, &file_id(), &[&bytes], None)?;
            self.fallback.clone()
        };
        Ok(self.known.get_or_init(|| found))
    }

    fn load(&self, tree: &impl Tree) -> Result<Option<Parameters>, BlobError> {
        match tree.read(PARAMETERS_FILE, &file_id(), ByteRange::Full) {
            Ok(bytes) => {
                let file = format!("{PARAMETERS_FILE} in {}", self.store);
                Parameters::parse(&bytes, &file).map(Some)
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What errors call the file.
fn file_id() -> BlobId {
    BlobId::from(PARAMETERS_FILE)
}

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::write::{WriteError, Writer};
use crate::sharded::{PARAMETERS_FILE, Parameters};
use crate::{BlobError, Operation, PutOptions, Target};

/// The layout of one store: read once from `.shards`, or written there before the first blob.
#[derive(Debug)]
pub(super) struct Layout {
    file: PathBuf,
    known: OnceLock<Parameters>,
    /// For a store that has no `.shards`.
    fallback: Parameters,
}

impl Layout {
    pub(super) fn new(root: &Path, shards: &[usize]) -> Self {
        Self {
            file: root.join(PARAMETERS_FILE),
            known: OnceLock::new(),
            fallback: Parameters::with_shards(shards),
        }
    }

    /// The layout for finding blobs. The absence of `.shards` is not remembered, so that a
    /// store which another process creates meanwhile is read as it really is.
    ///
    /// Unlike kopia, looking does not write `.shards`: connecting to an empty directory by
    /// mistake must not decide its layout.
    pub(super) fn for_reading(&self) -> Result<Cow<'_, Parameters>, BlobError> {
        if let Some(known) = self.known.get() {
            return Ok(Cow::Borrowed(known));
        }
        match self.load()? {
            Some(found) => Ok(Cow::Borrowed(self.known.get_or_init(|| found))),
            None => Ok(Cow::Owned(self.fallback.clone())),
        }
    }

    /// The layout for writing blobs; writes `.shards` if there is none. A blob is never written
    /// without it, since the next process might look for the blob elsewhere.
    pub(super) fn for_writing(&self, writer: &Writer<'_>) -> Result<&Parameters, BlobError> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        let found = match self.load()? {
            Some(found) => found,
            None => self.persist(writer)?,
        };
        Ok(self.known.get_or_init(|| found))
    }

    fn load(&self) -> Result<Option<Parameters>, BlobError> {
        match std::fs::read(&self.file) {
            Ok(bytes) => Parameters::parse(&bytes, &self.file.display().to_string()).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::from_io(Operation::Get, self.file.clone(), error)),
        }
    }

    /// Writes `.shards`, unless another process is faster: then its layout holds.
    fn persist(&self, writer: &Writer<'_>) -> Result<Parameters, BlobError> {
        let bytes = self.fallback.to_bytes();
        let write = |options: &PutOptions| writer.write(PARAMETERS_FILE, &[&bytes], options);
        let written = match write(&PutOptions::create_only()) {
            Err(WriteError::NoExclusiveCreate) => write(&PutOptions::default()),
            other => other,
        };
        match written {
            Ok(_) | Err(WriteError::NoExclusiveCreate) => Ok(self.fallback.clone()),
            Err(WriteError::RootMissing(source)) => Err(BlobError::Inaccessible {
                path: self.file.parent().unwrap_or(&self.file).to_owned(),
                source,
            }),
            Err(WriteError::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(self.load()?.unwrap_or_else(|| self.fallback.clone()))
            }
            Err(WriteError::Io(error)) => {
                Err(BlobError::from_io(Operation::Put, Target::Path(self.file.clone()), error))
            }
        }
    }
}

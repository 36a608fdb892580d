//! Reading objects.

use std::io::{self, Read, Seek, SeekFrom};

use bytes::Bytes;
use kopist_format::{compression::decompress, id::ObjectId};

use super::{Chunk, ContentSource, indirect::load_chunks};
use crate::{
    Repository,
    error::{RepoError, Result},
};

/// A compressed chunk of an old repository may unpack to this much: chunks are at most 8 MiB.
const MAX_CHUNK: usize = 256 << 20;

/// An open object. Holds the list of its chunks and one chunk in memory.
///
/// Damaged data is an error of the read that meets it; nothing is ever returned unchecked.
#[derive(Debug)]
pub struct ObjectReader {
    repo: Repository,
    id: ObjectId,
    chunks: Vec<Chunk>,
    length: u64,
    position: u64,
    current: Option<(usize, Bytes)>,
}

impl ObjectReader {
    pub(crate) fn open(repo: &Repository, id: &ObjectId) -> Result<Self> {
        let mut current = None;
        let chunks = if id.indirection() > 0 {
            flatten(repo, id)?
        } else {
            let data = read_direct(repo, id)?;
            let length = data.len() as u64;
            current = Some((0, data));
            vec![Chunk { start: 0, length, object: *id }]
        };
        let length = chunks.last().map_or(0, Chunk::end);
        Ok(Self { repo: repo.clone(), id: *id, chunks, length, position: 0, current })
    }

    /// Bytes of the object.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether the object has no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Fills as much of `out` as there is from `offset` on and returns how much that is; less
    /// than asked only at the end.
    pub fn read_at(&mut self, mut offset: u64, out: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < out.len() && offset < self.length {
            let number = self.chunks.partition_point(|chunk| chunk.end() <= offset);
            let Some(chunk) = self.chunks.get(number).copied() else { break };
            let data = self.chunk(number, &chunk)?;
            let skip = usize::try_from(offset - chunk.start).unwrap_or(usize::MAX);
            let part = data.get(skip..).unwrap_or_default();
            let rest = out.get_mut(done..).unwrap_or_default();
            let take = part.len().min(rest.len());
            if take == 0 {
                break;
            }
            rest[..take].copy_from_slice(&part[..take]);
            done += take;
            offset += take as u64;
        }
        Ok(done)
    }

    fn chunk(&mut self, number: usize, chunk: &Chunk) -> Result<&Bytes> {
        if self.current.as_ref().is_none_or(|(have, _)| *have != number) {
            let data = read_direct(&self.repo, &chunk.object)?;
            if data.len() as u64 != chunk.length {
                return Err(wrong_length(&self.id, chunk, data.len()));
            }
            self.current = Some((number, data));
        }
        match &self.current {
            Some((_, data)) => Ok(data),
            None => Err(RepoError::ObjectInvalid { id: self.id, reason: "no data".into() }),
        }
    }
}

impl Read for ObjectReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let done = self.read_at(self.position, out).map_err(io::Error::other)?;
        self.position += done as u64;
        Ok(done)
    }
}

impl Seek for ObjectReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
        };
        self.position = target.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "seek to before the start of the object")
        })?;
        Ok(self.position)
    }
}

/// The chunks of an indirect object with those that are lists themselves resolved.
pub(crate) fn flatten(source: &impl ContentSource, id: &ObjectId) -> Result<Vec<Chunk>> {
    let chunks = load_chunks(source, id)?;
    if chunks.iter().all(|chunk| chunk.object.indirection() == 0) {
        return Ok(chunks);
    }
    let mut flat = Vec::new();
    for chunk in chunks {
        if chunk.object.indirection() == 0 {
            flat.push(chunk);
            continue;
        }
        let inner = flatten(source, &chunk.object)?;
        let length = inner.last().map_or(0, Chunk::end);
        if length != chunk.length {
            return Err(wrong_length(id, &chunk, usize::try_from(length).unwrap_or(usize::MAX)));
        }
        flat.extend(inner.into_iter().map(|c| Chunk { start: c.start + chunk.start, ..c }));
    }
    Ok(flat)
}

/// The chunks of an object in order, each one content.
pub(crate) fn object_chunks(source: &impl ContentSource, id: &ObjectId) -> Result<Vec<Chunk>> {
    if id.indirection() > 0 {
        return flatten(source, id);
    }
    let length = source.length(id)?;
    Ok(vec![Chunk { start: 0, length, object: *id }])
}

/// A whole object in memory.
pub(crate) fn read_object(source: &impl ContentSource, id: &ObjectId) -> Result<Vec<u8>> {
    if id.indirection() == 0 {
        return Ok(read_direct(source, id)?.into());
    }
    let mut out = Vec::new();
    for chunk in flatten(source, id)? {
        let data = read_direct(source, &chunk.object)?;
        if data.len() as u64 != chunk.length {
            return Err(wrong_length(id, &chunk, data.len()));
        }
        out.extend_from_slice(&data);
    }
    Ok(out)
}

/// An object that is one content.
fn read_direct(source: &impl ContentSource, id: &ObjectId) -> Result<Bytes> {
    let data = source.content(&id.content())?;
    if !id.is_compressed() {
        return Ok(data);
    }
    let plain = decompress(&data, None, MAX_CHUNK).map_err(|e| RepoError::ObjectInvalid {
        id: *id,
        reason: format!("cannot decompress it: {e}"),
    })?;
    Ok(plain.into())
}

fn wrong_length(id: &ObjectId, chunk: &Chunk, found: usize) -> RepoError {
    RepoError::ObjectInvalid {
        id: *id,
        reason: format!(
            "unexpected chunk length {found}, expected {} (chunk {})",
            chunk.length, chunk.object
        ),
    }
}

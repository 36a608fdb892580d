//! Writing objects.

use std::{
    io::{self, Write},
    sync::Arc,
};

use kopist_format::{
    compression::Compressor,
    id::{IdPrefix, ObjectId},
    splitter::{Splitter, SplitterAlgorithm},
};

use super::{Chunk, ContentSource, indirect::encode_chunks, load_chunks};
use crate::{
    RepositoryWriter,
    error::{RepoError, Result},
    writer::{Gathering, Plain, Promise, Stream},
};

/// How an object is written.
#[derive(Debug, Clone, Default)]
pub struct ObjectOptions {
    /// Letter in front of the ids of its contents; none for file data.
    pub prefix: Option<IdPrefix>,
    /// Compressor of its data.
    pub compressor: Option<Compressor>,
    /// Compressor of its lists of chunks.
    pub metadata_compressor: Option<Compressor>,
    /// Splitter instead of the repository's.
    pub splitter: Option<SplitterAlgorithm>,
    /// What it is, for errors.
    pub description: String,
}

/// Chunks of at least this many bytes are given to another thread if one is free.
const WORTH_A_THREAD: usize = 128 << 10;
/// Receives the bytes of one object; see [`RepositoryWriter::object_writer`].
///
/// Memory: one chunk, and one for each free processor that works ahead
/// ([`WriterOptions::threads`](crate::WriterOptions)).
pub struct ObjectWriter<'w> {
    writer: &'w RepositoryWriter,
    options: Arc<ObjectOptions>,
    splitter: Splitter,
    max_chunk: usize,
    /// The chunk that has begun.
    buffer: Gathering,
    chunks: Vec<Slot>,
    /// Chunks before this one are stored.
    settled: usize,
    /// Bytes in finished chunks.
    position: u64,
    /// Counts as large from the first large chunk on.
    stream: Option<Stream>,
}

/// A finished chunk.
enum Slot {
    Stored(Chunk),
    /// On its way.
    Ahead {
        start: u64,
        length: u64,
        object: Promise<ObjectId>,
    },
}

impl RepositoryWriter {
    /// Begins an object. Its bytes are written with [`io::Write`], or with
    /// [`ObjectWriter::write_data`] for errors of this crate.
    pub fn object_writer(&self, options: ObjectOptions) -> ObjectWriter<'_> {
        let algorithm = options.splitter.unwrap_or_else(|| self.repository().splitter());
        ObjectWriter {
            writer: self,
            splitter: algorithm.new_splitter(),
            max_chunk: algorithm.max_chunk_size(),
            options: Arc::new(options),
            buffer: empty(),
            chunks: Vec::new(),
            settled: 0,
            position: 0,
            stream: None,
        }
    }

    /// Writes an object from memory.
    pub fn write_object(&self, data: &[u8], options: ObjectOptions) -> Result<ObjectId> {
        let mut object = self.object_writer(options);
        object.write_data(data)?;
        object.finish()
    }

    /// An object of the bytes of several objects one after the other, without writing their data
    /// again. One object is the result itself.
    pub fn concatenate(
        &self,
        objects: &[ObjectId],
        metadata_compressor: Option<Compressor>,
    ) -> Result<ObjectId> {
        let [first, ..] = objects else {
            return Err(RepoError::InvalidOption("empty list of objects".into()));
        };
        if objects.len() == 1 {
            return Ok(*first);
        }
        let mut chunks = Vec::new();
        let mut end = 0;
        for object in objects {
            let start = end;
            if object.indirection() > 0 {
                let parts = load_chunks(self, object)?;
                end += parts.last().map_or(0, Chunk::end);
                chunks.extend(parts.into_iter().map(|c| Chunk { start: c.start + start, ..c }));
            } else {
                let length = self.length(object)?;
                end += length;
                chunks.push(Chunk { start, length, object: *object });
            }
        }
        write_index(self, &chunks, Some(IdPrefix::INDIRECT), metadata_compressor)
    }
}

impl ObjectWriter<'_> {
    /// Appends bytes; chunks that are complete are stored.
    ///
    /// A chunk may be stored by another thread meanwhile: its failure is then the result of a
    /// later call.
    pub fn write_data(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let Some(cut) = self.splitter.next_cut(data) else {
                self.buffer.extend(data, self.max_chunk);
                return Ok(());
            };
            let (chunk, rest) = data.split_at_checked(cut).unwrap_or((data, &[]));
            if self.buffer.len() == 0 && chunk.len() < WORTH_A_THREAD {
                self.put_chunk(Plain::Borrowed(chunk))?; // in place: the caller's buffer holds all of it
            } else {
                self.buffer.extend(chunk, self.max_chunk);
                self.put_buffer()?;
            }
            data = rest;
        }
        Ok(())
    }

    /// Stores the chunk in the buffer, on another thread if that is worth it and one is free.
    fn put_buffer(&mut self) -> Result<()> {
        self.settle(false)?;
        let mut buffer = std::mem::replace(&mut self.buffer, empty());
        if buffer.len() >= WORTH_A_THREAD {
            if self.stream.is_none() {
                self.stream = Some(self.writer.stream());
            }
            let (start, length) = (self.position, buffer.len() as u64);
            let options = Arc::clone(&self.options);
            let work = move |writer: &RepositoryWriter, buffer: Gathering| {
                write_chunk(writer, buffer.into(), &options)
            };
            match self.writer.ahead(buffer, work) {
                Ok(object) => {
                    self.chunks.push(Slot::Ahead { start, length, object });
                    self.position += length;
                    return Ok(());
                }
                Err(back) => buffer = back,
            }
        }
        self.put_chunk(buffer.into())?;
        self.buffer = Gathering::Small(self.writer.take_buffer());
        Ok(())
    }

    fn put_chunk(&mut self, data: Plain<'_>) -> Result<()> {
        let length = data.bytes().len() as u64;
        let object = write_chunk(self.writer, data, &self.options)?;
        self.chunks.push(Slot::Stored(Chunk { start: self.position, length, object }));
        self.position += length;
        Ok(())
    }

    /// Takes the results of chunks that others store: those that are there, or `all`.
    fn settle(&mut self, all: bool) -> Result<()> {
        while let Some(slot) = self.chunks.get_mut(self.settled) {
            if let Slot::Ahead { start, length, object } = slot {
                let Some(object) = (if all { Some(object.wait()) } else { object.poll() }) else {
                    break;
                };
                let chunk = Chunk { start: *start, length: *length, object: object? };
                *slot = Slot::Stored(chunk);
            }
            self.settled += 1;
        }
        Ok(())
    }

    /// Bytes received so far.
    pub fn len(&self) -> u64 {
        self.position + self.buffer.len() as u64
    }

    /// Whether nothing was received.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An object of the complete chunks so far; `None` if there are none. Writing goes on after
    /// it as if it had not happened.
    pub fn checkpoint(&mut self) -> Result<Option<ObjectId>> {
        if self.chunks.is_empty() {
            return Ok(None);
        }
        self.assemble().map(Some)
    }

    /// Stores the rest and returns the object's id.
    pub fn finish(mut self) -> Result<ObjectId> {
        if self.buffer.len() > 0 || self.chunks.is_empty() {
            // The last chunk needs no other thread: this one has nothing else to do.
            let buffer = std::mem::replace(&mut self.buffer, empty());
            self.put_chunk(buffer.into())?;
        }
        self.assemble()
    }

    fn assemble(&mut self) -> Result<ObjectId> {
        self.settle(true)?;
        let stored = |slot: &Slot| match slot {
            Slot::Stored(chunk) => Some(*chunk),
            Slot::Ahead { .. } => None,
        };
        let chunks: Vec<Chunk> = self.chunks.iter().filter_map(stored).collect();
        match chunks.as_slice() {
            [only] => Ok(only.object),
            chunks => {
                let prefix = self.options.prefix.or(Some(IdPrefix::INDIRECT));
                write_index(self.writer, chunks, prefix, self.options.metadata_compressor)
            }
        }
    }
}

impl Write for ObjectWriter<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.write_data(data).map_err(io::Error::other)?;
        Ok(data.len())
    }

    /// Does nothing: chunks end where the splitter says.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for ObjectWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectWriter")
            .field("options", &self.options)
            .field("length", &self.len())
            .finish_non_exhaustive()
    }
}

fn empty() -> Gathering {
    Gathering::Small(Vec::new())
}

/// Stores one chunk. With index version 1 it is compressed here, which the id records as `Z`.
fn write_chunk(
    writer: &RepositoryWriter,
    data: Plain<'_>,
    options: &ObjectOptions,
) -> Result<ObjectId> {
    let ObjectOptions { prefix, compressor, .. } = options;
    if writer.repository().parameters().index_version >= 2 {
        return Ok(writer.write_plain(data, *prefix, *compressor)?.into());
    }
    if let (None, Some(compressor)) = (prefix, compressor) {
        let mut packed = Vec::new();
        let smaller = compressor
            .compress(data.bytes(), &mut packed)
            .map_err(|e| RepoError::format(format!("chunk of {}", options.description), e))?;
        if smaller {
            return Ok(ObjectId::compressed(writer.write_plain(
                Plain::Owned(packed),
                None,
                None,
            )?));
        }
    }
    Ok(writer.write_plain(data, *prefix, None)?.into())
}

/// Stores a list of chunks as an object and returns the object that it describes.
fn write_index(
    writer: &RepositoryWriter,
    chunks: &[Chunk],
    prefix: Option<IdPrefix>,
    compressor: Option<Compressor>,
) -> Result<ObjectId> {
    let options = ObjectOptions {
        prefix,
        compressor,
        metadata_compressor: compressor,
        splitter: None,
        description: "list of chunks".into(),
    };
    let index = writer.write_object(&encode_chunks(chunks)?, options)?;
    ObjectId::indirect(index).map_err(|e| RepoError::format("list of chunks", e))
}

//! Restoring to an archive: one stream of entries, in the order of the tree.
//!
//! A directory comes before what is in it. One thread walks and reads ahead (`read.rs`), the
//! caller's writes. Files whose contents are known to be lost are left out; if a part of a large
//! file turns out to be unreadable after its beginning was written, zeros take its place, for an
//! archive has no way back, and it is reported like every error.
//!
//! Facts: `kopia:snapshot/restore/tar_output.go`, `zip_output.go`. Deliberately different:
//! kopia's zip archives have neither directories nor links, and its tar archives have Go's mode
//! bits where others look for setuid.

mod read;
mod tar;
mod zip;

use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use kopist_format::directory::{DirEntry, EntryType};
use kopist_repo::Repository;

use super::{Counters, RestoreError, RestoreOptions, RestoreProgress, RestoreStats, count};
use read::{Item, Member, Reader, Window};

/// Kind of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveKind {
    /// Zip with compressed files.
    Zip,
    /// Zip with files as they are.
    ZipStored,
    /// Tar.
    Tar,
    /// Tar in gzip.
    TarGzip,
}

impl ArchiveKind {
    /// The kind that a file's name asks for.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.as_os_str().as_encoded_bytes();
        let ends = [
            (".zip", Self::Zip),
            (".tar", Self::Tar),
            (".tar.gz", Self::TarGzip),
            (".tgz", Self::TarGzip),
        ];
        ends.into_iter().find(|(end, _)| name.ends_with(end.as_bytes())).map(|(_, kind)| kind)
    }
}

/// An archive that is being written.
trait Sink {
    fn directory(&mut self, path: &[u8], entry: &DirEntry) -> io::Result<()>;

    /// Begins a file of exactly this many bytes.
    fn begin(&mut self, path: &[u8], entry: &DirEntry, size: u64) -> io::Result<()>;

    fn data(&mut self, data: &[u8]) -> io::Result<()>;

    fn end(&mut self) -> io::Result<()>;

    fn link(&mut self, path: &[u8], entry: &DirEntry, target: &[u8]) -> io::Result<()>;

    /// Writes the end of the archive.
    fn finish(&mut self) -> io::Result<()>;
}

/// A gzip stream that is closed with the archive in it.
struct Gzip<W: Write>(flate2::write::GzEncoder<W>);

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.try_finish()?;
        self.0.get_mut().flush()
    }
}

/// The longest link target that is believed.
const MAX_TARGET: u64 = 1 << 20;

/// Restores an entry of a snapshot to an archive: what is in a directory, or one file.
///
/// Of the options those about files on a disk mean nothing here.
pub fn restore_to_archive(
    repo: &Repository,
    root: &DirEntry,
    output: &mut (dyn Write + Send),
    kind: ArchiveKind,
    options: &RestoreOptions,
    progress: &dyn RestoreProgress,
) -> Result<RestoreStats, RestoreError> {
    let buffered = io::BufWriter::with_capacity(256 << 10, output);
    let mut sink: Box<dyn Sink + '_> = match kind {
        ArchiveKind::Zip => Box::new(zip::Zip::new(buffered, true)),
        ArchiveKind::ZipStored => Box::new(zip::Zip::new(buffered, false)),
        ArchiveKind::Tar => Box::new(tar::Tar::new(buffered)),
        ArchiveKind::TarGzip => {
            let level = flate2::Compression::default();
            Box::new(tar::Tar::new(Gzip(flate2::write::GzEncoder::new(buffered, level))))
        }
    };
    let counters = Counters::default();
    let (to, from) = crossbeam_channel::bounded(1);
    let reader = Reader::new(repo, options, &counters, to);
    let mut writer =
        Writer { sink: &mut *sink, options, progress, counters: &counters, current: None };
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| reader.run(root));
        let written = from.iter().try_for_each(|window| writer.window(window));
        drop(from);
        if reading.join().is_err() {
            return Err(RestoreError::WorkerPanic);
        }
        written
    })?;
    if root.is_dir() {
        count(&counters.directories, 1);
    }
    sink.finish().map_err(RestoreError::Archive)?;
    let stats = counters.stats();
    progress.progress(&stats);
    Ok(stats)
}

struct Writer<'a> {
    sink: &'a mut dyn Sink,
    options: &'a RestoreOptions,
    progress: &'a dyn RestoreProgress,
    counters: &'a Counters,
    /// The file or link that was begun.
    current: Option<Current>,
}

struct Current {
    path: String,
    /// It is left out.
    skip: bool,
    /// Its error was told.
    failed: bool,
    /// The target, for a link.
    target: Option<Vec<u8>>,
}

impl Writer<'_> {
    fn window(&mut self, window: Window) -> Result<(), RestoreError> {
        let Window { items, contents } = window;
        let mut faults = contents.faults(&items);
        for (index, item) in items.into_iter().enumerate() {
            if self.options.cancel.is_canceled() {
                return Err(RestoreError::Canceled);
            }
            match item {
                Item::Directory(member) => {
                    let path = member.path.as_bytes();
                    self.sink.directory(path, &member.entry).map_err(RestoreError::Archive)?;
                    count(&self.counters.directories, 1);
                }
                Item::Begin(member, size) => self.begin(&member, size, faults.remove(&index))?,
                Item::Chunk(chunk) => self.chunk(chunk.length, || contents.chunk(&chunk))?,
                Item::End(member) => self.end(&member)?,
                Item::Failed(error) => self.report(error)?,
            }
        }
        self.progress.progress(&self.counters.stats());
        Ok(())
    }

    fn begin(
        &mut self,
        member: &Member,
        size: u64,
        fault: Option<String>,
    ) -> Result<(), RestoreError> {
        let is_link = member.entry.kind == EntryType::Symlink;
        let too_long = is_link && size > MAX_TARGET;
        let fault = fault.or_else(|| too_long.then(|| "its target is too long".to_owned()));
        self.current = Some(Current {
            path: member.path.clone(),
            skip: fault.is_some(),
            failed: false,
            target: is_link.then(Vec::new),
        });
        match fault {
            Some(reason) => self.unreadable(reason),
            None if is_link => Ok(()),
            None => self
                .sink
                .begin(member.path.as_bytes(), &member.entry, size)
                .map_err(RestoreError::Archive),
        }
    }

    fn chunk(
        &mut self,
        length: u64,
        data: impl FnOnce() -> Result<Bytes, String>,
    ) -> Result<(), RestoreError> {
        if self.current.as_ref().is_none_or(|current| current.skip) {
            return Ok(());
        }
        let data = match data() {
            Ok(data) => data,
            Err(reason) => {
                self.unreadable(format!("{reason}; zeros are in its place"))?;
                vec![0; usize::try_from(length).unwrap_or(0)].into()
            }
        };
        if let Some(Current { target: Some(target), .. }) = &mut self.current {
            target.extend_from_slice(&data);
            return Ok(());
        }
        count(&self.counters.bytes, data.len() as u64);
        self.sink.data(&data).map_err(RestoreError::Archive)
    }

    fn end(&mut self, member: &Member) -> Result<(), RestoreError> {
        let Some(Current { skip: false, failed, target, .. }) = self.current.take() else {
            return Ok(());
        };
        if let Some(target) = target {
            if !failed {
                self.sink
                    .link(member.path.as_bytes(), &member.entry, &target)
                    .map_err(RestoreError::Archive)?;
                count(&self.counters.symlinks, 1);
            }
            return Ok(());
        }
        self.sink.end().map_err(RestoreError::Archive)?;
        if !failed {
            count(&self.counters.files, 1);
        }
        Ok(())
    }

    /// The current file cannot be read; told once for a file.
    fn unreadable(&mut self, reason: String) -> Result<(), RestoreError> {
        match &mut self.current {
            Some(current) if !current.failed => {
                current.failed = true;
                let path = current.path.clone();
                self.report(RestoreError::Unreadable { path, reason })
            }
            _ => Ok(()),
        }
    }

    fn report(&self, error: RestoreError) -> Result<(), RestoreError> {
        if !self.options.ignore_errors {
            return Err(error);
        }
        count(&self.counters.ignored_errors, 1);
        self.progress.ignored(&error);
        Ok(())
    }
}

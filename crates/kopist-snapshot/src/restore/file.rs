//! Files and links while they are restored.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kopist_format::directory::{DirEntry, EntryType};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::directory::Dir;
use super::run::Run;
use super::{RestoreError, attributes, count};
use crate::fs::handle::{Identity, identity};

/// A file or link to write.
pub(super) struct Job {
    pub(super) dir: Arc<Dir>,
    pub(super) entry: DirEntry,
    /// Chunks that are not written yet.
    pending: AtomicUsize,
    failed: AtomicBool,
    output: Mutex<Output>,
}

/// Where the bytes go.
#[derive(Default)]
enum Output {
    /// Nothing was written yet.
    #[default]
    None,
    /// A file.
    File(Written),
    /// The target of a link.
    Link(Vec<u8>),
}

/// A file that is not complete.
struct Written {
    /// Closed while many other files are open.
    fd: Option<Arc<OpenFile>>,
    identity: Identity,
    /// The name that it has as long as it is not its own yet.
    temporary: Option<Vec<u8>>,
}

/// An open file, which counts as one.
struct OpenFile {
    fd: OwnedFd,
    open: Arc<AtomicUsize>,
}

impl OpenFile {
    fn new(fd: OwnedFd, open: &Arc<AtomicUsize>) -> Arc<Self> {
        open.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { fd, open: open.clone() })
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Holes are made of multiples of this.
const HOLE: usize = 4096;

impl Job {
    pub(super) fn new(dir: Arc<Dir>, entry: DirEntry) -> Self {
        Self {
            dir,
            entry,
            pending: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            output: Mutex::default(),
        }
    }

    /// How many chunks there will be.
    pub(super) fn expect(&self, chunks: usize) {
        self.pending.store(chunks, Ordering::Relaxed);
    }

    /// Whether the rest need not be written.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Path, for messages.
    pub(super) fn path(&self) -> String {
        self.dir.display(&self.entry.name)
    }

    fn io(&self, what: &'static str, source: impl Into<io::Error>) -> RestoreError {
        RestoreError::Io { what, path: self.path(), source: source.into() }
    }
}

impl Run<'_> {
    /// Writes one chunk of a file, or remembers why it cannot.
    pub(super) fn write_chunk(&self, job: &Arc<Job>, offset: u64, total: u64, data: &[u8]) {
        let wanted = !job.has_failed() || self.keeps_damaged();
        if !self.stopped()
            && wanted
            && let Err(error) = self.write(job, offset, total, data)
        {
            self.fail_job(job, error);
        }
        self.chunk_done(job);
    }

    /// A file cannot be restored. If what exists of it stays, then without its attributes, so
    /// that it does not look like what it should be.
    pub(super) fn fail_job(&self, job: &Job, error: RestoreError) {
        if !job.failed.swap(true, Ordering::Relaxed) {
            self.report(&job.dir, error);
        }
    }

    /// A chunk is done, or there are none. The last one completes the file.
    pub(super) fn chunk_done(&self, job: &Arc<Job>) {
        if job.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.job_done(job);
        }
    }

    /// Completes a file: attributes, and its own name.
    pub(super) fn job_done(&self, job: &Arc<Job>) {
        let output = std::mem::take(&mut *job.output.lock());
        if !self.stopped() && !job.has_failed() {
            let completed = self
                .complete(job, output)
                .and_then(|()| job.dir.remove_placeholder(&job.entry.name));
            if let Err(error) = completed {
                self.fail_job(job, error);
            }
        } else if let Output::File(written) = output
            && !self.keeps_damaged()
        {
            self.remove(job, written);
        }
        self.task_done(&job.dir);
    }

    /// Whether what could be read of a damaged file is worth writing.
    fn keeps_damaged(&self) -> bool {
        self.options.keep_damaged && !self.options.atomic
    }

    /// Removes a file that is not complete. The error that is reported is the one that led here.
    fn remove(&self, job: &Job, mut written: Written) {
        if self.open_again(job, &mut written).is_ok()
            && let Ok(dir) = job.dir.handle.fd()
        {
            let name = written.temporary.as_deref().unwrap_or(&job.entry.name);
            let _ = rustix::fs::unlinkat(&*dir, name, AtFlags::empty());
        }
    }

    fn write(&self, job: &Job, offset: u64, total: u64, data: &[u8]) -> Result<(), RestoreError> {
        if job.entry.kind == EntryType::Symlink {
            let mut output = job.output.lock();
            let at = usize::try_from(offset).unwrap_or(usize::MAX);
            let target = match &mut *output {
                Output::Link(target) => target,
                other => {
                    // Longer than any system allows, and it would have to fit into memory.
                    if total > 1 << 20 {
                        return Err(job.io("create", Errno::NAMETOOLONG));
                    }
                    *other = Output::Link(vec![0; usize::try_from(total).unwrap_or(0)]);
                    let Output::Link(target) = other else { return Ok(()) };
                    target
                }
            };
            if let Some(place) = target.get_mut(at..at.saturating_add(data.len())) {
                place.copy_from_slice(data);
            }
            return Ok(());
        }
        // One write of everything gives a new file its size.
        let whole = offset == 0 && data.len() as u64 == total && !self.options.sparse;
        let file = self.open(job, if whole { 0 } else { total })?;
        let write = if self.options.sparse { write_sparse } else { write_at };
        write(&file.fd, offset, data).map_err(|error| job.io("write", error))?;
        if self.open_files.load(Ordering::Relaxed) > self.most_open_files
            && let Output::File(written) = &mut *job.output.lock()
        {
            written.fd = None;
        }
        count(&self.counters.bytes, data.len() as u64);
        Ok(())
    }

    /// The open file of a job; made with the first chunk.
    fn open(&self, job: &Job, total: u64) -> Result<Arc<OpenFile>, RestoreError> {
        let mut output = job.output.lock();
        if let Output::File(written) = &mut *output {
            return self.open_again(job, written);
        }
        let dir = job.dir.handle.fd().map_err(|error| job.io("open the directory of", error))?;
        let temporary = self.options.atomic.then(temporary_name);
        let name = temporary.as_deref().unwrap_or(&job.entry.name);
        let (fd, identity) = create(&dir, name).map_err(|error| job.io("create", error))?;
        if total > 0 {
            rustix::fs::ftruncate(&fd, total).map_err(|error| job.io("set the size of", error))?;
        }
        let file = OpenFile::new(fd, &self.open_files);
        *output = Output::File(Written { fd: Some(file.clone()), identity, temporary });
        Ok(file)
    }

    fn open_again(&self, job: &Job, written: &mut Written) -> Result<Arc<OpenFile>, RestoreError> {
        if let Some(file) = &written.fd {
            return Ok(file.clone());
        }
        let dir = job.dir.handle.fd().map_err(|error| job.io("open the directory of", error))?;
        let name = written.temporary.as_deref().unwrap_or(&job.entry.name);
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&*dir, name, flags, Mode::empty())
            .map_err(|error| job.io("open again", error))?;
        let stat = rustix::fs::fstat(&fd).map_err(|error| job.io("look at", error))?;
        if identity(&stat) != written.identity {
            let replaced = io::Error::other("another file took its place meanwhile");
            return Err(job.io("go on with", replaced));
        }
        let file = OpenFile::new(fd, &self.open_files);
        written.fd = Some(file.clone());
        Ok(file)
    }

    fn complete(&self, job: &Job, output: Output) -> Result<(), RestoreError> {
        let path = || job.path();
        let dir = job.dir.handle.fd().map_err(|error| job.io("open the directory of", error))?;
        if job.entry.kind == EntryType::Symlink {
            let Output::Link(target) = output else {
                return Err(job.io("create", Errno::INVAL));
            };
            replace_link(&dir, &job.entry.name, &target)
                .map_err(|error| job.io("create", error))?;
            attributes::apply_to_link(&dir, &job.entry, &self.wish(), &path)?;
            count(&self.counters.symlinks, 1);
            return Ok(());
        }
        let output = match output {
            // Without a byte nothing was opened yet.
            Output::None => {
                self.open(job, 0)?;
                std::mem::take(&mut *job.output.lock())
            }
            output => output,
        };
        let Output::File(mut written) = output else {
            return Err(job.io("create", Errno::INVAL));
        };
        let file = self.open_again(job, &mut written)?;
        attributes::apply(&file.fd, &job.entry, &self.wish(), &path)?;
        if self.options.flush_files {
            rustix::fs::fsync(&file.fd).map_err(|error| job.io("flush", error))?;
        }
        if let Some(temporary) = written.temporary {
            rustix::fs::renameat(&*dir, temporary, &*dir, &*job.entry.name)
                .map_err(|error| job.io("rename a complete file to", error))?;
        }
        count(&self.counters.files, 1);
        Ok(())
    }
}

/// Creates or empties a regular file. A symbolic link in its place is replaced, not followed.
fn create(dir: &OwnedFd, name: &[u8]) -> io::Result<(OwnedFd, Identity)> {
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::TRUNC
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o600);
    let fd = match rustix::fs::openat(dir, name, flags, mode) {
        Err(Errno::LOOP) => {
            rustix::fs::unlinkat(dir, name, AtFlags::empty())?;
            rustix::fs::openat(dir, name, flags | OFlags::EXCL, mode)?
        }
        // A file that may not be written can still be replaced.
        Err(Errno::ACCESS) if is_file(dir, name) => {
            rustix::fs::unlinkat(dir, name, AtFlags::empty())?;
            rustix::fs::openat(dir, name, flags | OFlags::EXCL, mode)?
        }
        result => result?,
    };
    let stat = rustix::fs::fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("something that is not a file is in its place"));
    }
    Ok((fd, identity(&stat)))
}

fn is_file(dir: &OwnedFd, name: &[u8]) -> bool {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

/// Makes a symbolic link in the place of another one, but of nothing else.
fn replace_link(dir: &OwnedFd, name: &[u8], target: &[u8]) -> io::Result<()> {
    match rustix::fs::symlinkat(target, dir, name) {
        Err(Errno::EXIST) => {
            let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                return Err(io::Error::other(
                    "something that is not a symbolic link is in its place",
                ));
            }
            rustix::fs::unlinkat(dir, name, AtFlags::empty())?;
            Ok(rustix::fs::symlinkat(target, dir, name)?)
        }
        result => Ok(result?),
    }
}

pub(super) fn write_at(fd: &OwnedFd, offset: u64, data: &[u8]) -> io::Result<()> {
    let (mut offset, mut data) = (offset, data);
    while !data.is_empty() {
        match rustix::io::pwrite(fd, data, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                data = data.get(written..).unwrap_or_default();
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes what is not zero. The file has its size already, so the rest are holes.
fn write_sparse(fd: &OwnedFd, offset: u64, data: &[u8]) -> io::Result<()> {
    let is_hole = |block: &[u8]| block.iter().all(|byte| *byte == 0);
    // Blocks are counted from the start of the file, not of the chunk.
    let first = (HOLE - (offset % HOLE as u64) as usize).min(data.len()) % HOLE;
    let (head, rest) = data.split_at(first.min(data.len()));
    if !is_hole(head) {
        write_at(fd, offset, head)?;
    }
    let offset = offset + head.len() as u64;
    let mut from = 0;
    let mut at = 0;
    for block in rest.chunks(HOLE) {
        if is_hole(block) {
            write_at(fd, offset + from as u64, &rest[from..at])?;
            from = at + block.len();
        }
        at += block.len();
    }
    write_at(fd, offset + from as u64, &rest[from..])
}

/// A name for a file that is not complete.
pub(super) fn temporary_name() -> Vec<u8> {
    let mut bytes = [0; 8];
    let _ = getrandom::fill(&mut bytes);
    format!(".kopist-restore-{:016x}", u64::from_le_bytes(bytes)).into_bytes()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn holes_are_left_and_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        let file = std::fs::File::create(&path).unwrap();
        let mut content = vec![0u8; 300_000];
        content[5] = 1;
        content[100_000..120_000].fill(2);
        content[299_999] = 3;
        file.set_len(content.len() as u64).unwrap();
        let fd = OwnedFd::from(file);
        // Chunks that begin and end anywhere.
        let mut offset = 0;
        for chunk in content.chunks(70_001) {
            write_sparse(&fd, offset, chunk).unwrap();
            offset += chunk.len() as u64;
        }
        assert_eq!(std::fs::read(&path).unwrap(), content);
        let blocks = std::fs::metadata(&path).unwrap().blocks();
        assert!(blocks * 512 < 100_000, "{blocks}");
    }
}

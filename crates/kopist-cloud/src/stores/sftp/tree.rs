use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use kopist_blob::{BlobError, BlobId, ByteRange, Capacity, Operation, Target};
use parking_lot::Mutex;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use tokio::runtime::Runtime;

use super::config::{Config, KIND, invalid};
use super::connection::connect;
use super::session::Session;
use crate::ExtraRoots;
use crate::site::{Settings, Site};
use crate::stores::sharded::{Entry, Stat, Tree};

const SETTINGS: Settings = Settings {
    address: "--host and --port",
    trust: "--known-hosts or --known-hosts-data",
    credentials: "--username, --keyfile or --key-data, or --sftp-password",
    place: "--path",
};

/// Files on a machine that has an SSH server.
pub(super) struct SftpTree {
    runtime: Runtime,
    config: Config,
    site: Site,
    session: Mutex<Option<Arc<Session>>>,
}

impl fmt::Debug for SftpTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SftpTree").field("site", &self.site).finish_non_exhaustive()
    }
}

/// An open file, closed when it is dropped.
struct Open<'a> {
    tree: &'a SftpTree,
    session: Arc<Session>,
    handle: String,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let (session, handle) = (Arc::clone(&self.session), std::mem::take(&mut self.handle));
        if handle.is_empty() {
            return;
        }
        self.tree.runtime.spawn(async move {
            if let Err(error) = session.answer(session.sftp.close(handle)).await {
                tracing::debug!(%error, "a remote file cannot be closed");
            }
        });
    }
}

impl SftpTree {
    pub(super) fn new(config: Config, name: String) -> Result<Self, BlobError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("sftp")
            .enable_all()
            .build()
            .map_err(|error| invalid(format!("no threads for its connection: {error}")))?;
        // SSH knows no authorities.
        let roots = ExtraRoots::default();
        let site = Site { kind: KIND, name, settings: SETTINGS, roots };
        Ok(Self { runtime, config, site, session: Mutex::new(None) })
    }

    /// Makes sure that the root is there, making it if it may.
    pub(super) fn open_root(&self, create: bool) -> Result<(), BlobError> {
        let target = self.site.target();
        let session = self.session()?;
        match self.ask(&session, session.sftp.stat(self.config.path.as_str())) {
            Ok(_) => Ok(()),
            Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => {
                if create {
                    return self.make_directories(&session, &self.config.path, &target);
                }
                let source = std::io::Error::new(std::io::ErrorKind::NotFound, "no such directory");
                Err(BlobError::Inaccessible { path: PathBuf::from(&self.config.path), source })
            }
            Err(error) => Err(self.failed(&session, error, Operation::Open, &target)),
        }
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Waits for answers of the server.
    fn ask<T>(
        &self,
        session: &Session,
        question: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.wait(session.answer(question))
    }

    /// The connection, made if there is none.
    fn session(&self) -> Result<Arc<Session>, BlobError> {
        let mut held = self.session.lock();
        if let Some(session) = &*held {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.wait(connect(&self.config, &self.site))?);
        *held = Some(Arc::clone(&session));
        Ok(session)
    }

    fn forget(&self, session: &Arc<Session>) {
        let mut held = self.session.lock();
        if held.as_ref().is_some_and(|known| Arc::ptr_eq(known, session)) {
            *held = None;
        }
    }

    fn is_current(&self, session: &Arc<Session>) -> bool {
        self.session.lock().as_ref().is_some_and(|known| Arc::ptr_eq(known, session))
    }

    fn full(&self, path: &str) -> String {
        match (self.config.path.as_str(), path) {
            (root, "") => root.to_owned(),
            ("/", path) => format!("/{path}"),
            (root, path) => format!("{root}/{path}"),
        }
    }

    /// What an error of SFTP means.
    fn failed(
        &self,
        session: &Arc<Session>,
        error: Error,
        operation: Operation,
        target: &Target,
    ) -> BlobError {
        use std::io::ErrorKind as K;
        let io = |kind: K, text: String| std::io::Error::new(kind, text);
        match error {
            Error::Status(status) => match (status.status_code, target) {
                (StatusCode::NoSuchFile, Target::Blob(id)) if operation != Operation::Put => {
                    BlobError::NotFound { id: id.clone() }
                }
                (StatusCode::PermissionDenied, target) => BlobError::AccessDenied {
                    operation,
                    target: target.clone(),
                    source: io(
                        K::PermissionDenied,
                        format!(
                            "the server denies it; check owner and mode of {} there",
                            self.site.settings.place
                        ),
                    ),
                },
                (StatusCode::NoConnection | StatusCode::ConnectionLost, target) => {
                    self.forget(session);
                    self.site.remote(operation, target, true, "the connection is lost".to_owned())
                }
                (code, target) => {
                    let message = status.error_message.trim();
                    if message.contains("does not exist")
                        && let Target::Blob(id) = target
                        && operation != Operation::Put
                    {
                        return BlobError::NotFound { id: id.clone() };
                    }
                    // The protocol has no word for a full disk.
                    if operation == Operation::Put && code == StatusCode::Failure && self.is_full()
                    {
                        return BlobError::NoSpace {
                            operation,
                            target: target.clone(),
                            source: io(K::StorageFull, message.to_owned()),
                        };
                    }
                    let retriable = code == StatusCode::Failure;
                    let quota = match operation {
                        Operation::Put if retriable => "; a quota there may be reached",
                        _ => "",
                    };
                    let text = format!("the server answered {code}: {message}{quota}");
                    self.site.remote(operation, target, retriable, text)
                }
            },
            other => {
                self.forget(session);
                let text = format!("the connection is lost ({other})");
                self.site.remote(operation, target, true, text)
            }
        }
    }

    fn is_full(&self) -> bool {
        matches!(self.capacity(), Ok(Some(capacity)) if capacity.available < 1 << 20)
    }

    fn open(
        &self,
        session: &Arc<Session>,
        path: &str,
        flags: OpenFlags,
    ) -> Result<Open<'_>, Error> {
        let opened =
            self.ask(session, session.sftp.open(self.full(path), flags, FileAttributes::empty()))?;
        Ok(Open { tree: self, session: Arc::clone(session), handle: opened.handle })
    }

    /// Makes a directory and those above it.
    fn make_directories(
        &self,
        session: &Arc<Session>,
        path: &str,
        target: &Target,
    ) -> Result<(), BlobError> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let mut last = None;
        for end in ends.filter(|end| *end > 0) {
            // Directories that exist already cannot be made; so it is the last that counts.
            let made = self.ask(session, session.sftp.mkdir(&path[..end], FileAttributes::empty()));
            last = made.err();
        }
        let Some(error) = last else { return Ok(()) };
        match self.ask(session, session.sftp.stat(path)) {
            Ok(found) if found.attrs.is_dir() => Ok(()),
            _ => Err(self.failed(session, error, Operation::Put, target)),
        }
    }

    fn make_parents(
        &self,
        session: &Arc<Session>,
        path: &str,
        target: &Target,
    ) -> Result<(), BlobError> {
        let Some((parent, _)) = path.rsplit_once('/') else {
            // The root is never made again, as it may be a volume that is not mounted.
            let source = std::io::Error::new(std::io::ErrorKind::NotFound, "no such directory");
            return Err(BlobError::Inaccessible { path: self.config.path.clone().into(), source });
        };
        if let Err(error) = self.ask(session, session.sftp.stat(self.config.path.as_str())) {
            return Err(self.failed(session, error, Operation::Put, target));
        }
        let mut made = String::new();
        for name in parent.split('/') {
            if !made.is_empty() {
                made.push('/');
            }
            made.push_str(name);
            let directory = self.full(&made);
            if let Err(error) =
                self.ask(session, session.sftp.mkdir(directory.clone(), FileAttributes::empty()))
                && self.ask(session, session.sftp.stat(directory)).is_err()
            {
                return Err(self.failed(session, error, Operation::Put, target));
            }
        }
        Ok(())
    }

    /// Writes and syncs a new file, and says what it has become.
    fn fill(
        &self,
        file: &Open<'_>,
        data: &[&[u8]],
        time: Option<Timestamp>,
    ) -> Result<FileAttributes, Error> {
        let sftp = &file.session.sftp;
        let handle = file.handle.as_str();
        self.wait(file.session.write(handle, data))?;
        if let Some(time) = time {
            let seconds = u32::try_from(time.as_second()).unwrap_or_default();
            let times = FileAttributes {
                atime: Some(seconds),
                mtime: Some(seconds),
                ..FileAttributes::empty()
            };
            self.ask(&file.session, sftp.fsetstat(handle, times))?;
        }
        self.wait(file.session.sync(handle))
    }
}

fn stat_of(attributes: &FileAttributes) -> Stat {
    let seconds = i64::from(attributes.mtime.unwrap_or_default());
    Stat {
        length: attributes.size.unwrap_or_default(),
        time: Timestamp::from_second(seconds).unwrap_or_default(),
    }
}

impl Tree for SftpTree {
    fn read(&self, path: &str, id: &BlobId, range: ByteRange) -> Result<Bytes, BlobError> {
        let target = Target::from(id);
        let session = self.session()?;
        let failed = |error| self.failed(&session, error, Operation::Get, &target);
        let file = self.open(&session, path, OpenFlags::READ).map_err(failed)?;
        let size = || Ok(self.ask(&session, session.sftp.fstat(file.handle.as_str()))?.attrs.len());
        let (offset, length) = match range {
            ByteRange::Full => (0, size().map_err(failed)?),
            ByteRange::Bounded { offset, length } => (offset, length),
        };
        let outside = |size| BlobError::InvalidRange { id: id.clone(), offset, length, size };
        // The size bounds the buffer, so that a damaged index cannot make us allocate gigabytes.
        // Small reads learn it only if the file turns out to be too short.
        let end = offset.checked_add(length);
        if range != ByteRange::Full && (length == 0 || length > 1 << 20 || end.is_none()) {
            let size = size().map_err(failed)?;
            if end.is_none_or(|end| end > size) {
                return Err(outside(size));
            }
        }
        let mut data = Vec::new();
        // The server may say any size.
        let room = usize::try_from(length).ok();
        if room.is_none_or(|room| data.try_reserve_exact(room).is_err()) {
            let text = format!("there is no memory for its {length} bytes");
            return Err(self.site.remote(Operation::Get, &target, false, text));
        }
        let read = session.read(&file.handle, offset, length, &mut data);
        self.wait(read).map_err(failed)?;
        if (data.len() as u64) < length {
            return Err(outside(size().map_err(failed)?));
        }
        Ok(Bytes::from(data))
    }

    fn stat(&self, path: &str, id: &BlobId) -> Result<Stat, BlobError> {
        let session = self.session()?;
        let found = self.ask(&session, session.sftp.stat(self.full(path))).map_err(|error| {
            self.failed(&session, error, Operation::Metadata, &Target::from(id))
        })?;
        Ok(stat_of(&found.attrs))
    }

    fn write(
        &self,
        path: &str,
        id: &BlobId,
        data: &[&[u8]],
        time: Option<Timestamp>,
    ) -> Result<Stat, BlobError> {
        let target = Target::from(id);
        let session = self.session()?;
        let failed = |error| self.failed(&session, error, Operation::Put, &target);
        if let Some(extension) = session.missing() {
            let text = format!(
                "the server lacks {extension}, without which no file can be replaced by \
                 another; kopia needs it too"
            );
            return Err(self.site.remote(Operation::Put, &target, false, text));
        }
        let random = getrandom::u64()
            .map_err(|error| self.site.remote(Operation::Put, &target, false, error.to_string()))?;
        let temporary = format!("{path}.tmp.{random:016x}");
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUDE;
        let file = match self.open(&session, &temporary, flags) {
            Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => {
                self.make_parents(&session, path, &target)?;
                self.open(&session, &temporary, flags)
            }
            opened => opened,
        };
        let mut file = file.map_err(failed)?;
        let written = self.fill(&file, data, time).and_then(|attributes| {
            let handle = std::mem::take(&mut file.handle);
            self.ask(&session, session.sftp.close(handle))?;
            self.wait(session.replace(&self.full(&temporary), &self.full(path)))?;
            Ok(attributes)
        });
        written.map(|attributes| stat_of(&attributes)).map_err(|error| {
            // As long as the remains fill a disk, it can be told that it is full.
            let error = failed(error);
            if self.is_current(&session) {
                let handle = std::mem::take(&mut file.handle);
                let gone = self.ask(&session, async {
                    // A file that is open keeps its space.
                    if !handle.is_empty() {
                        session.sftp.close(handle).await?;
                    }
                    session.sftp.remove(self.full(&temporary)).await
                });
                if let Err(error) = gone {
                    tracing::debug!(%error, "the remains of a failed write stay");
                }
            }
            error
        })
    }

    fn remove(&self, path: &str, id: &BlobId) -> Result<(), BlobError> {
        let session = self.session()?;
        match self.ask(&session, session.sftp.remove(self.full(path))) {
            Ok(_) => Ok(()),
            Err(error) => {
                let error = self.failed(&session, error, Operation::Delete, &Target::from(id));
                if error.is_not_found() { Ok(()) } else { Err(error) }
            }
        }
    }

    fn entries(&self, path: &str) -> Result<Option<Vec<Entry>>, BlobError> {
        let target = if path.is_empty() { self.site.target() } else { Target::Path(path.into()) };
        let session = self.session()?;
        let failed = |error| self.failed(&session, error, Operation::List, &target);
        let opened = match self.ask(&session, session.sftp.opendir(self.full(path))) {
            // Nobody removes directories, so a part of the tree may be missing for a while.
            Err(Error::Status(status))
                if status.status_code == StatusCode::NoSuchFile && !path.is_empty() =>
            {
                let text = "the directory was listed and is gone".to_owned();
                return Err(self.site.remote(Operation::List, &target, true, text));
            }
            opened => opened.map_err(failed)?,
        };
        let directory = Open { tree: self, session: Arc::clone(&session), handle: opened.handle };
        let mut entries = Vec::new();
        loop {
            let part = match self.ask(&session, session.sftp.readdir(directory.handle.as_str())) {
                Ok(part) => part,
                Err(Error::Status(status)) if status.status_code == StatusCode::Eof => break,
                Err(error) => return Err(failed(error)),
            };
            for found in part.files {
                if found.filename == "." || found.filename == ".." {
                    continue;
                }
                let mut attributes = found.attrs;
                let is_link = attributes.file_type().is_symlink();
                if is_link {
                    // A link to a file is a blob; links to directories are not entered.
                    let full = format!("{}/{}", self.full(path), found.filename);
                    match self.ask(&session, session.sftp.stat(full)) {
                        Ok(target) if target.attrs.is_dir() => continue,
                        Ok(target) => attributes = target.attrs,
                        Err(Error::Status(status))
                            if status.status_code == StatusCode::NoSuchFile =>
                        {
                            continue;
                        }
                        Err(error) => return Err(failed(error)),
                    }
                }
                let file = (!attributes.is_dir()).then(|| stat_of(&attributes));
                entries.push(Entry { name: found.filename, file });
            }
        }
        Ok(Some(entries))
    }

    fn sets_times(&self) -> bool {
        true
    }

    fn capacity(&self) -> Result<Option<Capacity>, BlobError> {
        let session = self.session()?;
        match self.ask(&session, session.sftp.statvfs(self.config.path.as_str())) {
            Ok(found) => Ok(Some(Capacity {
                total: found.blocks.saturating_mul(found.fragment_size),
                available: found.blocks_avail.saturating_mul(found.fragment_size),
            })),
            Err(Error::Status(status)) if status.status_code == StatusCode::OpUnsupported => {
                Ok(None)
            }
            Err(error) => {
                Err(self.failed(&session, error, Operation::Capacity, &self.site.target()))
            }
        }
    }

    fn close(&self) -> Result<(), BlobError> {
        *self.session.lock() = None;
        Ok(())
    }
}

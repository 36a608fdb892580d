//! Answers for the kernel.

use std::{
    collections::HashMap,
    ffi::OsStr,
    io,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, Request, Session as FuseSession, SessionACL,
};
use kopist_format::directory::EntryType;
use kopist_repo::ObjectReader;
use kopist_snapshot::browse::resolve;
use parking_lot::Mutex;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
};

use super::tree::{Node, Tree};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::Matches,
    output::{Level, Logger},
    session,
};

/// What is shown never changes, so the kernel may keep it.
const FOREVER: Duration = Duration::from_hours(1);
/// Block size that is told.
const BLOCK: u32 = 4096;
/// Requests answered at once.
const THREADS: usize = 4;

pub(super) fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let what = matches.text("path").unwrap_or_default();
        let tree = if what == "all" {
            Tree::everybody(&session.repo)
        } else {
            let view = session.repo.manifests()?;
            let named = resolve(&session.repo, &view, &what, false)
                .context(format!("unable to get directory entry for {what}"))?;
            Tree::of(&session.repo, named)
        };
        let wanted = matches.text("mountPoint").unwrap_or_default();
        let (point, own) = mount_point(&wanted)?;
        let result = mount(app, matches, tree, &what, &point);
        if own {
            // The directory is empty again; one that is not stays.
            let _ = std::fs::remove_dir(&point);
        }
        result
    })
}

/// The directory to mount on; `*` is a new one. Whether it is ours to remove.
fn mount_point(wanted: &str) -> Result<(PathBuf, bool), CommandError> {
    if wanted != "*" {
        return Ok((PathBuf::from(wanted), false));
    }
    let mut unique = [0; 8];
    getrandom::fill(&mut unique).map_err(|e| CommandError::new(format!("random numbers: {e}")))?;
    let dir = std::env::temp_dir().join(format!("kopia-mount{}", hex::encode(unique)));
    std::fs::create_dir(&dir).context("error creating temp directory")?;
    Ok((dir, true))
}

fn mount(app: &App, matches: &Matches, tree: Tree, what: &str, point: &PathBuf) -> Outcome {
    let full = std::fs::read_dir(point)
        .context(format!("mount error: {}", point.display()))?
        .next()
        .is_some();
    if full && !matches.flag("fuse-allow-non-empty-mount") {
        let shown = point.display();
        return Err(CommandError::new(format!(
            "mount error: {shown} is not empty; --fuse-allow-non-empty-mount mounts over it"
        )));
    }
    let mut config = Config::default();
    config.mount_options =
        vec![MountOption::RO, MountOption::FSName("kopia".into()), MountOption::DefaultPermissions];
    if matches.flag("fuse-allow-other") {
        config.acl = SessionACL::All;
    }
    config.n_threads = Some(THREADS);
    let answers = Answers {
        tree,
        open: Mutex::default(),
        next: AtomicU64::new(1),
        logger: matches.flag("trace-fs").then(|| Arc::clone(&app.logger)),
    };
    // Before mounting, so that no signal between the two leaves the directory mounted.
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot wait for signals")?;
    let mounted: BackgroundSession = FuseSession::new(answers, point, &config)
        .and_then(FuseSession::spawn)
        .map_err(|error| no_fuse(&error))?;
    app.info(format!("Mounted '{what}' on {}", point.display()));
    app.info("Press Ctrl-C to unmount.");
    let handle = signals.handle();
    let unmounted = std::thread::scope(|scope| {
        let waiting = scope.spawn(move || signals.forever().next().is_some());
        // Ends when somebody else unmounts the directory, or when a signal comes.
        while !waiting.is_finished() && !mounted.guard.is_finished() {
            std::thread::sleep(Duration::from_millis(50));
        }
        handle.close();
        if waiting.join().unwrap_or(false) {
            app.info("Unmounting...");
            mounted.umount_and_join()
        } else {
            mounted.join()
        }
    });
    unmounted.context("unmount error")?;
    app.info("Unmounted.");
    Ok(())
}

/// What is missing on this machine.
fn no_fuse(error: &io::Error) -> CommandError {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => {
            "; this machine has no FUSE: install fusermount3 (package fuse3), and in a container \
             pass the device /dev/fuse"
        }
        io::ErrorKind::PermissionDenied => {
            "; mounting needs fusermount3 (package fuse3), or root with the capability SYS_ADMIN"
        }
        _ => "",
    };
    CommandError::new(format!("mount error: {error}{hint}"))
}

struct Answers {
    tree: Tree,
    open: Mutex<HashMap<u64, Arc<Mutex<ObjectReader>>>>,
    next: AtomicU64,
    logger: Option<Arc<Logger>>,
}

impl Answers {
    fn trace(&self, what: &str, number: INodeNo, more: &str) {
        if let Some(logger) = &self.logger {
            logger.log(Level::Debug, "kopia/mount", &format!("{what} {} {more}", number.0));
        }
    }

    fn node(&self, number: INodeNo) -> Result<Arc<Node>, Errno> {
        self.tree.node(number.0).ok_or(Errno::ENOENT)
    }

    fn failed(&self, error: &CommandError) -> Errno {
        if let Some(logger) = &self.logger {
            logger.log(Level::Debug, "kopia/mount", &error.to_string());
        }
        Errno::EIO
    }

    fn find(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr, Errno> {
        if !self.node(parent)?.entry.is_dir() {
            return Err(Errno::ENOTDIR);
        }
        let found = self.tree.child(parent.0, name.as_bytes()).map_err(|e| self.failed(&e))?;
        let number = found.ok_or(Errno::ENOENT)?;
        Ok(attributes(number, &*self.node(INodeNo(number))?))
    }

    fn reader(&self, node: &Node) -> Result<ObjectReader, Errno> {
        let object = node.entry.object.ok_or(Errno::EIO)?;
        let reader = self.tree.repository().open_object(&object);
        reader.map_err(|e| self.failed(&e.into()))
    }

    fn link(&self, number: INodeNo) -> Result<Vec<u8>, Errno> {
        let node = self.node(number)?;
        if node.entry.kind != EntryType::Symlink {
            return Err(Errno::EINVAL);
        }
        let object = node.entry.object.ok_or(Errno::EIO)?;
        self.tree.repository().read_object(&object).map_err(|e| self.failed(&e.into()))
    }

    fn part(&self, handle: FileHandle, offset: u64, size: u32) -> Result<Vec<u8>, Errno> {
        let reader = self.open.lock().get(&handle.0).cloned().ok_or(Errno::EINVAL)?;
        let mut out = vec![0; size as usize];
        let length = reader.lock().read_at(offset, &mut out).map_err(|e| self.failed(&e.into()))?;
        out.truncate(length);
        Ok(out)
    }
}

fn kind(kind: &EntryType) -> FileType {
    match kind {
        EntryType::Directory => FileType::Directory,
        EntryType::Symlink => FileType::Symlink,
        _ => FileType::RegularFile,
    }
}

fn attributes(number: u64, node: &Node) -> FileAttr {
    let entry = &node.entry;
    let size = if entry.is_dir() { 0 } else { entry.size.unsigned_abs() };
    let time = SystemTime::from(entry.mtime.to_timestamp());
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind: kind(&entry.kind),
        perm: u16::try_from(entry.mode.to_unix() & 0o7777).unwrap_or(0),
        nlink: 1,
        uid: entry.uid,
        gid: entry.gid,
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    }
}

impl Filesystem for Answers {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.trace("lookup", parent, &name.to_string_lossy());
        match self.find(parent, name) {
            Ok(attributes) => reply.entry(&FOREVER, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.node(number) {
            Ok(node) => reply.attr(&FOREVER, &attributes(number.0, &node)),
            Err(error) => reply.error(error),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        self.trace("readlink", number, "");
        match self.link(number) {
            Ok(target) => reply.data(&target),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.trace("open", number, "");
        match self.node(number).and_then(|node| self.reader(&node)) {
            Ok(reader) => {
                let handle = self.next.fetch_add(1, Ordering::Relaxed);
                self.open.lock().insert(handle, Arc::new(Mutex::new(reader)));
                reply.opened(FileHandle(handle), FopenFlags::FOPEN_KEEP_CACHE);
            }
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.trace("read", number, &format!("{offset}+{size}"));
        match self.part(handle, offset, size) {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.open.lock().remove(&handle.0);
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        self.trace("readdir", number, &offset.to_string());
        let node = match self.node(number) {
            Ok(node) => node,
            Err(error) => return reply.error(error),
        };
        let children = match self.tree.children(number.0) {
            Ok(children) => children,
            Err(error) => return reply.error(self.failed(&error)),
        };
        let dots = [(number.0, "."), (node.parent, "..")];
        let dots = dots.map(|(number, name)| (number, FileType::Directory, name.as_bytes().into()));
        let entries = children.iter().filter_map(|number| {
            let entry = &self.tree.node(*number)?.entry;
            Some((*number, kind(&entry.kind), entry.name.clone()))
        });
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        for (place, (number, kind, name)) in dots.into_iter().chain(entries).enumerate().skip(skip)
        {
            let name: Box<[u8]> = name;
            if reply.add(INodeNo(number), place as u64 + 1, kind, OsStr::from_bytes(&name)) {
                break;
            }
        }
        reply.ok();
    }
}

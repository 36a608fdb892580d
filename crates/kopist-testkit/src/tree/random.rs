//! Trees that are random and yet the same at every run.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use filetime::FileTime;

/// A small generator (splitmix64): the same seed gives the same numbers everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next_u64() % limit as u64) as usize
    }

    /// One of `choices`.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// Fills `buffer` with incompressible bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for piece in buffer.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            piece.copy_from_slice(&bytes[..piece.len()]);
        }
    }

    /// `length` incompressible bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut buffer = vec![0; length];
        self.fill(&mut buffer);
        buffer
    }

    /// About `length` bytes of text that compresses well.
    pub fn text(&mut self, length: usize) -> Vec<u8> {
        const WORDS: [&str; 12] = [
            "pack", "index", "content", "blob", "epoch", "restore", "verify", "snapshot", "policy",
            "mover", "chunk", "object",
        ];
        let mut text = Vec::with_capacity(length + 32);
        while text.len() < length {
            let line = format!("{} {:04} ", self.pick(&WORDS), self.below(10_000));
            text.extend_from_slice(line.as_bytes());
            if self.below(8) == 0 {
                text.push(b'\n');
            }
        }
        text
    }
}

/// How large a random tree is.
#[derive(Clone, Copy, Debug)]
pub struct TreeShape {
    /// Directories besides the root.
    pub directories: usize,
    /// Files.
    pub files: usize,
    /// Largest file in bytes; most are much smaller.
    pub largest: usize,
    /// Symbolic links.
    pub links: usize,
}

impl Default for TreeShape {
    fn default() -> Self {
        Self { directories: 8, files: 40, largest: 600_000, links: 4 }
    }
}

/// A tree on disk that this process makes and changes.
///
/// Every change moves the file's time forward by a step of its own clock, so that a backup sees
/// it, and the same seed and calls give the same tree, times included.
#[derive(Debug)]
pub struct RandomTree {
    root: PathBuf,
    rng: Rng,
    clock: i64,
    counter: usize,
}

impl RandomTree {
    /// Makes a tree in the new directory `root`.
    pub fn create(root: &Path, seed: u64, shape: TreeShape) -> Self {
        fs::create_dir_all(root).expect("the root can be made");
        let mut tree =
            Self { root: root.to_owned(), rng: Rng::new(seed), clock: 1_700_000_000, counter: 0 };
        for _ in 0..shape.directories {
            tree.add_directory();
        }
        for _ in 0..shape.files {
            tree.add_file(shape.largest);
        }
        for _ in 0..shape.links {
            tree.add_link();
        }
        tree
    }

    /// The root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The generator, for choices of the test itself.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Makes `steps` random changes: new, changed, grown, cut, renamed, removed, other mode.
    pub fn change(&mut self, steps: usize) {
        for _ in 0..steps {
            match self.rng.below(10) {
                0 | 1 => self.add_file(200_000),
                2 => self.add_directory(),
                3 => self.add_link(),
                4 => self.remove(),
                5 => self.rename(),
                6 => self.change_mode(),
                _ => self.change_bytes(),
            }
        }
    }

    /// Adds one file of at most `largest` bytes.
    pub fn add_file(&mut self, largest: usize) {
        let directory = self.any_directory();
        let name = self.name("file");
        let path = directory.join(name);
        let limit = match self.rng.below(10) {
            0 => 1,
            1..=5 => 2_000.min(largest),
            6..=8 => 60_000.min(largest),
            _ => largest,
        };
        let length = self.rng.below(limit.max(1));
        let bytes =
            if self.rng.below(2) == 0 { self.rng.bytes(length) } else { self.rng.text(length) };
        fs::write(&path, bytes).expect("a new file");
        let mode = *self.rng.pick(&[0o644, 0o600, 0o755, 0o640, 0o444]);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        self.touch(&path);
    }

    fn add_directory(&mut self) {
        let directory = self.any_directory();
        let name = self.name("dir");
        let path = directory.join(name);
        fs::create_dir(&path).expect("a new directory");
        let mode = *self.rng.pick(&[0o755, 0o700, 0o775]);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        self.touch(&path);
    }

    fn add_link(&mut self) {
        let directory = self.any_directory();
        let name = self.name("link");
        let path = directory.join(name);
        let target = *self.rng.pick(&["../elsewhere", "nowhere", "a/b/c", "/absolute/target"]);
        symlink(target, &path).expect("a new symbolic link");
        self.touch(&path);
    }

    fn change_bytes(&mut self) {
        let Some(path) = self.any(fs::FileType::is_file) else { return };
        let mut bytes = fs::read(&path).expect("a readable file");
        match self.rng.below(4) {
            0 => bytes.extend(self.rng.bytes(1000)),
            1 => bytes.truncate(bytes.len() / 2),
            2 => {
                let at = self.rng.below(bytes.len() + 1);
                let inserted = self.rng.text(50);
                bytes.splice(at..at, inserted);
            }
            _ => {
                let length = self.rng.below(5000);
                bytes = self.rng.bytes(length);
            }
        }
        let mode = fs::metadata(&path).expect("metadata").permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("writable");
        fs::write(&path, bytes).expect("the new bytes");
        fs::set_permissions(&path, mode).expect("the old mode");
        self.touch(&path);
    }

    fn change_mode(&mut self) {
        let Some(path) = self.any(fs::FileType::is_file) else { return };
        let mode = *self.rng.pick(&[0o644, 0o600, 0o755, 0o2755, 0o400]);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        self.touch(&path);
    }

    fn rename(&mut self) {
        let Some(path) = self.any(|_| true) else { return };
        let name = self.name("moved");
        let to = path.parent().expect("below the root").join(name);
        fs::rename(&path, &to).expect("a new name");
        self.touch(&to);
    }

    fn remove(&mut self) {
        let Some(path) = self.any(|_| true) else { return };
        if path.symlink_metadata().expect("metadata").is_dir() {
            fs::remove_dir_all(&path).expect("the directory goes");
        } else {
            fs::remove_file(&path).expect("the file goes");
        }
        let parent = path.parent().expect("below the root").to_owned();
        self.touch(&parent);
    }

    fn touch(&mut self, path: &Path) {
        self.clock += 17;
        let nanos = (self.rng.next_u64() % 1_000_000_000) as u32;
        let time = FileTime::from_unix_time(self.clock, nanos);
        filetime::set_symlink_file_times(path, time, time).expect("a time");
        if let Some(parent) = path.parent().filter(|parent| parent.starts_with(&self.root)) {
            filetime::set_file_mtime(parent, time).expect("the directory's time");
        }
    }

    fn name(&mut self, kind: &str) -> OsString {
        self.counter += 1;
        let decoration = *self.rng.pick(&["", " with space", "-é", "&<>", "-日本", ".txt", ".log"]);
        OsString::from_vec(format!("{kind}{}{decoration}", self.counter).into_bytes())
    }

    fn any_directory(&mut self) -> PathBuf {
        let mut directories = vec![self.root.clone()];
        collect(&self.root, &|kind| kind.is_dir(), &mut directories);
        self.rng.pick(&directories).clone()
    }

    fn any(&mut self, wanted: impl Fn(&fs::FileType) -> bool) -> Option<PathBuf> {
        let mut found = Vec::new();
        collect(&self.root, &wanted, &mut found);
        (!found.is_empty()).then(|| self.rng.pick(&found).clone())
    }
}

/// Collects in sorted order, so that the choice does not depend on the file system.
fn collect(directory: &Path, wanted: &dyn Fn(&fs::FileType) -> bool, into: &mut Vec<PathBuf>) {
    let mut children: Vec<_> = fs::read_dir(directory)
        .expect("a directory")
        .map(|child| child.expect("an entry"))
        .collect();
    children.sort_by_key(fs::DirEntry::file_name);
    for child in children {
        let kind = child.file_type().expect("a type");
        if wanted(&kind) {
            into.push(child.path());
        }
        if kind.is_dir() {
            collect(&child.path(), wanted, into);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Comparison, compare, list};

    #[test]
    fn the_same_seed_makes_the_same_tree_and_the_same_changes() {
        let folder = tempfile::tempdir().unwrap();
        let mut listings = Vec::new();
        for name in ["one", "two"] {
            let mut tree = RandomTree::create(&folder.path().join(name), 7, TreeShape::default());
            let before = list(tree.root());
            tree.change(30);
            let after = list(tree.root());
            assert_ne!(before, after);
            listings.push(after);
        }
        let found = compare(&listings[0], &listings[1], Comparison::full());
        assert!(found.is_empty(), "{found}");
    }
}

//! The real kopia as judge: it must find what we wrote, and we must find what it wrote.

use std::path::{Path, PathBuf};
use std::process::Command;

use kopist_blob::filesystem::{FilesystemConfig, FilesystemStore};
use kopist_blob::{
    BlobError, BlobMeta, BlobStore, ByteRange, PutOptions, StorageConfig, in_parallel, list_all,
};

/// A kopia with a home of its own.
struct Kopia {
    exe: PathBuf,
    home: tempfile::TempDir,
}

impl Kopia {
    /// `$KOPIA_EXE`, or `kopia` on the path.
    fn find() -> Option<Self> {
        let exe = std::env::var_os("KOPIA_EXE").map_or_else(|| "kopia".into(), PathBuf::from);
        if !Command::new(&exe).arg("--version").output().is_ok_and(|out| out.status.success()) {
            eprintln!("skipped: no kopia");
            return None;
        }
        Some(Self { exe, home: tempfile::tempdir().unwrap() })
    }

    fn run(&self, arguments: &[&str]) -> String {
        let home = self.home.path();
        let output = Command::new(&self.exe)
            .args(arguments)
            .args(["--no-progress", "--disable-file-logging"])
            .env("HOME", home)
            .env("KOPIA_CONFIG_PATH", home.join("repository.config"))
            .env("KOPIA_CACHE_DIRECTORY", home.join("cache"))
            .env("KOPIA_PASSWORD", "a password for tests")
            .env("KOPIA_CHECK_FOR_UPDATES", "false")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kopia {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn blobs(&self) -> Vec<BlobMeta> {
        let mut blobs: Vec<BlobMeta> =
            serde_json::from_str(&self.run(&["blob", "list", "--json"])).unwrap();
        blobs.sort_by(|a, b| a.id.cmp(&b.id));
        blobs
    }

    fn storage_config(&self) -> StorageConfig {
        let file = std::fs::read(self.home.path().join("repository.config")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&file).unwrap();
        serde_json::from_value(config["storage"].clone()).unwrap()
    }

    /// A repository with a few snapshots.
    fn repository(&self, options: &[&str]) -> PathBuf {
        let root = self.home.path().join("repository");
        let source = self.home.path().join("source");
        let path = root.to_str().unwrap();
        self.run(&[&["repository", "create", "filesystem", "--path", path], options].concat());
        std::fs::create_dir(&source).unwrap();
        for round in 0..3_u32 {
            for file in 0..20_u32 {
                let line = format!("{round} {file} ").repeat(500);
                std::fs::write(source.join(format!("{round}-{file}")), line).unwrap();
            }
            self.run(&["snapshot", "create", source.to_str().unwrap()]);
        }
        root
    }
}

/// Copies every blob, with its time, from one store to another.
fn copy(from: &dyn BlobStore, to: &dyn BlobStore) {
    let blobs = list_all(from, "").unwrap();
    in_parallel(&blobs, 4, |blob| -> Result<(), BlobError> {
        let data = from.get(&blob.id, ByteRange::Full)?;
        let written = to.put(&blob.id, &[&data], &PutOptions::with_mod_time(blob.timestamp))?;
        assert_eq!(&written, blob);
        Ok(())
    })
    .unwrap();
}

fn both_directions(options: &[&str]) {
    let Some(kopia) = Kopia::find() else { return };
    let root = kopia.repository(options);

    // We find what kopia wrote, through the configuration that kopia wrote.
    let storage = kopia.storage_config();
    let config = FilesystemConfig::from_storage(&storage).unwrap();
    assert_eq!(config.to_storage(), storage);
    let original = FilesystemStore::open(config.clone()).unwrap();
    let blobs = kopia.blobs();
    assert!(blobs.len() >= 8, "{blobs:?}");
    assert_eq!(list_all(&original, "").unwrap(), blobs);
    for prefix in ["p", "q", "xn0_", "kopia.", "_log_"] {
        let expected: Vec<_> =
            blobs.iter().filter(|blob| blob.id.starts_with(prefix)).cloned().collect();
        assert_eq!(list_all(&original, prefix).unwrap(), expected, "{prefix}");
    }

    // Kopia finds what we wrote.
    let ours = kopia.home.path().join("ours");
    let store = FilesystemStore::create(FilesystemConfig { path: ours.clone(), ..config }).unwrap();
    copy(&original, &store);
    let layout = |root: &Path| std::fs::read_to_string(root.join(".shards")).unwrap();
    assert_eq!(layout(&ours), layout(&root));
    assert_eq!(files(&ours), files(&root));
    std::fs::rename(&root, kopia.home.path().join("gone")).unwrap();
    kopia.run(&["repository", "connect", "filesystem", "--path", ours.to_str().unwrap()]);
    assert_eq!(kopia.blobs(), blobs);
    kopia.run(&["snapshot", "verify", "--verify-files-percent=100"]);
    kopia.run(&["content", "verify", "--full"]);
    kopia.run(&["maintenance", "run", "--full"]);
    assert_eq!(list_all(&store, "").unwrap(), kopia.blobs());
}

/// Paths of all files below a directory.
fn files(root: &Path) -> Vec<PathBuf> {
    fn visit(root: &Path, below: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(root.join(below)).unwrap() {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                visit(root, &path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    visit(root, Path::new(""), &mut found);
    found.sort();
    found
}

#[test]
fn kopia_reads_ours_and_we_read_kopias() {
    both_directions(&[]);
}

#[test]
fn kopia_reads_ours_and_we_read_kopias_when_flat() {
    both_directions(&["--flat"]);
}

#[test]
fn kopia_reads_ours_and_we_read_kopias_in_the_old_layout() {
    both_directions(&["--format-version=1"]);
}

/// The layout of a repository may be changed by hand, prefix by prefix.
#[test]
fn a_layout_with_overrides_is_followed() {
    let Some(kopia) = Kopia::find() else { return };
    let root = kopia.repository(&[]);
    let blobs = kopia.blobs();
    kopia.run(&[
        "blob",
        "shards",
        "modify",
        "--i-am-sure-kopia-is-not-running",
        &format!("--path={}", root.display()),
        "--default-shards=2,2,1",
        "--override=x=1,1",
        "--override=q=flat",
        "--unsharded-length=11",
    ]);
    let store = FilesystemStore::open(FilesystemConfig::new(&root)).unwrap();
    assert_eq!(list_all(&store, "").unwrap(), blobs);
    let copied = kopia.home.path().join("copied");
    std::fs::create_dir(&copied).unwrap();
    std::fs::copy(root.join(".shards"), copied.join(".shards")).unwrap();
    let copy_store = FilesystemStore::open(FilesystemConfig::new(&copied)).unwrap();
    copy(&store, &copy_store);
    assert_eq!(files(&copied), files(&root));
    kopia.run(&["repository", "connect", "filesystem", "--path", copied.to_str().unwrap()]);
    assert_eq!(kopia.blobs(), blobs);
    kopia.run(&["snapshot", "verify", "--verify-files-percent=100"]);
}

//! The container image: a static binary on an empty file system.
//!
//! The binary is compiled here and handed to the Dockerfile's target `prebuilt`, so that building
//! needs no base image and no container runtime, only buildah.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use kopist_testkit::tree::{self, Comparison, RandomTree, TreeShape};

use crate::step::{self, Result, cargo, headline};

/// The path that the operator starts.
const ENTRY: &str = "/mover-kopia/entry.sh";

/// A user without a passwd entry.
const USER: u32 = 417_253;

/// Builds the image into this user's own image store.
pub(crate) fn build_release(tag: &str) -> Result {
    let scratch = step::scratch("image")?;
    build(&Buildah { store: None }, scratch.path(), tag)
}

/// Builds the image into a store of its own and runs a backup and a restore in it: as a user
/// without name, without HOME, unable to write anywhere but to the mounted directories.
pub(crate) fn test() -> Result {
    const TAG: &str = "localhost/kopist-test";
    let scratch = step::scratch("image")?;
    let here = scratch.path();
    let buildah = Buildah { store: Some(here.join("store")) };
    build(&buildah, here, TAG)?;

    headline("a backup and a restore in the image");
    let data = here.join("data");
    let (repository, cache, restored) =
        (here.join("repository"), here.join("cache"), here.join("restored"));
    RandomTree::create(&data, 1, TreeShape::default());
    for directory in [&repository, &cache, &restored] {
        std::fs::create_dir(directory)?;
    }
    own(&[&data, &repository, &cache, &restored])?;
    let container = buildah.output(&["from", "--pull-never", TAG])?;
    let run = |direction: &str, data: &Path, at: &str| -> Result {
        let mut command = buildah.command(&["run", "--isolation", "chroot"]);
        command.arg("--user").arg(format!("{USER}:{USER}"));
        for (directory, at) in [(data, at), (&repository, "/mnt/repository"), (&cache, "/cache")] {
            command.arg("--volume").arg(format!("{}:{at}", directory.display()));
        }
        for variable in [
            "KOPIA_REPOSITORY=filesystem:///mnt/repository",
            "KOPIA_PASSWORD=correct horse battery staple",
            "KOPIA_OVERRIDE_USERNAME=test",
            "KOPIA_OVERRIDE_HOSTNAME=image",
            "KOPIA_CACHE_DIR=/cache",
            "HOME=",
            &format!("DATA_DIR={at}"),
        ] {
            command.arg("--env").arg(variable);
        }
        command.args([container.trim(), "--", ENTRY, direction]);
        step::succeed(&mut command)
    };
    run("backup", &data, "/data")?;
    run("restore", &restored, "/restore/data")?;
    let found = tree::compare(&tree::list(&data), &tree::list(&restored), Comparison::restored());
    if !found.is_empty() {
        return Err(format!("the tree that the image restored differs:\n{found}").into());
    }
    println!("the image brought every byte, mode, time and link back");
    scenarios(&buildah, container.trim())
}

/// The scenarios of the mover's contract, each in the root directory of the image: read-only, as a
/// user that it does not know.
fn scenarios(buildah: &Buildah, container: &str) -> Result {
    const WHAT: &str = "the scenarios of the mover in the image";
    if !rustix::process::geteuid().is_root() {
        step::skipped(WHAT, "it takes root to mount");
        return Ok(());
    }
    headline(WHAT);
    let root = buildah.output(&["mount", container])?;
    let mut command = Command::new(cargo());
    // The whole workspace has the features that its tests were built with; one package alone
    // would have others, and everything would be compiled once more.
    command
        .args(["test", "--workspace", "--locked", "--test", "it", "--", "walk::"])
        .env("KOPIST_IMAGE_ROOT", root.trim())
        .current_dir(kopist_testkit::checkout());
    step::succeed(&mut command)
}

fn build(buildah: &Buildah, scratch: &Path, tag: &str) -> Result {
    let binary = static_binary()?;
    let context = scratch.join("context");
    let entry = context.join(format!("image{ENTRY}"));
    std::fs::create_dir_all(entry.parent().ok_or("the entry has a directory")?)?;
    std::fs::copy(&binary, context.join("image/kopist"))?;
    symlink("/kopist", &entry)?;
    headline(&format!("buildah bud --target prebuilt --tag {tag}"));
    let dockerfile = kopist_testkit::checkout().join("Dockerfile");
    let mut command = buildah.command(&["bud", "--isolation", "chroot", "--target", "prebuilt"]);
    command.arg("--tag").arg(tag).arg("--file").arg(dockerfile).arg(&context);
    step::succeed(&mut command)
}

/// The release binary, linked statically.
fn static_binary() -> Result<PathBuf> {
    let version = Command::new("rustc").arg("-vV").output()?;
    let version = String::from_utf8(version.stdout)?;
    let target = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .ok_or("rustc does not name its host")?;
    let arguments = ["build", "--release", "--locked", "--package", "kopist", "--target", target];
    headline(&format!("cargo {} (static)", arguments.join(" ")));
    let mut command = Command::new(cargo());
    command
        .args(arguments)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .current_dir(kopist_testkit::checkout());
    step::succeed(&mut command)?;
    Ok(step::target_directory().join(target).join("release/kopist"))
}

/// Gives the directories to the user of the test, when this user may do so.
fn own(directories: &[&Path]) -> Result {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    for directory in directories {
        for entry in walkdir::WalkDir::new(directory) {
            std::os::unix::fs::lchown(entry?.path(), Some(USER), Some(USER))?;
        }
    }
    Ok(())
}

/// buildah with a storage driver that works without kernel support.
struct Buildah {
    store: Option<PathBuf>,
}

impl Buildah {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        command.args(["--storage-driver", "vfs"]);
        if let Some(store) = &self.store {
            command.arg("--root").arg(store.join("root"));
            command.arg("--runroot").arg(store.join("run"));
        }
        command.args(arguments);
        command
    }

    fn output(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output()?;
        if output.status.success() {
            Ok(String::from_utf8(output.stdout)?)
        } else {
            Err(format!("buildah {arguments:?}: {}", String::from_utf8_lossy(&output.stderr))
                .into())
        }
    }
}

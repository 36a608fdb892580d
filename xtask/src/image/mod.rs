//! The container image: a static binary, and a shell for people's commands.
//!
//! The binary is compiled here and handed to the Dockerfile's target `prebuilt` with all other
//! files ([`rootfs`]), so that building needs no base image and no container runtime, only buildah.

mod rootfs;

use std::path::{Path, PathBuf};
use std::process::Command;

use kopist_testkit::tree::{self, Comparison, RandomTree, TreeShape};
use serde_json::Value;

use crate::sbom;
use crate::step::{self, Result, cargo, headline};
use rootfs::Flavour;

/// The path that the operator starts.
const ENTRY: &str = "/mover-kopia/entry.sh";

/// A user without a passwd entry.
const USER: u32 = 417_253;

/// Where the list of its parts lies in the image.
const PARTS: &str = "usr/share/sbom/kopist.cdx.json";

/// Builds the image into this user's own image store: `[--full] [TAG]`.
pub(crate) fn build_release(arguments: &[String]) -> Result {
    let (flavour, arguments) = match arguments.split_first() {
        Some((first, rest)) if first == "--full" => (Flavour::Full, rest),
        _ => (Flavour::Usual, arguments),
    };
    let tag = arguments.first().map_or("kopist:latest", String::as_str);
    let scratch = step::scratch("image")?;
    build(&Buildah { store: None }, scratch.path(), tag, flavour)
}

/// The machine that this toolchain compiles for.
pub(crate) fn host() -> Result<String> {
    let version = Command::new("rustc").arg("-vV").output()?;
    let version = String::from_utf8(version.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not name its host")?.to_owned())
}

/// Builds both flavours of the image into a store of their own and runs a backup and a restore in
/// each: as a user without name, without HOME, unable to write anywhere but to the mounted
/// directories.
pub(crate) fn test() -> Result {
    const TAG: &str = "localhost/kopist-test";
    let scratch = step::scratch("image")?;
    let here = scratch.path();
    let buildah = Buildah { store: Some(here.join("store")) };
    build(&buildah, here, TAG, Flavour::Usual)?;
    labelled(&buildah, TAG)?;

    let container = buildah.output(&["from", "--pull-never", TAG])?;
    let container = container.trim();
    as_kopia(&buildah, container)?;
    headline("a backup and a restore in the image");
    there_and_back(
        &buildah,
        container,
        &here.join("usual"),
        "KOPIA_REPOSITORY=filesystem:///mnt/repository",
    )?;
    scenarios(&buildah, container)?;
    larger(&buildah, &here.join("full"))
}

/// The larger flavour: its programs start, and a repository behind rclone is written and read.
fn larger(buildah: &Buildah, here: &Path) -> Result {
    const WHAT: &str = "the larger flavour of the image";
    const TAG: &str = "localhost/kopist-test-full";
    if let Some(missing) = rootfs::MORE.iter().find(|name| !step::installed(name)) {
        step::skipped(WHAT, &format!("{missing} is not installed here"));
        return Ok(());
    }
    build(buildah, here, TAG, Flavour::Full)?;
    labelled(buildah, TAG)?;
    let container = buildah.output(&["from", "--pull-never", TAG])?;
    let container = container.trim();
    as_kopia(buildah, container)?;
    headline(&format!("{WHAT}: ssh and rclone"));
    // ssh starts for nobody without a passwd entry; the image's own user has one.
    let script = "set -euo pipefail; ssh -V; rclone version; \
                  { ssh-keyscan 2>&1 || true; } | grep -qi usage";
    let arguments = ["run", "--isolation", "chroot", container, "--", "bash", "-c"];
    step::succeed(buildah.command(&arguments).arg(script))?;
    headline(&format!("{WHAT}: a backup and a restore through rclone"));
    let remote = "RCLONE_REMOTE_PATH=:local:/mnt/repository";
    there_and_back(buildah, container, &here.join("rclone"), remote)
}

/// A backup and a restore, into a repository that this variable places at `/mnt/repository`.
fn there_and_back(buildah: &Buildah, container: &str, here: &Path, place: &str) -> Result {
    let data = here.join("data");
    let (repository, cache, restored) =
        (here.join("repository"), here.join("cache"), here.join("restored"));
    for directory in [&repository, &cache, &restored] {
        std::fs::create_dir_all(directory)?;
    }
    RandomTree::create(&data, 1, TreeShape::default());
    own(&[&data, &repository, &cache, &restored])?;
    let run = |direction: &str, data: &Path, at: &str| -> Result {
        let mut command = buildah.command(&["run", "--isolation", "chroot"]);
        command.arg("--user").arg(format!("{USER}:{USER}"));
        for (directory, at) in [(data, at), (&repository, "/mnt/repository"), (&cache, "/cache")] {
            command.arg("--volume").arg(format!("{}:{at}", directory.display()));
        }
        for variable in [
            place,
            "KOPIA_PASSWORD=correct horse battery staple",
            "KOPIA_OVERRIDE_USERNAME=test",
            "KOPIA_OVERRIDE_HOSTNAME=image",
            "KOPIA_CACHE_DIR=/cache",
            "HOME=",
            &format!("DATA_DIR={at}"),
        ] {
            command.arg("--env").arg(variable);
        }
        command.args([container, "--", ENTRY, direction]);
        step::succeed(&mut command)
    };
    run("backup", &data, "/data")?;
    run("restore", &restored, "/restore/data")?;
    if !repository.join("kopia.repository.f").exists()
        && !repository.join("kopia.repository").exists()
    {
        return Err(format!("no repository came to {}", repository.display()).into());
    }
    let found = tree::compare(&tree::list(&data), &tree::list(&restored), Comparison::restored());
    if !found.is_empty() {
        return Err(format!("the tree that the image restored differs:\n{found}").into());
    }
    println!("the image brought every byte, mode, time and link back");
    Ok(())
}

/// What the image says of itself: who made what, and that its user is not root.
fn labelled(buildah: &Buildah, tag: &str) -> Result {
    let told: Value = serde_json::from_str(&buildah.output(&["inspect", "--type", "image", tag])?)?;
    let config = &told["OCIv1"]["config"];
    let version = &config["Labels"]["org.opencontainers.image.version"];
    let revision = config["Labels"]["org.opencontainers.image.revision"].as_str();
    if version != env!("CARGO_PKG_VERSION") || revision.is_none_or(str::is_empty) {
        return Err(format!("the labels of the image are {}", config["Labels"]).into());
    }
    let user = config["User"].as_str().unwrap_or_default();
    if user.split(':').next().and_then(|uid| uid.parse().ok()).is_none_or(|uid: u32| uid == 0) {
        return Err(format!("the user of the image is {user:?}, not the number of one").into());
    }
    Ok(())
}

/// The name `kopia` is the command line, for the image's own shell too.
fn as_kopia(buildah: &Buildah, container: &str) -> Result {
    headline("the image's shell and the name kopia");
    let script = "set -euo pipefail; kopia --version; TZ=Europe/Berlin date; \
                  ls -l /mover-kopia /etc/ssl/certs /usr/share/sbom";
    let user = format!("{USER}:{USER}");
    let arguments =
        ["run", "--isolation", "chroot", "--user", &user, container, "--", "bash", "-c"];
    step::succeed(buildah.command(&arguments).arg(script))
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

fn build(buildah: &Buildah, scratch: &Path, tag: &str, flavour: Flavour) -> Result {
    let target = host()?;
    let binary = static_binary(&target)?;
    let context = scratch.join("context");
    let root = context.join("image");
    rootfs::lay(&root, &binary, flavour)?;
    sbom::write(&root.join(PARTS), &target)?;
    headline(&format!("buildah bud --target prebuilt --tag {tag}"));
    let dockerfile = kopist_testkit::checkout().join("Dockerfile");
    let mut command = buildah.command(&["bud", "--isolation", "chroot", "--target", "prebuilt"]);
    for argument in [
        format!("VERSION={}", env!("CARGO_PKG_VERSION")),
        format!("REVISION={}", git(&["rev-parse", "HEAD"])),
        format!("CREATED={}", git(&["show", "--no-patch", "--format=%cI", "HEAD"])),
    ] {
        command.arg("--build-arg").arg(argument);
    }
    command.arg("--tag").arg(tag).arg("--file").arg(dockerfile).arg(&context);
    step::succeed(&mut command)
}

/// What git says of this checkout; nothing where it is none.
fn git(arguments: &[&str]) -> String {
    let output =
        Command::new("git").args(arguments).current_dir(kopist_testkit::checkout()).output();
    match output {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}

/// The release binary, linked statically; or the one that `KOPIST_STATIC_BINARY` names.
fn static_binary(target: &str) -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("KOPIST_STATIC_BINARY") {
        return Ok(PathBuf::from(given));
    }
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

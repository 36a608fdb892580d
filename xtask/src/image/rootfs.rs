//! What is in the image besides the binary, taken from this machine: a shell and the small tools
//! that people's commands use, authorities, time zones; in the larger flavour also ssh and rclone.
//! A program comes with the libraries that it is linked with.
//!
//! The Dockerfile's other targets take the same from packages.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::step::{self, Result};

/// How much is in the image.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// The mover, a shell, authorities, time zones.
    Usual,
    /// ssh and rclone as well.
    Full,
}

/// Names under which the binary is found.
const NAMES: [&str; 3] = ["mover-kopia/entry.sh", "usr/local/bin/kopist", "usr/local/bin/kopia"];

/// What a person's command may expect.
const TOOLS: [&str; 53] = [
    "awk",
    "basename",
    "bash",
    "cat",
    "chmod",
    "chown",
    "cmp",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "dirname",
    "du",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "grep",
    "gzip",
    "head",
    "id",
    "ln",
    "ls",
    "mkdir",
    "mktemp",
    "mv",
    "nproc",
    "printf",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "sync",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "uname",
    "wc",
    "xargs",
];
/// What the larger flavour has besides.
pub(super) const MORE: [&str; 3] = ["ssh", "ssh-keyscan", "rclone"];

/// The authorities that Mozilla trusts, without those that somebody has added to this machine.
const AUTHORITIES: &str = "/usr/share/ca-certificates/mozilla";
const ZONES: &str = "/usr/share/zoneinfo";

/// Lays everything into a directory.
pub(crate) fn lay(root: &Path, binary: &Path, flavour: Flavour) -> Result {
    make(root, "")?;
    std::fs::copy(binary, root.join("kopist"))?;
    for name in NAMES {
        make(root, parent(name))?;
        symlink("/kopist", root.join(name))?;
    }
    make(root, "tmp")?;
    std::fs::set_permissions(root.join("tmp"), PermissionsExt::from_mode(0o1777))?;
    make(root, "etc/ssl/certs")?;
    std::fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/:/bin/sh\n\
         nobody:x:65534:65534:nobody:/:/bin/false\n\
         nobody:x:65532:65532:the image's user:/:/bin/false\n",
    )?;
    std::fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\nnogroup:x:65532:\n")?;
    authorities(root)?;
    zones(root)?;
    let mut libraries = BTreeSet::new();
    for name in TOOLS {
        match program(name) {
            Some(found) => install(root, name, &found, &mut libraries)?,
            None if name == "bash" => return Err("the image needs bash, which is not here".into()),
            None => step::skipped(&format!("{name} in the image"), "it is not installed here"),
        }
    }
    symlink("bash", root.join("bin/sh"))?;
    if flavour == Flavour::Full {
        for name in MORE {
            let found = program(name);
            let found = found.ok_or_else(|| format!("{name} is to be in the image: install it"))?;
            install(root, name, &found, &mut libraries)?;
        }
    }
    for library in libraries {
        let target = root.join(library.strip_prefix("/")?);
        std::fs::create_dir_all(target.parent().ok_or("a library has a directory")?)?;
        std::fs::copy(&library, target)?;
    }
    Ok(())
}

fn make(root: &Path, name: &str) -> Result {
    Ok(std::fs::create_dir_all(root.join(name))?)
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn authorities(root: &Path) -> Result {
    let Ok(entries) = std::fs::read_dir(AUTHORITIES) else {
        step::skipped("authorities in the image", "ca-certificates is not installed here");
        return Ok(());
    };
    let mut files: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    files.sort();
    let mut all = Vec::new();
    for file in files {
        all.extend(std::fs::read(file)?);
    }
    Ok(std::fs::write(root.join("etc/ssl/certs/ca-certificates.crt"), all)?)
}

fn zones(root: &Path) -> Result {
    if !Path::new(ZONES).join("UTC").exists() {
        step::skipped("time zones in the image", "tzdata is not installed here");
        return Ok(());
    }
    make(root, "usr/share")?;
    let mut command = Command::new("cp");
    step::succeed(command.arg("-a").arg(ZONES).arg(root.join("usr/share")))
}

/// Where a program lies, past all links.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.is_file())?;
    found.canonicalize().ok()
}

/// Puts a program into `/bin`, and its libraries into the list.
fn install(root: &Path, name: &str, from: &Path, libraries: &mut BTreeSet<PathBuf>) -> Result {
    make(root, "bin")?;
    std::fs::copy(from, root.join("bin").join(name))?;
    let output = Command::new("ldd").arg(from).output()?;
    // A program without libraries is said to be no dynamic executable, and that is an error.
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if line.contains("not found") {
            return Err(format!("{name} lacks a library: {}", line.trim()).into());
        }
        libraries.extend(library(line));
    }
    Ok(())
}

/// The file in a line of `ldd`.
fn library(line: &str) -> Option<PathBuf> {
    line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_ldd_are_understood() {
        let file = |line| library(line).map(|path| path.display().to_string());
        let found = file("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f00)");
        assert_eq!(found.as_deref(), Some("/lib/x86_64-linux-gnu/libc.so.6"));
        let loader = file("\t/lib64/ld-linux-x86-64.so.2 (0x00007f00)");
        assert_eq!(loader.as_deref(), Some("/lib64/ld-linux-x86-64.so.2"));
        assert_eq!(file("\tlinux-vdso.so.1 (0x00007ffd)"), None);
        assert_eq!(file("\tstatically linked"), None);
    }
}

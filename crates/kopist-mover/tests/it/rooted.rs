//! The mover in a root file system of its own, as a container runtime would start it: read-only,
//! with the directories of the contract mounted, as a user without a passwd entry, on a host with
//! a pod's name.
//!
//! Two programs are started so: the entry of an image, and the reference's script, which finds its
//! usual tools and a `kopia` that counts how often it is called. It takes the rights to mount, so
//! root in a namespace of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::container::{Container, is_root};

/// The host name of the scenarios.
pub(crate) const HOST_NAME: &str = "volsync-src-app-x7k2p";

/// What is in the root file system.
#[derive(Debug, Default)]
pub(crate) struct RootFs {
    /// The root directory of an image; without one there is an empty file system.
    pub(crate) image: Option<PathBuf>,
    /// Becomes `/mover-kopia/entry.sh`.
    pub(crate) entry: Option<PathBuf>,
    /// The program behind the name `kopia`; each call is written down.
    pub(crate) kopia: Option<PathBuf>,
    /// Whether this machine's shell and tools are there, too.
    pub(crate) tools: bool,
}

/// Where the calls of `kopia` are written down.
const CALLS: &str = "/calls";
const PATH: &str = "/wrapped/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Mounts everything and becomes the entry, in one process from the start, so that a signal
/// reaches it.
const RUNTIME: &str = r#"
set -eu
root=$1 pod=$2 image=$3 entry=$4 kopia=$5 tools=$6 user=$7 host=$8
shift 8
hostname "$host"
if [ -n "$image" ]; then
    mount --bind "$image" "$root"
else
    mount -t tmpfs -o mode=755 none "$root"
fi
if [ -n "$tools" ]; then
    for d in /usr /bin /sbin /lib /lib32 /lib64 /etc/alternatives; do
        if [ -L "$d" ]; then
            [ -e "$root$d" ] || cp -P "$d" "$root$d"
        elif [ -d "$d" ]; then
            mkdir -p "$root$d"
            mount --rbind "$d" "$root$d"
        fi
    done
fi
if [ -n "$entry" ]; then
    mkdir -p "$root/mover-kopia"
    cp "$entry" "$root/mover-kopia/entry.sh"
    chmod 755 "$root/mover-kopia/entry.sh"
fi
if [ -n "$kopia" ]; then
    mkdir -p "$root/wrapped/bin" "$root/wrapped/real"
    : > "$root/wrapped/real/kopia"
    mount --bind "$kopia" "$root/wrapped/real/kopia"
    printf '#!/bin/sh\nprintf "%%s\\n" "$*" >> /calls/log\nexec /wrapped/real/kopia "$@"\n' \
        > "$root/wrapped/bin/kopia"
    chmod 755 "$root/wrapped/bin/kopia"
fi
for d in data cache mnt restore kopia-config credentials customCA calls tmp dev; do
    mkdir -p "$root/$d"
    mount --rbind "$pod/$d" "$root/$d"
done
for d in null zero random urandom; do
    [ -e "$root/dev/$d" ] || : > "$root/dev/$d"
    mount --bind "/dev/$d" "$root/dev/$d"
done
[ -e "$root/dev/fd" ] || ln -s /proc/self/fd "$root/dev/fd"
mkdir -p "$root/proc"
mount --rbind /proc "$root/proc"
mount -o remount,bind,ro "$root"
cd /
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" \
    /mover-kopia/entry.sh "$@"
"#;

impl RootFs {
    /// Why this machine cannot do it, if it cannot.
    pub(crate) fn obstacle() -> Option<&'static str> {
        if !is_root() {
            return Some("it takes root to mount");
        }
        let tried = Command::new("unshare").args(["--mount", "--uts", "true"]).status();
        match tried {
            Ok(status) if status.success() => None,
            _ => Some("this machine lets nobody mount"),
        }
    }

    /// The command that becomes the entry.
    pub(crate) fn command(&self, container: &Container, arguments: &[String]) -> Command {
        for directory in ["rootfs", "calls"] {
            std::fs::create_dir_all(container.path(directory)).unwrap();
            container.own(&container.path(directory));
        }
        let shown = |path: &Option<PathBuf>| {
            path.as_deref().unwrap_or(Path::new("")).as_os_str().to_owned()
        };
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--uts", "--propagation", "private", "sh", "-c", RUNTIME, "sh"])
            .arg(container.path("/rootfs"))
            .arg(container.root())
            .args([shown(&self.image), shown(&self.entry), shown(&self.kopia)])
            .arg(if self.tools { "yes" } else { "" })
            .arg(container.user())
            .arg(HOST_NAME)
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/")
            .env("HOSTNAME", HOST_NAME);
        command
    }

    /// The calls of `kopia` so far, one command line each.
    pub(crate) fn calls(container: &Container) -> Vec<String> {
        let text = std::fs::read_to_string(container.path(CALLS).join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

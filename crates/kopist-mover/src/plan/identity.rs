//! Who the snapshots belong to, and under which path.

use super::error::{Findings, PlanError};
use super::operation::Operation;
use crate::env::Env;
use crate::probe::Probe;

/// User and host, and whether the operator gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User name, taken literally when given.
    pub username: String,
    /// Host name, taken literally when given.
    pub hostname: String,
    /// Whether the user name was given.
    pub username_given: bool,
    /// Whether the host name was given.
    pub hostname_given: bool,
}

/// Owner of the maintenance when nothing else is said.
const MAINTENANCE_USER: &str = "maintenance";
/// Host part of the owner when only a user is said.
const MAINTENANCE_HOST: &str = "volsync";

/// Decides the identity of a run.
pub(super) fn identity(
    env: &Env,
    probe: &dyn Probe,
    operation: Operation,
    findings: &mut Findings,
) -> Identity {
    if !operation.has_source() {
        return maintenance_identity(env, findings);
    }
    let username = env.text("KOPIA_OVERRIDE_USERNAME");
    let hostname = env.text("KOPIA_OVERRIDE_HOSTNAME");
    Identity {
        username_given: username.is_some(),
        hostname_given: hostname.is_some(),
        username: username.map_or_else(
            || probe.user_name().unwrap_or_else(|| "nobody".to_owned()),
            str::to_owned,
        ),
        hostname: hostname.map_or_else(|| short_host_name(&probe.host_name()), str::to_owned),
    }
}

fn maintenance_identity(env: &Env, findings: &mut Findings) -> Identity {
    const HOST: &str = "KOPIA_OVERRIDE_MAINTENANCE_HOSTNAME";
    let given = env.text("KOPIA_OVERRIDE_MAINTENANCE_USERNAME");
    let owner = given.unwrap_or(MAINTENANCE_USER);
    let former = env.text(HOST);
    let (username, hostname) = match owner.split_once('@') {
        Some(both) => both,
        None => (owner, former.unwrap_or(MAINTENANCE_HOST)),
    };
    if former == Some(hostname) {
        findings.former(HOST, "the owner of the maintenance is on that host");
    }
    Identity {
        username: username.to_owned(),
        hostname: hostname.to_owned(),
        username_given: given.is_some(),
        hostname_given: given.is_some() || former.is_some(),
    }
}

/// Kopia's default: up to the first dot, in lower case.
fn short_host_name(name: &str) -> String {
    name.split('.').next().unwrap_or_default().to_lowercase()
}

/// The path under which snapshots are stored and looked up.
///
/// A restore fills `/restore/data` from what a backup saved as `/data`.
pub(super) fn source_path(
    env: &Env,
    data_dir: &str,
    operation: Operation,
    argument: Option<&str>,
    findings: &mut Findings,
) -> String {
    let given = env.text("KOPIA_SOURCE_PATH_OVERRIDE");
    if let (Some(path), Some(argument)) = (given, argument)
        && path != argument
    {
        findings.notice(format!(
            "--override-source={argument} replaces KOPIA_SOURCE_PATH_OVERRIDE={path}"
        ));
    }
    if let Some(path) = argument.or(given) {
        return clean(path);
    }
    if operation == Operation::Restore && data_dir == RESTORED {
        return saved_directory(env, SAVED, findings);
    }
    clean(data_dir)
}

/// Where backups find the volume.
const SAVED: &str = "/data";
/// Where restores find it.
const RESTORED: &str = "/restore/data";
/// The part of the volume that is saved.
const PART: &str = "KOPIA_SOURCE_PATH";

/// The directory that is saved: the volume, or the part of it that the documentation calls
/// `sourcePath`, given as a path inside the volume or as a path of the container.
pub(super) fn saved_directory(env: &Env, volume: &str, findings: &mut Findings) -> String {
    let Some(part) = env.text(PART) else { return volume.to_owned() };
    if climbs(part) {
        findings.error(PlanError::BadValue {
            name: PART.to_owned(),
            expected: "a path inside the volume, without ..",
        });
        return volume.to_owned();
    }
    let directory = within(volume, part);
    findings.former(PART, &format!("it is about {directory} only"));
    directory
}

fn climbs(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

fn within(volume: &str, part: &str) -> String {
    let (volume, part) = (clean(volume), clean(part));
    let inside =
        part.strip_prefix(&volume).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if inside { part } else { clean(&format!("{volume}/{part}")) }
}

/// Without `.`, doubled or final slashes, as Kopia cleans source paths; `..` goes
/// one up.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::FakeProbe;

    fn shown(pairs: &[(&str, &str)], operation: Operation) -> String {
        let env: Env = pairs.iter().copied().collect();
        let id = identity(&env, &FakeProbe::default(), operation, &mut Findings::default());
        format!("{}@{}", id.username, id.hostname)
    }

    #[test]
    fn overrides_are_literal_defaults_are_kopias() {
        let both =
            [("KOPIA_OVERRIDE_USERNAME", "App_1.x"), ("KOPIA_OVERRIDE_HOSTNAME", "Cluster-A.b_c")];
        assert_eq!(shown(&both, Operation::Backup), "App_1.x@Cluster-A.b_c");
        assert_eq!(shown(&both[..1], Operation::Backup), "App_1.x@volsync-src-app-x7k2p");
        assert_eq!(shown(&both[1..], Operation::Restore), "nobody@Cluster-A.b_c");
        assert_eq!(short_host_name("Pod-1.Svc.local"), "pod-1");
    }

    #[test]
    fn maintenance_has_an_owner_of_its_own() {
        let own = "KOPIA_OVERRIDE_MAINTENANCE_USERNAME";
        let run = |pairs: &[(&str, &str)]| shown(pairs, Operation::Maintenance);
        assert_eq!(run(&[]), "maintenance@volsync");
        assert_eq!(run(&[(own, "admin")]), "admin@volsync");
        assert_eq!(run(&[(own, "admin@corp")]), "admin@corp");
        assert_eq!(run(&[("KOPIA_OVERRIDE_USERNAME", "app")]), "maintenance@volsync");
        let former = "KOPIA_OVERRIDE_MAINTENANCE_HOSTNAME";
        assert_eq!(run(&[(former, "corp")]), "maintenance@corp");
        assert_eq!(run(&[(own, "admin@x"), (former, "corp")]), "admin@x");
    }

    #[test]
    fn source_paths() {
        let path = |pairs: &[(&str, &str)], dir: &str, operation| {
            let env: Env = pairs.iter().copied().collect();
            source_path(&env, dir, operation, None, &mut Findings::default())
        };
        let none: &[(&str, &str)] = &[];
        assert_eq!(path(none, "/data", Operation::Backup), "/data");
        assert_eq!(path(none, "/restore/data", Operation::Restore), "/data");
        assert_eq!(path(none, "/restore/data", Operation::Backup), "/restore/data");
        assert_eq!(path(none, "/elsewhere/", Operation::Restore), "/elsewhere");
        let part: &[(&str, &str)] = &[("KOPIA_SOURCE_PATH", "sub/dir/")];
        assert_eq!(path(part, "/restore/data", Operation::Restore), "/data/sub/dir");
        let given: &[(&str, &str)] = &[("KOPIA_SOURCE_PATH_OVERRIDE", "/var/lib//app/")];
        assert_eq!(path(given, "/data", Operation::Backup), "/var/lib/app");
        assert_eq!(path(given, "/restore/data", Operation::Restore), "/var/lib/app");
    }

    #[test]
    fn a_part_of_the_volume_may_be_saved() {
        let saved = |part: &str| {
            let env: Env = [("KOPIA_SOURCE_PATH", part)].into_iter().collect();
            let mut findings = Findings::default();
            let directory = saved_directory(&env, "/data", &mut findings);
            (directory, findings.errors.len(), findings.notices.len())
        };
        assert_eq!(saved("/var/lib/db"), ("/data/var/lib/db".to_owned(), 0, 1));
        assert_eq!(saved("/data/important/"), ("/data/important".to_owned(), 0, 1));
        assert_eq!(saved("/database"), ("/data/database".to_owned(), 0, 1));
        assert_eq!(saved("/"), ("/data".to_owned(), 0, 1));
        assert_eq!(saved("a/../../etc"), ("/data".to_owned(), 1, 0));
        assert_eq!(saved(""), ("/data".to_owned(), 0, 0));
    }
}

//! A filesystem repository that pods of several users share.
//!
//! Kopia writes files that only their owner can read, so the second application, under
//! another user id, cannot open the repository. The directory knows better: where the
//! group may write (as in a volume with an `fsGroup`), new files are for the group, too.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::Mode;
use serde_json::{Value, json};

const GROUP_WRITE: u32 = 0o020;
const SET_GROUP: u32 = 0o2000;

/// Sets the modes of new files and directories unless the configuration has them.
///
/// The process's mask gives way, too: with the usual one the group could not write.
pub(super) fn share(config: &mut Value, path: &Path, mode: Option<u32>) {
    let given = |key: &str| config.get(key).and_then(Value::as_u64).is_some_and(|mode| mode != 0);
    if given("fileMode") || given("dirMode") {
        return;
    }
    let Some(file_mode) = mode.or_else(|| mode_by_directory(path)) else { return };
    config["fileMode"] = json!(file_mode);
    config["dirMode"] = json!(directory_mode(file_mode));
    rustix::process::umask(Mode::from_raw_mode(0o777 & !directory_mode(file_mode)));
}

/// Who may read a file may enter a directory.
fn directory_mode(file_mode: u32) -> u32 {
    file_mode | ((file_mode & 0o444) >> 2)
}

/// The mode for new files that the repository's directory suggests, or the nearest one
/// above it that exists.
fn mode_by_directory(path: &Path) -> Option<u32> {
    let metadata = path.ancestors().find_map(|directory| directory.metadata().ok())?;
    let shared = metadata.mode() & (GROUP_WRITE | SET_GROUP) != 0;
    shared.then_some(0o660)
}

/// Who runs this, who owns that, and what to do about it.
pub(super) fn explain(path: &Path) -> String {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let owner = match path.metadata() {
        Ok(found) => format!(
            "it belongs to {}:{} with mode {:04o}",
            found.uid(),
            found.gid(),
            found.mode() & 0o7777
        ),
        Err(error) => format!("it cannot be looked at: {error}"),
    };
    format!(
        " (this process runs as {uid}:{gid}; {owner}. Give all pods that use this repository the \
         same fsGroup in moverSecurityContext, and make what is there readable for that group)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_directory_decides() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("not/there/yet");
        let mode = |mode| {
            std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(mode)).unwrap();
            mode_by_directory(&below)
        };
        assert_eq!(mode(0o755), None);
        assert_eq!(mode(0o700), None);
        assert_eq!(mode(0o775), Some(0o660));
        assert_eq!(mode(0o2755), Some(0o660));
    }

    #[test]
    fn directories_can_be_entered_by_those_who_read() {
        assert_eq!(directory_mode(0o660), 0o770);
        assert_eq!(directory_mode(0o640), 0o750);
        assert_eq!(directory_mode(0o600), 0o700);
    }

    #[test]
    fn given_modes_stay() {
        let mut config = json!({"path": "/x", "fileMode": 0o600});
        let before = config.clone();
        share(&mut config, Path::new("/"), Some(0o660));
        assert_eq!(config, before);
    }

    #[test]
    fn the_explanation_names_both_sides() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let text = explain(dir.path());
        assert!(text.contains("this process runs as") && text.contains("mode 0700"), "{text}");
        assert!(text.contains("fsGroup"));
    }
}

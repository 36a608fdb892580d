//! `repository sync-to`: what it says, and that a copy opens.

use std::fs;

use crate::errors::run;

#[test]
fn a_copy_is_made_once_and_then_kept_up() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).display().to_string();
    for name in ["repo", "copy", "other", "data"] {
        fs::create_dir(home.path().join(name)).unwrap();
    }
    fs::write(home.path().join("data/file"), "what is saved").unwrap();
    #[track_caller]
    fn ok(home: &std::path::Path, words: &[&str]) -> String {
        let (code, err) = run(home, "p", words);
        assert_eq!(code, 0, "{words:?}: {err}");
        err
    }
    let (repo, copy) = (format!("--path={}", at("repo")), format!("--path={}", at("copy")));
    ok(home.path(), &["repository", "create", "filesystem", &repo]);
    ok(home.path(), &["snapshot", "create", &at("data")]);

    let sync = ["repository", "sync-to", "filesystem", &copy];
    let (code, err) = run(home.path(), "p", &[&sync[..], &["--must-exist"]].concat());
    assert_eq!(code, 1);
    assert!(err.contains("destination repository does not have a format blob"), "{err}");
    let err = ok(home.path(), &[&sync[..], &["--dry-run"]].concat());
    assert!(err.contains("NOTE: By default no BLOBs are deleted"), "{err}");
    assert!(!home.path().join("copy/kopia.repository.f").exists(), "{err}");
    let err = ok(home.path(), &sync);
    for line in ["Synchronizing repositories:", "Looking for BLOBs to synchronize...", "Copying..."]
    {
        assert!(err.contains(line), "{line}: {err}");
    }
    assert!(err.contains("0 BLOBs to delete"), "{err}");

    // Something that is not at the source goes when that is asked for.
    fs::write(home.path().join("copy/pjunk.f"), "x").unwrap();
    ok(home.path(), &sync);
    assert!(home.path().join("copy/pjunk.f").exists());
    let err = ok(home.path(), &[&sync[..], &["--delete", "--parallel=4"]].concat());
    assert!(err.contains("Found 1 BLOBs to delete"), "{err}");
    assert!(!home.path().join("copy/pjunk.f").exists());

    let other = format!("--path={}", at("other"));
    let config = format!("--config-file={}", at("other.config"));
    ok(home.path(), &["repository", "create", "filesystem", &other, &config]);
    let (code, err) = run(home.path(), "p", &["repository", "sync-to", "filesystem", &other]);
    assert_eq!(code, 1);
    assert!(err.contains("destination repository contains incompatible data"), "{err}");

    ok(home.path(), &["repository", "connect", "filesystem", &copy]);
    ok(home.path(), &["snapshot", "verify", "--verify-files-percent=100"]);
}

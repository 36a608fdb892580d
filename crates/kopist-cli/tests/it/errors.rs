//! What goes wrong is said in a way that tells what to do.

use std::{ffi::OsString, fs, path::Path, sync::Arc};

use kopist_cli::{env::Environment, output::Console};

/// Runs a command line; exit code and standard error.
pub(crate) fn run(home: &Path, password: &str, line: &[&str]) -> (u8, String) {
    let (console, _out, err) = Console::captured();
    let env = Environment::new([
        ("HOME".into(), home.into()),
        ("KOPIA_PASSWORD".into(), OsString::from(password)),
        ("KOPIA_CHECK_FOR_UPDATES".into(), "false".into()),
        ("KOPIA_DANGEROUS_COMMANDS".into(), "enabled".into()),
    ]);
    let words = line.iter().copied().chain(["--disable-file-logging"]).map(OsString::from);
    let code = kopist_cli::run(words.collect(), env, &Arc::new(console));
    (code, err.text())
}

/// The commands that people use most, each with a flag that takes a value.
const COMMANDS: [(&str, &str); 30] = [
    ("repository create filesystem --path=/x", "--encryption"),
    ("repository connect filesystem --path=/x", "--description"),
    ("repository connect from-config", "--token"),
    ("repository status", "--config-file"),
    ("repository set-client", "--username"),
    ("repository sync-to filesystem --path=/x", "--parallel"),
    ("repository change-password", "--new-password"),
    ("repository throttle set", "--upload-bytes-per-second"),
    ("snapshot create /", "--description"),
    ("snapshot list", "--max-results"),
    ("snapshot restore x /y", "--parallel"),
    ("snapshot delete x", "--config-file"),
    ("snapshot expire", "--config-file"),
    ("snapshot verify", "--max-errors"),
    ("snapshot pin x", "--add"),
    ("restore x /y", "--mode"),
    ("list x", "--config-file"),
    ("show x", "--config-file"),
    ("policy set --global", "--keep-latest"),
    ("policy show --global", "--config-file"),
    ("policy list", "--config-file"),
    ("policy export", "--to-file"),
    ("policy import", "--from-file"),
    ("maintenance run", "--safety"),
    ("maintenance info", "--config-file"),
    ("maintenance set", "--owner"),
    ("cache info", "--config-file"),
    ("cache set", "--content-cache-size-mb"),
    ("content list", "--prefix"),
    ("blob list", "--prefix"),
];

#[test]
fn slips_of_the_pen_are_answered_with_help() {
    let home = tempfile::tempdir().unwrap();
    for (command, flag) in COMMANDS {
        let words: Vec<&str> = command.split(' ').collect();
        let typo = format!("{flag}x=1");
        let (code, err) = run(home.path(), "p", &[words.as_slice(), &[&typo]].concat());
        let expected = format!("kopia: error: unknown long flag '{flag}x', try --help\n");
        assert_eq!((code, err), (1, expected), "{command}");

        let (code, err) = run(home.path(), "p", &[words.as_slice(), &[flag]].concat());
        assert_eq!(code, 1, "{command} {flag}");
        let tells = err.contains(&format!("expected argument for flag '{flag}'"));
        assert!(tells && err.ends_with(", try --help\n"), "{command} {flag}: {err}");
    }
}

/// Those that need a connection, with arguments that pass.
fn connected() -> impl Iterator<Item = Vec<&'static str>> {
    COMMANDS
        .into_iter()
        .map(|(command, _)| command.split(' ').collect::<Vec<_>>())
        .filter(|words| words[0] != "repository" || words[1] == "status")
        .map(|mut words| {
            // What they would refuse for another reason first.
            if words == ["snapshot", "pin", "x"] {
                words.push("--add=y");
            }
            words
        })
}

#[test]
fn without_a_connection_the_way_to_one_is_told() {
    let home = tempfile::tempdir().unwrap();
    for words in connected() {
        let (code, err) = run(home.path(), "p", &words);
        assert_eq!(code, 1, "{words:?}: {err}");
        assert!(err.contains("repository is not connected. See https://"), "{words:?}: {err}");
    }
}

/// All that open the repository, with arguments that pass.
fn opening(target: &str) -> Vec<Vec<&str>> {
    let mut lines: Vec<Vec<&str>> = connected().collect();
    lines.extend([
        vec!["repository", "set-client", "--username=x"],
        vec!["repository", "sync-to", "filesystem", target],
        vec!["repository", "change-password", "--new-password=x"],
        vec!["repository", "throttle", "set", "--upload-bytes-per-second=5"],
    ]);
    for line in &mut lines {
        match line.as_slice() {
            ["maintenance", "set"] => line.push("--owner=me"),
            ["cache", "set"] => line.push("--content-cache-size-mb=7"),
            ["policy", "set", "--global"] => line.push("--keep-latest=3"),
            _ => {}
        }
    }
    lines
}

#[test]
fn wrong_passwords_and_lost_storage_are_told_apart() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("repo");
    fs::create_dir(&place).unwrap();
    let path = format!("--path={}", place.display());
    let target = format!("--path={}", home.path().display());
    let (code, err) = run(home.path(), "right", &["repository", "create", "filesystem", &path]);
    assert_eq!(code, 0, "{err}");

    let mut lines = opening(&target);
    // And to connect anew.
    lines.push(vec!["repository", "connect", "filesystem", &path]);
    for words in &lines {
        let (code, err) = run(home.path(), "wrong", words);
        assert_eq!(code, 1, "{words:?}: {err}");
        let advice = "invalid repository password; pass the right one with --password or";
        assert!(err.contains(advice), "{words:?}: {err}");
    }
    fs::rename(&place, home.path().join("elsewhere")).unwrap();
    for words in &lines {
        let (code, err) = run(home.path(), "right", words);
        assert_eq!(code, 1, "{words:?}: {err}");
        assert!(err.contains(&*place.to_string_lossy()), "{words:?}: {err}");
        assert!(err.contains("is it mounted?"), "{words:?}: {err}");
    }
    fs::create_dir(&place).unwrap();
    for words in &lines {
        let (code, err) = run(home.path(), "right", words);
        assert_eq!(code, 1, "{words:?}: {err}");
        let advice = "not initialized in the provided storage; 'kopia repository create'";
        assert!(err.contains(advice), "{words:?}: {err}");
    }
}

#[test]
fn wrong_paths_are_named() {
    let home = tempfile::tempdir().unwrap();
    for (words, expected) in [
        (
            &["repository", "create", "filesystem", "--path=relative"][..],
            "filesystem repository path must be absolute",
        ),
        (
            &["snapshot", "migrate", "--source-config=/nonexistent/x"],
            "path '/nonexistent/x' does not exist, try --help",
        ),
        (
            &["repository", "connect", "from-config", "--token-file=/nonexistent/x"],
            "unable to open token file",
        ),
        (&["repository", "connect", "from-config"], "one of --file, --token-file, --token-stdin"),
        (&["snapshots"], "expected command but got \"snapshots\", try --help"),
        (&["snapshot"], "must select a subcommand of 'snapshot', try --help"),
        (&["restore"], "required argument 'sources' not provided, try --help"),
        (
            &["repository", "connect", "filesystem", "--path=/nonexistent/x"],
            "cannot access storage path /nonexistent/x",
        ),
    ] {
        let (code, err) = run(home.path(), "p", words);
        assert_eq!(code, 1, "{words:?}");
        assert!(err.contains(expected), "{words:?}: {err}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_named_with_the_flag_that_chose_it() {
    let home = tempfile::tempdir().unwrap();
    // Nobody listens at the first port.
    let s3 = ["--bucket=b", "--access-key=a", "--secret-access-key=s", "--disable-tls"];
    let s3 = [&["repository", "connect", "s3", "--endpoint=127.0.0.1:1"][..], &s3].concat();
    let webdav = vec!["repository", "connect", "webdav", "--url=http://127.0.0.1:1/x"];
    std::thread::scope(|scope| {
        // They try for some seconds.
        for (words, flag) in [(s3, "--endpoint"), (webdav, "--url")] {
            let home = home.path();
            scope.spawn(move || {
                let (code, err) = run(home, "p", &words);
                assert_eq!(code, 1, "{words:?}: {err}");
                assert!(err.contains("127.0.0.1:1: no connection"), "{words:?}: {err}");
                assert!(err.contains(&format!("check {flag}, the network")), "{words:?}: {err}");
            });
        }
    });
}

#[test]
fn paths_that_are_not_there_are_named() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("repo");
    fs::create_dir(&place).unwrap();
    let path = format!("--path={}", place.display());
    run(home.path(), "p", &["repository", "create", "filesystem", &path]);
    for (words, expected) in [
        (&["snapshot", "create", "/nonexistent/x"][..], "/nonexistent/x"),
        (&["snapshot", "restore", "00112233445566778899aabbccddeeff", "/tmp/x"], "0011223344"),
        (&["restore", "/nonexistent/x"], "no snapshots contain data for"),
        (&["list", "/nonexistent/x"], "list snapshots to see their IDs"),
        (&["show", "/nonexistent/x"], "/nonexistent/x"),
        (&["snapshot", "delete", "x"], "deleting snapshots by root ID x"),
        (&["snapshot", "pin", "x", "--add=y"], "x"),
        (&["policy", "import", "--from-file=/nonexistent/x"], "/nonexistent/x"),
        (&["policy", "export", "--to-file=/nonexistent/x"], "/nonexistent/x"),
        (&["manifest", "show", "x"], "x"),
        (&["content", "show", "x"], "x"),
        (&["blob", "show", "x"], "x"),
        (&["repository", "status", "--config-file=/nonexistent/x"], "is not connected"),
        (&["repository", "sync-to", "filesystem", "--path=/nonexistent/x"], "/nonexistent/x"),
    ] {
        let (code, err) = run(home.path(), "p", words);
        assert_eq!(code, 1, "{words:?}: {err}");
        assert!(err.contains(expected), "{words:?}: {err}");
    }
}

/// A script that goes on after such a command would take what is left for all there is.
#[test]
fn lost_manifests_end_commands_that_may_maintain() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).display().to_string();
    fs::create_dir(home.path().join("repo")).unwrap();
    let path = format!("--path={}", at("repo"));
    let (code, err) = run(home.path(), "p", &["repository", "create", "filesystem", &path]);
    assert_eq!(code, 0, "{err}");
    for folder in fs::read_dir(home.path().join("repo/q")).unwrap() {
        fs::remove_dir_all(folder.unwrap().path()).unwrap();
    }
    // Somebody else, without a cache that has them still.
    let config = format!("--config-file={}", at("other.config"));
    let cache = format!("--cache-directory={}", at("other-cache"));
    let connect = ["repository", "connect", "filesystem", &path, &config, &cache];
    let (code, err) = run(home.path(), "p", &[&connect[..], &["--override-username=x"]].concat());
    assert_eq!(code, 0, "{err}");

    let cache_set = ["cache", "set", "--metadata-cache-size-mb=100", &config];
    let (code, err) = run(home.path(), "p", &cache_set);
    assert_eq!(code, 1, "{err}");
    let tells = "running auto-maintenance: unable to load manifest contents: content m";
    assert!(err.contains(tells) && err.contains("its pack is lost"), "{err}");
    let off = [&cache_set[..], &["--no-auto-maintenance"]].concat();
    let (code, err) = run(home.path(), "p", &off);
    assert_eq!(code, 0, "{err}");
}

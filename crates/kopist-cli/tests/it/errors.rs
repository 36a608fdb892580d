//! What goes wrong is said in a way that tells what to do.

use std::{ffi::OsString, fs, path::Path, sync::Arc};

use kopist_cli::{env::Environment, output::Console};

/// Runs a command line; exit code and standard error.
fn run(home: &Path, password: &str, line: &[&str]) -> (u8, String) {
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

#[test]
fn wrong_passwords_and_lost_storage_are_told_apart() {
    let home = tempfile::tempdir().unwrap();
    let place = home.path().join("repo");
    fs::create_dir(&place).unwrap();
    let path = format!("--path={}", place.display());
    let (code, err) = run(home.path(), "right", &["repository", "create", "filesystem", &path]);
    assert_eq!(code, 0, "{err}");

    // One of each way to open: to read, to write, to connect anew.
    let some: [&[&str]; 4] = [
        &["snapshot", "list"],
        &["policy", "set", "--global", "--keep-latest=3"],
        &["maintenance", "run"],
        &["repository", "connect", "filesystem", &path],
    ];
    for words in some {
        let (code, err) = run(home.path(), "wrong", words);
        assert_eq!(code, 1, "{words:?}");
        let advice = "invalid repository password; pass the right one with --password or";
        assert!(err.contains(advice), "{words:?}: {err}");
    }
    fs::rename(&place, home.path().join("elsewhere")).unwrap();
    for words in some {
        let (code, err) = run(home.path(), "right", words);
        assert_eq!(code, 1, "{words:?}");
        assert!(err.contains(&*place.to_string_lossy()), "{words:?}: {err}");
        assert!(err.contains("is it mounted?"), "{words:?}: {err}");
    }
    fs::create_dir(&place).unwrap();
    for words in some {
        let (code, err) = run(home.path(), "right", words);
        assert_eq!(code, 1, "{words:?}");
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
    ] {
        let (code, err) = run(home.path(), "p", words);
        assert_eq!(code, 1, "{words:?}");
        assert!(err.contains(expected), "{words:?}: {err}");
    }
}

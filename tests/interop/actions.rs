//! Actions: both programs run the same commands at the same moments with the same environment,
//! and store the same. Where kopist differs on purpose the test says so.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use kopist_testkit::oracle::{Client, Outcome};
use serde_json::Value;

use crate::pair::Pair;

/// A pair of programs, a small tree, and a command that notes how it was called.
struct Stage {
    pair: Pair,
    source: PathBuf,
    log: PathBuf,
}

/// What one run did.
#[derive(Debug, PartialEq)]
struct Did {
    succeeded: bool,
    /// The object of the snapshot, if one was saved.
    root: Option<String>,
    /// Calls of the noting command: action, source, snapshot path, argument; then the number of
    /// different ids.
    calls: Vec<String>,
}

impl Stage {
    fn new(test: &str) -> Option<Self> {
        let pair = Pair::created_by_kopia(test, &[])?;
        let folder = pair.folder.path();
        let (source, log) = (folder.join("source"), folder.join("log"));
        fs::create_dir_all(source.join("sub/deep")).unwrap();
        fs::create_dir(source.join("other")).unwrap();
        for name in ["a", "sub/b.skip", "sub/b", "sub/deep/c", "other/d"] {
            fs::write(source.join(name), name).unwrap();
        }
        let note = folder.join("note.sh");
        let script = format!(
            "#!/bin/sh\necho \"$KOPIA_ACTION $KOPIA_SOURCE_PATH $KOPIA_SNAPSHOT_PATH $1\" >> {log}\n\
             echo \"$KOPIA_SNAPSHOT_ID\" >> {log}.ids\n[ -n \"$KOPIA_VERSION\" ] || exit 9\n\
             shift; [ -z \"$1\" ] || exec \"$@\"\n",
            log = log.display()
        );
        executable(&note, &script);
        Some(Self { pair, source, log })
    }

    /// `policy set` for a directory of the tree, through kopia.
    fn policy(&self, path: &str, flags: &[&str]) {
        let target = self.source.join(path);
        let mut arguments = vec!["policy", "set", target.to_str().unwrap().trim_end_matches('/')];
        arguments.extend(flags);
        self.pair.kopia.ok(&arguments);
    }

    /// The flag that sets an action to the noting command, followed by another one.
    fn noting(&self, action: &str, argument: &str) -> String {
        let note = self.pair.folder.path().join("note.sh");
        format!("--{action}-action={} {argument}", note.display())
    }

    fn run(&self, client: &Client, flags: &[&str]) -> (Did, Outcome) {
        let ids = self.log.with_extension("ids");
        let _ = (fs::remove_file(&self.log), fs::remove_file(&ids));
        let mut arguments = vec!["snapshot", "create", self.source.to_str().unwrap()];
        arguments.extend(["--json", "--no-auto-maintenance", "--parallel=1"]);
        arguments.extend(flags);
        let outcome = client.run(&arguments);
        let root = |manifest: Value| manifest["rootEntry"]["obj"].as_str().map(str::to_owned);
        let lines = |path: &Path| -> Vec<String> {
            fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
        };
        let mut calls = lines(&self.log);
        let mut ids = lines(&ids);
        assert!(ids.iter().all(|id| id.len() == 16), "{ids:?}");
        ids.sort_unstable();
        ids.dedup();
        calls.push(ids.len().to_string());
        let manifest = serde_json::from_str(&outcome.stdout).ok();
        let did = Did { succeeded: outcome.succeeded(), root: manifest.and_then(root), calls };
        (did, outcome)
    }

    /// Both do the same; returns what that is.
    #[track_caller]
    fn same(&self, flags: &[&str]) -> Did {
        let (theirs, kopia) = self.run(&self.pair.kopia, flags);
        let (ours, kopist) = self.run(&self.pair.kopist, flags);
        assert_eq!(ours, theirs, "kopist (left) and kopia (right)\n{kopist}\n{kopia}");
        ours
    }
}

fn executable(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

const FORCE: &str = "--force-enable-actions";

#[test]
fn actions_run_in_the_same_order_with_the_same_environment() {
    let Some(stage) = Stage::new("actions_run_in_the_same_order_with_the_same_environment") else {
        return;
    };
    let disabled = stage.same(&[]);
    for (path, kinds) in [
        ("", &["before-snapshot-root", "after-snapshot-root", "before-folder", "after-folder"][..]),
        ("sub", &["before-folder", "after-folder"]),
        ("sub/deep", &["after-folder"]),
    ] {
        for kind in kinds {
            stage.policy(path, &[&stage.noting(kind, "said")]);
        }
    }
    let did = stage.same(&[FORCE]);
    assert!(did.succeeded);
    assert_eq!(did.calls.len(), 8, "seven calls and their ids: {did:?}");
    assert_eq!(did.calls.last().unwrap(), "4", "one id for each pair");
    assert!(did.calls[0].starts_with("before-snapshot-root "));
    assert!(did.calls[6].starts_with("after-snapshot-root "));
    assert!(did.calls.iter().take(7).all(|call| call.ends_with(" said")));

    // Only where it is allowed.
    let off = stage.same(&[]);
    assert_eq!((&off.root, &off.calls[..]), (&did.root, &["0".to_owned()][..]));
    assert_eq!(disabled.calls, ["0"]);
    for client in [&stage.pair.kopia, &stage.pair.kopist] {
        let path = stage.pair.repository.to_str().unwrap();
        client.ok(&[
            "repository",
            "connect",
            "filesystem",
            "--path",
            path,
            "--enable-actions",
            "--override-username=someone",
            "--override-hostname=somewhere",
        ]);
    }
    assert_eq!(stage.same(&[]).calls.len(), 8);
    assert_eq!(stage.same(&["--force-disable-actions"]).calls, ["0"]);
}

#[test]
fn failing_actions_mean_the_same() {
    let Some(stage) = Stage::new("failing_actions_mean_the_same") else { return };
    let exit = stage.pair.folder.path().join("exit3");
    executable(&exit, "#!/bin/sh\nexit 3\n");
    let fail = |kind: &str| stage.noting(kind, &format!("x {}", exit.display()));
    stage.policy("", &[&stage.noting("after-snapshot-root", "after")]);

    // Essential before the snapshot: there is none, and nothing runs afterwards.
    stage.policy("", &[&fail("before-snapshot-root")]);
    let did = stage.same(&[FORCE]);
    assert_eq!((did.succeeded, &did.root, did.calls.len()), (false, &None, 2), "{did:?}");
    let (_, outcome) = stage.run(&stage.pair.kopist, &[FORCE]);
    assert!(outcome.stderr.contains("upload error: ") && outcome.stderr.contains("exit status 3"));

    // Optional: as if nothing had been.
    stage.policy("", &["--action-command-mode=optional", &fail("before-snapshot-root")]);
    let did = stage.same(&[FORCE]);
    assert!(did.succeeded && did.calls.len() == 3, "{did:?}");

    // Essential before a directory: it is missing, with the same words in the snapshot.
    stage.policy("", &["--before-snapshot-root-action="]);
    stage.policy("sub", &[&fail("before-folder"), &stage.noting("after-folder", "no")]);
    let did = stage.same(&[FORCE]);
    assert!(!did.succeeded && did.root.is_some() && did.calls.len() == 3, "{did:?}");
    stage.policy("sub", &["--ignore-dir-errors=true"]);
    assert!(stage.same(&[FORCE]).succeeded);

    // After a directory nothing is essential any more.
    stage.policy("sub", &["--before-folder-action=", &fail("after-folder")]);
    assert!(stage.same(&[FORCE]).succeeded);

    // A command that does not exist.
    stage.policy("sub", &["--before-folder-action=/no/such/command"]);
    let did = stage.same(&[FORCE, "--fail-fast"]);
    assert!(did.root.is_some(), "{did:?}");
    stage.policy("", &["--before-snapshot-root-action=no-such-command"]);
    assert!(!stage.same(&[FORCE]).succeeded);
}

#[test]
fn redirected_directories_are_read_elsewhere() {
    let Some(stage) = Stage::new("redirected_directories_are_read_elsewhere") else { return };
    let elsewhere = stage.pair.folder.path().join("elsewhere");
    fs::create_dir_all(elsewhere.join("sub/deep")).unwrap();
    for name in ["e", "sub/f", "sub/f.skip", "sub/deep/g"] {
        fs::write(elsewhere.join(name), name).unwrap();
    }
    let file = |name: &str, text: &str| {
        let path = stage.pair.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let redirect = format!("echo ignored=1\necho KOPIA_SNAPSHOT_PATH={}\n", elsewhere.display());
    let plain = file("plain", &redirect);
    let headed = file("headed", &format!("#!/bin/sh\n{redirect}"));
    stage.policy("", &["--add-ignore=*.skip", &stage.noting("after-snapshot-root", "")]);
    stage.policy("sub/deep", &[&stage.noting("before-folder", "")]);
    let own = stage.same(&[FORCE]).root;

    // The whole snapshot, with a stored script in either form.
    let mut roots = Vec::new();
    for script in [plain, headed] {
        let action = format!("--before-snapshot-root-action={script}");
        stage.policy("", &["--persist-action-script", &action]);
        let did = stage.same(&[FORCE]);
        assert!(did.calls[1].contains(&format!(" {} ", elsewhere.display())), "{did:?}");
        roots.push(did.root);
    }
    assert!(roots[0] == roots[1] && roots[0] != own);
    // The same from a folder action of the root.
    let action = format!("--before-folder-action={}", file("again", &redirect));
    stage.policy("", &["--before-snapshot-root-action=", "--persist-action-script", &action]);
    assert_eq!(stage.same(&[FORCE]).root, roots[0]);

    // Where there is nothing.
    for text in ["echo KOPIA_SNAPSHOT_PATH=/no/such/place", "echo KOPIA_SNAPSHOT_PATH=/etc/passwd"]
    {
        let action = format!("--before-folder-action={}", file("wrong", text));
        stage.policy("", &["--persist-action-script", &action]);
        let did = stage.same(&[FORCE]);
        assert!(!did.succeeded && did.root.is_none(), "{did:?}");
    }

    // A directory below: kopia stores it under the name of the other one. Two that are read from
    // places of one name would then be one, so kopist keeps the name. What is in it, and which
    // rules count there (none from above), is the same.
    let sub = file("sub", &format!("echo KOPIA_SNAPSHOT_PATH={}/sub", elsewhere.display()));
    let other = file("other", &format!("echo KOPIA_SNAPSHOT_PATH={}", elsewhere.display()));
    stage.policy("", &["--before-folder-action="]);
    stage.policy("sub", &["--persist-action-script", &format!("--before-folder-action={sub}")]);
    let did = stage.same(&[FORCE]);
    assert!(did.succeeded && did.root != own, "{did:?}");
    stage.policy("sub", &["--persist-action-script", &format!("--before-folder-action={other}")]);
    let names = |client: &Client| {
        let (did, outcome) = stage.run(client, &[FORCE]);
        assert!(did.succeeded, "{outcome}");
        let listed = client.ok(&["ls", "-o", &did.root.unwrap()]);
        let mut entries: Vec<(String, String)> = listed
            .lines()
            .map(|line| {
                let mut words = line.split_whitespace();
                let object = words.next().unwrap().to_owned();
                (object, words.next_back().unwrap().to_owned())
            })
            .collect();
        entries.sort();
        entries
    };
    let (theirs, ours) = (names(&stage.pair.kopia), names(&stage.pair.kopist));
    let renamed: Vec<_> = theirs
        .into_iter()
        .map(|(object, name)| (object, name.replace("elsewhere", "sub")))
        .collect();
    assert_eq!(ours, renamed);
    assert!(ours.iter().any(|(_, name)| name == "sub"));
}

#[test]
fn slow_actions_are_stopped_and_asynchronous_ones_are_not() {
    let Some(stage) = Stage::new("slow_actions_are_stopped_and_asynchronous_ones_are_not") else {
        return;
    };
    let folder = stage.pair.folder.path();
    let (gate, done) = (folder.join("gate"), folder.join("done"));
    let wait = folder.join("wait.sh");
    let script = format!(
        "#!/bin/sh\nwhile [ ! -e {} ]; do sleep 0.05; done\necho \"$KOPIA_ACTION\" >> {}\n",
        gate.display(),
        done.display()
    );
    executable(&wait, &script);
    let action = format!("--before-snapshot-root-action={}", wait.display());
    stage.policy("", &[&action, "--action-command-timeout=1s"]);
    let did = stage.same(&[FORCE]);
    assert!(!did.succeeded && did.root.is_none());

    // kopia kills it as soon as it has started. Here it goes on after the command has ended.
    stage.policy("", &[&action, "--action-command-timeout=5m", "--action-command-mode=async"]);
    let (did, outcome) = stage.run(&stage.pair.kopist, &[FORCE]);
    assert!(did.succeeded && !done.exists(), "{outcome}");
    fs::write(&gate, "").unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(2);
    while fs::read_to_string(&done).unwrap_or_default() != "before-snapshot-root\n" {
        assert!(std::time::Instant::now() < deadline, "the action did not run to its end");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

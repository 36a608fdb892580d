//! Both programs compare, repair, rename and migrate snapshots alike.
//!
//! What changes a repository is run by each program on a copy of one repository.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use kopist_testkit::oracle::{Client, Outcome};
use kopist_testkit::tree::{Comparison, RandomTree, TreeShape, compare, list};
use serde_json::Value;

use crate::pair::{Pair, blob_file, blobs, connect, create, id, root, snapshot, snapshots};

/// Two copies of one repository: kopist is connected to one of them and kopia to the other.
struct Twins {
    pair: Pair,
    copy: PathBuf,
}

impl Twins {
    /// A repository that kopia made and filled.
    fn new(test: &str, fill: impl FnOnce(&Client, &Path)) -> Option<Self> {
        let pair = Pair::new(test)?;
        create(&pair.kopia, &pair.repository, &[]);
        fill(&pair.kopia, pair.folder.path());
        let copy = pair.folder.path().join("copy");
        copy_all(&pair.repository, &copy);
        connect(&pair.kopist, &copy);
        Some(Self { pair, copy })
    }

    /// Runs a command with both; they end alike and say the same.
    #[track_caller]
    fn both(&self, arguments: &[&str]) -> Outcome {
        let (ours, theirs) = self.run(arguments);
        assert_eq!(ours.code, theirs.code, "{ours}\n{theirs}");
        assert_eq!(ours.stdout, theirs.stdout, "{ours}\n{theirs}");
        ours
    }

    fn run(&self, arguments: &[&str]) -> (Outcome, Outcome) {
        let arguments = [arguments, &["--no-auto-maintenance"]].concat();
        (self.pair.kopist.run(&arguments), self.pair.kopia.run(&arguments))
    }

    /// The same, and what they say to the user is the same but for new ids and the order.
    #[track_caller]
    fn both_say(&self, arguments: &[&str]) {
        let lines = |outcome: &Outcome| {
            // How a verification goes is told in other moments.
            let is_progress = |line: &&str| {
                ["Listing blobs", "Listed ", "Processed "].iter().any(|it| line.starts_with(it))
            };
            let lines = outcome.stderr.lines().filter(|line| !is_progress(line));
            let mut lines: Vec<String> = lines.map(without_new_id).collect();
            lines.sort();
            lines
        };
        let (ours, theirs) = self.run(arguments);
        assert_eq!(ours.code, theirs.code, "{ours}\n{theirs}");
        assert_eq!(lines(&ours), lines(&theirs), "{ours}\n{theirs}");
    }

    /// Both list the same snapshots, but for their ids.
    #[track_caller]
    fn same_snapshots(&self) -> Vec<Value> {
        let [ours, theirs] =
            [&self.pair.kopist, &self.pair.kopia].map(|client| without_ids(snapshots(client)));
        assert_eq!(ours, theirs, "kopist (left) and kopia (right)");
        ours
    }
}

/// A snapshot that is written again gets another id.
fn without_new_id(line: &str) -> String {
    let end = line.find("replaced manifest from ").or_else(|| line.find("unchanged ("));
    line.get(..end.unwrap_or(line.len())).unwrap_or_default().to_owned()
}

fn without_ids(mut snapshots: Vec<Value>) -> Vec<Value> {
    for snapshot in &mut snapshots {
        snapshot["id"] = Value::Null;
    }
    snapshots.sort_by_key(|snapshot| format!("{} {}", snapshot["source"], snapshot["startTime"]));
    snapshots
}

pub(crate) fn copy_all(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).unwrap();
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

fn shape() -> TreeShape {
    TreeShape { directories: 10, files: 50, largest: 60_000, links: 4 }
}

/// Two sources with two snapshots each.
fn fill(client: &Client, folder: &Path) {
    for (name, seed) in [("one", 71), ("two", 72)] {
        let mut tree = RandomTree::create(&folder.join(name), seed, shape());
        fs::create_dir_all(folder.join(name).join("x/y")).unwrap();
        fs::write(folder.join(name).join("x/y/secret.key"), name).unwrap();
        fs::write(folder.join(name).join("x/secret.txt"), name.repeat(9)).unwrap();
        for _ in 0..2 {
            snapshot(client, tree.root());
            tree.change(10);
        }
    }
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn differences_are_the_same() {
    let Some(pair) = Pair::created_by_kopia("differences_are_the_same", &[]) else { return };
    let source = pair.folder.path().join("source");
    let mut tree = RandomTree::create(&source, 73, shape());
    for name in ["file-to-dir", "file-to-link", "same", "mode", "gone"] {
        fs::write(source.join(name), name.repeat(10)).unwrap();
    }
    fs::create_dir_all(source.join("dir-to-file/inside")).unwrap();
    fs::create_dir_all(source.join("gone-dir/inside")).unwrap();
    fs::write(source.join("gone-dir/inside/f"), "f").unwrap();
    let first = snapshot(&pair.kopia, &source);
    tree.change(40);
    for name in ["file-to-dir", "file-to-link", "gone"] {
        let _ = fs::remove_file(source.join(name));
    }
    let _ = fs::remove_dir_all(source.join("dir-to-file"));
    let _ = fs::remove_dir_all(source.join("gone-dir"));
    fs::create_dir_all(source.join("file-to-dir/inside")).unwrap();
    fs::write(source.join("file-to-dir/inside/f"), "f").unwrap();
    symlink("same", source.join("file-to-link")).unwrap();
    fs::write(source.join("dir-to-file"), "1").unwrap();
    fs::write(source.join("mode"), "mode".repeat(10)).unwrap();
    fs::set_permissions(source.join("mode"), fs::Permissions::from_mode(0o4700)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(source.join("mode"), Some(7), Some(8)).unwrap();
    }
    let second = snapshot(&pair.kopia, &source);
    let ids = [id(&first), id(&second), root(&first), root(&second)];
    let below = format!("{}/file-to-dir", ids[1]);
    for (arguments, code) in [
        (vec!["diff", ids[0], ids[1]], 0),
        (vec!["diff", ids[1], ids[0]], 0),
        (vec!["diff", ids[0], ids[0]], 0),
        (vec!["diff", ids[2], ids[3]], 0),
        (vec!["diff", ids[0], &below], 0),
        (vec!["compare", "--stats-only", ids[0], ids[1]], 0),
        (vec!["diff", "-f", "--diff-command=cmp -s -l", ids[0], ids[1]], 0),
        (vec!["diff", "-f", "--diff-command=echo", ids[0], ids[1]], 0),
        (vec!["diff", "--stats-only", "-f", "--diff-command=echo", ids[1], ids[0]], 0),
        (vec!["diff", ids[0], "k0123"], 1),
        (vec!["diff", ids[0], &format!("{}/same", ids[0])], 1),
        (vec!["diff", &format!("{}/same", ids[0]), &format!("{}/mode", ids[0])], 1),
    ] {
        let (ours, theirs) = (pair.kopist.run(&arguments), pair.kopia.run(&arguments));
        assert_eq!((ours.code, theirs.code), (code, code), "{ours}\n{theirs}");
        // kopia's order is another one each time.
        assert_eq!(sorted(&ours.stdout), sorted(&theirs.stdout), "{ours}\n{theirs}");
        assert_eq!(ours.stdout.lines().last(), theirs.stdout.lines().last());
    }
    // The default shows times of temporary files; everything else is the same.
    let unified = ["diff", "-f", ids[0], ids[1]];
    let [ours, theirs] = [&pair.kopist, &pair.kopia].map(|client| {
        let output = client.ok(&unified);
        let is_name = |line: &&str| !line.starts_with("---") && !line.starts_with("+++");
        sorted(&output.lines().filter(is_name).collect::<Vec<_>>().join("\n"))
    });
    assert_eq!(ours, theirs);
    assert!(ours.iter().any(|line| line.starts_with("@@")));
}

#[test]
fn files_are_removed_alike() {
    let Some(twins) = Twins::new("files_are_removed_alike", fill) else { return };
    let before = twins.same_snapshots();
    let one = twins.pair.folder.path().join("one");
    let by_source = format!("--source={}", one.display());
    // Without --commit nothing changes.
    twins.both_say(&["snapshot", "fix", "remove-files", "--filename=secret.*"]);
    assert_eq!(twins.same_snapshots(), before);
    twins.both(&["snapshot", "fix", "remove-files", "--filename=[", "--commit"]);
    twins.both_say(&["snapshot", "fix", "remove-files", "--commit"]);
    twins.both_say(&["snapshot", "fix", "remove-files", "--filename=x", "--source=a@b:/c"]);
    twins.both_say(&[
        "snapshot",
        "fix",
        "remove-files",
        "--filename=*.key",
        &by_source,
        "--commit",
    ]);
    let after = twins.same_snapshots();
    assert_ne!(after, before);
    // A whole directory, and a file by its object.
    let listed =
        twins.pair.kopia.ok(&["ls", "-lr", after[3]["rootEntry"]["obj"].as_str().unwrap()]);
    let line = listed.lines().find(|line| line.ends_with("secret.txt")).unwrap();
    let object = line.split_whitespace().nth(5).unwrap();
    let by_object = format!("--object-id={object}");
    twins.both_say(&["snapshot", "fix", "remove-files", "--filename=y", &by_object, "--commit"]);
    assert_ne!(twins.same_snapshots(), after);
    twins.both_say(&["snapshot", "fix", "remove-files", "--filename=nothing", "--commit"]);
    for client in [&twins.pair.kopist, &twins.pair.kopia] {
        client.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
    }
    connect(&twins.pair.kopia, &twins.copy);
    twins.pair.kopia.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
}

#[test]
fn invalid_files_are_found_alike() {
    let Some(twins) = Twins::new("invalid_files_are_found_alike", fill) else { return };
    let before = twins.same_snapshots();
    twins.both_say(&["snapshot", "fix", "invalid-files", "--commit", "--verify-files-percent=100"]);
    assert_eq!(twins.same_snapshots(), before);
    // One of the packs with data is lost.
    let lost = blobs(&twins.copy).into_keys().find(|name| name.starts_with('p')).unwrap();
    for repository in [&twins.copy, &twins.pair.repository] {
        fs::remove_file(blob_file(repository, &lost)).unwrap();
    }
    for client in [&twins.pair.kopist, &twins.pair.kopia] {
        client.ok(&["cache", "clear"]);
        client.run(&["snapshot", "verify"]).expect_failure();
    }
    let fix = ["snapshot", "fix", "invalid-files", "--commit"];
    twins.both(&[&fix[..], &["--invalid-file-handling=keep"]].concat());
    assert_eq!(twins.same_snapshots(), before);
    let outcome = twins.pair.kopist.run(&[&fix[..], &["--invalid-file-handling=fail"]].concat());
    outcome.expect_failure();
    twins.both(&[&fix[..], &["--invalid-file-handling=remove"]].concat());
    assert_ne!(twins.same_snapshots(), before);
    for client in [&twins.pair.kopist, &twins.pair.kopia] {
        client.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
    }
}

#[test]
fn stubs_tell_the_same_story() {
    let Some(twins) = Twins::new("stubs_tell_the_same_story", fill) else { return };
    let lost = blobs(&twins.copy).into_keys().find(|name| name.starts_with('p')).unwrap();
    for repository in [&twins.copy, &twins.pair.repository] {
        fs::remove_file(blob_file(repository, &lost)).unwrap();
    }
    let mut stories = Vec::new();
    for client in [&twins.pair.kopist, &twins.pair.kopia] {
        client.ok(&["cache", "clear"]);
        client.ok(&["snapshot", "fix", "invalid-files", "--commit"]);
        client.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
        let mut story = Vec::new();
        // Which of the snapshots read the lost pack depends on its random name.
        let trees = snapshots(client);
        let listings: Vec<_> = trees.iter().map(|it| client.ok(&["ls", "-lr", root(it)])).collect();
        for line in listings.iter().flat_map(|listing| listing.lines()) {
            let fields: Vec<_> = line.split_whitespace().collect();
            let Some(name) = line.split(".INVALID.").nth(1) else {
                continue;
            };
            let text = client.ok(&["show", fields[6 - 1]]);
            let first = text.lines().nth(1).unwrap().to_owned();
            let mut stub: Value = serde_json::from_str(&text).unwrap();
            assert!(stub["error"].as_str().unwrap().len() > 10);
            stub["error"] = Value::Null;
            story.push((name.to_owned(), fields[0].to_owned(), first, stub.to_string()));
        }
        assert!(!story.is_empty());
        story.sort();
        stories.push(story);
    }
    assert_eq!(stories[0], stories[1]);
}

#[test]
fn history_is_given_away_alike() {
    let Some(twins) = Twins::new("history_is_given_away_alike", |client, folder| {
        fill(client, folder);
        let snapshot = snapshots(client).pop().unwrap();
        client.ok(&["snapshot", "pin", id(&snapshot), "--add=keep"]);
    }) else {
        return;
    };
    let one = twins.pair.folder.path().join("one");
    let from = format!("someone@somewhere:{}", one.display());
    let steps: &[&[&str]] = &[
        &["copy-history", "-n", &from, "other@host:/p"],
        &["copy-history", &from, "other@host:/p"],
        &["copy-history", &from, "other@host:/p"],
        &["copy-history", &from, "@elsewhere"],
        &["copy-history", "someone@somewhere"],
        &["move-history", "--dry-run", "other@host", "third@host"],
        &["move-history", "other@host", "third@host"],
        &["move-history", "@elsewhere", "@host"],
        &["move-history", "third@host:/p", "someone@host:/q"],
        // Everything is there already: the originals go.
        &["copy-history", "someone@host:/q", "x@y:/z"],
        &["move-history", "someone@host:/q", "x@y:/z"],
        &["copy-history", "@somewhere", "user@host"],
        &["copy-history", "someone@somewhere", "@host:/p"],
    ];
    for step in steps {
        twins.both_say(&[&["snapshot"], *step].concat());
        twins.same_snapshots();
    }
    twins.both(&["snapshot", "copy-history", "someone@", "@host"]);
}

#[test]
fn migrated_snapshots_are_the_same() {
    let Some(pair) = Pair::new("migrated_snapshots_are_the_same") else { return };
    let origin = pair.folder.path().join("origin");
    fs::create_dir(&origin).unwrap();
    let mut owner = Client::new(
        &kopist_testkit::oracle::find().unwrap(),
        &pair.folder.path().join("owner"),
        "another password",
    );
    owner.set("KOPIA_PASSWORD", "another password");
    create(&owner, &origin, &["--object-splitter=FIXED-1M"]);
    fill(&owner, pair.folder.path());
    let single = pair.folder.path().join("single");
    fs::write(&single, "one file").unwrap();
    snapshot(&owner, &single);
    let one = pair.folder.path().join("one");
    owner.ok(&["policy", "set", one.to_str().unwrap(), "--compression=zstd", "--add-ignore=x"]);
    owner.ok(&["policy", "set", "--global", "--keep-latest=77"]);
    let config = format!("--source-config={}", owner.folder().join("repository.config").display());
    let copy = pair.folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    create(&pair.kopia, &pair.repository, &[]);
    create(&pair.kopist, &copy, &[]);
    let migrate = |more: &[&str]| {
        let arguments = [&["snapshot", "migrate", &config], more].concat();
        let ours = pair.kopist.run(&arguments).expect_success();
        let theirs = pair.kopia.run(&arguments).expect_success();
        let lines = |outcome: &Outcome| {
            let mut lines: Vec<String> = outcome
                .stderr
                .lines()
                .filter(|line| line.contains("migrat") || line.contains("policy"))
                .map(str::to_owned)
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&ours), lines(&theirs), "{ours}\n{theirs}");
        let normal = |client: &Client| {
            let mut found = without_ids(snapshots(client));
            for snapshot in &mut found {
                // Counters of the run; and directories keep their times in ours.
                snapshot["stats"] = Value::Null;
                snapshot["rootEntry"]["obj"] = Value::Null;
            }
            found
        };
        assert_eq!(normal(&pair.kopist), normal(&pair.kopia));
        let policies = |client: &Client| client.json(&["policy", "show", "--global", "--json"]);
        assert_eq!(policies(&pair.kopist), policies(&pair.kopia));
    };
    let by_source = format!("--sources={}", one.display());
    for client in [&pair.kopist, &pair.kopia] {
        client.run(&["snapshot", "migrate", &config]).expect_failure();
    }
    migrate(&[&by_source, "--latest-only"]);
    migrate(&["--all", "--parallel=2"]);
    migrate(&["--all", "--overwrite-policies"]);
    let ours = snapshots(&pair.kopist);
    assert_eq!(ours.len(), 5);
    let theirs = snapshots(&pair.kopia);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        if ours["rootEntry"]["type"] == "f" {
            continue;
        }
        let [ours, theirs] = [(&pair.kopist, ours), (&pair.kopia, theirs)].map(|(client, made)| {
            let target = client.folder().join(format!("restored-{}", id(made)));
            client.ok(&["restore", id(made), target.to_str().unwrap()]);
            list(&target)
        });
        let found = compare(&theirs, &ours, Comparison::full());
        assert!(found.is_empty(), "{found}");
    }
    pair.kopist.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
    connect(&pair.kopia, &copy);
    pair.kopia.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
}

//! Random trees with random ignore files and policies: both programs store the same object.
//!
//! `KOPIST_SEED` chooses the beginning, `KOPIST_ROUNDS` how long it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;

use kopist_testkit::oracle::Client;
use kopist_testkit::tree::Rng;
use serde_json::{Value, json};

use crate::pair::Pair;
use crate::policies::number;

const NAMES: [&str; 10] =
    ["a", "b", "ab", "a.txt", "b.tmp", ".hidden", "A", "x y", "c.tar.gz", "ü"];
const PIECES: [&str; 16] = [
    "a",
    "b",
    "*",
    "?",
    "**",
    "/",
    "!",
    "[ab]",
    "[!a]",
    ".tmp",
    ".txt",
    "x\\ y",
    "[[:upper:]]",
    "ü",
    "/a/",
    " ",
];

fn pattern(rng: &mut Rng) -> String {
    let mut text: String = (0..=rng.below(4)).map(|_| *rng.pick(&PIECES)).collect();
    if rng.below(6) == 0 {
        text.insert(0, '!');
    }
    text
}

fn fill(rng: &mut Rng, directory: &Path, depth: usize) {
    fs::create_dir_all(directory).unwrap();
    for _ in 0..2 + rng.below(6) {
        let path = directory.join(rng.pick(&NAMES));
        if path.symlink_metadata().is_ok() {
            continue;
        }
        match rng.below(8) {
            0..=2 if depth < 3 => fill(rng, &path, depth + 1),
            3 => std::os::unix::fs::symlink(rng.pick(&NAMES), path).unwrap(),
            4 => {
                let length = 100_000 + rng.below(1_500_000);
                fs::write(path, rng.bytes(length)).unwrap();
            }
            _ => {
                let length = rng.below(3_000);
                fs::write(path, rng.bytes(length)).unwrap();
            }
        }
    }
    if rng.below(4) == 0 {
        let name = *rng.pick(&[".kopiaignore", ".gitignore"]);
        let mut file = fs::File::create(directory.join(name)).unwrap();
        for _ in 0..rng.below(4) {
            let end = *rng.pick(&["\n", "\r\n"]);
            write!(file, "{}{end}", pattern(rng)).unwrap();
        }
    }
    if rng.below(12) == 0 {
        let tag = "Signature: 8a477f597d28d172789f06886806bc55 is a cache";
        fs::write(directory.join("CACHEDIR.TAG"), &tag[..rng.below(2) * 10 + 44]).unwrap();
    }
}

/// A policy of the fields that decide what is stored.
fn policy(rng: &mut Rng) -> Value {
    let mut policy = json!({"files": {}, "compression": {}, "upload": {}, "splitter": {}});
    let mut some = |rng: &mut Rng, section: &str, field: &str, value: Value| {
        if rng.below(3) == 0 {
            policy[section][field] = value;
        }
    };
    let rules: Vec<String> = (0..rng.below(4)).map(|_| pattern(rng)).collect();
    some(rng, "files", "ignore", json!(rules));
    some(rng, "files", "ignoreDotFiles", json!([".kopiaignore", ".gitignore"]));
    some(rng, "files", "maxFileSize", json!(1_000_000));
    some(rng, "files", "oneFileSystem", json!(true));
    some(rng, "files", "ignoreCacheDirs", json!(false));
    some(rng, "files", "noParentIgnore", json!(true));
    some(rng, "compression", "compressorName", json!("zstd-fastest"));
    some(rng, "compression", "neverCompress", json!([".txt"]));
    some(rng, "upload", "parallelUploadAboveSize", json!(300_000));
    some(rng, "splitter", "algorithm", json!("DYNAMIC-128K-BUZHASH"));
    policy
}

/// Directories and files of a tree, the top first.
fn paths(root: &Path) -> Vec<String> {
    walkdir::WalkDir::new(root)
        .into_iter()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .collect()
}

fn root_of(client: &Client, source: &Path) -> Option<String> {
    let outcome = client.run(&[
        "snapshot",
        "create",
        source.to_str().unwrap(),
        "--json",
        "--no-auto-maintenance",
        "--force-hash=100",
    ]);
    // A pattern that cannot be read fails a directory, or the whole.
    let manifest: Option<Value> = serde_json::from_str(&outcome.stdout).ok();
    manifest.map(|manifest| format!("{} {}", outcome.code, manifest["rootEntry"]["obj"]))
}

#[test]
fn random_trees_and_rules_are_stored_alike() {
    let Some(pair) = Pair::created_by_kopia("random_trees_and_rules_are_stored_alike", &[]) else {
        return;
    };
    let seed = number("KOPIST_SEED", 3);
    let mut stored = 0;
    for round in 0..number("KOPIST_ROUNDS", 6) {
        let mut rng = Rng::new(seed * 1000 + round);
        let source = pair.folder.path().join(format!("source-{round}"));
        fill(&mut rng, &source, 0);
        let mut policies = BTreeMap::new();
        let all = paths(&source);
        policies.insert(format!("someone@somewhere:{}", all[0]), policy(&mut rng));
        for _ in 0..rng.below(4) {
            let path = rng.pick(&all);
            policies.insert(format!("someone@somewhere:{path}"), policy(&mut rng));
        }
        let file = pair.folder.path().join("policies.json");
        fs::write(&file, serde_json::to_string(&policies).unwrap()).unwrap();
        let from = format!("--from-file={}", file.display());
        pair.kopia.ok(&["policy", "import", &from, "--no-auto-maintenance"]);
        let (ours, theirs) = (root_of(&pair.kopist, &source), root_of(&pair.kopia, &source));
        assert_eq!(ours, theirs, "kopist (left) and kopia (right), round {round}: {policies:#?}");
        stored += usize::from(ours.is_some());
    }
    assert!(stored > 0, "not one tree was stored");
}

/// Other file systems are left out where the policy says so. `/dev` has some on every Linux.
#[test]
fn other_file_systems_are_left_out_alike() {
    use std::os::unix::fs::MetadataExt as _;
    let test = "other_file_systems_are_left_out_alike";
    let source = Path::new("/dev");
    let device = |path: &Path| path.symlink_metadata().map(|found| found.dev());
    let has_others = device(&source.join("shm")).is_ok_and(|shm| shm != device(source).unwrap());
    if !has_others {
        return kopist_testkit::oracle::skipped(test, "no other file system below /dev");
    }
    let Some(pair) = Pair::created_by_kopia(test, &[]) else { return };
    pair.kopia.ok(&["policy", "set", "/dev", "--one-file-system=true"]);
    let [ours, theirs] = [&pair.kopist, &pair.kopia].map(|client| {
        let root = root_of(client, source).unwrap();
        let object = root.split('"').nth(1).unwrap().to_owned();
        let listed = client.ok(&["ls", &object]);
        // kopia prints them in another order each time.
        listed.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    });
    assert_eq!(ours, theirs, "kopist (left) and kopia (right)");
    assert!(!ours.iter().any(|name| name.starts_with("shm")), "{ours:?}");
}

/// Everything that can be said about a snapshot from outside, said to both.
#[test]
fn options_of_snapshots_mean_the_same() {
    let Some(pair) = Pair::created_by_kopia("options_of_snapshots_mean_the_same", &[]) else {
        return;
    };
    let source = pair.folder.path().join("source");
    let mut rng = Rng::new(5);
    fill(&mut rng, &source, 0);
    fs::write(source.join("large"), rng.bytes(3 << 20)).unwrap();
    let dump = pair.folder.path().join("dump");
    fs::write(&dump, rng.bytes(2_000_000)).unwrap();
    let path = source.to_str().unwrap();
    let large = format!("{path}/large");
    let both = |arguments: &[&str], input: Option<&Path>| {
        let run = |client: &Client| {
            let mut all = vec!["snapshot", "create", "--json", "--no-auto-maintenance"];
            all.extend(arguments);
            let mut command = client.command(&all);
            if let Some(input) = input {
                command.stdin(fs::File::open(input).unwrap());
            }
            let output = command.output().unwrap();
            let mut manifest: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if let Some(manifest) = manifest.as_object_mut() {
                manifest.remove("id");
                for time in ["startTime", "endTime"] {
                    // Noted times are the same, others are those of the run.
                    let text = manifest[time].as_str().unwrap();
                    if !text.starts_with("2020-") {
                        manifest.remove(time);
                    }
                }
            }
            if let Some(entries) = manifest.pointer_mut("/rootEntry/summ") {
                entries.as_object_mut().unwrap().remove("maxTime");
            }
            (output.status.code(), manifest, String::from_utf8(output.stderr).unwrap())
        };
        let (ours, theirs) = (run(&pair.kopist), run(&pair.kopia));
        assert_eq!(ours.0, theirs.0, "{arguments:?}\n{}\n{}", ours.2, theirs.2);
        assert_eq!(ours.1, theirs.1, "kopist (left) and kopia (right): {arguments:?}");
        ours.1
    };
    let noted = both(
        &[
            path,
            "--description=words",
            "--tags=k:v",
            "--tags=other:a:b",
            "--pin=z",
            "--pin=a",
            "--pin=z",
            "--start-time=2020-02-03 04:05:06 UTC",
            "--end-time=2020-02-03 05:06:07 UTC",
        ],
        None,
    );
    assert_eq!((&noted["tags"]["tag:other"], &noted["pins"]), (&json!("a:b"), &json!(["a", "z"])));
    both(&[path, "--override-source=a@b:/c"], None);
    both(&[&large], None);
    pair.kopia.ok(&["policy", "set", &large, "--parallel-upload-above-size-mib=1"]);
    both(&[&large], None);
    both(&[path, "--force-hash=100"], None);
    // What is read before the limit is reached depends on the order of the work.
    for client in [&pair.kopist, &pair.kopia] {
        let limit = ["--upload-limit-mb=1", "--force-hash=100", "--parallel=1", "--json"];
        let limited = client.json(&[&["snapshot", "create", path], &limit[..]].concat());
        assert_eq!(limited["incomplete"], "limit reached");
        assert_eq!(limited["rootEntry"]["summ"]["incomplete"], "limit reached");
    }
    for wrong in [
        &[path, "--all"][..],
        &[],
        &["/no/such/path"],
        &[path, "--tags=novalue"],
        &[path, "--tags=a:1", "--tags=a:2"],
        &[path, "--start-time=2021-01-01 00:00:00 UTC", "--end-time=2020-01-01 00:00:00 UTC"],
        &[path, "--start-time=yesterday"],
        &[path, "--checkpoint-interval=46m"],
        &[path, "--override-source=x@"],
    ] {
        both(wrong, None);
    }
    // The time of a file from a pipe is that of the run, and so the objects differ.
    let piped = |client: &Client| {
        let mut command = client.command(&[
            "snapshot",
            "create",
            "/virtual",
            "--stdin-file=dump.sql",
            "--json",
            "--no-auto-maintenance",
        ]);
        let output = command.stdin(fs::File::open(&dump).unwrap()).output().unwrap();
        let manifest: Value = serde_json::from_slice(&output.stdout).unwrap();
        let object = format!("{}/dump.sql", manifest["rootEntry"]["obj"].as_str().unwrap());
        let content = client.command(&["show", &object]).output().unwrap().stdout;
        assert_eq!(content, fs::read(&dump).unwrap());
        (manifest["source"].clone(), manifest["rootEntry"]["mode"].clone())
    };
    assert_eq!(piped(&pair.kopist), piped(&pair.kopia));
    // Both kinds of source are for hands only from now on; the others are taken by --all.
    let all = |client: &Client| {
        let printed =
            client.ok(&["snapshot", "create", "--all", "--json", "--no-auto-maintenance"]);
        let values = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
        let mut paths: Vec<String> =
            values.map(|manifest| manifest.unwrap()["source"]["path"].to_string()).collect();
        paths.sort();
        paths
    };
    assert_eq!(all(&pair.kopist), all(&pair.kopia));
    // An estimate is made of the same figures.
    for flags in [&["--show-files", "--quiet"][..], &["-q", "--upload-speed=0.5"]] {
        let arguments = [&["snapshot", "estimate", path], flags].concat();
        let lines = |client: &Client| {
            let printed = client.ok(&arguments);
            let mut lines: Vec<String> = printed
                .lines()
                // kopia counts what rules leave out once for each level of rules.
                .filter(|line| !line.contains("exclude"))
                .map(str::to_owned)
                .collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&pair.kopist), lines(&pair.kopia), "{flags:?}");
    }
}

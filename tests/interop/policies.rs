//! Random policies: both programs resolve, print, change and edit them alike.
//!
//! `KOPIST_SEED` chooses the beginning, `KOPIST_ROUNDS` how long it goes on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use kopist_testkit::oracle::{Client, Outcome};
use kopist_testkit::tree::Rng;
use serde_json::{Map, Value, json};

use crate::pair::Pair;

/// The number in an environment variable.
#[allow(clippy::print_stdout)] // with it a failure can be repeated
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    let number = std::env::var(variable).map_or(default, |text| text.parse().unwrap());
    println!("{variable}={number}");
    number
}

/// A value for a field, of the kind that its name says.
fn value(rng: &mut Rng, kind: &str) -> Value {
    let words = ["*.tmp", "/a", "b/", "!c", "**/d", ".zip", ".txt", ".gz"];
    let compressors = ["none", "zstd", "zstd-fastest", "s2-default", "gzip", "pgzip"];
    match kind {
        "bool" => json!(rng.below(2) == 0),
        "count" => json!(rng.below(30)),
        "bytes" => json!(rng.below(5) as u64 * 1_000_000),
        "level" => json!(rng.below(11)),
        "words" => {
            let mut list: Vec<&str> = (0..rng.below(4)).map(|_| *rng.pick(&words)).collect();
            list.sort_unstable();
            list.dedup();
            json!(list)
        }
        "names" => json!([".kopiaignore", ".gitignore"][..rng.below(3)].to_vec()),
        "compressor" => json!(rng.pick(&compressors)),
        "splitter" => json!(rng.pick(&["", "FIXED-1M", "DYNAMIC-1M-BUZHASH"])),
        "times" => json!([{"hour": rng.below(24), "min": rng.below(60)}, {"hour": 3, "min": 0}]),
        "shadow" => json!({"enable": rng.below(3)}),
        "action" => json!({
            "path": "/bin/echo",
            "args": ["a", "b c"],
            "timeout": rng.below(400),
            "mode": rng.pick(&["essential", "optional", "async"]),
        }),
        "script" => json!({"script": "echo 1\necho 2\n", "timeout": 300, "mode": "essential"}),
        kind => panic!("{kind}"),
    }
}

const FIELDS: &[(&str, &[(&str, &str)])] = &[
    (
        "retention",
        &[
            ("keepLatest", "count"),
            ("keepHourly", "count"),
            ("keepDaily", "count"),
            ("keepWeekly", "count"),
            ("keepMonthly", "count"),
            ("keepAnnual", "count"),
            ("ignoreIdenticalSnapshots", "bool"),
        ],
    ),
    (
        "files",
        &[
            ("ignore", "words"),
            ("ignoreDotFiles", "names"),
            ("noParentIgnore", "bool"),
            ("noParentDotFiles", "bool"),
            ("ignoreCacheDirs", "bool"),
            ("maxFileSize", "bytes"),
            ("oneFileSystem", "bool"),
        ],
    ),
    (
        "errorHandling",
        &[
            ("ignoreFileErrors", "bool"),
            ("ignoreDirectoryErrors", "bool"),
            ("ignoreUnknownTypes", "bool"),
        ],
    ),
    ("scheduling", &[("intervalSeconds", "count"), ("timeOfDay", "times"), ("runMissed", "bool")]),
    (
        "compression",
        &[
            ("compressorName", "compressor"),
            ("onlyCompress", "words"),
            ("noParentOnlyCompress", "bool"),
            ("neverCompress", "words"),
            ("noParentNeverCompress", "bool"),
            ("minSize", "bytes"),
            ("maxSize", "bytes"),
        ],
    ),
    ("metadataCompression", &[("compressorName", "compressor")]),
    ("splitter", &[("algorithm", "splitter")]),
    (
        "actions",
        &[
            ("beforeSnapshotRoot", "action"),
            ("afterSnapshotRoot", "script"),
            ("beforeFolder", "script"),
            ("afterFolder", "action"),
        ],
    ),
    ("osSnapshots", &[("volumeShadowCopy", "shadow")]),
    ("upload", &[("maxParallelFileReads", "count"), ("parallelUploadAboveSize", "bytes")]),
];

fn policy(rng: &mut Rng) -> Value {
    let mut policy = Map::new();
    for (section, fields) in FIELDS {
        let mut object = Map::new();
        for (field, kind) in *fields {
            if rng.below(3) == 0 {
                object.insert((*field).to_owned(), value(rng, kind));
            }
        }
        if rng.below(4) > 0 {
            policy.insert((*section).to_owned(), Value::Object(object));
        }
    }
    if rng.below(3) == 0 {
        let level = |rng: &mut Rng| value(rng, "level");
        policy.insert(
            "logging".to_owned(),
            json!({"directories": {"ignored": level(rng)}, "entries": {"cacheHit": level(rng)}}),
        );
    }
    if rng.below(8) == 0 {
        policy.insert("noParent".to_owned(), json!(true));
    }
    Value::Object(policy)
}

const TARGETS: [&str; 7] = [
    "(global)",
    "@somewhere",
    "someone@somewhere",
    "someone@somewhere:/",
    "someone@somewhere:/home",
    "someone@somewhere:/home/me",
    "other@elsewhere:/home/me",
];
const SHOWN: [&str; 5] = [
    "@somewhere",
    "someone@somewhere:/home/me/deep",
    "someone@somewhere:/home/me",
    "other@elsewhere:/home/me",
    "nobody@nowhere:/x",
];

#[test]
fn random_policies_are_resolved_and_printed_alike() {
    let Some(pair) = Pair::created_by_kopia("random_policies_are_resolved_and_printed_alike", &[])
    else {
        return;
    };
    let seed = number("KOPIST_SEED", 1);
    for round in 0..number("KOPIST_ROUNDS", 2) {
        let mut rng = Rng::new(seed * 1000 + round);
        let mut policies = BTreeMap::new();
        for target in TARGETS {
            if rng.below(5) > 0 {
                policies.insert(target, policy(&mut rng));
            }
        }
        let file = pair.folder.path().join("policies.json");
        fs::write(&file, serde_json::to_string(&policies).unwrap()).unwrap();
        // Whoever imports.
        let client = if round % 2 == 0 { &pair.kopia } else { &pair.kopist };
        let from = format!("--from-file={}", file.display());
        client.ok(&["policy", "import", &from, "--delete-other-policies", "--no-auto-maintenance"]);
        for flags in [&["policy", "show", "--json"][..], &["policy", "show"]] {
            same(&pair, &[flags, &SHOWN].concat());
            same(&pair, &[flags, &["--global"]].concat());
        }
        same(&pair, &["policy", "list", "--json"]);
        same(&pair, &["policy", "export"]);
    }
}

#[track_caller]
fn same(pair: &Pair, arguments: &[&str]) {
    let (ours, theirs) = (pair.kopist.run(arguments), pair.kopia.run(arguments));
    assert_eq!(ours.code, theirs.code, "{ours}\n{theirs}");
    assert_eq!(ours.stdout, theirs.stdout, "kopist (left) and kopia (right): {arguments:?}");
}

/// Flags of `policy set` with values that are right or wrong.
fn flags(rng: &mut Rng) -> Vec<String> {
    let size = ["inherit", "0", "1000", "-1", "x", "99999999999999999999"];
    let choices: [(&str, &[&str]); 26] = [
        ("--keep-latest", &size),
        ("--keep-daily", &size),
        ("--ignore-identical-snapshots", &["true", "false", "inherit", "maybe"]),
        ("--max-file-size", &size),
        ("--one-file-system", &["true", "inherit"]),
        ("--ignore-cache-dirs", &["false", "inherit"]),
        ("--ignore-file-errors", &["true", "false", "inherit"]),
        ("--ignore-unknown-types", &["true", "false", "inherit"]),
        ("--add-ignore", &["*.a", "b/", ""]),
        ("--remove-ignore", &["*.a"]),
        ("--clear-ignore", &[]),
        ("--add-dot-ignore", &[".x"]),
        ("--compression", &["zstd", "none", "inherit"]),
        ("--metadata-compression", &["s2-default", "inherit"]),
        ("--compression-min-size", &size),
        ("--add-never-compress", &[".zip", ".gz"]),
        ("--clear-never-compress", &[]),
        ("--splitter", &["FIXED-1M", "inherit"]),
        ("--snapshot-interval", &["1h", "30m"]),
        ("--snapshot-time", &["12:00,3:5", "inherit", "25:00"]),
        ("--snapshot-time-crontab", &["0 3 * * *", "inherit", "nonsense"]),
        ("--run-missed", &["true", "inherit"]),
        ("--before-folder-action", &["/bin/echo \"a b\" c", "", "\"open"]),
        ("--max-parallel-file-reads", &size),
        ("--parallel-upload-above-size-mib", &["1", "inherit", "x"]),
        ("--log-entry-ignored", &["3", "inherit", "11", "x"]),
    ];
    let mut flags = Vec::new();
    for (name, values) in choices {
        if rng.below(6) > 0 {
            continue;
        }
        flags.push(match values {
            [] => name.to_owned(),
            values => format!("{name}={}", rng.pick(values)),
        });
    }
    if rng.below(6) == 0 {
        flags.push("--inherit=false".to_owned());
    }
    flags
}

#[test]
fn policies_are_changed_alike() {
    let Some(pair) = Pair::created_by_kopia("policies_are_changed_alike", &[]) else { return };
    let seed = number("KOPIST_SEED", 2);
    let mut rng = Rng::new(seed);
    let targets = ["someone@somewhere:/kopist", "someone@somewhere:/kopia_"];
    for _ in 0..5 * number("KOPIST_ROUNDS", 2) {
        let flags = flags(&mut rng);
        let set = |client: &Client, target: &str| -> Outcome {
            let mut arguments = vec!["policy", "set", target, "--no-auto-maintenance"];
            arguments.extend(flags.iter().map(String::as_str));
            let mut outcome = client.run(&arguments);
            outcome.stderr = outcome.stderr.replace(target, "TARGET");
            outcome
        };
        let (ours, theirs) = (set(&pair.kopist, targets[0]), set(&pair.kopia, targets[1]));
        assert_eq!(ours.code, theirs.code, "{ours}\n{theirs}");
        if ours.succeeded() {
            assert_eq!(ours.stderr, theirs.stderr, "kopist (left) and kopia (right): {flags:?}");
        }
    }
    let exported = pair.kopist.json(&["policy", "export"]);
    let of = |target: &str| exported.get(target).map(ToString::to_string);
    assert_eq!(of(targets[0]), of(targets[1]), "kopist (left) and kopia (right)");
}

#[test]
fn a_policy_is_edited_and_keeps_what_nobody_knows() {
    let test = "a_policy_is_edited_and_keeps_what_nobody_knows";
    let Some(mut pair) = Pair::created_by_kopia(test, &[]) else { return };
    let editor = pair.folder.path().join("editor");
    fs::write(&editor, "#!/bin/sh\nsed -i 's/\"keepLatest\": 10/\"keepLatest\": 77/' \"$2\"\n")
        .unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let edit = |client: &mut Client, answer: &str| {
        client.set("EDITOR", format!("{} -x", editor.display()));
        let input = client.folder().join("answer");
        fs::write(&input, answer).unwrap();
        let mut command = client.command(&["policy", "edit", "--global", "--no-auto-maintenance"]);
        let output = command.stdin(fs::File::open(input).unwrap()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let keep = |client: &Client| {
        let policy = client.json(&["policy", "show", "--global", "--json"]);
        policy["retention"]["keepLatest"].clone()
    };
    assert_eq!(edit(&mut pair.kopist, "n\n"), edit(&mut pair.kopia, "n\n"));
    assert_eq!(keep(&pair.kopia), 10, "nobody said yes");
    edit(&mut pair.kopist, "y\n");
    assert_eq!(keep(&pair.kopia), 77);

    // Fields of a later version survive reading, changing and editing.
    let file = pair.folder.path().join("future.json");
    fs::write(
        &file,
        json!({"(global)": {"future": 1, "retention": {"keepLatest": 10, "x": [2]}}}).to_string(),
    )
    .unwrap();
    let from = format!("--from-file={}", file.display());
    pair.kopist.ok(&["policy", "import", &from, "--allow-unknown-fields", "--global"]);
    pair.kopist.ok(&["policy", "set", "--global", "--keep-daily=3"]);
    edit(&mut pair.kopist, "y\n");
    let exported = pair.kopist.json(&["policy", "export", "--global"]);
    let global = &exported["(global)"];
    assert_eq!((&global["future"], &global["retention"]["x"]), (&json!(1), &json!([2])));
    assert_eq!(global["retention"]["keepLatest"], 77);
}

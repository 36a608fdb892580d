//! Commands that change something: what they print, and what is there afterwards.
//!
//! Each test is a table, one row for a command line. The rows of a table run one after the
//! other, each side on its own copy, so that later rows see what earlier ones did.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::{Compare, Exact, Lines, LinesExcept, Sides, fingerprint};

/// What a command line is expected to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Succeeds, and the repository and the connection are as before.
    Reads,
    /// Succeeds, and something is different afterwards.
    Changes,
    /// Is refused, and everything is as before.
    Fails,
}

/// One command line.
///
/// `{work}` is a directory of each side whose files are compared, too, `{elsewhere}` one that is
/// not looked into; `{new-snapshot}` is the newest snapshot manifest; other names are those of
/// [`NAMES`]. A `~` is a blank within a word, and `at=…` the start of a snapshot that took nine
/// seconds.
#[derive(Clone, Copy, Debug)]
struct Row {
    effect: Effect,
    line: &'static str,
    compare: Compare,
    input: &'static str,
    apart: Option<&'static str>,
}

impl Row {
    const fn new(effect: Effect, line: &'static str) -> Self {
        Self { effect, line, compare: Exact, input: "", apart: None }
    }

    /// What is there afterwards may differ, for this reason (`docs/differences.md`).
    const fn apart(mut self, why: &'static str) -> Self {
        self.apart = Some(why);
        self
    }

    /// Standard output is the same when it is looked at like this.
    const fn like(mut self, compare: Compare) -> Self {
        self.compare = compare;
        self
    }

    /// Given on standard input.
    const fn input(mut self, input: &'static str) -> Self {
        self.input = input;
        self
    }
}

const fn reads(line: &'static str) -> Row {
    Row::new(Effect::Reads, line)
}

const fn changes(line: &'static str) -> Row {
    Row::new(Effect::Changes, line)
}

const fn fails(line: &'static str) -> Row {
    Row::new(Effect::Fails, line)
}

/// Things in the golden repository `snap-misc`.
const NAMES: &[(&str, &str)] = &[
    // /mnt/src/tiny with tags and pins, of 2026, and the same of 2021.
    ("tiny", "0db1bb259137d67cc52853097904ed98"),
    ("old", "81f4d5a41265679ed47b79a61b135b16"),
    ("tiny-root", "k4dd2eb574a87a70972ffe409af7a999c"),
    // A snapshot of one file, and one that was ended by a limit.
    ("file", "7e46967c7955a50e5cfd041403612e9d"),
    ("file-root", "c329d4e75625c6232281677ba9251fef"),
    ("cut", "365885e832c1b5c832eda3e67476457c"),
    ("cut-root", "k89897440751b33983ee6ed88ba08d6b7"),
];

const POLICIES: &[Row] = &[
    changes("policy set --global --keep-latest=7 --keep-annual=2 --add-ignore=*.tmp"),
    changes("policy set --global --add-ignore=cache --remove-ignore=*.tmp --add-dot-ignore=.no"),
    reads("policy show --global"),
    reads("policy show --global --json"),
    changes("policy set @goldenhost --snapshot-time=12:30,10:00 --log-dir-snapshotted=3"),
    changes("policy set golden@goldenhost --snapshot-interval=2h30m --run-missed=true"),
    changes("policy set {source} --compression=s2-default --add-never-compress=.zip"),
    changes(
        "policy set {source} --max-file-size=1000000 --one-file-system=true --splitter=FIXED-1M",
    ),
    changes("policy set {source} --ignore-file-errors=true --ignore-cache-dirs=inherit"),
    changes("policy set {source}/sub --inherit=false --metadata-compression=none"),
    changes("policy set {source} --before-folder-action=/bin/true~-x --action-command-timeout=3m"),
    changes("policy set golden@goldenhost:/a/b --manual"),
    changes("policy set golden@goldenhost:/a/b --keep-daily=3"),
    fails("policy set golden@goldenhost:/a/b --max-parallel-snapshots=2"),
    reads("policy show {source} {source}/sub golden@goldenhost:/a/b @goldenhost").like(Lines),
    reads("policy show {source} --json --json-indent"),
    reads("policy list"),
    reads("policy list --json"),
    reads("policy export {source}"),
    reads("policy delete --global --dry-run"),
    changes("policy export --to-file={work}/policies.json"),
    fails("policy export --to-file={work}/policies.json"),
    changes("policy delete golden@goldenhost:/a/b"),
    changes("policy delete @goldenhost {source}"),
    reads("policy delete nobody@nowhere"),
    changes("policy import --from-file={work}/policies.json {source}"),
    changes("policy import --from-file={work}/policies.json --delete-other-policies"),
    changes("policy import").input(r#"{"x@y:/z":{"retention":{"keepLatest":5}}}"#),
    fails("policy import").input(r#"{"x@y:/z":{"retentions":{"keepLatest":5}}}"#),
    fails("policy import").input("nothing"),
    changes("policy edit {source}").input("y\n"),
    reads("policy edit {source}").input("n\n").like(LinesExcept(&["Updated", "Save"])),
    reads("policy list --json"),
    fails("policy set --global"),
    fails("policy set {source} --keep-latest=many"),
    fails("policy set {source} --manual --snapshot-interval=1h"),
];

#[test]
fn policies() {
    run("policies", POLICIES);
}

const SNAPSHOTS: &[Row] = &[
    reads("snapshot estimate {source}"),
    reads("snapshot estimate {source} --show-files --upload-speed=100").like(Lines),
    fails("snapshot create {source}/nothing"),
    changes(
        "snapshot create {source} --description=first --tags=env:test --pin=keep at=2026-01-02~10:00",
    ),
    changes("snapshot create {source} --json --parallel=1 at=2026-01-02~12:00"),
    changes("snapshot create {source}/sub/nested.txt --json --json-indent at=2026-01-02~13:00"),
    changes("snapshot create {source} --override-source=other@elsewhere:/x at=2026-01-02~14:00"),
    changes("snapshot create {source} --force-hash=100 --json --json-verbose at=2026-01-02~15:00")
        .like(Compare::Without("\"stats\"")),
    reads("snapshot list"),
    reads("snapshot list --all --show-identical"),
    reads("snapshot list --all --incomplete --manifest-id --owner --mtime --delta"),
    reads("snapshot list --all --no-retention --no-human-readable --reverse --max-results=2"),
    reads("snapshot list --tags=env:test --json"),
    reads("snapshot list {source} --json --json-indent"),
    reads("snapshot list {source}/sub"),
    reads("snapshot list golden@goldenhost:/mnt/src/tiny --max-results=1 --json"),
    reads("snapshot verify"),
    reads("snapshot verify --verify-files-percent=100 --sources={source}"),
    changes("snapshot pin {new-snapshot} --add=a --add=b"),
    changes("snapshot pin {new-snapshot} --remove=a"),
    fails("snapshot pin {new-snapshot}"),
    fails("snapshot pin 00112233445566778899aabbccddeeff --add=a"),
    reads("snapshot delete {new-snapshot}"),
    changes("snapshot delete {new-snapshot} --delete"),
    changes("snapshot delete {old} --delete"),
    fails("snapshot delete {old} --delete"),
    changes("snapshot delete --all-snapshots-for-source other@elsewhere:/x --delete"),
    fails("snapshot delete --all-snapshots-for-source other@elsewhere:/x --delete"),
    reads("snapshot copy-history golden@goldenhost:/mnt/src/tiny other@host:/c --dry-run"),
    changes("snapshot copy-history golden@goldenhost:/mnt/src/tiny other@host:/c"),
    reads("snapshot copy-history golden@goldenhost:/mnt/src/tiny other@host:/c"),
    changes("snapshot move-history other@host:/c @elsewhere"),
    reads("snapshot expire --all"),
    changes("snapshot create {source} at=2026-01-02~15:30"),
    changes(
        "policy set --global --keep-latest=1 --keep-hourly=0 --keep-daily=0 --keep-weekly=0 --keep-monthly=0 --keep-annual=0",
    ),
    reads("snapshot expire --all"),
    changes("snapshot expire --all --delete"),
    changes("snapshot create {source} at=2026-01-02~16:00"),
    reads("snapshot list --all --show-identical --json"),
];

#[test]
fn snapshots() {
    run("snapshots", SNAPSHOTS);
}

const MIGRATED: &str = "directories keep their times, and snapshots their pins";

const REPAIRS: &[Row] = &[
    reads("snapshot fix remove-files --manifest-id={tiny} --filename=nothing.at.all"),
    changes("snapshot fix remove-files --manifest-id={tiny} --filename=hello.* --commit"),
    reads("snapshot fix invalid-files --manifest-id={old}"),
    reads("repository connect filesystem --path={other} --config-file={elsewhere}/other"),
    fails("snapshot migrate --all --source-config=/nonexistent"),
    changes("snapshot migrate --all --source-config={elsewhere}/other").apart(MIGRATED),
    reads("snapshot migrate --all --source-config={elsewhere}/other").apart(MIGRATED),
];

#[test]
fn repairs() {
    run("repairs", REPAIRS);
}

const RESTORES_AND_OBJECTS: &[Row] = &[
    changes("restore {tiny} {work}/tiny"),
    changes("snapshot restore {tiny-root} {work}/root --skip-times --skip-owners"),
    changes("restore {file} {work}/one-file"),
    changes("restore {tiny-root}/hello.txt {work}/hello --write-files-atomically"),
    changes("restore /mnt/src/tiny {work}/oldest --snapshot-time=oldest"),
    fails("restore /mnt/src/tiny {elsewhere}/never --snapshot-time="),
    changes("restore {tiny} {work}/shallow --shallow=0"),
    fails("restore 00112233445566778899aabbccddeeff {elsewhere}/nothing"),
    fails("restore {tiny} {work}/tiny --no-overwrite-files").apart("directories keep their times"),
    fails("restore {tiny} {work}/tiny --no-overwrite-directories"),
    fails("restore {tiny} {work}/a {work}/b"),
    reads("list {tiny}").like(Lines),
    reads("list {tiny} --long --recursive").like(Lines),
    reads("list {tiny-root} --human-readable --long --show-object-id").like(Lines),
    fails("list {tiny}/nothing"),
    fails("list {file-root}"),
    reads("show {tiny-root}/hello.txt"),
    reads("show {tiny-root}"),
    fails("show {tiny-root}/nothing"),
    fails("show xyz"),
    reads("diff {tiny-root} {cut-root}").like(Lines),
    reads("diff {tiny} {old} --stats-only"),
    reads("diff {tiny-root} {tiny-root}"),
    reads("snapshot verify --file-id={file-root} --directory-id={tiny-root}"),
    fails("snapshot verify --directory-id=k00112233445566778899aabbccddeeff"),
];

#[test]
fn restores_and_objects() {
    run("restores_and_objects", RESTORES_AND_OBJECTS);
}

const CONTENTS_AND_BLOBS: &[Row] = &[
    reads("logs list --all --disable-repository-log").like(Lines),
    reads("logs list --disable-repository-log"),
    reads("logs show --disable-repository-log"),
    reads("logs cleanup --dry-run --max-count=1 --disable-repository-log"),
    reads("logs cleanup --max-count=3 --disable-repository-log"),
    reads("logs list --all --disable-repository-log").like(Lines),
    fails("content show k00112233445566778899aabbccddeeff"),
    fails("content delete {file-root} --dangerous-commands=no"),
    changes("content delete {file-root}"),
    reads("content list --deleted-only --summary"),
    changes("content rewrite {tiny-root}"),
    reads("content rewrite --pack-prefix=p --safety=none"),
    reads("blob gc --safety=none"),
    changes("blob gc --delete=yes --safety=none").apart("it asks the storage for the time"),
    reads("content stats").like(Lines),
    reads("content verify --full"),
    changes("manifest delete {cut}"),
    reads("manifest delete {cut}"),
    fails("manifest show {cut}"),
    reads("blob stats --raw --prefix=s"),
    changes("blob delete {a-pack}"),
    reads("blob list --prefix={a-pack}"),
    fails("content verify"),
    reads("index optimize --all --drop-deleted-older-than=0s"),
    reads("index epoch list").like(Compare::FirstWords(8)),
    reads("session list"),
];

#[test]
fn contents_and_blobs() {
    run("contents_and_blobs", CONTENTS_AND_BLOBS);
}

const THE_REPOSITORY_AND_ITS_CONNECTION: &[Row] = &[
    changes("repository set-client --description=mine --username=u --hostname=h --read-only"),
    fails("policy set --global --keep-latest=3"),
    changes("repository set-client --read-write --username=golden --hostname=goldenhost"),
    fails("repository set-client"),
    changes("repository throttle set --upload-bytes-per-second=10000000 --concurrent-reads=9"),
    reads("repository throttle get --json"),
    reads("repository throttle get"),
    changes("repository throttle set --upload-bytes-per-second=unlimited --concurrent-reads=-"),
    fails("repository throttle set --upload-bytes-per-second=fast"),
    fails("repository throttle set --upload-bytes-per-second=-5"),
    fails("repository throttle set --upload-bytes-per-second=inf"),
    fails("repository throttle set --read-requests-per-second=nan"),
    fails("repository throttle set --concurrent-reads=-5"),
    changes("repository set-parameters --max-pack-size-mb=30 --epoch-advance-on-count=19"),
    changes("repository set-parameters --epoch-min-duration=12h --epoch-refresh-frequency=10m"),
    reads("repository set-parameters"),
    fails("repository set-parameters --index-version=1"),
    fails("repository set-parameters --max-pack-size-mb=5000"),
    fails("repository set-parameters --retention-mode=GOVERNANCE --retention-period=2h"),
    reads("repository status").like(LinesExcept(super::reading::SPACE)),
    changes("cache set --content-cache-size-mb=100 --max-list-cache-duration=7s"),
    changes("cache set --metadata-cache-size-limit-mb=300 --index-min-sweep-age=3h"),
    fails("cache set"),
    reads("cache info --path"),
    reads("cache info").like(Compare::Free),
    reads("cache sync"),
    reads("cache prefetch {tiny-root}"),
    reads("cache clear --partial=metadata"),
    reads("cache clear"),
    changes("maintenance set --owner=else@where --enable-quick=false --full-interval=36h"),
    fails("maintenance run"),
    reads("maintenance info --json"),
    changes("maintenance set --owner=me --quick-interval=2h --extend-object-locks=true"),
    changes("maintenance set --max-retained-log-count=7 --list-parallelism=3"),
    changes("maintenance set --pause-quick=48h --pause-full=48h"),
    fails("maintenance set"),
    reads("maintenance info").like(LinesExcept(&["  next run"])),
    changes("maintenance run --full --safety=none").apart("space comes back a run earlier"),
    changes("repository change-password --new-password=another"),
    fails("snapshot list"),
    reads("snapshot list --password=another"),
    reads("repository sync-to filesystem --path={elsewhere}/copy --dry-run --password=another"),
    reads("repository sync-to filesystem --path={elsewhere}/copy --password=another"),
    reads(
        "repository sync-to filesystem --path={elsewhere}/copy --delete --times --password=another",
    ),
    fails("repository sync-to filesystem --path={other} --must-exist --password=another"),
    reads("repository validate-provider --concurrency-test-duration=1s --password=another"),
    changes("repository disconnect"),
    fails("repository disconnect"),
    fails("repository status"),
    fails("repository create filesystem --path={elsewhere}/copy"),
    fails("repository connect filesystem --path={elsewhere}/nothing"),
    changes(
        "repository create filesystem --path={elsewhere}/new --block-hash=BLAKE3-256 --encryption=CHACHA20-POLY1305-HMAC-SHA256 --description=new --override-username=u --override-hostname=h",
    ),
    fails("repository create filesystem --path={elsewhere}/new"),
    fails("repository connect filesystem --path={elsewhere}/copy --password=wrong")
        .apart("a connection that fails leaves the one before"),
    changes(
        "repository connect filesystem --path={elsewhere}/copy --password=another --no-persist-credentials",
    ),
    fails("snapshot list"),
    reads("repository connect filesystem --path={other} --config-file={elsewhere}/other"),
    changes("repository connect from-config --file={elsewhere}/other"),
    fails("repository create from-config --file={elsewhere}/other"),
];

#[test]
fn the_repository_and_its_connection() {
    run("the_repository_and_its_connection", THE_REPOSITORY_AND_ITS_CONNECTION);
}

impl Sides {
    /// Runs one row with both; remembers what is not as expected.
    fn row(&mut self, row: &Row, names: &[(&str, &str)]) {
        let ran = self.each(|side| {
            let words = side.words(&in_full(row.line), names);
            let before = fingerprint(&side.repository);
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let outcome = side.run_with(&words, row.input);
            let password = words.iter().find_map(|word| word.strip_prefix("--new-password="));
            if let Some(password) = password.filter(|_| outcome.succeeded()) {
                side.password = password.into();
            }
            let is_untouched = before == fingerprint(&side.repository);
            let state = side.look();
            // What the command named is known only now.
            let mut outcome = outcome;
            outcome.stdout = side.normal.text(&outcome.stdout);
            let is_same = state == side.state;
            side.state = state;
            let as_expected = match row.effect {
                Effect::Reads => outcome.succeeded() && is_untouched && is_same,
                Effect::Changes => outcome.succeeded() && !(is_same && is_untouched),
                Effect::Fails => outcome.code == 1 && is_untouched && is_same,
            };
            (outcome, as_expected.then_some(()).ok_or((is_untouched, is_same)))
        });
        let ((ours, our_effect), (theirs, their_effect)) = ran;
        let texts = [&ours, &theirs].map(|outcome| row.compare.normal(&outcome.stdout));
        if ours.code != theirs.code || texts[0] != texts[1] {
            self.remember(&[row.line], &ours, &theirs, &texts);
        }
        let their_effect = if row.apart.is_some() { Ok(()) } else { their_effect };
        for (program, effect) in [("kopist", our_effect), ("kopia", their_effect)] {
            if let Err((untouched, same)) = effect {
                self.differences.push(format!(
                    "{}: not {:?} for {program}: blobs untouched: {untouched}, state is as \
                     before: {same}\n  kopist: {ours}\n  kopia: {theirs}",
                    row.line, row.effect
                ));
            }
        }
        let different = self.kopist.state.differences(&self.kopia.state);
        if row.apart.is_some() {
            self.told = different;
            return;
        }
        let new: Vec<_> = different.difference(&self.told).cloned().collect();
        if !new.is_empty() {
            let list = new.iter().take(8).map(String::as_str).collect::<Vec<_>>().join("\n    ");
            let count = new.len();
            self.differences.push(format!("{}: {count} different after\n    {list}", row.line));
        }
        self.told = different;
    }
}

/// Writes out what rows abbreviate.
fn in_full(line: &str) -> String {
    let word = |word: &str| match word.strip_prefix("at=") {
        Some(minute) => format!("--start-time={minute}:00~UTC --end-time={minute}:09~UTC"),
        None => word.to_owned(),
    };
    let words: Vec<_> = line.split_whitespace().map(word).collect();
    words.join(" ") + " --no-auto-maintenance"
}

/// The command lines of this file.
pub(super) fn lines() -> Vec<String> {
    let tables = [
        POLICIES,
        SNAPSHOTS,
        REPAIRS,
        RESTORES_AND_OBJECTS,
        CONTENTS_AND_BLOBS,
        THE_REPOSITORY_AND_ITS_CONNECTION,
    ];
    tables.into_iter().flatten().map(|row| row.line.to_owned()).collect()
}

/// Runs a table.
fn run(test: &str, rows: &[Row]) {
    let Some(mut sides) = Sides::new(test, "snap-misc", &[]) else { return };
    let other = kopist_testkit::golden::get("two-writers");
    let source = sides.folder.path().join("source");
    make_source(&source);
    let editor = editor(sides.folder.path());
    sides.each(|side| {
        let unpacked = other.unpack(&side.folder);
        fs::rename(unpacked, side.folder.join("other")).unwrap();
        fs::create_dir(side.folder.join("elsewhere/copy")).unwrap();
        side.client.set("EDITOR", &editor).set("KOPIA_DANGEROUS_COMMANDS", "enabled");
        side.state = side.look();
    });
    let pack =
        crate::pair::blobs(&sides.kopia.repository).into_keys().find(|name| name.starts_with('p'));
    let mut names = NAMES.to_vec();
    let pack = pack.expect("a pack");
    names.extend([("source", source.to_str().unwrap()), ("a-pack", &pack)]);
    for row in rows {
        sides.row(row, &names);
    }
    sides.finish();
}

/// A few files of every kind that a repository knows, with times long ago.
fn make_source(root: &Path) {
    fs::create_dir_all(root.join("sub/empty")).unwrap();
    fs::write(root.join("one.txt"), "one\n").unwrap();
    fs::write(
        root.join("big.bin"),
        (0..300_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>(),
    )
    .unwrap();
    fs::write(root.join("sub/nested.txt"), "nested\n").unwrap();
    fs::write(root.join("none"), "").unwrap();
    symlink("sub/nested.txt", root.join("link")).unwrap();
    fs::set_permissions(root.join("one.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    let mut entries: Vec<_> =
        walkdir::WalkDir::new(root).contents_first(true).into_iter().map(Result::unwrap).collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.depth()));
    for (number, entry) in entries.iter().enumerate() {
        let time = filetime::FileTime::from_unix_time(1_600_000_000 + number as i64, 0);
        filetime::set_symlink_file_times(entry.path(), time, time).unwrap();
    }
}

/// An editor that replaces what it is given.
fn editor(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("editor");
    let script = "#!/bin/sh\necho '{\"retention\": {\"keepLatest\": 44}}' > \"$1\"\n";
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

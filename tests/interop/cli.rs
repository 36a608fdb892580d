//! The same command line, given to both programs on copies of one repository.
//!
//! Exit codes and standard output must be equal, JSON byte for byte except where kopia itself
//! is not repeatable. What may differ is listed with the case.

use std::path::Path;

use kopist_testkit::{
    golden,
    oracle::{self, Client, Outcome},
};

use crate::program::program;

/// How outputs are compared.
#[derive(Clone, Copy, Debug)]
enum Compare {
    /// Byte for byte.
    Exact,
    /// The same lines in any order: kopia lists in the order of arrival.
    Lines,
    /// The same lines in any order, but not those that begin with one of these words.
    LinesExcept(&'static [&'static str]),
    /// The same text after this word, up to the next brace, is removed.
    Without(&'static str),
}

use Compare::{Exact, Lines, LinesExcept, Without};

impl Compare {
    fn normal(self, text: &str) -> String {
        let lines = |except: &[&str]| {
            let mut lines: Vec<_> = text
                .lines()
                .filter(|line| !except.iter().any(|word| line.starts_with(word)))
                // The comma of a list's last item is missing.
                .map(|line| line.trim_end_matches(','))
                .collect();
            lines.sort_unstable();
            lines.join("\n")
        };
        match self {
            Exact => text.to_owned(),
            Lines => lines(&[]),
            LinesExcept(words) => lines(words),
            Without(word) => match text.split_once(word) {
                Some((before, after)) => {
                    let rest = after.find('}').map_or(after, |end| &after[end..]);
                    format!("{before}{rest}")
                }
                None => text.to_owned(),
            },
        }
    }
}

/// One user at one machine with a copy of a golden repository.
struct Side {
    client: Client,
    folder: String,
}

impl Side {
    fn new(
        program: &Path,
        folder: &Path,
        golden: &golden::GoldenRepository,
        flags: &[&str],
    ) -> Self {
        let repository = golden.unpack(folder);
        let client = Client::new(program, &folder.join("client"), &golden.description.password);
        let mut connect =
            vec!["repository", "connect", "filesystem", "--path", repository.to_str().unwrap()];
        connect.extend(["--override-username=golden", "--override-hostname=goldenhost"]);
        connect.extend(flags);
        client.ok(&connect);
        Self { client, folder: folder.to_str().unwrap().to_owned() }
    }

    /// Runs and replaces this side's directory by a word.
    fn run(&self, arguments: &[&str]) -> Outcome {
        let mut outcome = self.client.run(arguments);
        outcome.stdout = outcome.stdout.replace(&self.folder, "FOLDER");
        outcome
    }
}

/// Both programs, each with a copy of a golden repository.
struct Sides {
    kopist: Side,
    kopia: Side,
    differences: Vec<String>,
    _folder: tempfile::TempDir,
}

impl Sides {
    fn new(test: &str, name: &str, flags: &[&str]) -> Option<Self> {
        let kopia = oracle::find_or_skip(test)?;
        let golden = golden::get(name);
        let folder = tempfile::Builder::new().prefix("cli-").tempdir().unwrap();
        // Directories of equal length, so that columns are aligned alike.
        let side = |program: &Path, name: &str| {
            let folder = folder.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            Side::new(program, &folder, &golden, flags)
        };
        Some(Self {
            kopist: side(&program(), "1"),
            kopia: side(&kopia, "2"),
            differences: Vec::new(),
            _folder: folder,
        })
    }

    /// Runs one command line with both at the same time.
    fn both(&self, arguments: &[&str]) -> (Outcome, Outcome) {
        std::thread::scope(|scope| {
            let ours = scope.spawn(|| self.kopist.run(arguments));
            let theirs = self.kopia.run(arguments);
            (ours.join().unwrap(), theirs)
        })
    }

    /// Runs one command line with both; remembers a difference.
    fn same(&mut self, arguments: &[&str], compare: Compare) {
        let (ours, theirs) = self.both(arguments);
        let equal = ours.code == theirs.code
            && compare.normal(&ours.stdout) == compare.normal(&theirs.stdout);
        if !equal {
            let texts = [compare.normal(&ours.stdout), compare.normal(&theirs.stdout)];
            self.remember(arguments, &ours, &theirs, &texts);
        }
    }

    /// Keeps the lines that only one side has, the first few of them.
    fn remember(
        &mut self,
        arguments: &[&str],
        ours: &Outcome,
        theirs: &Outcome,
        texts: &[String; 2],
    ) {
        let only = |a: &str, b: &str| {
            let b: std::collections::BTreeSet<_> = b.split('\n').collect();
            let lines = a.split('\n').filter(|line| !b.contains(line)).take(5);
            lines.fold(String::new(), |text, line| text + "\n    " + line)
        };
        let [a, b] = texts;
        self.differences.push(format!(
            "{}: exit codes {} and {}\n  kopist:{}\n    {}\n  kopia:{}\n    {}",
            arguments.join(" "),
            ours.code,
            theirs.code,
            only(a, b),
            ours.stderr,
            only(b, a),
            theirs.stderr
        ));
    }

    /// Standard error must be the same, too.
    fn same_refusal(&mut self, arguments: &[&str]) {
        let (ours, theirs) = self.both(arguments);
        if ours.code != theirs.code
            || ours.stdout != theirs.stdout
            || ours.stderr.trim() != theirs.stderr.trim()
        {
            let texts = [ours.stdout.clone(), theirs.stdout.clone()];
            self.remember(arguments, &ours, &theirs, &texts);
        }
    }

    fn finish(self) {
        let count = self.differences.len();
        assert!(count == 0, "{count} differences:\n{}", self.differences.join("\n\n"));
    }
}

/// Free space differs from one moment to the next, and a token hides the path of the repository.
const SPACE: &[&str] = &["Storage capacity:", "Storage available:", "$ kopia repository"];

/// Commands that work on any repository.
const ANYWHERE: &[(&[&str], Compare)] = &[
    (&["repository", "status", "--json"], Without("\"volume\"")),
    (&["repository", "status"], LinesExcept(SPACE)),
    (&["repository", "status", "-t", "-s"], LinesExcept(SPACE)),
    (&["repo", "throttle", "get", "--json"], Exact),
    (&["repository", "throttle", "get"], Exact),
    (&["blob", "list"], Lines),
    (&["blob", "ls", "--json"], Lines),
    (&["blob", "list", "--data-only", "--json"], Lines),
    (&["blob", "list", "--prefix=q", "--min-size=10000"], Lines),
    (&["blob", "stats"], Exact),
    (&["blob", "stats", "--raw", "--prefix=p"], Exact),
    (&["content", "list"], Exact),
    (&["content", "list", "--json", "--deleted"], Exact),
    (&["content", "list", "--json", "--deleted-only"], Exact),
    (&["content", "list", "-l", "--prefixed"], Exact),
    (&["content", "list", "-c", "-h", "--non-prefixed"], Exact),
    (&["content", "ls", "-s", "--prefix=k"], Exact),
    (&["content", "ls", "-s", "-h", "--prefix=m"], Exact),
    (&["content", "stats"], Lines),
    (&["content", "stats", "-r"], Lines),
    (&["content", "verify"], Exact),
    (&["index", "list", "--json"], Lines),
    (&["index", "list", "--superseded", "--sort=name"], Lines),
    (&["index", "list", "--summary", "--sort=size"], Lines),
    (&["index", "inspect", "--active"], Lines),
    (&["manifest", "list"], Lines),
    (&["manifest", "list", "--json", "--sort=type"], Lines),
    (&["manifest", "list", "--filter=type:snapshot", "--json"], Lines),
    (&["snapshot", "list", "--all", "--incomplete", "--storage-stats"], Exact),
    (&["snapshot", "list", "--all", "--storage-stats", "--reverse", "--show-identical"], Exact),
    (&["snapshot", "list", "--all", "--storage-stats", "--json", "--max-results=2"], Exact),
    (&["snapshot", "list", "--storage-stats", "--no-retention", "--json"], Exact),
    (&["maintenance", "info", "--json"], Exact),
    (&["policy", "list"], Exact),
    (&["policy", "list", "--json"], Exact),
    (&["policy", "show", "--global"], Exact),
    (&["policy", "get", "--global", "--json"], Exact),
    (&["policy", "show", "--global", "--json", "--json-indent"], Exact),
    (&["policy", "show", "@host", "nobody@host", "nobody@host:/some/path"], Exact),
    (&["policy", "export"], Exact),
    (&["policy", "export", "--json-indent", "--global"], Exact),
];

/// An old format with compacted indexes, deletions, and policies at every level. (Run with every
/// golden repository they print the same, too; opening one takes half a second of key
/// derivation, hence these three.)
const REPOSITORIES: &[&str] = &["v1-index-compaction", "undeleted-contents", "policy-levels"];

#[test]
fn reading_commands_print_the_same() {
    let test = "reading_commands_print_the_same";
    for name in REPOSITORIES {
        let Some(mut sides) = Sides::new(test, name, &["--readonly"]) else { return };
        println!("repository {name}");
        for (arguments, compare) in ANYWHERE {
            sides.same(arguments, *compare);
        }
        sides.finish();
    }
}

#[test]
fn single_items_print_the_same() {
    let test = "single_items_print_the_same";
    for name in ["old-v0.8.4", "snap-misc"] {
        let Some(mut sides) = Sides::new(test, name, &["--readonly"]) else { return };
        println!("repository {name}");
        let list = |side: &Side, arguments: &[&str]| -> Vec<serde_json::Value> {
            side.client.json(arguments).as_array().unwrap().clone()
        };
        for manifest in list(&sides.kopia, &["manifest", "list", "--json"]).iter().take(4) {
            let id = manifest["id"].as_str().unwrap();
            // kopia prints labels in random order.
            sides.same(&["manifest", "show", id], Lines);
        }
        let directories = list(&sides.kopia, &["content", "list", "--json", "--prefix=k"]);
        for content in directories.iter().take(4) {
            let id = content["contentID"].as_str().unwrap();
            sides.same(&["content", "show", id], Exact);
            sides.same(&["content", "show", "-j", id], Exact);
            sides.same(&["show", id], Exact);
            sides.same(&["ls", "-lr", id], Lines);
            sides.same(&["ls", id], Lines);
        }
        let manifests = list(&sides.kopia, &["content", "list", "--json", "--prefix=m"]);
        for content in manifests.iter().take(2) {
            let id = content["contentID"].as_str().unwrap();
            sides.same(&["content", "show", "-jz", id], Exact);
        }
        sides.same(&["blob", "show", "kopia.repository"], Exact);
        for policy in list(&sides.kopia, &["policy", "list", "--json"]).iter().take(2) {
            let id = policy["id"].as_str().unwrap();
            sides.same(&["policy", "show", id], Exact);
            sides.same(&["policy", "show", "--json", id], Exact);
        }
        sides.finish();
    }
}

#[test]
fn what_cannot_be_done_is_refused_the_same_way() {
    let test = "what_cannot_be_done_is_refused_the_same_way";
    let Some(mut sides) = Sides::new(test, "snap-misc", &[]) else { return };
    for arguments in [
        &["policy", "show"][..],
        &["policy", "set", "--global"],
        &["policy", "set", "--global", "--keep-latest=x"],
        &["policy", "set", "--global", "--compression-min-size=1.5"],
        &["policy", "set", "--global", "--log-dir-ignored=11"],
        &["policy", "set", "--global", "--manual", "--snapshot-interval=1h"],
        &["policy", "export", "--overwrite"],
        &["manifest", "show", "nope"],
        &["index", "inspect"],
        &["manifest", "list", "--filter=type"],
        &["cache", "set"],
        &["repository", "set-client"],
        &["repository", "connect", "filesystem", "--path=relative"],
        &["repository", "connect", "from-config"],
        &["repository", "connect", "from-config", "--token=xx"],
        &["repository", "create", "from-config"],
        // Errors of the grammar.
        &["frob"],
        &["snapshot"],
        &["snapshot", "frob"],
        &["snapshot", "list", "--frob"],
        &["snapshot", "list", "-z"],
        &["snapshot", "list", "a", "b"],
        &["snapshot", "list", "--all", "--all"],
        &["snapshot", "list", "--max-results"],
        &["snapshot", "list", "--max-results", "-1"],
        &["snapshot", "list", "--no-max-results"],
        &["snapshot", "list", "--max-results=x"],
        &["blob", "list", "--min-size=x"],
        &["ls"],
        &["repository", "connect", "filesystem"],
        &["maintenance", "set", "--enable-quick=maybe"],
        &["maintenance", "set", "--quick-interval=1y"],
        &["policy", "set", "--global", "--compression=lzma"],
        &["snapshot", "list", "--log-level=loud"],
        &["help", "frob"],
        &["--json", "snapshot", "list"],
    ] {
        sides.same_refusal(arguments);
    }
    sides.finish();
}

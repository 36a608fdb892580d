//! The same command line, given to both programs on copies of one repository.
//!
//! Exit codes and standard output must be equal, JSON byte for byte except where kopia itself
//! is not repeatable; and so must be what the command leaves behind ([`state`]). What may differ
//! is listed with the case.
//!
//! - [`reading`]: commands that only read, on several repositories;
//! - [`writing`]: commands that change something, line after line on one pair of copies.

mod normal;
mod reading;
mod state;
mod writing;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use kopist_testkit::{
    golden,
    oracle::{self, Client, Outcome},
};
use secrecy::SecretString;

use self::normal::Normal;
use self::state::{State, fingerprint};
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
    /// The first words of each line.
    FirstWords(usize),
    /// Not at all.
    Free,
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
            Self::Free => String::new(),
            Self::FirstWords(count) => text
                .lines()
                .map(|line| line.split(' ').take(count).collect::<Vec<_>>().join(" ") + "\n")
                .collect(),
        }
    }
}

/// One user at one machine with a copy of a golden repository.
struct Side {
    client: Client,
    folder: PathBuf,
    repository: PathBuf,
    password: SecretString,
    normal: Normal,
    state: State,
}

impl Side {
    fn new(
        program: &Path,
        folder: &Path,
        golden: &golden::GoldenRepository,
        flags: &[&str],
    ) -> Self {
        let repository = golden.unpack(folder);
        let password = &golden.description.password;
        let client = Client::new(program, &folder.join("client"), password);
        let mut connect =
            vec!["repository", "connect", "filesystem", "--path", repository.to_str().unwrap()];
        connect.extend(["--override-username=golden", "--override-hostname=goldenhost"]);
        let cache = folder.join("cache");
        connect.extend(["--max-list-cache-duration=0s", "--cache-directory"]);
        connect.push(cache.to_str().unwrap());
        connect.extend(flags);
        client.ok(&connect);
        #[allow(clippy::disallowed_methods)] // the programs go by this clock
        let mut normal = Normal::new(Timestamp::now());
        normal.name(folder.to_str().unwrap(), "FOLDER");
        for name in ["work", "elsewhere"] {
            std::fs::create_dir(folder.join(name)).unwrap();
        }
        let password = SecretString::from(password.as_str());
        Self {
            client,
            folder: folder.to_owned(),
            repository,
            password,
            normal,
            state: State::default(),
        }
    }

    /// Runs and replaces this side's directory by a word.
    fn run(&self, arguments: &[&str]) -> Outcome {
        self.run_with(arguments, "")
    }

    /// The same with something on standard input.
    fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut outcome = self.client.run_with(arguments, input.as_bytes());
        outcome.stdout = self.normal.text(&outcome.stdout);
        outcome
    }

    /// Reads what there is now.
    fn look(&mut self) -> State {
        let mut state = State::of_repository(&self.repository, &self.password, &mut self.normal);
        let config = self.client.folder().join("repository.config");
        state.add_connection(&config, &self.normal);
        state.add_files(&self.folder.join("work"), &self.normal);
        state
    }

    /// The words of a line, with what stands for things of this side in the place of `{names}`.
    fn words(&self, line: &str, fixed: &[(&str, &str)]) -> Vec<String> {
        let path = |name: &str| self.folder.join(name).to_str().unwrap().to_owned();
        let fill = |word: &str| {
            let mut word = word.to_owned();
            while let Some((before, rest)) = word.split_once('{') {
                let (name, after) = rest.split_once('}').expect("a closing brace");
                let value = match (name, name.strip_prefix("new-")) {
                    ("work" | "elsewhere" | "other", _) => path(name),
                    (_, Some(kind)) => self.normal.newest(kind).expect(line).to_owned(),
                    _ => {
                        let found = fixed.iter().find(|(known, _)| *known == name);
                        found.unwrap_or_else(|| panic!("{line}: what is {name}?")).1.to_owned()
                    }
                };
                word = format!("{before}{value}{after}");
            }
            // A blank within a word.
            word.replace('~', " ")
        };
        line.split_whitespace().map(fill).collect()
    }
}

/// Both programs, each with a copy of a golden repository.
struct Sides {
    kopist: Side,
    kopia: Side,
    differences: Vec<String>,
    /// Differences between the states of both sides that were told already.
    told: BTreeSet<String>,
    folder: tempfile::TempDir,
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
            told: BTreeSet::new(),
            folder,
        })
    }

    /// Does something with both sides at the same time.
    fn each<T: Send>(&mut self, work: impl Fn(&mut Side) -> T + Sync) -> (T, T) {
        let Self { kopist, kopia, .. } = self;
        std::thread::scope(|scope| {
            let ours = scope.spawn(|| work(kopist));
            let theirs = work(kopia);
            (ours.join().unwrap(), theirs)
        })
    }

    /// Runs one command line with both.
    fn both(&mut self, arguments: &[&str]) -> (Outcome, Outcome) {
        self.each(|side| side.run(arguments))
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

/// Commands of the first two tiers without a row, and where they are compared instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("server", "refused by kopist"),
    ("repository connect server", "refused by kopist"),
    ("mount", "`mounts`: it does not end by itself"),
    ("repository connect", "`stores`: other storages than the file system"),
    ("repository create", "`stores`"),
    ("repository sync-to", "`stores`"),
];

#[test]
fn every_command_has_a_row() {
    let text = std::fs::read(kopist_testkit::testdata().join("vectors/cli-surface.json")).unwrap();
    let surface: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let commands = surface["commands"].as_array().unwrap();
    let paths: Vec<_> = commands.iter().map(|command| command["path"].as_str().unwrap()).collect();
    let starts = |line: &str, path: &str| line == path || line.starts_with(&format!("{path} "));
    let lines: Vec<String> = reading::lines().into_iter().chain(writing::lines()).collect();
    let is_group = |path: &str| paths.iter().any(|other| *other != path && starts(other, path));
    let is_compared = |path: &str| {
        lines.iter().any(|line| starts(line, path))
            || ELSEWHERE.iter().any(|(elsewhere, _)| starts(path, elsewhere))
    };
    let without: Vec<_> = commands
        .iter()
        .filter(|command| command["tier"] == "T1" || command["tier"] == "T2")
        .filter_map(|command| command["path"].as_str())
        .filter(|path| !is_group(path) && !is_compared(path))
        .collect();
    assert!(without.is_empty(), "nothing compares {without:#?}");
}

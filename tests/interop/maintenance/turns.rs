//! Both programs maintain one repository in turns, for weeks.
//!
//! `KOPIST_SIMULATED_DAYS=200` runs long, `KOPIST_SEED` chooses another history.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use kopist_blob::filesystem::{FilesystemConfig, FilesystemStore};
use kopist_format::id::ContentId;
use kopist_repo::{KeyRange, OpenOptions, Repository};
use kopist_snapshot::gc;
use kopist_testkit::oracle::Client;
use kopist_testkit::tree::{self, Entry, RandomTree, Rng, TreeShape};

use super::aging::Aging;
use crate::pair::{PASSWORD, Pair, blobs, id, restores_to, snapshot, snapshots};

/// Contents that nothing uses are gone after so many days, even if kopia has its turn in between:
/// one to be a day old, one until the next collection marks them, two until the second collection
/// after that, one until what kopia renews is dropped, and one until the packs go; the rest is for
/// turns in which kopia moves what kopist would have left.
const PROMISED_DAYS: usize = 11;

struct Simulation {
    pair: Pair,
    rng: Rng,
    aging: Aging,
    sources: Vec<RandomTree>,
    /// What each snapshot must restore to.
    expected: BTreeMap<String, Vec<Entry>>,
    /// Since which day nothing uses a content.
    unused: BTreeMap<ContentId, usize>,
    /// Since which day no entry names a pack.
    unnamed: BTreeMap<String, usize>,
}

#[test]
fn both_maintain_in_turns() {
    let test = "both_maintain_in_turns";
    let flags = ["--object-splitter=DYNAMIC-128K-BUZHASH"];
    let Some(pair) = Pair::created_by_kopia(test, &flags) else { return };
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |value| value.parse().unwrap())
    };
    let (days, seed) = (number("KOPIST_SIMULATED_DAYS", 12), number("KOPIST_SEED", 1));
    println!("KOPIST_SIMULATED_DAYS={days} KOPIST_SEED={seed}");
    let mut simulation = Simulation::new(pair, seed);
    let mut freed = 0;
    for day in 0..usize::try_from(days).unwrap() {
        let (gone, story) = simulation.day(day);
        println!("day {day}: {story}, {gone} gone");
        freed += gone;
    }
    assert!(freed > 0, "nothing was ever freed");
    for (id, listing) in &simulation.expected {
        restores_to(&simulation.pair.kopist, id, listing);
        restores_to(&simulation.pair.kopia, id, listing);
    }
}

impl Simulation {
    fn new(pair: Pair, seed: u64) -> Self {
        let shape = TreeShape { directories: 3, files: 10, largest: 60_000, links: 2 };
        let sources: Vec<RandomTree> = (0..2)
            .map(|number| {
                let root: PathBuf = pair.folder.path().join(format!("source-{number}"));
                RandomTree::create(&root, seed + number, shape)
            })
            .collect();
        for (source, keep) in sources.iter().zip(["--keep-latest=3", "--keep-latest=6"]) {
            let none = ["--keep-hourly=0", "--keep-daily=0", "--keep-weekly=0"];
            let more = ["--keep-monthly=0", "--keep-annual=0", keep];
            let path = source.root().to_str().unwrap();
            pair.kopist.ok(&[&["policy", "set", path], &none[..], &more].concat());
        }
        Self {
            aging: Aging::new(&pair.repository, PASSWORD),
            rng: Rng::new(seed),
            pair,
            sources,
            expected: BTreeMap::new(),
            unused: BTreeMap::new(),
            unnamed: BTreeMap::new(),
        }
    }

    fn any(&mut self) -> (&'static str, Client) {
        let names = ["kopist", "kopia"];
        let which = self.rng.below(2);
        let clients = [&self.pair.kopist, &self.pair.kopia];
        (names[which], clients[which].clone())
    }

    /// One day; returns how many contents are gone, and what happened.
    fn day(&mut self, day: usize) -> (usize, String) {
        let mut story = Vec::new();
        for which in 0..self.sources.len() {
            let (name, client) = self.any();
            self.sources[which].change(4);
            let root = self.sources[which].root().to_owned();
            let made = snapshot(&client, &root);
            self.expected.insert(id(&made).to_owned(), tree::list(&root));
            story.push(format!("{name} snapshot"));
        }
        if self.rng.below(4) == 0 && self.expected.len() > 4 {
            let (name, client) = self.any();
            // Of those that today's snapshots have not made expire.
            let ids: Vec<String> =
                snapshots(&client).iter().map(|manifest| id(manifest).to_owned()).collect();
            let id = self.rng.pick(&ids).clone();
            let delete = ["snapshot", "delete", &id, "--delete", "--no-auto-maintenance"];
            client.ok(&delete);
            self.expected.remove(&id);
            story.push(format!("{name} delete"));
        }
        self.aging.pass(SignedDuration::from_mins(60 + self.rng.below(600) as i64));
        // The two take turns; now and then the same one has two days, or does a quick run more.
        let first = (day + usize::from(self.rng.below(5) == 0)) % 2;
        let owner = [&self.pair.kopist, &self.pair.kopia][first].clone();
        story.push(format!("{} maintains", ["kopist", "kopia"][first]));
        if self.rng.below(3) == 0 {
            owner.ok(&["maintenance", "run"]);
        }
        owner.ok(&["maintenance", "run", "--full"]);

        let listed = self.pair.same_snapshots();
        self.expected.retain(|known, _| listed.iter().any(|manifest| id(manifest) == known));
        assert_eq!(listed.len(), self.expected.len(), "a snapshot appeared or was lost");
        for client in [&self.pair.kopia, &self.pair.kopist] {
            client.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
        }
        let freed = self.look(day);
        let story = format!(
            "{}; {} snapshots, {} contents unused",
            story.join(", "),
            listed.len(),
            self.unused.len()
        );
        self.aging.pass(SignedDuration::from_hours(23));
        (freed, story)
    }

    /// Looks at all contents and packs: what is used is there, what is not does not stay for ever.
    fn look(&mut self, day: usize) -> usize {
        let repo = open(&self.pair.repository);
        let view = repo.fresh_index().unwrap();
        let manifests = repo.manifests().unwrap();
        let used = gc::used_contents(&repo, &view, &manifests, 2, &|| false).unwrap();
        assert!(used.unreadable.is_empty());
        let mut unused = BTreeSet::new();
        let mut named = BTreeSet::new();
        for entry in view.entries(&KeyRange::all()) {
            let (ordinal, entry) = entry.unwrap();
            named.insert(entry.pack.to_owned());
            if entry.id.prefix() == Some('m') {
                continue;
            }
            if used.contents.contains(ordinal) {
                // Marked and used again: the next collection brings it back before it can go.
                continue;
            }
            unused.insert(entry.id);
        }
        let before = self.unused.len();
        self.unused.retain(|id, _| unused.contains(id));
        let freed = before - self.unused.len();
        for id in unused {
            let since = *self.unused.entry(id).or_insert(day);
            assert!(day - since <= PROMISED_DAYS, "{id} is unused since day {since}");
        }
        let packs: BTreeSet<String> = blobs(&self.pair.repository)
            .into_keys()
            .filter(|name| name.starts_with(['p', 'q']) && !named.contains(name))
            .collect();
        self.unnamed.retain(|pack, _| packs.contains(pack));
        for pack in packs {
            let since = *self.unnamed.entry(pack.clone()).or_insert(day);
            assert!(day - since <= 4, "pack {pack} is of no use since day {since}");
        }
        freed
    }
}

fn open(repository: &Path) -> Repository {
    let store = FilesystemStore::open(FilesystemConfig::new(repository)).unwrap();
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    Repository::open(std::sync::Arc::new(store), &PASSWORD.into(), options).unwrap()
}

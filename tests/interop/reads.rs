//! kopia writes, kopist reads.

use kopist_testkit::tree::{self, RandomTree, TreeShape};

use crate::pair::{Pair, id, restores_to, snapshot, verify};

const FORMATS: &[&[&str]] = &[
    &[],
    &["--format-version=1"],
    &["--encryption=CHACHA20-POLY1305-HMAC-SHA256", "--ecc-overhead-percent=5"],
];

#[test]
fn kopist_reads_what_kopia_writes() {
    for flags in FORMATS {
        let test = "kopist_reads_what_kopia_writes";
        let Some(pair) = Pair::created_by_kopia(test, flags) else { return };
        println!("format {flags:?}");
        pair.kopia.ok(&["policy", "set", "--global", "--compression=zstd-fastest"]);
        let source = pair.folder.path().join("source");
        let mut tree = RandomTree::create(&source, 2, TreeShape::default());
        let mut expected = Vec::new();
        for _ in 0..3 {
            let made = snapshot(&pair.kopia, tree.root());
            expected.push((id(&made).to_owned(), tree::list(tree.root())));
            tree.change(15);
        }
        verify(&pair.kopist);
        assert_eq!(pair.same_snapshots().len(), 3);
        for (id, listing) in &expected {
            restores_to(&pair.kopist, id, listing);
        }

        // kopia deletes one, collects what nothing uses any more, and rewrites packs and indexes.
        pair.kopia.ok(&["snapshot", "delete", &expected[0].0, "--delete"]);
        pair.kopia.ok(&["maintenance", "run", "--full", "--safety=none"]);
        verify(&pair.kopist);
        assert_eq!(pair.same_snapshots().len(), 2);
        for (id, listing) in &expected[1..] {
            restores_to(&pair.kopist, id, listing);
        }
    }
}

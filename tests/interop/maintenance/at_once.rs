//! `--safety=none`: one run leaves nothing behind.

use std::fs;

use crate::pair::{Pair, blobs, id, snapshot, snapshots, verify};

/// The maintenance test of kopia's own end-to-end suite, in each format.
#[test]
fn without_margins_one_run_leaves_nothing_behind() {
    for format in ["--format-version=1", "--format-version=2", "--format-version=3"] {
        let test = "without_margins_one_run_leaves_nothing_behind";
        let Some(pair) = Pair::created_by_kopist(test, &[format]) else { return };
        let source = pair.folder.path().join("source");
        fs::create_dir(&source).unwrap();
        for number in 1..5 {
            let data = kopist_testkit::tree::Rng::new(number).bytes(3000 * number as usize);
            fs::write(source.join(number.to_string()), data).unwrap();
        }
        let packs = || -> Vec<String> {
            blobs(&pair.repository)
                .into_keys()
                .filter(|name| name.starts_with(['p', 'q']))
                .collect()
        };
        let made = snapshot(&pair.kopist, &source);
        let delete = ["snapshot", "delete", id(&made), "--delete", "--no-auto-maintenance"];
        pair.kopist.ok(&delete);
        let before = packs();
        pair.kopist.ok(&["maintenance", "run", "--full"]);
        assert_eq!(packs(), before, "{format}: the margins keep everything");
        pair.kopist.ok(&["maintenance", "run", "--full", "--safety=none"]);
        let left = packs();
        assert_eq!(left.len(), 1, "{format}: {before:?} became {left:?}");
        assert!(left[0].starts_with('q'));
        assert_eq!(snapshots(&pair.kopia).len(), 0);
        verify(&pair.kopia);
        pair.kopia.ok(&["maintenance", "info", "--json"]);
    }
}

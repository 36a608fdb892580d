//! Random trees, backed up by either program and restored by both, over what an earlier restore
//! and somebody else left there, with random flags: the same exit code and the same tree.
//!
//! `KOPIST_RESTORE_ROUNDS` sets the number of rounds; each is its own seed.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use kopist_testkit::oracle::Client;
use kopist_testkit::tree::{Comparison, RandomTree, Rng, TreeShape, compare, list};

use crate::pair::{Pair, id, snapshot};

/// Flags, each with how often it is taken in a hundred rounds.
const FLAGS: &[(&str, usize)] = &[
    ("--skip-owners", 10),
    ("--skip-permissions", 10),
    ("--skip-times", 10),
    ("--write-files-atomically", 30),
    ("--write-sparse-files", 30),
    ("--flush-files", 20),
    ("--skip-existing", 30),
    ("--delete-extra", 50),
    ("--ignore-errors", 30),
    ("--no-overwrite-files", 8),
    ("--no-overwrite-directories", 8),
    ("--no-overwrite-symlinks", 8),
    ("--no-ignore-permission-errors", 20),
    ("--parallel=1", 30),
    ("--shallow=2", 8),
    ("--shallow-minsize=5000", 20),
    ("--mode=local", 20),
];

fn flags(rng: &mut Rng) -> Vec<&'static str> {
    FLAGS.iter().filter(|(_, percent)| rng.below(100) < *percent).map(|(flag, _)| *flag).collect()
}

fn source(folder: &Path, seed: u64) -> RandomTree {
    let shape = TreeShape { directories: 12, files: 50, largest: 300_000, links: 6 };
    let root = folder.join(format!("source-{seed}"));
    let tree = RandomTree::create(&root, 1000 + seed, shape);
    // Holes at the start, in the middle and at the end, and nothing but one.
    let mut sparse = vec![0_u8; 500_000];
    sparse[100_001] = 1;
    sparse[300_000..320_000].fill(2);
    fs::write(root.join("sparse"), &sparse).unwrap();
    fs::write(root.join("hole"), vec![0; 70_000]).unwrap();
    for (name, mode) in [("setuid", 0o6755), ("none", 0), ("only-read", 0o444)] {
        fs::write(root.join(name), name).unwrap();
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir_all(root.join("sticky/empty")).unwrap();
    fs::set_permissions(root.join("sticky"), fs::Permissions::from_mode(0o1777)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(root.join("setuid"), Some(1234), Some(4321)).unwrap();
        std::os::unix::fs::lchown(root.join("sticky"), Some(1), Some(2)).unwrap();
        fs::set_permissions(root.join("setuid"), fs::Permissions::from_mode(0o6755)).unwrap();
    }
    tree
}

/// Gives something that `disturb` made a time that is the same in both trees.
fn stamp(path: &Path) {
    let time = filetime::FileTime::from_unix_time(1_600_000_000, 123_456_000);
    filetime::set_symlink_file_times(path, time, time).unwrap();
}

/// Changes a restored tree as its user might. The same seed changes the same.
fn disturb(target: &Path, seed: u64) {
    let mut rng = Rng::new(seed);
    let entries = list(target);
    for entry in entries.iter().skip(1) {
        let path = target.join(&entry.path);
        if path.symlink_metadata().is_err() {
            continue;
        }
        match (rng.below(12), entry.kind) {
            (0, 'f' | 's') => fs::remove_file(&path).unwrap(),
            (1, 'f') => {
                let _ = fs::remove_file(&path);
                fs::write(&path, "another content").unwrap();
                stamp(&path);
            }
            // Other attributes.
            (2, 'f') => {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            }
            (3, 's') => {
                fs::remove_file(&path).unwrap();
                symlink("elsewhere", &path).unwrap();
                stamp(&path);
            }
            // Something that the snapshot does not have.
            (4, 'd') => {
                fs::create_dir_all(path.join("extra/deep")).unwrap();
                fs::write(path.join("extra/deep/file"), "x").unwrap();
                symlink("nowhere", path.join("extra link")).unwrap();
                for name in ["extra/deep/file", "extra/deep", "extra", "extra link"] {
                    stamp(&path.join(name));
                }
            }
            // Another kind of thing.
            (5, 'f') if seed.is_multiple_of(3) => {
                fs::remove_file(&path).unwrap();
                fs::create_dir(&path).unwrap();
                stamp(&path);
            }
            (6, 'd') if seed.is_multiple_of(4) => {
                fs::remove_dir_all(&path).unwrap();
                fs::write(&path, "a file").unwrap();
                stamp(&path);
            }
            _ => {}
        }
    }
    for entry in list(target).iter().filter(|entry| entry.kind == 'd') {
        stamp(&target.join(&entry.path));
    }
}

/// The targets of both programs in the same state.
fn targets(pair: &Pair, name: &str, earlier: Option<&str>, seed: u64) -> [PathBuf; 2] {
    [&pair.kopist, &pair.kopia].map(|client| {
        let target = client.folder().join(name);
        if let Some(earlier) = earlier {
            pair.kopia.ok(&["restore", earlier, target.to_str().unwrap()]);
            disturb(&target, seed);
        }
        target
    })
}

fn round(pair: &Pair, seed: u64) {
    let mut rng = Rng::new(seed * 7919);
    let mut tree = source(pair.folder.path(), seed);
    let either = |rng: &mut Rng| -> Client {
        if rng.below(2) == 0 { pair.kopist.clone() } else { pair.kopia.clone() }
    };
    let earlier = snapshot(&either(&mut rng), tree.root());
    tree.change(15);
    let made = snapshot(&either(&mut rng), tree.root());
    pair.kopia.ok(&["cache", "clear"]);
    for number in 0..3 {
        let flags = flags(&mut rng);
        let over = (number > 0).then(|| id(&earlier));
        let name = format!("target-{seed}-{number}");
        let targets = targets(pair, &name, over, seed + number);
        let what = format!("seed {seed}, restore {number}, flags {flags:?}");
        let outcomes =
            [(&pair.kopist, &targets[0]), (&pair.kopia, &targets[1])].map(|(client, target)| {
                let arguments =
                    [&["restore", id(&made), target.to_str().unwrap()], flags.as_slice()].concat();
                client.run(&arguments)
            });
        let [ours, theirs] = &outcomes;
        if theirs.stderr.contains("Restored 0 files, 1 directories and 0 ") && ours.code == 1 {
            // Where not even the root can be restored, ignoring that is no success.
            continue;
        }
        assert_eq!(ours.code, theirs.code, "{what}\n{ours}\n{theirs}");
        if ours.code != 0 {
            // How much was done before the first error is chance.
            continue;
        }
        let summary = |outcome: &kopist_testkit::oracle::Outcome| {
            let line = outcome.stderr.lines().find(|line| line.starts_with("Restored "));
            line.unwrap_or_default().to_owned()
        };
        let had_errors = theirs.stderr.contains(", ignored ");
        assert_eq!(summary(ours).contains(", ignored "), had_errors, "{what}\n{ours}\n{theirs}");
        let deletes = flags.contains(&"--delete-extra");
        if !had_errors && !deletes {
            assert_eq!(summary(ours), summary(theirs), "{what}\n{ours}\n{theirs}");
        }
        let mut lists = targets.map(|target| {
            let mut entries = list(&target);
            for entry in &mut entries {
                let is_around = entry.kind == 'd' && entry.path.ends_with(".kopia-entry");
                if is_around || (flags.contains(&"--skip-times")) {
                    entry.mtime_ns = 0;
                }
            }
            entries
        });
        // Giving a file to another owner clears these bits; kopia does not see that they are gone.
        let bits = |mode: &Option<String>| {
            mode.as_deref().and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or(0)
        };
        let [ours_listed, theirs_listed] = &mut lists;
        for (ours, theirs) in ours_listed.iter().zip(theirs_listed) {
            if ours.path == "setuid" && bits(&ours.mode) == bits(&theirs.mode) | 0o6000 {
                theirs.mode.clone_from(&ours.mode);
            }
        }
        let how = if had_errors {
            // kopia leaves the directories above an error as they are.
            Comparison { directory_times: false, modes: false, root: false, ..Comparison::full() }
        } else {
            Comparison::full()
        };
        let found = compare(&lists[1], &lists[0], how);
        assert!(found.is_empty(), "{what}:\n{found}\n{ours}\n{theirs}");
    }
}

#[test]
fn random_restores_agree() {
    let Some(pair) = Pair::created_by_kopia("random_restores_agree", &[]) else { return };
    let rounds = std::env::var("KOPIST_RESTORE_ROUNDS").map_or(4, |n| n.parse().unwrap());
    for seed in 0..rounds {
        round(&pair, seed);
    }
}

//! Commands that read: what they print.

use super::{Compare, Exact, Lines, LinesExcept, Side, Sides, Without};

/// Free space differs from one moment to the next, and a token hides the path of the repository.
pub(super) const SPACE: &[&str] =
    &["Storage capacity:", "Storage available:", "$ kopia repository"];

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
    (&["snapshot", "list", "--all"], Exact),
    (&["snapshot", "list", "--all", "--json"], Exact),
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

/// The command lines of this file.
pub(super) fn lines() -> Vec<String> {
    let single = ["content show", "show", "list", "blob show", "manifest show", "policy show"];
    let rows = ANYWHERE.iter().map(|(words, _)| words.join(" "));
    rows.chain(single.map(str::to_owned)).collect()
}

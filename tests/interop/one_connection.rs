//! Both programs behind one connection: the same configuration, the same cache directory. That is
//! what somebody has who puts one in the place of the other, or calls both by turns.

use kopist_testkit::oracle::{self, Client};

use crate::pair::{PASSWORD, id, snapshot, snapshots};
use crate::program::program;

#[test]
fn each_sees_at_once_what_the_other_did() {
    let Some(reference) = oracle::find_or_skip("each_sees_at_once_what_the_other_did") else {
        return;
    };
    for format in ["1", "2", "3"] {
        let temp = tempfile::Builder::new().prefix("interop-").tempdir().unwrap();
        let client = temp.path().join("client");
        let kopist = Client::new(&program(), &client, PASSWORD);
        let kopia = Client::new(&reference, &client, PASSWORD);
        let source = temp.path().join("source");
        std::fs::create_dir(&source).unwrap();
        let repository = temp.path().join("repository");
        let repository = repository.to_str().unwrap();
        // kopia remembers for half a minute what it listed of the indexes: the default.
        let version = format!("--format-version={format}");
        kopia.ok(&["repository", "create", "filesystem", "--path", repository, &version]);
        let mut made = Vec::new();
        let same = |ours: usize| {
            let (kopist, kopia) = (snapshots(&kopist), snapshots(&kopia));
            assert_eq!(kopist, kopia, "format {format}");
            assert_eq!(kopist.len(), ours, "format {format}");
        };
        same(0);
        for (number, client) in [&kopist, &kopia, &kopist].into_iter().enumerate() {
            std::fs::write(source.join("file"), number.to_string()).unwrap();
            made.push(snapshot(client, &source));
            same(number + 1);
        }
        kopist.ok(&["snapshot", "delete", "--delete", id(&made[1])]);
        same(2);
        kopist.ok(&["maintenance", "run", "--full", "--safety=none"]);
        same(2);
        kopia.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
        kopia.ok(&["maintenance", "run", "--full", "--safety=none"]);
        same(2);
        kopist.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
    }
}

/// kopia keeps `kopia.repository` for a quarter of an hour.
#[test]
fn settings_of_one_are_those_of_the_other() {
    let Some(reference) = oracle::find_or_skip("settings_of_one_are_those_of_the_other") else {
        return;
    };
    let temp = tempfile::Builder::new().prefix("interop-").tempdir().unwrap();
    let client = temp.path().join("client");
    let mut kopist = Client::new(&program(), &client, PASSWORD);
    let mut kopia = Client::new(&reference, &client, PASSWORD);
    let repository = temp.path().join("repository");
    kopia.ok(&["repository", "create", "filesystem", "--path", repository.to_str().unwrap()]);
    kopia.ok(&["repository", "status"]);
    let status = ["repository", "status", "--json"];
    for size in [21, 22, 23] {
        let setter = if size == 22 { &kopia } else { &kopist };
        let flag = format!("--max-pack-size-mb={size}");
        setter.ok(&["repository", "set-parameters", &flag]);
        for reader in [&kopist, &kopia] {
            assert_eq!(reader.json(&status)["contentFormat"]["maxPackSize"], size << 20);
        }
    }
    kopist.ok(&["repository", "change-password", "--new-password=another one"]);
    for client in [&mut kopist, &mut kopia] {
        client.set("KOPIA_PASSWORD", "another one").ok(&["repository", "status"]);
        client.set("KOPIA_PASSWORD", PASSWORD);
        assert_ne!(client.run(&["repository", "status"]).code, 0);
    }
}

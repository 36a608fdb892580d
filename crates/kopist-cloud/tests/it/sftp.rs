//! SFTP, on OpenSSH.

use std::path::Path;

use kopist_blob::{
    BlobError, BlobId, BlobStore, ByteRange, PutOptions, RetryPolicy, StorageConfig, list_all,
};
use kopist_cloud::{ConnectError, ConnectOptions, connect};
use kopist_testkit::servers::{Sftp, find_or_skip, free_port};
use serde_json::{Value, json};

use crate::support::{MANY, conforms, failure, lists_many_laid, make, opens_again, processes};

#[test]
fn keeps_the_promises_of_stores() {
    let Some(server) = Sftp::start("sftp conformance", &["ed25519"]) else { return };
    conforms("sftp", |number| server.config(&format!("deep/{number}")));
}

#[test]
fn lists_many_directories() {
    let Some(server) = Sftp::start("sftp listing", &["ed25519"]) else { return };
    for (name, shards, count) in [("flat", &[][..], MANY), ("sharded", &[1, 3], 1500)] {
        let mut config = server.config(name);
        config["dirShards"] = json!(shards);
        lists_many_laid(&*make("sftp", config), &server.root.join(name), shards, count);
    }
}

/// kopia fails when the server prefers another kind of key than the one that is known.
#[test]
fn any_known_key_of_the_server_is_enough() {
    let Some(server) = Sftp::start("sftp host keys", &["ed25519", "rsa", "ecdsa"]) else { return };
    let all = std::fs::read_to_string(&server.known_hosts).unwrap();
    for (number, kind) in ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"].iter().enumerate() {
        let line = all.lines().find(|line| line.contains(kind)).unwrap();
        let mut config = server.config(&format!("r{number}"));
        config["knownHostsData"] = json!(line);
        opens_again(&*make("sftp", config));
    }
}

#[test]
fn keys_and_hosts_may_stand_in_the_configuration() {
    let Some(server) = Sftp::start("sftp embedded", &["ed25519"]) else { return };
    let mut config = server.config("r");
    config["keyData"] = json!(std::fs::read_to_string(&server.key).unwrap());
    config["knownHostsData"] = json!(std::fs::read_to_string(&server.known_hosts).unwrap());
    config["keyfile"] = json!("");
    config["knownHostsFile"] = json!("");
    opens_again(&*make("sftp", config));
}

#[test]
fn a_password_opens_it() {
    let Some(server) = Sftp::start_with_password("sftp with a password") else { return };
    let mut config = server.config("r");
    // The key is there, and the server does not take it.
    let text = failure("sftp", config.clone());
    assert!(text.contains("--keyfile"), "{text}");
    config["password"] = json!(Sftp::PASSWORD);
    opens_again(&*make("sftp", config.clone()));
    config["password"] = json!("hunter2");
    let text = failure("sftp", config);
    assert!(text.contains("--sftp-password") && !text.contains("hunter2"), "{text}");
}

#[test]
fn the_ssh_of_the_system_can_carry_it() {
    let Some(server) = Sftp::start("sftp by command", &["ed25519"]) else { return };
    let Some(_) = find_or_skip("ssh", "sftp by command") else { return };
    let mut config = by_command(&server, &server.key, &server.known_hosts, "");
    opens_again(&*make("sftp", config.clone()));
    config["sshCommand"] = json!("/nowhere/ssh");
    let text = failure("sftp", config);
    assert!(text.contains("--ssh-command"), "{text}");
}

/// The settings of a store that the `ssh` of the system reaches with these arguments.
fn by_command(server: &Sftp, key: &Path, known_hosts: &Path, more: &str) -> Value {
    let mut config = server.config("r");
    config["externalSSH"] = json!(true);
    config["sshArguments"] = json!(format!(
        "-p {} -i {} -o UserKnownHostsFile={} -o BatchMode=yes -o IdentitiesOnly=yes {more}",
        server.server.port(),
        key.display(),
        known_hosts.display()
    ));
    config
}

/// What will not pass is tried once, and each error names what to change.
#[test]
fn the_ssh_of_the_system_tells_why_it_fails() {
    let Some(server) = Sftp::start("sftp errors by command", &["ed25519"]) else { return };
    let Some(_) = find_or_skip("ssh", "sftp errors by command") else { return };
    std::fs::create_dir(server.root.join("r")).unwrap();
    let other = Sftp::start("sftp errors by command", &["ed25519"]).unwrap();
    let good = (&server.key, &server.known_hosts);
    for (name, (key, known_hosts), more, part, lasting) in [
        ("wrong key", (&other.key, good.1), "", "Permission denied", true),
        ("unknown host", (good.0, &other.known_hosts), "", "Host key verification failed", true),
        ("wrong option", good, "-o NoSuchOption=1", "configuration option", true),
        ("no server", good, "-o ProxyCommand=false", "ended", false),
    ] {
        let config = by_command(&server, key, known_hosts, more);
        let quick = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
        let options = ConnectOptions { retry: quick, ..ConnectOptions::default() };
        let error = connect(&StorageConfig::new("sftp", config), &options).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(part) && text.contains("--ssh-args"), "{name}: {text}");
        let repeated = matches!(&error, ConnectError::Store(BlobError::GaveUp { .. }));
        assert_eq!(repeated, !lasting, "{name}: {text}");
    }
}

#[test]
fn a_killed_ssh_is_started_again() {
    let Some(server) = Sftp::start("sftp by command, killed", &["ed25519"]) else { return };
    let Some(_) = find_or_skip("ssh", "sftp by command, killed") else { return };
    let config = by_command(&server, &server.key, &server.known_hosts, "");
    let store = make("sftp", config.clone());
    opens_again(&*store);
    // Its command line names this server's key, which no other program has.
    let ours = processes(&["ssh", server.key.to_str().unwrap()]);
    assert!(!ours.is_empty());
    for process in ours {
        // That of another connection may have ended by itself meanwhile.
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    }
    opens_again(&*store);
}

#[test]
fn a_jump_host_may_stand_between() {
    let Some(server) = Sftp::start("sftp by a jump host", &["ed25519"]) else { return };
    let Some(_) = find_or_skip("ssh", "sftp by a jump host") else { return };
    // Hosts before the last have no arguments but those of a configuration file; and nobody jumps
    // to a host over itself, unless by another name.
    let (file, hosts) = (server.folder().join("ssh_config"), server.folder().join("hosts"));
    let known = std::fs::read_to_string(&server.known_hosts).unwrap();
    let known = known.clone() + &known.replace("[127.0.0.1]", "[localhost]");
    std::fs::write(&hosts, known).unwrap();
    let text = format!(
        "Host *\nIdentityFile {}\nUserKnownHostsFile {}\nBatchMode yes\n",
        server.key.display(),
        hosts.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut config = server.config("r");
    let port = server.server.port();
    config["externalSSH"] = json!(true);
    config["sshArguments"] =
        json!(format!("-F {} -p {port} -J {}@localhost:{port}", file.display(), server.user()));
    opens_again(&*make("sftp", config));
}

/// Such a store can be read, as with kopia.
#[test]
fn a_server_that_cannot_replace_files_is_told() {
    let Some(server) = Sftp::start_without("sftp without renames", "posix-rename") else { return };
    let store = make("sftp", server.config("r"));
    std::fs::write(server.root.join("r/p1.f"), b"x").unwrap();
    assert_eq!(&store.get(&"p1".into(), ByteRange::Full).unwrap()[..], b"x");
    let error = store.put(&"p2".into(), &[b"x"], &PutOptions::default()).unwrap_err();
    assert!(error.to_string().contains("posix-rename@openssh.com"), "{error}");
    assert!(!error.is_retriable() && !matches!(error, BlobError::GaveUp { .. }), "{error}");
    assert_eq!(list_all(&store, "").unwrap().len(), 1);
}

/// The server tells the size; memory for it may not be had.
#[test]
fn a_file_larger_than_memory_is_an_error() {
    let Some(server) = Sftp::start("sftp and large files", &["ed25519"]) else { return };
    let Ok(large) = tempfile::tempdir_in("/dev/shm") else { return };
    let file = large.path().join("p1.f");
    std::fs::File::create(&file).unwrap().set_len(1 << 48).unwrap();
    let store = make("sftp", server.config("r"));
    std::os::unix::fs::symlink(&file, server.root.join("r/p1.f")).unwrap();
    std::os::unix::fs::symlink("nowhere", server.root.join("r/p2.f")).unwrap();
    // A link to nothing is no blob.
    assert_eq!(list_all(&store, "").unwrap().len(), 1);
    let error = store.get(&"p1".into(), ByteRange::Full).unwrap_err();
    assert!(error.to_string().contains("no memory"), "{error}");
}

#[test]
fn errors_name_what_to_change() {
    let Some(server) = Sftp::start("sftp errors", &["ed25519"]) else { return };
    std::fs::create_dir(server.root.join("r")).unwrap();
    let other = Sftp::start("sftp errors", &["ed25519"]).unwrap();
    let mut cases = Vec::new();
    let mut config = server.config("r");
    config["keyfile"] = json!(other.key);
    cases.push(("wrong key", config, "--keyfile"));
    let mut config = server.config("r");
    config["knownHostsFile"] = json!(other.known_hosts);
    cases.push(("unknown host", config, "ssh-keyscan"));
    let mut config = server.config("r");
    let lines = std::fs::read_to_string(&other.known_hosts).unwrap();
    let port = |server: &Sftp| format!(":{}", server.server.port());
    config["knownHostsData"] = json!(lines.replace(&port(&other), &port(&server)));
    cases.push(("another key of the host", config, "--known-hosts"));
    let mut config = server.config("r");
    config["port"] = json!(free_port());
    cases.push(("no server", config, "no key for 127.0.0.1 port"));
    let mut config = server.config("r");
    config["keyfile"] = json!("");
    cases.push(("no key", config, "--key-data"));
    for (name, config, part) in cases {
        let text = failure("sftp", config);
        assert!(text.contains(part), "{name}: {text}");
    }
    let config = StorageConfig::new("sftp", server.config("missing"));
    let error = connect(&config, &ConnectOptions::default()).unwrap_err();
    assert!(
        matches!(&error, ConnectError::Store(BlobError::Inaccessible { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound),
        "{error}"
    );
}

#[test]
fn a_lost_connection_is_made_again() {
    let Some(mut server) = Sftp::start("sftp reconnects", &["ed25519"]) else { return };
    let store = make("sftp", server.config("r"));
    opens_again(&*store);
    server.server.restart();
    opens_again(&*store);
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    let Some(server) = Sftp::start_on_small_disk("sftp on a full disk", 8 << 20) else { return };
    let store = make("sftp", server.config("r"));
    let id = |n: u8| BlobId::from(format!("p{n:031x}-s1"));
    let content = |n: u8| vec![n; 1 << 20];
    let put = |n: u8| store.put(&id(n), &[&content(n)], &PutOptions::default());
    let mut kept = 0;
    let error = loop {
        match put(kept) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, BlobError::NoSpace { .. }), "{error}");
    assert!(kept >= 6, "{kept}");
    assert_eq!(list_all(&store, "").unwrap().len(), usize::from(kept));
    for n in 0..kept {
        assert_eq!(store.get(&id(n), ByteRange::Full).unwrap(), content(n));
    }
    // The remains are gone: what one blob frees has room for another.
    store.delete(&id(0)).unwrap();
    put(100).unwrap();
}

//! SFTP, on OpenSSH.

use kopist_blob::{BlobError, StorageConfig};
use kopist_cloud::{ConnectError, ConnectOptions, connect};
use kopist_testkit::servers::{Sftp, find_or_skip, free_port};
use serde_json::json;

use crate::support::{conforms, failure, lists_many, make, opens_again};

#[test]
fn keeps_the_promises_of_stores() {
    let Some(server) = Sftp::start("sftp conformance", &["ed25519"]) else { return };
    conforms("sftp", |number| server.config(&format!("deep/{number}")));
}

#[test]
fn lists_many_directories() {
    let Some(server) = Sftp::start("sftp listing", &["ed25519"]) else { return };
    let mut config = server.config("flat");
    config["dirShards"] = json!([]);
    lists_many(&*make("sftp", config), crate::support::MANY);
    lists_many(&*make("sftp", server.config("sharded")), 1500);
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
fn the_ssh_of_the_system_can_carry_it() {
    let Some(server) = Sftp::start("sftp by command", &["ed25519"]) else { return };
    let Some(_) = find_or_skip("ssh", "sftp by command") else { return };
    let mut config = server.config("r");
    config["externalSSH"] = json!(true);
    config["sshArguments"] = json!(format!(
        "-p {} -i {} -o UserKnownHostsFile={} -o BatchMode=yes",
        server.server.port(),
        server.key.display(),
        server.known_hosts.display()
    ));
    opens_again(&*make("sftp", config.clone()));
    config["sshCommand"] = json!("/nowhere/ssh");
    let text = failure("sftp", config);
    assert!(text.contains("--ssh-command"), "{text}");
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

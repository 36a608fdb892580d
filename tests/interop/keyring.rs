//! Passwords in the keyring of a desktop: what one program keeps there, the other finds.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kopist_testkit::servers::find_or_skip;

use crate::pair::{Pair, connect, create};

/// How long the keyring may take to start.
const PATIENCE: Duration = Duration::from_mins(2);

/// A session with a bus and GNOME's keyring, unlocked.
struct Session {
    running: Vec<Child>,
    address: String,
}

impl Session {
    fn start(test: &str, folder: &Path) -> Option<Self> {
        let bus = find_or_skip("dbus-daemon", test)?;
        let send = find_or_skip("dbus-send", test)?;
        let keyring = find_or_skip("gnome-keyring-daemon", test)?;
        let folder = folder.join("session");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        let socket = folder.join("bus");
        let address = format!("unix:path={}", socket.display());
        let log = fs::File::create(folder.join("log")).unwrap();
        let start = |program: &PathBuf| {
            let mut command = Command::new(program);
            command
                .env("DBUS_SESSION_BUS_ADDRESS", &address)
                .env("HOME", &folder)
                .env("XDG_RUNTIME_DIR", &folder)
                .env("XDG_DATA_HOME", &folder)
                .stdin(Stdio::piped())
                .stdout(log.try_clone().unwrap())
                .stderr(log.try_clone().unwrap());
            command
        };
        let mut session = Self { running: Vec::new(), address: address.clone() };
        let at = format!("--address={address}");
        session.running.push(start(&bus).args(["--session", "--nofork", &at]).spawn().unwrap());
        wait(|| socket.exists());
        let unlocked = ["--foreground", "--unlock", "--components=secrets", "--control-directory"];
        let mut keyring = start(&keyring).args(unlocked).arg(&folder).spawn().unwrap();
        keyring.stdin.take().unwrap().write_all(b"of the keyring itself").unwrap();
        session.running.push(keyring);
        let question = [
            "--print-reply",
            "--dest=org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus.NameHasOwner",
            "string:org.freedesktop.secrets",
        ];
        wait(|| {
            let answer = start(&send).args(question).stdout(Stdio::piped()).output().unwrap();
            String::from_utf8_lossy(&answer.stdout).contains("boolean true")
        });
        Some(session)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait(ready: impl Fn() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < PATIENCE, "the keyring does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn passwords_in_the_keyring_serve_both() {
    let test = "passwords_in_the_keyring_serve_both";
    let Some(mut pair) = Pair::new(test) else { return };
    let Some(session) = Session::start(test, pair.folder.path()) else { return };
    let config = pair.folder.path().join("repository.config");
    let file = pair.folder.path().join("repository.config.kopia-password");
    for client in [&mut pair.kopist, &mut pair.kopia] {
        client.set("DBUS_SESSION_BUS_ADDRESS", &session.address);
        client.set("KOPIA_USE_KEYRING", "true");
        client.set("KOPIA_CONFIG_PATH", &config);
    }
    let knowing = (pair.kopist.clone(), pair.kopia.clone());
    for client in [&mut pair.kopist, &mut pair.kopia] {
        client.set("KOPIA_PASSWORD", "");
    }

    create(&knowing.1, &pair.repository, &[]);
    assert!(!file.exists());
    pair.kopist.ok(&["snapshot", "list", "--all"]);
    pair.kopist.ok(&["repository", "disconnect"]);

    // The password of a connection goes with it.
    let copy = pair.folder.path().join("copy");
    fs::write(&copy, "").unwrap();
    connect(&knowing.0, &pair.repository);
    assert!(!file.exists());
    fs::copy(&config, &copy).unwrap();
    pair.kopia.ok(&["snapshot", "list", "--all"]);
    pair.kopist.ok(&["repository", "change-password", "--new-password=another"]);
    pair.kopist.ok(&["snapshot", "list", "--all"]);
    pair.kopist.ok(&["repository", "disconnect"]);
    fs::copy(&copy, &config).unwrap();
    for client in [&pair.kopia, &pair.kopist] {
        let forgotten = client.run(&["snapshot", "list", "--all"]);
        assert_ne!(forgotten.code, 0, "{forgotten:?}");
    }

    // Where there is no keyring, nothing is kept in a file instead.
    let mut lonely = knowing.0.clone();
    lonely.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus");
    lonely.set("KOPIA_PASSWORD", "another");
    let repository = pair.repository.to_str().unwrap();
    let refused = lonely.run(&["repository", "connect", "filesystem", "--path", repository]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.stderr.contains("--use-keyring"), "{refused:?}");
    assert!(!file.exists());
}

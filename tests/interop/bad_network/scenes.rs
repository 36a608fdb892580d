//! Each storage with a line to it that can be made to fail.

use std::time::Duration;

use kopist_testkit::proxy::{Faults, Line, Proxy, Weather};
use kopist_testkit::servers::{
    Azure, B2, B2_KEY, B2_KEY_ID, Dav, Drive, Gcs, S3, Server, Sftp, find_or_skip,
};
use serde_json::json;

use crate::place::Place;

/// Requests of a command that pass before something happens to it: it is in the middle then.
const SPARED: u64 = 4;

/// Refusals of each kind in a storm: no single request is tried so often in vain that it gives up.
const STORM: u64 = 3;

pub(super) struct Scene {
    pub(super) place: Place,
    /// What an error says, one or the other, after the credentials have expired.
    pub(super) expiry: Vec<&'static str>,
    /// The same for a server that is gone.
    pub(super) death: Vec<&'static str>,
    stage: Stage,
    server: Played,
}

enum Stage {
    /// Requests can be told apart.
    Requests {
        proxy: Proxy,
        /// Status and body of the answer that the credentials have expired.
        expired: (u16, &'static str),
    },
    /// There are only bytes.
    Bytes(Line),
}

/// What stands behind the line.
enum Played {
    S3(S3),
    Gcs(Gcs),
    Dav(Dav),
    Sftp(Sftp),
    Azure(Azure),
    B2(B2),
    Drive(Drive),
}

impl Played {
    fn program(&mut self) -> &mut Server {
        match self {
            Self::S3(s3) => &mut s3.server,
            Self::Gcs(gcs) => &mut gcs.server,
            Self::Dav(dav) => &mut dav.server,
            Self::Sftp(sftp) => &mut sftp.server,
            Self::Azure(azure) => &mut azure.server,
            Self::B2(b2) => &mut b2.server,
            Self::Drive(drive) => &mut drive.server,
        }
    }
}

fn refusing(status: u16, body: &str, spared: u64) -> Faults {
    Faults { refused: 1.0, status, body: body.to_owned(), spared, ..Faults::default() }
}

impl Scene {
    /// One request in twenty goes wrong in each of the ways there are.
    pub(super) fn misbehave(&self) {
        match &self.stage {
            Stage::Requests { proxy, .. } => proxy.set(Faults {
                refused: 0.05,
                cut: 0.05,
                lost: 0.05,
                hung_up: 0.05,
                slow: 0.05,
                ..Faults::default()
            }),
            Stage::Bytes(line) => line.set(Weather {
                cut_sending: 10 << 20,
                cut_receiving: 10 << 20,
                slow: Duration::from_millis(1),
                ..Weather::default()
            }),
        }
    }

    /// How much has gone wrong so far.
    pub(super) fn faults(&self) -> u64 {
        match &self.stage {
            Stage::Requests { proxy, .. } => {
                proxy.traffic().faults.load(std::sync::atomic::Ordering::Relaxed)
            }
            Stage::Bytes(line) => line.breaks(),
        }
    }

    pub(super) fn before_the_storm(&self) {
        match &self.stage {
            Stage::Requests { proxy, .. } => proxy.set(refusing(503, "", SPARED)),
            Stage::Bytes(line) => hold(line),
        }
    }

    /// A storm that ends by itself. Something is running.
    pub(super) fn storm(&self) {
        match &self.stage {
            Stage::Requests { proxy, .. } => {
                proxy.wait_for_faults(STORM);
                proxy.set(refusing(429, "", 0));
                proxy.wait_for_faults(STORM);
                proxy.set(Faults::default());
            }
            Stage::Bytes(line) => {
                line.wait_until_held();
                line.set(Weather { down: true, ..Weather::default() });
                line.wait_for_connections(2 * STORM);
                line.set(Weather::default());
            }
        }
    }

    pub(super) fn before_expiry(&self) {
        match &self.stage {
            Stage::Requests { proxy, expired } => proxy.set(refusing(expired.0, expired.1, SPARED)),
            Stage::Bytes(line) => hold(line),
        }
    }

    /// The credentials are no longer good.
    pub(super) fn expire(&self) {
        if let (Stage::Bytes(line), Played::Sftp(server)) = (&self.stage, &self.server) {
            line.wait_until_held();
            std::fs::write(server.folder().join("authorized_keys"), "").unwrap();
            line.break_all();
            line.set(Weather::default());
        }
    }

    pub(super) fn before_death(&self) {
        match &self.stage {
            Stage::Requests { proxy, .. } => {
                proxy.set(Faults { hung_up: 1.0, spared: SPARED, ..Faults::default() });
            }
            Stage::Bytes(line) => hold(line),
        }
    }

    /// The server is killed.
    pub(super) fn die(&mut self) {
        match &self.stage {
            Stage::Requests { proxy, .. } => proxy.wait_for_faults(1),
            Stage::Bytes(line) => line.wait_until_held(),
        }
        self.server.program().kill();
        match &self.stage {
            Stage::Requests { proxy, .. } => {
                proxy.wait_for_faults(1);
                proxy.set(Faults::default());
            }
            Stage::Bytes(line) => {
                line.break_all();
                line.set(Weather::default());
            }
        }
    }

    /// Everything is as good as new.
    pub(super) fn heal(&mut self) {
        if let Played::Sftp(server) = &self.server {
            let folder = server.folder();
            std::fs::copy(folder.join("client.pub"), folder.join("authorized_keys")).unwrap();
        }
        self.server.program().restart();
        match &self.stage {
            Stage::Requests { proxy, .. } => proxy.set(Faults::default()),
            Stage::Bytes(line) => line.set(Weather::default()),
        }
    }
}

/// Everything stands still in the middle of the next command.
fn hold(line: &Line) {
    line.set(Weather { hold_after: 20_000, ..Weather::default() });
}

const LOST: [&str; 2] = ["check the network", "--endpoint"];

pub(super) fn s3() -> Option<Scene> {
    let server = S3::start("s3 and a bad network")?;
    server.make_bucket("bucket");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let place = Place::new(&[
        "s3",
        "--bucket=bucket",
        "--endpoint",
        &proxy.address(),
        "--disable-tls",
        "--access-key",
        S3::KEY_ID,
        "--secret-access-key",
        S3::SECRET,
    ]);
    let body = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.\
                </Message></Error>";
    let stage = Stage::Requests { proxy, expired: (400, body) };
    let expiry = vec!["--session-token"];
    Some(Scene { place, expiry, death: LOST.to_vec(), stage, server: Played::S3(server) })
}

pub(super) fn gcs() -> Option<Scene> {
    let server = Gcs::start("gcs and a bad network")?;
    server.make_bucket("gbucket");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let place = Place::new(&["gcs", "--bucket=gbucket", "--prefix=x/"])
        .with("STORAGE_EMULATOR_HOST", proxy.address());
    let body = r#"{"error":{"code":401,"message":"Invalid Credentials","errors":
        [{"reason":"authError"}]}}"#;
    let stage = Stage::Requests { proxy, expired: (401, body) };
    let expiry = vec!["--credentials-file"];
    let death = vec!["check the network", "STORAGE_EMULATOR_HOST"];
    Some(Scene { place, expiry, death, stage, server: Played::Gcs(server) })
}

pub(super) fn azure() -> Option<Scene> {
    let server = Azure::start("azure and a bad network")?;
    server.make_container("kcont");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let place = Place::by_token("azureBlob", &server.config_at(proxy.port(), "kcont", "x/"));
    let body = "<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Signature \
                not valid in the specified time frame</Message></Error>";
    let stage = Stage::Requests { proxy, expired: (403, body) };
    let expiry = vec!["--storage-key"];
    let death = vec!["check the network", "--storage-account"];
    Some(Scene { place, expiry, death, stage, server: Played::Azure(server) })
}

pub(super) fn b2() -> Option<Scene> {
    let server = B2::start("b2 and a bad network")?;
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let config = json!({
        "bucket": "kbucket", "keyID": B2_KEY_ID, "key": B2_KEY,
        "endpoint": format!("http://{}", proxy.address()),
    });
    let place = Place::by_token("b2", &config);
    let body = r#"{"status":401,"code":"expired_auth_token","message":""}"#;
    let stage = Stage::Requests { proxy, expired: (401, body) };
    let expiry = vec!["--key-id and --key"];
    let death = vec!["check the network"];
    Some(Scene { place, expiry, death, stage, server: Played::B2(server) })
}

pub(super) fn gdrive() -> Option<Scene> {
    let server = Drive::start("gdrive and a bad network")?;
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let config = json!({
        "folderID": "folder1", "credentials": server.service_account(),
        "endpoint": format!("http://{}", proxy.address()),
    });
    let place = Place::by_token("gdrive", &config);
    let body = r#"{"error":{"code":401,"message":"Invalid Credentials","errors":
        [{"reason":"authError"}]}}"#;
    let stage = Stage::Requests { proxy, expired: (401, body) };
    let expiry = vec!["--credentials-file"];
    let death = vec!["check the network"];
    Some(Scene { place, expiry, death, stage, server: Played::Drive(server) })
}

pub(super) fn webdav() -> Option<Scene> {
    let server = Dav::start("webdav and a bad network")?;
    server.make_collection("d");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let url = format!("http://{}/d", proxy.address());
    let place = Place::new(&["webdav", "--url", &url, "--webdav-username", Dav::USER])
        .with("KOPIA_WEBDAV_PASSWORD", Dav::PASSWORD);
    let stage = Stage::Requests { proxy, expired: (401, "") };
    let expiry = vec!["--webdav-password"];
    let death = vec!["check the network", "--url"];
    Some(Scene { place, expiry, death, stage, server: Played::Dav(server) })
}

pub(super) fn sftp() -> Option<Scene> {
    let server = Sftp::start("sftp and a bad network", &["ed25519"])?;
    let line = Line::start(server.server.port(), Weather::default());
    let hosts = std::fs::read_to_string(&server.known_hosts).unwrap();
    let (old, new) = (format!("]:{} ", server.server.port()), format!("]:{} ", line.port()));
    let place = Place::new(&[
        "sftp",
        "--path",
        &server.root.join("r").display().to_string(),
        "--host=127.0.0.1",
        "--port",
        &line.port().to_string(),
        "--username",
        &server.user(),
        "--keyfile",
        &server.key.display().to_string(),
        "--known-hosts-data",
        &hosts.replace(&old, &new),
    ]);
    let expiry = vec!["--keyfile"];
    let death = vec!["--host and --port"];
    let stage = Stage::Bytes(line);
    Some(Scene { place, expiry, death, stage, server: Played::Sftp(server) })
}

/// rclone with a bucket, to which it has the bad line.
pub(super) fn rclone() -> Option<Scene> {
    find_or_skip("rclone", "rclone and a bad network")?;
    let server = S3::start("rclone and a bad network")?;
    server.make_bucket("bucket");
    let proxy = Proxy::start(server.server.port(), Faults::default());
    let config = format!(
        "[remote]\ntype = s3\nprovider = Other\naccess_key_id = {}\nsecret_access_key = {}\n\
         endpoint = http://{}\nforce_path_style = true\n",
        S3::KEY_ID,
        S3::SECRET,
        proxy.address()
    );
    let config = json!({
        "remotePath": "remote:bucket/x", "startupTimeout": "60s", "atomicWrites": true,
        "dirShards": null, "embeddedConfig": config,
        "rcloneArgs": ["--low-level-retries=5"],
    });
    let place = Place::by_token("rclone", &config);
    let body = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.\
                </Message></Error>";
    let stage = Stage::Requests { proxy, expired: (400, body) };
    let expiry = vec!["the configuration of rclone"];
    let death = vec!["the configuration of rclone"];
    Some(Scene { place, expiry, death, stage, server: Played::S3(server) })
}

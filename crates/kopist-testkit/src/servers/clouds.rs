//! Object stores.

use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::tls::Certificates;
use super::{Server, find_or_skip, folder, free_port, text};
use crate::testdata;

/// versitygw: S3 with versions and object locks.
#[derive(Debug)]
pub struct S3 {
    /// The program.
    pub server: Server,
    /// `127.0.0.1:port`, or `localhost:port` with TLS.
    pub endpoint: String,
    /// With TLS, what it uses.
    pub certificates: Option<Certificates>,
    _folder: tempfile::TempDir,
}

impl S3 {
    /// The id of its key.
    pub const KEY_ID: &'static str = "AKIATEST";
    /// The key.
    pub const SECRET: &'static str = "secretsecret";

    /// Without TLS.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, false)
    }

    /// With TLS.
    pub fn start_tls(test: &str) -> Option<Self> {
        Self::start_with(test, true)
    }

    fn start_with(test: &str, tls: bool) -> Option<Self> {
        let program = find_or_skip("versitygw", test)?;
        let folder = folder();
        let (data, versions) = (folder.path().join("data"), folder.path().join("versions"));
        std::fs::create_dir_all(&data).expect("its folder");
        std::fs::create_dir_all(&versions).expect("its folder");
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut arguments = vec!["--port", &address];
        let certificates = tls.then(|| Certificates::make(folder.path()));
        if let Some(certificates) = &certificates {
            arguments.extend(["--cert", text(&certificates.certificate)]);
            arguments.extend(["--key", text(&certificates.key)]);
        }
        arguments.extend(["posix", "--versioning-dir", text(&versions), text(&data)]);
        let keys = [("ROOT_ACCESS_KEY", Self::KEY_ID), ("ROOT_SECRET_KEY", Self::SECRET)];
        let server = Server::start(&program, &arguments, &keys, folder.path(), port);
        let endpoint = if tls { format!("localhost:{port}") } else { address.clone() };
        Some(Self { server, endpoint, certificates, _folder: folder })
    }

    /// Makes a bucket.
    pub fn make_bucket(&self, name: &str) {
        self.ask("PUT", &format!("/{name}"), &[], "");
    }

    /// Makes a bucket whose objects can be locked, and which keeps versions.
    pub fn make_locking_bucket(&self, name: &str) {
        let lock = ["x-amz-bucket-object-lock-enabled: true"];
        self.ask("PUT", &format!("/{name}"), &lock, "");
        self.ask(
            "PUT",
            &format!("/{name}?versioning="),
            &[],
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Status>Enabled</Status></VersioningConfiguration>",
        );
    }

    /// Sends a signed request and returns the body of the answer.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--fail-with-body", "--insecure"])
            .args(["--request", method, "--aws-sigv4", "aws:amz:us-east-1:s3"])
            .args(["--user", &format!("{}:{}", Self::KEY_ID, Self::SECRET)])
            .args([
                "--header",
                &format!("x-amz-content-sha256: {}", hex::encode(Sha256::digest(body))),
            ])
            .args(headers.iter().flat_map(|header| ["--header", header]));
        if !body.is_empty() {
            command.args(["--data-binary", body]);
        }
        let output = command
            .arg(format!("{scheme}://{}{path}", self.endpoint))
            .output()
            .expect("curl is installed");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{method} {path}: {errors}{answer}\n{}",
            self.server.log()
        );
        answer
    }

    /// The settings of a store in a bucket.
    pub fn config(&self, bucket: &str, prefix: &str) -> Value {
        self.config_at(&self.endpoint, bucket, prefix)
    }

    /// The same through another address.
    pub fn config_at(&self, endpoint: &str, bucket: &str, prefix: &str) -> Value {
        let mut config = json!({
            "bucket": bucket, "prefix": prefix, "endpoint": endpoint,
            "accessKeyID": Self::KEY_ID, "secretAccessKey": Self::SECRET, "sessionToken": "",
            "roleARN": "", "sessionName": "", "duration": "0s", "roleEndpoint": "",
            "roleRegion": "",
        });
        match &self.certificates {
            Some(certificates) => {
                config["rootCA"] = json!(base64(&certificates.authority_pem()));
            }
            None => config["doNotUseTLS"] = json!(true),
        }
        config
    }
}

/// HMAC-SHA256 (RFC 2104) with a key of up to 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad =
        |with: u8| (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

/// The key of Azurite's account, decoded.
fn azure_key() -> Vec<u8> {
    let value = |digit: u8| match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u32> =
        AZURE_KEY.trim_end_matches('=').bytes().map(|digit| u32::from(value(digit))).collect();
    digits
        .chunks(4)
        .flat_map(|four| {
            let bits = (0..4).fold(0, |bits, at| bits << 6 | four.get(at).copied().unwrap_or(0));
            (0..four.len() - 1).map(move |at| (bits >> (16 - 8 * at)) as u8)
        })
        .collect()
}

/// Base64 of the standard alphabet, for tests that need no crate for it.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at)) & 63;
            out.push(if at <= chunk.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    out
}

/// fake-gcs-server: Google Cloud Storage with generations.
#[derive(Debug)]
pub struct Gcs {
    /// The program.
    pub server: Server,
    /// `http://127.0.0.1:port`.
    pub endpoint: String,
    keeps_generations: bool,
    _folder: tempfile::TempDir,
}

impl Gcs {
    /// Starts it.
    pub fn start(test: &str) -> Option<Self> {
        let program = find_or_skip("fake-gcs-server", test)?;
        let folder = folder();
        let port = free_port();
        let host = format!("127.0.0.1:{port}");
        let endpoint = format!("http://{host}");
        let number = port.to_string();
        let data = folder.path().join("data");
        let arguments = [
            "-scheme",
            "http",
            "-host",
            "127.0.0.1",
            "-port",
            &number,
            "-public-host",
            &host,
            "-external-url",
            &endpoint,
            "-backend",
            "filesystem",
            "-filesystem-root",
            text(&data),
        ];
        // Its files keep no generations; what needs them asks for memory.
        let keeps_generations = test.contains("past");
        let arguments = if keeps_generations {
            let mut inside = arguments.to_vec();
            inside.truncate(10);
            inside.extend(["-backend", "memory"]);
            inside
        } else {
            arguments.to_vec()
        };
        let server = Server::start(&program, &arguments, &[], folder.path(), port);
        Some(Self { server, endpoint, keeps_generations, _folder: folder })
    }

    /// Makes a bucket, which keeps generations if the server can.
    pub fn make_bucket(&self, name: &str) {
        let versioning = json!({"enabled": self.keeps_generations});
        let body = json!({"name": name, "versioning": versioning}).to_string();
        let url = format!("{}/storage/v1/b?project=p", self.endpoint);
        curl(&[
            "--request",
            "POST",
            "--header",
            "content-type: application/json",
            "--data",
            &body,
            &url,
        ]);
    }
}

fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail-with-body"])
        .args(arguments)
        .output()
        .expect("curl is installed");
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {errors}{answer}");
    answer
}

/// Azurite: Azure Blob Storage without versions and locks.
#[derive(Debug)]
pub struct Azure {
    /// The program.
    pub server: Server,
    /// With TLS, what it uses.
    pub certificates: Option<Certificates>,
    _folder: tempfile::TempDir,
}

/// The account that Azurite has.
pub const AZURE_ACCOUNT: &str = "devstoreaccount1";

/// The key of that account, which Azurite's documentation publishes.
pub const AZURE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

impl Azure {
    /// Without TLS.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, false)
    }

    /// With TLS, believing tokens of Entra ID that claim the right things, whoever signed them.
    pub fn start_believing_tokens(test: &str) -> Option<Self> {
        Self::start_with(test, true)
    }

    fn start_with(test: &str, tls: bool) -> Option<Self> {
        let program = find_or_skip("azurite-blob", test)?;
        let folder = folder();
        let port = free_port();
        let number = port.to_string();
        let data = folder.path().join("data");
        let arguments = [
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            &number,
            "-l",
            text(&data),
            "--skipApiVersionCheck",
            "--disableTelemetry",
            "--silent",
        ];
        let mut arguments = arguments.to_vec();
        let certificates = tls.then(|| Certificates::make(folder.path()));
        if let Some(certificates) = &certificates {
            arguments.extend(["--cert", text(&certificates.certificate)]);
            arguments.extend(["--key", text(&certificates.key), "--oauth", "basic"]);
        }
        // It writes its tables down every five seconds, and at its end.
        let server = Server::start(&program, &arguments, &[], folder.path(), port).forgetful();
        Some(Self { server, certificates, _folder: folder })
    }

    /// A shared access signature for some of the rights `rwdlac` on all that the account has.
    pub fn signature(&self, rights: &str) -> String {
        let expiry = "2099-01-01T00:00:00Z";
        let text = format!("{AZURE_ACCOUNT}\n{rights}\nb\nsco\n\n{expiry}\n\n\n2018-11-09\n");
        let signature = base64(&hmac(&azure_key(), text.as_bytes()));
        let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        format!("sv=2018-11-09&ss=b&srt=sco&sp={rights}&se={expiry}&sig={signature}")
    }

    /// Makes a container.
    pub fn make_container(&self, name: &str) {
        let host = format!("{AZURE_ACCOUNT}.{}", self.domain());
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        let signature = self.signature("rwdlac");
        curl(&[
            "--insecure",
            "--request",
            "PUT",
            "--header",
            "content-length: 0",
            "--resolve",
            &format!("{host}:127.0.0.1"),
            &format!("{scheme}://{host}/{name}?restype=container&{signature}"),
        ]);
    }

    /// The domain below which the account is a host.
    pub fn domain(&self) -> String {
        Self::domain_at(self.server.port())
    }

    /// The same through another port of this machine.
    pub fn domain_at(port: u16) -> String {
        format!("blob.localhost:{port}")
    }

    /// The settings of a store in a container.
    pub fn config(&self, container: &str, prefix: &str) -> Value {
        self.config_at(self.server.port(), container, prefix)
    }

    /// The same through another port of this machine.
    pub fn config_at(&self, port: u16, container: &str, prefix: &str) -> Value {
        json!({
            "container": container, "prefix": prefix, "storageAccount": AZURE_ACCOUNT,
            "storageKey": AZURE_KEY, "storageDomain": Self::domain_at(port),
            "doNotUseTLS": self.certificates.is_none(),
        })
    }
}

/// A fake of Backblaze B2, from the public description of its interface.
#[derive(Debug)]
pub struct B2 {
    /// The program.
    pub server: Server,
    /// `http://127.0.0.1:port`.
    pub endpoint: String,
    _folder: tempfile::TempDir,
}

/// The id of the key that the fake takes.
pub const B2_KEY_ID: &str = "keyid";
/// The key that it takes.
pub const B2_KEY: &str = "b2secret";

impl B2 {
    /// Starts it with one bucket, `kbucket`.
    pub fn start(test: &str) -> Option<Self> {
        let (server, port, folder) = fake(test, "b2.py", &["kbucket", B2_KEY_ID, B2_KEY])?;
        Some(Self { server, endpoint: format!("http://127.0.0.1:{port}"), _folder: folder })
    }
}

/// A fake of Google Drive, from the public description of its interface, which also sells
/// tokens at `/token`.
#[derive(Debug)]
pub struct Drive {
    /// The program.
    pub server: Server,
    /// `http://127.0.0.1:port`.
    pub endpoint: String,
    _folder: tempfile::TempDir,
}

impl Drive {
    /// Starts it with one folder, `folder1`.
    pub fn start(test: &str) -> Option<Self> {
        let (server, port, folder) = fake(test, "gdrive.py", &["folder1"])?;
        Some(Self { server, endpoint: format!("http://127.0.0.1:{port}"), _folder: folder })
    }

    /// Credentials of a service account that buys its tokens here.
    pub fn service_account(&self) -> Value {
        let output = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "openssl makes a key");
        json!({
            "type": "service_account", "project_id": "p", "private_key_id": "kid",
            "private_key": String::from_utf8(output.stdout).expect("PEM is text"),
            "client_email": "sa@p.iam.gserviceaccount.com",
            "token_uri": format!("{}/token", self.endpoint),
        })
    }
}

fn fake(test: &str, script: &str, arguments: &[&str]) -> Option<(Server, u16, tempfile::TempDir)> {
    let program = find_or_skip("python3", test)?;
    let folder = folder();
    let port = free_port();
    let number = port.to_string();
    let script = testdata().join("fakes").join(script);
    let mut all = vec![text(&script), &number];
    all.extend(arguments);
    let state = folder.path().join("state");
    let server =
        Server::start(&program, &all, &[("FAKE_STATE", text(&state))], folder.path(), port);
    Some((server, port, folder))
}

#[cfg(test)]
mod tests {
    use super::{AZURE_KEY, azure_key, base64, hmac};

    #[test]
    fn hmac_of_the_standard() {
        let found = hex::encode(hmac(b"Jefe", b"what do ya want for nothing?"));
        assert_eq!(found, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(base64(&azure_key()), AZURE_KEY);
    }

    #[test]
    fn base64_of_the_standard() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}

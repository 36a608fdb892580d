//! Servers of files.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::tls::Certificates;
use super::{Server, find_or_skip, folder, free_port, text};
use crate::oracle::skipped;

/// Apache with `mod_dav`.
#[derive(Debug)]
pub struct Dav {
    /// The program.
    pub server: Server,
    /// The URL of its root, with a `/` at its end.
    pub url: String,
    /// The root on the disk.
    pub root: PathBuf,
    /// With TLS, what it uses.
    pub certificates: Option<Certificates>,
    _folder: tempfile::TempDir,
}

impl Dav {
    /// The user that it knows.
    pub const USER: &'static str = "davuser";
    /// That user's password.
    pub const PASSWORD: &'static str = "davpass";

    /// Without TLS, asking for names and passwords.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, false, "Basic")
    }

    /// With TLS.
    pub fn start_tls(test: &str) -> Option<Self> {
        Self::start_with(test, true, "Basic")
    }

    /// Without TLS, asking for digests of passwords.
    pub fn start_digest(test: &str) -> Option<Self> {
        Self::start_with(test, false, "Digest")
    }

    fn start_with(test: &str, tls: bool, auth: &str) -> Option<Self> {
        let program = find_or_skip("apache2", test)?;
        let folder = folder();
        let base = folder.path();
        let root = base.join("dav");
        for name in ["dav", "lock"] {
            std::fs::create_dir(base.join(name)).expect("its folder");
        }
        let port = free_port();
        let certificates = tls.then(|| Certificates::make(base));
        std::fs::write(
            base.join("httpd.conf"),
            configuration(base, port, certificates.as_ref(), auth),
        )
        .expect("its configuration");
        write_password(base, auth);
        give_to_nobody(base);
        // One process, so that killing it leaves no children that go on serving.
        let arguments = ["-f", text(&base.join("httpd.conf")), "-X"].map(str::to_owned);
        let server = Server::start(&program, &arguments, &[], base, port);
        let scheme = if tls { "https" } else { "http" };
        let host = if tls { "localhost" } else { "127.0.0.1" };
        let url = format!("{scheme}://{host}:{port}/");
        Some(Self { server, url, root, certificates, _folder: folder })
    }

    /// Makes a collection below the root.
    pub fn make_collection(&self, name: &str) {
        std::fs::create_dir(self.root.join(name)).expect("a collection");
        give_to_nobody(&self.root.join(name));
    }

    /// The settings of a store in a collection.
    pub fn config(&self, collection: &str, atomic: bool) -> Value {
        json!({
            "url": format!("{}{collection}", self.url), "username": Self::USER,
            "password": Self::PASSWORD, "atomicWrites": atomic, "dirShards": null,
        })
    }
}

fn write_password(base: &Path, auth: &str) {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    let line = if auth == "Digest" {
        // RFC 7616: MD5 of user, realm and password.
        let joined = format!("{}:dav:{}", Dav::USER, Dav::PASSWORD);
        let hash = run("sh", &["-c", &format!("printf %s '{joined}' | md5sum")]);
        format!("{}:dav:{}\n", Dav::USER, &hash[..32])
    } else {
        format!("{}:{}\n", Dav::USER, run("openssl", &["passwd", "-apr1", Dav::PASSWORD]))
    };
    std::fs::write(base.join("htpasswd"), line).expect("its passwords");
}

fn configuration(base: &Path, port: u16, tls: Option<&Certificates>, auth: &str) -> String {
    let modules = Path::new("/usr/lib/apache2/modules");
    let mut names = vec![
        "mpm_event",
        "authn_core",
        "authn_file",
        "authz_core",
        "authz_user",
        "auth_basic",
        "auth_digest",
        "dav",
        "dav_fs",
    ];
    if tls.is_some() {
        names.extend(["socache_shmcb", "ssl"]);
    }
    let mut out = String::new();
    for name in names {
        let file = modules.join(format!("mod_{name}.so"));
        if file.is_file() {
            out.extend([format!("LoadModule {name}_module {}\n", file.display())]);
        }
    }
    let base = base.display();
    out.extend([format!(
        "ServerRoot {base}\nPidFile {base}/httpd.pid\nListen 127.0.0.1:{port}\n\
         ServerName localhost\nDavLockDB {base}/lock/db\nDocumentRoot {base}/dav\n\
         ErrorLog {base}/error.log\nThreadsPerChild 64\nMaxRequestWorkers 64\n"
    )]);
    if is_root() {
        out += "User nobody\nGroup nogroup\n";
    }
    if let Some(tls) = tls {
        out.extend([format!(
            "SSLEngine on\nSSLCertificateFile {}\nSSLCertificateKeyFile {}\n",
            tls.certificate.display(),
            tls.key.display()
        )]);
    }
    let provider = if auth == "Digest" {
        format!("AuthDigestProvider file\nAuthUserFile {base}/htpasswd\n")
    } else {
        format!("AuthUserFile {base}/htpasswd\n")
    };
    out.extend([format!(
        "<Directory {base}/dav>\nDav On\nAuthType {auth}\nAuthName dav\n{provider}\
         Require valid-user\n</Directory>\n"
    )]);
    out
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Apache gives up the rights of root, so its files must not be root's.
fn give_to_nobody(folder: &Path) {
    if !is_root() {
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let status = Command::new("chown")
        .args(["-R", "nobody:nogroup", text(folder)])
        .status()
        .expect("chown is everywhere");
    assert!(status.success(), "files are given to nobody");
}

/// OpenSSH with SFTP.
#[derive(Debug)]
pub struct Sftp {
    /// The program.
    pub server: Server,
    /// The folder for repositories.
    pub root: PathBuf,
    /// The private key that opens it.
    pub key: PathBuf,
    /// The known hosts that name it.
    pub known_hosts: PathBuf,
    folder: tempfile::TempDir,
}

impl Sftp {
    /// A password that nobody has.
    pub const PASSWORD: &'static str = "sftp pass";

    /// Starts it with the host keys of these kinds.
    pub fn start(test: &str, kinds: &[&str]) -> Option<Self> {
        Self::start_with(test, kinds, &Unusual::default())
    }

    /// Starts it without what `extension` is for, such as `posix-rename`.
    pub fn start_without(test: &str, extension: &'static str) -> Option<Self> {
        let unusual = Unusual { without: Some(extension), ..Unusual::default() };
        Self::start_with(test, &["ed25519"], &unusual)
    }

    /// Starts it with a root that has room for so many bytes.
    pub fn start_on_small_disk(test: &str, bytes: u64) -> Option<Self> {
        let unusual = Unusual { room: Some(bytes), ..Unusual::default() };
        Self::start_with(test, &["ed25519"], &unusual)
    }

    /// Starts it with [`Sftp::PASSWORD`] instead of keys.
    pub fn start_with_password(test: &str) -> Option<Self> {
        let unusual = Unusual { password: true, ..Unusual::default() };
        Self::start_with(test, &["ed25519"], &unusual)
    }

    fn start_with(test: &str, kinds: &[&str], unusual: &Unusual) -> Option<Self> {
        if unusual.mounts() && !may_mount() {
            skipped(test, "this user may not mount anything");
            return None;
        }
        let program = find_or_skip("sshd", test)?;
        find_or_skip("ssh-keygen", test)?;
        let folder = folder();
        let base = folder.path();
        let port = free_port();
        let root = base.join("root");
        std::fs::create_dir(&root).expect("its folder");
        if is_root() {
            std::fs::create_dir_all("/run/sshd").expect("sshd wants this folder");
        }
        make_key(&base.join("client"), "ed25519");
        std::fs::copy(base.join("client.pub"), base.join("authorized_keys")).expect("a copy");
        let mut config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nPidFile {0}/sshd.pid\n\
             AuthorizedKeysFile {0}/authorized_keys\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nMaxStartups 100\n",
            base.display()
        );
        let (keys, password) = if unusual.password { ("no", "yes") } else { ("yes", "no") };
        let without = unusual.without.map(|name| format!("-P {name}")).unwrap_or_default();
        config.extend([format!(
            "PubkeyAuthentication {keys}\nPasswordAuthentication {password}\n\
             Subsystem sftp internal-sftp {without}\n"
        )]);
        let mut known = String::new();
        for kind in kinds {
            let file = base.join(format!("host_{kind}"));
            make_key(&file, kind);
            config.extend([format!("HostKey {}\n", file.display())]);
            let public = std::fs::read_to_string(file.with_extension("pub")).expect("a public key");
            known.extend([format!("[127.0.0.1]:{port} {public}")]);
        }
        std::fs::write(base.join("sshd_config"), config).expect("its configuration");
        let known_hosts = base.join("known_hosts");
        std::fs::write(&known_hosts, known).expect("the known hosts");
        let config = base.join("sshd_config");
        let arguments = ["-D", "-e", "-f", text(&config)];
        let server = if unusual.mounts() {
            let script = format!("{}exec \"$@\"", unusual.script(base));
            let mut all = vec!["--mount", "--propagation", "private", "sh", "-c", &script, "sh"];
            all.push(text(&program));
            all.extend(arguments);
            Server::start(Path::new("unshare"), &all, &[], base, port)
        } else {
            Server::start(&program, &arguments, &[], base, port)
        };
        Some(Self { server, root, key: base.join("client"), known_hosts, folder })
    }

    /// The user who may log in: whoever runs the test.
    pub fn user(&self) -> String {
        user()
    }

    /// A folder for keys and the like.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The settings of a store below the root.
    pub fn config(&self, path: &str) -> Value {
        json!({
            "path": self.root.join(path), "host": "127.0.0.1", "port": self.server.port(),
            "username": self.user(), "password": "", "keyfile": self.key,
            "knownHostsFile": self.known_hosts, "externalSSH": false, "sshCommand": "ssh",
            "dirShards": null,
        })
    }
}

/// How a server of SFTP differs from the usual one.
#[derive(Default)]
struct Unusual {
    /// It lacks this.
    without: Option<&'static str>,
    /// Its root has room for so many bytes.
    room: Option<u64>,
    /// It takes a password and no key.
    password: bool,
}

impl Unusual {
    /// Whether it needs mounts, which are the server's alone and go with it.
    fn mounts(&self) -> bool {
        self.room.is_some() || self.password
    }

    /// The commands that make these mounts.
    fn script(&self, base: &Path) -> String {
        let mut script = String::new();
        let base = base.display();
        if let Some(bytes) = self.room {
            script.extend([format!("mount -t tmpfs -o size={bytes} none {base}/root && ")]);
        }
        if self.password {
            // A file of passwords in which this user has ours.
            script.extend([format!(
                "hash=$(openssl passwd -6 '{}') && echo \"{}:$hash:1::::::\" > {base}/shadow && \
                 mount --bind {base}/shadow /etc/shadow && ",
                Sftp::PASSWORD,
                user()
            )]);
        }
        script
    }
}

fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["--mount", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Whoever runs the test.
fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id is everywhere");
    String::from_utf8(output.stdout).expect("a name").trim().to_owned()
}

fn make_key(file: &Path, kind: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", "", "-f", text(file)])
        .status()
        .expect("ssh-keygen is installed");
    assert!(status.success(), "ssh-keygen makes a key");
}

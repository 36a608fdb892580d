//! A place of a name on a server of each kind.

use std::path::Path;

use kopist_testkit::proxy::{Faults, Proxy};
use kopist_testkit::servers::tls::Certificates;
use kopist_testkit::servers::{Azure, B2_KEY, B2_KEY_ID, Dav, Drive, Gcs, S3, Server, Sftp};

use crate::place::Place;

/// The way to a server that plays a host of the internet.
pub(super) struct Way {
    proxy: Proxy,
    certificates: Certificates,
    folder: tempfile::TempDir,
}

impl Way {
    pub(super) fn to(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::make(folder.path());
        let proxy = Proxy::start_for_hosts(server.port(), Faults::default(), &certificates);
        Self { proxy, certificates, folder }
    }

    fn take(&self, place: Place) -> Place {
        place
            .with("HTTPS_PROXY", format!("http://{}", self.proxy.address()))
            .with("SSL_CERT_FILE", self.certificates.authority.display().to_string())
    }
}

/// In the bucket `bucket`.
pub(super) fn s3(server: &S3, name: &str) -> Place {
    Place::new(&[
        "s3",
        "--bucket=bucket",
        "--prefix",
        &format!("{name}/"),
        "--endpoint",
        &server.endpoint,
        "--disable-tls",
        "--access-key",
        S3::KEY_ID,
        "--secret-access-key",
        S3::SECRET,
    ])
}

/// In the bucket `gbucket`.
pub(super) fn gcs(server: &Gcs, name: &str) -> Place {
    Place::new(&["gcs", "--bucket=gbucket", "--prefix", &format!("{name}/")])
        .with("STORAGE_EMULATOR_HOST", server.endpoint.clone())
}

/// In the container `kcont`. kopia has no flag for a server without TLS.
pub(super) fn azure(server: &Azure, name: &str) -> Place {
    Place::by_token("azureBlob", &server.config("kcont", &format!("{name}/")))
}

pub(super) fn b2(way: &Way, name: &str) -> Place {
    way.take(Place::new(&[
        "b2",
        "--bucket=kbucket",
        "--key-id",
        B2_KEY_ID,
        "--key",
        B2_KEY,
        "--prefix",
        &format!("{name}/"),
    ]))
}

/// In a new collection.
pub(super) fn webdav(server: &Dav, name: &str) -> Place {
    server.make_collection(name);
    let url = format!("{}{name}", server.url);
    Place::new(&["webdav", "--url", &url, "--webdav-username", Dav::USER])
        .with("KOPIA_WEBDAV_PASSWORD", Dav::PASSWORD)
}

pub(super) fn sftp(server: &Sftp, name: &str) -> Place {
    Place::new(&[
        "sftp",
        "--path",
        &server.root.join(name).display().to_string(),
        "--host=127.0.0.1",
        "--port",
        &server.server.port().to_string(),
        "--username",
        &server.user(),
        "--keyfile",
        &server.key.display().to_string(),
        "--known-hosts",
        &server.known_hosts.display().to_string(),
    ])
}

/// A directory of this machine.
pub(super) fn rclone(folder: &Path, name: &str) -> Place {
    let path = folder.join(name).display().to_string();
    Place::new(&["rclone", "--remote-path", &path, "--rclone-startup-timeout=60s"])
}

pub(super) fn gdrive(server: &Drive, way: &Way, name: &str) -> Place {
    let credentials = way.folder.path().join("credentials.json");
    if !credentials.exists() {
        std::fs::write(&credentials, server.service_account().to_string()).unwrap();
    }
    way.take(Place::new(&[
        "gdrive",
        "--folder-id",
        name,
        "--credentials-file",
        &credentials.display().to_string(),
        "--embed-credentials",
    ]))
}

//! The storage providers: their flags, and a command for each below connect, create, sync-to and
//! repair.

use crate::grammar::Flag;

pub(super) const AZURE: &[Flag] = &[
    Flag::text("container", "Container.").required(),
    Flag::text("storage-account", "Storage account.").env("AZURE_STORAGE_ACCOUNT").required(),
    Flag::text("storage-key", "Key of the storage account.").env("AZURE_STORAGE_KEY"),
    Flag::text("storage-domain", "Domain of the storage.").env("AZURE_STORAGE_DOMAIN"),
    Flag::text("sas-token", "SAS token.").env("AZURE_STORAGE_SAS_TOKEN"),
    Flag::text("prefix", "Prefix of object names in the bucket."),
    Flag::text("tenant-id", "Tenant of the service principal.").env("AZURE_TENANT_ID"),
    Flag::text("client-id", "Client id of the service principal.").env("AZURE_CLIENT_ID"),
    Flag::text("client-secret", "Secret of the service principal.").env("AZURE_CLIENT_SECRET"),
    Flag::text("client-cert", "Certificate of the service principal.")
        .env("AZURE_CLIENT_CERTIFICATE"),
    Flag::text("azure-federated-token-file", "File of the federated token.")
        .env("AZURE_FEDERATED_TOKEN_FILE"),
    Flag::float("max-download-speed", "Download limit in bytes per second."),
    Flag::float("max-upload-speed", "Upload limit in bytes per second."),
    Flag::text("point-in-time", "See the storage as it was at this time (RFC 3339)."),
];

pub(super) const B2: &[Flag] = &[
    Flag::text("bucket", "Bucket.").required(),
    Flag::text("key-id", "Id of the application key.").env("B2_KEY_ID").required(),
    Flag::text("key", "Application key.").env("B2_KEY").required(),
    Flag::text("prefix", "Prefix of object names in the bucket."),
    Flag::float("max-download-speed", "Download limit in bytes per second."),
    Flag::float("max-upload-speed", "Upload limit in bytes per second."),
];

pub(super) const FILESYSTEM: &[Flag] = &[
    Flag::text("path", "Path of the repository.").required(),
    Flag::text("owner-uid", "Owner of created files, numeric."),
    Flag::text("owner-gid", "Group of created files, numeric."),
    Flag::text("file-mode", "Mode of created files, octal."),
    Flag::text("dir-mode", "Mode of created directories, octal."),
    Flag::switch("flat", "Use one flat directory."),
    Flag::int("list-parallelism", "Number of parallel listings.").hidden(),
    Flag::float("max-download-speed", "Download limit in bytes per second."),
    Flag::float("max-upload-speed", "Upload limit in bytes per second."),
];

pub(super) const FROM_CONFIG: &[Flag] = &[
    Flag::text("file", "Configuration file to copy the connection from."),
    Flag::text("token", "Reconnect token."),
    Flag::text("token-file", "File with the reconnect token."),
    Flag::switch("token-stdin", "Read the reconnect token from standard input."),
];

pub(super) const GCS: &[Flag] = &[
    Flag::text("bucket", "Bucket.").required(),
    Flag::text("prefix", "Prefix of object names in the bucket."),
    Flag::switch("read-only", "Connect for reading only."),
    Flag::existing_path("credentials-file", "File of credentials."),
    Flag::switch("embed-credentials", "Keep the credentials in the configuration."),
    Flag::float("max-download-speed", "Download limit in bytes per second."),
    Flag::float("max-upload-speed", "Upload limit in bytes per second."),
    Flag::text("point-in-time", "See the storage as it was at this time (RFC 3339)."),
];

pub(super) const GDRIVE: &[Flag] = &[
    Flag::text("folder-id", "Id of the folder.").required(),
    Flag::switch("read-only", "Connect for reading only."),
    Flag::existing_path("credentials-file", "File of credentials."),
    Flag::switch("embed-credentials", "Keep the credentials in the configuration."),
    Flag::float("max-download-speed", "Download limit in bytes per second."),
    Flag::float("max-upload-speed", "Upload limit in bytes per second."),
];

pub(super) const RCLONE: &[Flag] = &[
    Flag::text("remote-path", "Rclone remote and path.").required(),
    Flag::switch("flat", "Use one flat directory."),
    Flag::text("rclone-exe", "Rclone executable."),
    Flag::text("rclone-args", "Arguments for rclone.").repeated(),
    Flag::text("rclone-env", "Environment variables for rclone, key=value.").repeated(),
    Flag::existing_path("embed-rclone-config", "Keep this rclone configuration in the connection."),
    Flag::switch("rclone-debug", "Show the output of rclone.").hidden(),
    Flag::switch("rclone-nowait-for-transfers", "Do not wait for transfers when disconnecting.")
        .hidden(),
    Flag::int("list-parallelism", "Number of parallel listings.").hidden(),
    Flag::switch("atomic-writes", "Assume that the remote writes files atomically.")
        .default("true"),
    Flag::duration("rclone-startup-timeout", "Time that rclone may take to start.").default("15s"),
    Flag::float("max-download-speed", "Download limit in bytes per second."),
    Flag::float("max-upload-speed", "Upload limit in bytes per second."),
];

pub(super) const S3: &[Flag] = &[
    Flag::text("bucket", "Bucket.").required(),
    Flag::text("endpoint", "Host name of the service.").default("s3.amazonaws.com"),
    Flag::text("region", "Region.").default(""),
    Flag::text("access-key", "Access key id.").env("AWS_ACCESS_KEY_ID").required(),
    Flag::text("secret-access-key", "Secret access key.").env("AWS_SECRET_ACCESS_KEY").required(),
    Flag::text("session-token", "Session token.").env("AWS_SESSION_TOKEN"),
    Flag::text("prefix", "Prefix of object names in the bucket."),
    Flag::switch("disable-tls", "Use plain HTTP."),
    Flag::switch("disable-tls-verification", "Do not verify certificates."),
    Flag::float("max-download-speed", "Download limit in bytes per second."),
    Flag::float("max-upload-speed", "Upload limit in bytes per second."),
    Flag::text("point-in-time", "See the storage as it was at this time (RFC 3339)."),
    Flag::text("root-ca-pem-base64", "Root certificates, base64 of PEM.").env("ROOT_CA_PEM_BASE64"),
    Flag::text("root-ca-pem-path", "File of root certificates, PEM."),
];

pub(super) const SFTP: &[Flag] = &[
    Flag::text("path", "Path of the repository.").required(),
    Flag::text("host", "Host name of the server.").required(),
    Flag::int("port", "Port of the server.").default("22"),
    Flag::text("username", "User name.").required(),
    Flag::text("sftp-password", "Password."),
    Flag::text("keyfile", "File of the private key."),
    Flag::text("key-data", "Private key."),
    Flag::text("known-hosts", "File of known hosts."),
    Flag::text("known-hosts-data", "Known hosts."),
    Flag::switch("embed-credentials", "Keep the credentials in the configuration."),
    Flag::switch("external", "Use the external ssh command."),
    Flag::text("ssh-command", "The ssh command.").default("ssh"),
    Flag::text("ssh-args", "Arguments for the ssh command."),
    Flag::switch("flat", "Use one flat directory."),
    Flag::int("list-parallelism", "Number of parallel listings.").hidden(),
    Flag::float("max-download-speed", "Download limit in bytes per second."),
    Flag::float("max-upload-speed", "Upload limit in bytes per second."),
];

pub(super) const WEBDAV: &[Flag] = &[
    Flag::text("url", "URL of the server.").required(),
    Flag::switch("flat", "Use one flat directory."),
    Flag::text("webdav-username", "User name.").env("KOPIA_WEBDAV_USERNAME"),
    Flag::text("webdav-password", "Password.").env("KOPIA_WEBDAV_PASSWORD"),
    Flag::int("list-parallelism", "Number of parallel listings.").hidden(),
    Flag::switch("atomic-writes", "Assume that the remote writes files atomically."),
    Flag::float("max-download-speed", "Download limit in bytes per second."),
    Flag::float("max-upload-speed", "Upload limit in bytes per second."),
];

/// The commands below one that works on any storage, one for each provider:
/// `for_each_storage!("Connect to a repository", |command| command.run(run))`. Commands that stand
/// before these go between the two.
macro_rules! for_each_storage {
    ($what:literal, $($before:path,)* |$command:ident| $finish:expr) => {{
        use $crate::commands::providers::{self, for_each_storage};
        use $crate::grammar::Command;
        &[
            $(&$before,)*
            for_each_storage!(@ "azure", AZURE, concat!($what, " in Azure Blob Storage."), $command, $finish),
            for_each_storage!(@ "b2", B2, concat!($what, " in Backblaze B2."), $command, $finish),
            for_each_storage!(@ "filesystem", FILESYSTEM, concat!($what, " on a file system."), $command, $finish),
            for_each_storage!(
                @ "from-config", FROM_CONFIG,
                concat!($what, " from the storage of a configuration file or token."), $command, $finish
            ),
            for_each_storage!(@ "gcs", GCS, concat!($what, " in Google Cloud Storage."), $command, $finish),
            for_each_storage!(@ "gdrive", GDRIVE, concat!($what, " in Google Drive."), $command, $finish),
            for_each_storage!(@ "rclone", RCLONE, concat!($what, " on an rclone remote."), $command, $finish),
            for_each_storage!(@ "s3", S3, concat!($what, " in S3-compatible storage."), $command, $finish),
            for_each_storage!(@ "sftp", SFTP, concat!($what, " on an SFTP server."), $command, $finish),
            for_each_storage!(@ "webdav", WEBDAV, concat!($what, " on a WebDAV server."), $command, $finish),
        ]
    }};
    (@ $name:literal, $flags:ident, $help:expr, $command:ident, $finish:expr) => {{
        static COMMAND: Command = {
            let $command = Command::new($name, $help).flags(&[providers::$flags]);
            $finish
        };
        &COMMAND
    }};
}
pub(super) use for_each_storage;

//! Flags that several commands have in common.

use crate::grammar::Flag;

pub(super) const JSON: &[Flag] = &[
    Flag::switch("json", "Print the result as JSON."),
    Flag::switch("json-indent", "Indent the JSON result.").hidden(),
    Flag::switch("json-verbose", "Include more details in the JSON result.").hidden(),
];

pub(super) const CONNECT: &[Flag] = &[
    Flag::text("cache-directory", "Directory of the cache.").env("KOPIA_CACHE_DIRECTORY"),
    Flag::int64("content-cache-size-mb", "Size to which the content cache is swept, in MB.")
        .default("5000"),
    Flag::int64("content-cache-size-limit-mb", "Size that the content cache never exceeds, in MB."),
    Flag::duration("content-min-sweep-age", "Age below which cached contents are not swept."),
    Flag::int64("metadata-cache-size-mb", "Size to which the metadata cache is swept, in MB.")
        .default("5000"),
    Flag::int64(
        "metadata-cache-size-limit-mb",
        "Size that the metadata cache never exceeds, in MB.",
    ),
    Flag::duration("metadata-min-sweep-age", "Age below which cached metadata is not swept."),
    Flag::duration("index-min-sweep-age", "Age below which cached indexes are not swept."),
    Flag::duration(
        "max-list-cache-duration",
        "Time for which a listing of index blobs may be reused.",
    )
    .default("30s"),
    Flag::text("override-hostname", "Host name to record instead of this machine's.").hidden(),
    Flag::text("override-username", "User name to record instead of the current user's.").hidden(),
    Flag::switch("check-for-updates", "Check for updates periodically.")
        .env("KOPIA_CHECK_FOR_UPDATES")
        .default("true"),
    Flag::switch("readonly", "Connect for reading only."),
    Flag::switch(
        "permissive-cache-loading",
        "Skip damaged index blobs instead of failing (rescue only).",
    )
    .hidden(),
    Flag::text("description", "Description of the repository connection."),
    Flag::switch("enable-actions", "Allow snapshot actions."),
    Flag::duration(
        "repository-format-cache-duration",
        "Time for which the format blob may be reused.",
    )
    .hidden(),
    Flag::switch("disable-repository-format-cache", "Do not cache the format blob.").hidden(),
];

pub(super) const ID_RANGE: &[Flag] = &[
    Flag::text("prefix", "Only ids with this prefix."),
    Flag::switch("prefixed", "Only ids with a prefix."),
    Flag::switch("non-prefixed", "Only ids without prefix."),
];

pub(super) const SAFETY: &[Flag] =
    &[Flag::one_of("safety", &["full", "none"], "Safety level.").default("full")];

pub(super) const CONTROL: &[Flag] = &[
    Flag::text("address", "Address of the server.")
        .env("KOPIA_SERVER_ADDRESS")
        .default("http://127.0.0.1:51515"),
    Flag::text("server-control-username", "User name for control requests.")
        .env("KOPIA_SERVER_USERNAME")
        .default("server-control"),
    Flag::text("server-control-password", "Password for control requests.")
        .env("KOPIA_SERVER_PASSWORD"),
    Flag::text("server-username", "User name of the server.").default("server-control").hidden(),
    Flag::text("server-password", "Password of the server.").hidden(),
    Flag::text("server-cert-fingerprint", "SHA-256 fingerprint of the server's certificate.")
        .env("KOPIA_SERVER_CERT_FINGERPRINT"),
];

pub(super) const LIMITS: &[Flag] = &[
    Flag::text("download-bytes-per-second", "Download limit in bytes per second, or 'unlimited'."),
    Flag::text("upload-bytes-per-second", "Upload limit in bytes per second, or 'unlimited'."),
    Flag::text("read-requests-per-second", "Limit of read requests per second, or 'unlimited'."),
    Flag::text("write-requests-per-second", "Limit of write requests per second, or 'unlimited'."),
    Flag::text("list-requests-per-second", "Limit of list requests per second, or 'unlimited'."),
    Flag::text("concurrent-reads", "Limit of parallel reads, or 'unlimited'."),
    Flag::text("concurrent-writes", "Limit of parallel writes, or 'unlimited'."),
];

pub(super) const LOG_SELECTION: &[Flag] = &[
    Flag::switch("all", "Include everything."),
    Flag::int("latest", "Only the latest N.").short('n'),
    Flag::duration("younger-than", "Only logs younger than this."),
    Flag::duration("older-than", "Only logs older than this."),
];

pub(super) const FIX: &[Flag] = &[
    Flag::text("manifest-id", "Manifest ids of the snapshots.").repeated(),
    Flag::text("source", "Sources of the snapshots.").repeated(),
    Flag::switch("commit", "Write the result."),
    Flag::int("parallel", "Number of parallel operations."),
    Flag::one_of(
        "invalid-directory-handling",
        &["fail", "stub", "keep"],
        "What to do with directories that cannot be read.",
    )
    .default("stub"),
];

pub(super) const RESTORE: &[Flag] = &[
    Flag::switch("overwrite-directories", "Restore into directories that exist.").default("true"),
    Flag::switch("overwrite-files", "Overwrite files that exist.").default("true"),
    Flag::switch("overwrite-symlinks", "Overwrite symbolic links that exist.").default("true"),
    Flag::switch("write-sparse-files", "Write long runs of zeros as holes."),
    Flag::switch(
        "consistent-attributes",
        "Fail if several snapshots of the object have different attributes.",
    )
    .env("KOPIA_RESTORE_CONSISTENT_ATTRIBUTES"),
    Flag::one_of(
        "mode",
        &["auto", "local", "zip", "zip-nocompress", "tar", "tgz"],
        "Kind of output.",
    )
    .default("auto"),
    Flag::int("parallel", "Number of parallel operations.").default("8"),
    Flag::switch("skip-owners", "Do not restore owners."),
    Flag::switch("skip-permissions", "Do not restore permissions."),
    Flag::switch("skip-times", "Do not restore times."),
    Flag::switch(
        "ignore-permission-errors",
        "Continue if owner, permissions or times cannot be set.",
    )
    .default("true"),
    Flag::switch("write-files-atomically", "Write each file under a temporary name and rename it."),
    Flag::switch("ignore-errors", "Continue after errors."),
    Flag::switch("skip-existing", "Leave existing files alone."),
    Flag::switch("delete-extra", "Delete what is not in the snapshot."),
    Flag::int32("shallow", "Depth from which placeholders are written.").default("2147483647"),
    Flag::int32("shallow-minsize", "Size below which files are restored in place of placeholders."),
    Flag::text("snapshot-time", "Restore the latest snapshot before this time.").default("latest"),
    Flag::switch("flush-files", "Force each file to disk."),
];

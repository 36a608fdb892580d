//! Commands of `server` that kopia has and this program refuses for now.

use crate::commands::shared;
use crate::grammar::{Arg, Command, Flag};

const START_FLAGS: &[Flag] = &[
    Flag::existing_path("html", "Directory of the user interface."),
    Flag::switch("ui", "Serve the web interface.").default("true"),
    Flag::switch("grpc", "Serve the gRPC interface.").default("true"),
    Flag::switch("control-api", "Serve the control interface.").default("true"),
    Flag::duration("refresh-interval", "Interval at which sources are refreshed.").default("4h"),
    Flag::switch("insecure", "Allow plain HTTP or no password.").hidden(),
    Flag::int("max-concurrency", "Number of parallel requests.").default("0"),
    Flag::switch(
        "allow-extremely-dangerous-unauthenticated-server-on-the-network",
        "Allow a server without password on the network.",
    )
    .hidden(),
    Flag::switch("without-password", "Serve without password.").hidden(),
    Flag::switch("random-password", "Generate a password and print it.").hidden(),
    Flag::existing_path("htpasswd-file", "File of user names and password hashes.").hidden(),
    Flag::switch("random-server-control-password", "Generate a control password and print it.")
        .hidden(),
    Flag::text("server-control-username", "User name for control requests.")
        .env("KOPIA_SERVER_CONTROL_USER")
        .default("server-control"),
    Flag::text("server-control-password", "Password for control requests.")
        .env("KOPIA_SERVER_CONTROL_PASSWORD"),
    Flag::text("auth-cookie-signing-key", "Key that signs authentication cookies.")
        .env("KOPIA_AUTH_COOKIE_SIGNING_KEY")
        .hidden(),
    Flag::switch("log-scheduler", "Log decisions of the scheduler.").default("true").hidden(),
    Flag::duration("min-maintenance-interval", "Shortest interval between maintenance runs.")
        .default("60s")
        .hidden(),
    Flag::switch("shutdown-on-stdin", "Shut down when standard input is closed.").hidden(),
    Flag::switch("tls-generate-cert", "Generate a TLS certificate.").hidden(),
    Flag::text("tls-cert-file", "File of the TLS certificate."),
    Flag::text("tls-key-file", "File of the TLS key."),
    Flag::int("tls-generate-rsa-key-size", "Size of the generated RSA key, in bits.")
        .default("4096")
        .hidden(),
    Flag::int("tls-generate-cert-valid-days", "Days for which the generated certificate is valid.")
        .default("3650")
        .hidden(),
    Flag::text("tls-generate-cert-name", "Host names of the generated certificate.")
        .default("127.0.0.1")
        .hidden()
        .repeated(),
    Flag::switch("tls-print-server-cert", "Print the certificate.").hidden(),
    Flag::switch("async-repo-connect", "Connect to the repository after the server has started.")
        .hidden(),
    Flag::switch("persistent-logs", "Write logs of background tasks to the repository.")
        .default("true"),
    Flag::text("ui-title-prefix", "Prefix of the title of the web interface.")
        .env("KOPIA_UI_TITLE_PREFIX")
        .hidden(),
    Flag::text("ui-preferences-file", "File of the preferences of the web interface."),
    Flag::switch("log-server-requests", "Log each request.").hidden(),
    Flag::switch("disable-csrf-token-checks", "Do not check CSRF tokens.").hidden(),
    Flag::duration("shutdown-grace-period", "Time that requests may take to finish at shutdown.")
        .default("5s"),
    Flag::switch("kopiaui-notifications", "Print notifications on standard error."),
    Flag::text("address", "Address of the server.").default("http://127.0.0.1:51515"),
    Flag::text("server-username", "User name of the server.")
        .env("KOPIA_SERVER_USERNAME")
        .default("kopia"),
    Flag::text("server-password", "Password of the server.").env("KOPIA_SERVER_PASSWORD"),
];

/// `server start`
pub(super) static START: Command =
    Command::new("start", "Start the server.").flags(&[START_FLAGS, shared::CONNECT]);

const ACL_ADD_FLAGS: &[Flag] = &[
    Flag::text("user", "User the rule applies to.").required(),
    Flag::text("target", "What the rule applies to, key=value,...").required(),
    Flag::one_of("access", &["NONE", "READ", "APPEND", "FULL"], "Level of access.").required(),
    Flag::switch("overwrite", "Replace what exists."),
];

/// `server acl add`
pub(super) static ACL_ADD: Command =
    Command::new("add", "Add an access rule.").flags(&[ACL_ADD_FLAGS]);

const ACL_DELETE_FLAGS: &[Flag] =
    &[Flag::switch("all", "Include everything."), Flag::switch("delete", "Confirm the deletion.")];

/// `server acl delete`
pub(super) static ACL_DELETE: Command = Command::new("delete", "Delete access rules.")
    .aliases(&["remove", "rm"])
    .flags(&[ACL_DELETE_FLAGS])
    .args(&[Arg::text("id", "").repeated()]);

const ACL_ENABLE_FLAGS: &[Flag] = &[Flag::switch("reset", "Remove existing rules first.")];

/// `server acl enable`
pub(super) static ACL_ENABLE: Command =
    Command::new("enable", "Enable access rules.").flags(&[ACL_ENABLE_FLAGS]);

/// `server acl list`
pub(super) static ACL_LIST: Command =
    Command::new("list", "List access rules.").aliases(&["ls"]).flags(&[shared::JSON]);

/// `server acl`
pub(super) static ACL: Command = Command::new("acl", "Work with access rules.").commands(&[
    &ACL_ADD,
    &ACL_DELETE,
    &ACL_ENABLE,
    &ACL_LIST,
]);

const USERS_ADD_FLAGS: &[Flag] = &[
    Flag::switch("ask-password", "Ask for the password."),
    Flag::text("user-password", "Password of the user."),
    Flag::text("user-password-hash", "Hash of the password of the user."),
];

/// `server users add`
pub(super) static USERS_ADD: Command = Command::new("add", "Add a user.")
    .aliases(&["create"])
    .flags(&[USERS_ADD_FLAGS])
    .args(&[Arg::text("username", "").required()]);

const USERS_SET_FLAGS: &[Flag] = &[
    Flag::switch("ask-password", "Ask for the password."),
    Flag::text("user-password", "Password of the user."),
    Flag::text("user-password-hash", "Hash of the password of the user."),
];

/// `server users set`
pub(super) static USERS_SET: Command = Command::new("set", "Set the password of a user.")
    .aliases(&["update"])
    .flags(&[USERS_SET_FLAGS])
    .args(&[Arg::text("username", "").required()]);

/// `server users delete`
pub(super) static USERS_DELETE: Command = Command::new("delete", "Delete a user.")
    .aliases(&["remove", "rm"])
    .args(&[Arg::text("username", "").required()]);

const USERS_HASH_PASSWORD_FLAGS: &[Flag] = &[Flag::text("user-password", "Password of the user.")];

/// `server users hash-password`
pub(super) static USERS_HASH_PASSWORD: Command = Command::new("hash-password", "Hash a password.")
    .aliases(&["hash"])
    .flags(&[USERS_HASH_PASSWORD_FLAGS]);

/// `server users info`
pub(super) static USERS_INFO: Command =
    Command::new("info", "Show a user.").args(&[Arg::text("username", "").required()]);

/// `server users list`
pub(super) static USERS_LIST: Command =
    Command::new("list", "List users.").aliases(&["ls"]).flags(&[shared::JSON]);

/// `server users`
pub(super) static USERS: Command =
    Command::new("users", "Work with users of the server.").aliases(&["user"]).commands(&[
        &USERS_ADD,
        &USERS_SET,
        &USERS_DELETE,
        &USERS_HASH_PASSWORD,
        &USERS_INFO,
        &USERS_LIST,
    ]);

const STATUS_FLAGS: &[Flag] = &[Flag::switch("remote", "Include sources of other hosts.")];

/// `server status`
pub(super) static STATUS: Command =
    Command::new("status", "Show the state of the server.").flags(&[STATUS_FLAGS, shared::CONTROL]);

/// `server refresh`
pub(super) static REFRESH: Command =
    Command::new("refresh", "Make the server read the repository again.").flags(&[shared::CONTROL]);

/// `server flush`
pub(super) static FLUSH: Command =
    Command::new("flush", "Make the server write everything.").flags(&[shared::CONTROL]);

/// `server shutdown`
pub(super) static SHUTDOWN: Command =
    Command::new("shutdown", "Shut the server down.").flags(&[shared::CONTROL]);

const SNAPSHOT_FLAGS: &[Flag] = &[Flag::switch("all", "Include everything.")];

/// `server snapshot`
pub(super) static SNAPSHOT: Command = Command::new("snapshot", "Start a snapshot on the server.")
    .aliases(&["upload"])
    .flags(&[SNAPSHOT_FLAGS, shared::CONTROL])
    .args(&[Arg::text("source", "Source")]);

const CANCEL_FLAGS: &[Flag] = &[Flag::switch("all", "Include everything.")];

/// `server cancel`
pub(super) static CANCEL: Command = Command::new("cancel", "Cancel a snapshot on the server.")
    .flags(&[CANCEL_FLAGS, shared::CONTROL])
    .args(&[Arg::text("source", "Source")]);

const PAUSE_FLAGS: &[Flag] = &[Flag::switch("all", "Include everything.")];

/// `server pause`
pub(super) static PAUSE: Command = Command::new("pause", "Pause scheduled snapshots of a source.")
    .flags(&[PAUSE_FLAGS, shared::CONTROL])
    .args(&[Arg::text("source", "Source")]);

const RESUME_FLAGS: &[Flag] = &[Flag::switch("all", "Include everything.")];

/// `server resume`
pub(super) static RESUME: Command =
    Command::new("resume", "Resume scheduled snapshots of a source.")
        .aliases(&["unpause"])
        .flags(&[RESUME_FLAGS, shared::CONTROL])
        .args(&[Arg::text("source", "Source")]);

/// `server throttle get`
pub(super) static THROTTLE_GET: Command =
    Command::new("get", "Show throttling limits of the server.")
        .flags(&[shared::JSON, shared::CONTROL]);

/// `server throttle set`
pub(super) static THROTTLE_SET: Command =
    Command::new("set", "Set throttling limits of the server.")
        .flags(&[shared::CONTROL, shared::LIMITS]);

/// `server throttle`
pub(super) static THROTTLE: Command =
    Command::new("throttle", "Work with throttling of the server.")
        .commands(&[&THROTTLE_GET, &THROTTLE_SET]);

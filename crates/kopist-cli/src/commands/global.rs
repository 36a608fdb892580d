//! Flags that every command knows.

use crate::grammar::Flag;

const NO_CONTENT_LOG: &str =
    "there is no content log; its messages are in the log file and in the repository's log";
const GO_RUNTIME: &str = "it concerns the Go runtime of kopia";
const NO_METRICS: &str = "kopist exports no metrics and traces";
const NO_UPDATE_CHECK: &str = "kopist never asks for updates";

pub(super) const FLAGS: &[Flag] = &[
    Flag::text("log-file", "Write the log to this file instead of a generated name."),
    Flag::text("content-log-file", "Write the content log to this file.")
        .moot(NO_CONTENT_LOG)
        .hidden(),
    Flag::switch("disable-file-logging", "Do not write log files."),
    Flag::switch("disable-content-log", "Do not write content logs.").moot(NO_CONTENT_LOG),
    Flag::text("log-dir", "Directory of the log files.").env("KOPIA_LOG_DIR"),
    Flag::int("log-dir-max-files", "Number of log files to keep.")
        .env("KOPIA_LOG_DIR_MAX_FILES")
        .default("1000")
        .hidden(),
    Flag::duration("log-dir-max-age", "Age up to which log files are kept.")
        .env("KOPIA_LOG_DIR_MAX_AGE")
        .default("720h")
        .hidden(),
    Flag::float("log-dir-max-total-size-mb", "Total size of log files to keep, in MB.")
        .env("KOPIA_LOG_DIR_MAX_SIZE_MB")
        .default("1000")
        .hidden(),
    Flag::int(
        "max-log-file-segment-size",
        "Size at which a new log file segment is begun, in bytes.",
    )
    .env("KOPIA_LOG_FILE_MAX_SEGMENT_SIZE")
    .default("50000000")
    .hidden(),
    Flag::switch("wait-for-log-sweep", "Wait at exit until old log files are removed.")
        .moot("old log files are always removed before the program ends")
        .default("true")
        .hidden(),
    Flag::int("content-log-dir-max-files", "Number of content logs to keep.")
        .moot(NO_CONTENT_LOG)
        .env("KOPIA_CONTENT_LOG_DIR_MAX_FILES")
        .default("5000")
        .hidden(),
    Flag::duration("content-log-dir-max-age", "Age up to which content logs are kept.")
        .moot(NO_CONTENT_LOG)
        .env("KOPIA_CONTENT_LOG_DIR_MAX_AGE")
        .default("720h")
        .hidden(),
    Flag::float("content-log-dir-max-total-size-mb", "Total size of content logs to keep, in MB.")
        .moot(NO_CONTENT_LOG)
        .env("KOPIA_CONTENT_LOG_DIR_MAX_SIZE_MB")
        .default("1000")
        .hidden(),
    Flag::one_of(
        "log-level",
        &["debug", "info", "warning", "error"],
        "Level of messages on the console.",
    )
    .default("info"),
    Flag::switch("json-log-console", "Print log messages on the console as JSON.").hidden(),
    Flag::switch("json-log-file", "Write log files as JSON lines.").hidden(),
    Flag::one_of(
        "file-log-level",
        &["debug", "info", "warning", "error"],
        "Level of messages in log files.",
    )
    .default("debug"),
    Flag::switch("file-log-local-tz", "Use the local time zone in log files.")
        .env("KOPIA_FILE_LOG_LOCAL_TZ")
        .hidden(),
    Flag::switch("force-color", "Use colours even if the output is no terminal.")
        .env("KOPIA_FORCE_COLOR")
        .hidden(),
    Flag::switch("disable-color", "Do not use colours.").env("KOPIA_DISABLE_COLOR").hidden(),
    Flag::switch("console-timestamps", "Begin each console message with the time.")
        .env("KOPIA_CONSOLE_TIMESTAMPS")
        .hidden(),
    Flag::switch("auto-maintenance", "Run maintenance after commands that write, when it is due.")
        .default("true")
        .hidden(),
    Flag::duration("initial-update-check-delay", "Delay before the first update check.")
        .env("KOPIA_INITIAL_UPDATE_CHECK_DELAY")
        .default("24h")
        .hidden(),
    Flag::duration("update-check-interval", "Interval between update checks.")
        .moot(NO_UPDATE_CHECK)
        .env("KOPIA_UPDATE_CHECK_INTERVAL")
        .default("168h")
        .hidden(),
    Flag::duration(
        "update-available-notify-interval",
        "Interval between notices of an available update.",
    )
    .moot(NO_UPDATE_CHECK)
    .env("KOPIA_UPDATE_NOTIFY_INTERVAL")
    .default("1h")
    .hidden(),
    Flag::text("config-file", "File that describes the connected repository.")
        .env("KOPIA_CONFIG_PATH")
        .default("repository.config"),
    Flag::switch("trace-storage", "Log each storage operation at debug level.")
        .moot("calls of the storage are always in the log at level debug")
        .default("true")
        .hidden(),
    Flag::text("timezone", "Time zone of printed times: local, utc, original or a zone name.")
        .hidden(),
    Flag::text("password", "Repository password.").short('p').env("KOPIA_PASSWORD"),
    Flag::switch("persist-credentials", "Remember the password on connect and create.")
        .env("KOPIA_PERSIST_CREDENTIALS_ON_CONNECT")
        .default("true"),
    Flag::switch("disable-repository-log", "Do not write logs to the repository.")
        .env("KOPIA_DISABLE_REPOSITORY_LOG")
        .hidden(),
    Flag::text("dangerous-commands", "Pass 'enabled' to allow commands that can lose data.")
        .env("KOPIA_DANGEROUS_COMMANDS")
        .hidden(),
    Flag::text("track-releasable", "Accepted and ignored (resource tracking of kopia).")
        .moot(GO_RUNTIME)
        .env("KOPIA_TRACK_RELEASABLE")
        .hidden()
        .repeated(),
    Flag::text("upgrade-owner-id", "Owner of a format upgrade in progress.")
        .env("KOPIA_REPO_UPGRADE_OWNER_ID")
        .hidden(),
    Flag::switch(
        "upgrade-no-block",
        "Fail instead of waiting while a format upgrade is in progress.",
    )
    .moot("commands never wait for the end of an upgrade, they fail")
    .env("KOPIA_REPO_UPGRADE_NO_BLOCK")
    .hidden(),
    Flag::one_of(
        "error-notifications",
        &["always", "never", "non-interactive"],
        "When to send notifications of errors.",
    )
    .moot("notifications are not sent")
    .env("KOPIA_SEND_ERROR_NOTIFICATIONS")
    .default("non-interactive")
    .hidden(),
    Flag::switch(
        "ignore-missing-required-features",
        "Open the repository although it needs unknown features (tests only).",
    )
    .hidden()
    .test_only(),
    Flag::switch("dump-allocator-stats", "Accepted and ignored (memory statistics of kopia).")
        .ignored(GO_RUNTIME)
        .env("KOPIA_DUMP_ALLOCATOR_STATS")
        .hidden(),
    Flag::text("metrics-listen-addr", "Accepted and ignored (metrics listener of kopia).")
        .ignored(NO_METRICS)
        .hidden(),
    Flag::switch("enable-pprof", "Accepted and ignored (profiler of kopia).")
        .ignored(GO_RUNTIME)
        .hidden(),
    Flag::text("metrics-push-addr", "Accepted and ignored (metrics push gateway).")
        .ignored(NO_METRICS)
        .env("KOPIA_METRICS_PUSH_ADDR")
        .hidden(),
    Flag::duration("metrics-push-interval", "Accepted and ignored (metrics push gateway).")
        .ignored(NO_METRICS)
        .env("KOPIA_METRICS_PUSH_INTERVAL")
        .default("5s")
        .hidden(),
    Flag::text("metrics-push-job", "Accepted and ignored (metrics push gateway).")
        .ignored(NO_METRICS)
        .env("KOPIA_METRICS_JOB")
        .default("kopia")
        .hidden(),
    Flag::text("metrics-push-grouping", "Accepted and ignored (metrics push gateway).")
        .ignored(NO_METRICS)
        .env("KOPIA_METRICS_PUSH_GROUPING")
        .hidden()
        .repeated(),
    Flag::text("metrics-push-username", "Accepted and ignored (metrics push gateway).")
        .ignored(NO_METRICS)
        .env("KOPIA_METRICS_PUSH_USERNAME")
        .hidden(),
    Flag::text("metrics-push-password", "Accepted and ignored (metrics push gateway).")
        .ignored(NO_METRICS)
        .env("KOPIA_METRICS_PUSH_PASSWORD")
        .hidden(),
    Flag::switch("otlp-trace", "Accepted and ignored (tracing of kopia).")
        .ignored(NO_METRICS)
        .env("KOPIA_ENABLE_OTLP_TRACE")
        .hidden(),
    Flag::one_of(
        "metrics-push-format",
        &[
            "open-metrics",
            "open-metrics-0.0.1",
            "proto-compact",
            "proto-delim",
            "proto-text",
            "text",
        ],
        "Accepted and ignored (metrics push gateway).",
    )
    .ignored(NO_METRICS)
    .env("KOPIA_METRICS_FORMAT")
    .hidden(),
    Flag::text("diagnostics-output-directory", "Accepted and ignored (diagnostics of kopia).")
        .ignored(NO_METRICS)
        .hidden(),
    Flag::switch("metrics-store-on-exit", "Accepted and ignored (diagnostics of kopia).")
        .ignored(NO_METRICS)
        .hidden(),
    Flag::switch("profile-store-on-exit", "Accepted and ignored (profiler of kopia).")
        .ignored(GO_RUNTIME)
        .hidden(),
    Flag::switch("profile-go-gc-before-dump", "Accepted and ignored (profiler of kopia).")
        .ignored(GO_RUNTIME)
        .hidden(),
    Flag::int("profile-blocking-rate", "Accepted and ignored (profiler of kopia).")
        .ignored(GO_RUNTIME)
        .hidden(),
    Flag::switch("profile-cpu", "Accepted and ignored (profiler of kopia).")
        .ignored(GO_RUNTIME)
        .hidden(),
    Flag::int("profile-memory-rate", "Accepted and ignored (profiler of kopia).")
        .ignored(GO_RUNTIME)
        .hidden(),
    Flag::int("profile-mutex-fraction", "Accepted and ignored (profiler of kopia).")
        .ignored(GO_RUNTIME)
        .hidden(),
    Flag::switch("use-keyring", "Keep the password in the desktop's keyring, not in a file.")
        .env("KOPIA_USE_KEYRING"),
    Flag::switch(
        "progress",
        "Show progress on the terminal (default: when standard output is one).",
    ),
    Flag::one_of(
        "progress-estimation-type",
        &["classic", "rough", "adaptive"],
        "How the total size of a backup is estimated.",
    )
    .moot("the source is walked, as the classic estimate does")
    .default("classic")
    .hidden(),
    Flag::duration("progress-update-interval", "Interval of progress updates.")
        .default("300ms")
        .hidden(),
    Flag::int64(
        "adaptive-estimation-threshold",
        "Number of files from which the adaptive estimate turns rough.",
    )
    .moot("the source is walked, as the classic estimate does")
    .default("300000")
    .hidden(),
];

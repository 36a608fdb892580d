//! `policy set`

use kopist_snapshot::store::{load_policies, set_policy};

use crate::grammar::Matches;
use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::policy::{change, target::targets},
    error::{CommandError, Context as _},
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("global", "The global policy."),
    Flag::bool_values("inherit", "Whether to inherit from the parent."),
    Flag::text("before-folder-action", "Command to run before a folder is read ('' removes it).")
        .default("-"),
    Flag::text("after-folder-action", "Command to run after a folder was read ('' removes it).")
        .default("-"),
    Flag::text("before-snapshot-root-action", "Command to run before a snapshot ('' removes it).")
        .default("-"),
    Flag::text("after-snapshot-root-action", "Command to run after a snapshot ('' removes it).")
        .default("-"),
    Flag::duration("action-command-timeout", "Time that an action may take.").default("5m"),
    Flag::one_of(
        "action-command-mode",
        &["essential", "optional", "async"],
        "What a failing action means.",
    )
    .default("essential"),
    Flag::switch("persist-action-script", "Keep the script of the action in the policy."),
    Flag::one_of(
        "compression",
        &[
            "inherit",
            "none",
            "deflate-best-compression",
            "deflate-best-speed",
            "deflate-default",
            "gzip",
            "gzip-best-compression",
            "gzip-best-speed",
            "lz4",
            "pgzip",
            "pgzip-best-compression",
            "pgzip-best-speed",
            "s2-better",
            "s2-default",
            "s2-parallel-4",
            "s2-parallel-8",
            "zstd",
            "zstd-best-compression",
            "zstd-better-compression",
            "zstd-fastest",
        ],
        "Compression algorithm.",
    ),
    Flag::text("compression-min-size", "Size from which files are compressed."),
    Flag::text("compression-max-size", "Size up to which files are compressed."),
    Flag::text("add-only-compress", "Extensions to add to the list of files that are compressed.")
        .repeated(),
    Flag::text("remove-only-compress", "Extensions to remove from that list.").repeated(),
    Flag::switch("clear-only-compress", "Clear that list."),
    Flag::text(
        "add-never-compress",
        "Extensions to add to the list of files that are not compressed.",
    )
    .repeated(),
    Flag::text("remove-never-compress", "Extensions to remove from that list.").repeated(),
    Flag::switch("clear-never-compress", "Clear that list."),
    Flag::one_of(
        "metadata-compression",
        &[
            "inherit",
            "none",
            "deflate-best-compression",
            "deflate-best-speed",
            "deflate-default",
            "gzip",
            "gzip-best-compression",
            "gzip-best-speed",
            "lz4",
            "pgzip",
            "pgzip-best-compression",
            "pgzip-best-speed",
            "s2-better",
            "s2-default",
            "s2-parallel-4",
            "s2-parallel-8",
            "zstd",
            "zstd-best-compression",
            "zstd-better-compression",
            "zstd-fastest",
        ],
        "Compression algorithm of metadata.",
    ),
    Flag::one_of(
        "splitter",
        &[
            "DYNAMIC",
            "DYNAMIC-128K-BUZHASH",
            "DYNAMIC-128K-RABINKARP",
            "DYNAMIC-1M-BUZHASH",
            "DYNAMIC-1M-RABINKARP",
            "DYNAMIC-256K-BUZHASH",
            "DYNAMIC-256K-RABINKARP",
            "DYNAMIC-2M-BUZHASH",
            "DYNAMIC-2M-RABINKARP",
            "DYNAMIC-4M-BUZHASH",
            "DYNAMIC-4M-RABINKARP",
            "DYNAMIC-512K-BUZHASH",
            "DYNAMIC-512K-RABINKARP",
            "DYNAMIC-8M-BUZHASH",
            "DYNAMIC-8M-RABINKARP",
            "FIXED",
            "FIXED-128K",
            "FIXED-1M",
            "FIXED-256K",
            "FIXED-2M",
            "FIXED-4M",
            "FIXED-512K",
            "FIXED-8M",
            "inherit",
        ],
        "Splitter of files.",
    ),
    Flag::one_of(
        "ignore-file-errors",
        &["true", "false", "inherit"],
        "Ignore files that cannot be read.",
    ),
    Flag::one_of(
        "ignore-dir-errors",
        &["true", "false", "inherit"],
        "Ignore directories that cannot be read.",
    ),
    Flag::one_of(
        "ignore-unknown-types",
        &["true", "false", "inherit"],
        "Ignore entries of unknown type.",
    ),
    Flag::text("add-ignore", "Patterns to add to the ignore rules.").repeated(),
    Flag::text("remove-ignore", "Patterns to remove from the ignore rules.").repeated(),
    Flag::switch("clear-ignore", "Clear the ignore rules."),
    Flag::text("add-dot-ignore", "Names to add to the list of ignore files.").repeated(),
    Flag::text("remove-dot-ignore", "Names to remove from the list of ignore files.").repeated(),
    Flag::switch("clear-dot-ignore", "Clear the list of ignore files."),
    Flag::text("max-file-size", "Size above which files are ignored."),
    Flag::one_of("one-file-system", &["true", "false", "inherit"], "Stay on one file system."),
    Flag::one_of(
        "ignore-cache-dirs",
        &["true", "false", "inherit"],
        "Ignore directories with a CACHEDIR.TAG.",
    ),
    Flag::text("log-dir-snapshotted", "Log detail of directories (0 to 10)."),
    Flag::text("log-dir-ignored", "Log detail of ignored directories (0 to 10)."),
    Flag::text("log-entry-snapshotted", "Log detail of entries (0 to 10)."),
    Flag::text("log-entry-ignored", "Log detail of ignored entries (0 to 10)."),
    Flag::text("log-entry-cache-hit", "Log detail of unchanged entries (0 to 10)."),
    Flag::text("log-entry-cache-miss", "Log detail of changed entries (0 to 10)."),
    Flag::text("keep-latest", "Number of latest snapshots to keep (or 'inherit')."),
    Flag::text("keep-hourly", "Number of hourly snapshots to keep (or 'inherit')."),
    Flag::text("keep-daily", "Number of daily snapshots to keep (or 'inherit')."),
    Flag::text("keep-weekly", "Number of weekly snapshots to keep (or 'inherit')."),
    Flag::text("keep-monthly", "Number of monthly snapshots to keep (or 'inherit')."),
    Flag::text("keep-annual", "Number of annual snapshots to keep (or 'inherit')."),
    Flag::text(
        "ignore-identical-snapshots",
        "Do not save a snapshot that equals the previous one (or 'inherit').",
    ),
    Flag::duration("snapshot-interval", "Interval of snapshots.").repeated(),
    Flag::text("snapshot-time", "Times of snapshots, HH:mm,... (or 'inherit').").repeated(),
    Flag::text(
        "snapshot-time-crontab",
        "Times of snapshots in crontab syntax, semicolon-separated (or 'inherit').",
    ),
    Flag::one_of("run-missed", &["true", "false", "inherit"], "Make up for missed snapshots."),
    Flag::switch("manual", "Only make snapshots by hand."),
    Flag::one_of(
        "enable-volume-shadow-copy",
        &["never", "always", "when-available", "inherit"],
        "Use volume shadow copies on Windows.",
    ),
    Flag::text("max-parallel-file-reads", "Number of files to read in parallel (or 'inherit')."),
    Flag::text(
        "max-parallel-snapshots",
        "Number of snapshots to make in parallel, global only (or 'inherit').",
    ),
    Flag::text(
        "parallel-upload-above-size-mib",
        "Size in MiB from which files are uploaded in parallel parts (or 'inherit').",
    ),
];

/// `policy set`
pub(super) static COMMAND: Command = Command::new("set", "Set a policy.")
    .flags(&[FLAGS])
    .args(&[Arg::text("target", "").repeated()])
    .run(run);

/// All targets are known before the first one is changed, and all are changed in one session.
fn run(app: &App, matches: &Matches) -> Outcome {
    session::write(app, |session, writer| {
        let manifests = writer.manifests()?;
        let policies = load_policies(&manifests)?;
        for target in targets(&session.repo, &manifests, matches)? {
            let stored = policies.defined(&target);
            let mut policy = stored.map(|stored| stored.policy.clone()).unwrap_or_default();
            app.info(format!("Setting policy for {target}"));
            if change::apply(app, matches, &mut policy)? == 0 {
                return Err(CommandError::new("no changes specified"));
            }
            set_policy(writer, &target, &policy)
                .context(format!("can't save policy for {target}"))?;
        }
        Ok(())
    })
}

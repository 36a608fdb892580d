//! A policy for people: aligned rows of name, value and where the value comes from.

use kopist_snapshot::{
    SourceInfo,
    policy::{ActionCommand, EffectivePolicy, Origins, Policy},
};

use crate::output::{duration, size};

/// Name, value, origin.
type Row = (String, String, String);

/// How a policy is shown.
pub(in crate::commands) struct Table<'a> {
    target: &'a SourceInfo,
    policy: &'a Policy,
    origins: &'a Origins,
    base2: bool,
    rows: Vec<Row>,
}

/// The rows of a whole policy as text.
pub(super) fn show(target: &SourceInfo, effective: &EffectivePolicy, base2: bool) -> String {
    let mut table = Table::new(target, &effective.policy, &effective.origins, base2);
    table.retention();
    for section in [
        Table::files,
        Table::errors,
        Table::scheduling,
        Table::upload,
        Table::compression,
        Table::metadata_compression,
        Table::splitter,
        Table::actions,
        Table::shadow_copy,
        Table::logging,
    ] {
        table.text("");
        section(&mut table);
    }
    table.text_form()
}

fn or_dash(value: Option<i64>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

impl<'a> Table<'a> {
    /// An empty table.
    pub(in crate::commands) fn new(
        target: &'a SourceInfo,
        policy: &'a Policy,
        origins: &'a Origins,
        base2: bool,
    ) -> Self {
        Self { target, policy, origins, base2, rows: Vec::new() }
    }

    fn text(&mut self, text: impl Into<String>) {
        self.rows.push((text.into(), String::new(), String::new()));
    }

    /// A value with the place where it was set; fields not in the origins are global.
    fn row(&mut self, name: &str, value: impl Into<String>, field: &str) {
        let global = SourceInfo::global();
        let origin = self.origins.get(field).unwrap_or(&global);
        let origin = if origin == self.target {
            "(defined for this target)".to_owned()
        } else {
            format!("inherited from {origin}")
        };
        self.rows.push((name.to_owned(), value.into(), origin));
    }

    fn size(&self, bytes: i64) -> String {
        size(bytes, self.base2)
    }

    pub(in crate::commands) fn retention(&mut self) {
        let policy = &self.policy.retention;
        self.text("Retention:");
        for (name, value, field) in [
            ("Annual", policy.keep_annual, "keepAnnual"),
            ("Monthly", policy.keep_monthly, "keepMonthly"),
            ("Weekly", policy.keep_weekly, "keepWeekly"),
            ("Daily", policy.keep_daily, "keepDaily"),
            ("Hourly", policy.keep_hourly, "keepHourly"),
            ("Latest", policy.keep_latest, "keepLatest"),
        ] {
            let name = format!("  {name} snapshots:");
            self.row(&name, or_dash(value), &format!("retention.{field}"));
        }
        self.row(
            "  Ignore identical snapshots:",
            policy.ignore_identical_snapshots.unwrap_or(false).to_string(),
            "retention.ignoreIdenticalSnapshots",
        );
    }

    fn files(&mut self) {
        let policy = &self.policy.files;
        self.text("Files policy:");
        self.row(
            "  Ignore cache directories:",
            policy.ignore_cache_dirs.unwrap_or(true).to_string(),
            "files.ignoreCacheDirs",
        );
        if policy.ignore.is_empty() {
            self.text("  No ignore rules:");
        } else {
            self.row("  Ignore rules:", "", "files.ignore");
            for rule in &policy.ignore {
                self.text(format!("    {rule}"));
            }
        }
        if !policy.ignore_dot_files.is_empty() {
            self.row("  Read ignore rules from files:", "", "files.ignoreDotFiles");
            for name in &policy.ignore_dot_files {
                self.text(format!("    {name}"));
            }
        }
        if policy.max_file_size > 0 {
            self.row("  Ignore files above:", self.size(policy.max_file_size), "files.maxFileSize");
        }
        self.row(
            "  Scan one filesystem only:",
            policy.one_file_system.unwrap_or(false).to_string(),
            "files.oneFileSystem",
        );
    }

    fn errors(&mut self) {
        let policy = &self.policy.error_handling;
        self.text("Error handling policy:");
        for (name, value, field) in [
            ("file read errors", policy.ignore_file_errors.unwrap_or(false), "ignoreFileErrors"),
            (
                "directory read errors",
                policy.ignore_directory_errors.unwrap_or(false),
                "ignoreDirectoryErrors",
            ),
            ("unknown types", policy.ignore_unknown_types.unwrap_or(true), "ignoreUnknownTypes"),
        ] {
            let field = format!("errorHandling.{field}");
            self.row(&format!("  Ignore {name}:"), value.to_string(), &field);
        }
    }

    fn scheduling(&mut self) {
        let policy = &self.policy.scheduling;
        self.text("Scheduling policy:");
        self.text("  Scheduled snapshots:");
        let mut any = false;
        if policy.interval_seconds != 0 {
            any = true;
            let interval = duration(policy.interval_seconds.saturating_mul(1_000_000_000));
            self.row("    Snapshot interval:", interval, "scheduling.intervalSeconds");
        }
        if !policy.times_of_day.is_empty() {
            any = true;
            let missed = policy.run_missed.unwrap_or(false).to_string();
            self.row("  Run missed snapshots:", missed, "scheduling.runMissed");
            self.row("  Snapshot times:", "", "scheduling.timeOfDay");
            for time in &policy.times_of_day {
                self.text(format!("    {time}"));
            }
        }
        if !policy.cron.is_empty() {
            any = true;
            self.row("  Crontab expressions:", "", "scheduling.cron");
            for expression in &policy.cron {
                self.text(format!("    {expression}"));
            }
        }
        if !any {
            self.text("    None.");
        }
        self.row("  Manual snapshot:", policy.manual.to_string(), "scheduling.manual");
    }

    fn upload(&mut self) {
        let policy = &self.policy.upload;
        self.text("Uploads:");
        let above = policy.parallel_upload_above_size;
        let above = above.map_or_else(|| "-".to_owned(), |bytes| self.size(bytes));
        for (name, value, field) in [
            (
                "  Max parallel snapshots (server/UI):",
                or_dash(policy.max_parallel_snapshots),
                "upload.maxParallelSnapshots",
            ),
            (
                "  Max parallel file reads:",
                or_dash(policy.max_parallel_file_reads),
                "upload.maxParallelFileReads",
            ),
            ("  Parallel upload above size:", above, "upload.parallelUploadAboveSize"),
        ] {
            self.row(name, value, field);
        }
    }

    pub(in crate::commands) fn compression(&mut self) {
        let policy = &self.policy.compression;
        if matches!(policy.compressor_name.as_str(), "" | "none") {
            self.text("Compression disabled.");
            return;
        }
        self.text("Compression:");
        self.row("  Compressor:", &policy.compressor_name, "compression.compressorName");
        if !policy.only_compress.is_empty() {
            self.row(
                "  Only compress files with the following extensions:",
                "",
                "compression.onlyCompress",
            );
            for extension in &policy.only_compress {
                self.text(format!("     - {extension}"));
            }
        } else if !policy.never_compress.is_empty() {
            self.row(
                "  Compress all files except the following extensions:",
                "",
                "compression.neverCompress",
            );
            for extension in &policy.never_compress {
                self.text(format!("    {extension}"));
            }
        } else {
            self.text("  Compress files regardless of extensions.");
        }
        let (min, max) = (self.size(policy.min_size), self.size(policy.max_size));
        if policy.max_size > 0 {
            self.text(format!("  Only compress files between {min} and {max}."));
        } else if policy.min_size > 0 {
            self.text(format!("  Only compress files bigger than {min}."));
        } else {
            self.text("  Compress files of all sizes.");
        }
    }

    fn metadata_compression(&mut self) {
        let name = &self.policy.metadata_compression.compressor_name;
        if matches!(name.as_str(), "" | "none") {
            self.text("Metadata compression disabled.");
            return;
        }
        self.text("Metadata compression:");
        self.row("  Compressor:", name, "metadataCompression.compressorName");
    }

    fn splitter(&mut self) {
        let name = &self.policy.splitter.algorithm;
        let name = if name.is_empty() { "(repository default)" } else { name };
        self.text("Splitter:");
        self.row("  Algorithm override:", name, "splitter.algorithm");
    }

    fn actions(&mut self) {
        let policy = &self.policy.actions;
        let mut any = false;
        for (name, action, field) in [
            (
                "Run command before snapshot root:",
                &policy.before_snapshot_root,
                Some("actions.beforeSnapshotRoot"),
            ),
            (
                "Run command after snapshot root:",
                &policy.after_snapshot_root,
                Some("actions.afterSnapshotRoot"),
            ),
            ("Run command before this folder:", &policy.before_folder, None),
            ("Run command after this folder:", &policy.after_folder, None),
        ] {
            let Some(action) = action else { continue };
            any = true;
            if let Some(field) = field {
                self.row(name, "", field);
            } else {
                let origin = "(non-inheritable)".to_owned();
                self.rows.push((name.to_owned(), String::new(), origin));
            }
            self.action(action);
        }
        if !any {
            self.text("No actions defined.");
        }
    }

    fn action(&mut self, action: &ActionCommand) {
        if action.script.is_empty() {
            self.text("  Command:");
            self.text(format!("    {} {}", action.command, action.arguments.join(" ")));
        } else {
            self.text("  Embedded script (stored in repository):");
            let lines: Vec<_> = action.script.lines().map(|line| format!("    {line}")).collect();
            self.text(lines.join("\n"));
        }
        let mode = if action.mode.is_empty() { "sync" } else { &action.mode };
        let timeout = duration(action.timeout_seconds.saturating_mul(1_000_000_000));
        self.rows.push(("  Mode:".to_owned(), mode.to_owned(), String::new()));
        self.rows.push(("  Timeout:".to_owned(), timeout, String::new()));
        self.text("");
    }

    fn shadow_copy(&mut self) {
        self.text("OS-level snapshot support:");
        let mode = match self.policy.os_snapshots.volume_shadow_copy.enable.unwrap_or(0) {
            1 => "always",
            2 => "when-available",
            _ => "never",
        };
        self.row("  Volume Shadow Copy:", mode, "osSnapshots.volumeShadowCopy.enable");
    }

    fn logging(&mut self) {
        let (dirs, entries) = (&self.policy.logging.directories, &self.policy.logging.entries);
        self.text("Logging details (0-none, 10-maximum):");
        for (name, level, field) in [
            ("Directory snapshotted", dirs.snapshotted, "directories.snapshotted"),
            ("Directory ignored", dirs.ignored, "directories.ignored"),
            ("Entry snapshotted", entries.snapshotted, "entries.snapshotted"),
            ("Entry ignored", entries.ignored, "entries.ignored"),
            ("Entry cache hit", entries.cache_hit, "entries.cacheHit"),
            ("Entry cache miss", entries.cache_miss, "entries.cacheMiss"),
        ] {
            let level = level.unwrap_or(0).to_string();
            self.row(&format!("  {name}:"), level, &format!("logging.{field}"));
        }
    }

    /// The rows below each other, values aligned at the right, without a line feed at the end.
    pub(in crate::commands) fn text_form(&self) -> String {
        let valued = self.rows.iter().filter(|(_, value, _)| !value.is_empty());
        let width = valued.map(|(name, value, _)| name.len() + 3 + value.len()).max().unwrap_or(0);
        let line = |(name, value, origin): &Row| {
            let mut line = name.clone();
            if !value.is_empty() || !origin.is_empty() {
                let pad = width.saturating_sub(name.len() + value.len());
                line.push_str(&" ".repeat(pad));
                line.push_str(value);
            }
            if !origin.is_empty() {
                line.push_str("   ");
                line.push_str(origin);
            }
            line
        };
        self.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned() {
        let (target, origins) = (SourceInfo::global(), Origins::new());
        let policy = kopist_snapshot::policy::built_in();
        let mut table = Table::new(&target, &policy, &origins, false);
        table.retention();
        table.compression();
        let text = table.text_form();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "  Annual snapshots:                 3   (defined for this target)");
        assert_eq!(lines[7], "  Ignore identical snapshots:   false   (defined for this target)");
        assert_eq!(lines[8], "Compression disabled.");
    }
}

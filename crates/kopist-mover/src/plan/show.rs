//! The plan as text: what `--plan` prints and the log begins with.
//!
//! Credentials appear as `[SET]` or `[NOT SET]`, nothing else of them.

use std::fmt::Write as _;

use secrecy::SecretString;

use super::{
    BackupPlan, Creation, Hooks, MoverPlan, PathOrContent, RestorePlan, SourcePattern, Storage,
    Work,
};

impl MoverPlan {
    /// One `name: value` line for each decision.
    pub fn show(&self) -> String {
        let mut page = Page::default();
        page.line("operation", self.operation().name());
        page.line("password", set(Some(&self.password)));
        for (index, storage) in self.storage.iter().enumerate() {
            let name =
                if index == 0 { "repository" } else { "repository, if the first place has none" };
            page.line(name, storage.describe());
            for (what, state) in credentials(storage) {
                page.line(what, state);
            }
        }
        page.line("root certificates", if self.root_ca.is_some() { "[SET]" } else { "[NOT SET]" });
        page.line("identity", format!("{}@{}", self.identity.username, self.identity.hostname));
        page.line(
            "cache",
            format!(
                "{}, metadata up to {} bytes, contents up to {} bytes",
                self.cache.dir.display(),
                self.cache.metadata_limit,
                self.cache.content_limit
            ),
        );
        if self.cache.rebuild {
            page.line("cache rebuild", "yes");
        }
        match &self.work {
            Work::Backup(backup) => self.show_backup(&mut page, backup),
            Work::Restore(restore) => self.show_restore(&mut page, restore),
            Work::Maintenance(maintenance) => {
                page.line("take over ownership", if maintenance.take_over { "yes" } else { "no" });
                if maintenance.check_percent > 0.0 {
                    page.line("tasks that are checked", format!("{} %", maintenance.check_percent));
                }
                for work in &maintenance.after {
                    page.line("after it", work.operation().name());
                    show_look(&mut page, work);
                }
            }
            other => show_look(&mut page, other),
        }
        if self.policies.mounted {
            let global = self.policies.global.as_ref();
            page.line(
                "global policy file",
                global.map_or_else(|| "none".to_owned(), |file| file.patch.to_value().to_string()),
            );
        }
        for (name, speed) in
            [("upload limit", self.upload_speed), ("download limit", self.download_speed)]
        {
            if let Some(speed) = speed {
                page.line(name, format!("{speed} bytes/s"));
            }
        }
        if let Some(jitter) = self.jitter {
            page.line("wait before the start", format!("up to {} s", jitter.as_secs_f64()));
        }
        self.show_telemetry(&mut page);
        if !self.argument_names.is_empty() {
            page.line("additional arguments", self.argument_names.join(" "));
        }
        for objection in &self.objections {
            page.line("ERROR", &objection.error);
        }
        for notice in &self.notices {
            page.line("WARN", &notice.0);
        }
        page.text
    }

    fn show_telemetry(&self, page: &mut Page) {
        let telemetry = &self.telemetry;
        for target in &telemetry.metrics {
            page.line("metrics", target.describe());
        }
        for (name, _) in &telemetry.metrics_headers {
            page.line("header of requests with metrics", format!("{name}: [SET]"));
        }
        for (name, value) in &telemetry.labels {
            page.line("label of metrics", format!("{name}={value}"));
        }
        if let Some(path) = &telemetry.report_file {
            page.line("report", path.display());
        }
        if let Some(notify) = &telemetry.notify {
            let when = if notify.always { "every run" } else { "failures" };
            page.line("notice", format!("{}, about {when}", notify.address.describe()));
        }
        if let Some(path) = &telemetry.health_file {
            page.line("health file", path.display());
        }
        let progress = telemetry.progress;
        page.line(
            "progress",
            progress
                .map_or("off".to_owned(), |interval| format!("every {} s", interval.as_secs_f64())),
        );
    }

    fn show_backup(&self, page: &mut Page, backup: &BackupPlan) {
        page.line("source", self.source());
        page.line("data directory", backup.data_dir.display());
        page.line("compression", backup.compression.as_deref().unwrap_or("as the policy says"));
        if !backup.retention.is_empty() {
            page.line("retention", backup.retention.to_value());
        }
        if !backup.run_policy.is_empty() {
            page.line("policy of this run", backup.run_policy.to_value());
        }
        let [before, after] = backup.hooks.show();
        page.line("before the snapshot", before);
        page.line("after the snapshot", after);
        if let Some(interval) = backup.maintenance_after {
            let days = interval.as_secs() / (24 * 60 * 60);
            page.line("maintenance after the snapshot", format!("every {days} days"));
        }
        let Creation { hash, encryption, splitter, ecc, .. } = &self.creation;
        for (name, value) in [
            ("hash of a new repository", hash),
            ("encryption of a new repository", encryption),
            ("splitter of a new repository", splitter),
            ("error correction of a new repository", ecc),
        ] {
            if let Some(value) = value {
                page.line(name, value);
            }
        }
    }

    fn show_restore(&self, page: &mut Page, restore: &RestorePlan) {
        page.line("source", self.source());
        page.line("data directory", restore.data_dir.display());
        let selection = &restore.selection;
        let mut which = match selection.as_of {
            Some(instant) => format!("newest started at {instant} or before"),
            None => "newest".to_owned(),
        };
        if selection.previous > 0 {
            let _ = write!(which, ", after skipping {}", selection.previous);
        }
        if let (None, Some(shallow)) = (selection.as_of, selection.shallow) {
            let _ = write!(which, ", among {shallow}");
        }
        page.line("snapshot", which);
        page.line("empty the directory first", if restore.delete_first { "yes" } else { "no" });
        page.line(
            "nothing to restore is",
            if restore.required { "a failure" } else { "a success" },
        );
        let [before, after] = restore.hooks.show();
        page.line("before the restore", before);
        page.line("after the restore", after);
    }
}

fn show_look(page: &mut Page, work: &Work) {
    let sources = |sources: &[SourcePattern]| match sources {
        [] => "all".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    match work {
        Work::Verify(verify) => {
            page.line("sources", sources(&verify.sources));
            page.line("files that are read", format!("{} %", verify.percent));
        }
        Work::TestRestore(test) => {
            page.line("sources", sources(&test.sources));
            page.line("files that are restored", format!("{} %", test.percent));
            let scratch = test.scratch.as_ref();
            let place = scratch.map_or("nowhere".to_owned(), |path| path.display().to_string());
            page.line("restored to", place);
        }
        Work::Replicate(copy) => {
            page.line("target", copy.target.describe());
            for (what, state) in credentials(&copy.target) {
                page.line(&format!("target: {what}"), state);
            }
            page.line("blobs at once", copy.parallel);
            page.line("copies that are read back", format!("{} %", copy.verify_percent));
            page.line(
                "what is gone from the source is deleted",
                copy.delete_after.map_or("never".to_owned(), |age| {
                    format!("when it has been in the target for {} h", age.as_secs() / 3600)
                }),
            );
        }
        Work::Backup(_) | Work::Restore(_) | Work::Maintenance(_) => {}
    }
}

impl Hooks {
    /// Whether each command is there and will run.
    fn show(&self) -> [&'static str; 2] {
        [&self.before, &self.after].map(|text| match (text, self.enabled) {
            (None, _) => "none",
            (Some(_), true) => "[SET]",
            (Some(_), false) => "[SET], but actions are switched off",
        })
    }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.text, "{name}: {value}");
    }
}

fn set(secret: Option<&SecretString>) -> &'static str {
    if secret.is_some() { "[SET]" } else { "[NOT SET]" }
}

fn set_or_path(value: Option<&PathOrContent>) -> String {
    match value {
        None => "[NOT SET]".to_owned(),
        Some(PathOrContent::Content(_)) => "[SET]".to_owned(),
        Some(PathOrContent::Path(path)) => format!("file {}", path.display()),
    }
}

fn credentials(storage: &Storage) -> Vec<(&'static str, String)> {
    let secret = |name, value: Option<&SecretString>| (name, set(value).to_owned());
    match storage {
        Storage::S3 { keys, no_tls, .. } => vec![
            secret("access key", keys.as_ref().map(|keys| &keys.access_key)),
            secret("secret key", keys.as_ref().map(|keys| &keys.secret_key)),
            ("TLS", if *no_tls { "off" } else { "on" }.to_owned()),
        ],
        Storage::Azure { key, sas, .. } => {
            vec![secret("storage key", key.as_ref()), secret("SAS token", sas.as_ref())]
        }
        Storage::Gcs { credentials, .. } | Storage::GoogleDrive { credentials, .. } => {
            vec![("credentials", set_or_path(credentials.as_ref()))]
        }
        Storage::B2 { key_id, key, .. } => {
            vec![secret("key id", Some(key_id)), secret("application key", Some(key))]
        }
        Storage::WebDav { password, .. } => {
            vec![secret("password of the server", password.as_ref())]
        }
        Storage::Sftp { password, key, known_hosts, .. } => vec![
            secret("password of the server", password.as_ref()),
            ("private key", set_or_path(key.as_ref())),
            ("known hosts", set_or_path(known_hosts.as_ref())),
        ],
        Storage::Rclone { config, .. } => {
            vec![("rclone configuration", set_or_path(config.as_ref()))]
        }
        Storage::Filesystem { .. } | Storage::Given { .. } => Vec::new(),
    }
}

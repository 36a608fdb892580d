//! `repository set-parameters`

use jiff::SignedDuration;
use kopist_format::format_blob::{EpochParameters, IfNotUnderstood, RequiredFeature};
use kopist_repo::{ParameterChange, Repository, RetentionChange};

use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::Matches,
    output::duration,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::int("max-pack-size-mb", "Size of pack blobs, in MB."),
    Flag::int("index-version", "Version of index blobs."),
    Flag::one_of("retention-mode", &["none", "GOVERNANCE", "COMPLIANCE"], "Object lock mode."),
    Flag::duration("retention-period", "Object lock period."),
    Flag::switch("upgrade", "Upgrade the format."),
    Flag::duration("epoch-refresh-frequency", "Interval at which the epoch is refreshed."),
    Flag::duration("epoch-min-duration", "Shortest duration of an epoch."),
    Flag::duration(
        "epoch-cleanup-safety-margin",
        "Age from which superseded index blobs are deleted.",
    ),
    Flag::int("epoch-advance-on-count", "Number of index blobs that ends an epoch."),
    Flag::int64("epoch-advance-on-size-mb", "Size of index blobs that ends an epoch, in MB."),
    Flag::int("epoch-delete-parallelism", "Number of parallel deletions."),
    Flag::int("epoch-checkpoint-frequency", "Number of epochs between full checkpoints."),
    Flag::text("add-required-feature", "Add a required feature (tests only).").hidden().test_only(),
    Flag::text("remove-required-feature", "Remove a required feature (tests only).")
        .hidden()
        .test_only(),
    Flag::switch(
        "warn-on-missing-required-feature",
        "Only warn if the feature is missing (tests only).",
    )
    .hidden()
    .test_only(),
];

/// `repository set-parameters`
pub(super) static COMMAND: Command =
    Command::new("set-parameters", "Set parameters of the repository.")
        .aliases(&["set-params"])
        .flags(&[FLAGS])
        .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write_direct(app, |session, _| {
        let repo = &session.repo;
        let upgrade = matches.flag("upgrade");
        // An upgrade is a step of its own, and comes first: it gives the epochs their defaults.
        if upgrade && !repo.parameters().epoch.enabled {
            app.info("migrating current indexes to epoch format");
            repo.upgrade_to_epochs().context("error upgrading indexes")?;
        }
        let mut said = Said { app, any: upgrade };
        let change = change(&mut said, matches, repo)?;
        if !said.any {
            app.info("no changes");
            return Ok(());
        }
        repo.set_parameters(&change)
            .context("error setting parameters")
            .context("error updating repository parameters")?;
        app.info(
            "NOTE: Repository parameters updated, you must disconnect and re-connect all other \
             Kopia clients.",
        );
        Ok(())
    })
}

/// Says each change, and remembers that there was one.
struct Said<'a> {
    app: &'a App,
    any: bool,
}

impl Said<'_> {
    fn setting(&mut self, what: &str, value: &str) {
        self.any = true;
        self.app.info(format!(" - setting {what} to {value}.\n"));
    }

    /// Takes a number over unless it is zero.
    fn number(&mut self, given: Option<i64>, what: &str, field: &mut i64) {
        if let Some(value) = given.filter(|value| *value != 0) {
            *field = value;
            self.setting(what, &value.to_string());
        }
    }

    /// Takes a size in MiB over unless it is zero.
    fn mebibytes(&mut self, given: Option<i64>, what: &str, field: &mut i64) {
        if let Some(value) = given.filter(|value| *value != 0) {
            *field = value.saturating_mul(1 << 20);
            let shown = self.app.size(*field);
            self.setting(what, &shown);
        }
    }

    /// Takes a duration over unless it is zero.
    fn time(&mut self, given: Option<i64>, what: &str, field: &mut SignedDuration) {
        if let Some(nanos) = given.filter(|nanos| *nanos != 0) {
            *field = SignedDuration::from_nanos(nanos);
            self.setting(what, &duration(nanos));
        }
    }
}

fn change(
    said: &mut Said<'_>,
    matches: &Matches,
    repo: &Repository,
) -> Result<ParameterChange, CommandError> {
    let mut change = ParameterChange::default();
    let format = repo.format();
    let mut mutable = format.mutable.clone();
    said.mebibytes(
        matches.int("max-pack-size-mb"),
        "maximum pack size",
        &mut mutable.max_pack_size,
    );
    change.max_pack_size = Some(mutable.max_pack_size);
    if let Some(version) = matches.int("index-version").filter(|version| *version != 0) {
        let current = mutable.effective_index_version();
        if version < current {
            return Err(CommandError::new("index format version can only be upgraded"));
        }
        if version > current {
            said.number(Some(version), "index format version", &mut mutable.index_version);
            change.index_version = Some(version);
        }
    }
    change.retention = retention(said, matches, repo);
    let old = mutable.epoch.clone();
    epoch(said, matches, &mut mutable.epoch);
    if mutable.epoch != old {
        change.epoch = Some(mutable.epoch);
    }
    features(said, matches, &format.required_features, &mut change);
    Ok(change)
}

fn retention(said: &mut Said<'_>, matches: &Matches, repo: &Repository) -> Option<RetentionChange> {
    let mode = matches.non_empty("retention-mode");
    if mode.as_deref() == Some("none") {
        if !repo.blob_cfg().is_retention_enabled() {
            return None;
        }
        said.any = true;
        said.app.info("disabling blob retention");
        return Some(RetentionChange::None);
    }
    if let Some(mode) = &mode {
        said.setting("storage backend blob retention mode", mode);
    }
    let mut period = SignedDuration::ZERO;
    let what = "storage backend blob retention period";
    said.time(matches.duration("retention-period"), what, &mut period);
    let period = (!period.is_zero()).then_some(period);
    (mode.is_some() || period.is_some()).then_some(RetentionChange::Set { mode, period })
}

fn epoch(said: &mut Said<'_>, matches: &Matches, epoch: &mut EpochParameters) {
    for (flag, what, field) in [
        ("epoch-min-duration", "minimum epoch duration", &mut epoch.min_epoch_duration),
        ("epoch-refresh-frequency", "epoch refresh frequency", &mut epoch.epoch_refresh_frequency),
        (
            "epoch-cleanup-safety-margin",
            "epoch cleanup safety margin",
            &mut epoch.cleanup_safety_margin,
        ),
    ] {
        said.time(matches.duration(flag), what, field);
    }
    said.number(
        matches.int("epoch-advance-on-count"),
        "epoch advance on count",
        &mut epoch.epoch_advance_on_count_threshold,
    );
    said.mebibytes(
        matches.int("epoch-advance-on-size-mb"),
        "epoch advance on total size",
        &mut epoch.epoch_advance_on_total_size_bytes_threshold,
    );
    said.number(
        matches.int("epoch-delete-parallelism"),
        "epoch delete parallelism",
        &mut epoch.delete_parallelism,
    );
    said.number(
        matches.int("epoch-checkpoint-frequency"),
        "epoch range-compaction period",
        &mut epoch.full_checkpoint_frequency,
    );
}

fn features(
    said: &mut Said<'_>,
    matches: &Matches,
    present: &[RequiredFeature],
    change: &mut ParameterChange,
) {
    if let Some(name) = matches.non_empty("remove-required-feature") {
        said.any |= present.iter().any(|feature| feature.feature == name);
        change.remove_required_features.push(name);
    }
    if let Some(feature) = matches.non_empty("add-required-feature") {
        said.any = true;
        let if_not_understood = IfNotUnderstood {
            warn: matches.flag("warn-on-missing-required-feature"),
            ..IfNotUnderstood::default()
        };
        let feature = RequiredFeature { feature, if_not_understood, ..RequiredFeature::default() };
        change.add_required_features.push(feature);
    }
}

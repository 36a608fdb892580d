//! `blob gc`: packs that no index refers to.

use kopist_format::maintenance::SafetyParameters;
use kopist_repo::maintenance::{PackDeletion, delete_unreferenced_packs};

use crate::commands::shared;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::text("delete", "Pass 'yes' to delete unused blobs."),
    Flag::int("parallel", "Number of parallel operations.")
        .moot("blobs are found by one listing")
        .default("16"),
    Flag::text("prefix", "Only ids with this prefix."),
];

/// `blob gc`
pub(super) static COMMAND: Command = Command::new("gc", "Delete blobs that no index refers to.")
    .hidden()
    .flags(&[FLAGS, shared::SAFETY])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write_direct(app, |session, _| {
        app.require_dangerous()?;
        let metadata_only = match matches.non_empty("prefix").as_deref() {
            None => false,
            Some("q") => true,
            Some(prefix) => {
                return Err(CommandError::not_supported(&format!("'blob gc --prefix={prefix}'")));
            }
        };
        let dry_run = matches.text("delete").as_deref() != Some("yes");
        let repo = &session.repo;
        // Ages count by the storage's clock, which shows itself when something is written.
        let start = if dry_run {
            repo.clock().now()
        } else {
            repo.set_maintenance_schedule(&repo.maintenance_schedule()?)?
        };
        let none = matches.text("safety").as_deref() == Some("none");
        let safety = if none { SafetyParameters::NONE } else { SafetyParameters::FULL };
        let options = PackDeletion { start, safety, metadata_only, dry_run };
        let done = delete_unreferenced_packs(repo, &options)
            .context("error deleting unreferenced blobs")?;
        for thing in &done.unreadable {
            app.warn(format!("left alone: {thing}"));
        }
        let stats = done.stats;
        let (count, size) =
            (stats.unreferenced_pack_count, app.size(stats.unreferenced_total_size));
        app.info(format!("Found {count} unreferenced blobs ({size})"));
        if dry_run && count > 0 {
            app.info("Pass --delete=yes to delete.");
        } else {
            let (count, size) = (stats.deleted_pack_count, app.size(stats.deleted_total_size));
            app.info(format!("Deleted {count} unreferenced blobs ({size})"));
        }
        Ok(())
    })
}

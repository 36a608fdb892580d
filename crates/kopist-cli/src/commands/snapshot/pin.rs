//! `snapshot pin`

use kopist_snapshot::{SourceInfo, store::update_snapshot};

use crate::grammar::Matches;
use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::snapshot::delete::by_id,
    error::{CommandError, Context as _},
    session,
};

const FLAGS: &[Flag] = &[
    Flag::text("add", "Pins to add.").repeated(),
    Flag::text("remove", "Pins to remove.").repeated(),
];

/// `snapshot pin`
pub(super) static COMMAND: Command =
    Command::new("pin", "Add or remove pins, which keep snapshots from expiring.")
        .flags(&[FLAGS])
        .args(&[Arg::text("id", "").required().repeated()])
        .run(run);

/// A snapshot with other pins is a new manifest: its id changes.
fn run(app: &App, matches: &Matches) -> Outcome {
    session::write(app, |_, writer| {
        let (add, remove) = (matches.texts("add"), matches.texts("remove"));
        if add.is_empty() && remove.is_empty() {
            return Err(CommandError::new("must specify --add and/or --remove"));
        }
        let view = writer.manifests()?;
        for id in matches.texts("id") {
            for mut manifest in by_id(&view, &id, "pinning")? {
                let time = app.time(manifest.start_time.to_timestamp());
                let source = SourceInfo::from(&manifest.source);
                if !manifest.update_pins(&add, &remove) {
                    app.info(format!("No change for snapshot at {time} of {source}"));
                    continue;
                }
                app.info(format!("Updating snapshot at {time} of {source}"));
                update_snapshot(writer, &mut manifest)
                    .context("error updating snapshot")
                    .context(format!("error pinning {id}"))?;
            }
        }
        Ok(())
    })
}

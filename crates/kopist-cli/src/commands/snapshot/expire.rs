//! `snapshot expire`

use jiff::tz::TimeZone;
use kopist_snapshot::{
    expire::{apply_retention, expired},
    store::sources,
};

use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::sources::source,
    error::Context as _,
    grammar::{Matches, go_quote},
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("all", "Expire the snapshots of all sources."),
    Flag::switch("delete", "Confirm the deletion."),
];

/// `snapshot expire`
pub(super) static COMMAND: Command =
    Command::new("expire", "Remove snapshots according to the retention policy.")
        .flags(&[FLAGS])
        .args(&[Arg::text("path", "").repeated()])
        .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write(app, |session, writer| {
        let view = writer.manifests()?;
        let mut chosen = Vec::new();
        if matches.flag("all") {
            chosen = sources(&view);
        } else {
            for path in matches.texts("path") {
                let quoted = go_quote(&path).to_string();
                chosen.push(
                    source(&session.repo, &path).context(format!("unable to parse {quoted}"))?,
                );
            }
        }
        chosen.sort_by_cached_key(ToString::to_string);
        let zone = TimeZone::system();
        for source in &chosen {
            let what = format!("error applying retention policy to {source}");
            let delete = matches.flag("delete");
            let gone = if delete {
                apply_retention(writer, source, &zone).context(what)?
            } else {
                expired(&view, source, &zone).context(what)?
            };
            let count = gone.len();
            app.info(if count == 0 {
                format!("Nothing to delete for {source}.")
            } else if delete {
                format!("Deleted {count} snapshots of {source}...")
            } else {
                format!("{count} snapshot(s) of {source} would be deleted. Pass --delete to do it.")
            });
        }
        Ok(())
    })
}

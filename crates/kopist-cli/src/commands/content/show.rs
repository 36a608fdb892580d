//! `content show`

use std::io::Read as _;

use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::{ids::content_ids, pretty::indent_json},
    error::{CommandError, Context as _},
    grammar::Matches,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("json", "Indent JSON contents.").short('j'),
    Flag::switch("unzip", "Decompress gzip contents.").short('z'),
];

/// `content show`
pub(super) static COMMAND: Command = Command::new("show", "Print contents.")
    .aliases(&["cat"])
    .flags(&[FLAGS])
    .args(&[Arg::text("id", "").required().repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        for id in content_ids(matches.texts("id"))? {
            let content = session.repo.read_content(&id);
            let mut data = content.context(format!("error getting content {id}"))?.to_vec();
            if matches.flag("unzip") {
                data = unzip(&data).context("unable to open gzip stream")?;
            }
            if matches.flag("json") {
                app.console.print(indent_json(&data)?)?;
            } else {
                app.console.write(&data)?;
            }
        }
        Ok(())
    })
}

fn unzip(data: &[u8]) -> Result<Vec<u8>, CommandError> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(data).read_to_end(&mut out)?;
    Ok(out)
}

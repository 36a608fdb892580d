//! `policy export`

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use kopist_snapshot::store::load_policies;

use crate::grammar::Matches;
use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::policy::target::targets,
    error::{CommandError, Context as _},
    grammar::go_quote,
    output::JsonOutput,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::text("to-file", "File to write."),
    Flag::switch("overwrite", "Overwrite the file."),
    Flag::switch("json-indent", "Indent the JSON result.").hidden(),
    Flag::switch("global", "The global policy."),
];

/// `policy export`
pub(super) static COMMAND: Command = Command::new("export", "Export policies as JSON.")
    .flags(&[FLAGS])
    .args(&[Arg::text("target", "").repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let path = matches.os("to-file").filter(|path| !path.is_empty());
        let overwrite = matches.flag("overwrite");
        if path.is_none() && overwrite {
            return Err(CommandError::new("overwrite was passed but no file path was given"));
        }
        let manifests = session.repo.manifests()?;
        let policies = load_policies(&manifests).context("failed to list policies")?;
        let mut chosen = BTreeMap::new();
        if matches.flag("global") || !matches.texts("target").is_empty() {
            for target in targets(&session.repo, &manifests, matches)? {
                let stored = policies.defined(&target).ok_or_else(|| {
                    let target = go_quote(&target.to_string()).to_string();
                    CommandError::new(format!(
                        "can't get defined policy for {target}: policy not found"
                    ))
                })?;
                chosen.insert(target.to_string(), &stored.policy);
            }
        } else {
            for stored in policies.all() {
                chosen.insert(stored.target.to_string(), &stored.policy);
            }
        }
        let output = JsonOutput { indent: matches.flag("json-indent"), ..JsonOutput::default() };
        let text = format!("{}\n", output.text(&chosen)?);
        let Some(path) = path else { return Ok(app.console.print(text)?) };
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        if overwrite {
            options.create(true).truncate(true);
        } else {
            options.create_new(true);
        }
        let file = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => CommandError::from(error)
                .context("file already exists and overwrite flag is not set"),
            _ => CommandError::from(error)
                .context(Path::new(path).display())
                .context("error opening file to write to"),
        });
        file?.write_all(text.as_bytes()).context("unable to write policy to output")
    })
}

//! `manifest list`

use jiff::Timestamp;
use kopist_format::manifest::Labels;
use serde::Serialize;

use crate::commands::shared;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::{Matches, go_quote},
    output::JsonOutput,
    session,
};

const FLAGS: &[Flag] = &[
    Flag::text("filter", "Only manifests with this label, key:value.").repeated(),
    Flag::text("sort", "Labels to sort by.").repeated(),
];

/// `manifest list`
pub(super) static COMMAND: Command =
    Command::new("list", "List manifests.").aliases(&["ls"]).flags(&[FLAGS, shared::JSON]).run(run);

/// A manifest as kopia prints it.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    length: usize,
    labels: &'a Labels,
    #[serde(with = "kopist_format::json::time")]
    mtime: Timestamp,
}

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let output = JsonOutput::new(matches);
        let mut list = output.list(&app.console)?;
        let mut filter = Labels::new();
        for text in matches.texts("filter") {
            match text.split_once(':') {
                Some((key, value)) if !key.is_empty() => {
                    filter.insert(key.to_owned(), value.to_owned());
                }
                _ => {
                    let text = go_quote(&text);
                    return Err(CommandError::new(format!(
                        "invalid list filter {text}, missing ':'"
                    )));
                }
            }
        }
        let mut found = session.repo.manifests().context("unable to find manifests")?.find(&filter);
        let keys = matches.texts("sort");
        found.sort_by(|a, b| {
            let by_label = keys.iter().map(|key| a.labels.get(key).cmp(&b.labels.get(key)));
            by_label
                .fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
                .then(a.modified.cmp(&b.modified))
        });
        for manifest in &found {
            let (id, length) = (manifest.id.as_str(), manifest.length);
            let mtime = manifest.modified.to_timestamp();
            if output.json {
                list.item(&Listed { id, length, labels: &manifest.labels, mtime })?;
                continue;
            }
            let kind = manifest.labels.get("type").map_or("", String::as_str);
            let others = manifest.labels.iter().filter(|(key, _)| *key != "type");
            let others: Vec<_> = others.map(|(key, value)| format!("{key}:{value}")).collect();
            app.console.line(format!(
                "{id} {length:>10} {} type:{kind} {}",
                app.time(mtime),
                others.join(" ")
            ))?;
        }
        Ok(())
    })
}

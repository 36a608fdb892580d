//! `list`

use kopist_format::directory::{DirEntry, DirectoryManifest};
use kopist_repo::Repository;
use kopist_snapshot::browse;

use crate::grammar::Matches;
use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::pretty::mode_text,
    error::{CommandError, Context as _},
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("long", "Long output.").short('l'),
    Flag::switch("human-readable", "Print sizes for people.").short('h'),
    Flag::switch("recursive", "List directories recursively.").short('r'),
    Flag::switch("show-object-id", "Show object ids.").short('o'),
    Flag::switch("error-summary", "Report entries that failed when the snapshot was made.")
        .default("true"),
];

/// `list`
pub(super) static COMMAND: Command = Command::new("list", "List a directory of a snapshot.")
    .aliases(&["ls"])
    .flags(&[FLAGS])
    .args(&[
        Arg::text("object-path", "Object id or snapshot id, with the path inside it.").required()
    ])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let path = matches.text("object-path").unwrap_or_default();
        let root = browse::resolve(&session.repo, &session.repo.manifests()?, &path, false)
            .context("unable to get filesystem directory entry")?
            .entry;
        if !root.is_dir() {
            return Err(CommandError::new(
                "unable to get filesystem directory entry: not a directory",
            ));
        }
        let prefix = if matches.flag("long") { String::new() } else { format!("{path}/") };
        let lister = Lister {
            app,
            repo: &session.repo,
            long: matches.flag("long"),
            human: matches.flag("human-readable"),
            recursive: matches.flag("recursive"),
            object_ids: matches.flag("show-object-id"),
            errors: matches.flag("error-summary"),
        };
        lister.list(&root, &prefix)
    })
}

/// What to show of each entry.
#[allow(clippy::struct_excessive_bools, reason = "flags")]
struct Lister<'a> {
    app: &'a App,
    repo: &'a Repository,
    long: bool,
    human: bool,
    recursive: bool,
    object_ids: bool,
    errors: bool,
}

impl Lister<'_> {
    /// Lists a directory; full names begin with `prefix`.
    fn list(&self, directory: &DirEntry, prefix: &str) -> Outcome {
        for entry in browse::children(self.repo, directory)? {
            self.app.console.line(self.line(&entry, prefix))?;
            if self.recursive && entry.is_dir() {
                let below = format!("{prefix}{}/", entry.name_text());
                self.list(&entry, &below)?;
            }
        }
        if self.errors {
            self.report_errors(directory)?;
        }
        Ok(())
    }

    fn line(&self, entry: &DirEntry, prefix: &str) -> String {
        let object = entry.object.map(|id| id.to_string()).unwrap_or_default();
        let failed = entry.summary.as_ref().map_or(0, |summary| summary.failed);
        let errors = match failed {
            failed if self.errors && failed > 0 => format!(" ({failed} errors)"),
            _ => String::new(),
        };
        let name = if self.long || self.recursive {
            let slash = if entry.is_dir() { "/" } else { "" };
            format!("{prefix}{}{slash}", entry.name_text())
        } else {
            entry.name_text().into_owned()
        };
        if self.long {
            let size = entry.size;
            let size = if self.human { self.app.size(size) } else { size.to_string() };
            let time = self.app.time(entry.mtime.to_timestamp());
            let mode = mode_text(entry);
            format!("{mode} {size:>12} {time} {object:<34} {name}{errors}")
        } else if self.object_ids {
            format!("{object:<34} {name}{errors}")
        } else {
            format!("{name}{errors}")
        }
    }

    /// Says which entries failed when the directory was backed up.
    fn report_errors(&self, directory: &DirEntry) -> Outcome {
        if directory.summary.as_ref().is_some_and(|summary| summary.failed == 0) {
            return Ok(());
        }
        let Some(object) = directory.object else { return Ok(()) };
        let manifest = DirectoryManifest::parse(&self.repo.read_object(&object)?)?;
        let Some(summary) = manifest.summary.filter(|summary| summary.failed > 0) else {
            return Ok(());
        };
        self.app.console.error_line(&format!(
            "\nNOTE: Encountered {} errors while snapshotting this directory:\n",
            summary.failed
        ));
        for failed in &summary.errors {
            let path = String::from_utf8_lossy(&failed.path);
            self.app.console.error_line(&format!("- Error in \"{path}\": {}", failed.error));
        }
        Ok(())
    }
}

//! `blob shards modify`: another layout of directories for a repository on a file system.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use kopist_blob::{
    BlobId,
    sharded::{BLOB_SUFFIX, Override, PARAMETERS_FILE, Parameters},
};

use crate::grammar::{Command, Flag, go_quote};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::Matches,
};

const MODIFY_FLAGS: &[Flag] = &[
    Flag::switch(
        "i-am-sure-kopia-is-not-running",
        "Confirm that no other program uses the repository.",
    )
    .moot("it must be given, and confirms")
    .required(),
    Flag::existing_path("path", "Directory of the repository.").required(),
    Flag::text("default-shards", "New default sharding, comma-separated lengths, or 'flat'."),
    Flag::text("override", "Sharding of blobs with a prefix, prefix=lengths.").repeated(),
    Flag::text("remove-override", "Remove the sharding of a prefix.").repeated(),
    Flag::int("unsharded-length", "Length up to which names are not sharded."),
    Flag::switch("dry-run", "Show what would be done without doing it."),
];

/// `blob shards modify`
static MODIFY: Command =
    Command::new("modify", "Change the sharding of a repository on a file system.")
        .aliases(&["reshard"])
        .hidden()
        .flags(&[MODIFY_FLAGS])
        .run(modify);

/// `blob shards`
pub(super) static COMMAND: Command =
    Command::new("shards", "Work with the sharding of a repository.").hidden().commands(&[&MODIFY]);

fn modify(app: &App, matches: &Matches) -> Outcome {
    let root = PathBuf::from(matches.os("path").unwrap_or_default());
    let file = root.join(PARAMETERS_FILE);
    app.info("Reading .shards file.");
    let text = fs::read(&file).context("unable to open shards file")?;
    let mut parameters = Parameters::parse(&text, &file.display().to_string())
        .context("error loading parameters")?;
    change(&mut parameters, matches)?;
    let mut layout =
        Layout { app, root, parameters, dry_run: matches.flag("dry-run"), moved: 0, unchanged: 0 };
    app.info("Moving files...");
    let root = layout.root.clone();
    layout.move_files(&root, "").context("error processing directory")?;
    let (moved, unchanged) = (layout.moved, layout.unchanged);
    if layout.dry_run {
        app.info(format!("Would move {moved} file, {unchanged} unchanged."));
        return Ok(());
    }
    app.info(format!("Moved {moved} files, {unchanged} unchanged."));
    app.info("Removing empty directories...");
    let mut removed = 0;
    layout.remove_empty(&root, &mut removed).context("error removing empty directories")?;
    app.info(format!("Removed {removed} empty directories..."));
    app.info("Writing new .shards file.");
    // A second run with the same flags finishes what was interrupted before this.
    let draft = layout.root.join(format!("{PARAMETERS_FILE}.new"));
    fs::write(&draft, layout.parameters.to_bytes())
        .and_then(|()| fs::rename(&draft, &file))
        .context("error saving .shards file")
}

fn change(parameters: &mut Parameters, matches: &Matches) -> Outcome {
    if let Some(shards) = matches.non_empty("default-shards") {
        let shards = lengths(&shards);
        parameters.default = shards.ok_or_else(|| CommandError::new("invalid --default-shards"))?;
    }
    let removed = matches.texts("remove-override");
    parameters.overrides.retain(|over| !removed.contains(&over.prefix));
    for text in matches.texts("override") {
        let over = text.split_once('=').and_then(|(prefix, shards)| {
            Some(Override { prefix: prefix.to_owned(), shards: lengths(shards)? })
        });
        let over = over.ok_or_else(|| {
            let text = go_quote(&text);
            CommandError::new(format!("invalid override {text}, must be prefix=n1,..,nM"))
        })?;
        parameters.overrides.retain(|old| old.prefix != over.prefix);
        parameters.overrides.push(over);
    }
    let length = matches.int("unsharded-length").and_then(|length| usize::try_from(length).ok());
    if let Some(length) = length {
        parameters.max_non_sharded_length = length;
    }
    Ok(())
}

fn lengths(text: &str) -> Option<Vec<usize>> {
    if text == "flat" {
        return Some(Vec::new());
    }
    text.split(',').filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
}

struct Layout<'a> {
    app: &'a App,
    root: PathBuf,
    parameters: Parameters,
    dry_run: bool,
    moved: u64,
    unchanged: u64,
}

impl Layout<'_> {
    fn move_files(&mut self, dir: &Path, names: &str) -> Outcome {
        let mut entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                self.move_files(&entry.path(), &format!("{names}{name}"))?;
                continue;
            }
            let Some(rest) = name.strip_suffix(BLOB_SUFFIX) else { continue };
            let id = BlobId::from(format!("{names}{rest}"));
            let target = self.root.join(self.parameters.path_of(&id)?);
            if target == entry.path() {
                self.unchanged += 1;
                continue;
            }
            self.moved += 1;
            self.app.console.line(format!("mv {} {}", entry.path().display(), target.display()))?;
            if self.dry_run {
                continue;
            }
            if let Some(parent) = target.parent() {
                let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(parent);
                made.context("error creating directory")?;
            }
            fs::rename(entry.path(), &target).context("error moving")?;
        }
        Ok(())
    }

    /// Removes directories without files below `dir`; whether nothing is left in it.
    fn remove_empty(&self, dir: &Path, removed: &mut u64) -> Result<bool, CommandError> {
        let mut empty = true;
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let child = entry.path();
            if !entry.file_type()?.is_dir() || !self.remove_empty(&child, removed)? {
                empty = false;
                continue;
            }
            self.app.console.line(format!("rmdir {}", child.display()))?;
            fs::remove_dir(&child)?;
            *removed += 1;
        }
        Ok(empty)
    }
}

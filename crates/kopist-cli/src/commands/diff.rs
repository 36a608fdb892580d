//! `diff`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use jiff::tz::TimeZone;
use kopist_format::directory::{DirEntry, EntryType, UtcNanos};
use kopist_format::json::to_go_json;
use kopist_repo::Repository;
use kopist_snapshot::{
    browse,
    diff::{Difference, diff},
};

use crate::{
    app::{App, Outcome},
    commands::pretty::mode_text,
    error::{CommandError, Context as _},
    grammar::{Arg, Command, Flag, Matches},
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("files", "Compare the contents of files with the diff command.").short('f'),
    Flag::switch("stats-only", "Print only the statistics."),
    Flag::text("diff-command", "Command that shows the difference of two files.")
        .env("KOPIA_DIFF")
        .default("diff -u"),
];

/// `diff`
pub(super) static COMMAND: Command =
    Command::new("diff", "Show the differences between two directories or snapshots.")
        .aliases(&["compare"])
        .flags(&[FLAGS])
        .args(&[Arg::text("object-path1", "").required(), Arg::text("object-path2", "").required()])
        .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let repo = &session.repo;
        let view = repo.manifests()?;
        let entry = |argument| -> Result<DirEntry, CommandError> {
            let path = matches.text(argument).unwrap_or_default();
            let named = browse::resolve(repo, &view, &path, false);
            Ok(named.context(format!("error getting filesystem entry for {path}"))?.entry)
        };
        let (first, second) = (entry("object-path1")?, entry("object-path2")?);
        if first.is_dir() != second.is_dir() {
            return Err(CommandError::new(
                "arguments to diff must both be directories or both non-directories",
            ));
        }
        if !first.is_dir() {
            return Err(CommandError::new("comparing files not implemented yet"));
        }
        let files = if matches.flag("files") { FileDiff::new(app, repo, matches)? } else { None };
        let quiet = matches.flag("stats-only");
        let stats = diff(repo, &first, &second, &mut |path, difference| -> Outcome {
            if !quiet {
                show(app, path, difference)?;
            }
            files.as_ref().map_or(Ok(()), |files| files.show(path, difference))
        });
        let stats = stats.context("error comparing directories")?;
        app.console.write(&to_go_json(&stats)?)?;
        Ok(())
    })
}

/// Prints a difference, in the lines that kopia prints.
fn show(app: &App, path: &str, difference: Difference<'_>) -> Outcome {
    let line = |text: String| app.console.line(text).map_err(CommandError::from);
    match difference {
        Difference::Added(entry) if entry.is_dir() => line(format!("added directory {path}")),
        Difference::Added(entry) => line(format!("added file {path} ({} bytes)", entry.size)),
        Difference::Removed(entry) if entry.is_dir() => line(format!("removed directory {path}")),
        Difference::Removed(entry) => line(format!("removed file {path} ({} bytes)", entry.size)),
        Difference::Attributes(a, b) => {
            let (mode_a, mode_b) = (mode_text(a), mode_text(b));
            if mode_a != mode_b {
                line(format!("{path} modes differ: {mode_a} {mode_b}"))?;
            }
            if a.size != b.size {
                line(format!("{path} sizes differ: {} {}", a.size, b.size))?;
            }
            if a.mtime != b.mtime {
                let (a, b) = (go_time(a.mtime), go_time(b.mtime));
                line(format!("{path} modification times differ: {a} {b}"))?;
            }
            if a.uid != b.uid {
                line(format!("{path} owner users differ: {} {}", a.uid, b.uid))?;
            }
            if a.gid != b.gid {
                line(format!("{path} owner groups differ: {} {}", a.gid, b.gid))?;
            }
            Ok(())
        }
        Difference::Kind(a, _) if a.is_dir() => {
            line(format!("changed {path} from directory to non-directory"))
        }
        Difference::Kind(..) => line(format!("changed {path} from non-directory to a directory")),
        Difference::Changed(a, b) => {
            let time = go_time(b.mtime);
            line(format!("changed {path} at {time} (size {} -> {})", a.size, b.size))
        }
    }
}

/// A time as Go prints it: `2024-01-02 03:04:05.5 +0000 UTC`.
fn go_time(time: UtcNanos) -> String {
    let zoned = time.to_timestamp().to_zoned(TimeZone::UTC);
    zoned.strftime("%Y-%m-%d %H:%M:%S%.f +0000 UTC").to_string()
}

/// Shows the difference of files with another program.
struct FileDiff<'a> {
    app: &'a App,
    repo: &'a Repository,
    program: String,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
}

impl<'a> FileDiff<'a> {
    /// Nothing without a command.
    fn new(
        app: &'a App,
        repo: &'a Repository,
        matches: &Matches,
    ) -> Result<Option<Self>, CommandError> {
        let command = matches.text("diff-command").unwrap_or_default();
        let mut words = command.split(' ').map(str::to_owned);
        let Some(program) = words.next().filter(|word| !word.is_empty()) else { return Ok(None) };
        let folder = tempfile::Builder::new().prefix("kopia").tempdir();
        let folder = folder.context("error creating temp directory")?;
        Ok(Some(Self { app, repo, program, arguments: words.collect(), folder }))
    }

    fn show(&self, path: &str, difference: Difference<'_>) -> Outcome {
        let (old, new) = match difference {
            Difference::Added(entry) => (None, Some(entry)),
            Difference::Removed(entry) => (Some(entry), None),
            Difference::Changed(old, new) => (Some(old), Some(new)),
            Difference::Attributes(..) | Difference::Kind(..) => return Ok(()),
        };
        if old.into_iter().chain(new).any(|entry| entry.kind != EntryType::File) {
            return Ok(());
        }
        let old = self.fetch("old", path, old).context("error downloading old file")?;
        let new = self.fetch("new", path, new).context("error downloading new file")?;
        let output = Process::new(&self.program)
            .args(&self.arguments)
            .args([&old, &new])
            .current_dir(self.folder.path())
            .output()
            .context(format!("cannot run {}", self.program))?;
        self.app.console.write(&output.stdout)?;
        self.app.console.write(&output.stderr)?;
        for file in [old, new] {
            let file = self.folder.path().join(file);
            if file.starts_with(self.folder.path()) {
                fs::remove_file(file)?;
            }
        }
        Ok(())
    }

    /// Writes a file below the folder; `/dev/null` stands for none.
    fn fetch(
        &self,
        side: &str,
        path: &str,
        entry: Option<&DirEntry>,
    ) -> Result<PathBuf, CommandError> {
        let Some(entry) = entry else { return Ok("/dev/null".into()) };
        let path = path.strip_prefix("./").unwrap_or(path);
        if !path.split('/').all(|name| browse::is_safe_name(name.as_bytes())) {
            return Err(CommandError::new(format!("{path:?} leads out of its directory")));
        }
        let object =
            entry.object.ok_or_else(|| CommandError::new(format!("{path} has no object")))?;
        let relative = Path::new(side).join(path);
        let file = self.folder.path().join(&relative);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut reader = self.repo.open_object(&object)?;
        io::copy(&mut reader, &mut fs::File::create(file)?)?;
        Ok(relative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_gos() {
        assert_eq!(go_time(UtcNanos(1_704_164_645_500_000_000)), "2024-01-02 03:04:05.5 +0000 UTC");
        assert_eq!(go_time(UtcNanos(0)), "1970-01-01 00:00:00 +0000 UTC");
    }
}

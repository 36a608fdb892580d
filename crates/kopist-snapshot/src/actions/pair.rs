//! An action before and the one after: what they share, and how they are run.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Ended, Limits, Stream, describe_exit, watch};
use super::{Action, ActionLine, ActionOptions, ActionOutput, Note};
use crate::fs::errno_text;
use crate::policy::ActionCommand;

/// Time of an action whose policy says nothing.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(3);
/// The line that a "before" action prints to redirect the snapshot.
const REDIRECTION: &[u8] = b"KOPIA_SNAPSHOT_PATH=";
/// How often a script is started again that some other child still has open for writing, because
/// it was forked at the wrong moment.
const BUSY_RETRIES: u32 = 100;

/// Why an action did not do what it had to. The words are kopia's: they become part of the
/// snapshot where a folder is missing in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// No place to run it.
    #[error(
        "error initializing action context: error temporary directory for action execution: {0}"
    )]
    WorkDirectory(io::Error),
    /// Neither a command nor a script.
    #[error(
        "error running '{0}' action: error preparing command: \
             action did not provide either script nor command to run"
    )]
    Empty(Action),
    /// The script could not be put where it runs.
    #[error(
        "error running '{action}' action: error preparing command: \
             error writing script for execution: {source}"
    )]
    Script {
        /// Which action.
        action: Action,
        /// Why.
        source: io::Error,
    },
    /// An asynchronous action did not start.
    #[error(
        "error running '{action}' action: error starting action command asynchronously: {reason}"
    )]
    NotStarted {
        /// Which action.
        action: Action,
        /// Why.
        reason: String,
    },
    /// An essential action failed.
    #[error("error running '{action}' action: essential action failed: {reason}")]
    Failed {
        /// Which action.
        action: Action,
        /// How it ended.
        reason: String,
    },
}

/// A "before" and an "after" action of one directory.
#[derive(Debug)]
pub struct Pair {
    source: PathBuf,
    started: Option<Started>,
}

/// What the two share once one of them runs.
#[derive(Debug)]
struct Started {
    id: String,
    snapshot_path: PathBuf,
    work: Arc<TempDir>,
}

/// What the file of an embedded script is called and how it is run.
enum Program {
    Script(PathBuf),
    Shell(PathBuf),
    Path,
}

impl Pair {
    /// The actions of the directory at `source`.
    #[must_use]
    pub fn new(source: PathBuf) -> Self {
        Self { source, started: None }
    }

    /// Runs a "before" action and returns the directory that it named, if any. `stop` ends it
    /// early.
    pub fn before(
        &mut self,
        action: Action,
        command: &ActionCommand,
        options: &ActionOptions,
        stop: &dyn Fn() -> bool,
        note: &dyn Fn(Note<'_>),
    ) -> Result<Option<PathBuf>, ActionError> {
        self.start(action, options, note)?;
        let Some(started) = &self.started else { return Ok(None) };
        let mut path = None;
        let mut capture = |stream: Stream, line: &[u8]| {
            if stream == Stream::Output
                && let Some(value) = line.strip_prefix(REDIRECTION)
            {
                path = Some(OsString::from_vec(value.to_vec()));
            }
        };
        let run = Run { action, command, options, source: &self.source, started };
        run.run(stop, note, &mut capture)?;
        let path = path.filter(|path| !path.is_empty()).map(PathBuf::from);
        if let (Some(path), Some(started)) = (&path, &mut self.started) {
            started.snapshot_path.clone_from(path);
        }
        Ok(path)
    }

    /// Runs an "after" action. A failure is told; it changes nothing any more.
    pub fn after(
        &mut self,
        action: Action,
        command: &ActionCommand,
        options: &ActionOptions,
        note: &dyn Fn(Note<'_>),
    ) {
        let result = self.start(action, options, note).and_then(|()| {
            let Some(started) = &self.started else { return Ok(()) };
            let run = Run { action, command, options, source: &self.source, started };
            run.run(&|| false, note, &mut |_, _| {})
        });
        if let Err(error) = result {
            note(Note::Problem(&error.to_string()));
        }
    }

    /// Makes sure that there is what a command needs, unless none may run.
    fn start(
        &mut self,
        action: Action,
        options: &ActionOptions,
        note: &dyn Fn(Note<'_>),
    ) -> Result<(), ActionError> {
        if !options.enabled {
            let source = self.source.display();
            note(Note::Info(&format!(
                "Not executing {action} action on {source} because it's been disabled for this \
                 client."
            )));
            return Ok(());
        }
        if self.started.is_none() {
            let mut id = [0; 8];
            getrandom::fill(&mut id)
                .map_err(|error| ActionError::WorkDirectory(io::Error::other(error)))?;
            let work = tempfile::Builder::new().prefix("kopia-action").tempdir();
            self.started = Some(Started {
                id: format!("{:016x}", u64::from_be_bytes(id)),
                snapshot_path: self.source.clone(),
                work: Arc::new(work.map_err(ActionError::WorkDirectory)?),
            });
        }
        Ok(())
    }
}

/// One action that is to be run.
struct Run<'a> {
    action: Action,
    command: &'a ActionCommand,
    options: &'a ActionOptions,
    source: &'a Path,
    started: &'a Started,
}

impl Run<'_> {
    fn run(
        &self,
        stop: &dyn Fn() -> bool,
        note: &dyn Fn(Note<'_>),
        capture: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<(), ActionError> {
        let action = self.action;
        let program = self.program()?;
        let is_async = self.command.mode == "async";
        let child = self.spawn(&program, is_async);
        if is_async {
            let child = child.map_err(|reason| ActionError::NotStarted { action, reason })?;
            self.leave(child);
            return Ok(());
        }
        let outcome = child.and_then(|child| self.wait(child, stop, capture));
        match outcome {
            Ok(()) => Ok(()),
            Err(reason) if self.command.mode == "essential" => {
                Err(ActionError::Failed { action, reason })
            }
            Err(reason) => {
                note(Note::Problem(&format!(
                    "error running non-essential action command: {reason} \
                     ({action} action on {})",
                    self.source.display()
                )));
                Ok(())
            }
        }
    }

    fn wait(
        &self,
        mut child: Child,
        stop: &dyn Fn() -> bool,
        capture: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<(), String> {
        let timeout = self.timeout();
        let mut show = self.listener();
        let ended = watch(&mut child, Limits { timeout, stop }, &mut |stream, line| {
            capture(stream, line);
            show(stream, line);
        });
        match ended {
            Ok(Ended::Exited(status)) if status.success() => Ok(()),
            Ok(Ended::Exited(status)) => Err(describe_exit(status)),
            Ok(Ended::TimedOut) => {
                Err(format!("signal: killed (it took longer than {} s)", timeout.as_secs()))
            }
            Ok(Ended::Stopped) => Err("signal: killed (the snapshot was canceled)".to_owned()),
            Err(error) => Err(format!("it cannot be watched: {}", errno_text(&error))),
        }
    }

    /// Lets an asynchronous action go its way.
    fn leave(&self, child: Child) {
        let name = format!("{} on {}", self.action, self.source.display());
        let (action, source) = (self.action, self.source.to_owned());
        let output = self.options.output.clone();
        let show = move |stream, text: &[u8]| tell(&output, action, &source, stream, text);
        let work = Arc::clone(&self.started.work);
        self.options.background.adopt(child, name, self.timeout(), work, show);
    }

    fn listener(&self) -> impl FnMut(Stream, &[u8]) {
        |stream, text| tell(&self.options.output, self.action, self.source, stream, text)
    }

    fn timeout(&self) -> Duration {
        match u64::try_from(self.command.timeout_seconds) {
            Ok(0) | Err(_) => DEFAULT_TIMEOUT,
            Ok(seconds) => Duration::from_secs(seconds),
        }
    }

    /// What is to be run. A script is written into the working directory.
    fn program(&self) -> Result<Program, ActionError> {
        let script = &self.command.script;
        if script.is_empty() {
            return match self.command.command.as_str() {
                "" => Err(ActionError::Empty(self.action)),
                _ => Ok(Program::Path),
            };
        }
        let file = self.started.work.path().join(format!("{}.sh", self.action));
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o700)
            .open(&file)
            .and_then(|mut file| io::Write::write_all(&mut file, script.as_bytes()));
        written.map_err(|source| ActionError::Script { action: self.action, source })?;
        let runs_itself = script.starts_with("#!");
        Ok(if runs_itself { Program::Script(file) } else { Program::Shell(file) })
    }

    fn spawn(&self, program: &Program, is_async: bool) -> Result<Child, String> {
        let mut command = match program {
            Program::Script(file) => Command::new(file),
            Program::Shell(file) => {
                let mut command = Command::new("sh");
                command.arg("-e").arg(file);
                command
            }
            Program::Path => {
                let mut command = Command::new(&self.command.command);
                command.args(&self.command.arguments);
                command
            }
        };
        if let Some(environment) = &self.options.environment {
            command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        }
        command
            .env("KOPIA_ACTION", self.action.name())
            .env("KOPIA_SNAPSHOT_ID", &self.started.id)
            .env("KOPIA_SOURCE_PATH", self.source)
            .env("KOPIA_SNAPSHOT_PATH", &self.started.snapshot_path)
            .env("KOPIA_VERSION", &self.options.version)
            .current_dir(self.started.work.path())
            .stdin(Stdio::null())
            .process_group(0);
        match &self.options.output {
            // Whoever reads our standard error to its end must not have to wait for it.
            ActionOutput::Inherit if is_async => {
                command.stdout(Stdio::null()).stderr(Stdio::null())
            }
            ActionOutput::Inherit => command.stdout(Stdio::piped()),
            ActionOutput::Lines(_) => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        };
        let mut retries = 0;
        loop {
            match command.spawn() {
                Ok(child) => return Ok(child),
                Err(error)
                    if error.kind() == io::ErrorKind::ExecutableFileBusy
                        && retries < BUSY_RETRIES =>
                {
                    retries += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(not_started(&command, &error)),
            }
        }
    }
}

fn tell(output: &ActionOutput, action: Action, source: &Path, stream: Stream, text: &[u8]) {
    if let ActionOutput::Lines(listener) = output {
        listener(&ActionLine { action, source, stream, text });
    }
}

/// Go's words for a program that cannot be started.
fn not_started(command: &Command, error: &io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    if error.kind() == io::ErrorKind::NotFound && !program.contains('/') {
        return format!("exec: {program:?}: executable file not found in $PATH");
    }
    format!("fork/exec {program}: {}", errno_text(error))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn command(script: &str, mode: &str) -> ActionCommand {
        ActionCommand { script: script.into(), mode: mode.into(), ..ActionCommand::default() }
    }

    fn enabled() -> ActionOptions {
        ActionOptions { enabled: true, version: "v1".into(), ..ActionOptions::default() }
    }

    fn before(
        pair: &mut Pair,
        command: &ActionCommand,
        options: &ActionOptions,
    ) -> (Result<Option<PathBuf>, String>, Vec<String>) {
        let notes = Mutex::new(Vec::new());
        let note = |note: Note<'_>| {
            let (Note::Info(text) | Note::Problem(text)) = note;
            notes.lock().unwrap().push(text.to_owned());
        };
        let result = pair.before(Action::BeforeFolder, command, options, &|| false, &note);
        (result.map_err(|error| error.to_string()), notes.into_inner().unwrap())
    }

    #[test]
    fn the_environment_is_that_of_the_pair() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let options = ActionOptions {
            environment: Some(vec![
                ("PATH".into(), std::env::var_os("PATH").unwrap()),
                ("OWN".into(), "1".into()),
            ]),
            output: ActionOutput::Lines(Arc::new(move |line: &ActionLine<'_>| {
                let text = String::from_utf8_lossy(line.text).into_owned();
                sink.lock().unwrap().push(text);
            })),
            ..enabled()
        };
        let mut pair = Pair::new("/some/where".into());
        let print = "echo \"$KOPIA_ACTION $KOPIA_SNAPSHOT_ID $KOPIA_SOURCE_PATH \
                     $KOPIA_SNAPSHOT_PATH $KOPIA_VERSION $OWN $(pwd)\"\n";
        let script =
            format!("{print}echo KOPIA_SNAPSHOT_PATH=/first\necho KOPIA_SNAPSHOT_PATH=/mnt/a=b");
        let (path, notes) = before(&mut pair, &command(&script, "essential"), &options);
        assert_eq!(path.unwrap(), Some(PathBuf::from("/mnt/a=b")), "the last line counts");
        pair.after(Action::AfterFolder, &command(print, ""), &options, &|_| panic!());
        assert!(notes.is_empty());
        let work = pair.started.as_ref().unwrap().work.path().to_owned();
        assert!(work.exists());
        drop(pair);
        assert!(!work.exists(), "the working directory goes with the pair");

        let lines = lines.lock().unwrap().clone();
        let words: Vec<Vec<&str>> = lines
            .iter()
            .map(|line| line.split(' ').collect())
            .filter(|w: &Vec<_>| w.len() > 1)
            .collect();
        let [first, second] = words.as_slice() else { panic!("{lines:?}") };
        assert_eq!(first[0], "before-folder");
        assert_eq!(second[0], "after-folder");
        assert_eq!(first[1], second[1], "one id for both");
        assert!(first[1].len() == 16 && first[1].bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(first[2..6], ["/some/where", "/some/where", "v1", "1"]);
        assert_eq!(second[2..6], ["/some/where", "/mnt/a=b", "v1", "1"]);
        assert_eq!((first[6], second[6]), (work.to_str().unwrap(), work.to_str().unwrap()));
    }

    #[test]
    fn the_mode_says_what_a_failure_means() {
        let mut pair = Pair::new("/x".into());
        let fail = |mode| command("echo KOPIA_SNAPSHOT_PATH=/y; exit 3", mode);
        let (result, notes) = before(&mut pair, &fail("essential"), &enabled());
        assert_eq!(
            result.unwrap_err(),
            "error running 'before-folder' action: essential action failed: exit status 3"
        );
        assert!(notes.is_empty());
        for mode in ["optional", "", "whatever"] {
            let (result, notes) = before(&mut pair, &fail(mode), &enabled());
            // What it printed counts nevertheless.
            assert_eq!(result.unwrap(), Some("/y".into()));
            assert!(
                notes[0].starts_with("error running non-essential action command: exit status 3")
            );
        }
        // Without -e the shell would go on after a failed command.
        let (result, _) = before(&mut pair, &command("false\ntrue", "essential"), &enabled());
        assert!(result.is_err());
        let (result, _) =
            before(&mut pair, &command("#!/bin/sh\nfalse\nexit 0", "essential"), &enabled());
        assert_eq!(result, Ok(None));
        let (result, _) = before(&mut pair, &ActionCommand::default(), &enabled());
        assert!(result.unwrap_err().contains("either script nor command"));
        let missing = ActionCommand {
            command: "no-such-command".into(),
            mode: "essential".into(),
            ..ActionCommand::default()
        };
        let (result, _) = before(&mut pair, &missing, &enabled());
        assert!(
            result
                .unwrap_err()
                .ends_with("exec: \"no-such-command\": executable file not found in $PATH")
        );
    }

    #[test]
    fn what_is_disabled_is_told_and_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ran");
        let touch = command(&format!("touch {}", file.display()), "essential");
        let (result, notes) =
            before(&mut Pair::new("/x".into()), &touch, &ActionOptions::default());
        assert_eq!(result, Ok(None));
        assert_eq!(
            notes,
            [
                "Not executing before-folder action on /x because it's been disabled for this client."
            ]
        );
        assert!(!file.exists());
    }

    #[test]
    fn a_slow_command_is_stopped() {
        let slow = ActionCommand { timeout_seconds: 1, ..command("sleep 1000", "essential") };
        let (result, _) = before(&mut Pair::new("/x".into()), &slow, &enabled());
        assert!(result.unwrap_err().contains("took longer than 1 s"));
        let result = Pair::new("/x".into()).before(
            Action::BeforeFolder,
            &command("sleep 1000", "essential"),
            &enabled(),
            &|| true,
            &|_| {},
        );
        assert!(result.unwrap_err().to_string().contains("canceled"));
    }

    #[test]
    fn an_asynchronous_action_runs_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let (gate, done) = (folder.path().join("gate"), folder.path().join("done"));
        let script = format!(
            "while [ ! -e {} ]; do sleep 0.01; done; echo \"$KOPIA_ACTION\" > {}; \
             echo KOPIA_SNAPSHOT_PATH=/nowhere",
            gate.display(),
            done.display()
        );
        let options = enabled();
        let mut pair = Pair::new("/x".into());
        let (result, _) = before(&mut pair, &command(&script, "async"), &options);
        assert_eq!(result, Ok(None), "nobody waits, and its output says nothing");
        let work = pair.started.as_ref().unwrap().work.path().to_owned();
        drop(pair);
        assert!(work.exists() && !done.exists());
        assert_eq!(options.background.running(), 1);
        std::fs::write(gate, "").unwrap();
        options.background.wait();
        assert_eq!(std::fs::read_to_string(done).unwrap(), "before-folder\n");
        assert!(!work.exists());
        let missing = ActionCommand {
            command: "/no/such/command".into(),
            mode: "async".into(),
            ..ActionCommand::default()
        };
        let (result, _) = before(&mut Pair::new("/x".into()), &missing, &options);
        assert!(
            result.unwrap_err().ends_with("fork/exec /no/such/command: no such file or directory")
        );
    }
}

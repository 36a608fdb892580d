//! Commands before and after a snapshot or a restore.
//!
//! They are shell text of the resource's author and run in `bash` with the
//! environment of the container minus its credentials. The text travels in a variable
//! of the child, not on its command line, which everybody on the node can read.
//! Their output goes into the log, masked like everything else.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};

use super::Context;
use super::stop::Stop;
use crate::env::Env;
use crate::plan::Hooks;
use crate::report::Report;
use crate::variables::variable;

/// Holds the text in the child until it is read.
const CARRIER: &str = "__KOPIST_ACTION";
const LOADER: &str =
    r#"__kopist_action=$__KOPIST_ACTION; unset __KOPIST_ACTION; eval "$__kopist_action""#;
/// How often the child is looked at.
const POLL: Duration = Duration::from_millis(20);
/// Between asking the group to end and killing it.
const MERCY: Duration = Duration::from_millis(500);
/// How long output is waited for after the end: a background process may keep it open.
const DRAIN: Duration = Duration::from_secs(1);

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub(super) enum HookError {
    /// The shell is not there.
    #[error("bash cannot be started: {0}; an image for actions needs bash on the search path")]
    NoShell(io::Error),
    /// It ended with a failure.
    #[error("the command ended with {0}")]
    Failed(ExitStatus),
    /// It took too long.
    #[error("the command took longer than {} s and was stopped", .0.as_secs())]
    TimedOut(Duration),
    /// The run was told to stop.
    #[error("the command was stopped with the run")]
    Stopped,
    /// The system does not tell how it is.
    #[error("the command cannot be watched: {0}")]
    Watch(io::Error),
}

/// What a command is told besides the environment.
#[derive(Debug, Clone)]
pub(super) struct HookPlaces<'a> {
    /// Directory that is saved.
    pub(super) snapshot_path: &'a std::path::Path,
    /// Path under which it is saved.
    pub(super) source_path: &'a str,
}

/// Runs one of the commands, if it is there and they are not switched off.
pub(super) fn perform(
    which: &str,
    text: Option<&SecretString>,
    hooks: &Hooks,
    context: &Context,
    places: &HookPlaces<'_>,
) -> Result<(), HookError> {
    let Some(text) = text else { return Ok(()) };
    let report = &context.report;
    if !hooks.enabled {
        report.info(format!("{which} action is not run: actions are switched off"));
        return Ok(());
    }
    report.info(format!("Running {which} action"));
    let _waiting = context.telemetry.pulse.wait();
    run(text, hooks.timeout, places, &context.env, report, &context.stop)?;
    report.info(format!("{which} action completed successfully"));
    Ok(())
}

/// Runs one command to its end.
fn run(
    text: &SecretString,
    timeout: Duration,
    places: &HookPlaces<'_>,
    env: &Env,
    report: &Arc<Report>,
    stop: &Stop,
) -> Result<(), HookError> {
    let mut command = Command::new("bash");
    command.args(["-c", LOADER]).env_clear();
    for (name, value) in env.pairs() {
        if !variable(name).is_some_and(|variable| variable.secret) {
            command.env(name, value);
        }
    }
    command
        .env(CARRIER, text.expose_secret())
        .env("KOPIA_SNAPSHOT_PATH", places.snapshot_path)
        .env("KOPIA_SOURCE_PATH", places.source_path)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().map_err(HookError::NoShell)?;
    let outputs = [
        child.stdout.take().map(|output| forward(output, report)),
        child.stderr.take().map(|output| forward(output, report)),
    ];
    let result = watch(&mut child, timeout, stop);
    for output in outputs.into_iter().flatten() {
        // Disconnected at the end of the output.
        let _ = output.recv_timeout(DRAIN);
    }
    result
}

fn watch(child: &mut Child, timeout: Duration, stop: &Stop) -> Result<(), HookError> {
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(HookError::Failed(status)),
            Ok(None) => {}
            Err(error) => {
                end(child);
                return Err(HookError::Watch(error));
            }
        }
        if stop.requested() {
            end(child);
            return Err(HookError::Stopped);
        }
        if started.elapsed() >= timeout {
            end(child);
            return Err(HookError::TimedOut(timeout));
        }
        std::thread::sleep(POLL);
    }
}

/// Ends the command and everything it started.
fn end(child: &mut Child) {
    let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return };
    let _ = kill_process_group(group, Signal::TERM);
    let asked = Instant::now();
    while asked.elapsed() < MERCY && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(POLL);
    }
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

/// Sends lines to the log until the output ends; the channel closes then.
fn forward(output: impl Read + Send + 'static, report: &Arc<Report>) -> Receiver<()> {
    let (open, closed) = mpsc::channel();
    let report = Arc::clone(report);
    std::thread::spawn(move || {
        let _open = open;
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        // Bounded, so that a command cannot fill the memory with one line.
        while let Ok(1..) = (&mut reader).take(4096).read_until(b'\n', &mut line) {
            report.line(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    });
    closed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Level;
    use crate::report::testing::Memory;
    use std::path::Path;

    const LONG: Duration = Duration::from_mins(1);

    fn run_with(
        text: &str,
        env: &[(&str, &str)],
        timeout: Duration,
        stop: &Stop,
    ) -> (Result<(), HookError>, String) {
        let path = std::env::var("PATH").unwrap();
        let env: Env = env.iter().copied().chain([("PATH", path.as_str())]).collect();
        let memory = Memory::default();
        let report = Arc::new(memory.report(Level::Info));
        let places = HookPlaces { snapshot_path: Path::new("/data"), source_path: "/var/lib/app" };
        let result = run(&text.into(), timeout, &places, &env, &report, stop);
        (result, memory.text())
    }

    #[test]
    fn bash_features_output_and_places() {
        let text = "set -euo pipefail\nx=(a b c)\nfor i in \"${x[@]}\"; do echo \"$i\"; done\n\
                    [[ ${#x[@]} -eq 3 ]]\necho \"$KOPIA_SNAPSHOT_PATH $KOPIA_SOURCE_PATH\" >&2";
        let (result, log) = run_with(text, &[], LONG, &Stop::default());
        result.unwrap();
        let mut lines: Vec<&str> = log.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["/data /var/lib/app", "a", "b", "c"]);
    }

    #[test]
    fn credentials_are_not_inherited() {
        let env = [("KOPIA_PASSWORD", "TOPSECRET"), ("AWS_REGION", "r1"), ("OWN", "kept")];
        let (result, log) =
            run_with("env; tr '\\0' ' ' </proc/$$/cmdline", &env, LONG, &Stop::default());
        result.unwrap();
        assert!(log.contains("AWS_REGION=r1") && log.contains("OWN=kept"));
        assert!(
            !log.contains("TOPSECRET") && !log.contains(CARRIER.to_owned().as_str())
                || log.contains("unset")
        );
        assert!(!log.contains("tr '"), "the text is on no command line: {log}");
    }

    #[test]
    fn a_failure_is_told() {
        let (result, _) = run_with("exit 9", &[], LONG, &Stop::default());
        assert!(matches!(result, Err(HookError::Failed(status)) if status.code() == Some(9)));
    }

    #[test]
    fn a_slow_command_is_ended_with_its_children() {
        let started = Instant::now();
        let text = "sleep 100 & sleep 100";
        let (result, _) = run_with(text, &[], Duration::from_millis(50), &Stop::default());
        assert!(matches!(result, Err(HookError::TimedOut(_))));
        assert!(started.elapsed() < LONG);
    }

    #[test]
    fn stopping_ends_the_command() {
        let stop = Stop::default();
        stop.request();
        let (result, _) = run_with("sleep 100", &[], LONG, &stop);
        assert!(matches!(result, Err(HookError::Stopped)));
    }
}

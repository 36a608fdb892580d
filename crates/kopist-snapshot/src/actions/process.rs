//! Child processes: output, time-out and the end of a whole process group.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// How often the child is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// Between asking the group to end and killing it.
const MERCY: Duration = Duration::from_secs(1);
/// Longer lines are cut into several.
const MAX_LINE: usize = 64 << 10;
/// Output that is still read after the end: a pipe holds no more, and something in the
/// background may go on printing.
const REST: usize = 1 << 20;

/// Standard output or standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// How long a child may run.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// At most this long.
    pub timeout: Duration,
    /// And until this is true.
    pub stop: &'a dyn Fn() -> bool,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// Its time was over.
    TimedOut,
    /// It was stopped.
    Stopped,
}

/// Waits for a child that is the head of its process group, and hands on the lines of the streams
/// that are pipes. When it has to be ended, its whole group is.
pub fn watch(
    child: &mut Child,
    limits: Limits<'_>,
    line: &mut dyn FnMut(Stream, &[u8]),
) -> io::Result<Ended> {
    let result = watch_inner(child, limits, line);
    if result.is_err() {
        end_group(child);
    }
    result
}

fn watch_inner(
    child: &mut Child,
    limits: Limits<'_>,
    line: &mut dyn FnMut(Stream, &[u8]),
) -> io::Result<Ended> {
    let mut pipes = Pipes::of(child);
    let started = Instant::now();
    let forced = loop {
        pipes.read(LOOK, line)?;
        if has_exited(child)? {
            break None;
        }
        if (limits.stop)() {
            break Some(Ended::Stopped);
        }
        if started.elapsed() >= limits.timeout {
            break Some(Ended::TimedOut);
        }
    };
    let ended = if let Some(forced) = forced {
        end_group(child);
        forced
    } else {
        Ended::Exited(child.wait()?)
    };
    let mut rest = REST;
    while let read @ 1.. = pipes.read(Duration::ZERO, line)? {
        rest = rest.saturating_sub(read);
        if rest == 0 {
            break;
        }
    }
    pipes.finish(line);
    Ok(ended)
}

/// Whether the child has exited. It is not reaped, so that its group keeps its number.
fn has_exited(child: &Child) -> io::Result<bool> {
    let Some(pid) = pid(child) else { return Ok(true) };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid), options) {
        Ok(status) => Ok(status.is_some()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        // Somebody else has reaped it.
        Err(rustix::io::Errno::CHILD) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Ends a child that is the head of its process group, and everything that it started: asks
/// first, kills then.
pub fn end_group(child: &mut Child) {
    let Some(group) = pid(child) else { return };
    // A group that is gone already is what is wanted.
    let _ = kill_process_group(group, Signal::TERM);
    let asked = Instant::now();
    while asked.elapsed() < MERCY && matches!(has_exited(child), Ok(false)) {
        std::thread::sleep(LOOK);
    }
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

/// The output of a child.
struct Pipes(Vec<Pipe>);

struct Pipe {
    stream: Stream,
    file: std::fs::File,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    closed: bool,
}

impl Pipes {
    fn of(child: &mut Child) -> Self {
        let output = child.stdout.take().map(|pipe| (Stream::Output, OwnedFd::from(pipe)));
        let error = child.stderr.take().map(|pipe| (Stream::Error, OwnedFd::from(pipe)));
        let pipe = |(stream, fd): (Stream, OwnedFd)| Pipe {
            stream,
            file: fd.into(),
            line: Vec::new(),
            closed: false,
        };
        Self([output, error].into_iter().flatten().map(pipe).collect())
    }

    /// Waits until there is output, reads what is there and returns how much that was.
    fn read(&mut self, wait: Duration, line: &mut dyn FnMut(Stream, &[u8])) -> io::Result<usize> {
        if self.0.is_empty() {
            std::thread::sleep(wait);
            return Ok(0);
        }
        let mut polled: Vec<PollFd<'_>> =
            self.0.iter().map(|pipe| PollFd::new(&pipe.file, PollFlags::IN)).collect();
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
        match poll(&mut polled, Some(&wait)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
        let mut total = 0;
        for (pipe, _) in self.0.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            total += pipe.read(line)?;
        }
        self.0.retain(|pipe| !pipe.closed);
        Ok(total)
    }

    fn finish(&mut self, line: &mut dyn FnMut(Stream, &[u8])) {
        for pipe in &mut self.0 {
            pipe.finish(line);
        }
    }
}

impl Pipe {
    /// Reads once; there is something to read, or the other end is closed.
    fn read(&mut self, line: &mut dyn FnMut(Stream, &[u8])) -> io::Result<usize> {
        let mut buffer = [0; 8 << 10];
        match self.file.read(&mut buffer) {
            Ok(0) => {
                self.closed = true;
                self.finish(line);
                Ok(0)
            }
            Ok(bytes) => {
                self.add(buffer.get(..bytes).unwrap_or_default(), line);
                Ok(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn add(&mut self, mut bytes: &[u8], line: &mut dyn FnMut(Stream, &[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = bytes.split_at(end);
            self.line.extend_from_slice(head);
            line(self.stream, self.line.strip_suffix(b"\r").unwrap_or(&self.line));
            self.line.clear();
            bytes = &tail[1..];
        }
        self.line.extend_from_slice(bytes);
        if self.line.len() > MAX_LINE {
            self.finish(line);
        }
    }

    fn finish(&mut self, line: &mut dyn FnMut(Stream, &[u8])) {
        if !self.line.is_empty() {
            line(self.stream, &self.line);
            self.line.clear();
        }
    }
}

/// How a process ended, in Go's words: `exit status 3`, `signal: killed`.
#[must_use]
pub fn describe_exit(status: ExitStatus) -> String {
    if let Some(code) = status.code() {
        return format!("exit status {code}");
    }
    let number = status.signal().unwrap_or_default();
    let dumped = if status.core_dumped() { " (core dumped)" } else { "" };
    match SIGNALS.iter().find(|(signal, _)| signal.as_raw() == number) {
        Some((_, name)) => format!("signal: {name}{dumped}"),
        None => format!("signal: signal {number}{dumped}"),
    }
}

/// The names of the signals that end processes.
const SIGNALS: &[(Signal, &str)] = &[
    (Signal::HUP, "hangup"),
    (Signal::INT, "interrupt"),
    (Signal::QUIT, "quit"),
    (Signal::ILL, "illegal instruction"),
    (Signal::TRAP, "trace/breakpoint trap"),
    (Signal::ABORT, "aborted"),
    (Signal::BUS, "bus error"),
    (Signal::FPE, "floating point exception"),
    (Signal::KILL, "killed"),
    (Signal::USR1, "user defined signal 1"),
    (Signal::SEGV, "segmentation fault"),
    (Signal::USR2, "user defined signal 2"),
    (Signal::PIPE, "broken pipe"),
    (Signal::ALARM, "alarm clock"),
    (Signal::TERM, "terminated"),
];

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    const LONG: Duration = Duration::from_mins(2);

    fn shell(script: &str) -> Child {
        Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap()
    }

    fn lines(script: &str, timeout: Duration) -> (Ended, Vec<(Stream, String)>) {
        let mut lines = Vec::new();
        let limits = Limits { timeout, stop: &|| false };
        let ended = watch(&mut shell(script), limits, &mut |stream, text| {
            lines.push((stream, String::from_utf8_lossy(text).into_owned()));
        });
        (ended.unwrap(), lines)
    }

    fn exit_of(ended: Ended) -> String {
        match ended {
            Ended::Exited(status) => describe_exit(status),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn output_comes_in_lines_and_the_exit_in_words() {
        let (ended, lines) = lines("echo a; printf 'b\r\nlast'; echo e >&2; exit 7", LONG);
        assert_eq!(exit_of(ended), "exit status 7");
        let of = |wanted| {
            let all = lines.iter().filter(move |(stream, _)| *stream == wanted);
            all.map(|(_, text)| text.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of(Stream::Output), ["a", "b", "last"]);
        assert_eq!(of(Stream::Error), ["e"]);
        assert_eq!(exit_of(super::tests::lines("kill -9 $$", LONG).0), "signal: killed");
    }

    #[test]
    fn much_output_does_not_block_and_what_runs_on_is_not_waited_for() {
        // More than a pipe holds, and a process in the background that keeps it open.
        let script = "sleep 1000 & yes x | head -n 300000; echo $! >&2";
        let (ended, lines) = lines(script, LONG);
        assert_eq!(exit_of(ended), "exit status 0");
        assert_eq!(lines.iter().filter(|(stream, _)| *stream == Stream::Output).count(), 300_000);
        let (_, pid) = lines.iter().find(|(stream, _)| *stream == Stream::Error).unwrap();
        // It lives on, as long as it likes.
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
    }

    #[test]
    fn at_the_end_of_its_time_the_whole_group_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        // The child of the child, and the shell itself, do not mind being asked.
        let script = format!(
            "trap '' TERM; sh -c \"trap '' TERM; echo \\$\\$ > {file}.new; mv {file}.new {file}; \
             while :; do sleep 1; done\" & while :; do sleep 1; done",
            file = file.display()
        );
        let mut child = shell(&script);
        // The time is over as soon as the grandchild is there.
        let limits = Limits { timeout: LONG, stop: &|| file.exists() };
        let ended = watch(&mut child, limits, &mut |_, _| {}).unwrap();
        assert_eq!(ended, Ended::Stopped);
        let grandchild = std::fs::read_to_string(&file).unwrap();
        assert_gone(grandchild.trim());
        let limits = Limits { timeout: Duration::ZERO, stop: &|| false };
        let ended = watch(&mut shell("sleep 1000"), limits, &mut |_, _| {}).unwrap();
        assert_eq!(ended, Ended::TimedOut);
    }

    /// Killed processes disappear when they are reaped, by whoever inherited them.
    fn assert_gone(pid: &str) {
        let deadline = Instant::now() + LONG;
        let alive = || {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
        };
        while alive() {
            assert!(Instant::now() < deadline, "process {pid} is still there");
            std::thread::sleep(LOOK);
        }
    }
}

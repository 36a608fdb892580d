//! Standard output and standard error.
//!
//! Standard output carries results only; everything else goes to standard error. Output is
//! buffered, and flushed before anything is written to the other stream, so that a terminal
//! shows both in order.

use std::{
    io::{self, BufWriter, IsTerminal, Write},
    sync::Arc,
};

use parking_lot::Mutex;

/// The two output streams of a command.
pub struct Console {
    out: Mutex<BufWriter<Box<dyn Write + Send>>>,
    err: Mutex<Stream>,
    terminal: bool,
}

struct Stream {
    writer: Box<dyn Write + Send>,
    /// Length of a progress line that stands on the terminal without line feed.
    progress: usize,
}

impl std::fmt::Debug for Console {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("terminal", &self.terminal).finish_non_exhaustive()
    }
}

impl Console {
    /// The streams of this process.
    pub fn process() -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), io::stdout().is_terminal())
    }

    /// Other streams; `terminal` tells whether `out` is one.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, terminal: bool) -> Self {
        Self {
            out: Mutex::new(BufWriter::with_capacity(64 << 10, out)),
            err: Mutex::new(Stream { writer: err, progress: 0 }),
            terminal,
        }
    }

    /// Streams into memory, for tests: the console, what went to output and to error.
    pub fn captured() -> (Self, Capture, Capture) {
        let (out, err) = (Capture::default(), Capture::default());
        let console = Self::new(Box::new(out.clone()), Box::new(err.clone()), false);
        (console, out, err)
    }

    /// Whether standard output is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes bytes to standard output.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.out.lock().write_all(bytes)
    }

    /// Writes text to standard output.
    pub fn print(&self, text: impl AsRef<str>) -> io::Result<()> {
        self.write(text.as_ref().as_bytes())
    }

    /// Writes one line to standard output.
    pub fn line(&self, text: impl AsRef<str>) -> io::Result<()> {
        let mut out = self.out.lock();
        out.write_all(text.as_ref().as_bytes())?;
        out.write_all(b"\n")
    }

    /// Writes what is buffered.
    pub fn flush(&self) -> io::Result<()> {
        self.out.lock().flush()
    }

    /// Writes one line to standard error, below a progress line if one stands there.
    ///
    /// There is nobody to tell when standard error itself cannot be written.
    pub fn error_line(&self, text: &str) {
        let _ = self.flush();
        let mut err = self.err.lock();
        let lead = if err.progress > 0 { "\n" } else { "" };
        err.progress = 0;
        let _ = err.writer.write_all(format!("{lead}{text}\n").as_bytes());
        let _ = err.writer.flush();
    }

    /// Replaces the progress line on standard error.
    pub fn progress_line(&self, text: &str) {
        let mut err = self.err.lock();
        let length = text.chars().count();
        let pad = err.progress.saturating_sub(length);
        err.progress = length;
        let _ = err.writer.write_all(format!("\r{text}{:pad$}", "").as_bytes());
        let _ = err.writer.flush();
    }

    /// Ends the progress line.
    pub fn end_progress(&self) {
        let mut err = self.err.lock();
        if err.progress > 0 {
            err.progress = 0;
            let _ = err.writer.write_all(b"\n");
        }
    }
}

/// What a captured stream received.
#[derive(Clone, Debug, Default)]
pub struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    /// The text so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_lines_are_overwritten_and_ended_by_messages() {
        let (console, out, err) = Console::captured();
        console.progress_line("a long line");
        console.progress_line("short");
        console.error_line("message");
        console.progress_line("x");
        console.end_progress();
        console.end_progress();
        assert_eq!(err.text(), "\ra long line\rshort      \nmessage\n\rx\n");
        let _ = console.line("result");
        assert_eq!(out.text(), "");
        let _ = console.flush();
        assert_eq!(out.text(), "result\n");
    }
}

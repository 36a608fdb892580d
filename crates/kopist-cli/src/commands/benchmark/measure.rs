//! What the benchmarks have in common: repeat, in parallel, and rank.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use crate::{
    app::{App, Outcome},
    error::CommandError,
    grammar::Matches,
};

/// How often and how parallel to measure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    pub(super) repeat: usize,
    pub(super) parallel: usize,
}

impl Rounds {
    pub(super) fn new(matches: &Matches) -> Self {
        let count = |flag: &str| matches.count(flag).unwrap_or(1).max(1);
        Self { repeat: count("repeat"), parallel: count("parallel") }
    }

    /// Runs `work` as often as asked for on each thread; bytes per second if each time handles
    /// `bytes`.
    pub(super) fn measure(
        self,
        bytes: usize,
        work: impl Fn() -> Result<(), CommandError> + Sync,
    ) -> Result<f64, CommandError> {
        let start = Instant::now();
        thread::scope(|scope| {
            let one = || (0..self.repeat).try_for_each(|_| work());
            let threads: Vec<_> = (0..self.parallel).map(|_| scope.spawn(one)).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Outcome>| {
                thread.join().unwrap_or_else(|_| Err(CommandError::new("a measurement broke off")))
            };
            threads.into_iter().try_for_each(join)
        })?;
        let all = bytes as f64 * self.repeat as f64 * self.parallel as f64;
        Ok(all / start.elapsed().max(Duration::from_nanos(1)).as_secs_f64())
    }
}

/// One row of a ranking by throughput.
#[derive(Debug)]
pub(super) struct Row {
    /// The columns before the throughput, each with its width.
    pub(super) names: Vec<(String, usize)>,
    /// The flag of `repository create` or `policy set` that chooses it.
    pub(super) option: String,
    pub(super) throughput: f64,
}

pub(super) const LINE: &str = "-----------------------------------------------------------------";

/// Prints the rows, the fastest first.
pub(super) fn rank(app: &App, matches: &Matches, titles: &[&str], mut rows: Vec<Row>) -> Outcome {
    rows.sort_by(|a, b| b.throughput.total_cmp(&a.throughput));
    let widths = rows.iter().take(1).flat_map(|row| row.names.iter().map(|(_, width)| *width));
    let head = columns(titles.iter().copied().zip(widths));
    app.console.line(format!("     {head}Throughput"))?;
    app.console.line(LINE)?;
    for (number, row) in rows.iter().enumerate() {
        let names = columns(row.names.iter().map(|(name, width)| (name.as_str(), *width)));
        let speed = app.size(row.throughput);
        let option = if matches.flag("print-options") {
            format!(",   {}", row.option)
        } else {
            String::new()
        };
        app.console.line(format!("{number:>3}. {names}{speed} / second{option}"))?;
    }
    app.console.line(LINE)?;
    if let Some(best) = rows.first() {
        app.console.line(format!("Fastest option for this machine is: {}", best.option))?;
    }
    Ok(())
}

/// Texts side by side, each with its width and a blank behind.
fn columns<'a>(texts: impl Iterator<Item = (&'a str, usize)>) -> String {
    texts.fold(String::new(), |mut line, (text, width)| {
        // Text takes whatever is written to it.
        let _ = write!(line, "{text:<width$} ");
        line
    })
}

//! `benchmark splitter`

use std::time::{Duration, Instant};

use kopist_format::splitter::SplitterAlgorithm;
use parking_lot::Mutex;

use super::measure::{LINE, Rounds};
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::random::Pseudo,
    grammar::Matches,
};

const FLAGS: &[Flag] = &[
    Flag::int64("rand-seed", "Seed of the pseudo-random data.").default("42"),
    Flag::bytes("data-size", "Size of the data.").default("32MB"),
    Flag::uint("block-count", "Number of blocks.").default("16"),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
    Flag::uint("parallel", "Number of parallel operations.").default("1"),
];

/// `benchmark splitter`
pub(super) static COMMAND: Command =
    Command::new("splitter", "Measure splitters.").flags(&[FLAGS]).run(run);

struct Row {
    name: &'static str,
    duration: Duration,
    text: String,
}

fn run(app: &App, matches: &Matches) -> Outcome {
    let parallel = matches.count("parallel").unwrap_or(1).max(1);
    let count = matches.count("block-count").unwrap_or(1);
    let size = matches.count("data-size").unwrap_or(1);
    let mut random = Pseudo::new(matches.int("rand-seed").unwrap_or(0).cast_unsigned());
    let blocks: Vec<Vec<u8>> = (0..count)
        .map(|_| {
            let mut block = vec![0; size];
            random.fill(&mut block);
            block
        })
        .collect();
    app.info(format!("splitting {count} blocks of {size} each, parallelism {parallel}"));
    let mut rows = Vec::new();
    for name in SplitterAlgorithm::names() {
        let algorithm = SplitterAlgorithm::by_name(name)?;
        let lengths = Mutex::new(Vec::new());
        let start = Instant::now();
        let throughput = Rounds { repeat: 1, parallel }.measure(count * size, || {
            *lengths.lock() = cut(algorithm, &blocks);
            Ok(())
        })?;
        let duration = start.elapsed();
        let mut lengths = lengths.into_inner();
        lengths.sort_unstable();
        let at = |part: usize| {
            let last = lengths.len().saturating_sub(1);
            lengths.get((lengths.len() * part / 100).min(last)).copied().unwrap_or(0)
        };
        let text = format!(
            "{name:<25} {:>12}/s count:{} min:{} 10th:{} 25th:{} 50th:{} 75th:{} 90th:{} max:{}",
            app.size(throughput),
            lengths.len(),
            at(0),
            at(10),
            at(25),
            at(50),
            at(75),
            at(90),
            at(100),
        );
        app.console.line(&text)?;
        rows.push(Row { name, duration, text });
    }
    rows.sort_by_key(|row| row.duration);
    app.console.line(LINE)?;
    for (number, row) in rows.iter().enumerate() {
        app.console.line(format!("{number:>3}. {}", row.text))?;
    }
    // A fixed length is always the fastest, and never what one wants.
    let best = rows.iter().find(|row| !row.name.starts_with("FIXED"));
    if let Some(best) = best.filter(|_| matches.flag("print-options")) {
        let name = best.name;
        app.console
            .line(format!("Fastest option for this machine is: --object-splitter={name}"))?;
    }
    Ok(())
}

fn cut(algorithm: SplitterAlgorithm, blocks: &[Vec<u8>]) -> Vec<usize> {
    let mut lengths = Vec::new();
    for block in blocks {
        let mut splitter = algorithm.new_splitter();
        let mut rest = block.as_slice();
        while !rest.is_empty() {
            let length = splitter.next_cut(rest).unwrap_or(rest.len());
            lengths.push(length);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    lengths
}

//! `benchmark ecc`

use kopist_format::ecc::{EccParameters, REED_SOLOMON_CRC32, ReedSolomon};

use super::measure::Rounds;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    grammar::Matches,
};

const FLAGS: &[Flag] = &[
    Flag::bytes("block-size", "Size of a block.").default("10MB"),
    Flag::uint("repeat", "Number of repetitions.").default("100"),
    Flag::uint("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
];

/// `benchmark ecc`
pub(super) static COMMAND: Command =
    Command::new("ecc", "Measure error correction.").flags(&[FLAGS]).run(run);

const LINE: &str =
    "---------------------------------------------------------------------------------------";

struct Row {
    name: String,
    encoding: f64,
    decoding: f64,
    length: usize,
}

fn run(app: &App, matches: &Matches) -> Outcome {
    let rounds = Rounds::new(matches);
    let length = matches.count("block-size").unwrap_or(10 << 20);
    let data: Vec<u8> = (1..=255).cycle().take(length).collect();
    let mut rows = Vec::new();
    for percent in [1, 2, 5, 10, 20] {
        let code = ReedSolomon::new(EccParameters::new(percent)?);
        let mut encoded = Vec::new();
        code.encode(&data, &mut encoded)?;
        // The work of repairing is part of the figure: the first byte is always wrong.
        let stored = encoded.len();
        if let Some(first) = encoded.first_mut() {
            *first = !*first;
        }
        app.info(format!(
            "Benchmarking ECC '{REED_SOLOMON_CRC32}' with {percent} space overhead... \
             ({} x {length} bytes, parallelism {})",
            rounds.repeat, rounds.parallel
        ));
        let encoding = rounds.measure(length, || {
            let mut out = Vec::with_capacity(stored);
            Ok(code.encode(&data, &mut out)?)
        })?;
        let decoding = rounds.measure(length, || {
            std::hint::black_box(code.decode(&encoded)?);
            Ok(())
        })?;
        let name = format!("{REED_SOLOMON_CRC32} {percent}%");
        rows.push(Row { name, encoding, decoding, length: stored });
    }
    rows.sort_by(|a, b| b.encoding.min(b.decoding).total_cmp(&a.encoding.min(a.decoding)));
    let line = |text: String| app.console.line(text);
    let columns = ["ECC", "Throughput", "Throughput", "Growth"];
    let [name, first, second, growth] = columns;
    line(format!("     {name:<30} {first:>14} {second:>14}   {growth:>10}"))?;
    line(format!("     {:<30} {:>14} {:>14}   ", "", "Encoding", "Decoding"))?;
    line(LINE.to_owned())?;
    for (number, row) in rows.iter().enumerate() {
        let (name, encoding, decoding) =
            (&row.name, app.size(row.encoding), app.size(row.decoding));
        let growth = (row.length as f64 / length.max(1) as f64 - 1.0) * 100.0;
        let size = app.size(row.length as u64);
        let option = if matches.flag("print-options") {
            format!(",   --ecc={REED_SOLOMON_CRC32}")
        } else {
            String::new()
        };
        line(format!(
            "{number:>3}. {name:<30} {encoding:>12}/s {decoding:>12}/s   {growth:>6.0}% \
             [{size}]{option}"
        ))?;
    }
    line(LINE.to_owned())?;
    line(format!("Fastest option for this machine is: --ecc={REED_SOLOMON_CRC32}"))?;
    Ok(())
}

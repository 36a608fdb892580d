//! `benchmark compression`

use std::{
    fs::File,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Read as _,
    sync::OnceLock,
};

use kopist_format::compression::{Compressor, Status, decompress};

use super::measure::Rounds;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::Matches,
};

const FLAGS: &[Flag] = &[
    Flag::int("repeat", "Number of repetitions.").default("0"),
    Flag::existing_path("data-file", "File to work on.").required(),
    Flag::switch("by-size", "Sort by size."),
    Flag::switch("by-alloc", "Sort by allocated memory.").refused(),
    Flag::int("parallel", "Number of parallel operations.").default("1"),
    Flag::one_of("operations", &["compress", "decompress", "both"], "Operations to measure.")
        .default("both"),
    Flag::switch("verify-stable", "Verify that results are stable."),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
    Flag::switch("deprecated", "Include deprecated algorithms."),
    Flag::text("algorithms", "Comma-separated list of algorithms."),
];

/// `benchmark compression`
pub(super) static COMMAND: Command =
    Command::new("compression", "Measure compression.").flags(&[FLAGS]).run(run);

/// Bytes of a file that are used, and bytes that each method handles unless told otherwise.
const LIMIT: u64 = 100_000_000;
const LINE: &str = "------------------------------------------------------------------------------------------------";

struct Row {
    method: Compressor,
    size: usize,
    throughput: f64,
}

fn run(app: &App, matches: &Matches) -> Outcome {
    let path = matches.text("data-file").unwrap_or_default();
    let mut data = Vec::new();
    let file = File::open(&path).context("error opening input file")?;
    file.take(LIMIT).read_to_end(&mut data).context("error reading input file")?;
    if data.is_empty() {
        return Err(CommandError::new("empty data file"));
    }
    let repeat = match matches.count("repeat") {
        Some(repeat) if repeat > 0 => repeat,
        _ => (LIMIT as usize / data.len()).max(1),
    };
    let rounds = Rounds { repeat, parallel: matches.count("parallel").unwrap_or(1).max(1) };
    let total = app.size((repeat * data.len()) as u64);
    app.info(format!(
        "Will repeat each benchmark {repeat} times per compression method (total {total}). \
         Override with --repeat=N."
    ));
    let methods: Vec<Compressor> = Compressor::all().filter(|m| is_wanted(matches, *m)).collect();
    let operations = matches.text("operations").unwrap_or_default();
    for (operation, verb) in [("compress", "Compressing"), ("decompress", "Decompressing")] {
        if operations != operation && operations != "both" {
            continue;
        }
        let size = app.size(data.len() as u64);
        app.info(format!(
            "{verb} input file \"{path}\" ({size}) using {} compression methods.",
            methods.len()
        ));
        let mut rows = Vec::new();
        for method in &methods {
            app.info(format!("Benchmarking {operation}or '{method}'..."));
            rows.push(if operation == "compress" {
                compression(app, matches, *method, &data, rounds)?
            } else {
                decompression(*method, &data, rounds)?
            });
        }
        print(app, matches, rows)?;
    }
    Ok(())
}

fn is_wanted(matches: &Matches, method: Compressor) -> bool {
    match matches.non_empty("algorithms") {
        Some(list) => list.split(',').any(|start| method.name().starts_with(start)),
        None => match method.status() {
            Status::Current => true,
            Status::Deprecated => matches.flag("deprecated"),
            Status::ReadOnly => false,
        },
    }
}

fn compression(
    app: &App,
    matches: &Matches,
    method: Compressor,
    data: &[u8],
    rounds: Rounds,
) -> Result<Row, CommandError> {
    let first: OnceLock<(usize, u64)> = OnceLock::new();
    let verify = matches.flag("verify-stable");
    let throughput = rounds.measure(data.len(), || {
        let mut out = Vec::new();
        if !method.compress(data, &mut out)? {
            out.extend_from_slice(data);
        }
        let hash = if verify { hash_of(&out) } else { 0 };
        let (_, known) = first.get_or_init(|| (out.len(), hash));
        if *known != hash {
            app.error(format!("compression \"{method}\" is not stable"));
        }
        Ok(())
    })?;
    Ok(Row { method, size: first.get().map_or(0, |(size, _)| *size), throughput })
}

fn hash_of(data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    hasher.finish()
}

fn decompression(method: Compressor, data: &[u8], rounds: Rounds) -> Result<Row, CommandError> {
    let mut packed = Vec::new();
    let compressed = method.compress(data, &mut packed)?;
    let throughput = rounds.measure(data.len(), || {
        if compressed {
            std::hint::black_box(decompress(&packed, Some(method.header()), data.len())?);
        }
        Ok(())
    })?;
    Ok(Row { method, size: if compressed { packed.len() } else { data.len() }, throughput })
}

fn print(app: &App, matches: &Matches, mut rows: Vec<Row>) -> Outcome {
    if matches.flag("by-size") {
        rows.sort_by_key(|row| row.size);
    } else {
        rows.sort_by(|a, b| b.throughput.total_cmp(&a.throughput));
    }
    app.console
        .line(format!("     {:<26} {:<12} {:<12}", "Compression", "Compressed", "Throughput"))?;
    app.console.line(LINE)?;
    for (number, row) in rows.iter().enumerate() {
        let (name, size) = (row.method.name(), app.size(row.size as u64));
        let speed = app.size(row.throughput);
        let old = if row.method.status() == Status::Current { "" } else { " (deprecated)" };
        let option = if matches.flag("print-options") {
            format!(", --compression={name}")
        } else {
            String::new()
        };
        app.console
            .line(format!("{number:>3}. {name:<26} {size:<12} {speed:>8}/s{old}{option}"))?;
    }
    Ok(())
}

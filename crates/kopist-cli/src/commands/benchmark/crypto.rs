//! `benchmark crypto`, `hashing`, `encryption`.

use kopist_format::{
    encryption::{ContentCipher, encryptions},
    hashing::{ContentHasher, DEFAULT_HASH, HashAlgorithm},
};

use super::measure::{Rounds, Row, rank};
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    error::CommandError,
    grammar::Matches,
};

const CRYPTO_FLAGS: &[Flag] = &[
    Flag::bytes("block-size", "Size of a block.").default("1MB"),
    Flag::uint("repeat", "Number of repetitions.").default("100"),
    Flag::switch("deprecated", "Include deprecated algorithms.")
        .moot("no deprecated encryption is left"),
    Flag::uint("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
];

/// `benchmark crypto`
pub(super) static CRYPTO: Command =
    Command::new("crypto", "Measure combinations of hash and encryption.")
        .flags(&[CRYPTO_FLAGS])
        .run(crypto);

const HASHING_FLAGS: &[Flag] = &[
    Flag::bytes("block-size", "Size of a block.").default("1MB"),
    Flag::uint("repeat", "Number of repetitions.").default("100"),
    Flag::uint("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
];

/// `benchmark hashing`
pub(super) static HASHING: Command = Command::new("hashing", "Measure hashes.")
    .aliases(&["hash"])
    .flags(&[HASHING_FLAGS])
    .run(hashing);

const ENCRYPTION_FLAGS: &[Flag] = &[
    Flag::bytes("block-size", "Size of a block.").default("1MB"),
    Flag::uint("repeat", "Number of repetitions.").default("1000"),
    Flag::switch("deprecated", "Include deprecated algorithms.")
        .moot("no deprecated encryption is left"),
    Flag::uint("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
];

/// `benchmark encryption`
pub(super) static ENCRYPTION: Command =
    Command::new("encryption", "Measure encryption.").flags(&[ENCRYPTION_FLAGS]).run(encryption);

/// Speed does not depend on the keys.
const KEY: [u8; 32] = [0; 32];

fn block(matches: &Matches) -> Vec<u8> {
    vec![0; matches.count("block-size").unwrap_or(1 << 20)]
}

fn announce(app: &App, what: &str, rounds: Rounds, data: &[u8]) {
    let (repeat, length, parallel) = (rounds.repeat, data.len(), rounds.parallel);
    app.info(format!("Benchmarking {what} ({repeat} x {length} bytes, parallelism {parallel})"));
}

fn hasher(name: &str) -> Result<ContentHasher, CommandError> {
    Ok(ContentHasher::new(HashAlgorithm::by_name(name)?, &KEY)?)
}

fn crypto(app: &App, matches: &Matches) -> Outcome {
    let (rounds, data) = (Rounds::new(matches), block(matches));
    let mut rows = Vec::new();
    for hash in HashAlgorithm::names() {
        let hasher = hasher(hash)?;
        for encryption in encryptions() {
            let cipher = ContentCipher::new(encryption, &KEY, None)?;
            announce(
                app,
                &format!("hash '{hash}' and encryption '{encryption}'..."),
                rounds,
                &data,
            );
            let throughput = rounds.measure(data.len(), || {
                let mut out = Vec::with_capacity(cipher.sealed_length(data.len()));
                Ok(cipher.seal(&data, hasher.hash(&data).as_slice(), &mut out)?)
            })?;
            rows.push(Row {
                names: vec![(hash.to_owned(), 20), (encryption.to_owned(), 30)],
                option: format!("--block-hash={hash} --encryption={encryption}"),
                throughput,
            });
        }
    }
    rank(app, matches, &["Hash", "Encryption"], rows)
}

fn hashing(app: &App, matches: &Matches) -> Outcome {
    let (rounds, data) = (Rounds::new(matches), block(matches));
    let mut rows = Vec::new();
    for hash in HashAlgorithm::names() {
        let hasher = hasher(hash)?;
        announce(app, &format!("hash '{hash}'"), rounds, &data);
        let throughput = rounds.measure(data.len(), || {
            std::hint::black_box(hasher.hash(&data));
            Ok(())
        })?;
        let option = format!("--block-hash={hash}");
        rows.push(Row { names: vec![(hash.to_owned(), 20)], option, throughput });
    }
    rank(app, matches, &["Hash"], rows)
}

fn encryption(app: &App, matches: &Matches) -> Outcome {
    let (rounds, data) = (Rounds::new(matches), block(matches));
    let iv = hasher(DEFAULT_HASH)?.hash(&data);
    let mut rows = Vec::new();
    for encryption in encryptions() {
        let cipher = ContentCipher::new(encryption, &KEY, None)?;
        announce(app, &format!("encryption '{encryption}'..."), rounds, &data);
        let throughput = rounds.measure(data.len(), || {
            let mut out = Vec::with_capacity(cipher.sealed_length(data.len()));
            Ok(cipher.seal(&data, iv.as_slice(), &mut out)?)
        })?;
        let option = format!("--encryption={encryption}");
        rows.push(Row { names: vec![(encryption.to_owned(), 30)], option, throughput });
    }
    rank(app, matches, &["Encryption"], rows)
}

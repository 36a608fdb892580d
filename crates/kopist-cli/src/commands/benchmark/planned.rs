//! Commands of `benchmark` that kopia has and this program refuses for now.

use crate::grammar::{Command, Flag};

const COMPRESSION_FLAGS: &[Flag] = &[
    Flag::int("repeat", "Number of repetitions.").default("0"),
    Flag::existing_path("data-file", "File to work on.").required(),
    Flag::switch("by-size", "Sort by size."),
    Flag::switch("by-alloc", "Sort by allocated memory."),
    Flag::int("parallel", "Number of parallel operations.").default("1"),
    Flag::one_of("operations", &["compress", "decompress", "both"], "Operations to measure.")
        .default("both"),
    Flag::switch("verify-stable", "Verify that results are stable."),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
    Flag::switch("deprecated", "Include deprecated algorithms."),
    Flag::text("algorithms", "Comma-separated list of algorithms."),
];

/// `benchmark compression`
pub(super) static COMPRESSION: Command =
    Command::new("compression", "Measure compression.").flags(&[COMPRESSION_FLAGS]);

const CRYPTO_FLAGS: &[Flag] = &[
    Flag::bytes("block-size", "Size of a block.").default("1MB"),
    Flag::uint("repeat", "Number of repetitions.").default("100"),
    Flag::switch("deprecated", "Include deprecated algorithms."),
    Flag::uint("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
];

/// `benchmark crypto`
pub(super) static CRYPTO: Command =
    Command::new("crypto", "Measure combinations of hash and encryption.").flags(&[CRYPTO_FLAGS]);

const SPLITTER_FLAGS: &[Flag] = &[
    Flag::int64("rand-seed", "Seed of the pseudo-random data.").default("42"),
    Flag::bytes("data-size", "Size of the data.").default("32MB"),
    Flag::uint("block-count", "Number of blocks.").default("16"),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
    Flag::uint("parallel", "Number of parallel operations.").default("1"),
];

/// `benchmark splitter`
pub(super) static SPLITTER: Command =
    Command::new("splitter", "Measure splitters.").flags(&[SPLITTER_FLAGS]);

const HASHING_FLAGS: &[Flag] = &[
    Flag::bytes("block-size", "Size of a block.").default("1MB"),
    Flag::uint("repeat", "Number of repetitions.").default("100"),
    Flag::uint("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
];

/// `benchmark hashing`
pub(super) static HASHING: Command =
    Command::new("hashing", "Measure hashes.").aliases(&["hash"]).flags(&[HASHING_FLAGS]);

const ENCRYPTION_FLAGS: &[Flag] = &[
    Flag::bytes("block-size", "Size of a block.").default("1MB"),
    Flag::uint("repeat", "Number of repetitions.").default("1000"),
    Flag::switch("deprecated", "Include deprecated algorithms."),
    Flag::uint("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
];

/// `benchmark encryption`
pub(super) static ENCRYPTION: Command =
    Command::new("encryption", "Measure encryption.").flags(&[ENCRYPTION_FLAGS]);

const ECC_FLAGS: &[Flag] = &[
    Flag::bytes("block-size", "Size of a block.").default("10MB"),
    Flag::uint("repeat", "Number of repetitions.").default("100"),
    Flag::uint("parallel", "Number of parallel operations.").default("1"),
    Flag::switch("print-options", "Print the matching command-line flag for each result."),
];

/// `benchmark ecc`
pub(super) static ECC: Command =
    Command::new("ecc", "Measure error correction.").flags(&[ECC_FLAGS]);

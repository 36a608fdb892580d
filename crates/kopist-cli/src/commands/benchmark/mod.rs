//! `benchmark`: measure algorithms.

mod compression;
mod crypto;
mod ecc;
mod measure;
mod splitter;

use crate::grammar::Command;

/// `benchmark`
pub(super) static COMMAND: Command = Command::new("benchmark", "Measure algorithms.").commands(&[
    &compression::COMMAND,
    &crypto::CRYPTO,
    &splitter::COMMAND,
    &crypto::HASHING,
    &crypto::ENCRYPTION,
    &ecc::COMMAND,
]);

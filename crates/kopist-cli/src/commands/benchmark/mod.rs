//! `benchmark`: measure algorithms.

mod planned;

use crate::grammar::Command;

/// `benchmark`
pub(super) static COMMAND: Command = Command::new("benchmark", "Measure algorithms.").commands(&[
    &planned::COMPRESSION,
    &planned::CRYPTO,
    &planned::SPLITTER,
    &planned::HASHING,
    &planned::ENCRYPTION,
    &planned::ECC,
]);

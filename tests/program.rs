//! The program under test.

use std::path::PathBuf;

/// The kopist of this build, or what `KOPIST_TEST_PROGRAM` names: run with kopia's path there,
/// the tests show whether they ask for what kopia does.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("KOPIST_TEST_PROGRAM")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_kopist")), PathBuf::from)
}

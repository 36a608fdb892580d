//! The one binary: kopia's command line, or the mover's container entry point.
//!
//! It is the mover when the first word is `mover` or when it is started under the name
//! `entry.sh` or `mover`; under any other name, `kopia` included, it is the command line.

use std::process::ExitCode;

/// Many threads allocate and free small buffers; see `docs/architecture.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kopist_cli::main(std::env::args_os().skip(1).collect())
}

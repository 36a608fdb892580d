//! The one binary: kopia's command line, or the mover's container entry point.
//!
//! It is the mover when the first word is `mover` or when it is started under the name
//! `entry.sh` or `mover`; under any other name, `kopia` included, it is the command line.

mod memory;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let program = if arguments.is_empty() { OsString::new() } else { arguments.remove(0) };
    let by_name =
        Path::new(&program).file_name().is_some_and(|name| name == "entry.sh" || name == "mover");
    if by_name {
        return kopist_mover::main(arguments, std::env::vars_os());
    }
    if arguments.first().is_some_and(|word| word == "mover") {
        arguments.remove(0);
        return kopist_mover::main(arguments, std::env::vars_os());
    }
    kopist_cli::main(arguments)
}

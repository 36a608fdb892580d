//! kopia's command line on top of the kopist library.
//!
//! [`main`] runs the program; [`run`] runs one command line with given variables and streams.
//!
//! - [`grammar`]: the command line as tables, and their parser;
//! - [`commands`]: the commands, one file each;
//! - [`output`]: streams, log files, and the forms of sizes, times and JSON;
//! - [`mod@env`]: variables, directories, user and host;
//! - [`parity`]: what works, flag by flag, in comparison with kopia;
//! - [`app`]: the global flags and what every command needs.
//!
//! Standard output carries results only. Exit codes: 0 success, 1 failure, 3 a command that
//! kopia has and this program does not have yet.

pub mod app;
pub mod commands;
pub mod env;
mod error;
pub mod grammar;
pub mod output;
pub mod parity;
mod progress;
pub mod session;
mod upkeep;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

pub use error::{CommandError, NOT_SUPPORTED};

use app::App;
use commands::ROOT;
use env::Environment;
use grammar::{Effect, Parsed, Syntax};
use output::{Console, Level};

/// What `--version` prints; scripts match `<version> build: … from: …`.
pub fn version() -> String {
    format!(
        "{} build: kopist from: {}",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/")
    )
}

/// Runs the command line of this process; `words` does not contain the program's name.
pub fn main(words: Vec<OsString>) -> ExitCode {
    let console = Arc::new(Console::process());
    ExitCode::from(run(words, Environment::process(), &console))
}

/// Runs a command line and returns the exit code.
pub fn run(words: Vec<OsString>, env: Environment, console: &Arc<Console>) -> u8 {
    let lookup = |name: &str| env.os(name);
    let syntax = Syntax { root: &ROOT, env: &lookup };
    let help_words = words.first().is_some_and(|w| w == "help");
    let outcome = match grammar::parse(&syntax, words) {
        Ok(Parsed::Run(matches)) => return run_command(env, console, &matches),
        Ok(parsed) => answer(&env, console, parsed).and_then(|()| console.flush()),
        Err(error) => {
            let hint = if help_words { "" } else { ", try --help" };
            console.error_line(&format!("kopia: error: {error}{hint}"));
            return 1;
        }
    };
    u8::from(outcome.is_err())
}

fn answer(env: &Environment, console: &Console, parsed: Parsed) -> io::Result<()> {
    let width = || width(env, console);
    match parsed {
        Parsed::Run(_) => Ok(()),
        Parsed::Help(path) => console.print(grammar::usage(&ROOT, &path, width())),
        Parsed::HelpFull(path) => console.print(grammar::usage_full(&ROOT, &path, width())),
        Parsed::HelpLong => console.print(grammar::usage_long(&ROOT, width())),
        Parsed::HelpMan => console.print(grammar::usage_man(&ROOT, env!("CARGO_PKG_VERSION"))),
        Parsed::Version => console.line(version()),
        Parsed::Complete(path, word) => {
            console.print(grammar::completions(&ROOT, &path, &word).join("\n"))
        }
        Parsed::ScriptBash => console.print(grammar::bash_script("kopia")),
        Parsed::ScriptZsh => console.print(grammar::zsh_script("kopia")),
    }
}

fn width(env: &Environment, console: &Console) -> usize {
    let columns = env.text("COLUMNS").and_then(|c| c.parse().ok());
    let terminal = || {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|_| console.is_terminal())
    };
    columns.or_else(terminal).filter(|w| *w > 0).unwrap_or(80)
}

fn run_command(env: Environment, console: &Arc<Console>, matches: &grammar::Matches) -> u8 {
    let app = match App::new(env, Arc::clone(console), matches) {
        Ok(app) => app,
        Err(error) => {
            console.error_line(&error.to_string());
            return error.code();
        }
    };
    app.logger.install();
    let words = matches.command_name();
    app.logger.log(Level::Debug, "kopia/cli", &format!("command: {words}"));
    let handler = matches.path().last().and_then(|command| command.handler);
    let result = match handler {
        Some(handler) => flags_in_effect(&app, matches).and_then(|()| handler(&app, matches)),
        None => Err(CommandError::not_supported(&format!("'{words}'"))),
    };
    let result = result.and_then(|()| Ok(console.flush()?));
    let code = match result {
        Ok(()) => 0,
        Err(error) => {
            // What was printed before the failure still counts.
            let _ = console.flush();
            let message = error.to_string();
            if !message.is_empty() {
                app.error(&message);
            }
            error.code()
        }
    };
    app.logger.finish();
    code
}

/// Refuses flags that are not supported, and tells those that do nothing.
fn flags_in_effect(app: &App, matches: &grammar::Matches) -> app::Outcome {
    for flag in matches.given_flags(&ROOT) {
        match flag.effect {
            Effect::Refused => {
                let words = matches.command_name();
                return Err(CommandError::not_supported(&format!("'{words} --{}'", flag.name)));
            }
            Effect::Ignored(why) => app.warn(format!("--{} has no effect: {why}", flag.name)),
            Effect::Works | Effect::Moot(_) => {}
        }
    }
    Ok(())
}

/// Writes a usage error of the program itself, before any command is known.
pub fn usage_error(message: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "kopist: error: {message}");
    ExitCode::from(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_line(line: &[&str]) -> (u8, String, String) {
        let (console, out, err) = Console::captured();
        let env = Environment::new([("HOME".into(), "/nonexistent".into())]);
        let code = run(line.iter().map(OsString::from).collect(), env, &Arc::new(console));
        (code, out.text(), err.text())
    }

    #[test]
    fn usage_errors_go_to_standard_error() {
        let (code, out, err) = run_line(&["snapshot", "list", "--frob"]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert_eq!(err, "kopia: error: unknown long flag '--frob', try --help\n");
        let (code, _, err) = run_line(&["help", "frob"]);
        assert_eq!((code, err.as_str()), (1, "kopia: error: expected command but got \"frob\"\n"));
    }

    #[test]
    fn version_and_help_go_to_standard_output() {
        let (code, out, err) = run_line(&["--version"]);
        assert_eq!((code, err.as_str()), (0, ""));
        assert_eq!(out.lines().count(), 1);
        assert!(out.contains(" build: ") && out.contains(" from: "));
        let (code, out, _) = run_line(&[]);
        assert_eq!(code, 0);
        assert!(
            out.contains("  snapshot\n") && out.contains("    create [<flags>] [<source>...]\n")
        );
    }

    #[test]
    fn commands_that_are_missing_say_so() {
        let flag = "--disable-file-logging";
        let (code, out, err) = run_line(&["server", "status", flag]);
        assert_eq!((code, out.as_str()), (NOT_SUPPORTED, ""));
        assert_eq!(err.lines().count(), 1);
        assert!(err.starts_with("'server status' is not supported by kopist yet"));
    }
}

//! The command line as data, and the parser of that data.
//!
//! kopia's command line follows the grammar of the kingpin library: every boolean has a
//! `--no-` form, flags and arguments may be mixed, flags of a group stand before or after the
//! sub-command, environment variables stand in for absent flags, and the texts of the errors
//! are matched by scripts. Commands are therefore declared as plain tables ([`Command`],
//! [`Flag`], [`Arg`]) that this module parses, prints help for and hands to the documentation;
//! `docs/decisions/0002-argument-grammar.md` tells why.
//!
//! The way of one call: [`parse`] reads the words, finds the command and checks every value
//! once; the command then asks [`Matches`] for typed values. Nothing below reads the process
//! environment: variables come in as a lookup.

mod help;
mod matches;
mod model;
mod parse;
mod value;

pub use help::{bash_script, completions, usage, usage_full, usage_long, usage_man, zsh_script};
pub use matches::Matches;
pub use model::{Arg, Command, Effect, Flag, Handler, Kind};
pub use parse::{HELP_FLAGS, Parsed, Syntax, UsageError, parse};
pub use value::{Value, ValueError, go_quote, parse_bool, parse_duration};

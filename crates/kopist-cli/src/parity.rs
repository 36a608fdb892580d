//! What works, flag by flag, in comparison with kopia: the text of `docs/parity.md`.
//!
//! It is written from the tables of this program and the measured command line of kopia
//! (`testdata/vectors/cli-surface.json`); a test compares it with the file.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    commands::{ROOT, unsupported_provider},
    grammar::{Command, Effect, Flag},
};

const HEAD: &str = "\
# Parity with kopia's command line

What each command and each flag of kopia 0.23.1 does in kopist. This file is written by the test
`parity` of `kopist-cli` from the program's own tables; do not edit it
(`KOPIST_WRITE_DOCS=1 cargo test -p kopist-cli --test it parity` writes it anew).

- **works**: as in kopia;
- **no effect**: accepted, and there is nothing for it to change, for the reason given;
- **ignored**: accepted, but what it asks for is not done, which a warning says when it is given;
- **refused**: known, and answered with one sentence and exit code 3. The command never runs
  without what was asked for.
";

/// The text of the document. `surface` is the measured command line of kopia.
pub fn document(surface: &Value) -> String {
    let mut out = HEAD.to_owned();
    let commands: Vec<(&str, &Value)> = surface["commands"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|command| Some((command["path"].as_str()?, command)))
        .filter(|(_, command)| command["test_only"] != true)
        .collect();
    let leaves: Vec<(&str, &Value, Vec<&'static Command>)> = commands
        .iter()
        .filter_map(|(path, theirs)| Some((*path, *theirs, find(path)?)))
        .filter(|(.., path)| path.last().is_some_and(|leaf| leaf.commands.is_empty()))
        .collect();
    let refused = leaves.iter().filter(|(.., path)| is_refused(path)).count();
    let (works, all) = (leaves.len() - refused, leaves.len());
    let _ = writeln!(out, "\nOf {all} commands, {works} work and {refused} are refused.\n");
    out.push_str("## Flags of every command\n\n");
    flags(&mut out, ROOT.all_flags());
    let mut group = "";
    for (path, theirs, found) in &leaves {
        let first = path.split(' ').next().unwrap_or_default();
        if first != group {
            group = first;
            let _ = writeln!(out, "\n## {group}");
        }
        let tier = theirs["tier"].as_str().map_or(String::new(), |tier| format!(" ({tier})"));
        let state = if is_refused(found) { "refused" } else { "works" };
        let _ = writeln!(out, "\n### `{path}`{tier}: {state}\n");
        if !is_refused(found) {
            flags(&mut out, found.iter().flat_map(|command| command.all_flags()));
        }
    }
    out
}

/// The command of a path and the groups around it.
fn find(path: &str) -> Option<Vec<&'static Command>> {
    let mut commands = ROOT.commands;
    let mut found = Vec::new();
    for word in path.split(' ') {
        let command = commands.iter().find(|command| command.name == word)?;
        commands = command.commands;
        found.push(*command);
    }
    Some(found)
}

/// Whether a command, given with the groups around it, is refused whatever its flags are.
pub fn is_refused(path: &[&'static Command]) -> bool {
    path.last().is_none_or(|leaf| leaf.handler.is_none()) || unsupported_provider(path)
}

fn flags(out: &mut String, flags: impl Iterator<Item = &'static Flag>) {
    let (mut works, mut refused, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for flag in flags.filter(|flag| !flag.test_only) {
        let name = format!("`--{}`", flag.name);
        match flag.effect {
            Effect::Works => works.push(name),
            Effect::Refused => refused.push(name),
            Effect::Moot(why) => others.push(format!("- no effect: {name}: {why}\n")),
            Effect::Ignored(why) => others.push(format!("- ignored: {name}: {why}\n")),
        }
    }
    if works.is_empty() && refused.is_empty() && others.is_empty() {
        out.push_str("No flags of its own.\n");
    }
    for (what, names) in [("works", works), ("refused", refused)] {
        if !names.is_empty() {
            let _ = writeln!(out, "- {what}: {}", names.join(" "));
        }
    }
    for line in others {
        out.push_str(&line);
    }
}

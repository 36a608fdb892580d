//! Our tables against the command line of kopia 0.23.1, measured from its parser.

use std::collections::{BTreeMap, BTreeSet};

use kopist_cli::{
    commands::ROOT,
    grammar::{Command, Flag, HELP_FLAGS, Kind},
};
use serde_json::Value;

/// Defaults that depend on the machine, or that a command fills in itself.
const OWN_DEFAULTS: &[&str] =
    &["log-dir", "progress", "diagnostics-output-directory", "timezone", "file-parallelism"];

fn surface() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/cli-surface.json");
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn collect(
    prefix: &str,
    commands: &[&'static Command],
    out: &mut BTreeMap<String, &'static Command>,
) {
    for command in commands {
        let path = format!("{prefix}{}", command.name);
        collect(&format!("{path} "), command.commands, out);
        out.insert(path, command);
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value[key].as_str()
}

fn truth(value: &Value, key: &str) -> bool {
    value[key].as_bool().unwrap_or(false)
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let list = value[key].as_array().cloned().unwrap_or_default();
    list.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn kind_matches(flag: &Flag, theirs: &Value) -> bool {
    match flag.kind {
        Kind::Switch => text(theirs, "type") == Some("bool") && truth(theirs, "negatable"),
        Kind::Bool => text(theirs, "type") == Some("bool") && !truth(theirs, "negatable"),
        Kind::Text => text(theirs, "type") == Some("string"),
        Kind::Int => text(theirs, "type") == Some("int"),
        Kind::Int32 => text(theirs, "type") == Some("int32"),
        Kind::Int64 => text(theirs, "type") == Some("int64"),
        Kind::Uint => text(theirs, "type") == Some("uint"),
        Kind::Float => text(theirs, "type") == Some("float64"),
        Kind::Duration => text(theirs, "type") == Some("duration"),
        Kind::Bytes => text(theirs, "type") == Some("bytes"),
        Kind::ExistingPath => text(theirs, "type") == Some("existing-path"),
        Kind::Enum(options) => options.iter().copied().eq(texts(theirs, "options")),
    }
}

fn default_matches(flag: &Flag, theirs: &Value) -> bool {
    if OWN_DEFAULTS.contains(&flag.name) {
        return true;
    }
    let declared = match &theirs["default"] {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => list.first().and_then(|v| v.as_str().map(str::to_owned)),
        _ => None,
    };
    // A sentinel below zero means "not given".
    let initial = text(theirs, "initial_when_absent").filter(|v| !v.starts_with('-'));
    let expected = declared.or_else(|| initial.map(str::to_owned));
    let expected = expected.filter(|v| !(flag.is_switch() && v == "false"));
    flag.default == expected.as_deref()
}

fn compare_flags(place: &str, ours: &[&Flag], theirs: &Value, wrong: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for their in theirs.as_array().into_iter().flatten() {
        let name = text(their, "name").unwrap();
        if matches!(text(their, "platform"), Some("darwin" | "windows")) {
            continue;
        }
        let Some(flag) = ours.iter().find(|f| f.name == name) else {
            wrong.push(format!("{place}: no flag --{name}"));
            continue;
        };
        seen.insert(name);
        let same = [
            ("type", kind_matches(flag, their)),
            ("default", default_matches(flag, their)),
            ("short", flag.short.map(String::from).as_deref() == text(their, "short")),
            ("env", flag.env == text(their, "env")),
            ("hidden", flag.hidden == truth(their, "hidden")),
            ("required", flag.required == truth(their, "required")),
            ("repeated", flag.repeated == truth(their, "repeatable")),
            ("test only", flag.test_only == truth(their, "test_only")),
            ("help", !flag.help.is_empty()),
        ];
        let differing = same.iter().filter(|(_, same)| !same);
        wrong.extend(differing.map(|(what, _)| format!("{place}: --{name}: {what}")));
    }
    let extra = ours.iter().filter(|f| !seen.contains(f.name));
    wrong.extend(extra.map(|f| format!("{place}: kopia has no flag --{}", f.name)));
}

#[test]
fn every_command_and_flag_of_kopia_is_in_the_tables() {
    let surface = surface();
    let mut ours = BTreeMap::new();
    collect("", ROOT.commands, &mut ours);
    let mut wrong = Vec::new();

    let globals: Vec<_> = ROOT.all_flags().collect();
    compare_flags("global", &globals, &surface["global_flags"], &mut wrong);

    for theirs in surface["commands"].as_array().unwrap() {
        let path = text(theirs, "path").unwrap();
        let Some(command) = ours.remove(path) else {
            wrong.push(format!("no command {path}"));
            continue;
        };
        let flags: Vec<_> = command.all_flags().collect();
        compare_flags(path, &flags, &theirs["flags"], &mut wrong);
        if texts(theirs, "aliases") != command.aliases {
            wrong.push(format!("{path}: aliases"));
        }
        if truth(theirs, "hidden") != command.hidden {
            wrong.push(format!("{path}: hidden"));
        }
        if truth(theirs, "test_only") != command.test_only {
            wrong.push(format!("{path}: test only"));
        }
        if text(theirs, "requires_env") != command.requires_env {
            wrong.push(format!("{path}: environment"));
        }
        let their_args = theirs["args"].as_array().cloned().unwrap_or_default();
        let same_arg = |(ours, theirs): (&kopist_cli::grammar::Arg, &Value)| {
            Some(ours.name) == text(theirs, "name")
                && ours.required == truth(theirs, "required")
                && ours.repeated == truth(theirs, "repeatable")
                && ours.default == text(theirs, "default")
        };
        if their_args.len() != command.args.len()
            || !command.args.iter().zip(&their_args).all(same_arg)
        {
            wrong.push(format!("{path}: arguments"));
        }
        if command.help.is_empty() {
            wrong.push(format!("{path}: help"));
        }
    }
    wrong.extend(ours.keys().map(|path| format!("kopia has no command {path}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tables_are_consistent() {
    fn check(path: &str, outer: &[&'static Flag], command: &'static Command) {
        let mut flags = outer.to_vec();
        flags.extend(command.all_flags());
        let names: BTreeSet<_> = flags.iter().map(|f| f.name).collect();
        assert_eq!(names.len(), flags.len(), "{path}: a flag is declared twice");
        let shorts: Vec<_> = flags.iter().filter_map(|f| f.short).collect();
        let distinct: BTreeSet<_> = shorts.iter().collect();
        assert_eq!(distinct.len(), shorts.len(), "{path}: a short flag is declared twice");
        assert!(
            command.commands.is_empty() || command.args.is_empty() && command.handler.is_none(),
            "{path}: a group has arguments or a handler"
        );
        let last = command.args.len().saturating_sub(1);
        for (index, arg) in command.args.iter().enumerate() {
            assert!(index == last || !arg.repeated, "{path}: <{}> takes the rest", arg.name);
        }
        let mut words = BTreeSet::new();
        for sub in command.commands {
            assert!(words.insert(sub.name), "{path} {}: declared twice", sub.name);
            assert!(sub.aliases.iter().all(|a| words.insert(a)), "{path} {}: alias", sub.name);
            check(&format!("{path} {}", sub.name), &flags, sub);
        }
    }
    check("kopia", &[], &ROOT);
    assert!(HELP_FLAGS.iter().all(|f| ROOT.all_flags().any(|g| g.name == f.name)));
}

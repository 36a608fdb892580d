//! Help texts, manual page and completions, written from the tables.

use std::fmt::Write as _;

use super::{Arg, Command, Flag, Kind, parse::HELP_COMMAND};

const NAME: &str = "kopia";

fn is_builtin(name: &str) -> bool {
    matches!(
        name,
        "help"
            | "help-long"
            | "help-man"
            | "completion-bash"
            | "completion-script-bash"
            | "completion-script-zsh"
    )
}

fn placeholder(flag: &Flag) -> String {
    match (flag.default, flag.kind) {
        (Some(text), Kind::Text) => format!("\"{text}\""),
        (Some(text), _) => text.to_owned(),
        (None, _) => flag.name.to_uppercase(),
    }
}

fn flag_form(with_short: bool, flag: &Flag) -> String {
    let no = if flag.is_switch() { "[no-]" } else { "" };
    let mut out = match flag.short {
        Some(c) => format!("-{c}, --{no}{}", flag.name),
        None if with_short => format!("    --{no}{}", flag.name),
        None => format!("--{no}{}", flag.name),
    };
    if !flag.is_switch() {
        let _ = write!(out, "={}", placeholder(flag));
    }
    if flag.repeated {
        out.push_str(" ...");
    }
    out
}

fn flag_help(flag: &Flag) -> String {
    match flag.env {
        Some(env) => format!("{} (${env})", flag.help),
        None => flag.help.to_owned(),
    }
}

/// ` --required=VALUE [<flags>] <arg>...`, with a leading blank if anything is there.
fn summary(command: &Command) -> String {
    let mut out = String::new();
    let mut others = false;
    for flag in command.all_flags() {
        if flag.required {
            let _ = if flag.is_switch() {
                write!(out, " --[no-]{}", flag.name)
            } else {
                write!(out, " --{}={}", flag.name, placeholder(flag))
            };
        } else if !is_builtin(flag.name) {
            others = true;
        }
    }
    if others {
        out.push_str(" [<flags>]");
    }
    for arg in command.args {
        let _ = write!(out, " {}", arg_form(arg));
    }
    out
}

fn arg_form(arg: &Arg) -> String {
    let more = if arg.repeated { "..." } else { "" };
    if arg.required { format!("<{}>{more}", arg.name) } else { format!("[<{}>{more}]", arg.name) }
}

/// Breaks a text into lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |l| l.chars().count());
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn two_columns(out: &mut String, rows: &[(String, String)], indent: usize, width: usize) {
    let lengths = rows.iter().map(|(left, _)| left.chars().count());
    let column = lengths.filter(|n| *n < 30).max().unwrap_or(0);
    let offset = indent + column + 2;
    for (left, right) in rows {
        let _ = write!(out, "{:indent$}{left:column$}  ", "");
        let mut lines = wrap(right, width.saturating_sub(offset).max(20)).into_iter();
        if left.chars().count() >= 30 {
            let _ = write!(out, "\n{:offset$}", "");
        }
        let _ = writeln!(out, "{}", lines.next().unwrap_or_default());
        for line in lines {
            let _ = writeln!(out, "{:offset$}{line}", "");
        }
    }
}

fn flag_table(out: &mut String, root: &'static Command, path: &[&'static Command], width: usize) {
    let commands = std::iter::once(root).chain(path.iter().copied());
    let flags: Vec<_> = commands.flat_map(Command::all_flags).collect();
    let with_short = flags.iter().any(|f| f.short.is_some());
    let shown = flags.iter().filter(|f| !f.hidden && !f.test_only);
    let rows: Vec<_> = shown.map(|f| (flag_form(with_short, f), flag_help(f))).collect();
    if !rows.is_empty() {
        out.push_str("Flags:\n");
        two_columns(out, &rows, 2, width);
        out.push('\n');
    }
}

fn heading(out: &mut String, root: &'static Command, path: &[&'static Command]) {
    let command = path.last().copied().unwrap_or(root);
    let words: Vec<_> = std::iter::once(NAME).chain(path.iter().map(|c| c.name)).collect();
    let words = words.join(" ");
    let sub = if command.commands.is_empty() { "" } else { " <command> [<args> ...]" };
    let _ = writeln!(out, "usage: {words}{}{sub}", summary(command));
    let _ = writeln!(out, "{}\n", command.help);
}

fn arg_table(out: &mut String, command: &Command, width: usize) {
    if command.args.is_empty() {
        return;
    }
    let form = |a: &Arg| {
        if a.required { format!("<{}>", a.name) } else { format!("[<{}>]", a.name) }
    };
    let rows: Vec<_> = command.args.iter().map(|a| (form(a), a.help.to_owned())).collect();
    out.push_str("Args:\n");
    two_columns(out, &rows, 2, width);
    out.push('\n');
}

fn tree(out: &mut String, commands: &[&'static Command], depth: usize) {
    for command in commands.iter().filter(|c| !c.hidden && !c.test_only) {
        let _ = writeln!(out, "{:1$}{2}{3}", "", depth * 2, command.name, summary(command));
        tree(out, command.commands, depth + 1);
    }
}

/// The help of one command, or of the program if `path` is empty.
pub fn usage(root: &'static Command, path: &[&'static Command], width: usize) -> String {
    let mut out = String::from("\n");
    heading(&mut out, root, path);
    flag_table(&mut out, root, path, width);
    let command = path.last().copied().unwrap_or(root);
    arg_table(&mut out, command, width);
    if path.is_empty() {
        out.push_str("Commands (use --help-full to list all commands):\n\n");
        tree(&mut out, &[&HELP_COMMAND], 1);
        tree(&mut out, root.commands, 1);
    } else if !command.commands.is_empty() {
        let words: Vec<_> = path.iter().map(|c| c.name).collect();
        let _ = writeln!(out, "Subcommands:\n  {}", words.join(" "));
        tree(&mut out, command.commands, path.len() + 1);
    }
    out
}

fn each_leaf(
    path: &mut Vec<&'static Command>,
    commands: &[&'static Command],
    visit: &mut dyn FnMut(&[&'static Command]),
) {
    for command in commands.iter().filter(|c| !c.test_only) {
        path.push(command);
        if command.commands.is_empty() {
            visit(path);
        }
        each_leaf(path, command.commands, visit);
        path.pop();
    }
}

fn words_of(path: &[&'static Command]) -> String {
    let words: Vec<_> = path.iter().map(|c| c.name).collect();
    words.join(" ")
}

/// The help of one command with all commands below it, hidden ones included.
pub fn usage_full(root: &'static Command, path: &[&'static Command], width: usize) -> String {
    let mut out = String::new();
    heading(&mut out, root, path);
    flag_table(&mut out, root, path, width);
    let command = path.last().copied().unwrap_or(root);
    arg_table(&mut out, command, width);
    if !command.commands.is_empty() {
        out.push_str("Commands:\n");
        let mut visit = |path: &[&'static Command]| {
            let Some(leaf) = path.last() else { return };
            let _ = writeln!(out, "{}{}\n    {}\n", words_of(path), summary(leaf), leaf.help);
        };
        each_leaf(&mut path.to_vec(), command.commands, &mut visit);
    }
    out
}

/// Every command with all its flags.
pub fn usage_long(root: &'static Command, width: usize) -> String {
    let mut out = String::new();
    heading(&mut out, root, &[]);
    flag_table(&mut out, root, &[], width);
    out.push_str("Commands:\n\n");
    let mut visit = |path: &[&'static Command]| {
        let Some(leaf) = path.last() else { return };
        if path.iter().any(|c| c.hidden) {
            return;
        }
        let _ = writeln!(out, "{}{}\n    {}\n", words_of(path), summary(leaf), leaf.help);
        let shown = leaf.all_flags().filter(|f| !f.hidden && !f.test_only);
        let rows: Vec<_> = shown.map(|f| (flag_form(true, f), flag_help(f))).collect();
        if !rows.is_empty() {
            two_columns(&mut out, &rows, 4, width);
            out.push('\n');
        }
    };
    each_leaf(&mut Vec::new(), root.commands, &mut visit);
    out
}

/// A manual page in roff.
pub fn usage_man(root: &'static Command, version: &str) -> String {
    let mut out = format!(
        ".TH {NAME} 1 {version}\n.SH \"NAME\"\n{NAME}\n.SH \"SYNOPSIS\"\n.TP\n\\fB{NAME}{} \
         <command> [<args> ...]\\fR\n.SH \"DESCRIPTION\"\n{}\n.SH \"OPTIONS\"\n",
        summary(root),
        root.help
    );
    let flags = |out: &mut String, command: &'static Command| {
        for flag in command.all_flags().filter(|f| !f.hidden && !f.test_only) {
            let _ = writeln!(out, ".TP\n\\fB{}\\fR\n{}", flag_form(false, flag), flag_help(flag));
        }
    };
    flags(&mut out, root);
    out.push_str(".SH \"COMMANDS\"\n");
    let mut visit = |path: &[&'static Command]| {
        let Some(leaf) = path.last().copied() else { return };
        if path.iter().any(|c| c.hidden) {
            return;
        }
        let _ =
            writeln!(out, ".SS\n\\fB{}{}\\fR\n.PP\n{}", words_of(path), summary(leaf), leaf.help);
        flags(&mut out, leaf);
    };
    each_leaf(&mut Vec::new(), root.commands, &mut visit);
    out
}

/// Words that may follow: flags if the word begun so far starts with a dash, else sub-commands.
pub fn completions(root: &'static Command, path: &[&'static Command], word: &str) -> Vec<String> {
    let command = path.last().copied().unwrap_or(root);
    if word.starts_with('-') {
        let flags = std::iter::once(root).chain(path.iter().copied());
        let shown = flags.flat_map(Command::all_flags).filter(|f| !f.hidden && !f.test_only);
        return shown.map(|f| format!("--{}", f.name)).collect();
    }
    let help = (path.is_empty()).then(|| HELP_COMMAND.name.to_owned());
    let shown = command.commands.iter().filter(|c| !c.hidden && !c.test_only);
    help.into_iter().chain(shown.map(|c| c.name.to_owned())).collect()
}

/// The script that makes bash ask the program for completions, under this name and our own.
pub fn bash_script(program: &str) -> String {
    format!(
        "_{program}_complete() {{\n    local word=\"${{COMP_WORDS[COMP_CWORD]}}\"\n    \
         COMPREPLY=( $(compgen -W \"$(\"${{COMP_WORDS[0]}}\" --completion-bash \
         \"${{COMP_WORDS[@]:1:COMP_CWORD}}\")\" -- \"$word\") )\n}}\n\
         complete -F _{program}_complete -o default {program} kopist\n"
    )
}

/// The script that makes zsh ask the program for completions, and offer files where it knows
/// none. It can be sourced, or lie in the `fpath` as `_kopist`.
pub fn zsh_script(program: &str) -> String {
    format!(
        r#"#compdef {program} kopist

_kopist() {{
    local -a matches
    matches=(${{(f)"$("${{words[1]}}" --completion-bash "${{(@)words[2,$CURRENT]}}")"}})
    compadd -a matches
    if [[ $compstate[nmatches] -eq 0 && $words[$CURRENT] != -* ]]; then
        _files
    fi
}}

if [[ "${{funcstack[1]}}" == "_kopist" ]]; then
    _kopist "$@"
else
    compdef _kopist {program} kopist
fi
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    static LEAF: Command = Command::new("create", "Makes it.")
        .flags(&[&[
            Flag::text("path", "Where it is.").required(),
            Flag::switch("force", "Whatever happens.").env("FORCE"),
            Flag::text("secret", "Unseen.").hidden(),
        ]])
        .args(&[Arg::text("source", "Sources.").repeated()]);
    static HIDDEN: Command = Command::new("gone", "Unseen.").hidden();
    static GROUP: Command = Command::new("repo", "Things.").commands(&[&LEAF, &HIDDEN]);
    static ROOT: Command = Command::new("kopia", "Backups.")
        .flags(&[&[Flag::text("config", "File.").default("x").short('c')]])
        .commands(&[&GROUP]);

    #[test]
    fn program_help_has_flags_and_a_tree_of_visible_commands() {
        let expected = "\nusage: kopia [<flags>] <command> [<args> ...]\nBackups.\n\n\
            Flags:\n  -c, --config=\"x\"  File.\n\n\
            Commands (use --help-full to list all commands):\n\n  help [<command>...]\n  repo\n    \
            create --path=PATH [<flags>] [<source>...]\n";
        assert_eq!(usage(&ROOT, &[], 80), expected);
    }

    #[test]
    fn command_help_has_its_own_flags_and_arguments() {
        let text = usage(&ROOT, &[&GROUP, &LEAF], 80);
        assert!(text.starts_with(
            "\nusage: kopia repo create --path=PATH [<flags>] [<source>...]\nMakes it.\n"
        ));
        assert!(text.contains("      --[no-]force  Whatever happens. ($FORCE)\n"));
        assert!(text.contains("Args:\n  [<source>]  Sources.\n"));
        assert!(!text.contains("secret"));
        assert!(usage_full(&ROOT, &[], 80).contains("repo gone\n    Unseen.\n"));
        assert!(!usage_long(&ROOT, 80).contains("gone"));
        assert_eq!(completions(&ROOT, &[&GROUP], "cr"), ["create"]);
        assert_eq!(completions(&ROOT, &[&GROUP], "--"), ["--config"]);
    }
}

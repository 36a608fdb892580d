//! Reads the words of a command line against the tables.
//!
//! The order of the steps decides which of several errors is reported, so it is kingpin's:
//! find commands, flags and arguments; check defaults from variables; answer `--version` and
//! the long forms of help; report what could not be read; answer `--help`; check the values;
//! check that nothing required is missing.

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use super::{Arg, Command, Flag, Matches, Value, ValueError, go_quote};

/// Flags that the parser itself answers. The root command must contain them.
pub const HELP_FLAGS: &[Flag] = &[
    Flag::switch(
        "help",
        "Show help for the command given so far (see also --help-long and --help-man).",
    ),
    Flag::switch("help-long", "Show long help: every command with its flags.").hidden(),
    Flag::switch("help-man", "Print a manual page.").hidden(),
    Flag::switch("completion-bash", "Print the possible completions of the given words.").hidden(),
    Flag::switch("completion-script-bash", "Print a completion script for bash.").hidden(),
    Flag::switch("completion-script-zsh", "Print a completion script for zsh.").hidden(),
    Flag::switch("version", "Show the version."),
    Flag::switch("help-full", "Show help for all commands, hidden ones included."),
];

/// The `help` command, known beside the commands of the root.
pub(super) static HELP_COMMAND: Command =
    Command::new("help", "Show help.")
        .args(&[Arg::text("command", "Command to show help for.").repeated()]);

/// What the parser needs to know besides the words.
pub struct Syntax<'a> {
    /// The tables.
    pub root: &'static Command,
    /// Looks an environment variable up.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
}

/// A command line that cannot be obeyed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl From<ValueError> for UsageError {
    fn from(error: ValueError) -> Self {
        Self(error.0)
    }
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    /// Run a command.
    Run(Matches),
    /// Show help for a command (none: the program) and stop.
    Help(Vec<&'static Command>),
    /// Show the help of all commands, hidden ones included.
    HelpFull(Vec<&'static Command>),
    /// Show all commands with all flags.
    HelpLong,
    /// Show a manual page.
    HelpMan,
    /// Show the version.
    Version,
    /// Print completions for the command and the last word.
    Complete(Vec<&'static Command>, String),
    /// Print the script that makes bash ask for completions.
    ScriptBash,
    /// Print the script that makes zsh ask for completions.
    ScriptZsh,
}

enum Token {
    Long(OsString),
    Short(char),
    Word(OsString),
}

impl Token {
    fn show(&self) -> String {
        match self {
            Self::Long(name) => format!("--{}", name.to_string_lossy()),
            Self::Short(c) => format!("-{c}"),
            Self::Word(word) => word.to_string_lossy().into_owned(),
        }
    }
}

enum Element {
    Command(&'static Command),
    Flag(&'static Flag, OsString),
    Arg(&'static Arg, OsString),
}

struct Parser<'a> {
    syntax: &'a Syntax<'a>,
    words: VecDeque<OsString>,
    /// A token that was read ahead, or the value of `--name=value`.
    ahead: VecDeque<Token>,
    words_only: bool,
    flags: Vec<&'static Flag>,
    args: Vec<&'static Arg>,
    next_arg: usize,
    elements: Vec<Element>,
}

impl Parser<'_> {
    fn available(&self, command: &Command) -> bool {
        let set = |name: &str| (self.syntax.env)(name).is_some_and(|v| !v.is_empty());
        (!command.test_only || set("KOPIA_TESTONLY_FLAGS")) && command.requires_env.is_none_or(set)
    }

    fn merge(&mut self, command: &'static Command) {
        let tests = (self.syntax.env)("KOPIA_TESTONLY_FLAGS").is_some_and(|v| !v.is_empty());
        self.flags.extend(command.all_flags().filter(|f| tests || !f.test_only));
        self.args.extend(command.args);
    }

    fn long(&self, name: &OsStr) -> Option<&'static Flag> {
        self.flags.iter().copied().find(|f| OsStr::new(f.name) == name)
    }

    fn short(&self, c: char) -> Option<&'static Flag> {
        self.flags.iter().copied().find(|f| f.short == Some(c))
    }

    /// The next token without consuming it.
    fn peek(&mut self) -> Option<&Token> {
        if self.ahead.is_empty() {
            let token = self.read()?;
            self.ahead.push_front(token);
        }
        self.ahead.front()
    }

    fn next(&mut self) -> Option<Token> {
        self.peek();
        self.ahead.pop_front()
    }

    fn read(&mut self) -> Option<Token> {
        let word = self.words.pop_front()?;
        let bytes = word.as_bytes();
        if self.words_only {
            return Some(Token::Word(word));
        }
        if bytes == b"--" {
            self.words_only = true;
            return self.read();
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            let mut parts = long.splitn(2, |b| *b == b'=');
            let name = OsStr::from_bytes(parts.next().unwrap_or_default()).to_owned();
            if let Some(value) = parts.next() {
                // `--switch=true` and `=false` are taken at their word. kopia reads them as
                // "switch given" plus an argument, which is never what was meant.
                if let (Some(on), Some(flag)) = (literal_bool(value), self.switch(&name)) {
                    let (flag, inverted) = flag;
                    let prefix = if on == inverted { "no-" } else { "" };
                    return Some(Token::Long(format!("{prefix}{}", flag.name).into()));
                }
                self.ahead.push_back(Token::Word(OsString::from_vec(value.to_vec())));
            }
            return Some(Token::Long(name));
        }
        let Some(short) = bytes.strip_prefix(b"-") else {
            return Some(Token::Word(word));
        };
        if short.is_empty() {
            return Some(Token::Word(OsString::new()));
        }
        let text = String::from_utf8_lossy(short).into_owned();
        let c = text.chars().next()?;
        let rest = short.get(c.len_utf8()..).unwrap_or_default();
        if !rest.is_empty() {
            if self.short(c).is_some_and(|f| !f.is_switch()) {
                self.ahead.push_back(Token::Word(OsString::from_vec(rest.to_vec())));
            } else {
                let mut bundle = vec![b'-'];
                bundle.extend_from_slice(rest);
                self.words.push_front(OsString::from_vec(bundle));
            }
        }
        Some(Token::Short(c))
    }

    /// The switch of this name, and whether the name is its `no-` form.
    fn switch(&self, name: &OsStr) -> Option<(&'static Flag, bool)> {
        let direct = self.long(name).map(|f| (f, false));
        let inverted = || {
            let name = name.as_bytes().strip_prefix(b"no-")?;
            self.long(OsStr::from_bytes(name)).map(|f| (f, true))
        };
        direct.or_else(inverted).filter(|(f, _)| f.is_switch())
    }

    fn read_flag(&mut self, token: &Token) -> Result<(), UsageError> {
        let shown = token.show();
        let unknown = |kind| UsageError(format!("unknown {kind} flag '{shown}'"));
        let (flag, inverted) = match token {
            Token::Long(name) => match (self.long(name), self.switch(name)) {
                (Some(flag), _) => (flag, false),
                (None, Some(found)) => found,
                (None, None) => return Err(unknown("long")),
            },
            Token::Short(c) => (self.short(*c).ok_or_else(|| unknown("short"))?, false),
            Token::Word(_) => return Ok(()),
        };
        let value = if flag.is_switch() {
            OsString::from(if inverted { "false" } else { "true" })
        } else {
            match self.next() {
                Some(Token::Word(value)) => value,
                _ => {
                    return Err(UsageError(format!("expected argument for flag '{shown}'")));
                }
            }
        };
        self.elements.push(Element::Flag(flag, value));
        Ok(())
    }

    fn read_all(&mut self) -> Result<(), UsageError> {
        let mut commands = self.syntax.root.commands;
        let mut at_root = true;
        while let Some(token) = self.next() {
            let Token::Word(word) = &token else {
                self.read_flag(&token)?;
                continue;
            };
            if !commands.is_empty() {
                let named = |c: &&&'static Command| {
                    OsStr::new(c.name) == word || c.aliases.iter().any(|a| OsStr::new(a) == word)
                };
                let command = if at_root && word == "help" {
                    &HELP_COMMAND
                } else {
                    match commands.iter().find(named) {
                        Some(command) if self.available(command) => command,
                        _ => {
                            return Err(UsageError(format!(
                                "expected command but got {}",
                                go_quote(&word.to_string_lossy())
                            )));
                        }
                    }
                };
                self.elements.push(Element::Command(command));
                self.merge(command);
                commands = command.commands;
                at_root = false;
            } else if let Some(arg) = self.args.get(self.next_arg).copied() {
                if !arg.repeated {
                    self.next_arg += 1;
                }
                self.elements.push(Element::Arg(arg, word.clone()));
            } else {
                return Err(UsageError(format!("unexpected {}", token.show())));
            }
        }
        Ok(())
    }

    fn path(&self) -> Vec<&'static Command> {
        let command = |e: &Element| match e {
            Element::Command(c) => Some(*c),
            _ => None,
        };
        self.elements.iter().filter_map(command).collect()
    }

    fn env_values(&self, flag: &Flag) -> Result<Option<Vec<Value>>, ValueError> {
        let text = flag.env.and_then(|name| (self.syntax.env)(name));
        let Some(text) = text.filter(|v| !v.is_empty()) else {
            return Ok(None);
        };
        if !flag.repeated {
            return Ok(Some(vec![Value::parse(flag.kind, &text)?]));
        }
        let bytes = text.as_bytes();
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let line = |line: &[u8]| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            Value::parse(flag.kind, OsStr::from_bytes(line))
        };
        let lines: Result<_, _> = bytes.split(|b| *b == b'\n').map(line).collect();
        lines.map(Some)
    }

    /// Values of the flags that do not stand on the command line.
    fn defaults(&self) -> Result<BTreeMap<&'static str, Vec<Value>>, UsageError> {
        let mut values = BTreeMap::new();
        let present = |name: &str| {
            self.elements.iter().any(|e| match e {
                Element::Flag(f, _) => f.name == name,
                Element::Arg(a, _) => a.name == name,
                Element::Command(_) => false,
            })
        };
        for flag in self.flags.iter().filter(|f| !present(f.name)) {
            if let Some(found) = self.env_values(flag)? {
                values.insert(flag.name, found);
            } else if let Some(text) = flag.default {
                values.insert(flag.name, vec![Value::parse(flag.kind, text.as_ref())?]);
            }
        }
        for arg in self.args.iter().filter(|a| !present(a.name)) {
            if let Some(text) = arg.default {
                values.insert(arg.name, vec![Value::parse(arg.kind, text.as_ref())?]);
            }
        }
        Ok(values)
    }

    /// The answer to a flag or command that is obeyed before anything else is checked.
    fn early(&self) -> Option<Result<Parsed, UsageError>> {
        self.elements.iter().find_map(|element| match element {
            Element::Flag(flag, _) => match flag.name {
                "help-long" => Some(Ok(Parsed::HelpLong)),
                "help-man" => Some(Ok(Parsed::HelpMan)),
                "completion-script-bash" => Some(Ok(Parsed::ScriptBash)),
                "completion-script-zsh" => Some(Ok(Parsed::ScriptZsh)),
                "version" => Some(Ok(Parsed::Version)),
                _ => None,
            },
            Element::Command(c) if std::ptr::eq(*c, &raw const HELP_COMMAND) => {
                Some(self.help_for_words())
            }
            _ => None,
        })
    }

    /// `help snapshot create`: the words are looked up as if they were a command line.
    fn help_for_words(&self) -> Result<Parsed, UsageError> {
        let word = |e: &Element| match e {
            Element::Arg(_, word) => Some(word.clone()),
            _ => None,
        };
        let words = self.elements.iter().filter_map(word).collect();
        let mut parser = start(self.syntax, words);
        parser.read_all()?;
        Ok(Parsed::Help(parser.path()))
    }

    fn check_values(
        &self,
        values: &mut BTreeMap<&'static str, Vec<Value>>,
    ) -> Result<Vec<&'static str>, UsageError> {
        let mut given: Vec<&'static str> = Vec::new();
        for element in &self.elements {
            match element {
                Element::Flag(flag, text) => {
                    if given.contains(&flag.name) && !flag.repeated {
                        return Err(UsageError(format!("flag '{}' cannot be repeated", flag.name)));
                    }
                    let value = Value::parse(flag.kind, text)?;
                    values.entry(flag.name).or_default().push(value);
                    given.push(flag.name);
                }
                Element::Arg(arg, text) => {
                    let value = Value::parse(arg.kind, text)?;
                    values.entry(arg.name).or_default().push(value);
                }
                Element::Command(_) => {}
            }
        }
        if let Some(group) = self.path().last().filter(|c| !c.commands.is_empty()) {
            let path: Vec<_> = self.path().iter().map(|c| c.name).collect();
            debug_assert_eq!(path.last(), Some(&group.name));
            return Err(UsageError(format!("must select a subcommand of '{}'", path.join(" "))));
        }
        Ok(given)
    }

    fn check_required(
        &self,
        values: &BTreeMap<&'static str, Vec<Value>>,
    ) -> Result<(), UsageError> {
        let missing: Vec<_> = self
            .flags
            .iter()
            .filter(|f| f.required && !values.contains_key(f.name))
            .map(|f| format!("'--{}'", f.name))
            .collect();
        if !missing.is_empty() {
            return Err(UsageError(format!(
                "required flag(s) {} not provided",
                missing.join(", ")
            )));
        }
        let missing = |a: &&&Arg| a.required && !values.contains_key(a.name);
        match self.args.iter().find(missing) {
            Some(arg) => Err(UsageError(format!("required argument '{}' not provided", arg.name))),
            None => Ok(()),
        }
    }
}

fn literal_bool(value: &[u8]) -> Option<bool> {
    match value {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

fn start<'a>(syntax: &'a Syntax<'a>, words: VecDeque<OsString>) -> Parser<'a> {
    let mut parser = Parser {
        syntax,
        words,
        ahead: VecDeque::new(),
        words_only: false,
        flags: Vec::new(),
        args: Vec::new(),
        next_arg: 0,
        elements: Vec::new(),
    };
    parser.merge(syntax.root);
    parser
}

/// Reads the words that follow the program's name.
pub fn parse(syntax: &Syntax<'_>, mut words: Vec<OsString>) -> Result<Parsed, UsageError> {
    // The last word is being typed: it may become another command than the one it is so far.
    let completes = words.first().is_some_and(|first| first == "--completion-bash");
    let last = if completes && words.len() > 1 { words.pop() } else { None };
    let last = last.map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let mut parser = start(syntax, words.into());
    let read = parser.read_all();
    let flag_given = |name: &str| {
        let is = |e: &Element| matches!(e, Element::Flag(f, _) if f.name == name);
        parser.elements.iter().any(is)
    };
    let path = parser.path();
    let mut values = if flag_given("help") || flag_given("version") {
        BTreeMap::new()
    } else {
        parser.defaults()?
    };
    if flag_given("completion-bash") {
        return Ok(Parsed::Complete(path, last));
    }
    if let Some(answer) = parser.early() {
        return answer;
    }
    read?;
    if flag_given("help") {
        return Ok(Parsed::Help(path));
    }
    let given = parser.check_values(&mut values)?;
    parser.check_required(&values)?;
    if flag_given("help-full") {
        return Ok(Parsed::HelpFull(path));
    }
    if path.is_empty() {
        return Ok(Parsed::Help(path));
    }
    // Flags for tests have names at any time, and values only while they are known.
    let commands = std::iter::once(syntax.root).chain(path.iter().copied());
    let mut known: Vec<_> = commands.flat_map(Command::all_flags).map(|f| f.name).collect();
    known.extend(parser.flags.iter().map(|f| f.name));
    known.extend(parser.args.iter().map(|a| a.name));
    Ok(Parsed::Run(Matches { path, known, values, given }))
}

#[cfg(test)]
mod tests {
    use super::*;

    static LIST: Command = Command::new("list", "")
        .aliases(&["ls"])
        .flags(&[&[
            Flag::switch("all", "").short('a'),
            Flag::switch("long", "").short('l'),
            Flag::int("max-results", "").short('n'),
            Flag::text("tags", "").repeated().env("TAGS"),
            Flag::one_of("sort", &["name", "size"], "").default("name"),
        ]])
        .args(&[Arg::text("source", "")]);
    static SHOW: Command =
        Command::new("show", "").args(&[Arg::text("id", "").required().repeated()]);
    static SECRET: Command = Command::new("secret", "").test_only();
    static SNAPSHOT: Command = Command::new("snapshot", "")
        .aliases(&["snap"])
        .flags(&[&[Flag::text("group", "")]])
        .commands(&[&LIST, &SHOW, &SECRET]);
    static ROOT: Command = Command::new("kopia", "")
        .flags(&[
            HELP_FLAGS,
            &[
                Flag::text("config-file", "").default("repository.config").env("CONFIG"),
                Flag::text("password", "").short('p'),
                Flag::switch("progress", ""),
                Flag::int("files", "").env("FILES"),
            ],
        ])
        .commands(&[&SNAPSHOT]);

    fn run_env(line: &[&str], env: &[(&str, &str)]) -> Result<Parsed, String> {
        let env = |name: &str| {
            let found = env.iter().find(|(n, _)| *n == name);
            found.map(|(_, v)| OsString::from(v))
        };
        let syntax = Syntax { root: &ROOT, env: &env };
        parse(&syntax, line.iter().map(OsString::from).collect()).map_err(|e| e.to_string())
    }

    fn matches_of(line: &[&str], env: &[(&str, &str)]) -> Matches {
        match run_env(line, env) {
            Ok(Parsed::Run(matches)) => matches,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    fn error(line: &[&str]) -> String {
        match run_env(line, &[]) {
            Err(error) => error,
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn flags_stand_anywhere_after_their_command() {
        let m = matches_of(
            &["snap", "ls", "src", "--group=g", "-ln5", "-p", "pw", "--no-progress"],
            &[],
        );
        assert_eq!(m.command_name(), "snapshot list");
        assert_eq!(m.text("source").as_deref(), Some("src"));
        assert_eq!(m.text("group").as_deref(), Some("g"));
        assert_eq!(m.int("max-results"), Some(5));
        assert_eq!(m.bool("progress"), Some(false));
        assert_eq!(m.bool("all"), None);
        assert!(m.flag("long") && m.given("long") && !m.given("sort"));
        assert_eq!(m.text("sort").as_deref(), Some("name"));
        assert_eq!(m.text("config-file").as_deref(), Some("repository.config"));
        assert_eq!(error(&["--all", "snapshot", "list"]), "unknown long flag '--all'");
    }

    #[test]
    fn values_begin_with_anything_but_a_dash() {
        let m = matches_of(&["snapshot", "list", "--tags==x", "--tags", "@y", "--tags=-z"], &[]);
        assert_eq!(m.texts("tags"), ["=x", "@y", "-z"]);
        assert_eq!(
            error(&["snapshot", "list", "--tags", "-z"]),
            "expected argument for flag '--tags'"
        );
        assert_eq!(error(&["snapshot", "list", "-n"]), "expected argument for flag '-n'");
        assert_eq!(matches_of(&["snapshot", "list", "-"], &[]).text("source").as_deref(), Some(""));
        let m = matches_of(&["snapshot", "show", "--", "--frob", "-x"], &[]);
        assert_eq!(m.texts("id"), ["--frob", "-x"]);
    }

    #[test]
    fn switches_accept_true_and_false_but_no_other_value() {
        assert_eq!(matches_of(&["snapshot", "list", "--all=false"], &[]).bool("all"), Some(false));
        assert_eq!(matches_of(&["snapshot", "list", "--all=true"], &[]).bool("all"), Some(true));
        assert_eq!(
            matches_of(&["snapshot", "list", "--no-all=false"], &[]).bool("all"),
            Some(true)
        );
        let m = matches_of(&["snapshot", "list", "--all=yes"], &[]);
        assert_eq!((m.bool("all"), m.text("source").as_deref()), (Some(true), Some("yes")));
        assert_eq!(error(&["snapshot", "list", "--no-tags", "x"]), "unknown long flag '--no-tags'");
    }

    #[test]
    fn errors_have_kopias_texts() {
        assert_eq!(error(&["fr\"ob"]), "expected command but got \"fr\\\"ob\"");
        assert_eq!(error(&["snapshot"]), "must select a subcommand of 'snapshot'");
        assert_eq!(error(&["snapshot", "secret"]), "expected command but got \"secret\"");
        assert_eq!(error(&["snapshot", "list", "a", "b"]), "unexpected b");
        assert_eq!(error(&["snapshot", "show"]), "required argument 'id' not provided");
        assert_eq!(error(&["snapshot", "list", "-zl"]), "unknown short flag '-z'");
        assert_eq!(error(&["snapshot", "list", "-a", "-a"]), "flag 'all' cannot be repeated");
        assert_eq!(
            error(&["snapshot", "list", "--sort=x"]),
            "enum value must be one of name,size, got 'x'"
        );
        assert_eq!(error(&["help", "snapshot", "lis"]), "expected command but got \"lis\"");
    }

    #[test]
    fn variables_stand_in_for_absent_flags() {
        let env = [("TAGS", "a:1\r\nb:2\n"), ("CONFIG", ""), ("KOPIA_TESTONLY_FLAGS", "1")];
        let m = matches_of(&["snapshot", "list"], &env);
        assert_eq!(m.texts("tags"), ["a:1", "b:2"]);
        assert!(!m.given("tags"));
        assert_eq!(m.text("config-file").as_deref(), Some("repository.config"));
        assert_eq!(matches_of(&["snapshot", "list", "--tags=c"], &env).texts("tags"), ["c"]);
        assert_eq!(matches_of(&["snapshot", "secret"], &env).command_name(), "snapshot secret");
        // A bad variable comes before any other error of a command that knows it.
        let bad = run_env(&["frob"], &[("FILES", "abc")]).map(|_| ());
        assert_eq!(bad, Err("strconv.ParseFloat: parsing \"abc\": invalid syntax".into()));
    }

    #[test]
    fn help_and_version_come_before_errors_where_kopias_do() {
        assert!(matches!(run_env(&["--version", "frob"], &[]), Ok(Parsed::Version)));
        assert!(matches!(run_env(&["help", "--frob"], &[]), Ok(Parsed::Help(p)) if p.is_empty()));
        assert!(run_env(&["--help", "--frob"], &[]).is_err());
        assert!(matches!(run_env(&[], &[]), Ok(Parsed::Help(p)) if p.is_empty()));
        let help = run_env(&["snapshot", "--help"], &[]);
        assert!(matches!(help, Ok(Parsed::Help(p)) if p.len() == 1 && p[0].name == "snapshot"));
        assert!(matches!(run_env(&["--help-full"], &[]), Ok(Parsed::HelpFull(_))));
    }

    #[test]
    fn texts_need_not_be_utf8() {
        let env = |_: &str| None;
        let syntax = Syntax { root: &ROOT, env: &env };
        let words = vec!["snapshot".into(), "list".into(), OsString::from_vec(b"a\xff".to_vec())];
        let Ok(Parsed::Run(m)) = parse(&syntax, words) else { panic!() };
        assert_eq!(m.os("source").map(OsStr::as_bytes), Some(&b"a\xff"[..]));
    }
}

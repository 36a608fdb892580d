//! What a command, a flag and an argument are: tables built at compile time.

use super::Matches;
use crate::app::{App, Outcome};

/// The type of the value of a flag or argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `--flag` or `--no-flag`, without value.
    Switch,
    /// A boolean that must be given a value (`--enable-quick=true`).
    Bool,
    /// Any text; need not be UTF-8.
    Text,
    /// A number that is read as a float and truncated, as kopia does for its plain integers.
    Int,
    /// A 32-bit integer, Go syntax (`0x10`, `0b1`, `1_000` are accepted).
    Int32,
    /// A 64-bit integer, Go syntax.
    Int64,
    /// An unsigned integer, Go syntax.
    Uint,
    /// A floating point number.
    Float,
    /// A duration such as `1h30m`, also `d` and `w`; nanoseconds.
    Duration,
    /// A size in bytes, `10MB` = 10 × 2^20.
    Bytes,
    /// One of a list of words.
    Enum(&'static [&'static str]),
    /// A path that must exist.
    ExistingPath,
}

/// What a flag of kopia does here. `docs/parity.md` is written from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// What it does in kopia.
    #[default]
    Works,
    /// There is nothing that it could change, or what it asks for is so already. The reason.
    Moot(&'static str),
    /// It is accepted and has no effect, which is said when it is given. The reason.
    Ignored(&'static str),
    /// The command refuses to run with it.
    Refused,
}

/// A flag of a command.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Name without dashes.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Type of the value.
    pub kind: Kind,
    /// One-letter form.
    pub short: Option<char>,
    /// Environment variable used when the flag is absent and the variable is not empty.
    pub env: Option<&'static str>,
    /// Value when neither flag nor variable is given.
    pub default: Option<&'static str>,
    /// Not shown in help.
    pub hidden: bool,
    /// Must be given, as flag or as variable.
    pub required: bool,
    /// May be given several times; the values accumulate.
    pub repeated: bool,
    /// Known only while `KOPIA_TESTONLY_FLAGS` is set.
    pub test_only: bool,
    /// What it does here.
    pub effect: Effect,
}

impl Flag {
    const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self {
            name,
            help,
            kind,
            short: None,
            env: None,
            default: None,
            hidden: false,
            required: false,
            repeated: false,
            test_only: false,
            effect: Effect::Works,
        }
    }
    /// A flag without value.
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Switch, help)
    }
    /// A repeatable boolean with a value: the last one counts.
    pub const fn bool_values(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Bool, help).repeated()
    }
    /// A flag with a text.
    pub const fn text(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Text, help)
    }
    /// A flag with an integer.
    pub const fn int(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Int, help)
    }
    /// A flag with a 32-bit integer.
    pub const fn int32(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Int32, help)
    }
    /// A flag with a 64-bit integer.
    pub const fn int64(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Int64, help)
    }
    /// A flag with an unsigned integer.
    pub const fn uint(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Uint, help)
    }
    /// A flag with a floating point number.
    pub const fn float(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Float, help)
    }
    /// A flag with a duration.
    pub const fn duration(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Duration, help)
    }
    /// A flag with a size.
    pub const fn bytes(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Bytes, help)
    }
    /// A flag with one of several words.
    pub const fn one_of(
        name: &'static str,
        options: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self::new(name, Kind::Enum(options), help)
    }
    /// A flag with the path of something that exists.
    pub const fn existing_path(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::ExistingPath, help)
    }
    /// With a one-letter form.
    #[must_use]
    pub const fn short(mut self, short: char) -> Self {
        self.short = Some(short);
        self
    }
    /// With an environment variable.
    #[must_use]
    pub const fn env(mut self, env: &'static str) -> Self {
        self.env = Some(env);
        self
    }
    /// With a default value.
    #[must_use]
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
    /// Not shown in help.
    #[must_use]
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }
    /// Must be given.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
    /// May be given several times.
    #[must_use]
    pub const fn repeated(mut self) -> Self {
        self.repeated = true;
        self
    }
    /// Known only to tests.
    #[must_use]
    pub const fn test_only(mut self) -> Self {
        self.test_only = true;
        self
    }
    /// Without anything to change.
    #[must_use]
    pub const fn moot(mut self, why: &'static str) -> Self {
        self.effect = Effect::Moot(why);
        self
    }
    /// Without effect.
    #[must_use]
    pub const fn ignored(mut self, why: &'static str) -> Self {
        self.effect = Effect::Ignored(why);
        self
    }
    /// Not supported.
    #[must_use]
    pub const fn refused(mut self) -> Self {
        self.effect = Effect::Refused;
        self
    }
    /// Whether the flag has no value but a `--no-` form.
    pub const fn is_switch(&self) -> bool {
        matches!(self.kind, Kind::Switch)
    }
}

/// A positional argument of a command.
#[derive(Clone, Copy, Debug)]
pub struct Arg {
    /// Name, shown as `<name>`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Type of the value.
    pub kind: Kind,
    /// Value when absent.
    pub default: Option<&'static str>,
    /// Must be given.
    pub required: bool,
    /// Takes all remaining arguments.
    pub repeated: bool,
}

impl Arg {
    /// An argument of any text.
    pub const fn text(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Text, default: None, required: false, repeated: false }
    }
    /// An argument that is the path of something that exists.
    pub const fn existing_path(name: &'static str, help: &'static str) -> Self {
        let mut arg = Self::text(name, help);
        arg.kind = Kind::ExistingPath;
        arg
    }
    /// Must be given.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
    /// Takes all remaining arguments.
    #[must_use]
    pub const fn repeated(mut self) -> Self {
        self.repeated = true;
        self
    }
    /// With a default value.
    #[must_use]
    pub const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

/// What carries out a command.
pub type Handler = fn(&App, &Matches) -> Outcome;

/// A command or a group of commands.
#[derive(Debug)]
pub struct Command {
    /// Word that selects the command.
    pub name: &'static str,
    /// Other words for it.
    pub aliases: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
    /// Not shown in help, nor are its sub-commands.
    pub hidden: bool,
    /// Known only while `KOPIA_TESTONLY_FLAGS` is set.
    pub test_only: bool,
    /// Known only while this environment variable is set.
    pub requires_env: Option<&'static str>,
    /// Flags, in groups that commands share; a group's flags are known to its sub-commands too.
    pub flags: &'static [&'static [Flag]],
    /// Positional arguments.
    pub args: &'static [Arg],
    /// Sub-commands; a command has either these or a handler.
    pub commands: &'static [&'static Command],
    /// What carries the command out; `None` for groups and for commands that kopia has and
    /// this program does not have yet.
    pub handler: Option<Handler>,
}

impl Command {
    /// A command with no flags, arguments or handler yet.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            help,
            hidden: false,
            test_only: false,
            requires_env: None,
            flags: &[],
            args: &[],
            commands: &[],
            handler: None,
        }
    }
    /// Other words for the command.
    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }
    /// Not shown in help.
    #[must_use]
    pub const fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }
    /// Known only to tests.
    #[must_use]
    pub const fn test_only(mut self) -> Self {
        self.test_only = true;
        self
    }
    /// Known only while an environment variable is set.
    #[must_use]
    pub const fn requires_env(mut self, name: &'static str) -> Self {
        self.requires_env = Some(name);
        self
    }
    /// With groups of flags.
    #[must_use]
    pub const fn flags(mut self, flags: &'static [&'static [Flag]]) -> Self {
        self.flags = flags;
        self
    }
    /// With positional arguments.
    #[must_use]
    pub const fn args(mut self, args: &'static [Arg]) -> Self {
        self.args = args;
        self
    }
    /// With sub-commands.
    #[must_use]
    pub const fn commands(mut self, commands: &'static [&'static Command]) -> Self {
        self.commands = commands;
        self
    }
    /// With the function that carries it out.
    #[must_use]
    pub const fn run(mut self, handler: Handler) -> Self {
        self.handler = Some(handler);
        self
    }
    /// All flags in order.
    pub fn all_flags(&self) -> impl Iterator<Item = &'static Flag> + use<> {
        self.flags.iter().flat_map(|group| group.iter())
    }
}

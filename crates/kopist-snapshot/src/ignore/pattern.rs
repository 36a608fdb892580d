//! One ignore rule.
//!
//! Matching works on code points and is case-sensitive. It backtracks like `wildmatch`, with two
//! kinds of giving up that keep patterns with many stars from exploding.

use super::class::Class;

/// A rule that was parsed.
#[derive(Clone, Debug)]
pub struct Pattern {
    tokens: Vec<Token>,
    dir_only: bool,
    negated: bool,
    suffix: Option<Vec<char>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Literal(char),
    Separator,
    AnyChar,
    Set(Box<Set>),
    Star,
    DoubleStar,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Set {
    negated: bool,
    items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq)]
enum Item {
    Range(char, char),
    Class(Class),
}

/// A rule that cannot be parsed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("invalid pattern {pattern:?}: {reason}; correct it in the policy or the ignore file")]
pub struct PatternError {
    pattern: String,
    reason: String,
}

/// How an attempt to match ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Match,
    NoMatch,
    /// No continuation can match.
    AbortAll,
    /// Only a double star further up can still match.
    AbortToDoubleStar,
}

impl Pattern {
    /// Parses a rule that stands in directory `base`: empty for the root, else `/a/b`.
    pub fn parse(pattern: &str, base: &str) -> Result<Self, PatternError> {
        Parser::new(pattern)
            .parse(base)
            .map_err(|reason| PatternError { pattern: pattern.to_owned(), reason })
    }

    /// Whether this rule re-includes instead of ignoring.
    #[must_use]
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// Whether the rule says "ignore" about a path such as `/a/b`. A negated rule says "ignore"
    /// about everything that it does not match.
    #[must_use]
    pub fn matches(&self, path: &[char], is_dir: bool) -> bool {
        if self.dir_only && !is_dir {
            return self.negated;
        }
        self.core(path) != self.negated
    }

    fn core(&self, path: &[char]) -> bool {
        if let Some(suffix) = &self.suffix {
            // `**/name`: the last part of the path must be the name.
            return path.ends_with(suffix);
        }
        run(&self.tokens, path) == Outcome::Match
    }
}

/// Matches tokens against all of `text`.
fn run(tokens: &[Token], text: &[char]) -> Outcome {
    // One before the start is possible: see the single star below.
    let mut before_start = false;
    let mut at = 0;
    for (index, token) in tokens.iter().enumerate() {
        let here = if before_start { None } else { text.get(at).copied() };
        let at_end = !before_start && at >= text.len();
        if at_end && !matches!(token, Token::Star | Token::DoubleStar) {
            return Outcome::AbortAll;
        }
        let rest = &tokens[index + 1..];
        let fits = match token {
            Token::Literal(c) => here == Some(*c),
            Token::Separator => here == Some('/'),
            Token::AnyChar => here.is_some_and(|c| c != '/'),
            Token::Set(set) => here.is_some_and(|c| set.has(c) != set.negated),
            Token::Star | Token::DoubleStar => {
                let double = *token == Token::DoubleStar;
                match rest {
                    [] => {
                        let more = text.get(at..).is_some_and(|text| text.contains(&'/'));
                        return if double || !more { Outcome::Match } else { Outcome::NoMatch };
                    }
                    [Token::Separator, after @ ..] if double => {
                        let rest_of_text = text.get(at..).unwrap_or_default();
                        if !after.is_empty() && run(after, rest_of_text) == Outcome::Match {
                            return Outcome::Match;
                        }
                    }
                    [Token::Separator, ..] => {
                        // The star takes everything up to the next separator.
                        let Some(next) =
                            text.get(at..).and_then(|text| text.iter().position(|c| *c == '/'))
                        else {
                            return Outcome::NoMatch;
                        };
                        // An empty star at the very start cannot match: kopia steps back one
                        // character and does not get forward again.
                        before_start = at + next == 0;
                        at += next;
                        continue;
                    }
                    _ => {}
                }
                return try_lengths(rest, text, at, double);
            }
        };
        if !fits {
            return Outcome::NoMatch;
        }
        at += usize::from(here.is_some());
    }
    if !before_start && at >= text.len() { Outcome::Match } else { Outcome::NoMatch }
}

/// Lets a star take more and more characters.
fn try_lengths(rest: &[Token], text: &[char], mut at: usize, double: bool) -> Outcome {
    let mut taken = text.get(at).copied();
    while at < text.len() {
        match run(rest, &text[at..]) {
            Outcome::NoMatch => {
                if !double && taken == Some('/') {
                    return Outcome::AbortToDoubleStar;
                }
            }
            Outcome::AbortToDoubleStar if double => {}
            outcome => return outcome,
        }
        taken = text.get(at).copied();
        at += 1;
    }
    Outcome::AbortAll
}

impl Set {
    fn has(&self, c: char) -> bool {
        self.items.iter().any(|item| match item {
            Item::Range(low, high) => (*low..=*high).contains(&c),
            Item::Class(class) => class.has(c),
        })
    }
}

/// Turns the text of a rule into tokens.
struct Parser {
    text: Vec<char>,
    at: usize,
}

impl Parser {
    fn new(pattern: &str) -> Self {
        let bytes = pattern.as_bytes();
        // Blanks at the ends are cut unless the last one is escaped.
        let keep = bytes.len() <= 2 || bytes[bytes.len() - 2] == b'\\';
        let pattern = if keep { pattern } else { pattern.trim() };
        // A NUL ends the pattern.
        Self { text: pattern.chars().take_while(|c| *c != '\0').collect(), at: 0 }
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn parse(mut self, base: &str) -> Result<Pattern, String> {
        let base = match base.strip_suffix('/') {
            Some(shorter) if !shorter.is_empty() => shorter,
            _ => base,
        };
        let is_empty = self.text.is_empty();
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let negated = self.peek() == Some('!');
        self.at += usize::from(negated);
        let rooted = self.peek() == Some('/');

        let mut tokens = Vec::new();
        if !base.is_empty() && !is_empty {
            tokens.extend(
                base.chars().map(|c| if c == '/' { Token::Separator } else { Token::Literal(c) }),
            );
            if !rooted {
                tokens.push(Token::Separator);
            }
        }
        let rest = &self.text[self.at..];
        // The whole text is compared, with a `!` or blanks before the stars.
        if !rooted && !is_empty && self.text != ['*', '*'] {
            let slash = rest.iter().position(|c| *c == '/');
            if slash.is_none_or(|slash| slash + 1 == rest.len()) {
                tokens.extend([Token::DoubleStar, Token::Separator]);
            } else if base.is_empty() {
                tokens.push(Token::Separator);
            }
        }
        let dir_only = rest.last() == Some(&'/');
        if dir_only {
            self.text.pop();
        }
        while let Some(c) = self.next() {
            tokens.push(match c {
                '\\' => Token::Literal(self.escaped()?),
                '?' => Token::AnyChar,
                '/' => Token::Separator,
                '*' => self.star(),
                '[' => Token::Set(Box::new(self.set()?)),
                c => Token::Literal(c),
            });
        }
        let suffix = plain_suffix(&tokens);
        Ok(Pattern { tokens, dir_only, negated, suffix })
    }

    fn escaped(&mut self) -> Result<char, String> {
        self.next().ok_or_else(|| {
            "end of line found after '\\' character. Use '\\\\' to indicate a literal backslash in a pattern".to_owned()
        })
    }

    /// One or more stars, the first of which was taken.
    fn star(&mut self) -> Token {
        let before = self.at.checked_sub(2).map(|index| self.text[index]);
        let first = self.at;
        while self.peek() == Some('*') {
            self.at += 1;
        }
        let several = self.at > first;
        let double = several
            && match before {
                None => true,
                Some('/') => self.peek().is_none_or(|c| c == '/'),
                Some(_) => false,
            };
        if double { Token::DoubleStar } else { Token::Star }
    }

    /// A set, whose `[` was taken.
    fn set(&mut self) -> Result<Set, String> {
        let mut set = Set::default();
        if self.peek() == Some('!') {
            set.negated = true;
            self.at += 1;
        }
        loop {
            let c = match self.next() {
                None => return Err("unterminated sequence, expected ']'".to_owned()),
                Some(']') => return Ok(set),
                Some('\\') => self.escaped()?,
                Some(c) => c,
            };
            // An escaped bracket begins a class just the same.
            if c == '['
                && let Some(class) = self.class()?
            {
                set.items.push(Item::Class(class));
                continue;
            }
            let is_range = self.peek() == Some('-')
                && self.text.get(self.at + 1).is_some_and(|end| *end != ']');
            if !is_range {
                set.items.push(Item::Range(c, c));
                continue;
            }
            self.at += 1;
            let end = match self.next() {
                Some('\\') => self.escaped()?,
                Some(end) => end,
                None => return Err("unterminated sequence, expected ']'".to_owned()),
            };
            set.items.push(Item::Range(c, end));
        }
    }

    /// `[:name:]`, whose first `[` was taken; `None` if it is something else.
    ///
    /// kopia compares the length of the name with the *position in the pattern*, so a class that
    /// stands late in a pattern is not one: the `[` is then a literal. What is backed up depends
    /// on it, so it is the same here.
    fn class(&mut self) -> Result<Option<Class>, String> {
        if self.peek() != Some(':') {
            return Ok(None);
        }
        let rest = &self.text[self.at..];
        let Some(close) = rest.iter().position(|c| *c == ']') else {
            return Ok(None);
        };
        if close - 1 <= self.at || rest[close - 1] != ':' {
            return Ok(None);
        }
        let name: String = rest[1..close - 1].iter().collect();
        let class = Class::by_name(&name)
            .ok_or_else(|| format!("unrecognized character class [:{}:]", name.to_lowercase()))?;
        self.at += close + 1;
        Ok(Some(class))
    }
}

/// The text behind `**` of a pattern like `**/name`, for which no backtracking is needed.
fn plain_suffix(tokens: &[Token]) -> Option<Vec<char>> {
    let [Token::DoubleStar, Token::Separator, name @ ..] = tokens else {
        return None;
    };
    let name: Option<Vec<char>> = name
        .iter()
        .map(|token| match token {
            Token::Literal(c) => Some(*c),
            _ => None,
        })
        .collect();
    let name = name.filter(|name| !name.is_empty())?;
    Some(std::iter::once('/').chain(name).collect())
}

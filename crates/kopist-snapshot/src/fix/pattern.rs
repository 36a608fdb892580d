//! Patterns of file names: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before what is meant itself.
//!
//! They mean what they mean for Go's `path.Match`, which kopia uses.

/// A pattern.
#[derive(Clone, Debug)]
pub struct Pattern(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    /// Any characters but `/`.
    Star,
    /// One character but `/`.
    Any,
    Char(char),
    /// One character of these ranges, or of no such one.
    Class {
        not: bool,
        ranges: Vec<(char, char)>,
    },
}

/// A text that is no pattern.
#[derive(Debug, thiserror::Error)]
#[error("invalid wildcard: syntax error in pattern {0:?}")]
pub struct InvalidPattern(String);

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern(text.to_owned());
        let mut parts = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Star,
                '?' => Part::Any,
                '\\' => Part::Char(chars.next().ok_or_else(invalid)?),
                '[' => {
                    let not = chars.next_if_eq(&'^').is_some();
                    let mut ranges = Vec::new();
                    loop {
                        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
                            break;
                        }
                        let low = class_char(&mut chars).ok_or_else(invalid)?;
                        let high = match chars.next_if_eq(&'-') {
                            Some(_) => class_char(&mut chars).ok_or_else(invalid)?,
                            None => low,
                        };
                        ranges.push((low, high));
                    }
                    Part::Class { not, ranges }
                }
                c => Part::Char(c),
            });
        }
        Ok(Self(parts))
    }

    /// Whether a whole name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        // Of the last star: the part after it, and where it may end next.
        let mut retry: Option<(usize, usize)> = None;
        let (mut part, mut at) = (0, 0);
        loop {
            let fits = match self.0.get(part) {
                None if at == name.len() => return true,
                None => false,
                Some(Part::Star) => {
                    part += 1;
                    retry = Some((part, at));
                    continue;
                }
                Some(one) => name.get(at).is_some_and(|c| one.accepts(*c)),
            };
            if fits {
                part += 1;
                at += 1;
                continue;
            }
            let Some((after, end)) = retry else { return false };
            match name.get(end) {
                Some(c) if *c != '/' => {
                    retry = Some((after, end + 1));
                    (part, at) = (after, end + 1);
                }
                _ => return false,
            }
        }
    }
}

/// One character of a class, which cannot be `-` or `]` without a `\`.
fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}

impl Part {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => c != '/',
            Self::Char(own) => *own == c,
            Self::Class { not, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *not
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn the_cases_of_go() {
        // From the tests of Go's package path.
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("[\\-x]", "a", false),
            ("*x", "xxx", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                Pattern::parse(pattern).unwrap().matches(name),
                expected,
                "{pattern} {name}"
            );
        }
        for pattern in
            ["[]a]", "[-]", "[x-]", "[-x]", "\\", "[a-b-c]", "[", "[^", "[^bc", "a[", "a[b"]
        {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}

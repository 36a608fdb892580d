//! Forms of text that several commands print.

use kopist_format::directory::{DirEntry, EntryType};

use crate::error::{CommandError, Context as _};

/// Indents JSON by two spaces a level as Go's `json.Indent` does: nothing but white space
/// outside of strings changes, and what white space stands at the end stays there.
pub(super) fn indent_json(json: &[u8]) -> Result<String, CommandError> {
    let text = std::str::from_utf8(json).context("errors indenting JSON")?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).context("errors indenting JSON")?;
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut in_string, mut escaped, mut fresh) = (0_usize, false, false, false);
    let line_feed = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth));
    };
    for c in text.chars() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        if c.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(c, '}' | ']');
        if std::mem::replace(&mut fresh, false) && !closes {
            // The first thing inside of brackets; empty ones stay closed.
            depth += 1;
            line_feed(&mut out, depth);
        } else if closes && !out.ends_with(['{', '[']) {
            depth = depth.saturating_sub(1);
            line_feed(&mut out, depth);
        }
        out.push(c);
        match c {
            '"' => in_string = true,
            '{' | '[' => fresh = true,
            ',' => line_feed(&mut out, depth),
            ':' => out.push(' '),
            _ => {}
        }
    }
    out.push_str(&text[text.trim_ascii_end().len()..]);
    Ok(out)
}

/// The kind and permissions of an entry as Go prints them: `drwxr-xr-x`, `Lrwxrwxrwx`, `urwx…`.
pub(super) fn mode_text(entry: &DirEntry) -> String {
    let mode = entry.mode.to_unix();
    let mut out = String::new();
    match entry.kind {
        EntryType::Directory => out.push('d'),
        EntryType::Symlink => out.push('L'),
        _ => {}
    }
    for (bit, letter) in [(0o4000, 'u'), (0o2000, 'g'), (0o1000, 't')] {
        if mode & bit != 0 {
            out.push(letter);
        }
    }
    if out.is_empty() {
        out.push('-');
    }
    for (place, letter) in "rwxrwxrwx".chars().enumerate() {
        out.push(if mode & (0o400 >> place) != 0 { letter } else { '-' });
    }
    out
}

#[cfg(test)]
mod tests {
    use kopist_format::directory::Permissions;

    use super::*;

    #[test]
    fn json_keeps_its_texts() {
        let json = br#" {"a" : [1, 2.50,{}],"b":"x\"{\u003c", "c":[],"d":{ } }"#;
        let expected = "{\n  \"a\": [\n    1,\n    2.50,\n    {}\n  ],\n  \
                        \"b\": \"x\\\"{\\u003c\",\n  \"c\": [],\n  \"d\": {}\n}";
        assert_eq!(indent_json(json).map_err(|e| e.to_string()), Ok(expected.to_owned()));
        assert!(indent_json(b"{").is_err());
    }

    #[test]
    fn modes_look_like_gos() {
        let text = |kind, mode| {
            let mode = Permissions::from_unix(mode);
            mode_text(&DirEntry { kind, mode, ..DirEntry::default() })
        };
        assert_eq!(text(EntryType::File, 0o644), "-rw-r--r--");
        assert_eq!(text(EntryType::Directory, 0o1777), "dtrwxrwxrwx");
        assert_eq!(text(EntryType::File, 0o4755), "urwxr-xr-x");
        assert_eq!(text(EntryType::Symlink, 0o777), "Lrwxrwxrwx");
    }
}

//! JSON results, byte for byte as kopia lays them out.
//!
//! A value is one line. A list is `[`, then each item on a line of its own behind one blank, and
//! `]` without a line feed; an empty list is `[`, line feed, `]`. Indented, items follow each
//! other without line feeds in between.

use kopist_format::json::{to_go_json, to_go_json_indented};
use serde::Serialize;

use super::Console;
use crate::{error::CommandError, grammar::Matches};

/// What the flags `--json`, `--json-indent` and `--json-verbose` say.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonOutput {
    /// Print JSON instead of text.
    pub json: bool,
    /// Indent it.
    pub indent: bool,
    /// Include details.
    pub verbose: bool,
}

impl JsonOutput {
    /// Reads the flags of a command that has them.
    pub fn new(matches: &Matches) -> Self {
        Self {
            json: matches.flag("json"),
            indent: matches.flag("json-indent"),
            verbose: matches.flag("json-verbose"),
        }
    }

    /// The JSON of a value, without line feed.
    pub fn text(&self, value: &(impl Serialize + ?Sized)) -> Result<String, CommandError> {
        self.text_behind(value, "")
    }

    /// The JSON of a value; indented, all lines but the first begin with `prefix`, which also
    /// adds to the width of a level.
    pub fn text_behind(
        &self,
        value: &(impl Serialize + ?Sized),
        prefix: &str,
    ) -> Result<String, CommandError> {
        if !self.indent {
            return Ok(String::from_utf8(to_go_json(value)?)?);
        }
        indented(value, prefix, &format!("{prefix}  "))
    }

    /// Prints a value on a line of its own.
    pub fn print(
        &self,
        console: &Console,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), CommandError> {
        Ok(console.line(self.text(value)?)?)
    }

    /// Begins a list; it ends when it is dropped, also after an error.
    pub fn list<'a>(&self, console: &'a Console) -> Result<JsonList<'a>, CommandError> {
        if self.json {
            console.print("[")?;
        }
        let separator = if self.indent { "" } else { "\n " };
        Ok(JsonList { console, output: *self, separator })
    }
}

/// The JSON of a value with all lines but the first behind `prefix`, and `step` for each level.
pub fn indented(
    value: &(impl Serialize + ?Sized),
    prefix: &str,
    step: &str,
) -> Result<String, CommandError> {
    let text = String::from_utf8(to_go_json_indented(value)?)?;
    let mut out = String::with_capacity(text.len());
    // Line feeds inside of strings are escaped, so each one here begins a line of the layout.
    for (number, line) in text.trim_end().split('\n').enumerate() {
        let content = line.trim_start_matches(' ');
        if number > 0 {
            out.push('\n');
            out.push_str(prefix);
            out.push_str(&step.repeat((line.len() - content.len()) / 2));
        }
        out.push_str(content);
    }
    Ok(out)
}

/// A list of items that is being printed.
#[derive(Debug)]
pub struct JsonList<'a> {
    console: &'a Console,
    output: JsonOutput,
    separator: &'static str,
}

impl JsonList<'_> {
    /// Prints an item.
    pub fn item(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), CommandError> {
        let text = self.output.text(value)?;
        self.console.print(self.separator)?;
        self.console.print(text)?;
        self.separator = if self.output.indent { "," } else { ",\n " };
        Ok(())
    }
}

impl Drop for JsonList<'_> {
    fn drop(&mut self) {
        if self.output.json {
            // A reader that is gone shows when the console is flushed.
            let _ = self.console.print(if self.output.indent { "]" } else { "\n]" });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn printed(indent: bool, items: &[serde_json::Value]) -> Result<String, Box<dyn Error>> {
        let (console, out, _) = Console::captured();
        let output = JsonOutput { json: true, indent, verbose: false };
        let fail = |e: CommandError| e.to_string();
        let mut list = output.list(&console).map_err(fail)?;
        for item in items {
            list.item(item).map_err(fail)?;
        }
        drop(list);
        console.flush()?;
        Ok(out.text())
    }

    #[test]
    fn lists_have_kopias_layout() -> Result<(), Box<dyn Error>> {
        let items = [serde_json::json!({"a": "<"}), serde_json::json!({})];
        assert_eq!(printed(false, &[])?, "[\n]");
        assert_eq!(printed(false, &items)?, "[\n {\"a\":\"\\u003c\"},\n {}\n]");
        assert_eq!(printed(true, &[])?, "[]");
        assert_eq!(printed(true, &items)?, "[{\n  \"a\": \"\\u003c\"\n},{}]");
        Ok(())
    }

    #[test]
    fn prefixes_widen_the_levels() {
        let output = JsonOutput { indent: true, ..JsonOutput::default() };
        let text = output.text_behind(&serde_json::json!({"a": [1], "b": " \n x"}), "  ");
        let expected = "{\n      \"a\": [\n          1\n      ],\n      \"b\": \" \\n x\"\n  }";
        assert_eq!(text.map_err(|e| e.to_string()), Ok(expected.to_owned()));
    }
}

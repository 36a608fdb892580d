//! Writing.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::JsonError;

/// The value as Go's `json.Marshal` writes it: compact, without newline at the end.
pub fn to_go_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::with_capacity(256);
    write_go_json(value, &mut out)?;
    Ok(out)
}

/// Appends what [`to_go_json`] returns.
pub(crate) fn write_go_json<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), JsonError> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, GoFormatter::compact()))?)
}

/// The value as Go's encoder with `SetIndent("", "  ")` writes it: indented by two spaces, with a
/// newline at the end.
pub fn to_go_json_indented<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, JsonError> {
    let mut out = Vec::with_capacity(1024);
    let formatter = GoFormatter(PrettyFormatter::new());
    value.serialize(&mut Serializer::with_formatter(&mut out, formatter))?;
    out.push(b'\n');
    Ok(out)
}

/// A formatter for [`serde_json::Serializer`] with Go's escapes and floats over the layout of `F`.
#[derive(Clone, Debug)]
pub struct GoFormatter<F>(F);

impl GoFormatter<CompactFormatter> {
    /// No white space at all.
    pub fn compact() -> Self {
        Self(CompactFormatter)
    }
}

/// Passes the calls that lay out arrays and objects on to the inner formatter.
macro_rules! layout {
    ($($name:ident($($flag:ident)?)),*) => {$(
        fn $name<W: ?Sized + Write>(&mut self, w: &mut W $(, $flag: bool)?) -> io::Result<()> {
            self.0.$name(w $(, $flag)?)
        }
    )*};
}

impl<F: Formatter> Formatter for GoFormatter<F> {
    layout!(
        begin_array(),
        end_array(),
        begin_array_value(first),
        end_array_value(),
        begin_object(),
        end_object(),
        begin_object_key(first),
        end_object_key(),
        begin_object_value(),
        end_object_value()
    );

    /// serde_json has taken out what every JSON escapes; Go also escapes what could end a script
    /// in HTML, and the two line separators of JavaScript.
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        w: &mut W,
        text: &str,
    ) -> io::Result<()> {
        let mut done = 0;
        let special = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        for (at, found) in text.match_indices(special) {
            w.write_all(&text.as_bytes()[done..at])?;
            w.write_all(match found {
                "<" => b"\\u003c",
                ">" => b"\\u003e",
                "&" => b"\\u0026",
                "\u{2028}" => b"\\u2028",
                _ => b"\\u2029",
            })?;
            done = at + found.len();
        }
        w.write_all(&text.as_bytes()[done..])
    }

    fn write_f64<W: ?Sized + Write>(&mut self, w: &mut W, value: f64) -> io::Result<()> {
        if value != 0.0 && !(1e-6..1e21).contains(&value.abs()) {
            write_exponent(w, &format!("{value:e}"))
        } else {
            write!(w, "{value}")
        }
    }

    fn write_f32<W: ?Sized + Write>(&mut self, w: &mut W, value: f32) -> io::Result<()> {
        if value != 0.0 && !(1e-6..1e21).contains(&value.abs()) {
            write_exponent(w, &format!("{value:e}"))
        } else {
            write!(w, "{value}")
        }
    }
}

/// Go writes the sign of a positive exponent.
fn write_exponent<W: ?Sized + Write>(w: &mut W, text: &str) -> io::Result<()> {
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => write!(w, "{digits}e+{exponent}"),
        _ => w.write_all(text.as_bytes()),
    }
}

//! Values of flags, with Go's syntax and Go's error texts.

use std::{
    ffi::{OsStr, OsString},
    fmt::{self, Write as _},
    path::Path,
};

use super::Kind;

/// A checked value of a flag or argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A text, word or path.
    Text(OsString),
    /// An integer.
    Int(i64),
    /// An unsigned integer, also a number of bytes.
    Uint(u64),
    /// A floating point number.
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
}

/// A value that does not fit its flag; the text is kopia's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(pub String);

impl Value {
    /// Checks `text` against `kind`.
    pub fn parse(kind: Kind, text: &OsStr) -> Result<Self, ValueError> {
        let string = || text.to_string_lossy();
        match kind {
            Kind::Switch | Kind::Bool => parse_bool(&string()).map(Self::Bool),
            Kind::Text => Ok(Self::Text(text.to_owned())),
            Kind::Int => parse_float(&string()).map(|v| Self::Int(v.trunc() as i64)),
            Kind::Int32 => parse_int(&string(), i64::from(i32::MIN), i64::from(i32::MAX)),
            Kind::Int64 => parse_int(&string(), i64::MIN, i64::MAX),
            Kind::Uint => parse_uint(&string()),
            Kind::Float => parse_float(&string()).map(Self::Float),
            Kind::Duration => parse_duration(&string()).map(Self::Duration),
            Kind::Bytes => parse_bytes(&string()),
            Kind::Enum(options) => {
                if options.iter().any(|o| OsStr::new(o) == text) {
                    Ok(Self::Text(text.to_owned()))
                } else {
                    Err(ValueError(format!(
                        "enum value must be one of {}, got '{}'",
                        options.join(","),
                        string()
                    )))
                }
            }
            Kind::ExistingPath => {
                if Path::new(text).exists() {
                    Ok(Self::Text(text.to_owned()))
                } else {
                    Err(ValueError(format!("path '{}' does not exist", string())))
                }
            }
        }
    }
}

/// A text in double quotes with Go's escapes (`strconv.Quote`, for the characters that occur).
pub fn go_quote(text: &str) -> impl fmt::Display {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn syntax(function: &str, text: &str) -> ValueError {
    ValueError(format!("strconv.{function}: parsing {}: invalid syntax", go_quote(text)))
}

fn out_of_range(function: &str, text: &str) -> ValueError {
    ValueError(format!("strconv.{function}: parsing {}: value out of range", go_quote(text)))
}

/// A truth value in Go's syntax: `1 t T TRUE true True 0 f F FALSE false False`.
pub fn parse_bool(text: &str) -> Result<bool, ValueError> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(syntax("ParseBool", text)),
    }
}

fn parse_float(text: &str) -> Result<f64, ValueError> {
    match text.parse::<f64>() {
        Ok(v) if v.is_infinite() && !text.to_ascii_lowercase().contains("inf") => {
            Err(out_of_range("ParseFloat", text))
        }
        Ok(v) => Ok(v),
        Err(_) => Err(syntax("ParseFloat", text)),
    }
}

/// The digits of a Go integer literal and their base; `None` if the text is none.
fn go_digits(text: &str) -> Option<(String, u32)> {
    let lower = text.to_ascii_lowercase();
    let (digits, base) = if let Some(rest) = lower.strip_prefix("0x") {
        (rest, 16)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (rest, 2)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (rest, 8)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (&lower[1..], 8)
    } else {
        (lower.as_str(), 10)
    };
    let between_digits = !digits.contains("__")
        && !digits.ends_with('_')
        && (base != 10 || !digits.starts_with('_'));
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    let valid = !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    (between_digits && valid).then_some((digits, base))
}

fn parse_int(text: &str, min: i64, max: i64) -> Result<Value, ValueError> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (digits, base) = go_digits(rest).ok_or_else(|| syntax("ParseInt", text))?;
    let value = i128::from_str_radix(&digits, base).map_err(|_| out_of_range("ParseInt", text))?;
    let value = if negative { -value } else { value };
    match i64::try_from(value) {
        Ok(v) if (min..=max).contains(&v) => Ok(Value::Int(v)),
        _ => Err(out_of_range("ParseInt", text)),
    }
}

fn parse_uint(text: &str) -> Result<Value, ValueError> {
    let (digits, base) = go_digits(text).ok_or_else(|| syntax("ParseUint", text))?;
    u64::from_str_radix(&digits, base).map(Value::Uint).map_err(|_| out_of_range("ParseUint", text))
}

/// A duration in nanoseconds: Go's syntax plus `d` (24 h) and `w` (7 d).
pub fn parse_duration(text: &str) -> Result<i64, ValueError> {
    let invalid = || ValueError(format!("time: invalid duration \"{text}\""));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(number);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(invalid());
        }
        let unit_len = tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        if unit.is_empty() {
            return Err(ValueError(format!("time: missing unit in duration \"{text}\"")));
        }
        let nanos: i64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            _ => {
                return Err(ValueError(format!(
                    "time: unknown unit \"{unit}\" in duration \"{text}\""
                )));
            }
        };
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        let part = if fraction.is_empty() {
            0.0
        } else {
            format!("0.{fraction}").parse::<f64>().map_err(|_| invalid())? * nanos as f64
        };
        total = whole
            .checked_mul(nanos)
            .and_then(|v| v.checked_add(part as i64))
            .and_then(|v| v.checked_add(total))
            .ok_or_else(invalid)?;
        rest = tail;
    }
    Ok(if negative { -total } else { total })
}

fn parse_bytes(text: &str) -> Result<Value, ValueError> {
    let number = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(number);
    let scale: f64 = match unit {
        "B" => 1.0,
        "KB" | "KiB" => 1024.0,
        "MB" | "MiB" => 1024.0 * 1024.0,
        "GB" | "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TB" | "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "" => {
            return Err(ValueError(format!("units: missing unit in \"{text}\"")));
        }
        _ => {
            return Err(ValueError(format!("units: unknown unit {unit} in {text}")));
        }
    };
    digits
        .parse::<f64>()
        .map(|v| Value::Uint((v * scale) as u64))
        .map_err(|_| ValueError(format!("units: invalid {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: Kind, text: &str) -> Result<Value, String> {
        Value::parse(kind, OsStr::new(text)).map_err(|e| e.to_string())
    }

    #[test]
    fn integers_are_truncated_floats() {
        assert_eq!(parse(Kind::Int, "1.9"), Ok(Value::Int(1)));
        assert_eq!(parse(Kind::Int, "-1"), Ok(Value::Int(-1)));
        assert_eq!(
            parse(Kind::Int, "abc"),
            Err("strconv.ParseFloat: parsing \"abc\": invalid syntax".into())
        );
        assert_eq!(
            parse(Kind::Float, "1e999"),
            Err("strconv.ParseFloat: parsing \"1e999\": value out of range".into())
        );
    }

    #[test]
    fn sized_integers_use_go_literals() {
        assert_eq!(parse(Kind::Int64, "0x10"), Ok(Value::Int(16)));
        assert_eq!(parse(Kind::Int64, "010"), Ok(Value::Int(8)));
        assert_eq!(parse(Kind::Int64, "1_000"), Ok(Value::Int(1000)));
        assert_eq!(parse(Kind::Int64, "0"), Ok(Value::Int(0)));
        for bad in ["", "1.5", "_1", "1__0", "08", "0x"] {
            assert_eq!(
                parse(Kind::Int64, bad),
                Err(format!("strconv.ParseInt: parsing \"{bad}\": invalid syntax")),
            );
        }
        assert_eq!(
            parse(Kind::Int32, "2147483648"),
            Err("strconv.ParseInt: parsing \"2147483648\": value out of range".into())
        );
        assert_eq!(parse(Kind::Uint, "7"), Ok(Value::Uint(7)));
    }

    #[test]
    fn durations_know_days_and_weeks() {
        let second = 1_000_000_000;
        assert_eq!(parse_duration("1d"), Ok(86_400 * second));
        assert_eq!(parse_duration("1w2d3h4m5.5s"), Ok(788_645 * second + second / 2));
        assert_eq!(parse_duration("-1.5h"), Ok(-5_400 * second));
        assert_eq!(parse_duration("0"), Ok(0));
        let text = |s: &str| parse_duration(s).map_err(|e| e.to_string());
        assert_eq!(text("abc"), Err("time: invalid duration \"abc\"".into()));
        assert_eq!(text(""), Err("time: invalid duration \"\"".into()));
        assert_eq!(text("5"), Err("time: missing unit in duration \"5\"".into()));
        assert_eq!(text("5y"), Err("time: unknown unit \"y\" in duration \"5y\"".into()));
    }

    #[test]
    fn words_and_paths() {
        assert_eq!(
            parse(Kind::Enum(&["a", "b"]), "c"),
            Err("enum value must be one of a,b, got 'c'".into())
        );
        assert_eq!(parse(Kind::ExistingPath, ""), Err("path '' does not exist".into()));
        assert_eq!(
            parse(Kind::Bool, "xx"),
            Err("strconv.ParseBool: parsing \"xx\": invalid syntax".into())
        );
    }
}

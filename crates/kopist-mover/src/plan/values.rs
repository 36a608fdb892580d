//! Small values out of texts: numbers, switches, durations.

use std::time::Duration;

use super::error::{Findings, PlanError};
use crate::env::Env;

/// A whole number that must be one.
pub(super) fn number(env: &Env, name: &'static str, findings: &mut Findings) -> Option<u64> {
    let text = env.text(name)?;
    let parsed = text.parse().map_err(|_| PlanError::BadValue {
        name: name.to_owned(),
        expected: "a whole number, 0 or more",
    });
    findings.ok(parsed)
}

/// A whole number whose other values are ignored with a remark.
pub(super) fn lenient_number(
    env: &Env,
    name: &'static str,
    what: &str,
    findings: &mut Findings,
) -> Option<u64> {
    let text = env.text(name)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        findings.notice(format!(
            "WARNING: Invalid {what} '{}', must be numeric; ignored",
            excerpt(text)
        ));
    }
    parsed
}

/// `true` or not; other words than `true` and `false` are remarked upon.
pub(super) fn switch(
    env: &Env,
    name: &'static str,
    default: bool,
    findings: &mut Findings,
) -> bool {
    match env.text(name) {
        None => default,
        Some("true") => true,
        Some("false") => false,
        Some(_) => {
            findings.notice(format!("{name} is neither true nor false; taken as {default}"));
            default
        }
    }
}

/// A number from 0 to 100, perhaps with a percent sign.
pub(super) fn percent(text: &str) -> Option<f64> {
    let number: f64 = text.trim().trim_end_matches('%').trim().parse().ok()?;
    (0.0..=100.0).contains(&number).then_some(number)
}

/// The start of a text, for a message.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// A duration as Go writes it (`1h30m`, `1.5s`, `300ms`), or a number of seconds.
pub fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut nanos: u128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (amount, tail) = rest.split_at(digits);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        nanos = nanos.checked_add(amount_in(amount, unit)?)?;
        rest = tail;
    }
    Some(Duration::from_nanos(u64::try_from(nanos).ok()?))
}

/// `12.5` times `unit`, cut to whole nanoseconds.
fn amount_in(amount: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(unit)?;
    let mut scale = unit;
    for digit in fraction.chars() {
        scale /= 10;
        total = total.checked_add(scale.checked_mul(u128::from(digit.to_digit(10)?))?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_writes_them() {
        for (text, millis) in [
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("1.5s", Some(1_500)),
            (".5s", Some(500)),
            ("250ms", Some(250)),
            ("90", Some(90_000)),
            ("0", Some(0)),
            ("", None),
            ("h", None),
            (".s", None),
            ("1", Some(1_000)),
            ("1x", None),
            ("1.2.3s", None),
            ("-5m", None),
            ("99999999999999999999999999h", None),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn numbers_and_switches() {
        let env: Env =
            [("N", "12"), ("BAD", "-1"), ("T", "true"), ("W", "True")].into_iter().collect();
        let mut findings = Findings::default();
        assert_eq!(number(&env, "N", &mut findings), Some(12));
        assert_eq!(number(&env, "ABSENT", &mut findings), None);
        assert!(switch(&env, "T", false, &mut findings));
        assert!(findings.errors.is_empty() && findings.notices.is_empty());
        assert_eq!(number(&env, "BAD", &mut findings), None);
        assert!(!switch(&env, "W", false, &mut findings));
        assert_eq!((findings.errors.len(), findings.notices.len()), (1, 1));
        assert_eq!(lenient_number(&env, "BAD", "limit", &mut findings), None);
        assert_eq!(findings.notices.len(), 2);
    }
}

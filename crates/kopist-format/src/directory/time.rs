//! Instants as a directory object stores them: signed nanoseconds since the Unix epoch.
//!
//! The text form is RFC 3339 in UTC with the fraction's trailing zeros cut
//! (`kopia:fs/utc_timestamp.go`). A directory holds one such text per entry, so both
//! directions are written by hand; anything but the usual shape goes through `jiff`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Nanoseconds since 1970-01-01T00:00:00Z; years 1677 to 2262.
///
/// Instants outside that range wrap modulo 2⁶⁴ when they are read, as in the stock program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcNanos(pub i64);

/// The text is not an RFC 3339 instant.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not an RFC 3339 time such as 2024-01-31T15:04:05.5Z")]
pub struct ParseTimeError(String);

impl UtcNanos {
    /// What Go's zero time (1 January of year 1) becomes when it is read into nanoseconds.
    pub const GO_ZERO: UtcNanos = UtcNanos(-6_795_364_578_871_345_152);

    /// From seconds and nanoseconds as `stat` reports them; wraps outside the range.
    #[must_use]
    pub fn from_unix(seconds: i64, nanoseconds: i64) -> Self {
        Self(seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds))
    }

    /// Whole seconds since the epoch, rounded towards the past, and the nanoseconds above them.
    #[must_use]
    pub fn to_unix(self) -> (i64, u32) {
        (self.0.div_euclid(1_000_000_000), self.0.rem_euclid(1_000_000_000) as u32)
    }

    /// Appends the text form, without quotes.
    pub fn write_to(self, out: &mut Vec<u8>) {
        let (seconds, mut nanos) = self.to_unix();
        let days = seconds.div_euclid(86_400);
        let second_of_day = seconds.rem_euclid(86_400) as u32;
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        digits(&mut text[0..4], year as u32);
        digits(&mut text[5..7], month);
        digits(&mut text[8..10], day);
        digits(&mut text[11..13], second_of_day / 3600);
        digits(&mut text[14..16], second_of_day / 60 % 60);
        digits(&mut text[17..19], second_of_day % 60);
        if nanos == 0 {
            out.extend_from_slice(&text[..19]);
        } else {
            let mut width = 9;
            while nanos.is_multiple_of(10) {
                nanos /= 10;
                width -= 1;
            }
            digits(&mut text[20..20 + width], nanos);
            out.extend_from_slice(&text[..20 + width]);
        }
        out.push(b'Z');
    }

    /// The same instant as a `jiff` timestamp.
    #[must_use]
    pub fn to_timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default()
    }
}

impl From<jiff::Timestamp> for UtcNanos {
    fn from(instant: jiff::Timestamp) -> Self {
        Self(instant.as_nanosecond() as i64)
    }
}

impl fmt::Display for UtcNanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(30);
        self.write_to(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl FromStr for UtcNanos {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        if let Some(instant) = parse_usual(text.as_bytes()) {
            return Ok(instant);
        }
        let error = || ParseTimeError(text.to_owned());
        // Go wants the capital T; jiff would also take a blank.
        if text.as_bytes().get(10) != Some(&b'T') {
            return Err(error());
        }
        let instant: jiff::Timestamp = text.parse().map_err(|_| error())?;
        Ok(instant.into())
    }
}

impl Serialize for UtcNanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcNanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = UtcNanos;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<UtcNanos, E> {
                text.parse().map_err(E::custom)
            }
            // `null` leaves Go's zero time, whose nanoseconds wrap.
            fn visit_unit<E: serde::de::Error>(self) -> Result<UtcNanos, E> {
                Ok(UtcNanos::GO_ZERO)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn digits(out: &mut [u8], mut value: u32) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// `YYYY-MM-DDTHH:MM:SS[.fraction]Z`, and nothing else.
fn parse_usual(text: &[u8]) -> Option<UtcNanos> {
    let (head, rest) = text.split_at_checked(19)?;
    let number = |range: std::ops::Range<usize>| -> Option<u32> {
        head[range].iter().try_fold(0, |sum: u32, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0'))
        })
    };
    let separators = (head[4], head[7], head[10], head[13], head[16]);
    if separators != (b'-', b'-', b'T', b':', b':') {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month)
        || day == 0
        || day > days_in_month(year, month)
        || hour > 23
        || minute > 59
        || second > 59
    {
        return None;
    }
    let fraction = match rest {
        [b'Z'] => 0,
        [b'.', fraction @ .., b'Z'] if (1..=9).contains(&fraction.len()) => {
            let mut nanos: i64 = 0;
            for place in 0..9 {
                let digit = fraction.get(place).copied().unwrap_or(b'0');
                if !digit.is_ascii_digit() {
                    return None;
                }
                nanos = nanos * 10 + i64::from(digit - b'0');
            }
            nanos
        }
        _ => return None,
    };
    let days = days_from_civil(i64::from(year), i64::from(month), i64::from(day));
    let seconds = days * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    Some(UtcNanos::from_unix(seconds, fraction))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. Years begin in March here, so
/// that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_the_range_and_gos_zero_time() {
        for (nanos, text) in [
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (1_700_000_000_120_000_000, "2023-11-14T22:13:20.12Z"),
            (UtcNanos::GO_ZERO.0, "1754-08-30T22:43:41.128654848Z"),
        ] {
            assert_eq!(UtcNanos(nanos).to_string(), text);
            assert_eq!(text.parse::<UtcNanos>().unwrap(), UtcNanos(nanos));
        }
        assert_eq!("0001-01-01T00:00:00Z".parse::<UtcNanos>().unwrap(), UtcNanos::GO_ZERO);
    }

    #[test]
    fn other_offsets_are_read_and_nonsense_is_refused() {
        let utc: UtcNanos = "2024-03-01T00:30:00Z".parse().unwrap();
        assert_eq!("2024-03-01T06:00:00+05:30".parse::<UtcNanos>().unwrap(), utc);
        for text in
            ["", "2024", "2024-03-01 00:30:00Z", "2024-02-30T00:00:00Z", "2024-03-01T00:30:00", "x"]
        {
            assert!(text.parse::<UtcNanos>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(nanos in any::<i64>()) {
            let text = UtcNanos(nanos).to_string();
            prop_assert_eq!(text.parse::<UtcNanos>().unwrap(), UtcNanos(nanos));
            let jiff: jiff::Timestamp = text.parse().unwrap();
            prop_assert_eq!(jiff.as_nanosecond(), i128::from(nanos));
        }

        #[test]
        fn the_fast_reader_agrees_with_the_general_one(
            y in 0u32..=9999, mo in 0u32..=13, d in 0u32..=32, h in 0u32..=24, mi in 0u32..=60
        ) {
            let text = format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:07Z");
            let general = text.parse::<jiff::Timestamp>().ok().map(UtcNanos::from);
            prop_assert_eq!(parse_usual(text.as_bytes()), general);
        }
    }
}

//! Which of several snapshots, by time.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// Which of the snapshots that hold a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotTime {
    /// The newest.
    #[default]
    Latest,
    /// The oldest.
    Oldest,
    /// The newest that began before this moment.
    Before(Timestamp),
}

/// A text that is no time.
#[derive(Debug, thiserror::Error)]
#[error(
    "Invalid time spec: {0}; write latest, oldest, yesterday, last-month, last-year, \
     1y-2mo-3d-ago, or a date and time such as 2024-03-01 or 2024-03-01T12:30"
)]
pub struct InvalidTime(pub String);

impl SnapshotTime {
    /// Reads `latest`, `oldest`, `yesterday`, `last-month`, `last-year`, `[Ny-][Nmo-][Nd-]ago`,
    /// or a date and time. A date that names a year, month, day, hour, … means up to its end.
    pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Self, InvalidTime> {
        match text {
            "" | "latest" => return Ok(Self::Latest),
            "oldest" => return Ok(Self::Oldest),
            _ => {}
        }
        let today = zone.to_datetime(now).date();
        let start_of = |date: Date| local(date.at(0, 0, 0, 0), zone);
        let limit = match text {
            "yesterday" => start_of(today),
            "last-month" => start_of(today.first_of_month()),
            "last-year" => start_of(today.first_of_year()),
            text if text.ends_with("-ago") => ago(text)
                .and_then(|(years, months, days)| add_date(today, -years, -months, 1 - days))
                .and_then(start_of),
            text => absolute(text, zone),
        };
        limit.map(Self::Before).ok_or_else(|| InvalidTime(text.to_owned()))
    }
}

/// A local time as a moment; one that a clock skips or repeats as Go takes it: with the offset
/// in effect before the change.
fn local(time: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_zoned(time).compatible().ok().map(|zoned| zoned.timestamp())
}

/// Calendar arithmetic that carries over instead of clamping: 31 January and a month is
/// 2 or 3 March.
fn add_date(date: Date, years: i64, months: i64, days: i64) -> Option<Date> {
    let month = i64::from(date.year()) * 12 + i64::from(date.month()) - 1 + years * 12 + months;
    let first = Date::new(
        i16::try_from(month.div_euclid(12)).ok()?,
        i8::try_from(month.rem_euclid(12) + 1).ok()?,
        1,
    )
    .ok()?;
    let days = i64::from(date.day()) - 1 + days;
    first.checked_add(SignedDuration::from_hours(24 * days)).ok()
}

/// `1y-2mo-3d-ago`, each part optional.
fn ago(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.strip_suffix("ago")?.split_terminator('-').peekable();
    let mut take = |units: &[&str]| -> Option<i64> {
        let part = parts.peek().copied()?;
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = part.split_at(digits);
        if !(1..=3).contains(&digits) || !units.contains(&unit) {
            return Some(0);
        }
        parts.next();
        number.parse().ok()
    };
    let years = take(&["y", "year", "years"]).unwrap_or(0);
    let months = take(&["m", "mo", "month", "months"]).unwrap_or(0);
    let days = take(&["d", "day", "days"]).unwrap_or(0);
    parts.next().is_none().then_some((years, months, days))
}

/// What a date and time says, and how exactly.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Precision {
    Year,
    Month,
    Day,
    Seconds(i64),
    Millisecond,
}

/// The first moment after the period that a text names.
fn absolute(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let (time, precision, offset) = parse_absolute(text)?;
    let carried = |years, months, days| {
        add_date(time.date(), years, months, days).map(|date| date.to_datetime(time.time()))
    };
    let moment = |time: DateTime| match offset {
        Some(offset) => offset.to_timestamp(time).ok(),
        None => local(time, zone),
    };
    match precision {
        Precision::Year => moment(carried(1, 0, 0)?),
        Precision::Month => moment(carried(0, 1, 0)?),
        Precision::Day => moment(carried(0, 0, 1)?),
        Precision::Seconds(seconds) => {
            moment(time)?.checked_add(SignedDuration::from_secs(seconds)).ok()
        }
        Precision::Millisecond => moment(time)?.checked_add(SignedDuration::from_millis(1)).ok(),
    }
}

fn parse_absolute(text: &str) -> Option<(DateTime, Precision, Option<Offset>)> {
    let (date, rest) = match text.find(['T', ' ']) {
        Some(place) => (text.get(..place)?, text.get(place + 1..)),
        None => (text, None),
    };
    let mut fields = date.split('-');
    let year = fields.next().filter(|year| year.len() == 4)?;
    let year: i16 = number(year, 4)?;
    let month = fields.next().map(|text| number(text, 2)).map_or(Some(None), |m| m.map(Some))?;
    let day = fields.next().map(|text| number(text, 2)).map_or(Some(None), |d| d.map(Some))?;
    if fields.next().is_some() {
        return None;
    }
    let precision = match (month, day) {
        (None, _) => Precision::Year,
        (_, None) => Precision::Month,
        _ => Precision::Day,
    };
    let date = Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok()?;
    let Some(rest) = rest else { return Some((date.at(0, 0, 0, 0), precision, None)) };
    if precision != Precision::Day {
        return None;
    }
    let (clock, offset) = split_offset(rest)?;
    let mut fields = clock.splitn(3, ':');
    let hour = number(fields.next()?, 2)?;
    let minute = fields.next().map(|text| number(text, 2)).map_or(Some(None), |m| m.map(Some))?;
    let second = fields.next();
    let (seconds, nanos, precision) = match (minute, second) {
        (None, _) if offset.is_some() => return None,
        (None, _) => (0, 0, Precision::Seconds(3600)),
        (_, None) => (0, 0, Precision::Seconds(60)),
        (_, Some(text)) => match text.split_once('.') {
            None => (number(text, 2)?, 0, Precision::Seconds(1)),
            Some((seconds, millis)) if millis.len() == 3 => {
                let millis: i32 = number(millis, 3)?;
                (number(seconds, 2)?, millis * 1_000_000, Precision::Millisecond)
            }
            Some(_) => return None,
        },
    };
    let time = Time::new(hour, minute.unwrap_or(0), seconds, nanos).ok()?;
    Some((date.to_datetime(time), precision, offset))
}

/// Splits `12:30:00Z`, `12:30+0530`, `12:30:00 UTC` into clock and offset.
fn split_offset(text: &str) -> Option<(&str, Option<Offset>)> {
    let Some(place) = text.find(['Z', '+', '-', ' ']) else { return Some((text, None)) };
    let (clock, zone) = text.split_at_checked(place)?;
    let offset = match zone {
        "Z" | " UTC" | " GMT" => Offset::UTC,
        zone => {
            let sign = match zone.bytes().next() {
                Some(b'+') => 1,
                Some(b'-') => -1,
                _ => return None,
            };
            let digits = zone.get(1..)?.replace(':', "");
            let (hours, minutes) = match digits.len() {
                2 => (number::<i32>(&digits, 2)?, 0),
                4 => (number::<i32>(digits.get(..2)?, 2)?, number::<i32>(digits.get(2..)?, 2)?),
                _ => return None,
            };
            Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?
        }
    };
    Some((clock, Some(offset)))
}

/// A number of at most `digits` decimal digits, without sign.
fn number<T: std::str::FromStr>(text: &str, digits: usize) -> Option<T> {
    let usual = !text.is_empty()
        && text.len() <= digits
        && text.bytes().all(|digit| digit.is_ascii_digit());
    if usual { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_ends_where_its_period_ends() {
        let now: Timestamp = "2024-03-31T10:20:30Z".parse().unwrap();
        let zone = TimeZone::fixed(Offset::from_seconds(2 * 3600).unwrap());
        for (text, limit) in [
            ("yesterday", "2024-03-30T22:00:00Z"),
            ("last-month", "2024-02-29T22:00:00Z"),
            ("last-year", "2023-12-31T22:00:00Z"),
            ("1d-ago", "2024-03-30T22:00:00Z"),
            ("1mo-ago", "2024-03-02T22:00:00Z"),
            ("1y-2months-3days-ago", "2023-01-28T22:00:00Z"),
            ("2024", "2024-12-31T22:00:00Z"),
            ("2024-2", "2024-02-29T22:00:00Z"),
            ("2024-02-28", "2024-02-28T22:00:00Z"),
            ("2024-2-3T4", "2024-02-03T03:00:00Z"),
            ("2024-2-3 4:05", "2024-02-03T02:06:00Z"),
            ("2024-2-3T04:05:06", "2024-02-03T02:05:07Z"),
            ("2024-2-3T04:05Z", "2024-02-03T04:06:00Z"),
            ("2024-2-3T04:05:06+05:30", "2024-02-02T22:35:07Z"),
            ("2024-2-3 04:05:06-0530", "2024-02-03T09:35:07Z"),
            ("2024-02-03 04:05:06 UTC", "2024-02-03T04:05:07Z"),
            ("2024-02-03 04:05:06.789 UTC", "2024-02-03T04:05:06.79Z"),
        ] {
            let found = SnapshotTime::parse(text, now, &zone).unwrap();
            assert_eq!(found, SnapshotTime::Before(limit.parse().unwrap()), "{text}");
        }
        for text in ["", "latest"] {
            assert_eq!(SnapshotTime::parse(text, now, &zone).unwrap(), SnapshotTime::Latest);
        }
        assert_eq!(SnapshotTime::parse("oldest", now, &zone).unwrap(), SnapshotTime::Oldest);
        for text in [
            "ago",
            "x-ago",
            "1d-1y-ago",
            "24",
            "2024-13",
            "2024-02-30",
            "2024-2T3",
            "tomorrow",
            "-",
        ] {
            assert!(SnapshotTime::parse(text, now, &zone).is_err(), "{text}");
        }
    }
}

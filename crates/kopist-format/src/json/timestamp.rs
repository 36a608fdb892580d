//! Times in Go's JSON: RFC 3339 with up to nine digits of a second.

use jiff::{Timestamp, civil::DateTime, tz::Offset};

use super::JsonError;

/// Go's zero time, the first instant of year 1, which stands for "no time".
pub const ZERO_TIME: Timestamp = Timestamp::constant(-62_135_596_800, 0);

/// The text of an instant, seen at an offset from UTC of whole minutes (`Offset::UTC` for
/// everything that this program writes). The fraction has no trailing zeros.
pub fn format_time(instant: Timestamp, offset: Offset) -> Result<String, JsonError> {
    let local = offset.to_datetime(instant);
    if !(0..=9999).contains(&local.year()) {
        return Err(JsonError::Time(instant.to_string()));
    }
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        local.year(),
        local.month(),
        local.day(),
        local.hour(),
        local.minute(),
        local.second()
    );
    if local.subsec_nanosecond() != 0 {
        let fraction = format!(".{:09}", local.subsec_nanosecond());
        text.push_str(fraction.trim_end_matches('0'));
    }
    let minutes = offset.seconds() / 60;
    if minutes == 0 {
        text.push('Z');
    } else {
        let sign = if minutes < 0 { '-' } else { '+' };
        let minutes = minutes.abs();
        text = format!("{text}{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }
    Ok(text)
}

/// The instant that a text means. As Go: any offset, an hour of one digit, a comma before the
/// fraction, and digits past the ninth are taken.
pub fn parse_time(text: &str) -> Result<Timestamp, JsonError> {
    read(text.as_bytes()).ok_or_else(|| JsonError::Time(text.chars().take(40).collect()))
}

fn read(text: &[u8]) -> Option<Timestamp> {
    let mut text = Reader(text);
    let year = text.digits(4)?;
    text.expect(b'-')?;
    let month = text.digits(2)?;
    text.expect(b'-')?;
    let day = text.digits(2)?;
    text.expect(b'T')?;
    let hour = text.digits(2).or_else(|| text.digits(1))?;
    text.expect(b':')?;
    let minute = text.digits(2)?;
    text.expect(b':')?;
    let second = text.digits(2)?;
    let nanosecond = text.fraction();
    let offset = text.offset()?;
    if !text.0.is_empty() {
        return None;
    }
    let narrow = |value: i32| i8::try_from(value).ok();
    let local = DateTime::new(
        i16::try_from(year).ok()?,
        narrow(month)?,
        narrow(day)?,
        narrow(hour)?,
        narrow(minute)?,
        narrow(second)?,
        nanosecond,
    );
    Offset::from_seconds(offset).ok()?.to_timestamp(local.ok()?).ok()
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    /// A number of exactly this many digits; consumes nothing otherwise.
    fn digits(&mut self, count: usize) -> Option<i32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        Some(digits.iter().fold(0, |sum, digit| 10 * sum + i32::from(digit - b'0')))
    }

    /// Nanoseconds; 0 if there is no fraction.
    fn fraction(&mut self) -> i32 {
        let [b'.' | b',', rest @ ..] = self.0 else { return 0 };
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            return 0;
        }
        let nanoseconds = (0..9).fold(0, |sum, i| {
            let digit = if i < length { rest[i] - b'0' } else { 0 };
            10 * sum + i32::from(digit)
        });
        self.0 = &rest[length..];
        nanoseconds
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i32> {
        let sign = match self.0.split_first()? {
            (b'Z', rest) => {
                self.0 = rest;
                return Some(0);
            }
            (b'+', rest) => (1, rest),
            (b'-', rest) => (-1, rest),
            _ => return None,
        };
        self.0 = sign.1;
        let hours = self.digits(2)?;
        self.expect(b':')?;
        let minutes = self.digits(2)?;
        (hours <= 24 && minutes <= 60).then_some(sign.0 * (hours * 3600 + minutes * 60))
    }
}

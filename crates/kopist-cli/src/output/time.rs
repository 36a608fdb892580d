//! Printed times.

use jiff::{Timestamp, tz::TimeZone};

/// The zone in which times are printed (`--timezone`).
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

impl Zone {
    /// `local` (also empty), `utc`, `original` or the name of a zone.
    ///
    /// `original` means the zone in which a time was stored; times are stored in UTC.
    pub fn by_name(name: &str) -> Result<Self, String> {
        match name {
            "" | "local" => Ok(Self(TimeZone::system())),
            "utc" | "original" => Ok(Self(TimeZone::UTC)),
            name => TimeZone::get(name).map(Self).map_err(|_| format!("unknown time zone {name}")),
        }
    }

    /// `2006-01-02 15:04:05 MST`.
    pub fn show(&self, time: Timestamp) -> String {
        self.format(time, "%Y-%m-%d %H:%M:%S %Z")
    }

    /// `2006-01-02 15:04:05.000 MST`.
    pub fn show_precise(&self, time: Timestamp) -> String {
        let zoned = time.to_zoned(self.0.clone());
        format!(
            "{}.{:03} {}",
            zoned.strftime("%Y-%m-%d %H:%M:%S"),
            zoned.millisecond(),
            zoned.strftime("%Z")
        )
    }

    /// Any `strftime` format.
    pub fn format(&self, time: Timestamp, format: &str) -> String {
        time.to_zoned(self.0.clone()).strftime(format).to_string()
    }

    /// The zone itself.
    pub fn zone(&self) -> &TimeZone {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_the_zones_abbreviation() {
        let time: Timestamp = "2021-07-01T10:00:00.0125Z".parse().unwrap_or_default();
        let show = |name: &str| Zone::by_name(name).map(|z| z.show(time));
        assert_eq!(show("utc"), Ok("2021-07-01 10:00:00 UTC".into()));
        assert_eq!(show("America/New_York"), Ok("2021-07-01 06:00:00 EDT".into()));
        assert_eq!(show("Nowhere/Land"), Err("unknown time zone Nowhere/Land".into()));
        let precise = Zone::by_name("utc").map(|z| z.show_precise(time));
        assert_eq!(precise, Ok("2021-07-01 10:00:00.012 UTC".into()));
    }
}

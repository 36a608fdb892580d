//! Sizes, counts and durations for people, in kopia's forms.

/// `12.3 MB`: one decimal without trailing zeros, always number, blank, unit.
///
/// A value stays in the smaller unit below 0.9 of the next one. With `base2` the factor is 1024
/// and the units are KiB, MiB and so on.
pub fn size(bytes: impl Into<Size>, base2: bool) -> String {
    let Size(value) = bytes.into();
    if base2 {
        scaled(value, 1024.0, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"], "B")
    } else {
        scaled(value, 1000.0, &DECIMAL, "B")
    }
}

/// `12.3 MB/s`.
pub fn speed(bytes_per_second: f64) -> String {
    scaled(bytes_per_second, 1000.0, &DECIMAL, "B/s")
}

/// `1.5 M`.
pub fn count(number: u64) -> String {
    scaled(number as f64, 1000.0, &DECIMAL, "")
}

const DECIMAL: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];

/// A number of bytes, from any integer.
#[derive(Clone, Copy, Debug)]
pub struct Size(f64);

impl From<u64> for Size {
    fn from(value: u64) -> Self {
        Self(value as f64)
    }
}

impl From<i64> for Size {
    fn from(value: i64) -> Self {
        Self(value as f64)
    }
}

impl From<f64> for Size {
    fn from(value: f64) -> Self {
        Self(value)
    }
}

fn scaled(mut value: f64, thousand: f64, prefixes: &[&str], unit: &str) -> String {
    let last = prefixes.len().saturating_sub(1);
    for prefix in &prefixes[..last] {
        if value < 0.9 * thousand {
            return format!("{} {prefix}{unit}", one_decimal(value));
        }
        value /= thousand;
    }
    let prefix = prefixes.last().copied().unwrap_or_default();
    format!("{} {prefix}{unit}", one_decimal(value))
}

fn one_decimal(value: f64) -> String {
    let text = format!("{value:.1}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A duration in Go's form: `1h0m0s`, `1.5s`, `300ms`, `0s`.
pub fn duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let fraction = |value: u64, unit: u64| {
        let text =
            format!("{}.{:0width$}", value / unit, value % unit, width = unit.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{nanos}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(nanos, 1_000_000)),
        _ => {
            let minutes = nanos / 60_000_000_000;
            let seconds = fraction(nanos % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, m) => format!("{sign}{m}m{seconds}s"),
                (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_change_unit_at_nine_tenths() {
        let cases: [(u64, &str); 8] = [
            (0, "0 B"),
            (899, "899 B"),
            (900, "0.9 KB"),
            (300_000, "300 KB"),
            (1_200_000_000, "1.2 GB"),
            (21_000_000, "21 MB"),
            (999_949, "1 MB"),
            (5_000_000_000_000_000_000, "5 EB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes, false), text);
        }
        assert_eq!(size(1u64 << 20, true), "1 MiB");
        assert_eq!(size(920u64, true), "920 B");
        assert_eq!(speed(1500.0), "1.5 KB/s");
    }

    #[test]
    fn durations_look_like_gos() {
        let cases = [
            (0, "0s"),
            (17, "17ns"),
            (1_500, "1.5µs"),
            (300_000_000, "300ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (90_061_000_000_001, "25h1m1.000000001s"),
            (-2_000_000_000, "-2s"),
        ];
        for (nanos, text) in cases {
            assert_eq!(duration(nanos), text);
        }
    }
}

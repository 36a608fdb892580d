//! Counts and sizes by powers of ten, as the `stats` commands show them.

use crate::{app::App, error::CommandError};

/// Sizes counted by the power of ten below which they are.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// How many, and their sum: 0 to 10, 10 to 100, and so on up to 10^8.
    buckets: [(u64, u64); 8],
}

impl Histogram {
    /// Counts one size. Those of 10^8 and more are in no bucket.
    pub(super) fn add(&mut self, size: u64) {
        let index = size.checked_ilog10().unwrap_or(0) as usize;
        if let Some((count, sum)) = self.buckets.get_mut(index) {
            *count += 1;
            *sum += size;
        }
    }

    /// Prints the buckets.
    pub(super) fn print(&self, app: &App, raw: bool) -> Result<(), CommandError> {
        app.console.line("Histogram:\n")?;
        let mut below = 0;
        for (power, (count, sum)) in (1..).zip(self.buckets) {
            let limit = 10_u64.pow(power);
            app.console.line(format!(
                "{count:>9} between {} and {} (total {})",
                bytes(app, raw, below),
                bytes(app, raw, limit),
                bytes(app, raw, sum)
            ))?;
            below = limit;
        }
        Ok(())
    }
}

/// A size for people, or the plain number.
pub(super) fn bytes(app: &App, raw: bool, size: u64) -> String {
    if raw { size.to_string() } else { app.size(size) }
}

/// How much smaller `packed` is, such as `12.5%`.
pub(super) fn saved(original: u64, packed: u64) -> String {
    if packed >= original {
        return "0%".to_owned();
    }
    format!("{:.1}%", 100.0 * (1.0 - packed as f64 / original as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fall_below_the_next_power_of_ten() {
        let mut histogram = Histogram::default();
        for size in [0, 9, 10, 99, 100, 99_999_999, 100_000_000] {
            histogram.add(size);
        }
        assert_eq!(histogram.buckets[0], (2, 9));
        assert_eq!(histogram.buckets[1], (2, 109));
        assert_eq!(histogram.buckets[2], (1, 100));
        assert_eq!(histogram.buckets[7], (1, 99_999_999));
        assert_eq!(saved(70590, 35754), "49.3%");
        assert_eq!(saved(5, 9), "0%");
    }
}

//! The log of one session in memory, on its way into the repository.
//!
//! kopia keeps diagnostic logs in the repository, where `logs show` finds them from any machine:
//! blobs `_log_<local time>_<4 hex>_<start>_<end>_<number>_<hash>` of gzip, JSON lines inside
//! (`kopia:internal/repodiag`).

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use jiff::{Timestamp, tz::TimeZone};

/// A log is cut off at this many compressed bytes: it must never weigh on a backup.
const LIMIT: usize = 4 << 20;

/// Lines that are being collected.
pub(super) struct Recording {
    started: Timestamp,
    gzip: GzEncoder<Vec<u8>>,
    full: bool,
}

/// A log as it is stored.
#[derive(Debug)]
pub struct Recorded {
    /// Name of the blob up to the hash.
    pub name: String,
    /// Gzip of JSON lines.
    pub body: Vec<u8>,
}

impl Recording {
    pub(super) fn new(started: Timestamp) -> Self {
        let gzip = GzEncoder::new(Vec::new(), Compression::fast());
        Self { started, gzip, full: false }
    }

    pub(super) fn add(&mut self, now: Timestamp, module: &str, message: &str) {
        if self.full {
            return;
        }
        self.full = self.gzip.get_ref().len() > LIMIT;
        let message = if self.full { "log cut off" } else { message };
        let time = now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let line = serde_json::json!({ "t": time, "n": module, "m": message });
        // Memory takes whatever is written to it.
        let _ = writeln!(self.gzip, "{line}");
    }

    /// Ends the log; `unique` tells apart the logs of one second.
    pub(super) fn finish(self, now: Timestamp, unique: u16) -> Option<Recorded> {
        let local = self.started.to_zoned(TimeZone::system()).strftime("%Y%m%d%H%M%S").to_string();
        let (start, end) = (self.started.as_second(), now.as_second());
        let name = format!("_log_{local}_{unique:04x}_{start}_{end}_1_");
        Some(Recorded { name, body: self.gzip.finish().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use std::{error::Error, io::Read as _};

    use super::*;

    #[test]
    fn logs_are_gzip_of_json_lines() -> Result<(), Box<dyn Error>> {
        let time: Timestamp = "2024-03-01T01:02:03.004005678Z".parse()?;
        let mut recording = Recording::new(time);
        recording.add(time, "kopia/cli", "say \"x\"");
        let recorded = recording.finish(time, 0xab).ok_or("no log")?;
        assert!(recorded.name.starts_with("_log_2024"), "{}", recorded.name);
        assert!(recorded.name.ends_with("_00ab_1709254923_1709254923_1_"), "{}", recorded.name);
        let mut text = String::new();
        flate2::read::GzDecoder::new(recorded.body.as_slice()).read_to_string(&mut text)?;
        let line: serde_json::Value = serde_json::from_str(&text)?;
        assert_eq!(line["t"], "2024-03-01T01:02:03.004005Z");
        assert_eq!(line["m"], "say \"x\"");
        Ok(())
    }

    #[test]
    fn endless_logs_are_cut_off() {
        let time = Timestamp::UNIX_EPOCH;
        let mut recording = Recording::new(time);
        // What does not compress well: a number that changes everywhere.
        let mut number = 1_u128;
        while !recording.full {
            number = number.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(1);
            recording.add(time, "m", &format!("{number:032x}").repeat(100));
        }
        let before = recording.gzip.get_ref().len();
        recording.add(time, "m", "more");
        assert_eq!(recording.gzip.get_ref().len(), before);
    }
}

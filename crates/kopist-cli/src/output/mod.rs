//! What a command shows: results on standard output, everything else on standard error.
//!
//! [`Console`] owns the two streams, [`Logger`] turns messages into lines there and in log
//! files, and the rest writes sizes, times and durations in the forms that scripts know.

mod console;
mod json;
mod log;
mod record;
mod time;
mod units;

pub use console::{Capture, Console};
pub use json::{JsonList, JsonOutput, indented};
pub use log::{FileOptions, Level, LogOptions, Logger, Sweep};
pub use record::Recorded;
pub use time::Zone;
pub use units::{Size, count, duration, size, speed};

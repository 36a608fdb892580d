//! What the libraries tell goes into the same log, at the level asked for.

use std::fmt::Write as _;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::{Level, Report};

/// Sends events of this process to the report. The first report of a process wins;
/// a later call changes nothing.
pub fn forward_events(report: &Arc<Report>) {
    let layer = Forward { report: Arc::clone(report) };
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
}

struct Forward {
    report: Arc<Report>,
}

impl<S: Subscriber> Layer<S> for Forward {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("kopist") && self.report.shows(level_of(metadata))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let Text { message, fields, cause } = text;
        let line = message + &fields + &cause;
        match level_of(event.metadata()) {
            Level::Error => self.report.error(line),
            Level::Warn => self.report.warn(line),
            Level::Info => self.report.info(line),
            Level::Debug => self.report.debug(line),
        }
    }
}

fn level_of(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        _ => Level::Debug,
    }
}

/// The message, then `name=value` for each field, and the cause last.
///
/// Without the words `error` and `os error`: by them the operator picks lines for the status of a
/// destination, where what does not end a run takes the room of what does.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
    cause: String,
}

impl Text {
    fn record(&mut self, field: &Field, value: &str) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            "error" => write!(self.cause, ": {}", without_number(value)),
            name => write!(self.fields, " {name}={value}"),
        };
    }
}

/// Without the number that the system gives an error: the words say it all.
fn without_number(text: &str) -> String {
    let Some((before, after)) = text.split_once(" (os error ") else {
        return text.to_owned();
    };
    match after.split_once(')') {
        Some((_, rest)) => format!("{before}{rest}"),
        None => text.to_owned(),
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Memory;
    use super::*;

    /// What a report of warnings has of these events.
    fn forwarded(events: impl FnOnce()) -> String {
        let memory = Memory::default();
        let layer = Forward { report: Arc::new(memory.report(Level::Warn)) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
        memory.text()
    }

    #[test]
    fn events_become_lines_up_to_the_level() {
        let text = forwarded(|| {
            tracing::warn!(blob = "p1", count = 3, "blob is gone");
            tracing::info!("not shown");
            tracing::warn!(target: "elsewhere", "not ours");
        });
        assert_eq!(text, "WARN: blob is gone blob=p1 count=3\n");
    }

    #[test]
    fn causes_come_last_without_telling_words() {
        let text = forwarded(|| {
            let full = std::io::Error::from_raw_os_error(28);
            tracing::warn!(error = %full, dir = "/cache", "keeping indexes in memory");
        });
        assert_eq!(text, "WARN: keeping indexes in memory dir=/cache: No space left on device\n");
        assert_eq!(without_number("a (os error 2) at b"), "a at b");
    }
}

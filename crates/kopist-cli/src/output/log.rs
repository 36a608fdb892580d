//! Log messages: on standard error, and in files beside each other in the log directory.
//!
//! The console shows the message alone; files hold time, level, module and message. Files are
//! made at the first message, begin a new segment when one is full, and old ones are swept at
//! exit. A log file that cannot be written is never a reason to fail: it is said once.

use std::{
    cmp::Reverse,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{Timestamp, tz::TimeZone};
use kopist_repo::cache::mark_directory;
use parking_lot::Mutex;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

use super::{
    Console,
    record::{Recorded, Recording},
};

/// Importance of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For finding faults.
    Debug,
    /// What happens.
    Info,
    /// What should not be, but does not stop anything.
    Warning,
    /// What failed.
    Error,
}

impl Level {
    /// The level of a flag's word; `warn` is an alias of `warning`.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warning" | "warn" => Some(Self::Warning),
            "error" => Some(Self::Error),
            _ => None,
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// How and where to log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Least level on the console.
    pub console_level: Level,
    /// Print console messages as JSON.
    pub console_json: bool,
    /// Begin console messages with the time.
    pub console_times: bool,
    /// Show warnings and errors on the console in colour.
    pub console_colour: bool,
    /// The file to write, if any.
    pub file: Option<FileOptions>,
}

/// The log file.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// Least level in the file.
    pub level: Level,
    /// Write JSON lines.
    pub json: bool,
    /// Use local times instead of UTC.
    pub local_times: bool,
    /// Where the file lies and how it is called; the segment number goes before the extension.
    pub path: PathBuf,
    /// Sweep the directory at exit; not when the path was given by the user.
    pub sweep: Option<Sweep>,
    /// Size at which a segment ends.
    pub segment_size: u64,
}

/// Which old log files to keep.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// How many; 0 is no limit.
    pub max_files: u64,
    /// How old, in seconds; 0 is no limit.
    pub max_age: u64,
    /// How many bytes in all.
    pub max_bytes: u64,
}

/// Takes messages.
pub struct Logger {
    options: LogOptions,
    console: Arc<Console>,
    file: Mutex<FileState>,
    recording: Mutex<Option<Recording>>,
    clock: fn() -> Timestamp,
}

impl std::fmt::Debug for Logger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logger").field("options", &self.options).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct FileState {
    open: Option<(File, u64)>,
    segments: u32,
    failed: bool,
}

impl Logger {
    /// A logger for one run of the program.
    pub fn new(options: LogOptions, console: Arc<Console>, clock: fn() -> Timestamp) -> Self {
        Self { options, console, file: Mutex::default(), recording: Mutex::default(), clock }
    }

    /// Logs a message of a module such as `kopia/cli`.
    pub fn log(&self, level: Level, module: &str, message: &str) {
        self.log_here(level, module, message);
        if let Some(recording) = self.recording.lock().as_mut() {
            recording.add((self.clock)(), module, message);
        }
    }

    /// The same without the repository's own log, for what tells much and concerns this machine
    /// only.
    fn log_here(&self, level: Level, module: &str, message: &str) {
        if level >= self.options.console_level {
            self.console.error_line(&self.console_form(level, module, message));
        }
        self.log_to_file(level, module, message);
    }

    /// Begins to collect messages for the repository's own log, unless that goes on already.
    pub fn record(&self) {
        self.recording.lock().get_or_insert_with(|| Recording::new((self.clock)()));
    }

    /// Ends it. `None` if nothing was collected.
    pub fn recorded(&self) -> Option<Recorded> {
        let recording = self.recording.lock().take()?;
        let mut unique = [0; 2];
        getrandom::fill(&mut unique).ok()?;
        recording.finish((self.clock)(), u16::from_le_bytes(unique))
    }

    fn console_form(&self, level: Level, module: &str, message: &str) -> String {
        let now = (self.clock)();
        if self.options.console_json {
            let mut object = serde_json::Map::new();
            if self.options.console_times {
                object.insert("t".into(), now.to_string().into());
            }
            object.insert("n".into(), module.into());
            object.insert("m".into(), message.into());
            return serde_json::Value::Object(object).to_string();
        }
        let colour = match level {
            Level::Error if self.options.console_colour => "91",
            Level::Warning if self.options.console_colour => "33",
            _ => "",
        };
        let message = if colour.is_empty() {
            message.to_owned()
        } else {
            format!("\x1b[{colour}m{message}\x1b[0m")
        };
        if self.options.console_times {
            let zoned = now.to_zoned(TimeZone::system());
            let millis = zoned.millisecond();
            return format!("{}.{millis:03} {message}", zoned.strftime("%H:%M:%S"));
        }
        message
    }

    fn log_to_file(&self, level: Level, module: &str, message: &str) {
        let Some(options) = self.options.file.as_ref().filter(|f| level >= f.level) else {
            return;
        };
        let zone = if options.local_times { TimeZone::system() } else { TimeZone::UTC };
        let now = (self.clock)().to_zoned(zone);
        let micros = i32::from(now.millisecond()) * 1000 + i32::from(now.microsecond());
        let zone = if options.local_times { "%:z" } else { "Z" };
        let time =
            format!("{}.{micros:06}{}", now.strftime("%Y-%m-%dT%H:%M:%S"), now.strftime(zone));
        let line = if options.json {
            let object = serde_json::json!({
                "l": level.file_name(), "t": time, "n": module, "m": message,
            });
            format!("{object}\n")
        } else {
            format!("{time} {} {module} {message}\n", level.file_name())
        };
        let mut state = self.file.lock();
        if let Err(error) = state.append(options, line.as_bytes())
            && !std::mem::replace(&mut state.failed, true)
        {
            self.console.error_line(&format!("write error: unable to open log file: {error}"));
        }
    }

    /// Closes the file and removes old ones.
    pub fn finish(&self) {
        let mut state = self.file.lock();
        state.open = None;
        if let Some(file) = &self.options.file
            && let (Some(sweep), Some(dir)) = (&file.sweep, file.path.parent())
            && let Err(error) = sweep.run(dir, (self.clock)())
            && error.kind() != io::ErrorKind::NotFound
        {
            self.console.error_line(&format!("unable to remove old log files: {error}"));
        }
    }

    /// Sends what the libraries trace to this logger, for the rest of the process.
    ///
    /// Only the first call of a process has an effect.
    pub fn install(self: &Arc<Self>) {
        let layer = TraceLayer(Arc::clone(self));
        let subscriber = tracing_subscriber::registry().with(layer);
        let _ = tracing::subscriber::set_global_default(subscriber);
    }
}

impl FileState {
    fn append(&mut self, options: &FileOptions, line: &[u8]) -> io::Result<()> {
        if self.failed {
            return Ok(());
        }
        let length = line.len() as u64;
        if matches!(&self.open, Some((_, size)) if size + length > options.segment_size) {
            self.open = None;
        }
        let (file, size) = if let Some(open) = &mut self.open {
            open
        } else {
            let file = open_segment(&options.path, self.segments, options.sweep.is_some())?;
            self.segments += 1;
            self.open.insert((file, 0))
        };
        file.write_all(line)?;
        *size += length;
        Ok(())
    }
}

fn open_segment(path: &Path, segment: u32, link: bool) -> io::Result<File> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    mark_directory(dir)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}.{segment}.{}", extension.to_string_lossy()),
        None => format!("{stem}.{segment}"),
    };
    let mut create = OpenOptions::new();
    let file = create.create(true).write(true).truncate(true).mode(0o600).open(dir.join(&name))?;
    if link {
        // The link is a convenience: another process may be replacing it at the same moment.
        let latest = dir.join("latest.log");
        let _ = fs::remove_file(&latest);
        let _ = symlink(&name, &latest);
    }
    Ok(file)
}

impl Sweep {
    /// Removes log files, newest kept first, that exceed any limit.
    fn run(&self, dir: &Path, now: Timestamp) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = name.strip_prefix("kopia-").and_then(|n| n.strip_suffix(".log"));
            if ours.is_some()
                && let Ok(meta) = entry.metadata()
            {
                files.push((meta.modified()?, meta.len(), entry.path()));
            }
        }
        files.sort_by_key(|file| Reverse(file.0));
        let mut total = 0;
        for (index, (modified, size, path)) in files.iter().enumerate() {
            total += size;
            let modified = Timestamp::try_from(*modified).unwrap_or(now);
            let age = now.as_second().saturating_sub(modified.as_second());
            let too_many = self.max_files > 0 && index as u64 >= self.max_files;
            let too_old = self.max_age > 0 && age > self.max_age as i64;
            if too_many || too_old || total > self.max_bytes {
                match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// Hands events of the libraries to a logger.
///
/// Libraries trace for whoever embeds them; what a command has to say, it says itself. Their
/// information is therefore detail here, and the console shows it only at level debug.
struct TraceLayer(Arc<Logger>);

/// The module that tells what became of each file of a backup.
const UPLOADED: &str = "kopist_snapshot/upload/log";

impl<S: Subscriber> Layer<S> for TraceLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        if !target.starts_with("kopist") {
            return;
        }
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO | tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => return,
        };
        let mut text = EventText::default();
        event.record(&mut text);
        let message = if text.fields.is_empty() {
            text.message
        } else {
            let fields = serde_json::Value::Object(text.fields);
            format!("{}\t{fields}", text.message)
        };
        let module = target.replace("::", "/");
        // Names of files: kopia's log in the repository does not have them either.
        if module == UPLOADED {
            self.0.log_here(level, &module, &message);
        } else {
            self.0.log(level, &module, &message);
        }
    }
}

#[derive(Default)]
struct EventText {
    message: String,
    fields: serde_json::Map<String, serde_json::Value>,
}

impl Visit for EventText {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.insert(field.name().into(), text.into());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.fields.insert(field.name().into(), value.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Timestamp {
        "2024-03-01T01:02:03.004005Z".parse().unwrap_or_default()
    }

    fn options(file: Option<FileOptions>) -> LogOptions {
        LogOptions {
            console_level: Level::Info,
            console_json: false,
            console_times: false,
            console_colour: false,
            file,
        }
    }

    #[test]
    fn files_get_everything_and_are_cut_into_segments() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let logs = dir.path().join("logs/cli-logs");
        let file = FileOptions {
            level: Level::Debug,
            json: false,
            local_times: false,
            path: logs.join("kopia-x.log"),
            sweep: Some(Sweep { max_files: 2, max_age: 0, max_bytes: 1 << 20 }),
            segment_size: 60,
        };
        let (console, _, err) = Console::captured();
        let logger = Logger::new(options(Some(file)), Arc::new(console), clock);
        logger.log(Level::Debug, "kopia/cli", "one");
        logger.log(Level::Info, "kopia/cli", "two");
        logger.log(Level::Error, "kopia/cli", "three");
        assert_eq!(err.text(), "two\nthree\n");
        let first = fs::read_to_string(logs.join("kopia-x.0.log"))?;
        assert_eq!(first, "2024-03-01T01:02:03.004005Z DEBUG kopia/cli one\n");
        assert_eq!(fs::read_link(logs.join("latest.log"))?, Path::new("kopia-x.2.log"));
        assert!(logs.join("CACHEDIR.TAG").exists());
        logger.finish();
        let logs: Vec<_> = fs::read_dir(&logs)?.flatten().map(|e| e.file_name()).collect();
        let segments = logs.iter().filter(|n| n.to_string_lossy().starts_with("kopia-"));
        assert_eq!(segments.count(), 2);
        Ok(())
    }

    #[test]
    fn an_unusable_directory_is_said_once_and_stops_nothing() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let blocker = dir.path().join("file");
        fs::write(&blocker, "")?;
        let file = FileOptions {
            level: Level::Debug,
            json: true,
            local_times: false,
            path: blocker.join("x.log"),
            sweep: None,
            segment_size: 1 << 20,
        };
        let (console, _, err) = Console::captured();
        let logger = Logger::new(options(Some(file)), Arc::new(console), clock);
        logger.log(Level::Debug, "m", "a");
        logger.log(Level::Debug, "m", "b");
        logger.finish();
        assert_eq!(err.text().lines().count(), 1);
        assert!(err.text().starts_with("write error: unable to open log file: "));
        Ok(())
    }

    #[test]
    fn json_console_lines_name_the_module() {
        let (console, _, err) = Console::captured();
        let mut options = options(None);
        options.console_json = true;
        let logger = Logger::new(options, Arc::new(console), clock);
        logger.log(Level::Warning, "kopia/cli", "say \"x\"");
        assert_eq!(err.text(), "{\"n\":\"kopia/cli\",\"m\":\"say \\\"x\\\"\"}\n");
    }
}

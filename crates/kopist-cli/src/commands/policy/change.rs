//! The flags of `policy set` applied to a policy.
//!
//! Every flag that is given counts as a change, also if the value stays the same, and is
//! reported in kopia's words.

use std::{collections::BTreeSet, fs};

use kopist_snapshot::policy::{
    ActionCommand, Actions, Compression, ErrorHandling, Files, Logging, Policy, Retention,
    Scheduling, TimeOfDay, Upload, cron,
};

use crate::{
    app::App,
    error::{CommandError, Context},
    grammar::{Matches, go_quote, parse_bool},
    output::duration,
};

/// The longest script that is stored in a policy (`kopia:cli/command_policy_set_actions.go`).
const MAX_SCRIPT: usize = 32_000;

type Applied = Result<(), CommandError>;

/// Applies the flags; returns how many changes they asked for.
pub(super) fn apply(
    app: &App,
    matches: &Matches,
    policy: &mut Policy,
) -> Result<usize, CommandError> {
    let mut change = Change { app, matches, count: 0 };
    change.retention(&mut policy.retention).context("retention policy")?;
    change.files(&mut policy.files).context("files policy")?;
    change.errors(&mut policy.error_handling).context("error handling policy")?;
    change.compression(&mut policy.compression).context("compression policy")?;
    change.name(
        "metadata-compression",
        "metadata compression algorithm",
        &mut policy.metadata_compression.compressor_name,
    );
    change.name("splitter", "splitter algorithm override", &mut policy.splitter.algorithm);
    change.scheduling(&mut policy.scheduling).context("scheduling policy")?;
    change.actions(&mut policy.actions).context("actions policy")?;
    change.shadow_copy(&mut policy.os_snapshots.volume_shadow_copy.enable);
    change.logging(&mut policy.logging).context("actions policy")?;
    change.upload(&mut policy.upload).context("upload policy")?;
    for inherit in matches.bools("inherit") {
        change.count += 1;
        policy.no_parent = !inherit;
    }
    Ok(change.count)
}

struct Change<'a> {
    app: &'a App,
    matches: &'a Matches,
    count: usize,
}

/// The words with which a value is given up in favour of the parent's.
fn is_reset(text: &str) -> bool {
    text == "inherit" || text == "default"
}

fn parse_number(text: &str, bits: u32) -> Result<i64, CommandError> {
    let plain = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = !plain.is_empty() && plain.bytes().all(|b| b.is_ascii_digit());
    let problem =
        |what| CommandError::new(format!("strconv.ParseInt: parsing {}: {what}", go_quote(text)));
    if !digits {
        return Err(problem("invalid syntax"));
    }
    let value: i64 = text.parse().map_err(|_| problem("value out of range"))?;
    let limit = 1_i64.checked_shl(bits - 1).unwrap_or(i64::MAX);
    let fits = bits == 64 || (-limit..limit).contains(&value);
    fits.then_some(value).ok_or_else(|| problem("value out of range"))
}

impl Change<'_> {
    fn say(&mut self, message: impl AsRef<str>) {
        self.count += 1;
        self.app.info(message);
    }

    fn reset(&mut self, what: &str) {
        let what = go_quote(what);
        self.say(format!(" - resetting {what} to a default value inherited from parent."));
    }

    fn set(&mut self, what: &str, value: impl std::fmt::Display) {
        self.say(format!(" - setting {} to {value}.", go_quote(what)));
    }

    fn given(&self, flag: &str) -> Option<String> {
        self.matches.non_empty(flag)
    }

    fn optional_int(&mut self, flag: &str, what: &str, field: &mut Option<i64>) -> Applied {
        let Some(text) = self.given(flag) else { return Ok(()) };
        if is_reset(&text) {
            *field = None;
            self.reset(what);
            return Ok(());
        }
        let value = parse_number(&text, 32)
            .context(format!("can't parse the {what} {}", go_quote(&text)))?;
        *field = Some(value);
        self.set(what, value);
        Ok(())
    }

    fn number(&mut self, flag: &str, what: &str, field: &mut i64) -> Applied {
        let Some(text) = self.given(flag) else { return Ok(()) };
        if is_reset(&text) {
            *field = 0;
            self.reset(what);
            return Ok(());
        }
        let value = parse_number(&text, 64)
            .context(format!("can't parse the {} {}", go_quote(what), go_quote(&text)))
            .context(what)?;
        *field = value;
        self.set(what, value);
        Ok(())
    }

    fn optional_bool(&mut self, flag: &str, what: &str, field: &mut Option<bool>) -> Applied {
        let Some(text) = self.given(flag) else { return Ok(()) };
        if is_reset(&text) {
            *field = None;
            self.reset(what);
            return Ok(());
        }
        let value = parse_bool(&text).context(format!(
            "can't parse the {} {}",
            go_quote(what),
            go_quote(&text)
        ))?;
        *field = Some(value);
        self.set(what, value);
        Ok(())
    }

    fn name(&mut self, flag: &str, what: &str, field: &mut String) {
        let Some(text) = self.given(flag) else { return };
        if text == "inherit" {
            field.clear();
            self.say(format!(" - resetting {what} to default value inherited from parent"));
        } else {
            self.say(format!(" - setting {what} to {text}"));
            *field = text;
        }
    }

    /// `--add-X`, `--remove-X` and `--clear-X`; clearing wins. The list ends up sorted.
    fn list(&mut self, flag: &str, what: &str, field: &mut Vec<String>) {
        let quoted = go_quote(what).to_string();
        if self.matches.flag(&format!("clear-{flag}")) {
            field.clear();
            self.say(format!(" - removing all from {quoted}"));
            return;
        }
        let mut set: BTreeSet<String> = field.drain(..).collect();
        for item in self.matches.texts(&format!("add-{flag}")) {
            self.say(format!(" - adding {} to {quoted}", go_quote(&item)));
            set.insert(item);
        }
        for item in self.matches.texts(&format!("remove-{flag}")) {
            self.say(format!(" - removing {} from {quoted}", go_quote(&item)));
            set.remove(&item);
        }
        field.extend(set);
    }

    fn retention(&mut self, policy: &mut Retention) -> Applied {
        for (word, field) in [
            ("annual", &mut policy.keep_annual),
            ("monthly", &mut policy.keep_monthly),
            ("weekly", &mut policy.keep_weekly),
            ("daily", &mut policy.keep_daily),
            ("hourly", &mut policy.keep_hourly),
            ("latest", &mut policy.keep_latest),
        ] {
            let what = format!("number of {word} backups to keep");
            self.optional_int(&format!("keep-{word}"), &what, field)?;
        }
        self.optional_bool(
            "ignore-identical-snapshots",
            "do not save identical snapshots",
            &mut policy.ignore_identical_snapshots,
        )
    }

    fn files(&mut self, policy: &mut Files) -> Applied {
        self.number("max-file-size", "maximum file size", &mut policy.max_file_size)?;
        self.list("dot-ignore", "dot-ignore filenames", &mut policy.ignore_dot_files);
        self.list("ignore", "ignore rules", &mut policy.ignore);
        self.optional_bool(
            "ignore-cache-dirs",
            "ignore cache dirs",
            &mut policy.ignore_cache_dirs,
        )?;
        self.optional_bool("one-file-system", "one filesystem", &mut policy.one_file_system)
    }

    fn errors(&mut self, policy: &mut ErrorHandling) -> Applied {
        for (flag, what, field) in [
            ("ignore-file-errors", "ignore file errors", &mut policy.ignore_file_errors),
            ("ignore-dir-errors", "ignore directory errors", &mut policy.ignore_directory_errors),
            ("ignore-unknown-types", "ignore unknown types", &mut policy.ignore_unknown_types),
        ] {
            self.optional_bool(flag, what, field)?;
        }
        Ok(())
    }

    fn compression(&mut self, policy: &mut Compression) -> Applied {
        let (min, max) = (
            "minimum file size subject to compression",
            "maximum file size subject to compression",
        );
        self.number("compression-min-size", min, &mut policy.min_size)?;
        self.number("compression-max-size", max, &mut policy.max_size)?;
        self.name("compression", "compression algorithm", &mut policy.compressor_name);
        self.list("only-compress", "only-compress extensions", &mut policy.only_compress);
        self.list("never-compress", "never-compress extensions", &mut policy.never_compress);
        Ok(())
    }

    fn scheduling(&mut self, policy: &mut Scheduling) -> Applied {
        let interval = self.matches.durations("snapshot-interval").first().copied();
        let times = self.matches.texts("snapshot-time");
        let crontab = self.given("snapshot-time-crontab");
        if self.matches.flag("manual") {
            if interval.is_some() || !times.is_empty() || crontab.is_some() {
                return Err(CommandError::new("cannot set manual field when scheduling snapshots"));
            }
            self.manual(policy);
            return Ok(());
        }
        if let Some(nanos) = interval {
            policy.interval_seconds = nanos / 1_000_000_000;
            let shown = duration(policy.interval_seconds * 1_000_000_000);
            self.say(format!(" - setting snapshot interval to {shown}"));
        }
        if !times.is_empty() {
            self.times_of_day(policy, &times)?;
        }
        if let Some(text) = crontab {
            self.crontab(policy, &text)?;
        }
        self.optional_bool("run-missed", "run missed snapshots", &mut policy.run_missed)
            .context("invalid scheduling policy")
            .context("invalid run-missed value")?;
        if policy.manual {
            // kopia's rule: whatever is set, a policy stays manual only if that is said again.
            policy.manual = false;
            self.say(" - resetting manual snapshot field to false\n");
        }
        Ok(())
    }

    fn manual(&mut self, policy: &mut Scheduling) {
        if policy.interval_seconds != 0 {
            policy.interval_seconds = 0;
            self.say(" - resetting snapshot interval to default\n");
        }
        if !policy.times_of_day.is_empty() {
            policy.times_of_day.clear();
            self.say(" - resetting snapshot times of day to default\n");
        }
        if !policy.cron.is_empty() {
            policy.cron.clear();
            self.say(" - resetting cron snapshot times to default\n");
        }
        policy.manual = true;
        self.say(" - setting manual snapshot field to true\n");
    }

    fn times_of_day(&mut self, policy: &mut Scheduling, lists: &[String]) -> Applied {
        let mut times: Vec<TimeOfDay> = Vec::new();
        for list in lists {
            for text in list.split(',') {
                if text == "inherit" {
                    times.clear();
                    break;
                }
                let time = text.parse().map_err(|e: String| CommandError::new(e));
                times.push(time.context("unable to parse time of day")?);
            }
        }
        if times.is_empty() {
            self.say(" - resetting snapshot times of day to default");
        } else {
            let shown: Vec<_> = times.iter().map(ToString::to_string).collect();
            self.say(format!(" - setting snapshot times to [{}]", shown.join(" ")));
        }
        times.sort_unstable();
        times.dedup();
        policy.times_of_day = times;
        Ok(())
    }

    fn crontab(&mut self, policy: &mut Scheduling, text: &str) -> Applied {
        let list: Vec<String> = if is_reset(text) {
            Vec::new()
        } else {
            let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        if list.is_empty() {
            self.say(" - resetting cron snapshot times to default");
        } else {
            self.say(format!(" - setting cron snapshot times to [{}]", list.join(" ")));
        }
        if let Some(bad) = list.iter().find(|expression| !cron::is_valid(expression)) {
            return Err(CommandError::new(format!(
                "invalid scheduling policy: invalid cron expression {}",
                go_quote(bad)
            )));
        }
        policy.cron = list;
        Ok(())
    }

    fn actions(&mut self, policy: &mut Actions) -> Applied {
        for (action, field) in [
            ("before-folder", &mut policy.before_folder),
            ("after-folder", &mut policy.after_folder),
            ("before-snapshot-root", &mut policy.before_snapshot_root),
            ("after-snapshot-root", &mut policy.after_snapshot_root),
        ] {
            self.action(action, field).context(format!("invalid {action}-action"))?;
        }
        Ok(())
    }

    fn action(&mut self, action: &str, field: &mut Option<ActionCommand>) -> Applied {
        let value = self.matches.text(&format!("{action}-action")).unwrap_or_default();
        if value == "-" {
            return Ok(());
        }
        if value.is_empty() {
            *field = None;
            self.say(format!(" - removing {action} action"));
            return Ok(());
        }
        let nanos = self.matches.duration("action-command-timeout").unwrap_or(0);
        let timeout = duration(nanos);
        let mode = self.matches.text("action-command-mode").unwrap_or_default();
        let mut command = ActionCommand {
            timeout_seconds: nanos / 1_000_000_000,
            mode: mode.clone(),
            ..ActionCommand::default()
        };
        if self.matches.flag("persist-action-script") {
            let script = fs::read(&value).context("unable to read script file")?;
            let length = script.len();
            if length > MAX_SCRIPT {
                return Err(CommandError::new(format!(
                    "action script file ({value}) too long: {length}, max allowed {MAX_SCRIPT}"
                )));
            }
            command.script = String::from_utf8(script)
                .context(format!("action script file ({value}) is not text"))?;
            self.say(format!(
                " - setting {action} ({mode}) action script from file {value} ({length} bytes) \
                 with timeout {timeout}"
            ));
        } else {
            let mut words = split_words(&value)
                .map_err(CommandError::new)
                .context(format!("error parsing {action} command"))?;
            command.command = words.remove(0);
            command.arguments = words;
            let quoted: Vec<_> = command.arguments.iter().map(|a| format!("\"{a}\"")).collect();
            let arguments = if quoted.is_empty() {
                String::new()
            } else {
                format!(" with arguments {}", quoted.join(" "))
            };
            self.say(format!(
                " - setting {action} ({mode}) action command to \"{}\"{arguments} and timeout \
                 {timeout}",
                command.command
            ));
        }
        *field = Some(command);
        Ok(())
    }

    fn shadow_copy(&mut self, field: &mut Option<i64>) {
        let what = "enable volume shadow copy";
        let Some(text) = self.given("enable-volume-shadow-copy") else { return };
        *field = match text.as_str() {
            "never" => Some(0),
            "always" => Some(1),
            "when-available" => Some(2),
            _ => None,
        };
        if field.is_some() {
            self.set(what, text);
        } else {
            self.reset(what);
        }
    }

    fn logging(&mut self, policy: &mut Logging) -> Applied {
        let (dirs, entries) = (&mut policy.directories, &mut policy.entries);
        for (flag, what, field) in [
            ("log-dir-snapshotted", "directory snapshotted detail", &mut dirs.snapshotted),
            ("log-dir-ignored", "directory ignored detail", &mut dirs.ignored),
            ("log-entry-snapshotted", "entry snapshotted detail", &mut entries.snapshotted),
            ("log-entry-ignored", "entry ignored detail", &mut entries.ignored),
            ("log-entry-cache-hit", "entry cache hit detail", &mut entries.cache_hit),
            ("log-entry-cache-miss", "entry cache miss detail", &mut entries.cache_miss),
        ] {
            let Some(text) = self.given(flag) else { continue };
            if text == "inherit" {
                *field = None;
                self.reset(what);
                continue;
            }
            let level = text.parse().ok().filter(|level| (0..=10).contains(level));
            let level = level.ok_or_else(|| {
                CommandError::new(format!("{what}: must be >= 0 and <= 10 or \"inherit\""))
            })?;
            *field = Some(level);
            self.set(what, level);
        }
        Ok(())
    }

    fn upload(&mut self, policy: &mut Upload) -> Applied {
        self.optional_int(
            "max-parallel-file-reads",
            "max parallel file reads",
            &mut policy.max_parallel_file_reads,
        )?;
        self.optional_int(
            "max-parallel-snapshots",
            "max parallel snapshots",
            &mut policy.max_parallel_snapshots,
        )?;
        let what = "parallel upload above size";
        let Some(text) = self.given("parallel-upload-above-size-mib") else { return Ok(()) };
        if is_reset(&text) {
            policy.parallel_upload_above_size = None;
            self.reset(what);
            return Ok(());
        }
        let mib = parse_number(&text, 32)
            .context(format!("can't parse the {what} {}", go_quote(&text)))?;
        policy.parallel_upload_above_size = Some(mib << 20);
        self.set(what, self.app.size(mib << 20));
        Ok(())
    }
}

/// Splits a command line at blanks. A word may be quoted; a doubled quote inside is one.
fn split_words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut word = String::new();
            let mut tail = quoted;
            loop {
                let end = tail.find('"').ok_or("a quoted word has no end")?;
                word.push_str(&tail[..end]);
                tail = &tail[end + 1..];
                match tail.strip_prefix('"') {
                    Some(more) => {
                        word.push('"');
                        tail = more;
                    }
                    None => break,
                }
            }
            words.push(word);
            match tail.strip_prefix(' ') {
                Some(more) => rest = more,
                None if tail.is_empty() => return Ok(words),
                None => return Err("text follows a quoted word without a blank".to_owned()),
            }
        } else {
            let (word, more) = match rest.split_once(' ') {
                Some((word, more)) => (word, Some(more)),
                None => (rest, None),
            };
            if word.contains('"') {
                return Err("a quote stands inside a word that is not quoted".to_owned());
            }
            words.push(word.to_owned());
            match more {
                Some(more) => rest = more,
                None => return Ok(words),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_like_csv() {
        let words = |text: &str| split_words(text).unwrap_or_else(|e| vec![e]);
        assert_eq!(words("/bin/x -a b"), ["/bin/x", "-a", "b"]);
        assert_eq!(words("\"/my dir/x\" \"say \"\"y\"\"\""), ["/my dir/x", "say \"y\""]);
        assert_eq!(words("a  b"), ["a", "", "b"]);
        assert!(split_words("\"open").is_err());
        assert!(split_words("a\"b").is_err());
    }

    #[test]
    fn numbers_have_gos_errors() {
        let error = |text: &str, bits| parse_number(text, bits).map_err(|e| e.to_string());
        assert_eq!(error("12", 32), Ok(12));
        assert_eq!(error("-1", 64), Ok(-1));
        assert_eq!(
            error("x", 32),
            Err("strconv.ParseInt: parsing \"x\": invalid syntax".to_owned())
        );
        assert_eq!(
            error("2147483648", 32),
            Err("strconv.ParseInt: parsing \"2147483648\": value out of range".to_owned())
        );
    }
}

//! The exact bytes of a directory object.
//!
//! Written by hand rather than through `serde`: names are bytes, and a large tree writes
//! millions of entries.

use std::io::Write as _;

use super::{DirEntry, DirSummary, ExtraKeys, STREAM_TYPE, UtcNanos, write_json_string};

/// Appends a whole directory object, the final newline included.
///
/// The entries must be in their order; [`super::DirBuilder`] sorts them.
pub fn write_directory<'a>(
    out: &mut Vec<u8>,
    entries: impl IntoIterator<Item = &'a DirEntry>,
    summary: &DirSummary,
) {
    out.extend_from_slice(b"{\"stream\":\"");
    out.extend_from_slice(STREAM_TYPE.as_bytes());
    out.extend_from_slice(b"\",\"entries\":");
    let mut entries = entries.into_iter();
    match entries.next() {
        None => out.extend_from_slice(b"null"),
        Some(first) => {
            out.push(b'[');
            write_entry(out, first);
            for entry in entries {
                out.push(b',');
                write_entry(out, entry);
            }
            out.push(b']');
        }
    }
    out.extend_from_slice(b",\"summary\":");
    write_summary(out, summary);
    out.extend_from_slice(b"}\n");
}

/// Appends the JSON of one entry.
pub fn write_entry(out: &mut Vec<u8>, entry: &DirEntry) {
    let mut object = Object::begin(out);
    if !entry.name.is_empty() {
        write_json_string(object.key("name"), &entry.name);
    }
    if !entry.kind.as_str().is_empty() {
        write_json_string(object.key("type"), entry.kind.as_str().as_bytes());
    }
    if entry.mode.0 != 0 {
        put(object.key("mode"), format_args!("\"{}\"", entry.mode));
    }
    object.number("size", entry.size);
    if entry.mtime.0 != 0 {
        object.time("mtime", entry.mtime);
    }
    object.number("uid", i64::from(entry.uid));
    object.number("gid", i64::from(entry.gid));
    match &entry.object {
        Some(id) => put(object.key("obj"), format_args!("\"{id}\"")),
        None => object.key("obj").extend_from_slice(b"\"\""),
    }
    if let Some(summary) = &entry.summary {
        write_summary(object.key("summ"), summary);
    }
    object.extra(&entry.extra);
    object.end();
}

/// Appends the JSON of a summary.
pub fn write_summary(out: &mut Vec<u8>, summary: &DirSummary) {
    let mut object = Object::begin(out);
    for (key, value) in [
        ("size", summary.size),
        ("files", summary.files),
        ("symlinks", summary.symlinks),
        ("dirs", summary.dirs),
    ] {
        put(object.key(key), format_args!("{value}"));
    }
    object.time("maxTime", summary.max_time);
    if !summary.incomplete.is_empty() {
        write_json_string(object.key("incomplete"), summary.incomplete.as_bytes());
    }
    put(object.key("numFailed"), format_args!("{}", summary.failed));
    object.number("numIgnoredErrors", summary.ignored_errors);
    if !summary.errors.is_empty() {
        let out = object.key("errors");
        for (index, failed) in summary.errors.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"[{\"path\":" } else { b",{\"path\":" });
            write_json_string(out, &failed.path);
            out.extend_from_slice(b",\"error\":");
            write_json_string(out, failed.error.as_bytes());
            out.push(b'}');
        }
        out.push(b']');
    }
    object.extra(&summary.extra);
    object.end();
}

/// A JSON object being written: puts the commas.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    separator: u8,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut Vec<u8>) -> Self {
        Self { out, separator: b'{' }
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(&[self.separator, b'"']);
        self.separator = b',';
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A number that is left out when it is zero.
    fn number(&mut self, key: &str, value: i64) {
        if value != 0 {
            put(self.key(key), format_args!("{value}"));
        }
    }

    fn time(&mut self, key: &str, instant: UtcNanos) {
        let out = self.key(key);
        out.push(b'"');
        instant.write_to(out);
        out.push(b'"');
    }

    fn extra(&mut self, extra: &ExtraKeys) {
        for (key, value) in extra.iter() {
            self.out.push(self.separator);
            self.separator = b',';
            write_json_string(self.out, key.as_bytes());
            self.out.push(b':');
            put(self.out, format_args!("{value}"));
        }
    }

    fn end(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector has no way to fail.
    let _ = out.write_fmt(text);
}

//! `content list`

use kopist_format::{compression::Compressor, index::EntryRef};
use serde::Serialize;

use crate::commands::shared;
use crate::grammar::{Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::{
        histogram::{bytes, saved},
        ids::{content_range, visit_contents},
    },
    error::Context as _,
    grammar::Matches,
    output::{JsonOutput, count},
    session,
};

const FLAGS: &[Flag] = &[
    Flag::switch("long", "Long output.").short('l'),
    Flag::switch("compression", "Show compression.").short('c'),
    Flag::switch("deleted", "Include deleted contents."),
    Flag::switch("deleted-only", "Only deleted contents."),
    Flag::switch("summary", "Print a summary instead of the list.").short('s'),
    Flag::switch("human", "Print sizes for people.").short('h'),
];

/// `content list`
pub(super) static COMMAND: Command = Command::new("list", "List contents.")
    .aliases(&["ls"])
    .flags(&[FLAGS, shared::JSON, shared::ID_RANGE])
    .run(run);

/// A content as kopia prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    pack_file: &'a str,
    time: i64,
    original_length: u32,
    length: u32,
    #[serde(skip_serializing_if = "is_zero")]
    pack_offset: u32,
    #[serde(skip_serializing_if = "is_zero")]
    compression: u32,
    #[serde(rename = "contentID")]
    content_id: String,
    deleted: bool,
    format_version: u8,
    #[serde(rename = "encryptionKeyID", skip_serializing_if = "is_zero")]
    encryption_key: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn run(app: &App, matches: &Matches) -> Outcome {
    session::read(app, |session| {
        let output = JsonOutput::new(matches);
        let human = matches.flag("human");
        let only_deleted = matches.flag("deleted-only");
        let with_deleted = only_deleted || matches.flag("deleted");
        let (mut number, mut total) = (0_u64, 0_u64);
        let mut list = output.list(&app.console)?;
        visit_contents(&session.repo, &content_range(matches)?, |entry| {
            if entry.deleted && !with_deleted || only_deleted && !entry.deleted {
                return Ok(());
            }
            number += 1;
            total += u64::from(entry.packed_length);
            if output.json {
                return list.item(&listed(entry));
            }
            let packed = bytes(app, !human, entry.packed_length.into());
            let deleted = if entry.deleted { " (deleted)" } else { "" };
            let id = entry.id;
            Ok(app.console.line(if matches.flag("compression") {
                let length = bytes(app, !human, entry.original_length.into());
                let compression = compression(entry);
                format!("{id} length {length} packed {packed} {compression} {deleted}")
            } else if matches.flag("long") {
                format!(
                    "{id} {} {} {} {}+{packed}{deleted} {}",
                    entry.original_length,
                    app.time(timestamp(entry)),
                    entry.pack,
                    entry.offset,
                    compression(entry)
                )
            } else {
                id.to_string()
            })?)
        })
        .context("error iterating")?;
        // kopia prints the summary also into JSON, where it breaks every reader.
        if matches.flag("summary") && !output.json {
            let number = if human { count(number) } else { number.to_string() };
            let total = bytes(app, !human, total);
            app.console.line(format!("Total: {number} contents, {total} total size"))?;
        }
        Ok(())
    })
}

fn listed<'a>(entry: &EntryRef<'a>) -> Listed<'a> {
    Listed {
        pack_file: entry.pack,
        time: entry.timestamp,
        original_length: entry.original_length,
        length: entry.packed_length,
        pack_offset: entry.offset,
        compression: entry.compression,
        content_id: entry.id.to_string(),
        deleted: entry.deleted,
        format_version: entry.format_version,
        encryption_key: entry.encryption_key.into(),
    }
}

fn timestamp(entry: &EntryRef<'_>) -> jiff::Timestamp {
    jiff::Timestamp::from_second(entry.timestamp).unwrap_or_default()
}

fn compression(entry: &EntryRef<'_>) -> String {
    if entry.compression == 0 {
        return "-".to_owned();
    }
    let name = match Compressor::by_header(entry.compression) {
        Ok(compressor) => compressor.name().to_owned(),
        Err(_) => format!("compression-{:x}", entry.compression),
    };
    if entry.original_length == 0 {
        return name;
    }
    format!("{name} {}", saved(entry.original_length.into(), entry.packed_length.into()))
}

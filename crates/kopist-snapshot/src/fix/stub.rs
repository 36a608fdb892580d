//! The file that takes the place of something that cannot be read.

use kopist_format::compression::Compressor;
use kopist_format::directory::{DirEntry, EntryType, ExtraKeys};
use kopist_format::json::to_go_json_indented;
use kopist_repo::{ObjectOptions, RepositoryWriter};
use serde::Serialize;

use crate::error::{Result, SnapshotError};

/// What a stub holds (`kopia:snapshot/snapshotfs/dir_rewriter.go`).
#[derive(Serialize)]
struct Stub<'a> {
    info: &'static str,
    error: String,
    entry: &'a DirEntry,
}

/// Writes a stub for an entry.
pub(super) fn write(
    writer: &RepositoryWriter,
    entry: &DirEntry,
    error: &SnapshotError,
    metadata_compressor: Option<Compressor>,
) -> Result<DirEntry> {
    let stub = Stub {
        info: "Kopia replaced the original entry with this stub because of an error.",
        error: error.to_string(),
        entry,
    };
    let text = layout(&to_go_json_indented(&stub).map_err(SnapshotError::Json)?);
    let options = ObjectOptions { metadata_compressor, ..ObjectOptions::default() };
    let object = writer.write_object(&text, options)?;
    Ok(DirEntry {
        name: [b".INVALID.", &*entry.name].concat().into(),
        kind: EntryType::File,
        mode: entry.mode,
        size: text.len() as i64,
        mtime: entry.mtime,
        uid: entry.uid,
        gid: entry.gid,
        object: Some(object),
        summary: None,
        extra: ExtraKeys::default(),
    })
}

/// The layout that kopia gives a stub: each line but the first behind two spaces, and four for
/// each level.
fn layout(indented: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * indented.len());
    for (number, line) in indented.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let spaces = line.iter().take_while(|byte| **byte == b' ').count();
        let before = if number == 0 { 0 } else { 2 + spaces };
        out.extend(std::iter::repeat_n(b' ', before));
        out.extend_from_slice(line);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines_are_set_as_kopia_sets_them() {
        let text = super::layout(b"{\n  \"a\": {\n    \"b\": 1\n  }\n}\n");
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text, "{\n      \"a\": {\n          \"b\": 1\n      }\n  }\n");
    }
}

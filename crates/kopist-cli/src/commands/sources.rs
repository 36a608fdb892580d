//! Sources and tags as they stand on command lines.

use std::collections::BTreeMap;

use kopist_format::{directory::DirEntry, snapshot::SnapshotManifest};
use kopist_repo::{ManifestView, Repository};
use kopist_snapshot::{SourceInfo, browse, store::snapshots_of};

use crate::{
    error::{CommandError, Context as _},
    grammar::go_quote,
};

/// Reads a source; a local path belongs to the user and host of the connection.
pub(super) fn source(repo: &Repository, text: &str) -> Result<SourceInfo, CommandError> {
    let identity = repo.identity();
    let dir = std::env::current_dir().unwrap_or_default();
    SourceInfo::parse(text, &identity.hostname, &identity.username, &dir.to_string_lossy())
        .context(format!("unable to parse source info: {}", go_quote(text)))
}

/// Reads `key:value` tags; their labels are `tag:key`.
pub(super) fn tags(texts: &[String]) -> Result<BTreeMap<String, String>, CommandError> {
    let mut tags = BTreeMap::new();
    for text in texts {
        let Some((key, value)) = text.split_once(':') else {
            return Err(CommandError::new(format!(
                "Invalid tag format ({text}). Requires <key>:<value>"
            )));
        };
        if tags.insert(format!("tag:{key}"), value.to_owned()).is_some() {
            return Err(CommandError::new(format!("Duplicate tag <key> found. ({key})")));
        }
    }
    Ok(tags)
}

/// The snapshots of a source and of every directory above it. A source without path has none.
pub(super) fn snapshots_with(view: &ManifestView, source: &SourceInfo) -> Vec<SnapshotManifest> {
    let mut found = Vec::new();
    let mut path = source.path.as_str();
    while !path.is_empty() {
        found.extend(snapshots_of(view, &SourceInfo { path: path.to_owned(), ..source.clone() }));
        path = match path.rsplit_once('/') {
            Some(("", "")) | None => "",
            Some(("", _)) => "/",
            Some((above, _)) => above,
        };
    }
    found
}

/// The entry with this path below another one.
pub(super) fn entry_below(
    repo: &Repository,
    root: DirEntry,
    path: &str,
) -> Result<DirEntry, CommandError> {
    let mut entry = root;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let children = browse::children(repo, &entry).context("error reading directory")?;
        let found = children.into_iter().find(|child| child.name_text() == name);
        entry =
            found.ok_or_else(|| CommandError::new("error reading directory: entry not found"))?;
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_labels() {
        let read = |texts: &[&str]| {
            tags(&texts.iter().map(ToString::to_string).collect::<Vec<_>>())
                .map_err(|e| e.to_string())
        };
        let expected: BTreeMap<_, _> = [("tag:a".to_owned(), "b:c".to_owned())].into();
        assert_eq!(read(&["a:b:c"]), Ok(expected));
        assert_eq!(read(&["a"]), Err("Invalid tag format (a). Requires <key>:<value>".into()));
        assert_eq!(read(&["a:1", "a:2"]), Err("Duplicate tag <key> found. (a)".into()));
    }
}

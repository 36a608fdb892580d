//! Ranges of content ids.

use kopist_format::{id::ContentId, index::EntryRef};
use kopist_repo::{KeyRange, Repository};

use crate::{
    error::{CommandError, Context as _},
    grammar::{Matches, go_quote},
};

/// Content ids of the command line.
pub(super) fn content_ids(texts: Vec<String>) -> Result<Vec<ContentId>, CommandError> {
    let parse = |text: String| text.parse().context("error parsing content ID");
    texts.into_iter().map(parse).collect()
}

/// The range that `--prefix`, `--prefixed` and `--non-prefixed` choose.
pub(super) fn content_range(matches: &Matches) -> Result<KeyRange, CommandError> {
    if matches.flag("prefixed") {
        return Ok(KeyRange::prefixed());
    }
    if matches.flag("non-prefixed") {
        return Ok(KeyRange::unprefixed());
    }
    let prefix = matches.text("prefix").unwrap_or_default();
    KeyRange::text_prefix(&prefix).ok_or_else(|| {
        let prefix = go_quote(&prefix);
        CommandError::new(format!("no content id begins with {prefix}"))
    })
}

/// Visits the contents of a range in the order of ids, deleted ones included.
pub(super) fn visit_contents(
    repo: &Repository,
    range: &KeyRange,
    mut visit: impl FnMut(&EntryRef<'_>) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let index = repo.fresh_index()?;
    for entry in index.entries(range) {
        visit(&entry?.1)?;
    }
    Ok(())
}

//! What a policy command is about.

use kopist_repo::{ManifestView, Repository};
use kopist_snapshot::{
    SourceInfo,
    policy::{labels, target_of},
};

use crate::{commands::sources::source, error::CommandError, grammar::Matches};

/// The targets of a command: `--global`, or policy ids, users, hosts and paths.
pub(super) fn targets(
    repo: &Repository,
    manifests: &ManifestView,
    matches: &Matches,
) -> Result<Vec<SourceInfo>, CommandError> {
    let given = matches.texts("target");
    if matches.flag("global") != given.is_empty() {
        return Err(CommandError::new("must pass either '--global' or a list of path targets"));
    }
    if given.is_empty() {
        return Ok(vec![SourceInfo::global()]);
    }
    given.iter().map(|text| target(repo, manifests, text)).collect()
}

fn target(
    repo: &Repository,
    manifests: &ManifestView,
    text: &str,
) -> Result<SourceInfo, CommandError> {
    if let Some(meta) = manifests.meta(text) {
        let target = target_of(&meta.labels);
        if meta.labels == labels(&target) {
            return Ok(target);
        }
    }
    source(repo, text)
}

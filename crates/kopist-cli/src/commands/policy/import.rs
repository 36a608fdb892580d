//! `policy import`

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use kopist_snapshot::store::{load_policies, remove_policy, set_policy};

use crate::grammar::Matches;
use crate::grammar::{Arg, Command, Flag};
use crate::{
    app::{App, Outcome},
    commands::{policy::target::targets, sources::source},
    error::{CommandError, Context as _},
    grammar::go_quote,
    session,
};
use kopist_snapshot::policy::Policy;

const FLAGS: &[Flag] = &[
    Flag::text("from-file", "Read from this file instead of standard input."),
    Flag::switch("allow-unknown-fields", "Accept unknown fields."),
    Flag::switch("delete-other-policies", "Delete all policies that are not imported."),
    Flag::switch("global", "The global policy."),
];

/// `policy import`
pub(super) static COMMAND: Command = Command::new("import", "Import policies from JSON.")
    .flags(&[FLAGS])
    .args(&[Arg::text("target", "").repeated()])
    .run(run);

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write(app, |session, writer| {
        let mut text = String::new();
        match matches.os("from-file").filter(|path| !path.is_empty()) {
            Some(path) => File::open(path)
                .and_then(|mut file| file.read_to_string(&mut text))
                .context(Path::new(path).display()),
            None => io::stdin().read_to_string(&mut text).context("standard input"),
        }
        .context("unable to read policy file")?;
        let malformed = "unable to decode policy file as valid json";
        let policies: BTreeMap<String, Policy> = serde_json::from_str(&text).context(malformed)?;
        if !matches.flag("allow-unknown-fields")
            && let Some(field) = policies.values().flat_map(unknown_fields).next()
        {
            let field = go_quote(&field).to_string();
            return Err(CommandError::new(format!("{malformed}: json: unknown field {field}")));
        }
        let manifests = writer.manifests()?;
        let limited = matches.flag("global") || !matches.texts("target").is_empty();
        let limit = if limited { Some(targets(&session.repo, &manifests, matches)?) } else { None };
        let mut imported = Vec::new();
        for (text, policy) in &policies {
            let target = source(&session.repo, text)?;
            if limit.as_ref().is_some_and(|limit| !limit.contains(&target)) {
                continue;
            }
            set_policy(writer, &target, policy)
                .context(format!("can't save policy for {target}"))?;
            imported.push(target);
        }
        if matches.flag("delete-other-policies") {
            for stored in load_policies(&manifests).context("failed to list policies")?.all() {
                if !imported.contains(&stored.target) {
                    remove_policy(writer, &stored.target)
                        .context(format!("can't delete policy for {}", stored.target))?;
                }
            }
        }
        Ok(())
    })
}

/// The keys of all sections that this version does not know.
pub(super) fn unknown_fields(policy: &Policy) -> Vec<String> {
    let actions = &policy.actions;
    let commands = [
        &actions.before_folder,
        &actions.after_folder,
        &actions.before_snapshot_root,
        &actions.after_snapshot_root,
    ];
    let sections = [
        &policy.extra,
        &policy.retention.extra,
        &policy.files.extra,
        &policy.error_handling.extra,
        &policy.scheduling.extra,
        &policy.compression.extra,
        &policy.metadata_compression.extra,
        &policy.splitter.extra,
        &actions.extra,
        &policy.os_snapshots.extra,
        &policy.os_snapshots.volume_shadow_copy.extra,
        &policy.logging.extra,
        &policy.logging.directories.extra,
        &policy.logging.entries.extra,
        &policy.upload.extra,
    ];
    let commands = commands.into_iter().flatten().map(|command| &command.extra);
    sections.into_iter().chain(commands).flat_map(|extra| extra.keys().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_found_in_every_section() -> Result<(), serde_json::Error> {
        let known = kopist_snapshot::policy::built_in();
        assert!(unknown_fields(&known).is_empty());
        for text in [
            r#"{"future":1}"#,
            r#"{"retention":{"future":1}}"#,
            r#"{"actions":{"beforeFolder":{"path":"x","future":1}}}"#,
            r#"{"logging":{"entries":{"future":1}}}"#,
        ] {
            let policy: Policy = serde_json::from_str(text)?;
            assert_eq!(unknown_fields(&policy), ["future"], "{text}");
        }
        Ok(())
    }
}

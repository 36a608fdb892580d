//! `policy edit`

use std::{
    fs,
    io::{self, BufRead as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process,
};

use kopist_format::json::to_go_json_indented;
use kopist_snapshot::{
    policy::Policy,
    store::{load_policies, set_policy},
};

use crate::grammar::{Arg, Command, Flag, Matches, go_quote};
use crate::{
    app::{App, Outcome},
    commands::policy::{import::unknown_fields, target::targets},
    error::{CommandError, Context as _},
    session,
};

const FLAGS: &[Flag] = &[Flag::switch("global", "The global policy.")];

/// `policy edit`
pub(super) static COMMAND: Command = Command::new("edit", "Edit a policy in the editor.")
    .flags(&[FLAGS])
    .args(&[Arg::text("target", "").repeated()])
    .run(run);

/// What stands above a policy in the editor, and above some of its sections.
const HEAD: &str = "
# Editing policy for 'TARGET'

# Make changes to the policy, save your file and exit the editor.
# The output must be valid JSON.

# Lines starting with # are comments and automatically removed.

";
const HELP: [(&str, &str); 3] = [
    (
        "  \"retention\": {",
        "  # How many snapshots to keep. Options:
  #   \"keepLatest\", \"keepHourly\", \"keepDaily\", \"keepWeekly\", \"keepMonthly\",
  #   \"keepAnnual\": number
",
    ),
    (
        "  \"files\": {",
        "
  # Which files to leave out. Options:
  #   \"ignore\": [\"*.ext\", \"/path\"]
  #   \"ignoreDotFiles\": [\".gitignore\", \".kopiaignore\"]
  #   \"maxFileSize\": number
  #   \"ignoreCacheDirs\", \"oneFileSystem\": true or false
",
    ),
    (
        "  \"scheduling\": {",
        "
  # When to make snapshots. Options:
  #   \"intervalSeconds\": number
  #   \"timeOfDay\": [{\"hour\":H,\"min\":M},{\"hour\":H,\"min\":M}]
  #   \"manual\": true (only by hand; not together with the others)
",
    ),
];

fn run(app: &App, matches: &Matches) -> Outcome {
    session::write(app, |session, writer| {
        let manifests = writer.manifests()?;
        let policies = load_policies(&manifests)?;
        for target in targets(&session.repo, &manifests, matches)? {
            let stored = policies.defined(&target);
            let original = stored.map(|stored| stored.policy.clone()).unwrap_or_default();
            app.info(format!("Editing policy for {target} using external editor..."));
            let text = commented(&target.to_string(), &pretty(&original)?);
            let updated = edit(app, &text, &original).context("unable to launch editor")?;
            if pretty(&updated)? == pretty(&original)? {
                app.info(format!("Policy for {target} unchanged"));
                continue;
            }
            app.info(format!("Updated policy for {target}\n{}", pretty(&updated)?));
            let answer = ask(app, "Save updated policy? (y/N) ")?.unwrap_or_default();
            if answer.starts_with(['y', 'Y']) {
                set_policy(writer, &target, &updated)
                    .context(format!("can't save policy for {target}"))?;
            }
        }
        Ok(())
    })
}

fn pretty(policy: &Policy) -> Result<String, CommandError> {
    Ok(String::from_utf8(to_go_json_indented(policy)?)?)
}

fn commented(target: &str, policy: &str) -> String {
    let mut text = format!("{}{policy}", HEAD.replace("TARGET", target));
    for (section, help) in HELP {
        if let Some(at) = text.find(section) {
            text.insert_str(at, help);
        }
    }
    text
}

/// Lets the user edit until the result is a policy, or gives up.
fn edit(app: &App, text: &str, original: &Policy) -> Result<Policy, CommandError> {
    let folder = tempfile::Builder::new()
        .prefix("kopia")
        .tempdir()
        .context("unable to create temp directory")?;
    let file = folder.path().join("policy.conf");
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .context("unable to write file to edit")?;
    loop {
        launch(app, &file).context("error launching editor")?;
        let edited = fs::read_to_string(&file).context("error parsing edited file")?;
        match parse(&edited, original) {
            Ok(policy) => return Ok(policy),
            Err(error) => app.error(error.to_string()),
        }
        let answer = ask(app, "Reopen editor to fix? (Y/n) ")?;
        // Nobody is there who could fix it.
        if answer.is_none_or(|answer| answer.starts_with(['n', 'N'])) {
            return Err(CommandError::new("aborted"));
        }
    }
}

/// Reads what was edited. Unknown fields may stay, but none may be added: they are mistyped.
fn parse(edited: &str, original: &Policy) -> Result<Policy, CommandError> {
    let is_comment = |line: &&str| line.trim_start().starts_with('#');
    let text: Vec<&str> = edited.lines().filter(|line| !is_comment(line)).collect();
    let policy: Policy = serde_json::from_str(&text.join("\n"))?;
    let known = unknown_fields(original);
    match unknown_fields(&policy).into_iter().find(|field| !known.contains(field)) {
        Some(field) => Err(CommandError::new(format!("json: unknown field {}", go_quote(&field)))),
        None => Ok(policy),
    }
}

/// Asks on standard output; `None` at the end of the input.
fn ask(app: &App, question: &str) -> Result<Option<String>, CommandError> {
    app.console.print(question)?;
    app.console.flush()?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok((read > 0).then(|| answer.trim().to_owned()))
}

fn launch(app: &App, file: &Path) -> Result<(), CommandError> {
    let given = |name| app.env.text(name).filter(|text| !text.is_empty());
    let editor = given("VISUAL").or_else(|| given("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let (program, arguments) = split_editor(&editor);
    app.console.flush()?;
    let status = process::Command::new(program)
        .args(arguments)
        .arg(file)
        .status()
        .context(format!("error running editor command {}", go_quote(program)))?;
    if !status.success() {
        return Err(CommandError::new(format!("error running editor command: {status}")));
    }
    Ok(())
}

/// The program, which may be in quotes, and its arguments.
fn split_editor(text: &str) -> (&str, Vec<&str>) {
    let quoted = text.strip_prefix('"').and_then(|rest| rest.split_once('"'));
    let (program, rest) = quoted.unwrap_or_else(|| text.split_once(' ').unwrap_or((text, "")));
    (program, rest.split(' ').filter(|word| !word.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read_again() -> Result<(), CommandError> {
        let mut policy = kopist_snapshot::policy::built_in();
        policy.files.ignore = vec!["# not a comment".to_owned(), "a\nb".to_owned()];
        policy.retention.extra.insert("future".to_owned(), 1.into());
        let text = commented("a@b:/c", &pretty(&policy)?);
        assert!(text.contains("# Editing policy for 'a@b:/c'"));
        assert_eq!(text.matches("Options:").count(), 3);
        assert_eq!(parse(&text, &policy)?, policy);
        let none = Policy::default();
        let error = parse(&text, &none).map_err(|error| error.to_string());
        assert_eq!(error, Err("json: unknown field \"future\"".to_owned()));
        assert!(parse("{", &none).is_err());
        Ok(())
    }

    #[test]
    fn editors_may_have_arguments_and_blanks() {
        assert_eq!(split_editor("vi"), ("vi", vec![]));
        assert_eq!(split_editor("code --wait -n"), ("code", vec!["--wait", "-n"]));
        assert_eq!(split_editor("\"/my editor/x\" -a"), ("/my editor/x", vec!["-a"]));
    }
}

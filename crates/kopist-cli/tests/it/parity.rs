//! `docs/parity.md` says what the program does.

use std::{collections::BTreeSet, fs, path::Path};

use kopist_cli::{
    commands::ROOT,
    grammar::{Command, Effect},
    parity::is_refused,
};

const ROOT_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn parity_is_documented() {
    let surface = fs::read_to_string(format!("{ROOT_DIR}/testdata/vectors/cli-surface.json"));
    let surface = serde_json::from_str(&surface.unwrap()).unwrap();
    let text = kopist_cli::parity::document(&surface);
    let path = format!("{ROOT_DIR}/docs/parity.md");
    if std::env::var_os("KOPIST_WRITE_DOCS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differing = text.lines().zip(written.lines()).find(|(new, old)| new != old);
    assert!(
        written == text,
        "docs/parity.md is not up to date, first difference: {differing:?}; \
         KOPIST_WRITE_DOCS=1 writes it anew"
    );
}

/// Names that are put together where they are read: `format!("keep-{period}")` and the like.
fn is_composed(name: &str) -> bool {
    let starts = ["keep-", "add-", "remove-", "clear-", "enable-"];
    let ends = ["-interval", "-action"];
    starts.iter().any(|start| name.starts_with(start)) || ends.iter().any(|end| name.ends_with(end))
}

#[test]
fn flags_that_nobody_reads_say_so() {
    let mut code = String::new();
    read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
    let mut unread = BTreeSet::new();
    visit(&mut Vec::new(), ROOT.commands, &mut |path| {
        let words: Vec<_> = path.iter().map(|command| command.name).collect();
        for flag in path.iter().flat_map(|command| command.all_flags()) {
            let literal = format!("\"{}\"", flag.name);
            let declared = ["switch", "bool_values", "text", "int", "int32", "int64", "uint"];
            let declared = declared.iter().chain(&["float", "duration", "bytes", "one_of"]);
            let declared = declared.chain(&["existing_path"]);
            let declarations: usize =
                declared.map(|kind| code.matches(&format!("Flag::{kind}({literal}")).count()).sum();
            let read = code.matches(&literal).count() > declarations || is_composed(flag.name);
            if !read && flag.effect == Effect::Works {
                unread.insert(format!("{} --{}", words.join(" "), flag.name));
            }
        }
    });
    assert!(unread.is_empty(), "nothing reads {unread:#?}");
}

/// The sources without the white space that formatting puts after opening parentheses.
fn read_sources(dir: &Path, code: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, code);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut parts = text.split('(');
            code.push_str(parts.next().unwrap_or_default());
            for part in parts {
                code.push('(');
                code.push_str(part.trim_start());
            }
        }
    }
}

fn visit(
    path: &mut Vec<&'static Command>,
    commands: &[&'static Command],
    see: &mut dyn FnMut(&[&'static Command]),
) {
    for command in commands {
        path.push(command);
        visit(path, command.commands, see);
        // What is refused as a whole reads nothing.
        if command.commands.is_empty() && !is_refused(path) {
            see(path);
        }
        path.pop();
    }
}

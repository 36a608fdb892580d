//! The manual page and the completions are what the tools that read them want.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use kopist_testkit::oracle::skipped;

/// The program of this build, if it was built together with this test.
fn program() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("kopist");
    program.is_file().then_some(program)
}

/// Writes the pages into a new directory; `kopist` and `kopia` are on its `PATH`.
fn pages(test: &str) -> Option<(tempfile::TempDir, String)> {
    let Some(program) = program() else {
        skipped(test, "the program is not built: run the tests of the whole workspace");
        return None;
    };
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("pages")
        .args([dir.path(), &program])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for name in ["kopist", "kopia"] {
        std::os::unix::fs::symlink(&program, bin.join(name)).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    Some((dir, path))
}

/// Runs a script with a shell or tool; nothing if the machine does not have it.
fn run(test: &str, dir: &Path, path: &str, command: &[&str]) -> Option<Output> {
    let (tool, arguments) = command.split_first()?;
    let output = Command::new(tool)
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("PATH", path)
        .env("HOME", dir)
        .env("TERM", "dumb")
        .output();
    if output.is_err() {
        skipped(test, &format!("no {tool}"));
    }
    output.ok()
}

/// What a shell answers, line by line.
fn lines(output: &Output) -> Vec<&str> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    text.lines().collect()
}

#[test]
fn bash_completes_commands_and_flags() {
    let test = "bash_completes_commands_and_flags";
    let Some((dir, path)) = pages(test) else { return };
    for (words, expected) in [
        ("kopist snap", &["snapshot"][..]),
        ("kopia snap", &["snapshot"]),
        ("kopist snapshot res", &["restore"]),
        ("kopist snapshot create --desc", &["--description"]),
        ("kopist --config-file x policy e", &["edit", "export"]),
        ("kopist snapshot create /etc", &[]),
    ] {
        let name = words.split(' ').next().unwrap();
        let script = format!(
            "source bash/kopist; COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); \
             set -- $(complete -p {name}); while [ \"$1\" != -F ]; do shift; done; \"$2\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let command = ["bash", "--norc", "-c", &script];
        let Some(output) = run(test, dir.path(), &path, &command) else { return };
        let mut found = lines(&output);
        found.retain(|line| !line.is_empty());
        found.sort_unstable();
        assert_eq!(found, expected, "{words}");
    }
}

#[test]
fn fish_completes_commands_and_flags() {
    let test = "fish_completes_commands_and_flags";
    let Some((dir, path)) = pages(test) else { return };
    for (words, expected) in [
        ("kopist snap", "snapshot"),
        ("kopia snapshot res", "restore"),
        ("kopist snapshot create --desc", "--description"),
    ] {
        let script = format!("source fish/kopist.fish; complete -C '{words}'");
        let command = ["fish", "--no-config", "-c", &script];
        let Some(output) = run(test, dir.path(), &path, &command) else { return };
        assert!(lines(&output).contains(&expected), "{words}: {output:?}");
    }
}

#[test]
fn zsh_takes_the_script_both_ways() {
    let test = "zsh_takes_the_script_both_ways";
    let Some((dir, path)) = pages(test) else { return };
    for script in [
        "autoload -U compinit; compinit -u -d dump; source zsh/_kopist; print $_comps[kopist]",
        "fpath=($PWD/zsh $fpath); autoload -U compinit; compinit -u -d dump; print $_comps[kopia]",
    ] {
        let Some(output) = run(test, dir.path(), &path, &["zsh", "-f", "-c", script]) else {
            return;
        };
        assert_eq!(lines(&output), ["_kopist"], "{script}");
    }
}

#[test]
fn the_manual_page_is_in_order() {
    let test = "the_manual_page_is_in_order";
    let Some((dir, path)) = pages(test) else { return };
    let command = ["groff", "-man", "-Tutf8", "-ww", "man1/kopist.1"];
    let Some(output) = run(test, dir.path(), &path, &command) else { return };
    lines(&output); // without a complaint
    let text = std::fs::read_to_string(dir.path().join("man1/kopist.1")).unwrap();
    for expected in ["snapshot create", "--password", "repository connect filesystem"] {
        assert!(text.contains(expected), "the manual page does not tell of {expected}");
    }
}

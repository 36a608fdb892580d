//! The manual page and the completions of the release binary, as a package installs them.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::step::{Result, build_release, headline};

/// Fish has no program to ask in kopia's protocol; this asks the one that bash asks.
const FISH: &str = "\
function __kopist_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    $words[1] --completion-bash $words[2..-1] $word
end
complete -c kopist -f -a '(__kopist_complete)'
complete -c kopia -f -a '(__kopist_complete)'
";

/// Writes `man1/kopist.1`, `bash/kopist`, `zsh/_kopist` and `fish/kopist.fish` below `dir`.
pub(crate) fn write(dir: &Path) -> Result {
    let program = build_release()?;
    for (flag, file) in [
        ("--help-man", "man1/kopist.1"),
        ("--completion-script-bash", "bash/kopist"),
        ("--completion-script-zsh", "zsh/_kopist"),
    ] {
        let output = Command::new(&program)
            .arg(flag)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        if !output.status.success() {
            return Err(format!("{flag} failed: {}", output.status).into());
        }
        put(dir, file, &output.stdout)?;
    }
    put(dir, "fish/kopist.fish", FISH.as_bytes())
}

fn put(dir: &Path, file: &str, text: &[u8]) -> Result {
    let path = dir.join(file);
    headline(&path.display().to_string());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|e| format!("{}: {e}", parent.display()))?;
    }
    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(())
}

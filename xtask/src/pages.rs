//! The manual page and the completions of the program, as a package installs them.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::step::{Result, build_release, headline};

/// Fish has no function of its own in kopia's protocol; this asks as bash does. Without `-f`, names
/// of files are offered, too.
const FISH: &str = "\
function __kopist_complete
    set -l words (commandline -opc)
    set -l program $words[1]
    set -e words[1]
    $program --completion-bash $words (commandline -ct)
end
complete -c kopist -a '(__kopist_complete)'
complete -c kopia -a '(__kopist_complete)'
";

/// Writes `man1/kopist.1`, `bash/kopist`, `zsh/_kopist` and `fish/kopist.fish` below `dir`, as
/// `program` prints them; without one, the release binary is built.
pub(crate) fn write(dir: &Path, program: Option<&Path>) -> Result {
    let program = match program {
        Some(program) => program.to_owned(),
        None => build_release()?,
    };
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

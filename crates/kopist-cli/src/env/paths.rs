//! Paths as kopia writes them into manifests: absolute and lexically clean.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

/// Cleans a path without asking the file system: no `.`, no inner `..`, no double slash.
pub fn clean(path: &Path) -> PathBuf {
    let rooted = path.is_absolute();
    let mut kept: Vec<&[u8]> = Vec::new();
    for part in path.as_os_str().as_bytes().split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(last) if *last != b".." => {
                    kept.pop();
                }
                _ if rooted => {}
                _ => kept.push(b".."),
            },
            part => kept.push(part),
        }
    }
    let mut out = if rooted { vec![b'/'] } else { Vec::new() };
    out.extend(kept.join(&b'/'));
    if out.is_empty() {
        out.push(b'.');
    }
    OsString::from_vec(out).into()
}

/// The absolute, clean form of a path, relative to the current directory.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    if path.is_absolute() {
        Ok(clean(path))
    } else {
        Ok(clean(&std::env::current_dir()?.join(path)))
    }
}

/// Replaces a leading `~` by the home directory.
pub fn expand_home(path: &OsStr, home: Option<OsString>) -> PathBuf {
    match (path.as_bytes().strip_prefix(b"~"), home) {
        (Some(rest), Some(home)) if !home.is_empty() => {
            let mut out = home.into_vec();
            out.extend_from_slice(rest);
            OsString::from_vec(out).into()
        }
        _ => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_like_gos() {
        let cases = [
            ("", "."),
            ("a//b/./c/", "a/b/c"),
            ("/a/../../b", "/b"),
            ("a/..", "."),
            ("../a/../..", "../.."),
            ("/", "/"),
        ];
        for (path, expected) in cases {
            assert_eq!(clean(Path::new(path)), Path::new(expected), "{path}");
        }
        let home = || Some("/home/u".into());
        assert_eq!(expand_home("~/x".as_ref(), home()), Path::new("/home/u/x"));
        assert_eq!(expand_home("x~".as_ref(), home()), Path::new("x~"));
    }
}

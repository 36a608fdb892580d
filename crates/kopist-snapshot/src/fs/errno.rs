//! Error texts as Go gives them.
//!
//! The text of a failed entry is stored in the directory object, so the same failure must have
//! the same text for two programs to store the same object.

use std::io;

/// The text of a system error without its number, beginning in lower case.
#[must_use]
pub fn errno_text(error: &io::Error) -> String {
    let Some(code) = error.raw_os_error() else {
        return error.to_string();
    };
    if let Some((_, text)) = COMMON.iter().find(|(errno, _)| errno.raw_os_error() == code) {
        return (*text).to_owned();
    }
    // "Some text (os error 5)"
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// `open /a/b: permission denied`: an operation, its path and why it failed.
#[must_use]
pub fn describe(operation: &str, path: &str, error: &io::Error) -> String {
    format!("{operation} {path}: {}", errno_text(error))
}

use rustix::io::Errno;

/// The texts of the errors that files give, which differ between C libraries.
const COMMON: &[(Errno, &str)] = &[
    (Errno::PERM, "operation not permitted"),
    (Errno::NOENT, "no such file or directory"),
    (Errno::INTR, "interrupted system call"),
    (Errno::IO, "input/output error"),
    (Errno::NXIO, "no such device or address"),
    (Errno::AGAIN, "resource temporarily unavailable"),
    (Errno::NOMEM, "cannot allocate memory"),
    (Errno::ACCESS, "permission denied"),
    (Errno::BUSY, "device or resource busy"),
    (Errno::EXIST, "file exists"),
    (Errno::NODEV, "no such device"),
    (Errno::NOTDIR, "not a directory"),
    (Errno::ISDIR, "is a directory"),
    (Errno::INVAL, "invalid argument"),
    (Errno::NFILE, "too many open files in system"),
    (Errno::MFILE, "too many open files"),
    (Errno::FBIG, "file too large"),
    (Errno::NOSPC, "no space left on device"),
    (Errno::ROFS, "read-only file system"),
    (Errno::NAMETOOLONG, "file name too long"),
    (Errno::LOOP, "too many levels of symbolic links"),
    (Errno::STALE, "stale NFS file handle"),
    (Errno::TIMEDOUT, "connection timed out"),
    (Errno::NOTCONN, "transport endpoint is not connected"),
    (Errno::NOTEMPTY, "directory not empty"),
    (Errno::DQUOT, "disk quota exceeded"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_gos() {
        let text = |errno: Errno| errno_text(&errno.into());
        assert_eq!(text(Errno::ACCESS), "permission denied");
        assert_eq!(text(Errno::IO), "input/output error");
        assert_eq!(text(Errno::XDEV).chars().next().map(char::is_lowercase), Some(true));
        assert_eq!(errno_text(&io::Error::other("Own words")), "Own words");
        assert_eq!(
            describe("open", "/a", &Errno::NOENT.into()),
            "open /a: no such file or directory"
        );
    }
}

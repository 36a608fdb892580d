//! Permission bits of an entry, as Go numbers them.
//!
//! The stored integer is `os.FileMode`, not the Unix mode: set-uid, set-gid and sticky live at
//! bits 23, 22 and 20. The text is `0` followed by octal digits; zero is never written
//! (`kopia:snapshot/manifest.go`).

use std::fmt;
use std::str::FromStr;

/// Permission bits in Go's numbering.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permissions(pub i32);

const GO_SETUID: i32 = 1 << 23;
const GO_SETGID: i32 = 1 << 22;
const GO_STICKY: i32 = 1 << 20;

/// The text is not an integer of 32 bits in one of Go's notations.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a permission value such as 0644")]
pub struct ParseModeError(String);

impl Permissions {
    /// From the low 12 bits of a Unix mode; the file type is ignored.
    #[must_use]
    pub fn from_unix(mode: u32) -> Self {
        let mut bits = (mode & 0o777) as i32;
        for (unix, go) in [(0o4000, GO_SETUID), (0o2000, GO_SETGID), (0o1000, GO_STICKY)] {
            if mode & unix != 0 {
                bits |= go;
            }
        }
        Self(bits)
    }

    /// The low 12 bits of a Unix mode.
    #[must_use]
    pub fn to_unix(self) -> u32 {
        let mut mode = (self.0 & 0o777) as u32;
        for (unix, go) in [(0o4000, GO_SETUID), (0o2000, GO_SETGID), (0o1000, GO_STICKY)] {
            if self.0 & go != 0 {
                mode |= unix;
            }
        }
        mode
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Go formats the sign before the digits.
        if self.0 < 0 {
            return write!(f, "0-{:o}", self.0.unsigned_abs());
        }
        write!(f, "0{:o}", self.0)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Permissions({self})")
    }
}

impl FromStr for Permissions {
    type Err = ParseModeError;

    fn from_str(text: &str) -> Result<Self, ParseModeError> {
        let error = || ParseModeError(text.to_owned());
        let (negative, digits) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let lower = digits.to_ascii_lowercase();
        let (base, digits) = match lower.as_bytes() {
            [b'0', b'x', ..] => (16, &lower[2..]),
            [b'0', b'o', ..] => (8, &lower[2..]),
            [b'0', b'b', ..] => (2, &lower[2..]),
            [b'0', _, ..] => (8, &lower[1..]),
            _ => (10, lower.as_str()),
        };
        if digits.starts_with(['+', '-']) {
            return Err(error());
        }
        let value = i64::from_str_radix(digits, base).map_err(|_| error())?;
        i32::try_from(if negative { -value } else { value }).map(Self).map_err(|_| error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn special_bits_have_gos_places() {
        for (unix, text) in [
            (0o4755, "040000755"),
            (0o2750, "020000750"),
            (0o1777, "04000777"),
            (0o7007, "064000007"),
        ] {
            let mode = Permissions::from_unix(unix);
            assert_eq!(mode.to_string(), text);
            assert_eq!(mode.to_unix(), unix);
        }
    }

    #[test]
    fn every_base_of_go_is_read() {
        for (text, value) in
            [("0644", 0o644), ("0o17", 15), ("0x1F", 31), ("0b11", 3), ("10", 10), ("0", 0)]
        {
            assert_eq!(text.parse::<Permissions>().unwrap(), Permissions(value), "{text}");
        }
        for text in ["", "08", "0x", "abc", "0-1", "99999999999"] {
            assert!(text.parse::<Permissions>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back(value in 0..=i32::MAX) {
            let mode = Permissions(value);
            prop_assert_eq!(mode.to_string().parse::<Permissions>().unwrap(), mode);
        }

        #[test]
        fn unix_and_back(mode in 0u32..0o10000) {
            prop_assert_eq!(Permissions::from_unix(mode).to_unix(), mode);
        }
    }
}

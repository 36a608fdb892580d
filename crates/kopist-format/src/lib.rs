//! The Kopia repository format as pure functions of bytes

//! Content ids.

use std::{fmt, str::FromStr};

use super::{Hash, IdError, MAX_HASH_LENGTH, excerpt, hash::read_hex, hash::write_hex};

/// The letter in front of a content id, `g`..`z`; it says what kind of data the content holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdPrefix(u8);

impl IdPrefix {
    /// `k`: a directory listing.
    pub const DIRECTORY: Self = Self(b'k');
    /// `m`: a batch of manifests.
    pub const MANIFEST: Self = Self(b'm');
    /// `x`: the list of the pieces of a large object.
    pub const INDIRECT: Self = Self(b'x');

    /// The prefix for an ASCII letter from `g` to `z`.
    pub fn new(letter: u8) -> Result<Self, IdError> {
        if letter.is_ascii_lowercase() && letter >= b'g' {
            Ok(Self(letter))
        } else {
            Err(IdError::InvalidPrefix { text: char::from(letter).to_string() })
        }
    }

    /// The letter.
    pub fn as_char(self) -> char {
        char::from(self.0)
    }

    /// The letter as ASCII.
    pub fn as_byte(self) -> u8 {
        self.0
    }
}

impl fmt::Display for IdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Write::write_char(f, self.as_char())
    }
}

impl fmt::Debug for IdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for IdPrefix {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.as_bytes() {
            [letter] => Self::new(*letter),
            [] => Err(IdError::Empty),
            _ => Err(IdError::InvalidPrefix { text: excerpt(text) }),
        }
    }
}

/// Identifies a content: an optional [`IdPrefix`] and the [`Hash`](struct@Hash) of its plaintext.
///
/// The order is that of the index: plain byte order of [`key`](Self::key), in which ids without
/// prefix come first. It agrees with the order of the text forms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId {
    // The prefix or 0, then the hash, then zeros: the derived order is that of the key slices.
    key: [u8; 1 + MAX_HASH_LENGTH],
    hash_len: u8,
}

impl ContentId {
    /// Longest [`key`](Self::key), in bytes.
    pub const MAX_KEY_LENGTH: usize = 1 + MAX_HASH_LENGTH;

    /// The id of a content with this hash.
    pub fn new(prefix: Option<IdPrefix>, hash: &Hash) -> Self {
        let mut key = [0; Self::MAX_KEY_LENGTH];
        key[0] = prefix.map_or(0, IdPrefix::as_byte);
        key[1..=hash.len()].copy_from_slice(hash.as_slice());
        Self { key, hash_len: hash.len() as u8 }
    }

    /// The id behind a binary key as indexes hold it: the prefix letter or 0, then 1 to 32 bytes
    /// of hash.
    pub fn from_key(key: &[u8]) -> Result<Self, IdError> {
        let (&first, hash) = key.split_first().ok_or(IdError::Empty)?;
        let prefix = if first == 0 { None } else { Some(IdPrefix::new(first)?) };
        Ok(Self::new(prefix, &Hash::new(hash)?))
    }

    /// The binary key: the prefix letter or 0, then the hash; 2 to 33 bytes.
    pub fn key(&self) -> &[u8] {
        &self.key[..=usize::from(self.hash_len)]
    }

    /// The prefix letter.
    pub fn prefix(&self) -> Option<char> {
        self.id_prefix().map(IdPrefix::as_char)
    }

    /// The prefix.
    pub fn id_prefix(&self) -> Option<IdPrefix> {
        (self.key[0] != 0).then_some(IdPrefix(self.key[0]))
    }

    /// Whether there is a prefix: metadata, which goes to `q` packs.
    pub fn has_prefix(&self) -> bool {
        self.key[0] != 0
    }

    /// The bytes of the hash.
    pub fn hash(&self) -> &[u8] {
        &self.key[1..=usize::from(self.hash_len)]
    }

    /// The IV under which the content is encrypted: the last 16 bytes of the hash.
    pub fn iv(&self) -> &[u8] {
        let hash = self.hash();
        &hash[hash.len().saturating_sub(16)..]
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(prefix) = self.prefix() {
            fmt::Write::write_char(f, prefix)?;
        }
        write_hex(f, self.hash())
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ContentId {
    type Err = IdError;

    /// The hash has an even number of digits, so an odd length means that there is a prefix.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (prefix, digits) = match text.as_bytes() {
            [] => return Err(IdError::Empty),
            bytes if bytes.len().is_multiple_of(2) => (None, text),
            [first, ..] => {
                let prefix = IdPrefix::new(*first)
                    .map_err(|_| IdError::InvalidPrefix { text: excerpt(text) })?;
                (Some(prefix), &text[1..]) // the first byte is ASCII
            }
        };
        if digits.is_empty() {
            return Err(IdError::TooShort { text: excerpt(text) });
        }
        let mut hash = [0; MAX_HASH_LENGTH];
        let len = read_hex(digits, text, &mut hash)?;
        Ok(Self::new(prefix, &Hash::new(&hash[..len])?))
    }
}

super::serde_as_text!(ContentId);

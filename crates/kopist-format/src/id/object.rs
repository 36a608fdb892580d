//! Object ids.

use std::{fmt, str::FromStr};

use super::{ContentId, IdError, excerpt};

/// Identifies an object: a content, or (with `I` in front) the list of the pieces of a large one.
///
/// Text form: one `I` for each level of indirection, or `Z` if the content was compressed before
/// it was hashed (only in repositories with index version 1), then the content id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    content: ContentId,
    indirection: u8,
    compressed: bool,
}

impl ObjectId {
    /// An object that is exactly one content.
    pub fn direct(content: ContentId) -> Self {
        Self { content, indirection: 0, compressed: false }
    }

    /// An object that is one content compressed at object level (`Z`).
    pub fn compressed(content: ContentId) -> Self {
        Self { content, indirection: 0, compressed: true }
    }

    /// An object whose pieces are listed in the object `index`.
    ///
    /// # Errors
    /// If `index` is compressed or is already 255 levels deep.
    pub fn indirect(index: Self) -> Result<Self, IdError> {
        if index.compressed {
            return Err(IdError::CompressedIndirect { text: format!("I{index}") });
        }
        let indirection = index.indirection.checked_add(1).ok_or(IdError::TooIndirect)?;
        Ok(Self { indirection, ..index })
    }

    /// For an indirect object the object that lists its pieces.
    pub fn index_object(&self) -> Option<Self> {
        Some(Self { indirection: self.indirection.checked_sub(1)?, ..*self })
    }

    /// For a direct object its content.
    pub fn direct_content(&self) -> Option<ContentId> {
        (self.indirection == 0).then_some(self.content)
    }

    /// The content at the bottom: the object itself, or the (first) list of its pieces.
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// Levels of indirection.
    pub fn indirection(&self) -> u8 {
        self.indirection
    }

    /// Whether the content was compressed at object level.
    pub fn is_compressed(&self) -> bool {
        self.compressed
    }
}

impl From<ContentId> for ObjectId {
    fn from(content: ContentId) -> Self {
        Self::direct(content)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for _ in 0..self.indirection {
            f.write_str("I")?;
        }
        if self.compressed {
            f.write_str("Z")?;
        }
        fmt::Display::fmt(&self.content, f)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ObjectId {
    type Err = IdError;

    /// Also takes the `D` of very old repositories, which means nothing.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let rest = text.trim_start_matches('I');
        let indirection =
            u8::try_from(text.len() - rest.len()).map_err(|_| IdError::TooIndirect)?;
        let (compressed, rest) = match rest.strip_prefix('Z') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        if compressed && indirection > 0 {
            return Err(IdError::CompressedIndirect { text: excerpt(text) });
        }
        let content = rest.strip_prefix('D').unwrap_or(rest).parse()?;
        Ok(Self { content, indirection, compressed })
    }
}

super::serde_as_text!(ObjectId);

//! Ranges of content ids.

/// Which contents to visit, by the order of their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRange {
    start: Vec<u8>,
    end: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every content.
    pub fn all() -> Self {
        Self::default()
    }

    /// Contents with this prefix letter.
    pub fn prefix(letter: char) -> Self {
        let letter = u8::try_from(letter).unwrap_or(u8::MAX);
        Self { start: vec![letter], end: letter.checked_add(1).map(|next| vec![next]) }
    }

    /// Contents with any prefix letter.
    pub fn prefixed() -> Self {
        Self { start: vec![1], end: None }
    }

    /// Contents without prefix: file data.
    pub fn unprefixed() -> Self {
        Self { start: Vec::new(), end: Some(vec![1]) }
    }

    /// Contents whose id starts with this text, e.g. `m`, `k12` or `7f3`; `None` if no id can.
    pub fn text_prefix(text: &str) -> Option<Self> {
        let (letter, digits) = match text.as_bytes().first() {
            None => return Some(Self::all()),
            Some(letter @ b'g'..=b'z') => (*letter, text.get(1..)?),
            Some(_) => (0, text),
        };
        if digits.len() > 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let filled = |digit: char| -> Option<Vec<u8>> {
            let mut digits = digits.to_owned();
            if digits.len() % 2 == 1 {
                digits.push(digit);
            }
            let mut key = vec![letter];
            key.extend(hex::decode(digits).ok()?);
            Some(key)
        };
        Some(Self { start: filled('0')?, end: successor(filled('f')?) })
    }

    /// The first key that is in the range, if it exists.
    pub(crate) fn start(&self) -> &[u8] {
        &self.start
    }

    pub(crate) fn is_before_end(&self, key: &[u8]) -> bool {
        self.end.as_ref().is_none_or(|end| key < end.as_slice())
    }

    /// Whether a key is in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start.as_slice() && self.is_before_end(key)
    }
}

/// The least key above everything that starts with `key`.
fn successor(mut key: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = key.pop() {
        if let Some(next) = last.checked_add(1) {
            key.push(next);
            return Some(key);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use kopist_format::id::ContentId;
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> Vec<u8> {
        text.parse::<ContentId>().unwrap().key().to_vec()
    }

    proptest! {
        #[test]
        fn a_text_prefix_selects_what_starts_with_it(
            id in "[g-z]?([0-9a-f]{2}){16}",
            prefix in "[g-z]?[0-9a-f]{0,4}",
            take in 0_usize..33,
        ) {
            for prefix in [prefix.as_str(), &id[..take.min(id.len())]] {
                let range = KeyRange::text_prefix(prefix).unwrap();
                prop_assert_eq!(range.contains(&key(&id)), id.starts_with(prefix), "{}", prefix);
            }
        }
    }

    #[test]
    fn kinds() {
        let (data, dir, end) = (key("ff00"), key("k0000"), key("zffff"));
        assert!(KeyRange::unprefixed().contains(&data) && !KeyRange::prefixed().contains(&data));
        assert!(KeyRange::prefixed().contains(&dir) && !KeyRange::unprefixed().contains(&dir));
        assert!(KeyRange::prefix('k').contains(&dir) && !KeyRange::prefix('m').contains(&dir));
        assert!(KeyRange::all().contains(&end) && KeyRange::prefix('z').contains(&end));
        assert_eq!(KeyRange::text_prefix("é"), None);
        assert_eq!(KeyRange::text_prefix("1z"), None);
    }
}

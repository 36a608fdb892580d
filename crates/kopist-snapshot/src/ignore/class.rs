//! Character classes in patterns, such as `[:alpha:]`, by the general categories of Unicode.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// A named class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Alnum,
    Alpha,
    Ascii,
    Blank,
    Control,
    Digit,
    Graph,
    Lower,
    Print,
    Punctuation,
    Space,
    Upper,
    HexDigit,
}

impl Class {
    /// By its name, in any case.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "alnum" => Self::Alnum,
            "alpha" => Self::Alpha,
            "ascii" => Self::Ascii,
            "blank" => Self::Blank,
            "cntrl" => Self::Control,
            "digit" => Self::Digit,
            "graph" => Self::Graph,
            "lower" => Self::Lower,
            "print" => Self::Print,
            "punct" => Self::Punctuation,
            "space" => Self::Space,
            "upper" => Self::Upper,
            "xdigit" => Self::HexDigit,
            _ => return None,
        })
    }

    /// Whether a character is in the class.
    pub(super) fn has(self, c: char) -> bool {
        let category = c.general_category();
        let group = c.general_category_group();
        let letter = group == GeneralCategoryGroup::Letter;
        let digit = category == GeneralCategory::DecimalNumber;
        let mark =
            matches!(group, GeneralCategoryGroup::Punctuation | GeneralCategoryGroup::Symbol);
        let visible = letter
            || mark
            || matches!(group, GeneralCategoryGroup::Mark | GeneralCategoryGroup::Number);
        match self {
            Self::Alnum => letter || digit,
            Self::Alpha => letter,
            Self::Ascii => c.is_ascii(),
            Self::Blank => c == '\t' || category == GeneralCategory::SpaceSeparator,
            Self::Control => category == GeneralCategory::Control,
            Self::Digit => digit,
            // Go's IsGraphic has every blank, its IsPrint only the ASCII one.
            Self::Graph => visible || category == GeneralCategory::SpaceSeparator,
            Self::Print => visible || c == ' ',
            Self::Lower => category == GeneralCategory::LowercaseLetter,
            Self::Upper => category == GeneralCategory::UppercaseLetter,
            Self::Punctuation => mark,
            Self::Space => c.is_whitespace(),
            Self::HexDigit => digit || matches!(c, 'a'..='f' | 'A'..='F'),
        }
    }
}

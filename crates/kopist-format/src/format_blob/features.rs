//! Features that a repository requires of the programs that use it.

use std::fmt;

use serde::Serialize;

use crate::json::{FromGo, JsonError, Object, Unknown};

/// What this program understands; the same as kopia.
pub const SUPPORTED_FEATURES: [&str; 2] = ["index-v1", "index-v2"];

/// A feature that a repository requires.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequiredFeature {
    /// Its name.
    pub feature: String,
    /// What to do without it.
    #[serde(rename = "ifNotUnderstood")]
    pub if_not_understood: IfNotUnderstood,
    /// Keys that this program does not know.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What to do about a feature that is not understood.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IfNotUnderstood {
    /// Only warn; otherwise the repository must not be used.
    pub warn: bool,
    /// What to tell the user.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Where the user can read more.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Which version understands it.
    #[serde(rename = "upgradeToVersion", skip_serializing_if = "String::is_empty")]
    pub upgrade_to_version: String,
    /// Keys that this program does not know.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// Features that this program does not understand. `Display` is what to tell the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmetFeatures(pub Vec<RequiredFeature>);

impl fmt::Display for RequiredFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name that kopia's messages have, which users search for.
        write!(f, "This version of Kopia does not support feature '{}'.", self.feature)?;
        let hint = &self.if_not_understood;
        if !hint.message.is_empty() {
            write!(f, "\n{}", hint.message)?;
        }
        if !hint.url.is_empty() {
            write!(f, "\nSee: {}", hint.url)?;
        }
        if !hint.upgrade_to_version.is_empty() {
            write!(f, "\nPlease upgrade to version {} or newer.", hint.upgrade_to_version)?;
        }
        Ok(())
    }
}

impl fmt::Display for UnmetFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, feature) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            feature.fmt(f)?;
        }
        Ok(())
    }
}

impl FromGo for RequiredFeature {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        let mut object = Object::parse(json)?;
        let mut feature = Self::default();
        object.field("feature", &mut feature.feature)?;
        object.field("ifNotUnderstood", &mut feature.if_not_understood)?;
        feature.unknown = object.unknown();
        Ok(feature)
    }
}

impl FromGo for IfNotUnderstood {
    fn from_go(json: &str) -> Result<Self, JsonError> {
        let mut object = Object::parse(json)?;
        let mut hint = Self::default();
        object.field("warn", &mut hint.warn)?;
        object.field("message", &mut hint.message)?;
        object.field("url", &mut hint.url)?;
        object.field("upgradeToVersion", &mut hint.upgrade_to_version)?;
        hint.unknown = object.unknown();
        Ok(hint)
    }
}

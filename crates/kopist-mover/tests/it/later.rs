//! Scenarios that are not run yet, each with the reason. The walk fails when one of
//! them is unknown, so that the list cannot outlive its reasons.

/// Identifier and reason.
pub(crate) const LATER: &[(&str, &str)] = &[];

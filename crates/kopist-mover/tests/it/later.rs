//! Scenarios that are not run yet, each with the reason. The walk fails when one of
//! them is unknown, so that the list cannot outlive its reasons.

const MAINTENANCE: &str = "the library has no maintenance run yet";

/// Identifier and reason.
pub(crate) const LATER: &[(&str, &str)] = &[
    ("M01", MAINTENANCE),
    ("M02", MAINTENANCE),
    ("M04", MAINTENANCE),
    ("M05", MAINTENANCE),
    ("M07", MAINTENANCE),
    ("M11", MAINTENANCE),
    ("M13", MAINTENANCE),
    ("M14", MAINTENANCE),
    ("M16", MAINTENANCE),
];

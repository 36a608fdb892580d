//! Scenarios that are not run yet, each with the reason. The walk fails when one of
//! them is unknown, so that the list cannot outlive its reasons.

const RESTORE: &str = "the library does not write restored trees yet";
const MAINTENANCE: &str = "the library has no maintenance run yet";

/// Identifier and reason.
pub(crate) const LATER: &[(&str, &str)] = &[
    ("R01", RESTORE),
    ("R02", RESTORE),
    ("R05", RESTORE),
    ("R08", RESTORE),
    ("R10", RESTORE),
    ("R11", RESTORE),
    ("R13", RESTORE),
    ("R20", RESTORE),
    ("R23", RESTORE),
    ("R28", RESTORE),
    ("R29", RESTORE),
    ("R31", RESTORE),
    ("R32", RESTORE),
    ("R37", RESTORE),
    ("R38", RESTORE),
    ("R40", RESTORE),
    ("R41", RESTORE),
    ("R42", RESTORE),
    ("R44", RESTORE),
    ("R46", RESTORE),
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

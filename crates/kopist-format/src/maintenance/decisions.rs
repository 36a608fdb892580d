//! Which packs are rewritten or deleted.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::SafetyParameters;
use crate::pack::PackKind;

/// What happens to a blob that no index entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphan {
    /// It goes.
    Delete,
    /// It was written after maintenance began.
    TooNew,
    /// It is younger than `PackDeleteMinAge`.
    TooYoung,
    /// Its session may still write the index that names it.
    OfLiveSession,
}

/// Judges a pack or session marker that no index entry names.
///
/// `written` is the storage time of the blob, `start` that of the schedule blob which this run
/// has written, `checkpoint` the time at which the session of the blob was last known to live, if
/// there is a marker of it.
pub fn judge_unreferenced(
    written: Timestamp,
    start: Timestamp,
    checkpoint: Option<Timestamp>,
    safety: &SafetyParameters,
) -> Orphan {
    // storages that keep whole seconds only
    let cutoff = start.saturating_add(SignedDuration::from_secs(1)).unwrap_or(start);
    if written > cutoff {
        return Orphan::TooNew;
    }
    if cutoff.duration_since(written) < safety.pack_delete_min_age {
        return Orphan::TooYoung;
    }
    let alive = |time: Timestamp| cutoff.duration_since(time) < safety.session_expiration_age;
    if checkpoint.is_some_and(alive) { Orphan::OfLiveSession } else { Orphan::Delete }
}

/// The packs worth rewriting: those that hold less than 60 % of the maximum, of each kind at
/// least two, since one alone would only be copied.
///
/// `sizes` are sums of the packed lengths of all entries of each pack, deleted ones included.
pub fn short_packs<'a>(
    sizes: impl IntoIterator<Item = (&'a str, u64)>,
    max_pack_size: u64,
) -> Vec<&'a str> {
    let threshold = max_pack_size.saturating_mul(60) / 100;
    let mut short: HashMap<PackKind, Vec<&str>> = HashMap::new();
    for (name, size) in sizes {
        if let Some(kind) = PackKind::of_blob(name).filter(|_| size < threshold) {
            short.entry(kind).or_default().push(name);
        }
    }
    let mut packs: Vec<&str> =
        short.into_values().filter(|packs| packs.len() > 1).flatten().collect();
    packs.sort_unstable();
    packs
}

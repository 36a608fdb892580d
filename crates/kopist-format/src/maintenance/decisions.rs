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

/// Packs that hold less than 60 % of the maximum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShortPacks<'a> {
    /// Worth merging with the others of their kind, at least two of each.
    pub merge: Vec<&'a str>,
    /// To be left alone, unless most of them is waste.
    pub leave: Vec<&'a str>,
}

impl<'a> ShortPacks<'a> {
    /// Chooses by `sizes`, the sums of the packed lengths of all entries of each pack, deleted
    /// ones included.
    ///
    /// Kopia merges all short packs of a kind if there are two. Here one that is larger than all
    /// smaller ones together waits until it is not: whenever a byte is copied, the pack that it
    /// is in at least doubles, so that it is copied a few times in its life, however often
    /// maintenance runs.
    pub fn choose(sizes: impl IntoIterator<Item = (&'a str, u64)>, max_pack_size: u64) -> Self {
        Self::of(sizes, max_pack_size, |largest, smaller| largest <= smaller)
    }

    /// Merges all short packs of a kind if there are two, as Kopia does: for a run after which
    /// nothing is to be left to do.
    pub fn all(sizes: impl IntoIterator<Item = (&'a str, u64)>, max_pack_size: u64) -> Self {
        Self::of(sizes, max_pack_size, |_, _| true)
    }

    /// Of each kind, the largest pack is merged with all smaller ones together if `worth` says
    /// so, else left, and the next one is considered.
    fn of(
        sizes: impl IntoIterator<Item = (&'a str, u64)>,
        max_pack_size: u64,
        worth: impl Fn(u64, u64) -> bool,
    ) -> Self {
        let threshold = max_pack_size.saturating_mul(60) / 100;
        let mut short: HashMap<PackKind, Vec<(u64, &str)>> = HashMap::new();
        for (name, size) in sizes {
            if let Some(kind) = PackKind::of_blob(name).filter(|_| size < threshold) {
                short.entry(kind).or_default().push((size, name));
            }
        }
        let mut chosen = Self::default();
        for mut packs in short.into_values() {
            packs.sort_unstable();
            let mut smaller: u64 = packs.iter().map(|(size, _)| size).sum();
            while let Some((size, name)) = packs.pop() {
                smaller -= size;
                if packs.is_empty() || !worth(size, smaller) {
                    chosen.leave.push(name);
                } else {
                    chosen.merge.push(name);
                    chosen.merge.extend(packs.drain(..).map(|(_, name)| name));
                }
            }
        }
        chosen.merge.sort_unstable();
        chosen.leave.sort_unstable();
        chosen
    }
}

//! The state of the index as one listing shows it, and what maintenance may do about it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    BlobInfo, Epoch, MARKER_PREFIX, RANGE_PREFIX, SINGLE_PREFIX, UNCOMPACTED_PREFIX,
    WATERMARK_PREFIX, choose_ranges, complete_sets, epoch_of, range_of, watermark_of,
};
use crate::format_blob::EpochParameters;

/// Epochs from this far below the write epoch on are settled.
const UNSETTLED: Epoch = 2;

/// A merged index of several epochs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeSet {
    /// First epoch in it.
    pub first: Epoch,
    /// Last epoch in it.
    pub last: Epoch,
    /// Its blobs.
    pub blobs: Vec<BlobInfo>,
}

/// Which index blobs there are, sorted by what they mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EpochState {
    write_epoch: Epoch,
    watermark: Option<i64>,
    uncompacted: BTreeMap<Epoch, Vec<BlobInfo>>,
    singles: BTreeMap<Epoch, Vec<BlobInfo>>,
    ranges: Vec<RangeSet>,
    markers: Vec<BlobInfo>,
    watermarks: Vec<BlobInfo>,
}

impl EpochState {
    /// Computes the state from a listing of the prefix `x`.
    ///
    /// One listing is enough, since names sort `xe` < `xn` < `xr` < `xs`: whoever lists them in
    /// this order, or the markers first, cannot miss a blob, because an epoch that is merged while
    /// he lists has long been settled. Other blobs and names that do not parse are ignored.
    pub fn from_blobs(blobs: impl IntoIterator<Item = BlobInfo>) -> Self {
        let mut state = Self::default();
        let mut singles: BTreeMap<Epoch, Vec<BlobInfo>> = BTreeMap::new();
        let mut ranges: BTreeMap<(Epoch, Epoch), Vec<BlobInfo>> = BTreeMap::new();
        for blob in blobs {
            let epoch = epoch_of(&blob.name);
            match (blob.name.get(..2), epoch) {
                (Some(MARKER_PREFIX), Some(epoch)) => {
                    state.write_epoch = state.write_epoch.max(epoch);
                    state.markers.push(blob);
                }
                (Some(UNCOMPACTED_PREFIX), Some(epoch)) => {
                    state.uncompacted.entry(epoch).or_default().push(blob);
                }
                (Some(SINGLE_PREFIX), Some(epoch)) => {
                    singles.entry(epoch).or_default().push(blob);
                }
                (Some(RANGE_PREFIX), _) => {
                    if let Some(range) = range_of(&blob.name) {
                        ranges.entry(range).or_default().push(blob);
                    }
                }
                (Some(WATERMARK_PREFIX), _) => {
                    if let Some(seconds) = watermark_of(&blob.name) {
                        state.watermark = state.watermark.max(Some(seconds));
                        state.watermarks.push(blob);
                    }
                }
                _ => {}
            }
        }
        for (epoch, blobs) in singles {
            if let Some(set) = complete_sets(blobs).into_iter().next() {
                state.singles.insert(epoch, set);
            }
        }
        let mut complete: Vec<Option<RangeSet>> = Vec::new();
        let mut bounds = Vec::new();
        for ((first, last), blobs) in ranges {
            if let Some(blobs) = complete_sets(blobs).into_iter().next() {
                bounds.push((first, last));
                complete.push(Some(RangeSet { first, last, blobs }));
            }
        }
        state.ranges = choose_ranges(&bounds)
            .into_iter()
            .filter_map(|position| complete.get_mut(position)?.take())
            .collect();
        state
    }

    /// The epoch that sessions write to: that of the newest marker, or 0.
    pub fn write_epoch(&self) -> Epoch {
        self.write_epoch
    }

    /// Unix seconds up to which tombstones count as if there were no entry; `None` for never.
    pub fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    /// Whether nobody writes to an epoch any more.
    pub fn is_settled(&self, epoch: Epoch) -> bool {
        epoch.saturating_add(UNSETTLED) <= self.write_epoch
    }

    /// The merged indexes of many epochs that are in use: a chain from epoch 0 on.
    pub fn ranges(&self) -> &[RangeSet] {
        &self.ranges
    }

    /// The merged indexes of single epochs.
    pub fn singles(&self) -> &BTreeMap<Epoch, Vec<BlobInfo>> {
        &self.singles
    }

    /// The index blobs that sessions wrote in an epoch.
    pub fn uncompacted(&self, epoch: Epoch) -> &[BlobInfo] {
        self.uncompacted.get(&epoch).map(Vec::as_slice).unwrap_or_default()
    }

    /// The index blobs that together say what is in the repository.
    pub fn active_set(&self) -> Vec<&BlobInfo> {
        // another client may already write to the next epoch
        self.index_set(0, self.write_epoch.saturating_add(1))
    }

    /// The index blobs of the epochs `first..=last`: merged ones where there are any.
    fn index_set(&self, first: Epoch, last: Epoch) -> Vec<&BlobInfo> {
        let mut set = Vec::new();
        let mut start = first;
        for range in &self.ranges {
            if range.last > start {
                set.extend(&range.blobs);
                start = range.last.saturating_add(1);
            }
        }
        if start > last {
            return set;
        }
        let mut epochs: BTreeMap<Epoch, &[BlobInfo]> =
            self.uncompacted.range(start..=last).map(|(e, blobs)| (*e, &blobs[..])).collect();
        for (epoch, blobs) in self.singles.range(start..=last) {
            // an epoch that is still written to has more than was merged
            if self.is_settled(*epoch) {
                epochs.insert(*epoch, blobs);
            }
        }
        set.extend(epochs.into_values().flatten());
        set
    }

    /// Whether maintenance should begin the next epoch now.
    pub fn should_advance(&self, thresholds: &AdvanceThresholds) -> bool {
        should_advance(self.uncompacted(self.write_epoch), thresholds)
    }

    /// The lowest epoch that is neither merged itself nor in a range.
    pub fn oldest_uncompacted(&self) -> Epoch {
        let mut epoch = self.first_after_ranges();
        while self.singles.contains_key(&epoch) {
            epoch = epoch.saturating_add(1);
        }
        epoch
    }

    /// The epoch to merge now, with the blobs to merge: the oldest one, if it is settled.
    ///
    /// An epoch without blobs is given, too: there is nothing to write for it, and it stays the
    /// candidate until a range covers it.
    pub fn single_candidate(&self) -> Option<(Epoch, &[BlobInfo])> {
        let epoch = self.oldest_uncompacted();
        self.is_settled(epoch).then(|| (epoch, self.uncompacted(epoch)))
    }

    /// The epochs `first..=last` to merge into one range now, with the blobs to merge: all settled
    /// ones behind the last range, if there are more than `frequency` of them
    /// (`FullCheckpointFrequency`).
    pub fn range_candidate(&self, frequency: u64) -> Option<(Epoch, Epoch, Vec<&BlobInfo>)> {
        let last = self.write_epoch.checked_sub(UNSETTLED)?;
        let first = self.first_after_ranges();
        let due = last.checked_sub(first).is_some_and(|behind| behind >= frequency);
        due.then(|| (first, last, self.index_set(first, last)))
    }

    fn first_after_ranges(&self) -> Epoch {
        self.ranges.last().map_or(0, |range| range.last.saturating_add(1))
    }

    /// When the storage last saw an index written, by its own clock; `None` if no recent index
    /// tells, and then nothing may be cleaned up.
    pub fn storage_time(&self) -> Option<Timestamp> {
        let recent = self.write_epoch.saturating_sub(1)..=self.write_epoch.saturating_add(1);
        self.uncompacted.range(recent).flat_map(|(_, blobs)| blobs).map(|b| b.timestamp).max()
    }

    /// Blobs must be replaced for longer than this before they go: `CleanupSafetyMargin` before
    /// [`storage_time`](Self::storage_time).
    pub fn max_replacement_time(&self, margin: SignedDuration) -> Option<Timestamp> {
        self.storage_time()?.checked_sub(margin).ok()
    }

    /// Epoch markers that nobody needs any more: those below the epoch before the current one.
    /// None as long as [`storage_time`](Self::storage_time) is unknown.
    pub fn obsolete_markers(&self) -> Vec<&BlobInfo> {
        if self.storage_time().is_none() {
            return Vec::new();
        }
        let keep_from = self.write_epoch.saturating_sub(1);
        let obsolete = |blob: &&BlobInfo| epoch_of(&blob.name).is_some_and(|e| e < keep_from);
        self.markers.iter().filter(obsolete).collect()
    }

    /// Watermarks that a later one replaced long enough ago.
    pub fn obsolete_watermarks(&self, margin: SignedDuration) -> Vec<&BlobInfo> {
        let Some(limit) = self.max_replacement_time(margin) else { return Vec::new() };
        let obsolete =
            |blob: &&BlobInfo| watermark_of(&blob.name) != self.watermark && blob.timestamp < limit;
        self.watermarks.iter().filter(obsolete).collect()
    }

    /// Index blobs of sessions whose epoch has been merged long enough ago for every client to
    /// know.
    ///
    /// The state must come from a listing of all `xn` blobs. Kopia does not ask whether the epoch
    /// is settled; here it has to be, since readers do not use the merged index before.
    pub fn superseded_indexes(&self, margin: SignedDuration) -> Vec<&BlobInfo> {
        let Some(limit) = self.max_replacement_time(margin) else { return Vec::new() };
        let merged_early = |epoch: Epoch| {
            let newest = self.singles.get(&epoch)?.iter().map(|blob| blob.timestamp).max()?;
            Some(newest < limit)
        };
        self.uncompacted
            .iter()
            .filter(|(epoch, _)| self.is_settled(**epoch) && merged_early(**epoch) == Some(true))
            .flat_map(|(_, blobs)| blobs)
            .collect()
    }
}

/// When an epoch ends; three of the epoch parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdvanceThresholds {
    /// `MinEpochDuration`.
    pub min_duration: SignedDuration,
    /// `EpochAdvanceOnCountThreshold`.
    pub count: usize,
    /// `EpochAdvanceOnTotalSizeBytesThreshold`.
    pub total_size: u64,
}

impl From<&EpochParameters> for AdvanceThresholds {
    /// Negative numbers, which no valid parameters have, are reached at once, as in kopia.
    fn from(parameters: &EpochParameters) -> Self {
        Self {
            min_duration: parameters.min_epoch_duration,
            count: usize::try_from(parameters.epoch_advance_on_count_threshold).unwrap_or(0),
            total_size: u64::try_from(parameters.epoch_advance_on_total_size_bytes_threshold)
                .unwrap_or(0),
        }
    }
}

/// Whether an epoch with these index blobs should end: the first and the last are far enough
/// apart by the clock of the storage, and there are enough of them or they weigh enough.
pub fn should_advance(blobs: &[BlobInfo], thresholds: &AdvanceThresholds) -> bool {
    let times = || blobs.iter().map(|blob| blob.timestamp);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return false };
    let total = blobs.iter().fold(0_u64, |sum, blob| sum.saturating_add(blob.length));
    last.duration_since(first) >= thresholds.min_duration
        && (blobs.len() >= thresholds.count || total >= thresholds.total_size)
}

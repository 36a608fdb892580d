//! Names of the blobs of the epoch manager.

use super::Epoch;
use crate::session::SessionId;

/// All blobs of the epoch manager.
pub const EPOCH_PREFIX: &str = "x";
/// Epoch markers.
pub const MARKER_PREFIX: &str = "xe";
/// Index blobs as sessions write them.
pub const UNCOMPACTED_PREFIX: &str = "xn";
/// Merged indexes of many epochs.
pub const RANGE_PREFIX: &str = "xr";
/// Merged indexes of one epoch.
pub const SINGLE_PREFIX: &str = "xs";
/// Deletion watermarks.
pub const WATERMARK_PREFIX: &str = "xw";

/// What an epoch marker holds, in plain text.
pub const EPOCH_MARKER_BODY: &[u8] = b"epoch-marker";
/// What a deletion watermark holds, in plain text.
pub const DELETION_WATERMARK_BODY: &[u8] = b"deletion-watermark";

/// Begin of the names of index blobs that sessions write in an epoch: `xn<E>_`.
pub fn uncompacted_prefix(epoch: Epoch) -> String {
    format!("{UNCOMPACTED_PREFIX}{epoch}_")
}

/// Begin of the names of the merged index of an epoch: `xs<E>_`.
pub fn single_prefix(epoch: Epoch) -> String {
    format!("{SINGLE_PREFIX}{epoch}_")
}

/// Begin of the names of the merged index of epochs `first..=last`: `xr<A>_<B>_`.
pub fn range_prefix(first: Epoch, last: Epoch) -> String {
    format!("{RANGE_PREFIX}{first}_{last}_")
}

/// The marker that begins an epoch: `xe<E>`.
pub fn marker_name(epoch: Epoch) -> String {
    format!("{MARKER_PREFIX}{epoch}")
}

/// The watermark at a time in Unix seconds: `xw<seconds>`.
pub fn watermark_name(seconds: i64) -> String {
    format!("{WATERMARK_PREFIX}{seconds}")
}

/// What follows `<prefix><hash>-` in the names of the index blobs of a session: `<session>-c<n>`.
pub fn session_suffix(session: &SessionId, count: usize) -> String {
    format!("{session}-c{count}")
}

/// The same for the outputs of a compaction: `s<16 random digits>-c<n>`.
pub fn compaction_suffix(random: [u8; 8], count: usize) -> String {
    format!("s{}-c{count}", hex::encode(random))
}

/// The epoch in the name of a blob: the number before the first `_`. `None` if there is none.
pub fn epoch_of(name: &str) -> Option<Epoch> {
    number(name.split('_').next()?)
}

/// The epochs `first..=last` in the name of a merged index of many epochs.
///
/// Kopia would also take a range that ends before it begins, and then never finish looking for a
/// chain; such a name is none here.
pub fn range_of(name: &str) -> Option<(Epoch, Epoch)> {
    let mut parts = name.split('_');
    let (first, last) = (parts.next()?, parts.next()?);
    parts.next()?; // the hash
    let first = number(first)?;
    let last = last.parse::<i64>().ok().and_then(|last| Epoch::try_from(last).ok())?;
    (first <= last).then_some((first, last))
}

/// The time in the name of a deletion watermark, in Unix seconds.
pub fn watermark_of(name: &str) -> Option<i64> {
    name.strip_prefix(WATERMARK_PREFIX).unwrap_or(name).parse().ok()
}

/// Decimal digits up to the end, after anything that is no digit; 63 bits, as in Go.
fn number(text: &str) -> Option<Epoch> {
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse::<i64>().ok().and_then(|number| Epoch::try_from(number).ok())
}

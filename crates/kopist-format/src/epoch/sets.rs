//! Sets of blobs that count only together, and chains of ranges.

use std::collections::{BTreeMap, HashMap};

use super::{BlobInfo, Epoch};

/// The complete sets among blobs, in the order in which they become complete.
///
/// A name `<any>-s<set>-c<count>` belongs to a set, which is complete with `count` members; every
/// other name is a set of its own.
pub fn complete_sets(blobs: impl IntoIterator<Item = BlobInfo>) -> Vec<Vec<BlobInfo>> {
    let mut complete = Vec::new();
    let mut growing: HashMap<String, Vec<BlobInfo>> = HashMap::new();
    for blob in blobs {
        let Some((set, count)) = set_of(&blob.name) else {
            complete.push(vec![blob]);
            continue;
        };
        let members = growing.entry(set.to_owned()).or_default();
        members.push(blob);
        if i64::try_from(members.len()) == Ok(count) {
            complete.push(members.clone());
        }
    }
    complete
}

/// Name of the set, and number of its members.
fn set_of(name: &str) -> Option<(&str, i64)> {
    let mut parts = name.split('-').skip(1);
    let (set, count) = (parts.next()?, parts.next()?);
    Some((set.strip_prefix('s').map(|_| set)?, count.strip_prefix('c')?.parse().ok()?))
}

/// Chooses among ranges of epochs those that together reach from epoch 0 as far as possible, with
/// as few ranges as possible; the positions of the chosen ones in `ranges`, in ascending order.
///
/// Each begins where the one before it ends. Epoch 0 alone is not worth a range: kopia ignores a
/// chain that ends there. Of equally good choices the first counts; since all ranges are made of
/// the same entries, it does not matter which.
pub fn choose_ranges(ranges: &[(Epoch, Epoch)]) -> Vec<usize> {
    /// The best chain from an epoch on.
    #[derive(Clone, Copy)]
    struct Chain {
        end: Epoch,
        length: usize,
        first: usize,
    }
    let mut starts: BTreeMap<Epoch, Vec<usize>> = BTreeMap::new();
    for (position, (first, last)) in ranges.iter().enumerate() {
        if first <= last {
            starts.entry(*first).or_default().push(position);
        }
    }
    // a chain goes on behind its first range, so those further behind are known already
    let mut best: HashMap<Epoch, Chain> = HashMap::new();
    for (start, positions) in starts.iter().rev() {
        let mut chosen: Option<Chain> = None;
        for &first in positions {
            let Some(&(_, last)) = ranges.get(first) else { continue };
            let chain = match best.get(&last.saturating_add(1)) {
                Some(rest) => Chain { end: rest.end, length: rest.length + 1, first },
                None => Chain { end: last, length: 1, first },
            };
            let better = chosen.is_none_or(|chosen| {
                chain.end > chosen.end || (chain.end == chosen.end && chain.length < chosen.length)
            });
            if better && chain.end > 0 {
                chosen = Some(chain);
            }
        }
        if let Some(chosen) = chosen {
            best.insert(*start, chosen);
        }
    }
    let mut chain = Vec::new();
    let mut start = 0;
    while let Some(link) = best.get(&start) {
        chain.push(link.first);
        match ranges.get(link.first) {
            Some((_, last)) => start = last.saturating_add(1),
            None => break,
        }
    }
    chain
}

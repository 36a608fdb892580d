//! The cache: where, and how large it may grow.
//!
//! A volume that overflows gets the pod evicted, so the limits always leave room:
//! contents, metadata, indexes and logs together stay within 90 % of the capacity,
//! whatever the given limits say. Kopia's own defaults (5 GB and 5 GB) would not.

use std::path::{Path, PathBuf};

use super::error::Findings;
use super::values;
use crate::env::Env;
use crate::probe::Probe;

/// Capacity assumed when the operator gives none.
pub const DEFAULT_CAPACITY: u64 = 8 << 30;
/// Kopia's megabyte in these settings.
const MEGABYTE: u64 = 1_000_000;

/// The cache of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachePlan {
    /// Container path.
    pub dir: PathBuf,
    /// Bytes that the volume is said to have.
    pub capacity: u64,
    /// Limit of cached contents, bytes.
    pub content_limit: u64,
    /// Limit of cached metadata, bytes.
    pub metadata_limit: u64,
    /// Empty the cache first.
    pub rebuild: bool,
}

/// Limits from elsewhere than the environment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OtherLimits {
    /// `caching.maxCacheSize` of a configuration, bytes.
    pub(super) total: Option<u64>,
    /// Additional argument, megabytes.
    pub(super) metadata_mb: Option<u64>,
    /// Additional argument, megabytes.
    pub(super) content_mb: Option<u64>,
}

/// Decides place and limits.
pub(super) fn cache(
    env: &Env,
    probe: &dyn Probe,
    other: OtherLimits,
    findings: &mut Findings,
) -> CachePlan {
    let dir = PathBuf::from(directory(env, findings));
    let given =
        values::lenient_number(env, "KOPIA_CACHE_CAPACITY_BYTES", "cache capacity", findings);
    let stated = given.filter(|bytes| *bytes > 0).unwrap_or(DEFAULT_CAPACITY);
    let capacity = volume_of(&dir, probe).map_or(stated, |volume| volume.min(stated));
    let limit = |name, what, findings: &mut Findings| {
        values::lenient_number(env, name, what, findings).filter(|limit| *limit > 0)
    };
    let metadata =
        limit("KOPIA_METADATA_CACHE_SIZE_LIMIT_MB", "metadata cache size limit", findings);
    let content = limit("KOPIA_CONTENT_CACHE_SIZE_LIMIT_MB", "content cache size limit", findings);
    let bytes = |argument: Option<u64>, variable: Option<u64>| {
        argument
            .filter(|limit| *limit > 0)
            .or(variable)
            .map(|megabytes| megabytes.saturating_mul(MEGABYTE))
    };
    let (metadata_limit, content_limit) = fit(
        capacity,
        bytes(other.metadata_mb, metadata),
        bytes(other.content_mb, content),
        other.total,
    );
    CachePlan {
        dir,
        capacity,
        content_limit,
        metadata_limit,
        rebuild: values::switch(env, "KOPIA_FORCE_CACHE_REBUILD", false, findings),
    }
}

/// The name that the operator uses, then the names that its first releases used.
fn directory<'e>(env: &'e Env, findings: &mut Findings) -> &'e str {
    const NAMES: [&str; 3] = ["KOPIA_CACHE_DIR", "KOPIA_CACHE_DIRECTORY", "CACHE_DIR"];
    match env.first(&NAMES) {
        Some((name, dir)) => {
            if name != NAMES[0] {
                findings.former(name, "the cache is there");
            }
            dir
        }
        None => "/cache",
    }
}

fn volume_of(dir: &Path, probe: &dyn Probe) -> Option<u64> {
    probe.volume_bytes(dir).filter(|bytes| *bytes > 0)
}

/// Metadata and content limits in bytes.
///
/// 80 % of the capacity is theirs, 10 % is left to indexes and logs, 10 % to the
/// volume. Without any limit three quarters go to metadata, which every run reads,
/// and one to contents, which only restores read again.
fn fit(
    capacity: u64,
    metadata: Option<u64>,
    content: Option<u64>,
    total: Option<u64>,
) -> (u64, u64) {
    let available = capacity / 10 * 8;
    let budget = total.map_or(available, |total| total.min(available));
    let metadata = metadata.unwrap_or(budget / 4 * 3);
    let content = content.unwrap_or(budget / 4);
    let wanted = u128::from(metadata) + u128::from(content);
    if wanted <= u128::from(budget) {
        return (metadata, content);
    }
    let share = |part: u64| {
        let share = u128::from(part) * u128::from(budget) / wanted;
        u64::try_from(share).unwrap_or(budget)
    };
    (share(metadata), share(content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::FakeProbe;

    const GIB: u64 = 1 << 30;

    #[test]
    fn limits_always_fit_the_volume() {
        for capacity in [0, 1, 1 << 20, 100 << 20, GIB, 8 * GIB, u64::MAX] {
            for metadata in [None, Some(0), Some(5_000_000_000), Some(u64::MAX)] {
                for content in [None, Some(1_000_000), Some(u64::MAX)] {
                    for total in [None, Some(1_000_000), Some(u64::MAX)] {
                        let (m, c) = fit(capacity, metadata, content, total);
                        assert!(
                            m.checked_add(c).unwrap() <= capacity / 10 * 8,
                            "{capacity} {metadata:?} {content:?} {total:?}: {m} + {c}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn given_limits_hold_when_they_fit() {
        assert_eq!(fit(8 * GIB, Some(700), Some(200), None), (700, 200));
        let (metadata, content) = fit(GIB, None, None, None);
        assert!(metadata > content && content > 0);
    }

    #[test]
    fn the_smaller_of_volume_and_capacity_counts() {
        let env: Env = [("KOPIA_CACHE_CAPACITY_BYTES", "8589934592")].into_iter().collect();
        let probe = FakeProbe { volume: Some(GIB), ..FakeProbe::default() };
        let mut findings = Findings::default();
        let plan = cache(&env, &probe, OtherLimits::default(), &mut findings);
        assert_eq!((plan.capacity, plan.dir.to_str()), (GIB, Some("/cache")));
        assert!(findings.notices.is_empty());
    }

    #[test]
    fn limits_that_are_no_numbers_are_remarked_upon() {
        let env: Env = [
            ("KOPIA_METADATA_CACHE_SIZE_LIMIT_MB", "abc"),
            ("KOPIA_CONTENT_CACHE_SIZE_LIMIT_MB", "-1"),
        ]
        .into_iter()
        .collect();
        let mut findings = Findings::default();
        cache(&env, &FakeProbe::default(), OtherLimits::default(), &mut findings);
        let notices: Vec<_> = findings.notices.iter().map(|n| n.0.as_str()).collect();
        assert!(notices[0].starts_with("WARNING: Invalid metadata cache size limit 'abc'"));
        assert!(notices[1].starts_with("WARNING: Invalid content cache size limit '-1'"));
        assert!(findings.errors.is_empty());
    }
}

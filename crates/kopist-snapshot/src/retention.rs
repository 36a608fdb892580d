//! Retention: which snapshots of one source are kept, and why.
//!
//! Snapshots are visited from the newest; each may earn reasons such as `daily-3`. One without
//! reasons and without pins is expired. The rules have corners that decide what is deleted, so
//! they are followed to the letter (`kopia:snapshot/policy/retention_policy.go`): all periods
//! share one set of keys (so that month `2024-02` occupies week 02), keys are in UTC except the
//! ISO week, and the cutoffs are calendar arithmetic in the local zone.

use std::collections::{HashMap, HashSet};

use jiff::civil::ISOWeekDate;
use jiff::tz::TimeZone;
use kopist_format::directory::UtcNanos;
use kopist_format::snapshot::SnapshotManifest;

use crate::policy::Retention;

/// What retention needs to know about a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When the run began.
    pub start: UtcNanos,
    /// When it ended.
    pub end: UtcNanos,
    /// Whether it went to its end.
    pub complete: bool,
}

impl From<&SnapshotManifest> for Moment {
    fn from(manifest: &SnapshotManifest) -> Self {
        Self {
            start: manifest.start_time,
            end: manifest.end_time,
            complete: manifest.is_complete(),
        }
    }
}

/// Incomplete snapshots younger than this, counted from the newest snapshot, are kept.
const KEEP_INCOMPLETE_YOUNGER: i128 = 4 * HOUR;
/// At least as many incomplete snapshots are kept.
const KEEP_INCOMPLETE: usize = 3;
const HOUR: i128 = 3600 * 1_000_000_000;

/// The reasons to keep each snapshot of one source, in the order given.
///
/// `zone` is the local time zone of whoever decides.
#[must_use]
pub fn reasons(snapshots: &[Moment], policy: &Retention, zone: &TimeZone) -> Vec<Vec<String>> {
    let mut order: Vec<usize> = (0..snapshots.len()).collect();
    order.sort_by_key(|index| {
        let moment = &snapshots[*index];
        // A complete snapshot is newer than a checkpoint of the same moment.
        std::cmp::Reverse((moment.start, moment.end, moment.complete))
    });
    let mut reasons = vec![Vec::new(); snapshots.len()];
    let newest = snapshots.iter().map(|moment| moment.start).max();
    let complete = snapshots.iter().filter(|moment| moment.complete);
    if let Some(base) = complete.map(|moment| moment.start).max() {
        let mut counter = Counter::new(policy, base, zone);
        for (position, index) in order.iter().enumerate() {
            let moment = &snapshots[*index];
            if moment.complete {
                reasons[*index] = counter.reasons(position, moment.start, zone);
            }
        }
    }
    for (position, index) in order.iter().enumerate() {
        let moment = &snapshots[*index];
        let age = newest.map_or(0, |newest| i128::from(newest.0) - i128::from(moment.start.0));
        if moment.complete || (age >= KEEP_INCOMPLETE_YOUNGER && position >= KEEP_INCOMPLETE) {
            break;
        }
        reasons[*index].push("incomplete".to_owned());
    }
    reasons
}

/// The kinds of reasons in the order in which they are tried. The last number is their place in
/// what is shown.
const KINDS: [(&str, usize); 6] =
    [("latest", 0), ("annual", 5), ("monthly", 4), ("weekly", 3), ("daily", 2), ("hourly", 1)];

struct Counter {
    /// How many of each kind, and the earliest start that counts.
    limits: [Option<(i64, i128)>; 6],
    counts: [i64; 6],
    seen: HashSet<String>,
}

impl Counter {
    fn new(policy: &Retention, base: UtcNanos, zone: &TimeZone) -> Self {
        let ago =
            |years: i64, months: i64, days: i64| calendar_ago(base, years, months, days, zone);
        let counts = [
            policy.keep_latest,
            policy.keep_annual,
            policy.keep_monthly,
            policy.keep_weekly,
            policy.keep_daily,
            policy.keep_hourly,
        ];
        // Nothing set at all means that everything is kept.
        let sum: i128 = counts.iter().flatten().map(|count| i128::from(*count)).sum();
        let latest = if sum == 0 { Some(i64::MAX) } else { policy.keep_latest };
        let limits = [
            latest.map(|count| (count, i128::MIN)),
            policy.keep_annual.map(|count| (count, ago(count, 0, 0))),
            policy.keep_monthly.map(|count| (count, ago(0, count, 0))),
            policy.keep_weekly.map(|count| (count, ago(0, 0, count.saturating_mul(7)))),
            policy.keep_daily.map(|count| (count, ago(0, 0, count))),
            policy.keep_hourly.map(|count| (count, i128::from(base.0) - i128::from(count) * HOUR)),
        ];
        Self { limits, counts: [0; 6], seen: HashSet::new() }
    }

    fn reasons(&mut self, position: usize, start: UtcNanos, zone: &TimeZone) -> Vec<String> {
        let utc = start.to_string();
        let week: ISOWeekDate = start.to_timestamp().to_zoned(zone.clone()).date().iso_week_date();
        let keys = [
            position.to_string(),
            utc[..4].to_owned(),
            utc[..7].to_owned(),
            format!("{:04}-{:02}", week.year(), week.week()),
            utc[..10].to_owned(),
            utc[..13].replace('T', " "),
        ];
        let mut found: [Option<String>; 6] = Default::default();
        for (kind, key) in keys.into_iter().enumerate() {
            let Some((limit, cutoff)) = self.limits[kind] else { continue };
            if i128::from(start.0) < cutoff || self.seen.contains(&key) {
                continue;
            }
            if self.counts[kind] < limit {
                self.seen.insert(key);
                self.counts[kind] += 1;
                let (name, place) = KINDS[kind];
                found[place] = Some(format!("{name}-{}", self.counts[kind]));
            }
        }
        found.into_iter().flatten().collect()
    }
}

/// The same wall clock some years, months and days before, in nanoseconds since the epoch.
///
/// Days that do not exist overflow into the next month, and wall clocks that do not exist or
/// exist twice are resolved as Go does.
fn calendar_ago(base: UtcNanos, years: i64, months: i64, days: i64, zone: &TimeZone) -> i128 {
    // Far enough to be before everything, near enough not to overflow.
    const MOST: i64 = 4_000_000;
    let [years, months, days] = [years, months, days].map(|count| count.clamp(-MOST, MOST));
    let local = base.to_timestamp().to_zoned(zone.clone()).datetime();
    let month = i64::from(local.year() - 1970) * 12 + i64::from(local.month()) - 1;
    let month = month - years * 12 - months;
    let day = first_day_of_month(month) + i64::from(local.day()) - 1 - days;
    let clock =
        i64::from(local.hour()) * 3600 + i64::from(local.minute()) * 60 + i64::from(local.second());
    let wall = day * 86_400 + clock;
    // The offset is looked up as if the wall clock were UTC, and then once more at the instant
    // that this gives.
    let mut seconds = wall;
    let first = offset_at(wall, zone);
    if first != 0 {
        seconds = wall - offset_at(wall - first, zone);
    }
    i128::from(seconds) * 1_000_000_000 + i128::from(local.subsec_nanosecond())
}

fn offset_at(seconds: i64, zone: &TimeZone) -> i64 {
    let (least, most) = (jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    let instant = jiff::Timestamp::from_second(seconds.clamp(least, most)).unwrap_or_default();
    i64::from(zone.to_offset(instant).seconds())
}

/// Days from the epoch to the first day of a month, counted in months from January 1970.
fn first_day_of_month(month: i64) -> i64 {
    let year = 1970 + month.div_euclid(12);
    let month = month.rem_euclid(12) as usize;
    let before_year = |year: i64| {
        let year = year - 1;
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400)
    };
    let leap = before_year(year + 1) - before_year(year) == 366;
    let before_month = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month];
    before_year(year) - before_year(1970) + before_month + i64::from(leap && month > 1)
}

/// Reasons of several snapshots in one line: grouped, with runs such as `latest-1..3`.
#[must_use]
pub fn compact_reasons(reasons: &[String]) -> Vec<String> {
    let mut numbers: HashMap<&str, Vec<i64>> = HashMap::new();
    let mut out = Vec::new();
    for reason in reasons {
        let (prefix, suffix) = split_reason(reason);
        match suffix.parse() {
            Ok(number) => numbers.entry(prefix).or_default().push(number),
            Err(_) => out.push(reason.clone()),
        }
    }
    for (prefix, mut list) in numbers {
        list.sort_unstable();
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for number in list {
            match runs.last_mut() {
                Some((_, end)) if number == *end + 1 => *end = number,
                _ => runs.push((number, number)),
            }
        }
        out.extend(runs.into_iter().map(|(first, last)| {
            if first == last {
                format!("{prefix}-{first}")
            } else {
                format!("{prefix}-{first}..{last}")
            }
        }));
    }
    let place = |prefix: &str| {
        let order = ["latest", "hourly", "daily", "weekly", "monthly", "annual"];
        order.iter().position(|name| *name == prefix).map_or(0, |place| place + 1)
    };
    out.sort_by(|a, b| {
        let (a, b) = (split_reason(a), split_reason(b));
        (place(a.0), a.0, a.1).cmp(&(place(b.0), b.0, b.1))
    });
    out
}

fn split_reason(reason: &str) -> (&str, &str) {
    reason.rsplit_once('-').unwrap_or((reason, ""))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct File {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        tz: String,
        policy: Retention,
        snapshots: Vec<Snapshot>,
        reasons: BTreeMap<String, Vec<String>>,
        delete: Vec<String>,
    }

    #[derive(Deserialize)]
    struct Snapshot {
        id: String,
        start: UtcNanos,
        end: Option<UtcNanos>,
        #[serde(default)]
        incomplete: String,
        #[serde(default)]
        pins: Vec<String>,
    }

    #[test]
    fn every_decision_of_kopia() {
        let file: File = kopist_testkit::vectors::load("retention");
        assert_eq!(file.cases.len(), 135);
        for case in file.cases {
            let zone = TimeZone::get(&case.tz).unwrap();
            let moments: Vec<Moment> = case
                .snapshots
                .iter()
                .map(|snapshot| Moment {
                    start: snapshot.start,
                    end: snapshot.end.unwrap_or(snapshot.start),
                    complete: snapshot.incomplete.is_empty(),
                })
                .collect();
            let found = reasons(&moments, &case.policy, &zone);
            let mut kept = BTreeMap::new();
            let mut deleted = Vec::new();
            for (snapshot, reasons) in case.snapshots.iter().zip(found) {
                if reasons.is_empty() && snapshot.pins.is_empty() {
                    deleted.push(snapshot.id.clone());
                }
                if !reasons.is_empty() {
                    kept.insert(snapshot.id.clone(), reasons);
                }
            }
            deleted.sort();
            assert_eq!(kept, case.reasons, "{} in {}", case.name, case.tz);
            assert_eq!(deleted, case.delete, "{}", case.name);
        }
    }

    #[test]
    fn runs_are_compacted() {
        let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            compact_reasons(&list("daily-2 latest-2 latest-1 latest-4 incomplete daily-10")),
            list("incomplete latest-1..2 latest-4 daily-10 daily-2")
        );
    }

    fn moments() -> impl Strategy<Value = Vec<Moment>> {
        proptest::collection::vec((0i64..4_000_000_000, 0i64..100_000, any::<bool>()), 0..60)
            .prop_map(|items| {
                items
                    .into_iter()
                    .map(|(start, length, complete)| Moment {
                        start: UtcNanos::from_unix(start, 0),
                        end: UtcNanos::from_unix(start + length, 0),
                        complete,
                    })
                    .collect()
            })
    }

    fn counts() -> impl Strategy<Value = Retention> {
        any::<[Option<u8>; 6]>().prop_map(|counts| {
            let count = |index: usize| counts[index].map(|count| i64::from(count % 20));
            Retention {
                keep_latest: count(0),
                keep_hourly: count(1),
                keep_daily: count(2),
                keep_weekly: count(3),
                keep_monthly: count(4),
                keep_annual: count(5),
                ..Default::default()
            }
        })
    }

    proptest! {
        /// The newest complete snapshot survives whatever any policy says.
        #[test]
        fn the_newest_complete_one_is_kept(moments in moments(), policy in counts()) {
            let found = reasons(&moments, &policy, &TimeZone::UTC);
            let newest = (0..moments.len()).filter(|i| moments[*i].complete).max_by_key(|i| (moments[*i].start, moments[*i].end));
            let keeps_some = [policy.keep_latest, policy.keep_hourly, policy.keep_daily, policy.keep_weekly, policy.keep_monthly, policy.keep_annual];
            let positive = keeps_some.iter().flatten().any(|count| *count > 0);
            let all_zero = keeps_some.iter().flatten().all(|count| *count == 0);
            // `latest` looks at the position among all snapshots, but counts complete ones only.
            if let Some(newest) = newest && (positive || all_zero) {
                prop_assert!(!found[newest].is_empty());
            }
        }

        /// The order in which snapshots are listed does not matter.
        #[test]
        fn order_does_not_matter((moments, shuffled) in moments().prop_flat_map(|m| {
            let mut unique = m;
            unique.sort_by_key(|moment| (moment.start, moment.end));
            unique.dedup_by_key(|moment| (moment.start, moment.end));
            (Just(unique.clone()), Just(unique).prop_shuffle())
        }), policy in counts()) {
            let zone = TimeZone::get("Pacific/Apia").unwrap();
            let a = reasons(&moments, &policy, &zone);
            let b = reasons(&shuffled, &policy, &zone);
            for (moment, reason) in shuffled.iter().zip(&b) {
                let index = moments.iter().position(|other| other == moment).unwrap();
                prop_assert_eq!(&a[index], reason);
            }
        }

        /// Years far away neither overflow nor panic.
        #[test]
        fn any_count_is_survived(count in any::<i64>(), moments in moments()) {
            let policy = Retention { keep_annual: Some(count), keep_monthly: Some(count), keep_weekly: Some(count), keep_daily: Some(count), keep_hourly: Some(count), ..Default::default() };
            let _ = reasons(&moments, &policy, &TimeZone::get("Australia/Lord_Howe").unwrap());
        }
    }
}

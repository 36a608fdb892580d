//! Packs that are not full, together.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use kopist_blob::BlobId;
use kopist_format::{
    index::EntryRef,
    maintenance::{SafetyParameters, ShortPacks},
    pack::PackKind,
};
use parking_lot::Mutex;

use super::{Around, RewriteStats};
use crate::{
    content::{ContentInfo, PlanOptions},
    error::{Result, Unreadable},
    index::{IndexView, KeyRange},
    repository::Repository,
    util::parallel_map,
    writer::RepositoryWriter,
};

/// Contents in memory at once.
const BATCH: usize = 500_000;

/// How short packs are rewritten.
#[derive(Debug, Clone, Copy)]
pub struct RewriteOptions {
    /// Only metadata packs (`q`).
    pub metadata_only: bool,
    /// All short packs at once, also those that could wait for others.
    pub all: bool,
    /// The time.
    pub now: Timestamp,
    /// Younger contents stay where they are.
    pub min_age: SignedDuration,
    /// Reads at once.
    pub parallelism: usize,
    /// Only count.
    pub dry_run: bool,
}

impl RewriteOptions {
    /// Everything, with the margins of `safety`.
    pub fn new(now: Timestamp, safety: &SafetyParameters) -> Self {
        Self {
            metadata_only: false,
            // Who allows deletion at once wants to see room.
            all: safety.min_rewrite_to_orphan_deletion_delay.is_zero(),
            now,
            min_age: safety.rewrite_min_age,
            parallelism: 4,
            dry_run: false,
        }
    }
}

#[derive(Default)]
struct PackUse {
    bytes: u64,
    live: usize,
}

/// Writes the contents of short packs into new packs and makes that visible; the old packs are
/// then unreferenced and wait for [`delete_unreferenced_packs`](super::delete_unreferenced_packs).
///
/// A pack is short if its entries take less than 60 % of a full one. Which of the short ones are
/// merged is told by [`ShortPacks`]; besides, one is rewritten when most of it is waste. Two more
/// things differ from Kopia, without which data of small repositories would wander from pack to
/// pack for ever instead of being dropped: deleted contents stay where they are, and the others
/// keep their age (their timestamps grow by one second). All of this is safe, since a pack stays
/// as long as an entry names it.
///
/// A content that is damaged stays where it is.
pub fn rewrite_short_packs(
    writer: &RepositoryWriter,
    options: &RewriteOptions,
) -> Result<Around<RewriteStats>> {
    let repo = writer.repository();
    repo.refresh()?;
    let view = repo.index();
    let mut packs: HashMap<String, PackUse> = HashMap::new();
    visit(&view, options, &mut |entry| {
        let pack = match packs.get_mut(entry.pack) {
            Some(pack) => pack,
            None => packs.entry(entry.pack.to_owned()).or_default(),
        };
        pack.bytes += u64::from(entry.packed_length);
        pack.live += usize::from(!entry.deleted);
        Ok(())
    })?;
    let sizes = packs.iter().filter(|(_, used)| used.live > 0);
    let sizes = sizes.map(|(name, used)| (name.as_str(), used.bytes));
    let max_pack_size = repo.parameters().max_pack_size as u64;
    let chosen = if options.all {
        ShortPacks::all(sizes, max_pack_size)
    } else {
        ShortPacks::choose(sizes, max_pack_size)
    };
    let ShortPacks { merge: mut short, leave } = chosen;
    for pack in leave {
        let used = packs.get(pack).map_or(0, |used| used.bytes);
        if is_mostly_waste(repo, pack, used)? {
            short.push(pack);
        }
    }

    let stats = Mutex::new(RewriteStats {
        to_rewrite_content_count: 0,
        to_rewrite_content_size: 0,
        rewritten_content_count: 0,
        rewritten_content_size: 0,
        retained_content_count: 0,
        retained_content_size: 0,
    });
    let unreadable = Mutex::default();
    let mut rest = short.as_slice();
    while !rest.is_empty() {
        let mut contents = 0;
        let count = rest
            .iter()
            .take_while(|name| {
                let fits = contents < BATCH;
                contents += packs.get(**name).map_or(0, |used| used.live);
                fits
            })
            .count();
        let (batch, later) = rest.split_at(count);
        rest = later;
        let batch: HashSet<&str> = batch.iter().copied().collect();
        let chosen = choose(&view, options, &batch, &stats)?;
        if !options.dry_run {
            rewrite(writer, chosen, options.parallelism, &stats, &unreadable)?;
        }
    }
    if !options.dry_run {
        writer.flush()?;
    }
    Ok(Around { stats: stats.into_inner(), unreadable: unreadable.into_inner() })
}

/// Whether most of a pack is data that no entry names any more.
fn is_mostly_waste(repo: &Repository, pack: &str, used: u64) -> Result<bool> {
    /// What every pack has besides its contents.
    const AROUND: u64 = 64 << 10;
    match repo.store().metadata(&BlobId::from(pack)) {
        Ok(blob) => Ok(blob.length > 2 * used + AROUND),
        Err(e) if e.is_not_found() => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn visit(
    view: &IndexView,
    options: &RewriteOptions,
    work: &mut dyn FnMut(&EntryRef<'_>) -> Result<()>,
) -> Result<()> {
    for entry in view.entries(&KeyRange::all()) {
        let (_, entry) = entry?;
        let metadata = PackKind::of_blob(entry.pack) == Some(PackKind::Metadata);
        if metadata || !options.metadata_only {
            work(&entry)?;
        }
    }
    Ok(())
}

fn choose(
    view: &IndexView,
    options: &RewriteOptions,
    packs: &HashSet<&str>,
    stats: &Mutex<RewriteStats>,
) -> Result<Vec<ContentInfo>> {
    let youngest = options.now.saturating_sub(options.min_age).unwrap_or(Timestamp::MIN);
    let mut chosen = Vec::new();
    let mut stats = stats.lock();
    visit(view, options, &mut |entry| {
        if entry.deleted || !packs.contains(entry.pack) {
            return Ok(());
        }
        let size = u64::from(entry.packed_length);
        if entry.timestamp > youngest.as_second() {
            stats.retained_content_count += 1;
            stats.retained_content_size += size;
        } else {
            stats.to_rewrite_content_count += 1;
            stats.to_rewrite_content_size += size;
            chosen.push(entry.to_entry());
        }
        Ok(())
    })?;
    Ok(chosen)
}

fn rewrite(
    writer: &RepositoryWriter,
    contents: Vec<ContentInfo>,
    parallelism: usize,
    stats: &Mutex<RewriteStats>,
    unreadable: &Mutex<Vec<Unreadable>>,
) -> Result<()> {
    let repo = writer.repository();
    let runs = repo.plan_reads(contents, &PlanOptions::default());
    parallel_map(&runs, parallelism, |run| {
        repo.read_run_payloads(run, &mut |info, payload| {
            let payload = match payload {
                Err(e) if e.is_damage() => {
                    unreadable.lock().push(Unreadable::new("not moved", e));
                    return Ok(());
                }
                payload => payload?,
            };
            if writer.move_payload(info, &payload)? {
                let mut stats = stats.lock();
                stats.rewritten_content_count += 1;
                stats.rewritten_content_size += u64::from(info.packed_length);
            }
            Ok(())
        })
    })?;
    Ok(())
}

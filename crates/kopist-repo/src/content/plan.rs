//! Reading many contents with few requests.

use bytes::Bytes;
use kopist_blob::{BlobError, BlobId, ByteRange};
use kopist_format::id::ContentId;

use super::{ContentInfo, open::unreadable_blob, open_content, open_payload};
use crate::{
    error::{RepoError, Result},
    repository::Repository,
    util::parallel_map,
};

/// How [`Repository::plan_reads`] joins neighbours.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// Bytes between two contents that are rather read than skipped.
    pub max_gap: u64,
    /// Longest read in bytes; a single content may be longer.
    pub max_run: u64,
    /// How many bytes may be read in vain for a hundred that are wanted, whatever the gaps; the
    /// shortest ones are read first. Without it all up to [`max_gap`](Self::max_gap) are.
    pub max_waste_percent: Option<u64>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self { max_gap: 128 << 10, max_run: 16 << 20, max_waste_percent: None }
    }
}

impl PlanOptions {
    /// The longest gap between sorted contents that is read rather than skipped.
    fn longest_gap(&self, contents: &[ContentInfo]) -> u64 {
        let Some(percent) = self.max_waste_percent else { return self.max_gap };
        let end =
            |content: &ContentInfo| u64::from(content.offset) + u64::from(content.packed_length);
        let mut gaps: Vec<u64> = contents
            .windows(2)
            .filter(|pair| pair[0].pack == pair[1].pack)
            .map(|pair| u64::from(pair[1].offset).saturating_sub(end(&pair[0])))
            .filter(|gap| (1..=self.max_gap).contains(gap))
            .collect();
        gaps.sort_unstable();
        let wanted: u64 = contents.iter().map(|content| u64::from(content.packed_length)).sum();
        let mut left = wanted.saturating_mul(percent) / 100;
        let mut longest = 0;
        for same in gaps.chunk_by(|a, b| a == b) {
            let Some(gap) = same.first() else { continue };
            match left.checked_sub(gap.saturating_mul(same.len() as u64)) {
                Some(rest) => (left, longest) = (rest, *gap),
                None => break,
            }
        }
        longest
    }
}

/// One read: a range of a pack and the contents in it, in the order of their offsets.
#[derive(Debug, Clone)]
pub struct PackRun {
    /// The pack.
    pub pack: BlobId,
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub length: u64,
    /// What lies in it.
    pub contents: Vec<ContentInfo>,
}

/// Receives contents of a run, each with its data or its error.
pub type Visit<'v, T> = dyn FnMut(&ContentInfo, Result<T>) -> Result<()> + 'v;

impl Repository {
    /// Where contents lie; unknown ones are an error.
    pub fn locate(&self, ids: &[ContentId]) -> Result<Vec<ContentInfo>> {
        let view = self.fresh_index()?;
        ids.iter()
            .map(|id| match view.find(id)? {
                Some((_, entry)) => Ok(entry.to_entry()),
                None => Err(RepoError::ContentNotFound(*id)),
            })
            .collect()
    }

    /// Sorts contents by pack and offset and joins neighbours into runs; doubles are read once.
    pub fn plan_reads(
        &self,
        mut contents: Vec<ContentInfo>,
        options: &PlanOptions,
    ) -> Vec<PackRun> {
        contents.sort_unstable_by(|a, b| {
            a.pack.cmp(&b.pack).then(a.offset.cmp(&b.offset)).then(a.id.cmp(&b.id))
        });
        contents.dedup_by(|a, b| a.id == b.id && a.pack == b.pack && a.offset == b.offset);
        let longest_gap = options.longest_gap(&contents);
        let mut runs: Vec<PackRun> = Vec::new();
        for content in contents {
            let start = u64::from(content.offset);
            let end = start + u64::from(content.packed_length);
            if let Some(run) = runs.last_mut()
                && run.pack == *content.pack
                && start <= run.offset + run.length + longest_gap
                && end.max(run.offset + run.length) - run.offset <= options.max_run
            {
                run.length = run.length.max(end - run.offset);
                run.contents.push(content);
                continue;
            }
            runs.push(PackRun {
                pack: BlobId::from(content.pack.as_str()),
                offset: start,
                length: end - start,
                contents: vec![content],
            });
        }
        runs
    }

    /// Reads one run, past the caches, and visits its contents in order. Each arrives opened or
    /// with its own error; the first error that `visit` returns ends the run.
    pub fn read_run(&self, run: &PackRun, visit: &mut Visit<'_, Bytes>) -> Result<()> {
        self.read_run_sealed(run, &mut |content, sealed| {
            visit(content, sealed.and_then(|sealed| open_content(self.crypto(), content, &sealed)))
        })
    }

    /// The same without decompressing.
    pub(crate) fn read_run_payloads(
        &self,
        run: &PackRun,
        visit: &mut Visit<'_, Vec<u8>>,
    ) -> Result<()> {
        self.read_run_sealed(run, &mut |content, sealed| {
            visit(content, sealed.and_then(|sealed| open_payload(self.crypto(), content, &sealed)))
        })
    }

    fn read_run_sealed(&self, run: &PackRun, visit: &mut Visit<'_, Bytes>) -> Result<()> {
        self.check_usable()?;
        let range = ByteRange::Bounded { offset: run.offset, length: run.length };
        let joint = match (self.store().get(&run.pack, range), run.contents.as_slice()) {
            (Ok(data), _) => Some(data),
            (Err(e), [only]) => return visit(only, Err(unreadable_blob(only, e))),
            // A pack that is gone has none of them: no need to ask for each.
            (Err(e), contents) if e.is_not_found() => {
                return contents.iter().try_for_each(|content| {
                    let lost = BlobError::NotFound { id: run.pack.clone() };
                    visit(content, Err(unreadable_blob(content, lost)))
                });
            }
            // One content beyond the end of a damaged pack must not take the others with it.
            (Err(_), _) => None,
        };
        for content in &run.contents {
            let sealed = match &joint {
                Some(data) => {
                    let start = (u64::from(content.offset) - run.offset) as usize;
                    let end = start + content.packed_length as usize;
                    Ok(data.slice(start.min(data.len())..end.min(data.len())))
                }
                None => self.packs().fetch_uncached(content),
            };
            visit(content, sealed.map_err(|e| unreadable_blob(content, e)))?;
        }
        Ok(())
    }

    /// Reads contents with few requests on up to `parallelism` threads, in no particular order.
    /// The first error ends the work.
    pub fn read_many(
        &self,
        ids: &[ContentId],
        parallelism: usize,
        visit: impl Fn(&ContentInfo, Bytes) -> Result<()> + Sync,
    ) -> Result<()> {
        let runs = self.plan_reads(self.locate(ids)?, &PlanOptions::default());
        parallel_map(&runs, parallelism, |run| {
            self.read_run(run, &mut |content, data| visit(content, data?))
        })?;
        Ok(())
    }
}

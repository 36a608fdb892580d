//! Reading the contents of many files in the order in which they lie in packs.

use std::sync::Arc;

use bytes::Bytes;
use kopist_blob::BlobId;
use kopist_format::compression::decompress;
use kopist_format::id::ContentId;
use kopist_repo::{Chunk, ContentInfo, PackRun, PlanOptions, RepoError};

use super::RestoreError;
use super::file::Job;
use super::run::{Run, Task};

/// Contents of a window and where they go.
pub(super) struct Window {
    jobs: Vec<Arc<Job>>,
    /// Sorted by content.
    places: Vec<Place>,
}

struct Place {
    content: ContentId,
    job: usize,
    offset: u64,
    length: u64,
    /// Length of the whole file.
    total: u64,
    /// Compressed before it became a content, as old repositories have it.
    compressed: bool,
}

/// Few bytes between contents are cheaper to read than to skip; one read is at most this long,
/// so that many can be in memory at once.
const READS: PlanOptions = PlanOptions { max_gap: 128 << 10, max_run: 4 << 20 };

impl Run<'_> {
    /// Finds out where the contents of some files lie, and makes tasks of the reads.
    pub(super) fn plan(&self, jobs: Vec<Arc<Job>>) {
        let mut places = Vec::new();
        let mut empty = Vec::new();
        for (index, job) in jobs.iter().enumerate() {
            if self.stopped() {
                empty.push(job.clone());
                continue;
            }
            match self.places_of(job, index, &mut places) {
                Ok(0) => empty.push(job.clone()),
                Ok(_) => {}
                Err(error) => {
                    self.fail_job(job, error);
                    empty.push(job.clone());
                }
            }
        }
        for job in empty {
            self.job_done(&job);
        }
        places.sort_unstable_by_key(|place: &Place| place.content);
        let window = Arc::new(Window { jobs, places });
        let contents = self.locate(&window);
        let runs = self.repo.plan_reads(contents, &READS);
        // The first run is taken first.
        let tasks = runs.into_iter().rev().map(|run| Task::Read { window: window.clone(), run });
        self.queue.push(tasks);
    }

    /// Adds the places of a file's chunks and returns how many there are.
    fn places_of(
        &self,
        job: &Job,
        index: usize,
        places: &mut Vec<Place>,
    ) -> Result<usize, RestoreError> {
        let object = job.entry.object.ok_or_else(|| RestoreError::NoObject { path: job.path() })?;
        let chunks = self
            .repo
            .object_chunks(&object)
            .map_err(|source| RestoreError::Repository { path: job.path(), source })?;
        let total = chunks.last().map_or(0, Chunk::end);
        let before = places.len();
        places.extend(chunks.iter().filter(|chunk| chunk.length > 0).map(|chunk| Place {
            content: chunk.object.content(),
            job: index,
            offset: chunk.start,
            length: chunk.length,
            total,
            compressed: chunk.object.is_compressed(),
        }));
        let added = places.len() - before;
        job.expect(added);
        Ok(added)
    }

    /// Where the contents of a window lie. Files with unknown ones fail.
    fn locate(&self, window: &Window) -> Vec<ContentInfo> {
        let mut found = Vec::new();
        for group in window.places.chunk_by(|a, b| a.content == b.content) {
            let Some(first) = group.first() else { continue };
            match self.repo.content_info(&first.content) {
                Ok(Some(info)) => found.push(info),
                Ok(None) => {
                    let missing = |_| RepoError::ContentNotFound(first.content);
                    self.fail_places(window, group, missing);
                }
                Err(error) => {
                    let mut error = Some(error);
                    self.fail_places(window, group, |content| {
                        error.take().unwrap_or(RepoError::ContentNotFound(content))
                    });
                }
            }
        }
        found
    }

    fn fail_places(
        &self,
        window: &Window,
        places: &[Place],
        mut error: impl FnMut(ContentId) -> RepoError,
    ) {
        for place in places {
            let Some(job) = window.jobs.get(place.job) else { continue };
            let source = error(place.content);
            self.fail_job(job, RestoreError::Repository { path: job.path(), source });
            self.chunk_done(job);
        }
    }

    /// Reads one range of a pack and writes its contents where they belong.
    pub(super) fn read(&self, window: &Window, run: &PackRun) {
        let mut done = 0;
        if !self.stopped() {
            let result = self.repo.read_run(run, &mut |content, data| {
                done += 1;
                self.distribute(window, content, data);
                Ok(())
            });
            // What was not visited is tried one by one, which also finds what has been moved.
            if let Err(error) = result
                && !self.stopped()
            {
                let text = error.to_string();
                for content in &run.contents[done.min(run.contents.len())..] {
                    done += 1;
                    let error = RepoError::ContentUnreadable {
                        id: content.id,
                        pack: run.pack.clone(),
                        offset: content.offset.into(),
                        length: content.packed_length.into(),
                        source: text.clone().into(),
                    };
                    self.distribute(window, content, Err(error));
                }
            }
        }
        for content in &run.contents[done.min(run.contents.len())..] {
            for place in window.places_of(&content.id) {
                if let Some(job) = window.jobs.get(place.job) {
                    self.chunk_done(job);
                }
            }
        }
    }

    /// Maintenance may have moved a content since its place was looked up, or a cache or a second
    /// read may have it. For a pack that is gone one content tries: every try reads the indexes
    /// anew, and after the first one they say where the others are.
    fn second_try(&self, content: &ContentInfo, error: RepoError) -> Result<Bytes, RepoError> {
        let Some(place) = self.repo.content_info(&content.id)? else { return Err(error) };
        let pack = BlobId::from(place.pack.as_str());
        let was_moved = place.pack != content.pack;
        let is_lost = || self.lost_packs.lock().contains(&pack);
        let is_gone = || self.repo.store().metadata(&pack).is_err_and(|e| e.is_not_found());
        if !is_lost() && (was_moved || !is_gone()) {
            return self.repo.read_content(&content.id);
        }
        // The others wait for the one that tries.
        let mut lost = self.lost_packs.lock();
        if !lost.contains(&pack) {
            return self.repo.read_content(&content.id).inspect_err(|_| {
                lost.insert(pack);
            });
        }
        drop(lost);
        // Meanwhile the indexes may have been read anew.
        match self.repo.content_info(&content.id)? {
            Some(now) if now.pack != place.pack => self.repo.read_content(&content.id),
            _ => Err(error),
        }
    }

    fn distribute(&self, window: &Window, content: &ContentInfo, data: Result<Bytes, RepoError>) {
        let data = data.or_else(|error| self.second_try(content, error));
        let places = window.places_of(&content.id);
        let data = match data {
            Ok(data) => data,
            Err(error) => {
                let text = error.to_string();
                let mut error = Some(error);
                self.fail_places(window, places, |_| {
                    error.take().unwrap_or_else(|| RepoError::Maintenance(text.clone()))
                });
                return;
            }
        };
        for place in places {
            let Some(job) = window.jobs.get(place.job) else { continue };
            let plain;
            let bytes: &[u8] = if place.compressed {
                let limit = usize::try_from(place.length).unwrap_or(usize::MAX);
                match decompress(&data, None, limit) {
                    Ok(bytes) => {
                        plain = bytes;
                        &plain
                    }
                    Err(error) => {
                        self.wrong_chunk(job, place, &error.to_string());
                        continue;
                    }
                }
            } else {
                &data
            };
            if bytes.len() as u64 != place.length {
                let found = format!("it has {} bytes instead of {}", bytes.len(), place.length);
                self.wrong_chunk(job, place, &found);
                continue;
            }
            self.write_chunk(job, place.offset, place.total, bytes);
        }
    }

    fn wrong_chunk(&self, job: &Arc<Job>, place: &Place, reason: &str) {
        let source = RepoError::ObjectInvalid {
            id: place.content.into(),
            reason: format!("{reason} (chunk at {})", place.offset),
        };
        self.fail_job(job, RestoreError::Repository { path: job.path(), source });
        self.chunk_done(job);
    }
}

impl Window {
    /// Where a content goes.
    fn places_of(&self, content: &ContentId) -> &[Place] {
        let start = self.places.partition_point(|place| place.content < *content);
        let rest = self.places.get(start..).unwrap_or_default();
        let length = rest.partition_point(|place| place.content == *content);
        rest.get(..length).unwrap_or_default()
    }
}

//! Reading the contents of many files in the order in which they lie in packs.

use std::sync::Arc;

use bytes::Bytes;
use kopist_format::compression::decompress;
use kopist_format::id::ContentId;
use kopist_repo::{Chunk, ContentInfo, PackRun, RepoError};

use super::RestoreError;
use super::fetch::READS;
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
        let chunks = self.repo.object_chunks(&object).map_err(|source| {
            RestoreError::Repository { path: job.path(), object: Box::new(object), source }
        })?;
        let total = chunks.last().map_or(0, Chunk::end);
        let before = places.len();
        // An empty content is read too: a pack that is gone shall not go unnoticed.
        places.extend(chunks.iter().map(|chunk| Place {
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
            self.fail_read(job, source);
            self.chunk_done(job);
        }
    }

    /// Something of a file cannot be read.
    fn fail_read(&self, job: &Job, source: RepoError) {
        let path = job.path();
        let error = match job.entry.object {
            Some(object) => RestoreError::Repository { path, object: Box::new(object), source },
            None => RestoreError::NoObject { path },
        };
        self.fail_job(job, error);
    }

    /// Reads one range of a pack and writes its contents where they belong.
    pub(super) fn read(&self, window: &Window, run: &PackRun) {
        if !self.stopped() {
            self.fetch.read(run, &mut |content, data| self.distribute(window, content, data));
            return;
        }
        for content in &run.contents {
            for place in window.places_of(&content.id) {
                if let Some(job) = window.jobs.get(place.job) {
                    self.chunk_done(job);
                }
            }
        }
    }

    fn distribute(&self, window: &Window, content: &ContentInfo, data: Result<Bytes, RepoError>) {
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
        self.fail_read(job, source);
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

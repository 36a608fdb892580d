//! `index epoch list`

use jiff::SignedDuration;
use kopist_blob::{BlobMeta, list_all};
use kopist_format::epoch::{BlobInfo, EPOCH_PREFIX, EpochState};

use crate::grammar::Command;
use crate::{
    app::{App, Outcome},
    error::{CommandError, Context as _},
    grammar::Matches,
    output::duration,
    session,
};

/// `index epoch list`
static LIST: Command = Command::new("list", "List epochs.").run(run);

/// `index epoch`
pub(super) static COMMAND: Command =
    Command::new("epoch", "Work with epochs.").hidden().commands(&[&LIST]);

fn run(app: &App, _: &Matches) -> Outcome {
    session::read(app, |session| {
        if !session.repo.parameters().epoch.enabled {
            return Err(CommandError::new("epoch manager is not active"));
        }
        let blobs = list_all(session.repo.store().as_ref(), EPOCH_PREFIX)
            .context("unable to determine current epoch")?;
        let info = |blob: BlobMeta| BlobInfo::new(blob.id.as_str(), blob.length, blob.timestamp);
        let state = EpochState::from_blobs(blobs.into_iter().map(info));
        let current = state.write_epoch();
        let line = |text: String| app.console.line(text);
        line(format!("Current Epoch: {current}"))?;
        let ranges = state.ranges();
        let first = ranges.last().map_or(0, |range| range.last + 1);
        for epoch in (first..=current).rev() {
            let blobs = state.uncompacted(epoch);
            let times = blobs.iter().map(|blob| blob.timestamp);
            if let (Some(oldest), Some(newest)) = (times.clone().min(), times.max()) {
                let span = newest.duration_since(oldest).as_secs();
                line(format!(
                    "{epoch} {} ... {}, {} blobs, {}, span {}",
                    app.time(oldest),
                    app.time(newest),
                    blobs.len(),
                    app.size(total(blobs)),
                    duration(nanos(SignedDuration::from_secs(span)))
                ))?;
            }
            if let Some(blobs) = state.singles().get(&epoch)
                && let Some(one) = blobs.first()
            {
                let (time, size) = (app.time(one.timestamp), app.size(total(blobs)));
                line(format!("{epoch}: {time} single-epoch {} blobs, {size}", blobs.len()))?;
            }
        }
        for range in ranges {
            let (count, size) = (range.blobs.len(), app.size(total(&range.blobs)));
            line(format!("{}-{}: range, {count} blobs, {size}", range.first, range.last))?;
        }
        Ok(())
    })
}

fn total(blobs: &[BlobInfo]) -> u64 {
    blobs.iter().map(|blob| blob.length).sum()
}

fn nanos(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

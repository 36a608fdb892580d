//! Small things that several modules need.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::error::{RepoError, Result};

/// `N` random bytes from the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(RepoError::Random)?;
    Ok(bytes)
}

/// Applies `work` to every item on up to `parallelism` threads (the caller's is one of them) and
/// returns the results in order. The first error ends the work.
///
/// For blocking storage calls; computing belongs on rayon's pool.
pub(crate) fn parallel_map<T: Sync, R: Send>(
    items: &[T],
    parallelism: usize,
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    if items.len() < 2 || parallelism < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let first_error = Mutex::new(None);
    let run = || {
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            match work(item) {
                Ok(result) => done.lock().push((index, result)),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    first_error.lock().get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..parallelism.min(items.len()) {
            scope.spawn(run);
        }
        run();
    });
    if let Some(error) = first_error.into_inner() {
        return Err(error);
    }
    let mut done = done.into_inner();
    done.sort_unstable_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_the_first_error_wins() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(
            parallel_map(&items, 8, |i| Ok(i * 2)).unwrap(),
            items.iter().map(|i| i * 2).collect::<Vec<_>>()
        );
        let failed =
            parallel_map(&items, 8, |i| if *i == 50 { Err(RepoError::ReadOnly) } else { Ok(()) });
        assert!(matches!(failed, Err(RepoError::ReadOnly)));
    }
}

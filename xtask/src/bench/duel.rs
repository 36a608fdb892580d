//! Both programs in turns.

use std::path::{Path, PathBuf};

use kopist_testkit::oracle;

use crate::step::{self, Result, headline};

/// What each of some jobs took in each round.
pub(super) type Rounds<T, const JOBS: usize> = [Vec<T>; JOBS];

/// Whom we compare: kopia, then kopist.
pub(super) struct Programs([(&'static str, PathBuf); 2]);

impl Programs {
    pub(super) fn find() -> Result<Self> {
        let kopia = oracle::find().ok_or("kopia is not on PATH and KOPIA_EXE is not set")?;
        Ok(Self([("kopia", kopia), ("kopist", step::program()?)]))
    }

    /// Lets each do its jobs in each round, in `work`, which is told the program, the number of
    /// the round and the program's name. The results are kopia's and kopist's.
    pub(super) fn duel<T, const JOBS: usize>(
        &self,
        rounds: u64,
        what: &str,
        mut work: impl FnMut(&Path, u64, &str) -> Result<[T; JOBS]>,
    ) -> Result<[Rounds<T, JOBS>; 2]> {
        let mut results = [(); 2].map(|()| std::array::from_fn(|_| Vec::new()));
        for round in 0..rounds {
            // Who goes first changes, so that neither always finds the warmer cache.
            for index in 0..self.0.len() {
                let which = (usize::try_from(round)? + index) % self.0.len();
                let (name, program) = &self.0[which];
                headline(&format!("{what}, round {}: {name}", round + 1));
                let costs = work(program, round, name)?;
                for (all, cost) in results[which].iter_mut().zip(costs) {
                    all.push(cost);
                }
            }
        }
        Ok(results)
    }
}

//! The last block of every run.

use super::outcome::{Outcome, Verdict};

/// What the last block says.
#[derive(Debug)]
pub struct Summary<'a> {
    /// How the operation is called; `unknown` before it is known.
    pub label: &'a str,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// What maintenance adds.
    pub maintenance: Option<MaintenanceSummary>,
}

/// Lines of maintenance only.
#[derive(Debug)]
pub struct MaintenanceSummary {
    /// Whole seconds.
    pub seconds: u64,
    /// Size of everything in the repository, where it is known.
    pub repository_bytes: Option<u64>,
    /// The cache, for failures.
    pub cache: CacheUse,
}

/// How full the cache is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheUse {
    /// Bytes used.
    pub used: u64,
    /// Bytes it may have.
    pub capacity: u64,
}

impl CacheUse {
    /// Used part in percent.
    pub fn percent(&self) -> u64 {
        match self.capacity {
            0 => 0,
            capacity => self.used.saturating_mul(100) / capacity,
        }
    }
}

impl Summary<'_> {
    /// The lines, to be printed as `INFO`.
    pub fn lines(&self) -> Vec<String> {
        let failed = self.outcome.verdict == Verdict::Failed;
        let result = match self.outcome.verdict {
            Verdict::Failed => "FAILURE",
            Verdict::Skipped if self.maintenance.is_some() => "SKIPPED",
            _ => "SUCCESS",
        };
        let mut lines = vec![
            "=== OPERATION SUMMARY ===".to_owned(),
            format!("OPERATION_TYPE: {}", self.label),
            format!("OPERATION_RESULT: {result}"),
        ];
        if let Some(maintenance) = &self.maintenance {
            lines.push(format!("MAINTENANCE_STATUS: {result}"));
            if failed {
                let cache = maintenance.cache;
                lines.extend([
                    format!("MAINTENANCE_FAILURE_REASON: {}", self.outcome.message),
                    "KOPIA_ERROR_OUTPUT_START:".to_owned(),
                    self.outcome.message.clone(),
                    "KOPIA_ERROR_OUTPUT_END".to_owned(),
                    format!("CACHE_USAGE_BYTES: {}", cache.used),
                    format!("CACHE_CAPACITY_BYTES: {}", cache.capacity),
                    format!("CACHE_USAGE_PERCENT: {}", cache.percent()),
                ]);
            } else {
                lines.push(format!("MAINTENANCE_DURATION: {}", maintenance.seconds));
                let size = maintenance.repository_bytes;
                lines.extend(size.map(|bytes| format!("REPO_SIZE_BYTES: {bytes}")));
            }
        }
        lines.push(format!("EXIT_CODE: {}", self.outcome.exit_code));
        lines.push("=== Done ===".to_owned());
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::{Figures, Reason};
    use super::*;

    fn lines(outcome: &Outcome, maintenance: bool) -> Vec<String> {
        let maintenance = maintenance.then_some(MaintenanceSummary {
            seconds: 3,
            repository_bytes: Some(7000),
            cache: CacheUse { used: 50, capacity: 200 },
        });
        Summary { label: "backup", outcome, maintenance }.lines()
    }

    #[test]
    fn three_ends() {
        let success = Outcome::success("done", Figures::default());
        assert_eq!(
            lines(&success, false),
            [
                "=== OPERATION SUMMARY ===",
                "OPERATION_TYPE: backup",
                "OPERATION_RESULT: SUCCESS",
                "EXIT_CODE: 0",
                "=== Done ===",
            ]
        );
        for expected in ["MAINTENANCE_DURATION: 3", "REPO_SIZE_BYTES: 7000"] {
            assert!(lines(&success, true).contains(&expected.to_owned()), "{expected}");
        }
        let skipped = Outcome::skipped(Reason::NoRepository, "none");
        assert!(lines(&skipped, true).contains(&"OPERATION_RESULT: SKIPPED".to_owned()));
        assert!(lines(&skipped, false).contains(&"OPERATION_RESULT: SUCCESS".to_owned()));
        let failed = Outcome::failed(Reason::Interrupted, "told to stop").exit(143);
        let failed = lines(&failed, true);
        for expected in [
            "MAINTENANCE_STATUS: FAILURE",
            "MAINTENANCE_FAILURE_REASON: told to stop",
            "CACHE_USAGE_PERCENT: 25",
            "EXIT_CODE: 143",
        ] {
            assert!(failed.contains(&expected.to_owned()), "{expected}");
        }
    }

    #[test]
    fn nothing_of_it_passes_the_filter_of_a_destination() {
        let failed = Outcome::failed(Reason::Internal, "boom");
        for line in lines(&failed, false) {
            let line = line.to_lowercase();
            assert!(!["error", "failed", "unable to"].iter().any(|word| line.contains(word)));
        }
    }
}

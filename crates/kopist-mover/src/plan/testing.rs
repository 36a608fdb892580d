//! Surroundings made up for tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::probe::{Probe, ReadError};

/// Where an environment has a run report to.
pub(crate) fn telemetry_of(env: &crate::env::Env) -> super::TelemetryPlan {
    let settings = super::Settings { arguments: &[], env, repository_file: None, manual: None };
    let mut findings = super::error::Findings::default();
    super::telemetry::telemetry(&settings, env, &FakeProbe::default(), &mut findings)
}

/// A container with the directories of the contract and the given files.
pub(crate) struct FakeProbe {
    pub(crate) files: BTreeMap<PathBuf, Vec<u8>>,
    pub(crate) dirs: Vec<PathBuf>,
    pub(crate) read_only: Vec<PathBuf>,
    pub(crate) volume: Option<u64>,
}

impl Default for FakeProbe {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            dirs: ["/data", "/restore/data", "/cache", "/mnt"].map(PathBuf::from).to_vec(),
            read_only: Vec::new(),
            volume: None,
        }
    }
}

impl FakeProbe {
    pub(crate) fn with(mut self, path: &str, content: &str) -> Self {
        let path = PathBuf::from(path);
        self.dirs.extend(path.ancestors().skip(1).map(Path::to_owned));
        self.files.insert(path, content.into());
        self
    }
}

impl Probe for FakeProbe {
    fn is_dir(&self, path: &Path) -> bool {
        self.dirs.iter().any(|dir| dir == path)
    }

    fn is_file(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    fn may_write(&self, path: &Path) -> bool {
        self.is_dir(path) && !self.read_only.iter().any(|dir| dir == path)
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, ReadError> {
        let content = self.files.get(path).ok_or(ReadError::Absent)?;
        let bytes = content.len() as u64;
        if bytes > limit {
            return Err(ReadError::TooLarge { bytes });
        }
        Ok(content.clone())
    }

    fn subdirectories(&self, path: &Path) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> =
            self.dirs.iter().filter(|dir| dir.parent() == Some(path)).cloned().collect();
        found.sort();
        found.dedup();
        found
    }

    fn volume_bytes(&self, _: &Path) -> Option<u64> {
        self.volume
    }

    fn user_name(&self) -> Option<String> {
        None
    }

    fn host_name(&self) -> String {
        "volsync-src-app-x7k2p".to_owned()
    }

    fn memory_limit(&self) -> Option<u64> {
        Some(256 << 20)
    }

    fn cpus(&self) -> usize {
        2
    }
}

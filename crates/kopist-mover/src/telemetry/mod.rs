//! What a run tells besides its log: metrics, a report, a word to somebody, signs of life.
//!
//! Everything follows from one [`Record`] of the run, made when it is over. None of it decides
//! anything: what cannot be delivered is said in the log, and the run stays what it was.
//!
//! | module | what it does |
//! | --- | --- |
//! | `record` | what is known of a run |
//! | `families` | the same as metrics, with their names |
//! | `exposition` | metrics as text, for Prometheus |
//! | `otlp` | metrics as OTLP, in its JSON encoding |
//! | `document` | the record as one JSON object |
//! | `publish` | delivers them |
//! | `health` | the file that shows that a run is alive |

mod document;
mod exposition;
mod families;
mod health;
mod otlp;
mod publish;
mod record;

pub use document::document;
pub use families::{Family, Kind, Point, Series, Value, series};
pub use health::{DEFAULT_MAX_AGE, HealthFile, Pulse, is_healthy};
pub use publish::{Delivery, publish};
pub use record::{Opened, Record, peak_memory};

use std::sync::{Arc, Mutex, PoisonError};

use kopist_blob::Meter;
use kopist_repo::cache::{CacheCount, CacheMeter};

/// What is counted while a run works.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// The calls of the store.
    pub meter: Arc<Meter>,
    /// That something moves.
    pub pulse: Arc<Pulse>,
    opened: Mutex<Option<Opened>>,
    caches: Mutex<Option<Arc<CacheMeter>>>,
    repository_bytes: Mutex<Option<u64>>,
}

impl Telemetry {
    /// Notes what the opening of the repository took.
    pub fn opened(&self, opened: Opened) {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
    }

    /// Counts what these caches are asked for.
    pub fn caches(&self, meter: Arc<CacheMeter>) {
        *self.caches.lock().unwrap_or_else(PoisonError::into_inner) = Some(meter);
    }

    /// Notes how large the repository is.
    pub fn sized(&self, bytes: u64) {
        *self.repository_bytes.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }

    /// What the opening of the repository took, once it is open.
    pub fn opening(&self) -> Option<Opened> {
        *self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the caches were asked for, those that were asked at all.
    pub fn cache_counts(&self) -> Vec<(&'static str, CacheCount)> {
        let caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = caches.iter().flat_map(|meter| meter.read());
        counts.filter(|(_, count)| *count != CacheCount::default()).collect()
    }

    /// How large the repository is, if somebody looked.
    pub fn repository_bytes(&self) -> Option<u64> {
        *self.repository_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

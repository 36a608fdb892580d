//! Splitters: where an object is cut into contents.
//!
//! Reading never needs them, but two clients that cut at different places share nothing, so cuts
//! must be those of kopia. A splitter either cuts at multiples of a fixed size, or where a hash
//! of the last 64 bytes happens to be 0 in its low bits: an insertion then moves only the cuts
//! near it.
//!
//! ```
//! use kopist_format::splitter::SplitterAlgorithm;
//! let mut splitter = SplitterAlgorithm::by_name("FIXED-128K")?.new_splitter();
//! let data = vec![1; 200_000];
//! assert_eq!(splitter.next_cut(&data), Some(131_072));
//! assert_eq!(splitter.next_cut(&data[131_072..]), None);
//! # Ok::<(), kopist_format::splitter::UnknownSplitter>(())
//! ```
//!
//! For an average size A a dynamic chunk has at least A/2 and at most 2·A bytes, and 64 bytes are
//! fewer than any A/2. So the hash need not be rolled over the whole chunk: everything up to 64
//! bytes before the first possible cut is skipped, and `scan` then looks at several stretches
//! of the data at once, which hides the latency of the table lookups.
//!
//! Sources: `kopia:repo/splitter/`, module `github.com/chmduquesne/rollinghash`.

mod buzhash;
mod buzhash_table;
mod rabin_karp;
mod scan;
#[cfg(test)]
mod tests;

use buzhash::Buzhash;
use rabin_karp::RabinKarp;
use scan::{Rolling, WINDOW};

const K: usize = 1 << 10;
const M: usize = 1 << 20;

/// A splitter that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unsupported splitter {name:?}")]
pub struct UnknownSplitter {
    /// The name asked for.
    pub name: String,
}

#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: &'static str,
    method: Method,
    /// The chunk size of a fixed splitter, the average of another.
    size: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Fixed,
    Buzhash,
    RabinKarp,
}

const fn row(name: &'static str, method: Method, size: usize) -> Row {
    Row { name, method, size }
}

static REGISTRY: [Row; 23] = [
    // names of old releases
    row("DYNAMIC", Method::Buzhash, 4 * M),
    row("FIXED", Method::Fixed, 4 * M),
    row("DYNAMIC-128K-BUZHASH", Method::Buzhash, 128 * K),
    row("DYNAMIC-256K-BUZHASH", Method::Buzhash, 256 * K),
    row("DYNAMIC-512K-BUZHASH", Method::Buzhash, 512 * K),
    row("DYNAMIC-1M-BUZHASH", Method::Buzhash, M),
    row("DYNAMIC-2M-BUZHASH", Method::Buzhash, 2 * M),
    row("DYNAMIC-4M-BUZHASH", Method::Buzhash, 4 * M),
    row("DYNAMIC-8M-BUZHASH", Method::Buzhash, 8 * M),
    row("DYNAMIC-128K-RABINKARP", Method::RabinKarp, 128 * K),
    row("DYNAMIC-256K-RABINKARP", Method::RabinKarp, 256 * K),
    row("DYNAMIC-512K-RABINKARP", Method::RabinKarp, 512 * K),
    row("DYNAMIC-1M-RABINKARP", Method::RabinKarp, M),
    row("DYNAMIC-2M-RABINKARP", Method::RabinKarp, 2 * M),
    row("DYNAMIC-4M-RABINKARP", Method::RabinKarp, 4 * M),
    row("DYNAMIC-8M-RABINKARP", Method::RabinKarp, 8 * M),
    row("FIXED-128K", Method::Fixed, 128 * K),
    row("FIXED-256K", Method::Fixed, 256 * K),
    row("FIXED-512K", Method::Fixed, 512 * K),
    row("FIXED-1M", Method::Fixed, M),
    row("FIXED-2M", Method::Fixed, 2 * M),
    row("FIXED-4M", Method::Fixed, 4 * M),
    row("FIXED-8M", Method::Fixed, 8 * M),
];

/// A splitter as repositories and policies name it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SplitterAlgorithm(&'static Row);

impl SplitterAlgorithm {
    /// What new repositories use.
    pub const DEFAULT_NAME: &'static str = "DYNAMIC-4M-BUZHASH";

    /// Finds a splitter; the empty name of very old repositories is `FIXED`.
    pub fn by_name(name: &str) -> Result<Self, UnknownSplitter> {
        let wanted = if name.is_empty() { "FIXED" } else { name };
        let row = REGISTRY.iter().find(|row| row.name == wanted);
        row.map(Self).ok_or_else(|| UnknownSplitter { name: name.into() })
    }

    /// All names.
    pub fn names() -> impl ExactSizeIterator<Item = &'static str> {
        REGISTRY.iter().map(|row| row.name)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Shortest chunk except for the last one of an object, in bytes.
    pub fn min_chunk_size(self) -> usize {
        if self.0.method == Method::Fixed { self.0.size } else { self.0.size / 2 }
    }

    /// Longest chunk, in bytes.
    pub fn max_chunk_size(self) -> usize {
        if self.0.method == Method::Fixed { self.0.size } else { self.0.size * 2 }
    }

    /// A splitter at the beginning of an object.
    pub fn new_splitter(self) -> Splitter {
        Splitter {
            position: 0,
            min: self.min_chunk_size(),
            max: self.max_chunk_size(),
            mask: self.0.size as u64 - 1,
            state: match self.0.method {
                Method::Fixed => State::Fixed,
                Method::Buzhash => State::Buzhash(Window::default()),
                Method::RabinKarp => State::RabinKarp(Window::default()),
            },
        }
    }
}

impl std::fmt::Debug for SplitterAlgorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

/// Cuts one object; fed with its bytes in pieces of any size.
#[derive(Debug, Clone)]
pub struct Splitter {
    /// Bytes of the chunk seen so far.
    position: usize,
    min: usize,
    max: usize,
    mask: u64,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Fixed,
    Buzhash(Window<Buzhash>),
    RabinKarp(Window<RabinKarp>),
}

impl Splitter {
    /// Looks for the end of the current chunk in the bytes that follow those it has seen.
    ///
    /// `Some(n)`: the chunk ends after `n` bytes of `data` (at least 1); go on with `&data[n..]`.
    /// `None`: all of `data` belongs to the chunk, which goes on.
    pub fn next_cut(&mut self, data: &[u8]) -> Option<usize> {
        let left = self.max - self.position;
        let within = data.get(..left).unwrap_or(data);
        let cut = match &mut self.state {
            State::Fixed => None,
            State::Buzhash(window) => window.next_cut(self.position, self.min, self.mask, within),
            State::RabinKarp(window) => window.next_cut(self.position, self.min, self.mask, within),
        };
        let cut = cut.or((data.len() >= left).then_some(left));
        match cut {
            Some(_) => self.reset(),
            None => self.position += data.len(),
        }
        cut
    }

    /// Begins a new object.
    pub fn reset(&mut self) {
        self.position = 0;
        match &mut self.state {
            State::Fixed => {}
            State::Buzhash(window) => *window = Window::default(),
            State::RabinKarp(window) => *window = Window::default(),
        }
    }
}

/// The last bytes seen and their hash; filled from 64 bytes before the first possible cut.
#[derive(Debug, Clone)]
struct Window<H> {
    hash: H,
    bytes: [u8; WINDOW],
    filled: usize,
}

impl<H: Default> Default for Window<H> {
    fn default() -> Self {
        Self { hash: H::default(), bytes: [0; WINDOW], filled: 0 }
    }
}

impl<H: Rolling> Window<H> {
    /// The first cut in `data`, which begins at `position` of a chunk and does not reach past its
    /// longest size.
    fn next_cut(&mut self, position: usize, min: usize, mask: u64, data: &[u8]) -> Option<usize> {
        // min is at least 64 Ki
        let skipped = (min - WINDOW).saturating_sub(position).min(data.len());
        let (_, rest) = data.split_at_checked(skipped)?;
        let missing = (WINDOW - self.filled).min(rest.len());
        let (first, rest) = rest.split_at_checked(missing)?;
        if !first.is_empty() {
            for (slot, byte) in self.bytes.iter_mut().skip(self.filled).zip(first) {
                *slot = *byte;
                self.hash.push(*byte);
            }
            self.filled += first.len();
            if self.filled < WINDOW {
                return None;
            }
            // byte number `min` is the first one that may end a chunk
            if self.hash.hits(mask) {
                return Some(skipped + missing);
            }
        }
        if rest.is_empty() {
            return None;
        }
        // bytes that leave the window come from earlier calls, then from this one
        let old = self.bytes;
        let near = rest.len().min(WINDOW);
        let (near, far) = rest.split_at_checked(near)?;
        if let Some(n) = scan::scalar(&mut self.hash, &old, near, mask) {
            return Some(skipped + missing + n);
        }
        if !far.is_empty()
            && let Some(n) = scan::lanes(&mut self.hash, rest, mask)
        {
            return Some(skipped + missing + near.len() + n);
        }
        self.remember(rest);
        None
    }

    fn remember(&mut self, seen: &[u8]) {
        let keep = WINDOW.saturating_sub(seen.len());
        self.bytes.copy_within(WINDOW - keep.., 0);
        let tail = seen.get(seen.len().saturating_sub(WINDOW)..).unwrap_or_default();
        if let Some(slots) = self.bytes.get_mut(keep..) {
            slots.copy_from_slice(tail);
        }
    }
}

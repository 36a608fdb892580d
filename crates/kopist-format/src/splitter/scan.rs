//! Rolling a hash over data until it hits.
//!
//! One hash is a chain of dependent steps, and a processor could do several such chains at once.
//! So three of them run over three consecutive stretches ("lanes"): each begins with the hash of
//! the 64 bytes before its stretch, and the hit in the first of them counts. Measured on one core:
//! twice as fast as one chain with buzhash, three times with Rabin-Karp.

/// Bytes in the window.
pub(super) const WINDOW: usize = 64;

/// Bytes of a lane: short enough that a hit in the first lane wastes little, long enough that
/// computing the first hash of the others (64 steps) does not matter.
const LANE: usize = 4096;

/// A hash over the last [`WINDOW`] bytes.
pub(super) trait Rolling: Copy + Default {
    /// Takes a byte in, before the window is full.
    fn push(&mut self, entering: u8);
    /// Takes a byte in and lets one go.
    fn roll(&mut self, leaving: u8, entering: u8);
    /// Whether a chunk may end here.
    fn hits(self, mask: u64) -> bool;
}

/// Rolls over `entering`, with `leaving` 64 bytes behind, up to the first hit: how many bytes
/// that took. Stops at the end of the shorter one.
#[inline]
pub(super) fn scalar<H: Rolling>(
    hash: &mut H,
    leaving: &[u8],
    entering: &[u8],
    mask: u64,
) -> Option<usize> {
    let mut rolling = *hash;
    for (i, (out, into)) in leaving.iter().zip(entering).enumerate() {
        rolling.roll(*out, *into);
        if rolling.hits(mask) {
            *hash = rolling;
            return Some(i + 1);
        }
    }
    *hash = rolling;
    None
}

/// Rolls over `data` after its first 64 bytes, whose hash is `hash`, up to the first hit: how many
/// bytes after those 64 that took.
pub(super) fn lanes<H: Rolling>(hash: &mut H, data: &[u8], mask: u64) -> Option<usize> {
    let mut done = 0;
    while let Some(round) = data.get(done..done + 3 * LANE + WINDOW) {
        if let Some(n) = three(hash, round, mask) {
            return Some(done + n);
        }
        done += 3 * LANE;
    }
    let rest = data.get(done..)?;
    scalar(hash, rest, rest.get(WINDOW..)?, mask).map(|n| done + n)
}

/// One round over three lanes; `round` holds the 64 bytes before them, too.
fn three<H: Rolling>(hash: &mut H, round: &[u8], mask: u64) -> Option<usize> {
    let lane = |i: usize| -> Option<&[u8; LANE + WINDOW]> {
        round.get(i * LANE..(i + 1) * LANE + WINDOW)?.try_into().ok()
    };
    let (a, b, c) = (lane(0)?, lane(1)?, lane(2)?);
    let [mut hash_a, mut hash_b, mut hash_c]: [H; 3] = [*hash, hash_of(b), hash_of(c)];
    // arrays of known length and one index: the compiler drops the bounds checks
    for i in 0..LANE {
        hash_a.roll(a[i], a[i + WINDOW]);
        hash_b.roll(b[i], b[i + WINDOW]);
        hash_c.roll(c[i], c[i + WINDOW]);
        if hash_a.hits(mask) | hash_b.hits(mask) | hash_c.hits(mask) {
            return Some(first_hit(i, [(hash_a, a), (hash_b, b), (hash_c, c)], mask));
        }
    }
    *hash = hash_c;
    None
}

/// At step `i` some lane has hit, none before: the lowest position where one hits, since an
/// earlier lane may still do so later.
#[cold]
fn first_hit<H: Rolling>(i: usize, lanes: [(H, &[u8; LANE + WINDOW]); 3], mask: u64) -> usize {
    for (number, (mut hash, lane)) in lanes.into_iter().enumerate() {
        let start = number * LANE + i + 1;
        if hash.hits(mask) {
            return start;
        }
        let leaving = lane.get(i + 1..LANE).unwrap_or_default();
        let entering = lane.get(i + 1 + WINDOW..).unwrap_or_default();
        if let Some(n) = scalar(&mut hash, leaving, entering, mask) {
            return start + n;
        }
    }
    unreachable!("called when a lane has hit")
}

/// The hash of the first window of a lane.
fn hash_of<H: Rolling>(lane: &[u8; LANE + WINDOW]) -> H {
    let mut hash = H::default();
    for byte in lane.iter().take(WINDOW) {
        hash.push(*byte);
    }
    hash
}

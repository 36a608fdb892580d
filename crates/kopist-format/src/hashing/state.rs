//! The constructions behind the names, keyed once and cloned for each content.

use blake2::{Blake2bMac, Blake2sMac, digest::consts::U16, digest::consts::U32};
use hmac::{Hmac, KeyInit, Mac, SimpleHmac, digest::FixedOutput};
use sha2::{Sha224, Sha256};
use sha3::{Sha3_224, Sha3_256};
use zeroize::Zeroizing;

use super::Kind;

/// A keyed hash before the first byte of input. All of it is wiped when it is dropped.
pub(super) enum State {
    Blake2b(Blake2b),
    Blake2s128(Box<Blake2sMac<U16>>),
    Blake2s256(Box<Blake2sMac<U32>>),
    Blake3(Zeroizing<[u8; 32]>),
    HmacSha224(Box<Hmac<Sha224>>),
    HmacSha256(Box<Hmac<Sha256>>),
    HmacSha3_224(Box<SimpleHmac<Sha3_224>>),
    HmacSha3_256(Box<SimpleHmac<Sha3_256>>),
}

/// BLAKE2b has two implementations here: `blake2` is the better one for a single content (nearly
/// twice as fast on AMD's Zen 5, the same on Intel's Xeon), `blake2b_simd` hashes four contents at
/// once, in half the time and less.
pub(super) struct Blake2b {
    single: Box<Blake2bMac<U32>>,
    key: Zeroizing<Vec<u8>>,
}

/// From this many contents on it pays to hash them side by side.
const LANES_PAY_FROM: usize = 3;

impl State {
    /// `None` if the construction does not take a key of this length.
    pub(super) fn new(kind: Kind, key: &[u8]) -> Option<Self> {
        // A BLAKE2 key of no bytes means "not keyed", which is another thing than a key block of
        // zeros.
        let optional = (!key.is_empty()).then_some(key);
        Some(match kind {
            Kind::Blake2b256 if key.len() <= 64 => State::Blake2b(Blake2b {
                single: Box::new(Blake2bMac::new_with_salt_and_personal(optional, &[], &[]).ok()?),
                key: Zeroizing::new(key.to_vec()),
            }),
            Kind::Blake2s256 if key.len() <= 32 => State::Blake2s256(Box::new(
                Blake2sMac::new_with_salt_and_personal(optional, &[], &[]).ok()?,
            )),
            // kopia's library has a 128-bit BLAKE2s only as a MAC
            Kind::Blake2s128 if (1..=32).contains(&key.len()) => State::Blake2s128(Box::new(
                Blake2sMac::new_with_salt_and_personal(optional, &[], &[]).ok()?,
            )),
            Kind::Blake2b256 | Kind::Blake2s256 | Kind::Blake2s128 => return None,
            Kind::Blake3 => State::Blake3(Zeroizing::new(match key.first_chunk::<32>() {
                Some(key) => *key,
                None => blake3::derive_key("kopia blake3 derived key v1", key),
            })),
            Kind::HmacSha224 => State::HmacSha224(Box::new(Hmac::new_from_slice(key).ok()?)),
            Kind::HmacSha256 => State::HmacSha256(Box::new(Hmac::new_from_slice(key).ok()?)),
            Kind::HmacSha3_224 => {
                State::HmacSha3_224(Box::new(SimpleHmac::new_from_slice(key).ok()?))
            }
            Kind::HmacSha3_256 => {
                State::HmacSha3_256(Box::new(SimpleHmac::new_from_slice(key).ok()?))
            }
        })
    }

    /// The whole digest, followed by zeros if it is shorter than 32 bytes.
    pub(super) fn digest(&self, data: &[u8]) -> [u8; 32] {
        match self {
            State::Blake2b(state) => mac(&*state.single, data),
            State::Blake2s128(state) => mac(&**state, data),
            State::Blake2s256(state) => mac(&**state, data),
            State::Blake3(key) => *blake3::keyed_hash(key, data).as_bytes(),
            State::HmacSha224(state) => mac(&**state, data),
            State::HmacSha256(state) => mac(&**state, data),
            State::HmacSha3_224(state) => mac(&**state, data),
            State::HmacSha3_256(state) => mac(&**state, data),
        }
    }

    /// The digests of several contents hashed side by side, or `None` if that would not be faster.
    pub(super) fn digest_many(&self, contents: &[&[u8]]) -> Option<Vec<[u8; 32]>> {
        match self {
            State::Blake2b(state)
                if contents.len() >= LANES_PAY_FROM && blake2b_simd::many::degree() >= 4 =>
            {
                Some(state.digest_many(contents))
            }
            _ => None,
        }
    }
}

impl Blake2b {
    fn digest_many(&self, contents: &[&[u8]]) -> Vec<[u8; 32]> {
        let mut params = blake2b_simd::Params::new();
        params.hash_length(32).key(&self.key);
        // Longest first, so that no long content is left over for a single lane.
        let mut order: Vec<usize> = (0..contents.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(contents[i].len()));
        // Three of four lanes are used worse than four, so the shortest content fills the gap.
        if order.len() % 4 == 3 {
            order.extend(order.last().copied());
        }
        let mut jobs: Vec<_> = order
            .iter()
            .map(|&i| blake2b_simd::many::HashManyJob::new(&params, contents[i]))
            .collect();
        blake2b_simd::many::hash_many(jobs.iter_mut());
        let mut digests = vec![[0; 32]; contents.len()];
        for (job, &i) in jobs.iter().zip(&order) {
            digests[i].copy_from_slice(job.to_hash().as_bytes());
        }
        digests
    }
}

/// Finishes a clone of a keyed state.
fn mac<M: Mac + FixedOutput + Clone>(keyed: &M, data: &[u8]) -> [u8; 32] {
    let digest = keyed.clone().chain_update(data).finalize_fixed();
    let mut out = [0; 32];
    out[..digest.len()].copy_from_slice(&digest);
    out
}

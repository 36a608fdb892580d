//! Keyed hashes: what a content is called, and part of what its key depends on.
//!
//! The key is the repository's secret, so that names of contents say nothing about the data. One
//! repository has one [`HashAlgorithm`], a row of the table in this module; a [`ContentHasher`]
//! is that algorithm with its key, ready to hash from many threads.
//!
//! Two rows look alike and are not: `BLAKE2B-256-128` is BLAKE2b with a digest of 32 bytes, cut
//! to 16, while `BLAKE2S-128` is BLAKE2s with a digest of 16 bytes.
//!
//! Source: `kopia:repo/hashing/`.

mod state;
#[cfg(test)]
mod tests;

use state::State;

use crate::id::Hash;

/// Hash of a repository created without a choice.
pub const DEFAULT_HASH: &str = "BLAKE2B-256-128";

/// Why contents cannot be hashed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The format names a hash that does not exist.
    #[error("unknown hash function {name}")]
    Unknown {
        /// The name as given.
        name: String,
    },
    /// The secret of the repository does not fit the hash.
    #[error("unable to initialize hash {algorithm}: invalid key size of {length} bytes")]
    InvalidKey {
        /// The hash.
        algorithm: &'static str,
        /// Length of the secret in bytes.
        length: usize,
    },
}

/// A keyed hash of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashAlgorithm {
    name: &'static str,
    output: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blake2b256,
    Blake2s128,
    Blake2s256,
    Blake3,
    HmacSha224,
    HmacSha256,
    HmacSha3_224,
    HmacSha3_256,
}

const fn row(name: &'static str, kind: Kind, output: usize) -> HashAlgorithm {
    HashAlgorithm { name, output, kind }
}

/// Every hash of the format: name, construction, bytes that are kept of it.
const ALGORITHMS: [HashAlgorithm; 11] = [
    row("BLAKE2B-256", Kind::Blake2b256, 32),
    row("BLAKE2B-256-128", Kind::Blake2b256, 16),
    row("BLAKE2S-128", Kind::Blake2s128, 16),
    row("BLAKE2S-256", Kind::Blake2s256, 32),
    row("BLAKE3-256", Kind::Blake3, 32),
    row("BLAKE3-256-128", Kind::Blake3, 16),
    row("HMAC-SHA224", Kind::HmacSha224, 28),
    row("HMAC-SHA256", Kind::HmacSha256, 32),
    row("HMAC-SHA256-128", Kind::HmacSha256, 16),
    row("HMAC-SHA3-224", Kind::HmacSha3_224, 28),
    row("HMAC-SHA3-256", Kind::HmacSha3_256, 32),
];

impl HashAlgorithm {
    /// The algorithm of this name; names are case-sensitive.
    pub fn by_name(name: &str) -> Result<Self, HashError> {
        ALGORITHMS
            .into_iter()
            .find(|algorithm| algorithm.name == name)
            .ok_or_else(|| HashError::Unknown { name: name.to_owned() })
    }

    /// All names, sorted.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ALGORITHMS.iter().map(|algorithm| algorithm.name)
    }

    /// The name in the format blob.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Length of a hash in bytes: 16, 28 or 32.
    pub fn output_length(self) -> usize {
        self.output
    }
}

/// A hash algorithm together with the secret of a repository.
pub struct ContentHasher {
    algorithm: HashAlgorithm,
    state: State,
}

impl ContentHasher {
    /// Prepares `algorithm` with the repository's secret.
    pub fn new(algorithm: HashAlgorithm, secret: &[u8]) -> Result<Self, HashError> {
        let state = State::new(algorithm.kind, secret)
            .ok_or(HashError::InvalidKey { algorithm: algorithm.name, length: secret.len() })?;
        Ok(Self { algorithm, state })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// The hash of one content.
    pub fn hash(&self, data: &[u8]) -> Hash {
        Hash::truncated(&self.state.digest(data), self.algorithm.output)
    }

    /// The hashes of many contents, appended to `out` in the order of `contents`.
    ///
    /// Faster than one after the other when there are three or more and the processor can hash
    /// several at once.
    pub fn hash_many(&self, contents: &[&[u8]], out: &mut Vec<Hash>) {
        out.reserve(contents.len());
        let keep = |digest: &[u8; 32]| Hash::truncated(digest, self.algorithm.output);
        match self.state.digest_many(contents) {
            Some(digests) => out.extend(digests.iter().map(keep)),
            None => out.extend(contents.iter().map(|content| self.hash(content))),
        }
    }
}

impl std::fmt::Debug for ContentHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentHasher")
            .field("algorithm", &self.algorithm.name)
            .finish_non_exhaustive()
    }
}

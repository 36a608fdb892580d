//! The Kopia repository format as pure functions of bytes.
//!
//! No I/O, no clock and no threads: bytes, times and randomness come in as arguments, bytes and
//! typed values go out. (One exception: the nonces of the encryption are drawn inside, from the
//! system's generator, so that no caller can repeat one.) Everything that reads foreign bytes
//! returns an error on bad input, never panics, and never allocates more than the input justifies.
//!
//! `docs/format.md` tells the format byte by byte; its sections have the names of these modules.
//!
//! What reads foreign bytes, and so can be handed any bytes at all (by a fuzzer, for example):
//! the `FromStr` of the types in [`id`] and [`id::ContentId::from_key`];
//! [`format_blob::FormatBlob::parse`], [`format_blob::RepositoryFormat::from_json`],
//! [`format_blob::BlobCfg::from_json`], [`format_blob::find_replica`];
//! [`encryption::ContentCipher::open`], [`ecc::ReedSolomon::decode`], [`blob_crypto::open_blob`],
//! [`blob_crypto::iv_of_name`]; [`json::Object::parse`] and [`json::parse_time`]; and the readers
//! of the other modules, which say so there.

pub mod blob_crypto;
pub mod compression;
pub mod directory;
pub mod ecc;
pub mod encryption;
pub mod epoch;
pub mod format_blob;
pub mod hashing;
pub mod id;
pub mod index;
pub mod json;
pub mod kdf;
pub mod maintenance;
pub mod manifest;
pub mod pack;
pub mod session;
pub mod snapshot;
pub mod splitter;
#[cfg(test)]
mod testing;

//! Names of algorithms that the format knows.

use kopist_format::compression::Compressor;
use kopist_format::hashing::HashAlgorithm;
use kopist_format::splitter::SplitterAlgorithm;
use kopist_format::{ecc, encryption, kdf};

pub(super) fn hashes() -> Vec<&'static str> {
    HashAlgorithm::names().collect()
}

pub(super) fn encryptions() -> Vec<&'static str> {
    encryption::encryptions().collect()
}

pub(super) fn splitters() -> Vec<&'static str> {
    SplitterAlgorithm::names().collect()
}

pub(super) fn error_corrections() -> Vec<&'static str> {
    vec![ecc::REED_SOLOMON_CRC32]
}

pub(super) fn key_derivations() -> Vec<&'static str> {
    kdf::key_derivations().to_vec()
}

pub(super) fn compressors() -> Vec<&'static str> {
    Compressor::all().map(Compressor::name).collect()
}

//! What surrounds the contents of a pack that is written.
//!
//! Layout: `kopist_format::pack`. Readers of contents look at none of this; it serves to recover
//! the index of a repository that lost its own.

use kopist_format::{
    index::{Entry, IndexBuilder},
    pack::{PREAMBLE_LENGTH, Postamble, padding_length},
};

use crate::{
    error::{RepoError, Result},
    settings::{Crypto, Settings},
    util::random,
};

/// Begins a pack in an empty buffer: the replica of the format blob where packs carry one, then
/// the random preamble.
pub(crate) fn start_of_pack(settings: &Settings, data: &mut Vec<u8>) -> Result<()> {
    settings.append_replica(data)?;
    data.extend_from_slice(&random::<PREAMBLE_LENGTH>()?);
    Ok(())
}

/// What follows the contents: padding, local index, postamble.
pub(crate) struct PackTail(Vec<u8>);

impl PackTail {
    /// The tail of a pack that has `length` bytes so far; `entries` go into the local index.
    pub(crate) fn build<'a>(
        crypto: &Crypto,
        index_version: u8,
        length: usize,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<Self> {
        let fail = |e: Box<dyn std::error::Error + Send + Sync>| RepoError::Format {
            what: "local index of a pack".into(),
            source: e,
        };
        let mut builder = IndexBuilder::new();
        for entry in entries {
            builder.add(entry.clone());
        }
        let index = builder.build_local(index_version, random()?).map_err(|e| fail(e.into()))?;

        let mut tail = vec![0; padding_length(length)];
        getrandom::fill(&mut tail).map_err(RepoError::Random)?;
        let start = tail.len();
        let hash = crypto.hasher.hash(&index);
        crypto.cipher.seal(&index, hash.as_slice(), &mut tail).map_err(|e| fail(e.into()))?;
        let number = |n: usize| u32::try_from(n).map_err(|e| fail(e.into()));
        let postamble = Postamble {
            iv: hash.as_slice().to_vec(),
            offset: number(length + start)?,
            length: number(tail.len() - start)?,
        };
        tail.extend(postamble.encode().map_err(|e| fail(e.into()))?);
        Ok(Self(tail))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

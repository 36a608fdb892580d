//! Packs, indexes and compressed streams that are made here, read by kopia.

use std::{collections::BTreeSet, path::Path};

use kopist_format::{
    blob_crypto::{open_blob, seal_blob},
    compression::{Compressor, Status},
    epoch::{compaction_suffix, uncompacted_prefix},
    format_blob::{FORMAT_BLOB, FormatBlob, RepositoryFormat},
    id::{ContentId, IdPrefix},
    index::{Entry, Index, IndexBuilder},
    pack::{PREAMBLE_LENGTH, PackKind, Postamble, padding_length},
    session::SessionId,
};
use kopist_testkit::oracle::{Client, find_or_skip};

use crate::blobs;

fn put(repository: &Path, name: &str, body: &[u8]) {
    std::fs::write(repository.join(format!("{name}.f")), body).unwrap();
}

/// Text with repetitions near and far, longer than a block of S2.
fn plaintext(seed: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut n = seed;
    while out.len() < 1_300_000 {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(format!("line {} of {}, ", n >> 50, seed).as_bytes());
        if n >> 60 == 0 {
            out.extend_from_slice(&n.to_le_bytes());
        }
    }
    out
}

/// A pack in the making.
struct Pack<'a> {
    format: &'a RepositoryFormat,
    name: String,
    body: Vec<u8>,
    index: IndexBuilder,
}

impl Pack<'_> {
    fn add(
        &mut self,
        prefix: Option<IdPrefix>,
        data: &[u8],
        compressor: Option<Compressor>,
    ) -> ContentId {
        let hash = self.format.hasher().unwrap().hash(data);
        let id = ContentId::new(prefix, &hash);
        let mut compressed = Vec::new();
        let saved = compressor.is_some_and(|c| c.compress(data, &mut compressed).unwrap());
        let offset = self.body.len();
        let payload = if saved { &compressed[..] } else { data };
        self.format.cipher().unwrap().seal(payload, id.iv(), &mut self.body).unwrap();
        self.index.add(Entry {
            id,
            pack: self.name.as_str().into(),
            offset: offset as u32,
            packed_length: (self.body.len() - offset) as u32,
            original_length: data.len() as u32,
            timestamp: 1_790_000_000,
            deleted: false,
            format_version: 3,
            compression: compressor.filter(|_| saved).map_or(0, Compressor::header),
            encryption_key: 0,
        });
        id
    }

    /// Padding, local index, postamble.
    fn finish(mut self) -> (String, Vec<u8>, IndexBuilder) {
        self.body.resize(self.body.len() + padding_length(self.body.len()), 7);
        let local = self.index.build_local(2, [9; 32]).unwrap();
        let iv = self.format.hasher().unwrap().hash(&local).as_slice().to_vec();
        let offset = self.body.len();
        self.format.cipher().unwrap().seal(&local, &iv, &mut self.body).unwrap();
        let length = (self.body.len() - offset) as u32;
        let postamble = Postamble { iv, offset: offset as u32, length };
        self.body.extend(postamble.encode().unwrap());
        (self.name, self.body, self.index)
    }
}

#[test]
fn kopia_reads_every_compressor_through_our_packs_and_indexes() {
    let Some(kopia) = find_or_skip("kopia_reads_every_compressor_through_our_packs_and_indexes")
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("repository");
    std::fs::create_dir(&repository).unwrap();
    let client = Client::new(&kopia, &folder.path().join("client"), "secret");
    let path = repository.to_str().unwrap();
    client.ok(&["repository", "create", "filesystem", "--path", path, "--flat"]);

    let blob = FormatBlob::parse(&blobs(&repository)[FORMAT_BLOB]).unwrap();
    let format = blob.open(&blob.derive_key(&"secret".into()).unwrap()).unwrap();
    let session = SessionId::new([1; 8], "2026-11-21T12:00:00Z".parse().unwrap());
    let mut pack = Pack {
        format: &format,
        name: PackKind::Data.new_name([2; 16], &session).to_string(),
        body: vec![5; PREAMBLE_LENGTH],
        index: IndexBuilder::new(),
    };
    let mut written = Vec::new();
    for (seed, compressor) in
        Compressor::all().filter(|c| c.status() != Status::ReadOnly).enumerate()
    {
        let data = plaintext(seed as u64 + 1);
        let id = pack.add(None, &data, Some(compressor));
        assert_eq!(pack.index.get(&id).unwrap().compression, compressor.header());
        written.push((id, data, compressor));
    }
    let (name, body, index) = pack.finish();
    put(&repository, &name, &body);

    // first nothing but the pack: kopia finds its contents by postamble and local index
    client.ok(&["index", "recover", "--commit", "--blobs", &name, "--dangerous-commands=enabled"]);
    client.ok(&["content", "verify", "--full"]);
    let listed = client.json(&["content", "list", "--json"]);
    let ids: BTreeSet<&str> =
        listed.as_array().unwrap().iter().map(|c| c["contentID"].as_str().unwrap()).collect();
    for (id, data, compressor) in &written {
        assert!(ids.contains(id.to_string().as_str()), "{compressor}");
        let shown = client.command(&["content", "show", &id.to_string()]).output().unwrap();
        assert!(shown.status.success() && shown.stdout == *data, "{compressor}: {id}");
    }

    // what kopia recovered is what we recorded
    let cipher = format.cipher().unwrap();
    let mut recovered = IndexBuilder::new();
    for (name, body) in blobs(&repository).iter().filter(|(name, _)| name.starts_with("xn")) {
        let payload = open_blob(&cipher, name, body).unwrap();
        for entry in Index::parse(payload, 28).unwrap().iter() {
            recovered.add_ref(&entry.unwrap());
        }
    }
    for entry in index.iter() {
        assert_eq!(recovered.get(&entry.id), Some(entry));
    }

    // then an index blob of ours: a newer tombstone for one content, another content as it is
    let mut ours = IndexBuilder::new();
    let (gone, ..) = written[0];
    let entry = index.get(&gone).unwrap().to_entry();
    ours.add(Entry { deleted: true, timestamp: entry.timestamp + 1, ..entry });
    ours.add_ref(&index.get(&written[1].0).unwrap());
    let shards = ours.build_stable(2).unwrap();
    assert_eq!(shards.len(), 1);
    let (hasher, suffix) = (format.hasher().unwrap(), compaction_suffix([3; 8], 1));
    let (name, body) =
        seal_blob(&hasher, &cipher, &shards[0], &uncompacted_prefix(0), &suffix).unwrap();
    put(&repository, &name, &body);
    let other = Client::new(&kopia, &folder.path().join("other"), "secret");
    other.ok(&["repository", "connect", "filesystem", "--path", path]);
    let listed = other.json(&["content", "list", "--json"]);
    let ids: BTreeSet<&str> =
        listed.as_array().unwrap().iter().map(|c| c["contentID"].as_str().unwrap()).collect();
    assert!(!ids.contains(gone.to_string().as_str()));
    assert!(written[1..].iter().all(|(id, ..)| ids.contains(id.to_string().as_str())));
}

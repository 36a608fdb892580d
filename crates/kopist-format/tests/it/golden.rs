//! Every key, hash, cipher and error correction of the golden repositories.

use std::collections::BTreeMap;

use kopist_format::{
    blob_crypto::open_blob,
    compression::decompress,
    encryption::ContentCipher,
    format_blob::{
        BLOBCFG_BLOB, BlobCfg, FORMAT_BACKUP_PREFIX, FORMAT_BLOB, FormatBlob, FormatError,
        MAINTENANCE_BLOB, RepositoryFormat, open_maintenance_schedule,
    },
    hashing::ContentHasher,
    id::ContentId,
    kdf::FormatKey,
    pack::Postamble,
};
use kopist_testkit::golden::{self, GoldenRepository};

use crate::blobs;

/// A golden repository in memory, opened with its password.
pub(crate) struct Opened {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    pub(crate) blob: FormatBlob,
    pub(crate) key: FormatKey,
    pub(crate) format: RepositoryFormat,
}

pub(crate) fn open(golden: &GoldenRepository) -> Result<Opened, FormatError> {
    let folder = tempfile::tempdir().unwrap();
    let blobs = blobs(&golden.unpack(folder.path()));
    let blob = FormatBlob::parse(blobs.get(FORMAT_BLOB).map_or(b"", |stored| stored))?;
    let key = blob.derive_key(&golden.description.password.as_str().into())?;
    let format = blob.open(&key)?;
    Ok(Opened { blobs, blob, key, format })
}

/// Whether the whole blob is sealed, by its name.
fn is_sealed(name: &str) -> bool {
    let plain = ["xe", "xw", "kopia.", "n00000000000000000000000000000000-"];
    name.starts_with(['x', 'n', 's', 'm', 'l', '_']) && !plain.iter().any(|p| name.starts_with(p))
}

fn read_content(
    cipher: &ContentCipher,
    id: &ContentId,
    packed: &[u8],
    compression: u32,
    length: u32,
) -> Vec<u8> {
    let stored = cipher.open(packed, id.iv()).unwrap();
    if compression == 0 {
        stored
    } else {
        decompress(&stored, Some(compression), length as usize).unwrap()
    }
}

fn check_contents(
    golden: &GoldenRepository,
    opened: &Opened,
    hasher: &ContentHasher,
    cipher: &ContentCipher,
) -> usize {
    let Some(oracle) = &golden.description.oracle else { return 0 };
    for entry in &oracle.contents {
        let Some(pack) = opened.blobs.get(&entry.pack_file) else {
            assert!(entry.deleted, "{}: no pack {}", golden.name(), entry.pack_file);
            continue;
        };
        let id: ContentId = entry.content_id.parse().unwrap();
        let packed = &pack[entry.pack_offset as usize..][..entry.length as usize];
        let data = read_content(cipher, &id, packed, entry.compression, entry.original_length);
        assert_eq!(ContentId::new(id.id_prefix(), &hasher.hash(&data)), id, "{}", golden.name());
    }
    oracle.contents.len()
}

#[test]
fn everything_sealed_in_intact_repositories_opens() {
    let (mut repositories, mut contents, mut sealed, mut local_indexes) = (0, 0, 0, 0);
    for golden in golden::all().iter().filter(|golden| !golden.description.is_broken()) {
        let name = golden.name();
        let opened = open(golden).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Opened { blobs, blob, key, format } = &opened;
        match format.check_supported() {
            // Such a repository may not be used, but it opens.
            Err(FormatError::UnmetFeatures(_)) => assert_eq!(name, "feature-required"),
            Ok(warnings) => assert_eq!(warnings.0.is_empty(), name != "feature-warn", "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
        let rewritten = blob.to_bytes().unwrap();
        if blob.unknown.is_empty() {
            assert!(rewritten == blobs[FORMAT_BLOB], "{name}");
        } else {
            // Old versions of kopia have a key that newer ones have dropped; it moves to the end.
            assert!(name.starts_with("old-"), "{name}: {:?}", blob.unknown);
            assert_eq!(FormatBlob::parse(&rewritten).unwrap(), *blob);
        }
        let json = format.to_json().unwrap();
        assert_eq!(*RepositoryFormat::from_json(&json).unwrap().to_json().unwrap(), *json);
        if let Some(stored) = blobs.get(BLOBCFG_BLOB) {
            BlobCfg::open(stored, blob, key).unwrap();
        }
        if let Some(stored) = blobs.get(MAINTENANCE_BLOB) {
            let json = open_maintenance_schedule(format, key, &blob.unique_id, stored).unwrap();
            serde_json::from_slice::<serde_json::Value>(&json).unwrap();
        }
        let (hasher, cipher) = (format.hasher().unwrap(), format.cipher().unwrap());
        for (blob_name, body) in blobs {
            if blob_name.starts_with(FORMAT_BACKUP_PREFIX) {
                FormatBlob::parse(body).unwrap().open(key).unwrap();
            } else if is_sealed(blob_name) {
                let payload = open_blob(&cipher, blob_name, body)
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                let hash = hasher.hash(&payload).to_string();
                assert!(blob_name.contains(&hash), "{name}: {blob_name} is not named {hash}");
                sealed += 1;
            } else if blob_name.starts_with(['p', 'q']) {
                let postamble = Postamble::decode(body).unwrap();
                let index = &body[postamble.offset as usize..][..postamble.length as usize];
                let payload = cipher.open(index, &postamble.iv).unwrap();
                assert_eq!(hasher.hash(&payload).as_slice(), postamble.iv, "{name}: {blob_name}");
                local_indexes += 1;
            }
        }
        contents += check_contents(golden, &opened, &hasher, &cipher);
        repositories += 1;
    }
    assert!(
        repositories >= 10 && contents >= 500 && sealed >= 50 && local_indexes >= 50,
        "{repositories} repositories, {contents} contents, {sealed} blobs, {local_indexes} indexes"
    );
}

#[test]
fn error_correction_repairs_what_it_can_and_says_what_it_cannot() {
    // Every byte that was changed lies within what is sealed.
    let repairable = open(&golden::get("broken-ecc-repairable")).unwrap();
    let cipher = repairable.format.cipher().unwrap();
    let mut read = 0;
    for (name, body) in repairable.blobs.iter().filter(|(name, _)| is_sealed(name)) {
        open_blob(&cipher, name, body).unwrap();
        read += 1;
    }
    assert!(read > 0);
    let beyond = open(&golden::get("broken-ecc-beyond")).unwrap();
    let cipher = beyond.format.cipher().unwrap();
    for (name, body) in beyond.blobs.iter().filter(|(name, _)| is_sealed(name)) {
        // What is damaged is a pack or an index; no blob opens to something wrong.
        if let Ok(payload) = open_blob(&cipher, name, body) {
            let hash = beyond.format.hasher().unwrap().hash(&payload).to_string();
            assert!(name.contains(&hash));
        }
    }
}

#[test]
fn a_damaged_format_blob_is_an_error() {
    let error = open(&golden::get("broken-format-bitflip")).err().unwrap();
    assert_eq!(error.to_string(), "invalid repository password");
    assert!(matches!(
        open(&golden::get("broken-missing-format")).err().unwrap(),
        FormatError::InvalidBlob(_)
    ));
}

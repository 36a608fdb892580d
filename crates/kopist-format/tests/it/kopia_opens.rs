//! Repositories whose format blobs are made here, used by kopia; and back.

use std::path::Path;

use kopist_format::{
    blob_crypto::open_blob,
    format_blob::{
        BLOBCFG_BLOB, BlobCfg, FORMAT_BLOB, FormatBlob, FormatVersion, RepositoryFormat,
        find_replica,
    },
    kdf::{DEFAULT_KEY_DERIVATION, FormatKey, PBKDF2_KEY_DERIVATION},
};
use kopist_testkit::oracle::{Client, find_or_skip};
use secrecy::SecretSlice;

use crate::blobs;

/// What a repository is made of.
struct Choice {
    version: FormatVersion,
    hash: &'static str,
    encryption: &'static str,
    ecc_percent: i64,
    key_algo: &'static str,
}

const CHOICES: [Choice; 4] = [
    Choice {
        version: FormatVersion::V3,
        hash: "BLAKE2B-256-128",
        encryption: "AES256-GCM-HMAC-SHA256",
        ecc_percent: 0,
        key_algo: DEFAULT_KEY_DERIVATION,
    },
    Choice {
        version: FormatVersion::V2,
        hash: "BLAKE2S-128",
        encryption: "CHACHA20-POLY1305-HMAC-SHA256",
        ecc_percent: 2,
        key_algo: PBKDF2_KEY_DERIVATION,
    },
    Choice {
        version: FormatVersion::V3,
        hash: "HMAC-SHA3-224",
        encryption: "AES256-GCM-HMAC-SHA256",
        ecc_percent: 50,
        key_algo: PBKDF2_KEY_DERIVATION,
    },
    Choice {
        version: FormatVersion::V1,
        hash: "BLAKE3-256",
        encryption: "CHACHA20-POLY1305-HMAC-SHA256",
        ecc_percent: 0,
        key_algo: PBKDF2_KEY_DERIVATION,
    },
];

fn put(repository: &Path, name: &str, body: &[u8]) {
    std::fs::write(repository.join(format!("{name}.f")), body).unwrap();
}

fn get(repository: &Path, name: &str) -> Vec<u8> {
    std::fs::read(repository.join(format!("{name}.f"))).unwrap()
}

/// Writes both blobs of a new repository.
fn create(repository: &Path, choice: &Choice, password: &str) -> (FormatBlob, FormatKey) {
    let random = |seed: u8| (0..32).map(|i| i * 7 + seed).collect::<Vec<u8>>();
    let mut blob = FormatBlob::new(random(1));
    blob.key_algo = choice.key_algo.into();
    let (secret, master_key) = (SecretSlice::from(random(2)), SecretSlice::from(random(3)));
    let mut format = RepositoryFormat::new(choice.version, secret, master_key);
    format.hash = choice.hash.into();
    format.encryption = choice.encryption.into();
    format.set_ecc("REED-SOLOMON-CRC32", choice.ecc_percent).unwrap();
    let key = blob.derive_key(&password.into()).unwrap();
    blob.seal(&format, &key).unwrap();
    put(repository, BLOBCFG_BLOB, &BlobCfg::default().seal(&blob, &key).unwrap());
    put(repository, FORMAT_BLOB, &blob.to_bytes().unwrap());
    (blob, key)
}

#[test]
fn kopia_uses_what_we_create_and_we_open_what_it_writes() {
    let Some(kopia) = find_or_skip("kopia_uses_what_we_create_and_we_open_what_it_writes") else {
        return;
    };
    for (number, choice) in CHOICES.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let (repository, data) = (folder.path().join("repository"), folder.path().join("data"));
        std::fs::create_dir(&repository).unwrap();
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("file"), vec![b'x'; 300_000]).unwrap();
        let (mut blob, key) = create(&repository, choice, "first password");

        let client = Client::new(&kopia, &folder.path().join("client"), "first password");
        let path = repository.to_str().unwrap();
        let connect = ["repository", "connect", "filesystem", "--path", path];
        client.ok(&connect);
        client.ok(&["snapshot", "create", data.to_str().unwrap()]);
        client.ok(&["snapshot", "verify", "--verify-files-percent=100"]);

        // Every index blob opens, and its name is the hash of its payload.
        let format = blob.open(&key).unwrap();
        let (hasher, cipher) = (format.hasher().unwrap(), format.cipher().unwrap());
        let (mut indexes, mut copies) = (0, 0);
        for (name, body) in blobs(&repository) {
            if name.starts_with("xn") || name.starts_with('n') {
                let payload = open_blob(&cipher, &name, &body).unwrap();
                assert!(name.contains(&hasher.hash(&payload).to_string()), "{name}");
                indexes += 1;
            } else if name.starts_with(['p', 'q']) {
                let copy = find_replica(&body);
                assert_eq!(copy.is_some(), format.replicates_format(), "{name}");
                copies += copy.map_or(0, |copy| usize::from(copy == blob.to_bytes().unwrap()));
            }
        }
        assert!(indexes > 0, "repository {number}");
        assert_eq!(copies > 0, choice.version == FormatVersion::V1);

        // A changed password works for kopia, and the old one does not any more.
        if format.enable_password_change {
            let cfg = BlobCfg::open(&get(&repository, BLOBCFG_BLOB), &blob, &key).unwrap();
            let new = blob.change_password(&format, &"second".into()).unwrap();
            put(&repository, BLOBCFG_BLOB, &cfg.seal(&blob, &new).unwrap());
            put(&repository, FORMAT_BLOB, &blob.to_bytes().unwrap());
            let old = Client::new(&kopia, &folder.path().join("old"), "first password");
            let outcome = old.run(&connect).expect_failure();
            assert!(outcome.output().contains("invalid repository password"), "{outcome}");
            let new = Client::new(&kopia, &folder.path().join("new"), "second");
            new.ok(&connect);
            new.ok(&["snapshot", "verify", "--verify-files-percent=100"]);
        }
    }
}

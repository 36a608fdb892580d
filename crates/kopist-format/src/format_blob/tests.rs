use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretSlice};
use serde_json::Value;

use super::*;
use crate::{
    id::ContentId,
    json::to_go_json,
    kdf::FormatKey,
    testing::{base64, hex, text, vectors},
};

/// The repositories of the vectors.
fn repositories() -> &'static [Value] {
    static VECTORS: OnceLock<Value> = OnceLock::new();
    VECTORS.get_or_init(|| vectors("format-blob.json"))["repositories"].as_array().unwrap()
}

fn repository(name: &str) -> &'static Value {
    repositories().iter().find(|case| case["name"] == name).unwrap()
}

/// A repository of the vectors, opened with the key that the vectors give.
fn open(case: &Value) -> (FormatBlob, FormatKey, RepositoryFormat) {
    let blob = FormatBlob::parse(&base64(case, "kopia.repository")).unwrap();
    let key = FormatKey::from_bytes(hex(case, "formatEncryptionKey").try_into().unwrap());
    let format = blob.open(&key).unwrap();
    (blob, key, format)
}

#[test]
fn every_repository_opens_with_its_password() {
    assert_eq!(repositories().len(), 10);
    for case in repositories() {
        let blob = FormatBlob::parse(&base64(case, "kopia.repository")).unwrap();
        let key = blob.derive_key(&text(case, "password").into()).unwrap();
        assert_eq!(hex::encode(key.as_bytes()), text(case, "formatEncryptionKey"));
        let blob_key = BlobKey::new(&key, &blob.unique_id).unwrap();
        assert_eq!(hex::encode(*blob_key.key), text(case, "aesKey"));
        assert_eq!(hex::encode(*blob_key.aad), text(case, "aad"));
        blob.open(&key).unwrap().check_supported().unwrap();
        let other = blob.derive_key(&"something else".into()).unwrap();
        let error = blob.open(&other).unwrap_err();
        assert_eq!(error.to_string(), "invalid repository password");
    }
}

#[test]
fn every_blob_is_written_as_it_was_read() {
    for case in repositories() {
        let stored = base64(case, "kopia.repository");
        let (mut blob, key, format) = open(case);
        assert_eq!(blob.to_bytes().unwrap(), stored);
        assert!(blob.unknown.is_empty() && format.unknown.is_empty());
        let plaintext = format.to_json().unwrap();
        assert_eq!(std::str::from_utf8(&plaintext).unwrap(), text(case, "formatPlaintext"));

        let cfg = BlobCfg::open(&base64(case, "kopia.blobcfg"), &blob, &key).unwrap();
        assert_eq!(to_go_json(&cfg).unwrap(), text(case, "blobcfgPlaintext").as_bytes());
        let again = BlobCfg::open(&cfg.seal(&blob, &key).unwrap(), &blob, &key).unwrap();
        assert_eq!(again, cfg);

        blob.seal(&format, &key).unwrap();
        assert_ne!(blob.to_bytes().unwrap(), stored, "the nonce is a new one");
        assert_eq!(*blob.open(&key).unwrap().to_json().unwrap(), *plaintext);
    }
}

#[test]
fn derived_keys_are_those_of_the_vectors() {
    let mut schedules = 0;
    for case in repositories() {
        let (blob, key, format) = open(case);
        let cache = format.local_cache_key(&key, &blob.unique_id).unwrap();
        assert_eq!(hex::encode(*cache), text(case, "localCacheIntegrityKey"));
        if case["kopia.maintenance"].is_null() {
            continue;
        }
        schedules += 1;
        let id = &blob.unique_id;
        let purpose = format.purpose_key(&key, id, "maintenance schedule", 32).unwrap();
        assert_eq!(hex::encode(purpose), text(case, "maintenanceKey"));
        let sealed = base64(case, "kopia.maintenance");
        let plaintext = open_maintenance_schedule(&format, &key, id, &sealed).unwrap();
        assert_eq!(plaintext, text(case, "maintenancePlaintext").as_bytes());
        let again = seal_maintenance_schedule(&format, &key, id, &plaintext).unwrap();
        assert_eq!(open_maintenance_schedule(&format, &key, id, &again).unwrap(), plaintext);
        assert!(open_maintenance_schedule(&format, &key, id, &sealed[1..]).is_err());
    }
    assert!(schedules >= 3);
}

#[test]
fn every_content_opens_and_hashes_to_its_id() {
    let mut compressed = 0;
    let mut count = 0;
    for case in repositories().iter().filter(|case| case["contents"].is_array()) {
        let (_, _, format) = open(case);
        let (hasher, cipher) = (format.hasher().unwrap(), format.cipher().unwrap());
        for content in case["contents"].as_array().unwrap() {
            count += 1;
            let id: ContentId = text(content, "contentID").parse().unwrap();
            let plaintext = base64(content, "plaintext");
            assert_eq!(ContentId::new(id.id_prefix(), &hasher.hash(&plaintext)), id);
            let packed = base64(content, "packedBytes");
            assert_eq!(packed.len() as u64, content["packedLength"].as_u64().unwrap());
            let opened = cipher.open(&packed, id.iv()).unwrap();
            assert_eq!(cipher.sealed_length(opened.len()), packed.len());
            let header = hex(content, "compressionHeaderID");
            if header == [0; 4] {
                assert_eq!(opened, plaintext);
            } else {
                compressed += 1;
                assert_eq!(opened[..4], header);
            }
        }
    }
    assert!(count >= 10 && compressed >= 1);
}

#[test]
fn upgraded_repositories_keep_the_keys_of_version_1() {
    let (blob, key, v1) = open(repository("v1"));
    for name in ["v1setup", "v1lockonly", "v1upg"] {
        let (_, _, format) = open(repository(name));
        assert!(format.mutable.version > 1 && !format.enable_password_change);
        assert!(format.replicates_format());
        assert_eq!(
            format.local_cache_key(&key, &blob.unique_id).unwrap(),
            v1.local_cache_key(&key, &blob.unique_id).unwrap()
        );
        let mut blob = blob.clone();
        let error = blob.change_password(&format, &"new".into()).unwrap_err();
        assert!(error.to_string().starts_with("password changes are not supported"));
    }
}

#[test]
fn a_changed_password_opens_the_same_format() {
    let (mut blob, key, format) = open(repository("pb"));
    let new = blob.change_password(&format, &"another".into()).unwrap();
    let blob = FormatBlob::parse(&blob.to_bytes().unwrap()).unwrap();
    assert_eq!(*blob.open(&new).unwrap().to_json().unwrap(), *format.to_json().unwrap());
    assert!(matches!(blob.open(&key), Err(FormatError::InvalidPassword)));
    // An interrupted change: the configuration is still under the old key.
    let cfg = base64(repository("pb"), "kopia.blobcfg");
    let error = BlobCfg::open(&cfg, &blob, &new).unwrap_err().to_string();
    assert!(
        error.starts_with("deserialize blob config: unable to decrypt repository blobcfg blob")
    );
}

#[test]
fn unknown_keys_survive_a_rewrite() {
    let outside =
        r#"{"zeta":[1.0,{"b":2e5}],"uniqueID":"AAAA","keyAlgo":"x","ENCRYPTION":"y","alpha":null}"#;
    let blob = FormatBlob::parse(outside.as_bytes()).unwrap();
    assert_eq!(blob.encryption, "y");
    let again = FormatBlob::parse(&blob.to_bytes().unwrap()).unwrap();
    assert_eq!(again, blob);
    assert_eq!(again.unknown.names().collect::<Vec<_>>(), ["zeta", "alpha"]);
    assert!(String::from_utf8(blob.to_bytes().unwrap()).unwrap().contains("[1.0,{\"b\":2e5}]"));

    let inside = concat!(
        r#"{"format":{"hash":"h","version":2,"epochParameters":{"Enabled":false,"#,
        r#""EpochRefreshFrequency":0,"FullCheckpointFrequency":0,"CleanupSafetyMargin":0,"#,
        r#""MinEpochDuration":0,"EpochAdvanceOnCountThreshold":0,"#,
        r#""EpochAdvanceOnTotalSizeBytesThreshold":0,"DeleteParallelism":0},"#,
        r#""enablePasswordChange":false,"upgradeLock":{"creationTime":"0001-01-01T00:00:00Z","#,
        r#""new":1},"requiredFeatures":[{"feature":"f","ifNotUnderstood":{"warn":true,"n":2},"#,
        r#""m":3}],"newer":{"x":"\u003c"}},"beside":true}"#
    );
    let format = RepositoryFormat::from_json(inside.as_bytes()).unwrap();
    assert_eq!(std::str::from_utf8(&format.to_json().unwrap()).unwrap(), inside);
}

#[test]
fn nothing_shows_a_secret() {
    let (blob, key, format) = open(repository("v3"));
    let shown = format!("{blob:?} {key:?} {format:?}");
    for secret in [&format.secret, &format.master_key] {
        let secret = secret.expose_secret();
        assert!(!shown.contains(&hex::encode(secret)));
        assert!(!shown.contains(&format!("{secret:?}")));
    }
    assert!(shown.contains("REDACTED"));
    let error = RepositoryFormat::from_json(br#"{"format":{"secret":"c2VjcmV0c2VjcmV0*"}}"#);
    assert!(!error.unwrap_err().to_string().contains("c2Vj"));
}

fn new_format(version: FormatVersion) -> RepositoryFormat {
    let random = |byte| SecretSlice::from(vec![byte; 32]);
    RepositoryFormat::new(version, random(1), random(2))
}

#[test]
fn new_formats_are_those_that_kopia_creates() {
    for (name, version) in
        [("v1", FormatVersion::V1), ("v2", FormatVersion::V2), ("v3", FormatVersion::V3)]
    {
        let (_, _, theirs) = open(repository(name));
        let ours = RepositoryFormat::new(version, theirs.secret.clone(), theirs.master_key.clone());
        assert_eq!(*ours.to_json().unwrap(), *theirs.to_json().unwrap());
        ours.mutable.validate().unwrap();
    }
    assert_eq!(FormatVersion::default(), FormatVersion::V3);

    let (_, _, theirs) = open(repository("ecc"));
    let mut ours =
        RepositoryFormat::new(FormatVersion::V3, theirs.secret.clone(), theirs.master_key.clone());
    ours.set_ecc("REED-SOLOMON-CRC32", 10).unwrap();
    assert_eq!(*ours.to_json().unwrap(), *theirs.to_json().unwrap());
    ours.set_ecc("REED-SOLOMON-CRC32", 0).unwrap();
    assert_eq!((ours.ecc.as_str(), ours.ecc_overhead_percent), ("", 0));
    ours.set_ecc("REED-SOLOMON-CRC32", 1000).unwrap();
    assert_eq!(ours.ecc_overhead_percent, 100);
    let mut v1 = new_format(FormatVersion::V1);
    v1.set_ecc("REED-SOLOMON-CRC32", 10).unwrap();
    assert_eq!(v1.ecc, "");
}

/// What the vectors' binary says about deviations from a default repository.
#[test]
fn what_cannot_be_used_is_refused_with_kopias_words() {
    let check = |change: &dyn Fn(&mut RepositoryFormat)| {
        let mut format = new_format(FormatVersion::V3);
        change(&mut format);
        let format = RepositoryFormat::from_json(&format.to_json().unwrap()).unwrap();
        match format.check_supported() {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(check(&|_| ()), "");
    assert_eq!(
        check(&|f| f.mutable.version = 4),
        "can't handle repositories created using version 4 (min supported 1, max supported 3)"
    );
    assert!(check(&|f| f.mutable.version = 0).contains("version 0"));
    assert_eq!(check(&|f| f.hash = "X".into()), "unknown hash function X");
    assert_eq!(check(&|f| f.encryption = "X".into()), "unknown encryption algorithm: X");
    assert_eq!(check(&|f| f.ecc = "X".into()), "");
    assert_eq!(check(&|f| f.ecc_overhead_percent = 5), "");
    let unknown_ecc = |f: &mut RepositoryFormat| {
        f.ecc = "X".into();
        f.ecc_overhead_percent = 5;
    };
    assert_eq!(check(&unknown_ecc), "Unknown ECC algorithm: X");
    assert_eq!(check(&|f| f.mutable.index_version = 3), "index version 3 is not supported");
    assert_eq!(check(&|f| f.mutable.index_version = 0), "");
    assert_eq!(check(&|f| f.mutable.max_pack_size = 1024), "");
    assert_eq!(check(&|f| f.enable_password_change = false), "");
    let ecc_v1 = |f: &mut RepositoryFormat| {
        f.set_ecc("REED-SOLOMON-CRC32", 5).unwrap();
        f.mutable.index_version = 1;
    };
    assert!(check(&ecc_v1).starts_with("error correction needs index version 2"));

    let mut format = new_format(FormatVersion::V3);
    format.secret = SecretSlice::from(vec![]);
    let error = format.local_cache_key(&FormatKey::from_bytes([0; 32]), &[0; 32]).unwrap_err();
    assert!(error.to_string().contains("empty key: invalid primary key"));
    format.splitter.clear();
    assert_eq!(format.splitter_name(), "FIXED");
    format.mutable.max_pack_size = 0;
    assert_eq!(format.mutable.effective_pack_size(), 20 << 20);
}

#[test]
fn required_features_warn_or_refuse() {
    let (_, _, mut format) = open(repository("synthetic-retention"));
    let warnings = format.check_supported().unwrap();
    assert_eq!(
        warnings.to_string(),
        "This version of Kopia does not support feature 'made-up'.\na <b> & c\n\
         See: http://x/?a=1&b=2\nPlease upgrade to version 9.9 or newer."
    );
    format.required_features[1].if_not_understood = IfNotUnderstood::default();
    let error = format.check_supported().unwrap_err();
    assert_eq!(error.to_string(), "This version of Kopia does not support feature 'made-up'.");
}

#[test]
fn parameters_are_held_to_their_limits() {
    let good = MutableParameters::new(FormatVersion::V3);
    good.validate().unwrap();
    let message = |change: &dyn Fn(&mut MutableParameters)| {
        let mut parameters = good.clone();
        change(&mut parameters);
        parameters.validate().map_or_else(|error| error.to_string(), |()| String::new())
    };
    let hour = SignedDuration::from_hours(1);
    assert!(message(&|p| p.max_pack_size = 10_485_759).contains("too small"));
    assert_eq!(message(&|p| p.max_pack_size = 10_485_760), "");
    assert_eq!(message(&|p| p.max_pack_size = 125_829_120), "");
    assert!(message(&|p| p.max_pack_size = 125_829_121).contains("too big"));
    assert!(message(&|p| p.index_version = 3).contains("supported versions are 1 & 2"));
    assert!(
        message(&|p| p.epoch.min_epoch_duration = hour / 6 - SignedDuration::from_nanos(1))
            .contains("duration too low")
    );
    assert!(message(&|p| p.epoch.epoch_refresh_frequency = 9 * hour).contains("refresh period"));
    assert!(message(&|p| p.epoch.full_checkpoint_frequency = 0).contains("compaction period"));
    assert!(message(&|p| p.epoch.cleanup_safety_margin = hour / 2).contains("safety margin"));
    assert_eq!(message(&|p| p.epoch.cleanup_safety_margin = hour), "");
    assert!(message(&|p| p.epoch.epoch_advance_on_count_threshold = 9).contains("on count"));
    let size = |p: &mut MutableParameters| p.epoch.epoch_advance_on_total_size_bytes_threshold = 5;
    assert!(message(&size).contains("on size"));
    let disabled = |p: &mut MutableParameters| p.epoch = EpochParameters::disabled();
    assert_eq!(message(&disabled), "");

    let v1 = MutableParameters::new(FormatVersion::V1);
    v1.validate_change(&good).unwrap();
    let error = good.validate_change(&v1).unwrap_err().to_string();
    assert!(error.contains("index format version can only be upgraded"));
}

#[test]
fn retention_is_held_to_its_limits() {
    let cfg = |mode: &str, hours| BlobCfg {
        retention_mode: mode.into(),
        retention_period: SignedDuration::from_hours(hours),
        ..BlobCfg::default()
    };
    for (cfg, valid) in [
        (cfg("", 0), true),
        (cfg("GOVERNANCE", 24), true),
        (cfg("COMPLIANCE", 100_000), true),
        (cfg("COMPLIANCE", 23), false),
        (cfg("COMPLIANCE", 0), false),
        (cfg("", 24), false),
        (cfg("Locked", 24), false),
    ] {
        assert_eq!(cfg.validate().is_ok(), valid, "{cfg:?}");
        assert!(!valid || cfg.is_retention_enabled() != cfg.retention_mode.is_empty());
    }
}

fn lock(notice: i64) -> UpgradeLock {
    let (_, _, format) = open(repository("v1lockonly"));
    let lock = format.upgrade_lock.unwrap(); // drain 2 s, drift 1 s, so the interval is 5 s
    UpgradeLock { advance_notice: SignedDuration::from_secs(notice), ..lock }
}

#[test]
fn upgrade_locks_lock_and_drain_in_time() {
    let at =
        |lock: &UpgradeLock, seconds: i64| lock.creation_time + SignedDuration::from_secs(seconds);
    let now = lock(0);
    assert_eq!(now.owner_id, "own1");
    assert_eq!(now.message, "Upgrading from format version 1 -> 3");
    now.validate().unwrap();
    assert!(now.locked(at(&now, -1000)) && now.locked(at(&now, 1000)));
    assert!(!now.writers_drained(at(&now, 4)) && now.writers_drained(at(&now, 5)));
    assert!(now.excludes("", at(&now, 0)) && !now.excludes("own1", at(&now, 0)));

    let later = lock(60);
    later.validate().unwrap();
    assert!(!later.locked(at(&later, 54)) && later.locked(at(&later, 55)));
    assert!(!later.writers_drained(at(&later, 59)) && later.writers_drained(at(&later, 60)));
    assert!(!later.excludes("", at(&later, 0)));

    assert_eq!(later.update(&lock(90)).unwrap(), lock(90));
    assert!(later.update(&lock(30)).is_err());
    assert!(later.update(&lock(0)).is_err());
    assert!(now.update(&lock(60)).is_err());
    assert_eq!(now.update(&now).unwrap(), now);
    assert!(later.update(&UpgradeLock { owner_id: "other".into(), ..lock(90) }).is_err());

    let invalid = |change: &dyn Fn(&mut UpgradeLock)| {
        let mut lock = lock(0);
        change(&mut lock);
        assert!(lock.validate().is_err(), "{lock:?}");
    };
    let second = SignedDuration::from_secs(1);
    invalid(&|l| l.owner_id.clear());
    invalid(&|l| l.message.clear());
    invalid(&|l| l.creation_time = crate::json::ZERO_TIME);
    invalid(&|l| l.io_drain_timeout = SignedDuration::ZERO);
    invalid(&|l| l.status_poll_interval = 3 * second);
    invalid(&|l| l.max_permitted_clock_drift = SignedDuration::ZERO);
    invalid(&|l| l.advance_notice = -second);
    invalid(&|l| l.advance_notice = 5 * second);
}

#[test]
fn extreme_locks_do_not_overflow() {
    let extreme = UpgradeLock {
        io_drain_timeout: SignedDuration::MAX,
        advance_notice: SignedDuration::MIN,
        ..lock(0)
    };
    assert!(extreme.locked(Timestamp::MIN));
    assert!(extreme.writers_drained(Timestamp::MAX));
    let json = to_go_json(&extreme);
    assert!(json.is_err(), "292 years do not fit into the format");
}

#[test]
fn packs_begin_with_a_copy_of_the_format_blob() {
    let case = repository("v1");
    let (stored, pack) = (base64(case, "kopia.repository"), base64(case, "packPrefix"));
    assert_eq!(find_replica(&pack), Some(&stored[..]));
    let mut copy = Vec::new();
    append_replica(&stored, &mut copy).unwrap();
    assert_eq!(pack[..copy.len()], copy);
    let at_end = [vec![7; 100_000], copy.clone()].concat();
    assert_eq!(find_replica(&at_end), Some(&stored[..]));
    assert_eq!(find_replica(&copy[1..]), Some(&stored[..]), "the one at the end");
    assert_eq!(find_replica(&copy[1..copy.len() - 1]), None);
    assert!(append_replica(&vec![0; 65_000 - 32], &mut Vec::new()).is_ok());
    assert!(append_replica(&vec![0; 65_001 - 32], &mut Vec::new()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_flipped_byte_of_the_sealed_parts_is_an_error(at: prop::sample::Index, flip in 1..=255u8) {
        let case = repository("v3");
        let (mut blob, key, format) = open(case);
        let index = at.index(blob.encrypted_block_format.len());
        blob.encrypted_block_format[index] ^= flip;
        prop_assert!(matches!(blob.open(&key), Err(FormatError::InvalidPassword)));
        for name in ["kopia.blobcfg", "kopia.maintenance"] {
            let mut sealed = base64(case, name);
            let index = at.index(sealed.len());
            sealed[index] ^= flip;
            let is_error = if name == "kopia.blobcfg" {
                BlobCfg::open(&sealed, &blob, &key).is_err()
            } else {
                open_maintenance_schedule(&format, &key, &blob.unique_id, &sealed).is_err()
            };
            prop_assert!(is_error);
        }
    }

    #[test]
    fn any_flipped_byte_of_the_blob_is_an_error_or_harmless(at: prop::sample::Index, flip in 1..=255u8) {
        let (_, key, format) = open(repository("v3"));
        let mut stored = base64(repository("v3"), "kopia.repository");
        let index = at.index(stored.len());
        stored[index] ^= flip;
        if let Ok(opened) = FormatBlob::parse(&stored).and_then(|blob| blob.open(&key)) {
            // only the informative texts and white space may change
            prop_assert_eq!(&*opened.to_json().unwrap(), &*format.to_json().unwrap());
        }
    }

    #[test]
    fn any_bytes_parse_or_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = FormatBlob::parse(&bytes);
        let _ = RepositoryFormat::from_json(&bytes);
        let _ = BlobCfg::from_json(&bytes);
        prop_assert_eq!(find_replica(&bytes), None);
    }

    #[test]
    fn a_damaged_format_parses_or_is_an_error(at: prop::sample::Index, flip in 1..=255u8) {
        let mut plaintext = text(repository("v1lockonly"), "formatPlaintext").as_bytes().to_vec();
        let index = at.index(plaintext.len());
        plaintext[index] ^= flip;
        if let Ok(format) = RepositoryFormat::from_json(&plaintext) {
            let again = RepositoryFormat::from_json(&format.to_json().unwrap()).unwrap();
            prop_assert_eq!(&*again.to_json().unwrap(), &*format.to_json().unwrap());
            let _ = format.check_supported();
        }
    }

    #[test]
    fn any_format_blob_has_a_copy_that_is_found(
        format in prop::collection::vec(any::<u8>(), 0..2000),
        rest in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let mut pack = Vec::new();
        append_replica(&format, &mut pack).unwrap();
        pack.extend_from_slice(&rest);
        prop_assert_eq!(find_replica(&pack), Some(&format[..]));
    }
}

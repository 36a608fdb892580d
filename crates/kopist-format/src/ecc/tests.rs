use proptest::prelude::*;
use sha2::Digest;

use super::*;
use crate::testing::{hex, splitmix, text, vectors};

fn code(percent: u64) -> ReedSolomon {
    ReedSolomon::new(EccParameters::new(percent as u32).unwrap())
}

fn encoded(code: &ReedSolomon, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    code.encode(input, &mut out).unwrap();
    out
}

#[test]
fn parameters_are_those_of_the_vectors() {
    let vectors = vectors("ecc.json");
    let rows = vectors["parameters"].as_array().unwrap();
    assert_eq!(rows.len(), 100);
    for row in rows {
        let percent = row["overheadPercent"].as_u64().unwrap();
        let parameters = EccParameters::new(percent as u32).unwrap();
        for (name, value) in [
            ("dataShards", parameters.data_shards),
            ("parityShards", parameters.parity_shards),
            ("maxShardSize", parameters.max_shard_size),
            ("thresholdParityInput", parameters.small_input()),
            ("thresholdParityOutput", parameters.small_stored()),
            ("thresholdBlocksInput", parameters.block_input()),
            ("thresholdBlocksOutput", parameters.block_stored()),
        ] {
            assert_eq!(row[name].as_u64().unwrap(), value as u64, "{name} of {percent} %");
        }
    }
}

#[test]
fn every_vector_encodes_and_decodes_as_in_kopia() {
    let vectors = vectors("ecc.json");
    let cases = vectors["vectors"].as_array().unwrap();
    assert_eq!(cases.len(), 153);
    for case in cases {
        let code = code(case["overheadPercent"].as_u64().unwrap());
        let length = case["plainLength"].as_u64().unwrap();
        let plain = splitmix(length, length as usize);
        let stored = encoded(&code, &plain);
        assert_eq!(stored.len() as u64, case["storedLength"].as_u64().unwrap());
        assert_eq!(stored.len(), code.stored_length(plain.len()));
        assert_eq!(hex::encode(sha2::Sha256::digest(&stored)), text(case, "storedSha256"));
        if case["stored"].is_string() {
            assert_eq!(stored, hex(case, "stored"));
        }
        assert_eq!(code.decode(&stored).unwrap(), plain);
    }
}

#[test]
fn damage_has_the_outcome_of_the_vectors() {
    let vectors = vectors("ecc.json");
    let cases = vectors["damage"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let code = code(case["overheadPercent"].as_u64().unwrap());
        let length = case["plainLength"].as_u64().unwrap();
        let plain = splitmix(length, length as usize);
        let mut stored = encoded(&code, &plain);
        let slot = stored.len() / 8; // of the small inputs
        match text(case, "damage") {
            "flip byte 0" => stored[0] ^= 1,
            "flip bytes in 2 shards" => (0..2).for_each(|i| stored[i * slot] ^= 1),
            "flip bytes in 3 shards" => (0..3).for_each(|i| stored[i * slot] ^= 1),
            "flip last byte" => *stored.last_mut().unwrap() ^= 1,
            "last 100 bytes cut off" => stored.truncate(stored.len() - 100),
            other => panic!("unknown damage {other}"),
        }
        let decoded = code.decode(&stored);
        if case["decodes"].as_bool().unwrap() {
            assert_eq!(decoded.unwrap(), plain, "{case}");
        } else if text(case, "damage") == "flip bytes in 3 shards" {
            // Two of the three shards carry parity only; with the third the limit is passed.
            assert_eq!(decoded, Err(EccError::TooDamaged { damaged: 3, parity: 2 }));
        } else {
            assert!(decoded.is_err(), "{case}");
        }
    }
}

#[test]
fn the_stored_length_tells_the_shape() {
    for percent in [1, 2, 3, 5, 7, 10, 33, 100] {
        let parameters = EccParameters::new(percent).unwrap();
        for length in
            (0..2 * parameters.block_input() + 100).step_by(if percent < 7 { 97 } else { 1 })
        {
            let shape = parameters.shape_of_input(length);
            let stored = parameters.stored_length(length);
            assert_eq!(parameters.shape_of_stored(stored), shape, "{percent} %, {length}");
        }
    }
}

#[test]
fn decoding_takes_memory_by_what_is_stored() {
    for percent in 1..=100 {
        let parameters = EccParameters::new(percent).unwrap();
        let block = parameters.block_stored();
        for length in (0..3 * block).step_by(61).chain([block, block + 1, 100 << 20]) {
            let shape = parameters.shape_of_stored(length);
            let slot = CRC_LENGTH + shape.shard_size;
            let whole = (shape.data + shape.parity) * shape.blocks * slot;
            assert!(whole >= length && whole <= 2 * length + 256, "{percent} %, {length}");
        }
    }
}

#[test]
fn what_is_missing_at_the_end_is_restored() {
    // Several blocks with unstored padding: kopia takes the missing shards for zeros.
    let code = code(20);
    let plain = splitmix(5, 30_000);
    let stored = encoded(&code, &plain);
    let cut = &stored[..stored.len() - 5 * 68];
    assert_eq!(code.parameters.shape_of_stored(cut.len()), code.parameters.shape_of_input(30_000));
    assert_eq!(code.decode(cut).unwrap(), plain);
}

#[test]
fn a_length_that_cannot_be_is_an_error() {
    let code = code(10);
    let mut data = [0; 6];
    data[..4].copy_from_slice(&1000u32.to_be_bytes());
    let mut parity = [0; 2];
    code.small.encode(&data, &mut parity, 1);
    let mut stored = Vec::new();
    for shard in parity.iter().chain(&data) {
        stored.extend_from_slice(&crc32fast::hash(&[*shard]).to_be_bytes());
        stored.push(*shard);
    }
    assert_eq!(code.decode(&stored), Err(EccError::InvalidLength { claimed: 1000, held: 2 }));
}

#[test]
fn formats_ask_for_error_correction_or_not() {
    let of = EccParameters::of_format;
    assert_eq!(of("", 10), Ok(None));
    assert_eq!(of(REED_SOLOMON_CRC32, 0), Ok(None));
    assert_eq!(of("SOMETHING", 0), Ok(None));
    assert_eq!(of(REED_SOLOMON_CRC32, 10), EccParameters::new(10).map(Some));
    assert_eq!(of("SOMETHING", 1).unwrap_err().to_string(), "Unknown ECC algorithm: SOMETHING");
    for percent in [-1, 101, i64::MAX] {
        assert_eq!(of(REED_SOLOMON_CRC32, percent), Err(EccError::InvalidOverhead { percent }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn damage_up_to_the_parity_is_repaired(
        percent in 1..=100u64, len in 0..40_000usize, seed: u64,
        hits in proptest::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 0..128),
    ) {
        let code = code(percent);
        let plain = splitmix(seed, len);
        let mut stored = encoded(&code, &plain);
        let shape = code.parameters.shape_of_stored(stored.len());
        // as many damaged shards as one block can repair, wherever they are
        for (at, flip) in hits.iter().take(shape.parity) {
            let at = at.index(stored.len());
            stored[at] ^= flip;
        }
        prop_assert_eq!(code.decode(&stored).unwrap(), plain);
    }

    #[test]
    fn any_bytes_decode_or_are_an_error(
        percent in 1..=100u64, bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        cut in 0..3000usize,
    ) {
        let code = code(percent);
        if let Ok(decoded) = code.decode(&bytes) {
            prop_assert!(decoded.len() <= bytes.len());
        }
        let stored = encoded(&code, &bytes);
        let _ = code.decode(&stored[..cut.min(stored.len())]);
    }
}

use std::sync::LazyLock;

use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;
use crate::testing::{splitmix, vectors, words};

fn input(name: &str) -> Vec<u8> {
    match name {
        "tiny" => b"kopia compression sample. ".repeat(8),
        "empty" => Vec::new(),
        "text" => words(5, 20_000),
        "zeros" => vec![0; 2_500_000],
        "random" => splitmix(6, 600),
        "far" => {
            let base = splitmix(77, 66_000);
            let mut all = base.clone();
            for k in [1_u8, 2] {
                let mut copy = base.clone();
                for i in (usize::from(k)..copy.len()).step_by(4999) {
                    copy[i] ^= k;
                }
                all.extend(copy);
            }
            all
        }
        other => panic!("no input {other}"),
    }
}

fn sha256(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

fn base64(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn inputs_are_those_of_the_vectors() {
    for (name, sum) in vectors("compression.json")["inputSha256"].as_object().unwrap() {
        assert_eq!(sha256(&input(name)), sum.as_str().unwrap(), "{name}");
    }
}

#[test]
fn every_sample_reads() {
    let vectors = vectors("compression.json");
    let algorithms = vectors["algorithms"].as_array().unwrap();
    assert_eq!(algorithms.len(), Compressor::all().len());
    for (algorithm, compressor) in algorithms.iter().zip(Compressor::all()) {
        let name = algorithm["name"].as_str().unwrap();
        assert_eq!(Compressor::by_name(name), Some(compressor));
        assert_eq!(format!("{:08x}", compressor.header()), algorithm["headerID"].as_str().unwrap());
        let status = match (
            algorithm["unsupportedIn0_23_1"].as_bool().unwrap(),
            algorithm["deprecated"].as_bool().unwrap(),
        ) {
            (true, _) => Status::ReadOnly,
            (_, true) => Status::Deprecated,
            _ => Status::Current,
        };
        assert_eq!(compressor.status(), status, "{name}");
        for sample in algorithm["samples"].as_array().unwrap() {
            let data = base64(&sample["data"]);
            let plain = input(sample["input"].as_str().unwrap());
            let header = Some(compressor.header());
            let out = decompress(&data, header, plain.len()).expect(name);
            assert!(out == plain, "{name} {}", sample["input"]);
            // one byte less than needed is too little, and twice as much does not change anything
            if !plain.is_empty() {
                let error = decompress(&data, None, plain.len() - 1).unwrap_err();
                assert!(matches!(error, CompressionError::TooLong { .. }), "{name}: {error}");
            }
            assert!(decompress(&data, None, 2 * plain.len() + 9).unwrap() == plain, "{name}");
        }
    }
}

#[test]
fn tolerance_is_that_of_kopia() {
    let vectors = vectors("compression.json");
    let cases = vectors["tolerance"].as_array().unwrap();
    assert_eq!(cases.len(), 52);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let result = decompress(&base64(&case["data"]), None, 6 << 20);
        // kopia gave lz4 up; we still read what it wrote
        let accepted = case["accepted"].as_bool().unwrap() || name == "1400 lz4";
        match result {
            Ok(out) => {
                assert!(accepted, "{name}: kopia refuses this");
                if case["accepted"] == true {
                    assert_eq!(sha256(&out), case["outputSha256"].as_str().unwrap(), "{name}");
                }
            }
            Err(error) => assert!(!accepted, "{name}: {error}"),
        }
    }
}

#[test]
fn what_we_write_is_shorter_and_reads_back() {
    for compressor in Compressor::all().filter(|c| c.status() != Status::ReadOnly) {
        for name in ["tiny", "text", "zeros", "far"] {
            let plain = input(name);
            let mut out = b"before".to_vec();
            let saved = compressor.compress(&plain, &mut out).unwrap();
            let framed = out.strip_prefix(b"before").unwrap();
            if !saved {
                // three copies of noise, 66 kB apart: beyond the window of DEFLATE and Snappy
                assert!(name == "far" && framed.is_empty(), "{compressor} {name}");
                continue;
            }
            assert!(framed.len() < plain.len(), "{compressor} {name}");
            assert_eq!(split_header(framed).unwrap().0, compressor.header());
            let back = decompress(framed, Some(compressor.header()), plain.len()).unwrap();
            assert!(back == plain, "{compressor} {name}");
        }
    }
}

#[test]
fn what_does_not_save_is_left_alone() {
    for compressor in Compressor::all().filter(|c| c.status() != Status::ReadOnly) {
        for plain in [Vec::new(), vec![0; 5], input("random"), splitmix(3, 100_000)] {
            let mut out = b"before".to_vec();
            assert_eq!(compressor.compress(&plain, &mut out), Ok(false), "{compressor}");
            assert_eq!(out, b"before");
        }
    }
}

#[test]
fn lz4_is_never_written() {
    let lz4 = Compressor::by_name("lz4").unwrap();
    let error = lz4.compress(&input("text"), &mut Vec::new()).unwrap_err();
    assert_eq!(error, CompressionError::ReadOnly { name: "lz4" });
}

#[test]
fn headers_are_checked() {
    let mut framed = Vec::new();
    let zstd = Compressor::by_name("zstd").unwrap();
    assert!(zstd.compress(&input("text"), &mut framed).unwrap());
    assert_eq!(
        decompress(&framed, Some(0x1101), 20_000),
        Err(CompressionError::HeaderMismatch { expected: 0x1101, found: 0x1100 })
    );
    assert_eq!(
        decompress(&[0, 0, 0x99], None, 9),
        Err(CompressionError::MissingHeader { length: 3 })
    );
    assert_eq!(Compressor::by_header(0x9999), Err(CompressionError::Unknown { header: 0x9999 }));
    assert_eq!(Compressor::by_name("none"), None);
}

/// A frame that claims a huge content and window must not make us allocate either.
#[test]
fn claims_of_a_header_cost_nothing() {
    // zstd: magic, descriptor (8-byte content size), window 2^41 or so, content size, raw block
    let frame = [
        &[0, 0, 0x11, 0][..],
        &[0x28, 0xb5, 0x2f, 0xfd, 0xc0, 0xf8],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0],
        &[1, 0, 0],
    ]
    .concat();
    assert!(decompress(&frame, None, 1 << 40).is_err());
    // s2: a block of 4 MiB in four bytes
    let frame = [
        &[0, 0, 0x12, 0][..],
        b"\xff\x06\0\0S2sTwO",
        &[0, 8, 0, 0, 0, 0, 0, 0, 0x80, 0x80, 0x80, 2],
    ]
    .concat();
    assert!(decompress(&frame, None, usize::MAX).is_err());
}

/// The samples of the vectors: tiny, empty, text, zeros, random for each algorithm.
static SAMPLES: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| {
    let vectors = vectors("compression.json");
    let samples_of = |algorithm: &Value| {
        algorithm["samples"].as_array().unwrap().iter().map(|s| base64(&s["data"])).collect()
    };
    vectors["algorithms"].as_array().unwrap().iter().map(samples_of).collect()
});

fn any_data() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        (any::<u8>(), 0_usize..3000).prop_map(|(byte, n)| vec![byte; n]),
        (any::<u64>(), 0_usize..3000).prop_map(|(seed, n)| words(seed, n)),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn round_trip(data in any_data(), which in 0_usize..18) {
        let compressor = Compressor::all().nth(which).unwrap();
        if compressor.status() != Status::ReadOnly {
            let mut out = Vec::new();
            if compressor.compress(&data, &mut out).unwrap() {
                prop_assert!(out.len() < data.len());
                prop_assert_eq!(decompress(&out, Some(compressor.header()), data.len()).unwrap(), data);
            } else {
                prop_assert!(out.is_empty());
            }
        }
    }

    #[test]
    fn damage_never_panics_and_never_passes_the_limit(
        which in 0_usize..18,
        sample in 0_usize..5,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0_u32..8), 0..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        limit in 0_usize..40_000,
    ) {
        let mut data = SAMPLES[which][sample].clone();
        for (at, bit) in flips {
            let at = at.index(data.len()).max(4);
            if let Some(byte) = data.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        if let Some(cut) = cut {
            data.truncate(cut.index(data.len()));
        }
        if let Ok(out) = decompress(&data, None, limit) {
            prop_assert!(out.len() <= limit);
        }
    }

    #[test]
    fn any_bytes_are_a_stream_or_an_error(
        which in 0_usize..18,
        data in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let header = Compressor::all().nth(which).unwrap().header().to_be_bytes();
        let _ = decompress(&[&header[..], &data].concat(), None, 1 << 16);
        let s2 = [&header[..], b"\xff\x06\0\0S2sTwO\0\x30\0\0", &data].concat();
        let _ = decompress(&s2, None, 1 << 16);
        let mut out = Vec::new();
        let _ = s2_block::decode(&data, 1 << 16, &mut out);
        prop_assert!(out.len() <= 1 << 16);
    }
}

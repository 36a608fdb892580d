use proptest::prelude::*;

use super::*;
use crate::testing::{self, hex, input, text};

#[test]
fn every_vector_hashes_as_in_kopia() {
    let vectors = testing::vectors("hashing.json");
    let algorithms = vectors["algorithms"].as_array().unwrap();
    let names: Vec<_> = algorithms.iter().map(|a| text(a, "name")).collect();
    assert_eq!(names, HashAlgorithm::names().collect::<Vec<_>>());
    for vector in algorithms {
        let algorithm = HashAlgorithm::by_name(text(vector, "name")).unwrap();
        assert_eq!(algorithm.output_length() as u64, vector["outputLength"].as_u64().unwrap());
        let cases = vector["vectors"].as_array().unwrap();
        assert!(cases.len() >= 8);
        for case in cases {
            let hasher = ContentHasher::new(algorithm, &hex(case, "secret")).unwrap();
            let data = input(text(case, "input"));
            assert_eq!(hasher.hash(&data).to_string(), text(case, "hash"), "{case}");
            let mut many = Vec::new();
            hasher.hash_many(&[&data, b"", &data, &data[..data.len() / 2]], &mut many);
            assert_eq!(many[0].to_string(), text(case, "hash"));
            assert_eq!(many[2].to_string(), text(case, "hash"));
            assert_eq!(many[1], hasher.hash(b""));
        }
        for case in vector["rejectedSecrets"].as_array().unwrap() {
            let error = ContentHasher::new(algorithm, &hex(case, "secret")).unwrap_err();
            assert!(error.to_string().starts_with("unable to initialize hash"), "{error}");
        }
    }
}

#[test]
fn unknown_names_are_errors() {
    for name in ["", "blake2b-256-128", "MD5"] {
        let error = HashAlgorithm::by_name(name).unwrap_err();
        assert_eq!(error.to_string(), format!("unknown hash function {name}"));
    }
}

#[test]
fn debug_shows_no_key() {
    let hasher =
        ContentHasher::new(HashAlgorithm::by_name(DEFAULT_HASH).unwrap(), b"sesame").unwrap();
    assert_eq!(format!("{hasher:?}"), r#"ContentHasher { algorithm: "BLAKE2B-256-128", .. }"#);
}

proptest! {
    #[test]
    fn many_is_the_same_as_one_by_one(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 0..12),
        key in proptest::collection::vec(any::<u8>(), 1..=32),
    ) {
        let slices: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        for name in HashAlgorithm::names() {
            let hasher = ContentHasher::new(HashAlgorithm::by_name(name).unwrap(), &key).unwrap();
            let mut many = vec![hasher.hash(b"was here before")];
            hasher.hash_many(&slices, &mut many);
            let single: Vec<_> = slices.iter().map(|slice| hasher.hash(slice)).collect();
            prop_assert_eq!(&many[1..], &single[..]);
        }
    }
}

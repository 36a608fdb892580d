use proptest::prelude::*;

use super::*;
use crate::{
    hashing::HashAlgorithm,
    testing::{hex, text, vectors},
};

#[test]
fn every_vector_opens_and_is_named_as_in_kopia() {
    let vectors = vectors("encryption.json");
    let cases = vectors["wholeBlob"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let algorithm = HashAlgorithm::by_name(text(case, "Hash")).unwrap();
        let hasher = ContentHasher::new(algorithm, &hex(case, "Secret")).unwrap();
        let cipher =
            ContentCipher::new(text(case, "Encryption"), &hex(case, "Master"), None).unwrap();
        let (name, payload) = (text(case, "BlobID"), text(case, "Payload").as_bytes());
        assert_eq!(hex::encode(iv_of_name(name).unwrap()), text(case, "IV"));
        assert_eq!(open_blob(&cipher, name, &hex(case, "Blob")).unwrap(), payload);
        let (prefix, suffix) = (text(case, "Prefix"), text(case, "Suffix"));
        let (sealed_name, body) = seal_blob(&hasher, &cipher, payload, prefix, suffix).unwrap();
        assert_eq!(sealed_name, name);
        assert_eq!(open_blob(&cipher, name, &body).unwrap(), payload);
    }
}

#[test]
fn names_without_a_hash_are_errors() {
    let is_short = |name| matches!(iv_of_name(name), Err(BlobCryptoError::NameTooShort { .. }));
    assert!(is_short(""));
    assert!(is_short("xn0_00"));
    assert!(is_short("n-00112233445566778899aabbccddeeff"));
    let invalid = iv_of_name("n00112233445566778899aabbccddeefg-s1").unwrap_err();
    assert!(invalid.to_string().starts_with("invalid blob ID"));
}

proptest! {
    #[test]
    fn a_name_is_opened_or_an_error(name in ".{0,60}", body in prop::collection::vec(any::<u8>(), 0..80)) {
        let cipher = ContentCipher::new(crate::encryption::DEFAULT_ENCRYPTION, b"k", None).unwrap();
        prop_assert!(open_blob(&cipher, &name, &body).is_err());
    }
}

use proptest::prelude::*;

use super::*;
use crate::testing::{hex, splitmix, text, vectors};

#[test]
fn every_vector_seals_and_opens_as_in_kopia() {
    let vectors = vectors("encryption.json");
    let algorithms = vectors["algorithms"].as_object().unwrap();
    assert_eq!(algorithms.len(), encryptions().count());
    for (name, cases) in algorithms {
        let cases = cases.as_array().unwrap();
        assert_eq!(cases.len(), 5);
        for case in cases {
            let cipher = ContentCipher::new(name, &hex(case, "masterKey"), None).unwrap();
            let (iv, sealed) = (hex(case, "contentIV"), hex(case, "ciphertext"));
            let plaintext = hex(case, "plaintext");
            assert_eq!(hex::encode(*cipher.key(&iv).unwrap()), text(case, "perContentKey"));
            assert_eq!(cipher.open(&sealed, &iv).unwrap(), plaintext);
            assert_eq!(cipher.sealed_length(plaintext.len()), sealed.len());
            let nonce = hex(case, "nonce").try_into().unwrap();
            let mut out = b"before".to_vec();
            cipher.seal_with(nonce, &plaintext, &iv, &mut out).unwrap();
            assert_eq!(out, [b"before", &sealed[..]].concat());
        }
    }
}

#[test]
fn unknown_names_and_empty_keys_are_errors() {
    for name in ["", "SALSA20-HMAC", "aes256-gcm-hmac-sha256"] {
        let error = ContentCipher::new(name, b"key", None).unwrap_err();
        assert_eq!(error.to_string(), format!("unknown encryption algorithm: {name}"));
    }
    let error = ContentCipher::new(DEFAULT_ENCRYPTION, b"", None).unwrap_err();
    assert_eq!(error, EncryptionError::InvalidKey);
}

#[test]
fn a_nonce_is_used_once() {
    let cipher = ContentCipher::new(DEFAULT_ENCRYPTION, b"key", None).unwrap();
    let mut sealed = [Vec::new(), Vec::new()];
    for out in &mut sealed {
        cipher.seal(b"same", &[1; 16], out).unwrap();
    }
    assert_ne!(sealed[0][..12], sealed[1][..12]);
}

#[test]
fn debug_shows_no_key() {
    let cipher = ContentCipher::new(DEFAULT_ENCRYPTION, b"sesame", None).unwrap();
    let shown = format!("{cipher:?}");
    assert_eq!(shown, r#"ContentCipher { name: "AES256-GCM-HMAC-SHA256", ecc: None, .. }"#);
}

fn any_cipher() -> impl Strategy<Value = ContentCipher> {
    (0..2usize, proptest::option::of(1..=100u32)).prop_map(|(algorithm, percent)| {
        let ecc = percent.map(|percent| EccParameters::new(percent).unwrap());
        ContentCipher::new(ALGORITHMS[algorithm].0, b"some master key", ecc).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens(cipher in any_cipher(), seed: u64, len in 0..20_000usize) {
        let plaintext = splitmix(seed, len);
        let mut sealed = Vec::new();
        cipher.seal(&plaintext, &[3; 16], &mut sealed).unwrap();
        prop_assert_eq!(sealed.len(), cipher.sealed_length(len));
        prop_assert_eq!(cipher.open(&sealed, &[3; 16]).unwrap(), plaintext);
        prop_assert_eq!(cipher.open(&sealed, &[4; 16]), Err(EncryptionError::Authentication));
    }

    #[test]
    fn any_flipped_bit_is_an_error_or_repaired(
        cipher in any_cipher(), len in 0..600usize, at: prop::sample::Index, bit in 0..8,
    ) {
        let plaintext = splitmix(1, len);
        let mut sealed = Vec::new();
        cipher.seal(&plaintext, &[3; 16], &mut sealed).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1u8 << bit;
        let opened = cipher.open(&sealed, &[3; 16]);
        if cipher.ecc.is_some() {
            prop_assert_eq!(opened.unwrap(), plaintext);
        } else {
            prop_assert_eq!(opened, Err(EncryptionError::Authentication));
        }
    }

    #[test]
    fn a_cut_is_an_error(cipher in any_cipher(), len in 0..600usize, keep: prop::sample::Index) {
        prop_assume!(cipher.ecc.is_none());
        let mut sealed = Vec::new();
        cipher.seal(&splitmix(1, len), &[3; 16], &mut sealed).unwrap();
        let keep = keep.index(sealed.len());
        prop_assert!(cipher.open(&sealed[..keep], &[3; 16]).is_err());
    }

    #[test]
    fn any_bytes_are_an_error(
        cipher in any_cipher(), bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        prop_assert!(cipher.open(&bytes, &[3; 16]).is_err());
    }
}

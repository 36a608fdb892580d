use super::*;
use crate::testing::{hex, text, vectors};

#[test]
fn passwords_give_the_keys_of_the_vectors() {
    let vectors = vectors("format-blob.json");
    let cases = vectors["kdf"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let password = text(case, "Password").into();
        let key = derive_format_key(text(case, "Algo"), &password, &hex(case, "Salt")).unwrap();
        assert_eq!(hex::encode(key.as_bytes()), text(case, "Key"), "{case}");
    }
}

#[test]
fn the_quick_way_gives_the_same_keys() {
    let params = scrypt::Params::new(16, 8, 1).unwrap();
    for (password, salt) in [("", [0; 32]), ("päß wörd", [255; 32])] {
        let (mut quick, mut slow) = ([0; 32], [0; 32]);
        if !derive_quickly(password.as_bytes(), &salt, &mut quick) {
            return; // This processor has only the other way, which the vectors test.
        }
        scrypt::scrypt(password.as_bytes(), &salt, &params, &mut slow).unwrap();
        assert_eq!(quick, slow);
    }
}

#[test]
fn purposes_give_the_keys_of_the_vectors() {
    let vectors = vectors("format-blob.json");
    let cases = vectors["hkdf"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let length = case["Len"].as_u64().unwrap() as usize;
        let key = purpose_key(&hex(case, "Key"), &hex(case, "Salt"), text(case, "Purpose"), length);
        assert_eq!(hex::encode(key.unwrap()), text(case, "Out"), "{case}");
    }
}

#[test]
fn what_cannot_be_derived_is_an_error() {
    let password = "test".into();
    for name in ["", "scrypt-1024-8-1", "testing-only-insecure"] {
        let error = derive_format_key(name, &password, &[0; 32]).unwrap_err();
        assert_eq!(error.to_string(), format!("unsupported key derivation algorithm: {name}"));
    }
    for name in key_derivations() {
        let error = derive_format_key(name, &password, &[0; 15]).unwrap_err();
        assert!(error.to_string().starts_with("required salt size is at least 16 bytes"));
    }
    let error = purpose_key(b"", &[0; 32], "local-cache-integrity", 16).unwrap_err();
    assert!(error.to_string().contains("empty key: invalid primary key"));
    assert!(purpose_key(b"k", &[0; 32], "x", 255 * 32).is_ok());
    assert!(purpose_key(b"k", &[0; 32], "x", 255 * 32 + 1).is_err());
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", FormatKey::from_bytes([7; 32])), "FormatKey([REDACTED])");
}

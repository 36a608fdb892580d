use proptest::prelude::*;

use super::*;
use crate::testing::{hex, text, vectors};

#[test]
fn postambles_are_those_of_the_vectors() {
    let vectors = vectors("index.json");
    let number = |case: &serde_json::Value, key: &str| -> u32 {
        case[key].as_u64().unwrap().try_into().unwrap()
    };
    let encode = vectors["postamble"]["encode"].as_array().unwrap();
    assert_eq!(encode.len(), 5);
    for case in encode {
        let postamble = Postamble {
            iv: hex(case, "iv"),
            offset: number(case, "offset"),
            length: number(case, "length"),
        };
        let bytes = postamble.encode().unwrap();
        assert_eq!(bytes, hex(case, "hex"));
        assert_eq!(Postamble::decode(&bytes), Some(postamble));
    }
    let find = vectors["postamble"]["find"].as_array().unwrap();
    assert_eq!(find.len(), 6);
    for case in find {
        let expected = case["found"].as_bool().unwrap().then(|| Postamble {
            iv: hex(case, "iv"),
            offset: number(case, "offset"),
            length: number(case, "length"),
        });
        assert_eq!(Postamble::decode(&hex(case, "hex")), expected, "{}", text(case, "name"));
    }
}

#[test]
fn padding_is_never_empty() {
    for (length, padding) in [(0, 4096), (1, 4095), (4095, 1), (4096, 4096), (4097, 4095)] {
        assert_eq!(padding_length(length), padding);
    }
}

#[test]
fn names_and_kinds() {
    let session = "s2ac617af70af0619147".parse().unwrap();
    let name = PackKind::Metadata.new_name([0xab; 16], &session);
    assert_eq!(name, "qabababababababababababababababab-s2ac617af70af0619147");
    assert_eq!(PackKind::of_blob(&name), Some(PackKind::Metadata));
    assert_eq!(PackKind::of_blob("xn0_"), None);
    assert_eq!(PackKind::of_blob(""), None);
    assert_eq!(PackKind::of_content(&"kab".parse().unwrap()), PackKind::Metadata);
    assert_eq!(PackKind::of_content(&"ab".parse().unwrap()), PackKind::Data);
}

#[test]
fn an_iv_that_does_not_fit_is_an_error() {
    let long = Postamble { iv: vec![0; 250], offset: 0, length: 0 };
    assert_eq!(long.encode(), Err(PostambleError { length: 259 }));
}

proptest! {
    #[test]
    fn round_trip_after_anything(
        before in proptest::collection::vec(any::<u8>(), 0..40),
        iv in proptest::collection::vec(any::<u8>(), 0..40),
        offset: u32,
        length: u32,
    ) {
        let postamble = Postamble { iv, offset, length };
        let blob = [before, postamble.encode().unwrap()].concat();
        prop_assert_eq!(Postamble::decode(&blob), Some(postamble));
    }

    #[test]
    fn a_flipped_bit_is_noticed(offset: u32, at: prop::sample::Index, bit in 0_u32..8) {
        let postamble = Postamble { iv: vec![7; 16], offset, length: 9 };
        let mut bytes = postamble.encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(Postamble::decode(&bytes), None);
    }

    #[test]
    fn anything_is_a_postamble_or_not(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = Postamble::decode(&bytes);
        // with a right checksum the fields are read
        let sum = crc32fast::hash(&bytes);
        bytes.extend(sum.to_be_bytes());
        bytes.push(bytes.len() as u8);
        let _ = Postamble::decode(&bytes);
    }
}

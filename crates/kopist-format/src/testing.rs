//! What the tests of this crate share: the vectors, and the inputs that they name.

use serde_json::Value;

/// A file of `testdata/vectors`.
pub(crate) fn vectors(name: &str) -> Value {
    let path = format!("{}/../../testdata/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_slice(&bytes).unwrap()
}

/// A member that is a string.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}"))
}

/// A member that is hexadecimal.
pub(crate) fn hex(value: &Value, key: &str) -> Vec<u8> {
    hex::decode(text(value, key)).unwrap()
}

/// The input that a vector names: `empty`, `hello`, or `sm64:seed=S,len=N`.
pub(crate) fn input(name: &str) -> Vec<u8> {
    match name {
        "empty" => Vec::new(),
        "hello" => b"hello".to_vec(),
        _ => {
            let numbers = name.strip_prefix("sm64:seed=").unwrap();
            let (seed, len) = numbers.split_once(",len=").unwrap();
            splitmix(seed.parse().unwrap(), len.parse().unwrap())
        }
    }
}

/// The first `len` bytes of the splitmix64 generator.
pub(crate) fn splitmix(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        out.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(len);
    out
}

/// The first `len` bytes of random words, which the vectors call `text`.
pub(crate) fn words(seed: u64, len: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "lorem",
        "ipsum",
        "dolor",
        "sit",
        "amet",
        "consectetur",
        "adipiscing",
        "elit",
        "sed",
        "do",
        "eiusmod",
        "tempor",
        "incididunt",
        "ut",
        "labore",
        "et",
    ];
    // one generator step is a word; words have at least two letters and a space
    let steps = splitmix(seed, 8 * (len / 3 + 1));
    let mut out = Vec::with_capacity(len + 16);
    for step in steps.chunks_exact(8) {
        if out.len() >= len {
            break;
        }
        out.extend_from_slice(WORDS[usize::from(step[0] & 15)].as_bytes());
        out.push(b' ');
    }
    out.truncate(len);
    out
}

/// A member that is base64.
pub(crate) fn base64(value: &Value, key: &str) -> Vec<u8> {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.decode(text(value, key)).unwrap()
}

use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;
use crate::testing::{splitmix, text, vectors, words};

fn input(name: &str) -> Vec<u8> {
    match name {
        "R12" => splitmix(1, 12 << 20),
        "R40" => splitmix(2, 40 << 20),
        "Z20" => vec![0; 20 << 20],
        "P5" => (0..5_usize << 20).map(|i| (i % 251) as u8).collect(),
        "M9" => (0..12)
            .flat_map(|i| {
                [splitmix(1000 + i, 300_000), vec![0; 200_000], words(2000 + i, 250_000)].concat()
            })
            .collect(),
        other => panic!("no input {other}"),
    }
}

/// Feeds `data` in pieces of `step` bytes; the lengths of the chunks.
fn chunks(splitter: &mut Splitter, data: &[u8], step: usize) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut current = 0;
    for mut piece in data.chunks(step) {
        while let Some(cut) = splitter.next_cut(piece) {
            assert!(cut > 0);
            lengths.push(current + cut);
            current = 0;
            piece = &piece[cut..];
        }
        current += piece.len();
    }
    if current > 0 {
        lengths.push(current);
    }
    splitter.reset();
    lengths
}

#[test]
fn cuts_are_those_of_the_vectors() {
    let vectors = vectors("splitters.json");
    let mut inputs = std::collections::HashMap::new();
    for (name, sum) in vectors["inputSha256"].as_object().unwrap() {
        let data = input(name);
        assert_eq!(hex::encode(Sha256::digest(&data)), sum.as_str().unwrap(), "{name}");
        inputs.insert(name.clone(), data);
    }
    let splitters = vectors["splitters"].as_array().unwrap();
    assert_eq!(splitters.len(), SplitterAlgorithm::names().len());
    for case in splitters {
        let name = text(case, "splitter");
        let algorithm = SplitterAlgorithm::by_name(name).unwrap();
        let size = |key: &str| case[key].as_u64().map(|n| usize::try_from(n).unwrap());
        if let (Some(min), Some(max)) = (size("min"), size("max")) {
            assert_eq!((algorithm.min_chunk_size(), algorithm.max_chunk_size()), (min, max));
        }
        let mut splitter = algorithm.new_splitter();
        for (input, expected) in case["chunks"].as_object().unwrap() {
            let expected: Vec<usize> = expected
                .as_array()
                .unwrap()
                .iter()
                .map(|n| usize::try_from(n.as_u64().unwrap()).unwrap())
                .collect();
            for step in [1000, 65_537, usize::MAX] {
                assert_eq!(chunks(&mut splitter, &inputs[input], step), expected, "{name} {input}");
            }
        }
    }
}

fn hex_list(value: &Value) -> Vec<u64> {
    let list = value.as_array().unwrap();
    list.iter().map(|n| u64::from_str_radix(n.as_str().unwrap(), 16).unwrap()).collect()
}

#[test]
fn tables_and_states_are_those_of_the_vectors() {
    let vectors = vectors("splitter-tables.json");
    let buzhash = hex_list(&vectors["buzhash32Table"]);
    assert!(buzhash_table::TABLE.iter().map(|n| u64::from(*n)).eq(buzhash));
    assert_eq!(hex_list(&vectors["rabinkarp64"]["out"]), rabin_karp::OUT);
    assert_eq!(hex_list(&vectors["rabinkarp64"]["mod"]), rabin_karp::MOD);

    let data = splitmix(42, 4096);
    let padded = [&[0; WINDOW][..], &data].concat();
    let sum_after = |n: usize| {
        let (mut buzhash, mut rabin_karp) = (Buzhash::default(), RabinKarp::default());
        for (out, into) in padded.iter().zip(&data).take(n) {
            buzhash.roll(*out, *into);
            rabin_karp.roll(*out, *into);
        }
        [u64::from(buzhash.0), rabin_karp.0]
    };
    for (i, kind) in ["buzhash32", "rabinkarp64"].into_iter().enumerate() {
        let states = vectors["states"][kind].as_array().unwrap();
        assert_eq!(states.len(), 8);
        for state in states {
            let n = usize::try_from(state["afterBytes"].as_u64().unwrap()).unwrap();
            let sum = u64::from_str_radix(text(state, "sum"), 16).unwrap();
            assert_eq!(sum_after(n)[i], sum, "{kind} after {n}");
        }
    }
}

#[test]
fn the_empty_name_is_fixed_and_others_are_refused() {
    assert_eq!(SplitterAlgorithm::by_name("").unwrap().name(), "FIXED");
    assert_eq!(
        SplitterAlgorithm::by_name("fixed").unwrap_err().to_string(),
        "unsupported splitter \"fixed\""
    );
    let default = SplitterAlgorithm::by_name(SplitterAlgorithm::DEFAULT_NAME).unwrap();
    assert_eq!(default.max_chunk_size(), 8 << 20);
}

/// Lanes against the plain definition, with a mask that hits often and in every lane.
fn same_as_scalar<H: Rolling>(data: &[u8], mask: u64) {
    let mut start = H::default();
    for byte in &data[..WINDOW] {
        start.push(*byte);
    }
    let (mut one, mut three) = (start, start);
    let expected = scan::scalar(&mut one, data, &data[WINDOW..], mask);
    assert_eq!(scan::lanes(&mut three, data, mask), expected);
    if expected.is_none() {
        // the state goes on where the data ended
        assert_eq!(one.hits(u64::MAX), three.hits(u64::MAX));
        let more = [9_u8; 300];
        let tail = [&data[data.len() - WINDOW..], &more[..]].concat();
        let one = scan::scalar(&mut one, &tail, &more, 0xff);
        assert_eq!(scan::scalar(&mut three, &tail, &more, 0xff), one);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lanes_find_the_first_hit(seed: u64, len in 64_usize..60_000, bits in 4_u32..20) {
        let data = splitmix(seed, len);
        let mask = (1 << bits) - 1;
        same_as_scalar::<Buzhash>(&data, mask);
        same_as_scalar::<RabinKarp>(&data, mask);
    }

    #[test]
    fn cuts_do_not_depend_on_the_pieces(
        seed: u64,
        which in 0_usize..23,
        steps in proptest::collection::vec(1_usize..400_000, 1..40),
    ) {
        let algorithm = SplitterAlgorithm::by_name(SplitterAlgorithm::names().nth(which).unwrap()).unwrap();
        let data = [splitmix(seed, 400_000), vec![3; 300_000], splitmix(seed ^ 1, 300_000)].concat();
        let whole = chunks(&mut algorithm.new_splitter(), &data, data.len());
        prop_assert_eq!(whole.iter().sum::<usize>(), data.len());
        let mut splitter = algorithm.new_splitter();
        let (mut cuts, mut at, mut start) = (Vec::new(), 0, 0);
        for step in steps.iter().cycle() {
            let piece = &data[at..(at + step).min(data.len())];
            match splitter.next_cut(piece) {
                Some(n) => {
                    at += n;
                    cuts.push(at - start);
                    start = at;
                }
                None => at += piece.len(),
            }
            if at == data.len() {
                break;
            }
        }
        if start < data.len() {
            cuts.push(data.len() - start);
        }
        prop_assert_eq!(cuts, whole);
    }
}

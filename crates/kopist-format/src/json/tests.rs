use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, tz::Offset};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::testing::{hex, text, vectors};

fn go(value: &impl Serialize) -> String {
    String::from_utf8(to_go_json(value).unwrap()).unwrap()
}

#[test]
fn strings_are_written_as_in_the_vectors() {
    let vectors = vectors("go-json.json");
    let cases = vectors["strings"].as_array().unwrap();
    assert_eq!(cases.len(), 13);
    for case in cases {
        let bytes = hex(case, "inputHex");
        assert_eq!(go(&Raw(&bytes)), text(case, "json"), "{case}");
        // as keys too
        if let Ok(key) = std::str::from_utf8(&bytes) {
            let map = BTreeMap::from([(key, 1)]);
            assert_eq!(go(&map), format!("{{{}:1}}", text(case, "json")));
        }
    }
}

#[test]
fn floats_are_written_as_in_the_vectors() {
    let vectors = vectors("go-json.json");
    let cases = vectors["floats"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let written = case.as_str().unwrap();
        assert_eq!(go(&written.parse::<f64>().unwrap()), written);
    }
    assert_eq!(go(&-1e21_f64), "-1e+21");
    assert_eq!(go(&0.25_f32), "0.25");
}

#[test]
fn times_are_written_as_in_the_vectors() {
    let vectors = vectors("go-json.json");
    let cases = vectors["timesEncode"].as_array().unwrap();
    assert_eq!(cases.len(), 7);
    for case in cases {
        let nanos = case["unixNanos"].as_i64().unwrap();
        let offset = case["zoneOffsetSeconds"].as_i64().unwrap() as i32;
        let time = Timestamp::from_nanosecond(nanos.into()).unwrap();
        let offset = Offset::from_seconds(offset).unwrap();
        let written = format_time(time, offset).unwrap();
        assert_eq!(format!("\"{written}\""), text(case, "json"), "{case}");
        assert_eq!(parse_time(&written).unwrap(), time);
    }
    let zero = format_time(ZERO_TIME, Offset::UTC).unwrap();
    assert_eq!(format!("\"{zero}\""), text(&vectors, "timeZeroValue"));
    assert!(text(&vectors, "timeYear10000").contains("year outside of range"));
    let late = "9999-12-30T22:00:00Z".parse::<Timestamp>().unwrap();
    assert!(format_time(late, Offset::MAX).is_ok());
    assert!(format_time("-000001-01-01T00:00:00Z".parse().unwrap(), Offset::UTC).is_err());
}

#[derive(Serialize, Deserialize)]
struct Time(#[serde(with = "time")] Timestamp);

#[test]
fn times_are_read_as_in_the_vectors() {
    let vectors = vectors("go-json.json");
    let cases = vectors["timesDecode"].as_array().unwrap();
    assert_eq!(cases.len(), 16);
    for case in cases {
        let read = serde_json::from_str::<Time>(text(case, "in"));
        let mut by_object = ZERO_TIME;
        let object = format!("{{\"t\":{}}}", text(case, "in"));
        let result = Object::parse(&object).unwrap().field("t", &mut by_object);
        if case["accepted"].as_bool().unwrap() {
            let utc = format!("\"{}\"", text(case, "utc"));
            assert_eq!(go(&read.unwrap()), utc, "{case}");
            result.unwrap();
            assert_eq!(go(&Time(by_object)), utc);
        } else {
            assert!(read.is_err(), "{case}");
            assert!(result.is_err(), "{case}");
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Bytes(#[serde(with = "bytes")] Vec<u8>);

#[test]
fn base64_is_read_as_in_the_vectors() {
    let vectors = vectors("go-json.json");
    let cases = vectors["base64Decode"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let read = serde_json::from_str::<Bytes>(text(case, "in"));
        let object = format!("{{\"b\":{}}}", text(case, "in"));
        let mut by_object = Vec::new();
        let result = Object::parse(&object).unwrap().field("b", &mut by_object);
        if case["accepted"].as_bool().unwrap() {
            let expected = case["hex"].as_str().unwrap_or_default();
            assert_eq!(hex::encode(read.unwrap().0), expected);
            result.unwrap();
            assert_eq!(hex::encode(by_object), expected);
        } else {
            assert!(read.is_err() && result.is_err(), "{case}");
        }
    }
}

#[test]
fn objects_are_read_as_in_the_vectors() {
    use crate::format_blob::BlobCfg;
    let vectors = vectors("go-json.json");
    let cases = vectors["decode"].as_array().unwrap();
    assert_eq!(cases.len(), 13);
    for case in cases {
        let read = BlobCfg::from_json(text(case, "in").as_bytes());
        if case["accepted"].as_bool().unwrap() {
            let mut read = read.unwrap();
            if text(case, "in").contains("unknown") {
                // here unknown keys are kept
                assert_eq!(go(&read), r#"{"retentionPeriod":5,"unknown":{"x":[1]}}"#);
                read.unknown = Unknown::default();
            }
            assert_eq!(go(&read), text(case, "reencoded"), "{case}");
        } else {
            assert!(read.is_err(), "{case}");
        }
    }
}

/// The struct behind `structZero` and `structFull`.
#[derive(Serialize)]
struct Everything {
    #[serde(serialize_with = "nil_bytes")]
    bytes: Option<Vec<u8>>,
    #[serde(rename = "bytesOE", with = "bytes", skip_serializing_if = "Vec::is_empty")]
    bytes_oe: Vec<u8>,
    #[serde(with = "nanos")]
    dur: SignedDuration,
    #[serde(rename = "durOE", with = "nanos", skip_serializing_if = "SignedDuration::is_zero")]
    dur_oe: SignedDuration,
    list: Option<Vec<String>>,
    #[serde(rename = "listOE", skip_serializing_if = "Vec::is_empty")]
    list_oe: Vec<String>,
    map: Option<BTreeMap<String, i64>>,
    #[serde(rename = "mapOE", skip_serializing_if = "BTreeMap::is_empty")]
    map_oe: BTreeMap<String, i64>,
    #[serde(with = "time")]
    time: Timestamp,
    #[serde(rename = "timeOE", with = "time")]
    time_oe: Timestamp,
    r#struct: Inner,
    #[serde(rename = "structOE")]
    struct_oe: Inner,
    ptr: Option<Inner>,
    #[serde(rename = "ptrOE", skip_serializing_if = "Option::is_none")]
    ptr_oe: Option<Inner>,
    bool: bool,
    #[serde(rename = "boolOE", skip_serializing_if = "std::ops::Not::not")]
    bool_oe: bool,
    int: i64,
    float: f64,
}

#[derive(Serialize, Clone, Copy, Default)]
struct Inner {
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<i64>,
}

#[allow(clippy::ref_option, reason = "serde's signature")]
fn nil_bytes<S: serde::Serializer>(value: &Option<Vec<u8>>, s: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => bytes::serialize(value, s),
        None => s.serialize_none(),
    }
}

#[test]
fn structs_are_written_as_in_the_vectors() {
    let vectors = vectors("go-json.json");
    let mut value = Everything {
        bytes: None,
        bytes_oe: vec![],
        dur: SignedDuration::ZERO,
        dur_oe: SignedDuration::ZERO,
        list: None,
        list_oe: vec![],
        map: None,
        map_oe: BTreeMap::new(),
        time: ZERO_TIME,
        time_oe: ZERO_TIME,
        r#struct: Inner::default(),
        struct_oe: Inner::default(),
        ptr: None,
        ptr_oe: None,
        bool: false,
        bool_oe: false,
        int: 0,
        float: 0.0,
    };
    assert_eq!(go(&value), text(&vectors, "structZero"));
    value.bytes = Some(vec![]);
    value.bytes_oe = vec![0xfb, 0xff, 0xfe];
    value.dur = SignedDuration::from_mins(90);
    value.dur_oe = SignedDuration::from_nanos(-1);
    value.list = Some(vec![]);
    value.list_oe = vec!["x".into()];
    let map = |members: &[(&str, i64)]| {
        members.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
    };
    value.map = Some(map(&[("b", 1), ("a", 2), ("B", 3), ("10", 4), ("9", 5)]));
    value.map_oe = map(&[("é", 1), ("z", 2)]);
    value.ptr = Some(Inner::default());
    value.ptr_oe = Some(Inner { a: Some(5) });
    value.bool = true;
    value.bool_oe = true;
    value.int = i64::MIN;
    value.float = 1e21;
    assert_eq!(go(&value), text(&vectors, "structFull"));
}

#[test]
fn the_encoder_indents_as_in_the_vectors() {
    #[derive(Serialize)]
    struct Indented {
        a: i64,
        l: Vec<i64>,
        e: Vec<i64>,
        o: BTreeMap<String, i64>,
    }
    let vectors = vectors("go-json.json");
    let value = Indented { a: 1, l: vec![1, 2], e: vec![], o: BTreeMap::new() };
    let written = to_go_json_indented(&value).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), text(&vectors, "indentedOutput"));
    let compact = go(&BTreeMap::from([("k", 1)])) + "\n";
    assert_eq!(compact, text(&vectors, "encoderOutput"));
}

#[test]
fn half_surrogates_become_replacement_characters() {
    for (json, expected) in [
        (r#""\ud800""#, "\u{fffd}"),
        (r#""a\udc00b""#, "a\u{fffd}b"),
        (r#""\ud83d\ude00\ud83d""#, "\u{1f600}\u{fffd}"),
        (r#""\ud83d\u0041\n\\ud800\"""#, "\u{fffd}A\n\\ud800\""),
        (r#""\ud83dé""#, "\u{fffd}é"),
    ] {
        assert_eq!(String::from_go(json).unwrap(), expected, "{json}");
    }
    for json in ["", "\"", "\"\\", "\"\\\"", "5", "\"\\u12\""] {
        assert!(String::from_go(json).is_err(), "{json}");
    }
}

#[test]
fn members_are_taken_as_go_does() {
    let read = |json: &str| -> Result<(i64, Option<String>, Vec<bool>), JsonError> {
        let (mut number, mut text, mut list) = (7, Some("x".to_owned()), vec![true]);
        let mut object = Object::parse(json)?;
        object.field("number", &mut number)?;
        object.field("text", &mut text)?;
        object.field("list", &mut list)?;
        assert!(object.unknown().is_empty());
        Ok((number, text, list))
    };
    let untouched = (7, Some("x".to_owned()), vec![true]);
    assert_eq!(read("{}").unwrap(), untouched);
    assert_eq!(read(" null ").unwrap(), untouched);
    let json = r#"{"NUMBER":1,"number":2,"Number":null,"text":null,"list":[false,null]}"#;
    assert_eq!(read(json).unwrap(), (2, None, vec![false, false]));
    for json in [
        r#"{"number":1.0}"#,
        r#"{"number":1e3}"#,
        r#"{"number":9223372036854775808}"#,
        r#"{"number":"1"}"#,
        r#"{"number":x,"number":1}"#,
        r#"{"text":5}"#,
        r#"{"list":{}}"#,
        r#"{"list":[1]}"#,
        "{}{}",
        "[]",
        "5",
        "",
    ] {
        assert!(read(json).is_err(), "{json}");
    }
    let error = read(r#"{"number":"secret"}"#).unwrap_err().to_string();
    assert_eq!(error, "number: json: expected a whole number");
}

proptest! {
    #[test]
    fn any_text_is_read_or_an_error(json in ".{0,80}", inner in "[\\\\u0-9a-fA-Fd8 \"é]{0,40}") {
        for json in [json, format!("{{\"a\":\"{inner}\"}}"), format!("\"{inner}\"")] {
            let mut text = String::new();
            if let Ok(mut object) = Object::parse(&json) {
                let _ = object.field("a", &mut text);
                let _ = go(&object.unknown());
            }
            let _ = String::from_go(&json);
            let _ = parse_time(&json);
        }
    }

    #[test]
    fn strings_are_read_as_serde_reads_them(text in any::<String>()) {
        let json = go(&text);
        prop_assert_eq!(&String::from_go(&json).unwrap(), &text);
        prop_assert_eq!(&serde_json::from_str::<String>(&json).unwrap(), &text);
    }

    #[test]
    fn times_come_back(seconds in -62_167_219_200i64..253_402_207_200, nanos in 0i32..1_000_000_000) {
        let time = Timestamp::new(seconds, nanos).unwrap();
        let written = format_time(time, Offset::UTC).unwrap();
        prop_assert_eq!(parse_time(&written).unwrap(), time);
    }
}

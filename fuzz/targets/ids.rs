//! Content and object ids, hashes, and times of Go's JSON.

#![no_main]

use kopist_format::id::{ContentId, ObjectId};
use kopist_format::json;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(id) = ContentId::from_key(data) {
        assert_eq!(id.key(), data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(id) = text.parse::<ContentId>() {
        assert_eq!(id.to_string().parse::<ContentId>(), Ok(id));
    }
    if let Ok(id) = text.parse::<ObjectId>() {
        assert_eq!(id.to_string().parse::<ObjectId>(), Ok(id));
    }
    let _ = json::parse_time(text);
    let _ = json::Object::parse(text);
});

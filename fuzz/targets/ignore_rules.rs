//! Ignore rules: any pattern against any path, in time that the lengths justify.

#![no_main]

use arbitrary::Arbitrary;
use kopist_snapshot::ignore::{Pattern, code_points};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    pattern: &'a str,
    base: &'a str,
    path: &'a [u8],
    is_dir: bool,
}

fuzz_target!(|input: Input<'_>| {
    let Ok(pattern) = Pattern::parse(input.pattern, input.base) else { return };
    let mut path = Vec::new();
    code_points(input.path, &mut path);
    let _ = pattern.matches(&path, input.is_dir);
});

//! Inputs to start from, taken from the vectors: a fuzzer finds the depths of a format sooner
//! when it begins with something valid.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kopist_testkit::vectors;
use serde_json::Value;

use crate::step::Result;

/// Longer inputs slow the fuzzer down more than they teach it.
const LONGEST: usize = 20_000;

/// Writes `folder/TARGET/NUMBER` for the targets that have seeds.
pub(crate) fn write(folder: &Path) -> Result {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    let formats: Value = vectors::load("format-blob");
    seeds(folder, "format_blob", &each(&formats["repositories"], "kopia.repository", base64)?)?;
    seeds(folder, "format_blob", &each(&formats["repositories"], "formatPlaintext", plain)?)?;

    let index: Value = vectors::load("index");
    seeds(folder, "index", &each(&index["cases"], "hex", hex)?)?;
    seeds(folder, "postamble", &each(&index["postamble"]["encode"], "hex", hex)?)?;
    seeds(folder, "ids", &each(&index["contentIDs"], "text", plain)?)?;
    seeds(folder, "ids", &each(&index["objectIDs"], "text", plain)?)?;

    let directories: Value = vectors::load("dir-manifest");
    seeds(folder, "directory", &each(&directories["cases"], "out", plain)?)?;

    let compression: Value = vectors::load("compression");
    for algorithm in compression["algorithms"].as_array().into_iter().flatten() {
        let samples = each(&algorithm["samples"], "data", base64)?;
        // The header is in front of the stream; the target for S2 adds it by itself.
        let s2 = algorithm["name"].as_str().is_some_and(|name| name.starts_with("s2"));
        if s2 {
            let streams = samples.iter().filter_map(|sample| Some(sample.get(4..)?.to_vec()));
            seeds(folder, "s2", &streams.collect::<Vec<_>>())?;
        }
        seeds(folder, "compression", &samples)?;
    }

    let ecc: Value = vectors::load("ecc");
    let stored = each(&ecc["vectors"], "stored", hex)?;
    // The target's first byte is the overhead in percent.
    let inputs: Vec<_> = stored.iter().map(|bytes| [&[10], &bytes[..]].concat()).collect();
    seeds(folder, "ecc", &inputs)
}

/// The field `name` of each element of a list, decoded.
fn each(list: &Value, name: &str, decode: fn(&str) -> Result<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
    let elements = list.as_array().ok_or_else(|| format!("no list of {name}"))?;
    elements.iter().filter_map(|element| element[name].as_str()).map(decode).collect()
}

#[allow(clippy::unnecessary_wraps)] // decoders of one shape
fn plain(text: &str) -> Result<Vec<u8>> {
    Ok(text.as_bytes().to_vec())
}

fn hex(text: &str) -> Result<Vec<u8>> {
    Ok(hex::decode(text)?)
}

fn base64(text: &str) -> Result<Vec<u8>> {
    Ok(BASE64_STANDARD.decode(text)?)
}

fn seeds(folder: &Path, target: &str, inputs: &[Vec<u8>]) -> Result {
    let folder = folder.join(target);
    std::fs::create_dir_all(&folder)?;
    let present = std::fs::read_dir(&folder)?.count();
    for (number, input) in inputs.iter().filter(|input| input.len() <= LONGEST).enumerate() {
        std::fs::write(folder.join(format!("{}", present + number)), input)?;
    }
    Ok(())
}

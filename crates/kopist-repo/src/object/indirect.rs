//! Lists of chunks.

use kopist_format::id::{ContentId, ObjectId};
use serde::{Deserialize, Serialize};

use super::{ContentSource, read_object};
use crate::error::{RepoError, Result};

/// A piece of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Where it begins in the object.
    #[serde(rename = "s", default, skip_serializing_if = "is_zero")]
    pub start: u64,
    /// Its length.
    #[serde(rename = "l", default, skip_serializing_if = "is_zero")]
    pub length: u64,
    /// The object that holds it, nearly always one content.
    #[serde(rename = "o")]
    pub object: ObjectId,
}

impl Chunk {
    /// The first byte after it.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// The JSON of a list of chunks, as Kopia writes it: same chunks, same bytes.
pub(super) fn encode_chunks(chunks: &[Chunk]) -> Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Stream<'a> {
        stream: &'static str,
        entries: &'a [Chunk],
    }
    let mut json = serde_json::to_vec(&Stream { stream: "kopia:indirect", entries: chunks })
        .map_err(|e| RepoError::format("list of chunks", e))?;
    json.push(b'\n');
    Ok(json)
}

/// The chunks of an indirect object, checked to be contiguous.
pub(crate) fn load_chunks(source: &impl ContentSource, id: &ObjectId) -> Result<Vec<Chunk>> {
    #[derive(Deserialize)]
    struct Stream {
        #[serde(default)]
        entries: Vec<Chunk>,
    }
    let invalid = |reason: String| RepoError::ObjectInvalid { id: *id, reason };
    let index = id.index_object().ok_or_else(|| invalid("it has no list of chunks".into()))?;
    let json = read_object(source, &index)?;
    let stream: Stream = serde_json::from_slice(&json)
        .map_err(|e| invalid(format!("its list of chunks is damaged: {e}")))?;
    let mut end = 0;
    for chunk in &stream.entries {
        if chunk.start != end || chunk.start.checked_add(chunk.length).is_none() {
            return Err(invalid(format!(
                "chunk {} begins at {}, but the one before it ends at {end}",
                chunk.object, chunk.start
            )));
        }
        end = chunk.end();
    }
    Ok(stream.entries)
}

/// Visits every content that an object needs: its data and its lists of chunks.
pub(crate) fn backing_contents(
    source: &impl ContentSource,
    id: &ObjectId,
    visit: &mut dyn FnMut(ContentId),
) -> Result<()> {
    // Objects nest at most as deep as there are `I` in front of an id; chunks that are indirect
    // themselves are legal, and each is an id of its own, so the walk needs a stack, not a limit.
    let mut stack = vec![*id];
    while let Some(id) = stack.pop() {
        match id.index_object() {
            None => visit(id.content()),
            Some(index) => {
                stack.push(index);
                stack.extend(load_chunks(source, &id)?.iter().map(|chunk| chunk.object));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_kopias_bytes() {
        let chunk =
            |start, length, object: &str| Chunk { start, length, object: object.parse().unwrap() };
        let chunks =
            [chunk(0, 131_072, "00aa"), chunk(131_072, 0, "Z11bb"), chunk(131_072, 5, "Ixcc")];
        assert_eq!(
            String::from_utf8(encode_chunks(&chunks).unwrap()).unwrap(),
            "{\"stream\":\"kopia:indirect\",\"entries\":[{\"l\":131072,\"o\":\"00aa\"},\
             {\"s\":131072,\"o\":\"Z11bb\"},{\"s\":131072,\"l\":5,\"o\":\"Ixcc\"}]}\n"
        );
    }
}

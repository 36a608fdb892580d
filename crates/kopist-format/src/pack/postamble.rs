//! The last bytes of a pack.

/// The length byte at the very end counts at most this many bytes.
pub const MAX_POSTAMBLE_LENGTH: usize = 255;

const VERSION: u64 = 1;
const CHECKSUM: usize = 4;

/// Says where the local index of a pack lies. Not authenticated: what it points to is, by the
/// encryption of the local index under the IV given here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postamble {
    /// IV of the local index: the whole hash of its plaintext.
    pub iv: Vec<u8>,
    /// First byte of the encrypted local index in the pack.
    pub offset: u32,
    /// Length of the encrypted local index.
    pub length: u32,
}

/// Why a postamble cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the postamble of a pack would take {length} bytes, 255 are possible")]
pub struct PostambleError {
    /// Length without the length byte.
    pub length: usize,
}

impl Postamble {
    /// The bytes that end a pack.
    pub fn encode(&self) -> Result<Vec<u8>, PostambleError> {
        let mut out = Vec::with_capacity(self.iv.len() + 20);
        put_uvarint(&mut out, VERSION);
        put_uvarint(&mut out, self.iv.len() as u64);
        out.extend_from_slice(&self.iv);
        put_uvarint(&mut out, self.offset.into());
        put_uvarint(&mut out, self.length.into());
        out.extend(crc32fast::hash(&out).to_be_bytes());
        let length = out.len();
        out.push(u8::try_from(length).map_err(|_| PostambleError { length })?);
        Ok(out)
    }

    /// Finds the postamble at the end of `tail`, the last bytes of a pack (at least 256 of them,
    /// or all). `None` if there is none.
    pub fn decode(tail: &[u8]) -> Option<Self> {
        let (&length, before) = tail.split_last()?;
        let start = before.len().checked_sub(length.into())?;
        let (mut rest, checksum) = before.get(start..)?.split_last_chunk::<CHECKSUM>()?;
        if crc32fast::hash(rest) != u32::from_be_bytes(*checksum)
            || take_uvarint(&mut rest)? != VERSION
        {
            return None;
        }
        let iv_length = usize::try_from(take_uvarint(&mut rest)?).ok()?;
        let (iv, tail) = rest.split_at_checked(iv_length)?;
        rest = tail;
        // kopia cuts numbers of more than 32 bits off; they can only point past the pack
        let offset = u32::try_from(take_uvarint(&mut rest)?).ok()?;
        let length = u32::try_from(take_uvarint(&mut rest)?).ok()?;
        Some(Self { iv: iv.to_vec(), offset, length })
    }
}

/// Go's `binary.PutUvarint`: seven bits a byte, low ones first, the high bit set on all but the
/// last.
fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_uvarint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

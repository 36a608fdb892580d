//! Memory of large chunks.
//!
//! A chunk may have any length up to a maximum that is known, is read bit by bit, encrypted where
//! it is, and stays in its pack until that is stored. So it gets pages of its own: those that it
//! touches cost memory, and they go back to the system the moment the pack is stored. An allocator
//! would keep them, twice as many as are needed at a time.

use kopist_format::encryption::{ContentCipher, EncryptionError, SEAL_HEAD, SEAL_TAIL};
use memmap2::MmapMut;

/// Contents from this size on are worth pages of their own.
pub(crate) const LARGE: usize = 256 << 10;

/// A chunk with room to be encrypted in place.
#[derive(Debug)]
pub(crate) struct Block {
    memory: Memory,
    /// Bytes of the chunk.
    length: usize,
}

#[derive(Debug)]
enum Memory {
    Pages(MmapMut),
    /// Where the system has no pages left to give.
    Heap(Box<[u8]>),
}

impl Memory {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Pages(pages) => pages,
            Self::Heap(bytes) => bytes,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Pages(pages) => pages,
            Self::Heap(bytes) => bytes,
        }
    }
}

impl Block {
    /// An empty block with room for `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        let size = most + SEAL_HEAD + SEAL_TAIL;
        let memory = match MmapMut::map_anon(size) {
            Ok(pages) => Memory::Pages(pages),
            Err(_) => Memory::Heap(vec![0; size].into_boxed_slice()),
        };
        Self { memory, length: 0 }
    }

    /// A block that holds these bytes.
    pub(crate) fn of(data: &[u8]) -> Self {
        let mut block = Self::new(data.len());
        block.extend(data);
        block
    }

    /// Appends what there is room for and returns how much that was.
    pub(crate) fn extend(&mut self, data: &[u8]) -> usize {
        let start = SEAL_HEAD + self.length;
        let room = self.memory.bytes().len() - SEAL_TAIL - start;
        let count = data.len().min(room);
        let (from, to) = (&data[..count], &mut self.memory.bytes_mut()[start..start + count]);
        to.copy_from_slice(from);
        self.length += count;
        count
    }

    /// The chunk.
    pub(crate) fn data(&self) -> &[u8] {
        &self.memory.bytes()[SEAL_HEAD..SEAL_HEAD + self.length]
    }

    /// Encrypts the chunk where it is.
    pub(crate) fn seal(
        mut self,
        cipher: &ContentCipher,
        iv: &[u8],
    ) -> Result<Sealed, EncryptionError> {
        let length = SEAL_HEAD + self.length + SEAL_TAIL;
        cipher.seal_in_place(&mut self.memory.bytes_mut()[..length], iv)?;
        Ok(Sealed::Block { memory: SealedMemory(self.memory), length })
    }
}

/// The memory of an encrypted block.
#[derive(Debug)]
pub(crate) struct SealedMemory(Memory);

/// A content as it lies in its pack.
#[derive(Debug)]
pub(crate) enum Sealed {
    /// In pages of its own.
    Block {
        /// Those pages.
        memory: SealedMemory,
        /// The bytes that count.
        length: usize,
    },
    /// In memory of the allocator.
    Heap(Vec<u8>),
}

impl Sealed {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Block { memory, length } => &memory.0.bytes()[..*length],
            Self::Heap(bytes) => bytes,
        }
    }
}

/// Plain bytes of a content, and whether the writer may have their memory.
#[derive(Debug)]
pub(crate) enum Plain<'a> {
    /// It may not.
    Borrowed(&'a [u8]),
    /// It may.
    Owned(Vec<u8>),
    /// It may, and can encrypt them there.
    Block(Block),
}

impl Plain<'_> {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
            Self::Block(block) => block.data(),
        }
    }
}

/// A chunk that is being gathered: on the heap while it is small.
#[derive(Debug)]
pub(crate) enum Gathering {
    Small(Vec<u8>),
    Large(Block),
}

impl Gathering {
    /// The bytes so far.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Small(bytes) => bytes.len(),
            Self::Large(block) => block.data().len(),
        }
    }

    /// Appends; `most` is the largest chunk that there can be.
    pub(crate) fn extend(&mut self, data: &[u8], most: usize) {
        if let Self::Small(bytes) = self {
            let length = bytes.len() + data.len();
            if length < LARGE {
                bytes.extend_from_slice(data);
                return;
            }
            let mut block = Block::new(most.max(length));
            block.extend(bytes);
            *self = Self::Large(block);
        }
        if let Self::Large(block) = self {
            let taken = block.extend(data);
            if taken < data.len() {
                // A splitter that makes chunks larger than it says.
                let mut larger = Block::new(2 * (block.data().len() + data.len()));
                larger.extend(block.data());
                larger.extend(&data[taken..]);
                *block = larger;
            }
        }
    }
}

impl From<Gathering> for Plain<'_> {
    fn from(chunk: Gathering) -> Self {
        match chunk {
            Gathering::Small(bytes) => Self::Owned(bytes),
            Gathering::Large(block) => Self::Block(block),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_takes_what_it_has_room_for() {
        let mut block = Block::new(5);
        assert_eq!((block.extend(b"abc"), block.extend(b"defg")), (3, 2));
        assert_eq!(block.data(), b"abcde");
        assert_eq!(Block::of(b"xyz").data(), b"xyz");
    }

    #[test]
    fn gathering_goes_on_in_pages() {
        for most in [0, LARGE, 4 * LARGE] {
            let mut chunk = Gathering::Small(Vec::new());
            let mut expected = Vec::new();
            for number in 0..40_u8 {
                let piece = vec![number; 30_000];
                chunk.extend(&piece, most);
                expected.extend(piece);
            }
            assert!(matches!(chunk, Gathering::Large(_)));
            assert_eq!(chunk.len(), expected.len());
            assert_eq!(Plain::from(chunk).bytes(), expected);
        }
    }
}

//! The part of scrypt that takes the time, for processors that rotate four words in one step.
//!
//! scrypt with N = 65536 and r = 8 is two million rounds of Salsa20/8, each of which waits for the
//! one before it, and in the second half each row that is looked up depends on the last. So two
//! things make it faster: shorter rounds, where a rotation takes one instruction instead of three;
//! and a table in huge pages, where looking up a row seldom waits for the translation of its
//! address.
//!
//! Source: RFC 7914.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_extract_epi32, _mm_rol_epi32, _mm_set_epi32,
    _mm_setzero_si128, _mm_shuffle_epi32, _mm_xor_si128,
};

use memmap2::MmapMut;

/// scrypt's N: rows of the table.
const ROWS: usize = 1 << 16;
/// Blocks of 64 bytes in a row: scrypt's 2·r.
const BLOCKS: usize = 16;

/// The 16 words of a Salsa20 block by diagonals, so that a round is four steps of four words each.
type Block = [__m128i; 4];
type Row = [Block; BLOCKS];

/// Where the words of a [`Block`] come from.
const DIAGONALS: [[usize; 4]; 4] = [[0, 5, 10, 15], [4, 9, 14, 3], [8, 13, 2, 7], [12, 1, 6, 11]];

/// Memory for the table, of its own: what is as large as this and lives so shortly is not left to
/// the allocator, which keeps it for a while.
fn memory() -> Option<MmapMut> {
    let memory = MmapMut::map_anon(ROWS * size_of::<Row>()).ok()?;
    // Without huge pages it is slower, that is all.
    #[cfg(target_os = "linux")]
    let _ = memory.advise(memmap2::Advice::HugePage);
    Some(memory)
}

/// `scryptROMix` with N = 65536 and r = 8; `None` if the system has no memory for it.
#[target_feature(enable = "avx512f,avx512vl")]
pub(super) fn mix(bytes: &mut [u8; 64 * BLOCKS]) -> Option<()> {
    let mut memory = memory()?;
    let start = memory.as_mut_ptr();
    let length = memory.len();
    // SAFETY: the memory is this function's, of this length, and until its end only `table` is read
    // or written through (`fetch_ahead` gives no more than the address to the kernel). Every
    // pattern of bytes is a `__m128i`, of which alone a `Row` consists.
    #[allow(unsafe_code)]
    let (_, table, _) =
        unsafe { std::slice::from_raw_parts_mut(start, length).align_to_mut::<Row>() };
    let table = table.first_chunk_mut::<ROWS>()?;
    let mut row = load(bytes);
    // The one thread of this crate. It computes nothing: what comes out is the same without it.
    #[allow(clippy::disallowed_methods)]
    std::thread::scope(|scope| {
        #[cfg(target_os = "linux")]
        fetch_ahead(&memory, scope);
        fill(table, &mut row);
    });
    look_up(table, &mut row);
    store(&row, bytes);
    Some(())
}

/// Lets another processor clear the pages of the table while this one fills the first of them: a
/// sixth of the whole time. Only the kernel looks at the memory, and what is in it stays.
#[cfg(target_os = "linux")]
fn fetch_ahead<'scope>(memory: &'scope MmapMut, scope: &'scope std::thread::Scope<'scope, '_>) {
    // An old kernel does not know it, and a busy system has no thread: slower, that is all.
    let ahead = || memory.advise(memmap2::Advice::PopulateWrite);
    let _ = std::thread::Builder::new().spawn_scoped(scope, ahead);
}

/// The first half: every row is made of the one before it.
#[target_feature(enable = "avx512f,avx512vl")]
fn fill(table: &mut [Row; ROWS], row: &mut Row) {
    let other = *row;
    for kept in table.iter_mut() {
        *kept = *row;
        mix_blocks::<false>(kept, &other, row);
    }
}

/// The second half: the last row says which row of the table comes next.
#[target_feature(enable = "avx512f,avx512vl")]
fn look_up(table: &[Row; ROWS], row: &mut Row) {
    let mut other = *row;
    for _ in 0..ROWS / 2 {
        mix_blocks::<true>(row, &table[place(row)], &mut other);
        mix_blocks::<true>(&other, &table[place(&other)], row);
    }
}

/// The row of the table that comes next: `Integerify`.
#[target_feature(enable = "avx512f,avx512vl")]
fn place(row: &Row) -> usize {
    _mm_cvtsi128_si32(row[BLOCKS - 1][0]) as u32 as usize % ROWS
}

/// `scryptBlockMix` of `row`, or of the exclusive or of both rows.
#[target_feature(enable = "avx512f,avx512vl")]
fn mix_blocks<const XOR: bool>(row: &Row, with: &Row, out: &mut Row) {
    let mut sum = row[BLOCKS - 1];
    if XOR {
        sum = xor(sum, with[BLOCKS - 1]);
    }
    for half in 0..BLOCKS / 2 {
        for odd in 0..2 {
            let number = 2 * half + odd;
            // What does not wait for the block before comes first.
            let block = if XOR { xor(row[number], with[number]) } else { row[number] };
            sum = salsa(xor(sum, block));
            out[odd * BLOCKS / 2 + half] = sum;
        }
    }
}

#[target_feature(enable = "avx512f,avx512vl")]
fn xor(one: Block, other: Block) -> Block {
    [
        _mm_xor_si128(one[0], other[0]),
        _mm_xor_si128(one[1], other[1]),
        _mm_xor_si128(one[2], other[2]),
        _mm_xor_si128(one[3], other[3]),
    ]
}

/// Salsa20/8.
#[target_feature(enable = "avx512f,avx512vl")]
fn salsa(block: Block) -> Block {
    let [mut a, mut b, mut c, mut d] = block;
    for _ in 0..4 {
        for _ in 0..2 {
            b = _mm_xor_si128(b, _mm_rol_epi32::<7>(_mm_add_epi32(a, d)));
            c = _mm_xor_si128(c, _mm_rol_epi32::<9>(_mm_add_epi32(b, a)));
            d = _mm_xor_si128(d, _mm_rol_epi32::<13>(_mm_add_epi32(c, b)));
            a = _mm_xor_si128(a, _mm_rol_epi32::<18>(_mm_add_epi32(d, c)));
            // Columns become rows, and the other way round.
            let (one, three) = (b, d);
            b = _mm_shuffle_epi32::<0b00_11_10_01>(three);
            c = _mm_shuffle_epi32::<0b01_00_11_10>(c);
            d = _mm_shuffle_epi32::<0b10_01_00_11>(one);
        }
    }
    [
        _mm_add_epi32(a, block[0]),
        _mm_add_epi32(b, block[1]),
        _mm_add_epi32(c, block[2]),
        _mm_add_epi32(d, block[3]),
    ]
}

#[target_feature(enable = "avx512f,avx512vl")]
fn load(bytes: &[u8; 64 * BLOCKS]) -> Row {
    let mut row = [[_mm_setzero_si128(); 4]; BLOCKS];
    for (block, bytes) in row.iter_mut().zip(bytes.as_chunks::<64>().0) {
        let (words, _) = bytes.as_chunks::<4>();
        for (part, from) in block.iter_mut().zip(DIAGONALS) {
            let [a, b, c, d] = from.map(|word| i32::from_le_bytes(words[word]));
            *part = _mm_set_epi32(d, c, b, a);
        }
    }
    row
}

#[target_feature(enable = "avx512f,avx512vl")]
fn store(row: &Row, bytes: &mut [u8; 64 * BLOCKS]) {
    for (block, bytes) in row.iter().zip(bytes.as_chunks_mut::<64>().0) {
        let (words, _) = bytes.as_chunks_mut::<4>();
        for (part, to) in block.iter().zip(DIAGONALS) {
            let parts = [
                _mm_extract_epi32::<0>(*part),
                _mm_extract_epi32::<1>(*part),
                _mm_extract_epi32::<2>(*part),
                _mm_extract_epi32::<3>(*part),
            ];
            for (word, part) in to.into_iter().zip(parts) {
                words[word] = part.to_le_bytes();
            }
        }
    }
}

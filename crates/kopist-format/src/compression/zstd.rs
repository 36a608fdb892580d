//! Zstandard, by libzstd.
//!
//! Frames are read in one shot into one buffer, so that libzstd needs no window of its own and a
//! frame that claims one of 512 MiB costs nothing. Contexts are kept for each thread: making one
//! costs more than compressing a small content.

use std::cell::RefCell;

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, ResetDirective, get_error_name, zstd_sys::ZSTD_ErrorCode,
};

use super::{CompressionError, first_capacity};

/// All of a content of up to 4 MiB, and what kopia's own encoder uses for most levels.
const WINDOW_LOG: u32 = 22;

thread_local! {
    static COMPRESS: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    static DECOMPRESS: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

pub(super) fn compress(
    name: &'static str,
    level: i32,
    input: &[u8],
    room: usize,
    out: &mut Vec<u8>,
) -> Result<bool, CompressionError> {
    COMPRESS.with_borrow_mut(|context| {
        if context.is_none() {
            *context = CCtx::try_create();
        }
        let context = context.as_mut().ok_or(CompressionError::OutOfMemory { name })?;
        // an earlier content that did not fit leaves the context in the middle of a frame
        context.reset(ResetDirective::SessionOnly).map_err(|code| failed(name, code))?;
        let parameters = [
            CParameter::CompressionLevel(level),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::ChecksumFlag(true),
        ];
        for parameter in parameters {
            context.set_parameter(parameter).map_err(|code| failed(name, code))?;
        }
        let start = out.len();
        out.try_reserve(room).map_err(|_| CompressionError::OutOfMemory { name })?;
        out.resize(start + room, 0);
        let Some(target) = out.get_mut(start..) else { return Ok(false) };
        match context.compress2(target, input) {
            Ok(written) => {
                out.truncate(start + written);
                Ok(true)
            }
            Err(code) if is_too_small(code) => Ok(false),
            Err(code) => Err(failed(name, code)),
        }
    })
}

/// Any number of frames, with skippable ones among them; none gives nothing.
pub(super) fn decompress(
    name: &'static str,
    stream: &[u8],
    limit: usize,
) -> Result<Vec<u8>, CompressionError> {
    DECOMPRESS.with_borrow_mut(|context| {
        if context.is_none() {
            *context = DCtx::try_create();
        }
        let context = context.as_mut().ok_or(CompressionError::OutOfMemory { name })?;
        let mut capacity = first_capacity(limit, stream.len());
        loop {
            let mut out: Vec<u8> = Vec::new();
            out.try_reserve_exact(capacity).map_err(|_| CompressionError::OutOfMemory { name })?;
            match context.decompress(&mut out, stream) {
                Ok(_) if out.len() <= limit => return Ok(out),
                Ok(_) => return Err(CompressionError::TooLong { name, limit }),
                Err(code) if is_too_small(code) && capacity < limit => {
                    capacity = capacity.saturating_mul(4).min(limit);
                }
                Err(code) if is_too_small(code) => {
                    return Err(CompressionError::TooLong { name, limit });
                }
                Err(code) => {
                    let reason = get_error_name(code).into();
                    return Err(CompressionError::Corrupt { name, reason });
                }
            }
        }
    })
}

/// libzstd gives error n as the size −n.
fn is_too_small(code: usize) -> bool {
    code.wrapping_neg() == ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize
}

fn failed(name: &'static str, code: usize) -> CompressionError {
    CompressionError::Failed { name, reason: get_error_name(code).into() }
}

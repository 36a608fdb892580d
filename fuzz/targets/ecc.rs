//! Error correction: any bytes are read without harm, and what was written survives damage that
//! the parity covers.

#![no_main]

use kopist_format::ecc::{EccParameters, ReedSolomon};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&percent, data)) = data.split_first() else { return };
    let Ok(parameters) = EccParameters::new(u32::from(percent)) else { return };
    let code = ReedSolomon::new(parameters);
    let _ = code.decode(data);
    let mut stored = Vec::new();
    code.encode(data, &mut stored).expect("short enough");
    assert_eq!(stored.len(), code.stored_length(data.len()));
    assert_eq!(code.decode(&stored).expect("undamaged"), data);
    // One damaged byte is always within what the parity covers.
    let at = usize::from(percent) * 7919 % stored.len();
    stored[at] ^= 0x55;
    assert_eq!(code.decode(&stored).expect("one byte is corrected"), data);
});

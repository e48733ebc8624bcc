//! The ELF and DWARF readers with the contents of any file: they neither panic nor take long, and
//! stay within their limits.

#![no_main]

use gmr_runtime::__fuzz::resolve;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    // The code of the seeds is below this.
    let addresses: Vec<u64> = (0..0x2000).step_by(16).collect();
    // At most 256 functions are shown at an address.
    let functions = resolve(file, &addresses);
    assert!(functions <= 256 * addresses.len(), "{functions}");
});

//! Private functions for gmr's fuzz targets, compiled with the feature `__fuzz` only. Not part of
//! the public interface.

/// Masks the secrets in a text.
pub fn mask_text(text: &str) -> String {
    gmr_mask::text(text).into_owned()
}

/// Reads the contents of an ELF file and its debug information as a report does, and returns the
/// number of functions found at these addresses.
pub fn resolve(file: &[u8], addresses: &[u64]) -> usize {
    crate::symbols::resolve_bytes(file, addresses)
}

/// Reads the unwind tables of an image as a report does, and unwinds from each of these code
/// addresses. Returns the number of frames.
///
/// The addresses count from the start of the image, and so do words of the stack up to 64 KiB. The
/// registers are stack pointer, frame pointer and link register.
pub fn unwind(image: &[u8], code: &[u64], registers: [u64; 3], stack: &[u64]) -> usize {
    crate::capture::unwind_bytes(image, code, registers, stack)
}

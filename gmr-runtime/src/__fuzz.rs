//! Private functions for gmr's fuzz targets, compiled with the feature `__fuzz` only. Not part of the
//! public interface.

/// Masks the secrets in a text.
pub fn mask_text(text: &str) -> String {
    crate::mask::text(text).into_owned()
}

//! The expansion of an attribute with mistakes: the errors and the unchanged item.
//!
//! Keeping the item means that uses of the function cause no further errors, and that editors can
//! still analyse it.

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

/// The errors followed by the item; `None` if there are no errors.
pub(crate) fn fallback(errors: Errors, item: &TokenStream) -> Option<TokenStream> {
    errors.into_compile_errors().map(|errors| quote!(#errors #item))
}

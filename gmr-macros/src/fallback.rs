//! What the user gets who made a mistake: the errors, and the item as it was written.
//!
//! The item stays, so that a mistake in an attribute does not make every use of the function a mistake as well, and the editor goes
//! on working.

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

/// The errors and then the item; nothing where there are no errors.
pub(crate) fn fallback(errors: Errors, item: &TokenStream) -> Option<TokenStream> {
    errors.into_compile_errors().map(|errors| quote!(#errors #item))
}

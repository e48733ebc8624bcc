//! The attributes of gmr.
use proc_macro::TokenStream;
/// stub
#[proc_macro_attribute]
pub fn main(_args: TokenStream, item: TokenStream) -> TokenStream {
    item
}
/// stub
#[proc_macro_attribute]
pub fn section(_args: TokenStream, item: TokenStream) -> TokenStream {
    item
}
/// stub
#[proc_macro_attribute]
pub fn config(_args: TokenStream, item: TokenStream) -> TokenStream {
    item
}

//! The attributes of gmr.

use proc_macro::TokenStream;

mod args;
mod errors;
mod fallback;
mod item;
mod main_attr;
mod runtime;
mod section_attr;
mod signals;
mod suggest;
mod values;

/// Main.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    main_attr::expand(args.into(), &item.into()).into()
}

/// Section.
#[proc_macro_attribute]
pub fn section(args: TokenStream, item: TokenStream) -> TokenStream {
    section_attr::expand(section_attr::Kind::Section, args.into(), &item.into()).into()
}

/// Config.
#[proc_macro_attribute]
pub fn config(args: TokenStream, item: TokenStream) -> TokenStream {
    section_attr::expand(section_attr::Kind::Config, args.into(), &item.into()).into()
}

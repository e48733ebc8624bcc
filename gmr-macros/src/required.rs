//! Has the compiler check that a feature of `gmr` is enabled, which a macro crate can't see: a
//! macro of `gmr` expands to a value, or to an error at the user's literal.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::Path;

/// The value, or an error at `span` if the feature of this macro is disabled.
pub(crate) fn requires(name: &str, span: Span, krate: &Path, value: &TokenStream) -> TokenStream {
    let krate = located(krate, span);
    let name = Ident::new(name, span.resolved_at(Span::mixed_site()));
    quote_spanned!(span.resolved_at(Span::mixed_site())=> #krate::__private::#name! { #value })
}

/// The path, located at the user's literal, so that the compiler reports the error there. Each
/// token keeps its hygiene: the path may contain `$crate`.
pub(crate) fn located(krate: &Path, span: Span) -> TokenStream {
    let locate = |mut tree: TokenTree| {
        tree.set_span(span.resolved_at(tree.span()));
        tree
    };
    krate.to_token_stream().into_iter().map(locate).collect()
}

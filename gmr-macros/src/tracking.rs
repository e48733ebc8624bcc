//! The body of an `async fn` as a future of its own, and the call that tracks it.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote_spanned};
use syn::{Path, ReturnType};

use crate::item::Function;

/// An async block with this body, which is the function's.
pub(crate) fn tracked_block(function: &Function, body: &TokenStream) -> TokenStream {
    let hint = type_hint(&function.signature.output);
    quote_spanned!(Span::mixed_site()=> async move { #hint #body })
}

/// The future, pinned in place: it may be large, and each move is a copy on the stack in debug
/// builds.
pub(crate) fn pinned(future: &TokenStream) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> ::core::pin::pin!(#future))
}

/// A call of this function of the runtime's.
///
/// The location that the report shows for the task is that of the call. With the span of the
/// function's name, it is the line of the function. With a span of the expansion, it would be that
/// of the attribute.
pub(crate) fn tracking_call(
    function: &Function,
    called: &str,
    arguments: TokenStream,
    krate: &Path,
) -> TokenStream {
    let here = function.ident().span();
    let called = Ident::new(called, here);
    let krate = krate.to_token_stream().into_iter().map(|mut tree| {
        // The span of `$crate` says which crate it is.
        if !matches!(&tree, TokenTree::Ident(name) if name == "$crate") {
            tree.set_span(here);
        }
        tree
    });
    let krate: TokenStream = krate.collect();
    let mut arguments = Group::new(Delimiter::Parenthesis, arguments);
    arguments.set_span(here);
    quote_spanned!(here=> #krate::__private::task::#called #arguments)
}

/// A statement from which the compiler infers the block's type. Without it, a body that uses `?`
/// does not compile: the error type is ambiguous.
fn type_hint(output: &ReturnType) -> TokenStream {
    let ReturnType::Type(_, output) = output else { return TokenStream::new() };
    let tokens = output.to_token_stream();
    // A variable can't have the type `impl Trait`.
    if mentions_impl(tokens.clone()) || tokens.to_string() == "!" {
        return TokenStream::new();
    }
    quote_spanned! {Span::mixed_site()=>
        #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value, clippy::needless_late_init)]
        if false {
            let __gmr_never: #tokens = ::core::unreachable!();
            return __gmr_never;
        }
    }
}

fn mentions_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => mentions_impl(group.stream()),
        _ => false,
    })
}

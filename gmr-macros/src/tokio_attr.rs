//! The attributes of gmr-tokio: `#[tokio::main]` and `#[tokio::test]`.
//!
//! They hand the unchanged item on to tokio's own attribute, so that all of its errors are those of
//! tokio, with their spans. Below it, they put an attribute that sees what tokio's has expanded to,
//! and tracks the future in it.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::parse::Parser as _;
use syn::{Lit, Meta, Path, Token};

use crate::errors::Errors;
use crate::item::Function;
use crate::runtime::{self, TRACKED_MAIN};
use crate::tracking::{pinned, tracking_call};

/// Expands tokio's attribute of this name.
pub(crate) fn expand(attribute: &str, args: &TokenStream, item: &TokenStream) -> TokenStream {
    let krate = krate(args);
    let attribute = Ident::new(attribute, Span::call_site());
    // `#[gmr::main]`, which has expanded before, tracks it.
    let track = (!runtime::tracks_main(item.clone())).then(|| quote!(#[#krate::__private::track(#krate)]));
    quote! {
        #[#krate::__private::#attribute(#args)]
        #track
        #item
    }
}

/// Where the crate is: as for tokio's own, what the option `crate` says, or else `tokio` in the
/// scope of the function.
fn krate(args: &TokenStream) -> TokenStream {
    let options = syn::punctuated::Punctuated::<Meta, Token![,]>::parse_terminated.parse2(args.clone());
    let path = options.ok().into_iter().flatten().find_map(|option| match option {
        Meta::NameValue(option) if option.path.is_ident("crate") => match option.value {
            syn::Expr::Lit(syn::ExprLit { lit: Lit::Str(path), .. }) => path.parse::<Path>().ok(),
            _ => None,
        },
        _ => None,
    });
    path.map_or_else(|| quote!(tokio), |path| quote!(#path))
}

/// The function that tokio's attribute has generated, with its future tracked: as `main`, or under
/// the path of the function. Unchanged if it is not of the form that is known: then tokio has
/// reported a mistake.
pub(crate) fn track(krate: TokenStream, item: TokenStream) -> TokenStream {
    let function = Function::parse(item.clone(), "tokio::main", &mut Errors::default());
    let (Some(function), Ok(krate)) = (function, syn::parse2::<Path>(krate)) else { return item };
    let name = function.name();
    let call = |future: TokenStream| {
        let future = pinned(&future);
        if name == "main" {
            return tracking_call(&function, TRACKED_MAIN, future, &krate);
        }
        let path = quote!(::core::concat!(::core::module_path!(), "::", #name));
        tracking_call(&function, "named", quote!(#path, #future), &krate)
    };
    let Some(body) = with_last_argument(function.body.stream(), &call) else { return item };
    let mut changed = Group::new(Delimiter::Brace, body);
    changed.set_span(function.body.span());
    let head = &function.head;
    quote!(#head #changed)
}

/// The code with the argument of the last call of `block_on` in it changed. tokio's attribute ends
/// the function with a block that contains this call. `None` if there is none.
fn with_last_argument(
    code: TokenStream,
    change: &impl Fn(TokenStream) -> TokenStream,
) -> Option<TokenStream> {
    let mut trees: Vec<TokenTree> = code.into_iter().collect();
    let is_call = |pair: &[TokenTree]| match pair {
        [TokenTree::Ident(name), TokenTree::Group(group)] => {
            name == "block_on" && group.delimiter() == Delimiter::Parenthesis
        }
        _ => false,
    };
    let call = trees.windows(2).rposition(is_call).map(|index| index + 1);
    let index = call.unwrap_or(trees.len().checked_sub(1)?);
    let TokenTree::Group(group) = &trees[index] else { return None };
    let inner = match call {
        Some(_) => change(group.stream()),
        None => with_last_argument(group.stream(), change)?,
    };
    let mut changed = Group::new(group.delimiter(), inner);
    changed.set_span(group.span());
    trees[index] = changed.into();
    Some(trees.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn tokens(text: &str) -> TokenStream {
        TokenStream::from_str(text).unwrap()
    }

    #[test]
    fn tokios_attribute_gets_the_arguments_and_the_item() {
        let expand = |attribute, args| expand(attribute, &tokens(args), &tokens("async fn main() { 1 }"));
        let text = expand("main", "flavor = \"current_thread\"").to_string();
        let expected = "# [tokio :: __private :: main (flavor = \"current_thread\")] \
                        # [tokio :: __private :: track (tokio)] async fn main () { 1 }";
        assert_eq!(text, expected);
        let text = expand("test", "crate = \"a::b\", start_paused = true").to_string();
        assert!(text.starts_with("# [a :: b :: __private :: test (crate ="), "{text}");
        assert!(text.contains("# [a :: b :: __private :: track (a :: b)]"), "{text}");
        // A mistake is tokio's to report.
        let text = expand("main", "crate = 3 4").to_string();
        assert!(text.starts_with("# [tokio :: __private :: main (crate = 3 4)]"), "{text}");
    }

    #[test]
    fn the_future_is_tracked_once() {
        let item = tokens("async fn main() { gmr::__private::task::__gmr_tracked_main(x).await }");
        assert!(!expand("main", &TokenStream::new(), &item).to_string().contains("track ("));
    }

    #[test]
    fn the_last_block_on_is_tokios() {
        let text = |name: &str| {
            let body = "{ let body = async { rt.block_on(other) }; { return rt.block_on(body); } }";
            track(tokens("a::b"), tokens(&format!("#[x] pub fn {name}() -> u8 {body}"))).to_string()
        };
        let main = text("main");
        assert!(main.contains("rt . block_on (other)"), "{main}");
        let call = "rt . block_on (a :: b :: __private :: task :: __gmr_tracked_main \
                    (:: core :: pin :: pin ! (body))) ; }";
        assert!(main.contains(call), "{main}");
        let other = text("works");
        assert!(other.contains("task :: named (:: core :: concat ! (:: core :: module_path ! ()"), "{other}");
        assert!(other.starts_with("# [x] pub fn works () -> u8 {"), "{other}");
    }

    #[test]
    fn other_items_are_left_as_they_are() {
        for item in ["struct A ;", "fn f () { 1 }", "fn f () { { block_on } }", "fn f () { }"] {
            assert_eq!(track(tokens("tokio"), tokens(item)).to_string(), tokens(item).to_string());
        }
    }
}

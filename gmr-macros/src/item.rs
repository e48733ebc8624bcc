//! The item that an attribute stands on, taken apart no further than the attributes have to know.
//!
//! The body stays raw tokens: whatever is wrong in it is the compiler's to report, once, on the user's own code.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Ident, Signature, Visibility};

use crate::errors::Errors;

/// A function with a body.
pub(crate) struct Function {
    /// Everything before the body, as it was written.
    pub(crate) head: TokenStream,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
}

impl Function {
    /// Takes the item apart; notes a mistake if it is no function. `attribute` is the name of the attribute, for that.
    pub(crate) fn parse(item: TokenStream, attribute: &str, errors: &mut Errors) -> Option<Self> {
        read(item, attribute).map_err(|error| errors.add(error)).ok()
    }

    pub(crate) fn ident(&self) -> &Ident {
        &self.signature.ident
    }

    /// The function's name, without `r#`.
    pub(crate) fn name(&self) -> String {
        self.ident().unraw().to_string()
    }

    /// Whether an attribute of this name stands on it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|attribute| attribute.path().is_ident(name))
    }
}

fn read(item: TokenStream, attribute: &str) -> syn::Result<Function> {
    let mut head: Vec<TokenTree> = visible(item).into_iter().collect();
    let last = head.pop();
    let head: TokenStream = head.into_iter().collect();
    let parse_head = |input: ParseStream<'_>| parse_head(input, attribute);
    let (attributes, signature) = parse_head.parse2(head.clone())?;
    let span = last.as_ref().map_or_else(Span::call_site, TokenTree::span);
    let body = last.and_then(body).ok_or_else(|| {
        syn::Error::new(span, format!("`#[{attribute}]` goes on a function with a body: write one"))
    })?;
    Ok(Function { head, attributes, signature, body })
}

fn parse_head(input: ParseStream<'_>, attribute: &str) -> syn::Result<(Vec<Attribute>, Signature)> {
    let attributes = input.call(Attribute::parse_outer)?;
    input.parse::<Visibility>()?;
    let what_it_is = input.span();
    let signature = input.parse().map_err(|_| {
        syn::Error::new(what_it_is, format!("`#[{attribute}]` goes on a function, and this is none"))
    })?;
    Ok((attributes, signature))
}

fn body(tree: TokenTree) -> Option<Group> {
    match visible(tree.into()).into_iter().next() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

/// Without the invisible groups in which a `macro_rules!` macro passes on what it was given.
fn visible(mut tokens: TokenStream) -> TokenStream {
    loop {
        let mut trees = tokens.clone().into_iter();
        match (trees.next(), trees.next()) {
            (Some(TokenTree::Group(group)), None) if group.delimiter() == Delimiter::None => {
                tokens = group.stream();
            }
            _ => return tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use quote::quote;

    use super::*;

    fn parse(text: &str) -> (Option<Function>, Vec<String>) {
        let mut errors = Errors::default();
        let function = Function::parse(TokenStream::from_str(text).unwrap(), "gmr::main", &mut errors);
        (function, errors.messages())
    }

    #[test]
    fn a_function_is_taken_apart() {
        let (function, _) = parse("#[cold] pub(crate) fn r#type() -> [u8; { 3 }] { not even = Rust }");
        let function = function.unwrap();
        assert_eq!(function.name(), "type");
        assert!(function.has("cold"));
        assert_eq!(function.body.to_string(), "{ not even = Rust }");
    }

    #[test]
    fn the_invisible_groups_of_macros_are_seen_through() {
        let body = Group::new(Delimiter::None, quote!({ 1 }));
        let item = Group::new(Delimiter::None, quote!(fn main() #body));
        let function = Function::parse(quote!(#item), "gmr::main", &mut Errors::default()).unwrap();
        assert_eq!(function.body.to_string(), "{ 1 }");
    }

    #[test]
    fn anything_else_is_one_mistake() {
        for text in [
            "",
            "struct A;",
            "struct A { a: u8 }",
            "impl A {}",
            "const A: u8 = 1;",
            "fn f();",
            "fn",
            "}{",
            "use a;",
        ] {
            if TokenStream::from_str(text).is_ok() {
                let (function, errors) = parse(text);
                assert!(function.is_none() && errors.len() == 1, "{text}: {errors:?}");
            }
        }
    }
}

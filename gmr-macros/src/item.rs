//! Parses the item under an attribute, only as far as the attributes need.
//!
//! The body stays raw tokens: the compiler reports errors in it, on the user's own code.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Ident, Signature, Visibility};

use crate::errors::Errors;

/// A function with a body.
pub(crate) struct Function {
    /// Everything before the body, unchanged.
    pub(crate) head: TokenStream,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
}

impl Function {
    /// Parses the item. Anything but a function with a body is an error, which names `attribute`.
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

    /// Whether the function has an attribute of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|attribute| attribute.path().is_ident(name))
    }
}

fn read(item: TokenStream, attribute: &str) -> syn::Result<Function> {
    let mut head: Vec<TokenTree> = ungrouped(item).into_iter().collect();
    let last = head.pop();
    let head: TokenStream = head.into_iter().collect();
    let parse_head = |input: ParseStream<'_>| parse_head(input, attribute);
    let (attributes, signature) = parse_head.parse2(head.clone())?;
    let span = last.as_ref().map_or_else(Span::call_site, TokenTree::span);
    let body = last.and_then(body).ok_or_else(|| {
        syn::Error::new(span, format!("`#[{attribute}]` can only be applied to functions with a body"))
    })?;
    Ok(Function { head, attributes, signature, body })
}

fn parse_head(input: ParseStream<'_>, attribute: &str) -> syn::Result<(Vec<Attribute>, Signature)> {
    let attributes = input.call(Attribute::parse_outer)?;
    input.parse::<Visibility>()?;
    let keyword = input.span();
    let signature = input.parse().map_err(|_| {
        syn::Error::new(keyword, format!("`#[{attribute}]` can only be applied to functions"))
    })?;
    Ok((attributes, signature))
}

fn body(tree: TokenTree) -> Option<Group> {
    match ungrouped(tree.into()).into_iter().next() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => Some(group),
        _ => None,
    }
}

/// Removes the invisible groups in which `macro_rules!` wraps the fragments it passes on.
fn ungrouped(mut tokens: TokenStream) -> TokenStream {
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
    fn a_function_is_parsed() {
        let (function, _) = parse("#[cold] pub(crate) fn r#type() -> [u8; { 3 }] { not even = Rust }");
        let function = function.unwrap();
        assert_eq!(function.name(), "type");
        assert!(function.has("cold"));
        assert_eq!(function.body.to_string(), "{ not even = Rust }");
    }

    #[test]
    fn invisible_groups_are_removed() {
        let body = Group::new(Delimiter::None, quote!({ 1 }));
        let item = Group::new(Delimiter::None, quote!(fn main() #body));
        let function = Function::parse(quote!(#item), "gmr::main", &mut Errors::default()).unwrap();
        assert_eq!(function.body.to_string(), "{ 1 }");
    }

    #[test]
    fn anything_else_is_one_error() {
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

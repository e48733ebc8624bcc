//! `#[gmr::task]`: wraps the body of an `async fn` in a tracked future.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Lit, Path, parse_quote};

use crate::args::{Args, Known};
use crate::errors::Errors;
use crate::fallback::fallback;
use crate::item::Function;
use crate::tracking::{tracked_block, tracking_call};
use crate::values;

const ATTRIBUTE: &str = "gmr::task";

const OPTIONS: &[Known] = &[
    Known { name: "name", example: "name = \"checkout\"" },
    Known { name: "poll", example: "poll = false" },
    Known { name: "crate", example: "crate = my_crate::gmr" },
];

/// Expands the attribute on this item.
pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Args::parse(args, OPTIONS, &mut errors);
    let (mut name, mut krate): (_, Path) = (unnamed(&args, &mut errors), parse_quote!(::gmr));
    let mut poll = true;
    for given in &args.options {
        match given.known.name {
            "name" if !args.unnamed.is_empty() => {
                errors.on(&given.name, "duplicate name: remove this option, or the first argument");
            }
            "name" => name = given.text(&mut errors),
            "poll" => poll = given.switch(&mut errors).unwrap_or(true),
            "crate" => krate = given.path(&mut errors).unwrap_or(krate),
            _ => {}
        }
    }
    let function = Function::parse(item.clone(), ATTRIBUTE, &mut errors);
    if let Some(function) = &function
        && function.signature.asyncness.is_none()
    {
        errors.on(
            function.signature.fn_token,
            "`#[gmr::task]` can only be applied to an `async fn`: make it `async`, or track a future with \
             `gmr::task::track`",
        );
    }
    fallback(errors, item).unwrap_or_else(|| {
        function.map_or_else(TokenStream::new, |function| tracked(&function, name, poll, &krate))
    })
}

fn unnamed(args: &Args, errors: &mut Errors) -> Option<TokenStream> {
    let (first, others) = args.unnamed.split_first()?;
    for other in others {
        errors.on(other, "expected an option: only the task's name can be given without `name =`");
    }
    match values::literal(first) {
        Some(Lit::Str(name)) if !name.value().trim().is_empty() => Some(first.to_token_stream()),
        _ => {
            errors.on(first, "expected an option or the task's name, which is a string: `\"checkout\"`");
            None
        }
    }
}

/// The function with its body moved into a tracked async block.
fn tracked(function: &Function, name: Option<TokenStream>, poll: bool, krate: &Path) -> TokenStream {
    let Function { head, body, .. } = function;
    let block = tracked_block(function, &body.stream());
    let (called, arguments) = match name {
        Some(name) => ("named", quote_spanned!(Span::mixed_site()=> #name, #block)),
        // Named after its type, which has the path of the function, also of a nested one.
        None => ("track_body", block),
    };
    let call = tracking_call(function, called, arguments, krate);
    let switch = (!poll).then(|| quote_spanned!(Span::mixed_site()=> .poll_for_reports(false)));
    let mut inner = Group::new(body.delimiter(), quote_spanned!(Span::mixed_site()=> #call #switch.await));
    inner.set_span(body.span());
    let inner = TokenTree::Group(inner);
    quote!(#head #inner)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn expanded(args: &str, item: &str) -> String {
        expand(TokenStream::from_str(args).unwrap(), &TokenStream::from_str(item).unwrap()).to_string()
    }

    #[test]
    fn the_body_is_tracked_and_the_head_unchanged() {
        let text = expanded(
            "",
            "pub async fn checkout(&self, order: u64) -> Result<u64, Error> { work(order).await? }",
        );
        assert!(
            text.starts_with("pub async fn checkout (& self , order : u64) -> Result < u64 , Error > {"),
            "{text}"
        );
        assert!(text.contains(":: gmr :: __private :: task :: track_body (async move {"), "{text}");
        assert!(text.contains("work (order) . await ?"), "{text}");
        assert!(
            expanded("\"till\", crate = a::b", "async fn f() {}")
                .contains("a :: b :: __private :: task :: named (\"till\"")
        );
    }

    #[test]
    fn polls_for_reports_can_be_switched_off() {
        let text = expanded("\"till\", poll = false", "async fn f() {}");
        assert!(text.contains(". poll_for_reports (false) . await"), "{text}");
        assert!(!expanded("poll = true", "async fn f() {}").contains("poll_for_reports"));
        assert!(expanded("poll = 0", "async fn f() {}").contains("must be `true` or `false`"));
        assert!(expanded("poll", "async fn f() {}").contains("`poll` requires a value"));
    }

    #[test]
    fn mistakes_are_reported_and_the_function_is_kept() {
        let text = expanded("", "fn checkout() {}");
        assert!(
            text.contains("only be applied to an `async fn`") && text.ends_with("fn checkout () { }"),
            "{text}"
        );
        assert!(expanded("nmae = 1", "async fn f() {}").contains("did you mean `name`?"));
    }
}

//! `#[gmr::test]`: moves the body of a test into a closure that the runtime calls under a time
//! limit.
//!
//! Other attributes make tests, too, and expand an `async fn` to a plain one: they go first. An
//! attribute above has already expanded. If one is below, this attribute moves below it.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Attribute, Path, ReturnType, parse_quote};

use crate::args::{Args, Known};
use crate::errors::Errors;
use crate::fallback::fallback;
use crate::item::Function;
use crate::runtime::may_follow;
use crate::tracking::{tracked_block, tracking_call};
use crate::{source, values};

const ATTRIBUTE: &str = "gmr::test";

const OPTIONS: &[Known] = &[
    Known { name: "timeout", example: "timeout = \"30s\"" },
    Known { name: "crate", example: "crate = my_crate::gmr" },
];

/// Whether the function is a test without this attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registered {
    /// By an attribute that has expanded before.
    Before,
    No,
}

impl Registered {
    /// By the source above the attribute that is being expanded.
    pub(crate) fn by_source(attribute: proc_macro::Span) -> Self {
        let above = source::before(attribute).unwrap_or_default();
        if source::ends_with_attribute(&above, "test") { Self::Before } else { Self::No }
    }
}

/// Expands the attribute on this item.
pub(crate) fn expand(registered: Registered, args: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let (mut timeout, mut krate): (_, Path) = (None, parse_quote!(::gmr));
    let given = Args::parse(args.clone(), OPTIONS, &mut errors);
    for unnamed in &given.unnamed {
        errors.on(unnamed, "expected an option: `timeout = \"30s\"`");
    }
    for given in &given.options {
        match given.known.name {
            "timeout" => timeout = given.duration_or_off(&mut errors),
            "crate" => krate = given.path(&mut errors).unwrap_or(krate),
            _ => {}
        }
    }
    let function = Function::parse(item.clone(), ATTRIBUTE, &mut errors);
    let Some(function) = function.filter(|_| errors.is_empty()) else {
        return fallback(errors, item).unwrap_or_else(|| item.clone());
    };
    if may_follow(&function.attributes) {
        return moved_below(registered, args, &function, &krate);
    }
    if let Some(asyncness) = &function.signature.asyncness {
        errors.on(asyncness, "an async test needs a runtime: add its attribute, such as `#[tokio::test]`");
    }
    fallback(errors, item).unwrap_or_else(|| {
        let is_test = registered == Registered::Before || function.attributes.iter().any(is_test);
        watched(&function, !is_test, timeout, &krate)
    })
}

/// Whether an attribute has this name, with or without a path: it makes a test of the function.
fn is_test(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|last| last.ident == "test")
}

/// The function with this attribute as its last one. An `async fn` is tracked, so that a report
/// shows where it waits.
fn moved_below(registered: Registered, args: &TokenStream, function: &Function, krate: &Path) -> TokenStream {
    let Function { attributes, body, .. } = function;
    let is_test = registered == Registered::Before || attributes.iter().any(is_test);
    // Other attributes look for one whose last name is `test`, and else make a test themselves.
    let name = if is_test { quote!(__private::registered::test) } else { quote!(test) };
    let own = quote_spanned!(Span::call_site()=> #[#krate::#name(#args)]);
    let head = without_attributes(function);
    let mut body = body.clone();
    if function.signature.asyncness.is_some() {
        let name = full_name(function);
        let block = tracked_block(function, &body.stream());
        let call = tracking_call(function, "named", quote!(#name, #block), krate);
        let mut tracked = Group::new(Delimiter::Brace, quote_spanned!(Span::mixed_site()=> #call.await));
        tracked.set_span(body.span());
        body = tracked;
    }
    quote!(#(#attributes)* #own #head #body)
}

/// The path of the test, as the test runner prints it but for the crate's name in front.
fn full_name(function: &Function) -> TokenStream {
    let name = function.name();
    quote!(::core::concat!(::core::module_path!(), "::", #name))
}

/// What is between the attributes and the body.
fn without_attributes(function: &Function) -> TokenStream {
    let attributes: usize =
        function.attributes.iter().map(|of| of.to_token_stream().into_iter().count()).sum();
    function.head.clone().into_iter().skip(attributes).collect()
}

/// The test with its body in a closure.
fn watched(function: &Function, register: bool, timeout: Option<TokenStream>, krate: &Path) -> TokenStream {
    let Function { attributes, signature, body, .. } = function;
    let register = register.then(|| quote_spanned!(Span::call_site()=> #[::core::prelude::v1::test]));
    let (name, timeout) = (full_name(function), values::optional(timeout));
    let mut head = without_attributes(function);
    let closure = match &signature.output {
        ReturnType::Default => quote_spanned!(Span::mixed_site()=> move || #body),
        output @ ReturnType::Type(..) => {
            // Errors need not be `Send`. The runner prints them, and needs only the exit code.
            head = with_exit_code(function);
            let annotated = !output.to_token_stream().into_iter().any(|tree| tree.to_string() == "impl");
            let output = annotated.then_some(output);
            quote_spanned! {Span::mixed_site()=>
                move || ::std::process::Termination::report((move || #output #body)())
            }
        }
    };
    // The span of the name: a panic is reported there.
    let here = function.ident().span();
    let call = quote_spanned!(here=> #krate::__private::run_test(#name, #timeout, #closure));
    let mut inner = Group::new(Delimiter::Brace, call);
    inner.set_span(body.span());
    quote!(#(#attributes)* #register #head #inner)
}

/// The head of the function with another return type.
fn with_exit_code(function: &Function) -> TokenStream {
    let mut signature = function.signature.clone();
    signature.output = parse_quote!(-> ::std::process::ExitCode);
    let visibility = without_attributes(function);
    let before: usize = function.signature.to_token_stream().into_iter().count();
    let visibility: Vec<_> = visibility.into_iter().collect();
    let visibility = &visibility[..visibility.len().saturating_sub(before)];
    quote!(#(#visibility)* #signature)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn expanded(registered: Registered, args: &str, item: &str) -> String {
        let tokens = |text| TokenStream::from_str(text).unwrap();
        expand(registered, &tokens(args), &tokens(item)).to_string()
    }

    #[test]
    fn a_plain_function_becomes_a_test() {
        let text = expanded(Registered::No, "timeout = \"5s\"", "#[ignore] pub fn drains() { queue() }");
        assert!(
            text.starts_with("# [ignore] # [:: core :: prelude :: v1 :: test] pub fn drains () {"),
            "{text}"
        );
        let call = "run_test (:: core :: concat ! (:: core :: module_path ! () , \"::\" , \"drains\") , \
                    :: core :: option :: Option :: Some (:: core :: time :: Duration :: new (5u64 , 0u32)) , \
                    move || { queue () })";
        assert!(text.contains(call), "{text}");
    }

    #[test]
    fn a_test_is_not_registered_twice() {
        for (registered, item) in [(Registered::Before, "fn f() {}"), (Registered::No, "#[test] fn f() {}")] {
            let text = expanded(registered, "", item);
            assert!(!text.contains("prelude") && text.contains("run_test"), "{text}");
        }
    }

    #[test]
    fn a_result_becomes_an_exit_code() {
        let text = expanded(Registered::No, "", "pub(crate) fn f() -> Result<(), E> { Ok(()) }");
        assert!(text.contains("pub (crate) fn f () -> :: std :: process :: ExitCode {"), "{text}");
        let call = "Termination :: report ((move || -> Result < () , E > { Ok (()) }) ())";
        assert!(text.contains(call), "{text}");
    }

    #[test]
    fn other_attributes_go_first() {
        let text = expanded(Registered::No, "crate = a", "#[tokio::test] async fn f() { g().await }");
        assert!(
            text.starts_with(
                "# [tokio :: test] # [a :: __private :: registered :: test (crate = a)] async fn f"
            ),
            "{text}"
        );
        assert!(text.contains("named (:: core :: concat !"), "{text}");
        let text = expanded(Registered::No, "", "#[rstest] #[case(1)] fn f(#[case] n: u8) { g(n) }");
        assert!(text.starts_with("# [rstest] # [case (1)] # [:: gmr :: test ()] fn f"), "{text}");
        let text = expanded(Registered::Before, "", "#[serial] fn f() {}");
        assert!(text.contains("registered :: test"), "{text}");
    }

    #[test]
    fn mistakes_are_reported_and_the_function_is_kept() {
        for (args, item, problem) in [
            ("", "async fn f() {}", "needs a runtime"),
            ("timeout = 5", "fn f() {}", "must be a string literal with a unit"),
            ("\"5s\"", "fn f() {}", "expected an option: `timeout"),
            ("tiemout = \"5s\"", "fn f() {}", "did you mean `timeout`?"),
            ("", "struct A;", "can only be applied to functions"),
        ] {
            let text = expanded(Registered::No, args, item);
            assert!(
                text.contains(problem) && text.ends_with(&TokenStream::from_str(item).unwrap().to_string()),
                "{text}"
            );
        }
    }
}

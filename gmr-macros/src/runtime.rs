//! Whether an `async fn main` is run by an async runtime: none is known by name, all are recognised by what they leave.

use proc_macro2::Span;
use syn::Attribute;

/// The attributes that rustc itself knows and that can stand on a function.
const BUILT_IN: [&str; 26] = [
    "allow",
    "automatically_derived",
    "bench",
    "cfg",
    "cfg_attr",
    "cold",
    "coverage",
    "deny",
    "deprecated",
    "doc",
    "expect",
    "export_name",
    "forbid",
    "ignore",
    "inline",
    "instruction_set",
    "link_section",
    "must_use",
    "no_mangle",
    "optimize",
    "should_panic",
    "target_feature",
    "test",
    "track_caller",
    "unsafe",
    "warn",
];

/// The tools whose attributes rustc lets pass.
const TOOLS: [&str; 5] = ["clippy", "diagnostic", "miri", "rust_analyzer", "rustfmt"];

/// Whether one of these attributes may be a runtime's: any that is neither built in nor for a tool.
pub(crate) fn stands_on(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        match path.segments.first() {
            Some(only) if path.segments.len() == 1 => BUILT_IN.iter().all(|name| only.ident != name),
            Some(tool) => TOOLS.iter().all(|name| tool.ident != name),
            None => false,
        }
    })
}

/// Whether the `async` at this place was written by another attribute, which has taken the function already.
///
/// `#[async_std::main]` for one leaves a `fn main` that runs an inner `async fn main`, and ours on the inner one. What an attribute has written stands where the
/// attribute stands, so its text is another.
pub(crate) fn has_made(asyncness: Span) -> bool {
    asyncness.source_text().is_some_and(|text| text != "async")
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn any_attribute_that_nobody_else_knows_is_a_runtimes() {
        let inert: Vec<Attribute> =
            parse_quote!(#[allow(dead_code)] #[doc = "a"] #[rustfmt::skip] #[clippy::a::b]);
        assert!(!stands_on(&inert));
        for runtime in [
            parse_quote!(#[tokio::main(flavor = "current_thread")]),
            parse_quote!(#[main]),
            parse_quote!(#[::a::b]),
            parse_quote!(#[apply(main!)]),
        ] {
            let mut attributes = inert.clone();
            attributes.push(runtime);
            assert!(stands_on(&attributes));
        }
    }
}

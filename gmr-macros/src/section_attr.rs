//! `#[gmr::section]` and `#[gmr::config]`: the unchanged function, and an entry in the registry.
//!
//! The entry is plain data: titles, order and deadlines are applied in the runtime.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Expr, Lit, Path, ReturnType, Safety, Signature, Type, parse_quote};

use crate::args::{Args, Known};
use crate::errors::Errors;
use crate::fallback::fallback;
use crate::item::Function;
use crate::{marks, values};

const OPTIONS: &[Known] = &[
    Known { name: "title", example: "title = \"Cache\"" },
    Known { name: "order", example: "order = -10" },
    Known { name: "timeout", example: "timeout = \"2s\"" },
    Known { name: "crate", example: "crate = my_crate::gmr" },
];

/// Which of the two attributes is expanded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Section,
    Config,
}

/// The attribute's options.
#[derive(Default)]
struct Options {
    title: Option<TokenStream>,
    order: Option<TokenStream>,
    timeout: Option<TokenStream>,
    krate: Option<Path>,
}

/// Expands the attribute on this item.
pub(crate) fn expand(kind: Kind, args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::read(args, &mut errors);
    let function = Function::parse(item.clone(), kind.attribute(), &mut errors);
    if let Some(function) = &function {
        validate(kind, &function.signature, &mut errors);
    }
    fallback(errors, item).unwrap_or_else(|| {
        let entry = function.map(|function| options.entry(kind, &function));
        quote!(#item #entry)
    })
}

impl Kind {
    fn attribute(self) -> &'static str {
        match self {
            Self::Section => "gmr::section",
            Self::Config => "gmr::config",
        }
    }

    fn variant(self) -> Ident {
        let name = match self {
            Self::Section => "Section",
            Self::Config => "Config",
        };
        Ident::new(name, Span::mixed_site())
    }
}

impl Options {
    fn read(args: TokenStream, errors: &mut Errors) -> Self {
        let args = Args::parse(args, OPTIONS, errors);
        let mut options = Self { title: unnamed_title(&args.unnamed, errors), ..Self::default() };
        for given in &args.options {
            match given.known.name {
                "title" if !args.unnamed.is_empty() => {
                    errors.on(&given.name, "duplicate title: remove this option, or the first argument");
                }
                "title" => options.title = given.text(errors),
                "order" => options.order = given.integer(errors),
                "timeout" => options.timeout = given.duration(errors),
                "crate" => options.krate = given.path(errors),
                _ => {}
            }
        }
        options
    }

    /// The statement that submits the entry to the registry.
    fn entry(&self, kind: Kind, function: &Function) -> TokenStream {
        let krate = self.krate.clone().unwrap_or_else(|| parse_quote!(::gmr));
        let generate = generate(&krate, function);
        let (kind, name) = (kind.variant(), function.name());
        let (mark, earlier) = marks::of(&name, function.ident().span());
        // The user's expressions initialize constants of the expected types, so that a type error
        // mentions only those types.
        let (titles, orders) = (self.title.iter(), self.order.iter());
        let title = values::optional(self.title.as_ref().map(|_| quote!(__GMR_TITLE)));
        let order = self.order.as_ref().map_or_else(|| quote!(0), |_| quote!(__GMR_ORDER));
        let timeout = values::optional(self.timeout.clone());
        quote_spanned! {Span::mixed_site()=>
            #krate::__private::section_must_be_a_free_function! {
                #(const __GMR_TITLE: &str = #titles;)*
                #(const __GMR_ORDER: i32 = #orders;)*
                #generate
                #krate::__private::inventory::submit! {
                    #krate::__private::SectionEntry {
                        kind: #krate::__private::Kind::#kind,
                        function: #name,
                        title: #title,
                        order: #order,
                        timeout: #timeout,
                        module_path: ::core::module_path!(),
                        mark: #mark,
                        earlier: &[#(#earlier),*],
                        generate: __gmr_generate,
                    }
                }
            }
        }
    }
}

/// The title, if it is the first argument and a literal.
fn unnamed_title(unnamed: &[Expr], errors: &mut Errors) -> Option<TokenStream> {
    let (first, others) = unnamed.split_first()?;
    for other in others {
        errors.on(other, "expected an option: only the title can be given without `title =`");
    }
    match values::literal(first) {
        Some(Lit::Str(title)) if !title.value().trim().is_empty() => Some(first.to_token_stream()),
        Some(Lit::Str(_)) => {
            errors.on(first, "the title is empty: omit it to derive one from the function's name");
            None
        }
        _ => {
            errors.on(first, "expected an option or the title, which is a string: `\"Cache\"`");
            None
        }
    }
}

/// Adds an error for everything that prevents a report from calling this function.
fn validate(kind: Kind, signature: &Signature, errors: &mut Errors) {
    let attribute = kind.attribute();
    if let Some(asyncness) = &signature.asyncness {
        errors.on(
            asyncness,
            format!(
                "a `#[{attribute}]` function can't be `async`: reports run outside any runtime; make it a plain \
                 `fn` that reads shared state"
            ),
        );
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        errors.on(
            unsafety,
            format!(
                "a `#[{attribute}]` function can't be `unsafe`: reports call it at any time, with no way to \
                 uphold its contract; make it a safe `fn`"
            ),
        );
    }
    let generics = &signature.generics;
    if !generics.params.is_empty() {
        errors.on(
            generics,
            format!(
                "a `#[{attribute}]` function can't be generic: reports call it without type arguments; add a \
                 non-generic `fn` that calls this one"
            ),
        );
    }
    if let Some(clause) = &generics.where_clause {
        errors.on(
            clause,
            format!(
                "a `#[{attribute}]` function can't have a `where` clause: add a `fn` without one that calls this"
            ),
        );
    }
    validate_inputs(attribute, signature, errors);
}

fn validate_inputs(attribute: &str, signature: &Signature, errors: &mut Errors) {
    if let Some(receiver) = signature.receiver() {
        // One error is enough: the fix, a free function, replaces the other arguments as well.
        errors.on(
            receiver,
            format!(
                "a `#[{attribute}]` function can't take `self`: reports have no value to call it on; add a free \
                 `fn` that reads shared state"
            ),
        );
    } else if !signature.inputs.is_empty() {
        errors.on(
            &signature.inputs,
            format!("a `#[{attribute}]` function can't take arguments: remove them, and read shared state"),
        );
    }
    if let Some(variadic) = &signature.variadic {
        errors.on(variadic, format!("a `#[{attribute}]` function can't take arguments: remove the `...`"));
    }
}

/// A function that calls the user's and converts the result to content.
fn generate(krate: &Path, function: &Function) -> TokenStream {
    let ident = function.ident();
    // The author does not need a warning about the call generated here.
    let deprecated = function.has("deprecated").then(|| quote!(#[allow(deprecated)]));
    if is_never(&function.signature.output) {
        // There is no value to probe; `!` coerces to `Content`.
        return quote_spanned!(Span::mixed_site()=> #deprecated fn __gmr_generate() -> #krate::__private::Content { #ident() });
    }
    let probe = quote_spanned!(Span::mixed_site()=> (&&#krate::__private::convert::Probe::of(&value)));
    let show = show(krate, &function.signature.output);
    quote_spanned! {Span::mixed_site()=>
        #deprecated
        fn __gmr_generate() -> #krate::__private::Content {
            use #krate::__private::convert::{
                Displayable as _, NoOptionKind as _, NoResultKind as _, OptionKind as _, ResultKind as _, Serializable as _,
            };
            let value = #ident();
            match #probe.result_kind().open(value) {
                ::core::result::Result::Err(content) => content,
                ::core::result::Result::Ok(value) => match #probe.option_kind().open(value) {
                    ::core::result::Result::Err(content) => content,
                    ::core::result::Result::Ok(value) => #show,
                },
            }
        }
    }
}

/// The last of the calls, which fails to compile if the type can't be shown. Its span is the return
/// type that the user wrote.
fn show(krate: &Path, output: &ReturnType) -> TokenStream {
    let (start, end) = ends(output);
    let kind = quote_spanned!(start=> (&&#krate::__private::convert::Probe::of(&value)).leaf_kind());
    // The span of an expression reaches from its first token to its last.
    let (reference, value) = (quote_spanned!(start=> &), quote_spanned!(end=> value));
    let content = Ident::new("content", Span::mixed_site());
    quote_spanned!(end=> #kind.#content(#reference #value))
}

/// The start and end of the return type, marked as generated so that lints ignore the code that has
/// these spans.
fn ends(output: &ReturnType) -> (Span, Span) {
    let generated = |tree: Option<&TokenTree>| {
        tree.map_or_else(Span::mixed_site, |tree| tree.span().resolved_at(Span::mixed_site()))
    };
    let trees: Vec<TokenTree> = match output {
        ReturnType::Default => Vec::new(),
        ReturnType::Type(_, shown) => shown.to_token_stream().into_iter().collect(),
    };
    (generated(trees.first()), generated(trees.last()))
}

fn is_never(output: &ReturnType) -> bool {
    matches!(output, ReturnType::Type(_, shown) if matches!(**shown, Type::Never(_)))
}

//! `#[gmr::section]` and `#[gmr::config]`: the user's function as it is, and beside it an entry in the registry.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::{Expr, Lit, Path, ReturnType, Safety, Signature, Type, parse_quote};

use crate::args::{Args, Known};
use crate::errors::Errors;
use crate::fallback::fallback;
use crate::item::Function;
use crate::values;

const OPTIONS: &[Known] = &[
    Known { name: "title", example: "title = \"Cache\"" },
    Known { name: "order", example: "order = -10" },
    Known { name: "timeout", example: "timeout = \"2s\"" },
    Known { name: "crate", example: "crate = my_crate::gmr" },
];

/// Which of the two attributes it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Section,
    Config,
}

/// What the attribute's arguments say.
#[derive(Default)]
struct Options {
    title: Option<TokenStream>,
    order: Option<TokenStream>,
    timeout: Option<TokenStream>,
    krate: Option<Path>,
}

/// The attribute of this kind on this item.
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
                    errors.on(&given.name, "the title is given already, without its name: keep one of them");
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

    /// The entry in the registry.
    fn entry(&self, kind: Kind, function: &Function) -> TokenStream {
        let krate = self.krate.clone().unwrap_or_else(|| parse_quote!(::gmr));
        let generate = generate(&krate, function);
        let (kind, name) = (kind.variant(), function.name());
        // The user's expressions stand in constants of the type that they should have, so that an error speaks of nothing but that type.
        let (titles, orders) = (self.title.iter(), self.order.iter());
        let title = values::optional(self.title.as_ref().map(|_| quote!(__GMR_TITLE)));
        let order = self.order.as_ref().map_or_else(|| quote!(0), |_| quote!(__GMR_ORDER));
        let timeout = values::optional(self.timeout.clone());
        quote_spanned! {Span::mixed_site()=>
            #krate::__private::a_section_goes_on_a_free_function! {
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
                        generate: __gmr_generate,
                    }
                }
            }
        }
    }
}

/// A title may stand without its name if it is a literal and comes first.
fn unnamed_title(unnamed: &[Expr], errors: &mut Errors) -> Option<TokenStream> {
    let (first, others) = unnamed.split_first()?;
    for other in others {
        errors.on(other, "only the title can stand without its name");
    }
    match values::literal(first) {
        Some(Lit::Str(title)) if !title.value().trim().is_empty() => Some(first.to_token_stream()),
        Some(Lit::Str(_)) => {
            errors.on(first, "the title is empty: leave it out to have it made from the function's name");
            None
        }
        _ => {
            errors.on(first, "only the title can stand without its name, and it is text: `\"Cache\"`");
            None
        }
    }
}

/// Everything that keeps this function from being run by a report.
fn validate(kind: Kind, signature: &Signature, errors: &mut Errors) {
    let attribute = kind.attribute();
    if let Some(asyncness) = &signature.asyncness {
        errors.on(
            asyncness,
            format!("`#[{attribute}]` cannot wait, for a report is made outside of any runtime: make this a plain `fn` that shows what async code has left in a static"),
        );
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        errors.on(
            unsafety,
            format!("`#[{attribute}]` goes on a safe function, for a report can be asked for at any time: make this a safe `fn`"),
        );
    }
    let generics = &signature.generics;
    if !generics.params.is_empty() {
        errors.on(
            generics,
            format!("`#[{attribute}]` goes on a function without generics, for nothing says what to fill in for them: write one that calls this"),
        );
    }
    if let Some(clause) = &generics.where_clause {
        errors.on(
            clause,
            format!(
                "`#[{attribute}]` goes on a function without a `where` clause: write one that calls this"
            ),
        );
    }
    validate_inputs(attribute, signature, errors);
}

fn validate_inputs(attribute: &str, signature: &Signature, errors: &mut Errors) {
    if let Some(receiver) = signature.receiver() {
        // The other arguments go with it when the method becomes a free function.
        errors.on(
            receiver,
            format!("`#[{attribute}]` goes on a free function, for a report has no `self` to call a method on: write one that finds the value in a static"),
        );
    } else if !signature.inputs.is_empty() {
        errors.on(
            &signature.inputs,
            format!(
                "`#[{attribute}]` goes on a function without arguments: read what it shows from a static"
            ),
        );
    }
    if let Some(variadic) = &signature.variadic {
        errors
            .on(variadic, format!("`#[{attribute}]` goes on a function without arguments: remove the `...`"));
    }
}

/// The function that calls the user's and turns what it returns into content.
fn generate(krate: &Path, function: &Function) -> TokenStream {
    let ident = function.ident();
    // A use in the registry is no use that the author wanted to hear of.
    let deprecated = function.has("deprecated").then(|| quote!(#[allow(deprecated)]));
    if is_never(&function.signature.output) {
        // There is no value whose type could be asked for; the call itself passes for content.
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

/// The last of the calls: the one that fails when the type cannot be shown, and then at the type that the user wrote.
fn show(krate: &Path, output: &ReturnType) -> TokenStream {
    let (start, end) = ends(output);
    let kind = quote_spanned!(start=> (&&#krate::__private::convert::Probe::of(&value)).leaf_kind());
    // The compiler takes an expression to reach from its first token to its last.
    let (reference, value) = (quote_spanned!(start=> &), quote_spanned!(end=> value));
    let content = Ident::new("content", Span::mixed_site());
    quote_spanned!(end=> #kind.#content(#reference #value))
}

/// Where the return type starts and where it ends, marked as ours so that no lint takes what stands there for the user's.
fn ends(output: &ReturnType) -> (Span, Span) {
    let ours = |tree: Option<&TokenTree>| {
        tree.map_or_else(Span::mixed_site, |tree| tree.span().resolved_at(Span::mixed_site()))
    };
    let trees: Vec<TokenTree> = match output {
        ReturnType::Default => Vec::new(),
        ReturnType::Type(_, shown) => shown.to_token_stream().into_iter().collect(),
    };
    (ours(trees.first()), ours(trees.last()))
}

fn is_never(output: &ReturnType) -> bool {
    matches!(output, ReturnType::Type(_, shown) if matches!(**shown, Type::Never(_)))
}

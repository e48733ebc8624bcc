//! From an option's value, as it was written, to what the option wants.
//!
//! Only what is certain before types are known is judged here: a literal of the wrong kind, above all. The rest is the
//! compiler's to judge, on the user's own tokens. `None` means that a mistake was noted.

use proc_macro2::{Group, Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, Path, PathArguments, Token};

use crate::args::{Given, Value};
use crate::errors::Errors;
use crate::{formats, signals};

impl Given {
    /// An expression whose value is text.
    pub(crate) fn text(&self, errors: &mut Errors) -> Option<TokenStream> {
        let value = self.assigned(errors)?;
        match literal(value) {
            Some(Lit::Str(text)) if text.value().trim().is_empty() => {
                self.refuse(value, "is empty: leave it out, or write", errors)
            }
            None | Some(Lit::Str(_)) => Some(quote!(#value)),
            Some(_) => self.refuse(value, "is text:", errors),
        }
    }

    /// An expression whose value is a whole number.
    pub(crate) fn integer(&self, errors: &mut Errors) -> Option<TokenStream> {
        let value = self.assigned(errors)?;
        match literal(value) {
            None | Some(Lit::Int(_)) => Some(quote!(#value)),
            Some(_) => self.refuse(value, "is a whole number:", errors),
        }
    }

    /// A length of time, as the expression of a `Duration`.
    pub(crate) fn duration(&self, errors: &mut Errors) -> Option<TokenStream> {
        let value = self.assigned(errors)?;
        let Some(Lit::Str(text)) = literal(value) else {
            return self.refuse(value, "is a length of time with its unit, as a literal:", errors);
        };
        match humantime::parse_duration(&text.value()) {
            Ok(time) if time.is_zero() => {
                self.refuse(value, "leaves no time at all: give it some, as in", errors)
            }
            Ok(time) => {
                let (seconds, nanoseconds) = (time.as_secs(), time.subsec_nanos());
                Some(quote!(::core::time::Duration::new(#seconds, #nanoseconds)))
            }
            Err(error) => self.refuse(value, &format!("is no length of time ({error}): write"), errors),
        }
    }

    /// The name or the number of a signal, as the runtime wants it.
    pub(crate) fn signal(&self, errors: &mut Errors) -> Option<String> {
        let value = self.assigned(errors)?;
        let signal = match literal(value) {
            Some(Lit::Str(name)) => signals::by_name(&name.value()),
            // What is too large for an `i32` is no signal either.
            Some(Lit::Int(number)) => signals::by_number(number.base10_parse().unwrap_or(i32::MAX)),
            _ => return self.refuse(value, "is a name or a number, as a literal:", errors),
        };
        signal.map_err(|message| errors.on(value, message)).ok()
    }

    /// The name of a format, as the runtime's own name for it.
    pub(crate) fn format(&self, errors: &mut Errors) -> Option<Ident> {
        let value = self.assigned(errors)?;
        let Some(Lit::Str(name)) = literal(value) else {
            return self.refuse(value, "is the name of a format, as a literal:", errors);
        };
        formats::by_name(&name.value()).map_err(|message| errors.on(value, message)).ok()
    }

    /// The path of a module or a crate.
    pub(crate) fn path(&self, errors: &mut Errors) -> Option<Path> {
        let value = self.assigned(errors)?;
        match ungrouped(value) {
            Expr::Path(path) if path.qself.is_none() && has_no_arguments(&path.path) => {
                Some(path.path.clone())
            }
            _ => self.refuse(value, "is the path at which gmr is found, without quotes:", errors),
        }
    }

    /// Names of crates.
    pub(crate) fn crates(&self, errors: &mut Errors) -> Option<Vec<Ident>> {
        let Value::List(list) = &self.value else {
            self.complain(
                format!("`{}` takes names of crates: `{}`", self.known.name, self.known.example),
                errors,
            );
            return None;
        };
        if list.stream().is_empty() {
            self.complain(
                format!("`{}` names no crate: write `{}`", self.known.name, self.known.example),
                errors,
            );
            return None;
        }
        crate_names(list).map_err(|error| errors.add(error)).ok()
    }

    fn assigned(&self, errors: &mut Errors) -> Option<&Expr> {
        if let Value::Assigned(value) = &self.value {
            return Some(value);
        }
        self.complain(format!("`{}` takes a value: `{}`", self.known.name, self.known.example), errors);
        None
    }

    fn refuse<T>(&self, value: &Expr, what: &str, errors: &mut Errors) -> Option<T> {
        errors.on(value, format!("`{}` {what} `{}`", self.known.name, self.known.example));
        None
    }
}

/// The literal that this expression is; none where it is anything else.
pub(crate) fn literal(value: &Expr) -> Option<&Lit> {
    match ungrouped(value) {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        _ => None,
    }
}

/// The expression of an `Option` that holds this value, or of `None`.
pub(crate) fn optional(value: Option<TokenStream>) -> TokenStream {
    let none = || quote!(::core::option::Option::None);
    value.map_or_else(none, |value| quote!(::core::option::Option::Some(#value)))
}

/// What a `macro_rules!` macro passes on comes in groups without visible delimiters.
fn ungrouped(mut value: &Expr) -> &Expr {
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    value
}

fn has_no_arguments(path: &Path) -> bool {
    path.segments.iter().all(|segment| matches!(segment.arguments, PathArguments::None))
}

fn crate_names(list: &Group) -> syn::Result<Vec<Ident>> {
    let read =
        |input: ParseStream<'_>| Punctuated::<Ident, Token![,]>::parse_terminated_with(input, crate_name);
    read.parse2(list.stream()).map(|names| names.into_iter().collect())
}

fn crate_name(input: ParseStream<'_>) -> syn::Result<Ident> {
    let name = input.call(Ident::parse_any).map_err(|error| {
        syn::Error::new(error.span(), "expected the name of a crate, without quotes: `link(my_sections)`")
    })?;
    if ["self", "super", "crate", "Self", "_"].iter().any(|word| name == word) {
        return Err(syn::Error::new(name.span(), "expected the name of another crate: `link(my_sections)`"));
    }
    if input.peek(Token![-]) {
        return Err(input.error("the name of a crate has `_` where its package has `-`"));
    }
    if input.peek(Token![::]) {
        return Err(input.error(format!("to link a crate its name is enough: `link({})`", name.unraw())));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;
    use crate::args::{Args, Known};

    const KNOWN: &[Known] = &[Known { name: "it", example: "it = right" }];

    fn given(text: &str) -> Given {
        let tokens = TokenStream::from_str(text).unwrap();
        let mut errors = Errors::default();
        let mut args = Args::parse(tokens, KNOWN, &mut errors);
        assert_eq!(errors.messages(), [""; 0], "{text}");
        args.options.remove(0)
    }

    /// What the reader says to each of these: its mistake, or nothing.
    fn judged<T>(text: &str, read: impl Fn(&Given, &mut Errors) -> Option<T>) -> Option<String> {
        let mut errors = Errors::default();
        let value = read(&given(text), &mut errors);
        let messages = errors.messages();
        assert!(messages.len() <= 1, "{text}: {messages:?}");
        assert_eq!(value.is_none(), !messages.is_empty(), "{text}: {messages:?}");
        messages.into_iter().next()
    }

    #[test]
    fn what_may_be_right_passes() {
        for text in ["it = \"a\"", "it = env!(\"A\")", "it = a::B", "it = (1, 2).1"] {
            assert_eq!(judged(text, Given::text), None);
        }
        for text in ["it = 1", "it = -1", "it = A + 1", "it = i32::MAX"] {
            assert_eq!(judged(text, Given::integer), None);
        }
        for text in ["it = \"2s\"", "it = \"500ms\"", "it = \"1m 30s\""] {
            assert_eq!(judged(text, Given::duration), None);
        }
        for text in ["it = \"usr1\"", "it = 12"] {
            assert_eq!(judged(text, Given::signal), None);
        }
        for text in ["it = a", "it = ::a::b", "it = crate::a", "it = r#type"] {
            assert_eq!(judged(text, Given::path), None);
        }
        for text in ["it(a)", "it(a, r#type,)"] {
            assert_eq!(judged(text, Given::crates), None);
        }
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        for text in ["it", "it = ", "it = 1", "it = 'a'", "it = b\"a\"", "it = \" \"", "it(a)"] {
            assert!(judged(text, Given::text).is_some(), "{text}");
        }
        for text in ["it", "it = \"1\"", "it = 1.0", "it = true"] {
            assert!(judged(text, Given::integer).is_some(), "{text}");
        }
        for text in [
            "it",
            "it = 2",
            "it = \"2\"",
            "it = \"0s\"",
            "it = \"\"",
            "it = TIMEOUT",
            "it = \"99999999999999y\"",
        ] {
            assert!(judged(text, Given::duration).is_some(), "{text}");
        }
        for text in ["it", "it = -1", "it = 99999999999", "it = \"SIGKILL\"", "it = SIGNAL", "it = 1.0"] {
            assert!(judged(text, Given::signal).is_some(), "{text}");
        }
        for text in ["it", "it = \"a\"", "it = a::<b>", "it = <A as B>::c", "it = a()"] {
            assert!(judged(text, Given::path).is_some(), "{text}");
        }
        for text in ["it", "it = a", "it(\"a\")", "it(a::b)", "it(a-b)", "it(crate)", "it(_)"] {
            assert!(judged(text, Given::crates).is_some(), "{text}");
        }
    }
}

//! Converts an option's value from what the user wrote to what the option needs.
//!
//! Rejects only what is wrong whatever the types are, such as a literal of the wrong kind. The
//! compiler checks the rest, on the user's own tokens. `None` means that an error was added.

use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Expr, ExprLit, Lit, LitStr, Path, PathArguments, Token};

use crate::args::{Given, Value};
use crate::errors::Errors;
use crate::formats::Format;
use crate::{sections, signals};

impl Given {
    /// An expression that evaluates to a string.
    pub(crate) fn text(&self, errors: &mut Errors) -> Option<TokenStream> {
        let value = self.assigned(errors)?;
        match literal(value) {
            Some(Lit::Str(text)) if text.value().trim().is_empty() => {
                self.reject(value, "must not be empty: omit it, or write", errors)
            }
            None | Some(Lit::Str(_)) => Some(quote!(#value)),
            Some(_) => self.reject(value, "must be a string, such as", errors),
        }
    }

    /// A string literal.
    pub(crate) fn plain_text(&self, errors: &mut Errors) -> Option<String> {
        let value = self.assigned(errors)?;
        match literal(value) {
            Some(Lit::Str(text)) if !text.value().trim().is_empty() => Some(text.value()),
            _ => self.reject(value, "must be a string literal that is not empty, such as", errors),
        }
    }

    /// An expression that evaluates to an integer.
    pub(crate) fn integer(&self, errors: &mut Errors) -> Option<TokenStream> {
        let value = self.assigned(errors)?;
        match literal(value) {
            None | Some(Lit::Int(_)) => Some(quote!(#value)),
            Some(_) => self.reject(value, "must be an integer, such as", errors),
        }
    }

    /// `true` or `false`.
    pub(crate) fn switch(&self, errors: &mut Errors) -> Option<bool> {
        let value = self.assigned(errors)?;
        match literal(value) {
            Some(Lit::Bool(switch)) => Some(switch.value),
            _ => self.reject(value, "must be `true` or `false`, as a literal, such as", errors),
        }
    }

    /// A duration, as an expression of type `Duration`.
    pub(crate) fn duration(&self, errors: &mut Errors) -> Option<TokenStream> {
        let value = self.assigned(errors)?;
        let Some(Lit::Str(text)) = literal(value) else {
            return self.reject(value, "must be a string literal with a unit, such as", errors);
        };
        match humantime::parse_duration(&text.value()) {
            Ok(time) if time.is_zero() => self.reject(value, "must be longer than zero, such as", errors),
            Ok(time) => {
                let (seconds, nanoseconds) = (time.as_secs(), time.subsec_nanos());
                Some(quote!(::core::time::Duration::new(#seconds, #nanoseconds)))
            }
            Err(error) => self.reject(value, &format!("is not a duration ({error}): write"), errors),
        }
    }

    /// A duration, or `false`, which is a duration of zero.
    pub(crate) fn duration_or_off(&self, errors: &mut Errors) -> Option<TokenStream> {
        match literal(self.assigned(errors)?) {
            Some(Lit::Bool(switch)) if !switch.value => Some(quote!(::core::time::Duration::ZERO)),
            _ => self.duration(errors),
        }
    }

    /// A percentage, or `false`, which is zero.
    pub(crate) fn percentage(&self, errors: &mut Errors) -> Option<u8> {
        let value = self.assigned(errors)?;
        let percent = match literal(value) {
            Some(Lit::Bool(switch)) if !switch.value => return Some(0),
            Some(Lit::Str(text)) => {
                text.value().trim().strip_suffix('%').and_then(|of| of.trim().parse().ok())
            }
            _ => None,
        };
        match percent {
            Some(percent @ 1..=100) => Some(percent),
            _ => {
                self.reject(value, "must be a percentage from 1 to 100, as a string literal, such as", errors)
            }
        }
    }

    /// A number from one on, or `false`, which is zero.
    pub(crate) fn count(&self, errors: &mut Errors) -> Option<u32> {
        let value = self.assigned(errors)?;
        let count = match literal(value) {
            Some(Lit::Bool(switch)) if !switch.value => return Some(0),
            Some(Lit::Int(count)) => count.base10_parse().ok(),
            _ => None,
        };
        match count {
            Some(1..) => count,
            _ => self.reject(value, "must be a number from 1 on, or `false` for no limit, such as", errors),
        }
    }

    /// A number of bytes, or `false`, which is zero.
    pub(crate) fn bytes(&self, errors: &mut Errors) -> Option<u64> {
        let value = self.assigned(errors)?;
        let bytes = match literal(value) {
            Some(Lit::Bool(switch)) if !switch.value => return Some(0),
            Some(Lit::Int(bytes)) => bytes.base10_parse().ok(),
            Some(Lit::Str(text)) => parse_bytes(&text.value()),
            _ => None,
        };
        match bytes {
            Some(1..) => bytes,
            _ => self.reject(
                value,
                "must be a number of bytes, as a string with the unit KiB, MiB or GiB, or `false` for no \
                 limit, such as",
                errors,
            ),
        }
    }

    /// A number of threads, or a percentage: the runtime's name for which of them it is, and the
    /// number. `false` is zero threads.
    pub(crate) fn threads(&self, errors: &mut Errors) -> Option<(&'static str, u32)> {
        let value = self.assigned(errors)?;
        let limit = match literal(value) {
            Some(Lit::Bool(switch)) if !switch.value => return Some(("Count", 0)),
            Some(Lit::Int(count)) => count.base10_parse().ok().map(|count| ("Count", count)),
            Some(Lit::Str(text)) => {
                let text = text.value();
                match text.trim().strip_suffix('%') {
                    Some(percent) => {
                        let percent = percent.trim().parse().ok().filter(|percent| *percent <= 100);
                        percent.map(|percent| ("Percent", percent))
                    }
                    None => text.trim().parse().ok().map(|count| ("Count", count)),
                }
            }
            _ => None,
        };
        match limit {
            Some((_, 1..)) => limit,
            _ => self.reject(
                value,
                "must be a number of threads, or a percentage from 1 to 100 as a string literal, such as",
                errors,
            ),
        }
    }

    /// Which panics make a report: the runtime's name for them.
    pub(crate) fn panics(&self, errors: &mut Errors) -> Option<&'static str> {
        let value = self.assigned(errors)?;
        match literal(value) {
            Some(Lit::Bool(switch)) => Some(if switch.value { "Ending" } else { "Off" }),
            Some(Lit::Str(which)) if which.value() == "any" => Some("Any"),
            _ => self.reject(value, "must be `true`, `false` or `\"any\"`, as a literal, such as", errors),
        }
    }

    /// What events say of reports: the runtime's name for it.
    pub(crate) fn events(&self, errors: &mut Errors) -> Option<&'static str> {
        let value = self.assigned(errors)?;
        match literal(value) {
            Some(Lit::Bool(switch)) if !switch.value => Some("Off"),
            Some(Lit::Str(what)) if what.value() == "summary" => Some("Summary"),
            Some(Lit::Str(what)) if what.value() == "full" => Some("Full"),
            _ => {
                let expected = "must be `\"summary\"`, `\"full\"` or `false`, as a literal, such as";
                self.reject(value, expected, errors)
            }
        }
    }

    /// The name or number of a signal, as the runtime expects it.
    pub(crate) fn signal(&self, errors: &mut Errors) -> Option<String> {
        let value = self.assigned(errors)?;
        let signal = match literal(value) {
            Some(Lit::Str(name)) => signals::by_name(&name.value()),
            // A number that overflows `i32` is rejected like any other that is too high.
            Some(Lit::Int(number)) => signals::by_number(number.base10_parse().unwrap_or(i32::MAX)),
            _ => return self.reject(value, "must be a name or number, as a literal, such as", errors),
        };
        signal.map_err(|message| errors.on(value, message)).ok()
    }

    /// The name of a report format.
    pub(crate) fn format(&self, errors: &mut Errors) -> Option<Format> {
        let value = self.assigned(errors)?;
        let Some(Lit::Str(name)) = literal(value) else {
            return self.reject(value, "must be a string literal, such as", errors);
        };
        Format::find(&name.value(), name.span()).map_err(|message| errors.on(value, message)).ok()
    }

    /// A list of built-in sections, as the runtime expects it.
    pub(crate) fn sections(&self, errors: &mut Errors) -> Option<String> {
        let value = self.assigned(errors)?;
        let Some(Lit::Str(list)) = literal(value) else {
            return self.reject(value, "must be a string literal, such as", errors);
        };
        let mistakes = sections::check(&list.value());
        let is_valid = mistakes.is_empty();
        for mistake in mistakes {
            errors.on(value, mistake);
        }
        is_valid.then(|| list.value())
    }

    /// `(keys("a"), show("b"))`, as the list that `GMR_MASK` has: `a,-b`.
    pub(crate) fn names_to_mask(&self, errors: &mut Errors) -> Option<String> {
        let Value::List(list) = &self.value else {
            self.error(format!("`mask` requires lists of names: `{}`", self.known.example), errors);
            return None;
        };
        masked_names(list).map_err(|error| errors.add(error)).ok()
    }

    /// The path of a module or crate.
    pub(crate) fn path(&self, errors: &mut Errors) -> Option<Path> {
        let value = self.assigned(errors)?;
        match ungrouped(value) {
            Expr::Path(path) if path.qself.is_none() && has_no_arguments(&path.path) => {
                Some(path.path.clone())
            }
            _ => self.reject(value, "must be the path of gmr, without quotes, such as", errors),
        }
    }

    /// Names of crates.
    pub(crate) fn crates(&self, errors: &mut Errors) -> Option<Vec<Ident>> {
        let Value::List(list) = &self.value else {
            self.error(
                format!("`{}` requires crate names: `{}`", self.known.name, self.known.example),
                errors,
            );
            return None;
        };
        if list.stream().is_empty() {
            self.error(
                format!("`{}` is empty: omit it, or name crates: `{}`", self.known.name, self.known.example),
                errors,
            );
            return None;
        }
        crate_names(list).map_err(|error| errors.add(error)).ok()
    }

    /// Where the value is.
    pub(crate) fn value_span(&self) -> Span {
        match &self.value {
            Value::Assigned(value) => value.span(),
            _ => self.name.span(),
        }
    }

    fn assigned(&self, errors: &mut Errors) -> Option<&Expr> {
        if let Value::Assigned(value) = &self.value {
            return Some(value);
        }
        self.error(format!("`{}` requires a value: `{}`", self.known.name, self.known.example), errors);
        None
    }

    fn reject<T>(&self, value: &Expr, problem: &str, errors: &mut Errors) -> Option<T> {
        errors.on(value, format!("`{}` {problem} `{}`", self.known.name, self.known.example));
        None
    }
}

/// A number of bytes, as in `20MiB`. The environment variables have the same form.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)];
    let (number, shift) =
        units.into_iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))?;
    number.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// The literal, if the expression is one.
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

/// Removes the invisible groups in which `macro_rules!` wraps the fragments it passes on.
fn ungrouped(mut value: &Expr) -> &Expr {
    while let Expr::Group(group) = value {
        value = &group.expr;
    }
    value
}

fn has_no_arguments(path: &Path) -> bool {
    path.segments.iter().all(|segment| matches!(segment.arguments, PathArguments::None))
}

/// The names in `keys("a", "b"), show("c")`.
fn masked_names(list: &Group) -> syn::Result<String> {
    let read = |input: ParseStream<'_>| {
        let mut names = String::new();
        while !input.is_empty() {
            let which: Ident = input.parse()?;
            let dash = match which.to_string().as_str() {
                "keys" => "",
                "show" => "-",
                _ => {
                    let message = "expected `keys(\"a\", ..)`, whose values are masked, or `show(\"b\", ..)`, whose values are shown";
                    return Err(syn::Error::new(which.span(), message));
                }
            };
            let inner;
            syn::parenthesized!(inner in input);
            for name in Punctuated::<LitStr, Token![,]>::parse_terminated(&inner)? {
                let text = name.value();
                if !text.contains(char::is_alphabetic) || text.contains(',') || text.starts_with(['-', '+']) {
                    let message =
                        "must be the name of a field, a key or a variable, such as `\"internal_code\"`";
                    return Err(syn::Error::new(name.span(), message));
                }
                names.extend([dash, &text, ","]);
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(names)
    };
    read.parse2(list.stream())
}

fn crate_names(list: &Group) -> syn::Result<Vec<Ident>> {
    let read =
        |input: ParseStream<'_>| Punctuated::<Ident, Token![,]>::parse_terminated_with(input, crate_name);
    read.parse2(list.stream()).map(|names| names.into_iter().collect())
}

fn crate_name(input: ParseStream<'_>) -> syn::Result<Ident> {
    let name = input.call(Ident::parse_any).map_err(|error| {
        syn::Error::new(error.span(), "expected a crate name, without quotes: `link(my_sections)`")
    })?;
    if ["self", "super", "crate", "Self", "_"].iter().any(|word| name == word) {
        return Err(syn::Error::new(name.span(), "expected the name of another crate: `link(my_sections)`"));
    }
    if input.peek(Token![-]) {
        return Err(input.error("expected a crate name: write `_` where the package name has `-`"));
    }
    if input.peek(Token![::]) {
        return Err(input.error(format!("expected a crate name, not a path: `link({})`", name.unraw())));
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

    /// The error that `convert` adds for this option, if any.
    fn error<T>(text: &str, convert: impl Fn(&Given, &mut Errors) -> Option<T>) -> Option<String> {
        let mut errors = Errors::default();
        let value = convert(&given(text), &mut errors);
        let messages = errors.messages();
        assert!(messages.len() <= 1, "{text}: {messages:?}");
        assert_eq!(value.is_none(), !messages.is_empty(), "{text}: {messages:?}");
        messages.into_iter().next()
    }

    #[test]
    fn possibly_valid_values_are_accepted() {
        for text in ["it = \"a\"", "it = env!(\"A\")", "it = a::B", "it = (1, 2).1"] {
            assert_eq!(error(text, Given::text), None);
        }
        for text in ["it = 1", "it = -1", "it = A + 1", "it = i32::MAX"] {
            assert_eq!(error(text, Given::integer), None);
        }
        for text in ["it = \"2s\"", "it = \"500ms\"", "it = \"1m 30s\""] {
            assert_eq!(error(text, Given::duration), None);
        }
        for text in ["it = \"usr1\"", "it = 12"] {
            assert_eq!(error(text, Given::signal), None);
        }
        for text in ["it = 5", "it = false"] {
            assert_eq!(error(text, Given::count), None);
        }
        for text in ["it = 5", "it = \"5\"", "it = \"20MiB\"", "it = \"1 KiB\"", "it = false"] {
            assert_eq!(error(text, Given::bytes), None);
        }
        for text in ["it = 5", "it = \"5\"", "it = \"90%\"", "it = false"] {
            assert_eq!(error(text, Given::threads), None);
        }
        for text in ["it = a", "it = ::a::b", "it = crate::a", "it = r#type"] {
            assert_eq!(error(text, Given::path), None);
        }
        for text in ["it(a)", "it(a, r#type,)"] {
            assert_eq!(error(text, Given::crates), None);
        }
    }

    #[test]
    fn invalid_values_are_rejected() {
        for text in ["it", "it = ", "it = 1", "it = 'a'", "it = b\"a\"", "it = \" \"", "it(a)"] {
            assert!(error(text, Given::text).is_some(), "{text}");
        }
        for text in ["it", "it = \"1\"", "it = 1.0", "it = true"] {
            assert!(error(text, Given::integer).is_some(), "{text}");
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
            assert!(error(text, Given::duration).is_some(), "{text}");
        }
        for text in ["it = 0", "it = true", "it = \"5\"", "it = -1", "it = 5000000000"] {
            assert!(error(text, Given::count).is_some(), "{text}");
        }
        for text in ["it = 0", "it = \"5MB\"", "it = \"0KiB\"", "it = true", "it = \"99999999999GiB\""] {
            assert!(error(text, Given::bytes).is_some(), "{text}");
        }
        for text in ["it = 0", "it = \"101%\"", "it = \"0%\"", "it = true", "it = -5", "it = \"x\""] {
            assert!(error(text, Given::threads).is_some(), "{text}");
        }
        for text in ["it", "it = -1", "it = 99999999999", "it = \"SIGKILL\"", "it = SIGNAL", "it = 1.0"] {
            assert!(error(text, Given::signal).is_some(), "{text}");
        }
        for text in ["it", "it = \"a\"", "it = a::<b>", "it = <A as B>::c", "it = a()"] {
            assert!(error(text, Given::path).is_some(), "{text}");
        }
        for text in ["it", "it = a", "it(\"a\")", "it(a::b)", "it(a-b)", "it(crate)", "it(_)"] {
            assert!(error(text, Given::crates).is_some(), "{text}");
        }
    }
}

//! Parses an attribute's arguments: `name = value`, `name(list)` or a literal, separated by commas.
//!
//! Knows which options exist, not what they mean. After a mistake, parsing resumes at the next
//! comma, so that all mistakes are reported at once.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, Lit, Token};

use crate::errors::Errors;
use crate::suggest;

/// An option that an attribute accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// An example of its use, for error messages.
    pub(crate) example: &'static str,
}

/// The arguments that could be parsed.
#[derive(Default)]
pub(crate) struct Args {
    /// Literals given without a name.
    pub(crate) unnamed: Vec<Expr>,
    /// Known options, each at most once.
    pub(crate) options: Vec<Given>,
}

/// An option as the user wrote it.
pub(crate) struct Given {
    pub(crate) known: Known,
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

/// What follows an option's name.
pub(crate) enum Value {
    Nothing,
    /// `= expression`
    Assigned(Expr),
    /// `(tokens)`
    List(proc_macro2::Group),
}

impl Args {
    /// Parses the arguments. Syntax errors, unknown options and duplicates are added to `errors`
    /// and left out of the result.
    pub(crate) fn parse(tokens: TokenStream, known: &'static [Known], errors: &mut Errors) -> Self {
        let mut args = Self::default();
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                args.parse_one(input, known, errors);
                expect_comma(input, errors);
            }
            Ok(())
        };
        // The closure consumes all input and returns `Ok`; any error is one that syn adds.
        if let Err(error) = read.parse2(tokens) {
            errors.add(error);
        }
        args
    }

    fn parse_one(&mut self, input: ParseStream<'_>, known: &'static [Known], errors: &mut Errors) {
        if input.peek(Lit) {
            match input.parse() {
                Ok(value) => self.unnamed.push(value),
                Err(error) => recover(input, error, errors),
            }
            return;
        }
        let Ok(name) = input.call(Ident::parse_any) else {
            let options = suggest::list(known.iter().map(|known| known.name));
            return recover(input, input.error(format!("expected an option: one of {options}")), errors);
        };
        let Some(known) = known.iter().find(|known| name.unraw() == known.name) else {
            errors.on(&name, unknown(&name, known, at_end(input)));
            // Skip its value, so that it causes no second error.
            if Value::parse(input).is_err() || !at_end(input) {
                skip_to_comma(input);
            }
            return;
        };
        match Value::parse(input) {
            Ok(value) => self.add(Given { known: *known, name, value }, errors),
            Err(error) => recover(input, error, errors),
        }
    }

    fn add(&mut self, given: Given, errors: &mut Errors) {
        if self.options.iter().any(|earlier| earlier.known.name == given.known.name) {
            errors.on(&given.name, format!("duplicate option `{}`: remove one of them", given.known.name));
        } else {
            self.options.push(given);
        }
    }
}

impl Value {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            return if at_end(input) { Ok(Self::Nothing) } else { input.parse().map(Self::Assigned) };
        }
        input.step(|cursor| match cursor.token_tree() {
            Some((TokenTree::Group(group), rest)) if group.delimiter() == Delimiter::Parenthesis => {
                Ok((Self::List(group), rest))
            }
            _ => Ok((Self::Nothing, *cursor)),
        })
    }
}

impl Given {
    /// Adds an error that covers the name and what follows it.
    pub(crate) fn error(&self, message: impl std::fmt::Display, errors: &mut Errors) {
        let mut tokens = self.name.to_token_stream();
        match &self.value {
            Value::Nothing => {}
            Value::Assigned(value) => value.to_tokens(&mut tokens),
            Value::List(list) => list.to_tokens(&mut tokens),
        }
        errors.on(tokens, message);
    }
}

fn unknown(name: &Ident, known: &[Known], bare: bool) -> String {
    let names = || known.iter().map(|known| known.name);
    let hint = match suggest::closest(&name.to_string(), names()) {
        Some(meant) => format!("did you mean `{meant}`? "),
        // `#[gmr::section(TITLE)]`: only a literal may be given without its name.
        None if bare && names().any(|known| known == "title") => {
            format!("to use it as the title, write `title = {name}`; ")
        }
        None => String::new(),
    };
    format!("unknown option `{name}`: {hint}expected one of {}", suggest::list(names()))
}

/// Adds the error and skips to the next comma.
fn recover(input: ParseStream<'_>, error: syn::Error, errors: &mut Errors) {
    errors.add(error);
    skip_to_comma(input);
}

fn at_end(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,])
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !at_end(input) {
        // Cannot fail: the input is not empty.
        let _ = input.parse::<TokenTree>();
    }
}

/// Parses the comma between two arguments. If it is missing, an identifier starts the next option;
/// anything else is skipped.
fn expect_comma(input: ParseStream<'_>, errors: &mut Errors) {
    if input.is_empty() || input.parse::<Token![,]>().is_ok() {
        return;
    }
    let span: Span = input.span();
    errors.at(span, "expected `,`");
    if !input.peek(Ident::peek_any) {
        skip_to_comma(input);
        let _ = input.parse::<Token![,]>();
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    const KNOWN: &[Known] = &[
        Known { name: "title", example: "title = \"Cache\"" },
        Known { name: "order", example: "order = -10" },
        Known { name: "link", example: "link(dep)" },
        Known { name: "crate", example: "crate = my::gmr" },
    ];

    fn parse(text: &str) -> (Args, Vec<String>) {
        let mut errors = Errors::default();
        let args = Args::parse(TokenStream::from_str(text).unwrap(), KNOWN, &mut errors);
        (args, errors.messages())
    }

    fn names(args: &Args) -> Vec<&str> {
        args.options.iter().map(|given| given.known.name).collect()
    }

    #[test]
    fn every_form_is_parsed() {
        for text in
            ["", "\"Cache\"", "\"Cache\",", "order = -10, crate = a::b", "link(a, b), title = f::<A, B>(1),"]
        {
            assert_eq!(parse(text).1, [""; 0], "{text}");
        }
        let (args, _) = parse("\"Cache\", order = 1, link(a), crate = ::b, r#title = T");
        assert_eq!(args.unnamed.len(), 1);
        assert_eq!(names(&args), ["order", "link", "crate", "title"]);
    }

    #[test]
    fn every_mistake_is_reported_once() {
        let (args, errors) = parse("tittle = f::<A, B>(), order = 1, order = 2, = 3, colour(red), link(a)");
        assert_eq!(names(&args), ["order", "link"]);
        let starts = [
            "unknown option `tittle`: did you mean `title`?",
            "duplicate option `order`",
            "expected an option",
            "unknown option `colour`: expected one of",
        ];
        assert_eq!(errors.len(), starts.len(), "{errors:#?}");
        for (error, start) in errors.iter().zip(starts) {
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn a_missing_comma_is_one_mistake() {
        let (args, errors) = parse("order = 1 title = T");
        assert_eq!(names(&args), ["order", "title"]);
        assert_eq!(errors, ["expected `,`"]);
        assert_eq!(parse("order = 1 ; ; title = T, link(a)").1, ["expected `,`"]);
    }

    #[test]
    fn a_bare_identifier_is_suggested_as_the_title() {
        assert!(parse("TITLE").1[0].contains("write `title = TITLE`"));
    }

    #[test]
    fn malformed_input_does_not_panic() {
        for text in [
            "=",
            ",",
            ",,,",
            "title",
            "title =",
            "title = ,",
            "title == 3",
            "= = =",
            "a b c",
            "#",
            "()",
            "{}",
            "'a",
            "title = }",
        ] {
            if let Ok(tokens) = TokenStream::from_str(text) {
                Args::parse(tokens, KNOWN, &mut Errors::default());
            }
        }
    }
}

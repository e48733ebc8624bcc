//! The grammar of an attribute's arguments: `name = value`, `name(list)` or a literal in first place, with commas between them.
//!
//! What the options mean is not known here, only which ones there are. A mistake is noted and the reading goes on behind the
//! next comma, so that every mistake of an attribute is found.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, Lit, Token};

use crate::errors::Errors;
use crate::suggest;

/// An option that an attribute has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// How it is written; stands in the errors.
    pub(crate) example: &'static str,
}

/// What was written in the attribute's parentheses, as far as it could be read.
#[derive(Default)]
pub(crate) struct Args {
    /// The values without a name.
    pub(crate) unnamed: Vec<Expr>,
    /// The known options, each once.
    pub(crate) options: Vec<Given>,
}

/// An option that was given.
pub(crate) struct Given {
    pub(crate) known: Known,
    pub(crate) name: Ident,
    pub(crate) value: Value,
}

/// What stands behind an option's name.
pub(crate) enum Value {
    Nothing,
    /// `= expression`
    Assigned(Expr),
    /// `(tokens)`
    List(proc_macro2::Group),
}

impl Args {
    /// Reads the arguments; whatever cannot be read, or is unknown, or is given twice becomes an error and is left out.
    pub(crate) fn parse(tokens: TokenStream, known: &'static [Known], errors: &mut Errors) -> Self {
        let mut args = Self::default();
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                args.parse_one(input, known, errors);
                expect_comma(input, errors);
            }
            Ok(())
        };
        // The closure consumes all of the input and never fails; if syn disagrees, it has found a mistake.
        if let Err(error) = read.parse2(tokens) {
            errors.add(error);
        }
        args
    }

    fn parse_one(&mut self, input: ParseStream<'_>, known: &'static [Known], errors: &mut Errors) {
        if input.peek(Lit) {
            match input.parse() {
                Ok(value) => self.unnamed.push(value),
                Err(error) => give_up(input, error, errors),
            }
            return;
        }
        let Ok(name) = input.call(Ident::parse_any) else {
            let options = suggest::list(known.iter().map(|known| known.name));
            return give_up(input, input.error(format!("expected an option: {options}")), errors);
        };
        let Some(known) = known.iter().find(|known| name.unraw() == known.name) else {
            errors.on(&name, unknown(&name, known, at_end(input)));
            // Its value is read and thrown away; one mistake is enough.
            if Value::parse(input).is_err() || !at_end(input) {
                skip_to_comma(input);
            }
            return;
        };
        match Value::parse(input) {
            Ok(value) => self.add(Given { known: *known, name, value }, errors),
            Err(error) => give_up(input, error, errors),
        }
    }

    fn add(&mut self, given: Given, errors: &mut Errors) {
        if self.options.iter().any(|earlier| earlier.known.name == given.known.name) {
            errors.on(&given.name, format!("`{}` is given twice: keep one of them", given.known.name));
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
    /// The name and what stands behind it, for an error that concerns both.
    pub(crate) fn complain(&self, message: impl std::fmt::Display, errors: &mut Errors) {
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
        // `#[gmr::section(TITLE)]`: only a literal is understood without its name.
        None if bare && names().any(|known| known == "title") => {
            format!("if it is the title, write `title = {name}`; ")
        }
        None => String::new(),
    };
    format!("unknown option `{name}`: {hint}known are {}", suggest::list(names()))
}

/// Notes the error and goes on behind the next comma.
fn give_up(input: ParseStream<'_>, error: syn::Error, errors: &mut Errors) {
    errors.add(error);
    skip_to_comma(input);
}

fn at_end(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,])
}

fn skip_to_comma(input: ParseStream<'_>) {
    while !at_end(input) {
        // Cannot fail: there is a token left.
        let _ = input.parse::<TokenTree>();
    }
}

/// Where the comma is missing, a word is taken for the next option; anything else is skipped.
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
    fn every_shape_is_read() {
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
    fn every_mistake_is_found_and_named_once() {
        let (args, errors) = parse("tittle = f::<A, B>(), order = 1, order = 2, = 3, colour(red), link(a)");
        assert_eq!(names(&args), ["order", "link"]);
        let starts = [
            "unknown option `tittle`: did you mean `title`?",
            "`order` is given twice",
            "expected an option",
            "unknown option `colour`: known are",
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
    fn a_bare_word_may_be_meant_as_the_title() {
        assert!(parse("TITLE").1[0].contains("write `title = TITLE`"));
    }

    #[test]
    fn no_input_makes_it_panic() {
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

//! Which formats a report can be written in, and which of them this build has.

use proc_macro2::{Ident, Span};

use crate::suggest;

/// The name of a format, the variant of the runtime's `Format`, the feature it needs, and whether gmr was built with that.
type Format = (&'static str, &'static str, &'static str, bool);

const FORMATS: [Format; 5] = [
    ("text", "Text", "", true),
    ("json", "Json", "json", cfg!(feature = "json")),
    ("json-lines", "JsonLines", "json", cfg!(feature = "json")),
    ("xml", "Xml", "xml", cfg!(feature = "xml")),
    ("html", "Html", "html", cfg!(feature = "html")),
];

/// The runtime's name for this format.
///
/// # Errors
/// There is none of this name, or gmr was built without it: what to say.
pub(crate) fn by_name(name: &str) -> Result<Ident, String> {
    find(name, &FORMATS).map(|variant| Ident::new(variant, Span::mixed_site()))
}

fn find(name: &str, formats: &[Format]) -> Result<&'static str, String> {
    match formats.iter().find(|(known, ..)| *known == name) {
        Some((_, variant, _, true)) => Ok(variant),
        Some((_, _, feature, false)) => Err(format!(
            "`format = \"{name}\"` needs gmr's feature `{feature}`: run `cargo add gmr --features {feature}`"
        )),
        None => {
            let names = || formats.iter().map(|(known, ..)| *known);
            let wanted = name.to_ascii_lowercase().replace('_', "-");
            Err(match suggest::closest(&wanted, names()) {
                Some(close) => format!("unknown format `{name}`: did you mean `{close}`?"),
                None => format!("unknown format `{name}`: there are {}", suggest::list(names())),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_name_and_says_what_it_needs() {
        let formats = [("text", "Text", "", true), ("json-lines", "JsonLines", "json", false)];
        assert_eq!(find("text", &formats), Ok("Text"));
        assert_eq!(
            find("json-lines", &formats).unwrap_err(),
            "`format = \"json-lines\"` needs gmr's feature `json`: run `cargo add gmr --features json`"
        );
        assert_eq!(
            find("JSON_lines", &formats).unwrap_err(),
            "unknown format `JSON_lines`: did you mean `json-lines`?"
        );
        assert_eq!(
            find("yaml", &formats).unwrap_err(),
            "unknown format `yaml`: there are `text`, `json-lines`"
        );
    }
}

//! The report formats that `format = ".."` accepts.
//!
//! Whether a format's feature is enabled is not known here: the generated code asks `gmr`
//! (`required`).

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote_spanned;
use syn::Path;

use crate::{required, suggest};

/// Each format's name, its variant of the runtime's `Format`, and the macro of the runtime that
/// reports its feature as disabled.
const FORMATS: [(&str, &str, Option<&str>); 5] = [
    ("text", "Text", None),
    ("json", "Json", Some("requires_json")),
    ("json-lines", "JsonLines", Some("requires_json")),
    ("xml", "Xml", Some("requires_xml")),
    ("html", "Html", Some("requires_html")),
];

/// A format, and where the user named it.
#[derive(Debug)]
pub(crate) struct Format {
    variant: &'static str,
    requires: Option<&'static str>,
    span: Span,
}

impl Format {
    /// The format of this name.
    ///
    /// # Errors
    /// The message for the user if no format has this name.
    pub(crate) fn find(name: &str, span: Span) -> Result<Self, String> {
        if let Some(&(_, variant, requires)) = FORMATS.iter().find(|(known, ..)| *known == name) {
            return Ok(Self { variant, requires, span });
        }
        let names = || FORMATS.iter().map(|(known, ..)| *known);
        let wanted = name.to_ascii_lowercase().replace('_', "-");
        let hint = suggest::closest(&wanted, names());
        let hint = hint.map_or_else(String::new, |close| format!("did you mean `{close}`? "));
        Err(format!("unknown report format `{name}`: {hint}expected one of {}", suggest::list(names())))
    }

    /// An expression of the runtime's `Format`, or an error if the format's feature is disabled.
    pub(crate) fn expression(&self, krate: &Path) -> TokenStream {
        let mixed_site = self.span.resolved_at(Span::mixed_site());
        let located = required::located(krate, self.span);
        let variant = Ident::new(self.variant, mixed_site);
        let value = quote_spanned!(mixed_site=> #located::__private::Format::#variant);
        self.requires(krate, &value).unwrap_or(value)
    }

    /// An item that expands to nothing, or to an error if the format's feature is disabled.
    pub(crate) fn check(&self, krate: &Path) -> Option<TokenStream> {
        self.requires(krate, &TokenStream::new())
    }

    fn requires(&self, krate: &Path, value: &TokenStream) -> Option<TokenStream> {
        Some(required::requires(self.requires?, self.span, krate, value))
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn find(name: &str) -> Result<Format, String> {
        Format::find(name, Span::call_site())
    }

    #[test]
    fn a_format_asks_the_runtime_for_its_feature() {
        let krate = parse_quote!(::gmr);
        let text = find("text").unwrap();
        assert_eq!(text.expression(&krate).to_string(), ":: gmr :: __private :: Format :: Text");
        assert!(text.check(&krate).is_none());
        let lines = find("json-lines").unwrap();
        assert_eq!(
            lines.expression(&krate).to_string(),
            ":: gmr :: __private :: requires_json ! { :: gmr :: __private :: Format :: JsonLines }"
        );
        assert_eq!(lines.check(&krate).unwrap().to_string(), ":: gmr :: __private :: requires_json ! { }");
    }

    #[test]
    fn an_unknown_format_is_an_error_with_the_known_ones() {
        assert_eq!(
            find("JSON_lines").unwrap_err(),
            "unknown report format `JSON_lines`: did you mean `json-lines`? \
             expected one of `text`, `json`, `json-lines`, `xml`, `html`"
        );
        assert_eq!(
            find("yaml").unwrap_err(),
            "unknown report format `yaml`: expected one of `text`, `json`, `json-lines`, `xml`, `html`"
        );
    }
}

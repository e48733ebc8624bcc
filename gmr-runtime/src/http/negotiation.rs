//! Which format a request asks for.

use ::http::{HeaderMap, header};

use crate::views::Format;

/// The value of `format` in a query. The names of formats need no percent-encoding.
pub(super) fn queried(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("format="))
}

/// The formats on offer, the default first.
pub(super) const OFFERS: &[Format] = &[
    Format::Html,
    Format::Text,
    Format::Json,
    Format::JsonLines,
    #[cfg(feature = "xml")]
    Format::Xml,
];

/// The offer of the highest quality in the `Accept` header; the first of several.
pub(super) fn accepted(headers: &HeaderMap) -> Option<Format> {
    // What is typed at a terminal is read there.
    let is_at_terminal = headers.get(header::USER_AGENT).is_some_and(|agent| {
        ["curl/", "wget/"].iter().any(|tool| {
            let agent = agent.as_bytes().get(..tool.len());
            agent.is_some_and(|agent| agent.eq_ignore_ascii_case(tool.as_bytes()))
        })
    });
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accept = accept.collect::<Vec<_>>().join(",");
    if is_at_terminal && ["", "*/*"].contains(&accept.trim()) {
        return Some(Format::Text);
    }
    if accept.trim().is_empty() {
        return OFFERS.first().copied();
    }
    let mut best: Option<(u16, Format)> = None;
    for &offer in OFFERS {
        let quality = names(offer).map(|name| quality(&accept, name)).max().unwrap_or_default();
        if quality > best.map_or(0, |(quality, _)| quality) {
            best = Some((quality, offer));
        }
    }
    best.map(|(_, format)| format)
}

/// The media types of a format.
fn names(format: Format) -> impl Iterator<Item = &'static str> {
    let text_xml = (format.name() == "xml").then_some("text/xml");
    [format.media_type()].into_iter().chain(text_xml)
}

/// The quality that the header gives a media type, in thousandths. The most specific range that
/// matches decides (RFC 9110, 12.5.1).
fn quality(accept: &str, media_type: &str) -> u16 {
    let essence = media_type.split(';').next().unwrap_or_default();
    let any_of_kind = essence.split_once('/').map_or(String::new(), |(kind, _)| format!("{kind}/*"));
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let specificity = [String::from("*/*"), any_of_kind.clone(), essence.to_owned()]
            .iter()
            .position(|known| *known == name)?;
        let quality = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
        Some((specificity, quality.clamp(0.0, 1.0)))
    });
    let (_, quality) = ranges.max_by_key(|(specificity, _)| *specificity).unwrap_or((0, 0.0));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and 1000")]
    let thousandths = (quality * 1000.0) as u16;
    thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        accepted(&headers)
    }

    #[test]
    fn the_accept_header_decides() {
        assert_eq!(chosen(""), Some(Format::Html));
        assert_eq!(chosen("*/*"), Some(Format::Html));
        assert_eq!(chosen("application/json"), Some(Format::Json));
        assert_eq!(chosen("text/plain, */*;q=0.1"), Some(Format::Text));
        assert_eq!(
            chosen("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
            Some(Format::Html)
        );
        assert_eq!(chosen("text/html;q=0, text/*"), Some(Format::Text));
        assert_eq!(chosen("application/jsonl"), Some(Format::JsonLines));
        assert_eq!(chosen("image/png"), None);
        assert_eq!(chosen("application/json;q=0"), None);
    }

    #[cfg(feature = "xml")]
    #[test]
    fn xml_has_two_names() {
        assert_eq!(chosen("text/xml"), Some(Format::Xml));
        assert_eq!(chosen("text/xml;Q=0.5, text/plain;Q=0.4"), Some(Format::Xml));
    }

    #[test]
    fn a_terminal_gets_text() {
        let chosen = |accept: &str, agent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, agent.parse().unwrap());
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            accepted(&headers)
        };
        assert_eq!(chosen("*/*", "curl/8.5.0"), Some(Format::Text));
        assert_eq!(chosen("*/*", "Wget/1.21"), Some(Format::Text));
        assert_eq!(chosen("application/json", "curl/8.5.0"), Some(Format::Json));
        assert_eq!(chosen("*/*", "Mozilla/5.0 curl/8"), Some(Format::Html));
        assert_eq!(chosen("*/*", ""), Some(Format::Html));
    }

    #[test]
    fn the_query_names_a_format() {
        assert_eq!(queried("format=json"), Some("json"));
        assert_eq!(queried("a=b&format=text&c"), Some("text"));
        assert_eq!(queried("informat=text"), None);
    }
}

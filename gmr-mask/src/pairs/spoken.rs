//! Names and values without a separator, as sentences, tables and some configuration files have
//! them: `token x has expired`, `password    x`, `requirepass x`. Here a value is masked only if it
//! looks like a password, or if it stands alone in a table: most words after `token` are words.

use std::ops::Range;

use super::{Scan, Sensitivity, has, is_quote, keys, looks, position, quoting};

/// The longest value that is read.
const MAX_VALUE: usize = 200;

/// Schemes of credentials that are no names of secrets.
const SCHEMES: &[&str] = &["bot", "geniekey", "splunk", "ssws", "signature", "key"];

/// Directives of configuration files that have a secret after a space.
const DIRECTIVES: &[&str] = &["masterauth", "requirepass", "rocommunity", "rwcommunity"];

impl Scan<'_> {
    /// Masks the value that a word names, if it does.
    pub(super) fn spoken(
        &mut self,
        word: &Range<usize>,
        previous: Option<Range<usize>>,
        at_line_start: bool,
        spans: &mut Vec<Range<usize>>,
    ) {
        let limit = self.bytes.len().min(word.end + MAX_VALUE);
        let within = &self.bytes[..limit];
        let closed = position(within, word.end, |b| !is_quote(b) && b != b'*');
        let start = position(within, closed, |b| !has(b" \t.|", b));
        let gap = &within[closed..start];
        if gap.is_empty() || gap.starts_with(b".") || start == limit {
            return;
        }
        let is_table = gap.len() > 1 || gap == b"\t";
        let mut start = start;
        // `password 7 x`: how it is encrypted, in configurations of Cisco.
        if within[start].is_ascii_digit() && within.get(start + 1) == Some(&b' ') {
            start += 2;
        }
        // `password is x`, `pre-shared-key ascii-text "x"`
        for between in [&b"is "[..], b"is: ", b"was ", b"ascii-text "] {
            start += if within[start..].starts_with(between) { between.len() } else { 0 };
        }
        if start >= limit {
            return;
        }
        let is_quoted = within.get(start).is_some_and(|&b| is_quote(b));
        start += usize::from(is_quoted);
        let stops = |b: u8| b.is_ascii_whitespace() || is_quote(b) || has(b",;|()[]{}<>", b);
        let end = position(within, start, stops);
        let end = end - within[start..end].iter().rev().take_while(|b| has(b".:", **b)).count();
        // A pair of its own.
        if quoting::is_pair(within, start, b"=") {
            return;
        }
        let (Some(value), Some(name)) = (self.text.get(start..end), self.text.get(word.clone())) else {
            return;
        };
        let after = position(within, end, |b| b != b' ' && b != b'|');
        let is_last = after == self.bytes.len() || self.bytes[after] == b'\n';
        // `credentials app:x`
        let user = value.find(':').filter(|&colon| colon > 0).map_or(0, |colon| colon + 1);
        let secret = &value[user..];
        let is_key = name.eq_ignore_ascii_case("key");
        let is_alone = is_table && at_line_start && is_last && !secret.is_empty();
        // `IDENTIFIED BY 'x'`, and directives with a secret as their only argument.
        let is_clause = is_quoted
            && name.eq_ignore_ascii_case("by")
            && previous
                .as_ref()
                .is_some_and(|word| self.text[word.clone()].eq_ignore_ascii_case("identified"));
        let is_directive = at_line_start && is_last && DIRECTIVES.contains(&name);
        if (is_clause || is_directive) && !secret.is_empty() && !Sensitivity::Secret.allows(secret) {
            self.at = end;
            spans.push(start..end);
            return;
        }
        let is_named = self.is_netrc && !secret.is_empty();
        if !looks::is_opaque(secret) && !is_alone && !is_named {
            return;
        }
        let is_scheme = secret.len() >= 20 && SCHEMES.iter().any(|scheme| name.eq_ignore_ascii_case(scheme));
        let is_secret = || {
            let sensitivity = self.sensitivity(word, previous, false);
            sensitivity == Sensitivity::Secret
                && !sensitivity.allows(secret)
                && !(is_alone && keys::is_plural(name))
        };
        let is_number = secret.bytes().all(|b| b.is_ascii_digit()) && secret.len() < 4;
        let masked = (!is_number && is_secret()) || ((is_key || is_scheme) && looks::is_random(secret));
        if masked {
            self.at = end;
            spans.push(start + user..end);
        }
    }
}

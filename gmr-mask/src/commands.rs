//! Finds command lines in text, as error messages and logs quote them: from the name of a program
//! that `programs` lists to the end of the line. `judge` judges them.

use std::ops::Range;

use super::index::has;
use super::judge::{Judge, Judgement};
use super::programs;
use super::quoting::{is_quote, position, quoted_end};

/// Adds the spans of secrets in command lines. After a program, its line is read once.
pub(super) fn find(text: &str, spans: &mut Vec<Range<usize>>) {
    let has_flag = [" -", "\"-", "'-"].iter().any(|flag| text.contains(flag));
    if !has_flag {
        return;
    }
    let bytes = text.as_bytes();
    let is_part = |b: u8| b.is_ascii_alphanumeric() || has(b"-_./", b);
    let mut at = 0;
    while at < bytes.len() {
        let start = position(bytes, at, is_part);
        let end = position(bytes, start, |b| !is_part(b));
        at = end.max(start + 1);
        if (2..=80).contains(&(end - start)) && programs::find(&text[start..end]).is_some() {
            at = line(text, start, end, spans);
        }
    }
}

/// Judges the words from a program on, and returns the end of its line.
fn line(text: &str, start: usize, end: usize, spans: &mut Vec<Range<usize>>) -> usize {
    let bytes = text.as_bytes();
    // In a list, each argument is in quotes of its own.
    let around = start.checked_sub(1).map(|before| bytes[before]).filter(|&b| is_quote(b));
    let is_list = around.is_some_and(|quote| bytes.get(end) == Some(&quote));
    let stops = |b: u8| b == b'\n' || if is_list { b == b']' } else { has(b"|;`", b) || Some(b) == around };
    let mut judge = Judge::default();
    judge.judge(&text[start..end]);
    let mut at = end + usize::from(is_list);
    while at < bytes.len() && !stops(bytes[at]) {
        if has(b" \t,", bytes[at]) {
            at += 1;
            continue;
        }
        let word = if is_quote(bytes[at]) && Some(bytes[at]) != around.filter(|_| !is_list) {
            at + 1..quoted_end(bytes, at)
        } else if is_list {
            return at;
        } else {
            let mut end = at;
            while end < bytes.len() && bytes[end] != b' ' && bytes[end] != b'\t' && !stops(bytes[end]) {
                // `-p'a b'`
                end = if is_quote(bytes[end]) {
                    (quoted_end(bytes, end) + 1).min(bytes.len())
                } else {
                    end + 1
                };
            }
            at..end
        };
        at = word.end + usize::from(word.start > at);
        let Some(argument) = text.get(word.clone()) else { return at.max(end) };
        if let Judgement::Secret(secret) = judge.judge(argument) {
            spans.push(word.start + secret.start..word.start + secret.end);
        }
    }
    at.max(end)
}

#[cfg(test)]
mod tests {
    use crate::text;

    #[test]
    fn command_lines_in_text_are_judged_as_such() {
        for (given, expected) in [
            ("failed: mysql -uroot -pzebra shop", "failed: mysql -uroot -p*** shop"),
            ("ran `curl -vu joe:zebra https://h`", "ran `curl -vu joe:*** https://h`"),
            ("[\"mysql\",\"-p\",\"zebra\"] failed", "[\"mysql\",\"-p\",\"***\"] failed"),
            (
                "\"mysql\" \"-u\" \"root\" \"-pzebra\" \"shop\"",
                "\"mysql\" \"-u\" \"root\" \"-p***\" \"shop\"",
            ),
            ("sshpass -p zebra ssh h; ls -p x", "sshpass -p *** ssh h; ls -p x"),
        ] {
            assert_eq!(text(given), expected);
        }
        for given in ["the mysql server - restarted", "curl -s https://h/x | sort -k 2", "http -> https"] {
            assert_eq!(text(given), given);
        }
    }
}

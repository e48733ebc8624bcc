//! What the source says in front of an attribute.
//!
//! An attribute does not see those above it that have expanded already. Only the source has them.

use proc_macro::Span;

/// The source in front of this span. `None` if it is not in a file that can be read.
pub(crate) fn before(span: Span) -> Option<String> {
    let source = std::fs::read_to_string(span.local_file()?).ok()?;
    let start = span.start();
    let lines = source.split_inclusive('\n').take(start.line().checked_sub(1)?);
    let lines: usize = lines.map(str::len).sum();
    // Columns count characters from 1.
    let line = source.get(lines..)?;
    let column = line.char_indices().nth(start.column().checked_sub(1)?)?.0;
    source.get(..lines + column).map(str::to_owned)
}

/// Whether one of the attributes at the end of this source has this name, with or without a path.
pub(crate) fn ends_with_attribute(source: &str, name: &str) -> bool {
    let mut rest = source;
    loop {
        rest = without_comments(rest);
        let Some(attribute) = last_attribute(rest) else { return false };
        let path = attribute.trim_start_matches(['#', '[', ' ']);
        let path = path.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next();
        if path.and_then(|path| path.rsplit(':').next()) == Some(name) {
            return true;
        }
        rest = &rest[..rest.len() - attribute.len()];
    }
}

/// Without white space and lines of comments at the end.
fn without_comments(source: &str) -> &str {
    let mut rest = source.trim_end();
    while let Some(line) = rest.lines().next_back()
        && line.trim_start().starts_with("//")
    {
        rest = rest[..rest.len() - line.len()].trim_end();
    }
    rest
}

/// `#[..]` at the end of this source.
fn last_attribute(source: &str) -> Option<&str> {
    let mut depth = 0_usize;
    let is_start = |(_, c): &(usize, char)| {
        match c {
            ']' => depth += 1,
            '[' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0
    };
    let (start, _) = source.char_indices().rev().find(is_start)?;
    let before = source[..start].trim_end().strip_suffix('#')?;
    source.ends_with(']').then(|| &source[before.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_above_are_found() {
        for source in [
            "fn f() {}\n#[test]\n",
            "#[tokio::test(flavor = \"multi_thread\")]\n    ",
            "#[test]\n// Why.\n#[ignore = \"slow\"]\n/// What.\n",
            "# [ core::prelude::v1::test ] #[cfg(any(a, b[1]))]",
        ] {
            assert!(ends_with_attribute(source, "test"), "{source}");
        }
    }

    #[test]
    fn other_source_has_none() {
        for source in [
            "",
            "#[test]\nfn f() {}\n",
            "#[rstest]\n",
            "#[test_case(1)]\n",
            "let a = [test];\n",
            "[test]",
            "]",
            "// #[test]\n",
        ] {
            assert!(!ends_with_attribute(source, "test"), "{source}");
        }
    }
}

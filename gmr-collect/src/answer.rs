//! What has come back from a process: a report as JSON, on one line, or a reason. It stays as it is
//! otherwise, also what this release does not know.

use gmr_runtime::__cli::counted;
use gmr_runtime::Report;

/// Checks that it is a report, and puts it on one line.
///
/// # Errors
/// It is none.
pub(crate) fn report(bytes: Vec<u8>) -> Result<String, String> {
    let size = counted(bytes.len().try_into().unwrap_or(u64::MAX), "byte");
    let text = String::from_utf8(bytes).map_err(|_| format!("its answer of {size} is not text"))?;
    Report::from_json(&text)
        .map_err(|error| format!("its answer of {size} is not a report as JSON: {error}"))?;
    Ok(on_one_line(text.trim()))
}

/// JSON without the white space between its values, beginning as `gmr` expects of a report.
fn on_one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    let (mut is_in_string, mut is_escaped) = (false, false);
    for c in json.chars() {
        if is_in_string || !c.is_ascii_whitespace() {
            line.push(c);
        }
        is_in_string ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
    }
    line
}

/// The beginning of a text, for a message.
pub fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(200).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_put_on_one_line_as_it_is() {
        let pretty = "{\n  \"a b\": \"x \\\" y\\\\\",\r\n\t\"c\": [ 1.50, {} ] \n}";
        assert_eq!(on_one_line(pretty), r#"{"a b":"x \" y\\","c":[1.50,{}]}"#);
        let json = Report::capture().to_json();
        assert_eq!(on_one_line(json.trim()), json.trim());
    }
}

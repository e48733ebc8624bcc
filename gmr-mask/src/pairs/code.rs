//! What stands after a name in the source code of a program, and is no secret: a line in a file,
//! the call of a function, a type. Lines of source are in reports, and so are messages of
//! compilers.

use super::{has, is_quote, position};

/// Ends of the names of source files.
const EXTENSIONS: &[&str] =
    &["c", "cc", "cpp", "ex", "go", "h", "java", "js", "kt", "php", "py", "rb", "rs", "scala", "swift", "ts"];

/// Whether this is a place in a file: `auth.rs:42:13`.
pub(super) fn is_place(name: &str, rest: &[u8]) -> bool {
    let is_file = name.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension));
    is_file && rest.starts_with(b":") && rest.get(1).is_some_and(u8::is_ascii_digit)
}

/// Whether this is a call without any text in it: `parse(input)?`, `hash(password, &salt)`.
pub(super) fn is_call(value: &str) -> bool {
    let Some((function, rest)) = value.split_once('(') else { return false };
    let is_path = |text: &str| text.bytes().all(|b| b.is_ascii_alphabetic() || has(b"_:.&*", b));
    function.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && is_path(function)
        && rest.trim_end_matches([')', '?', ';', ',']).split([',', ' ', '(', ')']).all(is_path)
        && rest.contains(')')
}

/// Whether this is a type: `&str`, `Option<String>`.
pub(super) fn is_type(value: &str) -> bool {
    const TYPES: &[&str] = &["&[u8]", "&str", "&String", "SecretString", "String", "Vec<u8>", "bool", "str"];
    let value = value.trim_end_matches([',', ';', ')']);
    let is_generic = || {
        let part = |b: u8| b.is_ascii_alphanumeric() || has(b"_:&<>, []", b);
        let name = value.trim_start_matches('&');
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.split_once('<').is_some_and(|(outer, _)| outer.bytes().all(|b| b.is_ascii_alphabetic()))
            && name.ends_with('>')
            && name.bytes().all(part)
    };
    TYPES.contains(&value) || is_generic()
}

/// Where the value begins after a type and `=`: ` &str = "x"`.
pub(super) fn typed(bytes: &[u8], start: usize) -> Option<usize> {
    const LONGEST: usize = 32;
    let within = &bytes[..bytes.len().min(start + LONGEST)];
    let is_part = |b: u8| b.is_ascii_alphanumeric() || has(b"_:&<>' ", b);
    let equals = position(within, start, |b| !is_part(b));
    let value = position(bytes, equals.min(bytes.len()) + 1.min(bytes.len() - equals), |b| b != b' ');
    let is_typed = equals > start + 1
        && within.get(equals) == Some(&b'=')
        && within[equals - 1] == b' '
        && bytes.get(value).is_some_and(|&b| is_quote(b))
        && within[start..equals].iter().any(u8::is_ascii_alphabetic);
    is_typed.then_some(value)
}

//! The content security policy of the page: its own script runs, by its hash, and nothing else.

use ::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// What any answer may do: nothing that loads or sends, in case data of the process gets past the
/// escaping.
pub(super) const POLICY: &str =
    "default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// The policy of a page. `None` if it is not text.
pub(super) fn of_page(page: &[u8]) -> Option<HeaderValue> {
    let mut policy = format!("{POLICY}; style-src 'unsafe-inline'; script-src");
    for script in scripts(std::str::from_utf8(page).ok()?) {
        policy.push_str(" 'sha256-");
        STANDARD.encode_string(Sha256::digest(script), &mut policy);
        policy.push('\'');
    }
    HeaderValue::from_str(&policy).ok()
}

/// The scripts of a page, in which data can't contain a bracket.
fn scripts(page: &str) -> impl Iterator<Item = &str> {
    page.split("<script>").skip(1).filter_map(|rest| Some(rest.split_once("</script>")?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_script_has_its_hash() {
        let policy = of_page(b"<p><script>alert(1)</script></p><script></script>").unwrap();
        let expected = format!(
            "{POLICY}; style-src 'unsafe-inline'; script-src \
             'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI=' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
        );
        assert_eq!(policy.to_str().unwrap(), expected);
    }

    #[test]
    fn the_page_has_one_script() {
        let page = crate::Report::capture().to_html();
        assert_eq!(1 + scripts(&page).count(), page.matches("<script").count(), "and its data");
        assert_eq!(scripts(&page).count(), 1);
    }
}

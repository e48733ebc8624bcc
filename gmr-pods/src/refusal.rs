//! Why the API server, or a pod behind it, says no. It only reads what they have answered.

use gmr_collect::cut;
use http::StatusCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;

/// `HTTP 403: pods "shop-1" is forbidden: ..`
/// `has_token`: whether the pod was asked with a token of its own.
pub(crate) fn refusal(status: StatusCode, body: &[u8], has_token: bool) -> String {
    // The API server answers with one of its objects, and a pod with what it likes.
    let object = serde_json::from_slice::<Status>(body).ok().and_then(|status| status.message);
    let said = object.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let said = said.lines().map(str::trim).find(|line| !line.is_empty()).map(cut);
    let hint = match status {
        StatusCode::FORBIDDEN if body.starts_with(b"{") => "; the right `get` on `pods/proxy` is missing",
        StatusCode::UNAUTHORIZED if !body.starts_with(b"{") && has_token => {
            "; the token is not the pod's, or what serves its reports does not look at `X-Gmr-Token`"
        }
        StatusCode::UNAUTHORIZED if !body.starts_with(b"{") => {
            "; give the pod's token by --token-file or GMR_COLLECT_TOKEN"
        }
        _ => "",
    };
    match said {
        Some(said) => format!("HTTP {}: {said}{hint}", status.as_u16()),
        None => format!("HTTP {}{hint}", status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_quoted_from_objects_and_from_text() {
        let of = |status, body: &str| {
            refusal(StatusCode::from_u16(status).expect("a status"), body.as_bytes(), false)
        };
        let status = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods \"a\" is forbidden","code":403}"#;
        let said = of(403, status);
        assert!(
            said.starts_with("HTTP 403: pods \"a\" is forbidden; the right `get` on `pods/proxy`"),
            "{said}"
        );
        assert_eq!(of(404, "no such page\n"), "HTTP 404: no such page");
        assert_eq!(of(500, ""), "HTTP 500");
        let said = of(401, "this report needs a token");
        assert!(said.starts_with("HTTP 401: this report needs a token; give the pod's token by "), "{said}");
        let with_token = refusal(StatusCode::UNAUTHORIZED, b"this report needs a token", true);
        assert!(with_token.contains("; the token is not the pod's"), "{with_token}");
        // The API server's own is not about the pod's token.
        let own = refusal(StatusCode::UNAUTHORIZED, br#"{"message":"Unauthorized"}"#, true);
        assert_eq!(own, "HTTP 401: Unauthorized");
    }
}

//! A program that forks and continues in the child, as daemons do: the child has no reporter until
//! it installs one.
//!
//! `fork` is unsafe: this program forks while it has one thread of its own, and gmr's.

#![allow(unsafe_code)]

use serde_json::{Value, json};

fn main() {
    let parents = gmr::Builder::new().product("parent").install().expect("nothing is installed yet");
    // SAFETY: the child calls what may allocate: no other thread of this program holds the
    // allocator's locks, and gmr's sleeps.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork failed");
    if child > 0 {
        parents.keep();
        let mut status = 0;
        // SAFETY: waits for the child made above.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        std::process::exit(status);
    }
    std::mem::forget(parents);
    // A busy machine may take several reports until all functions have their names.
    let before = loop {
        let report = about(&gmr::Report::capture());
        if report["main_is_shown"] == true {
            break report;
        }
    };
    let guard =
        gmr::Builder::new().product("child").install().expect("the parent's installation is not the child's");
    let after = about(&gmr::Report::capture());
    gmr_tests::converse(|_| {
        let answer = json!({"pid": std::process::id(), "before": before, "after": after});
        answer.to_string()
    });
    drop(guard);
}

/// What the test expects of a report.
fn about(report: &gmr::Report) -> Value {
    let report = serde_json::to_value(report).expect("a report is JSON");
    let all = |list: &str| report[list].as_array().cloned().unwrap_or_default();
    let package = all("sections").into_iter().find(|section| section["title"] == "Package");
    json!({
        "product": package.unwrap_or_default()["content"]["data"]["product"],
        "main_is_shown": all("frames").iter().any(|frame| frame["function"] == "forked::main"),
    })
}

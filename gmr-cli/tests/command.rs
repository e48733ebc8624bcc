//! What all subcommands have in common: exit codes, help, completions and manual pages.

use std::fs;

use crate::service::{folder, gmr};

#[test]
fn wrong_arguments_have_an_exit_code_of_their_own() {
    for arguments in [
        &["view"][..],
        &["veiw", "x"],
        &["view", "x", "--format", "yaml"],
        &["view", "x", "--report", "0"],
        &["view", "x", "--list", "-f", "xml"],
        &["view", "x", "--json"],
        &["diff", "x"],
        &["merge"],
        &["collect"],
        &["collect", "http://127.0.0.1:1", "--timeout", "0s"],
        &["collect", "http://127.0.0.1:1", "--at-most", "0%"],
        &["collect", "http://127.0.0.1:1", "--concurrency", "0"],
        &["doctor"],
        &["report"],
        &["report", "1", "--browser", "-f", "xml"],
    ] {
        let errors = gmr(arguments).failed(2);
        assert!(errors.starts_with("error: ") && errors.contains("--help"), "{errors}");
    }
    assert!(gmr(&["veiw", "x"]).failed(2).contains("'view'"));
    assert!(gmr(&["view", "x", "--format", "yaml"]).failed(2).contains("json-lines"));
}

#[test]
fn the_help_names_each_subcommand_and_the_exit_codes() {
    let help = gmr(&["--help"]).well();
    for word in [
        "report",
        "view",
        "diff",
        "merge",
        "collect",
        "list",
        "doctor",
        "completions",
        "man",
        "Exit codes: 0 ",
    ] {
        assert!(help.contains(word), "{help}");
    }
}

#[test]
fn completions_and_manual_pages_are_generated() {
    for shell in ["bash", "zsh", "fish"] {
        let script = gmr(&["completions", shell]).well();
        assert!(script.contains("no-pager") && script.contains("merge"), "{shell}: {script}");
    }
    let folder = folder("manual");
    gmr(&["man", &folder.display().to_string()]).well();
    let page = fs::read_to_string(folder.join("gmr-merge.1")).expect("a page");
    assert!(page.contains(".TH gmr-merge 1"), "{page}");
    assert!(folder.join("gmr.1").exists());
    let errors = gmr(&["man", &folder.join("none").display().to_string()]).failed(1);
    assert!(errors.contains("could not write manual pages"), "{errors}");
}

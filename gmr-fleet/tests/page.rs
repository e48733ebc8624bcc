//! The page of all processes, in a browser: what it says, where it leads, and that nothing of a report
//! becomes markup.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::planted::{self, HOSTILE, section};
use crate::program::{file, fleet, folder, ship};
use crate::service::reports_of;
use crate::webdriver::{Browser, is_installed};

/// What somebody could try to become markup, wherever it gets to.
const MARKUP: &str = "\"'><img src=x onerror=alert(1)></style></title></script><script>alert(1)</script>\
    <a href=javascript:alert(1)>x</a>\u{202e}\u{1b}[2J";

/// Writes the pages of tables.
fn written(tables: &Path, to: &Path) {
    fleet(&["fleet", "page", &tables.display().to_string(), &to.display().to_string()]).well();
}

/// Opens a page, which must not write anything to the console.
fn open(browser: &Browser, page: &Path) {
    browser.open(&format!("file://{}", page.display()));
    assert_eq!(browser.prompt(), None, "{}", page.display());
    assert_eq!(browser.console(), Vec::<String>::new(), "{}", page.display());
}

/// The pages that this one links to.
fn linked(browser: &Browser) -> Vec<PathBuf> {
    let links = browser.value("[...new Set([...document.links].map((link) => link.href.split('#')[0]))]");
    let path = |link: &Value| link.as_str().and_then(|link| link.strip_prefix("file://")).map(PathBuf::from);
    let mut paths: Vec<PathBuf> = links.as_array().expect("a list").iter().filter_map(path).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| name != "index.html"));
    paths
}

#[test]
fn it_says_what_the_answers_say_and_leads_to_reports() {
    if !is_installed() {
        return;
    }
    let folder = folder("page");
    let tables = planted::tables(&folder);
    let to = folder.join("page");
    written(&tables, &to);
    let browser = Browser::start();
    open(&browser, &to.join("index.html"));
    assert_eq!(browser.text("h1"), "40 processes");
    let findings = browser.text("#findings");
    assert!(findings.contains("error 0 orders are lost; DROP TABLE reports\n"), "{findings}");
    assert!(findings.contains("in 10 of 40 processes on 10 hosts with other numbers\n"), "{findings}");
    assert!(findings.contains("shop 1.0: 5 of 20 processes (a report)\n"), "{findings}");
    // Those that pack are in half of the processes of one version.
    let cells = "[...document.querySelectorAll('#versions tr')].map((row) => [...row.cells].map((cell) => cell.innerText))";
    let cells = browser.value(cells);
    assert_eq!(cells[0], json!(["", "shop 1.0", "shop 1.1"]));
    assert!(cells[1][0].as_str().is_some_and(|about| about.contains("service::pack")), "{cells}");
    assert_eq!(cells[1].as_array().expect("cells")[1..], [json!("20 of 20 100 %"), json!("10 of 20 50 %")]);
    // The link leads to the place, which it unfolds.
    browser.click("#versions tr:nth-child(2) th a");
    browser.wait_until("document.querySelector('#places details[open]')");
    let place = browser.text("#places details[open]");
    assert!(place.contains("service::pack") && place.contains("20 of 20 shop 1.0 (a report)"), "{place}");
    // Zoom in and out.
    let shown = "document.querySelector('#zoomed').value";
    let all = browser.value(shown);
    assert!(all.as_str().is_some_and(|all| all.starts_with("shown: all ")), "{all}");
    browser.click(".flame .own");
    browser.wait_until(&format!(
        "{shown} !== {all} && {shown} === `shown: ${{document.querySelector('.flame .own').title}}`"
    ));
    browser.press(&['\u{e00c}']);
    browser.wait_until(&format!("{shown} === {all}"));
    let linked = linked(&browser);
    assert!(linked.len() >= 4, "{linked:?}");
    for page in linked {
        open(&browser, &page);
        assert!(browser.text("h1").starts_with("shop 1."), "{}", page.display());
    }
    // Only some of them, and none.
    for (most, count) in [("2", 2), ("0", 0)] {
        let few = folder.join(format!("few-{most}"));
        let arguments = [&tables, &few].map(|path| path.display().to_string());
        fleet(&["fleet", "page", &arguments[0], &arguments[1], "--reports", most]).well();
        assert_eq!(fs::read_dir(few.join("reports")).expect("a folder").count(), count);
        open(&browser, &few.join("index.html"));
        assert_eq!(self::linked(&browser).len(), count);
    }
}

#[test]
fn nothing_of_a_report_becomes_markup() {
    if !is_installed() {
        return;
    }
    let folder = folder("page-hostile");
    let (from, tables) = (folder.join("in"), folder.join("out"));
    fs::create_dir(&from).expect("a folder");
    let report: Value = serde_json::from_str(&reports_of("1.0", 1, 8)[0]).expect("JSON");
    for index in 0..6 {
        let mut report = report.clone();
        report["heading"]["pid"] = (100 + index).into();
        report["findings"] = json!([{
            "code": MARKUP, "severity": "error", "certainty": "probable", "message": MARKUP, "threads": [], "tasks": [],
        }]);
        for frame in report["frames"].as_array_mut().expect("frames") {
            frame["function"] = format!("shop::{MARKUP}::{HOSTILE}").into();
            frame["file"] = MARKUP.into();
        }
        let package = section(&mut report, "package");
        package["product"] = MARKUP.into();
        package["host"] = MARKUP.into();
        package["version"] = if index % 2 == 0 { MARKUP.into() } else { Value::Null };
        file(&from, &format!("{index}.json"), report.to_string());
    }
    ship(&from, &tables);
    let to = folder.join("page");
    written(&tables, &to);
    let browser = Browser::start();
    open(&browser, &to.join("index.html"));
    for (what, count) in [
        ("script", 1),
        ("style", 1),
        ("img, iframe, object, embed, svg, base, form, [onerror], [onload], [onclick]", 0),
        ("a[href^='javascript' i]", 0),
    ] {
        let found = browser.value(&format!("document.querySelectorAll(`{what}`).length"));
        assert_eq!(found, count, "{what}");
    }
    let text = browser.value("document.body.textContent");
    let text = text.as_str().expect("text");
    // As text, it is there.
    assert!(
        text.contains("<img src=x onerror=alert(1)>") && text.contains("<script>alert(1)</script>"),
        "{text}"
    );
    assert!(!text.contains(['\u{202e}', '\u{1b}']));
    for page in linked(&browser) {
        open(&browser, &page);
    }
}

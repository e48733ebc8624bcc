//! The page in a real browser: opened, filtered, unfolded, zoomed, read without JavaScript.
//!
//! A test binary of its own, since a browser takes all the processors there are. Screenshots are left in `GMR_TEST_SCREENSHOTS`, where that is set.

#[path = "../it/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "../it/report.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod report;
mod webdriver;

use std::path::PathBuf;

use serde_json::json;

use crate::program::{Program, program};
use crate::webdriver::Browser;

/// A page in a browser, and the file that it is.
struct Page {
    browser: Browser,
    folder: PathBuf,
}

impl Page {
    /// The page of a program with something of everything; none where there is no browser.
    fn open(name: &str, set_up: impl FnOnce(&Browser)) -> Option<Self> {
        if std::env::var_os("GMR_TEST_BROWSER").is_none() {
            eprintln!("skipped: no browser; `cargo xtask test` provides it");
            return None;
        }
        let folder = std::env::temp_dir().join(format!("gmr-page-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut program = Program::start(program!("views"));
        assert_eq!(program.ask(&folder.display().to_string()), "written");
        let browser = Browser::start();
        set_up(&browser);
        browser.open(&format!("file://{}/report.html", folder.display()));
        Some(Self { browser, folder })
    }

    fn number(&self, expression: &str) -> u64 {
        let value = self.browser.value(expression);
        value.as_u64().unwrap_or_else(|| panic!("{expression} is {value}"))
    }

    /// How many of these are to be seen.
    fn visible(&self, selector: &str) -> u64 {
        self.number(&format!(
            "[...document.querySelectorAll({selector:?})].filter((one) => one.checkVisibility()).length"
        ))
    }

    fn screenshot(&self, name: &str) {
        let Some(folder) = std::env::var_os("GMR_TEST_SCREENSHOTS").map(PathBuf::from) else { return };
        let shot = self.browser.command("Page.captureScreenshot", &json!({"captureBeyondViewport": true}));
        // Turned into a picture by those who look at it: `base64 -d`.
        std::fs::write(folder.join(format!("{name}.png.base64")), shot["data"].as_str().expect("a picture"))
            .expect("a file");
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn the_page_works() {
    let Some(page) = Page::open("works", |_| ()) else { return };
    let browser = &page.browser;
    assert_eq!(browser.console(), Vec::<String>::new(), "the page opens without a word on the console");
    assert_eq!(browser.value("document.title.startsWith('Guru Meditation: views, process ')"), true);
    assert_eq!(browser.value("document.querySelectorAll('script').length"), 2, "nothing from data runs");
    let verdict = browser.text("#verdict");
    assert!(verdict.contains("Broken: panicked at tests/programs/views.rs:"), "{verdict}");
    assert!(verdict.contains("3 threads wait for the same lock"), "{verdict}");
    page.screenshot("light");

    filters(&page);
    unfolds(&page);
    zooms(&page);
    assert_eq!(browser.console(), Vec::<String>::new());
}

fn filters(page: &Page) {
    let browser = &page.browser;
    let all = page.visible("details.group");
    browser.write("#filter", "wait_for_orders");
    assert_eq!(page.visible("details.group"), 1, "a thread is found by its function");
    assert_eq!(browser.text("details.group:not(.out) .title"), "20 threads with the same stack");
    assert_eq!(browser.value("document.querySelector('#matches').value"), format!("1 of {all} groups"));
    // The keys of a person: everything selected, then overwritten.
    browser.write("#filter", "\u{e009}a\u{e000}<SCRIPT>alert");
    assert_eq!(page.visible("details.group"), 1, "by its name, whatever the letters' case");
    browser.write("#filter", "\u{e009}a\u{e000}password");
    assert_eq!((page.visible("details.config"), page.visible("details.config tr")), (1, 1), "an option");
    browser.write("#filter", "\u{e009}a\u{e000}\u{e003}");
    assert_eq!(page.visible("details.group"), all);
    browser.click("#state");
    browser.write("#state", "waiting\u{e007}");
    assert_eq!(browser.value("document.querySelector('#state').value"), "waiting");
    assert_eq!(page.visible("details.group"), 2, "two groups of tasks wait");
    browser.write("#state", "all\u{e007}");
    assert_eq!(page.visible("details.group"), all);
}

fn unfolds(page: &Page) {
    let browser = &page.browser;
    browser.click("#fold");
    assert_eq!(page.visible(".stack"), page.visible("section > .stack"), "all groups are folded");
    let folded = page.visible(".stack");
    let summary = "details.group[data-states] > summary";
    browser.click(summary);
    assert_eq!(page.visible(".stack"), folded + 1, "a click unfolds one");
    browser.click(summary);
    assert_eq!(page.visible(".stack"), folded);
    browser.click("#unfold");
    assert_eq!(page.visible("details.group[open]"), page.visible("details.group"));
    browser.click("#fold");
    browser.click(".findings .suspicion a");
    let target = "document.querySelector(location.hash).closest('details')";
    assert_eq!(browser.value(&format!("{target}.open")), true, "a finding unfolds what it is about");
}

fn zooms(page: &Page) {
    let browser = &page.browser;
    let width = |name: &str| {
        let found = format!(
            "[...document.querySelectorAll('.flame #frames g')].find((one) => one.querySelector('title').textContent.startsWith({name:?}))"
        );
        // In a fluid drawing widths are percentages.
        page.browser.value(&format!("{found}.querySelector('rect').getBoundingClientRect().width"))
    };
    let width = |name: &str| width(name).as_f64().unwrap_or_default();
    let (whole, before) = (width("all"), width("views::wait_for_orders"));
    assert!(before > 0.0 && before < 0.9 * whole, "{before} of {whole}");
    let rect = "[...document.querySelectorAll('.flame #frames g')].find((one) => one.querySelector('title').textContent.startsWith('views::wait_for_orders')).setAttribute('data-test', 'orders')";
    browser.value(rect);
    browser.click(".flame [data-test=orders] rect");
    assert!(width("views::wait_for_orders") > 0.9 * whole, "a click zooms");
    browser.click(".flame #unzoom");
    let after = width("views::wait_for_orders");
    assert!((after - before).abs() < 1.0, "and is taken back: {before}, {after}");
}

#[test]
fn the_page_is_dark_where_that_is_wanted() {
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    let Some(page) = Page::open("dark", |browser| drop(browser.command("Emulation.setEmulatedMedia", &dark)))
    else {
        return;
    };
    let brightness = |property: &str| {
        let colour = page.browser.value(&format!("getComputedStyle(document.body).{property}"));
        let colour = colour.as_str().expect("a colour").to_owned();
        let parts = colour.trim_start_matches(|letter: char| !letter.is_ascii_digit()).trim_end_matches(')');
        parts.split(',').filter_map(|part| part.trim().parse::<u32>().ok()).sum::<u32>()
    };
    assert!(brightness("backgroundColor") < 200 && brightness("color") > 500);
    page.screenshot("dark");
}

#[test]
fn the_page_can_be_read_without_javascript() {
    let off = json!({"value": true});
    let Some(page) =
        Page::open("plain", |browser| drop(browser.command("Emulation.setScriptExecutionDisabled", &off)))
    else {
        return;
    };
    let browser = &page.browser;
    let body = browser.text("body");
    assert!(body.contains("views::wait_for_stock") && body.contains("Verdict"), "{body}");
    assert!(!body.contains("unfold all"), "what would do nothing is not shown");
    // Groups unfold by what the browser itself can do.
    let idle = "details.group:not([open]) > summary";
    let closed = page.folded();
    if closed > 0 {
        browser.click(idle);
        assert_eq!(page.folded(), closed - 1);
    }
    page.screenshot("plain");
}

impl Page {
    /// Without JavaScript, the page's structure is asked of the browser.
    fn folded(&self) -> usize {
        let document = self.browser.command("DOM.getDocument", &json!({"depth": 0}));
        let root = document["root"]["nodeId"].clone();
        let query = json!({"nodeId": root, "selector": "details.group:not([open])"});
        let found = self.browser.command("DOM.querySelectorAll", &query);
        found["nodeIds"].as_array().map_or_else(|| panic!("{found}"), Vec::len)
    }
}

/// The page that a program of so many threads writes when it is signalled.
fn page_of_a_crowd(arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(program!("crowd"));
    command.args(arguments).env("GMR_FORMAT", "html");
    let mut program = Program::start_with(command);
    program.signal(rustix::process::Signal::USR2);
    let mut page = String::new();
    while !page.ends_with("</html>\n") {
        page.push_str(&program.next_error_line());
    }
    page
}

#[test]
fn a_page_of_a_thousand_threads_is_small() {
    // All stacks alike, and no two.
    for arguments in [&["1000", "30"][..], &["1000", "30", "different"]] {
        let page = page_of_a_crowd(arguments);
        assert!(page.len() < 1 << 20, "{arguments:?}: {} bytes", page.len());
        // And has them all, with gmr's own two.
        assert_eq!(page.matches("id=\"thread-").count(), 1_000 + 2, "{arguments:?}");
    }
}

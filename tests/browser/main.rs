//! The page in a real browser: opened, filtered, unfolded, zoomed, clicked all over, read without
//! JavaScript; and as somebody on call reads it (`on_call`).
//!
//! A test binary of its own, since a browser takes all processors. Without a browser its tests are
//! skipped, and fail in CI. Screenshots are left in `GMR_TEST_SCREENSHOTS`, if that is set.

mod compare;
mod large;
mod on_call;
mod origins;
#[path = "../it/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "../it/report.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod report;
mod webdriver;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::{Program, program};
use crate::webdriver::Browser;

/// A page in a browser, and the folder with its file.
struct Page {
    browser: Browser,
    folder: PathBuf,
}

impl Page {
    /// The page of a program that has every kind of content; `None` if there is no browser.
    fn open(name: &str, set_up: impl FnOnce(&Browser)) -> Option<Self> {
        Self::of(program!("views"), name, set_up)
    }

    /// The page of this program.
    fn of(program: &str, name: &str, set_up: impl FnOnce(&Browser)) -> Option<Self> {
        if !webdriver::is_installed() {
            return None;
        }
        let folder = std::env::temp_dir().join(format!("gmr-page-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let page = Self { browser: Browser::start(), folder };
        write_report(program, &page.folder);
        set_up(&page.browser);
        page.show("report.html");
        Some(page)
    }

    fn report(&self) -> Value {
        report_in(&self.folder)
    }

    fn show(&self, file: &str) {
        self.browser.open(&format!("file://{}/{file}", self.folder.display()));
    }

    /// Writes the same report with more sections, as a page in a file of this name.
    fn lengthen(&self, file: &str, sections: usize) {
        let mut report = self.report();
        let all = report["sections"].as_array_mut().expect("a report has sections");
        for number in all.len()..sections {
            let content = json!({"kind": "text", "data": "17 parcels\n"});
            all.push(json!({"title": format!("Warehouse {number}"), "took_us": 1, "content": content}));
        }
        let report = gmr::Report::from_json(&report.to_string()).expect("it is a report still");
        let page = File::create(self.folder.join(file)).expect("a file");
        report.write_to(page, gmr::Format::Html).expect("it can be written");
    }

    fn number(&self, expression: &str) -> u64 {
        let value = self.browser.value(expression);
        value.as_u64().unwrap_or_else(|| panic!("{expression} is {value}"))
    }

    /// How many of the elements that a selector finds are rendered.
    fn visible(&self, selector: &str) -> u64 {
        self.number(&Self::rendered(selector))
    }

    /// Waits until this many of them are: the page may not have handled the last click or key yet.
    fn wait_for_visible(&self, selector: &str, count: u64) {
        self.browser.wait_until(&format!("{} === {count}", Self::rendered(selector)));
    }

    fn rendered(selector: &str) -> String {
        format!("[...document.querySelectorAll({selector:?})].filter((one) => one.checkVisibility()).length")
    }

    fn screenshot(&self, name: &str) {
        let Some(folder) = std::env::var_os("GMR_TEST_SCREENSHOTS").map(PathBuf::from) else { return };
        self.browser.wait_until("document.readyState === 'complete' && document.body.clientWidth > 0");
        let shot = self.browser.command("Page.captureScreenshot", &json!({"captureBeyondViewport": true}));
        // `base64 -d` makes a picture of it.
        fs::write(folder.join(format!("{name}.png.base64")), shot["data"].as_str().expect("a picture"))
            .expect("a file");
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Has a program write its report in all formats into a folder, until it is complete: on a busy
/// machine, the time that a report takes for its stacks and symbols may be too short. The report
/// says so, and the next one continues from there.
fn write_report(program: &str, folder: &Path) {
    let mut program = Program::start(program);
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        assert_eq!(program.ask(&folder.display().to_string()), "written");
        let report = report_in(folder);
        if is_complete(&report) {
            return;
        }
        assert!(Instant::now() < deadline, "no report was complete within a minute: {report}");
    }
}

fn report_in(folder: &Path) -> Value {
    let json = fs::read(folder.join("report.json")).expect("the program wrote it");
    serde_json::from_slice(&json).expect("a report is JSON")
}

/// Whether a report has the whole stack of each thread and task of the program, with all functions.
fn is_complete(report: &Value) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let all = |name: &str| -> Vec<Value> {
        list(&report["sections"]).iter().flat_map(|section| list(&section["content"]["data"][name])).collect()
    };
    let (threads, tasks) = (all("threads"), all("tasks"));
    let mut stacks = threads
        .iter()
        .filter(|thread| thread["role"] != "reporter")
        .map(|thread| thread["stack"].clone())
        .chain(tasks.iter().flat_map(|task| list(&task["stacks"])));
    !threads.is_empty()
        && !tasks.is_empty()
        && tasks.iter().all(|task| !list(&task["stacks"]).is_empty())
        && stacks.all(|stack| stack["incomplete"].is_null() && !list(&stack["frames"]).is_empty())
        && list(&report["frames"]).iter().all(|frame| frame["function"].is_string())
}

#[test]
fn the_page_works() {
    let Some(page) = Page::open("works", |_| ()) else { return };
    let browser = &page.browser;
    assert_eq!(browser.console(), Vec::<String>::new(), "the page opens without a message on the console");
    assert_eq!(browser.value("document.title.startsWith('Guru Meditation: views, process ')"), true);
    assert_eq!(
        browser.value("document.querySelectorAll('script:not([type])').length"),
        1,
        "nothing from data runs"
    );
    let findings = browser.text("#findings");
    assert!(findings.contains("error Broken panicked at tests/programs/views.rs:"), "{findings}");
    assert!(findings.contains("info 3 threads are waiting for the same lock"), "{findings}");
    page.screenshot("light");

    filters(&page);
    unfolds(&page);
    zooms(&page);
    leaves_the_browsers_search(&page);
    assert_eq!(browser.console(), Vec::<String>::new());
}

fn filters(page: &Page) {
    let browser = &page.browser;
    let all = page.visible("details.group");
    browser.write("#filter", "wait_for_orders");
    // A thread is found by its function.
    page.wait_for_visible("details.group", 1);
    assert_eq!(browser.text("details.group:not(.out) .title"), "20 threads: order-*");
    assert_eq!(browser.value("document.querySelector('#matches').value"), "1 of 1");
    // As a user replaces text: select everything, then type.
    browser.write("#filter", "\u{e009}a\u{e000}<SCRIPT>alert");
    // A thread is found by its name, in any case.
    browser.wait_until("document.querySelector('#filter').value === '<SCRIPT>alert'");
    browser.wait_until(
        "[...document.querySelectorAll('details[data-states]')]
            .every((one) => one.classList.contains('out') !== one.textContent.includes('<script>alert'))",
    );
    assert_ne!(page.visible("details.group"), 0);
    browser.write("#filter", "\u{e009}a\u{e000}password");
    // An option is found by its name.
    page.wait_for_visible("details.config", 1);
    page.wait_for_visible("details.config tr", 1);
    browser.write("#filter", "\u{e009}a\u{e000}\u{e003}");
    page.wait_for_visible("details.group", all);
    // The words that groups have for what they do are those that find them, of threads and tasks.
    let words = browser.value("[...document.querySelector('#state').options].map((one) => one.value)");
    let words: Vec<&str> = words.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for expected in ["", "idle", "waiting"] {
        assert!(words.contains(&expected), "{expected}: {words:?}");
    }
    browser.click("#state");
    for word in words.iter().filter(|word| !word.is_empty()) {
        let with = |places: &str| {
            page.number(&format!(
                "[...document.querySelectorAll('details[data-states]')].filter((one) => [...one.querySelectorAll('{places}')]
                    .some((place) => place.textContent.match(/\\b{word}\\b/))).length"
            ))
        };
        browser.value(&format!(
            "(() => {{
                const state = document.querySelector('#state');
                state.value = {};
                state.dispatchEvent(new Event('change'));
            }})()",
            json!(word)
        ));
        let shown = page.number("document.querySelectorAll('details[data-states]:not(.out)').length");
        let (titled, mentioned) = (with(":scope > summary > i"), with(":scope > summary > i, :scope > p"));
        assert!(titled <= shown && shown <= mentioned && shown > 0, "{word}: {titled}, {shown}, {mentioned}");
    }
    browser.write("#state", "all\u{e007}");
    browser.wait_until("document.querySelector('#state').value === ''");
    page.wait_for_visible("details.group", all);
}

fn unfolds(page: &Page) {
    let browser = &page.browser;
    browser.click("#fold");
    // All groups are folded.
    let folded = page.visible("section > .stack");
    page.wait_for_visible(".stack", folded);
    let summary = "details.group[data-states] > summary";
    browser.click(summary);
    page.wait_for_visible(".stack", folded + 1);
    browser.click(summary);
    page.wait_for_visible(".stack", folded);
    browser.click("#unfold");
    page.wait_for_visible("details.group[open]", page.visible("details.group"));
    // A finding expands the threads and tasks it refers to, each time it is clicked.
    for _ in 0..2 {
        browser.click("#fold");
        page.wait_for_visible("details.group[open]", 0);
        browser.click(".findings .info a");
        browser.wait_until("document.querySelector(location.hash)?.closest('details').open");
        browser.wait_until(TARGET_IS_IN_VIEW);
    }
}

/// Whether the target of the address is in view, with nothing in front of it: the heading of a
/// section, the summary of a group, or the summary and the line that names one of the group.
const TARGET_IS_IN_VIEW: &str = "(() => {
    const target = document.getElementById(location.hash.slice(1).split('?')[0]);
    const linked = target.closest('details.group')?.querySelector(':scope > .linked');
    const title = linked || target.querySelector(':scope > h2, :scope > summary') || target;
    return [title, ...(linked ? [linked.parentElement.querySelector('summary')] : [])].every((one) => {
        const place = one.getClientRects()[0];
        const front = document.elementFromPoint(place.left + 4, place.top + place.height / 2);
        return place.top >= 0 && place.bottom <= innerHeight && one.contains(front);
    });
})()";

fn zooms(page: &Page) {
    let browser = &page.browser;
    browser.value(
        "[...document.querySelectorAll('.flame button')]
            .find((one) => one.title.startsWith('views::wait_for_orders'))
            .setAttribute('data-test', 'orders')",
    );
    let width = "document.querySelector('.flame [data-test=orders]').getBoundingClientRect().width";
    let whole = "document.querySelector('.flame').clientWidth";
    let [before, whole] = [width, whole].map(|of| browser.value(of).as_f64().expect("a number"));
    assert!(before > 0.0 && before < 0.9 * whole, "{before} of {whole}");
    browser.click(".flame [data-test=orders]");
    browser.wait_until(&format!("{width} > 0.9 * {whole}"));
    browser.click(".flame [data-test=orders]");
    browser.wait_until(&format!("Math.abs({width} - {before}) < 1"));
    // What else leads back is in view, and says what is shown.
    let shown = "document.querySelector('#zoomed').value";
    let all = browser.value(shown);
    assert!(all.as_str().is_some_and(|all| all.starts_with("shown: all ")), "{all}");
    assert_eq!(browser.value("document.querySelector('#whole').disabled"), true);
    browser.click(".flame [data-test=orders]");
    browser.wait_until(&format!("{shown}.startsWith('shown: views::wait_for_orders: 20 stacks, ')"));
    browser.click("#whole");
    browser.wait_until(&format!("Math.abs({width} - {before}) < 1 && {shown} === {all}"));
    browser.click(".flame [data-test=orders]");
    browser.wait_until("!document.querySelector('#whole').disabled");
    browser.click("#stacks h2");
    browser.press(&['\u{e00c}']);
    browser.wait_until(&format!("Math.abs({width} - {before}) < 1 && {shown} === {all}"));
}

fn leaves_the_browsers_search(page: &Page) {
    let browser = &page.browser;
    browser.press(&['\u{e009}', 'f']);
    browser.press(&['\u{e033}']);
    assert_eq!(browser.prompt(), None);
}

/// A page of this many sections has a table of contents that is taller than a phone's screen.
const SECTIONS: usize = 39;

/// The windows of a small laptop and of a phone.
const SIZES: [(u32, u32); 2] = [(1280, 844), (390, 844)];

#[test]
fn every_control_can_be_clicked() {
    let Some(page) = Page::open("controls", |_| ()) else { return };
    page.lengthen("long.html", SECTIONS);
    for (width, height) in SIZES {
        page.browser.resize(width, height);
        page.show("long.html");
        page.screenshot(&format!("long-{width}"));
        page.browser.value("document.querySelector('#contents').open = true");
        // With the findings and the drawing.
        page.wait_for_visible("nav a", SECTIONS as u64 + 2);
        let in_order = "(() => {
            const targets = [...document.querySelectorAll('nav a')].map((link) => document.querySelector(link.hash));
            const sections = [...document.querySelectorAll('main section')];
            return targets.length === sections.length && targets.every((target, index) => target === sections[index]);
        })()";
        assert_eq!(page.browser.value(in_order), true, "the contents are those of the page");
        // Not what is shown only while something is filtered, and not what would hide the links.
        let controls = "nav :is(a, button:not(.found button, #compare), input:not([type=file]), select), .findings a, main summary:not(#contents > summary), .flame button";
        let all = page.number(&format!(
            "[...document.querySelectorAll('{controls}')].map((one, place) => one.dataset.test = place).length"
        ));
        assert!(all > SECTIONS as u64 + 10, "{all}");
        for control in 0..all {
            click(&page, &format!("[data-test='{control}']"));
        }
        zooms(&page);
    }
}

/// Clicks a control, wherever the previous click has scrolled the page, and closes what it opens.
fn click(page: &Page, control: &str) {
    let browser = &page.browser;
    // The names of a large group are folded in its own details, which the click before has closed.
    let facts = browser.value(&format!(
        "(() => {{
            const one = document.querySelector({control:?}), members = one.closest('.members');
            if (members) members.parentElement.open = true;
            return {{ tag: one.tagName, hash: one.hash, zooms: Boolean(one.closest('.flame')) }};
        }})()"
    ));
    browser.click(control);
    match facts["tag"].as_str().expect("text") {
        "A" => {
            let hash = &facts["hash"];
            let is_there = format!("location.hash.split('?')[0] === {hash}");
            browser.wait_until(&format!("{is_there} && {TARGET_IS_IN_VIEW}"));
        }
        "SELECT" => browser.press(&['\u{e00c}']),
        _ if facts["zooms"] == true => browser.press(&['\u{e00c}']),
        _ => {}
    }
}

#[test]
fn nothing_covers_the_report() {
    let Some(page) = Page::open("uncovered", |_| ()) else { return };
    let browser = &page.browser;
    page.lengthen("long.html", SECTIONS);
    // Parts of the report that are in view, but whose middle is covered by something else.
    let covered = "[...document.querySelectorAll('main :is(h2, summary, p, dt, dd, th, td), .flame')]
        .filter((one) => one.checkVisibility())
        .map((one) => {
            const { left, top, width, height } = one.getBoundingClientRect();
            const front = document.elementFromPoint(left + width / 2, top + height / 2);
            const uncovered = !front || one.contains(front) || front.contains(one);
            return uncovered ? '' : `${front.tagName} covers ${one.tagName} ${one.textContent}`;
        })
        .filter((one) => one)";
    for (width, height) in SIZES {
        browser.resize(width, height);
        page.show("long.html");
        let mut pages = 0;
        while browser.value("scrollY + innerHeight < document.documentElement.scrollHeight - 1") == true {
            assert_eq!(browser.value(covered), json!([]), "{width}x{height}, {pages} pages down");
            let before = browser.value("scrollY");
            browser.press(&['\u{e00f}']);
            browser.wait_until(&format!("scrollY > {before}"));
            pages += 1;
        }
        assert_eq!(browser.value(covered), json!([]), "{width}x{height}, at the end");
        assert!(pages > 3, "{pages}");
    }
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
    assert!(body.contains("views::wait_for_stock") && body.contains("Findings"), "{body}");
    for control in ["unfold all", "copy", "zoom out"] {
        assert!(!body.contains(control), "{control} would do nothing, and is shown");
    }
    // The browser itself expands groups.
    let closed = page.folded();
    assert!(closed > 0, "some group is folded");
    browser.click("details.group:not([open]) > summary");
    assert_eq!(page.folded(), closed - 1);
    page.screenshot("plain");
}

impl Page {
    /// How many groups are collapsed. Chromium's own commands see that even without JavaScript.
    fn folded(&self) -> usize {
        let document = self.browser.command("DOM.getDocument", &json!({"depth": 0}));
        let root = document["root"]["nodeId"].clone();
        let query = json!({"nodeId": root, "selector": "details.group:not([open])"});
        let found = self.browser.command("DOM.querySelectorAll", &query);
        found["nodeIds"].as_array().map_or_else(|| panic!("{found}"), Vec::len)
    }
}

/// The page that a program with this many threads writes when it is signalled.
fn page_of_a_crowd(arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(program!("crowd"));
    command.args(arguments).env("GMR_FORMAT", "html").env("GMR_MIN_INTERVAL", "off");
    let mut program = Program::start_with(command);
    program.signal(rustix::process::Signal::USR2);
    let mut page = String::new();
    while !page.ends_with("</html>\n") {
        let line = program.next_error_line();
        assert!(!line.is_empty(), "standard error was closed before the page's end:\n{page}");
        page.push_str(&line);
    }
    page
}

#[test]
fn a_page_of_a_thousand_threads_is_small() {
    // All stacks the same, and all different.
    for arguments in [&["1000", "30"][..], &["1000", "30", "different"]] {
        let page = page_of_a_crowd(arguments);
        // Half of it is the report itself.
        assert!(page.len() < 2 << 20, "{arguments:?}: {} bytes", page.len());
        // The first of the thousand is the main thread.
        let is_missing = |number: &u32| !page.contains(&format!("(crowd-{number})"));
        let missing: Vec<u32> = (1..1_000).filter(is_missing).collect();
        assert!(missing.is_empty(), "{arguments:?}: {missing:?}");
    }
}

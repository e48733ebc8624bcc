//! The page at each size, in light and dark, without motion and on paper.

use std::path::Path;

use serde_json::json;

use super::{card, emulate, open};
use crate::{SIZES, TARGET_IS_IN_VIEW};

#[test]
fn a_phone_has_a_way_back_to_the_contents() {
    let Some(page) = open("back") else { return };
    let browser = &page.browser;
    for (width, height) in SIZES {
        browser.resize(width, height);
        page.show("report.html");
        // The keys of the filter are said.
        assert!(browser.text(".tools").contains("/ filter, Enter next, Shift+Enter previous, Esc clear"));
        browser.value("scrollTo(0, document.documentElement.scrollHeight / 2)");
        browser.wait_until("scrollY > 2000");
        if width > 1000 {
            // They are in view anyhow.
            assert_eq!(page.visible(".up"), 0);
            continue;
        }
        page.screenshot("deep");
        browser.click(".up");
        browser.wait_until("document.querySelector('#contents').open");
        browser.wait_until(TARGET_IS_IN_VIEW);
    }
}

#[test]
fn axe_finds_nothing() {
    let axe = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/npm/node_modules/axe-core/axe.min.js");
    let Ok(axe) = std::fs::read_to_string(axe) else {
        let message = "axe-core not found in target/npm; `cargo xtask setup` installs it";
        assert!(!std::env::var("CI").is_ok_and(|value| value == "true"), "{message}");
        println!("skipped: {message}");
        return;
    };
    let Some(page) = open("axe") else { return };
    let browser = &page.browser;
    for scheme in ["light", "dark"] {
        emulate(browser, "prefers-color-scheme", scheme);
        for (width, height) in SIZES {
            browser.resize(width, height);
            page.show("report.html");
            page.screenshot(&format!("on-call-{scheme}-{width}"));
            page.filter("count_the_till");
            page.wait_for_matches("1 of 3");
            browser.command("Runtime.evaluate", &json!({"expression": axe}));
            browser.value("void axe.run(document).then((found) => { window.found = found; })");
            browser.wait_until("window.found");
            let violations = browser.value(
                "found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(', ')}`)",
            );
            assert_eq!(violations, json!([]), "{scheme}, {width}");
            assert!(browser.value("found.passes.length").as_u64() > Some(20));
        }
    }
}

#[test]
fn line_numbers_are_not_broken() {
    let Some(page) = open("numbers") else { return };
    let browser = &page.browser;
    // In findings, on cards and in stacks.
    let numbers = "[...document.querySelectorAll(':is(.findings, .about, .stack) .number')]
        .filter((one) => one.checkVisibility())";
    let is_broken =
        |place: &str| format!("new Set([...{place}.getClientRects()].map((box) => box.top)).size > 1");
    let broken = format!(
        "{numbers}.filter((one) => {}).map((one) => one.parentElement.textContent)",
        is_broken("one")
    );
    // A file's name is on the line of the number as well, if it has space on one.
    let apart = format!(
        "{numbers}.filter((one) => {{
            const file = one.previousSibling, both = new Range();
            both.setStart(file, 0);
            both.setEnd(one, 1);
            return /^[a-z_]+\\.rs$/.test(file.data) && {};
        }}).map((one) => one.parentElement.textContent)",
        is_broken("both")
    );
    for (width, height) in SIZES {
        browser.resize(width, height);
        page.show("report.html");
        assert!(page.number(&format!("{numbers}.length")) > 10);
        assert_eq!(browser.value(&broken), json!([]), "{width}");
        assert_eq!(browser.value(&apart), json!([]), "{width}");
        assert_eq!(browser.value("document.documentElement.scrollWidth <= innerWidth"), true);
    }
}

#[test]
fn the_filter_and_its_outline_are_seen_whole() {
    let Some(page) = open("outline") else { return };
    let browser = &page.browser;
    for (width, height) in SIZES {
        browser.resize(width, height);
        page.show("report.html");
        // On a phone, it scrolls only while something is filtered.
        page.filter("o");
        let is_whole = "(() => {
            const nav = document.querySelector('nav').getBoundingClientRect();
            const filter = document.querySelector('#filter'), box = filter.getBoundingClientRect();
            const style = getComputedStyle(filter);
            const outline = parseFloat(style.outlineWidth) + parseFloat(style.outlineOffset);
            return outline >= 3 && box.left - outline >= nav.left && box.right + outline <= nav.right;
        })()";
        browser.wait_until(is_whole);
        let is_placeholder_whole = "(() => {
            const filter = document.querySelector('#filter'), style = getComputedStyle(filter);
            const text = document.createElement('canvas').getContext('2d');
            text.font = style.font;
            const space = filter.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
            return text.measureText(filter.placeholder).width <= space;
        })()";
        assert_eq!(browser.value(is_placeholder_whole), true, "{width}");
    }
}

#[test]
fn nothing_moves_by_itself() {
    let Some(page) = open("motion") else { return };
    let browser = &page.browser;
    emulate(browser, "prefers-reduced-motion", "reduce");
    page.show("report.html");
    let moving = "[...document.querySelectorAll('*')].map((one) => getComputedStyle(one)).filter((style) =>
        style.animationName !== 'none' || style.transitionDuration !== '0s' || style.scrollBehavior !== 'auto').length";
    assert_eq!(browser.value(moving), 0);
}

#[test]
fn all_of_it_is_on_paper() {
    let Some(page) = open("paper") else { return };
    let browser = &page.browser;
    browser.resize(718, 1000);
    page.show("report.html");
    browser.command("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    browser.wait_until("matchMedia('print').matches");
    browser.value("dispatchEvent(new Event('beforeprint'))");
    assert_eq!(page.visible("nav, .bar"), 0);
    assert_eq!(browser.value("[...document.querySelectorAll('main details:not([open])')].length"), 0);
    browser.wait_until("document.documentElement.scrollWidth <= innerWidth");
    let fits = "(() => {
        const all = document.querySelector('.flame'), right = all.getBoundingClientRect().right;
        return all.scrollHeight <= all.clientHeight
            && [...all.children].every((one) => one.getBoundingClientRect().right <= right + 1);
    })()";
    assert_eq!(browser.value(fits), true);
    // So are all threads that wait for a lock.
    let waiters = format!("{}.querySelector('.about details p').checkVisibility()", card("(cashier)"));
    assert_eq!(browser.value(&waiters), true);
    assert_eq!(page.visible(".up"), 0);
    let height = page.number("document.documentElement.scrollHeight");
    let folded = "[...document.querySelectorAll('main details:not([open])')].length > 0";
    browser.value("dispatchEvent(new Event('afterprint'))");
    assert_eq!(browser.value(folded), true);
    // Cards are broken where a page ends, so that no page is half empty. Sizes are in inches.
    let paper = json!({
        "printBackground": false, "paperWidth": 718.0 / 96.0, "paperHeight": 700.0 / 96.0,
        "marginTop": 0, "marginBottom": 0, "marginLeft": 0, "marginRight": 0,
    });
    let paper = browser.command("Page.printToPDF", &paper);
    let pages = page.number(&format!("atob({}).match(/\\/Type\\s*\\/Page\\b/g).length", paper["data"]));
    assert!(pages > 5 && 100 * 700 * pages < 117 * height, "{pages} pages for {height} pixels");
}

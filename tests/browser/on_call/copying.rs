//! What the buttons of the page copy.

use super::{card, open};
use crate::TARGET_IS_IN_VIEW;

#[test]
fn what_is_read_can_be_copied_as_text() {
    let Some(page) = open("copy") else { return };
    let browser = &page.browser;
    let set_up = || {
        // What a test can't look into.
        browser.value("void Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => { window.copied = text; }}})");
    };
    set_up();
    let copied = |selector: &str| {
        browser.value("window.copied = undefined");
        browser.click(selector);
        browser.wait_until("window.copied !== undefined");
        browser.value("window.copied").as_str().expect("text").to_owned()
    };
    browser.value(
        "[...document.querySelectorAll('details.group')].find((one) => one.textContent.includes('(cashier)')).dataset.test = 'cashier'",
    );
    let stack = copied("[data-test=cashier] .bar button:nth-child(2)");
    let frames: Vec<&str> = stack.lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(
        frames[1].starts_with("on_call::book /") && frames[2].starts_with("on_call::ring_up /"),
        "{stack}"
    );
    assert!(stack.contains("\n    book(*till);\n"), "{stack}");
    let thread = copied("[data-test=cashier] .bar button:nth-child(1)");
    assert!(
        thread.starts_with("Thread #") && thread.contains("(cashier) waiting in on_call::book\nstate = "),
        "{thread}"
    );
    assert!(thread.ends_with(&stack) && !thread.contains("copy"), "{thread}");
    let link = copied("[data-test=cashier] .bar button:nth-child(3)");
    browser.open("about:blank");
    browser.open(&link);
    browser.wait_until(&format!("document.querySelector('.target') === {}", card("(cashier)")));
    browser.wait_until(TARGET_IS_IN_VIEW);
    set_up();
    let whole = copied("#copy");
    assert!(whole.contains(thread.trim_end()), "{whole}");
    // What supports a finding is indented, as in the text.
    let findings = copied("#copy-findings");
    assert!(findings.starts_with("Findings\nerror deadlock: "), "{findings}");
    assert!(findings.contains(" (cashier) waits for the Mutex 0x"), "{findings}");
    for line in findings.lines().skip(1) {
        let is_sentence = ["error ", "warning ", "info "].iter().any(|start| line.starts_with(start));
        assert!(is_sentence || line.starts_with("    "), "{line}: {findings}");
    }
    assert!(whole.contains(&format!("\n\n{findings}")), "{whole}");
    for part in ["\n\nFindings\nerror deadlock: ", "order = 4299", "password: ***\n", "warehouse 8: 13600"] {
        assert!(whole.contains(part), "{part}: {whole}");
    }
    // Of what is filtered, what is shown is copied, and says so.
    page.filter("pool_size");
    page.wait_for_matches("1 of 1");
    let part = copied("#copy");
    assert!(part.starts_with("(only what matches “pool_size”)\n\nGuru Meditation\nshop"), "{part}");
    assert!(part.contains("pool_size: 16") && part.len() < 1000, "{part}");
    assert_eq!(copied("#copy-findings"), findings);
}

#[test]
fn a_button_has_its_label_back_after_it_was_clicked_twice() {
    let Some(page) = open("twice") else { return };
    let browser = &page.browser;
    // The times at which labels change back, which the test does not wait for.
    browser.value(
        "void (() => {
            const real = setTimeout;
            window.held = [];
            window.setTimeout = (act, time) => (time === 1500 ? held.push(act) : real(act, time));
        })()",
    );
    for clicks in 1..=2 {
        browser.click("#copy-findings");
        browser.wait_until(&format!("held.length === {clicks}"));
        assert_eq!(browser.text("#copy-findings"), "copied");
    }
    browser.value("held.forEach((act) => act())");
    assert_eq!(browser.text("#copy-findings"), "copy findings");
}

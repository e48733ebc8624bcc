//! The page as somebody on call reads it: a program with two hundred threads, a deadlock and three
//! hundred requests. At the sizes of a laptop and a phone, in light and dark, on paper, and with
//! the keyboard alone.

mod copying;
mod media;

use serde_json::{Value, json};

use crate::program::program;
use crate::webdriver::Browser;
use crate::{Page, SECTIONS, SIZES, TARGET_IS_IN_VIEW};

/// Keys, as `WebDriver` names them.
const SHIFT: char = '\u{e008}';
const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';
const TAB: char = '\u{e004}';
const DOWN: char = '\u{e015}';
const UP: char = '\u{e013}';

fn open(name: &str) -> Option<Page> {
    Page::of(program!("on_call"), name, |_| ())
}

fn emulate(browser: &Browser, feature: &str, value: &str) {
    let features = json!({"features": [{"name": feature, "value": value}]});
    browser.command("Emulation.setEmulatedMedia", &features);
}

impl Page {
    /// Replaces what is filtered.
    fn filter(&self, text: &str) {
        self.browser.press(&[ESCAPE]);
        self.browser.press(&['/']);
        self.browser.wait_until("document.activeElement.id === 'filter'");
        self.browser.write("#filter", &format!("\u{e009}a\u{e000}{text}"));
        self.browser.wait_until(&format!("document.querySelector('#filter').value === {}", json!(text)));
    }

    fn wait_for_matches(&self, matches: &str) {
        self.browser.wait_until(&format!("document.querySelector('#matches').value === {}", json!(matches)));
    }
}

/// Whether the text of the current match, which is highlighted, is in view and not covered.
fn match_is_in_view(text: &str) -> String {
    let text = json!(text);
    format!(
        "(() => {{
            const [range] = CSS.highlights.get('current');
            if (!range || range.toString().toLowerCase() !== {text}.toLowerCase()) return false;
            // It can be on two lines.
            const box = range.getClientRects()[0], parent = range.startContainer.parentElement;
            const front = document.elementFromPoint(box.left + 2, box.top + box.height / 2);
            return box.top >= 0 && box.bottom <= innerHeight && parent.contains(front);
        }})()"
    )
}

#[test]
fn links_lead_to_what_they_name_below_what_stays_in_view() {
    let Some(page) = open("links") else { return };
    let browser = &page.browser;
    page.lengthen("long.html", SECTIONS);
    for (width, height) in SIZES {
        browser.resize(width, height);
        page.show("long.html");
        let dead = "[...document.links].map((link) => link.hash.slice(1))
            .filter((id) => !document.getElementById(id))";
        assert_eq!(browser.value(dead), json!([]));
        let without_anchor = "document.querySelectorAll('details[data-states]:not([id])').length";
        assert_eq!(browser.value(without_anchor), 0);
        // While something is filtered, the filter stays in view, on a phone above the report.
        page.filter("o");
        browser.value("document.querySelector('#contents').open = true");
        for link in
            ["[...document.querySelectorAll('#contents a')].at(-1)", "document.querySelector('.findings a')"]
        {
            browser.value(&format!("{link}.click()"));
            browser.wait_until(TARGET_IS_IN_VIEW);
        }
        browser.wait_until("location.hash.endsWith('?q=o')");
        // Not in UTF-8, and of nothing.
        for nothing in ["#%E0%A4%A", "#nothing", "#section-0?%E0%A4%A=%"] {
            browser.open("about:blank");
            page.show(&format!("long.html{nothing}"));
            assert_eq!(browser.console(), Vec::<String>::new(), "{nothing}");
            assert_eq!(page.visible(".tools"), 1);
        }
    }
}

#[test]
fn a_filter_goes_to_its_matches() {
    let Some(page) = open("filter") else { return };
    let browser = &page.browser;
    for (width, height) in SIZES {
        browser.resize(width, height);
        page.show("report.html");
        // A label of a task that is not among the first of its group, an option, a value of a
        // section, a function.
        for (text, matches) in [
            ("order = 4299", "1 of 1"),
            ("pool_size", "1 of 1"),
            ("warehouse 3", "1 of 1"),
            ("on_call::close_the_books", "1 of 2"),
            // In a sentence and in a stack, where lines are broken between these names.
            ("programs/on_call.rs:64", "1 of 2"),
        ] {
            page.filter(text);
            page.wait_for_matches(matches);
            browser.wait_until(&match_is_in_view(text));
        }
        page.filter("count_the_till");
        // A finding names it, and it is in the stacks of the auditor and of those that wait.
        page.wait_for_matches("1 of 3");
        for expected in ["2 of 3", "3 of 3", "1 of 3"] {
            browser.press(&[ENTER]);
            page.wait_for_matches(expected);
            browser.wait_until(&match_is_in_view("count_the_till"));
        }
        browser.press(&[SHIFT, ENTER]);
        page.wait_for_matches("3 of 3");
        browser.click("#previous");
        page.wait_for_matches("2 of 3");
        browser.click("#next");
        page.wait_for_matches("3 of 3");
        page.screenshot(&format!("filtered-{width}"));
        // The drawing shows them as well.
        assert!(page.visible(".flame .hit") > 0);
        // The address has it, for whoever gets the link.
        browser.wait_until("location.hash === '#?q=count_the_till'");
        browser.open("about:blank");
        page.show("report.html#?q=count_the_till&state=waiting&libraries=off");
        page.wait_for_matches("1 of 2");
        assert_eq!(page.visible(".lib"), 0);
        page.filter("nowhere to be found");
        page.wait_for_matches("no match");
        // The report is not empty: what is in its place says so.
        let none = browser.text("main");
        let expected = "no match for “nowhere to be found” and “waiting” clear the filter (Esc)";
        assert!(none.contains(expected), "{none}");
        browser.click("#clear");
        page.wait_for_matches("");
        assert_eq!((page.visible("#none"), page.visible(".out")), (0, 0));
        browser.wait_until("document.activeElement.id === 'filter'");
        page.filter("nowhere to be found");
        page.wait_for_matches("no match");
        browser.press(&[ESCAPE]);
        page.wait_for_matches("");
        assert_eq!(page.visible(".out"), 0);
        browser.wait_until("document.querySelector('#filter').value === ''");
        browser.wait_until("location.hash === '#?libraries=off'");
        assert_eq!(browser.value("[...document.querySelectorAll('.out')].length"), 0);
    }
}

#[test]
fn a_link_leads_to_its_target_whatever_is_filtered() {
    let Some(page) = open("unfiltered") else { return };
    let browser = &page.browser;
    let follow = |text: &str| {
        let link = format!("[...document.links].find((one) => one.textContent.includes({}))", json!(text));
        browser.value(&format!("{link}.click()"));
        browser.wait_until(TARGET_IS_IN_VIEW);
    };
    for (width, height) in SIZES {
        browser.resize(width, height);
        page.show("report.html");
        let threads = "[...document.querySelectorAll('section')]
            .find((one) => one.querySelector('h2').textContent === 'Threads')
            .querySelectorAll('details[data-states]:not(.out)').length";
        let all = page.number(threads);
        page.filter("pool_size");
        page.wait_for_matches("1 of 1");
        assert_eq!(page.number(threads), 0);
        // A section is shown with all that is in it.
        follow("Threads");
        page.wait_for_matches("1 of 1; “Threads” is shown unfiltered");
        assert_eq!(page.number(threads), all);
        browser.wait_until("location.hash.endsWith('?q=pool_size')");
        // The filter is as it was.
        browser.press(&['/']);
        browser.press(&[ENTER]);
        browser.wait_until(&match_is_in_view("pool_size"));
        page.filter("pool_siz");
        page.wait_for_matches("1 of 1");
        assert_eq!(page.number(threads), 0);
        // Whoever gets the address sees the same: that of the section is no longer in it.
        browser.wait_until("location.hash === '#?q=pool_siz'");
        let shown = browser.text("#sections");
        browser.open("about:blank");
        page.show("report.html#?q=pool_siz");
        page.wait_for_matches("1 of 1");
        assert_eq!(browser.text("#sections"), shown);
        // It stays when the filter is cleared.
        follow("Threads");
        browser.press(&['/']);
        browser.wait_until("document.activeElement.id === 'filter'");
        browser.press(&[ESCAPE]);
        browser.wait_until("location.hash.startsWith('#section-') && !location.hash.includes('?')");
        page.filter("pool_siz");
        page.wait_for_matches("1 of 1");
        // So is a thread that a finding names.
        follow("(auditor)");
        browser.wait_until("document.querySelector('#matches').value.includes('” is shown unfiltered')");
        assert_eq!(page.number(threads), 1);
        page.filter("nowhere to be found");
        page.wait_for_matches("no match");
        follow("Stock Levels");
        page.wait_for_matches("no match; “Stock Levels” is shown unfiltered");
        assert!(browser.text("main").contains("warehouse 8"));
        // What matches anyhow needs no remark.
        page.filter("(cashier)");
        browser.wait_until("document.querySelector('#matches').value.startsWith('1 of ')");
        browser.value(&format!("location.hash = {}.id", card("(cashier)")));
        browser.wait_until(&format!("document.querySelector('.target') === {}", card("(cashier)")));
        assert_eq!(browser.value("document.querySelector('#matches').value.includes('unfiltered')"), false);
    }
}

#[test]
fn groups_are_titled_by_the_programs_function_and_the_names_of_their_threads() {
    let Some(page) = open("groups") else { return };
    let browser = &page.browser;
    let titles = browser.value("[...document.querySelectorAll('summary')].map((one) => one.textContent)");
    let titles: Vec<&str> = titles.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    for expected in [
        "160 threads: order-* waiting in on_call::wait_for_an_order",
        "12 threads: report-* waiting in on_call::count_the_till",
        "24 threads: bank-* waiting in on_call::ask_the_bank",
    ] {
        assert!(titles.contains(&expected), "{expected}: {titles:?}");
    }
    assert!(titles.iter().any(|title| title.ends_with(" (cashier) waiting in on_call::book")), "{titles:?}");
    // A recursion is one line.
    assert!(browser.text("main").contains("(×184)"));
    // Frames of libraries are dim, and can be hidden.
    let colour = |selector: &str| {
        browser.value(&format!("getComputedStyle(document.querySelector('{selector}')).color"))
    };
    assert_ne!(colour(".stack .lib b"), colour(".stack li:not(.lib) b"));
    let [all, libraries] = [".stack li", ".stack .lib"].map(|selector| page.visible(selector));
    assert!(libraries > 0);
    browser.click("#libraries");
    page.wait_for_visible(".stack li", all - libraries);
    page.wait_for_visible(".stack .lib", 0);
    browser.click("#libraries");
    page.wait_for_visible(".stack li", all);
}

#[test]
fn a_card_shows_the_stack_before_the_tasks_that_have_it() {
    let Some(page) = open("members") else { return };
    let browser = &page.browser;
    for (width, height) in SIZES {
        browser.resize(width, height);
        page.show("report.html");
        // The task that has waited longest, which a finding names.
        let longest = "[...document.querySelectorAll('.findings a')]
            .find((one) => one.textContent.includes('no task for longer'))";
        browser.value(&format!("{longest}.click()"));
        browser.wait_until("document.querySelector('.target')");
        let card = "document.querySelector('.target').closest('details.group')";
        // Its labels are in view, below the stack, without those of a hundred others.
        let target = browser.value("document.querySelector('.target').textContent");
        assert!(target.as_str().is_some_and(|target| target.contains("order = 4")), "{target}");
        // The card says so as well.
        let said = browser.value("document.querySelector('.target').parentElement.textContent");
        let said = said.as_str().expect("text");
        assert!(said.starts_with("longest in this state: #"), "{said}");
        assert_eq!(browser.value(&format!("{card}.querySelector('.members').open")), false);
        browser.wait_until(&format!(
            "(() => {{
                const top = {card}.querySelector('.stack').getBoundingClientRect();
                const labels = document.querySelector('.target').getBoundingClientRect();
                return top.top >= 0 && top.bottom <= labels.top && labels.bottom <= innerHeight;
            }})()"
        ));
        assert_eq!(page.visible(".linked"), 0);
        // Another one of them is found in the list, which then opens. It can be far from the stack:
        // the title of the card is in view, and says which one it is.
        browser.value(&format!("location.hash = {card}.querySelector('.members p > span:last-child').id"));
        browser.wait_until(&format!("{card}.querySelector('.members').open"));
        browser.wait_until(TARGET_IS_IN_VIEW);
        browser.wait_until("document.querySelectorAll('.linked').length === 1");
        let linked = browser.value("document.querySelector('.linked').textContent");
        let target = browser.value("document.querySelector('.target').textContent");
        assert_eq!(linked, format!("linked: {}", target.as_str().expect("a text")));
        browser.wait_until(&format!(
            "(() => {{
                const place = {card}.querySelector('.stack').getBoundingClientRect();
                return place.top >= 0 && place.top < innerHeight;
            }})()"
        ));
        page.screenshot(&format!("linked-{width}"));
        // It is not said of the next target.
        browser.value("location.hash = 'findings'");
        browser.wait_until("document.querySelectorAll('.linked').length === 0");
    }
    // So it is with threads.
    let above =
        "[...document.querySelectorAll('details.group:is([id^=threads-], [id^=tasks-])')].map((one) =>
        one.querySelector('.stack').compareDocumentPosition(one.querySelector('.members')))";
    let order = browser.value(above);
    let order = order.as_array().expect("a list");
    assert!(order.len() > 3 && order.iter().all(|place| *place == 4), "{order:?}");
}

/// The group with this in its title.
fn card(title: &str) -> String {
    format!(
        "[...document.querySelectorAll('details.group')]
            .find((one) => one.querySelector('.title').textContent.includes({}))",
        json!(title)
    )
}

#[test]
fn cards_name_the_findings_about_a_thread_and_the_locks_between_threads() {
    let Some(page) = open("locks") else { return };
    let browser = &page.browser;
    let about = |title: &str| {
        let lines = format!("[...{}.querySelectorAll('.about')].map((one) => one.textContent)", card(title));
        let lines = browser.value(&lines);
        let lines = lines.as_array().expect("a list").iter().filter_map(Value::as_str);
        lines.map(str::to_owned).collect::<Vec<String>>()
    };
    let deadlock = browser.value("document.querySelector('.findings .error > .headline').textContent");
    let deadlock = format!("error: {}", deadlock.as_str().expect("the deadlock is found"));
    // Of those in the deadlock, and of those that wait for one of them.
    for title in ["(cashier)", "(auditor)", "report-*"] {
        assert!(about(title).contains(&deadlock), "{title}: {:?}", about(title));
    }
    assert_eq!(about("order-*"), Vec::<String>::new());
    let said = |title: &str, parts: &[&str]| {
        let lines = about(title);
        assert!(lines.iter().any(|line| parts.iter().all(|part| line.contains(part))), "{title}: {lines:?}");
    };
    said("(cashier)", &["waits for the Mutex 0x", "which #", "(auditor) holds"]);
    said("(cashier)", &["holds the Mutex 0x", "for which 13 threads wait: #", " more"]);
    said("(auditor)", &["holds the Mutex 0x", "for which #", "(cashier) waits"]);
    said("report-*", &["all wait for the Mutex 0x", "which #", "(cashier) holds"]);
    // All that wait are named, below a line that can be unfolded.
    said("(cashier)", &["(report-0)", "(report-5)", "(report-11)"]);
    let unfolded = format!("{}.querySelector('.about details').open", card("(cashier)"));
    assert_eq!(browser.value(&unfolded), false);
    // The sentence leads to each thread that it names.
    for name in ["(auditor)", "(cashier)"] {
        let link = format!(
            "[...document.querySelectorAll('.findings .error .headline a')]
                .find((one) => one.textContent.endsWith({}))",
            json!(name)
        );
        browser.value(&format!("{link}.click()"));
        browser.wait_until(&format!("document.querySelector('.target') === {}", card(name)));
        browser.wait_until(TARGET_IS_IN_VIEW);
    }
    // What a card says of locks is found.
    page.filter("holds the Mutex");
    let found = "document.querySelectorAll('details[data-states]:not(.out)').length";
    browser.wait_until(&format!("{found} === 2"));
    page.filter("for which 13 threads wait");
    browser.wait_until(&format!("{found} === 1"));
    browser.wait_until(&match_is_in_view("for which 13 threads wait"));
    browser.press(&[ESCAPE]);
    // The links lead there.
    let links = format!("[...{}.querySelectorAll('.about:not(.error) a')]", card("report-*"));
    browser.value(&format!("{links}.find((one) => one.textContent.includes('(cashier)')).click()"));
    browser.wait_until(TARGET_IS_IN_VIEW);
    browser.wait_until(&format!("document.querySelector('.target') === {}", card("(cashier)")));
    browser.value(&format!("{}.querySelector('.about.error a').click()", card("(cashier)")));
    browser.wait_until("document.querySelector('.target')?.matches('.findings > .error')");
    browser.wait_until(TARGET_IS_IN_VIEW);
    // Who looks for a thread finds what is about it first, then the cards that name it: of the one
    // that waits for it, and of those that a finding names with it.
    let all_name = |name: &str| {
        format!(
            "[...document.querySelectorAll('details[data-states]')]
                .every((one) => one.classList.contains('out') !== one.textContent.includes({}))",
            json!(name)
        )
    };
    for (name, matches) in [
        ("(cashier)", &["1 of 4", "2 of 4", "3 of 4, mentioned", "4 of 4, mentioned"][..]),
        ("(report-0)", &["1 of 2", "2 of 2, mentioned"]),
        // Folded, below the first three.
        ("(report-11)", &["1 of 2", "2 of 2, mentioned"]),
    ] {
        page.filter(name);
        for (place, expected) in matches.iter().enumerate() {
            if place > 0 {
                browser.press(&[ENTER]);
            }
            page.wait_for_matches(expected);
            browser.wait_until(&match_is_in_view(name));
        }
        browser.wait_until(&all_name(name));
    }
}

#[test]
fn words_that_are_nowhere_together_are_found_apart() {
    let Some(page) = open("words") else { return };
    let browser = &page.browser;
    for (words, matches, current) in [
        // In a finding and on a card.
        ("close_the_books count_the_till", "1 of 2 with all words", "close_the_books"),
        // In two cells of a row.
        ("warehouse 13600", "1 of 1 with all words", "warehouse"),
        // In a line of a list, which has others.
        ("libc.so.6 linux-gnu", "1 of 1 with all words", "libc.so.6"),
        ("libc.so.6 libm.so.6", "no match", ""),
    ] {
        page.filter(words);
        page.wait_for_matches(matches);
        if !current.is_empty() {
            browser.wait_until(&match_is_in_view(current));
        }
    }
}

#[test]
fn the_drawing_is_read_with_the_keyboard() {
    let Some(page) = open("drawing") else { return };
    let browser = &page.browser;
    browser.value("document.querySelector('.flame button').focus()");
    let focused = "document.activeElement.title";
    let level = "Number(document.activeElement.style.getPropertyValue('--y'))";
    let width = "document.activeElement.getBoundingClientRect().width";
    assert_eq!(browser.value(level), 0);
    for depth in 1..=2 {
        browser.press(&[DOWN]);
        browser.wait_until(&format!("{level} === {depth}"));
    }
    // What the width means, and how to zoom out, is read out with the drawing.
    let described = browser.value(
        "document.querySelector('.flame').getAttribute('aria-describedby').split(' ')
            .map((id) => document.getElementById(id).textContent).join(' ')",
    );
    let described = described.as_str().expect("text");
    for part in ["as wide as the number of threads and tasks", "The whole width is 5", "To zoom out, "] {
        assert!(described.contains(part), "{part}: {described}");
        assert!(browser.text("#stacks").contains(part), "{part} cannot be seen");
    }
    // What has the focus is read out.
    let title = browser.value(focused);
    assert!(title.as_str().is_some_and(|title| title.contains(" stacks, ")), "{title}");
    assert_eq!(browser.value("document.querySelector('#frame').textContent"), title);
    let before = browser.value(width);
    browser.press(&[ENTER]);
    browser.wait_until(&format!("{width} > 1.5 * {before}"));
    browser.press(&[UP]);
    browser.wait_until(&format!("{level} === 1"));
    browser.press(&[DOWN]);
    browser.press(&[ESCAPE]);
    browser.wait_until(&format!("{width} === {before}"));
    // One key leaves it.
    browser.press(&[TAB]);
    browser.wait_until("!document.activeElement.closest('.flame')");
    // Each frame is as wide as its share, whatever its name ends in.
    let shares = "[...document.querySelectorAll('.flame button')].every((one) => {
        const share = Number(one.style.getPropertyValue('--w')) / Number(one.parentElement.style.getPropertyValue('--all'));
        return Math.abs(share * one.parentElement.clientWidth - one.getBoundingClientRect().width) < 1;
    })";
    assert_eq!(browser.value(shares), true);
}

#[test]
fn the_findings_are_what_the_keyboard_reaches_first() {
    let Some(page) = open("keyboard") else { return };
    let browser = &page.browser;
    let is_in_view = "(() => {
        const box = document.activeElement.getBoundingClientRect();
        return box.width > 20 && box.top >= 0 && box.bottom <= innerHeight;
    })()";
    let first = "document.activeElement === document.querySelector('.findings a')";
    for (width, height) in SIZES {
        browser.resize(width, height);
        page.show("report.html");
        browser.press(&[TAB]);
        browser.wait_until(&format!("document.activeElement.matches('.skip') && {is_in_view}"));
        browser.press(&[TAB]);
        browser.wait_until(&format!("{first} && {is_in_view}"));
        // A link is out of view while it does not have the focus.
        assert_eq!(browser.value("document.querySelector('.skip').getBoundingClientRect().width <= 1"), true);
        browser.open("about:blank");
        page.show("report.html");
        browser.press(&[TAB]);
        browser.press(&[ENTER]);
        // Without it, the findings come next.
        browser.wait_until("location.hash === '#controls'");
        browser.wait_until(TARGET_IS_IN_VIEW);
        browser.press(&[TAB]);
        browser.wait_until(&format!("document.activeElement.id === 'filter' && {is_in_view}"));
        // From the last of them, it goes on to the filter.
        browser.value("[...document.querySelectorAll('.findings a')].at(-1).focus()");
        browser.press(&[TAB]);
        browser.wait_until("document.activeElement.id === 'filter'");
    }
}

#[test]
fn all_findings_are_on_the_first_screen_of_a_terminal() {
    let Some(page) = open("screen") else { return };
    let report = page.report();
    let text = gmr::Report::from_json(&report.to_string()).expect("a report").to_text();
    let screen: Vec<&str> = text.lines().take(24).collect();
    let findings = report["findings"].as_array().expect("a list");
    assert!(findings.len() > 3, "{findings:?}");
    for finding in findings {
        let (severity, message) =
            (finding["severity"].as_str().unwrap(), finding["message"].as_str().unwrap());
        let line = format!("{severity}: {message}");
        assert!(screen.iter().any(|shown| shown.starts_with(&line)), "{line}: {screen:#?}");
    }
}

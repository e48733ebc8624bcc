//! The page with the report itself: saved as JSON, and compared with other reports, which can be
//! anybody's.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Program, program};
use crate::webdriver::ELEMENT;
use crate::{Page, report_in, write_report};

impl Page {
    /// Chooses this file to compare with, and returns what the page says.
    fn compare(&self, file: &Path) -> String {
        let browser = &self.browser;
        browser.value("document.querySelector('#comparison')?.remove()");
        let file = file.display().to_string();
        let found = browser.value("document.querySelector('#other')");
        browser.type_into(found[ELEMENT].as_str().expect("an element"), &file);
        browser.wait_until("document.activeElement.closest('#comparison')");
        browser.text("#comparison")
    }
}

#[test]
fn two_reports_of_a_process_are_compared() {
    let Some(page) = Page::of(program!("on_call"), "compare", |_| ()) else { return };
    let mut program = Program::start(program!("on_call"));
    let folders = ["earlier", "later"].map(|name| page.folder.join(name));
    for folder in &folders {
        fs::create_dir_all(folder).expect("a folder");
        assert_eq!(program.ask(&folder.display().to_string()), "written");
    }
    // Some threads end, and others start.
    let [earlier, later] = folders.map(|folder| folder.join("report.json"));
    let mut changed: Value = serde_json::from_slice(&fs::read(&earlier).unwrap()).unwrap();
    let mut threads = changed["sections"].as_array_mut().expect("sections").iter_mut();
    let threads = threads.find(|section| section["content"]["kind"] == "threads").expect("Threads");
    let threads = threads["content"]["data"]["threads"].as_array_mut().expect("threads");
    let named =
        |threads: &[Value], name: &str| threads.iter().position(|one| one["name"] == name).expect("a thread");
    let pricing = named(threads, "pricing");
    threads[pricing]["tid"] = json!(4_000_000_000_u32);
    threads[pricing]["name"] = json!("\u{202e}<img src=x onerror=alert(1)>");
    let bank = named(threads, "bank-7");
    threads[bank]["cpu_user_ms"] = json!(4711);
    fs::write(&earlier, changed.to_string()).unwrap();

    page.show("later/report.html");
    let said = page.compare(&earlier);
    for expected in [
        "s before this report",
        "160 of: 160 threads: order-* waiting in on_call::wait_for_an_order",
        "23 of: 24 threads: bank-* waiting in on_call::ask_the_bank",
        "300 tasks unchanged: the same stack and number of polls in both",
        "(bank-7)",
        "(\\u{202e}<img src=x onerror=alert(1)>)",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let (new, gone) =
        said.split_once(" new\n").expect("some are new").1.split_once(" gone\n").expect("some are gone");
    assert!(new.contains("(pricing)") && gone.contains("<img") && !gone.contains("(pricing)"), "{said}");
    page.screenshot("comparison");
    let browser = &page.browser;
    let dead = "[...document.links].filter((link) => !document.getElementById(link.hash.slice(1))).length";
    assert_eq!(browser.value(dead), 0);
    // The page of a later one is read as well.
    page.show("earlier/report.html");
    let said = page.compare(&later.with_extension("html"));
    assert!(said.contains("s after this report") && said.contains("300 tasks unchanged"), "{said}");
    // What is saved is the report.
    browser.value("void (URL.createObjectURL = (blob) => { blob.text().then((text) => { window.saved = text; }); return '#'; })");
    browser.click("#download");
    browser.wait_until("window.saved");
    let saved = browser.value("window.saved");
    let saved = gmr::Report::from_json(saved.as_str().expect("text")).expect("a report");
    assert_eq!(saved.heading.number, 1);
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn a_report_of_another_process_is_compared_by_names_and_stacks() {
    let Some(page) = Page::of(program!("on_call"), "another", |_| ()) else { return };
    let another = page.folder.join("another");
    fs::create_dir_all(&another).expect("a folder");
    write_report(program!("on_call"), &another);
    let file = another.join("report.json");
    let said = page.compare(&file);
    for expected in [
        "It is of another process, or of an earlier run: shop 4.2.0 process ",
        "Compared are names, without the number at their end, and the functions of stacks, without lines.",
        "160 here, 160 there: order-* in on_call::wait_for_an_order",
        "1 here, 1 there: cashier in on_call::book",
        "200 here, 200 there: shop::checkout in on_call::charge_card",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("unchanged"), "{said}");
    // gmr's own threads tell nothing of the program.
    assert!(!said.contains("gmr "), "{said}");
    // One of a process with fewer threads, and with another one.
    let mut changed = report_in(&another);
    let mut sections = changed["sections"].as_array_mut().expect("sections").iter_mut();
    let threads = sections.find(|section| section["content"]["kind"] == "threads").expect("Threads");
    let threads = threads["content"]["data"]["threads"].as_array_mut().expect("threads");
    threads.retain(|thread| !thread["name"].as_str().expect("text").starts_with("order-1"));
    let pricing = threads.iter_mut().find(|thread| thread["name"] == "pricing").expect("a thread");
    pricing["name"] = json!("\u{202e}<b>discounts");
    fs::write(&file, changed.to_string()).unwrap();
    let said = page.compare(&file);
    assert!(said.contains("160 here, 89 there: order-* in on_call::wait_for_an_order"), "{said}");
    let (both, alone) = said.split_once(" in this report alone\n").expect("some are here alone");
    let (here, there) = alone.split_once(" in the other report alone\n").expect("and some there");
    assert!(here.contains("1: pricing in on_call::price_of_a_bundle"), "{said}");
    assert!(there.contains("1: \\u{202e}<b>discounts in on_call::price_of_a_bundle"), "{said}");
    assert!(!both.contains("price_of_a_bundle"), "{said}");
    let browser = &page.browser;
    let dead = "[...document.links].filter((link) => !document.getElementById(link.hash.slice(1))).length";
    assert_eq!(browser.value(dead), 0);
    assert_eq!(browser.console(), Vec::<String>::new());
}

#[test]
fn a_file_that_is_compared_does_nothing_else() {
    let Some(page) = Page::open("foreign", |_| ()) else { return };
    let browser = &page.browser;
    let own = page.report();
    let heading = &own["heading"];
    let file = page.folder.join("<b onclick=alert(1)>.json");
    let of = |value: &Value| -> Vec<Value> {
        let content = |kind: &str, data: &Value| json!({"content": {"kind": kind, "data": data}});
        vec![
            value.clone(),
            json!({"heading": value}),
            json!({"heading": heading, "sections": value, "frames": value}),
            json!({"heading": heading, "sections": [value, {"content": value}, content("threads", value), content("green_threads", value)]}),
            json!({"heading": heading, "sections": [content("threads", &json!({"threads": [value, {"tid": value, "stack": value}, {"tid": 1, "stack": {"frames": value}}]}))], "frames": [value]}),
        ]
    };
    let values = [
        json!(null),
        json!(-1e300),
        json!("<script>alert(1)</script>"),
        json!([[]]),
        json!({"length": 1e9, "__proto__": {"x": 1}}),
    ];
    let documents = values.iter().flat_map(of).map(|document| document.to_string());
    let pages =
        ["", "id=\"report\">", "id=\"report\">{", "id=\"report\"><script>", "\u{0}"].map(str::to_owned);
    for document in documents.chain(pages) {
        fs::write(&file, &document).expect("a file");
        let said = page.compare(&file);
        assert!(said.contains("<b onclick=alert(1)>.json"), "{document}: {said}");
        assert_eq!(browser.console(), Vec::<String>::new(), "{document}");
        assert_eq!(browser.value("document.querySelectorAll('#comparison :is(b, img, script)').length"), 0);
        assert_eq!(browser.value("({}).x === undefined"), true);
    }
}

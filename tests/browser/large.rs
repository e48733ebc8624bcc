//! The page of a process with ten thousand threads: complete, and small enough for a browser. How
//! fast it is depends on the machine, so this is printed and not judged:
//! `cargo test -p gmr-tests --test browser --release -- large --nocapture`

use std::fs::{self, File};

use serde_json::{Value, json};

use crate::Page;

const THREADS: usize = 10_000;
const STACKS: usize = 5_000;
const DEPTH: usize = 30;

/// The report with other threads: each stack is that of two.
fn enlarge(mut report: Value) -> Value {
    let frame = |index: usize| {
        json!({
            "address": 0x1000 + index, "function": format!("shop::module{}::function_{index}", index % 97),
            "file": format!("/srv/shop/src/module{}.rs", index % 97), "line": 1 + index % 900,
            "source": format!("do_something({index});"), "inlined": false, "module": "/usr/bin/shop",
            "module_offset": index, "build_id": "ab",
        })
    };
    report["frames"] = (0..STACKS).map(frame).collect();
    report["findings"] = json!([]);
    let sections = report["sections"].as_array_mut().expect("a list");
    sections.retain(|section| {
        ["threads", "package"].contains(&section["content"]["kind"].as_str().unwrap_or_default())
    });
    let threads =
        sections.iter_mut().find(|section| section["content"]["kind"] == "threads").expect("Threads");
    let threads = &mut threads["content"]["data"]["threads"];
    let like = threads
        .as_array()
        .expect("a list")
        .iter()
        .find(|thread| thread["role"] == "program")
        .expect("one")
        .clone();
    let thread = |index: usize| {
        let mut thread = like.clone();
        let stack = index % STACKS;
        let inner = (1..DEPTH).map(|level| (stack * 7 + level * 13) % STACKS);
        thread["tid"] = json!(20_000 + index);
        thread["name"] = json!(format!("worker-{index}"));
        thread["stack"]["frames"] = [stack].into_iter().chain(inner).collect();
        thread
    };
    *threads = (0..THREADS).map(thread).collect();
    report
}

#[test]
fn a_large_page_is_complete_and_can_be_filtered() {
    let Some(page) = Page::open("large", |_| ()) else { return };
    let browser = &page.browser;
    let report = gmr::Report::from_json(&enlarge(page.report()).to_string()).expect("it is a report still");
    let file = page.folder.join("large.html");
    report.write_to(File::create(&file).expect("a file"), gmr::Format::Html).expect("it can be written");
    let bytes = fs::metadata(&file).expect("a file").len();
    assert!(bytes <= 5_000_000, "{bytes}");
    page.show("large.html");
    browser.wait_until("document.readyState === 'complete' && !document.querySelector('.tools').hidden");
    assert_eq!(page.number("document.querySelectorAll('details[data-states]').length"), STACKS as u64);
    // The report itself would be too much.
    assert_eq!(page.visible("#download"), 0);
    let loaded = browser.value("Math.round(performance.getEntriesByType('navigation')[0].loadEventEnd)");
    println!("{bytes} bytes, loaded in {loaded} ms");
    for (text, matches) in [
        ("worker-9999", "1 of 1"),
        ("function_77::", "no match"),
        ("worker-7", "1 of 1111"),
        ("worker", "1 of 5000"),
        ("", ""),
    ] {
        let took = browser.value(&format!(
            "(() => {{
                const filter = document.querySelector('#filter'), before = performance.now();
                filter.value = {};
                filter.dispatchEvent(new Event('input'));
                document.body.offsetHeight;
                return Math.round(performance.now() - before);
            }})()",
            json!(text)
        ));
        browser.wait_until(&format!("document.querySelector('#matches').value === {}", json!(matches)));
        println!("filtered by {text:?} in {took} ms");
    }
}

//! Documents that somebody else has made to be expensive: what is read is bounded, and so is what
//! is written. Work is counted, not timed.

use scraper::{Html, Selector};
use serde_json::{Value, json};

use crate::model::{Content, Report, Task, TaskState};
use crate::views::grouping;
use crate::views::room::{MAX_PAGE, MAX_ROWS, MAX_TEXT};

/// What a page has besides its rows: style, scripts, drawing.
const PAGE: usize = MAX_PAGE + (1 << 20);

fn document(content: &Value, frames: &Value) -> String {
    let heading = json!({ "number": 1, "made_at": "", "pid": 7, "trigger": { "kind": "api" }, "notes": [] });
    let section = json!({ "title": "A Section", "took_us": 5, "content": content });
    let summary = json!({ "number": 1, "sections": 1, "failed": 0, "threads": 0, "took_us": 5 });
    let document = json!({
        "schema_version": "1.3", "heading": heading, "sections": [section], "frames": frames, "summary": summary,
    });
    document.to_string()
}

fn read(content: &Value, frames: &Value) -> Report {
    Report::from_json(&document(content, frames)).expect("it is a report")
}

fn refused(content: &Value) -> String {
    Report::from_json(&document(content, &json!([{ "address": 1, "inlined": false }])))
        .unwrap_err()
        .to_string()
}

fn frame(address: u64, function: &str) -> Value {
    json!({ "address": address, "function": function, "inlined": false })
}

fn thread(tid: usize, frames: &[usize]) -> Value {
    json!({ "tid": tid, "name": "a", "role": "program", "stack": { "frames": frames } })
}

fn task(id: usize, state: &Value, stacks: &[&[usize]]) -> Value {
    let stacks: Vec<Value> = stacks.iter().map(|frames| json!({ "frames": frames })).collect();
    json!({
        "id": id, "name": format!("task {id}"), "spawned_at": "a.rs:1:1", "age_ms": 1, "polls": 1, "labels": [],
        "state": state, "stacks": stacks,
    })
}

fn tasks(tasks: &[Value]) -> Value {
    json!({ "kind": "green_threads", "data": { "tasks": tasks, "runtimes": [], "notes": [] } })
}

fn waiting() -> Value {
    json!({ "kind": "waiting", "waiting_ms": 1 })
}

/// Both views stay within their limits, and say what they leave out.
fn is_cut(report: &Report, note: &str) {
    let (text, page) = (report.to_text(), report.to_html());
    assert!(text.len() < MAX_TEXT + (8 << 20), "{} bytes of text", text.len());
    assert!(text.contains(note), "no {note:?} in {} bytes of text", text.len());
    assert!(page.len() < PAGE + (1 << 20), "{} bytes of page", page.len());
    assert!(page.contains(" not shown)"), "no note in {} bytes of page", page.len());
}

#[test]
fn an_impossible_index_or_depth_is_refused_with_its_place() {
    let process = |depth: u64| {
        json!({ "kind": "processes", "data": { "processes": [
            { "pid": 1, "parent_pid": 0, "depth": depth, "command": ["x"] },
        ] } })
    };
    let depth = 1_u64 << 62;
    let place = "at /sections/0/content/data/processes/0/depth";
    assert_eq!(refused(&process(depth)), format!("not a report: depth {depth} is more than 4194304 {place}"));
    // A depth that is possible is shown as 32 levels.
    let deep = read(&process(1 << 22), &json!([]));
    assert!(deep.to_text().contains(&format!("\n{}process = 1\n", " ".repeat(64))), "{deep}");
    assert!(deep.to_html().contains("margin-left:64em"));

    let threads = |frames: &[usize]| json!({ "kind": "threads", "data": { "threads": [thread(1, &[]), thread(2, frames)], "notes": [] } });
    let expected = "not a report: a stack refers to frame 1, but there are 1 frames \
                    at /sections/0/content/data/threads/1/stack/frames/2";
    assert_eq!(refused(&threads(&[0, 0, 1])), expected);
    let mut of_runtime = task(1, &waiting(), &[]);
    of_runtime["runtime"] = json!(0);
    let expected = "not a report: a task refers to runtime 0, but there are 0 runtimes \
                    at /sections/0/content/data/tasks/0/runtime";
    assert_eq!(refused(&tasks(&[of_runtime])), expected);
    let panicked = json!({ "kind": "panicked", "data": { "message": "", "stack": { "frames": [7] } } });
    let group = json!({ "kind": "configuration", "data": [{ "title": "", "content": panicked }] });
    let expected = "at /sections/0/content/data/0/content/data/stack/frames/0";
    assert!(refused(&group).ends_with(expected), "{}", refused(&group));
}

#[test]
fn sums_do_not_overflow() {
    let most = u64::MAX;
    let woken = json!({ "kind": "woken", "woken_ms": most, "waiting_ms": most });
    let runtime = json!({
        "kind": "tokio", "workers": most, "alive_tasks": most, "untracked_tasks": most, "queued_tasks": most,
        "worker_busy_ms": [most, most],
    });
    let content = json!({ "kind": "green_threads", "data": {
        "tasks": [task(1, &woken, &[]), task(2, &woken, &[])], "runtimes": [runtime, runtime], "notes": [],
    } });
    let report = read(&content, &json!([]));
    assert!(report.to_text().contains("18446744073709551615 of the runtimes' tasks"), "{report}");
    let mut busy = thread(1, &[]);
    busy["cpu_user_ms"] = json!(most);
    busy["cpu_system_ms"] = json!(most);
    let content = json!({ "kind": "threads", "data": { "threads": [busy, busy], "notes": [] } });
    assert!(read(&content, &json!([])).to_html().contains("2 threads"));
}

#[test]
fn equal_frames_in_a_row_are_shown_once() {
    let stack = [vec![0], vec![1; 184], vec![2]].concat();
    let frames = json!([frame(1, "shop::pay"), frame(2, "shop::walk"), frame(3, "shop::main")]);
    let content = json!({ "kind": "threads", "data": { "threads": [thread(1, &stack)], "notes": [] } });
    let report = read(&content, &frames);
    let text = report.to_text();
    assert!(text.contains("0x1 in shop::pay\n0x2 in shop::walk (×184)\n0x3 in shop::main\n"), "{text}");
    assert!(!text.contains("omitted"), "no frame is missing: {text}");
    assert!(report.to_html().contains("<b>shop::walk</b> (×184)"), "{}", report.to_html());
    let report = read(&tasks(&[task(1, &waiting(), &[&stack])]), &frames);
    assert!(report.to_text().contains("0x1 in shop::pay\n0x2 in shop::walk (×184)\n"), "{report}");
}

#[test]
fn frames_of_many_stacks_are_cut() {
    let name = "x".repeat(4 << 10);
    let frames = json!([frame(1, &name), frame(2, &name)]);
    // A recursion of two functions, in 500 tasks of 1,000 frames.
    let stack: Vec<usize> = (0..1000).map(|index| index % 2).collect();
    let all: Vec<Value> = (1..=500).map(|id| task(id, &waiting(), &[&stack])).collect();
    is_cut(&read(&tasks(&all), &frames), "more tasks are not shown)");
    let other: Vec<usize> = stack.iter().map(|index| 1 - index).collect();
    let branches: Vec<&[usize]> = [&stack[..], &other].into_iter().cycle().take(400).collect();
    is_cut(&read(&tasks(&[task(1, &waiting(), &branches)]), &frames), "more branches are not shown)");
    let threads: Vec<Value> =
        (0..400).map(|tid| thread(tid, &[&stack[..], &[1][..tid % 2], &vec![0; tid]].concat())).collect();
    let content = json!({ "kind": "threads", "data": { "threads": threads, "notes": [] } });
    is_cut(&read(&content, &frames), "more threads are not shown)");
}

#[test]
fn the_name_of_a_frame_is_cut_between_characters() {
    let frames = json!([frame(1, &"ü".repeat(1025)), frame(2, &format!("a{}", "ü".repeat(1024)))]);
    let content = json!({ "kind": "threads", "data": { "threads": [thread(1, &[0, 1])], "notes": [] } });
    let text = read(&content, &frames).to_text();
    assert!(text.contains(&format!("0x1 in {}... (2 more bytes)\n", "ü".repeat(1024))), "{text}");
    assert!(text.contains(&format!("0x2 in a{}... (2 more bytes)\n", "ü".repeat(1023))), "{text}");
}

/// How many stacks are compared when all of them are grouped.
fn compared(threads: &[Value], frames: &Value) -> usize {
    let content = json!({ "kind": "threads", "data": { "threads": threads, "notes": [] } });
    let report = read(&content, frames);
    grouping::COMPARED.take();
    assert!(report.to_text().ends_with("====\n"));
    grouping::COMPARED.take()
}

#[test]
fn stacks_are_grouped_by_more_than_their_addresses() {
    const THREADS: usize = 20_000;
    let frames: Vec<Value> = (0..THREADS).map(|number| frame(1, &format!("function {number}"))).collect();
    let threads: Vec<Value> = (0..THREADS).map(|number| thread(number, &[number])).collect();
    let different = compared(&threads, &json!(frames));
    // Those whose hashes are alike in part are compared.
    assert!(different < THREADS, "{different} comparisons of stacks that differ");
    let alike: Vec<Value> = (0..1000).map(|number| thread(number, &[0])).collect();
    assert_eq!(compared(&alike, &json!(frames)), 999);
    // Frames that are the same, but not the same frame of the document.
    let frames = json!([frame(1, "same"), frame(1, "same")]);
    let content =
        json!({ "kind": "threads", "data": { "threads": [thread(1, &[0]), thread(2, &[1])], "notes": [] } });
    assert!(read(&content, &frames).to_text().contains(" 2 threads with the same stack "));
}

#[test]
fn a_section_of_a_million_rows_is_cut_with_a_count() {
    // A million rows take a minute to build without optimization, except those that are numbers.
    const ROWS: usize = 100_000;
    let numbers = format!("[{}70000]", "70000,".repeat(999_999));
    let million =
        document(&json!({ "kind": "fields", "data": "ROWS" }), &json!([])).replace("\"ROWS\"", &numbers);
    let million = Report::from_json(&million).expect("it is a report");
    for view in [million.to_text(), million.to_html()] {
        assert!(view.contains("(990000 more items are not shown)") && view.len() < PAGE);
    }
    let list = |kind: &str, rest: Value, name: &str, row: &str| {
        let rows = format!("[{}{row}]", format!("{row},").repeat(ROWS - 1));
        let mut data = rest;
        data[name] = json!("ROWS");
        let content = json!({ "kind": kind, "data": data });
        Report::from_json(&document(&content, &json!([])).replace("\"ROWS\"", &rows)).expect("it is a report")
    };
    let process = r#"{"pid":1,"parent_pid":0,"depth":0,"command":[]}"#;
    let variable = r#"{"name":"a","value":"b"}"#;
    let event = r#"{"time":"","fields":{},"tid":1}"#;
    for (report, rows) in [
        (list("processes", json!({}), "processes", process), "processes"),
        (list("environment", json!({ "notes": [] }), "variables", variable), "lines"),
        (list("events", json!({ "warnings": 0, "others": 0, "notes": [] }), "events", event), "events"),
        (list("fields", json!({}), "list", "7"), "items"),
        (list("fields", json!({}), "list", "[]"), "items"),
    ] {
        let note = format!("({} more {rows} are not shown)", ROWS - MAX_ROWS);
        let (text, page) = (report.to_text(), report.to_html());
        // A map's one entry is a row, too.
        let one_less = format!("({} more {rows} are not shown)", ROWS - MAX_ROWS + 1);
        assert!(text.contains(&note) || text.contains(&one_less), "{rows}: {}", &text[text.len() - 300..]);
        assert!(page.contains(&note) || page.contains(&one_less), "{rows}: {}", &page[page.len() - 300..]);
        assert!(text.lines().count() < 2 * MAX_ROWS + 100, "{rows}: {}", text.lines().count());
        assert!(page.len() < PAGE, "{rows}: {} bytes of page", page.len());
    }
    let text = "a line\n".repeat(ROWS);
    let report = read(&json!({ "kind": "text", "data": text }), &json!([]));
    let note = format!("({} more lines are not shown)", ROWS - MAX_ROWS);
    assert!(report.to_text().contains(&note) && report.to_html().contains(&note));
}

#[test]
fn groups_are_in_blocks_which_end_with_them() {
    let count = |page: &str, selector: &str| {
        Html::parse_document(page).select(&Selector::parse(selector).unwrap()).count()
    };
    for (groups, blocks) in [(50, 0), (51, 1), (100, 1), (101, 2), (170, 3)] {
        let frames: Vec<Value> = (0..groups).map(|number| frame(number, &format!("f{number}"))).collect();
        let stacks = || (0..usize::try_from(groups).unwrap()).map(|number| (number + 1, [number]));
        let threads: Vec<Value> = stacks().map(|(tid, stack)| thread(tid, &stack)).collect();
        let tasks = tasks(&stacks().map(|(id, stack)| task(id, &waiting(), &[&stack])).collect::<Vec<_>>());
        for content in [json!({ "kind": "threads", "data": { "threads": threads, "notes": [] } }), tasks] {
            let page = read(&content, &json!(frames)).to_html();
            assert_eq!(count(&page, "section > .block"), blocks, "{groups}");
            assert_eq!(count(&page, "section > details"), 50, "{groups}");
            assert_eq!(count(&page, "section > .block > details"), usize::try_from(groups).unwrap() - 50);
            assert_eq!(count(&page, "footer"), count(&page, "body > footer"));
        }
    }
    let threads: Vec<Value> = (0..MAX_ROWS + 7).map(|tid| thread(tid, &[tid])).collect();
    let frames: Vec<Value> = (0..).take(MAX_ROWS + 7).map(|number| frame(number, "f")).collect();
    let content = json!({ "kind": "threads", "data": { "threads": threads, "notes": [] } });
    let page = read(&content, &json!(frames)).to_html();
    assert!(count(&page, "section > .block") > 100);
    let (page, note) = (Html::parse_document(&page), Selector::parse("section > .note").unwrap());
    let notes: Vec<String> = page.select(&note).map(|note| note.text().collect()).collect();
    assert!(notes.iter().any(|note| note.ends_with("more threads are not shown)")), "{notes:?}");
}

#[test]
fn many_sections_and_findings_are_cut() {
    let mut report = read(&json!({ "kind": "nothing" }), &json!([frame(1, &"x".repeat(4 << 10))]));
    report.sections = vec![report.sections[0].clone(); 2000];
    let evidence = json!({ "message": "", "frame": 0 });
    let finding = json!({
        "code": "a", "severity": "info", "message": "x", "threads": [], "tasks": [], "section": "none",
        "evidence": vec![evidence; 10_000],
    });
    report.findings = serde_json::from_value(json!(vec![finding; 20])).expect("findings");
    is_cut(&report, "(19 more findings are not shown)");
    assert!(report.to_html().contains("(1800 more sections are not shown)"));
}

#[test]
fn a_task_is_ordered_by_a_time_that_does_not_overflow() {
    let report = read(&tasks(&[task(1, &waiting(), &[])]), &json!([]));
    let Content::GreenThreads(section) = &report.sections[0].content else { panic!("no tasks") };
    let woken = TaskState::Woken { woken_ms: u64::MAX, waiting_ms: 1 };
    assert_eq!(grouping::time_in_state(&Task { state: woken, ..section.tasks[0].clone() }), u64::MAX);
}

#[test]
fn text_counts_as_long_as_it_is_on_the_page() {
    // Four times as long.
    let text = ("<".repeat(99) + "\n").repeat(30_000);
    for content in [json!({ "kind": "text", "data": &text }), json!({ "kind": "error", "data": &text })] {
        let page = read(&content, &json!([])).to_html();
        assert!(page.len() <= PAGE, "{} bytes", page.len());
        assert!(page.contains("more lines are not shown)"), "{} bytes", page.len());
    }
    let long = "<".repeat(3_000_000);
    let page = read(&json!({ "kind": "text", "data": long }), &json!([])).to_html();
    assert!(page.len() <= PAGE && page.contains(" more bytes)"), "{} bytes", page.len());
}

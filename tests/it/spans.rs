//! Spans and events of `tracing`: a server whose handlers have `#[instrument]`, and nothing for gmr
//! but the layer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::program::{Program, program};
use crate::report::{Report, list, text};
use crate::text::Text;

const SPANS: &str = "Spans in Flight";
const EVENTS: &str = "Recent Events";

/// Sends a request, and leaves the connection open.
fn get(address: &str, path: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).expect("it listens");
    write!(connection, "GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").expect("it reads");
    connection
}

fn answer(mut connection: TcpStream) -> String {
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("it answers");
    answer
}

/// The listed spans of this name.
fn named<'a>(report: &'a Report, name: &str) -> Vec<&'a Value> {
    let spans = list(&report.data(SPANS, "spans")["spans"]);
    spans.iter().filter(|span| span["callsite"]["name"] == name).collect()
}

#[test]
fn requests_in_flight_are_spans() {
    let mut program = Program::start(program!("spans"));
    let address = program.ask("address");
    let waiting = ["/orders/42", "/orders/43"].map(|path| get(&address, path));
    let well = answer(get(&address, "/health"));
    assert!(well.starts_with("HTTP/1.1 200 ") && well.ends_with("well"), "{well}");
    let blocked = get(&address, "/blocked");
    let is_inside = |span: &&Value| !list(&span["threads"]).is_empty();
    let report = program.report_when("two requests wait, and one blocks its worker", |report| {
        named(report, "reserve").len() == 2 && named(report, "blocked").iter().any(is_inside)
    });

    let mut orders: Vec<_> = named(&report, "order").iter().map(|span| &span["fields"]).collect();
    orders.sort_by_key(|fields| fields["order"].to_string());
    // `#[instrument]` records patterns with `Debug`.
    let expected =
        ["42", "43"].map(|order| json!({"route": "/orders/{order}", "order": order, "customer": "ann"}));
    assert_eq!(orders, expected.each_ref());
    for span in named(&report, "reserve") {
        assert_eq!((&span["fields"]["api_key"], &span["depth"]), (&"***".into(), &1.into()));
        let parent = named(&report, "order").into_iter().find(|order| order["id"] == span["parent"]);
        let parent = parent.unwrap_or_else(|| panic!("no parent of {span}"));
        let order = &span["fields"]["order"];
        assert!(parent["fields"].to_string().contains(&order.to_string()), "{parent} {span}");
        assert!(!is_inside(&span) && span["left_ms"].is_u64(), "{span}");
        assert!(text(&span["callsite"]["file"]).ends_with("programs/spans.rs"), "{span}");
    }
    assert!(named(&report, "health").is_empty(), "it was answered");

    // The thread inside is in the handler.
    let blocked_span = named(&report, "blocked")[0];
    let [inside] = list(&blocked_span["threads"]) else { panic!("one thread: {blocked_span}") };
    let (tid, for_ms) = (&inside["tid"], inside["inside_ms"].as_u64().expect("a number"));
    assert!(for_ms <= blocked_span["age_ms"].as_u64().expect("a number"), "{blocked_span}");
    let thread = report.threads().into_iter().find(|thread| *tid == thread.tid()).expect("it is listed");
    let is_handler = |function: &str| function.contains("spans::blocked");
    assert!(thread.stack().functions().any(is_handler), "{}", thread.stack());

    let events = report.data(EVENTS, "events");
    assert_eq!((&events["warnings"], &events["others"]), (&4.into(), &2.into()), "{events}");
    for event in list(&events["events"]) {
        let (message, span) = match text(&event["callsite"]["level"]) {
            "error" => ("formats", "formatting"),
            "warn" => ("out of stock", "reserve"),
            _ => ("begun", "order"),
        };
        assert_eq!((&event["message"], &event["span"]["callsite"]["name"]), (&message.into(), &span.into()));
        match span {
            "order" => {
                assert_eq!(event["fields"], json!({"password": "***", "stock": "talked"}));
                assert_eq!(event["span"]["fields"]["customer"], "ann");
            }
            "reserve" => assert_eq!(event["span"]["fields"]["order"], event["fields"]["order"]),
            _ => assert_eq!(event["fields"], json!({})),
        }
    }
    assert_eq!(program.ask("trace?"), "false", "nothing more is enabled for the layer");
    let whole = report.to_string();
    assert!(!whole.contains("hunter2") && !whole.contains("4eC39HqLyjWD"), "{whole}");
    drop((waiting, blocked));
}

/// The task of this name.
fn task<'a>(report: &'a Report, name: &str) -> &'a Value {
    let tasks = list(&report.data("Green Threads", "green_threads")["tasks"]);
    tasks.iter().find(|task| task["name"] == name).unwrap_or_else(|| panic!("no task {name} in {report}"))
}

#[test]
fn tasks_name_the_span_that_they_wait_in() {
    let mut program = Program::start(program!("spans"));
    let report = program.report_when("both tasks wait for good", |report| {
        !named(report, "restock").is_empty() && task(report, "idle")["polls"] == 2
    });
    let restock = named(&report, "restock")[0];
    assert_eq!(task(&report, "restock")["span"], json!({"id": restock["id"], "name": "restock"}));
    // It has left the span in an earlier poll.
    let begin = named(&report, "begin")[0];
    assert_eq!(begin["left_by"], task(&report, "idle")["id"], "{begin}");
    assert_eq!(task(&report, "idle")["span"], Value::Null);
}

/// Starts the program, and reads a report as text.
fn report_of(arguments: &[&str], sections: &str) -> Text {
    let mut command = Command::new(program!("spans"));
    command.args(arguments).env("GMR_FORMAT", "text").env("GMR_SECTIONS", sections);
    let mut program = Program::start_with(command);
    program.signal(Signal::USR2);
    Text::parse(&Text::read(&mut program))
}

#[test]
fn without_the_layer_nothing_is_recorded() {
    let with = report_of(&[], "");
    assert!(with.titles().contains(&SPANS) && with.titles().contains(&EVENTS), "{with:?}");
    let without = report_of(&["none"], "");
    assert!(without.titles().contains(&SPANS) && !without.titles().contains(&EVENTS), "{without:?}");
    assert!(without.section(SPANS).contains("gmr::tracing::layer()"), "{without:?}");
    let silent = report_of(&["silent"], "");
    assert!(!silent.titles().contains(&SPANS) && !silent.titles().contains(&EVENTS), "{silent:?}");
}

#[test]
fn the_sections_can_be_left_out() {
    let titles = |sections| report_of(&[], sections).titles().join(", ");
    let without = titles("-spans-in-flight");
    assert!(without.ends_with("Configuration, Recent Events"), "{without}");
    assert_eq!(titles("-all, +spans-in-flight"), "Findings, Spans in Flight");
}

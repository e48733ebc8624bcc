//! The screen, drawn to memory.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Cell;

use super::*;
use crate::findings::Found;

fn group(name: &str, count: u64, before: Option<u64>) -> Group {
    Group {
        key: Key { kind: Kind::Thread, functions: vec![name.to_owned()] },
        stack: vec![
            "std::recv, library/std/src/recv.rs:1".to_owned(),
            format!("shop::{name}, src/{name}.rs:8"),
            "shop::main, src/main.rs:1".to_owned(),
        ],
        count,
        before,
        is_idle: name == "idle",
        cpu: Some(if name == "pay" { 97.6 } else { 0.0 }),
        state: if count == 0 { "gone" } else { "sleeping" }.to_owned(),
        states: String::new(),
        still_ms: (name == "ship").then_some(150_000),
        members: vec![format!("#7 {name}-1\x1b[2J")],
    }
}

fn look(groups: Vec<Group>) -> Look {
    Look { made_at: "2026-01-01T12:30:00.500Z".to_owned(), groups }
}

fn whole() -> Whole {
    let found = |severity: &str, message: &str, certainty: &str| Found {
        code: "x".to_owned(),
        severity: severity.to_owned(),
        certainty: certainty.to_owned(),
        message: message.to_owned(),
    };
    Whole {
        process: "shop 1.0, process 7\x1b[2J".to_owned(),
        number: 3,
        findings: vec![
            (found("error", "a deadlock", "certain"), false),
            (found("info", "a wait", "possible"), true),
        ],
    }
}

/// The second of two looks.
fn new() -> Screen {
    let groups = vec![
        group("ship", 40, Some(40)),
        group("pay", 3, Some(1)),
        group("idle", 9, Some(9)),
        group("gone", 0, Some(2)),
        group("fresh", 1, Some(0)),
    ];
    Screen::new(look(groups), whole(), Instant::now(), Duration::from_secs(1), true)
}

fn drawn_as(screen: &mut Screen, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| screen.draw(frame, screen.at + Duration::from_secs(12))).expect("drawn");
    let buffer = terminal.backend().buffer().clone();
    let rows = buffer.content().chunks(width.into());
    rows.map(|row| row.iter().map(Cell::symbol).collect::<String>().trim_end().to_owned()).collect()
}

fn drawn(screen: &mut Screen) -> Vec<String> {
    drawn_as(screen, 80, 24)
}

fn press(screen: &mut Screen, keys: &str) {
    for pressed in keys.chars() {
        let key = if pressed == '\n' { Pressed::Enter } else { Pressed::Char(pressed) };
        assert_eq!(screen.press(key), Action::None, "{pressed}");
    }
}

/// The functions of the places that are shown.
fn order(screen: &mut Screen) -> Vec<String> {
    let rows = drawn(screen);
    let places =
        rows.iter().filter_map(|row| Some(row.split_once(" shop::")?.1.split_once(", ")?.0.to_owned()));
    places.collect()
}

#[test]
fn findings_are_on_top_and_changes_are_marked() {
    let rows = drawn(&mut new());
    assert_eq!(rows[0], "shop 1.0, process 7\\u{1b}[2J");
    assert_eq!(rows[1], "53 threads, 0 tasks at 12:30:00Z; every 1.0 s; findings of report 3, 12s ago");
    assert_eq!(rows[2..5], ["  error: a deadlock", "+ info: a wait (possible)", ""]);
    assert_eq!(rows[5], "CHANGE COUNT CPU% STILL STATE        PLACE, by count; 9 idle threads hidden");
    assert_eq!(rows[6], "          40    0  2min sleeping     shop::ship, src/ship.rs:8 < shop::main");
    assert_eq!(rows[7], "    +2     3   98       sleeping     shop::pay, src/pay.rs:8 < shop::main");
    assert_eq!(rows[8], "   new     1    0       sleeping     shop::fresh, src/fresh.rs:8 < shop::main");
    assert_eq!(rows[9], "    -2     0    0       gone         shop::gone, src/gone.rs:8 < shop::main");
    assert!(rows[10].is_empty() && rows[23].starts_with("q quit  ? keys"), "{rows:?}");
}

#[test]
fn a_change_has_a_colour_if_there_are_colours() {
    let colour = |has_colours| {
        let mut screen = new();
        screen.has_colours = has_colours;
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a terminal");
        terminal.draw(|frame| screen.draw(frame, screen.at + Duration::from_secs(12))).expect("drawn");
        let buffer = terminal.backend().buffer();
        let all: HashSet<Color> = buffer.content().iter().map(|cell| cell.fg).collect();
        (buffer[(4, 7)].fg, all.len())
    };
    assert_eq!(colour(true), (Color::Green, 3));
    assert_eq!(colour(false), (Color::Reset, 1));
}

#[test]
fn keys_sort() {
    let mut screen = new();
    let orders = [
        ["ship", "pay", "fresh", "gone"],
        ["pay", "fresh", "gone", "ship"],
        ["pay", "ship", "fresh", "gone"],
        ["ship", "pay", "fresh", "gone"],
    ];
    for expected in orders {
        assert_eq!(order(&mut screen), expected, "{:?}", screen.sort);
        press(&mut screen, "s");
    }
    assert_eq!(screen.sort, Sort::Count);
    press(&mut screen, "i");
    assert_eq!(order(&mut screen), ["ship", "idle", "pay", "fresh", "gone"]);
    assert!(!drawn(&mut screen)[5].contains("idle"));
}

#[test]
fn a_filter_leaves_places_with_its_text() {
    let mut screen = new();
    press(&mut screen, "/PAx");
    screen.press(Pressed::Backspace);
    press(&mut screen, "y");
    assert_eq!(order(&mut screen), ["pay"]);
    // Keys are its text meanwhile.
    assert!(drawn(&mut screen)[23].starts_with("filter: PAy_"));
    press(&mut screen, "\n");
    assert!(drawn(&mut screen)[5].contains("; with \"PAy\""));
    screen.press(Pressed::Escape);
    assert_eq!(order(&mut screen).len(), 4);
}

#[test]
fn stacks_are_unfolded_and_folded() {
    let mut screen = new();
    press(&mut screen, "j");
    press(&mut screen, "j\n");
    let rows = drawn(&mut screen);
    assert_eq!(rows[8], "      std::recv, library/std/src/recv.rs:1");
    assert_eq!(rows[9], "      shop::pay, src/pay.rs:8");
    assert_eq!(rows[10], "      shop::main, src/main.rs:1");
    assert_eq!(rows[11], "      [#7 pay-1\\u{1b}[2J, ..]");
    // Its lines are gone through one by one.
    press(&mut screen, "jjjj");
    assert_eq!(screen.selected.as_ref().map(|(_, at)| *at), Some(4));
    press(&mut screen, "\n");
    assert!(drawn(&mut screen)[8].contains("shop::fresh"));
    press(&mut screen, "a");
    let rows = drawn_as(&mut screen, 80, 40);
    assert_eq!(rows.iter().filter(|row| row.ends_with("main.rs:1")).count(), 4);
    press(&mut screen, "a");
    assert_eq!(order(&mut screen).len(), 4);
}

#[test]
fn what_is_selected_stays_selected_and_in_sight() {
    let mut screen = new();
    drawn(&mut screen);
    press(&mut screen, "G");
    assert!(drawn_as(&mut screen, 80, 8)[6].contains("shop::gone"));
    press(&mut screen, "g\n");
    screen.show(look(vec![group("ship", 41, Some(40)), group("pay", 50, Some(3))]), Instant::now());
    let rows = drawn(&mut screen);
    assert!(rows[6].starts_with("   +47    50 ") && rows[7].starts_with("    +1    41 "), "{rows:?}");
    assert_eq!(screen.selected.as_ref().map(|(key, _)| &*key.functions[0]), Some("ship"));
    assert!(rows[10].ends_with("shop::main, src/main.rs:1"), "{rows:?}");
    // There is nothing to select.
    screen.show(look(Vec::new()), Instant::now());
    press(&mut screen, "jk\nG");
    assert_eq!(drawn(&mut screen)[6], "");
}

#[test]
fn it_freezes_and_says_what_was_saved() {
    let mut screen = new();
    press(&mut screen, "p");
    assert!(screen.is_frozen() && drawn(&mut screen)[1].starts_with("frozen, 12s ago: 53 threads"));
    assert_eq!(screen.press(Pressed::Char('w')), Action::Save);
    screen.say("saved as x".to_owned());
    assert_eq!(drawn(&mut screen)[23], "saved as x");
    press(&mut screen, "p");
    assert!(!screen.is_frozen() && drawn(&mut screen)[23].starts_with("q quit"));
    press(&mut screen, "?");
    let rows = drawn(&mut screen);
    assert!(
        rows.iter().any(|row| row == "     w  save the report with the findings in this folder, as JSON"),
        "{rows:?}"
    );
    press(&mut screen, "x");
    assert_eq!(order(&mut screen).len(), 4);
    assert_eq!(screen.press(Pressed::Char('q')), Action::Quit);
    assert_eq!(screen.press(Pressed::Control('c')), Action::Quit);
}

#[test]
fn when_no_report_comes_the_last_look_stays() {
    let mut screen = new();
    screen.fail("process 7 has ended".to_owned());
    let rows = drawn(&mut screen);
    assert!(rows[1].starts_with("last look, 12s ago: 53 threads"), "{rows:?}");
    assert_eq!(rows[2], "process 7 has ended");
    assert_eq!(order(&mut screen).len(), 4);
    // It has gone on. The findings are as old as they are.
    screen.show(look(Vec::new()), Instant::now());
    assert!(drawn(&mut screen)[1].ends_with("findings of report 3, 12s ago"));
    let at = screen.at;
    screen.show_whole(Whole { number: 4, ..whole() }, at);
    assert!(drawn(&mut screen)[1].contains("findings of report 4, 12s ago"));
    assert!(drawn(&mut screen)[1].starts_with("0 threads"));
}

#[test]
fn a_small_terminal_has_the_essentials() {
    let mut screen = new();
    screen.fail("process 7 is stopped, and takes no signal until it continues: `kill -CONT 7`".to_owned());
    let rows = drawn_as(&mut screen, 40, 12);
    let expected = [
        "shop 1.0, process 7\\u{1b}[2J",
        "last look, 12s ago: 53 threads, 0 tasks",
        "process 7 is stopped, and takes no",
        "signal until it continues: `kill -CONT",
        "7`",
        "  error: a deadlock",
        "+ info: a wait (possible)",
        "CHANGE COUNT CPU% PLACE, by count; 9 idl",
        "          40    0 shop::ship, src/ship.r",
        "    +2     3   98 shop::pay, src/pay.rs:",
        "   new     1    0 shop::fresh, src/fresh",
        "q quit  ? keys  Enter stack  / filter",
    ];
    assert_eq!(rows, expected);
    for (width, height) in [(1, 1), (3, 2), (10, 5)] {
        drawn_as(&mut screen, width, height);
    }
}

#[test]
fn findings_leave_room_for_the_list() {
    let mut screen = new();
    let (finding, _) = screen.whole.findings[0].clone();
    screen.whole.findings = (0..30).map(|_| (finding.clone(), false)).collect();
    let rows = drawn(&mut screen);
    assert_eq!(rows[7], "  25 more findings; w saves the report");
    assert!(rows[10].contains("shop::ship"), "{rows:?}");
}

#[test]
fn long_text_is_wrapped_or_cut() {
    assert_eq!(wrapped("some words and", 10, 9), ["some words", "and"]);
    assert_eq!(wrapped("0123456789abc def", 10, 9), ["0123456789", "abc def"]);
    assert_eq!(wrapped("some words and others, and more", 10, 2), ["some words", "and .."]);
    // As wide as they are drawn.
    assert_eq!(wrapped("世界世界世界 e\u{301}e\u{301}", 10, 9), ["世界世界世", "界 e\u{301}e\u{301}"]);
    assert_eq!(wrapped("世界世界世界世界", 9, 1), ["世界世 .."]);
}

#[test]
fn a_place_is_one_of_the_program() {
    let place = |lines: &[&str]| {
        let mut screen = new();
        let stack = lines.iter().map(|&line| line.to_owned()).collect();
        screen.look.groups = vec![Group { stack, ..group("ship", 1, None) }];
        drawn_as(&mut screen, 160, 24)[6].split_once("sleeping     ").expect("a state").1.to_owned()
    };
    let (std, libc) = ("std::recv, library/std/src/recv.rs:1", "pthread_mutex_lock, /usr/lib/libc.so.6+0x8c");
    let (krate, own) = ("tokio::park, /root/.cargo/registry/src/x/park.rs:1", "shop::pay, src/pay.rs:8");
    assert_eq!(place(&[libc, std, krate, own, std, "main, src/main.rs:1"]), format!("{own} < main"));
    assert_eq!(place(&[std, krate]), krate);
    assert_eq!(place(&[std]), std);
    assert_eq!(place(&[]), "(no stack)");
}

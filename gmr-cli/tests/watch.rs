//! `gmr watch` on a terminal: it shows what a process does, says when that ends, and leaves the
//! terminal as it was, however it ends itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use gmr_runtime::Report;
use rustix::process::Signal;

use crate::screen::{OnTerminal, lines};
use crate::service::{Service, gmr};

/// Looks as often as it may.
const OFTEN: [&str; 2] = ["--interval", "100ms"];

fn watch_with(pid: u32, size: (u16, u16), variables: &[(&str, &str)]) -> OnTerminal {
    OnTerminal::watch(&[&[&*pid.to_string()], &OFTEN[..]].concat(), size, variables)
}

fn watch(service: &Service) -> OnTerminal {
    watch_with(service.pid(), (100, 30), &[])
}

/// What is in the list, below its heading.
fn list(screen: &vt100::Screen) -> Option<Vec<String>> {
    let lines = lines(screen);
    let heading = lines.iter().position(|line| line.starts_with("CHANGE COUNT"))?;
    let list = &lines[heading + 1..lines.len() - 1];
    Some(list.iter().filter(|line| !line.is_empty()).cloned().collect())
}

#[test]
fn a_deadlock_is_on_top_and_its_threads_are_in_the_list() {
    let mut service = Service::start();
    service.tell("lock");
    let mut watch = watch(&service);
    watch.shows("error: ");
    watch.shows("obstacles::Lock::lock");
    assert_eq!(watch.cell("error: ").fgcolor(), vt100::Color::Idx(1));
    watch.press("/hold_both\r");
    watch.shows("with \"hold_both\"");
    watch.press("a");
    watch.shows("sale-世界");
    let list = watch.waits("a list", list);
    assert!(list[0].split_whitespace().next() == Some("2"), "{list:#?}");
    watch.press("q");
    let (status, shown) = watch.ends();
    assert!(status.success() && shown.is_empty(), "{shown}");
    assert!(service.lives());
}

#[test]
fn changes_since_the_look_before_are_marked() {
    let mut service = Service::start();
    // Each look stays for a while.
    let mut watch = OnTerminal::watch(&[&service.pid().to_string()], (100, 30), &[]);
    watch.shows("service::service");
    let change = |line: String| line.split_whitespace().next().map(str::to_owned);
    for (line, expected) in [("pay", "new"), ("pay", "+1"), ("release", "-2")] {
        service.tell(line);
        watch.waits(expected, |screen| {
            let line = list(screen)?.into_iter().find(|line| line.contains("service::waiting"))?;
            (change(line).as_deref() == Some(expected)).then_some(())
        });
    }
    // It is shown once.
    watch.shows_no("service::waiting");
    watch.press("q");
    assert!(watch.ends().0.success());
}

#[test]
fn keys_freeze_save_and_explain() {
    let mut service = Service::start();
    service.tell("pay");
    let mut watch = watch(&service);
    watch.press("/pay\ra");
    watch.shows("service::pay, ");
    watch.press("p");
    watch.shows("frozen, ");
    service.tell("ship");
    watch.press("w");
    let said = watch.shows("saved as ");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(said.trim_start_matches("saved as "));
    let report = Report::from_json(&fs::read_to_string(&path).expect("it is saved")).expect("a report");
    assert_eq!(report.heading.pid, service.pid());
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    watch.press("w");
    watch.shows("is there already");
    fs::remove_file(path).expect("it is there");
    watch.press("?");
    watch.shows("these lines");
    // The first key leaves these, and it goes on.
    watch.press("x \x1b/ship\r");
    watch.shows("with \"ship\"");
    watch.shows("service::waiting");
    watch.press("g\x1b[C");
    watch.shows("service::ship, ");
    watch.press("\x1b[D");
    watch.shows_no("service::ship, ");
    watch.press("\x03");
    assert!(watch.ends().0.success());
}

#[test]
fn without_colours_it_has_none() {
    let mut service = Service::start();
    service.tell("lock");
    let mut watch = watch_with(service.pid(), (100, 30), &[("NO_COLOR", "1")]);
    watch.shows("error: ");
    service.tell("pay");
    watch.shows("service::waiting");
    let is_plain = watch.waits("a screen", |screen| {
        let (rows, columns) = screen.size();
        let mut cells =
            (0..rows).flat_map(|row| (0..columns).filter_map(move |column| screen.cell(row, column)));
        Some(cells.all(|cell| [cell.fgcolor(), cell.bgcolor()] == [vt100::Color::Default; 2]))
    });
    assert!(is_plain);
    watch.press("q");
    assert!(watch.ends().0.success());
}

#[test]
fn it_says_that_the_process_is_stopped_and_that_it_has_ended() {
    let service = Service::start();
    let mut watch = watch(&service);
    watch.shows("every 100 ms");
    service.signal(Signal::STOP);
    watch.shows("is stopped");
    watch.shows("last look, ");
    service.signal(Signal::CONT);
    watch.shows_no("last look, ");
    drop(service);
    watch.shows("has ended");
    // What it did last stays, and can be looked at.
    watch.press("a");
    watch.shows("service::service");
    watch.press("q");
    assert!(watch.ends().0.success());
}

#[test]
fn a_process_that_becomes_another_program_is_left_alone() {
    let mut service = Service::start();
    let mut watch = watch(&service);
    watch.shows("every 100 ms");
    service.tell("become");
    watch.shows("no mark of gmr");
    // It would be asked again and again meanwhile.
    watch.waits("some seconds", |screen| {
        let title = lines(screen)[1].clone();
        let seconds = title.strip_prefix("last look, ")?.split_once("s ago")?.0;
        seconds.parse().is_ok_and(|seconds: u32| seconds > 1).then_some(())
    });
    let comm = fs::read_to_string(format!("/proc/{}/comm", service.pid())).expect("it lives");
    assert!(comm.trim() == "sleep" && service.lives(), "{comm}");
    watch.press("q");
    assert!(watch.ends().0.success());
}

#[test]
fn signals_end_it_as_they_should_and_the_terminal_is_as_it_was() {
    let service = Service::start();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let watch = watch(&service);
        watch.shows("every 100 ms");
        watch.signal(signal);
        let (status, shown) = watch.ends();
        assert_eq!((status.signal(), &*shown), (Some(signal.as_raw()), ""));
    }
}

#[test]
fn without_its_terminal_it_ends_at_once() {
    let service = Service::start();
    for options in [&["--ctty"][..], &[]] {
        let pid = service.pid().to_string();
        let watch = OnTerminal::start(options, &["watch", &pid], (80, 24), &[]);
        watch.shows("every 1.0 s");
        let started = Instant::now();
        let status = watch.ends_without_terminal();
        // Where the terminal sends no SIGHUP, it is the command's own code.
        let is_hung_up = status.signal() == Some(Signal::HUP.as_raw());
        assert!(status.code() == Some(1) || is_hung_up && !options.is_empty(), "{status:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}

#[test]
fn a_terminal_that_takes_nothing_does_not_keep_it_from_ending() {
    let service = Service::start();
    let mut watch = watch_with(service.pid(), (200, 60), &[]);
    watch.press("a?");
    watch.shows("these lines");
    watch.hold_up();
    let call = format!("/proc/{}/syscall", watch.pid().as_raw_nonzero());
    let is_writing = || {
        let call = fs::read_to_string(&call).expect("it lives");
        call.split(' ').next() == Some(&*libc::SYS_write.to_string())
    };
    let started = Instant::now();
    while !is_writing() {
        assert!(started.elapsed() < Duration::from_secs(60), "it has all been taken");
        // All of it is drawn again.
        watch.press("\x0c");
        thread::yield_now();
    }
    watch.signal(Signal::TERM);
    assert_eq!(watch.ends_held_up().signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn ctrl_z_gives_the_terminal_back_until_it_continues() {
    let service = Service::start();
    let mut watch = watch(&service);
    watch.shows("every 100 ms");
    // Nobody can continue what the terminal stops in a session without a shell, so that it is not
    // stopped there. It must not stay without its screen.
    watch.press("\x1a");
    watch.waits("the screen again", |screen| screen.alternate_screen().then_some(()));
    watch.signal(Signal::STOP);
    watch.signal(Signal::CONT);
    watch.shows("every 100 ms");
    watch.press("q");
    assert!(watch.ends().0.success());
}

#[test]
fn it_fits_any_terminal() {
    let service = Service::start();
    let mut watch = watch_with(service.pid(), (1, 1), &[]);
    watch.waits("its screen", |screen| screen.alternate_screen().then_some(()));
    for (columns, rows) in [(200, 60), (3, 2), (80, 24), (20, 5), (80, 24)] {
        watch.resize(columns, rows);
        watch.waits("the last line", |screen| {
            let lines = lines(screen);
            let is_whole = lines[0].starts_with(&"shop 1.0, process"[..usize::from(columns.min(17))]);
            (is_whole && (columns < 20 || lines.last()?.starts_with("q quit"))).then_some(())
        });
    }
    watch.press("q");
    assert!(watch.ends().0.success());
}

#[test]
fn names_cannot_control_the_terminal() {
    let mut command = Service::command(&[]);
    command.env("SHOP_NAME", "sh\x1b[31mop\x1b[2J \u{202e}世界").stderr(Stdio::null());
    let service = Service::start_with(command).expect("it starts");
    let mut watch = watch(&service);
    let title = watch.shows("世界 1.0, process");
    assert!(title.starts_with("sh") && !title.contains('\u{202e}'), "{title}");
    assert_eq!(watch.cell("op").fgcolor(), vt100::Color::Default);
    watch.press("/世\x7f\x7f界\r");
    watch.shows("with \"界\"");
    watch.press("q");
    assert!(watch.ends().0.success());
}

#[test]
fn without_a_terminal_it_says_what_to_use() {
    let service = Service::start();
    let failed = gmr(&["watch", &service.pid().to_string()]).failed(1);
    assert!(failed.contains("needs a terminal") && failed.contains("gmr report"), "{failed}");
    let failed = gmr(&["watch", "1", "--interval", "1ms"]).failed(2);
    assert!(failed.contains("100ms"), "{failed}");
    let dumb = watch_with(service.pid(), (80, 24), &[("TERM", "dumb")]);
    let (status, shown) = dumb.ends();
    assert!(status.code() == Some(1) && shown.contains("TERM"), "{shown}");
}

/// How much of a core looks at a process with a thousand threads cost that: `cargo test --release -p
/// gmr-cli --test command -- --ignored --nocapture watch::a_thousand`
#[test]
#[ignore = "it prints a figure, which needs a release build and an idle machine"]
fn a_thousand_threads_once_a_second() {
    let mut service = Service::start();
    service.tell("crowd");
    let pid = service.pid();
    let mut watch = OnTerminal::watch(&[&pid.to_string()], (100, 30), &[]);
    watch.shows("1,00");
    let used = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_ascii_whitespace().collect();
        let ticks = |index: usize| fields[index].parse::<u32>().expect("a number");
        // User and system time, in units of 10 ms.
        ticks(11) + ticks(12)
    };
    let before = used();
    thread::sleep(Duration::from_secs(30));
    println!("{:.1} % of a core", f64::from(used() - before) / 30.0);
    watch.press("q");
    assert!(watch.ends().0.success());
}

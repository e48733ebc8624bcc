//! One of many sidecars, which ship to the same tables: what those of other hosts have shipped costs it
//! nothing, and no report is there twice, whoever ships it.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::planted::section;
use crate::program::{Done, command, done, file, fleet, folder, reports};
use crate::receiver::{Receiver, uids};
use crate::s3::{Asked, Proxy, Server, access};
use crate::service::reports_of;

/// A folder with these reports of each of these hosts.
fn sources(folder: &Path, name: &str, hosts: Range<usize>, reports: Range<usize>) -> PathBuf {
    let from = folder.join(name);
    fs::create_dir_all(&from).expect("a folder");
    let made = folder.join("report.json");
    if !made.exists() {
        file(folder, "report.json", reports_of("1.0", 1, 4).remove(0));
    }
    let made = fs::read_to_string(made).expect("it is there");
    let mut report: Value = serde_json::from_str(&made).expect("JSON");
    for host in hosts {
        for number in reports.clone() {
            let package = section(&mut report, "package");
            package["host"] = format!("shop-{host}").into();
            package["kubernetes"] = json!([]);
            report["heading"]["made_at"] = "2026-01-02T03:04:05.678Z".into();
            report["heading"]["number"] = (1 + number).into();
            file(&from, &format!("{host}-{number}.json"), report.to_string());
        }
    }
    from
}

/// Ships each report in a batch of its own, and sends it.
fn ship(port: u16, from: &Path, to: &str, receiver: &Receiver) -> Done {
    let from = from.display().to_string();
    let mut command = command(&["ship", &from, to, "--batch", "1", "--otlp", &receiver.url()]);
    command.envs(access(port));
    done(command, b"")
}

/// Whether a run has stored and sent so many reports, and knows so many.
#[track_caller]
fn has_done(done: &Done, added: usize, known: usize) {
    let errors = &done.errors;
    let noun = if added == 1 { "report" } else { "reports" };
    assert!(done.code == Some(0) && errors.contains(&format!("{added} {noun} added to ")), "{errors}");
    let there = format!(", {known} there already\n");
    assert!(if known > 0 { errors.contains(&there) } else { !errors.contains("there already") }, "{errors}");
    let sent = format!("{added} {noun} sent to ");
    assert!(if added > 0 { errors.contains(&sent) } else { !errors.contains("sent to") }, "{errors}");
}

/// `FLEET_SIDECARS=200 cargo xtask fleet` has more others; up to 999.
#[test]
fn what_others_have_shipped_costs_a_sidecar_nothing() {
    let many: usize = std::env::var("FLEET_SIDECARS").map_or(20, |many| many.parse().expect("a number"));
    let folder = folder("sidecars");
    let (Some(server), Some(receiver)) = (Server::start(), Receiver::start("", &folder)) else { return };
    let proxy = Proxy::start(&server, 1_000_000);
    let others = sources(&folder, "others", 1..many + 1, 0..1);
    // What a run of one of them asks for that has nothing to do, and of the next one, with a new report.
    let asked = |to: &str, own: usize| {
        let from = sources(&folder, &format!("own of {to}"), 0..1, 0..own);
        let to = format!("s3://reports/{to}");
        has_done(&ship(server.port(), &from, &to, &receiver), own, 0);
        proxy.asked();
        has_done(&ship(proxy.port, &from, &to, &receiver), 0, own);
        let nothing = proxy.asked();
        sources(&folder, from.file_name().and_then(|name| name.to_str()).expect("text"), 0..1, own..own + 1);
        has_done(&ship(proxy.port, &from, &to, &receiver), 1, own);
        [nothing, proxy.asked()]
    };
    let alone = asked("alone", 3);
    has_done(&ship(server.port(), &others, "s3://reports/others", &receiver), many, 0);
    assert_eq!(asked("others", 3), alone);
    // Of the batches and of the marks, those of this host and those of several hosts are listed, and what
    // is there is read: of a batch of nine files, one.
    assert_eq!(alone[0], Asked { lists: 4, listed: 3 * 9 + 3, gets: 3 + 3, puts: 0 });
    // Before a batch is written, both lists are made again.
    assert_eq!(alone[1], Asked { lists: 6, listed: 2 * 3 * 9 + 3, gets: 3 + 3, puts: 9 + 1 });
    // It costs what it has shipped itself.
    assert_eq!(asked("more", 6)[0], Asked { lists: 4, listed: 6 * 9 + 6, gets: 6 + 6, puts: 0 });
    // One who ships the reports of all hosts looks at all of them.
    proxy.asked();
    has_done(&ship(proxy.port, &others, "s3://reports/others", &receiver), 0, many);
    let Asked { gets, .. } = proxy.asked();
    assert!(gets >= 2 * (many + 4), "{gets}");
    eprintln!(
        "{many} others: {:?}, and with a new report {:?}; for all hosts {gets} gets",
        alone[0], alone[1]
    );
}

#[test]
fn a_report_is_there_once_whether_it_is_shipped_by_its_sidecar_or_with_those_of_other_hosts() {
    let folder = folder("sidecars-once");
    let to = folder.join("out");
    let Some(receiver) = Receiver::start("", &to) else { return };
    let all = sources(&folder, "all", 0..12, 0..2);
    let (first, second) = (sources(&folder, "first", 3..4, 0..2), sources(&folder, "second", 4..6, 0..2));
    let path = to.display().to_string();
    let together = |from: &Path| {
        let from = from.display().to_string();
        fleet(&["ship", &from, &path, "--otlp", &receiver.url()])
    };
    // Of one host, then of several ones, and then again.
    has_done(&ship(0, &first, &path, &receiver), 2, 0);
    has_done(&together(&second), 4, 0);
    has_done(&together(&all), 18, 6);
    for from in [&first, &second, &all] {
        let count = fs::read_dir(from).expect("a folder").count();
        has_done(&ship(0, from, &path, &receiver), 0, count);
        has_done(&together(from), 0, count);
    }
    let there = reports(&to);
    let mut distinct = there.clone();
    distinct.dedup();
    assert_eq!((there.len(), distinct.len()), (24, 24));
    assert_eq!(uids(&receiver.end()).iter().filter(|uid| there.contains(uid)).count(), 24);
    // A batch says whether it is of one host.
    let names = fs::read_dir(to.join("service=shop/date=2026-01-02")).expect("a folder");
    let names = names.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let (of_many, of_host): (Vec<_>, Vec<_>) = names.partition(|name| name.starts_with("many-"));
    assert_eq!((of_many.len(), of_host.len()), (2, 2), "{of_many:?} {of_host:?}");
}

//! `gmr list`: processes with gmr are found wherever they are, and notice nothing; others are not.

use std::process::Command;

use serde_json::{Value, json};

use crate::service::{Service, gmr, list};

/// The row of a process.
fn row(pid: u32) -> Option<Value> {
    let listing = gmr(&["list", "--json"]).json();
    list(&listing["processes"]).iter().find(|row| row["pid"] == pid).cloned()
}

#[test]
fn a_process_is_listed_while_gmr_is_installed_and_notices_nothing() {
    let mut service = Service::start_version("1.2 beta");
    let mut other = Command::new("sleep").arg("600").spawn().expect("it starts");
    let found = row(service.pid()).expect("it is listed");
    let (listed, text) = (row(other.id()), gmr(&["list"]).well());
    let lives = other.try_wait().expect("its state").is_none();
    other.kill().and_then(|()| other.wait()).expect("it ends");
    assert!(lives && listed.is_none(), "{listed:?}");
    for (field, expected) in [
        ("service", json!("shop")),
        ("version", json!("1.2_beta")),
        ("signal", json!("SIGUSR2")),
        ("schema", json!("1.3")),
        ("caught", json!(true)),
        ("pid_inside", Value::Null),
        ("copies", json!(1)),
    ] {
        assert_eq!(found[field], expected, "{field}: {found}");
    }
    assert!(
        found["threads"].as_u64() >= Some(4) && found["resident_bytes"].as_u64() > Some(100_000),
        "{found}"
    );
    assert!(found["uptime_s"].as_u64() < Some(3_600), "{found}");
    let pid = service.pid().to_string();
    let line =
        text.lines().find(|line| line.split(' ').next() == Some(&pid)).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains(" shop ") && line.contains(" 1.2_beta ") && line.ends_with(" SIGUSR2"), "{line}");
    // No signal has reached it: this is its first report, and the only one that is requested.
    let report: Value = serde_json::from_str(&service.report()).expect("JSON");
    assert_eq!([&report["heading"]["number"], &report["heading"]["trigger"]["coalesced"]], [1, 0]);
    service.tell("uninstall");
    assert_eq!(row(service.pid()), None);
}

#[test]
fn a_process_in_a_container_is_listed_with_both_ids() {
    let Some(service) = Service::start_in_container() else { return };
    let found = row(service.child()).expect("it is listed");
    assert_eq!([&found["pid_inside"], &found["service"]], [&json!(1), &json!("shop")], "{found}");
    let about = gmr(&["doctor", &service.child().to_string()]).well();
    assert!(about.contains("inside, its id is 1") && about.contains("pid, mnt, user, net"), "{about}");
}

//! Whom it asks, and what becomes of those who do not answer.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::ask;
use crate::world::{World, pod};

/// The names of the pods that were asked.
fn asked(world: &World) -> BTreeSet<String> {
    let name = |request: Value| {
        let path = request["path"].as_str().expect("a path").to_owned();
        Some(path.split_once("/pods/")?.1.split(':').next()?.to_owned())
    };
    world.requests().into_iter().filter_map(name).collect()
}

fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn pods_are_asked_by_their_labels_however_many_pages_list_them() {
    let labels = |app: &str, tier: &str| json!({ "labels": { "app": app, "tier": tier } });
    let pods = [
        pod("prod", "shop-1", &labels("shop", "web")),
        pod("prod", "shop-2", &labels("shop", "api")),
        pod("prod", "shop-3", &labels("shop", "web")),
        pod("prod", "stock-1", &labels("stock", "web")),
        pod("test", "shop-4", &labels("shop", "web")),
        pod("prod", "shop-5", &json!({ "labels": { "app": "shop", "tier": "web" }, "phase": "Succeeded" })),
        pod("prod", "shop-6", &json!({ "labels": { "app": "shop", "tier": "old" }, "does": "moved" })),
    ];
    // The first list is continued in vain.
    let Some(world) = World::start("labels", &pods, &json!({ "page": 2, "expiring": 1 })) else { return };
    let pid = world.service.pid();
    let mut before = BTreeSet::new();
    for (arguments, expected) in [
        (&["app=shop,tier=api"][..], &["shop-2"][..]),
        (&["app=shop", "--context", "test"], &["shop-4"]),
        (&["app in (shop, stock),tier!=old", "-n", "prod"], &["shop-1", "shop-2", "shop-3", "stock-1"]),
    ] {
        assert_eq!(ask(&world, arguments).well(), vec![pid; expected.len()], "{arguments:?}");
        let new: BTreeSet<String> = asked(&world);
        before.extend(names(expected.iter().copied()));
        assert_eq!(new, before, "{arguments:?}");
    }
    let all = ask(
        &world,
        &["app", "-A", "--port", "9901", "-o", &world.folder().join("kept").display().to_string()],
    );
    assert!(all.well().is_empty() && all.output.is_empty());
    let kept = fs::read_dir(world.folder().join("kept")).expect("a folder");
    let mut kept: Vec<String> =
        kept.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    kept.sort_unstable();
    let ends = [
        "1-prod-shop-1",
        "2-prod-shop-2",
        "3-prod-shop-3",
        "4-prod-stock-1",
        "5-test-shop-4",
        "6-prod-shop-6",
    ];
    assert_eq!(kept.len(), ends.len(), "{kept:?}");
    for (name, end) in kept.iter().zip(ends) {
        assert!(name.ends_with(&format!("Z-{end}.json")), "{name}");
    }
    let none = ask(&world, &["app=none"]).failed();
    assert_eq!(none, "gmr-pods: there is no pod with the labels `app=none` in prod\n");
    // Nothing but lists and reports is asked for.
    for request in world.requests() {
        let path = request["path"].as_str().expect("a path");
        assert!(path.contains("/pods?") || path.contains(":9901/proxy/gmr"), "{path}");
    }
}

#[test]
fn whoever_fails_is_named_with_the_reason_and_holds_up_nobody() {
    let does = |name: &str, does: &str| pod("prod", name, &json!({ "does": does }));
    let pods = [
        pod("prod", "well", &json!({})),
        does("hangs", "hang"),
        does("half", "half"),
        does("without", "refused"),
        does("denied", "denied"),
        does("page", "text"),
        does("token", "token"),
        does("away", "away"),
        pod("prod", "pending", &json!({ "phase": "Pending" })),
        pod("prod", "portless", &json!({ "port_name": "http" })),
    ];
    let Some(world) = World::start("failing", &pods, &json!({})) else { return };
    let since = Instant::now();
    let done = ask(&world, &["app=shop", "--timeout", "5s"]);
    assert!(since.elapsed() < Duration::from_secs(40), "{:?}", since.elapsed());
    assert_eq!((done.code, done.pids()), (Some(4), vec![world.service.pid()]), "{}", done.errors);
    for (name, said) in [
        ("hangs", "no complete answer within 5s"),
        ("half", "its answer is not complete"),
        ("without", "HTTP 503: error trying to reach service: dial tcp 10.1.2.3:9901"),
        ("denied", "HTTP 403: pods \"denied\" is forbidden"),
        ("page", "is not a report as JSON"),
        ("token", "; give the pod's token by --token-file"),
        ("away", "it redirects to `/api/v1/namespaces/prod/secrets`, and is not followed there"),
        ("pending", "it does not run: Pending"),
        ("portless", "it has no port `gmr`; --port names another one"),
    ] {
        let line =
            done.errors.lines().find(|line| line.starts_with(&format!("gmr-pods: left out: prod/{name}: ")));
        assert!(line.is_some_and(|line| line.contains(said)), "{name}: {}", done.errors);
    }
    assert!(done.errors.ends_with("gmr-pods: 1 of 10 pods have answered with a report\n"), "{}", done.errors);
    assert!(!done.errors.contains('\u{1b}'), "{:?}", done.errors);
    // Each was asked once, also who has answered with an error that passes.
    let requests = world.requests();
    let of = |name: &str| {
        let is = |request: &&Value| {
            request["path"].as_str().is_some_and(|path| path.contains(&format!("/{name}:")))
        };
        requests.iter().filter(is).count()
    };
    assert_eq!(["well", "without", "half", "denied", "pending", "portless"].map(of), [1, 1, 1, 1, 0, 0]);
    assert!(
        !requests.iter().any(|request| request["path"].as_str().is_some_and(|path| path.contains("secrets")))
    );
}

#[test]
fn a_budget_is_for_all_or_for_each_version() {
    let mut pods: Vec<Value> =
        (0..40).map(|index| pod("prod", &format!("shop-{index}"), &json!({ "image": "shop:1.1" }))).collect();
    pods.push(pod("prod", "new", &json!({ "image": "shop:1.2" })));
    let Some(world) = World::start("budget", &pods, &json!({})) else { return };
    let some = ask(&world, &["app=shop", "--at-most", "10%"]);
    assert_eq!(some.well().len(), 4);
    assert_eq!(some.errors, "gmr-pods: asks 4 of 41 pods, chosen at random\n");
    let before = world.requests().len();
    let each = ask(&world, &["app=shop", "--at-most", "1", "--of-each-version"]);
    assert_eq!(each.well().len(), 2);
    let new = &world.requests()[before..];
    assert!(
        new.iter().any(|request| request["path"].as_str().is_some_and(|path| path.contains("/new:"))),
        "{new:?}"
    );
}

#[test]
fn a_pod_that_does_not_know_the_api_server_is_asked_as_localhost() {
    let pods = ["a", "b", "c"].map(|name| pod("prod", name, &json!({})));
    let named = json!({ "seen_as": "api.example:6443" });
    let Some(world) = World::start("names", &pods, &named) else { return };
    let done = ask(&world, &["app=shop", "--concurrency", "1"]);
    assert_eq!(done.well(), vec![world.service.pid(); 3]);
    let hosts: Vec<Value> =
        world.requests().into_iter().skip(1).map(|request| request["host"].clone()).collect();
    // Only the first one is asked in vain.
    assert_eq!(hosts.len(), 4, "{hosts:?}");
    assert!(hosts[0] != "localhost" && hosts[1..].iter().all(|host| host == "localhost"), "{hosts:?}");
}

/// `cargo test --release --manifest-path gmr-pods/Cargo.toml -- --ignored --nocapture`
#[test]
#[ignore = "a measurement of the release build"]
fn a_thousand_pods() {
    let pods: Vec<Value> =
        (0..1_000).map(|index| pod("prod", &format!("shop-{index}"), &json!({}))).collect();
    let Some(world) = World::start("thousand", &pods, &json!({})) else { return };
    // The first report reads debug information.
    ask(&world, &["app=shop", "--at-most", "1", "--timeout", "5m", "--deadline", "5m"]).well();
    let since = Instant::now();
    let done = ask(&world, &["app=shop", "--timeout", "5m", "--deadline", "5m"]);
    assert_eq!(done.well().len(), 1_000);
    eprintln!("1,000 pods: {:?}, {} bytes", since.elapsed(), done.output.len());
}

//! `gmr ship --otlp`: what a receiver of OTLP gets, whatever it answers, and whenever a run is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::documents::Random;
use crate::planted::{HOSTILE, section};
use crate::program::{Done, column, command, done, file, fleet, folder, reports, wait_for};
use crate::receiver::{Receiver, Record, certificate, uids};
use crate::s3::{Server, access};
use crate::service::{report_that_says, reports_of};

/// The command that ships a folder and sends to this URL, with these variables.
fn shipping(from: &Path, to: &str, url: &str, more: &[&str], variables: &[(&str, &str)]) -> Command {
    let from = from.display().to_string();
    let mut command = command(&[&["ship", &from, to, "--otlp", url], more].concat());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    command
}

fn run(from: &Path, to: &Path, url: &str, more: &[&str], variables: &[(&str, &str)]) -> Done {
    done(shipping(from, &to.display().to_string(), url, more, variables), b"")
}

/// A folder with reports of so many processes, each with two findings, and one for their tables.
fn sources(name: &str, count: u32) -> (PathBuf, PathBuf) {
    let folder = folder(name);
    let from = folder.join("in");
    fs::create_dir(&from).expect("a folder");
    let mut report: Value = serde_json::from_str(&reports_of("1.0", 1, 4)[0]).expect("JSON");
    report["findings"] = ["error", "warning"]
        .map(|severity| {
            serde_json::json!({
                "code": "lock.deadlock", "severity": severity, "certainty": "probable",
                "message": "2 threads wait for 0x1f", "threads": [7, 8], "tasks": [], "section": "Threads",
                "evidence": [{ "message": "not sent" }], "next": "look at thread 7"
            })
        })
        .to_vec()
        .into();
    for index in 0..count {
        report["heading"]["pid"] = (1_000 + index).into();
        report["heading"]["made_at"] = format!("2026-01-0{}T03:04:05.678Z", 1 + index % 2).into();
        file(&from, &format!("{index:02}.json"), report.to_string());
    }
    (from, folder.join("out"))
}

/// The ids of all records of these reports.
fn expected(tables: &Path) -> BTreeSet<String> {
    let of = |id: String| [id.clone(), format!("{id}-0"), format!("{id}-1")];
    reports(tables).into_iter().flat_map(of).collect()
}

#[test]
fn each_report_comes_as_records_that_lead_to_it() {
    let (from, to) = sources("otlp", 3);
    let Some(receiver) = Receiver::start("", &to) else { return };
    // One as it was made, in a pod, and one that somebody has edited.
    let mut report: Value = serde_json::from_str(&reports_of("2.0", 1, 4)[0]).expect("JSON");
    for section in report["sections"].as_array_mut().expect("sections") {
        if section["content"]["kind"] == "package" {
            let pod =
                |name: &str, value: &str| serde_json::json!({ "name": name, "value": value, "source": "x" });
            section["content"]["data"]["kubernetes"] =
                vec![pod("pod", "shop-7"), pod("namespace", "prod"), pod("node", "n1")].into();
        }
    }
    file(&from, "pod.json", report.to_string());
    let planted = "'; DROP TABLE x; --<script>\u{1b}[2J\u{0}\n\u{202e}";
    report["findings"] = vec![serde_json::json!({
        "code": planted, "severity": "error", "message": planted, "threads": [], "tasks": [], "section": null
    })]
    .into();
    file(&from, "edited.json", report.to_string());
    let secret =
        [("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k%3Dy"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")];
    let said = run(&from, &to, &receiver.url(), &[], &secret);
    assert_eq!(said.code, Some(0), "{}", said.errors);
    let url = format!("{}/v1/logs", receiver.url());
    assert!(said.errors.ends_with(&format!("gmr-fleet: 5 reports sent to {url}\n")), "{}", said.errors);
    let requests = receiver.requests(1);
    for request in &requests {
        let headers = &request["headers"];
        assert_eq!(request["path"], "/v1/logs");
        assert_eq!((&headers["api-key"], &headers["content-encoding"]), (&"k=y".into(), &"gzip".into()));
        assert_eq!(headers["content-type"], "application/x-protobuf");
        assert_eq!(request["unknown"], 0, "a field that the definitions do not have");
    }
    let records: Vec<Record> = requests.iter().flat_map(Record::of).collect();
    let ids: BTreeSet<String> =
        records.iter().filter_map(|record| record.attribute("gmr.report.id")).collect();
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), reports(&to));
    assert_eq!(uids(&requests).len(), records.len(), "an id is there twice");
    // The heading, and what leads to the report.
    let pids: BTreeMap<String, String> = column(&to, "reports", "report_id")
        .into_iter()
        .flatten()
        .zip(column(&to, "reports", "pid").into_iter().flatten())
        .collect();
    for record in &records {
        let id = record.attribute("gmr.report.id").expect("an id");
        assert_eq!(record.of_resource("service.name").as_deref(), Some("shop"));
        assert_eq!(record.of_resource("process.pid"), pids.get(&id).cloned());
        assert!(record.of_resource("host.name").is_some());
        assert_eq!(record.attribute("gmr.report.tables"), Some(to.display().to_string()));
        let open = record.attribute("gmr.report.open").expect("a command");
        assert_eq!(open, format!("gmr fleet report {} {id} | gmr view -", to.display()));
    }
    let opened = fleet(&["fleet", "report", &to.display().to_string(), &records[0].uid()]).well();
    let opened: Value = serde_json::from_str(&opened).expect("JSON");
    assert_eq!(opened["heading"]["pid"].to_string(), records[0].of_resource("process.pid").expect("an id"));
    let pod = records.iter().find(|record| record.of_resource("k8s.pod.name").is_some()).expect("the pod");
    let of_pod = ["k8s.pod.name", "k8s.namespace.name", "k8s.node.name", "service.version"];
    let of_pod = of_pod.map(|key| pod.of_resource(key).expect(key));
    assert_eq!(of_pod, ["shop-7", "prod", "n1", "2.0"]);
    // Findings have their severity, and not what they were concluded from.
    let is = |record: &&Record, severity: u64, text: &str| {
        record.record["severity_text"] == text
            && record.record["event_name"] == "gmr.finding"
            && record.attribute("gmr.finding.code").as_deref() == Some("lock.deadlock")
            && severity == severity_of(&record.record)
    };
    for (severity, text) in [(17, "ERROR"), (13, "WARN")] {
        let found: Vec<&Record> = records.iter().filter(|record| is(record, severity, text)).collect();
        assert_eq!(found.len(), 3, "{records:?}");
        let body = &found[0].record["body"]["string_value"];
        assert_eq!(body, "2 threads wait for 0x1f");
        assert_eq!(found[0].attribute("gmr.finding.threads").as_deref(), Some("2"));
        assert_eq!(found[0].record["time_unix_nano"].as_str().map(|time| &time[..6]), Some("176723"));
    }
    assert!(!serde_json::to_string(&requests).expect("JSON").contains("not sent"), "evidence is sent");
    let escaped = "'; DROP TABLE x; --<script>\\u{1b}[2J\\u{0}\\n\\u{202e}";
    assert!(records.iter().any(|record| record.record["body"]["string_value"] == escaped), "a value");
    // Once more, nothing comes; and to another receiver, all.
    let again = run(&from, &to, &receiver.url(), &[], &[]);
    assert!(again.code == Some(0) && !again.errors.contains("sent to"), "{}", again.errors);
    assert_eq!(receiver.requests(requests.len()).len(), requests.len());
    let other = Receiver::start("", &to).expect("it starts");
    assert!(run(&from, &to, &other.url(), &[], &[]).errors.contains("5 reports sent"));
    assert_eq!(uids(&other.end()), uids(&requests));
}

/// What a receiver gets of this report.
fn sent(name: &str, report: &str) -> Option<(Vec<Record>, PathBuf)> {
    let folder = folder(name);
    let (from, to) = (folder.join("in"), folder.join("out"));
    fs::create_dir(&from).expect("a folder");
    file(&from, "0.json", report);
    let receiver = Receiver::start("", &to)?;
    assert_eq!(run(&from, &to, &receiver.url(), &[], &[]).code, Some(0));
    Some((receiver.end().iter().flat_map(Record::of).collect(), to))
}

#[test]
fn what_is_masked_in_a_report_is_masked_in_its_records() {
    for (says, shown) in [("password=plum", "password=***"), ("colour=plum", "colour=plum")] {
        let Some((records, _)) = sent("otlp-masked", &report_that_says(says)) else { return };
        let all = records.iter().map(|record| format!("{} {}", record.record, record.resource));
        let all: String = all.collect();
        assert_eq!(all.contains("plum"), shown.contains("plum"), "{all}");
        let heading = records[0].record["body"]["string_value"].as_str().expect("text");
        assert!(heading.contains(&format!(" of shop {shown} 1.0 {shown}, ")), "{heading}");
        assert_eq!(records[0].of_resource("service.name"), Some(format!("shop {shown}")));
        assert_eq!(records[0].of_resource("service.version"), Some(format!("1.0 {shown}")));
        let is_failed =
            |record: &&Record| record.attribute("gmr.finding.code").as_deref() == Some("section.failed");
        let finding = records.iter().find(is_failed).expect("the section has failed");
        let message = format!("Pool {shown} failed: no connection with {shown}");
        assert_eq!(finding.record["body"]["string_value"], message);
        assert_eq!(finding.attribute("gmr.finding.said"), Some(message));
        assert_eq!(finding.attribute("gmr.finding.section"), Some(format!("Pool {shown}")));
    }
}

/// What somebody could try to become markup, SQL, a command of a shell or of a terminal, or another field.
const SMUGGLED: &str = "'; DROP TABLE reports; --\"><script>alert(1)</script>$(reboot)`reboot`\u{1b}[2J\u{202e}\u{0}\n\
    {\"key\":\"gmr.report.id\"} gmr.report.open=reboot";

#[test]
fn an_edited_report_has_the_records_of_any_other() {
    let findings = |text: &str| {
        serde_json::json!([{
            "code": text, "severity": "error", "certainty": "probable", "message": text, "threads": [7], "tasks": [],
            "section": text, "next": text, "evidence": [{ "message": text }]
        }])
    };
    let report: Value = serde_json::from_str(&reports_of("1.0", 1, 4)[0]).expect("JSON");
    let with = |name: &str, text: &str| {
        let mut report = report.clone();
        report["findings"] = findings(text);
        report["heading"]["trigger"] = serde_json::json!({
            "kind": "automatic", "name": text, "cause": text, "coalesced": 0
        });
        let package = section(&mut report, "package");
        for field in ["product", "version", "revision", "build_id", "host", "container_id"] {
            package[field] = text.into();
        }
        let stated = ["pod", "namespace", "node", "container"]
            .map(|name| serde_json::json!({ "name": name, "value": text, "source": text }));
        package["kubernetes"] = stated.to_vec().into();
        sent(name, &report.to_string())
    };
    let Some((plain, _)) = with("otlp-plain", "plain") else { return };
    for (name, text) in [("otlp-smuggled", SMUGGLED), ("otlp-hostile", HOSTILE)] {
        let (records, tables) = with(name, text).expect("it starts");
        // The same records with the same fields, of which none is there twice.
        let shape = |record: &Record| {
            let keys = |of: &Value| -> Vec<String> {
                let keys = of["attributes"].as_array().expect("a list").iter();
                keys.map(|attribute| attribute["key"].as_str().expect("text").to_owned()).collect()
            };
            let (record, resource) = (&record.record, &record.resource);
            let fields: Vec<String> = record.as_object().expect("an object").keys().cloned().collect();
            let (severity, event) = (record["severity_text"].clone(), record["event_name"].clone());
            (keys(record), keys(resource), fields, severity, event)
        };
        assert_eq!(
            records.iter().map(shape).collect::<Vec<_>>(),
            plain.iter().map(shape).collect::<Vec<_>>()
        );
        // As a value, and nowhere else, it is there, without what a terminal would interpret.
        let id = reports(&tables).remove(0);
        for (record, uid) in records.iter().zip([id.clone(), format!("{id}-0")]) {
            assert_eq!(record.uid(), uid);
            assert_eq!(record.attribute("gmr.report.id"), Some(id.clone()));
            let open = format!("gmr fleet report {} {id} | gmr view -", tables.display());
            assert_eq!(record.attribute("gmr.report.open"), Some(open));
            let markup = "<script>alert(1)</script>";
            let body = record.record["body"]["string_value"].as_str().expect("text");
            let host = record.of_resource("host.name").expect("a host");
            assert!(body.contains(markup) && host.contains(markup), "{body} {host}");
            let is_plain = |text: &str| !text.chars().any(|c| c.is_control() || c == '\u{202e}');
            assert!(texts(&record.record).chain(texts(&record.resource)).all(is_plain), "{record:?}");
        }
    }
}

/// All texts of the attributes and of the body.
fn texts(of: &Value) -> impl Iterator<Item = &str> {
    let values = of["attributes"].as_array().expect("a list").iter().map(|attribute| &attribute["value"]);
    values.chain([&of["body"]]).filter_map(|value| value["string_value"].as_str())
}

fn severity_of(record: &Value) -> u64 {
    match record["severity_number"].as_str() {
        Some("SEVERITY_NUMBER_ERROR") => 17,
        Some("SEVERITY_NUMBER_WARN") => 13,
        Some("SEVERITY_NUMBER_INFO") => 9,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_fails_in_passing_is_sent_again_and_nothing_else() {
    // What becomes of the requests of each run. It ends after the last one.
    const RUNS: [&str; 7] = ["503,lost,half,partial", "429,502,slow,remark", "504,", "400", "500", "413", ""];
    let (from, to) = sources("otlp-faults", 7);
    let Some(receiver) = Receiver::start(&RUNS.join(","), &to) else { return };
    let (some, mut errors, mut before) = (folder("otlp-faults-in"), String::new(), 0);
    for (index, faults) in RUNS.iter().enumerate() {
        // One more report in each run.
        let name = format!("{index:02}.json");
        fs::copy(from.join(&name), some.join(&name)).expect("copied");
        let variables = [("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")];
        let done = run(&some, &to, &receiver.url(), &[], &variables);
        assert_eq!(done.code, Some(0), "{}", done.errors);
        errors.push_str(&done.errors);
        let requests = receiver.requests(before + faults.split(',').count());
        let of_run = &requests[before..];
        let had: Vec<&str> = of_run.iter().map(|request| request["fault"].as_str().expect("text")).collect();
        assert_eq!(had.join(","), *faults);
        // The same request, until there is an answer, and nothing that an earlier run has sent.
        let earlier = uids(&requests[..before]);
        for request in of_run {
            assert!(uids([request]).len() == 3 && uids([request]).is_disjoint(&earlier), "{index}");
            assert_eq!(request["request"], of_run[0]["request"]);
        }
        before = requests.len();
    }
    let requests = receiver.end();
    assert_eq!(uids(&requests), expected(&to));
    // Receivers that say when are left alone until then.
    let pause = |index: usize| {
        requests[index + 1]["at"].as_f64().expect("a time") - requests[index]["at"].as_f64().expect("a time")
    };
    assert!(pause(0) >= 2.0 && pause(4) >= 2.0, "{} {}", pause(0), pause(4));
    // Those that do not, for longer each time.
    assert!(pause(1) >= 1.0 && pause(2) >= 2.0, "{} {}", pause(1), pause(2));
    for said in [
        "HTTP 503: told to say 503; trying again in 2s",
        "HTTP 429: told to say 429; trying again in 2s",
        "HTTP 504: told to say 504; trying again in ",
        "no complete answer within 1s; trying again in ",
        "refuses 1 of 3 records, and does not get them again: one is too many",
        "says: use fewer attributes",
        "refuses 3 records, and does not get them again: HTTP 400: told to say 400",
        "HTTP 500: told to say 500",
        "HTTP 413: told to say 413",
    ] {
        assert!(errors.contains(said), "{said}: {errors}");
    }
    assert!(!errors.contains('\u{1b}'), "{errors:?}");
}

#[test]
fn reports_are_stored_whether_the_receiver_is_there_or_not() {
    let (from, to) = sources("otlp-later", 2);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|bound| bound.local_addr()).expect("a port").port();
    let url = format!("http://127.0.0.1:{port}");
    let more = ["--watch", "50ms"];
    let mut command = shipping(&from, &to.display().to_string(), &url, &more, &[]);
    let mut child = command.stderr(Stdio::null()).spawn().expect("it starts");
    wait_for(&mut child, || to.is_dir() && reports(&to).len() == 2);
    file(&from, "more.json", reports_of("1.0", 1, 4).remove(0));
    wait_for(&mut child, || reports(&to).len() == 3);
    let receiver = Receiver::start_at("", &to, port, None);
    if let Some(receiver) = &receiver {
        let ids = |requests: &[Value]| -> BTreeSet<String> {
            let records = requests.iter().flat_map(Record::of);
            records.filter_map(|record| record.attribute("gmr.report.id")).collect()
        };
        wait_for(&mut child, || ids(&receiver.requests(0)).into_iter().collect::<Vec<_>>() == reports(&to));
    }
    child.kill().expect("it lives");
    child.wait().expect("it ends");
}

/// `FLEET_KILLS=1000 cargo xtask fleet` kills it more often.
#[test]
fn a_run_that_is_killed_leaves_nothing_unsent_and_sends_nothing_that_is_not_stored() {
    let kills: u64 = std::env::var("FLEET_KILLS").map_or(25, |kills| kills.parse().expect("a number"));
    let (from, to) = sources("otlp-killed", 12);
    let Some(timed) = Receiver::start("", &to) else { return };
    let since = Instant::now();
    assert_eq!(run(&from, &to, &timed.url(), &["--batch", "1"], &[]).code, Some(0));
    let took = u64::try_from(since.elapsed().as_micros()).expect("short");
    let all = expected(&to);
    assert_eq!(all.len(), 36);
    drop(timed);
    let (mut random, mut killed, mut rounds, mut twice) = (Random(7), 0, 0, 0);
    while killed < kills {
        fs::remove_dir_all(&to).expect("it is there");
        let receiver = Receiver::start("", &to).expect("it starts");
        // On a machine with other work, no run would come to its end by itself.
        for attempt in 0.. {
            let arguments = ["--batch", "1"];
            let mut command = shipping(&from, &to.display().to_string(), &receiver.url(), &arguments, &[]);
            let mut child = command.stderr(Stdio::null()).spawn().expect("it starts");
            if attempt < 10 {
                // It begins with reading the sources.
                thread::sleep(Duration::from_micros(took / 4 + random.below(took)));
                let _ = child.kill();
            }
            if child.wait().expect("it ends").success() {
                break;
            }
            killed += 1;
        }
        let requests = receiver.end();
        let mut reports = BTreeSet::new();
        let mut records = 0;
        for request in &requests {
            for record in Record::of(request) {
                reports.insert(record.attribute("gmr.report.id"));
                records += 1;
            }
            // Each report has a batch of its own.
            assert!(request["batches"].as_u64() >= u64::try_from(reports.len()).ok(), "{}", reports.len());
        }
        assert_eq!(uids(&requests), all);
        assert_eq!(expected(&to), all);
        twice += records - all.len();
        rounds += 1;
    }
    eprintln!(
        "killed {killed} times in {rounds} rounds; {twice} records came twice, of {}",
        rounds * all.len()
    );
}

#[test]
fn object_storage_remembers_what_has_been_sent() {
    let (from, to) = sources("otlp-objects", 4);
    let (Some(server), Some(receiver)) = (Server::start(), Receiver::start("", &to)) else { return };
    let run = || {
        let mut command = shipping(&from, "s3://reports/it's", &receiver.url(), &[], &[]);
        command.envs(access(server.port()));
        done(command, b"")
    };
    let first = run();
    assert!(first.code == Some(0) && first.errors.contains("4 reports sent"), "{}", first.errors);
    let requests = receiver.requests(1);
    let record = &Record::of(&requests[0])[0];
    assert_eq!(record.attribute("gmr.report.tables").as_deref(), Some("s3://reports/it's"));
    let open = record.attribute("gmr.report.open").expect("a command");
    assert!(open.starts_with(r"gmr fleet report 's3://reports/it'\''s' "), "{open}");
    // From another folder, as after the pod has been replaced.
    let again = run();
    assert!(again.code == Some(0) && !again.errors.contains("sent"), "{}", again.errors);
    assert_eq!(receiver.requests(requests.len()).len(), requests.len());
    // The tables are as without it.
    let sql = "SELECT count(*) AS count FROM reports";
    let mut command = command(&["fleet", "sql", "s3://reports/it's", sql, "--json"]);
    command.envs(access(server.port()));
    let counted: Value = serde_json::from_str(&done(command, b"").well()).expect("JSON");
    assert_eq!(counted[0]["count"], 4);
}

#[test]
fn tls_is_by_the_certificate_that_is_trusted() {
    let (from, to) = sources("otlp-tls", 1);
    let Some([both, public]) = certificate(&folder("otlp-tls-files")) else { return };
    let receiver = Receiver::start_at("", &to, 0, Some(&both)).expect("it starts");
    let url = receiver.url().replace("http://", "https://");
    let trusted = public.display().to_string();
    let variables = [("OTEL_EXPORTER_OTLP_CERTIFICATE", &*trusted)];
    let well = run(&from, &to, &url, &[], &variables);
    assert!(well.code == Some(0) && well.errors.contains("1 report sent to https://"), "{}", well.errors);
    assert_eq!(uids(&receiver.requests(1)), expected(&to));
    // Without it, nothing is sent: what is stored waits.
    fs::remove_dir_all(to.join(".otlp")).expect("it is there");
    let mut command = shipping(&from, &to.display().to_string(), &url, &["--watch"], &[]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut said = std::io::BufReader::new(child.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("trying again") {
        line.clear();
        let bytes = std::io::BufRead::read_line(&mut said, &mut line).expect("text");
        assert!(bytes > 0, "it has ended");
    }
    assert!(line.contains("certificate"), "{line}");
    child.kill().expect("it lives");
    child.wait().expect("it ends");
    assert_eq!(receiver.end().len(), 1);
}

#[test]
fn who_is_denied_ends_at_once_and_the_next_run_goes_on() {
    let (from, to) = sources("otlp-denied", 2);
    let Some(receiver) = Receiver::start("401,302", &to) else { return };
    for said in ["HTTP 401: told to say 401", "HTTP 302"] {
        let variables = [("OTEL_EXPORTER_OTLP_HEADERS", "api-key=sesame")];
        let errors = run(&from, &to, &receiver.url(), &["--watch"], &variables).failed(1);
        assert!(errors.contains("could not send to ") && errors.contains(said), "{errors}");
        assert!(!errors.contains("sesame"), "{errors}");
        assert_eq!(reports(&to).len(), 2, "they are stored");
    }
    run(&from, &to, &receiver.url(), &[], &[]).well();
    assert_eq!(uids(&receiver.end()[2..]), expected(&to));
    for (url, said) in [
        ("collector:4318", "expected the URL of a receiver"),
        ("http://me:secret@collector", "must not have a password"),
    ] {
        let errors = run(&from, &to, url, &[], &[]).failed(1);
        assert!(errors.contains(said) && !errors.contains("secret"), "{errors}");
    }
    let errors = run(&from, &to, "http://x", &[], &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).failed(1);
    assert!(errors.contains("only `http/protobuf`"), "{errors}");
}

#[test]
fn standard_input_is_sent_before_it_ends() {
    let folder = folder("otlp-input");
    let to = folder.join("out");
    let Some(receiver) = Receiver::start("503", &to) else { return };
    let lines = reports_of("1.0", 2, 4).join("\n");
    let path = to.display().to_string();
    let said = done(command(&["ship", "-", &path, "--otlp", &receiver.url()]), lines.as_bytes());
    assert!(said.code == Some(0) && said.errors.contains("2 reports sent to "), "{}", said.errors);
    let requests = receiver.end();
    assert_eq!(
        requests.iter().map(|request| request["fault"].as_str()).collect::<Vec<_>>(),
        [Some("503"), Some("")]
    );
    assert_eq!(uids(&requests[..1]), uids(&requests[1..]));
}

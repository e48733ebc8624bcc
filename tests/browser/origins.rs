//! Reports over HTTP in a real browser: its own page works under its policy, and a page of another
//! origin neither triggers a report nor reads one, also if its name leads to the service.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::program::{Program, program};
use crate::webdriver::{self, Browser};

/// A service with an admin port.
fn admin() -> (Program, String) {
    let mut program = Program::start(program!("admin"));
    let port = program.ask("port");
    (program, port)
}

/// Everything by which a page can send a request to another origin, without a click. The title says
/// when all have ended, and what could be read.
fn attack(url: &str) -> String {
    let page = r"<!DOCTYPE html><title>starting</title><body><script>
        const url = 'URL', read = [];
        const ended = (element, attribute = 'src') => new Promise((done) => {
            element.onload = element.onerror = done;
            element[attribute] = url;
            document.body.append(element);
            setTimeout(done, 3000);
        });
        const made = (tag, more) => Object.assign(document.createElement(tag), more);
        const fetched = (options) => fetch(url, options).then((answer) => answer.text()).then((text) => {
            if (text) read.push(text);
        }, () => {});
        const form = made('form', {action: url, target: 'framed', method: 'GET'});
        const frame = made('iframe', {name: 'framed'});
        Promise.all([
            fetched({}), fetched({mode: 'no-cors'}), fetched({method: 'POST', mode: 'no-cors'}),
            fetched({mode: 'no-cors', referrerPolicy: 'no-referrer', credentials: 'omit'}),
            fetched({mode: 'no-cors', headers: {accept: 'text/plain'}}),
            ended(made('img')), ended(made('script')), ended(made('iframe')), ended(made('video')),
            ended(made('link', {rel: 'stylesheet'}), 'href'), ended(made('link', {rel: 'prefetch'}), 'href'),
            ended(made('object'), 'data'), ended(made('iframe', {sandbox: ''})),
            new Promise((done) => {
                document.body.append(frame, form);
                frame.onload = done;
                form.submit();
                setTimeout(done, 3000);
            }),
        ]).then(() => {
            navigator.sendBeacon(url, 'x');
            for (const frame of document.querySelectorAll('iframe')) {
                try { read.push(frame.contentDocument.body.textContent); } catch {}
            }
            document.title = `read: ${read.filter((text) => text.includes('Guru')).length}`;
        });
    </script>";
    page.replace("URL", url)
}

/// Serves this page at all addresses, on a thread that ends with the tests. Returns the port.
fn serve(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { continue };
            let page = page.clone();
            thread::spawn(move || {
                let mut request = [0; 4096];
                let _ = connection.read(&mut request);
                let length = page.len();
                let _ = write!(
                    connection,
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{page}"
                );
            });
        }
    });
    port
}

#[test]
fn a_page_of_another_origin_triggers_nothing_and_reads_nothing() {
    if !webdriver::is_installed() {
        return;
    }
    let (mut program, port) = admin();
    let browser = Browser::start_with(&["--host-resolver-rules=MAP evil.example 127.0.0.1"]);
    let url = format!("http://127.0.0.1:{port}/gmr");
    let evil = serve(attack(&url));
    // Of another site, of the same site, and by a name.
    for host in ["localhost", "127.0.0.1", "evil.example"] {
        let asked = program.ask("asked").parse::<u64>().expect("a number");
        browser.open(&format!("http://{host}:{evil}/"));
        browser.wait_until("document.title.startsWith('read: ')");
        assert_eq!(browser.value("document.title"), "read: 0", "{host}");
        assert!(program.ask("asked").parse::<u64>().expect("a number") > asked + 5, "{host}: it was asked");
        assert_eq!(program.ask("made"), "0", "{host}");
        // To follow a link is to be sent there by another page.
        browser.value(&format!("void (location.href = '{url}')"));
        browser.wait_until(&format!("location.href === '{url}' && document.readyState === 'complete'"));
        assert!(!browser.text("body").contains("Guru"), "{host}");
        assert_eq!(program.ask("made"), "0", "{host}: a link");
    }
}

#[test]
fn a_name_that_is_bound_again_leads_to_no_report() {
    if !webdriver::is_installed() {
        return;
    }
    let (mut program, port) = admin();
    // As after DNS rebinding: for the browser, the page and the service are of the same origin.
    let browser = Browser::start_with(&["--host-resolver-rules=MAP evil.example 127.0.0.1"]);
    let url = format!("http://evil.example:{port}/gmr");
    browser.open(&url);
    let refused = browser.text("body");
    assert!(refused.contains("evil.example") && !refused.contains("Guru"), "{refused}");
    // The policy of the answer lets nothing run; a page of the name itself would have none.
    browser.command("Page.setBypassCSP", &serde_json::json!({"enabled": true}));
    browser.open(&url);
    browser.value(
        "void fetch('/gmr').then((answer) => answer.text().then((text) => { window.read = `${answer.status} ${text}`; }))",
    );
    browser.wait_until("window.read");
    let read = browser.value("window.read");
    assert!(read.as_str().is_some_and(|read| read.starts_with("421 ") && !read.contains("Guru")), "{read}");
    assert_eq!(program.ask("made"), "0");
}

#[test]
fn the_page_works_under_its_policy() {
    if !webdriver::is_installed() {
        return;
    }
    let (_program, port) = admin();
    let browser = Browser::start();
    browser.open(&format!("http://127.0.0.1:{port}/gmr"));
    browser.wait_until("!document.querySelector('.tools').hidden");
    browser.click(".flame button:last-child");
    browser.wait_until("document.querySelector('.flame').style.getPropertyValue('--shown')");
    browser.write("#filter", "admin");
    browser.wait_until("document.querySelector('#matches').value.startsWith('1 of ')");
    browser.value("document.querySelector('#copy').click()");
    browser.wait_until("document.querySelector('#copy').textContent === 'copied'");
    browser.value("document.querySelector('#download').click()");
    let messages = browser.console();
    assert!(messages.iter().all(|message| message.contains("favicon")), "{messages:?}");
}

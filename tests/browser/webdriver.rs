//! The part of the `WebDriver` protocol that the tests need, for Chromium's driver. It does only
//! what a user could do to a page; a command that fails ends the test with the driver's message.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

/// What the tests start, and what the driver starts.
const PROGRAMS: [&str; 2] = ["chromedriver", "chromium"];

/// How long a condition may take to become true. Long enough for a busy machine.
const DEADLINE: Duration = Duration::from_mins(1);

/// How an element is named in an answer: a constant of the protocol.
pub(crate) const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Whether there is a browser to test with. Without one a test is skipped and says so, except in
/// CI, where it fails.
pub(crate) fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_in_path =
        |program: &str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|program| !is_in_path(program)).collect();
    if missing.is_empty() {
        return true;
    }
    let message = format!("{} not found in PATH; `cargo xtask setup` installs them", missing.join(" and "));
    assert!(!std::env::var("CI").is_ok_and(|value| value == "true"), "{message}");
    // Not `eprintln!`, whose output the harness shows for failed tests only.
    writeln!(std::io::stderr(), "skipped: {message}").expect("stderr can be written to");
    false
}

/// A browser with one window, which is closed on drop.
pub(crate) struct Browser {
    driver: Child,
    /// Kept open, since the driver keeps writing to it.
    output: BufReader<ChildStdout>,
    session: String,
    profile: PathBuf,
}

impl Browser {
    /// Starts Chromium without a window on the screen.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with these arguments.
    pub(crate) fn start_with(more: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut driver = Command::new(PROGRAMS[0])
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let output = BufReader::new(driver.stdout.take().expect("stdout is piped"));
        let profile = std::env::temp_dir().join(format!("gmr-browser-{}-{number}", std::process::id()));
        // From here on, dropping this ends the driver, even if the browser does not start.
        let mut browser = Self { driver, output, session: String::new(), profile };
        let root = format!("http://127.0.0.1:{}", browser.port());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            // A key has scrolled when its event has been handled.
            "--disable-smooth-scrolling",
            "--no-first-run",
            "--window-size=1280,1000",
            &format!("--user-data-dir={}", browser.profile.display()),
        ];
        // A prompt is answered by the test that expects it; any other is left open, and fails the
        // next command.
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments.iter().chain(more).collect::<Vec<_>>()},
            "goog:loggingPrefs": {"browser": "ALL"},
            "unhandledPromptBehavior": "ignore",
            "timeouts": {"script": 2 * DEADLINE.as_millis()},
        }}});
        let answer = done(post(&format!("{root}/session"), &wanted), "start Chromium");
        let id = answer["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {answer}"));
        browser.session = format!("{root}/session/{id}");
        browser
    }

    /// The port that the driver says it listens on.
    fn port(&mut self) -> String {
        let mut said = String::new();
        loop {
            let start = said.len();
            let read = self.output.read_line(&mut said).expect("chromedriver's output can be read");
            assert_ne!(read, 0, "chromedriver ended without naming its port: {said}");
            if let Some((_, port)) = said[start..].split_once("successfully on port ") {
                return port.trim_end().trim_end_matches('.').to_owned();
            }
        }
    }

    pub(crate) fn open(&self, url: &str) {
        self.value("window.isOfBefore = true");
        self.post("url", &json!({"url": url}));
        // The driver can return while the page is the one before, or is still being read. To
        // another place of a page, no other one is loaded.
        let is_loaded = if url.contains('#') { "true" } else { "!window.isOfBefore" };
        self.wait_until(&format!("{is_loaded} && document.readyState === 'complete'"));
    }

    /// The size of the page's viewport, scroll bars included.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&self, expression: &str) -> Value {
        self.post("execute/sync", &json!({"script": format!("return {expression}"), "args": []}))
    }

    /// Waits until an expression is true in the page; fails after a minute.
    ///
    /// The browser may handle an event after the command that caused it has returned.
    pub(crate) fn wait_until(&self, condition: &str) {
        let script = format!(
            "const done = arguments[0], deadline = Date.now() + {};
             const look = () => {{
                 if ({condition}) done(true);
                 else if (Date.now() > deadline) done(false);
                 else setTimeout(look, 10);
             }};
             look();",
            DEADLINE.as_millis()
        );
        let held = self.post("execute/async", &json!({"script": script, "args": []}));
        assert_eq!(held, true, "within {DEADLINE:?}: {condition}; the page is {}", self.view());
    }

    /// The scroll position of the page, and how much of it is in view.
    fn view(&self) -> Value {
        self.value("({scrolled: scrollY, width: innerWidth, height: innerHeight, hash: location.hash})")
    }

    /// The element that a selector finds, by the browser's name for it.
    fn element(&self, selector: &str) -> String {
        let found = self.post("element", &json!({"using": "css selector", "value": selector}));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("no element {selector}: {found}")).to_owned()
    }

    /// Clicks in the middle of an element, which is scrolled into view only if it is outside of it.
    /// Fails if another element is there, and names it.
    pub(crate) fn click(&self, selector: &str) {
        let id = self.element(selector);
        if let Err(message) = post(&format!("{}/element/{id}/click", self.session), &json!({})) {
            panic!("{selector} could not be clicked: {message}; the page is {}", self.view());
        }
    }

    /// Types into an element.
    pub(crate) fn write(&self, selector: &str, text: &str) {
        let id = self.element(selector);
        self.post(&format!("element/{id}/value"), &json!({"text": text}));
    }

    /// The same into an element with this name of the browser's, which need not be visible.
    pub(crate) fn type_into(&self, id: &str, text: &str) {
        self.post(&format!("element/{id}/value"), &json!({"text": text}));
    }

    /// Presses keys while others are held, in the element that has the focus.
    pub(crate) fn press(&self, keys: &[char]) {
        let down = keys.iter().map(|key| json!({"type": "keyDown", "value": key}));
        let up = keys.iter().rev().map(|key| json!({"type": "keyUp", "value": key}));
        let actions: Vec<_> = down.chain(up).collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.post("actions", &json!({"actions": [keyboard]}));
    }

    /// The text of the prompt that is open, if there is one.
    pub(crate) fn prompt(&self) -> Option<String> {
        let text = get(&format!("{}/alert/text", self.session)).ok()?;
        text.as_str().map(str::to_owned)
    }

    /// The text of an element as it is rendered, without what is hidden or folded.
    pub(crate) fn text(&self, selector: &str) -> String {
        let id = self.element(selector);
        let text = done(get(&format!("{}/element/{id}/text", self.session)), "read text");
        text.as_str().expect("text").to_owned()
    }

    /// Chromium's own commands, where `WebDriver` has none.
    pub(crate) fn command(&self, name: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": name, "params": parameters}))
    }

    /// What the page and the browser have written to the console, each line once.
    pub(crate) fn console(&self) -> Vec<String> {
        let log = self.post("se/log", &json!({"type": "browser"}));
        let lines = log.as_array().unwrap_or_else(|| panic!("no log: {log}"));
        lines.iter().map(|line| format!("{}: {}", line["level"], line["message"])).collect()
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        done(post(&format!("{}/{command}", self.session), body), &format!("{command} {body}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = ureq::delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// One for all browsers: it keeps connections, of which a new one for each command costs time.
fn agent() -> &'static ureq::Agent {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    // The body of an error says what went wrong.
    AGENT.get_or_init(|| ureq::Agent::config_builder().http_status_as_error(false).build().into())
}

fn post(url: &str, body: &Value) -> Result<Value, String> {
    outcome(agent().post(url).send_json(body), url)
}

fn get(url: &str) -> Result<Value, String> {
    outcome(agent().get(url).call(), url)
}

/// What the driver answers: a value, or the first line of its message. The others name its build.
fn outcome(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    url: &str,
) -> Result<Value, String> {
    let mut answer = answer.unwrap_or_else(|error| panic!("{url}: {error}"));
    let failed = !answer.status().is_success();
    let mut body = answer.body_mut().read_json::<Value>().unwrap_or_else(|error| panic!("{url}: {error}"));
    let value = body["value"].take();
    if !failed {
        return Ok(value);
    }
    let message = value["message"].as_str().and_then(|message| message.lines().next());
    Err(message.map_or_else(|| value.to_string(), str::to_owned))
}

fn done(outcome: Result<Value, String>, what: &str) -> Value {
    outcome.unwrap_or_else(|message| panic!("the browser could not {what}: {message}"))
}

//! As much of the `WebDriver` protocol as the tests need, spoken with Chromium's driver.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A browser with one window, which is closed with this.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    profile: std::path::PathBuf,
}

impl Browser {
    /// Starts Chromium without a window on the screen.
    pub(crate) fn start() -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let said = BufReader::new(driver.stdout.take().expect("it is piped"));
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            line.split_once("successfully on port ").map(|(_, port)| port.trim_end_matches('.').to_owned())
        });
        let root = format!("http://127.0.0.1:{}", port.expect("it says its port"));
        let profile = std::env::temp_dir().join(format!("gmr-browser-{}-{number}", std::process::id()));
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--window-size=1280,1000",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let options = json!({"args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let answer = post(&format!("{root}/session"), &wanted);
        let id = answer["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {answer}"));
        Self { driver, session: format!("{root}/session/{id}"), profile }
    }

    pub(crate) fn open(&self, url: &str) {
        post(&format!("{}/url", self.session), &json!({"url": url}));
    }

    /// The value of an expression in the page.
    pub(crate) fn value(&self, expression: &str) -> Value {
        let body = json!({"script": format!("return {expression}"), "args": []});
        post(&format!("{}/execute/sync", self.session), &body)
    }

    /// The element that a selector finds, by the browser's name for it.
    fn element(&self, selector: &str) -> String {
        let body = json!({"using": "css selector", "value": selector});
        let found = post(&format!("{}/element", self.session), &body);
        let id = found.as_object().and_then(|found| found.values().next()?.as_str().map(str::to_owned));
        id.unwrap_or_else(|| panic!("no element {selector}: {found}"))
    }

    /// As a person clicks: on what is to be seen there.
    pub(crate) fn click(&self, selector: &str) {
        let id = self.element(selector);
        let answer = post(&format!("{}/element/{id}/click", self.session), &json!({}));
        assert!(answer.is_null(), "{selector} could not be clicked: {answer}");
    }

    /// As a person types.
    pub(crate) fn write(&self, selector: &str, text: &str) {
        let id = self.element(selector);
        let answer = post(&format!("{}/element/{id}/value", self.session), &json!({"text": text}));
        assert!(answer.is_null(), "{selector} could not be written to: {answer}");
    }

    /// What is to be seen of an element's text, and of nothing that is hidden or folded.
    pub(crate) fn text(&self, selector: &str) -> String {
        let id = self.element(selector);
        get(&format!("{}/element/{id}/text", self.session)).as_str().expect("text").to_owned()
    }

    /// Chromium's own commands, for what `WebDriver` has none.
    pub(crate) fn command(&self, name: &str, parameters: &Value) -> Value {
        post(&format!("{}/goog/cdp/execute", self.session), &json!({"cmd": name, "params": parameters}))
    }

    /// What the page has written to the console, errors of the browser's own among it.
    pub(crate) fn console(&self) -> Vec<String> {
        let log = post(&format!("{}/se/log", self.session), &json!({"type": "browser"}));
        let lines = log.as_array().unwrap_or_else(|| panic!("no log: {log}"));
        lines.iter().map(|line| format!("{}: {}", line["level"], line["message"])).collect()
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

fn agent() -> ureq::Agent {
    // What goes wrong is told in the body.
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn post(url: &str, body: &Value) -> Value {
    let mut answer = agent().post(url).send_json(body).unwrap_or_else(|error| panic!("{url}: {error}"));
    answer.body_mut().read_json::<Value>().unwrap_or_else(|error| panic!("{url}: {error}"))["value"].take()
}

fn get(url: &str) -> Value {
    let mut answer = agent().get(url).call().unwrap_or_else(|error| panic!("{url}: {error}"));
    answer.body_mut().read_json::<Value>().unwrap_or_else(|error| panic!("{url}: {error}"))["value"].take()
}

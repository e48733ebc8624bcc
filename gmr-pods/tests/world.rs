//! A cluster: an emulated API server in the Python of `GMR_TEST_PYTHON`, and kubeconfigs for it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use crate::program::folder;
use crate::service::Service;

const SERVER: &str = include_str!("api_server.py");
const CERTIFICATE: &str = include_str!("../../gmr-fleet/tests/certificate.py");

pub(crate) struct World {
    pub(crate) service: Service,
    child: Child,
    folder: PathBuf,
    port: u16,
    requests: Arc<Mutex<Vec<Value>>>,
}

/// A pod with the labels of its app, and what else it has.
pub(crate) fn pod(namespace: &str, name: &str, more: &Value) -> Value {
    let mut pod = json!({ "namespace": namespace, "name": name, "labels": { "app": "shop" } });
    for (key, value) in more.as_object().expect("an object") {
        pod[key] = value.clone();
    }
    pod
}

impl World {
    /// A cluster with these pods, and what else is to be known of it. `None` where there is no Python,
    /// which is said.
    pub(crate) fn start(name: &str, pods: &[Value], more: &Value) -> Option<Self> {
        let Some(python) = std::env::var_os("GMR_TEST_PYTHON") else {
            assert!(std::env::var_os("CI").is_none(), "`CI` is set, and GMR_TEST_PYTHON is not");
            eprintln!("skipped: GMR_TEST_PYTHON is not set");
            return None;
        };
        let (folder, service) = (folder(name), Service::start());
        let users = json!({ "sesame": ["list", "all", "proxy"], "lists": ["list"], "asks": ["proxy"] });
        let mut world = json!({ "pods": pods, "service": service.port, "users": users });
        for (key, value) in more.as_object().expect("an object") {
            world[key] = value.clone();
        }
        fs::write(folder.join("world.json"), world.to_string()).expect("written");
        let files = ["both.pem", "public.pem"].map(|name| folder.join(name));
        let made = Command::new(&python).args(["-c", CERTIFICATE]).args(&files).status();
        assert!(made.expect("Python starts").success(), "the module cryptography makes a certificate");
        let mut command = Command::new(python);
        command.args(["-c", SERVER]).arg(folder.join("world.json")).arg(&files[0]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
        let mut said = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut port = String::new();
        said.read_line(&mut port).expect("it can be read");
        let port = port.trim().parse().expect("a port");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                kept.lock().expect("requests").push(serde_json::from_str(&line).expect("JSON"));
            }
        });
        Some(Self { service, child, folder, port, requests })
    }

    /// The paths of all requests so far.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests.lock().expect("requests").clone()
    }

    /// The one of a user who may do all that is needed.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_of("jane", &json!({ "token": "sesame" }))
    }

    /// That of a user with these credentials.
    pub(crate) fn kubeconfig_of(&self, name: &str, user: &Value) -> PathBuf {
        let trusted = self.folder.join("public.pem");
        self.kubeconfig_with(name, user, &json!({ "certificate-authority": trusted }))
    }

    pub(crate) fn kubeconfig_with(&self, name: &str, user: &Value, cluster: &Value) -> PathBuf {
        let mut cluster = cluster.clone();
        cluster["server"] = format!("https://127.0.0.1:{}", self.port).into();
        let context = |namespace: &str| json!({ "cluster": "c", "user": "u", "namespace": namespace });
        // JSON is YAML.
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "prod",
            "clusters": [{ "name": "c", "cluster": cluster }],
            "users": [{ "name": "u", "user": user }],
            "contexts": [
                { "name": "prod", "context": context("prod") },
                { "name": "test", "context": context("test") },
            ],
        });
        let path = self.folder.join(format!("kubeconfig-{name}"));
        fs::write(&path, config.to_string()).expect("written");
        path
    }

    /// A program that prints credentials, as cloud providers have them.
    pub(crate) fn plugin(&self, token: &str) -> PathBuf {
        let credential = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": { "token": token },
        });
        let path = self.folder.join("plugin");
        fs::write(&path, format!("#!/bin/sh\nexec echo '{credential}'\n")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("made executable");
        path
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A token of the pods, which the API server keeps to itself where it is used to.

use std::fs;

use serde_json::{Value, json};

use crate::program::{Done, ask, command, done};
use crate::service::TOKEN;
use crate::world::{World, pod};

/// Asks with these variables, at the path that needs the token.
fn with(world: &World, arguments: &[&str], variables: &[(&str, &str)]) -> Done {
    let mut command = command(&[&["app=shop", "--path", "/guarded"], arguments].concat());
    command.env("KUBECONFIG", world.kubeconfig()).envs(variables.iter().copied());
    done(command)
}

#[test]
fn a_token_goes_to_the_pods_alone_and_the_api_server_passes_it_on() {
    let pods = ["a", "b"].map(|name| pod("prod", name, &json!({})));
    let Some(world) = World::start("token", &pods, &json!({})) else { return };
    let path = world.folder().join("token");
    fs::write(&path, format!("{TOKEN}\n")).expect("written");
    let file = path.display().to_string();
    let pid = world.service.pid();
    assert_eq!(with(&world, &["--token-file", &file], &[]).well(), [pid, pid]);
    assert_eq!(with(&world, &[], &[("GMR_COLLECT_TOKEN", TOKEN)]).well(), [pid, pid]);
    let requests = world.requests();
    let is_of_pod = |request: &&Value| request["path"].as_str().is_some_and(|path| path.contains("/proxy/"));
    let (to_pods, others): (Vec<_>, Vec<_>) = requests.iter().partition(is_of_pod);
    assert_eq!((to_pods.len(), others.len()), (4, 2), "{requests:?}");
    assert!(to_pods.iter().all(|request| request["x-gmr-token"] == TOKEN), "{requests:?}");
    assert!(others.iter().all(|request| request["x-gmr-token"].is_null()), "{requests:?}");
    // Pods that need none are asked without one.
    let before = requests.len();
    assert_eq!(ask(&world, &["app=shop"]).well(), [pid, pid]);
    assert!(world.requests()[before..].iter().all(|request| request["x-gmr-token"].is_null()));
}

#[test]
fn a_token_that_is_missing_or_wrong_is_named_and_not_shown() {
    let pods = [pod("prod", "shop-1", &json!({}))];
    let Some(world) = World::start("token-wrong", &pods, &json!({})) else { return };
    let error = with(&world, &[], &[]).failed();
    assert!(error.contains("prod/shop-1: HTTP 401: this report needs a token"), "{error}");
    assert!(error.contains("; give the pod's token by --token-file or GMR_COLLECT_TOKEN"), "{error}");
    let error = with(&world, &[], &[("GMR_COLLECT_TOKEN", "wrong-secret")]).failed();
    assert!(error.contains("; the token is not the pod's") && !error.contains("wrong-secret"), "{error}");
    let path = world.folder().join("broken");
    for broken in ["", "\n", "wrong secret", "wrong\nsecret", "wrong-s\u{e9}cret"] {
        fs::write(&path, broken).expect("written");
        let error = with(&world, &["--token-file", &path.display().to_string()], &[]).failed();
        assert!(error.contains("the token is not one") && !error.contains("wrong"), "{error}");
    }
    let error = with(&world, &["--token-file", "/nowhere"], &[]).failed();
    assert!(error.contains("could not read /nowhere: "), "{error}");
    // Everyone on the machine can read arguments.
    assert_eq!(with(&world, &["--token", TOKEN], &[]).code, Some(2));
}

#[test]
fn the_api_server_keeps_authorization_to_itself() {
    let pods = [pod("prod", "shop-1", &json!({}))];
    // The user's own token is that of the pods.
    let users = json!({ TOKEN: ["list", "proxy"] });
    for keeps in [false, true] {
        let mut more = json!({ "users": users });
        if keeps {
            more["keeps"] = true.into();
        }
        let Some(world) = World::start("token-stripped", &pods, &more) else { return };
        let kubeconfig = world.kubeconfig_of("pods", &json!({ "token": TOKEN })).display().to_string();
        let done = done(command(&["app=shop", "--path", "/guarded", "--kubeconfig", &kubeconfig]));
        if keeps {
            assert_eq!(done.well(), [world.service.pid()]);
        } else {
            assert!(done.failed().contains("HTTP 401: this report needs a token"));
        }
    }
}

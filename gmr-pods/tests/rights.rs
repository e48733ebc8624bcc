//! With whose rights it asks, and what it says where these do not reach.

use serde_json::json;

use crate::program::{ask, command, done};
use crate::world::{World, pod};

#[test]
fn credentials_are_those_of_the_kubeconfig() {
    let pods = [pod("prod", "shop-1", &json!({}))];
    let Some(world) = World::start("credentials", &pods, &json!({})) else { return };
    let token = world.folder().join("token");
    std::fs::write(&token, "sesame\n").expect("written");
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
        "command": world.plugin("sesame"),
    });
    for (name, user) in [
        ("token", json!({ "token": "sesame" })),
        ("file", json!({ "tokenFile": token })),
        ("exec", json!({ "exec": exec })),
    ] {
        let kubeconfig = world.kubeconfig_of(name, &user).display().to_string();
        let done = done(command(&["app=shop", "--kubeconfig", &kubeconfig]));
        assert_eq!(done.well(), [world.service.pid()], "{name}");
    }
}

#[test]
fn rights_that_are_missing_are_named() {
    let pods = [pod("prod", "shop-1", &json!({}))];
    let Some(world) = World::start("rights", &pods, &json!({})) else { return };
    let with = |token: &str, arguments: &[&str]| {
        let mut command = command(arguments);
        command.env("KUBECONFIG", world.kubeconfig_of(token, &json!({ "token": token })));
        done(command).failed()
    };
    let error = with("asks", &["app=shop"]);
    assert!(error.contains("could not list pods: HTTP 403: pods is forbidden: User \"jane\""), "{error}");
    assert!(error.contains("the right `list` on `pods` is missing"), "{error}");
    let error = with("lists", &["app=shop"]);
    assert!(error.contains("prod/shop-1: HTTP 403: "), "{error}");
    assert!(error.contains("the right `get` on `pods/proxy` is missing"), "{error}");
    assert!(error.ends_with("no report has come, of 1 pod\n"), "{error}");
    let error = with("lists", &["app=shop", "-A"]);
    assert!(error.contains("at the cluster scope"), "{error}");
    let error = with("wrong-secret", &["app=shop"]);
    assert!(error.contains("HTTP 401: Unauthorized") && !error.contains("wrong-secret"), "{error}");
}

#[test]
fn an_api_server_that_is_not_trusted_gets_no_token() {
    let pods = [pod("prod", "shop-1", &json!({}))];
    let Some(world) = World::start("trust", &pods, &json!({})) else { return };
    assert_eq!(ask(&world, &["app=shop"]).well().len(), 1);
    let before = world.requests().len();
    let kubeconfig = world.kubeconfig_with("other", &json!({ "token": "sesame" }), &json!({}));
    let arguments = ["app=shop", "--kubeconfig", &kubeconfig.display().to_string(), "--timeout", "10s"];
    let error = done(command(&arguments)).failed();
    assert!(error.contains("could not list pods") && error.contains("certificate"), "{error}");
    assert_eq!(world.requests().len(), before, "somebody was asked");
}

#[test]
fn what_is_wrong_is_said() {
    let error = done(command(&["app=shop"])).failed();
    assert!(error.contains("there is no cluster: "), "{error}");
    let error = done(command(&["app=shop", "--kubeconfig", "/nowhere"])).failed();
    assert!(error.contains("could not use /nowhere: "), "{error}");
    for (arguments, said) in [
        (&[""][..], "expected labels"),
        (&["app=shop", "--path", "gmr"], "expected a path"),
        (&["app=shop", "--of-each-version"], "--at-most"),
        (&["app=shop", "-A", "-n", "prod"], "cannot be used with"),
    ] {
        let done = done(command(arguments));
        assert!(done.code == Some(2) && done.errors.contains(said), "{}", done.errors);
    }
}

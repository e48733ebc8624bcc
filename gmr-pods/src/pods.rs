//! Which pods there are, and where each is asked: from the API server's list of those with the labels.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::{Api, ListParams};

use crate::args::Args;
use crate::cluster::{Cluster, chain};

/// How many pods are listed at a time.
const PAGE: u32 = 500;

/// How often the list is begun again, because the API server does not know any more where it was.
const RESTARTS: u32 = 3;

/// A pod that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) port: u16,
    /// What the container with the port runs: the id of its image, or else its name.
    pub(crate) image: String,
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The pods that can be asked, and the others, with the reasons.
pub(crate) fn of(
    cluster: &Cluster,
    args: &Args,
    time: Duration,
) -> Result<(Vec<Endpoint>, Vec<String>), String> {
    let listed = cluster.within(time, list(cluster, args));
    let pods = listed
        .ok_or_else(|| format!("could not list pods within {}", humantime::format_duration(time)))??;
    let (mut endpoints, mut failed) = (Vec::new(), Vec::new());
    let mut all = 0;
    for pod in pods.iter().filter(|pod| !has_ended(pod)) {
        all += 1;
        match endpoint(pod, &args.port) {
            Ok(endpoint) => endpoints.push(endpoint),
            Err(reason) => failed.push(reason),
        }
    }
    if all == 0 {
        let place = if args.all_namespaces { "any namespace" } else { &cluster.namespace };
        return Err(format!("there is no pod with the labels `{}` in {place}", args.selector));
    }
    Ok((endpoints, failed))
}

async fn list(cluster: &Cluster, args: &Args) -> Result<Vec<Pod>, String> {
    let client = cluster.patient.clone();
    let api: Api<Pod> =
        if args.all_namespaces { Api::all(client) } else { Api::namespaced(client, &cluster.namespace) };
    let first = ListParams::default().labels(&args.selector).limit(PAGE);
    let (mut pods, mut params, mut restarts) = (Vec::new(), first.clone(), 0);
    loop {
        match api.list(&params).await {
            Ok(page) => {
                pods.extend(page.items);
                let Some(next) = page.metadata.continue_.filter(|next| !next.is_empty()) else { break };
                params = first.clone().continue_token(&next);
            }
            // The list has changed too much since it was begun.
            Err(kube::Error::Api(status)) if status.code == 410 && restarts < RESTARTS => {
                (pods, params, restarts) = (Vec::new(), first.clone(), restarts + 1);
            }
            Err(kube::Error::Api(status)) => {
                let hint = if status.code == 403 { "; the right `list` on `pods` is missing" } else { "" };
                return Err(format!("could not list pods: HTTP {}: {}{hint}", status.code, status.message));
            }
            Err(error) => return Err(format!("could not list pods: {}", chain(&error))),
        }
    }
    Ok(pods)
}

/// Whether no process of it runs any more.
fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

/// Where a pod is asked, or why it can't be.
fn endpoint(pod: &Pod, port: &str) -> Result<Endpoint, String> {
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let (namespace, name) = (of(&pod.metadata.namespace), of(&pod.metadata.name));
    let failed = |reason: String| Err(format!("{namespace}/{name}: {reason}"));
    let is_plain = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
    };
    if !is_plain(&namespace) || !is_plain(&name) {
        return failed("its name is none that Kubernetes gives".to_owned());
    }
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or("Unknown");
    if phase != "Running" {
        return failed(format!("it does not run: {phase}"));
    }
    let containers = pod.spec.as_ref().map(|spec| containers(spec)).unwrap_or_default();
    let Some((container, port)) = port_of(&containers, port) else {
        return failed(format!("it has no port `{port}`; --port names another one"));
    };
    let id = container.and_then(|container| {
        let statuses = status?.container_statuses.iter().chain(&status?.init_container_statuses).flatten();
        let of_container = statuses.into_iter().find(|status| status.name == container.name)?;
        Some(of_container.image_id.clone()).filter(|id| !id.is_empty())
    });
    let image = id.or_else(|| container?.image.clone()).unwrap_or_default();
    Ok(Endpoint { namespace, name, port, image })
}

/// Sidecars are init containers that do not end.
fn containers(spec: &k8s_openapi::api::core::v1::PodSpec) -> Vec<&Container> {
    spec.containers.iter().chain(spec.init_containers.iter().flatten()).collect()
}

/// The port of this name or number, and the container that has it.
fn port_of<'a>(containers: &[&'a Container], wanted: &str) -> Option<(Option<&'a Container>, u16)> {
    let number: Option<u16> = wanted.parse().ok().filter(|port| *port > 0);
    let ports = containers
        .iter()
        .flat_map(|container| container.ports.iter().flatten().map(move |port| (*container, port)));
    let mut ports =
        ports.filter(|(_, port)| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP"));
    if let Some(number) = number {
        // A port need not be listed.
        let listed = ports.find(|(_, port)| port.container_port == i32::from(number));
        return Some((listed.map(|(container, _)| container).or(containers.first().copied()), number));
    }
    let (container, port) = ports.find(|(_, port)| port.name.as_deref() == Some(wanted))?;
    Some((Some(container), port.container_port.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(containers: &serde_json::Value) -> Pod {
        let pod = json!({
            "metadata": { "namespace": "prod", "name": "shop-1" },
            "spec": { "containers": containers },
            "status": { "phase": "Running", "containerStatuses": [{
                "name": "shop", "image": "shop:1.2", "imageID": "sha256:12", "ready": true, "restartCount": 0
            }] },
        });
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn a_port_is_found_by_its_name_or_number() {
        let pod = pod(&json!([
            { "name": "proxy", "image": "proxy:1", "ports": [{ "containerPort": 80 }] },
            { "name": "shop", "image": "shop:1.2", "ports": [
                { "containerPort": 9901, "name": "gmr", "protocol": "TCP" },
                { "containerPort": 9902, "name": "dns", "protocol": "UDP" },
            ] },
        ]));
        let of = |port| endpoint(&pod, port).map(|endpoint| (endpoint.port, endpoint.image));
        assert_eq!(of("gmr"), Ok((9_901, "sha256:12".to_owned())));
        assert_eq!(of("9901"), Ok((9_901, "sha256:12".to_owned())));
        // Of a container without a state, the name of its image.
        assert_eq!(of("80"), Ok((80, "proxy:1".to_owned())));
        assert_eq!(of("1234"), Ok((1_234, "proxy:1".to_owned())));
        for port in ["dns", "admin", "0", "65536", ""] {
            assert!(
                of(port).is_err_and(|reason| reason.starts_with("prod/shop-1: it has no port")),
                "{port}"
            );
        }
    }

    #[test]
    fn what_does_not_run_is_not_asked() {
        let mut shop = pod(&json!([]));
        let with = |shop: &mut Pod, phase: &str| {
            shop.status.as_mut().expect("it has one").phase = Some(phase.to_owned());
        };
        for phase in ["Pending", "Unknown"] {
            with(&mut shop, phase);
            assert!(!has_ended(&shop) && endpoint(&shop, "80").is_err_and(|reason| reason.contains(phase)));
        }
        for phase in ["Succeeded", "Failed"] {
            with(&mut shop, phase);
            assert!(has_ended(&shop), "{phase}");
        }
        with(&mut shop, "Running");
        assert!(endpoint(&shop, "80").is_ok());
        shop.metadata.name = Some("../../secrets".to_owned());
        assert!(endpoint(&shop, "80").is_err());
    }
}

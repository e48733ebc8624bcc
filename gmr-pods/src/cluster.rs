//! The API server, and the rights to use it: a kubeconfig, with its tokens, certificates and programs
//! that print credentials, or what Kubernetes gives to a pod.

use std::error::Error;
use std::fs;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::runtime::{Builder, Runtime};

use crate::args::Args;

pub(crate) struct Cluster {
    /// Asks again what fails in passing.
    pub(crate) patient: Client,
    /// Asks once.
    pub(crate) client: Client,
    /// Host and port, as a redirect would name them.
    pub(crate) authority: String,
    pub(crate) namespace: String,
    runtime: Runtime,
}

impl Cluster {
    pub(crate) fn of(args: &Args) -> Result<Self, String> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| format!("could not start threads: {error}"))?;
        let config = with_token(runtime.block_on(config(args))?)?;
        let authority = config.cluster_url.authority().map_or("", |authority| authority.as_str()).to_owned();
        let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        // It spawns what it needs.
        let entered = runtime.enter();
        let client = |default_retry| {
            let mut config = config.clone();
            config.default_retry = default_retry;
            Client::try_from(config)
                .map_err(|error| format!("could not use the kubeconfig: {}", chain(&error)))
        };
        let (patient, client) = (client(true)?, client(false)?);
        drop(entered);
        Ok(Self { patient, client, authority, namespace, runtime })
    }

    /// Does something within this time. `None` if it takes longer.
    pub(crate) fn within<T>(&self, time: Duration, act: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async { tokio::time::timeout(time, act).await }).ok()
    }
}

/// Reads a token as kubectl does, without the end of its line. The client would send that as well.
fn with_token(mut config: Config) -> Result<Config, String> {
    if let (None, Some(path)) = (&config.auth_info.token, &config.auth_info.token_file) {
        let read = fs::read_to_string(path).map_err(|error| format!("could not read {path}: {error}"))?;
        config.auth_info.token = Some(read.trim().to_owned().into());
    }
    Ok(config)
}

async fn config(args: &Args) -> Result<Config, String> {
    let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    if let Some(path) = &args.kubeconfig {
        let failed = |error: &dyn Error| format!("could not use {}: {}", path.display(), chain(error));
        let read = Kubeconfig::read_from(path).map_err(|error| failed(&error))?;
        return Config::from_custom_kubeconfig(read, &options).await.map_err(|error| failed(&error));
    }
    if options.context.is_some() {
        let config = Config::from_kubeconfig(&options).await;
        return config.map_err(|error| format!("could not use the kubeconfig: {}", chain(&error)));
    }
    Config::infer().await.map_err(|error| format!("there is no cluster: {}", chain(&error)))
}

/// An error and what it comes from, each once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !said.contains(&more) {
            said = format!("{said}: {more}");
        }
        source = error.source();
    }
    said
}

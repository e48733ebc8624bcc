//! Asynchronous services, at rest and under load.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use futures::StreamExt as _;
use gmr::task::RequestLayer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::time::sleep;

use crate::tasks::runtime;
use crate::{Mode, pace_task};

pub(crate) const MODES: &[Mode] = &[
    ("service", "an asynchronous service at rest, with silent connections", false, service),
    ("service-load", "an asynchronous service under load", true, service_under_load),
    ("axum", "a server with axum at rest", false, axum_idle),
    ("axum-load", "a server with axum under load", true, axum_under_load),
    ("streams", "a stream of futures, some at a time", false, streams),
    ("broadcast", "subscribers of a channel, one of them slow", false, broadcast),
    ("child-async", "a task that waits for a child process", false, child),
];

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

async fn serve(listener: TcpListener) -> Infallible {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { continue };
        gmr::task::spawn(async move {
            let mut byte = [0];
            while stream.read_exact(&mut byte).await.is_ok() && stream.write_all(&byte).await.is_ok() {}
        });
    }
}

fn service() {
    let runtime = runtime("service");
    runtime.block_on(async {
        let (listener, address) = listen().await;
        gmr::task::spawn(serve(listener));
        for _ in 0..5 {
            std::mem::forget(TcpStream::connect(address).await.expect("it listens"));
        }
    });
}

fn service_under_load() {
    let runtime = runtime("service-load");
    runtime.block_on(async {
        let (listener, address) = listen().await;
        gmr::task::spawn(serve(listener));
        for _ in 0..8 {
            gmr::task::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("it listens");
                let mut byte = [7];
                while stream.write_all(&byte).await.is_ok() && stream.read_exact(&mut byte).await.is_ok() {
                    pace_task().await;
                }
            });
        }
    });
}

/// Serves a route, and returns the address.
async fn serve_route() -> SocketAddr {
    let (listener, address) = listen().await;
    let answer = || async {
        sleep(Duration::from_millis(1)).await;
        "order 7"
    };
    let routes = Router::new().route("/orders/7", get(answer)).layer(RequestLayer::new());
    gmr::task::spawn(async move { axum::serve(listener, routes).await });
    address
}

fn axum_idle() {
    runtime("axum").block_on(serve_route());
}

fn axum_under_load() {
    runtime("axum-load").block_on(async {
        let address = serve_route().await;
        for _ in 0..8 {
            gmr::task::spawn(async move {
                let mut stream = TcpStream::connect(address).await.expect("it listens");
                let mut answer = vec![0; 512];
                loop {
                    let request = b"GET /orders/7 HTTP/1.1\r\nhost: localhost\r\n\r\n";
                    stream.write_all(request).await.expect("it reads");
                    let length = stream.read(&mut answer).await.expect("it answers");
                    assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "an answer");
                    pace_task().await;
                }
            });
        }
    });
}

fn streams() {
    let _entered = runtime("streams").enter();
    gmr::task::spawn(async {
        let waits = futures::stream::iter(0_u64..).map(|number| sleep(Duration::from_millis(3 + number % 9)));
        waits.buffer_unordered(6).for_each(|()| async {}).await;
    });
}

fn broadcast() {
    let _entered = runtime("broadcast").enter();
    let (sender, _) = broadcast::channel::<u64>(4);
    for pause in [0, 1, 50] {
        let mut receiver = sender.subscribe();
        gmr::task::spawn(async move {
            while !matches!(receiver.recv().await, Err(broadcast::error::RecvError::Closed)) {
                sleep(Duration::from_millis(pause)).await;
            }
        });
    }
    gmr::task::spawn(async move {
        while sender.send(7).is_ok() {
            sleep(Duration::from_millis(2)).await;
            pace_task().await;
        }
    });
}

fn child() {
    let _entered = runtime("child").enter();
    gmr::task::spawn(async {
        let mut command = tokio::process::Command::new("cat");
        // It ends with this process, which holds the other end of its input.
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("cat is installed");
        let input = child.stdin.take();
        drop(child.wait().await);
        drop(input);
    });
}

//! A process with gmr that serves its reports: this test program once more, in a test that is a small
//! service.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

/// The pods' own token.
pub(crate) const TOKEN: &str = "of-the-pods";

/// Runs if another test has started it: serves reports at `/gmr`, and at `/guarded` for a token only, until
/// its input ends.
#[test]
fn service() {
    if std::env::var_os("PODS_SERVICE").is_none() {
        return;
    }
    let _guard = gmr_runtime::Builder::new().product("shop").install().expect("installed");
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            println!("\nport {}", listener.local_addr().expect("bound").port());
            let guarded = gmr_axum::Admin::new().bearer_token(TOKEN);
            let router = axum::Router::new()
                .nest_service("/gmr", gmr_axum::router::<()>())
                .nest_service("/guarded", gmr_axum::router_with::<()>(guarded));
            axum::serve(listener, router).await.expect("it serves");
        });
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    std::process::exit(0);
}

pub(crate) struct Service {
    child: Child,
    pub(crate) port: u16,
}

impl Service {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args(["--exact", "service::service", "--nocapture"]).env("PODS_SERVICE", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let port = lines.find_map(|line| line.expect("text").strip_prefix("port ")?.parse().ok());
        Self { child, port: port.expect("it says its port") }
    }

    pub(crate) fn pid(&self) -> u64 {
        self.child.id().into()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

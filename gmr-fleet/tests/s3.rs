//! Object storage: the S3 server `moto`, in the Python of `GMR_TEST_PYTHON`, and a proxy in front of
//! it that plants faults, and counts requests.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::documents::Random;

/// Serves until nobody holds its input any more.
const SERVER: &str = "
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
";

/// The server reads whose request it is, and does not verify it.
const ACCESS: &str = "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
    SignedHeaders=host, Signature=0\r\n";

pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts it, with a bucket `reports`. `None` where there is no server, which is said.
    pub(crate) fn start() -> Option<Self> {
        let Some(python) = std::env::var_os("GMR_TEST_PYTHON") else {
            assert!(std::env::var_os("CI").is_none(), "`CI` is set, and GMR_TEST_PYTHON is not");
            eprintln!("skipped: GMR_TEST_PYTHON is not set");
            return None;
        };
        let mut command = Command::new(python);
        command.args(["-c", SERVER]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("Python starts");
        let mut port = String::new();
        let said = child.stdout.take().expect("it is piped");
        BufReader::new(said).read_line(&mut port).expect("it can be read");
        let port = port.trim().parse().expect("the module moto serves");
        let server = Self { child, port };
        server.request("PUT", "/reports");
        Some(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The answer to a request, which must go well.
    pub(crate) fn request(&self, method: &str, path: &str) -> String {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{ACCESS}Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let answer =
            String::from_utf8(answer(self.port, head.as_bytes()).expect("it answers")).expect("text");
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status.starts_with('2'), "{method} {path}: {answer}");
        answer
    }

    /// The names of all objects.
    pub(crate) fn objects(&self) -> Vec<String> {
        let listed = self.request("GET", "/reports?list-type=2");
        let names = listed.split("<Key>").skip(1).filter_map(|part| Some(part.split_once("</Key>")?.0));
        names.map(str::to_owned).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the program needs to reach a server at this port.
pub(crate) fn access(port: u16) -> [(&'static str, String); 6] {
    [
        ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        // A server that is slower than that counts as one that does not answer.
        ("AWS_TIMEOUT", "2s".to_owned()),
    ]
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is passed on, and so is the answer.
    None,
    /// It is answered with an error, and not passed on.
    Error,
    /// The same, after it has been passed on: the client can't know that it was done.
    Lost,
    /// Only the first half of the answer comes.
    Half,
    /// The answer comes after the client has given up.
    Slow,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Error, Self::Lost, Self::Half, Self::Slow];
}

/// A proxy for a server. It ends with the test.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    /// Of so many requests, one has a fault; with 0, each is answered by half.
    one_of: Arc<AtomicUsize>,
    planted: Arc<AtomicUsize>,
    asked: Arc<Mutex<Asked>>,
}

/// What was asked of a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) lists: usize,
    /// The objects in these lists.
    pub(crate) listed: usize,
    pub(crate) gets: usize,
    pub(crate) puts: usize,
}

impl Asked {
    fn count(&mut self, request: &[u8], answer: &[u8]) {
        let has = |text: &str| request.windows(text.len()).any(|part| part == text.as_bytes());
        match request {
            [b'G', ..] if has("list-type=2") => {
                self.lists += 1;
                self.listed += answer.windows(5).filter(|part| part == b"<Key>").count();
            }
            [b'G', ..] => self.gets += 1,
            [b'P', b'U', ..] => self.puts += 1,
            _ => panic!("{}", String::from_utf8_lossy(request)),
        }
    }
}

impl Proxy {
    pub(crate) fn start(server: &Server, one_of: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (to, one_of) = (server.port, Arc::new(AtomicUsize::new(one_of)));
        let (planted, random) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Random(20))));
        let asked = Arc::new(Mutex::new(Asked::default()));
        let shared = (Arc::clone(&one_of), Arc::clone(&planted), Arc::clone(&asked));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (random, (one_of, planted, asked)) = (Arc::clone(&random), shared.clone());
                thread::spawn(move || {
                    let below = |end| random.lock().expect("a number").below(end);
                    let fault = match u64::try_from(one_of.load(Ordering::Relaxed)).expect("few") {
                        0 => Fault::Half,
                        one_of if below(one_of) > 0 => Fault::None,
                        _ => Fault::ALL[usize::try_from(below(4)).expect("few")],
                    };
                    planted.fetch_add(usize::from(fault != Fault::None), Ordering::Relaxed);
                    // A client may give up at any time.
                    let _ = passed(&client.expect("a connection"), to, fault, &asked);
                });
            }
        });
        Self { port, one_of, planted, asked }
    }

    pub(crate) fn set(&self, one_of: usize) {
        self.one_of.store(one_of, Ordering::Relaxed);
    }

    /// What was asked since it was last asked for that, of what was passed on.
    pub(crate) fn asked(&self) -> Asked {
        std::mem::take(&mut self.asked.lock().expect("counts"))
    }

    /// How many faults there were.
    pub(crate) fn planted(&self) -> usize {
        self.planted.load(Ordering::Relaxed)
    }
}

/// Passes one request on.
fn passed(client: &TcpStream, to: u16, fault: Fault, asked: &Mutex<Asked>) -> io::Result<()> {
    let failed = |status: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbad\n").into_bytes()
    };
    let request = request(client)?;
    let answer = || {
        let answer = answer(to, &request)?;
        asked.lock().expect("counts").count(&request, &answer);
        io::Result::Ok(answer)
    };
    let said = match fault {
        Fault::None => answer()?,
        Fault::Error => failed("500 Internal Server Error"),
        Fault::Lost => answer().map(|_| failed("503 Slow Down"))?,
        Fault::Half => answer().map(|all| all[..all.len() / 2].to_vec())?,
        Fault::Slow => {
            let late = answer()?;
            thread::sleep(Duration::from_secs(3));
            late
        }
    };
    let mut client = client;
    client.write_all(&said)?;
    client.shutdown(Shutdown::Both)
}

/// Reads a request, as one that ends the connection.
fn request(client: &TcpStream) -> io::Result<Vec<u8>> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let name = line.to_ascii_lowercase();
        if let Some(value) = name.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line == "\r\n" {
            break;
        }
        if !name.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    head.push_str("Connection: close\r\n\r\n");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok([head.into_bytes(), body].concat())
}

/// Sends a request, and reads all that comes.
fn answer(port: u16, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    server.write_all(request)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}

//! One task for each kind of await. Asked for `places`, it lists each task's name and the number of
//! futures that it waits for.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{self, FutureExt as _, TryFutureExt as _};
use futures::stream::{self, FuturesUnordered, StreamExt as _};
use futures::{SinkExt as _, TryStreamExt as _};
use gmr::task::TrackExt as _;
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::net;
use tokio::sync as ts;
use tokio::time as tt;
use tower::{Service as _, ServiceExt as _};

const LONG: Duration = Duration::from_hours(1);

/// `NAME PLACES { BODY }`: a function that waits at that many places.
macro_rules! awaits {
    ($($name:ident $places:literal $body:block)*) => {
        $(async fn $name() $body)*

        const PLACES: &[(&str, usize)] = &[$((stringify!($name), $places)),*];

        fn all() -> Vec<Pin<Box<dyn Future<Output = ()> + Send>>> {
            vec![$(Box::pin($name().tracked_as(stringify!($name)))),*]
        }
    };
}

awaits! {
    // tokio's timers
    sleep 1 { tt::sleep(LONG).await; }
    sleep_until 1 { tt::sleep_until(tt::Instant::now() + LONG).await; }
    interval 1 {
        let mut interval = tt::interval(LONG);
        loop { interval.tick().await; }
    }
    timeout_of_a_receiver 2 {
        let (_open, receiver) = ts::oneshot::channel::<()>();
        let _ = tt::timeout(LONG, receiver).await;
    }
    timeout_of_a_sleep 2 { let _ = tt::timeout(LONG, tt::sleep(LONG)).await; }

    // tokio's synchronization
    mutex 1 {
        let mutex = ts::Mutex::new(());
        let _held = mutex.lock().await;
        let _ = mutex.lock().await;
    }
    owned_mutex 1 {
        let mutex = Arc::new(ts::Mutex::new(()));
        let _held = Arc::clone(&mutex).lock_owned().await;
        mutex.lock_owned().await;
    }
    rw_lock_read 1 {
        let lock = ts::RwLock::new(());
        let _held = lock.write().await;
        let _ = lock.read().await;
    }
    rw_lock_write 1 {
        let lock = ts::RwLock::new(());
        let _held = lock.read().await;
        let _ = lock.write().await;
    }
    semaphore 1 { let _ = ts::Semaphore::new(0).acquire().await; }
    semaphore_many 1 { let _ = ts::Semaphore::new(1).acquire_many(2).await; }
    semaphore_owned 1 { let _ = Arc::new(ts::Semaphore::new(0)).acquire_owned().await; }
    notify 1 { ts::Notify::new().notified().await; }
    barrier 1 { ts::Barrier::new(2).wait().await; }
    oneshot_receiver 1 {
        let (_open, receiver) = ts::oneshot::channel::<()>();
        let _ = receiver.await;
    }
    oneshot_closed 1 {
        let (mut sender, _open) = ts::oneshot::channel::<()>();
        sender.closed().await;
    }
    mpsc_receiver 1 {
        let (_open, mut receiver) = ts::mpsc::channel::<()>(1);
        receiver.recv().await;
    }
    mpsc_receive_many 1 {
        let (_open, mut receiver) = ts::mpsc::channel::<()>(1);
        receiver.recv_many(&mut Vec::new(), 10).await;
    }
    mpsc_sender 1 {
        let (sender, _open) = ts::mpsc::channel(1);
        let _ = sender.send(()).await;
        let _ = sender.send(()).await;
    }
    mpsc_reserve 1 {
        let (sender, _open) = ts::mpsc::channel(1);
        let _ = sender.send(()).await;
        let _ = sender.reserve().await;
    }
    mpsc_closed 1 {
        let (sender, _open) = ts::mpsc::channel::<()>(1);
        sender.closed().await;
    }
    unbounded_receiver 1 {
        let (_open, mut receiver) = ts::mpsc::unbounded_channel::<()>();
        receiver.recv().await;
    }
    broadcast 1 {
        let (_open, mut receiver) = ts::broadcast::channel::<()>(1);
        let _ = receiver.recv().await;
    }
    watch_changed 1 {
        let (_open, mut receiver) = ts::watch::channel(());
        let _ = receiver.changed().await;
    }
    watch_until 1 {
        let (_open, mut receiver) = ts::watch::channel(1);
        let _ = receiver.wait_for(|value| *value == 2).await;
    }
    watch_closed 1 {
        let (sender, _open) = ts::watch::channel(());
        sender.closed().await;
    }
    once_cell 1 {
        let cell = ts::OnceCell::new();
        cell.get_or_init(|| async { tt::sleep(LONG).await; }).await;
    }

    // tokio's tasks
    join_handle 1 { let _ = tokio::spawn(pending::<()>()).await; }
    blocking_handle 1 { let _ = tokio::task::spawn_blocking(|| loop { std::thread::park(); }).await; }
    join_set 1 {
        let mut set = tokio::task::JoinSet::new();
        set.spawn(pending::<()>());
        set.join_next().await;
    }
    unconstrained 1 { tokio::task::unconstrained(tt::sleep(LONG)).await; }

    // tokio's input and output
    tcp_accept 1 {
        let listener = net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let _ = listener.accept().await;
    }
    tcp_read 1 { let _ = connected().await.0.read(&mut [0; 8]).await; }
    tcp_write 1 {
        let (mut one, _other) = connected().await;
        while one.write_all(&[0; 4 << 10]).await.is_ok() {}
    }
    tcp_readable 1 { let _ = connected().await.0.readable().await; }
    tcp_split_read 1 {
        let (stream, _other) = connected().await;
        let (mut read, _write) = stream.into_split();
        let _ = read.read(&mut [0; 8]).await;
    }
    udp_receive 1 {
        let socket = net::UdpSocket::bind("127.0.0.1:0").await.expect("a port is free");
        let _ = socket.recv(&mut [0; 8]).await;
    }
    unix_read 1 {
        let (mut one, _other) = net::UnixStream::pair().expect("a pair");
        let _ = one.read_exact(&mut [0; 8]).await;
    }
    unix_datagram 1 {
        let (one, _other) = net::UnixDatagram::pair().expect("a pair");
        let _ = one.recv(&mut [0; 8]).await;
    }
    duplex_read 1 {
        let (mut one, _other) = tokio::io::duplex(8);
        let _ = one.read(&mut [0; 8]).await;
    }
    copy 1 {
        let (mut one, mut other) = tokio::io::duplex(8);
        let _ = tokio::io::copy(&mut one, &mut tokio::io::sink()).await;
        let _ = other.shutdown().await;
    }
    copy_both_ways 2 {
        let ((mut one, _one), (mut other, _other)) = (tokio::io::duplex(8), tokio::io::duplex(8));
        let _ = tokio::io::copy_bidirectional(&mut one, &mut other).await;
    }
    child 1 {
        let mut child = tokio::process::Command::new("sleep").arg("3600").kill_on_drop(true).spawn().expect("sleep");
        let _ = child.wait().await;
    }
    signal 1 {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = signal(SignalKind::hangup()).expect("it can be caught");
        hangup.recv().await;
    }

    // tokio's macros
    select_of_two 2 {
        let bell = ts::Notify::new();
        tokio::select! { () = bell.notified() => {}, () = tt::sleep(LONG) => {} }
    }
    select_of_three 3 {
        let (bell, semaphore) = (ts::Notify::new(), ts::Semaphore::new(0));
        tokio::select! {
            () = bell.notified() => {}
            () = tt::sleep(LONG) => {}
            _ = semaphore.acquire() => {}
        }
    }
    select_in_order 2 {
        let (one, other) = (ts::Notify::new(), ts::Notify::new());
        tokio::select! {
            biased;
            () = one.notified() => {}
            () = other.notified() => {}
        }
    }
    select_without_a_branch 1 {
        let bell = ts::Notify::new();
        let never = std::hint::black_box(false);
        tokio::select! { () = bell.notified() => {}, () = tt::sleep(LONG), if never => {} }
    }
    select_in_a_loop 2 {
        let (_open, mut receiver) = ts::mpsc::channel::<()>(1);
        let mut interval = tt::interval(LONG);
        loop {
            tokio::select! { _ = receiver.recv() => {}, _ = interval.tick() => {} }
        }
    }
    select_that_is_over 1 {
        let bell = ts::Notify::new();
        let mut polls = 0;
        // Completes when it is polled for the second time: for the first report.
        let message = poll_fn(move |_| {
            polls += 1;
            if polls < 2 { Poll::Pending } else { Poll::Ready(()) }
        });
        tokio::select! { biased; () = bell.notified() => {}, () = message => {} }
        tt::sleep(LONG).await;
    }
    join_of_two 2 {
        let bell = ts::Notify::new();
        tokio::join!(tt::sleep(LONG), bell.notified());
    }
    join_of_which_one_is_done 1 { tokio::join!(tt::sleep(LONG), async {}); }
    try_join 2 {
        let (_open, receiver) = ts::oneshot::channel::<()>();
        let (_open_too, other) = futures::channel::oneshot::channel::<()>();
        let _ = tokio::try_join!(receiver.map_err(drop), other.map_err(drop));
    }

    // futures
    futures_oneshot 1 {
        let (_open, receiver) = futures::channel::oneshot::channel::<()>();
        let _ = receiver.await;
    }
    futures_mpsc 1 {
        let (_open, mut receiver) = futures::channel::mpsc::channel::<()>(1);
        receiver.next().await;
    }
    futures_send 1 {
        let (mut sender, _open) = futures::channel::mpsc::channel(0);
        while sender.send(()).await.is_ok() {}
    }
    futures_mutex 1 {
        let mutex = futures::lock::Mutex::new(());
        let _held = mutex.lock().await;
        mutex.lock().await;
    }
    futures_join 2 { future::join(tt::sleep(LONG), futures_oneshot()).await; }
    futures_join_three 3 { future::join3(tt::sleep(LONG), futures_oneshot(), futures_mpsc()).await; }
    futures_select 2 { future::select(pin!(tt::sleep(LONG)), pin!(futures_oneshot())).await; }
    futures_select_all 2 {
        future::select_all([tt::sleep(LONG).boxed(), futures_oneshot().boxed()]).await;
    }
    futures_join_all 2 { future::join_all([tt::sleep(LONG).boxed(), futures_oneshot().boxed()]).await; }
    futures_join_many 1 { future::join_all((0..40).map(|_| tt::sleep(LONG))).await; }
    futures_unordered 1 {
        let mut set: FuturesUnordered<_> = (0..3).map(|_| tt::sleep(LONG)).collect();
        set.next().await;
    }
    futures_unordered_of_tracked 1 {
        let mut set: FuturesUnordered<_> = (0..3).map(|_| sleep().tracked_as("in_a_set")).collect();
        set.next().await;
    }
    buffer_unordered 1 {
        let sleeps = stream::iter(0..3).map(|_| tt::sleep(LONG));
        sleeps.buffer_unordered(3).collect::<Vec<_>>().await;
    }
    buffered 1 {
        let sleeps = stream::iter(0..3).map(|_| tt::sleep(LONG));
        sleeps.buffered(3).collect::<Vec<_>>().await;
    }
    for_each_concurrent 1 {
        stream::iter(0..3).for_each_concurrent(3, |_| tt::sleep(LONG)).await;
    }
    shared 1 { tt::sleep(LONG).shared().await; }
    abortable 2 {
        let (future, _handle) = future::abortable(tt::sleep(LONG));
        let _ = future.await;
    }
    fused 1 { tt::sleep(LONG).fuse().await; }
    stream_of_two 2 {
        let (_open, one) = futures::channel::mpsc::channel::<()>(1);
        let (_open_too, other) = futures::channel::mpsc::unbounded::<()>();
        stream::select(one, other).next().await;
    }
    stream_fold 1 {
        let (_open, receiver) = futures::channel::mpsc::channel::<u64>(1);
        receiver.fold(0, |sum, number| async move { sum + number }).await;
    }
    stream_try 1 {
        let (_open, receiver) = futures::channel::mpsc::channel::<Result<u64, ()>>(1);
        let _ = receiver.try_collect::<Vec<_>>().await;
    }
    never 0 { pending::<()>().await; }
    boxed 1 { sleep().boxed().await; }
    through_three 1 { async { async { boxed().await; }.await; }.await; }

    // smol
    smol_timer 1 { smol::Timer::after(LONG).await; }
    smol_receiver 1 {
        let (_open, receiver) = smol::channel::bounded::<()>(1);
        let _ = receiver.recv().await;
    }
    smol_sender 1 {
        let (sender, _open) = smol::channel::bounded(1);
        while sender.send(()).await.is_ok() {}
    }
    smol_mutex 1 {
        let mutex = smol::lock::Mutex::new(());
        let _held = mutex.lock().await;
        mutex.lock().await;
    }
    smol_semaphore 1 { let _ = smol::lock::Semaphore::new(0).acquire().await; }
    smol_barrier 1 { smol::lock::Barrier::new(2).wait().await; }
    smol_accept 1 {
        let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let _ = listener.accept().await;
    }
    smol_or 2 { smol::future::or(async { smol::Timer::after(LONG).await; }, futures_oneshot()).await; }
    smol_zip 2 { smol::future::zip(smol::Timer::after(LONG), futures_oneshot()).await; }
    smol_unblock 1 { smol::unblock(|| loop { std::thread::park(); }).await }

    // tower and hyper
    tower_limit 1 {
        let service = tower::service_fn(|()| async { Ok::<_, std::convert::Infallible>(()) });
        let mut limited = tower::limit::ConcurrencyLimit::new(service, 0);
        let _ = limited.ready().await;
    }
    tower_call 1 {
        let mut service = tower::service_fn(|()| async {
            sleep().await;
            Ok::<_, std::convert::Infallible>(())
        });
        let _ = service.ready().await;
        let _ = service.call(()).await;
    }
    tower_timeout 2 {
        let service = tower::service_fn(|()| async {
            sleep().await;
            Ok::<_, std::convert::Infallible>(())
        });
        let _ = tower::timeout::Timeout::new(service, LONG).oneshot(()).await;
    }
    tower_rate 1 {
        let service = tower::service_fn(|()| async { Ok::<_, std::convert::Infallible>(()) });
        let mut limited = tower::limit::RateLimit::new(service, tower::limit::rate::Rate::new(1, LONG));
        let _ = limited.ready().await.expect("one is allowed").call(()).await;
        let _ = limited.ready().await;
    }
    tower_buffer 1 {
        let mut buffer = tower::buffer::Buffer::new(Unready, 1);
        // The buffer's task takes the first one and waits for the service.
        let _first = buffer.ready().await.expect("there is room").call(());
        let _second = buffer.ready().await.expect("there is room").call(());
        let _ = buffer.ready().await;
    }
    tower_buffer_answer 1 {
        let mut buffer = tower::buffer::Buffer::new(Unready, 1);
        let _ = buffer.ready().await.expect("there is room").call(()).await;
    }
    hyper_server 1 {
        let (one, _other) = tokio::io::duplex(1 << 10);
        let answer = service_fn(|_| async { Ok::<_, std::convert::Infallible>(hyper::Response::new(String::new())) });
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(one), answer).await;
    }
    hyper_client 1 {
        let (mut sender, _connection, _other) = http_client().await;
        let _ = sender.send_request(hyper::Request::new(String::new())).await;
    }
    hyper_client_ready 1 {
        let (mut sender, _connection, _other) = http_client().await;
        let _ = sender.ready().await;
    }
    hyper_connection 2 {
        let (_sender, connection, _other) = http_client().await;
        let _ = connection.await;
    }
    hyper_pooled_client 1 {
        let silent = silent().await;
        let address = format!("http://{}/", silent.local_addr().expect("it is bound"));
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http::<String>();
        let _ = client.get(address.parse().expect("an address")).await;
    }

    // sqlx
    sqlx_connect 3 {
        let silent = silent().await;
        let _ = pool_of_one(&silent).acquire().await;
    }
    sqlx_pool 3 {
        let silent = silent().await;
        let pool = pool_of_one(&silent);
        let mut first = pin!(pool.acquire());
        let _ = futures::poll!(first.as_mut());
        // The first one is about to be connected.
        let _ = pool.acquire().await;
    }
}

/// A service that is never ready.
struct Unready;

impl tower::Service<()> for Unready {
    type Response = ();
    type Error = std::convert::Infallible;
    type Future = future::Ready<Result<(), std::convert::Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Pending
    }

    fn call(&mut self, (): ()) -> Self::Future {
        future::ready(Ok(()))
    }
}

/// A server that accepts connections and does not answer.
async fn silent() -> net::TcpListener {
    net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free")
}

/// Both halves of hyper's client, and what it is connected to.
async fn http_client()
-> (http1::SendRequest<String>, http1::Connection<TokioIo<DuplexStream>, String>, DuplexStream) {
    let (one, other) = tokio::io::duplex(1 << 10);
    let (sender, connection) = http1::handshake(TokioIo::new(one)).await.expect("nothing is sent yet");
    (sender, connection, other)
}

fn pool_of_one(server: &net::TcpListener) -> sqlx::PgPool {
    let port = server.local_addr().expect("it is bound").port();
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port);
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).acquire_timeout(LONG);
    pool.connect_lazy_with(options)
}

/// Two ends of a connection.
async fn connected() -> (net::TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let (one, other) = tokio::join!(net::TcpStream::connect(address), listener.accept());
    (one.expect("it listens"), other.expect("it was connected to").0)
}

#[gmr::main]
fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    for task in all() {
        tokio::spawn(task);
    }
    gmr_tests::converse(|_| {
        PLACES.iter().map(|(name, places)| format!("{name}={places}")).collect::<Vec<_>>().join(" ")
    });
    std::process::exit(0);
}

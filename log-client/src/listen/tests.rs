use std::convert::Infallible;
use std::net::SocketAddr;

use axum::body::{Body, HttpBody};
use axum::routing::get;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;

mod crowded;

const GENEROUS: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: log\r\n\r\n";

fn limits() -> Limits {
    Limits { connections: 16, per_client: None, header: GENEROUS, write: GENEROUS, drain: GENEROUS }
}

async fn start(router: Router, limits: Limits) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or_default() };
    let served = tokio::spawn(serve(listener, router, limits, stopped));
    (address, stop, served)
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

#[tokio::test]
async fn one_connection_more_than_a_client_may_have_is_told_so_and_closed() {
    let per_client = Some(PerClient { connections: 2, exempt: Vec::new() });
    let (address, _stop, _served) = start(hello(), Limits { per_client, ..limits() }).await;
    let (mut first, mut second) = (connect(address).await, connect(address).await);
    ask(&mut first).await;
    ask(&mut second).await;
    let mut refused = String::new();
    connect(address).await.read_to_string(&mut refused).await.unwrap();
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("retry-after: 1"), "{refused}");
    ask(&mut first).await;
    // Its place is free again some time after it has gone.
    drop(second);
    loop {
        let mut again = connect(address).await;
        let (_, mut answer) = (again.write_all(REQUEST).await, Vec::new());
        let _ = again.read_buf(&mut answer).await;
        if answer.starts_with(b"HTTP/1.1 200 ") {
            break;
        }
    }
}

#[tokio::test]
async fn a_request_knows_the_other_end() {
    let router = Router::new()
        .route("/", get(async |axum::Extension(peer): axum::Extension<Peer>| format!("{} hello", peer.0)));
    let (address, _stop, _served) = start(router, limits()).await;
    let mut stream = connect(address).await;
    let own = stream.local_addr().unwrap();
    assert!(ask(&mut stream).await.ends_with(&format!("{own} hello")));
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(REQUEST).await.unwrap();
    read_answer(stream).await
}

async fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed after {answer:?}");
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let (address, _stop, _served) = start(hello(), limits()).await;
    let mut stream = connect(address).await;
    for _ in 0..3 {
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200 "));
    }
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_the_connection() {
    let (address, _stop, _served) = start(hello(), Limits { header: SHORT, ..limits() }).await;
    let mut stream = connect(address).await;
    stream.write_all(b"GET / HTTP/1.1\r\nho").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(!answer.windows(5).any(|part| part == b"hello"));
}

#[tokio::test]
async fn an_idle_connection_is_closed_also_after_a_request() {
    let (address, _stop, _served) = start(hello(), Limits { header: SHORT, ..limits() }).await;
    let mut silent = connect(address).await;
    silent.read_to_end(&mut Vec::new()).await.unwrap();
    let mut used = connect(address).await;
    ask(&mut used).await;
    used.read_to_end(&mut Vec::new()).await.unwrap();
}

/// A body without end that says when it is dropped.
struct Endless(Option<oneshot::Sender<()>>);

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.take().map(|dropped| dropped.send(()));
    }
}

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 64 * 1024])))))
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let (dropped, is_dropped) = oneshot::channel();
    let body = std::sync::Mutex::new(Some(Endless(Some(dropped))));
    let body = Arc::new(body);
    let router = Router::new().route("/", get(async move || Body::new(body.lock().unwrap().take().unwrap())));
    let (address, _stop, _served) = start(router, Limits { write: SHORT, ..limits() }).await;
    let mut stream = connect(address).await;
    stream.write_all(REQUEST).await.unwrap();
    is_dropped.await.unwrap();
}

#[tokio::test]
async fn a_running_request_may_end_after_the_stop() {
    let (entered, mut enters) = mpsc::channel(1);
    let (release, released) = tokio::sync::watch::channel(false);
    let handler = async move || {
        entered.send(()).await.unwrap();
        let mut released = released.clone();
        released.wait_for(|released| *released).await.unwrap();
        "hello"
    };
    let (address, stop, served) = start(Router::new().route("/", get(handler)), limits()).await;
    let mut stream = connect(address).await;
    stream.write_all(REQUEST).await.unwrap();
    enters.recv().await.unwrap();
    stop.send(()).unwrap();
    release.send_replace(true);
    read_answer(&mut stream).await;
    served.await.unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_after_the_stop() {
    let (entered, mut enters) = mpsc::channel(1);
    let handler = async move || {
        entered.send(()).await.unwrap();
        std::future::pending::<&str>().await
    };
    let router = Router::new().route("/", get(handler));
    let (address, stop, served) = start(router, Limits { drain: SHORT, ..limits() }).await;
    let mut stream = connect(address).await;
    stream.write_all(REQUEST).await.unwrap();
    enters.recv().await.unwrap();
    stop.send(()).unwrap();
    served.await.unwrap();
    assert!(stream.read_to_end(&mut Vec::new()).await.is_ok_and(|read| read == 0));
}

//! A load generator for HTTP/1.1 posts over kept-alive connections, cheap enough to leave the server most of
//! two cores: one thread, requests written whole, answers read with as much of the format as servers use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::stats::Latencies;

/// Makes the next body for the connection of this number; `None` ends that connection.
pub(crate) type Bodies = Arc<dyn Fn(usize) -> Option<Vec<u8>> + Send + Sync>;

/// Where to and over how many connections.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// `host:port`.
    pub(crate) address: String,
    /// Path of the request.
    pub(crate) path: &'static str,
    /// Connections, each with one request at a time.
    pub(crate) connections: usize,
}

/// What a closed loop came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throughput {
    /// Answers, all of them 200.
    pub(crate) answers: u64,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

/// Keeps every connection busy for `time`: each sends its next request when it has the answer to the last.
///
/// # Errors
/// If a connection fails, or an answer is not 200.
pub(crate) fn closed_loop(target: &Target, time: Duration, bodies: &Bodies) -> Result<Throughput> {
    runtime()?.block_on(async {
        let connections = connect(target).await?;
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for (number, mut connection) in connections.into_iter().enumerate() {
            let bodies = Arc::clone(bodies);
            tasks.spawn(async move {
                let mut answers = 0;
                while begun.elapsed() < time
                    && let Some(body) = bodies(number)
                {
                    connection.post(&body).await?;
                    answers += 1;
                }
                anyhow::Ok(answers)
            });
        }
        let mut answers = 0;
        while let Some(joined) = tasks.join_next().await {
            answers += joined??;
        }
        Ok(Throughput { answers, took: begun.elapsed() })
    })
}

/// Sends `per_s` requests a second for `time` or until `stop`, each when it is due if a connection is free,
/// else as soon as one is; every time is counted from when the request was due. So a server that stalls is
/// seen by all the requests that were due meanwhile.
///
/// # Errors
/// If a connection fails, or an answer is not 200.
pub(crate) fn open_loop(
    target: &Target,
    per_s: u32,
    time: Duration,
    bodies: &Bodies,
    stop: &Arc<AtomicBool>,
) -> Result<Latencies> {
    runtime()?.block_on(async {
        let connections = connect(target).await?;
        let (due, queue) = mpsc::unbounded_channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut tasks = JoinSet::new();
        for (number, mut connection) in connections.into_iter().enumerate() {
            let (bodies, queue) = (Arc::clone(bodies), Arc::clone(&queue));
            tasks.spawn(async move {
                let mut times = Vec::new();
                while let Some(due) = next(&queue).await {
                    let Some(body) = bodies(number) else { break };
                    connection.post(&body).await?;
                    times.push(Instant::elapsed(&due));
                }
                anyhow::Ok(times)
            });
        }
        // On a thread of its own: the runtime's timers are only good to a millisecond.
        let (stop, interval) = (Arc::clone(stop), Duration::from_secs(1) / per_s);
        let clock = std::thread::spawn(move || {
            let begun = Instant::now();
            let mut next = begun;
            while next - begun < time && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
                if due.send(next).is_err() {
                    return;
                }
                next += interval;
            }
        });
        let mut times = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            times.extend(joined??);
        }
        ensure!(clock.join().is_ok(), "the clock thread panicked");
        Ok(Latencies::of(times))
    })
}

async fn next(queue: &Mutex<mpsc::UnboundedReceiver<Instant>>) -> Option<Instant> {
    queue.lock().await.recv().await
}

/// A runtime on the calling thread.
///
/// # Errors
/// If the system gives it none of what it needs.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn connect(target: &Target) -> Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(target.connections);
    for _ in 0..target.connections {
        connections.push(Connection::open(target).await?);
    }
    Ok(connections)
}

/// A kept-alive connection.
struct Connection {
    stream: TcpStream,
    head: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(target: &Target) -> Result<Self> {
        let Target { address, path, .. } = target;
        let stream = TcpStream::connect(address).await.with_context(|| address.clone())?;
        stream.set_nodelay(true)?;
        let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: ");
        Ok(Self { stream, head, request: Vec::new(), answer: Vec::with_capacity(4096) })
    }

    /// Posts `body` and waits for the whole answer, which must be 200.
    async fn post(&mut self, body: &[u8]) -> Result<()> {
        self.request.clear();
        self.request.extend_from_slice(self.head.as_bytes());
        self.request.extend_from_slice(format!("{}\r\n\r\n", body.len()).as_bytes());
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.answer).await?;
            ensure!(read > 0, "the server closed the connection");
            if let Some(whole) = whole_length(&self.answer)?
                && self.answer.len() >= whole
            {
                ensure!(self.answer.len() == whole, "the server sent more than an answer");
                let text = String::from_utf8_lossy(&self.answer);
                ensure!(text.starts_with("HTTP/1.1 200 "), "the server refused: {text}");
                return Ok(());
            }
        }
    }
}

/// How long the answer will be that begins with `bytes`; `None` if its head is not complete yet.
fn whole_length(bytes: &[u8]) -> Result<Option<usize>> {
    const HEAD_END: &[u8] = b"\r\n\r\n";
    let Some(end) = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end])?;
    let lengths = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = lengths.next().context("an answer without a length")?;
    Ok(Some(end + HEAD_END.len() + length.trim().parse::<usize>()?))
}

//! A load generator for HTTP/1.1 over kept-alive connections, cheap enough to leave the server most of two
//! cores: one thread, requests written whole, answers read with as much of the format as servers use.
//!
//! It talks to loopback addresses only: it is made to measure a server of one's own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use indelible_proto::log_api::ADD_PATH;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// Most connections at once: below the files that a process may have open on most systems.
pub const MAX_CONNECTIONS: usize = 900;

/// One request.
#[derive(Clone, Debug)]
pub enum Request {
    /// `POST` of a body.
    Post {
        /// Where to.
        path: &'static str,
        /// What.
        body: Vec<u8>,
    },
    /// `GET`.
    Get {
        /// What, with its slash.
        path: String,
    },
}

/// Makes the next request for the connection of this number; `None` ends that connection.
pub type Requests = Arc<dyn Fn(usize) -> Option<Request> + Send + Sync>;

/// Posts of bodies to one path.
pub fn posts(
    path: &'static str,
    bodies: impl Fn(usize) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Requests {
    Arc::new(move |connection| bodies(connection).map(|body| Request::Post { path, body }))
}

/// Where to and over how many connections.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    connections: usize,
}

impl Target {
    /// A server at `host:port`, and how many connections to it, each with one request at a time.
    ///
    /// # Errors
    /// If the address is not one of loopback, or the connections are none or more than [`MAX_CONNECTIONS`].
    pub fn new(address: &str, connections: usize) -> Result<Self> {
        let parsed: SocketAddr = address
            .replace("localhost", "127.0.0.1")
            .parse()
            .with_context(|| format!("{address:?} is not an address and a port, such as 127.0.0.1:2025"))?;
        ensure!(parsed.ip().is_loopback(), "{address} is not on this machine: only loopback is loaded");
        ensure!(
            (1..=MAX_CONNECTIONS).contains(&connections),
            "{connections} connections, there may be 1 to {MAX_CONNECTIONS}"
        );
        Ok(Self { address: parsed, connections })
    }
}

/// What requests came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How long each took that was answered with 200: of an open loop from when it was due, of a closed one from
    /// when it was sent.
    pub latencies: Latencies,
    /// How many were answered with 429 or 503: try again later.
    pub refused: u64,
    /// From the first request to the last answer.
    pub took: Duration,
}

impl Outcome {
    /// Answers with 200.
    pub fn answers(&self) -> usize {
        self.latencies.count()
    }

    /// Answers with 200 a second.
    pub fn per_s(&self) -> f64 {
        self.answers() as f64 / self.took.as_secs_f64()
    }

    /// This, if nothing was refused.
    ///
    /// # Errors
    /// If something was.
    pub fn complete(self) -> Result<Self> {
        ensure!(self.refused == 0, "the server refused {} requests for now", self.refused);
        Ok(self)
    }
}

/// Keeps every connection busy for `time`: each sends its next request when it has the answer to the last, or
/// as many seconds later as a refusal asks for.
///
/// # Errors
/// If a connection fails, or an answer is neither 200, 429 nor 503.
pub fn closed_loop(target: &Target, time: Duration, requests: &Requests) -> Result<Outcome> {
    runtime()?.block_on(async {
        let connections = connect(target).await?;
        let begun = Instant::now();
        let mut tasks = JoinSet::new();
        for (number, mut connection) in connections.into_iter().enumerate() {
            let requests = Arc::clone(requests);
            tasks.spawn(async move {
                let mut own = Own::default();
                while begun.elapsed() < time
                    && let Some(request) = requests(number)
                {
                    own.send(&mut connection, &request, Instant::now()).await?;
                }
                anyhow::Ok(own)
            });
        }
        gather(tasks, begun).await
    })
}

/// Sends `per_s` requests a second for `time` or until `stop`, each when it is due if a connection is free,
/// else as soon as one is; every time is counted from when the request was due. So a server that stalls is
/// seen by all the requests that were due meanwhile.
///
/// # Errors
/// If a connection fails, or an answer is neither 200, 429 nor 503.
pub fn open_loop(
    target: &Target,
    per_s: u32,
    time: Duration,
    requests: &Requests,
    stop: &Arc<AtomicBool>,
) -> Result<Outcome> {
    ensure!(per_s > 0, "a rate of 0 requests a second");
    runtime()?.block_on(async {
        let connections = connect(target).await?;
        // Bounded by rate and time: a request that is due is a mere instant.
        let (due, queue) = mpsc::unbounded_channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut tasks = JoinSet::new();
        let begun = Instant::now();
        for (number, mut connection) in connections.into_iter().enumerate() {
            let (requests, queue) = (Arc::clone(requests), Arc::clone(&queue));
            tasks.spawn(async move {
                let mut own = Own::default();
                while let Some(due) = next(&queue).await {
                    let Some(request) = requests(number) else { break };
                    own.send(&mut connection, &request, due).await?;
                }
                anyhow::Ok(own)
            });
        }
        drop(queue);
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
        let outcome = gather(tasks, begun).await;
        ensure!(clock.join().is_ok(), "the clock thread panicked");
        outcome
    })
}

/// What one connection has seen.
#[derive(Debug, Default)]
struct Own {
    times: Vec<Duration>,
    refused: u64,
}

impl Own {
    async fn send(&mut self, connection: &mut Connection, request: &Request, since: Instant) -> Result<()> {
        match connection.send(request).await? {
            Answer::Taken => self.times.push(since.elapsed()),
            Answer::Later(wait) => {
                self.refused += 1;
                tokio::time::sleep(wait).await;
            }
        }
        Ok(())
    }
}

async fn gather(mut tasks: JoinSet<Result<Own>>, begun: Instant) -> Result<Outcome> {
    let (mut times, mut refused) = (Vec::new(), 0);
    while let Some(joined) = tasks.join_next().await {
        let own = joined??;
        times.extend(own.times);
        refused += own.refused;
    }
    Ok(Outcome { latencies: Latencies::of(times), refused, took: begun.elapsed() })
}

async fn next(queue: &Mutex<mpsc::UnboundedReceiver<Instant>>) -> Option<Instant> {
    queue.lock().await.recv().await
}

/// A runtime on the calling thread.
///
/// # Errors
/// If the system gives it none of what it needs.
pub fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// The body of one answer to `GET`, which must be 200.
///
/// # Errors
/// If the connection fails or the answer is another one.
pub fn get(target: &Target, path: &str) -> Result<Vec<u8>> {
    runtime()?.block_on(async {
        let mut connection = Connection::open(target).await?;
        match connection.send(&Request::Get { path: path.to_owned() }).await? {
            Answer::Taken => Ok(connection.body().to_vec()),
            Answer::Later(_) => bail!("the server refused {path} for now"),
        }
    })
}

async fn connect(target: &Target) -> Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(target.connections);
    for _ in 0..target.connections {
        connections.push(Connection::open(target).await?);
    }
    Ok(connections)
}

enum Answer {
    Taken,
    Later(Duration),
}

/// A kept-alive connection.
struct Connection {
    stream: TcpStream,
    host: String,
    request: Vec<u8>,
    answer: Vec<u8>,
    head_bytes: usize,
}

impl Connection {
    async fn open(target: &Target) -> Result<Self> {
        let host = target.address.to_string();
        let stream = TcpStream::connect(target.address).await.with_context(|| host.clone())?;
        stream.set_nodelay(true)?;
        let answer = Vec::with_capacity(4096);
        Ok(Self { stream, host, request: Vec::new(), answer, head_bytes: 0 })
    }

    /// Sends a request and waits for the whole answer.
    async fn send(&mut self, request: &Request) -> Result<Answer> {
        self.request.clear();
        let host = &self.host;
        match request {
            Request::Post { path, body } => {
                let head =
                    format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n", body.len());
                self.request.extend_from_slice(head.as_bytes());
                self.request.extend_from_slice(body);
            }
            Request::Get { path } => {
                let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
                self.request.extend_from_slice(head.as_bytes());
            }
        }
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        let head = loop {
            let read = self.stream.read_buf(&mut self.answer).await?;
            ensure!(read > 0, "the server closed the connection");
            if let Some(head) = Head::parse(&self.answer)? {
                break head;
            }
        };
        let whole = head.head_bytes + head.body_bytes;
        while self.answer.len() < whole {
            let read = self.stream.read_buf(&mut self.answer).await?;
            ensure!(read > 0, "the server closed the connection");
        }
        ensure!(self.answer.len() == whole, "the server sent more than an answer");
        self.head_bytes = head.head_bytes;
        match head.status {
            200 => {}
            429 | 503 => return Ok(Answer::Later(head.retry_after)),
            status => bail!("the server answered {status}: {}", String::from_utf8_lossy(self.body())),
        }
        if matches!(request, Request::Post { path: ADD_PATH, .. }) {
            // As the field's load generators read it: a number on the first line.
            let index = self.body().split(|byte| *byte == b'\n').next().unwrap_or_default();
            ensure!(!index.is_empty() && index.iter().all(u8::is_ascii_digit), "an answer without an index");
        }
        Ok(Answer::Taken)
    }

    fn body(&self) -> &[u8] {
        self.answer.get(self.head_bytes..).unwrap_or_default()
    }
}

/// What the beginning of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    head_bytes: usize,
    body_bytes: usize,
    retry_after: Duration,
}

impl Head {
    /// The head that `bytes` begin with; `None` if it is not complete yet.
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        const HEAD_END: &[u8] = b"\r\n\r\n";
        let Some(end) = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
            ensure!(bytes.len() < MAX_HEAD_BYTES, "an answer's head of more than {MAX_HEAD_BYTES} bytes");
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes[..end])?;
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap_or_default();
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let retry_after = value("retry-after").map(str::parse).transpose()?.unwrap_or(1);
        Ok(Some(Self {
            status: status.parse().with_context(|| format!("not an answer: {text}"))?,
            head_bytes: end + HEAD_END.len(),
            body_bytes: value("content-length").context("an answer without a length")?.parse()?,
            retry_after: Duration::from_secs(retry_after).min(MAX_RETRY_AFTER),
        }))
    }
}

/// Longest head of an answer.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Longest time a refusal makes a connection wait.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(10);

/// How long each of many things took.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    sorted: Vec<Duration>,
}

impl Latencies {
    /// Of these times, in any order.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { sorted: times }
    }

    /// All of several together.
    pub fn join(parts: Vec<Self>) -> Self {
        Self::of(parts.into_iter().flat_map(|part| part.sorted).collect())
    }

    /// The time that `percent` of them do not exceed; zero without any.
    pub fn percentile(&self, percent: f64) -> Duration {
        // Less a little, as 99.9 has no exact binary form and must not reach the next rank by that.
        let rank = (percent * self.sorted.len() as f64 / 100.0 - 1e-6).ceil() as usize;
        self.sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The longest.
    pub fn max(&self) -> Duration {
        self.sorted.last().copied().unwrap_or_default()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// All of them together.
    pub fn total(&self) -> Duration {
        self.sorted.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_a_bounded_number_of_connections() {
        for address in ["127.0.0.1:1", "localhost:80", "[::1]:80"] {
            assert!(Target::new(address, 1).is_ok(), "{address}");
        }
        for address in ["8.8.8.8:80", "0.0.0.0:80", "example.org:80", "192.168.1.1:80", "127.0.0.1"] {
            assert!(Target::new(address, 1).is_err(), "{address}");
        }
        assert!(Target::new("127.0.0.1:1", MAX_CONNECTIONS).is_ok());
        for connections in [0, MAX_CONNECTIONS + 1] {
            assert!(Target::new("127.0.0.1:1", connections).is_err());
        }
    }

    #[test]
    fn reads_heads_of_answers() {
        let bytes = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\ncontent-LENGTH: 5\r\n\r\nhello";
        let head = Head::parse(bytes).unwrap().unwrap();
        let retry_after = Duration::from_secs(3);
        assert_eq!(head, Head { status: 503, head_bytes: bytes.len() - 5, body_bytes: 5, retry_after });
        assert_eq!(Head::parse(&bytes[..60]).unwrap(), None);
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(Head::parse(b"SSH-2.0\r\ncontent-length: 1\r\n\r\n").is_err());
        assert!(Head::parse(&[b'a'; MAX_HEAD_BYTES]).is_err());
    }

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = Latencies::of((1..=1000).rev().map(Duration::from_millis).collect());
        let at = |percent| times.percentile(percent).as_millis();
        assert_eq!([at(50.0), at(99.0), at(99.9), times.max().as_millis()], [500, 990, 999, 1000]);
        assert_eq!(Latencies::default().percentile(50.0), Duration::ZERO);
    }
}

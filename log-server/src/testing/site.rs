//! Whole logs: made by `init`, served by `run` on a port the system chooses, asked over real sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use indelible_proto::policy::Policy;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{TestWitness, origin};
use crate::config::{CONFIG_FILE, Config, POLICY_FILE};
use crate::init::{NewLog, NewWitness, Witnessing, init};
use crate::kind::LogKind;
use crate::run::{RunError, Running};

/// A log's directory, and the log while it runs.
pub(crate) struct Site {
    pub(crate) dir: TempDir,
    running: Option<Running>,
}

impl Site {
    /// A new log that all these witnesses must cosign; not running.
    pub(crate) fn new(kind: LogKind, witnesses: &[&TestWitness]) -> Self {
        let dir = TempDir::new().unwrap();
        let lines = witnesses.iter().map(|witness| witness.line());
        let lines = lines.map(|(key, url)| NewWitness::parse(&format!("{key} {url}")).unwrap()).collect();
        let witnessing = match witnesses.len() {
            0 => Witnessing::None,
            quorum => Witnessing::By { witnesses: lines, quorum: Some(quorum) },
        };
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let (algorithm, path) = (indelible_client::keys::KeyAlgorithm::Ed25519, dir.path().to_owned());
        let new =
            NewLog { dir: path, origin: origin(), algorithm, kind, listen, public_url: None, witnessing };
        init(&new).unwrap();
        Self { dir, running: None }
    }

    /// A running log without witnesses.
    pub(crate) async fn run(kind: LogKind) -> Self {
        let mut site = Self::new(kind, &[]);
        site.start().await.unwrap();
        site
    }

    /// Changes the settings; they count from the next start.
    pub(crate) fn configure(&self, change: impl FnOnce(&mut Config)) {
        let mut config = Config::load(self.dir.path()).unwrap();
        change(&mut config);
        std::fs::write(self.dir.path().join(CONFIG_FILE), config.render()).unwrap();
    }

    /// Changes the policy to one that demands all these witnesses; it counts from the next start.
    pub(crate) fn demand(&self, witnesses: &[&TestWitness]) {
        let mut text = format!("log {}\n", self.policy().logs()[0].key);
        for (number, (key, url)) in witnesses.iter().map(|witness| witness.line()).enumerate() {
            text.push_str(&format!("witness w{number} {key} {url}\n"));
        }
        let names: Vec<String> = (0..witnesses.len()).map(|number| format!("w{number}")).collect();
        text.push_str(&format!("group g all {}\nquorum g\n", names.join(" ")));
        std::fs::write(self.dir.path().join(POLICY_FILE), text).unwrap();
    }

    pub(crate) async fn start(&mut self) -> Result<(), RunError> {
        self.running = Some(Running::start(self.dir.path(), None).await?);
        Ok(())
    }

    pub(crate) async fn stop(&mut self) -> Result<(), RunError> {
        let mut running = self.running.take().unwrap();
        running.stop();
        running.ended().await
    }

    /// Tells it to stop and does not wait.
    pub(crate) fn tell_to_stop(&self) {
        self.running.as_ref().unwrap().stop();
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> Result<(), RunError> {
        self.running.as_mut().unwrap().ended().await
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::parse(&std::fs::read(self.dir.path().join(POLICY_FILE)).unwrap()).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(&format!("GET {path} HTTP/1.1\r\n"), b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.call(&format!("POST {path} HTTP/1.1\r\ncontent-length: {}\r\n", body.len()), body).await
    }

    /// Sends a request as given, with the headers every request needs, and reads the answer to its end.
    pub(crate) async fn call(&self, head: &str, body: &[u8]) -> Reply {
        let mut stream = self.connect().await;
        let head = format!("{head}host: log\r\nconnection: close\r\n\r\n");
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        Reply::read(stream).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.running.as_ref().unwrap().address()).await.unwrap()
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// Reads an answer that ends with the connection.
    pub(crate) async fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { status, headers, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

//! Somebody between a client and a server: passes requests on, and answers those for one path as he likes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::http;

/// What he does with the answer to a request whose path starts with a given one.
#[derive(Clone)]
pub enum Deed {
    /// Sends these bytes instead of the whole answer, HTTP and all, and hangs up.
    Raw(Vec<u8>),
    /// Sends another body under the status that the server gave.
    Body(Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>),
    /// Sends this with status 200, made anew each time; the server is not asked.
    Says(Arc<dyn Fn() -> Vec<u8> + Send + Sync>),
    /// Sends a body that never ends, as fast as it is read.
    Endless,
    /// Sends the start of an answer, and then nothing.
    Stall,
}

/// A running relay; stopped when dropped.
pub struct Between {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    deed: Mutex<Option<(String, Deed)>>,
    stopped: AtomicBool,
}

impl Between {
    /// In front of the server at `host:port`; honest until told otherwise.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address").to_string();
        let stopped = AtomicBool::new(false);
        let shared = Arc::new(Shared { server: server.to_owned(), deed: Mutex::default(), stopped });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if served.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let served = Arc::clone(&served);
                // Whoever is answered may hang up at any time.
                std::thread::spawn(move || drop(served.connection(stream)));
            }
        });
        Self { address, shared }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What he does from now on with requests for paths that start so.
    pub fn at(&self, path: &str, deed: Deed) {
        *self.deed() = Some((path.to_owned(), deed));
    }

    /// Sends another body for such a path.
    pub fn body(&self, path: &str, body: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static) {
        self.at(path, Deed::Body(Arc::new(body)));
    }

    /// Sends this body, with status 200 and these headers, each with its line's end.
    pub fn says(&self, path: &str, headers: &str, body: &[u8]) {
        let head = format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        self.at(path, Deed::Raw([head.as_bytes(), body].concat()));
    }

    /// Sends what is made anew each time.
    pub fn says_with(&self, path: &str, body: impl Fn() -> Vec<u8> + Send + Sync + 'static) {
        self.at(path, Deed::Says(Arc::new(body)));
    }

    /// Passes everything on again.
    pub fn honest(&self) {
        *self.deed() = None;
    }

    fn deed(&self) -> std::sync::MutexGuard<'_, Option<(String, Deed)>> {
        self.shared.deed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(&self.address));
    }
}

impl Shared {
    /// Answers one request.
    fn connection(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut first = String::new();
        stream.read_line(&mut first)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? <= 2 {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let deed = self.deed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let deed = deed.filter(|(prefix, _)| path.starts_with(prefix.as_str())).map(|(_, deed)| deed);
        let out = stream.get_mut();
        match deed {
            Some(Deed::Raw(bytes)) => out.write_all(&bytes),
            Some(Deed::Says(make)) => {
                let body = make();
                let head =
                    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                out.write_all(&[head.as_bytes(), &body].concat())
            }
            Some(Deed::Endless) => {
                out.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                let chunk = [b"10000\r\n", [b'x'; 0x10000].as_slice(), b"\r\n"].concat();
                loop {
                    out.write_all(&chunk)?;
                }
            }
            Some(Deed::Stall) => {
                out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx")?;
                // Until the other side hangs up.
                out.read(&mut [0; 1]).map(drop)
            }
            Some(Deed::Body(change)) => self.relay(out, method, path, &body, |body| change(body)),
            None => self.relay(out, method, path, &body, |body| body),
        }
    }

    fn relay(
        &self,
        out: &mut TcpStream,
        method: &str,
        path: &str,
        body: &[u8],
        change: impl Fn(Vec<u8>) -> Vec<u8>,
    ) -> std::io::Result<()> {
        let answer = http::request(&self.server, method, path, body);
        let mut head = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", answer.status);
        for (name, value) in &answer.headers {
            if name == "retry-after" || name == "content-type" {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        let body = change(answer.body);
        head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        out.write_all(&[head.as_bytes(), &body].concat())
    }
}

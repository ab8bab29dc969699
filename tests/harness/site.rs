//! A static web server for a folder, as mirrors of logs are served; and the ways in which it can be bad.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How a site answers for tiles and bundles; the checkpoint is always served as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// With the files.
    Honest,
    /// With a body that never ends.
    Endless,
    /// With a web page.
    WebPage,
    /// With the files, until so many requests were answered; then it closes connections without an answer.
    Until(u64),
}

/// A running site; stopped when dropped.
#[derive(Debug)]
pub struct Site {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    manner: Mutex<Manner>,
    answered: AtomicU64,
    stopped: AtomicBool,
}

impl Site {
    /// Serves the files below `root`.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub fn serve(root: &Path, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address").to_string();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            manner: Mutex::new(manner),
            answered: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if served.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let served = Arc::clone(&served);
                std::thread::spawn(move || served.connection(stream));
            }
        });
        Self { address, shared }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How it answers from now on.
    pub fn set(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// How many requests it has answered with a file.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::SeqCst)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(&self.address));
    }
}

impl Shared {
    fn connection(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some(path) = request(&mut stream) {
            if !self.answer(stream.get_mut(), &path) {
                return;
            }
        }
    }

    /// Whether another request may follow.
    fn answer(&self, stream: &mut TcpStream, path: &str) -> bool {
        let manner = *self.manner.lock().unwrap_or_else(PoisonError::into_inner);
        let bad = path != "/checkpoint";
        match manner {
            Manner::Endless if bad => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
                while stream.write_all(&[b"1000\r\n", [b'x'; 4096].as_slice(), b"\r\n"].concat()).is_ok() {}
                false
            }
            Manner::WebPage if bad => send(stream, "200 OK", b"<!doctype html><p>Sign in to the network"),
            Manner::Until(limit) if self.answered.load(Ordering::SeqCst) >= limit => false,
            _ => match std::fs::read(self.root.join(path.trim_start_matches('/'))) {
                Ok(bytes) => {
                    self.answered.fetch_add(1, Ordering::SeqCst);
                    send(stream, "200 OK", &bytes)
                }
                Err(_) => send(stream, "404 Not Found", b"nothing here"),
            },
        }
    }
}

/// The path of the next request; `None` if there is none.
fn request(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut first = String::new();
    stream.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
    let mut line = String::new();
    while stream.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    first.split(' ').nth(1).map(str::to_owned)
}

fn send(stream: &mut TcpStream, status: &str, body: &[u8]) -> bool {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).is_ok()
}

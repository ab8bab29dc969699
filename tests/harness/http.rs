//! HTTP over a plain socket: requests byte for byte as a test writes them, well-formed or not.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long a server may take for one answer. Long, because machines are shared.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body, decoded if it came in chunks.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The body as text, for messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is not JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON: {error}: {self:?}"))
    }

    /// This, if the status is `status`.
    ///
    /// # Panics
    ///
    /// If it is another one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "expected status {status}, got {} {}", self.status, self.text());
        self
    }
}

/// A connection that stays open between requests.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to `host:port`.
    ///
    /// # Errors
    ///
    /// If nobody listens there.
    pub fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Posts a body.
    ///
    /// # Errors
    ///
    /// If the connection ends before the answer does.
    pub fn post(&mut self, path: &str, body: &[u8]) -> io::Result<Answer> {
        let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n", body.len());
        self.send(&[head.as_bytes(), body].concat())?;
        self.answer(false)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    ///
    /// If the server has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one answer; to a `HEAD` request it has no body.
    ///
    /// # Errors
    ///
    /// If the connection ends before the answer does, or what comes is no HTTP.
    pub fn answer(&mut self, to_head: bool) -> io::Result<Answer> {
        let malformed = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| malformed(&first))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if !to_head {
            answer.body = self.body(&answer)?;
        }
        Ok(answer)
    }

    fn body(&mut self, head: &Answer) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            loop {
                let line = self.line()?;
                let length = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
                let mut chunk = vec![0; length];
                self.stream.read_exact(&mut chunk)?;
                self.line()?;
                if length == 0 {
                    return Ok(body);
                }
                body.extend_from_slice(&chunk);
            }
        }
        match head.header("content-length") {
            Some(length) => {
                body.resize(length.parse().map_err(io::Error::other)?, 0);
                self.stream.read_exact(&mut body)?;
            }
            None => drop(self.stream.read_to_end(&mut body)?),
        }
        Ok(body)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// What `GET` of a path, sent as it is, is answered with.
///
/// # Panics
///
/// If there is no answer.
#[track_caller]
pub fn get(address: &str, path: &str) -> Answer {
    request(address, "GET", path, b"")
}

/// What `POST` of a body is answered with.
///
/// # Panics
///
/// If there is no answer.
#[track_caller]
pub fn post(address: &str, path: &str, body: &[u8]) -> Answer {
    request(address, "POST", path, body)
}

/// What a request with any method is answered with.
///
/// # Panics
///
/// If there is no answer.
#[track_caller]
pub fn request(address: &str, method: &str, path: &str, body: &[u8]) -> Answer {
    let length = if body.is_empty() && method != "POST" {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    let head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{length}\r\n");
    let sent = [head.as_bytes(), body].concat();
    let answer = exchange(address, &sent, method == "HEAD");
    answer.unwrap_or_else(|error| panic!("no answer to {method} {path}: {error}"))
}

/// What these bytes, sent as they are, are answered with first. A server may answer and close before it has
/// read them all.
///
/// # Errors
///
/// If the server closes the connection without an answer.
pub fn exchange(address: &str, bytes: &[u8], to_head: bool) -> io::Result<Answer> {
    let mut connection = Connection::open(address)?;
    // The answer tells why, if it was refused before its end.
    let _ = connection.send(bytes);
    connection.answer(to_head)
}

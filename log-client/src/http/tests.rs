use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use super::*;

/// A server that answers its first connection with these bytes, then closes it.
fn answering(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        let _ = stream.write_all(&answer);
    });
    url
}

/// A server that answers its first connection with these bytes and keeps it open until the sender goes.
fn stalling(answer: &'static [u8]) -> (String, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let (keep, kept) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        stream.write_all(answer).unwrap();
        let _ = kept.recv();
    });
    (url, keep)
}

/// Reads up to the end of the header and of a body of announced length.
fn read_request(stream: &mut std::net::TcpStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).map(|rest| rest.split("\r\n").next().unwrap());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

fn with_length(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for byte in body {
        answer.extend_from_slice(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
}

fn client() -> HttpClient {
    HttpClient::new(Timeouts::default()).unwrap()
}

async fn get(answer: Vec<u8>, max: usize) -> Result<Vec<u8>, &'static str> {
    client().get_limited(&answering(answer), max).await.map_err(|error| error.code())
}

#[tokio::test]
async fn a_body_may_be_exactly_as_long_as_allowed() {
    assert_eq!(get(with_length("200 OK", "", b"12345"), 5).await, Ok(b"12345".to_vec()));
    assert_eq!(get(with_length("200 OK", "", b"123456"), 5).await, Err("http-too-large"));
    assert_eq!(get(chunked(b"12345"), 5).await, Ok(b"12345".to_vec()));
    assert_eq!(get(chunked(b"123456"), 5).await, Err("http-too-large"));
    assert_eq!(get(with_length("200 OK", "", b""), 0).await, Ok(Vec::new()));
}

#[tokio::test]
async fn an_announced_length_over_the_limit_is_refused_unread() {
    let header = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n";
    let (url, _keep) = stalling(header);
    assert_eq!(client().get_limited(&url, 10).await.unwrap_err().code(), "http-too-large");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize(200_000, b'x');
    assert_eq!(get(endless, 1000).await, Err("http-too-large"));
}

#[tokio::test]
async fn a_truncated_body_is_no_answer() {
    let mut answer = with_length("200 OK", "", b"12345");
    answer.pop();
    assert_eq!(get(answer, 100).await, Err("http-interrupted"));
    let mut answer = chunked(b"12345");
    answer.truncate(answer.len() - 5);
    assert_eq!(get(answer, 100).await, Err("http-interrupted"));
}

#[tokio::test]
async fn a_server_that_stalls_meets_the_deadline() {
    let quick = Timeouts { total: Duration::from_millis(200), ..Timeouts::default() };
    for sent in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n123"] {
        let (url, _keep) = stalling(sent);
        let error = HttpClient::new(quick).unwrap().get_limited(&url, 10).await.unwrap_err();
        assert_eq!(error.code(), "http-timeout", "{sent:?}");
    }
}

/// The server closes the connection just as the second request arrives on it.
#[tokio::test]
async fn a_connection_that_was_idle_is_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                read_request(&mut stream);
                stream.write_all(&with_length("200 OK", "", b"answer")).unwrap();
                let _ = stream.read(&mut [0]);
            });
        }
    });
    let client = HttpClient::new(Timeouts { idle: Duration::ZERO, ..Timeouts::default() }).unwrap();
    for _ in 0..2 {
        assert_eq!(client.get_limited(&url, 10).await.unwrap(), b"answer");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for location in ["file:///etc/passwd", "http://127.0.0.1:1/", "/x"] {
        let answer = with_length("301 Moved Permanently", &format!("location: {location}\r\n"), b"there");
        let error = client().get_limited(&answering(answer), 100).await.unwrap_err();
        assert_eq!((error.code(), error.status()), ("http-status", Some(301)), "{location}");
    }
}

#[tokio::test]
async fn nothing_is_decoded_and_nothing_encoded_is_accepted() {
    for encoding in ["gzip", "br", "deflate", "gzip, gzip"] {
        let answer = with_length("200 OK", &format!("content-encoding: {encoding}\r\n"), b"\x1f\x8b");
        assert_eq!(get(answer, 100).await, Err("http-encoded"), "{encoding}");
    }
    let answer = with_length("200 OK", "content-encoding: identity\r\n", b"plain");
    assert_eq!(get(answer, 100).await, Ok(b"plain".to_vec()));
}

#[tokio::test]
async fn a_get_wants_status_200() {
    for status in ["204 No Content", "404 Not Found", "500 Oops"] {
        assert_eq!(get(with_length(status, "", b""), 10).await, Err("http-status"), "{status}");
    }
    let answer = with_length("404 Not Found", "", "no\u{1b}[31m such thing".as_bytes());
    let error = client().get_limited(&answering(answer), 100).await.unwrap_err();
    assert_eq!(error.to_string(), "the server answered 404: no\\u{1b}[31m such thing");
}

#[tokio::test]
async fn a_post_returns_whatever_status_came() {
    let headers = "content-type: text/x.tlog.size\r\nretry-after: 7\r\n";
    let url = answering(with_length("409 Conflict", headers, b"5\n"));
    let answer = client().post_limited(&url, "text/plain", b"hello".to_vec(), 10).await.unwrap();
    let expected = Answer {
        status: 409,
        content_type: Some("text/x.tlog.size".to_owned()),
        retry_after_s: Some(7),
        body: b"5\n".to_vec(),
    };
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn a_request_asks_for_no_compression_and_carries_its_body() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let request = read_request(&mut stream);
        stream.write_all(&with_length("200 OK", "", b"")).unwrap();
        request
    });
    client().post_limited(&url, "application/octet-stream", b"the body".to_vec(), 10).await.unwrap();
    let request = server.join().unwrap();
    assert!(
        request.starts_with("post /x http/1.1\r\n") && request.ends_with("\r\n\r\nthe body"),
        "{request}"
    );
    assert!(request.contains("content-type: application/octet-stream\r\n"), "{request}");
    assert!(!request.contains("accept-encoding"), "{request}");
}

#[tokio::test]
async fn refuses_what_is_not_an_http_url() {
    for url in ["", "file:///etc/passwd", "ftp://x/", "example.org/x", "http:", "data:text/plain,x"] {
        assert_eq!(client().get_limited(url, 10).await.unwrap_err().code(), "http-url", "{url:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_a_failed_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(client().get_limited(&url, 10).await.unwrap_err().code(), "http-connect");
    // TLS to a server that does not speak it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/x", listener.local_addr().unwrap());
    thread::spawn(move || listener.accept().unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert_eq!(client().get_limited(&url, 10).await.unwrap_err().code(), "http-connect");
}

//! When all connections are taken.

use axum::routing::post;

use super::*;

/// What a client that is slow sends, and nothing after it.
const SLOW: [&[u8]; 4] = [
    b"",
    b"GET / HTTP/1.1\r\nho",
    b"POST /add HTTP/1.1\r\nhost: log\r\ncontent-length: 10\r\n\r\nabc",
    b"POST /add HTTP/1.1\r\nhost: log\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
];

async fn is_closed(stream: &mut TcpStream) -> bool {
    // Closed with something unread is a reset.
    !matches!(stream.read_to_end(&mut Vec::new()).await, Ok(read) if read > 0)
}

/// Of those it has it keeps the newest.
#[tokio::test]
async fn whoever_asks_is_answered_although_every_slot_is_held_by_slow_clients() {
    let router = hello().route("/add", post(async |body: Bytes| body));
    let (address, _stop, _served) = start(router, Limits { connections: 4, ..limits() }).await;
    let mut slow = Vec::new();
    for number in 0..16 {
        let mut stream = connect(address).await;
        stream.write_all(SLOW[number % SLOW.len()]).await.unwrap();
        slow.push(stream);
        // In the place of the one that is slow for longest, and then the one that is idle for longest.
        let mut normal = connect(address).await;
        ask(&mut normal).await;
        slow.push(normal);
    }
    let newest = slow.split_off(slow.len() - 4);
    for mut stream in slow {
        assert!(is_closed(&mut stream).await);
    }
    for (number, mut stream) in newest.into_iter().enumerate() {
        if number % 2 == 1 {
            ask(&mut stream).await;
        }
    }
}

/// Whoever asks moves behind those that only wait.
#[tokio::test]
async fn a_connection_that_is_used_outlives_an_idle_one_that_came_later() {
    let (address, _stop, _served) = start(hello(), Limits { connections: 2, ..limits() }).await;
    let (mut used, mut idle) = (connect(address).await, connect(address).await);
    ask(&mut used).await;
    ask(&mut idle).await;
    ask(&mut used).await;
    ask(&mut connect(address).await).await;
    assert!(is_closed(&mut idle).await);
    ask(&mut used).await;
}

#[tokio::test]
async fn a_connection_that_is_being_answered_is_not_closed_and_others_wait_for_its_answer() {
    let (entered, mut enters) = mpsc::channel(1);
    let (release, released) = tokio::sync::watch::channel(false);
    let handler = async move || {
        entered.send(()).await.unwrap();
        let mut released = released.clone();
        released.wait_for(|released| *released).await.unwrap();
        "hello"
    };
    let router = Router::new().route("/", get(handler));
    let (address, _stop, _served) = start(router, Limits { connections: 1, ..limits() }).await;
    let mut first = connect(address).await;
    first.write_all(REQUEST).await.unwrap();
    enters.recv().await.unwrap();
    let mut second = connect(address).await;
    second.write_all(REQUEST).await.unwrap();
    // Whatever the machine is busy with, there is nothing to read before the first has its answer.
    assert!(timeout(SHORT, read_answer(&mut second)).await.is_err());
    release.send_replace(true);
    read_answer(&mut first).await;
    // The first is idle now.
    enters.recv().await.unwrap();
    read_answer(&mut second).await;
}

/// All of the answer is made, and most of it waits for the client to take it.
#[tokio::test]
async fn an_answer_that_is_being_taken_is_not_cut_off() {
    const LENGTH: usize = 32 << 20;
    let long = get(async || [vec![0; LENGTH], b"hello".to_vec()].concat());
    let (address, _stop, _served) =
        start(hello().route("/long", long), Limits { connections: 1, ..limits() }).await;
    let mut first = connect(address).await;
    first.write_all(b"GET /long HTTP/1.1\r\nhost: log\r\n\r\n").await.unwrap();
    let mut byte = [0];
    assert_eq!(first.read(&mut byte).await.unwrap(), 1);
    let mut second = connect(address).await;
    second.write_all(REQUEST).await.unwrap();
    assert!(timeout(SHORT, read_answer(&mut second)).await.is_err());
    assert!(read_answer(&mut first).await.len() > LENGTH);
    read_answer(&mut second).await;
}

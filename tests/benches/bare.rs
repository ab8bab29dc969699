//! The peer of row `http`: a server on the same HTTP library that reads the body and answers how many bytes
//! it has got so far. What it takes is what HTTP takes; the rest is the log's.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use indelible_tests::Running;
use tokio::net::TcpListener;

/// The argument that makes this program the bare server.
pub(crate) const FLAG: &str = "--bare-server";

/// Starts the bare server as a process of its own.
///
/// # Errors
/// If this program cannot be found.
pub(crate) fn start(log: &Path) -> Result<Running> {
    let program = std::env::current_exe()?;
    Ok(Running::start(&program, &[FLAG.as_ref()], log))
}

/// Serves until it is killed.
///
/// # Errors
/// If it cannot listen.
pub(crate) fn serve() -> Result<()> {
    static RECEIVED: AtomicU64 = AtomicU64::new(0);
    let answer =
        async |body: Bytes| format!("{}\n", RECEIVED.fetch_add(body.len() as u64, Ordering::Relaxed));
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening http://{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        Ok(axum::serve(listener, Router::new().route("/add", post(answer))).await?)
    })
}

//! Blocking work under async code.

/// Runs blocking work on a thread for it. A panic in the work goes on in the caller.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is ending and will drop the caller before it could go on.
            Err(_) => std::future::pending().await,
        },
    }
}

//! Who gives way when all connections are taken: of those that wait for their client the one that has done so for
//! longest, whether it is idle, sends a head byte by byte, or a body. One that is being answered never does.
//!
//! All of them are looked through when all are taken, and not again before those that waited then are closed or were
//! answered: what one that is closed costs does not grow with their number.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, Id};

/// The request is here, and its answer is made or sent.
const ANSWERING: u64 = 1;
/// What was written has not been taken yet.
const UNTAKEN: u64 = 2;
/// Told to go: nothing it sends counts any more.
const LEAVING: u64 = 4;
/// Below these is what a connection does, above them since when: a number that grows with every request.
const SINCE: u32 = 3;

/// The connections there are.
#[derive(Default)]
pub(super) struct Seats {
    shared: Arc<Shared>,
    taken: HashMap<Id, (AbortHandle, Arc<Seat>)>,
    /// Some of those that waited for their clients when they were last looked through, and since when.
    waiting: VecDeque<(u64, Id)>,
}

#[derive(Debug, Default)]
struct Shared {
    turns: AtomicU64,
    /// Somebody waits until a connection can give way.
    wanted: AtomicBool,
    waits: Notify,
}

impl Seats {
    /// For a connection that has just been accepted.
    pub(super) fn seat(&self) -> Arc<Seat> {
        let state = AtomicU64::new(self.shared.turn());
        Arc::new(Seat { state, shared: Arc::clone(&self.shared) })
    }

    /// Notes that this task serves the connection.
    pub(super) fn take(&mut self, task: AbortHandle, seat: Arc<Seat>) {
        self.taken.insert(task.id(), (task, seat));
    }

    /// Notes that this task has ended, or will.
    pub(super) fn leave(&mut self, task: Id) -> Option<AbortHandle> {
        self.taken.remove(&task).map(|(task, _)| task)
    }

    /// Closes the connection that has waited for its client for longest; whether there was one.
    pub(super) fn close_longest_waiting(&mut self) -> bool {
        self.close_next() || {
            // Whoever begins to wait after this look has waited for less long than all of these.
            let taken = self.taken.iter();
            let mut waiting: Vec<_> =
                taken.filter_map(|(id, (_, seat))| Some((seat.waits_since()?, *id))).collect();
            waiting.sort_unstable_by_key(|(since, _)| *since);
            self.waiting = waiting.into();
            self.close_next()
        }
    }

    /// The same of those that waited when they were looked through, without those that have been answered since.
    fn close_next(&mut self) -> bool {
        while let Some((since, id)) = self.waiting.pop_front() {
            if self.taken.get(&id).is_some_and(|(_, seat)| seat.is_told_to_leave(since)) {
                self.leave(id).into_iter().for_each(|task| task.abort());
                return true;
            }
        }
        false
    }

    /// A slot that is free, or that another connection gives up.
    pub(super) async fn free_slot(&mut self, slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
        if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            return slot;
        }
        let mut freed = std::pin::pin!(Arc::clone(slots).acquire_owned());
        // Before the first look, so that nobody begins to wait unseen.
        self.shared.wanted.store(true, Ordering::SeqCst);
        let freed = loop {
            if self.close_longest_waiting() {
                break freed.await;
            }
            tokio::select! {
                freed = &mut freed => break freed,
                () = self.shared.waits.notified() => {}
            }
        };
        self.shared.wanted.store(false, Ordering::SeqCst);
        freed.expect("invariant: the semaphore is never closed")
    }
}

impl Shared {
    fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed).wrapping_add(1) << SINCE
    }
}

/// What one connection does.
#[derive(Debug)]
pub(super) struct Seat {
    state: AtomicU64,
    shared: Arc<Shared>,
}

impl Seat {
    /// A request's head is here; `false` if the connection was told to go before.
    fn has_head(&self) -> bool {
        self.change(|doing| doing, true)
    }

    /// The request is here as a whole, or as much of it as its answer needs.
    fn is_answered(&self) -> bool {
        self.change(|doing| doing | ANSWERING, false)
    }

    /// The answer has been made as a whole.
    fn has_answer(&self) {
        self.change(|doing| doing & !ANSWERING, true);
    }

    /// Whether something is written that the client has not taken.
    pub(super) fn set_untaken(&self, untaken: bool) {
        let set = |doing| if untaken { doing | UNTAKEN } else { doing & !UNTAKEN };
        self.change(set, !untaken);
    }

    fn change(&self, doing: impl Fn(u64) -> u64, begins_anew: bool) -> bool {
        let anew = begins_anew.then(|| self.shared.turn());
        let changed = |state: u64| {
            let (since, was) = (state >> SINCE << SINCE, state & (ANSWERING | UNTAKEN));
            (state & LEAVING == 0).then(|| anew.unwrap_or(since) | doing(was))
        };
        let stays = self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, changed).is_ok();
        if begins_anew && self.shared.wanted.load(Ordering::SeqCst) {
            self.shared.waits.notify_one();
        }
        stays
    }

    /// Since when it has waited for its client, if it does.
    fn waits_since(&self) -> Option<u64> {
        let state = self.state.load(Ordering::SeqCst);
        (state & (ANSWERING | UNTAKEN | LEAVING) == 0).then_some(state)
    }

    /// The connection has ended: its slot is about to be free.
    pub(super) fn ends(&self) {
        self.state.fetch_or(LEAVING, Ordering::SeqCst);
    }

    fn is_told_to_leave(&self, since: u64) -> bool {
        let told = since | LEAVING;
        self.state.compare_exchange(since, told, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// A request of a connection, until its answer has been made.
#[derive(Debug)]
pub(super) struct Turn(Arc<Seat>);

impl Turn {
    /// Of a request whose head is here; `None` if the connection was told to go before.
    pub(super) fn begin(seat: &Arc<Seat>) -> Option<Self> {
        seat.has_head().then(|| Self(Arc::clone(seat)))
    }

    /// The request's body, which is waited for until it is here.
    pub(super) fn body(&self, body: Incoming) -> Received {
        if body.is_end_stream() {
            self.0.is_answered();
        }
        Received { body, seat: Arc::clone(&self.0) }
    }

    /// The answer's body.
    pub(super) fn answer<B>(self, body: B) -> Answer<B> {
        self.0.is_answered();
        Answer { body, _turn: self }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.has_answer();
    }
}

/// A request's body.
pub(super) struct Received {
    body: Incoming,
    seat: Arc<Seat>,
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if frame.is_none() || self.body.is_end_stream() {
            self.seat.is_answered();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body.
pub(super) struct Answer<B> {
    body: B,
    _turn: Turn,
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

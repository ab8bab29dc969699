//! Taking many entries in with one request; `indelible_proto::log_api` has the formats.
//!
//! What can be seen to be refused is refused before the body is read: nothing of it is parsed or hashed while
//! the queue has no room for it. Then the framing of all of it is checked, and only then is any of it submitted.
//! It is submitted as a whole, so that entries of one request follow each other in the log.
//!
//! Entries are parsed and hashed, and signatures verified, on a thread for blocking work: a batch takes
//! milliseconds, for which no read should wait.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use indelible_proto::entry_bundle::Entry;
use indelible_proto::log_api::{
    BYTES_MEDIA_TYPE, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_BATCH_RECORDS, RecordAnswer, SequencedAnswer,
    TEXT_MEDIA_TYPE, encode_indices, parse_batch,
};
use indelible_proto::record::SignedRecord;
use tokio::time::{Instant, timeout};

use super::error::Problem;
use super::submit::{Place, SEQUENCING_WAIT, not_taken, place};
use super::{Log, NEVER_CACHED, body, respond};
use crate::blocking::blocking;
use crate::kind::LogKind;
use crate::publish::{Published, Standing};
use crate::sequencer::{Outcome, Submission};

pub(super) async fn add_batch(State(log): State<Arc<Log>>, request: Request) -> Result<Response, Problem> {
    if log.kind != LogKind::Raw {
        return Err(Problem::OtherKind { kind: log.kind });
    }
    let body = log.read_batch(request, MAX_BATCH_ENTRIES).await?;
    let entries = |body: &[u8]| -> Result<Vec<Submission>, Problem> {
        let entries = parse_batch(body, MAX_BATCH_ENTRIES).map_err(Problem::Batch)?;
        let entries = entries.into_iter().map(|bytes| Entry::new(bytes.to_vec()).map(Submission::Raw));
        entries.collect::<Result<_, _>>().map_err(|_| Problem::BodyBroken)
    };
    let taking = Arc::clone(&log);
    let outcomes = blocking(move || taking.sequencer.submit_many(entries(&body)?).map_err(not_taken)).await?;
    let outcomes = timeout(SEQUENCING_WAIT, outcomes).await;
    let Ok(Ok(outcomes)) = outcomes else { return Err(Problem::OutcomeUnknown) };
    let places = outcomes.into_iter().map(place);
    let indices = places.map(|place| Ok(place?.index)).collect::<Result<Vec<_>, Problem>>()?;
    Ok(respond(StatusCode::OK, TEXT_MEDIA_TYPE, NEVER_CACHED, encode_indices(&indices)))
}

pub(super) async fn submit_batch(State(log): State<Arc<Log>>, request: Request) -> Result<Response, Problem> {
    if log.kind != LogKind::Records {
        return Err(Problem::OtherKind { kind: log.kind });
    }
    let deadline = Instant::now() + Duration::from_secs(log.submit.wait_s);
    let body = log.read_batch(request, MAX_BATCH_RECORDS).await?;
    let taking = Arc::clone(&log);
    let (leaves, outcomes) = blocking(move || taking.take_records(&body)).await?;
    let outcomes = match timeout(SEQUENCING_WAIT, outcomes).await {
        Ok(Ok(outcomes)) => outcomes,
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    // One that has no outcome failed, as far as is known.
    let mut outcomes = outcomes.into_iter().chain(std::iter::repeat(Outcome::Failed));
    let placed: Vec<_> = leaves
        .into_iter()
        .map(|leaf| leaf.and_then(|leaf| Ok((leaf, place(outcomes.next().unwrap_or(Outcome::Failed))?))))
        .collect();
    let indices = placed.iter().filter_map(|placed| placed.as_ref().ok().map(|(_, place)| place.index));
    let published = match indices.max() {
        Some(newest) => log.published_with(newest, deadline).await,
        None => None,
    };
    let proving = Arc::clone(&log);
    let answers = blocking(move || {
        let published = published.unwrap_or_else(|| proving.published.borrow().clone());
        let answer = |placed: Result<(Vec<u8>, Place), Problem>| {
            let answered = placed.and_then(|(leaf, place)| proving.answer_one(&published, place, leaf));
            answered.unwrap_or_else(|problem| problem.record_answer())
        };
        RecordAnswer::encode_all(&placed.into_iter().map(answer).collect::<Vec<_>>())
    });
    Ok(respond(StatusCode::OK, BYTES_MEDIA_TYPE, NEVER_CACHED, answers.await))
}

/// A record of a batch, or why it is none.
type Leaf = Result<Vec<u8>, Problem>;
/// The outcomes of those that are, in order.
type Outcomes = tokio::sync::oneshot::Receiver<Vec<Outcome>>;

impl Log {
    /// The body of a request with up to `max` entries, if the client may send it and there is room for it.
    async fn read_batch(&self, request: Request, max: usize) -> Result<Vec<u8>, Problem> {
        let client = self.client(&request);
        let body = request.into_body();
        let announced = body::announced(&body).min(MAX_BATCH_BYTES);
        let refused = self.check_intake().and_then(|()| {
            self.sequencer.check_room(1, announced).map_err(not_taken)?;
            self.clients.take(client, 1, announced)
        });
        if let Err(problem) = refused {
            self.bodies.discard(body).await;
            return Err(problem);
        }
        let bytes = self.bodies.read(body, MAX_BATCH_BYTES).await?;
        // Only now it is known how many there are; the framing is looked at once more where it is parsed.
        let count = parse_batch(&bytes, max).map_err(Problem::Batch)?.len();
        self.sequencer.check_room(count, bytes.len()).map_err(not_taken)?;
        self.clients.take(client, count.saturating_sub(1), bytes.len().saturating_sub(announced))?;
        Ok(bytes)
    }

    /// Submits the records of a batch. Each that is none has its refusal in its place, and no outcome.
    /// Blocking.
    fn take_records(&self, body: &[u8]) -> Result<(Vec<Leaf>, Outcomes), Problem> {
        let leaves = parse_batch(body, MAX_BATCH_RECORDS).map_err(Problem::Batch)?;
        let mut submissions = Vec::with_capacity(leaves.len());
        let mut read = |leaf: &[u8]| {
            let record = SignedRecord::parse(leaf).map_err(Problem::Record)?;
            submissions.push(Submission::Record(Box::new(record)));
            Ok(leaf.to_vec())
        };
        let leaves: Vec<_> = leaves.into_iter().map(&mut read).collect();
        let outcomes = self.sequencer.submit_many(submissions).map_err(not_taken)?;
        Ok((leaves, outcomes))
    }

    /// The answer to one sequenced record: its proof if this proves it, else its place. Blocking.
    fn answer_one(
        &self,
        published: &Published,
        place: Place,
        leaf: Vec<u8>,
    ) -> Result<RecordAnswer, Problem> {
        if published.standing() == Standing::Witnessed && published.head().size.contains(place.index) {
            return Ok(RecordAnswer { status: 200, body: self.prove(published, place, leaf)? });
        }
        let body = SequencedAnswer { index: place.index }.encode().into_bytes();
        Ok(RecordAnswer { status: 202, body })
    }
}

//! Taking entries in.
//!
//! `POST /submit` (records): the record is parsed strictly here, off the sequencer's thread; whether it may
//! follow its channel is decided by the sequencer, in order. The answer is the complete proof once the record
//! is published: index, inclusion proof and checkpoint from one snapshot of what is published, checked with the
//! log's own policy before it is sent, as every receiver will check it. A record that was sequenced but not
//! published in time gets 202; the same bytes sent again get the proof once there is one, for as long as the
//! log exists.
//!
//! `POST /add` (raw): any bytes up to 65,535; the index once they are durable.
//!
//! [`super::many`] does both for many at once.
//!
//! A submitter that goes away changes nothing: what reached the sequencer is sequenced.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use indelible_client::listen::Peer;
use indelible_client::planted::{self, Bug};
use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::{Hash, leaf_hash};
use indelible_proto::log_api::{
    JSON_MEDIA_TYPE, MAX_RAW_BYTES, MAX_RECORD_BYTES, SequencedAnswer, TEXT_MEDIA_TYPE, encode_index,
};
use indelible_proto::proof::LogProof;
use indelible_proto::record::SignedRecord;
use indelible_proto::size::LeafIndex;
use tokio::time::{Instant, sleep_until, timeout};

use super::clients::Client;
use super::error::Problem;
use super::{Log, NEVER_CACHED, respond};
use crate::blocking::blocking;
use crate::kind::LogKind;
use crate::publish::{Published, Standing};
use crate::sequencer::{Outcome, Submission, SubmitError};
use crate::space::Room;

/// How long a submission may take to be sequenced before its submitter is told to ask again. A healthy disk
/// needs milliseconds; a full queue on a slow one, seconds.
pub(super) const SEQUENCING_WAIT: Duration = Duration::from_secs(30);

pub(super) async fn submit(State(log): State<Arc<Log>>, request: Request) -> Result<Response, Problem> {
    if log.kind != LogKind::Records {
        return Err(Problem::OtherKind { kind: log.kind });
    }
    let deadline = Instant::now() + Duration::from_secs(log.submit.wait_s);
    let bytes = log.read_one(request, MAX_RECORD_BYTES).await?;
    let record = SignedRecord::parse(&bytes).map_err(Problem::Record)?;
    let place = sequence(&log, Submission::Record(Box::new(record))).await?;
    let Some(published) = log.published_with(place.index, deadline).await else {
        let answer = SequencedAnswer { index: place.index }.encode();
        return Ok(respond(StatusCode::ACCEPTED, JSON_MEDIA_TYPE, NEVER_CACHED, answer));
    };
    let proof = blocking(move || log.prove(&published, place, bytes)).await?;
    Ok(respond(StatusCode::OK, TEXT_MEDIA_TYPE, NEVER_CACHED, proof))
}

pub(super) async fn add(State(log): State<Arc<Log>>, request: Request) -> Result<Response, Problem> {
    if log.kind != LogKind::Raw {
        return Err(Problem::OtherKind { kind: log.kind });
    }
    let bytes = log.read_one(request, MAX_RAW_BYTES).await?;
    let entry = Entry::new(bytes).map_err(|_| Problem::BodyTooLong { max: MAX_RAW_BYTES })?;
    let place = sequence(&log, Submission::Raw(entry)).await?;
    Ok(respond(StatusCode::OK, TEXT_MEDIA_TYPE, NEVER_CACHED, encode_index(place.index)))
}

/// Where an entry is in the log.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) index: LeafIndex,
    /// Of the entry that is there. A record that is logged already may have been submitted again under other
    /// signatures.
    pub(super) leaf_hash: Hash,
}

async fn sequence(log: &Log, submission: Submission) -> Result<Place, Problem> {
    log.check_intake()?;
    let outcome = log.sequencer.submit(submission).map_err(not_taken)?;
    match timeout(SEQUENCING_WAIT, outcome).await {
        Ok(Ok(outcome)) => place(outcome),
        // The sequencer ended, or it takes too long: it is not known whether the entry will be in the log.
        Ok(Err(_)) | Err(_) => Err(Problem::OutcomeUnknown),
    }
}

/// Why the sequencer did not take a submission.
pub(super) fn not_taken(error: SubmitError) -> Problem {
    match error {
        SubmitError::Full { retry_after_s } => Problem::QueueFull { retry_after_s },
        SubmitError::Stopped => Problem::Stopping,
        SubmitError::OtherKind { kind } => Problem::OtherKind { kind },
    }
}

/// Where an entry is, by what became of its submission.
pub(super) fn place(outcome: Outcome) -> Result<Place, Problem> {
    match outcome {
        Outcome::Sequenced { index, leaf_hash, .. } => Ok(Place { index, leaf_hash }),
        Outcome::Refused { error, head } => Err(Problem::Refused { error, head }),
        Outcome::MayNotOpen(error) => Err(Problem::MayNotOpen(error)),
        // It failed to become durable, as far as is known.
        Outcome::Failed => Err(Problem::OutcomeUnknown),
    }
}

impl Log {
    /// Whom a request is from.
    pub(super) fn client(&self, request: &Request) -> Client {
        self.clients.client(request.extensions().get::<Peer>(), request.headers())
    }

    /// The body of a request with one entry, if its client may submit one more.
    async fn read_one(&self, request: Request, max: usize) -> Result<Vec<u8>, Problem> {
        let client = self.client(&request);
        let bytes = self.bodies.read(request.into_body(), max).await?;
        self.clients.take(client, 1, bytes.len())?;
        Ok(bytes)
    }

    /// Refuses more entries while there is too little room, or too many wait for witnesses.
    pub(super) fn check_intake(&self) -> Result<(), Problem> {
        if let Room::TooLittle { free_mib, min_mib } = self.space.room() {
            return Err(Problem::DiskSpace { free_mib, min_mib });
        }
        let signed = self.sequencer.tree().signed_size().get();
        let published = self.published.borrow().head().size.get();
        let (unpublished, max) =
            (signed.saturating_sub(published), self.submit.max_unpublished_entries.get());
        if unpublished >= max { Err(Problem::Backlog { unpublished, max }) } else { Ok(()) }
    }

    /// What is published once it proves the entry at `index`; `None` if that is not before `deadline`, or if
    /// the server stops first.
    pub(super) async fn published_with(&self, index: LeafIndex, deadline: Instant) -> Option<Arc<Published>> {
        let (mut published, mut stopping) = (self.published.clone(), self.stopping.clone());
        let proves = |published: &Arc<Published>| {
            published.standing() == Standing::Witnessed && published.head().size.contains(index)
        };
        tokio::select! {
            biased;
            published = published.wait_for(proves) => published.ok().map(|published| Arc::clone(&published)),
            () = sleep_until(deadline) => None,
            _ = stopping.wait_for(|stopping| *stopping) => None,
        }
    }

    /// The proof that a submitted entry is in the published tree, checked. Blocking.
    pub(super) fn prove(
        &self,
        published: &Published,
        place: Place,
        submitted: Vec<u8>,
    ) -> Result<Vec<u8>, Problem> {
        let tree = self.sequencer.tree();
        let entry = if leaf_hash(&submitted) == place.leaf_hash {
            submitted
        } else {
            let stored = tree.entry(place.index).map_err(Problem::Read)?;
            stored.ok_or(Problem::BeyondTree { size: published.head().size })?.into_bytes()
        };
        // Of the published size, not of what the tree has grown to: the checkpoint of the proof is of that size.
        let size = match planted::has(Bug::MixedSnapshots) {
            true => tree.signed_size(),
            false => published.head().size,
        };
        let inclusion = tree.inclusion(place.index, size).map_err(Problem::Read)?;
        let leaf_hash = leaf_hash(&entry);
        let checkpoint =
            published.verified(&self.policy).map_err(|error| Problem::SelfCheck(error.into()))?;
        let proof = LogProof::new(Some(entry), place.index, inclusion, checkpoint.note().clone());
        let proof = proof.map_err(Problem::SelfCheck)?;
        proof.verify_inclusion(&leaf_hash, &checkpoint.head()).map_err(Problem::SelfCheck)?;
        Ok(proof.encode())
    }
}

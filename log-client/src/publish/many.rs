//! Many records at once: sent in batches, each answered and judged on its own.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use indelible_proto::log_api::{MAX_BATCH_RECORDS, batch_prefix};
use indelible_proto::policy::{LogSigned, Policy};
use indelible_proto::record::{Chain, ChannelName};
use indelible_proto::size::LeafIndex;

use super::{
    FIRST_PAUSE, LONGEST_PAUSE, Outbox, Pace, Prepared, PublishError, Published, Terms, check_proof,
};
use crate::keys::replace_unless_key;
use crate::log_submit::{SubmitAnswer, SubmitError, SubmitLog};
use crate::state::{LastRecord, StateDir};
use crate::verify::{Comparison, compare};

/// How many of `records`, from the first, one request can take.
pub fn batch_of(records: &[Prepared]) -> usize {
    let leaves: Vec<&[u8]> = records.iter().map(|prepared| &prepared.kept.leaf[..]).collect();
    batch_prefix(&leaves, MAX_BATCH_RECORDS)
}

/// Sends the records of one batch, in this order, until each has its proof or is refused; verifies the proofs. A refused
/// record does not stop the others. What the log had no room for, or no witnesses yet, is sent again until
/// `terms.deadline`; of `terms` nothing else counts here but the policy.
///
/// # Errors
/// [`PublishError::Submit`] if the log gave no usable answer, or the batch is no batch; it is then not known which
/// records were logged, and sending all of them again is safe.
pub async fn send_many(
    log: &(impl SubmitLog + Sync),
    pace: &impl Pace,
    records: Vec<Prepared>,
    outbox: &Outbox,
    terms: &Terms<'_>,
) -> Result<Vec<Result<Published, PublishError>>, PublishError> {
    let mut slots: Vec<Slot> = records.into_iter().map(Slot::new).collect();
    let mut backoff = FIRST_PAUSE;
    loop {
        let open: Vec<usize> =
            (0..slots.len()).filter(|slot| slots.get(*slot).is_some_and(Slot::is_open)).collect();
        let leaves: Vec<Vec<u8>> = open
            .iter()
            .filter_map(|slot| slots.get(*slot))
            .map(|slot| slot.prepared.kept.leaf.clone())
            .collect();
        if leaves.is_empty() {
            break;
        }
        let begun = pace.elapsed();
        let (wait, failure) = match log.submit_many(&leaves).await {
            Ok(answers) => {
                let wait = take(&mut slots, &open, answers, terms.policy);
                (wait.unwrap_or(backoff).max(FIRST_PAUSE), None)
            }
            Err(error) if error.is_passing() => (backoff, Some(error)),
            Err(error) => return Err(error.into()),
        };
        if slots.iter().all(|slot| !slot.is_open()) {
            break;
        }
        if begun.saturating_add(wait) > terms.deadline {
            give_up(&mut slots, failure)?;
            break;
        }
        pace.pause(wait).await;
        backoff = backoff.saturating_mul(2).min(LONGEST_PAUSE);
    }
    let mut ends = Vec::with_capacity(slots.len());
    for Slot { prepared, end, .. } in slots {
        if matches!(end, Some(Err(PublishError::Refused(_)))) {
            outbox.forget(&prepared.kept.record)?;
        }
        ends.push(end.unwrap_or(Err(PublishError::Busy)));
    }
    Ok(ends)
}

/// One record on its way.
struct Slot {
    prepared: Prepared,
    /// Its index, once the log has said that it is there.
    sequenced: Option<LeafIndex>,
    end: Option<Result<Published, PublishError>>,
}

impl Slot {
    fn new(prepared: Prepared) -> Self {
        Self { prepared, sequenced: None, end: None }
    }

    fn is_open(&self) -> bool {
        self.end.is_none()
    }

    fn channel(&self) -> ChannelName {
        self.prepared.kept.record.statement().predicate.common().channel.clone()
    }
}

/// Takes the answers to the open records in; says when to come back, if the log did.
fn take(slots: &mut [Slot], open: &[usize], answers: Vec<SubmitAnswer>, policy: &Policy) -> Option<Duration> {
    let mut wait = None;
    // Channels with an earlier record that was not taken yet. What follows it was refused for that reason only, on the
    // other chain too: a heartbeat names the newest record of both.
    let mut waiting = BTreeSet::new();
    for (index, answer) in open.iter().zip(answers) {
        let Some(slot) = slots.get_mut(*index) else { continue };
        let end = match answer {
            SubmitAnswer::Proof(bytes) => Some(prove(&slot.prepared, &bytes, policy)),
            SubmitAnswer::Sequenced(at) => {
                slot.sequenced = Some(at);
                None
            }
            SubmitAnswer::Busy { retry_after } => {
                wait = wait.max(retry_after);
                waiting.insert(slot.channel());
                None
            }
            SubmitAnswer::Conflict(_) if waiting.contains(&slot.channel()) => None,
            SubmitAnswer::Conflict(error) => Some(Err(PublishError::Conflict(error))),
            SubmitAnswer::Refused(error) => {
                Some(Err(slot.sequenced.map_or(PublishError::Refused(error), PublishError::NotWitnessed)))
            }
        };
        slot.end = end;
    }
    wait
}

fn prove(prepared: &Prepared, bytes: &[u8], policy: &Policy) -> Result<Published, PublishError> {
    let Prepared { kept, genesis, resumed } = prepared;
    let (proof, logged) = check_proof(bytes, &kept.leaf, policy).map_err(PublishError::Proof)?;
    Ok(Published { record: kept.record.clone(), proof, logged, genesis: *genesis, resumed: *resumed })
}

/// Ends what is open when the time is up. An exchange that failed with nothing known is the whole batch's failure.
fn give_up(slots: &mut [Slot], failure: Option<SubmitError>) -> Result<(), PublishError> {
    if let Some(failure) = failure
        && slots.iter().all(|slot| slot.is_open() && slot.sequenced.is_none())
    {
        return Err(failure.into());
    }
    for slot in slots.iter_mut().filter(|slot| slot.end.is_none()) {
        slot.end = Some(Err(slot.sequenced.map_or(PublishError::Busy, PublishError::NotWitnessed)));
    }
    Ok(())
}

/// [`super::conclude`] for many: writes each proof to its path, then remembers the largest checkpoint and the newest
/// record of each chain of each channel.
///
/// # Errors
/// As [`super::conclude`]; on a fork nothing is written.
pub fn conclude_many(
    state: &StateDir,
    published: &[(Published, PathBuf)],
    policy: &Policy,
) -> Result<(), PublishError> {
    let mut largest: Option<LogSigned> = None;
    let mut newest = Vec::<(Chain, LastRecord)>::new();
    for (published, _) in published {
        let checkpoint = published.logged.checkpoint();
        let seen = policy
            .verify_log_signature(checkpoint.note())
            .map_err(|error| PublishError::Proof(error.into()))?;
        let held = state.checkpoint(checkpoint.origin(), policy)?;
        // The batch's own checkpoints count as well: one run is shown one tree.
        let others = [held.as_ref(), largest.as_ref()].into_iter().flatten();
        for other in others.filter(|other| other.checkpoint().origin() == checkpoint.origin()) {
            if let Comparison::Fork(evidence) = compare(other, &seen) {
                return Err(PublishError::Forked(evidence));
            }
        }
        if largest.as_ref().is_none_or(|largest| largest.head().size < seen.head().size) {
            largest = Some(seen);
        }
        let (chain, last) = published.last();
        match newest.iter_mut().find(|(of, newest)| *of == chain && newest.channel == last.channel) {
            Some((_, newest)) if newest.seq < last.seq => *newest = last,
            Some(_) => {}
            None => newest.push((chain, last)),
        }
    }
    for (published, path) in published {
        replace_unless_key(path, &published.proof.encode()).map_err(PublishError::ProofFile)?;
    }
    for (published, _) in published {
        let checkpoint = published.logged.checkpoint();
        if largest.as_ref().is_some_and(|largest| largest.head() == checkpoint.head()) {
            state.remember_checkpoint(checkpoint, policy)?;
            break;
        }
    }
    for (published, _) in published {
        state.remember_withdrawal(&published.record)?;
    }
    for (chain, last) in newest {
        state.remember_record(chain, &last)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! The witness itself: state, key and clock together. Blocking; one call does one request.

use bytes::Bytes;
use indelible_client::durable::DurableError;
use indelible_proto::note::{NoteSignature, SignedNote, VerifierKey};
use indelible_proto::sign::CosignSigner;
use indelible_proto::time::UnixSeconds;

use crate::clock::Clock;
use crate::decide::{Holding, Window, decide};
use crate::held::{Held, HeldError};
use crate::logs::KnownLogs;
use crate::refusal::Refusal;
use crate::store::{Cell, CellGuard, Store, StoreError};
use crate::submission::{Request, Submission};

/// A witness that can be asked.
pub struct Witness {
    signer: CosignSigner,
    store: Store,
    clock: Clock,
    clock_lead_s: u64,
}

impl Witness {
    /// A witness with `signer`'s key over `store`, which belongs to that key. A clock more than
    /// `clock_lead_s` seconds ahead of every time signed before is not believed.
    pub fn new(signer: CosignSigner, store: Store, clock: Clock, clock_lead_s: u64) -> Self {
        Self { signer, store, clock, clock_lead_s }
    }

    /// The witness's key.
    pub fn key(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    /// The witness's state.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes more logs known.
    ///
    /// # Errors
    /// As [`Store::register`].
    pub fn register(&self, known: &KnownLogs) -> Result<(), StoreError> {
        self.store.register(known)
    }

    /// The note last cosigned for the log whose origin has this SHA-256, in lower-case hexadecimal.
    pub fn latest(&self, origin_hash: &str) -> Option<Bytes> {
        self.store.cell_by_hash(origin_hash)?.served()
    }

    /// Answers the body of an add-checkpoint request with a cosignature, which is on disk by then.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was cosigned, and the state is as it was.
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<NoteSignature, Refusal> {
        let request = Request::parse(body)?;
        let cell = self.store.cell(request.origin()).ok_or(Refusal::UnknownOrigin)?;
        let submission = request.authenticate(cell.log(), self.key())?;

        let mut guard = cell.lock().map_err(|error| self.cannot_store(&cell, &error))?;
        if self.store.has_failed() {
            return Err(Refusal::Stopped);
        }
        if guard.is_halted() {
            return Err(Refusal::Halted);
        }
        let now = (self.clock)();
        let window = self.window(&guard.holding());
        match decide(&submission, &guard.holding(), &window, now) {
            Ok(checkpoint) => self.cosign(&checkpoint.encode(), &submission, now, &mut guard, &cell),
            Err(refusal) => {
                self.keep_trace(&refusal, &submission, &mut guard, &cell);
                Err(refusal)
            }
        }
    }

    fn window(&self, holding: &Holding) -> Window {
        let newest = self.store.newest_time();
        let latest = newest.get().saturating_add(self.clock_lead_s);
        Window {
            not_before: match holding {
                // Not the newest: other logs' requests may have read the clock a moment later.
                Holding::Nothing => self.store.created(),
                Holding::Cosigned(_, last) => *last,
            },
            not_after: UnixSeconds::new(latest).unwrap_or(newest),
        }
    }

    /// Signs `text`, a checkpoint encoded anew, and releases the cosignature once it is on disk.
    fn cosign(
        &self,
        text: &str,
        submission: &Submission,
        now: UnixSeconds,
        guard: &mut CellGuard<'_>,
        cell: &Cell,
    ) -> Result<NoteSignature, Refusal> {
        // The check that loading makes, so that nothing is written that would not load.
        let signed = self.signer.cosign(text, now).and_then(|cosignature| {
            let lines = vec![submission.log_signature().clone(), cosignature.clone()];
            Ok((cosignature, SignedNote::new(text.to_owned(), lines)?))
        });
        let verified = signed
            .map_err(HeldError::from)
            .and_then(|(cosignature, note)| Ok((cosignature, Held::verify(note, cell.log(), self.key())?)));
        let (cosignature, held) = verified.map_err(|error| {
            tracing::error!(log = %cell.log().origin().as_str().escape_debug(), %error, "refusing a note of our own making");
            Refusal::NotStored
        })?;
        // Asked twice within a second: the same bytes are there already.
        if guard.held() != Some(&held) {
            guard.replace(held).map_err(|error| {
                let error = self.store.write_failed(error);
                self.cannot_store(cell, &error)
            })?;
        }
        self.store.note_time(now);
        Ok(cosignature)
    }

    /// Keeps what a refused checkpoint shows about the log, or about our own state.
    fn keep_trace(&self, refusal: &Refusal, submission: &Submission, guard: &mut CellGuard<'_>, cell: &Cell) {
        let origin = cell.log().origin().as_str().escape_debug();
        let kept: Result<(), DurableError> = if *refusal == Refusal::StateBehind {
            tracing::error!(log = %origin, "state is behind our own cosignature; log halted");
            guard.halt(submission.raw_note())
        } else if let Some(suspicion) = refusal.suspicion() {
            tracing::warn!(log = %origin, code = refusal.code(), ?suspicion, "inconsistent signed checkpoint");
            self.store.keep_conflict(cell, guard.held(), submission, suspicion)
        } else {
            Ok(())
        };
        if let Err(error) = kept {
            tracing::error!(log = %origin, %error, "cannot keep a refused checkpoint");
        }
    }

    fn cannot_store(&self, cell: &Cell, error: &StoreError) -> Refusal {
        let origin = cell.log().origin().as_str().escape_debug();
        tracing::error!(log = %origin, code = error.code(), %error, "cannot store the new state");
        if self.store.has_failed() { Refusal::Stopped } else { Refusal::NotStored }
    }
}

#[cfg(test)]
mod tests;

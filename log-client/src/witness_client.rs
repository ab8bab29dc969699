//! Asking one witness for a cosignature (c2sp.org/tlog-witness).
//!
//! The witness is not trusted to answer well: a cosignature is handed on only after it was verified, for
//! the witness's known key and for exactly the text that was sent. Lines of other keys are ignored.
//!
//! Nothing here repeats a request. After [`AddOutcome::Conflict`] the caller makes a proof from the size
//! the witness holds and asks again, once; a witness that keeps changing its mind is treated as one that
//! refuses.

use indelible_proto::checkpoint::Origin;
use indelible_proto::note::{KeyError, KeyKind, MAX_NOTE_BYTES, NoteError, SignedNote};
use indelible_proto::note::{VerifiedSignature, VerifierKey};
use indelible_proto::size::TreeSize;
use indelible_proto::tree::ConsistencyProof;
use indelible_proto::witness_api::{
    ADD_CHECKPOINT_PATH, AddCheckpointRequest, MAX_COSIGNATURES_BYTES, SIZE_MEDIA_TYPE, checkpoint_path,
    parse_cosignatures, parse_size,
};

use crate::http::{Answer, FetchError, HttpClient};

/// Why a witness gave no cosignature, nor a size to start from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The witness cannot be reached, is overloaded or in trouble (status 5xx, 429); another try later
    /// may succeed.
    #[error("witness is unavailable")]
    Unavailable(#[source] FetchError),
    /// The witness understood and refused. The same request will be refused again.
    #[error("witness refused with {status}: {}", .body.escape_debug())]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The start of the witness's explanation.
        body: String,
    },
    /// The answer breaks the protocol: not the lines or the number it should be, or no cosignature of the
    /// witness's key in it.
    #[error("witness answered outside the protocol: {reason}")]
    Protocol {
        /// Which rule was broken.
        reason: &'static str,
    },
    /// The witness's own signature line does not verify.
    #[error("witness returned a cosignature that does not verify")]
    BadCosignature(#[source] NoteError),
}

impl WitnessError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "witness-unavailable",
            Self::Refused { .. } => "witness-refused",
            Self::Protocol { .. } => "witness-protocol",
            Self::BadCosignature(_) => "witness-bad-cosignature",
        }
    }
}

/// What a witness answered to a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddOutcome {
    /// It cosigned.
    Added {
        /// Its cosignature, verified for its key over the checkpoint that was sent.
        signature: VerifiedSignature,
    },
    /// It holds a checkpoint of another size than `old`; make a proof from that size.
    Conflict {
        /// The size of the latest checkpoint it cosigned; unverified, it is only where to start.
        size: TreeSize,
    },
}

/// One witness: its key, where it is, and a client to ask it with.
#[derive(Clone, Debug)]
pub struct WitnessClient {
    key: VerifierKey,
    url: String,
    http: HttpClient,
}

impl WitnessClient {
    /// The witness with `key` behind the prefix `url`, to which the protocol's paths are appended; both
    /// its submission and its monitoring prefix.
    ///
    /// # Errors
    /// [`KeyError::WrongKind`] if the key is not a witness's.
    pub fn new(key: VerifierKey, url: &str, http: HttpClient) -> Result<Self, KeyError> {
        if key.kind() != KeyKind::Cosigner {
            return Err(KeyError::WrongKind { expected: KeyKind::Cosigner, got: key.kind() });
        }
        Ok(Self { key, url: url.trim_end_matches('/').to_owned(), http })
    }

    /// The witness's key.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The prefix the witness is asked at, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks for a cosignature on `note`, which extends the tree of `old` entries as `proof` shows.
    ///
    /// # Errors
    /// See [`WitnessError`]. After an error the witness may still have cosigned: the next request then
    /// meets [`AddOutcome::Conflict`], or succeeds if it is the same.
    pub async fn add_checkpoint(
        &self,
        old: TreeSize,
        proof: &ConsistencyProof,
        note: &SignedNote,
    ) -> Result<AddOutcome, WitnessError> {
        let request = AddCheckpointRequest { old, proof: proof.clone(), note: note.clone() };
        let url = format!("{}{ADD_CHECKPOINT_PATH}", self.url);
        let exchange = self.http.post_limited(
            &url,
            "text/plain; charset=utf-8",
            request.encode(),
            MAX_COSIGNATURES_BYTES,
        );
        self.judge(&exchange.await.map_err(WitnessError::Unavailable)?, note)
    }

    /// The checkpoint of `origin` that the witness serves, with whatever signatures it has; `None` if it
    /// never cosigned one. Nothing is verified, not even the origin.
    ///
    /// # Errors
    /// See [`WitnessError`].
    pub async fn latest(&self, origin: &Origin) -> Result<Option<SignedNote>, WitnessError> {
        let url = format!("{}{}", self.url, checkpoint_path(origin));
        match self.http.get_limited(&url, MAX_NOTE_BYTES).await {
            Ok(body) => match SignedNote::parse(&body) {
                Ok(note) => Ok(Some(note)),
                Err(_) => Err(WitnessError::Protocol { reason: "the checkpoint is not a signed note" }),
            },
            Err(FetchError::Status { status: 404, .. }) => Ok(None),
            Err(FetchError::Status { status, body }) if !is_trouble(status) => {
                Err(WitnessError::Refused { status, body })
            }
            Err(error) => Err(WitnessError::Unavailable(error)),
        }
    }

    fn judge(&self, answer: &Answer, note: &SignedNote) -> Result<AddOutcome, WitnessError> {
        match answer.status {
            200 => self.verified(&answer.body, note).map(|signature| AddOutcome::Added { signature }),
            409 if answer.content_type.as_deref() == Some(SIZE_MEDIA_TYPE) => {
                match parse_size(&answer.body) {
                    Ok(size) => Ok(AddOutcome::Conflict { size }),
                    Err(_) => {
                        Err(WitnessError::Protocol { reason: "the conflict's body is not a tree size" })
                    }
                }
            }
            409 => Err(WitnessError::Protocol { reason: "a conflict without a tree size" }),
            status if is_trouble(status) => {
                Err(WitnessError::Unavailable(FetchError::Status { status, body: answer.snippet() }))
            }
            status => Err(WitnessError::Refused { status, body: answer.snippet() }),
        }
    }

    fn verified(&self, body: &[u8], note: &SignedNote) -> Result<VerifiedSignature, WitnessError> {
        let lines = parse_cosignatures(body)
            .map_err(|_| WitnessError::Protocol { reason: "the body is not signature lines" })?;
        let answered = note.with_signatures(lines).map_err(WitnessError::BadCosignature)?;
        match self.key.verify_note(&answered) {
            Ok(Some(signature)) => Ok(signature),
            Ok(None) => Err(WitnessError::Protocol { reason: "no cosignature by the witness's key" }),
            Err(error) => Err(WitnessError::BadCosignature(error)),
        }
    }
}

/// Whether the status says "not now" rather than "no".
fn is_trouble(status: u16) -> bool {
    status >= 500 || status == 429 || status == 408
}

#[cfg(test)]
mod tests;

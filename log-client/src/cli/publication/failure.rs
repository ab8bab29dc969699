//! What each failure of a publication asks for.

use super::super::exit::Exit;
use crate::publish::{PlaceError, PublishError};

/// How each error ends a run, and what to do about it.
pub(super) fn reaction(error: &PublishError) -> (Exit, &'static str) {
    const AGAIN: &str = "run the same command again; it goes on with the same record";
    match error {
        PublishError::Place(error) => match error {
            PlaceError::NoChannel => (Exit::Usage, "open the channel first: indelible channel create"),
            PlaceError::Taken(_) | PlaceError::Known(_) => {
                (Exit::Refused, "choose another name, or publish on the channel with its keys")
            }
            PlaceError::Behind { .. } => (
                Exit::Refused,
                "somebody has published on the channel since; if that was you, from another machine, run again \
                 with --accept-log-head; if not, your key is in other hands",
            ),
            PlaceError::Forgotten(_) | PlaceError::Contradiction { .. } => (
                Exit::Refused,
                "check that the URL is the log's; if it is, the log has lost or hidden a record: keep your proof \
                 files and tell its operator and witnesses",
            ),
            PlaceError::NoRecovery => {
                (Exit::Usage, "leave out --recovery, or open a channel with recovery keys")
            }
            PlaceError::Frozen => {
                (Exit::Refused, "name new keys with the recovery keys: indelible channel rotate --recovery")
            }
            PlaceError::OtherGenesis { .. } => (
                Exit::Refused,
                "the log has another channel under this name: check the URL, ask its operator",
            ),
        },
        PublishError::Unfinished { .. } => {
            (Exit::Refused, "run the earlier command again to finish it, or drop it with --accept-log-head")
        }
        PublishError::Draft(_) | PublishError::Opening(_) => (Exit::Usage, "correct the arguments"),
        PublishError::Conflict(_) => (
            Exit::Refused,
            "somebody else published on the channel first; if that was you, run again with --accept-log-head",
        ),
        PublishError::Refused(_) => (Exit::Refused, "correct what the log names; nothing was published"),
        PublishError::NotWitnessed(_) | PublishError::Busy => (Exit::Undecided, AGAIN),
        PublishError::Submit(_) => {
            (Exit::Undecided, "check the log's URL and your network, then run the same command again")
        }
        PublishError::Proof(_) => {
            (Exit::Refused, "check that the policy is the log's; if it is, tell the log's operator")
        }
        PublishError::ProofFile(_) => (Exit::Undecided, AGAIN),
        PublishError::State(_) => (Exit::Undecided, "make the state directory usable, then run it again"),
        PublishError::Forked(_) => (Exit::Evidence, ""),
    }
}

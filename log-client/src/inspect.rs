//! Reading any of our formats for a person to look at. **Nothing is verified here**: what is shown is what
//! the bytes say, and anybody can have written them.
//!
//! The kind is told from the first bytes, never from a file's name. A file that begins like a kind and is
//! not one is malformed, not unknown.

mod view;

use indelible_proto::checkpoint::Checkpoint;
use indelible_proto::entry_bundle::{BUNDLE_MAX_BYTES, EntryBundle};
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::hash::Hash;
use indelible_proto::note::{SignedNote, VerifierKey};
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::{ChannelState, SignedRecord, json};
use indelible_proto::sign::SecretKey;
use indelible_proto::tile::{TILE_MAX_BYTES, TileWidth};
use indelible_proto::wire::Reader;
use indelible_proto::witness_api::AddCheckpointRequest;

/// Largest input: a full entry bundle.
pub const MAX_INPUT_BYTES: usize = BUNDLE_MAX_BYTES;

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// What kind of file it is.
    pub kind: &'static str,
    /// What it says.
    pub view: Node,
}

/// A value to show, in the order it is to be shown in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Text, not escaped.
    Text(String),
    /// A number.
    Number(u64),
    /// Yes or no.
    Bool(bool),
    /// Values in order.
    List(Vec<Node>),
    /// Named values in order.
    Fields(Vec<(String, Node)>),
}

/// Why a file cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// None of our formats begins like this.
    #[error("none of the formats this program knows")]
    Unknown,
    /// It begins like a format and is not of it.
    #[error("a malformed {kind}: {message}")]
    Malformed {
        /// What it begins like.
        kind: &'static str,
        /// The stable name of what is wrong.
        code: &'static str,
        /// What is wrong.
        message: String,
    },
}

impl InspectError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "format-unknown",
            Self::Malformed { code, .. } => code,
        }
    }
}

/// Reads `bytes` as whatever they are.
///
/// # Errors
/// [`InspectError::Unknown`] or [`InspectError::Malformed`].
pub fn inspect(bytes: &[u8]) -> Result<Inspected, InspectError> {
    type Read = fn(&[u8]) -> Result<Node, (&'static str, String)>;
    let beginnings: [(&[u8], &'static str, Read); 8] = [
        (b"c2sp.org/tlog-proof@", "log proof", read_proof),
        (b"indelible-evidence/", "evidence of a fork", read_evidence),
        (b"DSSEv1 ", "record leaf", read_record),
        (b"indelible-channel-state/", "channel state", read_channel_state),
        (b"PRIVATE+KEY+", "secret key", read_secret_key),
        (b"old ", "witness request", read_witness_request),
        (b"{", "statement", read_json),
        (b"\xe2\x80\x94 ", "cosignatures", read_cosignatures),
    ];
    for (beginning, kind, read) in beginnings {
        if bytes.starts_with(beginning) {
            return match read(bytes) {
                Ok(view) => Ok(Inspected { kind, view }),
                Err((code, message)) => Err(InspectError::Malformed { kind, code, message }),
            };
        }
    }
    inspect_by_form(bytes)
}

/// The formats that do not begin with a word of their own.
fn inspect_by_form(bytes: &[u8]) -> Result<Inspected, InspectError> {
    let text = std::str::from_utf8(bytes).ok();
    if let Some(key) = text.and_then(|text| VerifierKey::parse(text.strip_suffix('\n').unwrap_or(text)).ok())
    {
        return Ok(Inspected { kind: "verifier key", view: view::key(&key) });
    }
    if text.is_some_and(|text| text.contains("\n\n\u{2014} ")) {
        let note =
            SignedNote::parse(bytes).map_err(|error| malformed("signed note", error.code(), &error))?;
        let kind = match Checkpoint::parse(note.text()) {
            Ok(_) => "checkpoint",
            Err(_) => "signed note",
        };
        return Ok(Inspected { kind, view: view::note(&note) });
    }
    if text.is_some_and(is_like_a_policy) {
        let policy = Policy::parse(bytes).map_err(|error| malformed("policy", error.code(), &error))?;
        return Ok(Inspected { kind: "policy", view: view::policy(&policy) });
    }
    if let Some(bundle) = read_bundle(bytes) {
        return Ok(Inspected { kind: "entry bundle", view: view::bundle(&bundle) });
    }
    match read_tile(bytes) {
        Some(hashes) => Ok(Inspected { kind: "hash tile", view: view::tile(&hashes) }),
        None => Err(InspectError::Unknown),
    }
}

fn malformed(kind: &'static str, code: &'static str, error: &dyn std::fmt::Display) -> InspectError {
    InspectError::Malformed { kind, code, message: error.to_string() }
}

/// Whether any line begins with a word that only policies have.
fn is_like_a_policy(text: &str) -> bool {
    let is_item = |line: &str| {
        let word = line.trim_start_matches([' ', '\t']).split([' ', '\t']).next();
        matches!(word, Some("log" | "witness" | "group" | "quorum"))
    };
    text.split('\n').any(is_item)
}

/// The bytes as entries with their lengths, if they are exactly that.
fn read_bundle(bytes: &[u8]) -> Option<EntryBundle> {
    let mut reader = Reader::new(bytes);
    let mut count = 0u16;
    while !reader.is_empty() {
        let length = reader.u16().ok()?;
        reader.take(usize::from(length)).ok()?;
        count = count.checked_add(1)?;
    }
    EntryBundle::parse(TileWidth::new(count)?, bytes).ok()
}

/// The bytes as hashes: of any file of such a length one cannot tell more.
fn read_tile(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<{ Hash::LEN }>();
    let is_tile = rest.is_empty() && !hashes.is_empty() && bytes.len() <= TILE_MAX_BYTES;
    is_tile.then(|| hashes.iter().map(|hash| Hash::from_bytes(*hash)).collect())
}

fn read_proof(bytes: &[u8]) -> Result<Node, (&'static str, String)> {
    let proof = LogProof::parse(bytes).map_err(|error| (error.code(), error.to_string()))?;
    Ok(view::proof(&proof))
}

fn read_evidence(bytes: &[u8]) -> Result<Node, (&'static str, String)> {
    let evidence = ForkEvidence::parse(bytes).map_err(|error| (error.code(), error.to_string()))?;
    Ok(view::evidence(&evidence))
}

fn read_record(bytes: &[u8]) -> Result<Node, (&'static str, String)> {
    let record = SignedRecord::parse(bytes).map_err(|error| (error.code(), error.to_string()))?;
    Ok(view::record(&record))
}

fn read_channel_state(bytes: &[u8]) -> Result<Node, (&'static str, String)> {
    let state = ChannelState::parse(bytes).map_err(|error| (error.code(), error.to_string()))?;
    Ok(view::channel_state(&state))
}

/// Shows whose key it is and never the key.
fn read_secret_key(bytes: &[u8]) -> Result<Node, (&'static str, String)> {
    let text = std::str::from_utf8(bytes).map_err(|_| ("not-utf8", "not valid UTF-8".to_owned()))?;
    let secret = SecretKey::parse(text.strip_suffix('\n').unwrap_or(text));
    let secret = secret.map_err(|error| (error.code(), error.to_string()))?;
    Ok(view::key(secret.verifier()))
}

fn read_witness_request(bytes: &[u8]) -> Result<Node, (&'static str, String)> {
    let request = AddCheckpointRequest::parse(bytes).map_err(|error| (error.code(), error.to_string()))?;
    Ok(view::witness_request(&request))
}

fn read_cosignatures(bytes: &[u8]) -> Result<Node, (&'static str, String)> {
    let lines = indelible_proto::witness_api::parse_cosignatures(bytes);
    let lines = lines.map_err(|error| (error.code(), error.to_string()))?;
    Ok(view::signatures(&lines))
}

fn read_json(bytes: &[u8]) -> Result<Node, (&'static str, String)> {
    let value = json::parse(bytes.strip_suffix(b"\n").unwrap_or(bytes));
    Ok(view::json(&value.map_err(|error| (error.code(), error.to_string()))?))
}

#[cfg(test)]
mod tests;

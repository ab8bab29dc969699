//! What each format says, as values to show.

use indelible_proto::checkpoint::Checkpoint;
use indelible_proto::cosignature::Cosignature;
use indelible_proto::entry_bundle::EntryBundle;
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::hash::{Hash, leaf_hash};
use indelible_proto::note::{NoteSignature, SignedNote, VerifierKey};
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::json::Value;
use indelible_proto::record::{ChannelState, KeySet, SignedRecord};
use indelible_proto::wire::encode_base64;
use indelible_proto::witness_api::AddCheckpointRequest;

use super::Node;
use crate::verify::describe_quorum;

/// Collects named values in the order they are to be shown in.
#[derive(Default)]
struct Fields(Vec<(String, Node)>);

#[expect(clippy::needless_pass_by_value, reason = "takes texts, references to them and values alike")]
impl Fields {
    fn with(mut self, name: &str, value: impl Into<Node>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    fn text(self, name: &str, value: impl ToString) -> Self {
        self.with(name, Node::Text(value.to_string()))
    }

    fn text_if(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    fn number(self, name: &str, value: u64) -> Self {
        self.with(name, Node::Number(value))
    }
}

impl From<Fields> for Node {
    fn from(fields: Fields) -> Self {
        Self::Fields(fields.0)
    }
}

pub(super) fn key(key: &VerifierKey) -> Node {
    Fields::default()
        .text("name", key.name())
        .text("key id", key.id())
        .text("kind", key.kind())
        .text("verifier key", key.encode())
        .into()
}

pub(super) fn note(note: &SignedNote) -> Node {
    let fields = match Checkpoint::parse(note.text()) {
        Ok(checkpoint) => {
            let head = checkpoint.head();
            let fields = Fields::default()
                .text("origin", checkpoint.origin())
                .number("tree size", head.size.get())
                .text("root", head.root.to_base64());
            match checkpoint.extensions() {
                [] => fields,
                lines => fields.with("extensions", texts(lines.iter())),
            }
        }
        Err(error) => Fields::default().text("text", note.text()).text("not a checkpoint", error),
    };
    fields.with("signatures", signatures(note.signatures())).into()
}

pub(super) fn signatures(lines: &[NoteSignature]) -> Node {
    Node::List(lines.iter().map(signature).collect())
}

fn signature(line: &NoteSignature) -> Node {
    // Without its key the kind of a line is not known; only cosignatures have their lengths.
    let time = Cosignature::parse_by_length(line.signature()).ok().map(|cosignature| cosignature.time());
    Fields::default()
        .text("name", line.name())
        .text("key id", line.id())
        .number("bytes", line.signature().len() as u64)
        .text_if("cosignature time", time)
        .into()
}

pub(super) fn proof(proof: &LogProof) -> Node {
    let fields = Fields::default()
        .number("index", proof.index().get())
        .with("inclusion proof", hashes(proof.proof().hashes()))
        .with("checkpoint", note(proof.note()));
    match proof.extra() {
        None => fields.text("record", "none in the file").into(),
        Some(extra) => fields.with("record", entry(extra)).into(),
    }
}

fn entry(bytes: &[u8]) -> Node {
    match SignedRecord::parse(bytes) {
        Ok(parsed) => record(&parsed),
        Err(error) => Fields::default()
            .text("not a record", error)
            .number("bytes", bytes.len() as u64)
            .text("leaf hash", leaf_hash(bytes).to_base64())
            .text("base64", encode_base64(bytes))
            .into(),
    }
}

pub(super) fn record(record: &SignedRecord) -> Node {
    let leaf = record.encode();
    let fields = Fields::default()
        .text("record id", record.record_id())
        .text("leaf hash", leaf_hash(&leaf).to_base64())
        .number("bytes", leaf.len() as u64);
    let fields = match indelible_proto::record::json::parse(record.payload()) {
        Ok(statement) => fields.with("statement", json(&statement)),
        Err(error) => fields.text("statement", error),
    };
    fields.with("signatures", signatures(record.signatures())).into()
}

pub(super) fn channel_state(state: &ChannelState) -> Node {
    let fields = Fields::default()
        .text("channel", state.channel())
        .text("genesis", state.genesis())
        .text("head", state.head())
        .number("seq", state.seq())
        .text("keys record", state.keys_record())
        .number("cooldown", state.cooldown_s())
        .number("max age", state.max_age_s());
    let fields = match state.signers() {
        Some(signers) => fields.with("signers", key_set(signers)),
        None => fields.text("signers", "none: the publish chain is frozen"),
    };
    let fields = match state.recovery() {
        Some(recovery) => fields.with("recovery", key_set(recovery)),
        None => return fields.into(),
    };
    let fields = fields.text_if("recovery keys record", state.recovery_keys_record());
    match state.recovery_head() {
        Some(head) => fields.text("recovery head", head.record).number("recovery seq", head.seq).into(),
        None => fields.into(),
    }
}

fn key_set(set: &KeySet) -> Node {
    Fields::default()
        .number("threshold", u64::from(set.threshold()))
        .with("keys", Node::List(set.keys().iter().map(key).collect()))
        .into()
}

pub(super) fn evidence(evidence: &ForkEvidence) -> Node {
    Fields::default()
        .with("smaller note", note(evidence.smaller()))
        .with("larger note", note(evidence.larger()))
        .text("root at the smaller size", evidence.root().to_base64())
        .with("consistency proof", hashes(evidence.proof().hashes()))
        .into()
}

pub(super) fn witness_request(request: &AddCheckpointRequest) -> Node {
    Fields::default()
        .number("old size", request.old.get())
        .with("consistency proof", hashes(request.proof.hashes()))
        .with("checkpoint", note(&request.note))
        .into()
}

pub(super) fn policy(policy: &Policy) -> Node {
    let logs = policy
        .logs()
        .iter()
        .map(|log| Fields::default().with("key", key(&log.key)).text_if("url", log.url.as_deref()).into());
    let witnesses = policy.witnesses().iter().map(|witness| {
        let fields = Fields::default().text("name", &witness.name).with("key", key(&witness.key));
        fields.text_if("url", witness.url.as_deref()).into()
    });
    Fields::default()
        .text("sha256", policy.fingerprint())
        .with("logs", Node::List(logs.collect()))
        .with("witnesses", Node::List(witnesses.collect()))
        .text("quorum", describe_quorum(policy, policy.quorum()))
        .into()
}

pub(super) fn bundle(bundle: &EntryBundle) -> Node {
    let entries = bundle.entries().iter().map(|bytes| entry(bytes.as_bytes()));
    Fields::default().with("entries", Node::List(entries.collect())).into()
}

pub(super) fn tile(tile: &[Hash]) -> Node {
    Fields::default().number("width", tile.len() as u64).with("hashes", hashes(tile)).into()
}

pub(super) fn json(value: &Value) -> Node {
    match value {
        Value::Bool(value) => Node::Bool(*value),
        Value::Integer(value) => Node::Number(*value),
        Value::String(text) => Node::Text(text.clone()),
        Value::Array(values) => Node::List(values.iter().map(json).collect()),
        Value::Object(fields) => {
            Node::Fields(fields.iter().map(|(name, value)| (name.clone(), json(value))).collect())
        }
    }
}

fn hashes(hashes: &[Hash]) -> Node {
    texts(hashes.iter().map(|hash| hash.to_base64()))
}

fn texts(texts: impl IntoIterator<Item = impl ToString>) -> Node {
    Node::List(texts.into_iter().map(|text| Node::Text(text.to_string())).collect())
}

//! What the tests of `docs/attacks.md` share: proofs and notes of which one thing is wrong and the rest is as it has
//! to be, signed by whoever would sign them, and the verdict of the program on each.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use indelible_proto::entry_bundle::Entry;
use indelible_proto::hash::{Hash, node_hash, sha256};
use indelible_proto::note::NoteSignature;
use indelible_proto::sign::{LogSigner, SecretKey, Signer as _};
use indelible_proto::time::UnixSeconds;
use indelible_proto::wire::encode_base64;
use indelible_tests::{Finished, Rogue};
use serde_json::Value;

use crate::exit::VERIFIED;
use crate::published::{Room, WITNESSES};

/// A room, and the one true proof that the bad ones are made from: of `agent-1`, in the whole tree.
pub(crate) struct Bench {
    pub(crate) room: Room,
    /// The record.
    pub(crate) leaf: Vec<u8>,
    /// Its place in the log.
    pub(crate) index: u64,
    pub(crate) path: Vec<Hash>,
    /// What the log and its witnesses signed.
    pub(crate) text: String,
    /// Rows that came out otherwise.
    wrong: RefCell<Vec<String>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let room = Room::new();
        let proof = room.proof("agent-1");
        Self {
            leaf: proof.extra().unwrap().to_vec(),
            index: proof.index().get(),
            path: proof.proof().hashes().to_vec(),
            text: proof.note().text().to_owned(),
            room,
            wrong: RefCell::default(),
        }
    }

    fn log(&self) -> LogSigner {
        let text = String::from_utf8(self.room.read("log.key")).unwrap();
        LogSigner::new(SecretKey::parse(text.trim_end()).unwrap()).unwrap()
    }

    /// The log's signature of any text.
    pub(crate) fn log_line(&self, text: &str) -> NoteSignature {
        self.log().sign(text.as_bytes())
    }

    /// The cosignature of witness `n`, made at `time`.
    pub(crate) fn witness_line(&self, n: usize, text: &str, time: u64) -> NoteSignature {
        self.room.witness_signer(n).unwrap().cosign(text, UnixSeconds::new(time).unwrap()).unwrap()
    }

    /// Signatures of `text` by the log and by all its witnesses, now.
    pub(crate) fn lines(&self, text: &str) -> Vec<NoteSignature> {
        let witnesses = (0..WITNESSES).map(|n| self.witness_line(n, text, now()));
        std::iter::once(self.log_line(text)).chain(witnesses).collect()
    }

    /// `text` as a note that all have signed.
    pub(crate) fn signed(&self, text: &str) -> Vec<u8> {
        note(text, &self.lines(text))
    }

    /// The proof with these bytes for its note.
    pub(crate) fn with_note(&self, note: &[u8]) -> Vec<u8> {
        proof(&self.leaf, self.index, &self.path, note)
    }

    /// The proof under a text that all have signed.
    pub(crate) fn with_text(&self, text: &str) -> Vec<u8> {
        self.with_note(&self.signed(text))
    }

    /// The proof under its own text and other signatures.
    pub(crate) fn with_lines(&self, lines: &[NoteSignature]) -> Vec<u8> {
        self.with_note(&note(&self.text, lines))
    }

    /// The log's operator, whose tree has these entries.
    pub(crate) fn tree(&self, entries: &[&[u8]]) -> Rogue {
        self.room.rogue(entries.iter().map(|bytes| Entry::new(bytes.to_vec()).unwrap()).collect())
    }

    /// The text of a checkpoint with this size and root.
    pub(crate) fn checkpoint(size: impl std::fmt::Display, root: &Hash) -> String {
        format!("log.example/updates\n{size}\n{}\n", root.to_base64())
    }

    /// What the program has to say of a proof of `agent-1`, remembering nothing: its exit code, and why.
    pub(crate) fn check(&self, row: &str, what: &str, proof: &[u8], exit: i32, reason: &str) {
        self.room.write("tried.tlog-proof", proof);
        let args = ["agent-1", "--key", "vendor.vkey", "--proof", "tried.tlog-proof", "--no-state", "--json"];
        self.compare(row, what, &self.room.verify(&args), exit, reason);
    }

    /// The same of a proof that has to verify.
    pub(crate) fn verifies(&self, row: &str, what: &str, proof: &[u8]) {
        self.check(row, what, proof, VERIFIED, "verified");
    }

    /// The same of a policy, under which `agent-1` is to be verified with its true proof.
    pub(crate) fn check_policy(&self, row: &str, what: &str, policy: &str, exit: i32, reason: &str) {
        self.room.write("tried.txt", policy);
        let mut verify = self.room.client();
        verify.args(["verify", "agent-1", "--key", "vendor.vkey", "--policy", "tried.txt"]);
        self.compare(row, what, &Finished::run(verify.args(["--no-state", "--json"])), exit, reason);
    }

    /// Takes down what came out otherwise, so that one run shows all of it.
    pub(crate) fn compare(&self, row: &str, what: &str, verdict: &Finished, exit: i32, reason: &str) {
        let told = serde_json::from_str::<Value>(&verdict.stdout).unwrap_or_default();
        let why = told["code"].as_str().unwrap_or(if exit == VERIFIED { "verified" } else { "no reason" });
        if (verdict.code(), why) != (exit, reason) || verdict.stderr.contains("panicked") {
            let got = format!("{row}, {what}: {exit} {reason} expected, got {} {why}", verdict.code());
            self.wrong.borrow_mut().push(got);
        }
    }

    /// Everything came out as it has to.
    #[track_caller]
    pub(crate) fn finish(self) {
        let wrong = self.wrong.into_inner();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// The room's policy.
    pub(crate) fn policy(&self) -> String {
        String::from_utf8(self.room.read("policy.txt")).unwrap()
    }
}

/// A note, whether or not it can be one.
pub(crate) fn note(text: &str, lines: &[NoteSignature]) -> Vec<u8> {
    let lines: String = lines.iter().map(NoteSignature::encode_line).collect();
    format!("{text}\n{lines}").into_bytes()
}

/// A proof, whether or not it can be one.
pub(crate) fn proof(leaf: &[u8], index: impl std::fmt::Display, path: &[Hash], note: &[u8]) -> Vec<u8> {
    let hashes: String = path.iter().map(|hash| format!("{}\n", hash.to_base64())).collect();
    let head = format!("c2sp.org/tlog-proof@v1\nextra {}\nindex {index}\n{hashes}\n", encode_base64(leaf));
    [head.as_bytes(), note].concat()
}

/// The root to which RFC 9162, section 2.1.3.2, leads from a leaf hash, on a path of just the hashes it asks for.
pub(crate) fn climb(
    leaf: Hash,
    index: u64,
    size: u64,
    mut sibling: impl FnMut() -> Hash,
) -> (Hash, Vec<Hash>) {
    let (mut node, mut last, mut root, mut path) = (index, size - 1, leaf, Vec::new());
    while last > 0 {
        let hash = sibling();
        path.push(hash);
        if node & 1 == 1 || node == last {
            root = node_hash(&hash, &root);
            while node & 1 == 0 && node != 0 {
                (node, last) = (node >> 1, last >> 1);
            }
        } else {
            root = node_hash(&root, &hash);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    (root, path)
}

/// Hashes, none like another.
pub(crate) fn hashes() -> impl FnMut() -> Hash {
    let mut last = sha256(b"hashes");
    move || {
        last = sha256(last.as_bytes());
        last
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

//! Verdicts that others wrote down, for our verifiers to repeat: Ed25519 in `ed25519`, ML-DSA-44 in `ml_dsa`, and the
//! 98 inclusion and 98 consistency probes of transparency-dev/merkle. They are taken as a Go module when the suite runs;
//! `tests/run vectors` finds them and names their folder in `MERKLE_TESTDATA`. The module's 311 subtree probes have no
//! counterpart here: nothing of ours takes a proof of a subtree.

#![allow(clippy::unwrap_used, reason = "a test may end anywhere")]

mod ed25519;
mod ml_dsa;
mod verdicts;

use std::path::{Path, PathBuf};

use indelible_proto::hash::{Hash, sha256};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tree::{ConsistencyProof, InclusionProof, TreeHead};
use indelible_proto::wire;
use serde::Deserialize;
use walkdir::WalkDir;

use verdicts::Verdicts;

/// Fewer than this, and the suite looked in the wrong place.
const AT_LEAST: usize = 90;

/// Where ours must decide otherwise, and no other place: c2sp.org/tlog-witness has a witness accept any tree
/// after the empty one without a proof; the probes call that useless and want an error.
const DIVERGES: &str = "size1-is-zero-and-size2-is-not-zero.json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: Option<String>,
    leaf_hash: Option<String>,
    proof: Option<Vec<String>>,
    desc: String,
    want_err: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: Option<String>,
    root2: Option<String>,
    proof: Option<Vec<String>>,
    desc: String,
    want_err: bool,
}

fn folder() -> PathBuf {
    let folder = std::env::var_os("MERKLE_TESTDATA");
    PathBuf::from(folder.expect("MERKLE_TESTDATA names the probes' folder: run tests/run vectors"))
}

fn probes(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = files.filter(|file| file.path().extension().is_some_and(|ending| ending == "json"));
    let found: Vec<_> =
        files.map(|file| (file.path().to_owned(), std::fs::read(file.path()).unwrap())).collect();
    assert!(found.len() >= AT_LEAST, "only {} probes in {}", found.len(), folder.display());
    found
}

/// A root as a probe gives it. Some are words of another length than a hash, where all that counts is whether
/// two are the same: the hash of such a word stands for it.
fn root(text: Option<&String>) -> Option<Hash> {
    let bytes = wire::decode_base64(text?.as_bytes()).ok()?;
    Some(<[u8; Hash::LEN]>::try_from(&bytes[..]).map_or_else(|_| sha256(&bytes), Hash::from_bytes))
}

/// `None` where the text is no hash: such a probe can only be refused.
fn hash(text: Option<&String>) -> Option<Hash> {
    wire::parse_hash(text?.as_bytes()).ok()
}

fn hashes(texts: Option<&Vec<String>>) -> Option<Vec<Hash>> {
    texts.map_or(Some(Vec::new()), |texts| texts.iter().map(|text| hash(Some(text))).collect())
}

fn head(size: u64, text: Option<&String>) -> Option<TreeHead> {
    Some(TreeHead { size: TreeSize::new(size).ok()?, root: root(text)? })
}

fn accepts_inclusion(probe: &Inclusion) -> Option<()> {
    let head = head(probe.tree_size, probe.root.as_ref())?;
    let proof = InclusionProof::new(hashes(probe.proof.as_ref())?).ok()?;
    proof.verify(&hash(probe.leaf_hash.as_ref())?, LeafIndex::new(probe.leaf_idx).ok()?, &head).ok()
}

fn accepts_consistency(probe: &Consistency) -> Option<()> {
    let old = head(probe.size1, probe.root1.as_ref())?;
    let new = head(probe.size2, probe.root2.as_ref())?;
    ConsistencyProof::new(hashes(probe.proof.as_ref())?).ok()?.verify(&old, &new).ok()
}

/// Compares all verdicts and names every difference, not only the first.
fn judge<P: for<'a> Deserialize<'a>>(folder: &Path, verdict: impl Fn(&P) -> (bool, bool, String)) {
    let mut verdicts = Verdicts::default();
    for (path, bytes) in probes(folder) {
        let probe =
            serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (ours, theirs, what) = verdict(&probe);
        let theirs = theirs != path.ends_with(DIVERGES);
        verdicts.note(ours, theirs, &format!("{}: {what}", path.display()));
    }
    verdicts.assert_right(1);
}

#[test]
fn inclusion_proofs_get_the_same_verdicts() {
    judge(&folder().join("inclusion"), |probe: &Inclusion| {
        (accepts_inclusion(probe).is_some(), !probe.want_err, probe.desc.clone())
    });
}

#[test]
fn consistency_proofs_get_the_same_verdicts() {
    judge(&folder().join("consistency"), |probe: &Consistency| {
        (accepts_consistency(probe).is_some(), !probe.want_err, probe.desc.clone())
    });
}

//! Row `verify`: one `.tlog-proof` of a 1 KB record under three witnesses, checked in memory as a client
//! checks it, against the Ed25519 verifications that nobody can save: the log's, three witnesses', the
//! vendor's.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, Result};
use indelible_proto::checkpoint::{Checkpoint, Origin};
use indelible_proto::cosignature::{Cosignature, signed_message};
use indelible_proto::hash::{leaf_hash, node_hash, sha256};
use indelible_proto::note::{Algorithm, KeyKind, KeyName, SignedNote, VerifierKey};
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::SignedRecord;
use indelible_proto::sign::{CosignSigner, LogSigner, SecretKey, Signer as _};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tree::{InclusionProof, TreeHead};
use indelible_tests::records::{Channel, now};

use crate::Plan;
use crate::limits::Signed;
use crate::report::Line;
use crate::stats::us;

const ORIGIN: &str = "log.example/bench";
const WITNESSES: u8 = 3;
/// A tree of 2^30 entries: as many hashes in the proof as a large log's proofs have.
const LEVELS: u32 = 30;
const MAX_RATIO: f64 = 1.2;

pub(crate) fn run(plan: &Plan) -> Result<Vec<Line>> {
    let Case { proof, leaf, policy, vendor, signatures } = Case::prepare()?;
    let verify = || -> Result<()> {
        let record = SignedRecord::parse(&leaf)?;
        let logged = LogProof::parse(black_box(&proof))?.verify(&leaf_hash(&leaf), &policy)?;
        black_box(logged);
        record.signed_by(&vendor)?.then_some(()).context("the vendor signed")
    };
    let times = plan.of(4_000, 200);
    let mut rounds = Vec::new();
    for round in 0..plan.rounds() * 4 + 1 {
        let begun = Instant::now();
        (0..times).try_for_each(|_| verify())?;
        let whole = begun.elapsed();
        let begun = Instant::now();
        (0..times).try_for_each(|_| verify_bare(&signatures))?;
        let bare = begun.elapsed();
        // The first round warms up.
        if round > 0 {
            rounds.push((us(whole) / f64::from(times), us(bare) / f64::from(times)));
        }
    }
    let (proof_bytes, leaf_bytes, count) = (proof.len(), leaf.len(), signatures.len());
    let line = Line::new(
        "verify",
        "one .tlog-proof, 3 witnesses",
        "µs",
        &rounds,
        format!("its {count} verify_strict calls"),
    );
    let met = line.ratio.median <= MAX_RATIO;
    Ok(vec![
        line.note(format!(
            "a proof of {proof_bytes} B with {LEVELS} hashes and a leaf of {leaf_bytes} B, parsed and hashed"
        ))
        .goal(format!("at most {MAX_RATIO} of the signatures alone"), met),
    ])
}

fn verify_bare(signatures: &[Signed]) -> Result<()> {
    signatures.iter().try_for_each(|signed| black_box(signed).verify())
}

/// A proof, what verifying it needs, and its bare signatures.
struct Case {
    proof: Vec<u8>,
    leaf: Vec<u8>,
    policy: Policy,
    vendor: VerifierKey,
    signatures: Vec<Signed>,
}

impl Case {
    fn prepare() -> Result<Self> {
        let mut channel = Channel::new(0)?;
        channel.sign_next()?;
        let record = channel.sign_next()?;
        let leaf = record.encode();
        let (index, path, head) = place_in_tree(&leaf)?;

        let key = |kind, name: &str, seed| -> Result<SecretKey> {
            Ok(SecretKey::from_seed(kind, KeyName::parse(name)?, [seed; 32]))
        };
        let log = LogSigner::new(key(KeyKind::Log, ORIGIN, 1)?)?;
        let text = Checkpoint::new(Origin::parse(ORIGIN)?, head)?.encode();
        let mut lines = vec![log.sign(text.as_bytes())];
        let log_key = log.verifier().public_key_bytes();
        let mut signatures = vec![Signed::new(log_key, text.clone().into_bytes(), lines[0].signature())?];
        let mut policy = format!("log {}\n", log.verifier());
        let (mut names, time) = (String::new(), now()?);
        for number in 0..WITNESSES {
            let name = format!("witness.example/w{number}");
            let witness = CosignSigner::new(key(KeyKind::Cosigner, &name, 2 + number)?)?;
            let line = witness.cosign(&text, time)?;
            let cosignature = Cosignature::parse(Algorithm::Ed25519, line.signature())?;
            let public_key = witness.verifier().public_key_bytes();
            signatures.push(Signed::new(public_key, signed_message(&text, time), cosignature.signature())?);
            policy.push_str(&format!("witness w{number} {}\n", witness.verifier()));
            names.push_str(&format!(" w{number}"));
            lines.push(line);
        }
        policy.push_str(&format!("group all {WITNESSES}{names}\nquorum all\n"));
        signatures.push(Signed::of_record(&record, channel.signer())?);
        let proof = LogProof::new(Some(leaf.clone()), index, path, SignedNote::new(text, lines)?)?;
        let vendor = channel.signer().verifier().clone();
        Ok(Self {
            proof: proof.encode(),
            leaf,
            policy: Policy::parse(policy.as_bytes())?,
            vendor,
            signatures,
        })
    }
}

/// A tree of 2^30 entries that has the leaf somewhere: made of the proof's hashes alone.
fn place_in_tree(leaf: &[u8]) -> Result<(LeafIndex, InclusionProof, TreeHead)> {
    let index = 0x2aaa_5555 & ((1 << LEVELS) - 1);
    let (mut root, mut path) = (leaf_hash(leaf), Vec::new());
    for level in 0..LEVELS {
        let sibling = sha256(&level.to_be_bytes());
        root = if index >> level & 1 == 0 { node_hash(&root, &sibling) } else { node_hash(&sibling, &root) };
        path.push(sibling);
    }
    let head = TreeHead { size: TreeSize::new(1 << LEVELS)?, root };
    Ok((LeafIndex::new(index)?, InclusionProof::new(path)?, head))
}

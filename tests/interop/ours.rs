//! What a running log and its witnesses make, judged by Go.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use indelible_client::fetch::Source;
use indelible_client::http::{HttpClient, Timeouts};
use indelible_client::log_client::LogClient;
use indelible_proto::hash::leaf_hash;
use indelible_proto::note::SignedNote;
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::BundleId;
use indelible_proto::tree::TreeHead;
use indelible_tests::world::{Kind, World};

use crate::{ConsistencyLine, InclusionLine, go, sizes};

fn entry(number: u64) -> Vec<u8> {
    format!("entry {number} of a log that Go judges").into_bytes()
}

/// The entry that the log has at `index`: concurrent submissions decide their order there.
async fn entry_at(log: &LogClient, index: u64, size: TreeSize) -> Vec<u8> {
    let (bundle, within) = BundleId::of_entry(LeafIndex::new(index).unwrap(), size).unwrap();
    log.bundle(bundle).await.unwrap()[within].as_bytes().to_vec()
}

/// How many submissions are under way at once.
const WRITERS: usize = 64;

/// Brings the log to exactly `size` entries and returns the checkpoint published for it.
async fn grow(world: &World, http: &reqwest::Client, policy: &Policy, from: u64, size: u64) -> Vec<u8> {
    let add = format!("{}/add", world.url());
    let mut waiting = tokio::task::JoinSet::new();
    for number in from..size {
        if waiting.len() == WRITERS {
            waiting.join_next().await.unwrap().unwrap();
        }
        let request = http.post(&add).body(entry(number));
        waiting.spawn(async move {
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let index = answer.text().await.unwrap();
            assert!((from..size).contains(&index.trim_end_matches('\n').parse().unwrap()), "index {index}");
        });
    }
    while let Some(done) = waiting.join_next().await {
        done.unwrap();
    }
    published(world, http, policy, size).await
}

/// The published checkpoint once it has reached `size`; each request waits for the log, none for a clock.
async fn published(world: &World, http: &reqwest::Client, policy: &Policy, size: u64) -> Vec<u8> {
    loop {
        let bytes =
            http.get(format!("{}/checkpoint", world.url())).send().await.unwrap().bytes().await.unwrap();
        let note = SignedNote::parse(&bytes).unwrap();
        let head = policy.verify_log_signature(&note).unwrap().head();
        // Of a new log that nobody has cosigned yet there is its own word alone; all later ones come with a quorum.
        if head.size.get() == size && (size > 0 || policy.verify(&note).is_ok()) {
            return bytes.to_vec();
        }
        assert!(head.size.get() < size, "the log published {} beyond {size}", head.size);
        tokio::task::yield_now().await;
    }
}

async fn write_fixtures(world: &World, dir: &Path, sizes: Vec<u64>) {
    let log = LogClient::new(Source::http(world.url(), &HttpClient::new(Timeouts::default()).unwrap()));
    let http = reqwest::Client::new();
    let policy_text = std::fs::read(world.policy()).unwrap();
    let policy = Policy::parse(&policy_text).unwrap();
    std::fs::write(dir.join("policy.txt"), &policy_text).unwrap();
    std::fs::write(dir.join("url"), world.url()).unwrap();
    for folder in ["checkpoints", "proofs"] {
        std::fs::create_dir(dir.join(folder)).unwrap();
    }
    let mut inclusion = std::fs::File::create(dir.join("inclusion.jsonl")).unwrap();
    let mut consistency = std::fs::File::create(dir.join("consistency.jsonl")).unwrap();
    let mut heads: BTreeMap<u64, TreeHead> = BTreeMap::new();
    let mut at = 0;
    for size in sizes {
        let bytes = grow(world, &http, &policy, at, size).await;
        at = size;
        std::fs::write(dir.join(format!("checkpoints/{size}")), &bytes).unwrap();
        let note = SignedNote::parse(&bytes).unwrap();
        let tree = TreeSize::new(size).unwrap();
        let indices: Vec<u64> = if size == 0 { Vec::new() } else { vec![0, size / 3, size - 1] };
        for index in indices {
            let leaf = LeafIndex::new(index).unwrap();
            let proof = log.inclusion(leaf, tree).await.unwrap();
            let hashes = proof.hashes().iter().map(|hash| hash.to_base64()).collect();
            let entry = entry_at(&log, index, tree).await;
            let line = InclusionLine { index, size, leaf: leaf_hash(&entry).to_base64(), proof: hashes };
            writeln!(inclusion, "{}", serde_json::to_string(&line).unwrap()).unwrap();
            if index == size - 1 {
                let file = LogProof::new(Some(entry.clone()), leaf, proof, note.clone()).unwrap();
                std::fs::write(dir.join(format!("proofs/{size}.tlog-proof")), file.encode()).unwrap();
                std::fs::write(dir.join(format!("proofs/{size}.entry")), entry).unwrap();
            }
        }
        let olds: Vec<u64> = heads.keys().copied().filter(|old| *old > 0).collect();
        // The one before, the first, and one between: all pairs would be half a million proofs.
        let picked = [olds.last(), olds.first(), olds.get(olds.len() / 2)];
        for old in picked.into_iter().flatten() {
            let proof = log.consistency(TreeSize::new(*old).unwrap(), tree).await.unwrap();
            let hashes = proof.hashes().iter().map(|hash| hash.to_base64()).collect();
            let line = ConsistencyLine { old: *old, new: size, proof: hashes };
            writeln!(consistency, "{}", serde_json::to_string(&line).unwrap()).unwrap();
        }
        heads.insert(size, policy.verify_log_signature(&note).unwrap().head());
    }
}

#[test]
fn go_accepts_what_a_running_log_makes() {
    judge(&World::start(Kind::Raw, 3, 2), sizes());
}

/// Log and witnesses sign with ML-DSA-44 keys; the tree is the same, so some sizes are enough.
#[test]
fn go_accepts_what_a_log_with_ml_dsa_keys_makes() {
    let mut world = World::prepare_ml_dsa(Kind::Raw, 3, 2);
    world.start_all();
    judge(&world, vec![0, 1, 2, 255, 256, 257, 600]);
}

fn judge(world: &World, sizes: Vec<u64>) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(write_fixtures(world, dir.path(), sizes));
    let judged = go(&["test", "-count=1", "-v", "./..."], &[("JUDGE_DIR", dir.path())]).expect(0);
    for test in [
        "TestCheckpointsAreNotes",
        "TestTilesGiveEveryRoot",
        "TestClientReadsEveryEntry",
        "TestInclusionProofs",
        "TestConsistencyProofs",
        "TestLogProofFiles",
    ] {
        assert!(judged.stdout.contains(&format!("--- PASS: {test} ")), "{test} did not run:\n{judged}");
    }
}

//! Rows P1 to P10 of `docs/attacks.md` through the program: proofs that do not lead from the entry to the root.
//!
//! Every checkpoint here is signed by the log and by all witnesses, whatever its root.

use indelible_proto::evidence::ForkEvidence;
use indelible_proto::hash::{Hash, leaf_hash, node_hash, sha256};
use indelible_proto::size::TreeSize;
use indelible_proto::tree::ConsistencyProof;
use indelible_tests::{Finished, Rogue};

use crate::attack_bench::{Bench, climb, hashes, proof};
use crate::exit::{REFUSED, VERIFIED};

/// The largest tree.
const MAX: u64 = u64::MAX >> 1;

#[test]
fn an_index_is_in_the_tree() {
    let bench = Bench::new();
    let size: u64 = bench.text.lines().nth(1).unwrap().parse().unwrap();
    let note = bench.signed(&bench.text);
    for index in [size, size + 1, MAX] {
        let bytes = proof(&bench.leaf, index, &bench.path, &note);
        bench.check("P1", &format!("index {index}"), &bytes, REFUSED, "inclusion-index-outside-tree");
    }
    for index in ["9223372036854775808", "18446744073709551615"] {
        let bytes = proof(&bench.leaf, index, &bench.path, &note);
        bench.check("P1", &format!("index {index}"), &bytes, REFUSED, "decimal-not-canonical");
    }
    let root = sha256(b"");
    let bytes = proof(&bench.leaf, 0, &[], &bench.signed(&Bench::checkpoint(0, &root)));
    bench.check("P1", "a tree of nothing", &bytes, REFUSED, "inclusion-index-outside-tree");
    bench.finish();
}

#[test]
fn the_only_entry_of_a_tree_needs_no_path() {
    let bench = Bench::new();
    let leaf = leaf_hash(&bench.leaf);
    let note = bench.signed(&Bench::checkpoint(1, &leaf));
    bench.verifies("P2", "no hashes", &proof(&bench.leaf, 0, &[], &note));
    let longer = proof(&bench.leaf, 0, &[leaf], &note);
    bench.check("P2", "one hash", &longer, REFUSED, "inclusion-proof-length");
    bench.finish();
}

#[test]
fn a_path_has_the_length_that_the_tree_asks_for() {
    let bench = Bench::new();
    let size = 1 << 40;
    let (root, path) = climb(leaf_hash(&bench.leaf), 12345, size, hashes());
    let note = bench.signed(&Bench::checkpoint(size, &root));
    bench.verifies("P3", "as long as it has to be", &proof(&bench.leaf, 12345, &path, &note));
    let more = |count: usize| {
        path.iter().chain(std::iter::repeat(&path[0])).take(count).copied().collect::<Vec<_>>()
    };
    for (count, reason) in [
        (0, "inclusion-proof-length"),
        (path.len() - 1, "inclusion-proof-length"),
        (path.len() + 1, "inclusion-proof-length"),
        (63, "inclusion-proof-length"),
        (64, "inclusion-proof-too-long"),
        (65, "inclusion-proof-too-long"),
        (1_000_000, "file-too-large"),
    ] {
        let bytes = proof(&bench.leaf, 12345, &more(count), &note);
        bench.check("P3", &format!("{count} hashes"), &bytes, REFUSED, reason);
    }
    bench.finish();
}

/// Whether this convinces whoever has the log's key that the log has two histories.
fn judge(
    bench: &Bench,
    what: &str,
    rogue: &Rogue,
    sizes: (u64, u64),
    path: Vec<Hash>,
    claimed: Option<Hash>,
) {
    let [old, new] = [sizes.0, sizes.1].map(|size| TreeSize::new(size).unwrap());
    let claimed = claimed.unwrap_or_else(|| rogue.head(old).root);
    let path = ConsistencyProof::new(path).unwrap();
    let evidence = ForkEvidence::new(rogue.checkpoint(old), rogue.checkpoint(new), claimed, path);
    bench.room.write("evidence", evidence.encode());
    let mut judge = bench.room.client();
    judge.args(["--json", "evidence", "verify", "evidence", "--policy", "policy.txt"]);
    let told = Finished::run(&mut judge);
    assert_eq!(told.code(), REFUSED, "P4, {what}: {told}");
}

#[test]
fn no_bad_proof_of_growth_accuses_a_log() {
    let bench = Bench::new();
    let entries: Vec<[u8; 1]> = (0..9).map(|n| [n]).collect();
    let rogue = bench.tree(&entries.iter().map(<[u8; 1]>::as_slice).collect::<Vec<_>>());
    let head = |size: u64| rogue.head(TreeSize::new(size).unwrap()).root;
    let path = |old: u64, new: u64| {
        let [old, new] = [old, new].map(|size| TreeSize::new(size).unwrap());
        rogue.consistency(old, new).hashes().to_vec()
    };
    let other = sha256(b"another root");
    judge(&bench, "it grows", &rogue, (3, 8), path(3, 8), None);
    judge(&bench, "it shrinks", &rogue, (8, 3), path(3, 8), None);
    judge(&bench, "it stays, with a path", &rogue, (8, 8), path(3, 8), None);
    judge(&bench, "it stays, of another root", &rogue, (8, 8), Vec::new(), Some(other));
    judge(&bench, "from nothing, with a path", &rogue, (0, 8), path(3, 8), None);
    judge(&bench, "from nothing, of another root", &rogue, (0, 8), Vec::new(), Some(other));
    judge(&bench, "from nothing", &rogue, (0, 8), Vec::new(), None);
    judge(&bench, "of another root", &rogue, (3, 8), path(3, 8), Some(other));
    judge(&bench, "the path of another size", &rogue, (4, 8), path(3, 8), Some(other));
    judge(&bench, "no path", &rogue, (3, 8), Vec::new(), Some(other));
    judge(&bench, "a root of the log's own, of another size", &rogue, (3, 8), path(3, 8), Some(head(4)));
    bench.finish();
}

#[test]
fn trees_of_any_size_are_climbed_to_the_top() {
    let bench = Bench::new();
    let leaf = leaf_hash(&bench.leaf);
    let mut sizes: Vec<u64> = [1u32, 2, 31, 32, 33, 62]
        .iter()
        .flat_map(|k| [-1, 0, 1].map(|d| (1u64 << k).wrapping_add_signed(d)))
        .collect();
    sizes.extend([MAX - 1, MAX]);
    for size in sizes {
        for index in [0, size / 2, size - 1] {
            let (root, path) = climb(leaf, index, size, hashes());
            let note = bench.signed(&Bench::checkpoint(size, &root));
            let what = format!("entry {index} of {size}");
            bench.verifies("P5", &what, &proof(&bench.leaf, index, &path, &note));
            let Some((_, short)) = path.split_last() else { continue };
            let bytes = proof(&bench.leaf, index, short, &note);
            bench.check("P5", &format!("{what}, one short"), &bytes, REFUSED, "inclusion-proof-length");
        }
    }
    bench.finish();
}

#[test]
fn a_node_is_no_entry_and_an_entry_no_node() {
    let bench = Bench::new();
    let mut next = hashes();
    let (left, right, other) = (next(), next(), next());
    // The tree of four whose first two leaves are these hashes: the record's bytes as a node would be.
    let node = node_hash(&left, &right);
    let pair = [&left.as_bytes()[..], right.as_bytes()].concat();
    let note = bench.signed(&Bench::checkpoint(2, &node_hash(&node, &other)));
    for (what, entry) in [("two hashes for an entry", &pair[..]), ("the record for a node", &bench.leaf)] {
        let bytes = proof(entry, 0, &[other], &note);
        bench.check("P6", what, &bytes, REFUSED, "inclusion-root-mismatch");
    }
    // A leaf hashed without its prefix, or with that of a node.
    for (what, hash) in
        [("no prefix", sha256(&bench.leaf)), ("a node's prefix", sha256(&[&[1], &bench.leaf[..]].concat()))]
    {
        let note = bench.signed(&Bench::checkpoint(1, &hash));
        bench.check("P6", what, &proof(&bench.leaf, 0, &[], &note), REFUSED, "inclusion-root-mismatch");
    }
    bench.finish();
}

#[test]
fn a_proof_is_of_its_own_entry() {
    let bench = Bench::new();
    let note = bench.signed(&bench.text);
    let other = bench.room.proof("agent-2").extra().unwrap().to_vec();
    let bytes = proof(&other, bench.index, &bench.path, &note);
    bench.check("P7", "of another record", &bytes, REFUSED, "inclusion-root-mismatch");
    let bytes = proof(&bench.leaf, bench.index, &[], &note);
    bench.check("P7", "no path", &bytes, REFUSED, "inclusion-proof-length");
    let text = String::from_utf8(bench.with_note(&note)).unwrap();
    let extra = text.lines().nth(1).unwrap();
    let refused = |row: &str, what: &str, bytes: &str, reason: &str| {
        bench.check(row, what, bytes.as_bytes(), REFUSED, reason);
    };
    refused("P7", "no record", &text.replacen(&format!("{extra}\n"), "", 1), "proof-without-record");
    refused("P7", "an empty record", &text.replacen(extra, "extra ", 1), "log-proof-extra-empty");
    let only_note = String::from_utf8(note).unwrap();
    refused("P7", "no proof", &only_note, "unexpected-word");
    refused(
        "P10",
        "another record's bytes",
        &text.replacen(extra, "extra AAAA", 1),
        "inclusion-root-mismatch",
    );
    bench.verifies("P10", "unchanged", text.as_bytes());
    bench.finish();
}

#[test]
fn every_changed_hash_is_another_proof() {
    let bench = Bench::new();
    let note = bench.signed(&bench.text);
    for at in 0..bench.path.len() {
        for bit in [0, 255] {
            let mut path = bench.path.clone();
            let mut bytes = *path[at].as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            path[at] = Hash::from_bytes(bytes);
            let what = format!("bit {bit} of hash {at}");
            let bytes = proof(&bench.leaf, bench.index, &path, &note);
            bench.check("P8", &what, &bytes, REFUSED, "inclusion-root-mismatch");
        }
    }
    bench.verifies("P8", "unchanged", &bench.with_note(&note));
    assert_eq!(bench.room.verify_of_vendor(&["agent-1"]).code(), VERIFIED);
    bench.finish();
}

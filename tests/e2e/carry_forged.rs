//! Carries that somebody has changed, or written to deceive: refused, and nothing of them is remembered.

use std::fs;

use indelible_client::carry::{CarryReader, CarryWriter, Manifest};
use indelible_proto::proof::LogProof;
use indelible_proto::size::TreeSize;
use indelible_proto::tree::TreeHead;

use crate::carry::{Inside, contents, export};
use crate::exit::{REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::published::code;
use crate::shop::{CHANNEL, REVIEWS, Shop};

#[test]
fn a_carry_with_any_byte_changed_or_missing_is_refused() {
    let shop = Shop::new("0");
    let inside = Inside { shop: &shop, name: "inside" };
    shop.release("agent-1", "publish");
    fs::write(shop.file("large"), vec![b'x'; 70_000]).unwrap();
    let publish =
        ["publish", "release", "large", "--version", "2", "--channel-name", CHANNEL, "--key", "publish.key"];
    shop.at_log(&publish).expect(VERIFIED);
    export(&shop, "good.carry", &["agent-1", "large"], &[]).expect(VERIFIED);
    let good = fs::read(shop.file("good.carry")).unwrap();
    let refused = |what: &str, bytes: &[u8]| {
        fs::write(shop.file("bad.carry"), bytes).unwrap();
        let refused = inside.import("bad.carry");
        assert!([REFUSED, USAGE].contains(&refused.code()), "{what}: {refused}");
        assert!(!inside.out("bad.carry").exists(), "{what}");
        assert!(
            !shop.file("inside/known").exists() || contents(&shop.file("inside/known")).is_empty(),
            "{what}"
        );
    };
    let step = good.len() / 40;
    for at in (0..good.len()).step_by(step).chain([good.len() - 1, good.len() - 2, good.len() - 66]) {
        let mut changed = good.clone();
        changed[at] ^= 1;
        refused(&format!("byte {at}"), &changed);
    }
    for length in (0..good.len()).step_by(step * 4).chain([good.len() - 1]) {
        refused(&format!("{length} bytes of it"), &good[..length]);
    }
    refused("a byte more", &[&good[..], b"\n"].concat());
    refused("twice", &[&good[..], &good[..]].concat());
    // An artifact exchanged for another of its length, by someone who can count and hash.
    let content = b"file 7 agent-1\nagent-1";
    let found = good.windows(content.len()).position(|window| window == content).unwrap();
    let at = found + content.len() - 7;
    let mut changed = good.clone();
    changed[at..at + 7].copy_from_slice(b"evil-01");
    refused("an artifact exchanged", &sealed(changed));
    inside.import("good.carry").expect(VERIFIED);
}

/// The same with the digest at the end made right.
fn sealed(mut carry: Vec<u8>) -> Vec<u8> {
    carry.truncate(carry.len() - "end \n".len() - 64);
    let digest = indelible_proto::hash::sha256(&carry);
    carry.extend_from_slice(format!("end {}\n", digest.to_hex()).as_bytes());
    carry
}

/// A carry of someone who can write one: this manifest, and at most one artifact with its proof.
fn forged(carry: &Manifest, artifact: Option<(&str, &[u8], &LogProof)>) -> Vec<u8> {
    let mut writer = CarryWriter::start(Vec::new(), carry, artifact.iter().count() as u64).unwrap();
    if let Some((name, content, proof)) = artifact {
        let files = [(name.to_owned(), content.len() as u64)];
        writer.artifact(name, proof, &files, &mut |_| Ok(content)).unwrap();
    }
    writer.finish().unwrap()
}

fn manifest(shop: &Shop, carry: &str) -> Manifest {
    let bytes = fs::read(shop.file(carry)).unwrap();
    CarryReader::open(bytes.as_slice()).unwrap().0
}

#[test]
fn a_carry_of_someone_who_lies_is_refused() {
    let shop = Shop::new("0");
    let inside = Inside { shop: &shop, name: "inside" };
    shop.release("agent-1", "publish");
    export(&shop, "1.carry", &[], &[]).expect(VERIFIED);
    shop.release("agent-2", "publish");
    export(&shop, "2.carry", &[], &[]).expect(VERIFIED);
    let (first, second) = (manifest(&shop, "1.carry"), manifest(&shop, "2.carry"));
    let proof =
        |name: &str| LogProof::parse(&fs::read(shop.file(&format!("{name}.tlog-proof"))).unwrap()).unwrap();
    let refused = |bytes: &[u8], reason: &str| {
        fs::write(shop.file("bad.carry"), bytes).unwrap();
        let refused = inside.import("bad.carry");
        assert!(
            refused.code() == REFUSED && refused.stdout.contains(&format!("\"code\":\"{reason}\"")),
            "{refused}"
        );
        assert!(!inside.out("bad.carry").exists() && contents(&shop.file("inside/checkpoints")).is_empty());
    };
    // Something newer than the checkpoint, which would be forgotten: an artifact, and a channel's file.
    let newer = Some(("agent-2", &b"agent-2"[..], &proof("agent-2")));
    refused(&forged(&first, newer), "carry-checkpoint-not-newest");
    let newer = Manifest { channel_files: second.channel_files.clone(), ..first.clone() };
    refused(&forged(&newer, None), "carry-checkpoint-not-newest");
    // An artifact with another's proof.
    refused(&forged(&second, Some(("agent-2", b"agent-2", &proof("agent-1")))), "artifact-mismatch");
    // A checkpoint that no witness has seen.
    let note = second.note.with_signatures(second.note.signatures()[..1].to_vec()).unwrap();
    refused(&forged(&Manifest { note, ..second.clone() }, None), "quorum-not-met");
    // A tree that the importer never had, and a proof that proves nothing.
    let since = TreeHead { size: TreeSize::new(2).unwrap(), root: indelible_proto::hash::sha256(b"x") };
    refused(&forged(&Manifest { since, ..second.clone() }, None), "consistency-proof-length");
    // A channel that nobody asked for.
    shop.run(&["keygen", "reviewer.example/reviews", "--out", "reviewer.key"]).expect(VERIFIED);
    let create =
        ["channel", "create", REVIEWS, "--owner", "Reviewer", "--out", "reviews", "--key", "reviewer.key"];
    shop.at_log(&create).expect(VERIFIED);
    let of = format!("{{ {REVIEWS:?} = \"{}\" }}", shop.id("reviews"));
    shop.configure(&format!("[[reviewers]]\nkind = \"rebuild\"\nno_fail_by = {of}\n"));
    export(&shop, "3.carry", &[], &[]).expect(VERIFIED);
    shop.configure("");
    refused(&fs::read(shop.file("3.carry")).unwrap(), "carry-channel-not-configured");
    inside.import("2.carry").expect(VERIFIED);
    // What is damaged on this machine accuses nobody.
    for folder in ["checkpoints", "known"] {
        let (path, whole) = contents(&shop.file("inside").join(folder)).remove(0);
        fs::write(&path, &whole[1..]).unwrap();
        assert_eq!(code(&inside.import("2.carry").expect(UNDECIDED)), "state-damaged");
        fs::write(&path, &whole).unwrap();
    }
    inside.import("2.carry").expect(VERIFIED);
}

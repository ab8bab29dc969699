use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use indelible_proto::channel_file::ChannelFile;
use indelible_proto::hash::sha256;
use indelible_proto::policy::LogSigned;
use indelible_proto::proof::LogProof;
use indelible_proto::record::{Chain, ChainHead, ChannelName};
use indelible_proto::sign::Signer as _;
use indelible_proto::size::TreeSize;
use indelible_proto::tree::{ConsistencyPlan, ConsistencyProof, TreeHead};

use super::*;
use crate::channel::KnownChannel;
use crate::test_channel::TestChannel;
use crate::verify::TrustedTime;

const NOW: u64 = 1_800_000_000;

/// A channel with two releases, and one of another vendor in no log of its own.
fn channel() -> TestChannel {
    let mut channel = TestChannel::new("vendor.example/agent", 0);
    channel.release(b"1", 1);
    channel.release(b"2", 1);
    channel
}

fn proof_of(channel: &TestChannel) -> LogProof {
    channel.proof(channel.state().head(), NOW)
}

fn between(channel: &TestChannel, old: usize, new: usize) -> ConsistencyProof {
    let size = |size: usize| TreeSize::new(size as u64).unwrap();
    let plan = ConsistencyPlan::new(size(old), size(new)).unwrap();
    let hashes: Vec<_> = plan.nodes().iter().map(|node| channel.log.node(*node)).collect();
    plan.finish(&hashes).unwrap()
}

/// From the tree of so many entries to the whole one.
fn manifest(channel: &TestChannel, since: usize) -> Manifest {
    Manifest {
        since: channel.log.head(since),
        proof: between(channel, since, channel.log.entries.len()),
        note: channel.note_at(NOW),
        channel_files: vec![channel.file(NOW)],
    }
}

fn carry() -> Vec<u8> {
    let channel = channel();
    let mut writer = CarryWriter::start(Vec::new(), &manifest(&channel, 2), 2).unwrap();
    let contents: [&[u8]; 3] = [b"agent\n", b"", b"title: b\nend "];
    let put = |writer: &mut CarryWriter<Vec<u8>>, name: &str, files: &[&str], from: usize| {
        let sizes = files.iter().enumerate();
        let files: Vec<(String, u64)> =
            sizes.map(|(at, path)| ((*path).to_owned(), contents[from + at].len() as u64)).collect();
        writer.artifact(name, &proof_of(&channel), &files, &mut |at| Ok(contents[from + at])).unwrap()
    };
    let digests = put(&mut writer, "agent", &["agent"], 0);
    assert_eq!(digests[0].sha256, sha256(b"agent\n"));
    put(&mut writer, "rules", &["rules/a.yml", "rules/b/c.yml"], 1);
    writer.finish().unwrap()
}

/// What is unpacked, by path.
type Unpacked = BTreeMap<String, Vec<u8>>;

fn read(bytes: &[u8]) -> Result<(Manifest, Vec<Carried>, Unpacked), CarryError> {
    let (manifest, reader) = CarryReader::open(bytes)?;
    let mut unpacked = Unpacked::new();
    let mut unpack = |path: &str, content: &mut dyn Read| {
        let mut bytes = Vec::new();
        // What cannot be read is told by the reader.
        let _ = content.read_to_end(&mut bytes);
        assert!(unpacked.insert(path.to_owned(), bytes).is_none(), "{path} comes twice");
        Ok(())
    };
    let carried = reader.unpack(&mut unpack)?;
    Ok((manifest, carried, unpacked))
}

fn refusal(bytes: &[u8]) -> &'static str {
    read(bytes).map(|_| "read").unwrap_or_else(|error| error.code())
}

/// The same with the digest at the end made right.
fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    let digest = sha256(&body).to_hex();
    body.extend_from_slice(format!("end {digest}\n").as_bytes());
    body
}

fn body() -> Vec<u8> {
    let mut bytes = carry();
    bytes.truncate(bytes.len() - 64 - "end \n".len());
    bytes
}

/// A carry with the first place where `from` stands changed, its end made right.
fn changed(from: &str, to: &str) -> Vec<u8> {
    let body = body();
    let at = body.windows(from.len()).position(|window| window == from.as_bytes());
    let at = at.unwrap_or_else(|| panic!("{from:?} is not in the carry"));
    sealed([&body[..at], to.as_bytes(), &body[at + from.len()..]].concat())
}

#[test]
fn what_is_written_is_read() {
    let bytes = carry();
    let (read_manifest, carried, unpacked) = read(&bytes).unwrap();
    let channel = channel();
    assert_eq!(read_manifest, manifest(&channel, 2));
    assert_eq!(carried.iter().map(|carried| carried.name.as_str()).collect::<Vec<_>>(), ["agent", "rules"]);
    assert!(carried.iter().all(|carried| carried.proof == proof_of(&channel)));
    let paths: Vec<_> = unpacked.keys().map(String::as_str).collect();
    assert_eq!(paths, ["agent", "rules/a.yml", "rules/b/c.yml"]);
    assert_eq!(unpacked["rules/b/c.yml"], b"title: b\nend ");
    assert_eq!(sealed(body()), bytes);
}

#[test]
fn every_byte_counts_and_none_may_be_missing_or_more() {
    let bytes = carry();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert!(read(&flipped).is_err(), "byte {at}");
    }
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length]).is_err(), "{length} bytes of it");
    }
    assert_eq!(refusal(&[&bytes[..], b"\n"].concat()), "trailing-bytes");
    assert_eq!(refusal(&[&bytes[..], &bytes].concat()), "trailing-bytes");
    let mut content = bytes.clone();
    let at = bytes.windows(6).position(|window| window == b"agent\n").unwrap();
    content[at] ^= 1;
    assert_ne!(refusal(&content), "read");
}

#[test]
fn each_malformed_input_is_refused_by_name() {
    let hash = "A".repeat(43) + "=\n";
    let long = format!("artifact {}", "a".repeat(1025));
    let many = format!("channel-files {}\n", MAX_CHANNEL_FILES + 1);
    let note = channel().note_at(NOW).encode().len();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", Vec::new(), "carry-not-one"),
        ("another version", changed("carry/v1", "carry/v2"), "carry-not-one"),
        ("a web page", b"<!DOCTYPE html>\n".to_vec(), "carry-not-one"),
        ("no newline anywhere", vec![b'a'; 1 << 20], "carry-not-one"),
        ("CR LF", changed("carry/v1\n", "carry/v1\r\n"), "carry-not-one"),
        ("a size with a sign", changed("since 2", "since +2"), "decimal-not-canonical"),
        ("a size with a zero", changed("since 2", "since 02"), "decimal-not-canonical"),
        ("no size", changed("since 2 ", "since "), "unexpected-word"),
        ("an empty tree with a root", changed("since 2", "since 0"), "consistency-empty-root"),
        ("a hash cut short", changed(&channel().log.head(2).root.to_base64(), "AAAA"), "hash-length"),
        (
            "64 hashes",
            changed("\n\ncheckpoint", &format!("\n{}\ncheckpoint", hash.repeat(64))),
            "consistency-proof-too-long",
        ),
        ("a hash that is none", changed("\n\ncheckpoint", "\nhash\n\ncheckpoint"), "hash-length"),
        ("no checkpoint", changed("checkpoint ", "checkpoints "), "unexpected-word"),
        ("a checkpoint too long", changed(&format!("checkpoint {note}"), "checkpoint 9999999"), "too-long"),
        (
            "a checkpoint of nothing",
            changed(&format!("checkpoint {note}\n"), "checkpoint 0\n"),
            "line-unterminated",
        ),
        ("too many channel files", changed("channel-files 1\n", &many), "carry-count"),
        ("a channel file more", changed("channel-files 1\n", "channel-files 2\n"), "unexpected-word"),
        ("a channel file fewer", changed("channel-files 1\n", "channel-files 0\n"), "unexpected-word"),
        ("a channel file too long", changed("\nchannel-file ", "\nchannel-file 99999999"), "too-long"),
        (
            "a channel file that is none",
            changed("indelible-channel-file/v1", "indelible-channel-file/v2"),
            "unexpected-word",
        ),
        ("too many artifacts", changed("artifacts 2\n", "artifacts 1025\n"), "carry-count"),
        ("an artifact more", changed("artifacts 2\n", "artifacts 3\n"), "unexpected-word"),
        ("an artifact fewer", changed("artifacts 2\n", "artifacts 1\n"), "unexpected-word"),
        ("a way out", changed("artifact agent\n", "artifact ..\n"), "bundle-path-component"),
        ("no name", changed("artifact agent\n", "artifact \n"), "bundle-path-length"),
        ("a name with a folder", changed("artifact agent\n", "artifact a/b\n"), "bundle-path-component"),
        ("an absolute name", changed("artifact agent\n", "artifact /agent\n"), "bundle-path-component"),
        (
            "a control character",
            changed("artifact agent\n", "artifact ag\u{7f}nt\n"),
            "bundle-path-character",
        ),
        ("a backslash", changed("artifact agent\n", "artifact ag\\nt\n"), "bundle-path-character"),
        ("a name too long", changed("artifact agent", &long), "bundle-path-length"),
        (
            "a line too long",
            changed("artifact agent", &format!("artifact {}", "a".repeat(5000))),
            "line-unterminated",
        ),
        ("a name twice", changed("artifact rules\n", "artifact agent\n"), "carry-order"),
        ("names out of order", changed("artifact rules\n", "artifact aaa\n"), "carry-order"),
        (
            "a name in other letters",
            changed("artifact rules\n", "artifact agent.TLOG-proof\n"),
            "carry-name-clash",
        ),
        (
            "a proof that is none",
            changed("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
            "unexpected-word",
        ),
        ("a proof too long", changed("artifact agent\nproof ", "artifact agent\nproof 9999999"), "too-long"),
        ("no files", changed("\nfiles 1\n", "\nfiles 0\n"), "carry-no-files"),
        ("a file fewer", changed("files 2\n", "files 1\n"), "unexpected-word"),
        ("a file more", changed("files 2\n", "files 3\n"), "unexpected-word"),
        ("too many files", changed("files 2\n", "files 10000001\n"), "carry-count"),
        ("another file", changed("file 6 agent\n", "file 6 other\n"), "carry-path-outside"),
        ("a file beside", changed("rules/a.yml", "rules2/a.yml"), "carry-path-outside"),
        ("a path that leads out", changed("rules/a.yml", "rules/../a"), "bundle-path-component"),
        ("a path of dots", changed("rules/a.yml", "rules/./a"), "bundle-path-component"),
        ("a path twice", changed("rules/b/c.yml", "rules/a.yml"), "carry-order"),
        ("paths out of order", changed("rules/b/c.yml", "rules/a"), "carry-order"),
        ("a folder that is a file too", changed("file 0 rules/a.yml", "file 0 rules"), "carry-order"),
        ("no length", changed("file 6 agent", "file agent"), "unexpected-word"),
        ("a length with a zero", changed("file 6 agent", "file 06 agent"), "decimal-not-canonical"),
        ("a file shorter", changed("file 6 agent", "file 5 agent"), "unexpected-word"),
        ("a file longer", changed("file 6 agent", "file 7 agent"), "unexpected-word"),
        ("a file beyond the end", changed("file 13 rules", "file 9223372036854775807 rules"), "truncated"),
        ("no end", body(), "line-unterminated"),
        (
            "another digest",
            [&body()[..], b"end ", "0".repeat(64).as_bytes(), b"\n"].concat(),
            "carry-damaged",
        ),
        ("a digest in capitals", capitals(carry()), "carry-damaged"),
        ("two ends", sealed(carry()), "trailing-bytes"),
    ];
    let wrong = cases.iter().map(|(what, bytes, expected)| (*what, refusal(bytes), *expected));
    let wrong: Vec<_> = wrong.filter(|(_, got, expected)| got != expected).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn capitals(mut carry: Vec<u8>) -> Vec<u8> {
    let at = carry.len() - 65;
    carry[at..].make_ascii_uppercase();
    carry
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let channel = channel();
    let proof = proof_of(&channel);
    let start = |artifacts| CarryWriter::start(Vec::new(), &manifest(&channel, 0), artifacts);
    assert_eq!(start(MAX_ARTIFACTS + 1).unwrap_err().code(), "carry-count");
    let many = ChannelFile::parse(&channel.file(NOW).encode()).unwrap();
    let many = vec![many; usize::try_from(MAX_CHANNEL_FILES).unwrap() + 1];
    let many = Manifest { channel_files: many, ..manifest(&channel, 0) };
    assert_eq!(CarryWriter::start(Vec::new(), &many, 0).unwrap_err().code(), "carry-count");
    let mut writer = start(3).unwrap();
    let mut put = |name: &str, path: &str| {
        let files = [(path.to_owned(), 1)];
        writer
            .artifact(name, &proof, &files, &mut |_| Ok(&b"1"[..]))
            .map_or_else(|error| error.code(), |_| "written")
    };
    assert_eq!(put("b", "b"), "written");
    assert_eq!(put("a", "a"), "carry-order");
    assert_eq!(put("B", "B"), "carry-order");
    assert_eq!(put("b.tlog-proof", "b.tlog-proof"), "carry-name-clash");
    assert_eq!(put("c", "d"), "carry-path-outside");
    assert_eq!(put("d", "d/../x"), "bundle-path-component");
}

fn signed(channel: &TestChannel, size: usize) -> LogSigned {
    let note = channel.log.note(size, 3);
    channel.log.policy(2).verify_log_signature(&note).unwrap()
}

#[test]
fn a_carry_follows_on_the_tree_it_starts_from_and_on_its_own_and_on_no_other() {
    let mut channel = channel();
    channel.release(b"3", 1);
    channel.release(b"4", 1);
    let newest = signed(&channel, 5);
    let from = |since: usize| manifest(&channel, since);
    let stand = |since: usize, remembered: Option<usize>| {
        let held = remembered.map(|size| signed(&channel, size));
        follows(&from(since), &newest, held.as_ref()).map_err(|error| error.code())
    };
    assert_eq!(stand(0, None), Ok(Following::Newer));
    assert_eq!(stand(0, Some(0)), Ok(Following::Newer));
    assert_eq!(stand(3, Some(3)), Ok(Following::Newer));
    assert_eq!(stand(3, Some(5)), Ok(Following::Same));
    assert_eq!(stand(5, Some(5)), Ok(Following::Same));
    assert_eq!(stand(0, Some(5)), Ok(Following::Same));
    assert_eq!(stand(3, None), Err("carry-missing"));
    assert_eq!(stand(3, Some(0)), Err("carry-missing"));
    assert_eq!(stand(3, Some(2)), Err("carry-missing"));
    assert_eq!(stand(3, Some(4)), Err("carry-moved-on"));
    assert_eq!(stand(0, Some(1)), Err("carry-moved-on"));
    let older = signed(&channel, 4);
    let older_note = Manifest { note: older.note().clone(), proof: between(&channel, 3, 4), ..from(3) };
    let held = signed(&channel, 5);
    assert_eq!(follows(&older_note, &older, Some(&held)).unwrap_err().code(), "carry-rollback");
    // A proof of something else, or none.
    let other = Manifest { since: TreeHead { root: sha256(b"x"), ..from(3).since }, ..from(3) };
    assert_eq!(follows(&other, &newest, None).unwrap_err().code(), "consistency-old-root-mismatch");
    let none = Manifest { proof: ConsistencyProof::new(Vec::new()).unwrap(), ..from(3) };
    assert_eq!(follows(&none, &newest, None).unwrap_err().code(), "consistency-proof-length");
}

#[test]
fn two_histories_are_evidence_whichever_of_the_carrys_trees_shows_it() {
    let honest = channel();
    let mut liar = honest.clone();
    liar.log.entries[1] = b"something else".to_vec();
    liar.release(b"3", 1);
    let key = liar.log.signer.verifier();
    let newest = signed(&liar, 4);
    for (since, remembered) in [(3, 3), (2, 2)] {
        let held = signed(&honest, remembered);
        let error = follows(&manifest(&liar, since), &newest, Some(&held)).unwrap_err();
        let NotFollowing::Fork { evidence, .. } = error else { panic!("{error}") };
        assert!(evidence.verify(key).is_ok());
    }
    // The same for the checkpoint itself.
    let held = signed(&honest, 3);
    let short = Manifest { proof: between(&liar, 2, 3), note: liar.log.note(3, 0), ..manifest(&liar, 2) };
    let error = follows(&short, &signed(&liar, 3), Some(&held)).unwrap_err();
    assert_eq!(error.code(), "log-forked");
    // A root that the log never signed accuses nobody.
    let made_up =
        Manifest { since: TreeHead { root: sha256(b"x"), ..honest.log.head(2) }, ..manifest(&honest, 2) };
    let held = signed(&honest, 2);
    let error = follows(&made_up, &signed(&honest, 3), Some(&held)).unwrap_err();
    assert_eq!(error.code(), "consistency-new-root-mismatch");
}

#[test]
fn a_gap_is_named_by_chain_and_numbers() {
    let mut channel = channel();
    channel.recover(&[2]);
    channel.recover(&[3]);
    let learn = |channel: &TestChannel| {
        let time = TrustedTime::new(crate::test_log::seconds(NOW + 1), None);
        let policy = channel.log.policy(2);
        KnownChannel::learn(None, channel.genesis(), &channel.file(NOW), &policy, time).unwrap().0
    };
    let gap = |known: Option<&KnownChannel>, files: &[ChannelFile]| {
        find_gap(known, files).map(|gap| (gap.chain, gap.first, gap.last))
    };
    assert_eq!(gap(None, &[channel.file(NOW)]), None);
    assert_eq!(gap(None, &[channel.file_from(2, NOW)]), Some((Chain::Publish, 0, 1)));
    let known = learn(&channel);
    for n in 0..4 {
        channel.release(format!("more-{n}").as_bytes(), 3);
    }
    // Known are 0 to 2; what goes on at the newest known one or right after it leaves nothing out.
    assert_eq!(gap(Some(&known), &[channel.file_from(2, NOW)]), None);
    assert_eq!(gap(Some(&known), &[channel.file_from(3, NOW)]), None);
    assert_eq!(gap(Some(&known), &[channel.file_from(4, NOW)]), Some((Chain::Publish, 3, 3)));
    assert_eq!(gap(Some(&known), &[channel.file_from(5, NOW)]), Some((Chain::Publish, 3, 4)));
    assert_eq!(gap(Some(&known), &[channel.file_from(6, NOW)]), Some((Chain::Publish, 3, 5)));
    let message = find_gap(Some(&known), &[channel.file_from(5, NOW)]).unwrap().to_string();
    assert!(
        message.contains("known are records up to 2") && message.contains("from record 3 to 4"),
        "{message}"
    );
    // The recovery chain has numbers of its own, and files follow on each other.
    let fresh = TestChannel::new("vendor.example/agent", 0);
    let before = learn(&fresh);
    let bytes = channel.file_from(1, NOW).encode();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("\"chain\":\"recovery\""));
    assert_eq!(gap(Some(&before), &[channel.file_from(1, NOW)]), None);
}

#[test]
fn a_receipt_is_exactly_its_bytes() {
    let channel = channel();
    let head = |seq| Some(ChainHead { seq, record: channel.state().head() });
    let entry = |name: &str, publish, recovery| ReceiptChannel {
        name: ChannelName::parse(name).unwrap(),
        genesis: channel.genesis(),
        publish,
        recovery,
    };
    let channels = vec![entry("a.example/x", None, None), entry("b.example/x", head(2), head(0))];
    let receipt = Receipt { note: Some(channel.note_at(NOW)), channels };
    let bytes = receipt.encode();
    assert_eq!(Receipt::parse(&bytes), Ok(receipt.clone()));
    let nothing = Receipt { note: None, channels: Vec::new() };
    assert_eq!(Receipt::parse(&nothing.encode()), Ok(nothing));
    for length in 0..bytes.len() {
        assert!(Receipt::parse(&bytes[..length]).is_err(), "{length} bytes of it");
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        let Ok(read) = Receipt::parse(&flipped) else { continue };
        assert_eq!(read.encode(), flipped, "byte {at}");
    }
    let text = String::from_utf8(bytes).unwrap();
    let refused = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        Receipt::parse(changed.as_bytes()).unwrap_err().code()
    };
    assert_eq!(refused("receipt/v1", "receipt/v2"), "unexpected-word");
    assert_eq!(refused("channel b.example", "channel a.example"), "carry-receipt-order");
    assert_eq!(refused("channels 2", "channels 257"), "carry-receipt-channels");
    assert_eq!(refused("channels 2", "channels 1"), "trailing-bytes");
    assert_eq!(refused("publish 2 ", "publish 02 "), "decimal-not-canonical");
    assert_eq!(refused("publish 2 ", "publish "), "unexpected-word");
    assert_eq!(Receipt::parse(&vec![b'a'; Receipt::MAX_BYTES + 1]).unwrap_err().code(), "too-long");
    // The longest there can be still fits.
    let longest = |n: u64| {
        let name = format!("a.example/{}{n:03}", "a".repeat(ChannelName::MAX_LEN - 13));
        entry(&name, head(u64::from(u32::MAX)), head(u64::from(u32::MAX)))
    };
    let many = Receipt { note: None, channels: (0..Receipt::MAX_CHANNELS).map(longest).collect() };
    assert!(many.encode().len() + indelible_proto::note::MAX_NOTE_BYTES < Receipt::MAX_BYTES);
}

#[test]
fn what_is_staged_appears_at_once_and_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let stage = |content: &str| {
        let staging = Staging::beside(&target).unwrap();
        staging.write("files", "a/b", &mut content.as_bytes()).unwrap();
        staging.write("files", "c", &mut &b""[..]).unwrap();
        staging
    };
    let staging = stage("1");
    assert_eq!(Staging::beside(&target).unwrap_err().code(), "directory-locked");
    // What comes twice is refused, as anything that is there.
    assert!(staging.write("files", "c", &mut &b""[..]).is_err());
    assert!(staging.write("files", "c/d", &mut &b""[..]).is_err());
    assert!(!target.exists());
    assert_eq!(staging.place("files", &target).unwrap(), Placed::New);
    drop(staging);
    assert_eq!(fs::read(target.join("a/b")).unwrap(), b"1");
    assert_eq!(stage("1").place("files", &target).unwrap(), Placed::Already);
    assert_eq!(stage("2").place("files", &target).unwrap(), Placed::InTheWay);
    assert_eq!(fs::read(target.join("a/b")).unwrap(), b"1");
    fs::write(target.join("more"), "").unwrap();
    assert_eq!(stage("1").place("files", &target).unwrap(), Placed::InTheWay);
    fs::remove_file(target.join("more")).unwrap();
    std::os::unix::fs::symlink("a/b", target.join("more")).unwrap();
    assert_eq!(stage("1").place("files", &target).unwrap(), Placed::InTheWay);
    fs::remove_dir_all(&target).unwrap();
    fs::create_dir(&target).unwrap();
    assert_eq!(stage("1").place("files", &target).unwrap(), Placed::New);
    // What a killed process left is gone, and nothing else stays.
    let left = dir.path().join(".out.carry.tmp");
    assert!(!left.exists());
    fs::create_dir_all(left.join("files/x")).unwrap();
    fs::write(left.join("half"), "half").unwrap();
    let staging = Staging::beside(&target).unwrap();
    assert_eq!(fs::read_dir(&left).unwrap().count(), 1);
    drop(staging);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(Staging::beside(&dir.path().join("..")).is_err());
    assert!(Staging::beside(&dir.path().join("missing/out")).is_err());
    assert!(!dir.path().join("missing").exists());
}

//! A true proof changed in every place: line by line through the program, and bit by bit through the
//! verifier that the program calls.
//!
//! What may verify although it was changed is said here without asking the verifier. A witness's line is
//! authenticated by nothing but itself, so whoever carries a proof can drop it, double it, move it, or turn
//! it into the line of a key nobody knows; the rest must then have the quorum. A line that still has the name
//! and key id of a key of the policy must be valid, or nothing is. Everything else is one exact string.

use indelible_client::files::{ArtifactDigest, hash_artifact};
use std::time::{SystemTime, UNIX_EPOCH};

use indelible_client::verify::{
    Knowledge, LastKnown, Outcome, Remembered, Request, Reviewers, Rules, Trust, TrustedTime, verify,
};
use indelible_proto::note::{NoteSignature, VerifierKey};
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::time::UnixSeconds;
use indelible_tests::Finished;
use indelible_tests::forgery::with_signatures;

use crate::exit::{REFUSED, VERIFIED};
use crate::published::{Room, WITNESSES};

/// A proof with the log's signature and exactly the quorum: none of its lines can be missed.
fn with_bare_quorum(room: &Room) -> Vec<u8> {
    let proof = room.proof("agent-1");
    let lines = proof.note().signatures()[..3].to_vec();
    with_signatures(&proof, lines).encode()
}

/// The lines of a proof, each with its newline, and what each is.
fn lines(proof: &[u8]) -> Vec<(String, Line)> {
    let text = String::from_utf8(proof.to_vec()).unwrap();
    let mut in_note = false;
    let lines = text.split_inclusive('\n').map(|line| {
        let kind = if line.starts_with("\u{2014} ") {
            Line::Signature
        } else if in_note {
            Line::Note
        } else {
            in_note = line == "\n";
            Line::Proof
        };
        (line.to_owned(), kind)
    });
    lines.collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Proof,
    Note,
    Signature,
}

#[track_caller]
fn check(room: &Room, what: &str, proof: &[u8], exit: i32) {
    let verdict: Finished = room.verify_with(proof);
    assert_eq!(verdict.code(), exit, "{what}: {verdict}");
}

#[test]
fn a_line_dropped_doubled_moved_or_bent_is_refused() {
    let room = Room::new();
    let good = with_bare_quorum(&room);
    check(&room, "unchanged", &good, VERIFIED);
    let lines = lines(&good);
    let texts: Vec<&str> = lines.iter().map(|(text, _)| text.as_str()).collect();
    let put = |at: usize, text: &str| {
        let mut changed = texts.clone();
        changed[at] = text;
        changed.concat().into_bytes()
    };
    for (at, (text, kind)) in lines.iter().enumerate() {
        let what = format!("line {at}, {kind:?}");
        let bare = text.trim_end_matches('\n');
        check(&room, &format!("{what}, dropped"), &put(at, ""), REFUSED);
        // A valid line says no more the second time.
        let doubled = if *kind == Line::Signature { VERIFIED } else { REFUSED };
        check(&room, &format!("{what}, doubled"), &put(at, &text.repeat(2)), doubled);
        check(&room, &format!("{what}, CR LF"), &put(at, &format!("{bare}\r\n")), REFUSED);
        check(&room, &format!("{what}, space after"), &put(at, &format!("{bare} \n")), REFUSED);
        check(&room, &format!("{what}, space before"), &put(at, &format!(" {text}")), REFUSED);
        check(&room, &format!("{what}, tab after"), &put(at, &format!("{bare}\t\n")), REFUSED);
        check(&room, &format!("{what}, joined to the next"), &put(at, bare), REFUSED);
        check(&room, &format!("{what}, cut off after"), texts[..=at].concat().as_bytes(), cut(at, &texts));
        if let Some((next, next_kind)) = lines.get(at + 1)
            && next != text
        {
            let mut swapped = texts.clone();
            swapped.swap(at, at + 1);
            let among_signatures = (*kind, *next_kind) == (Line::Signature, Line::Signature);
            let exit = if among_signatures { VERIFIED } else { REFUSED };
            check(&room, &format!("{what}, swapped with the next"), swapped.concat().as_bytes(), exit);
        }
    }
}

/// What a proof comes to whose last line is the one at `at`.
fn cut(at: usize, lines: &[&str]) -> i32 {
    if at + 1 == lines.len() { VERIFIED } else { REFUSED }
}

#[test]
fn a_proof_is_exactly_its_bytes() {
    let room = Room::new();
    let good = with_bare_quorum(&room);
    let around: [(&str, Vec<u8>); 12] = [
        ("nothing", Vec::new()),
        ("a newline", b"\n".to_vec()),
        ("one byte more", [&good[..], b"x"].concat()),
        ("a newline more", [&good[..], b"\n"].concat()),
        ("a NUL more", [&good[..], b"\0"].concat()),
        ("no final newline", good[..good.len() - 1].to_vec()),
        ("a byte order mark", [b"\xef\xbb\xbf", &good[..]].concat()),
        ("an empty line first", [b"\n", &good[..]].concat()),
        ("bytes that are no UTF-8", [&good[..good.len() - 1], b"\xc3\x28\n"].concat()),
        ("itself twice", [&good[..], &good[..]].concat()),
        ("a web page", b"<!DOCTYPE html>\n<html><h1>200 OK</h1></html>\n".to_vec()),
        ("too much", [&good[..], &vec![b'\n'; 300 * 1024]].concat()),
    ];
    for (what, bytes) in around {
        check(&room, what, &bytes, REFUSED);
    }
    let text = String::from_utf8(good).unwrap();
    check(&room, "CR LF throughout", text.replace('\n', "\r\n").as_bytes(), REFUSED);
    for (what, from, to) in [
        ("another version", "tlog-proof@v1", "tlog-proof@v2"),
        ("a hyphen for the dash", "\u{2014} ", "- "),
        ("two hyphens for the dash", "\u{2014} ", "-- "),
        ("an en dash", "\u{2014} ", "\u{2013} "),
        ("two spaces after the dash", "\u{2014} ", "\u{2014}  "),
        ("a no-break space after the dash", "\u{2014} ", "\u{2014}\u{a0}"),
        ("a name in other letters", "log.example/updates", "log.example/Updates"),
        ("an invisible letter in the origin", "log.example", "log\u{200b}.example"),
        ("another alphabet's letter in the origin", "log.example", "log.ex\u{430}mple"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        check(&room, what, changed.as_bytes(), REFUSED);
    }
}

#[test]
fn a_number_has_one_spelling() {
    let room = Room::new();
    let good = String::from_utf8(with_bare_quorum(&room)).unwrap();
    let index = room.proof("agent-1").index().get();
    let size = good.lines().skip_while(|line| !line.is_empty()).nth(2).unwrap().to_owned();
    let digits = "1".repeat(40);
    let spellings = |number: &str| {
        let odd = ["+N", "0N", " N", "N ", "-N", "0xN", "Ne0", "N.0", "N,0", "", "-1", "\u{661}"];
        let beyond = ["9223372036854775808", "18446744073709551615", "18446744073709551616", &digits];
        odd.into_iter()
            .map(|odd| odd.replace('N', number))
            .chain(beyond.map(str::to_owned))
            .collect::<Vec<_>>()
    };
    for spelling in spellings(&index.to_string()) {
        let changed = good.replace(&format!("\nindex {index}\n"), &format!("\nindex {spelling}\n"));
        assert_ne!(changed, good);
        check(&room, &format!("index {spelling:?}"), changed.as_bytes(), REFUSED);
    }
    for spelling in spellings(&size) {
        let changed = good.replace(&format!("updates\n{size}\n"), &format!("updates\n{spelling}\n"));
        assert_ne!(changed, good);
        check(&room, &format!("size {spelling:?}"), changed.as_bytes(), REFUSED);
    }
    // Other places than the entry's: in the tree, at its end, beyond it.
    let tree: u64 = size.parse().unwrap();
    for other in (0..tree + 2).filter(|other| *other != index).chain([u64::MAX >> 1]) {
        let changed = good.replace(&format!("\nindex {index}\n"), &format!("\nindex {other}\n"));
        check(&room, &format!("index {other}"), changed.as_bytes(), REFUSED);
    }
}

#[test]
fn base64_has_one_spelling() {
    let room = Room::new();
    let good = with_bare_quorum(&room);
    let lines = lines(&good);
    let texts: Vec<&str> = lines.iter().map(|(text, _)| text.as_str()).collect();
    let mut tried = 0;
    for (at, text) in texts.iter().enumerate() {
        let bare = text.trim_end_matches('\n');
        let (before, encoded) = bare.rsplit_once(' ').map_or(("", bare), |(before, last)| (before, last));
        if encoded.len() < 44 || encoded.contains('/') && encoded.contains("example") {
            continue;
        }
        tried += 1;
        let space = if before.is_empty() { "" } else { " " };
        let half = encoded.len() / 2;
        let stripped = encoded.trim_end_matches('=');
        let mut spellings = vec![
            format!("{encoded}="),
            format!("{encoded}===="),
            format!("{} {}", &encoded[..half], &encoded[half..]),
            format!("{}\n{}", &encoded[..half], &encoded[half..]),
            format!("{}\r\n{}", &encoded[..half], &encoded[half..]),
            encoded[..encoded.len() - 1].to_owned(),
            encoded[..encoded.len() - 4].to_owned(),
            format!("{encoded}AAAA"),
            format!("{}!{}", &encoded[..half], &encoded[half + 1..]),
        ];
        if stripped != encoded {
            spellings.push(stripped.to_owned());
            spellings.push(format!("{}{}", with_stray_bits(stripped), &encoded[stripped.len()..]));
        }
        spellings.extend(
            [('+', '-'), ('/', '_')]
                .into_iter()
                .filter(|(from, _)| encoded.contains(*from))
                .map(|(from, to)| encoded.replace(from, &to.to_string())),
        );
        for spelling in spellings {
            let line = format!("{before}{space}{spelling}\n");
            let mut changed = texts.clone();
            changed[at] = &line;
            check(&room, &format!("line {at}: {spelling}"), changed.concat().as_bytes(), REFUSED);
        }
    }
    // The leaf, the hashes on its path, the root, and three signatures.
    assert!(tried >= 7, "{tried} encodings found");
}

/// The same bytes to a lax decoder: the bits of the last letter that encode nothing are set.
fn with_stray_bits(stripped: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (rest, last) = stripped.split_at(stripped.len() - 1);
    let value = ALPHABET.find(last).unwrap();
    format!("{rest}{}", &ALPHABET[value + 1..value + 2])
}

#[test]
fn a_path_of_any_other_length_is_refused() {
    let room = Room::new();
    let good = with_bare_quorum(&room);
    let texts: Vec<String> = lines(&good).into_iter().map(|(text, _)| text).collect();
    let is_hash = |text: &&String| text.trim_end().len() == 44 && text.trim_end().ends_with('=');
    let first = texts.iter().position(|text| is_hash(&text)).unwrap();
    let count = texts[first..].iter().take_while(is_hash).count();
    assert!(count >= 2, "a path that can be shorter and longer");
    for other in (0..count).chain(count + 1..count + 4).chain([62, 63, 64, 65, 1000]) {
        let hash = &texts[first];
        let path: String =
            texts[first..first + count].iter().chain(std::iter::repeat(hash)).take(other).cloned().collect();
        let changed = [texts[..first].concat(), path, texts[first + count..].concat()].concat();
        check(&room, &format!("{other} hashes instead of {count}"), changed.as_bytes(), REFUSED);
    }
}

/// Everything one verdict depends on, without the program around it.
struct Bench {
    artifact: ArtifactDigest,
    policy: Policy,
    trust: Trust,
    witnesses: Vec<VerifierKey>,
    /// Shortly after everything was published.
    time: TrustedTime,
}

impl Bench {
    fn new(room: &Room) -> Self {
        Self {
            artifact: hash_artifact(&room.file("agent-1"), &mut |_| {}).unwrap(),
            policy: Policy::parse(&room.read("policy.txt")).unwrap(),
            trust: Trust::Keys(vec![room.vkey("vendor.vkey")]),
            witnesses: (0..WITNESSES).map(|n| room.vkey(&format!("witness-{n}.vkey"))).collect(),
            time: TrustedTime::new(now(), None),
        }
    }

    fn verifies(&self, proof: &[u8]) -> bool {
        let Ok(proof) = LogProof::parse(proof) else { return false };
        let (artifact, policy, trust) = (&self.artifact, &self.policy, &self.trust);
        let (remembered, last) = (&Remembered::NotKept, &LastKnown::NotKept);
        let (time, rules) = (self.time, &Rules::default());
        let (known, reviewers) = (&Knowledge::Nothing, &Reviewers::new());
        let request = Request {
            artifact,
            proof: &proof,
            policy,
            trust,
            remembered,
            last,
            known,
            reviewers,
            time,
            rules,
        };
        verify(&request).outcome() == Outcome::Verified
    }

    /// Whether `changed` is `good` but for lines of witnesses that have become lines of nobody, and two
    /// witnesses' lines are as they were.
    fn may_verify(&self, good: &LogProof, changed: &[u8]) -> bool {
        let Ok(changed) = LogProof::parse(changed) else { return false };
        let same_statement = with_signatures(&changed, good.note().signatures().to_vec()) == *good;
        let lines = |proof: &LogProof| proof.note().signatures().to_vec();
        let (before, after) = (lines(good), lines(&changed));
        if !same_statement || before.len() != after.len() || before[0] != after[0] {
            return false;
        }
        let nobodys = |line: &NoteSignature| {
            !self.witnesses.iter().any(|witness| line.names(witness))
                && !self.policy.logs().iter().any(|log| line.names(&log.key))
        };
        let kept = before.iter().zip(&after).skip(1).filter(|(before, after)| before == after).count();
        let others_are_nobodys =
            before.iter().zip(&after).skip(1).all(|(before, after)| before == after || nobodys(after));
        kept >= 2 && others_are_nobodys
    }
}

#[test]
fn no_bit_of_a_proof_with_the_bare_quorum_can_change() {
    let room = Room::new();
    let bench = Bench::new(&room);
    let good = with_bare_quorum(&room);
    assert!(bench.verifies(&good));
    for (at, bit) in bits(&good) {
        assert!(!bench.verifies(&flip(&good, at, bit)), "bit {bit} of byte {at}, {:?}", around(&good, at));
    }
}

#[test]
fn a_bit_of_a_proof_can_change_only_where_it_makes_one_witness_too_many_a_stranger() {
    let room = Room::new();
    let bench = Bench::new(&room);
    let proof = room.proof("agent-1");
    let good = proof.encode();
    let mut strangers = 0;
    for (at, bit) in bits(&good) {
        let changed = flip(&good, at, bit);
        let (verifies, may) = (bench.verifies(&changed), bench.may_verify(&proof, &changed));
        assert_eq!(verifies, may, "bit {bit} of byte {at}, {:?}", around(&good, at));
        strangers += usize::from(verifies);
    }
    // Names and key ids can be changed, a few bits in each of three lines, and nothing else.
    assert!((3 * 40..3 * 8 * 30).contains(&strangers), "{strangers} changes verify");
}

#[test]
fn no_two_bytes_of_a_proof_can_change_places() {
    let room = Room::new();
    let bench = Bench::new(&room);
    let good = with_bare_quorum(&room);
    for at in 1..good.len() {
        let mut changed = good.clone();
        changed.swap(at - 1, at);
        assert!(changed == good || !bench.verifies(&changed), "bytes {} and {at}", at - 1);
    }
}

fn bits(bytes: &[u8]) -> impl Iterator<Item = (usize, u32)> {
    (0..bytes.len()).flat_map(|at| (0..8).map(move |bit| (at, bit)))
}

fn flip(bytes: &[u8], at: usize, bit: u32) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[at] ^= 1 << bit;
    flipped
}

/// What is there, for messages.
fn around(bytes: &[u8], at: usize) -> String {
    String::from_utf8_lossy(&bytes[at.saturating_sub(20)..(at + 20).min(bytes.len())]).into_owned()
}

fn now() -> UnixSeconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixSeconds::new(since.as_secs()).unwrap()
}

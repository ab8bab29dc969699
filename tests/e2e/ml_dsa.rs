//! Witnesses with ML-DSA-44 keys, through the program: policies name them, and what they cosigned counts.

use indelible_proto::hash::sha256;
use indelible_proto::note::{KeyName, NoteSignature, VerifierKey};
use indelible_proto::sign::{CosignSigner, SecretKey};
use indelible_proto::time::UnixSeconds;
use indelible_proto::wire::encode_base64;
use indelible_tests::Finished;

use crate::attack_bench::{Bench, note, now};
use crate::exit::{REFUSED, USAGE, VERIFIED};
use crate::published::WITNESSES;

/// A witness's second key.
struct Witness(CosignSigner);

impl Witness {
    fn new(name: &str, seed: u8) -> Self {
        let key = SecretKey::ml_dsa_from_seed(KeyName::parse(name).unwrap(), [seed; 32]).unwrap();
        Self(CosignSigner::new(key).unwrap())
    }

    fn verifier(&self) -> &VerifierKey {
        self.0.verifier()
    }

    fn cosign(&self, text: &str, time: u64) -> NoteSignature {
        self.0.cosign(text, UnixSeconds::new(time).unwrap()).unwrap()
    }

    fn line(&self, bytes: Vec<u8>) -> NoteSignature {
        NoteSignature::new(self.verifier().name().clone(), self.verifier().id(), bytes).unwrap()
    }
}

/// The witnesses of the room, each with a second key under its name.
fn witnesses() -> Vec<Witness> {
    (0..WITNESSES).map(|n| Witness::new(&format!("witness.example/w{n}"), 50 + n as u8)).collect()
}

/// The policy of the room with the second keys, and these rules in place of its own.
fn policy(bench: &Bench, witnesses: &[Witness], rules: &str) -> String {
    let own = bench.policy();
    let keys = own.lines().filter(|line| !line.starts_with("group ") && !line.starts_with("quorum "));
    let second =
        witnesses.iter().enumerate().map(|(n, witness)| format!("witness M{n} {}", witness.verifier()));
    let lines: String = keys.map(str::to_owned).chain(second).map(|line| line + "\n").collect();
    lines + rules
}

fn names(bench: &Bench) -> Vec<String> {
    let policy = bench.policy();
    let witnesses = policy.lines().filter_map(|line| line.strip_prefix("witness "));
    witnesses.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn a_quorum_of_ml_dsa_cosignatures_verifies_and_no_less() {
    let bench = Bench::new();
    let witnesses = witnesses();
    bench.room.write("policy.txt", policy(&bench, &witnesses, "group G 2 M0 M1 M2\nquorum G\n"));
    let own = bench.lines(&bench.text);
    let second: Vec<_> = witnesses.iter().map(|witness| witness.cosign(&bench.text, now())).collect();
    let with = |lines: &[NoteSignature]| bench.with_lines(&[&own, lines].concat());
    bench.verifies("N14", "all three", &with(&second));
    bench.verifies("N14", "two of three", &with(&second[1..]));
    let refused = |what: &str, lines: &[NoteSignature], reason: &str| {
        bench.check("N14", what, &with(lines), REFUSED, reason);
    };
    refused("the Ed25519 keys of all", &[], "quorum-not-met");
    refused("one of three", &second[..1], "quorum-not-met");
    let other = Bench::checkpoint(7, &sha256(b"another root"));
    let a = &witnesses[0];
    let good = second[0].signature();
    let mut flipped = good.to_vec();
    flipped[1234] ^= 1;
    for (what, line, reason) in [
        ("a flipped bit", a.line(flipped), "signature-invalid"),
        ("cut", a.line(good[..good.len() - 1].to_vec()), "signature-invalid"),
        ("of another witness", a.line(second[1].signature().to_vec()), "signature-invalid"),
        ("of another checkpoint", a.cosign(&other, now()), "signature-invalid"),
        ("of its Ed25519 key", a.line(own[1].signature().to_vec()), "signature-invalid"),
        ("of no time", a.cosign(&bench.text, 0), "cosignature-time"),
    ] {
        // The other two would be enough.
        refused(what, &[&[line], &second[1..]].concat(), reason);
    }
    let crossed = NoteSignature::new(own[1].name().clone(), own[1].id(), good.to_vec()).unwrap();
    bench.check(
        "N14",
        "of ML-DSA-44 under the id of Ed25519",
        &bench.with_lines(&[&own[..1], &[crossed], &second].concat()),
        REFUSED,
        "signature-invalid",
    );
    // N20: extension lines have the log's word: its line is over the text that has them, theirs need not be.
    let extended = format!("{}extension\n", bench.text);
    let lines = [&[bench.log_line(&extended)], &second[..]].concat();
    bench.verifies("N20", "an extension line", &bench.with_note(&note(&extended, &lines)));
    let lines = [&own[..1], &second].concat();
    let unsigned = bench.with_note(&note(&extended, &lines));
    bench.check("N20", "one that the log did not sign", &unsigned, REFUSED, "signature-invalid");
    bench.finish();
}

#[test]
fn a_witness_with_two_keys_in_a_group_of_its_own_counts_once() {
    let bench = Bench::new();
    let witnesses = witnesses();
    let own = names(&bench);
    let each: String =
        own.iter().enumerate().map(|(n, name)| format!("group own{n} any {name} M{n}\n")).collect();
    let rules = format!("{each}group G 2 own0 own1 own2\nquorum G\n");
    bench.room.write("policy.txt", policy(&bench, &witnesses, &rules));
    let ed25519 = bench.lines(&bench.text);
    let ml_dsa: Vec<_> = witnesses.iter().map(|witness| witness.cosign(&bench.text, now())).collect();
    let log = &ed25519[..1];
    let with = |lines: &[&NoteSignature]| {
        let lines = log.iter().chain(lines.iter().copied()).cloned().collect::<Vec<_>>();
        bench.with_lines(&lines)
    };
    bench.check("N6", "one, twice", &with(&[&ed25519[1], &ml_dsa[0]]), REFUSED, "quorum-not-met");
    bench.verifies("N6", "one by each", &with(&[&ed25519[1], &ml_dsa[1]]));
    bench.finish();

    let bench = Bench::new();
    let json = |command: &str, exit: i32| {
        let mut program = bench.room.client();
        Finished::run(program.args(["policy", command, "dual.txt", "--json"])).expect(exit).json()
    };
    bench.room.write("dual.txt", policy(&bench, &witnesses, &rules));
    let explained = json("explain", VERIFIED);
    let algorithm = |place: usize| explained["witnesses"][place]["algorithm"].as_str().unwrap().to_owned();
    assert_eq!((algorithm(0), algorithm(WITNESSES)), ("Ed25519".to_owned(), "ML-DSA-44".to_owned()));
    assert_eq!([&explained["n"], &explained["fewest"]], [3, 2]);
    let codes = |found: &serde_json::Value| {
        let findings = found["findings"].as_array().unwrap().iter();
        findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let found = codes(&json("lint", VERIFIED));
    assert!(found.contains(&"policy-ed25519-enough".to_owned()), "{found:?}");
    assert!(!found.contains(&"policy-ed25519-only".to_owned()), "{found:?}");

    // All in one group: a witness is two to the quorum, and lint says so.
    let flat = format!("group G 4 {} M0 M1 M2\nquorum G\n", own.join(" "));
    bench.room.write("dual.txt", policy(&bench, &witnesses, &flat));
    assert!(codes(&json("lint", REFUSED)).contains(&"policy-witness-twice".to_owned()));

    // A key of another length is none.
    let short = format!("witness x witness.example/x+00000000+{}\nquorum x\n", encode_base64([6; 33]));
    bench.room.write("dual.txt", short);
    json("explain", USAGE);
}

#[test]
fn inspect_shows_the_time_of_an_ml_dsa_cosignature() {
    let bench = Bench::new();
    let witness = Witness::new("witness.example/w0", 50);
    let lines = [bench.log_line(&bench.text), witness.cosign(&bench.text, 1_700_000_000)];
    bench.room.write("shown.tlog-proof", bench.with_lines(&lines));
    let shown = Finished::run(bench.room.client().args(["inspect", "shown.tlog-proof"])).expect(VERIFIED);
    assert!(shown.stdout.contains("2428") && shown.stdout.contains("2023-11-14T22:13:20Z"), "{shown}");
}

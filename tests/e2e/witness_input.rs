//! What the witness program answers to requests that are wrong in any way, and that they change nothing.

use indelible_proto::checkpoint::Origin;
use indelible_proto::hash::{empty_root, sha256};
use indelible_proto::note::{NoteSignature, SignedNote};
use indelible_proto::sign::Signer as _;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::ConsistencyProof;
use indelible_proto::witness_api::{AddCheckpointRequest, checkpoint_path};
use indelible_tests::Rogue;
use indelible_tests::forgery::{cosignature, stranger};
use indelible_tests::http;

use crate::witness_bench::{Bench, ORIGIN, log_signer, nothing, request, size};

#[test]
fn says_the_size_it_holds_to_whoever_starts_elsewhere() {
    let bench = Bench::new();
    bench.add(0, 4).expect(200);
    for (old, new) in [(0, 8), (3, 8), (5, 8), (3, 4), (0, 4), (0, 3), (2, 2)] {
        let answer = bench.add(old, new).expect(409);
        assert_eq!(answer.header("content-type"), Some("text/x.tlog.size"));
        assert_eq!(answer.text(), "4\n", "{old} to {new}");
    }
    bench.add(4, 8).expect(200);
}

#[test]
fn does_not_know_logs_that_it_was_not_told_of() {
    let bench = Bench::new();
    let other = bench.rogue_of("log.example/unknown", bench.rogue.entries().to_vec());
    bench.post(&request(&other, 0, 1).encode()).expect(404);
    http::get(bench.address(), &checkpoint_path(&Origin::parse("log.example/unknown").unwrap())).expect(404);
}

#[test]
fn wants_the_logs_own_signature() {
    let bench = Bench::new();
    let text = bench.rogue.checkpoint(size(1)).text().to_owned();
    let log = bench.log.verifier();
    let by_impostor = log_signer(ORIGIN, 2).sign(text.as_bytes());
    let true_line = bench.rogue.checkpoint(size(1)).signatures()[0].clone();
    let in_its_name =
        |bytes: &[u8]| NoteSignature::new(log.name().clone(), log.id(), bytes.to_vec()).unwrap();
    let forged: [Vec<NoteSignature>; 6] = [
        vec![by_impostor.clone()],
        vec![in_its_name(by_impostor.signature())],
        vec![in_its_name(&[0; 64])],
        vec![in_its_name(&true_line.signature()[..63])],
        // A true line beside a false one of the same key.
        vec![true_line.clone(), in_its_name(by_impostor.signature())],
        // A cosignature says nothing for a log.
        vec![cosignature(log, &text)],
    ];
    for lines in forged {
        let note = SignedNote::new(text.clone(), lines).unwrap();
        let request = AddCheckpointRequest { old: size(0), proof: nothing(), note };
        bench.post(&request.encode()).expect(403);
    }
    bench.latest().expect(404);
    // Lines of keys it does not know do not matter.
    let note = SignedNote::new(text, vec![by_impostor, true_line]).unwrap();
    bench.post(&AddCheckpointRequest { old: size(0), proof: nothing(), note }.encode()).expect(200);
}

#[test]
fn what_is_no_request_is_refused_and_changes_nothing() {
    let bench = Bench::new();
    bench.add(0, 4).expect(200);
    let good = String::from_utf8(request(&bench.rogue, 4, 8).encode()).unwrap();
    let hash = format!("{}\n", sha256(b"").to_base64());
    let proof_line = good.lines().nth(1).unwrap().to_owned();
    let wrong = [
        String::new(),
        "\n".to_owned(),
        "garbage".to_owned(),
        good.replacen("old 4\n", "", 1),
        good.replacen("old 4\n", "old +4\n", 1),
        good.replacen("old 4\n", "old 04\n", 1),
        good.replacen("old 4\n", "old -4\n", 1),
        good.replacen("old 4\n", "old  4\n", 1),
        good.replacen("old 4\n", "old 4 \n", 1),
        good.replacen("old 4\n", "old 0x4\n", 1),
        good.replacen("old 4\n", "old\n", 1),
        good.replacen("old 4\n", "old 9223372036854775808\n", 1),
        good.replacen("old 4\n", "old 18446744073709551620\n", 1),
        good.replacen("old 4\n", "OLD 4\n", 1),
        good.replacen("old 4\n", "old 9\n", 1),
        good.replacen("old 4\n", &format!("old 4\n{}", hash.repeat(63)), 1),
        good.replacen("old 4\n", &format!("old 4\n{}", hash.repeat(1000)), 1),
        good.replacen(&proof_line, &proof_line[..proof_line.len() - 1], 1),
        good.replacen(&proof_line, &format!("{proof_line}="), 1),
        good.replacen(&proof_line, &format!(" {proof_line}"), 1),
        good.replacen("\n\n", "\n", 1),
        good.replacen(ORIGIN, "", 1),
        good.replacen("\n8\n", "\n+8\n", 1),
        good.replacen("\n8\n", "\n08\n", 1),
        good.replace('\n', "\r\n"),
        good.trim_end_matches('\n').to_owned(),
        format!("{good}\n"),
        format!("{good}x"),
        format!("{good}\u{2014} no base64\n"),
        format!("\u{feff}{good}"),
        good.replacen(ORIGIN, "log.example/\u{0}", 1),
    ];
    for body in wrong {
        assert_ne!(body, good);
        let answer = bench.post(body.as_bytes());
        assert_eq!(answer.status, 400, "{body:?}: {}", answer.text());
    }
    bench.post(b"\xff\xfe\xfd").expect(400);
    assert_eq!(bench.cosigned(), 4);
    bench.post(good.as_bytes()).expect(200);
}

#[test]
fn a_body_that_is_too_long_is_refused_unread() {
    let bench = Bench::new();
    for length in [AddCheckpointRequest::MAX_BYTES + 1, 1 << 20] {
        bench.post(&vec![b'a'; length]).expect(413);
    }
    let announced = b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 100000000\r\n\r\n";
    assert_eq!(http::exchange(bench.address(), announced, false).unwrap().status, 413);
    bench.add(0, 1).expect(200);
}

#[test]
fn a_first_checkpoint_needs_no_proof_and_takes_none() {
    let bench = Bench::new();
    let with_proof = AddCheckpointRequest {
        old: size(0),
        proof: ConsistencyProof::new(vec![sha256(b"")]).unwrap(),
        note: bench.rogue.checkpoint(size(4)),
    };
    bench.post(&with_proof.encode()).expect(422);
    bench.add(0, 0).expect(200);
    assert_eq!(bench.cosigned(), 0);
    bench.add(0, 4).expect(200);
    // An empty tree has one root.
    let bench = Bench::new();
    let odd = bench.rogue.checkpoint(size(0)).text().replacen(
        &empty_root().to_base64(),
        &sha256(b"x").to_base64(),
        1,
    );
    let line = bench.log.sign(odd.as_bytes());
    let note = SignedNote::new(odd, vec![line]).unwrap();
    bench.post(&AddCheckpointRequest { old: size(0), proof: nothing(), note }.encode()).expect(422);
}

#[test]
fn lines_it_knows_nothing_about_are_not_cosigned() {
    let bench = Bench::new();
    for lines in ["more\n", "one\ntwo\nthree\n", "\u{2014} looks like a signature\n"] {
        let text = format!("{}{lines}", bench.rogue.checkpoint(size(4)).text());
        let line = bench.log.sign(text.as_bytes());
        let note = SignedNote::new(text, vec![line]).unwrap();
        bench.post(&AddCheckpointRequest { old: size(0), proof: nothing(), note }.encode()).expect(400);
    }
    bench.latest().expect(404);
}

#[test]
fn a_line_forged_in_its_own_name_spoils_nothing() {
    let bench = Bench::new();
    let forge = |rogue: &Rogue, old: u64, new: u64| {
        let mut request = request(rogue, old, new);
        let text = request.note.text().to_owned();
        request.note.add_signature(cosignature(&bench.key, &text)).unwrap();
        let unknown = stranger("stranger.example", 4);
        let time = UnixSeconds::new(1_800_000_000).unwrap();
        request.note.add_signature(unknown.cosign(&text, time).unwrap()).unwrap();
        request
    };
    for (old, new) in [(0, 2), (2, 5), (5, 8)] {
        bench.post(&forge(&bench.rogue, old, new).encode()).expect(200);
        assert_eq!(bench.cosigned(), new);
        let served = SignedNote::parse(&bench.latest().body).unwrap();
        assert_eq!(served.signatures().len(), 2, "only lines that were verified are kept");
    }
}

#[test]
fn a_path_takes_only_what_is_its_own() {
    let bench = Bench::new();
    http::get(bench.address(), "/add-checkpoint").expect(405);
    http::request(bench.address(), "PUT", "/add-checkpoint", b"x").expect(405);
    http::post(bench.address(), "/add-checkpoint/", b"").expect(404);
    http::get(bench.address(), "/healthz").expect(200);
    assert!(http::get(bench.address(), "/").expect(200).text().contains(&bench.key.encode()));
    for path in
        ["/../witness.key", "/state/initialised", "/witness.key", "/%2e%2e/checkpoint", "/x/checkpoint"]
    {
        let answer = http::get(bench.address(), path);
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
    }
}

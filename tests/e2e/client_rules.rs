//! What a client asks for besides signatures and proofs: its file `client.toml`, no way back, written
//! exceptions, and a command that runs only if everything was verified.

use std::fs;

use indelible_proto::hash::sha256;
use indelible_proto::note::NoteSignature;
use indelible_proto::proof::LogProof;
use indelible_proto::record::{RecordId, SignedRecord};
use indelible_proto::time::UnixSeconds;
use indelible_tests::Finished;
use indelible_tests::forgery::with_signatures;

use crate::exit::{HOLD, REFUSED, UNDECIDED, USAGE, VERIFIED};
use crate::published::{Room, check, code};

/// The room with a `client.toml` of these lines after the policy, and the vendor's channel pinned.
fn room_with(lines: &str) -> Room {
    let room = Room::new();
    room.write("client.toml", format!("policy = \"policy.txt\"\nstate = \"memory\"\n{lines}"));
    let pinning = ["--config", "client.toml", "--channel", "channel"];
    judge(&room, &["verify", "agent-1"], &pinning).expect(VERIFIED);
    room
}

fn judge(room: &Room, command: &[&str], args: &[&str]) -> Finished {
    Finished::run(room.client().args(command).args(args))
}

fn verify(room: &Room, artifact: &str) -> Finished {
    judge(room, &["verify", artifact, "--json"], &["--config", "client.toml"])
}

#[test]
fn what_was_verified_once_leads_no_way_back() {
    let room = Room::new();
    room.verify_of_vendor(&["agent-1"]).expect(VERIFIED);
    room.verify_of_vendor(&["agent-2"]).expect(VERIFIED);
    check(&room, &["agent-1", "--channel", "channel"], REFUSED, "rollback");
    room.verify_of_vendor(&["agent-2"]).expect(VERIFIED);
    // Another channel has its own order, and who remembers nothing can't know.
    room.verify(&["evil", "--channel", "evil-channel"]).expect(VERIFIED);
    room.verify_of_vendor(&["agent-1", "--no-state"]).expect(VERIFIED);
}

#[test]
fn a_damaged_memory_of_the_channel_or_the_time_is_local_damage() {
    let room = Room::new();
    room.verify_of_vendor(&["agent-1"]).expect(VERIFIED);
    let memory = room.file("home/indelible");
    let verified = fs::read_dir(memory.join("verified")).unwrap().next().unwrap().unwrap().path();
    for path in [verified, memory.join("time")] {
        let whole = fs::read(&path).unwrap();
        let mut damages =
            vec![Vec::new(), vec![0; whole.len()], whole[..whole.len() - 1].to_vec(), vec![b'9'; 1 << 16]];
        // Another digit at the end of each line: what is left of it is a record's id still, or a time.
        let line_ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
        damages.extend(line_ends.map(|end| {
            let other = if whole[end - 1] == b'0' { b"1" } else { b"0" };
            [&whole[..end - 1], other, &whole[end..]].concat()
        }));
        for bytes in damages {
            fs::write(&path, &bytes).unwrap();
            check(&room, &["agent-1", "--channel", "channel"], UNDECIDED, "state-damaged");
        }
        fs::remove_file(&path).unwrap();
        room.verify_of_vendor(&["agent-1"]).expect(VERIFIED);
    }
}

#[test]
fn a_file_says_whom_to_trust_and_what_to_ask_for() {
    let room = room_with("");
    verify(&room, "agent-2").expect(VERIFIED);
    // No channel but the one that is named, and that one only with its first record.
    let genesis = genesis_of(&room);
    let channels = |id: &str| {
        format!(
            "policy = \"policy.txt\"\nstate = \"memory\"\n[channels]\n\"vendor.example/agent\" = \"{id}\"\n"
        )
    };
    room.write("client.toml", channels(&genesis.to_string()));
    verify(&room, "agent-2").expect(VERIFIED);
    let evil = judge(
        &room,
        &["verify", "evil", "--json"],
        &["--config", "client.toml", "--channel", "evil-channel"],
    );
    assert_eq!((evil.code(), code(&evil).as_str()), (REFUSED, "channel-not-configured"));
    room.write("client.toml", channels(&"0".repeat(64)));
    let refused = verify(&room, "agent-2").expect(REFUSED);
    assert_eq!(code(&refused), "channel-pinned-otherwise");
    room.write("client.toml", "policy = \"policy.txt\"\nchannel = \"x\"\n");
    assert_eq!(code(&verify(&room, "agent-2").expect(USAGE)), "client-config-parse");
}

#[test]
fn a_grace_lifts_a_missing_quorum_for_its_time_and_says_so() {
    const GRACE: &str = "[grace]\nreason = \"two witnesses are down\"\npolicy = \"one.txt\"\n";
    let room = room_with("");
    // The same log and witnesses, of which one is enough.
    let policy = String::from_utf8(room.read("policy.txt")).unwrap();
    let group = policy.lines().find(|line| line.starts_with("group ")).unwrap();
    let mut words: Vec<&str> = group.split(' ').collect();
    words[2] = "1";
    room.write("one.txt", policy.replace(group, &words.join(" ")));
    let proof = room.proof("agent-2");
    let lines: Vec<NoteSignature> = proof.note().signatures()[..2].to_vec();
    room.write("agent-2.tlog-proof", with_signatures(&proof, lines).encode());
    assert_eq!(code(&verify(&room, "agent-2").expect(REFUSED)), "quorum-not-met");

    let now = now().get();
    let with = |from: u64, until: u64| {
        let [from, until] = [from, until].map(|time| UnixSeconds::new(time).unwrap().to_rfc3339().unwrap());
        let grace = format!("{GRACE}from = \"{from}\"\nuntil = \"{until}\"\n");
        room.write("client.toml", format!("policy = \"policy.txt\"\nstate = \"memory\"\n{grace}"));
    };
    with(now - 20_000, now - 10_000);
    assert_eq!(code(&verify(&room, "agent-2").expect(REFUSED)), "quorum-not-met", "it is over");
    with(now - 10_000, now + 10_000);
    let told = verify(&room, "agent-2").expect(VERIFIED).json();
    assert_eq!(told["grace"], "two witnesses are down");
    // A clock that is behind does not make it longer: witnesses' time counts as well.
    let floor = room.file("memory/time");
    let before = fs::read(&floor).unwrap();
    with(now - 20_000, now + 300);
    verify(&room, "agent-2").expect(VERIFIED);
    let later = format!("indelible-time-floor/v1\n{}\n", now + 400);
    fs::write(&floor, format!("{later}end {}\n", sha256(later.as_bytes()).to_hex())).unwrap();
    assert_eq!(
        code(&verify(&room, "agent-2").expect(REFUSED)),
        "quorum-not-met",
        "it is over by witnesses' time"
    );
    fs::write(&floor, before).unwrap();
    with(now - 10_000, now + 10_000);
    // It lifts nothing else.
    room.write("agent-2", "changed");
    assert_eq!(code(&verify(&room, "agent-2").expect(REFUSED)), "quorum-not-met");
}

/// A `[grace]` of these lines that counts now.
pub(crate) fn grace(lines: &str) -> String {
    let now = now().get();
    let [from, until] =
        [now - 10_000, now + 10_000].map(|time| UnixSeconds::new(time).unwrap().to_rfc3339().unwrap());
    format!("[grace]\nreason = \"witnesses are down\"\nfrom = \"{from}\"\nuntil = \"{until}\"\n{lines}\n")
}

/// The room's policy with a quorum of this witness alone.
fn policy_of_one(room: &Room, witness: usize) -> String {
    let policy = String::from_utf8(room.read("policy.txt")).unwrap();
    let names: Vec<&str> =
        policy.lines().filter_map(|line| line.strip_prefix("witness ")?.split(' ').next()).collect();
    let quorum = policy.lines().find(|line| line.starts_with("quorum ")).unwrap();
    policy.replace(quorum, &format!("quorum {}", names[witness]))
}

/// The proof in a file of the room, cosigned at `time` by these witnesses and no others.
fn cosigned(room: &Room, file: &str, witnesses: &[usize], time: UnixSeconds) -> Vec<u8> {
    let proof = LogProof::parse(&room.read(file)).unwrap();
    let text = proof.note().text().to_owned();
    let cosign = |n: &usize| room.witness_signer(*n).unwrap().cosign(&text, time).unwrap();
    let lines = std::iter::once(proof.note().signatures()[0].clone()).chain(witnesses.iter().map(cosign));
    with_signatures(&proof, lines.collect()).encode()
}

#[test]
fn a_grace_does_not_cover_the_first_pin() {
    let room = Room::new();
    let pinned_by = room.read("channel");
    room.write("one.txt", policy_of_one(&room, 2));
    let lines = grace("policy = \"one.txt\"");
    room.write("client.toml", format!("policy = \"policy.txt\"\nstate = \"memory\"\n{lines}"));
    room.write("agent-2.tlog-proof", cosigned(&room, "agent-2.tlog-proof", &[2], now()));
    let pin = || {
        judge(&room, &["verify", "agent-2", "--json"], &["--config", "client.toml", "--channel", "channel"])
    };

    room.write("channel", cosigned(&room, "channel", &[2], now()));
    let told = pin().expect(REFUSED).json();
    assert_eq!(told["code"], "quorum-not-met", "{told}");
    assert!(
        told["message"].as_str().unwrap().contains("grace in the client's file does not cover the first pin"),
        "{told}"
    );
    assert!(told["next"].as_str().unwrap().contains("proof of the channel"), "{told}");
    assert_eq!(
        fs::read_dir(room.file("memory/pins")).map_or(0, Iterator::count),
        0,
        "nothing is pinned by it"
    );
    // Where no exception counts, the failure speaks of none.
    room.write("client.toml", "policy = \"policy.txt\"\nstate = \"memory\"\n");
    let told = pin().expect(REFUSED).json();
    assert!(!told["message"].as_str().unwrap().contains("grace"), "{told}");

    // Pinned by the client's own quorum, of which none is in the exception's: the pin stands, the exception counts.
    room.write("client.toml", format!("policy = \"policy.txt\"\nstate = \"memory\"\n{lines}"));
    room.write("channel", &pinned_by);
    room.write("channel", cosigned(&room, "channel", &[0, 1], now()));
    assert_eq!(pin().expect(VERIFIED).json()["grace"], "witnesses are down");
    assert_eq!(verify(&room, "agent-2").expect(VERIFIED).json()["grace"], "witnesses are down");
}

#[test]
fn the_few_witnesses_of_a_grace_move_no_time() {
    let room = room_with("");
    let before = room.read("memory/time");
    room.write("one.txt", policy_of_one(&room, 2));
    let lines = grace("policy = \"one.txt\"\nmax_age_s = 400000");
    room.write(
        "client.toml",
        format!("policy = \"policy.txt\"\nstate = \"memory\"\nmax_age_s = 300000\n{lines}"),
    );
    // One witness that is ahead, as far as is believed.
    let ahead = UnixSeconds::new(now().get() + 300).unwrap();
    room.write("agent-2.tlog-proof", cosigned(&room, "agent-2.tlog-proof", &[2], ahead));
    assert_eq!(verify(&room, "agent-2").expect(VERIFIED).json()["grace"], "witnesses are down");
    assert_eq!(room.read("memory/time"), before, "it outlives the exception");
    // A whole quorum moves it, whether or not the exception is needed for the age.
    room.write("agent-2.tlog-proof", cosigned(&room, "agent-2.tlog-proof", &[1, 2], ahead));
    assert!(verify(&room, "agent-2").expect(VERIFIED).json().get("grace").is_none());
    assert_ne!(room.read("memory/time"), before);
}

#[test]
fn a_checkpoint_older_than_the_client_allows_is_held() {
    let room = room_with("max_age_s = 100000\n");
    // The witnesses, asked long ago.
    let then = UnixSeconds::new(now().get() - 200_000).unwrap();
    room.write("agent-2.tlog-proof", cosigned(&room, "agent-2.tlog-proof", &[0, 1, 2], then));
    assert_eq!(code(&verify(&room, "agent-2").expect(HOLD)), "checkpoint-stale");
}

#[test]
fn a_grace_lifts_the_limit_of_age_up_to_its_own() {
    let room = room_with("max_age_s = 100000\n");
    let then = UnixSeconds::new(now().get() - 200_000).unwrap();
    room.write("agent-2.tlog-proof", cosigned(&room, "agent-2.tlog-proof", &[0, 1, 2], then));
    let with = |limit: u64| {
        let lines = grace(&format!("max_age_s = {limit}"));
        let before = "policy = \"policy.txt\"\nstate = \"memory\"\nmax_age_s = 100000\n";
        room.write("client.toml", format!("{before}{lines}"));
        verify(&room, "agent-2")
    };
    let told = with(201_000).expect(VERIFIED).json();
    assert_eq!(told["grace"], "witnesses are down", "{told}");
    for limit in [199_000, 100_001, 1] {
        let told = with(limit).expect(HOLD);
        assert_eq!(code(&told), "checkpoint-stale", "{limit}: {told}");
        assert!(told.json().get("grace").is_none(), "{limit}: {told}");
    }
}

#[test]
fn a_guarded_command_runs_only_if_every_artifact_verifies() {
    let room = room_with("");
    let guard = |artifacts: &[&str], command: &[&str]| {
        let _ = fs::remove_file(room.file("installed"));
        let args = [&["guard", "--config", "client.toml"], artifacts, &["--"], command].concat();
        let finished = judge(&room, &args, &[]);
        (finished.code(), room.file("installed").exists())
    };
    let install = ["touch", "installed"];
    assert_eq!(guard(&["agent-2", "agent-2"], &install), (VERIFIED, true));
    assert_eq!(guard(&["agent-2"], &["sh", "-c", "touch installed; exit 7"]), (7, true));
    assert_eq!(guard(&["agent-2"], &["sh", "-c", "kill $$"]), (128, false));
    assert_eq!(guard(&["agent-2"], &["no-such-program"]), (UNDECIDED, false));
    // One that is older is enough to stop it, wherever it stands.
    assert_eq!(guard(&["agent-2", "agent-1"], &install), (REFUSED, false));
    assert_eq!(guard(&["agent-1", "agent-2"], &install), (REFUSED, false));
    assert_eq!(guard(&["agent-2", "missing"], &install), (USAGE, false));
    room.write("agent-2", "changed");
    assert_eq!(guard(&["agent-2"], &install), (REFUSED, false));
    assert_eq!(guard(&[], &install), (USAGE, false));
    assert_eq!(guard(&["agent-2"], &[]), (USAGE, false));
}

/// The record that opened the vendor's channel.
fn genesis_of(room: &Room) -> RecordId {
    let proof = LogProof::parse(&room.read("channel")).unwrap();
    SignedRecord::parse(proof.extra().unwrap()).unwrap().record_id()
}

fn now() -> UnixSeconds {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixSeconds::new(since.as_secs()).unwrap()
}

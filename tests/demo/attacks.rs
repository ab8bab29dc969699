//! What an attacker tries, and what stops him.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use indelible_client::http::{HttpClient, Timeouts};
use indelible_client::witness_client::{AddOutcome, WitnessClient, WitnessError};
use indelible_proto::entry_bundle::Entry;
use indelible_proto::note::VerifierKey;
use indelible_proto::proof::LogProof;
use indelible_proto::tree::ConsistencyProof;
use indelible_tests::forgery::{cosignature, with_signatures};
use indelible_tests::world::ORIGIN;
use indelible_tests::{Finished, Rogue, World};

use crate::stage::Stage;
use crate::vendor::{Vendor, file_name};
use crate::watchdog::Watchdog;

const VERIFIED: i32 = 0;
const REFUSED: i32 = 20;
const EVIDENCE: i32 = 30;

/// Runs every attack.
pub(crate) fn run(stage: &mut Stage, world: &World, vendor: &Vendor, watchdog: &mut Watchdog) {
    stage.act("Attack: a changed file");
    changed_file(stage, world, vendor);
    stage.act("Attack: an update nobody logged");
    unlogged_update(stage, world, vendor);
    stage.act("Attack: the proof of another file");
    other_proof(stage, world, vendor);
    stage.act("Attack: a forged cosignature");
    forged_cosignature(stage, world, vendor);
    stage.act("Attack: the log shows the watchdog one history and a customer another");
    split_view(stage, world, vendor, watchdog);
}

fn changed_file(stage: &mut Stage, world: &World, vendor: &Vendor) {
    let copy = world.file("changed/rules");
    copy_folder(vendor.rules(), &copy);
    fs::copy(proof_of(vendor.rules()), proof_of(&copy)).expect("a file can be copied");
    stage.expect("an exact copy verifies", &vendor.verify(world, &copy, &[]), VERIFIED);
    let first = first_file(&copy);
    let mut bytes = fs::read(&first).expect("a rule can be read");
    bytes[0] ^= 1;
    fs::write(&first, bytes).expect("a rule can be written");
    let claim = format!("one bit changed in {}: refused", file_name(&first));
    stage.expect(&claim, &vendor.verify(world, &copy, &[]), REFUSED);
}

fn unlogged_update(stage: &mut Stage, world: &World, vendor: &Vendor) {
    let copy = world.file("unlogged/rules");
    copy_folder(vendor.rules(), &copy);
    fs::write(copy.join("targeted.rules"), "for one customer only\n").expect("a rule can be written");
    stage.expect("without a proof beside it: refused", &vendor.verify(world, &copy, &[]), REFUSED);
    fs::copy(proof_of(vendor.rules()), proof_of(&copy)).expect("a file can be copied");
    stage.expect("with the logged rule set's proof: refused", &vendor.verify(world, &copy, &[]), REFUSED);
}

fn other_proof(stage: &mut Stage, world: &World, vendor: &Vendor) {
    let [first, second, ..] = vendor.releases() else {
        stage.check("there are two releases to swap", false, "fewer");
        return;
    };
    let claim = format!("{} with the proof of {}: refused", file_name(&first.file), file_name(&second.file));
    let proof = proof_of(&second.file);
    let more = ["--proof", proof.to_str().expect("the path is UTF-8")];
    stage.expect(&claim, &vendor.verify(world, &first.file, &more), REFUSED);
}

/// Takes the witnesses' lines off a proof, and puts lines in their names by a key of the attacker's instead.
fn forged_cosignature(stage: &mut Stage, world: &World, vendor: &Vendor) {
    let release = &vendor.releases()[0].file;
    let proof = read_proof(&proof_of(release));
    let log_line = proof.note().signatures()[..1].to_vec();
    let bare = with_signatures(&proof, log_line.clone());
    let path = world.file("forged.tlog-proof");
    let more = ["--proof", path.to_str().expect("the path is UTF-8")];
    fs::write(&path, bare.encode()).expect("a file can be written");
    stage.expect("without the witnesses' lines: refused", &vendor.verify(world, release, &more), REFUSED);
    let mut forged = log_line;
    for n in 0..3 {
        let witness = VerifierKey::parse(&world.witness_vkey(n)).expect("a verifier key");
        forged.push(cosignature(&witness, proof.note().text()));
    }
    fs::write(&path, with_signatures(&proof, forged).encode()).expect("a file can be written");
    stage.expect("with lines forged in their names: refused", &vendor.verify(world, release, &more), REFUSED);
}

/// The log's operator has turned: same size, but the last entry is another one for this customer.
fn split_view(stage: &mut Stage, world: &World, vendor: &Vendor, watchdog: &mut Watchdog) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let http = HttpClient::new(Timeouts::default()).expect("an HTTP client");
    let reader = world.reader();
    let head = reader.checkpoint().head();
    let (size, entries) = (head.size, reader.entries(&head));
    stage.check("the watchdog has found nothing so far", watchdog.is_quiet(), "it has stopped");
    let mut rogue = Rogue::new(&world.log_dir().join("log.key"), entries);
    let last = rogue.entries().len() - 1;
    let mut targeted = rogue.entries()[last].as_bytes().to_vec();
    let middle = targeted.len() / 2;
    targeted[middle] ^= 1;
    rogue.replace(last, Entry::new(targeted).expect("an entry"));
    let fork = rogue.checkpoint(size);
    stage
        .say(&format!("With the log's own key, its operator signs another tree of the same {size} entries."));

    for n in 0..3 {
        let key = VerifierKey::parse(&world.witness_vkey(n)).expect("a verifier key");
        let witness =
            WitnessClient::new(key, world.witness(n).url(), http.clone()).expect("a witness's address");
        let empty = ConsistencyProof::new(Vec::new()).expect("an empty proof");
        let answer = runtime.block_on(witness.add_checkpoint(size, &empty, &fork));
        // 422: it holds another root of this size. A conflict: it holds another size, so it was not in the quorum.
        let refused = matches!(
            answer,
            Err(WitnessError::Refused { status: 422, .. }) | Ok(AddOutcome::Conflict { .. })
        );
        stage.check(&format!("witness {n} does not cosign it"), refused, &format!("{answer:?}"));
    }
    let release = &vendor.releases()[0].file;
    let proof = rogue.proof(0, size, fork.clone());
    let path = world.file("split.tlog-proof");
    fs::write(&path, proof.encode()).expect("a file can be written");
    let more = ["--proof", path.to_str().expect("the path is UTF-8"), "--no-state"];
    stage.expect(
        "the customer refuses a proof from that tree",
        &vendor.verify(world, release, &more),
        REFUSED,
    );

    watchdog.hand_in(&fork.encode());
    stage.say("The customer hands the checkpoint to the watchdog.");
    let ended = watchdog.wait();
    stage.check("the watchdog stops with exit code 30", ended == Some(EVIDENCE), &format!("{ended:?}"));
    let Some(evidence) = only_file(watchdog.evidence()) else {
        stage.check("it has written evidence", false, "there is not exactly one file");
        return;
    };
    stranger(stage, world, &evidence);
}

/// Someone who was not there: a process in an empty folder, with the evidence and the log's key only.
fn stranger(stage: &mut Stage, world: &World, evidence: &Path) {
    let room = world.file("stranger");
    fs::create_dir(&room).expect("a folder can be made");
    let copy = room.join("evidence");
    let verify = || {
        let mut verify = Command::new(&World::binaries().client);
        verify.env_clear().current_dir(&room).args(["evidence", "verify", "evidence", "--log-key"]);
        Finished::run(verify.arg(world.log_vkey()))
    };
    fs::copy(evidence, &copy).expect("a file can be copied");
    stage.expect("a stranger with the file and the log's key is convinced", &verify(), VERIFIED);
    let text = fs::read_to_string(&copy).expect("the evidence can be read");
    let size = text.find(ORIGIN).expect("the evidence has the log's notes") + ORIGIN.len() + 1;
    let mut bytes = text.into_bytes();
    bytes[size] = if bytes[size] == b'9' { b'8' } else { b'9' };
    fs::write(&copy, bytes).expect("a file can be written");
    stage.expect("one digit changed in a signed checkpoint: it convinces nobody", &verify(), REFUSED);
}

fn read_proof(path: &Path) -> LogProof {
    LogProof::parse(&fs::read(path).expect("the proof can be read")).expect("it is a proof")
}

/// Where the proof of an artifact lies.
fn proof_of(artifact: &Path) -> PathBuf {
    let mut name = artifact.as_os_str().to_owned();
    name.push(".tlog-proof");
    name.into()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for file in files(from) {
        fs::copy(&file, to.join(file.file_name().expect("a file has a name"))).expect("a file can be copied");
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).map(|entries| entries.filter_map(Result::ok).map(|entry| entry.path()));
    let mut files: Vec<_> = entries.map(Iterator::collect).unwrap_or_default();
    files.sort();
    files
}

fn first_file(dir: &Path) -> PathBuf {
    files(dir).into_iter().next().expect("the folder has files")
}

fn only_file(dir: &Path) -> Option<PathBuf> {
    match files(dir).as_slice() {
        [file] => Some(file.clone()),
        _ => None,
    }
}

//! A thief with the publish key, and the owner who takes the channel back: through real programs.

use indelible_client::dsse;
use indelible_proto::channel_file::{ChannelFile, Start, VerifiedChannel};
use indelible_proto::log_api::{ApiError, ChannelFilePath, ChannelHeadAnswer};
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::record::body::{HeadBody, WithdrawAction, WithdrawBody, WithdrawReason};
use indelible_proto::record::{
    Chain, ChannelState, Common, KeySet, Predicate, SignedRecord, Statement, Subject, may_follow,
};
use indelible_proto::sign::{RecordSigner, SecretKey, Signer as _};
use indelible_tests::http;
use indelible_tests::world::Kind;
use indelible_tests::{Finished, Publisher, World};
use serde_json::{Value, json};

use crate::exit;

fn signer(name: &str, seed: u8) -> RecordSigner {
    let name = KeyName::parse(name).unwrap();
    RecordSigner::new(SecretKey::from_seed(KeyKind::Record, name, [seed; 32])).unwrap()
}

fn set(signer: &RecordSigner) -> Option<KeySet> {
    Some(KeySet::new(vec![signer.verifier().clone()], 1).unwrap())
}

/// A channel on a running log, as its owner and a thief see it.
struct Channel {
    world: World,
    state: ChannelState,
    genesis: SignedRecord,
    release: Statement,
}

impl Channel {
    /// With the recovery key named from the start.
    fn open() -> Self {
        let world = World::start(Kind::Records, 1, 1);
        let mut publisher = Publisher::new("vendor.example/agent", 7);
        let mut opening = publisher.next_statement(b"");
        if let Predicate::Channel(_, body) = &mut opening.predicate {
            body.recovery = set(&signer("recovery", 3));
        }
        let genesis = SignedRecord::sign(&opening, &[publisher.signer()]).unwrap();
        publisher.accepted(&genesis);
        http::post(world.log().address(), "/submit", &genesis.encode()).expect(200);
        let state = may_follow(None, &genesis).unwrap();
        Self { world, state, genesis, release: publisher.next_statement(b"agent") }
    }

    fn common(&self, chain: Chain, of: &Common) -> Common {
        let place = self.state.next_place(chain).unwrap();
        Common { chain, seq: place.seq, prev: place.prev, keys: Some(place.keys), ..of.clone() }
    }

    fn next_release(&self) -> Statement {
        let mut statement = self.release.clone();
        if let Predicate::Release(common, _) = &mut statement.predicate {
            *common = self.common(Chain::Publish, common);
        }
        statement
    }

    fn change(&self, chain: Chain, signers: Option<KeySet>) -> Statement {
        let mut statement = self.genesis.statement().clone();
        if let Predicate::Channel(common, body) = &mut statement.predicate {
            *common = self.common(chain, common);
            body.signers = signers;
        }
        statement
    }

    fn submit(&mut self, statement: &Statement, signers: &[&RecordSigner]) -> SignedRecord {
        let record = self.sign(statement, signers);
        http::post(self.world.log().address(), "/submit", &record.encode()).expect(200);
        record
    }

    /// Goes on after a record that the log has yet to get.
    fn sign(&mut self, statement: &Statement, signers: &[&RecordSigner]) -> SignedRecord {
        let record = SignedRecord::sign(statement, signers).unwrap();
        self.state = may_follow(Some(&self.state), &record).unwrap();
        record
    }

    /// A withdrawal by the recovery keys.
    fn next_withdrawal(&self, of: &SignedRecord, reason: WithdrawReason) -> Statement {
        let records = vec![of.record_id()];
        let body = WithdrawBody { records, reason, action: WithdrawAction::Stop, advisory: None };
        let statement = of.statement();
        let common = Common { expires: None, ..self.common(Chain::Recovery, statement.predicate.common()) };
        Statement { subject: statement.subject.clone(), predicate: Predicate::Withdraw(common, body) }
    }

    /// A heartbeat, where the channel stands.
    fn next_heartbeat(&self, of: &SignedRecord) -> Statement {
        let recovery = self.state.chain_head(Chain::Recovery).map(|head| head.record);
        let common = self.common(Chain::Publish, of.statement().predicate.common());
        let body = HeadBody { record: of.record_id(), recovery };
        Statement {
            subject: vec![Subject::of_channel(self.state.channel())],
            predicate: Predicate::Head(common, body),
        }
    }

    fn refusal(&self, statement: &Statement, signers: &[&RecordSigner], status: u16) -> ApiError {
        let record = SignedRecord::sign(statement, signers).unwrap();
        let answer = http::post(self.world.log().address(), "/submit", &record.encode()).expect(status);
        ApiError::parse(&answer.body).unwrap()
    }

    fn file(&self, start: Start<'_>) -> VerifiedChannel {
        let path = match start {
            Start::Genesis(_) => ChannelFilePath::whole(self.state.channel().clone()),
            Start::After(state) => ChannelFilePath::after(state),
        };
        let file = http::get(self.world.log().address(), &path.encode()).expect(200);
        ChannelFile::parse(&file.body).unwrap().verify(start, &self.world.read_policy()).unwrap()
    }
}

#[test]
fn an_owner_takes_a_stolen_channel_back_however_far_the_thief_is() {
    let mut channel = Channel::open();
    let (stolen, recovery) =
        (Publisher::new("vendor.example/agent", 7).signer().clone(), signer("recovery", 3));
    let (thief, fresh) = (signer("thief", 66), signer("fresh", 8));
    let good = channel.submit(&channel.next_release(), &[&stolen]);
    let remembered = channel.state.clone();

    // The owner signs the way back before the thief moves, and sends it after.
    let rescue =
        SignedRecord::sign(&channel.change(Chain::Recovery, set(&fresh)), &[&recovery, &fresh]).unwrap();
    channel.submit(&channel.change(Chain::Publish, set(&thief)), &[&stolen, &thief]);
    let malware = channel.submit(&channel.next_release(), &[&thief]);
    let error = channel.refusal(&channel.next_release(), &[&stolen], 422);
    assert_eq!(error.code(), "signer-unknown");
    http::post(channel.world.log().address(), "/submit", &rescue.encode()).expect(200);
    channel.state = may_follow(Some(&channel.state), &rescue).unwrap();

    // The thief is out, and told where the channel stands.
    let mut late = channel.next_release();
    if let Predicate::Release(common, _) = &mut late.predicate {
        common.keys = malware.statement().predicate.common().keys;
    }
    let error = channel.refusal(&late, &[&thief], 409);
    assert_eq!(error.code(), "keys-mismatch");
    assert_eq!(error.head(), Some(&ChannelHeadAnswer::of(&channel.state)));
    let withdrawal = WithdrawBody {
        records: vec![malware.record_id()],
        reason: WithdrawReason::KeyCompromise,
        action: WithdrawAction::Rollback { safe: good.record_id() },
        advisory: None,
    };
    let of = good.statement().predicate.common();
    let common = Common { expires: None, ..channel.common(Chain::Recovery, of) };
    let subject = good.statement().subject.clone();
    let withdraw = Statement { subject, predicate: Predicate::Withdraw(common, withdrawal.clone()) };
    let withdrawn = channel.submit(&withdraw, &[&recovery]);
    channel.submit(&channel.next_release(), &[&fresh]);

    // A restart knows both chains, with the snapshot and without.
    for forget in [false, true] {
        channel.world.take_log().kill();
        if forget {
            let _ = std::fs::remove_file(channel.world.log_dir().join("data/heads"));
        }
        channel.world.start_log();
        for start in [Start::Genesis(channel.genesis.record_id()), Start::After(&remembered)] {
            let verified = channel.file(start);
            assert_eq!(verified.state(), &channel.state);
            let by = verified.withdrawn_by(malware.record_id()).map(SignedRecord::record_id);
            assert_eq!(by, Some(withdrawn.record_id()));
        }
    }
    let verified = channel.file(Start::Genesis(channel.genesis.record_id()));
    assert_eq!(verified.records().len(), 7);
    let back = verified.way_back(&withdrawal).map(SignedRecord::record_id);
    assert_eq!(back, Some(good.record_id()));
}

#[test]
fn a_frozen_channel_takes_nothing_and_says_so() {
    let mut channel = Channel::open();
    let (publish, recovery) =
        (Publisher::new("vendor.example/agent", 7).signer().clone(), signer("recovery", 3));
    channel.submit(&channel.change(Chain::Recovery, None), &[&recovery]);
    let error = channel.refusal(&channel.next_release(), &[&publish], 409);
    assert_eq!(error.code(), "publish-frozen");
    assert!(error.head().unwrap().frozen);
    let answer = http::get(channel.world.log().address(), "/channel/vendor.example/agent").expect(200);
    assert_eq!(ChannelHeadAnswer::parse(&answer.body).unwrap(), ChannelHeadAnswer::of(&channel.state));
}

#[test]
fn a_directory_of_both_chains_is_handed_in_in_the_order_in_which_they_name_each_other() {
    let mut channel = Channel::open();
    let (publish, recovery) =
        (Publisher::new("vendor.example/agent", 7).signer().clone(), signer("recovery", 3));
    let fresh = signer("fresh", 8);
    let release = channel.sign(&channel.next_release(), &[&publish]);
    let mut records = vec![release.clone()];
    for reason in [WithdrawReason::Defective, WithdrawReason::Legal] {
        records.push(channel.sign(&channel.next_withdrawal(&release, reason), &[&recovery]));
        records.push(channel.sign(&channel.next_heartbeat(&release), &[&publish]));
    }
    records.push(channel.sign(&channel.change(Chain::Recovery, set(&fresh)), &[&recovery, &fresh]));
    records.push(channel.sign(&channel.next_release(), &[&fresh]));
    let dir = channel.world.file("records");
    std::fs::create_dir(&dir).unwrap();
    let path = |number: usize| dir.join(format!("{}.leaf", records.len() - number));
    let submit = || {
        let mut submit = channel.world.client();
        let finished = Finished::run(
            submit.args(["--json", "submit", "records", "--policy"]).arg(channel.world.policy()),
        );
        let end: Value = serde_json::from_str(finished.stdout.lines().last().unwrap()).unwrap();
        (finished, end)
    };
    for (number, record) in records.iter().enumerate() {
        std::fs::write(path(number), record.encode()).unwrap();
    }
    let (finished, end) = submit();
    finished.expect(exit::VERIFIED);
    assert_eq!((&end["records"], &end["gaps"]), (&records.len().into(), &json!([])), "{end}");
    // What is missing between the others is told, though the log has it.
    std::fs::remove_file(path(2)).unwrap();
    let (finished, end) = submit();
    finished.expect(exit::VERIFIED);
    let missing = json!([{ "channel": "vendor.example/agent", "chain": "publish", "first": 2, "last": 2 }]);
    assert_eq!(end["gaps"], missing, "{end}");
}

#[test]
fn a_proof_is_exported_as_an_envelope_and_comes_back_as_the_leaf() {
    let channel = Channel::open();
    let leaf = channel.genesis.encode();
    let proof = http::post(channel.world.log().address(), "/submit", &leaf).expect(200);
    let (proof_file, envelope, leaf_file) = (
        channel.world.file("genesis.tlog-proof"),
        channel.world.file("genesis.dsse.json"),
        channel.world.file("genesis.leaf"),
    );
    std::fs::write(&proof_file, &proof.body).unwrap();
    let run = |args: [&std::ffi::OsStr; 5], code: i32| {
        Finished::run(channel.world.client().args(args)).expect(code)
    };
    run(
        ["export".as_ref(), "dsse".as_ref(), proof_file.as_ref(), "--out".as_ref(), envelope.as_ref()],
        exit::VERIFIED,
    );
    assert_eq!(std::fs::read(&envelope).unwrap(), dsse::export(&channel.genesis).unwrap());
    run(
        ["import".as_ref(), "dsse".as_ref(), envelope.as_ref(), "--out".as_ref(), leaf_file.as_ref()],
        exit::VERIFIED,
    );
    assert_eq!(std::fs::read(&leaf_file).unwrap(), leaf);
    run(
        ["import".as_ref(), "dsse".as_ref(), proof_file.as_ref(), "--out".as_ref(), leaf_file.as_ref()],
        exit::USAGE,
    );
}

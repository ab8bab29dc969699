//! A channel in a log in memory, for tests: records of every type, and files of it at whatever time.

use indelible_proto::channel_file::{ChannelFile, NewestProof};
use indelible_proto::hash::sha256;
use indelible_proto::note::{KeyKind, SignedNote};
use indelible_proto::proof::LogProof;
use indelible_proto::record::body::{
    ChannelBody, Findings, HeadBody, Independence, Owner, ReleaseBody, ReviewBody, ReviewKind, ReviewResult,
    Severity, WithdrawAction, WithdrawBody, WithdrawReason,
};
use indelible_proto::record::{
    Audience, Chain, ChannelName, ChannelState, KeySet, Predicate, RecordError, RecordId, SignedRecord,
    Subject, may_follow,
};
use indelible_proto::sign::{RecordSigner, Signer as _};
use indelible_proto::size::LeafIndex;

use crate::publish::{Body, Draft, Place};
use crate::test_log::{TestLog, seconds, secret};

/// When every record is issued.
const ISSUED: u64 = 1_799_990_000;

/// For how long every record is fresh; a heartbeat is for twice as long.
const LIFETIME_S: u64 = 20_000;

/// A key of a name of its own, the same in every run.
pub(crate) fn key(seed: u8) -> RecordSigner {
    RecordSigner::new(secret(KeyKind::Record, &format!("key{seed}.example"), seed)).unwrap()
}

#[derive(Clone)]
pub(crate) struct TestChannel {
    pub(crate) name: ChannelName,
    pub(crate) log: TestLog,
    pub(crate) state: Option<ChannelState>,
    records: Vec<(SignedRecord, LeafIndex)>,
}

fn release_of(content: &[u8]) -> (Body, Vec<Subject>) {
    let version = String::from_utf8(content.to_vec()).unwrap();
    let body = ReleaseBody { version, purl: None, source: None, provenance: None, sbom: None };
    let subject = Subject::of_file("agent", sha256(content));
    (Body::Release(body), vec![subject])
}

fn signed(draft: &Draft, place: &Place, by: &[u8]) -> Result<SignedRecord, RecordError> {
    let signers: Vec<RecordSigner> = by.iter().map(|seed| key(*seed)).collect();
    let signers: Vec<&RecordSigner> = signers.iter().collect();
    SignedRecord::sign(&draft.statement(place, seconds(ISSUED)), &signers)
}

/// A channel body of these keys.
pub(crate) fn keys(signers: &[u8], recovery: Option<u8>, cooldown_s: u64) -> ChannelBody {
    let set = |seeds: &[u8]| {
        KeySet::new(seeds.iter().map(|seed| key(*seed).verifier().clone()).collect(), 1).unwrap()
    };
    ChannelBody {
        owner: Owner { name: "Vendor".into(), uri: "https://vendor.example".into() },
        product: "pkg:generic/agent".into(),
        signers: (!signers.is_empty()).then(|| set(signers)),
        recovery: recovery.map(|seed| set(&[seed])),
        cooldown_s,
        max_age_s: 3600,
    }
}

impl TestChannel {
    /// Opened by key 1; the recovery key is 9.
    pub(crate) fn new(name: &str, cooldown_s: u64) -> Self {
        Self::opened(name, keys(&[1], Some(9), cooldown_s))
    }

    /// Opened by key 1 with this body.
    pub(crate) fn opened(name: &str, body: ChannelBody) -> Self {
        let name = ChannelName::parse(name).unwrap();
        let mut channel = Self { name, log: TestLog::new(), state: None, records: Vec::new() };
        channel.add(Chain::Publish, Body::Channel(body), Vec::new(), &[1]);
        channel
    }

    pub(crate) fn state(&self) -> &ChannelState {
        self.state.as_ref().unwrap()
    }

    pub(crate) fn genesis(&self) -> RecordId {
        self.state().genesis()
    }

    /// Appends a record, signed by the keys of these seeds.
    pub(crate) fn add(&mut self, chain: Chain, body: Body, subject: Vec<Subject>, by: &[u8]) -> RecordId {
        let place = match self.state.as_ref().map(|state| state.next_place(chain).unwrap()) {
            None => Place::Genesis,
            Some(next) => match next.prev {
                None => Place::First { keys: next.keys },
                Some(head) => Place::After { seq: next.seq - 1, head, keys: next.keys },
            },
        };
        let lifetime_s = if matches!(body, Body::Head(_)) { 2 * LIFETIME_S } else { LIFETIME_S };
        let draft = Draft {
            channel: self.name.clone(),
            chain,
            subject,
            body,
            audience: Audience::Public,
            lifetime_s,
        };
        let record = signed(&draft, &place, by).unwrap();
        self.state = Some(may_follow(self.state.as_ref(), &record).unwrap());
        self.append_anyway(record)
    }

    /// Appends a record to the log that need not be one of the channel.
    pub(crate) fn append_anyway(&mut self, record: SignedRecord) -> RecordId {
        let (id, index) = (record.record_id(), self.log.append(&record.encode()));
        self.records.push((record, index));
        id
    }

    /// A release with this content at `place`, which need not be the channel's next.
    pub(crate) fn release_at(
        &self,
        place: &Place,
        content: &[u8],
        by: &[u8],
    ) -> Result<SignedRecord, RecordError> {
        let (body, subject) = release_of(content);
        let (channel, chain, lifetime_s) = (self.name.clone(), Chain::Publish, LIFETIME_S);
        signed(&Draft { channel, chain, subject, body, audience: Audience::Public, lifetime_s }, place, by)
    }

    pub(crate) fn release(&mut self, content: &[u8], by: u8) -> RecordId {
        let (body, subject) = release_of(content);
        self.add(Chain::Publish, body, subject, &[by])
    }

    pub(crate) fn withdraw(
        &mut self,
        chain: Chain,
        record: RecordId,
        safe: Option<RecordId>,
        by: u8,
    ) -> RecordId {
        let action = safe.map_or(WithdrawAction::Stop, |safe| WithdrawAction::Rollback { safe });
        let body =
            WithdrawBody { records: vec![record], reason: WithdrawReason::Malicious, action, advisory: None };
        let subject = Subject::of_file("agent", sha256(b"x"));
        self.add(chain, Body::Withdraw(body), vec![subject], &[by])
    }

    pub(crate) fn head(&mut self, record: RecordId, by: u8) -> RecordId {
        let recovery = self.state().recovery_head().map(|head| head.record);
        let body = HeadBody { record, recovery };
        self.add(Chain::Publish, Body::Head(body), Vec::new(), &[by])
    }

    /// A review of `record`, in this channel as the reviewer's.
    pub(crate) fn review(&mut self, record: RecordId, result: ReviewResult, by: u8) -> RecordId {
        let body = ReviewBody {
            records: vec![record],
            kind: ReviewKind::Rebuild,
            result,
            coverage: None,
            findings: (result == ReviewResult::PassWithFindings).then(|| Findings {
                count: 1,
                max: Severity::Low,
                sha256: sha256(b"findings"),
            }),
            independence: Independence { paid_by: "nobody".into(), access: "source".into(), nda: false },
            report: sha256(b"report"),
        };
        let subject = Subject::of_file("agent", sha256(b"x"));
        self.add(Chain::Publish, Body::Review(body), vec![subject], &[by])
    }

    pub(crate) fn change(&mut self, to: &[u8], by: &[u8], cooldown_s: u64) -> RecordId {
        let by: Vec<u8> = by.iter().chain(to).copied().collect();
        self.add(Chain::Publish, Body::Change(keys(to, Some(9), cooldown_s)), Vec::new(), &by)
    }

    pub(crate) fn recover(&mut self, to: &[u8]) -> RecordId {
        let by: Vec<u8> = to.iter().chain(&[9]).copied().collect();
        self.add(Chain::Recovery, Body::Change(keys(to, Some(9), 100)), Vec::new(), &by)
    }

    /// The log's tree, cosigned by all witnesses at this time.
    pub(crate) fn note_at(&self, time: u64) -> SignedNote {
        let text = self.log.checkpoint_text(self.log.entries.len());
        let mut lines = vec![self.log.signer.sign(text.as_bytes())];
        lines.extend(self.log.witnesses.iter().map(|witness| witness.cosign(&text, seconds(time)).unwrap()));
        SignedNote::new(text, lines).unwrap()
    }

    /// The proof of a record in the whole tree, cosigned at this time.
    pub(crate) fn proof(&self, id: RecordId, time: u64) -> LogProof {
        let (_, index) = self.records.iter().find(|(record, _)| record.record_id() == id).unwrap();
        self.log.proof_with(*index, self.note_at(time))
    }

    /// The channel file of the whole channel, cosigned at this time.
    pub(crate) fn file(&self, time: u64) -> ChannelFile {
        self.file_from(0, time)
    }

    /// The same without the first records of the publish chain.
    pub(crate) fn file_from(&self, publish: u64, time: u64) -> ChannelFile {
        let chosen: Vec<_> = self
            .records
            .iter()
            .filter(|(record, _)| {
                let common = record.statement().predicate.common();
                common.chain == Chain::Recovery || common.seq >= publish
            })
            .collect();
        let note = self.note_at(time);
        let newest = |chain| {
            let of_chain = |(record, _): &&&(SignedRecord, LeafIndex)| {
                record.statement().predicate.common().chain == chain
            };
            let (_, index) = chosen.iter().rev().find(of_chain)?;
            let proof = self.log.proof_with(*index, note.clone()).proof().clone();
            Some(NewestProof { index: *index, proof })
        };
        let records = chosen.iter().map(|(record, _)| record.clone()).collect();
        ChannelFile::new(records, newest(Chain::Publish).unwrap(), newest(Chain::Recovery), note).unwrap()
    }

    /// Until when a record says it is fresh.
    pub(crate) fn expires(&self, id: RecordId) -> u64 {
        let (record, _) = self.records.iter().find(|(record, _)| record.record_id() == id).unwrap();
        let predicate: &Predicate = &record.statement().predicate;
        predicate.common().expires.unwrap().get()
    }
}

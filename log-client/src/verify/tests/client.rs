//! A client with one release and what it knows of the channel, for tests.

use indelible_proto::record::RecordId;

use super::*;
use crate::channel::KnownChannel;
use crate::test_channel::TestChannel;

/// When the channel's file and the artifact's proof were cosigned.
pub(super) const SEEN: u64 = 1_800_000_000;
pub(super) const COOLDOWN: u64 = 1000;

/// What a client has: one release, its proof, and what is known of the channel.
pub(super) struct Client {
    pub(super) channel: TestChannel,
    pub(super) policy: Policy,
    pub(super) trust: Trust,
    pub(super) known: Knowledge,
    pub(super) last: LastKnown,
    pub(super) rules: Rules,
    pub(super) reviewers: Reviewers,
    pub(super) now: u64,
}

impl Client {
    pub(super) fn of(channel: TestChannel) -> Self {
        let policy = channel.log.policy(2);
        let known = learn(None, &channel, SEEN);
        let trust = Trust::Channel(Box::new(TrustedChannel::from_known(&known).unwrap()));
        Self {
            channel,
            policy,
            trust,
            known: Knowledge::Channel(Box::new(known)),
            last: LastKnown::Nothing,
            rules: Rules::default(),
            reviewers: Reviewers::new(),
            now: SEEN + 10,
        }
    }

    /// The verdict on the release with this content, whose proof was cosigned at this time.
    pub(super) fn judge_at(&self, content: &[u8], id: RecordId, cosigned: u64) -> Verdict {
        verify(&Request {
            artifact: &file(content),
            proof: &self.channel.proof(id, cosigned),
            policy: &self.policy,
            trust: &self.trust,
            remembered: &Remembered::Nothing,
            last: &self.last,
            known: &self.known,
            reviewers: &self.reviewers,
            time: TrustedTime::new(seconds(self.now), None),
            rules: &self.rules,
        })
    }

    #[track_caller]
    pub(super) fn verifies(&self, content: &[u8], id: RecordId) -> Verdict {
        let verdict = self.judge_at(content, id, SEEN);
        assert_eq!(verdict.outcome(), Outcome::Verified, "{:#?}", verdict.checks());
        let open = verdict.checks().iter().find(|check| matches!(check.finding, Finding::Unknown { .. }));
        assert_eq!(open, None);
        verdict
    }

    #[track_caller]
    pub(super) fn fails_only(
        &self,
        content: &[u8],
        id: RecordId,
        expected: (CheckName, Outcome, &str),
    ) -> Verdict {
        let verdict = self.judge_at(content, id, SEEN);
        assert_fails(&verdict, expected);
        verdict
    }

    /// The last verified record of the channel.
    pub(super) fn remember(&mut self, seq: u64, head: RecordId) {
        self.last = LastKnown::Record(LastVerified { seq, head });
    }
}

#[track_caller]
pub(super) fn assert_fails(verdict: &Verdict, expected: (CheckName, Outcome, &str)) {
    let failed: Vec<_> = verdict
        .checks()
        .iter()
        .filter_map(|check| check.reason().map(|reason| (check.name, reason.outcome, reason.code)))
        .collect();
    assert_eq!(failed, [expected], "{:#?}", verdict.checks());
}

#[track_caller]
pub(super) fn learn(known: Option<&KnownChannel>, channel: &TestChannel, at: u64) -> KnownChannel {
    let time = TrustedTime::new(seconds(at), None);
    let policy = channel.log.policy(2);
    KnownChannel::learn(known, channel.genesis(), &channel.file(at), &policy, time).unwrap().0
}

pub(super) fn channel() -> TestChannel {
    TestChannel::new(CHANNEL, COOLDOWN)
}

pub(super) fn finding(verdict: &Verdict, name: CheckName) -> &Finding {
    &verdict.checks().iter().find(|check| check.name == name).unwrap().finding
}

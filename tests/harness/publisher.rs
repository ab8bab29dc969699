//! A publisher in memory: makes one record of a channel after the other, byte for byte as they are sent.

use indelible_client::publish::{Body, Draft, Place};
use indelible_proto::hash::sha256;
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::record::body::{ChannelBody, Owner, ReleaseBody};
use indelible_proto::record::{
    Audience, Chain, ChannelName, ChannelState, KeySet, SignedRecord, Statement, Subject, may_follow,
};
use indelible_proto::sign::{RecordSigner, SecretKey, Signer as _};
use indelible_proto::time::UnixSeconds;

/// The time of every record.
const ISSUED: u64 = 1_800_000_000;

/// The publisher of one channel.
#[derive(Clone, Debug)]
pub struct Publisher {
    channel: ChannelName,
    signer: RecordSigner,
    state: Option<ChannelState>,
}

impl Publisher {
    /// A publisher that has yet to open `channel`, with a key made of `seed`.
    ///
    /// # Panics
    ///
    /// If that cannot be a channel's name.
    pub fn new(channel: &str, seed: u8) -> Self {
        let name = KeyName::parse("vendor.example/publish").expect("a name for a key");
        let key = SecretKey::from_seed(KeyKind::Record, name, [seed; 32]);
        Self {
            channel: ChannelName::parse(channel).expect("a channel's name"),
            signer: RecordSigner::new(key).expect("a key that signs records"),
            state: None,
        }
    }

    /// The channel.
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// Signs the channel's records.
    pub fn signer(&self) -> &RecordSigner {
        &self.signer
    }

    /// The channel's next record: the one that opens it, then releases, each of an artifact with `content`.
    ///
    /// # Panics
    ///
    /// If no such record can be made.
    pub fn next(&self, content: &[u8]) -> SignedRecord {
        SignedRecord::sign(&self.next_statement(content), &[&self.signer]).expect("a record can be made")
    }

    /// What the next record says.
    pub fn next_statement(&self, content: &[u8]) -> Statement {
        let place = self.state.as_ref().map_or(Place::Genesis, |state| Place::After {
            seq: state.seq(),
            head: state.head(),
            keys: state.keys_record(),
        });
        let (subject, body) = match self.state {
            None => (Vec::new(), Body::Channel(self.opening())),
            Some(_) => (vec![artifact(content)], Body::Release(release())),
        };
        let draft = Draft {
            channel: self.channel.clone(),
            chain: Chain::Publish,
            subject,
            body,
            audience: Audience::Public,
            lifetime_s: 86_400,
        };
        draft.statement(&place, UnixSeconds::new(ISSUED).expect("a time"))
    }

    /// Goes on after `record`, which the log has taken.
    ///
    /// # Panics
    ///
    /// If it may not follow the records before it.
    pub fn accepted(&mut self, record: &SignedRecord) {
        let state = may_follow(self.state.as_ref(), record);
        self.state = Some(state.expect("the log takes only what may follow"));
    }

    fn opening(&self) -> ChannelBody {
        ChannelBody {
            owner: Owner { name: "Vendor Example AG".to_owned(), uri: "https://vendor.example".to_owned() },
            product: "pkg:generic/agent".to_owned(),
            signers: Some(KeySet::new(vec![self.signer.verifier().clone()], 1).expect("one key")),
            recovery: None,
            cooldown_s: 0,
            max_age_s: 86_400,
        }
    }
}

fn artifact(content: &[u8]) -> Subject {
    Subject::of_file("agent.tar.gz", sha256(content))
}

fn release() -> ReleaseBody {
    ReleaseBody { version: "1.0".to_owned(), purl: None, source: None, provenance: None, sbom: None }
}

//! Channels and the records of their vendors, signed as `indelible publish` signs them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use indelible_proto::hash::sha256;
use indelible_proto::note::{KeyKind, KeyName};
use indelible_proto::record::body::{ChannelBody, Owner, ReleaseBody, Source};
use indelible_proto::record::{
    Audience, Chain, ChannelName, Common, KeySet, Predicate, RecordId, SignedRecord, Statement, Subject,
};
use indelible_proto::sign::{RecordSigner, SecretKey, Signer as _};
use indelible_proto::time::UnixSeconds;

const DAY_S: u64 = 24 * 60 * 60;

/// The vendor's end of a channel: what the next record has to follow.
#[derive(Debug)]
pub struct Channel {
    name: ChannelName,
    signer: RecordSigner,
    /// The record that opened the channel, and the newest.
    records: Option<(RecordId, RecordId)>,
    seq: u64,
}

impl Channel {
    /// A channel that has no record yet. `number` tells it from others of one run.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn new(number: usize) -> Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).context("no randomness")?;
        let key = SecretKey::from_seed(KeyKind::Record, KeyName::parse("vendor.example/publish")?, seed);
        let name = ChannelName::parse(&format!("vendor.example/channel-{number}"))?;
        Ok(Self { name, signer: RecordSigner::new(key)?, records: None, seq: 0 })
    }

    /// Signs the channel's next record: the one that opens it, then releases with leaves of about 1 KB.
    ///
    /// # Errors
    /// If the record breaks a rule of the format.
    pub fn sign_next(&mut self) -> Result<SignedRecord> {
        let statement = match self.records {
            None => self.opening()?,
            Some((opening, newest)) => self.release(opening, newest)?,
        };
        let record = SignedRecord::sign(&statement, &[&self.signer])?;
        let id = record.record_id();
        self.records = Some((self.records.map_or(id, |(opening, _)| opening), id));
        self.seq += 1;
        Ok(record)
    }

    /// The key that signs the channel's records.
    pub fn signer(&self) -> &RecordSigner {
        &self.signer
    }

    /// The artifact of the newest release.
    pub fn artifact(&self) -> String {
        artifact(&version(self.seq.saturating_sub(1)))
    }

    fn opening(&self) -> Result<Statement> {
        let body = ChannelBody {
            owner: Owner { name: "Vendor Example".to_owned(), uri: "https://vendor.example/".to_owned() },
            product: "pkg:generic/vendor.example/product".to_owned(),
            signers: Some(KeySet::new(vec![self.signer.verifier().clone()], 1)?),
            recovery: None,
            cooldown_s: 3 * DAY_S,
            max_age_s: 14 * DAY_S,
        };
        let predicate = Predicate::Channel(self.common(None, None, None)?, body);
        Ok(Statement { subject: vec![Subject::of_channel(&self.name)], predicate })
    }

    fn release(&self, opening: RecordId, newest: RecordId) -> Result<Statement> {
        let version = version(self.seq);
        let digest = |what: &str| sha256(format!("{what} of {version}").as_bytes());
        let body = ReleaseBody {
            version: version.clone(),
            purl: Some(format!("pkg:generic/vendor.example/product@{version}")),
            source: Some(Source {
                uri: "git+https://git.vendor.example/product".to_owned(),
                git_commit: digest("source").to_hex(),
            }),
            provenance: Some(digest("provenance")),
            sbom: Some(digest("bill of materials")),
        };
        let name = format!("product-{version}-x86_64.tar.gz");
        let subject = Subject::of_file(name, sha256(artifact(&version).as_bytes()));
        let predicate = Predicate::Release(self.common(Some(newest), Some(opening), Some(90 * DAY_S))?, body);
        Ok(Statement { subject: vec![subject], predicate })
    }

    fn common(
        &self,
        prev: Option<RecordId>,
        keys: Option<RecordId>,
        lifetime_s: Option<u64>,
    ) -> Result<Common> {
        let issued = now()?;
        let expires = lifetime_s.map(|seconds| UnixSeconds::new(issued.get() + seconds)).transpose()?;
        Ok(Common {
            channel: self.name.clone(),
            seq: self.seq,
            prev,
            keys,
            issued,
            expires,
            audience: Audience::Public,
            chain: Chain::Publish,
            extensions: BTreeMap::new(),
        })
    }
}

fn version(seq: u64) -> String {
    format!("1.{seq}.0")
}

fn artifact(version: &str) -> String {
    format!("artifact of {version}")
}

/// The time.
///
/// # Errors
/// If the clock is before 1970.
pub fn now() -> Result<UnixSeconds> {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(UnixSeconds::new(since_epoch.as_secs())?)
}

//! The bundle that a record speaks of, once the record is verified.

use indelible_proto::hash::sha256;
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::Predicate;
use indelible_proto::size::TreeSize;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::TreeHead;

use crate::files::{ArtifactDigest, FileDigest};
use crate::verify::{
    CheckName, Knowledge, LastKnown, Outcome, Reason, Remembered, Request, Reviewers, Rules, Trust,
    TrustedTime, verify,
};

/// Root and number of files of the bundle in a rules record, if the record is logged, witnessed and signed by
/// whom the caller trusts. Every check runs but the one of the artifact: a bundle proof takes its place. Nothing
/// is remembered, nor compared with what is. `clock` is what this machine's clock says.
pub fn bundle_of_record(
    proof: &LogProof,
    policy: &Policy,
    trust: &Trust,
    clock: UnixSeconds,
) -> Result<TreeHead, Reason> {
    let nothing = ArtifactDigest::File(FileDigest { sha256: sha256(b""), bytes: 0 });
    let verdict = verify(&Request {
        artifact: &nothing,
        proof,
        policy,
        trust,
        remembered: &Remembered::NotKept,
        last: &LastKnown::NotKept,
        known: &Knowledge::Nothing,
        reviewers: &Reviewers::new(),
        time: TrustedTime::new(clock, None),
        rules: &Rules::default(),
    });
    let failed = verdict.checks().iter().rev().filter(|check| check.name != CheckName::Artifact);
    // Of equally grave ones the first check's, as in a verdict.
    if let Some(reason) = failed.filter_map(|check| check.reason()).max_by_key(|reason| reason.outcome) {
        return Err(reason.clone());
    }
    let record = verdict.record().filter(|_| verdict.logged().is_some());
    let predicate = record.map(|record| &record.statement().predicate);
    let Some(Predicate::Rules(_, rules)) = predicate else {
        return Err(no_bundle("the record is verified, but it is not one of rules and has no bundle"));
    };
    let size = TreeSize::new(rules.bundle.files).map_err(|error| no_bundle(&error.to_string()))?;
    Ok(TreeHead { size, root: rules.bundle.root })
}

fn no_bundle(message: &str) -> Reason {
    Reason {
        outcome: Outcome::Refused,
        code: "record-of-no-bundle",
        message: message.to_owned(),
        next: "name the .tlog-proof of the rules that the files are said to belong to".to_owned(),
    }
}

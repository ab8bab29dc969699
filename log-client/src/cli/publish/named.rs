//! Records that a new one names: each is proved to be in a log of the policy, since nobody should speak about a record
//! that is not there.

use std::path::{Path, PathBuf};

use indelible_proto::hash::leaf_hash;
use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::body::MAX_NAMED_RECORDS;
use indelible_proto::record::{ChannelName, Predicate, RecordId, SignedRecord, Subject};

use super::super::exit::Failure;
use super::super::inputs::read_input;
use super::Place;
use crate::publish::artifacts_of;

/// Records by their proof files.
pub(super) struct NamedRecords {
    records: Vec<SignedRecord>,
}

impl NamedRecords {
    pub(super) fn read(files: &[PathBuf], policy: &Policy) -> Result<Self, Failure> {
        if files.len() > MAX_NAMED_RECORDS {
            let message = format!("{} records, one record names at most {MAX_NAMED_RECORDS}", files.len());
            return Err(Failure::usage("too-many-records", message, "name the others in another record"));
        }
        let records = files.iter().map(|file| proved_record(file, policy)).collect::<Result<_, _>>()?;
        Ok(Self { records })
    }

    /// The same, each of this channel.
    pub(super) fn of_channel(
        files: &[PathBuf],
        policy: &Policy,
        channel: &ChannelName,
    ) -> Result<Self, Failure> {
        let named = Self::read(files, policy)?;
        named.records.iter().zip(files).try_for_each(|(record, file)| of_channel(record, file, channel))?;
        Ok(named)
    }

    /// Their ids in order, each once.
    pub(super) fn ids(&self) -> Vec<RecordId> {
        let mut ids: Vec<RecordId> = self.records.iter().map(SignedRecord::record_id).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Their artifacts.
    pub(super) fn artifacts(&self) -> Result<Vec<Subject>, Failure> {
        let next = "name the records in several, each in one of its own";
        artifacts_of(&self.records).map_err(|error| Failure::usage(error.code(), error, next))
    }
}

/// The record in a proof file.
pub(in crate::cli) fn proved_record(file: &Path, policy: &Policy) -> Result<SignedRecord, Failure> {
    const NEXT: &str = "name the .tlog-proof of the record, and the policy it was published under";
    let bytes = read_input(file, LogProof::MAX_BYTES, "a proof", NEXT)?;
    let refused =
        |code, why: &dyn std::fmt::Display| Failure::usage(code, format!("{}: {why}", file.display()), NEXT);
    let proof = LogProof::parse(&bytes).map_err(|error| refused(error.code(), &error))?;
    let leaf = proof.extra().ok_or_else(|| refused("proof-without-record", &"there is no record in it"))?;
    proof.verify(&leaf_hash(leaf), policy).map_err(|error| refused(error.code(), &error))?;
    SignedRecord::parse(leaf).map_err(|error| refused(error.code(), &error))
}

/// Refuses a record of another channel than `channel`: it would have no effect there.
pub(in crate::cli) fn of_channel(
    record: &SignedRecord,
    file: &Path,
    channel: &ChannelName,
) -> Result<(), Failure> {
    let other = &record.statement().predicate.common().channel;
    if other == channel {
        return Ok(());
    }
    let message = format!("{} is of channel {other}, not of {channel}", file.display());
    Err(Failure::usage("record-other-channel", message, "name the proof of a record of this channel"))
}

/// The record in a proof file, which has to be one that users may install as far as is known here: nothing else is gone
/// back to or renewed.
pub(super) fn installable(file: &Path, place: &Place) -> Result<SignedRecord, Failure> {
    let record = proved_record(file, place.publication.policy())?;
    of_channel(&record, file, &place.channel)?;
    if !matches!(record.statement().predicate, Predicate::Release(..) | Predicate::Rules(..)) {
        let message = format!("{} is neither of a release nor of rules", file.display());
        return Err(Failure::usage(
            "record-not-installable",
            message,
            "name the proof of a release or of rules",
        ));
    }
    if let Some(by) = place.publication.withdrawn_by(&place.channel, record.record_id())? {
        let message = format!("the record in {} was withdrawn by record {by}", file.display());
        let next = "name the proof of a release or of rules that nobody has withdrawn";
        return Err(Failure::usage("record-withdrawn", message, next));
    }
    Ok(record)
}

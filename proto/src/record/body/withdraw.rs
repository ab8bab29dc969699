//! `withdraw`: do not install, or go back.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::{read_records, words, write_records};
use crate::hash::Hash;
use crate::record::RecordId;
use crate::record::fields::{Field, FieldError, Fields, StatementError};
use crate::record::json::{ObjectBuilder, Value};

/// A withdrawal of earlier records of the channel. It deletes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithdrawBody {
    /// What is withdrawn: 1 to [`MAX_NAMED_RECORDS`](super::MAX_NAMED_RECORDS) records, sorted, none twice.
    pub records: Vec<RecordId>,
    /// Why.
    pub reason: WithdrawReason,
    /// What whoever has it should do.
    pub action: WithdrawAction,
    /// Where to read about it.
    pub advisory: Option<Advisory>,
}

/// Why records are withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawReason {
    /// It does not work as it should.
    Defective,
    /// It does harm on purpose.
    Malicious,
    /// Somebody else may have signed it.
    KeyCompromise,
    /// It must not be distributed.
    Legal,
}

/// What to do about withdrawn records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawAction {
    /// Do not install it; what is installed may stay.
    Stop,
    /// Go back to the earlier record `safe`. Whether that is one of the channel, and not withdrawn itself, is
    /// for the client to find out.
    Rollback {
        /// The record to go back to.
        safe: RecordId,
    },
    /// Remove it.
    Uninstall,
}

/// A document, by place and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory {
    /// Where it is.
    pub uri: String,
    /// SHA-256 of what is there.
    pub sha256: Hash,
}

words!(WithdrawReason, "a reason to withdraw", {
    Defective => "defective",
    Malicious => "malicious",
    KeyCompromise => "key-compromise",
    Legal => "legal",
});

impl WithdrawAction {
    /// The action as records write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Rollback { .. } => "rollback",
            Self::Uninstall => "uninstall",
        }
    }

    /// The record to go back to, if that is what to do.
    pub fn safe(self) -> Option<RecordId> {
        match self {
            Self::Rollback { safe } => Some(safe),
            Self::Stop | Self::Uninstall => None,
        }
    }

    fn read(action: &Field<'_>, safe: Option<Field<'_>>) -> Result<Self, StatementError> {
        match (action.str()?, safe) {
            ("rollback", Some(safe)) => Ok(Self::Rollback { safe: safe.record_id()? }),
            ("rollback", None) => Err(FieldError::Missing.at(SAFE)),
            ("stop" | "uninstall", Some(_)) => Err(FieldError::NotAllowed.at(SAFE)),
            ("stop", None) => Ok(Self::Stop),
            ("uninstall", None) => Ok(Self::Uninstall),
            _ => Err(action.error(FieldError::Form { expected: "stop, rollback or uninstall" })),
        }
    }
}

const SAFE: &str = "predicate.safe";

impl WithdrawBody {
    pub(in crate::record) fn write(&self, object: ObjectBuilder) -> ObjectBuilder {
        object
            .with("records", write_records(&self.records))
            .with("reason", self.reason.as_str())
            .with("action", self.action.as_str())
            .with_some("safe", self.action.safe().map(|id| id.to_string()))
            .with_some("advisory", self.advisory.as_ref().map(Advisory::to_value))
    }

    pub(in crate::record) fn read(fields: &mut Fields<'_>) -> Result<Self, StatementError> {
        let records = read_records(fields)?;
        let reason = WithdrawReason::read(&fields.required("predicate.reason")?)?;
        let action = WithdrawAction::read(&fields.required("predicate.action")?, fields.optional(SAFE))?;
        let advisory = fields.optional("predicate.advisory").map(Advisory::read).transpose()?;
        if action.safe().is_some_and(|safe| records.contains(&safe)) {
            return Err(FieldError::Disagrees { other: "predicate.records" }.at(SAFE));
        }
        Ok(Self { records, reason, action, advisory })
    }
}

impl Advisory {
    fn to_value(&self) -> Value {
        ObjectBuilder::new().with("uri", self.uri.as_str()).with("sha256", self.sha256.to_hex()).build()
    }

    fn read(field: Field<'_>) -> Result<Self, StatementError> {
        let mut fields = field.object()?;
        let uri = fields.required("predicate.advisory.uri")?.uri()?;
        let sha256 = fields.required("predicate.advisory.sha256")?.hash()?;
        fields.finish()?;
        Ok(Self { uri, sha256 })
    }
}

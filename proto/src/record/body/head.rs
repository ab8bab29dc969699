//! `head`: a heartbeat.

use alloc::string::ToString as _;

use crate::record::RecordId;
use crate::record::fields::{Fields, StatementError};
use crate::record::json::ObjectBuilder;

/// The longest time from a head's `issued` to its `expires`, 31 days, in seconds: what says that nothing is
/// newer must not say so for long.
pub const MAX_HEAD_PERIOD_S: u64 = 31 * 24 * 60 * 60;

/// That a channel has nothing newer: on the publish chain than this record's `prev`, on the recovery chain
/// than [`HeadBody::recovery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadBody {
    /// The record whose `expires` this one renews. Whether it is one of the channel that can be renewed is for
    /// the client to find out.
    pub record: RecordId,
    /// The newest record of the recovery chain, once it has one.
    pub recovery: Option<RecordId>,
}

impl HeadBody {
    pub(in crate::record) fn write(self, object: ObjectBuilder) -> ObjectBuilder {
        object
            .with("record", self.record.to_string())
            .with_some("recovery", self.recovery.map(|id| id.to_string()))
    }

    pub(in crate::record) fn read(fields: &mut Fields<'_>) -> Result<Self, StatementError> {
        Ok(Self {
            record: fields.required("predicate.record")?.record_id()?,
            recovery: fields.optional("predicate.recovery").map(|field| field.record_id()).transpose()?,
        })
    }
}

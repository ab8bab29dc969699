//! The statement: an in-toto Statement v1 with the predicates of `docs/records.md`, sections 3 and 4. Its subjects
//! are in [`super::subject`], the fields of the single types in [`super::body`].

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::RecordId;
use super::body::{
    ChannelBody, HeadBody, MAX_HEAD_PERIOD_S, ReleaseBody, ReviewBody, RulesBody, WithdrawBody, words,
};
use super::channel_name::ChannelName;
use super::fields::{Field, FieldError, Fields, StatementError};
use super::json::{MAX_INTEGER, ObjectBuilder, Read, Value};
use super::subject::Subject;
use crate::hash::Hash;
use crate::time::UnixSeconds;

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// Names of types that a later version may give a meaning.
const RESERVED_TYPES: [&str; 2] = ["promote", "notice"];
/// The longest name of an extension field, without its `x-`.
const MAX_EXTENSION_NAME_BYTES: usize = 62;

/// What a record says: about which artifacts, and what about them.
///
/// The fields are plain, so that a publisher can fill them in; [`super::SignedRecord`] checks them against
/// the schema before anything is signed, and a statement taken from one has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The artifacts, sorted by name.
    pub subject: Vec<Subject>,
    /// What is said about them.
    pub predicate: Predicate,
}

/// What a record says, by type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// Birth of a channel, or a change of its keys or policy.
    Channel(Common, ChannelBody),
    /// A software release.
    Release(Common, ReleaseBody),
    /// An update of detection rules or of a database.
    Rules(Common, RulesBody),
    /// Do not install, or go back.
    Withdraw(Common, WithdrawBody),
    /// A third party's statement about earlier records.
    Review(Common, ReviewBody),
    /// A heartbeat.
    Head(Common, HeadBody),
}

/// The fields every predicate has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// The scope of order and trust.
    pub channel: ChannelName,
    /// Position in its chain, `0..=2^53-1`; 0 of the publish chain is the genesis.
    pub seq: u64,
    /// The previous record of its chain; `None` only at `seq` 0.
    pub prev: Option<RecordId>,
    /// The channel record that names the keys in force before this one; `None` only in the genesis.
    pub keys: Option<RecordId>,
    /// When the publisher says it was made.
    pub issued: UnixSeconds,
    /// Until when it is fresh. Never there in `channel` and `withdraw`, always in the other types.
    pub expires: Option<UnixSeconds>,
    /// Whom it is for.
    pub audience: Audience,
    /// Which chain of the channel it is in.
    pub chain: Chain,
    /// Fields whose names start with `x-`, kept as they are and without meaning here.
    pub extensions: BTreeMap<String, Value>,
}

/// Whom a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everybody who follows the channel.
    Public,
    /// Declared as meant for some only.
    Cohort {
        /// SHA-256 that tells members of the cohort that they are meant.
        cohort: Hash,
        /// Why it is not for everybody.
        reason: CohortReason,
    },
}

/// Why a record is not for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CohortReason {
    /// A fix for those who need it at once.
    Hotfix,
    /// Only for some regions.
    Region,
    /// Only for some licences.
    Licence,
    /// For testers.
    Beta,
}

/// The chains of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chain {
    /// The chain everything is published in.
    Publish,
    /// The recovery keys' own, which the publish keys cannot hold up.
    Recovery,
}

impl Chain {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Recovery => "recovery",
        }
    }
}

impl Statement {
    /// The statement's canonical form.
    pub fn encode(&self) -> Vec<u8> {
        let subject: Vec<Value> = self.subject.iter().map(Subject::to_value).collect();
        ObjectBuilder::new()
            .with("_type", STATEMENT_TYPE)
            .with("predicateType", self.predicate.type_uri())
            .with("predicate", self.predicate.to_value())
            .with("subject", subject)
            .build()
            .encode()
            .into_bytes()
    }

    /// What a canonical value says.
    pub(super) fn of(value: Read<'_>) -> Result<Self, StatementError> {
        let mut fields = Fields::new("statement", value)?;
        let statement_type = fields.required("_type")?;
        if statement_type.str()? != STATEMENT_TYPE {
            return Err(statement_type.error(FieldError::Form { expected: STATEMENT_TYPE }));
        }
        let predicate_type = fields.required("predicateType")?;
        let predicate = Predicate::read(&predicate_type, fields.required("predicate")?.object()?)?;
        let subject = Subject::read_all(fields.required("subject")?)?;
        fields.finish()?;
        let statement = Self { subject, predicate };
        statement.check_subject()?;
        Ok(statement)
    }

    /// The rules that bind the subject to the type, `docs/records.md`, sections 3 and 5.
    fn check_subject(&self) -> Result<(), StatementError> {
        let publishes = matches!(&self.predicate, Predicate::Release(..) | Predicate::Rules(..));
        if !publishes && self.subject.iter().any(|subject| subject.platform.is_some()) {
            return Err(FieldError::NotAllowed.at("subject[].annotations"));
        }
        match &self.predicate {
            Predicate::Channel(common, _) | Predicate::Head(common, _) => {
                if self.subject == [Subject::of_channel(&common.channel)] {
                    return Ok(());
                }
                Err(FieldError::Disagrees { other: "predicate.channel" }.at("subject"))
            }
            Predicate::Release(..) | Predicate::Withdraw(..) | Predicate::Review(..) => Ok(()),
            Predicate::Rules(..) => {
                if self.subject.iter().filter(|subject| subject.dir_hash1.is_some()).count() == 1 {
                    return Ok(());
                }
                Err(FieldError::Form { expected: "a list with exactly one dirHash1" }.at("subject"))
            }
        }
    }
}

impl Predicate {
    /// The fields every type has.
    pub fn common(&self) -> &Common {
        match self {
            Self::Channel(common, _)
            | Self::Release(common, _)
            | Self::Rules(common, _)
            | Self::Withdraw(common, _)
            | Self::Review(common, _)
            | Self::Head(common, _) => common,
        }
    }

    /// The type's short name, such as `release`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Channel(..) => "channel",
            Self::Release(..) => "release",
            Self::Rules(..) => "rules",
            Self::Withdraw(..) => "withdraw",
            Self::Review(..) => "review",
            Self::Head(..) => "head",
        }
    }

    /// The in-toto `predicateType`.
    pub fn type_uri(&self) -> &'static str {
        match self {
            Self::Channel(..) => "urn:indelible:channel:v1",
            Self::Release(..) => "urn:indelible:release:v1",
            Self::Rules(..) => "urn:indelible:rules:v1",
            Self::Withdraw(..) => "urn:indelible:withdraw:v1",
            Self::Review(..) => "urn:indelible:review:v1",
            Self::Head(..) => "urn:indelible:head:v1",
        }
    }

    fn to_value(&self) -> Value {
        let object = self.common().write(ObjectBuilder::new());
        match self {
            Self::Channel(_, body) => body.write(object),
            Self::Release(_, body) => body.write(object),
            Self::Rules(_, body) => body.write(object),
            Self::Withdraw(_, body) => body.write(object),
            Self::Review(_, body) => body.write(object),
            Self::Head(_, body) => body.write(object),
        }
        .build()
    }

    fn read(type_uri: &Field<'_>, mut fields: Fields<'_>) -> Result<Self, StatementError> {
        type Read = fn(Common, &mut Fields<'_>) -> Result<Predicate, StatementError>;
        let name = type_uri.str()?.strip_prefix("urn:indelible:").and_then(|rest| rest.strip_suffix(":v1"));
        let read: Read = match name {
            Some("channel") => |common, fields| Ok(Self::Channel(common, ChannelBody::read(fields)?)),
            Some("release") => |common, fields| Ok(Self::Release(common, ReleaseBody::read(fields)?)),
            Some("rules") => |common, fields| Ok(Self::Rules(common, RulesBody::read(fields)?)),
            Some("withdraw") => |common, fields| Ok(Self::Withdraw(common, WithdrawBody::read(fields)?)),
            Some("review") => |common, fields| Ok(Self::Review(common, ReviewBody::read(fields)?)),
            Some("head") => |common, fields| Ok(Self::Head(common, HeadBody::read(fields)?)),
            Some(name) if RESERVED_TYPES.contains(&name) => {
                return Err(type_uri.error(FieldError::ReservedType));
            }
            _ => return Err(type_uri.error(FieldError::Form { expected: "a record type" })),
        };
        let common = Common::read(&mut fields)?;
        let predicate: Self = read(common, &mut fields)?;
        fields.finish()?;
        predicate.check_common()?;
        Ok(predicate)
    }

    /// The rules of `docs/records.md`, section 4, on which common fields a type and position needs.
    fn check_common(&self) -> Result<(), StatementError> {
        let (common, recovery) = (self.common(), self.common().chain == Chain::Recovery);
        let genesis = common.seq == 0 && !recovery;
        if recovery && !matches!(self, Self::Channel(..) | Self::Withdraw(..)) {
            return Err(FieldError::NotAllowed.at("predicate.chain"));
        }
        if genesis && !matches!(self, Self::Channel(..)) {
            return Err(FieldError::NotAllowed.at("predicate.seq"));
        }
        present(common.prev.is_some(), common.seq > 0, "predicate.prev")?;
        present(common.keys.is_some(), !genesis, "predicate.keys")?;
        let lasting = matches!(self, Self::Channel(..) | Self::Withdraw(..));
        present(common.expires.is_some(), !lasting, "predicate.expires")?;
        if let Some(expires) = common.expires {
            if expires <= common.issued {
                return Err(FieldError::Disagrees { other: "predicate.issued" }.at("predicate.expires"));
            }
            let (got, max) = (expires.get().saturating_sub(common.issued.get()), MAX_HEAD_PERIOD_S);
            if matches!(self, Self::Head(..)) && got > max {
                return Err(FieldError::Range { got, min: 1, max }.at("predicate.expires"));
            }
        }
        match self {
            Self::Channel(_, body) if recovery => {
                present(body.recovery.is_some(), true, "predicate.recovery")
            }
            Self::Channel(_, body) => present(body.signers.is_some(), true, "predicate.signers"),
            _ => Ok(()),
        }
    }
}

impl Common {
    fn write(&self, object: ObjectBuilder) -> ObjectBuilder {
        let object =
            self.extensions.iter().fold(object, |object, (name, value)| object.with(name, value.clone()));
        object
            .with("channel", self.channel.as_str())
            .with("seq", self.seq)
            .with_some("prev", self.prev.map(|id| id.to_string()))
            .with_some("keys", self.keys.map(|id| id.to_string()))
            .with("issued", self.issued.to_string())
            .with_some("expires", self.expires.map(|time| time.to_string()))
            .with("audience", self.audience.to_value())
            .with_some("chain", (self.chain == Chain::Recovery).then_some("recovery"))
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, StatementError> {
        let channel = fields.required("predicate.channel")?;
        let channel = ChannelName::parse(channel.str()?)
            .map_err(|error| channel.error(FieldError::ChannelName(error)))?;
        let id = |field: Option<Field<'_>>| field.map(|field| field.record_id()).transpose();
        Ok(Self {
            channel,
            seq: fields.required("predicate.seq")?.integer(0, MAX_INTEGER)?,
            prev: id(fields.optional("predicate.prev"))?,
            keys: id(fields.optional("predicate.keys"))?,
            issued: fields.required("predicate.issued")?.time()?,
            expires: fields.optional("predicate.expires").map(|field| field.time()).transpose()?,
            audience: Audience::read(fields.required("predicate.audience")?)?,
            chain: Chain::read(fields.optional("predicate.chain"))?,
            extensions: fields.take_matching(is_extension),
        })
    }
}

impl Audience {
    fn to_value(self) -> Value {
        match self {
            Self::Public => "public".into(),
            Self::Cohort { cohort, reason } => {
                ObjectBuilder::new().with("cohort", cohort.to_hex()).with("reason", reason.as_str()).build()
            }
        }
    }

    fn read(field: Field<'_>) -> Result<Self, StatementError> {
        if field.str() == Ok("public") {
            return Ok(Self::Public);
        }
        let mut fields = field.object()?;
        let cohort = fields.required("predicate.audience.cohort")?.hash()?;
        let reason = CohortReason::read(&fields.required("predicate.audience.reason")?)?;
        fields.finish()?;
        Ok(Self::Cohort { cohort, reason })
    }
}

words!(CohortReason, "hotfix, region, licence or beta", {
    Hotfix => "hotfix",
    Region => "region",
    Licence => "licence",
    Beta => "beta",
});

impl Chain {
    fn read(field: Option<Field<'_>>) -> Result<Self, StatementError> {
        let Some(field) = field else {
            return Ok(Self::Publish);
        };
        match field.str()? {
            "recovery" => Ok(Self::Recovery),
            _ => Err(field.error(FieldError::Form { expected: "\"recovery\"" })),
        }
    }
}

fn present(is: bool, expected: bool, field: &'static str) -> Result<(), StatementError> {
    match (is, expected) {
        (true, false) => Err(FieldError::NotAllowed.at(field)),
        (false, true) => Err(FieldError::Missing.at(field)),
        _ => Ok(()),
    }
}

fn is_extension(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("x-") else {
        return false;
    };
    (1..=MAX_EXTENSION_NAME_BYTES).contains(&rest.len())
        && rest.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

//! The fields of the single record types, `docs/records.md`, section 5.

mod head;
mod review;
mod withdraw;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::RecordId;
use super::fields::{Field, FieldError, Fields, StatementError};
use super::json::{MAX_INTEGER, ObjectBuilder, Value};
use super::key_set::{KeySet, signer_order};
use super::subject::MAX_NAME_BYTES;
use crate::bundle_tree::BundleTree;
use crate::hash::Hash;

pub use head::{HeadBody, MAX_HEAD_PERIOD_S};
pub use review::{Coverage, Findings, Independence, ReviewBody, ReviewKind, ReviewResult, Severity};
pub use withdraw::{Advisory, WithdrawAction, WithdrawBody, WithdrawReason};

/// The longest period a channel can ask for, 366 days, in seconds: a longer one is a mistake in its unit.
pub const MAX_PERIOD_S: u64 = 366 * 24 * 60 * 60;

/// The most records that one record names: as many as fit beside the longest list of artifacts.
pub const MAX_NAMED_RECORDS: usize = 32;

const MAX_VERSION_BYTES: usize = 255;
const MAX_FORMAT_BYTES: usize = 64;
const TREE_TYPE: &str = "sha256sum-rfc6962-v1";

/// Birth of a channel, or a change of its keys or policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelBody {
    /// Who owns the channel.
    pub owner: Owner,
    /// Package URL of the product the channel is about.
    pub product: String,
    /// Who may sign the publish chain from the next record on. `None` only on the recovery chain: nobody, the
    /// publish chain is frozen.
    pub signers: Option<KeySet>,
    /// Who signs the recovery chain. Shares no key with `signers`. Always there on the recovery chain.
    pub recovery: Option<KeySet>,
    /// How long a change of keys waits in witness time before clients follow it, in seconds.
    pub cooldown_s: u64,
    /// Age of a checkpoint from which clients call the channel stale, in seconds.
    pub max_age_s: u64,
}

/// Who owns a channel, in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Printable ASCII, 1 to 255 bytes.
    pub name: String,
    /// Where to find the owner.
    pub uri: String,
}

/// A software release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseBody {
    /// The version, 1 to 255 bytes without spaces.
    pub version: String,
    /// Package URL of what is released.
    pub purl: Option<String>,
    /// The source it was built from.
    pub source: Option<Source>,
    /// SHA-256 of the build provenance.
    pub provenance: Option<Hash>,
    /// SHA-256 of the bill of materials.
    pub sbom: Option<Hash>,
}

/// The source of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where the source is.
    pub uri: String,
    /// The commit: 40 or 64 lower-case hexadecimal digits.
    pub git_commit: String,
}

/// An update of detection rules or of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesBody {
    /// The version, 1 to 255 bytes without spaces.
    pub version: String,
    /// What the rules are written in, 1 to 64 bytes without spaces.
    pub format: String,
    /// Which engines can read them.
    pub engine: Option<Engine>,
    /// The files.
    pub bundle: Bundle,
    /// What changed since an earlier record, as the publisher counts it.
    pub delta: Option<Delta>,
    /// SHA-256 of the test results.
    pub tests: Option<Hash>,
}

/// The engines a rule bundle is for. Versions are compared by the engine, not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// The engine's name, 1 to 64 bytes without spaces.
    pub name: String,
    /// The oldest version that can read the bundle.
    pub min: Option<String>,
    /// The newest version that can read the bundle.
    pub max: Option<String>,
}

/// A bundle's files as a tree, see [`crate::bundle_tree`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Root of the bundle tree.
    pub root: Hash,
    /// How many files, `1..=`[`BundleTree::MAX_FILES`].
    pub files: u64,
    /// How many bytes the files have together, `0..=2^53-1`.
    pub bytes: u64,
}

/// What changed since an earlier record. Not checked by anybody but the reader of both bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The earlier record.
    pub from: RecordId,
    /// Files added.
    pub added: u64,
    /// Files changed.
    pub changed: u64,
    /// Files removed.
    pub removed: u64,
}

impl ChannelBody {
    pub(super) fn write(&self, object: ObjectBuilder) -> ObjectBuilder {
        let owner =
            ObjectBuilder::new().with("name", self.owner.name.as_str()).with("uri", self.owner.uri.as_str());
        let recovery = self.recovery.as_ref().map(|set| write_key_set(ObjectBuilder::new(), set).build());
        let object = match &self.signers {
            Some(signers) => write_key_set(object, signers),
            None => object,
        };
        object
            .with("owner", owner.build())
            .with("product", self.product.as_str())
            .with_some("recovery", recovery)
            .with("cooldown", self.cooldown_s)
            .with("maxAge", self.max_age_s)
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, StatementError> {
        let mut owner = fields.required("predicate.owner")?.object()?;
        let body = Self {
            owner: Owner {
                name: owner.required("predicate.owner.name")?.text(MAX_NAME_BYTES)?,
                uri: owner.required("predicate.owner.uri")?.uri()?,
            },
            product: fields.required("predicate.product")?.purl()?,
            signers: read_signers(
                fields.optional("predicate.threshold"),
                fields.optional("predicate.signers"),
            )?,
            recovery: fields.optional("predicate.recovery").map(read_recovery).transpose()?,
            cooldown_s: fields.required("predicate.cooldown")?.integer(0, MAX_PERIOD_S)?,
            max_age_s: fields.required("predicate.maxAge")?.integer(1, MAX_PERIOD_S)?,
        };
        owner.finish()?;
        if let (Some(signers), Some(recovery)) = (&body.signers, &body.recovery)
            && recovery.overlaps(signers)
        {
            return Err(FieldError::Disagrees { other: "predicate.signers" }.at("predicate.recovery"));
        }
        Ok(body)
    }
}

impl ReleaseBody {
    pub(super) fn write(&self, object: ObjectBuilder) -> ObjectBuilder {
        object
            .with("version", self.version.as_str())
            .with_some("purl", self.purl.as_deref())
            .with_some("source", self.source.as_ref().map(Source::to_value))
            .with_some("provenance", self.provenance.map(write_digest))
            .with_some("sbom", self.sbom.map(write_digest))
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, StatementError> {
        Ok(Self {
            version: fields.required("predicate.version")?.word(MAX_VERSION_BYTES)?,
            purl: fields.optional("predicate.purl").map(|field| field.purl()).transpose()?,
            source: fields.optional("predicate.source").map(Source::read).transpose()?,
            provenance: digest(fields.optional("predicate.provenance"), "predicate.provenance.sha256")?,
            sbom: digest(fields.optional("predicate.sbom"), "predicate.sbom.sha256")?,
        })
    }
}

impl Source {
    fn to_value(&self) -> Value {
        let digest = ObjectBuilder::new().with("gitCommit", self.git_commit.as_str());
        ObjectBuilder::new().with("uri", self.uri.as_str()).with("digest", digest.build()).build()
    }

    fn read(field: Field<'_>) -> Result<Self, StatementError> {
        let mut fields = field.object()?;
        let uri = fields.required("predicate.source.uri")?.uri()?;
        let mut digest = fields.required("predicate.source.digest")?.object()?;
        fields.finish()?;
        let commit = digest.required("predicate.source.digest.gitCommit")?;
        digest.finish()?;
        let text = commit.str()?;
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !matches!(text.len(), 40 | 64) || !is_hex {
            let expected = "40 or 64 lower-case hexadecimal digits";
            return Err(commit.error(FieldError::Form { expected }));
        }
        Ok(Self { uri, git_commit: text.into() })
    }
}

impl RulesBody {
    pub(super) fn write(&self, object: ObjectBuilder) -> ObjectBuilder {
        object
            .with("version", self.version.as_str())
            .with("format", self.format.as_str())
            .with_some("engine", self.engine.as_ref().map(Engine::to_value))
            .with("bundle", self.bundle.to_value())
            .with_some("delta", self.delta.map(Delta::to_value))
            .with_some("tests", self.tests.map(write_digest))
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, StatementError> {
        Ok(Self {
            version: fields.required("predicate.version")?.word(MAX_VERSION_BYTES)?,
            format: fields.required("predicate.format")?.word(MAX_FORMAT_BYTES)?,
            engine: fields.optional("predicate.engine").map(Engine::read).transpose()?,
            bundle: Bundle::read(fields.required("predicate.bundle")?)?,
            delta: fields.optional("predicate.delta").map(Delta::read).transpose()?,
            tests: digest(fields.optional("predicate.tests"), "predicate.tests.sha256")?,
        })
    }
}

impl Engine {
    fn to_value(&self) -> Value {
        ObjectBuilder::new()
            .with("name", self.name.as_str())
            .with_some("min", self.min.as_deref())
            .with_some("max", self.max.as_deref())
            .build()
    }

    fn read(field: Field<'_>) -> Result<Self, StatementError> {
        let mut fields = field.object()?;
        let version = |field: Option<Field<'_>>| field.map(|field| field.word(MAX_VERSION_BYTES)).transpose();
        let engine = Self {
            name: fields.required("predicate.engine.name")?.word(MAX_FORMAT_BYTES)?,
            min: version(fields.optional("predicate.engine.min"))?,
            max: version(fields.optional("predicate.engine.max"))?,
        };
        fields.finish()?;
        Ok(engine)
    }
}

impl Bundle {
    fn to_value(self) -> Value {
        ObjectBuilder::new()
            .with("tree", TREE_TYPE)
            .with("root", self.root.to_hex())
            .with("files", self.files)
            .with("bytes", self.bytes)
            .build()
    }

    fn read(field: Field<'_>) -> Result<Self, StatementError> {
        let mut fields = field.object()?;
        let tree = fields.required("predicate.bundle.tree")?;
        if tree.str()? != TREE_TYPE {
            return Err(tree.error(FieldError::Form { expected: TREE_TYPE }));
        }
        let bundle = Self {
            root: fields.required("predicate.bundle.root")?.hash()?,
            files: fields.required("predicate.bundle.files")?.integer(1, BundleTree::MAX_FILES as u64)?,
            bytes: fields.required("predicate.bundle.bytes")?.integer(0, MAX_INTEGER)?,
        };
        fields.finish()?;
        Ok(bundle)
    }
}

impl Delta {
    fn to_value(self) -> Value {
        ObjectBuilder::new()
            .with("from", self.from.to_string())
            .with("added", self.added)
            .with("changed", self.changed)
            .with("removed", self.removed)
            .build()
    }

    fn read(field: Field<'_>) -> Result<Self, StatementError> {
        let mut fields = field.object()?;
        let delta = Self {
            from: fields.required("predicate.delta.from")?.record_id()?,
            added: fields.required("predicate.delta.added")?.integer(0, MAX_INTEGER)?,
            changed: fields.required("predicate.delta.changed")?.integer(0, MAX_INTEGER)?,
            removed: fields.required("predicate.delta.removed")?.integer(0, MAX_INTEGER)?,
        };
        fields.finish()?;
        Ok(delta)
    }
}

fn write_digest(sha256: Hash) -> Value {
    ObjectBuilder::new().with("sha256", sha256.to_hex()).build()
}

fn digest(field: Option<Field<'_>>, path: &'static str) -> Result<Option<Hash>, StatementError> {
    field.map(|field| read_digest(field, path)).transpose()
}

fn read_digest(field: Field<'_>, path: &'static str) -> Result<Hash, StatementError> {
    let mut fields = field.object()?;
    let sha256 = fields.required(path)?.hash()?;
    fields.finish()?;
    Ok(sha256)
}

fn write_records(records: &[RecordId]) -> Vec<Value> {
    records.iter().map(|id| id.to_string().into()).collect()
}

fn read_records(fields: &mut Fields<'_>) -> Result<Vec<RecordId>, StatementError> {
    let records = fields.required("predicate.records")?.array("predicate.records[]", MAX_NAMED_RECORDS)?;
    let records = records.iter().map(Field::record_id).collect::<Result<Vec<_>, _>>()?;
    if !records.is_sorted_by(|earlier, later| earlier < later) {
        return Err(FieldError::Order.at("predicate.records"));
    }
    Ok(records)
}

fn write_key_set(object: ObjectBuilder, set: &KeySet) -> ObjectBuilder {
    let signers: Vec<Value> = set.keys().iter().map(|key| key.to_string().into()).collect();
    object.with("signers", signers).with("threshold", u64::from(set.threshold()))
}

fn read_signers(
    threshold: Option<Field<'_>>,
    signers: Option<Field<'_>>,
) -> Result<Option<KeySet>, StatementError> {
    match (threshold, signers) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(FieldError::Missing.at("predicate.signers")),
        (None, Some(_)) => Err(FieldError::Missing.at("predicate.threshold")),
        (Some(threshold), Some(signers)) => {
            read_key_set(&threshold, signers, "predicate.signers[]").map(Some)
        }
    }
}

fn read_key_set(
    threshold: &Field<'_>,
    signers: Field<'_>,
    element: &'static str,
) -> Result<KeySet, StatementError> {
    let path = element.trim_end_matches("[]");
    let keys = signers.array(element, KeySet::MAX_KEYS)?;
    let keys = keys.iter().map(Field::verifier_key).collect::<Result<Vec<_>, _>>()?;
    if !keys.is_sorted_by(|earlier, later| signer_order(earlier) < signer_order(later)) {
        return Err(FieldError::Order.at(path));
    }
    let threshold = threshold.integer(1, u64::try_from(keys.len()).unwrap_or(u64::MAX))?;
    let threshold = u8::try_from(threshold).expect("invariant: at most MAX_KEYS");
    KeySet::new(keys, threshold).map_err(|error| FieldError::KeySet(error).at(path))
}

fn read_recovery(field: Field<'_>) -> Result<KeySet, StatementError> {
    let mut fields = field.object()?;
    let threshold = fields.required("predicate.recovery.threshold")?;
    let set = read_key_set(
        &threshold,
        fields.required("predicate.recovery.signers")?,
        "predicate.recovery.signers[]",
    )?;
    fields.finish()?;
    Ok(set)
}

/// A type whose values records write as one word each.
macro_rules! words {
    ($name:ident, $expected:literal, { $($variant:ident => $word:literal,)* }) => {
        impl $name {
            /// The word as records write it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// What this word means.
            pub fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }

            fn read(field: &Field<'_>) -> Result<Self, StatementError> {
                let word = Self::parse(field.str()?);
                word.ok_or_else(|| field.error(FieldError::Form { expected: $expected }))
            }
        }
    };
}
pub(super) use words;

//! `review`: a third party's statement about earlier records, on the reviewer's own channel.

use alloc::string::String;
use alloc::vec::Vec;

use super::{MAX_FORMAT_BYTES, read_digest, read_records, words, write_digest, write_records};
use crate::hash::Hash;
use crate::record::RecordId;
use crate::record::fields::{Field, FieldError, Fields, StatementError};
use crate::record::json::{MAX_INTEGER, ObjectBuilder, Value};
use crate::record::subject::MAX_NAME_BYTES;

/// What a reviewer found in earlier records, of any channel and any log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewBody {
    /// What was reviewed: 1 to [`MAX_NAMED_RECORDS`](super::MAX_NAMED_RECORDS) records, sorted, none twice.
    pub records: Vec<RecordId>,
    /// What was done.
    pub kind: ReviewKind,
    /// What came of it.
    pub result: ReviewResult,
    /// How much of it was looked at.
    pub coverage: Option<Coverage>,
    /// Always there with [`ReviewResult::PassWithFindings`], never with [`ReviewResult::Pass`].
    pub findings: Option<Findings>,
    /// On what terms the reviewer worked.
    pub independence: Independence,
    /// SHA-256 of the report.
    pub report: Hash,
}

/// What a reviewer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewKind {
    /// Built it again from its source and compared.
    Rebuild,
    /// Read the source.
    SourceAudit,
    /// Read what the rules do.
    RulesSemantic,
    /// Ran the rules over harmless data.
    FpTest,
    /// Looked at what data it processes.
    DataProcessing,
    /// Looked at how it is made.
    ProcessAudit,
}

/// What came of a review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewResult {
    /// Nothing was found.
    Pass,
    /// Something was found that does not speak against it.
    PassWithFindings,
    /// Something was found that does.
    Fail,
    /// The review could not tell.
    Inconclusive,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// How many files there are.
    pub files: u64,
    /// How many of them were read.
    pub read: u64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Findings {
    /// How many, at least one.
    pub count: u64,
    /// How grave the gravest is.
    pub max: Severity,
    /// SHA-256 of the list of them.
    pub sha256: Hash,
}

/// How grave a finding is; the later the graver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

/// On what terms a reviewer worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Independence {
    /// Who paid.
    pub paid_by: String,
    /// What the reviewer was given, in one word.
    pub access: String,
    /// Whether the reviewer promised to keep something to himself.
    pub nda: bool,
}

words!(ReviewKind, "a kind of review", {
    Rebuild => "rebuild",
    SourceAudit => "source-audit",
    RulesSemantic => "rules-semantic",
    FpTest => "fp-test",
    DataProcessing => "data-processing",
    ProcessAudit => "process-audit",
});

words!(ReviewResult, "pass, pass-with-findings, fail or inconclusive", {
    Pass => "pass",
    PassWithFindings => "pass-with-findings",
    Fail => "fail",
    Inconclusive => "inconclusive",
});

words!(Severity, "info, low, medium, high or critical", {
    Info => "info",
    Low => "low",
    Medium => "medium",
    High => "high",
    Critical => "critical",
});

const FINDINGS: &str = "predicate.findings";

impl ReviewBody {
    pub(in crate::record) fn write(&self, object: ObjectBuilder) -> ObjectBuilder {
        object
            .with("records", write_records(&self.records))
            .with("kind", self.kind.as_str())
            .with("result", self.result.as_str())
            .with_some("coverage", self.coverage.map(Coverage::to_value))
            .with_some("findings", self.findings.map(Findings::to_value))
            .with("independence", self.independence.to_value())
            .with("report", write_digest(self.report))
    }

    pub(in crate::record) fn read(fields: &mut Fields<'_>) -> Result<Self, StatementError> {
        let body = Self {
            records: read_records(fields)?,
            kind: ReviewKind::read(&fields.required("predicate.kind")?)?,
            result: ReviewResult::read(&fields.required("predicate.result")?)?,
            coverage: fields.optional("predicate.coverage").map(Coverage::read).transpose()?,
            findings: fields.optional(FINDINGS).map(Findings::read).transpose()?,
            independence: Independence::read(fields.required("predicate.independence")?)?,
            report: read_digest(fields.required("predicate.report")?, "predicate.report.sha256")?,
        };
        match (body.result, body.findings) {
            (ReviewResult::Pass, Some(_)) => Err(FieldError::NotAllowed.at(FINDINGS)),
            (ReviewResult::PassWithFindings, None) => Err(FieldError::Missing.at(FINDINGS)),
            _ => Ok(body),
        }
    }
}

impl Coverage {
    fn to_value(self) -> Value {
        ObjectBuilder::new().with("files", self.files).with("read", self.read).build()
    }

    fn read(field: Field<'_>) -> Result<Self, StatementError> {
        let mut fields = field.object()?;
        let files = fields.required("predicate.coverage.files")?.integer(0, MAX_INTEGER)?;
        let read = fields.required("predicate.coverage.read")?.integer(0, files)?;
        fields.finish()?;
        Ok(Self { files, read })
    }
}

impl Findings {
    fn to_value(self) -> Value {
        ObjectBuilder::new()
            .with("count", self.count)
            .with("max", self.max.as_str())
            .with("sha256", self.sha256.to_hex())
            .build()
    }

    fn read(field: Field<'_>) -> Result<Self, StatementError> {
        let mut fields = field.object()?;
        let findings = Self {
            count: fields.required("predicate.findings.count")?.integer(1, MAX_INTEGER)?,
            max: Severity::read(&fields.required("predicate.findings.max")?)?,
            sha256: fields.required("predicate.findings.sha256")?.hash()?,
        };
        fields.finish()?;
        Ok(findings)
    }
}

impl Independence {
    fn to_value(&self) -> Value {
        ObjectBuilder::new()
            .with("paidBy", self.paid_by.as_str())
            .with("access", self.access.as_str())
            .with("nda", Value::Bool(self.nda))
            .build()
    }

    fn read(field: Field<'_>) -> Result<Self, StatementError> {
        let mut fields = field.object()?;
        let independence = Self {
            paid_by: fields.required("predicate.independence.paidBy")?.text(MAX_NAME_BYTES)?,
            access: fields.required("predicate.independence.access")?.word(MAX_FORMAT_BYTES)?,
            nda: fields.required("predicate.independence.nda")?.boolean()?,
        };
        fields.finish()?;
        Ok(independence)
    }
}

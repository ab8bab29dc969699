//! Reading an object field by field, so that each field is named once and none is overlooked.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::RecordId;
use super::channel_name::ChannelNameError;
use super::json::{MAX_STRING_BYTES, Read, Value};
use super::key_set::KeySetError;
use super::platform::PlatformError;
use crate::hash::Hash;
use crate::note::VerifierKey;
use crate::time::UnixSeconds;

/// Canonical JSON that is not a statement of `docs/records.md`, and the field that breaks the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {kind}")]
pub struct StatementError {
    /// The field, or the object that holds it, as a path from the statement.
    pub field: &'static str,
    /// The rule it breaks.
    pub kind: FieldError,
}

impl StatementError {
    /// The stable name of this error, without the field.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

/// The rule a field breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// A required field is absent.
    #[error("required, but absent")]
    Missing,
    /// The object has a field the schema does not know.
    #[error("has a field that is not known here")]
    Unknown,
    /// The field may not be present in a record of this type or position.
    #[error("not allowed in this record")]
    NotAllowed,
    /// Another kind of JSON value than expected.
    #[error("not {expected}")]
    Kind {
        /// The kind of value expected.
        expected: &'static str,
    },
    /// A string or array of a length the field does not allow.
    #[error("length {got}, {min} to {max} are allowed")]
    Length {
        /// Length found: bytes of a string, elements of an array.
        got: usize,
        /// The smallest length allowed.
        min: usize,
        /// The largest length allowed.
        max: usize,
    },
    /// An integer out of the field's range.
    #[error("{got}, {min} to {max} are allowed")]
    Range {
        /// The integer found.
        got: u64,
        /// The smallest allowed.
        min: u64,
        /// The largest allowed.
        max: u64,
    },
    /// A string that is not of the form the field asks for.
    #[error("not {expected}")]
    Form {
        /// The form expected.
        expected: &'static str,
    },
    /// An array whose elements are not sorted, or not unique.
    #[error("not sorted, or with an element twice")]
    Order,
    /// A predicate type of a later version.
    #[error("a record type this version does not read")]
    ReservedType,
    /// Not a channel name.
    #[error(transparent)]
    ChannelName(ChannelNameError),
    /// Not a set of record keys.
    #[error(transparent)]
    KeySet(KeySetError),
    /// Not a platform.
    #[error(transparent)]
    Platform(PlatformError),
    /// A value that contradicts another field.
    #[error("does not agree with {other}")]
    Disagrees {
        /// The other field.
        other: &'static str,
    },
}

impl FieldError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "field-missing",
            Self::Unknown => "field-unknown",
            Self::NotAllowed => "field-not-allowed",
            Self::Kind { .. } => "field-kind",
            Self::Length { .. } => "field-length",
            Self::Range { .. } => "field-range",
            Self::Form { .. } => "field-form",
            Self::Order => "field-order",
            Self::ReservedType => "record-type-reserved",
            Self::ChannelName(error) => error.code(),
            Self::KeySet(error) => error.code(),
            Self::Platform(error) => error.code(),
            Self::Disagrees { .. } => "field-disagrees",
        }
    }

    pub(super) fn at(self, field: &'static str) -> StatementError {
        StatementError { field, kind: self }
    }
}

/// The fields of one object. Each is taken once, by its path from the statement; its name is the part after
/// the last dot. End with [`Fields::finish`].
pub(super) struct Fields<'a> {
    path: &'static str,
    /// Those that nobody has taken yet, in any order.
    fields: Vec<(Cow<'a, str>, Read<'a>)>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(path: &'static str, value: Read<'a>) -> Result<Self, StatementError> {
        match value {
            Read::Object(fields) => Ok(Self { path, fields }),
            _ => Err(FieldError::Kind { expected: "an object" }.at(path)),
        }
    }

    pub(super) fn optional(&mut self, path: &'static str) -> Option<Field<'a>> {
        let name = path.rsplit('.').next().unwrap_or(path);
        let at = self.fields.iter().position(|(field, _)| field == name)?;
        let (_, value) = self.fields.swap_remove(at);
        Some(Field { path, value })
    }

    pub(super) fn required(&mut self, path: &'static str) -> Result<Field<'a>, StatementError> {
        self.optional(path).ok_or(FieldError::Missing.at(path))
    }

    /// Takes every field whose name `accepts`.
    pub(super) fn take_matching(&mut self, accepts: impl Fn(&str) -> bool) -> BTreeMap<String, Value> {
        let matching = self.fields.extract_if(.., |(name, _)| accepts(name.as_ref()));
        matching.map(|(name, value)| (name.into_owned(), value.into_value())).collect()
    }

    pub(super) fn finish(self) -> Result<(), StatementError> {
        if self.fields.is_empty() { Ok(()) } else { Err(FieldError::Unknown.at(self.path)) }
    }
}

/// One field taken from an object, or one element of an array.
pub(super) struct Field<'a> {
    path: &'static str,
    value: Read<'a>,
}

impl<'a> Field<'a> {
    pub(super) fn error(&self, kind: FieldError) -> StatementError {
        kind.at(self.path)
    }

    pub(super) fn object(self) -> Result<Fields<'a>, StatementError> {
        Fields::new(self.path, self.value)
    }

    /// An array of 1 to `max` elements; each is named `element` in errors.
    pub(super) fn array(self, element: &'static str, max: usize) -> Result<Vec<Self>, StatementError> {
        let Read::Array(values) = self.value else {
            return Err(FieldError::Kind { expected: "an array" }.at(self.path));
        };
        length(self.path, values.len(), max)?;
        Ok(values.into_iter().map(|value| Self { path: element, value }).collect())
    }

    pub(super) fn integer(&self, min: u64, max: u64) -> Result<u64, StatementError> {
        let Read::Integer(got) = self.value else {
            return Err(self.error(FieldError::Kind { expected: "an integer" }));
        };
        if !(min..=max).contains(&got) {
            return Err(self.error(FieldError::Range { got, min, max }));
        }
        Ok(got)
    }

    pub(super) fn str(&self) -> Result<&str, StatementError> {
        match &self.value {
            Read::String(text) => Ok(text),
            _ => Err(self.error(FieldError::Kind { expected: "a string" })),
        }
    }

    /// 1 to `max` bytes of printable ASCII, no space first or last.
    pub(super) fn text(&self, max: usize) -> Result<String, StatementError> {
        let text = self.str()?;
        length(self.path, text.len(), max)?;
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(self.error(FieldError::Form { expected: "text without outer spaces" }));
        }
        Ok(text.into())
    }

    /// 1 to `max` bytes of printable ASCII without a space.
    pub(super) fn word(&self, max: usize) -> Result<String, StatementError> {
        let text = self.str()?;
        length(self.path, text.len(), max)?;
        if text.contains(' ') {
            return Err(self.error(FieldError::Form { expected: "a word without spaces" }));
        }
        Ok(text.into())
    }

    pub(super) fn uri(&self) -> Result<String, StatementError> {
        let text = self.str()?;
        length(self.path, text.len(), MAX_STRING_BYTES)?;
        if !is_uri(text) {
            return Err(self.error(FieldError::Form { expected: "an absolute URI" }));
        }
        Ok(text.into())
    }

    pub(super) fn purl(&self) -> Result<String, StatementError> {
        let uri = self.uri()?;
        if !uri.starts_with("pkg:") {
            return Err(self.error(FieldError::Form { expected: "a package URL (pkg:...)" }));
        }
        Ok(uri)
    }

    pub(super) fn hash(&self) -> Result<Hash, StatementError> {
        let expected = "64 lower-case hexadecimal digits";
        Hash::parse_hex(self.str()?).ok_or(self.error(FieldError::Form { expected }))
    }

    pub(super) fn record_id(&self) -> Result<RecordId, StatementError> {
        self.hash().map(RecordId::from_hash)
    }

    pub(super) fn boolean(&self) -> Result<bool, StatementError> {
        match self.value {
            Read::Bool(value) => Ok(value),
            _ => Err(self.error(FieldError::Kind { expected: "true or false" })),
        }
    }

    pub(super) fn time(&self) -> Result<UnixSeconds, StatementError> {
        let expected = "a time YYYY-MM-DDThh:mm:ssZ";
        UnixSeconds::parse_rfc3339(self.str()?).map_err(|_| self.error(FieldError::Form { expected }))
    }

    pub(super) fn verifier_key(&self) -> Result<VerifierKey, StatementError> {
        let expected = "a verifier key";
        VerifierKey::parse(self.str()?).map_err(|_| self.error(FieldError::Form { expected }))
    }
}

fn length(path: &'static str, got: usize, max: usize) -> Result<(), StatementError> {
    if got == 0 || got > max {
        return Err(FieldError::Length { got, min: 1, max }.at(path));
    }
    Ok(())
}

/// A scheme, a colon, at least one more byte, all of RFC 3986's characters. Whether `%` is followed by two
/// digits, or a host is a host, is left to whoever fetches it.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let scheme_byte = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'.' | b'-');
    let uri_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(scheme_byte)
        && !rest.is_empty()
        && rest.bytes().all(uri_byte)
}

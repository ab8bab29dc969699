//! Reading the canonical form, and nothing else: one pass, and no copy of what has no escape in it.
//!
//! No white space, names in order and none twice, numbers and escapes in their one spelling, lengths and depth
//! within the profile. Why something is not of this form is for [`super::parse`] to find out.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::string::String;
use alloc::vec::Vec;

use super::{MAX_DEPTH, MAX_INTEGER, MAX_STRING_BYTES, Value};

/// A value as it stands in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::record) enum Read<'a> {
    Bool(bool),
    Integer(u64),
    String(Cow<'a, str>),
    Array(Vec<Read<'a>>),
    /// By name, in the order of the names.
    Object(Vec<(Cow<'a, str>, Read<'a>)>),
}

impl Read<'_> {
    /// The same as a value of its own.
    pub(in crate::record) fn into_value(self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(value),
            Self::Integer(value) => Value::Integer(value),
            Self::String(text) => Value::String(text.into_owned()),
            Self::Array(values) => Value::Array(values.into_iter().map(Read::into_value).collect()),
            Self::Object(fields) => {
                let fields = fields.into_iter().map(|(name, value)| (name.into_owned(), value.into_value()));
                Value::Object(fields.collect())
            }
        }
    }
}

/// Most objects of a record have fewer fields, so that their list seldom grows.
const EXPECTED_FIELDS: usize = 8;

/// The value that is written here in its canonical form; `None` if anything else is.
pub(super) fn read(text: &[u8]) -> Option<Read<'_>> {
    let mut rest = Rest(text);
    let value = rest.value(0)?;
    rest.0.is_empty().then_some(value)
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// A value inside of `depth` objects and arrays.
    fn value(&mut self, depth: usize) -> Option<Read<'a>> {
        let inner = depth.saturating_add(1);
        match self.0.first()? {
            b'"' => self.string().map(Read::String),
            b'0'..=b'9' => self.integer().map(Read::Integer),
            b't' => self.skip(b"true").then_some(Read::Bool(true)),
            b'f' => self.skip(b"false").then_some(Read::Bool(false)),
            b'[' if inner <= MAX_DEPTH => self.array(inner),
            b'{' if inner <= MAX_DEPTH => self.object(inner),
            _ => None,
        }
    }

    fn array(&mut self, depth: usize) -> Option<Read<'a>> {
        let mut values = Vec::new();
        if self.skip(b"[]") {
            return Some(Read::Array(values));
        }
        self.expect(b"[")?;
        loop {
            values.push(self.value(depth)?);
            if !self.skip(b",") {
                return self.expect(b"]").map(|()| Read::Array(values));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Read<'a>> {
        if self.skip(b"{}") {
            return Some(Read::Object(Vec::new()));
        }
        let mut fields: Vec<(Cow<'a, str>, Read<'a>)> = Vec::with_capacity(EXPECTED_FIELDS);
        self.expect(b"{")?;
        loop {
            let name = self.string()?;
            if fields.last().is_some_and(|(before, _)| *before >= name) {
                return None;
            }
            self.expect(b":")?;
            fields.push((name, self.value(depth)?));
            if !self.skip(b",") {
                return self.expect(b"}").map(|()| Read::Object(fields));
            }
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.expect(b"\"")?;
        let plain = self.plain()?;
        if self.skip(b"\"") {
            return (plain.len() <= MAX_STRING_BYTES).then_some(Cow::Borrowed(plain));
        }
        let mut text: String = plain.to_owned();
        loop {
            let escaped = if self.skip(b"\\\"") { '"' } else { self.expect(b"\\\\").map(|()| '\\')? };
            text.push(escaped);
            text.push_str(self.plain()?);
            if self.skip(b"\"") {
                return (text.len() <= MAX_STRING_BYTES).then_some(Cow::Owned(text));
            }
        }
    }

    /// Characters up to the next quotation mark or backslash, or to one that no string may have.
    fn plain(&mut self) -> Option<&'a str> {
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        let end = self.0.iter().position(|byte| !is_plain(byte))?;
        let (plain, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        core::str::from_utf8(plain).ok()
    }

    fn integer(&mut self) -> Option<u64> {
        if self.skip(b"0") {
            return Some(0);
        }
        let mut value = 0u64;
        while let Some((digit @ b'0'..=b'9', rest)) = self.0.split_first() {
            let digit = u64::from(digit.wrapping_sub(b'0'));
            value = value.checked_mul(10)?.checked_add(digit).filter(|value| *value <= MAX_INTEGER)?;
            self.0 = rest;
        }
        Some(value)
    }

    fn expect(&mut self, bytes: &[u8]) -> Option<()> {
        self.skip(bytes).then_some(())
    }

    /// Steps over these bytes if they are next.
    fn skip(&mut self, bytes: &[u8]) -> bool {
        let rest = self.0.strip_prefix(bytes);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }
}

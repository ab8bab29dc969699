//! The one spelling of JSON this project reads and writes: RFC 8785 (JCS), restricted to the profile of
//! `docs/records.md`, section 2.
//!
//! [`read`] reads that spelling only, so bytes that [`parse`] accepts are the ones that encoding gives again.
//! What it refuses is read once more by `serde_json` and encoded, only to say what is wrong: duplicate names,
//! white space, another order of names and needless escapes all differ from the encoding.

mod read;

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

pub(super) use read::Read;

/// The largest integer every JSON implementation holds exactly, `2^53-1`.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;
/// The longest string and the longest field name, in bytes. Longer texts have no place in a permanent log.
pub const MAX_STRING_BYTES: usize = 1024;
/// How deep objects and arrays nest at most, the outermost counting one.
pub const MAX_DEPTH: usize = 8;

/// A value of the profile. There is no null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// An integer, `0..=`[`MAX_INTEGER`].
    Integer(u64),
    /// Printable ASCII, at most [`MAX_STRING_BYTES`] bytes.
    String(String),
    /// Values in order.
    Array(Vec<Value>),
    /// Values by name. The map's byte order is the order RFC 8785 asks for, since names are ASCII.
    Object(BTreeMap<String, Value>),
}

/// Why bytes are not JSON of the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// Not JSON at all.
    #[error("not JSON, from line {line}, column {column} on")]
    Syntax {
        /// Line, counted from 1.
        line: usize,
        /// Column in bytes, counted from 1.
        column: usize,
    },
    /// JSON, but not in canonical form.
    #[error("not in the canonical form of RFC 8785 from byte {at} on")]
    NotCanonical {
        /// Offset of the first byte that differs from the canonical form.
        at: usize,
    },
    /// `null` somewhere.
    #[error("null is not allowed")]
    Null,
    /// A number that is not an integer in `0..=2^53-1`.
    #[error("a number is not an integer in 0..={MAX_INTEGER}")]
    NotAnInteger,
    /// A string or name with a character other than `0x20..=0x7e`.
    #[error("a string or field name is not printable ASCII")]
    NotPrintableAscii,
    /// A string or name above [`MAX_STRING_BYTES`].
    #[error("a string or field name of {got} bytes, at most {MAX_STRING_BYTES} are allowed")]
    StringTooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} objects and arrays")]
    TooDeep,
}

impl JsonError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "json-syntax",
            Self::NotCanonical { .. } => "json-not-canonical",
            Self::Null => "json-null",
            Self::NotAnInteger => "json-not-an-integer",
            Self::NotPrintableAscii => "json-not-printable-ascii",
            Self::StringTooLong { .. } => "json-string-too-long",
            Self::TooDeep => "json-too-deep",
        }
    }
}

/// Reads one canonical value. The caller bounds the length of `text`.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    parse_borrowed(text).map(Read::into_value)
}

/// The same, as it stands in the text.
pub(super) fn parse_borrowed(text: &[u8]) -> Result<Read<'_>, JsonError> {
    read::read(text).ok_or_else(|| refusal(text))
}

/// Why this is not the canonical form of a value.
fn refusal(text: &[u8]) -> JsonError {
    let loose = match serde_json::from_slice(text) {
        Ok(loose) => loose,
        Err(error) => return JsonError::Syntax { line: error.line(), column: error.column() },
    };
    match profile(&loose, 0) {
        Ok(value) => {
            let canonical = value.encode();
            let same = canonical.bytes().zip(text).take_while(|(ours, theirs)| ours == *theirs).count();
            JsonError::NotCanonical { at: same }
        }
        Err(error) => error,
    }
}

impl Value {
    /// The canonical form. Of a value outside the profile it gives JSON that [`parse`] refuses.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Integer(value) => out.push_str(&value.to_string()),
            Self::String(text) => write_string(text, out),
            Self::Array(values) => write_all(out, ('[', ']'), values, Value::write),
            Self::Object(fields) => write_all(out, ('{', '}'), fields, |(name, value), out| {
                write_string(name, out);
                out.push(':');
                value.write(out);
            }),
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Integer(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Self::Array(values)
    }
}

/// Builds an object field by field.
#[derive(Clone, Debug, Default)]
pub struct ObjectBuilder(BTreeMap<String, Value>);

impl ObjectBuilder {
    /// An object without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a field if there is a value; leaves it out otherwise, since the profile has no null.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The object.
    pub fn build(self) -> Value {
        Value::Object(self.0)
    }
}

fn profile(value: &serde_json::Value, depth: usize) -> Result<Value, JsonError> {
    let inner = depth.saturating_add(1);
    if (value.is_array() || value.is_object()) && inner > MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    Ok(match value {
        serde_json::Value::Null => return Err(JsonError::Null),
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => Value::Integer(
            number.as_u64().filter(|value| *value <= MAX_INTEGER).ok_or(JsonError::NotAnInteger)?,
        ),
        serde_json::Value::String(text) => Value::String(printable(text)?),
        serde_json::Value::Array(values) => {
            Value::Array(values.iter().map(|value| profile(value, inner)).collect::<Result<_, _>>()?)
        }
        serde_json::Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| Ok((printable(name)?, profile(value, inner)?)));
            Value::Object(fields.collect::<Result<_, JsonError>>()?)
        }
    })
}

fn printable(text: &str) -> Result<String, JsonError> {
    if text.len() > MAX_STRING_BYTES {
        return Err(JsonError::StringTooLong { got: text.len() });
    }
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(JsonError::NotPrintableAscii);
    }
    Ok(text.to_owned())
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_ascii_control() => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

fn write_all<T>(
    out: &mut String,
    (open, close): (char, char),
    items: impl IntoIterator<Item = T>,
    write: impl Fn(T, &mut String),
) {
    out.push(open);
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(close);
}

//! The strict reader every format of this crate is parsed with.
//!
//! Text formats look simple and are where implementations disagree: standard line iterators drop a
//! carriage return, integer parsers take `+7` and `007`, base64 decoders take stray bits. This module
//! accepts one spelling of each value and nothing else, so that `encode(parse(b)) == b` can hold.
//!
//! Integers on the wire are big-endian. Nothing here allocates except [`decode_base64`] and
//! [`encode_base64`], which allocate in proportion to their input.

use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;

/// Why bytes could not be read, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct DecodeError {
    /// Offset in bytes from the start of the input.
    pub at: usize,
    /// What was wrong there.
    pub kind: DecodeErrorKind,
}

impl DecodeError {
    /// The stable name of this error, as vectors, metrics and HTTP bodies use it.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }
}

/// What was wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input ends before the value does.
    #[error("input ends early, {missing} more bytes expected")]
    Truncated {
        /// How many bytes are missing at least.
        missing: usize,
    },
    /// The input goes on after the value.
    #[error("{extra} bytes follow the end of the value")]
    TrailingBytes {
        /// How many bytes are left over.
        extra: usize,
    },
    /// A line is not ended by a newline.
    #[error("line without a newline at its end")]
    UnterminatedLine,
    /// A line does not start with the word the format puts there.
    #[error("the line does not start with the expected word")]
    UnexpectedWord,
    /// Not the one decimal spelling of an integer in `0..=2^63-1`.
    #[error("not a decimal integer in 0..=9223372036854775807 without sign or leading zeros")]
    Decimal,
    /// Not the one standard base64 spelling of its bytes.
    #[error("not canonical standard base64")]
    Base64,
    /// A hash that is not 32 bytes long.
    #[error("hash of {got} bytes, expected 32")]
    HashLength {
        /// Decoded length in bytes.
        got: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("not valid UTF-8")]
    Utf8,
    /// More bytes than the format's limit.
    #[error("{got} bytes, at most {max} are allowed")]
    TooLong {
        /// Length of the input in bytes.
        got: usize,
        /// The limit in bytes.
        max: usize,
    },
}

impl DecodeErrorKind {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "truncated",
            Self::TrailingBytes { .. } => "trailing-bytes",
            Self::UnterminatedLine => "line-unterminated",
            Self::UnexpectedWord => "unexpected-word",
            Self::Decimal => "decimal-not-canonical",
            Self::Base64 => "base64-not-canonical",
            Self::HashLength { .. } => "hash-length",
            Self::Utf8 => "not-utf8",
            Self::TooLong { .. } => "too-long",
        }
    }
}

/// A cursor over untrusted bytes. Every method either consumes exactly what it names or fails without
/// consuming anything. End each parse with [`Reader::finish`].
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// A reader over `input` if it is at most `max` bytes long; checked before anything is looked at.
    pub fn with_limit(input: &'a [u8], max: usize) -> Result<Self, DecodeError> {
        if input.len() > max {
            return Err(DecodeError { at: max, kind: DecodeErrorKind::TooLong { got: input.len(), max } });
        }
        Ok(Self::new(input))
    }

    /// Offset of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The bytes not yet consumed.
    pub fn remaining(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// Whether everything has been consumed.
    pub fn is_empty(&self) -> bool {
        self.remaining().is_empty()
    }

    /// An error of `kind` at the current position.
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { at: self.at, kind }
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.remaining();
        let Some(taken) = rest.get(..len) else {
            return Err(self.error(DecodeErrorKind::Truncated { missing: len.saturating_sub(rest.len()) }));
        };
        self.at = self.at.saturating_add(len);
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("invariant: take(N) returns N bytes"))
    }

    /// A big-endian 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// A big-endian 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A big-endian 64-bit integer.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// 32 bytes as a hash.
    pub fn hash(&mut self) -> Result<Hash, DecodeError> {
        self.array().map(Hash::from_bytes)
    }

    /// The next line without its newline (U+000A, and no other byte, ends a line).
    pub fn line(&mut self) -> Result<&'a [u8], DecodeError> {
        let rest = self.remaining();
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            return Err(self.error(DecodeErrorKind::UnterminatedLine));
        };
        self.at = self.at.saturating_add(end).saturating_add(1);
        Ok(rest.get(..end).unwrap_or_default())
    }

    /// The next line, which must start with `word` and one space; returns what follows the space.
    pub fn line_after(&mut self, word: &str) -> Result<&'a [u8], DecodeError> {
        let mut ahead = self.clone();
        let line = ahead.line()?;
        let rest = line.strip_prefix(word.as_bytes()).and_then(|rest| rest.strip_prefix(b" "));
        let Some(rest) = rest else {
            return Err(self.error(DecodeErrorKind::UnexpectedWord));
        };
        *self = ahead;
        Ok(rest)
    }

    /// The next line, which must be exactly `text`.
    pub fn expect_line(&mut self, text: &str) -> Result<(), DecodeError> {
        let mut ahead = self.clone();
        if ahead.line()? != text.as_bytes() {
            return Err(self.error(DecodeErrorKind::UnexpectedWord));
        }
        *self = ahead;
        Ok(())
    }

    /// The next line as a decimal integer.
    pub fn decimal_line(&mut self) -> Result<u64, DecodeError> {
        let at = self.at;
        parse_decimal(self.line()?).map_err(|kind| DecodeError { at, kind })
    }

    /// The next line as a base64 hash.
    pub fn hash_line(&mut self) -> Result<Hash, DecodeError> {
        let at = self.at;
        parse_hash(self.line()?).map_err(|kind| DecodeError { at, kind })
    }

    /// Succeeds only if nothing is left.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.is_empty() {
            return Ok(());
        }
        Err(self.error(DecodeErrorKind::TrailingBytes { extra: self.remaining().len() }))
    }
}

/// A decimal integer in `0..=2^63-1`: ASCII digits only, no leading zero unless it is `0` itself.
pub fn parse_decimal(text: &[u8]) -> Result<u64, DecodeErrorKind> {
    const MAX_DIGITS: usize = 19;
    let canonical = match text {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < MAX_DIGITS && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return Err(DecodeErrorKind::Decimal);
    }
    let value = text.iter().try_fold(0u64, |value, digit| {
        value.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0')))
    });
    value.filter(|value| *value <= i64::MAX.unsigned_abs()).ok_or(DecodeErrorKind::Decimal)
}

/// Standard base64 with padding, in its one canonical spelling.
pub fn decode_base64(text: &[u8]) -> Result<Vec<u8>, DecodeErrorKind> {
    STANDARD.decode(text).map_err(|_| DecodeErrorKind::Base64)
}

/// Standard base64 with padding.
pub fn encode_base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// A 32-byte hash in base64.
pub fn parse_hash(text: &[u8]) -> Result<Hash, DecodeErrorKind> {
    let bytes = decode_base64(text)?;
    let array = <[u8; Hash::LEN]>::try_from(bytes.as_slice());
    array.map(Hash::from_bytes).map_err(|_| DecodeErrorKind::HashLength { got: bytes.len() })
}

/// UTF-8 text.
pub fn parse_utf8(bytes: &[u8]) -> Result<&str, DecodeErrorKind> {
    core::str::from_utf8(bytes).map_err(|_| DecodeErrorKind::Utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_one_spelling_of_a_decimal() {
        for (text, value) in [("0", 0), ("7", 7), ("10", 10), ("9223372036854775807", i64::MAX as u64)] {
            assert_eq!(parse_decimal(text.as_bytes()), Ok(value));
        }
    }

    #[test]
    fn refuses_every_other_spelling_of_a_decimal() {
        let refused = [
            "",
            "+5",
            "05",
            "007",
            "00",
            "5 ",
            " 5",
            "-1",
            "-0",
            "0x5",
            "5e1",
            "5_0",
            "٥",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "9999999999999999999999999999999999999999",
        ];
        for text in refused {
            assert_eq!(parse_decimal(text.as_bytes()), Err(DecodeErrorKind::Decimal), "{text:?}");
        }
    }

    #[test]
    fn refuses_every_loose_spelling_of_base64() {
        // Canonical: "AAE=" for 00 01.
        assert_eq!(decode_base64(b"AAE="), Ok(alloc::vec![0, 1]));
        for text in ["AAE", "AAE==", "AAF=", "AAE=\n", "AA\r\nE=", " AAE=", "AA-=", "AA_=", "A", "===="] {
            assert_eq!(decode_base64(text.as_bytes()), Err(DecodeErrorKind::Base64), "{text:?}");
        }
    }

    #[test]
    fn refuses_a_hash_of_another_length() {
        for len in [0usize, 31, 33] {
            let text = encode_base64(alloc::vec![7u8; len]);
            assert_eq!(parse_hash(text.as_bytes()), Err(DecodeErrorKind::HashLength { got: len }));
        }
    }

    #[test]
    fn a_line_ends_at_a_newline_and_keeps_a_carriage_return() {
        let mut reader = Reader::new(b"a\r\n\nb");
        assert_eq!(reader.line(), Ok(&b"a\r"[..]));
        assert_eq!(reader.line(), Ok(&b""[..]));
        assert_eq!(reader.line().map_err(|e| (e.at, e.code())), Err((4, "line-unterminated")));
        assert_eq!(reader.clone().finish().map_err(|e| e.code()), Err("trailing-bytes"));
        assert_eq!(reader.take(1), Ok(&b"b"[..]));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_failed_read_consumes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u32().map_err(|e| e.kind), Err(DecodeErrorKind::Truncated { missing: 1 }));
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.remaining(), &[3]);
        assert_eq!(reader.line_after("old").map_err(|e| e.code()), Err("line-unterminated"));
    }

    #[test]
    fn refuses_input_over_the_limit_before_reading() {
        assert_eq!(Reader::with_limit(&[0; 5], 4).map(|_| ()).map_err(|e| e.code()), Err("too-long"));
        assert!(Reader::with_limit(&[0; 4], 4).is_ok());
    }
}

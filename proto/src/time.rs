//! Points in time as the formats carry them. Nothing here asks a clock.

use alloc::string::{String, ToString};
use core::fmt;

use jiff::Timestamp;

/// Seconds since the Unix epoch, `0..=2^63-1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(u64);

/// Why a value is not a point in time of our formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Above `2^63-1` seconds.
    #[error("{got} seconds is above 2^63-1")]
    TooLarge {
        /// The refused value.
        got: u64,
    },
    /// Not a real time written `YYYY-MM-DDThh:mm:ssZ`.
    #[error("not a time of the form YYYY-MM-DDThh:mm:ssZ, from 1970 to 9999")]
    Form,
}

impl TimeError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "time-too-large",
            Self::Form => "time-form",
        }
    }
}

impl UnixSeconds {
    /// The first second of 1970.
    pub const EPOCH: Self = Self(0);

    /// `seconds` since the epoch, if at most `2^63-1`.
    pub const fn new(seconds: u64) -> Result<Self, TimeError> {
        if seconds > u64::MAX >> 1 { Err(TimeError::TooLarge { got: seconds }) } else { Ok(Self(seconds)) }
    }

    /// Seconds since the epoch.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The time written `YYYY-MM-DDThh:mm:ssZ`, as records write it.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        let time: Timestamp = text.parse().map_err(|_| TimeError::Form)?;
        let seconds = u64::try_from(time.as_second()).map_err(|_| TimeError::Form)?;
        let time = Self(seconds);
        // One spelling only: what we would not write, we do not accept.
        if time.to_rfc3339().as_deref() == Some(text) { Ok(time) } else { Err(TimeError::Form) }
    }

    /// `YYYY-MM-DDThh:mm:ssZ`; `None` after the year 9999.
    pub fn to_rfc3339(self) -> Option<String> {
        let seconds = i64::try_from(self.0).ok()?;
        Timestamp::from_second(seconds).ok().map(|time| time.to_string())
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_rfc3339() {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} s", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_one_spelling_of_a_time() {
        let time = UnixSeconds::parse_rfc3339("2026-07-09T10:00:00Z").unwrap();
        assert_eq!(time.get(), 1_783_591_200);
        assert_eq!(time.to_string(), "2026-07-09T10:00:00Z");
        assert_eq!(UnixSeconds::parse_rfc3339("1970-01-01T00:00:00Z").map(UnixSeconds::get), Ok(0));
    }

    #[test]
    fn refuses_other_spellings_of_a_time() {
        for text in [
            "2026-07-09T10:00:00+00:00",
            "2026-07-09t10:00:00Z",
            "2026-07-09T10:00:00.0Z",
            "2026-07-09T10:00Z",
            "2026-07-09 10:00:00Z",
            "2026-07-09T24:00:00Z",
            "2026-02-30T10:00:00Z",
            "2026-07-09T10:00:60Z",
            "1969-12-31T23:59:59Z",
            "+002026-07-09T10:00:00Z",
            "",
            "2026-07-09T10:00:00Z ",
            "2026-07-09T10:00:00z",
        ] {
            assert_eq!(UnixSeconds::parse_rfc3339(text), Err(TimeError::Form), "{text:?}");
        }
    }

    #[test]
    fn refuses_seconds_above_63_bits() {
        assert_eq!(UnixSeconds::new(1 << 63).map_err(|e| e.code()), Err("time-too-large"));
        assert_eq!(UnixSeconds::new(u64::MAX >> 1).unwrap().to_rfc3339(), None);
    }
}

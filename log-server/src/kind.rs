//! What a log stores, fixed when it is created.

use std::fmt;

use clap::ValueEnum;
use serde::Deserialize;

/// What a log stores. Every journal segment names it, so a log of one kind can't be opened as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// Signed records, admitted only if they may follow their channel's head.
    Records,
    /// Any bytes.
    Raw,
}

impl LogKind {
    /// The kind as one byte on disk.
    pub fn as_byte(self) -> u8 {
        match self {
            Self::Records => 1,
            Self::Raw => 2,
        }
    }

    /// The kind with this byte on disk.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Records),
            2 => Some(Self::Raw),
            _ => None,
        }
    }
}

impl fmt::Display for LogKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Records => "records",
            Self::Raw => "raw",
        })
    }
}

//! Channel names, `docs/records.md`, section 4: paths whose first label is the owner's domain.

use alloc::sync::Arc;
use core::fmt;

/// The name of a channel, for example `vendor.example/rules/sigma/canary`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(Arc<str>);

/// Why a text is not a channel name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelNameError {
    /// Empty or above [`ChannelName::MAX_LEN`].
    #[error("channel name of {got} bytes, 1 to {} are allowed", ChannelName::MAX_LEN)]
    Length {
        /// Length in bytes.
        got: usize,
    },
    /// The first label does not have the form of a domain name.
    #[error("the channel name does not start with a domain name in lower case")]
    Domain,
    /// A label is empty, `.`, `..`, or has a character other than `a-z 0-9 . _ -`.
    #[error(
        "label {label} of the channel name is empty, a dot path, or has a character not of a-z 0-9 . _ -"
    )]
    Label {
        /// Which label, counted from 0.
        label: usize,
    },
}

impl ChannelNameError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Length { .. } => "channel-name-length",
            Self::Domain => "channel-name-domain",
            Self::Label { .. } => "channel-name-label",
        }
    }
}

impl ChannelName {
    /// The longest name, in bytes. A name is a URL path and a file name, where 255 is the usual limit.
    pub const MAX_LEN: usize = 255;
    /// The longest part of a domain name, in bytes (RFC 1035, section 2.3.4).
    const MAX_DOMAIN_PART: usize = 63;

    /// The name written as `text`.
    pub fn parse(text: &str) -> Result<Self, ChannelNameError> {
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(ChannelNameError::Length { got: text.len() });
        }
        for (label, bytes) in text.split('/').enumerate() {
            if !is_label(bytes) {
                return Err(ChannelNameError::Label { label });
            }
        }
        let name = Self(text.into());
        if !is_domain(name.owner_domain()) {
            return Err(ChannelNameError::Domain);
        }
        Ok(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first label: the domain of who owns the channel. Nothing here checks that ownership.
    pub fn owner_domain(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(domain, _)| domain)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    !matches!(label, "" | "." | "..") && label.bytes().all(allowed)
}

fn is_domain(label: &str) -> bool {
    let is_part = |part: &str| {
        (1..=ChannelName::MAX_DOMAIN_PART).contains(&part.len())
            && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    label.contains('.') && label.split('.').all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use std::format;

    #[test]
    fn reads_names_of_one_and_of_many_labels() {
        for text in ["vendor.example", "vendor.example/rules/sigma/canary", "a.b/c_d/e-f/g.h", "1.2/.hidden"]
        {
            assert_eq!(ChannelName::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(ChannelName::parse("vendor.example/a/b").unwrap().owner_domain(), "vendor.example");
    }

    #[test]
    fn refuses_labels_that_are_empty_or_dot_paths_or_of_other_characters() {
        for (text, label) in [
            ("/a.b", 0),
            ("a.b/", 1),
            ("a.b//c", 1),
            ("a.b/./c", 1),
            ("a.b/c/..", 2),
            ("a.b/C", 1),
            ("a.b/c d", 1),
            ("a.b/%2e%2e", 1),
            ("a.b/\\", 1),
            ("a.b/\u{e9}", 1),
            ("a.b/\n", 1),
            ("A.b", 0),
        ] {
            assert_eq!(ChannelName::parse(text), Err(ChannelNameError::Label { label }), "{text:?}");
        }
    }

    #[test]
    fn refuses_a_first_label_that_is_not_a_domain() {
        let long = format!("{}.example", "a".repeat(64));
        for text in ["vendor", "vendor/a.b", "a..b", ".a.b", "a.b.", "-a.b", "a.b-", "a_b.c", &long] {
            assert_eq!(ChannelName::parse(text), Err(ChannelNameError::Domain), "{text:?}");
        }
        assert!(ChannelName::parse(&long[1..]).is_ok());
    }

    #[test]
    fn refuses_names_of_no_or_too_many_bytes() {
        let longest = format!("a.b/{}", "c".repeat(251));
        assert!(ChannelName::parse(&longest).is_ok());
        assert_eq!(ChannelName::parse(&format!("{longest}c")), Err(ChannelNameError::Length { got: 256 }));
        assert_eq!(ChannelName::parse(""), Err(ChannelNameError::Length { got: 0 }));
    }
}

//! Path of a channel's file: `GET /channel-file/<publish seq>/<recovery seq>/<name>`.
//!
//! The answer is a [`ChannelFile`](crate::channel_file::ChannelFile) with the channel's records from these places
//! of the two chains on, in the order of the log, up to the file's limits; status 404 if the publish chain has no
//! such record in the published tree. A reader asks from the newest records it knows, those included, so that
//! the file shows whether they are still where they were; one that knows nothing asks from 0 and 0. A file that
//! brings nothing new is the last. The numbers are part of the path, since caches may ignore a query.

use alloc::format;
use alloc::string::String;

use super::AnswerError;
use crate::record::json::MAX_INTEGER;
use crate::record::{Chain, ChannelName, ChannelState};
use crate::wire::parse_decimal;

/// What stands before the numbers.
pub const CHANNEL_FILE_PATH_PREFIX: &str = "/channel-file/";

/// Which records of a channel are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelFilePath {
    /// The channel.
    pub channel: ChannelName,
    /// The first record of the publish chain.
    pub publish: u64,
    /// The first record of the recovery chain, if it has one there.
    pub recovery: u64,
}

impl ChannelFilePath {
    /// Everything of a channel.
    pub fn whole(channel: ChannelName) -> Self {
        Self { channel, publish: 0, recovery: 0 }
    }

    /// What follows on a known state.
    pub fn after(state: &ChannelState) -> Self {
        let recovery = state.chain_head(Chain::Recovery).map_or(0, |head| head.seq);
        Self { channel: state.channel().clone(), publish: state.seq(), recovery }
    }

    /// The path.
    pub fn encode(&self) -> String {
        format!("{CHANNEL_FILE_PATH_PREFIX}{}/{}/{}", self.publish, self.recovery, self.channel)
    }

    /// Reads exactly what [`Self::encode`] writes; a path is not percent-decoded, since none needs it.
    pub fn parse(path: &str) -> Result<Self, AnswerError> {
        let wrong = AnswerError::Field { field: "path" };
        let rest = path.strip_prefix(CHANNEL_FILE_PATH_PREFIX).ok_or(wrong)?;
        let (publish, rest) = rest.split_once('/').ok_or(wrong)?;
        let (recovery, channel) = rest.split_once('/').ok_or(wrong)?;
        let number = |text: &str| {
            parse_decimal(text.as_bytes()).ok().filter(|number| *number <= MAX_INTEGER).ok_or(wrong)
        };
        let (publish, recovery) = (number(publish)?, number(recovery)?);
        Ok(Self { channel: ChannelName::parse(channel)?, publish, recovery })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        let channel = ChannelName::parse("vendor.example/agent").unwrap();
        let path = ChannelFilePath { channel: channel.clone(), publish: 7, recovery: 1 };
        assert_eq!(path.encode(), "/channel-file/7/1/vendor.example/agent");
        assert_eq!(ChannelFilePath::parse(&path.encode()), Ok(path));
        let whole = ChannelFilePath::whole(channel);
        assert_eq!(whole.encode(), "/channel-file/0/0/vendor.example/agent");
        for path in [
            "/channel-file/",
            "/channel-file/0/vendor.example",
            "/channel-file/0/0/",
            "/channel-file/00/0/vendor.example",
            "/channel-file/+1/0/vendor.example",
            "/channel-file/0/9007199254740992/vendor.example",
            "/channel-file/0/0/vendor.example/../x",
            "/channel-file/0/0/vendor%2eexample",
            "channel-file/0/0/vendor.example",
        ] {
            assert!(ChannelFilePath::parse(path).is_err(), "{path}");
        }
    }
}

//! Fetching the channel files that follow on what is known, from a log or a copy of what it serves.
//!
//! Nothing that comes is believed before it is verified. A log answers for any place; a directory of copied
//! files, in which the file for just this place may be missing, is asked for the whole channel's then.

use indelible_proto::channel_file::{ChannelFile, ChannelFileError};
use indelible_proto::log_api::ChannelFilePath;
use indelible_proto::policy::{Policy, VerifiedCheckpoint};
use indelible_proto::record::{ChannelName, RecordId};

use super::{KnownChannel, LearnError};
use crate::fetch::{Source, SourceError};
use crate::verify::TrustedTime;

/// Why a channel was not followed to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchChannelError {
    /// Nothing could be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What came is not a channel file.
    #[error("{from} answered with no channel file: {error}")]
    NoFile {
        /// The source.
        from: String,
        /// Why not.
        error: ChannelFileError,
    },
    /// The file shows nothing, or not what goes with what is known.
    #[error("the channel file of {from}: {error}")]
    Learn {
        /// The source.
        from: String,
        /// Why not.
        error: LearnError,
    },
}

impl FetchChannelError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::NoFile { error, .. } => error.code(),
            Self::Learn { error, .. } => error.code(),
        }
    }
}

/// What is known of the channel `name` after reading everything that `source` has of it; `page` hears of each
/// file, and of what is known with it, and says whether to go on. Ends, because each file but the last brings records, and so many are kept at most.
///
/// # Errors
/// [`FetchChannelError`]; files before the one that failed were given to `page`.
pub async fn fetch_channel(
    source: &Source,
    name: &ChannelName,
    genesis: RecordId,
    mut known: Option<KnownChannel>,
    policy: &Policy,
    time: TrustedTime,
    page: &mut impl FnMut(&ChannelFile, &KnownChannel, &VerifiedCheckpoint) -> bool,
) -> Result<(), FetchChannelError> {
    loop {
        let bytes = read(source, name, known.as_ref()).await?;
        let file =
            ChannelFile::parse(&bytes).map_err(|error| match source.web_page("channel-file", &bytes) {
                Some(page) => page.into(),
                None => FetchChannelError::NoFile { from: source.to_string(), error },
            })?;
        let learned = KnownChannel::learn(known.as_ref(), genesis, &file, policy, time);
        let (after, checkpoint) =
            learned.map_err(|error| FetchChannelError::Learn { from: source.to_string(), error })?;
        let goes_on = page(&file, &after, &checkpoint);
        let before = known.map_or(0, |known| known.records.len());
        if !goes_on || after.records.len() == before {
            return Ok(());
        }
        known = Some(after);
    }
}

async fn read(
    source: &Source,
    name: &ChannelName,
    known: Option<&KnownChannel>,
) -> Result<Vec<u8>, SourceError> {
    let whole = ChannelFilePath::whole(name.clone());
    let next = known.map_or_else(|| whole.clone(), |known| ChannelFilePath::after(known.state()));
    match source.get(relative(&next).as_str(), ChannelFile::MAX_BYTES).await {
        Err(error) if error.is_not_found() && source.is_directory() => {
            source.get(relative(&whole).as_str(), ChannelFile::MAX_BYTES).await
        }
        answer => answer,
    }
}

fn relative(path: &ChannelFilePath) -> String {
    path.encode().trim_start_matches('/').to_owned()
}

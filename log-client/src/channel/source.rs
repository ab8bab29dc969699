//! Fetching the channel files that follow on what is known, from a log or a copy of what it serves.
//!
//! Nothing that comes is believed before it is verified. A log answers for any place; copies of its files, in a
//! directory or served by a mirror, in which the one for just this place may be missing, are asked for the whole channel's
//! then.

use indelible_proto::channel_file::{ChannelFile, ChannelFileError};
use indelible_proto::log_api::ChannelFilePath;
use indelible_proto::note::SignedNote;
use indelible_proto::policy::{Policy, VerifiedCheckpoint};
use indelible_proto::record::{ChannelName, RecordId};

use super::{KnownChannel, LearnError};
use crate::fetch::{Source, SourceError};
use crate::verify::TrustedTime;

/// The most files asked for at once. A log gives 1,024 records in one, so that 17 have as many as are kept; whoever gives
/// less each time could go on for as long as the channel has records, at the HTTP client's deadline for each.
const MAX_FILES: usize = 32;

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
        /// Its checkpoint, not verified.
        note: Box<SignedNote>,
        /// Why not.
        error: LearnError,
    },
    /// It has been asked [`MAX_FILES`] times, and there is more.
    #[error(
        "{from} has given {MAX_FILES} channel files and has more; a log gives up to 1,024 records in one"
    )]
    TooManyFiles {
        /// The source.
        from: String,
    },
}

impl FetchChannelError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::NoFile { error, .. } => error.code(),
            Self::Learn { error, .. } => error.code(),
            Self::TooManyFiles { .. } => "channel-too-many-files",
        }
    }
}

/// What is known of the channel `name` after reading everything that `source` has of it; `page` hears of each
/// file, and of what is known with it, and says whether to go on. Ends after [`MAX_FILES`] files.
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
    for _ in 0..MAX_FILES {
        let bytes = read(source, name, known.as_ref()).await?;
        let file =
            ChannelFile::parse(&bytes).map_err(|error| match source.web_page("channel-file", &bytes) {
                Some(page) => page.into(),
                None => FetchChannelError::NoFile { from: source.to_string(), error },
            })?;
        let learned = KnownChannel::learn(known.as_ref(), genesis, &file, policy, time);
        let (after, checkpoint) = learned.map_err(|error| {
            let (from, note) = (source.to_string(), Box::new(file.note().clone()));
            FetchChannelError::Learn { from, note, error }
        })?;
        let goes_on = page(&file, &after, &checkpoint);
        let before = known.map_or(0, |known| known.records.len());
        if !goes_on || after.records.len() == before {
            return Ok(());
        }
        known = Some(after);
    }
    Err(FetchChannelError::TooManyFiles { from: source.to_string() })
}

async fn read(
    source: &Source,
    name: &ChannelName,
    known: Option<&KnownChannel>,
) -> Result<Vec<u8>, SourceError> {
    let whole = ChannelFilePath::whole(name.clone());
    let next = known.map_or_else(|| whole.clone(), |known| ChannelFilePath::after(known.state()));
    match source.get(relative(&next).as_str(), ChannelFile::MAX_BYTES).await {
        Err(error) if error.is_not_found() && next != whole => {
            source.get(relative(&whole).as_str(), ChannelFile::MAX_BYTES).await
        }
        answer => answer,
    }
}

fn relative(path: &ChannelFilePath) -> String {
    path.encode().trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_channel::TestChannel;
    use crate::test_log::seconds;

    const NOW: u64 = 1_800_000_000;

    /// A folder of true files with one new record each, as a mirror that wants to be asked for ever could serve them.
    fn dribbling(records: usize) -> (tempfile::TempDir, TestChannel) {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &ChannelFilePath, file: ChannelFile| {
            let path = dir.path().join(relative(path));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file.encode()).unwrap();
        };
        let mut channel = TestChannel::new("vendor.example/agent", 0);
        for seq in 1..records as u64 {
            let after = ChannelFilePath::after(channel.state());
            channel.release(seq.to_string().as_bytes(), 1);
            // A file begins with the last record that is known.
            put(&after, channel.file_from(seq - 1, NOW));
        }
        put(&ChannelFilePath::after(channel.state()), channel.file_from(records as u64 - 1, NOW));
        (dir, channel)
    }

    async fn fetch(records: usize) -> (Result<(), &'static str>, usize) {
        let (dir, channel) = dribbling(records);
        let source = Source::directory(dir.path());
        let time = TrustedTime::new(seconds(NOW + 1), None);
        let mut known = None;
        let mut page = |_: &ChannelFile, after: &KnownChannel, _: &VerifiedCheckpoint| {
            known = Some(after.records().count());
            true
        };
        let policy = channel.log.policy(2);
        let read = fetch_channel(&source, &channel.name, channel.genesis(), None, &policy, time, &mut page);
        let read = read.await.map_err(|error| error.code());
        (read, known.unwrap_or(0))
    }

    #[tokio::test]
    async fn a_source_is_asked_so_many_times_and_what_came_stays() {
        // The last file shows that nothing is left.
        assert_eq!(fetch(MAX_FILES).await, (Ok(()), MAX_FILES));
        assert_eq!(fetch(MAX_FILES + 1).await, (Err("channel-too-many-files"), MAX_FILES + 1));
    }
}

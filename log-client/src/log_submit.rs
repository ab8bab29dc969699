//! The write side of a log: handing in a record, and asking for a channel's head.
//!
//! Nothing here retries and nothing is believed: an answer is what the log claims, and a proof becomes
//! knowledge when the publisher verifies it.

use std::time::Duration;

use indelible_proto::log_api::{
    ApiError, BYTES_MEDIA_TYPE, BatchError, ChannelHeadAnswer, MAX_BATCH_ANSWER_BYTES, MAX_BATCH_RECORDS,
    RecordAnswer, SUBMIT_BATCH_PATH, SUBMIT_PATH, SequencedAnswer, channel_path, encode_batch,
};
use indelible_proto::proof::LogProof;
use indelible_proto::record::ChannelName;
use indelible_proto::size::LeafIndex;

use crate::fetch::is_web_page;
use crate::http::{Answer, FetchError, HttpClient};

/// What a log answered to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitAnswer {
    /// In the log and witnessed: the bytes of the `.tlog-proof`.
    Proof(Vec<u8>),
    /// In the log, not witnessed yet. The same bytes sent again get the proof once there is one.
    Sequenced(LeafIndex),
    /// Not the channel's next record.
    Conflict(Box<ApiError>),
    /// Never to be admitted as it is.
    Refused(Box<ApiError>),
    /// Not now.
    Busy {
        /// When to come back.
        retry_after: Option<Duration>,
    },
}

/// Why there is no usable answer. Whether a record was logged is then unknown; sending it again is safe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The exchange failed.
    #[error("the log at {url} cannot be reached")]
    Exchange {
        /// The address asked.
        url: String,
        /// What went wrong.
        source: FetchError,
    },
    /// More than one request takes. `log_api::batch_prefix` tells how many records fit.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The answer is not one a log gives.
    #[error("{url} answered {status} with something that is not a log's answer: {}", .snippet.escape_debug())]
    NotALog {
        /// The address asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The start of the answer.
        snippet: String,
    },
}

impl SubmitError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exchange { source, .. } => source.code(),
            Self::Batch(error) => error.code(),
            Self::NotALog { .. } => "not-a-log",
        }
    }

    /// Whether the same request may do better a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Exchange { source, .. } => {
                matches!(source, FetchError::Timeout | FetchError::Interrupted { .. })
            }
            Self::Batch(_) => false,
            // What a proxy says while the log behind it restarts.
            Self::NotALog { status, .. } => matches!(status, 502 | 504),
        }
    }
}

/// A log that takes records.
pub trait SubmitLog {
    /// Hands in the exact bytes of a signed record. Handing in the same bytes again is harmless: one record
    /// has one place, and the answer is about that place.
    ///
    /// # Errors
    /// Any [`SubmitError`]; whether the record was logged is then unknown.
    fn submit(&self, leaf: &[u8]) -> impl Future<Output = Result<SubmitAnswer, SubmitError>> + Send;

    /// Hands in the exact bytes of many signed records, in order and in one request; the answers are in the same
    /// order, each as [`Self::submit`] of it alone would have been answered. A record may follow another one of
    /// the same request. A refusal of the whole request, for example because the log is busy, is every record's.
    ///
    /// # Errors
    /// [`SubmitError::Batch`] for more than one request takes; otherwise as [`Self::submit`], and then nothing is
    /// known of any record.
    fn submit_many(
        &self,
        leaves: &[Vec<u8>],
    ) -> impl Future<Output = Result<Vec<SubmitAnswer>, SubmitError>> + Send
    where
        Self: Sync,
    {
        async move {
            let mut answers = Vec::with_capacity(leaves.len());
            for leaf in leaves {
                answers.push(self.submit(leaf).await?);
            }
            Ok(answers)
        }
    }

    /// The head of `channel` as the log has it; `None` if the log has no such channel.
    ///
    /// # Errors
    /// Any [`SubmitError`].
    fn channel_head(
        &self,
        channel: &ChannelName,
    ) -> impl Future<Output = Result<Option<ChannelHeadAnswer>, SubmitError>> + Send;
}

/// A log reached over HTTP.
#[derive(Clone, Debug)]
pub struct HttpLog {
    base: String,
    client: HttpClient,
}

impl HttpLog {
    /// The log at the base URL `base`; slashes at its end make no difference.
    pub fn new(base: &str, client: HttpClient) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), client }
    }

    fn not_a_log(url: String, answer: &Answer) -> SubmitError {
        SubmitError::NotALog { url, status: answer.status, snippet: answer.snippet() }
    }
}

impl SubmitLog for HttpLog {
    async fn submit(&self, leaf: &[u8]) -> Result<SubmitAnswer, SubmitError> {
        let url = format!("{}{SUBMIT_PATH}", self.base);
        let sent = self.client.post_limited(&url, BYTES_MEDIA_TYPE, leaf.to_vec(), MAX_ANSWER_BYTES).await;
        match sent {
            Ok(answer) => read_answer(&answer).ok_or_else(|| Self::not_a_log(url, &answer)),
            Err(source) => Err(SubmitError::Exchange { url, source }),
        }
    }

    async fn submit_many(&self, leaves: &[Vec<u8>]) -> Result<Vec<SubmitAnswer>, SubmitError> {
        let body = encode_batch(leaves, MAX_BATCH_RECORDS)?;
        let url = format!("{}{SUBMIT_BATCH_PATH}", self.base);
        let sent = self.client.post_limited(&url, BYTES_MEDIA_TYPE, body, MAX_BATCH_ANSWER_BYTES).await;
        match sent {
            Ok(answer) => read_answers(&answer, leaves.len()).ok_or_else(|| Self::not_a_log(url, &answer)),
            Err(source) => Err(SubmitError::Exchange { url, source }),
        }
    }

    async fn channel_head(&self, channel: &ChannelName) -> Result<Option<ChannelHeadAnswer>, SubmitError> {
        let url = format!("{}{}", self.base, channel_path(channel));
        let body = match self.client.get_limited(&url, MAX_ANSWER_BYTES).await {
            Ok(body) => body,
            // A log says 404 in its own words; any other server's 404 says nothing about the channel.
            Err(FetchError::Status { status: 404, body }) => {
                return match ApiError::parse(body.as_bytes()) {
                    Ok(_) => Ok(None),
                    Err(_) => Err(SubmitError::NotALog { url, status: 404, snippet: body }),
                };
            }
            Err(source) => return Err(SubmitError::Exchange { url, source }),
        };
        match ChannelHeadAnswer::parse(&body) {
            Ok(head) if head.channel == *channel => Ok(Some(head)),
            _ => {
                let answer = Answer { status: 200, content_type: None, retry_after_s: None, body };
                Err(Self::not_a_log(url, &answer))
            }
        }
    }
}

fn read_answer(answer: &Answer) -> Option<SubmitAnswer> {
    let error = || ApiError::parse(&answer.body).ok().map(Box::new);
    match answer.status {
        // A log gives a proof, good or bad; a page is of somebody else.
        200 if is_web_page(&answer.body) => None,
        200 => Some(SubmitAnswer::Proof(answer.body.clone())),
        202 => SequencedAnswer::parse(&answer.body).ok().map(|answer| SubmitAnswer::Sequenced(answer.index)),
        409 => error().map(SubmitAnswer::Conflict),
        // A record that was too slow to arrive was not judged.
        408 | 429 | 503 => {
            Some(SubmitAnswer::Busy { retry_after: answer.retry_after_s.map(Duration::from_secs) })
        }
        400..500 => error().map(SubmitAnswer::Refused),
        _ => None,
    }
}

fn read_answers(answer: &Answer, count: usize) -> Option<Vec<SubmitAnswer>> {
    if answer.status != 200 {
        return match read_answer(answer)? {
            // There is no answer of that kind to many.
            SubmitAnswer::Sequenced(_) => None,
            all => Some(vec![all; count]),
        };
    }
    let each = RecordAnswer::parse_all(&answer.body, count).ok()?;
    let read = |RecordAnswer { status, body }| {
        read_answer(&Answer { status, content_type: None, retry_after_s: None, body })
    };
    each.into_iter().map(read).collect()
}

/// A proof is the longest answer.
const MAX_ANSWER_BYTES: usize = LogProof::MAX_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer { status, content_type: None, retry_after_s: Some(7), body: body.to_vec() }
    }

    #[test]
    fn reads_each_status_as_what_it_means() {
        assert_eq!(read_answer(&answer(200, b"proof")), Some(SubmitAnswer::Proof(b"proof".to_vec())));
        let busy = SubmitAnswer::Busy { retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(read_answer(&answer(503, b"")), Some(busy.clone()));
        assert_eq!(read_answer(&answer(429, b"")), Some(busy.clone()));
        let slow = ApiError::new("body-slow", "send it again").encode();
        assert_eq!(read_answer(&answer(408, slow.as_bytes())), Some(busy));
    }

    #[test]
    fn an_answer_in_other_words_is_no_answer_of_a_log() {
        for status in [200, 202, 400, 404, 409, 413] {
            assert_eq!(read_answer(&answer(status, b"<html>")), None, "{status}");
        }
        for status in [201, 301, 500, 502] {
            assert_eq!(read_answer(&answer(status, b"{}")), None, "{status}");
        }
    }

    #[test]
    fn many_records_are_answered_each_on_its_own_or_all_alike() {
        let conflict = ApiError::new("seq-mismatch", "seq 1, expected 2");
        let each = [(200, b"proof".to_vec()), (409, conflict.encode().into_bytes()), (503, b"{}".to_vec())];
        let each = each.map(|(status, body)| RecordAnswer { status, body });
        let body = RecordAnswer::encode_all(&each);
        let expected = vec![
            SubmitAnswer::Proof(b"proof".to_vec()),
            SubmitAnswer::Conflict(Box::new(conflict)),
            SubmitAnswer::Busy { retry_after: None },
        ];
        assert_eq!(read_answers(&answer(200, &body), 3), Some(expected));
        for wrong in [2, 4] {
            assert_eq!(read_answers(&answer(200, &body), wrong), None);
        }
        let busy = SubmitAnswer::Busy { retry_after: Some(Duration::from_secs(7)) };
        assert_eq!(read_answers(&answer(429, b""), 2), Some(vec![busy.clone(), busy]));
        let sequenced = SequencedAnswer { index: LeafIndex::new(1).unwrap() }.encode();
        assert_eq!(read_answers(&answer(202, sequenced.as_bytes()), 1), None);
        assert_eq!(read_answers(&answer(200, b"<html>"), 1), None);
        let unknown = RecordAnswer::encode_all(&[RecordAnswer { status: 500, body: Vec::new() }]);
        assert_eq!(read_answers(&answer(200, &unknown), 1), None);
    }

    #[test]
    fn only_passing_failures_are_worth_another_attempt() {
        let not_a_log = |status| SubmitError::NotALog { url: String::new(), status, snippet: String::new() };
        assert!(not_a_log(502).is_passing());
        assert!(!not_a_log(200).is_passing());
        let timeout = SubmitError::Exchange { url: String::new(), source: FetchError::Timeout };
        assert!(timeout.is_passing());
    }
}

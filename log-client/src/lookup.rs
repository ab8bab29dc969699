//! Finding what a log has about a hash, and proving what it finds.
//!
//! The log says where; nothing of that is believed. Each entry it names is fetched, proved to be in the tree
//! of a checkpoint that satisfies the policy, and compared with what was asked for. That something was *not*
//! found proves nothing: a log can keep quiet about an entry. Who signed a record is not checked here.

use indelible_proto::hash::Hash;
use indelible_proto::log_api::{ApiError, Lookup, LookupAnswer, LookupKey, MAX_LOOKUP_BYTES};
use indelible_proto::note::{NoteError, SignedNote};
use indelible_proto::policy::{Policy, PolicyError, VerifiedCheckpoint};
use indelible_proto::record::{Predicate, SignedRecord};
use indelible_proto::size::{LeafIndex, TreeSize};
use indelible_proto::tile::BundleId;

use crate::fetch::{CHECKPOINT_PATH, Source, SourceError};
use crate::http::{FetchError, HttpClient};
use crate::log_client::{LogClient, ReadError};

/// Most answers asked for one question, of 32 entries each. Whoever wants more asks from where these end.
pub const MAX_PAGES: usize = 8;

/// Why a look-up has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The log did not answer.
    #[error("cannot ask {url}")]
    Exchange {
        /// What was asked.
        url: String,
        /// How the exchange went.
        source: FetchError,
    },
    /// The answer is not one a log gives.
    #[error("{url} answered with something that is not a log's answer ({code})")]
    NotALog {
        /// What was asked.
        url: String,
        /// What is wrong with it, or what the log refused.
        code: String,
    },
    /// The log's checkpoint could not be had.
    #[error("cannot get the log's checkpoint")]
    Checkpoint(#[from] SourceError),
    /// The log's checkpoint is not a signed note.
    #[error("the log's checkpoint is not a signed note: {0}")]
    Note(#[from] NoteError),
    /// The log's checkpoint does not satisfy the policy.
    #[error("the log's checkpoint does not satisfy the policy: {0}")]
    Policy(#[from] PolicyError),
    /// Entries or tiles could not be had.
    #[error("cannot get entry {index} and its proof")]
    Read {
        /// The entry.
        index: LeafIndex,
        /// What went wrong.
        source: ReadError,
    },
    /// What the log serves as this entry is not in the tree it has signed.
    #[error("what the log serves as entry {index} is not in the tree it has signed ({code})")]
    NotInTree {
        /// The entry.
        index: LeafIndex,
        /// The stable name of what is wrong.
        code: &'static str,
    },
    /// The log named an entry that does not have what was asked for.
    #[error("the log named entry {index} for {} {}, which it does not have", .key.word(), .key.hash())]
    Wrong {
        /// The entry.
        index: LeafIndex,
        /// What was asked for.
        key: LookupKey,
    },
}

impl LookupError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exchange { source, .. } => source.code(),
            Self::NotALog { .. } => "not-a-log",
            Self::Checkpoint(error) => error.code(),
            Self::Note(error) => error.code(),
            Self::Policy(error) => error.code(),
            Self::Read { source, .. } => source.code(),
            Self::NotInTree { .. } => "lookup-not-in-tree",
            Self::Wrong { .. } => "lookup-wrong",
        }
    }

    /// Whether what came is wrong, as opposed to nothing useful having come.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Note(_) | Self::Policy(_) | Self::NotInTree { .. } | Self::Wrong { .. } => true,
            Self::Exchange { .. } | Self::NotALog { .. } | Self::Checkpoint(_) | Self::Read { .. } => false,
        }
    }
}

/// What the log says, believed by nobody.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// The entries it names and what they are to have.
    pub entries: Vec<(LeafIndex, LookupKey)>,
    /// The least size up to which it says it has looked.
    pub size: TreeSize,
    /// Whether it has more than was asked for.
    pub more: bool,
}

/// An entry that is proved to be in the log and to have what was asked for.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its place.
    pub index: LeafIndex,
    /// What it has.
    pub key: LookupKey,
    /// Its leaf hash.
    pub leaf: Hash,
    /// The entry, if it is a record.
    pub record: Option<SignedRecord>,
}

/// What was proved.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The checkpoint everything was proved against.
    pub checkpoint: VerifiedCheckpoint,
    /// The entries in its tree.
    pub found: Vec<Found>,
    /// Entries the log named that are not in that tree yet.
    pub waiting: Vec<LeafIndex>,
}

/// Asks one log.
#[derive(Clone, Debug)]
pub struct Finder {
    base: String,
    http: HttpClient,
    log: LogClient,
}

impl Finder {
    /// Asks the log at a base URL; slashes at its end make no difference.
    pub fn new(base: &str, http: HttpClient) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        let log = LogClient::new(Source::http(&base, &http));
        Self { base, http, log }
    }

    /// What the log says it has for any of these keys.
    ///
    /// # Errors
    /// [`LookupError::Exchange`] and [`LookupError::NotALog`].
    pub async fn ask(&self, keys: &[LookupKey]) -> Result<Claims, LookupError> {
        let mut claims = Claims { size: TreeSize::MAX, ..Claims::default() };
        for key in keys {
            let mut next = Some(Lookup::all(*key));
            let mut pages = 0;
            while let Some(lookup) = next.filter(|_| pages < MAX_PAGES) {
                let answer = self.answer(&lookup).await?;
                claims.entries.extend(answer.entries.iter().map(|entry| (entry.index, *key)));
                claims.size = claims.size.min(answer.size);
                // It may not send us back, or in a circle.
                next = answer.next.filter(|next| *next > lookup.from).map(|from| Lookup { key: *key, from });
                pages += 1;
            }
            claims.more |= next.is_some();
        }
        // No question reached a list that the log has.
        if claims.size == TreeSize::MAX {
            claims.size = TreeSize::ZERO;
        }
        // One entry may have the same hash as several things.
        claims.entries.sort_by_key(|(index, _)| *index);
        claims.entries.dedup_by_key(|(index, _)| *index);
        Ok(claims)
    }

    /// Proves every claim against the log's newest checkpoint.
    ///
    /// # Errors
    /// Any [`LookupError`]; none of the claims is proved then.
    pub async fn prove(&self, claims: &Claims, policy: &Policy) -> Result<Proved, LookupError> {
        let checkpoint = policy.verify(&self.newest().await?)?;
        let size = checkpoint.head().size;
        let (mut found, mut waiting) = (Vec::new(), Vec::new());
        for (index, key) in &claims.entries {
            if size.contains(*index) {
                found.push(self.prove_one(*index, *key, &checkpoint).await?);
            } else {
                waiting.push(*index);
            }
        }
        Ok(Proved { checkpoint, found, waiting })
    }

    /// The log's newest checkpoint. A page in its place is nobody's word.
    async fn newest(&self) -> Result<SignedNote, LookupError> {
        let bytes = self.log.checkpoint().await?;
        SignedNote::parse(&bytes).map_err(|error| {
            let page = self.log.source().web_page(CHECKPOINT_PATH, &bytes);
            page.map_or(LookupError::Note(error), LookupError::Checkpoint)
        })
    }

    async fn prove_one(
        &self,
        index: LeafIndex,
        key: LookupKey,
        checkpoint: &VerifiedCheckpoint,
    ) -> Result<Found, LookupError> {
        let head = checkpoint.head();
        let outside = |code| LookupError::NotInTree { index, code };
        let (bundle, position) =
            BundleId::of_entry(index, head.size).map_err(|error| outside(error.code()))?;
        let read = |source| LookupError::Read { index, source };
        let entries = self.log.bundle(bundle).await.map_err(read)?;
        let entry = entries.get(position).ok_or(outside("bundle-short"))?;
        let leaf = entry.leaf_hash();
        let proof = self.log.inclusion(index, head.size).await.map_err(read)?;
        proof.verify(&leaf, index, &head).map_err(|error| outside(error.code()))?;
        let record = SignedRecord::parse(entry.as_bytes()).ok();
        let has = match (&key, &record) {
            (LookupKey::Leaf(hash), _) => *hash == leaf,
            (LookupKey::Record(id), Some(record)) => *id == record.record_id(),
            (LookupKey::Artifact(digest), Some(record)) => names_artifact(record, digest),
            (LookupKey::Record(_) | LookupKey::Artifact(_), None) => false,
        };
        if !has {
            return Err(LookupError::Wrong { index, key });
        }
        Ok(Found { index, key, leaf, record })
    }

    async fn answer(&self, lookup: &Lookup) -> Result<LookupAnswer, LookupError> {
        let url = format!("{}{}", self.base, lookup.path());
        let body = match self.http.get_limited(&url, MAX_LOOKUP_BYTES).await {
            Ok(body) => body,
            // Nothing was found: the answer says how far the log has looked. A log of other things than records
            // knows no records and no artifacts.
            Err(FetchError::Status { status: 404, body }) => match ApiError::parse(body.as_bytes()) {
                Ok(refusal) if refusal.code() == "kind-raw" => {
                    return Ok(LookupAnswer { entries: Vec::new(), next: None, size: TreeSize::MAX });
                }
                Ok(refusal) => return Err(LookupError::NotALog { url, code: refusal.code().to_owned() }),
                Err(_) => body.into_bytes(),
            },
            Err(source) => return Err(LookupError::Exchange { url, source }),
        };
        LookupAnswer::parse(&body)
            .map_err(|error| LookupError::NotALog { url, code: error.code().to_owned() })
    }
}

/// Whether the record is about an artifact with this digest. A record about a channel is about no artifact.
fn names_artifact(record: &SignedRecord, digest: &Hash) -> bool {
    let statement = record.statement();
    let named = |given: Option<Hash>| given == Some(*digest);
    !matches!(statement.predicate, Predicate::Channel(..))
        && statement.subject.iter().any(|subject| named(subject.sha256) || named(subject.dir_hash1))
}

//! Reasons not to sign that the operator may overrule, and how.
//!
//! What is *known* to fork the log can't be overruled: data that lacks something this log signed, or
//! contradicts it. What is only *not known* can be: a source that must answer is silent, or the clock is behind
//! what witnesses attested. The refusal then names a token, the hash of the exact situation: which log, what it
//! has signed and published, the reasons, and how often it was overruled before. Started with that token, the
//! log writes it down on disk, then signs. In any other situation, and a second time, the token is worth nothing.
//!
//! A token is no secret and proves nothing about who gives it: whoever can start the log could also change its
//! settings. It is there so that nobody overrules what they have not read.

use std::fmt;
use std::path::{Path, PathBuf};

use indelible_client::durable::{self, DurableError};
use indelible_proto::hash::sha256;
use indelible_proto::note::SignedNote;
use indelible_proto::policy::Policy;
use indelible_proto::time::UnixSeconds;
use indelible_proto::tree::TreeHead;

use crate::sources::Silent;

/// Name of the file, in the log's directory, with the tokens that were used, one a line.
pub const OVERRULED_FILE: &str = "overruled";
/// Largest such file, in bytes: some 700 lines. Who overrules more often has something else to repair.
const OVERRULED_MAX_BYTES: usize = 64 * 1024;
/// How far clocks of witnesses may be ahead of ours, in seconds.
pub const CLOCK_SLACK_S: u64 = 600;

/// A reason not to sign that may turn out to be none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Doubt {
    /// A source that must answer has not.
    Silent(Silent),
    /// The clock says an earlier time than a quorum of witnesses has attested.
    ClockBehind {
        /// What the clock says.
        now: UnixSeconds,
        /// What the witnesses attested.
        attested: UnixSeconds,
    },
}

impl Doubt {
    /// The stable name of this doubt.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Silent(_) => "source-silent",
            Self::ClockBehind { .. } => "clock-behind",
        }
    }

    /// What the token is bound to: not the words, which may differ at the next attempt.
    fn line(&self) -> String {
        match self {
            Self::Silent(silent) => format!("{} {}\n", self.code(), silent.source),
            Self::ClockBehind { attested, .. } => format!("{} {attested}\n", self.code()),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(Silent { source, why }) => {
                let (source, why) = (source.escape_debug(), why.escape_debug());
                write!(f, "{source} must answer before this log signs, and does not: {why}")
            }
            Self::ClockBehind { now, attested } => {
                write!(f, "the clock says {now}, but witnesses attested {attested} already: set the clock")
            }
        }
    }
}

/// Why the log is not started in spite of doubts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DoubtError {
    /// Nothing was said to overrule this.
    #[error(
        "refusing to sign: {}. Put that right and start again. If you are certain that no newer data of this log \
         exists anywhere, start it once with --sign-anyway {token}; that is kept in {}",
        list(.doubts),
        path.display()
    )]
    Standing {
        /// What is in doubt.
        doubts: Vec<Doubt>,
        /// What overrules exactly this, once.
        token: String,
        /// Where it is written down.
        path: PathBuf,
    },
    /// The file of used tokens can't be read or written, so that no token can be used.
    #[error("cannot keep that the refusal to sign was overruled")]
    File(#[from] DurableError),
}

impl DoubtError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Standing { doubts, .. } => doubts.first().map_or("in-doubt", Doubt::code),
            Self::File(error) => error.code(),
        }
    }
}

/// What a token is bound to besides the doubts.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// The log's directory.
    pub dir: &'a Path,
    /// The log's identity.
    pub origin: &'a str,
    /// The newest signed head of the stored log.
    pub signed: TreeHead,
    /// The published head.
    pub published: TreeHead,
}

/// Goes on if nothing is in doubt or `given` overrules just this; then that is on disk when the call returns.
pub fn overrule(
    situation: &Situation<'_>,
    mut doubts: Vec<Doubt>,
    given: Option<&str>,
    now: UnixSeconds,
) -> Result<(), DoubtError> {
    if doubts.is_empty() {
        if given.is_some() {
            tracing::warn!("--sign-anyway was not needed, and the token was not used");
        }
        return Ok(());
    }
    doubts.sort();
    let path = situation.dir.join(OVERRULED_FILE);
    let mut used = durable::read(&path, OVERRULED_MAX_BYTES)?.unwrap_or_default();
    let token = token(situation, &doubts, &used);
    if given != Some(token.as_str()) {
        return Err(DoubtError::Standing { doubts, token, path });
    }
    used.extend_from_slice(format!("{token} {now} {}\n", codes(&doubts)).as_bytes());
    if used.len() > OVERRULED_MAX_BYTES {
        return Err(DurableError::TooLarge { path, max_bytes: OVERRULED_MAX_BYTES }.into());
    }
    durable::replace(&path, &used)?;
    for doubt in &doubts {
        tracing::warn!(code = doubt.code(), %token, "signing anyway, as told with --sign-anyway: {doubt}");
    }
    Ok(())
}

/// The time that a quorum of the policy's witnesses has attested by cosigning `published`: the newest that one
/// witness whose clock is wrong cannot move alone, if the quorum has more than one.
pub fn attested_time(policy: &Policy, published: &SignedNote) -> Option<UnixSeconds> {
    let cosignatures = policy.verified_cosignatures(published).ok()?;
    let mut times: Vec<(UnixSeconds, usize)> = cosignatures
        .into_iter()
        .filter_map(|(place, cosignature)| Some((cosignature.timestamp()?, place)))
        .collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    let places: Vec<usize> = times.iter().map(|(_, place)| *place).collect();
    let enough = (1..=places.len()).find(|count| policy.quorum_met(&places[..*count]))?;
    times.get(enough - 1).map(|(time, _)| *time)
}

/// Whether the clock is further behind what was attested than clocks may differ.
pub fn clock_doubt(now: UnixSeconds, attested: Option<UnixSeconds>) -> Option<Doubt> {
    let attested = attested?;
    let behind = attested.get().saturating_sub(now.get()) > CLOCK_SLACK_S;
    behind.then_some(Doubt::ClockBehind { now, attested })
}

fn token(situation: &Situation<'_>, doubts: &[Doubt], used: &[u8]) -> String {
    let Situation { origin, signed, published, .. } = situation;
    let mut text = format!("indelible sign-anyway v1\n{origin}\n");
    for head in [signed, published] {
        text.push_str(&format!("{} {}\n", head.size, head.root));
    }
    text.push_str(&format!("{}\n", sha256(used)));
    text.extend(doubts.iter().map(Doubt::line));
    let mut digits = sha256(text.as_bytes()).to_hex();
    digits.truncate(32);
    digits
}

fn list(doubts: &[Doubt]) -> String {
    doubts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; and ")
}

fn codes(doubts: &[Doubt]) -> String {
    doubts.iter().map(Doubt::code).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;

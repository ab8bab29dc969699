//! From files on disk to a verdict, and what is remembered of it. `verify` and `guard` both judge here.

use std::path::{Path, PathBuf};

use clap::Args;
use indelible_proto::note::VerifierKey;
use indelible_proto::policy::{Policy, VerifiedCheckpoint};
use indelible_proto::proof::LogProof;
use indelible_proto::record::Platform;
use indelible_proto::time::UnixSeconds;

use super::super::console::{Console, Output, chain};
use super::super::exit::{Exit, Failure};
use super::super::inputs::{
    OpenState, key_failure, pinned_channel, read_failure, read_policy, save_evidence, state_dir,
    state_failure, trusted_channel,
};
use super::beside::{hash, read_proof};
use super::grace::ActiveGrace;
use super::knowledge::{GivenFile, Learning, remember_learned};
use super::report::{explain, report};
use crate::channel::KnownChannel;
use crate::client_config::{ClientConfig, ClientConfigError, Grace};
use crate::files::ArtifactDigest;
use crate::keys::parse_record_vkey;
use crate::state::{LastRecord, StateError};
use crate::verify::rules::ReviewRule;
use crate::verify::{
    Knowledge, LastKnown, Outcome, Remembered, Request, Reviewers, Rules, Trust, TrustedChannel, TrustedTime,
    Verdict, claimed_channel, claimed_origin, verify,
};

/// Whom to trust and what to ask for.
#[derive(Debug, Args)]
pub(in crate::cli) struct TrustArgs {
    /// File with policy, pinned channels and further rules of this client; docs/config/client.toml shows it
    #[arg(long, value_name = "FILE", required_unless_present = "policy")]
    config: Option<PathBuf>,
    /// Which logs and witnesses count [default: the one in --config]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Proof file of the vendor's channel, or the name of a channel pinned before; without it or --key, any
    /// pinned channel may vouch for the artifact
    #[arg(long, value_name = "PROOFFILE|NAME", conflicts_with = "keys")]
    channel: Option<String>,
    /// Newest file of the vendor's channel, or of a reviewer's; can be given several times [default: what is
    /// remembered of the channel]
    #[arg(long = "channel-file", value_name = "FILE")]
    channel_files: Vec<PathBuf>,
    /// Verifier key of the vendor, or a file with it; one of those given has to have signed
    #[arg(long = "key", value_name = "VKEY")]
    keys: Vec<String>,
    /// Platform the artifact is to run on, OS/ARCH or OS/ARCH/VARIANT like linux/amd64; what the record has for another one
    /// is refused [default: the one in --config; without any, not checked]
    #[arg(long, value_name = "PLATFORM", value_parser = Platform::parse)]
    platform: Option<Platform>,
    /// Directory of what is remembered [default: $XDG_STATE_HOME/indelible or ~/.local/state/indelible]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Remember nothing and compare with nothing remembered
    #[arg(long, conflicts_with = "state")]
    no_state: bool,
    /// Show every check with what it looked at, also those that passed, and what was ignored
    #[arg(long)]
    explain: bool,
}

impl TrustArgs {
    /// Trust in what a client's file says, and nothing else.
    pub(in crate::cli) fn of_file(config: &Path, state: &Path, explain: bool) -> Self {
        Self {
            config: Some(config.to_owned()),
            policy: None,
            channel: None,
            channel_files: Vec::new(),
            keys: Vec::new(),
            platform: None,
            state: Some(state.to_owned()),
            no_state: false,
            explain,
        }
    }
}

/// Everything about the client that does not change from one artifact to the next.
#[derive(Debug)]
pub(in crate::cli) struct Judge {
    policy: Policy,
    rules: Rules,
    grace: Option<ActiveGrace>,
    config: Option<ClientConfig>,
    keys: Vec<VerifierKey>,
    channel: Option<String>,
    files: Vec<GivenFile>,
    /// `None` if nothing is remembered, by choice.
    state: Option<PathBuf>,
    clock: UnixSeconds,
    explain: bool,
}

/// How one artifact was judged.
#[derive(Debug)]
pub(in crate::cli) struct Judged {
    pub(in crate::cli) exit: Exit,
    pub(in crate::cli) output: Output,
}

impl Judge {
    /// Reads what the arguments name; `clock` is what this machine's clock says.
    pub(in crate::cli) fn new(args: &TrustArgs, clock: UnixSeconds) -> Result<Self, Failure> {
        let config =
            args.config.as_deref().map(ClientConfig::load).transpose().map_err(|e| config_failure(&e))?;
        let policy = args.policy.as_ref().or(config.as_ref().map(|config| &config.policy));
        let policy = read_policy(policy.map_or(Path::new(""), PathBuf::as_path))?;
        let keys = args.keys.iter().map(|key| parse_record_vkey(key)).collect::<Result<Vec<_>, _>>();
        let grace = ActiveGrace::of(config.as_ref(), clock)?;
        let named = config.iter().flat_map(|config| &config.channel_files).chain(&args.channel_files);
        let files = named.map(|path| GivenFile::read(path)).collect::<Result<_, _>>()?;
        let given = args.state.clone().or_else(|| config.as_ref().and_then(|config| config.state.clone()));
        let mut rules = config.as_ref().map(|config| config.rules.clone()).unwrap_or_default();
        rules.platform = args.platform.clone().or(rules.platform);
        Ok(Self {
            policy,
            rules,
            grace,
            config,
            keys: keys.map_err(|error| key_failure(&error))?,
            channel: args.channel.clone(),
            files,
            state: if args.no_state { None } else { Some(state_dir(given)?) },
            clock,
            explain: args.explain,
        })
    }

    /// Judges one artifact, of an archive only the folder `folder` if one is named, and remembers what is to be
    /// remembered.
    ///
    /// # Errors
    /// A [`Failure`] where there is no verdict to report: nothing to judge, or a fault of this machine.
    pub(in crate::cli) fn judge(
        &self,
        artifact: &Path,
        folder: Option<&str>,
        proof: Option<&Path>,
        console: Console,
    ) -> Result<Judged, Failure> {
        // The long part comes first, so that the state directory is held only for a moment. Without a proof there is no
        // verdict, but what is wrong with the artifact itself comes before that.
        let proof = read_proof(artifact, proof);
        let digest = hash(artifact, folder, proof.as_ref().ok(), console)?;
        let proof = proof?;
        let state = self.state.as_deref().map(OpenState::open).transpose()?;
        let state = state.as_ref();
        let reached = self.reach(&digest, &proof, &last_known(&proof, state), state, &[])?;
        let judged = self.tell(artifact, &digest, &reached, state);
        self.conclude(judged, &reached, state)
    }

    /// Judges an artifact that is not to be installed yet, as if what is `ahead` were remembered already. What was
    /// installed last plays no part: that is asked when it is installed. Remembers nothing; only evidence is kept.
    ///
    /// # Errors
    /// As [`Self::judge`].
    pub(in crate::cli) fn rehearse(
        &self,
        artifact: &Path,
        digest: &ArtifactDigest,
        proof: &LogProof,
        state: &OpenState,
        ahead: &[(KnownChannel, VerifiedCheckpoint)],
    ) -> Result<Judged, Failure> {
        let reached = self.reach(digest, proof, &LastKnown::NotKept, Some(state), ahead)?;
        Ok(self.tell(artifact, digest, &reached, Some(state)))
    }

    /// The verdict, if need be under the written exception.
    fn reach(
        &self,
        artifact: &ArtifactDigest,
        proof: &LogProof,
        last: &LastKnown,
        state: Option<&OpenState>,
        ahead: &[(KnownChannel, VerifiedCheckpoint)],
    ) -> Result<Reached<'_>, Failure> {
        let floor = state.map(|state| state.state.time_floor()).transpose().map_err(|e| state_failure(&e))?;
        let time = TrustedTime::new(self.clock, floor.flatten());
        let given = Given { artifact, proof, last, state, ahead, time };
        let strict = self.under(&self.policy, &self.rules, &given);
        let strict = strict.map_err(|failure| match &self.grace {
            Some(grace) => grace.not_covered(failure),
            None => failure,
        })?;
        Ok(self.relaxed(&strict, &given)?.unwrap_or(strict))
    }

    /// The verdict on the artifact's proof under a policy. What it is compared with, pins and channel files, has to
    /// satisfy the client's own policy whatever the exception says: it outlives the exception.
    fn under<'a>(
        &'a self,
        policy: &'a Policy,
        rules: &Rules,
        given: &Given<'_>,
    ) -> Result<Reached<'a>, Failure> {
        let Given { artifact, proof, last, state, ahead, time } = *given;
        let (note, files, learned) = (proof.note(), self.files.as_slice(), Vec::new());
        let mut learning = Learning { files, policy: &self.policy, state, time, note, ahead, learned };
        let (trust, known) = self.trust(proof, &mut learning)?;
        let remembered = recall(proof, policy, state);
        let mut reviewers = Reviewers::new();
        for (name, genesis) in rules.reviewers.iter().flat_map(ReviewRule::channels) {
            reviewers.insert(name.clone(), learning.of(name, *genesis)?);
        }
        let verdict = verify(&Request {
            artifact,
            proof,
            policy,
            trust: &trust,
            remembered: &remembered,
            last,
            known: &known,
            reviewers: &reviewers,
            time,
            rules,
        });
        Ok(Reached { verdict, learned: learning.learned, policy, grace: None })
    }

    /// The verdict under the written exception, if there is one and it makes the difference.
    fn relaxed<'a>(
        &'a self,
        strict: &Reached<'_>,
        given: &Given<'_>,
    ) -> Result<Option<Reached<'a>>, Failure> {
        let Some(active) = &self.grace else {
            return Ok(None);
        };
        // The exception must count for the witnesses' time too, not only for a clock that may be wrong.
        if !matches!(strict.verdict.outcome(), Outcome::Hold | Outcome::Refused)
            || !active.grace.is_active(given.time.now())
        {
            return Ok(None);
        }
        let reached = self.under(active.policy(&self.policy), &active.rules(&self.rules), given)?;
        let verified = reached.verdict.outcome() == Outcome::Verified;
        Ok(verified.then_some(Reached { grace: Some(&active.grace), ..reached }))
    }

    /// Whose signatures count: the channel or keys that were named, or else the channel the record names, if
    /// that was pinned, or is one of the client's file and known. With what is known of the channel.
    fn trust(&self, proof: &LogProof, learning: &mut Learning<'_>) -> Result<(Trust, Knowledge), Failure> {
        let (policy, state) = (learning.policy, learning.state);
        let trusted = match &self.channel {
            Some(channel) => {
                Some(trusted_channel(channel, policy, state, |trusted| self.check_configured(trusted))?)
            }
            None if self.keys.is_empty() => {
                let pinned = pinned(proof, policy, state)?;
                pinned.iter().try_for_each(|trusted| self.check_configured(trusted))?;
                pinned
            }
            None => return Ok((Trust::Keys(self.keys.clone()), Knowledge::Nothing)),
        };
        if let Some(trusted) = trusted {
            let known = learning.of(trusted.name(), trusted.genesis())?;
            return Ok((Trust::Channel(Box::new(trusted)), known));
        }
        let configured = self.config.as_ref().zip(claimed_channel(proof)).and_then(|(config, name)| {
            let genesis = *config.channels.get(&name)?;
            Some((name, genesis))
        });
        let Some((name, genesis)) = configured else {
            return Ok((Trust::Nobody, Knowledge::Nothing));
        };
        let known = learning.of(&name, genesis)?;
        let trust = match &known {
            Knowledge::Channel(channel) => match TrustedChannel::from_known(channel) {
                Ok(trusted) => Trust::Channel(Box::new(trusted)),
                Err(error) => {
                    return Err(Failure::undecided(
                        error.code(),
                        error,
                        "pass --channel with the channel's proof",
                    ));
                }
            },
            Knowledge::Nothing => Trust::Nobody,
            Knowledge::Damaged { code, message } => {
                let next = "restore the file, or delete it and run: indelible update-state";
                return Err(Failure::undecided(code, message, next));
            }
        };
        Ok((trust, known))
    }

    /// Where the client's file names channels, only those count, each with the first record named there.
    fn check_configured(&self, trusted: &TrustedChannel) -> Result<(), Failure> {
        let Some(config) = self.config.as_ref().filter(|config| !config.channels.is_empty()) else {
            return Ok(());
        };
        match config.channels.get(trusted.name()) {
            Some(genesis) if *genesis == trusted.genesis() => Ok(()),
            Some(genesis) => {
                let (name, got) = (trusted.name(), trusted.genesis());
                let message =
                    format!("channel {name} was opened by record {got}, the client's file says {genesis}");
                let next = "do not install; find out from the vendor which record opened the channel";
                Err(Failure::refused("channel-pinned-otherwise", message, next))
            }
            None => {
                let message = format!("the client's file does not name channel {}", trusted.name());
                Err(Failure::refused(
                    "channel-not-configured",
                    message,
                    "add the channel there if it is to count",
                ))
            }
        }
    }

    /// The verdict in words, and its evidence kept.
    fn tell(
        &self,
        path: &Path,
        artifact: &ArtifactDigest,
        reached: &Reached<'_>,
        state: Option<&OpenState>,
    ) -> Judged {
        let verdict = &reached.verdict;
        let mut output = report(path, verdict, artifact);
        if let Some(grace) = reached.grace {
            let until = grace.until;
            output
                .lines
                .push(format!("  GRACE      only by the exception that ends at {until}: {}", grace.reason));
            output = output.with("grace", grace.reason.as_str()).with("graceUntil", until.to_string());
            tracing::warn!(%until, reason = %grace.reason.escape_debug(), "verified only by a written exception");
        }
        let evidence = verdict.evidence().map(|evidence| {
            let dir = state.map_or_else(|| PathBuf::from("."), OpenState::evidence_dir);
            save_evidence(&dir, evidence)
        });
        match evidence {
            Some(Ok(path)) => {
                output.lines.push(format!("  evidence   {}", path.display()));
                output = output.with("evidence", path.display().to_string());
            }
            // The verdict stands even where the file that would convince others cannot be written.
            Some(Err(failure)) => output.lines.push(format!("  evidence   not saved: {}", failure.message)),
            None => {}
        }
        if self.explain {
            explain(verdict, &mut output.lines);
        }
        Judged { exit: Exit::from(verdict.outcome()), output }
    }

    /// Remembers what is to be remembered.
    fn conclude(
        &self,
        mut judged: Judged,
        reached: &Reached<'_>,
        state: Option<&OpenState>,
    ) -> Result<Judged, Failure> {
        match state.map_or(Ok(()), |state| remember(state, reached)) {
            // What is graver than a fault of this machine is said in spite of it.
            Err(error) if reached.verdict.outcome() > Outcome::Undecided => {
                judged.output.lines.push(format!("  state      not remembered: {}", chain(&error)));
            }
            remembered => remembered.map_err(|error| state_failure(&error))?,
        }
        Ok(judged)
    }
}

/// What one artifact is judged by, besides what holds for all.
#[derive(Clone, Copy)]
struct Given<'a> {
    artifact: &'a ArtifactDigest,
    proof: &'a LogProof,
    last: &'a LastKnown,
    state: Option<&'a OpenState>,
    ahead: &'a [(KnownChannel, VerifiedCheckpoint)],
    time: TrustedTime,
}

/// A verdict, what was learned for it, and under which policy and exception it was reached.
struct Reached<'a> {
    verdict: Verdict,
    learned: Vec<(KnownChannel, VerifiedCheckpoint)>,
    policy: &'a Policy,
    grace: Option<&'a Grace>,
}

pub(in crate::cli) fn config_failure(error: &ClientConfigError) -> Failure {
    let next = "docs/config/client.toml shows every key and what it takes";
    match error {
        ClientConfigError::Read(error) => read_failure(error, "a client's file", next),
        _ => Failure::usage(error.code(), chain(error), next),
    }
}

fn remember(state: &OpenState, reached: &Reached<'_>) -> Result<(), StateError> {
    let (verdict, policy) = (&reached.verdict, reached.policy);
    remember_learned(state, &reached.learned, policy)?;
    if let Some(checkpoint) = verdict.remember() {
        state.state.remember_checkpoint(checkpoint, policy)?;
    }
    if let Some(time) = verdict.vouched() {
        state.state.raise_time_floor(time)?;
    }
    let (Outcome::Verified, Some(genesis), Some(record)) =
        (verdict.outcome(), verdict.genesis(), verdict.record())
    else {
        return Ok(());
    };
    let common = record.statement().predicate.common();
    // A withdrawal may lead back, but not to what was never installed in between: the newest one stays remembered. Not
    // so if the channel never had that one: nothing would ever come after a number that a thief chose.
    let newer = state.state.last_verified(&common.channel)?.filter(|last| last.seq > common.seq);
    if let Some(newer) = newer {
        let known = state.state.known_channel(&common.channel)?;
        if known.is_none_or(|known| known.record(newer.head).is_some()) {
            return Ok(());
        }
    }
    state.state.remember_verified(&LastRecord {
        channel: common.channel.clone(),
        seq: common.seq,
        genesis,
        head: record.record_id(),
    })
}

/// The channel the record names, if that channel was pinned before.
fn pinned(
    proof: &LogProof,
    policy: &Policy,
    state: Option<&OpenState>,
) -> Result<Option<TrustedChannel>, Failure> {
    let (Some(state), Some(name)) = (state, claimed_channel(proof)) else {
        return Ok(None);
    };
    pinned_channel(state, &name, policy)
}

fn recall(proof: &LogProof, policy: &Policy, state: Option<&OpenState>) -> Remembered {
    let Some(state) = state else {
        return Remembered::NotKept;
    };
    let Some(origin) = claimed_origin(proof) else {
        return Remembered::Nothing;
    };
    match state.state.checkpoint(&origin, policy) {
        Ok(None) => Remembered::Nothing,
        Ok(Some(checkpoint)) => Remembered::Checkpoint(Box::new(checkpoint)),
        Err(error) => Remembered::Damaged { code: error.code(), message: chain(&error) },
    }
}

fn last_known(proof: &LogProof, state: Option<&OpenState>) -> LastKnown {
    let Some(state) = state else {
        return LastKnown::NotKept;
    };
    let Some(channel) = claimed_channel(proof) else {
        return LastKnown::Nothing;
    };
    match state.state.last_verified(&channel) {
        Ok(None) => LastKnown::Nothing,
        Ok(Some(last)) => LastKnown::Record(last),
        Err(error) => LastKnown::Damaged { code: error.code(), message: chain(&error) },
    }
}

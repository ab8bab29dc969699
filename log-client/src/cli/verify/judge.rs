//! From files on disk to a verdict, and what is remembered of it. `verify` and `guard` both judge here.

use std::path::{Path, PathBuf};

use indelible_proto::note::VerifierKey;
use indelible_proto::policy::{Policy, VerifiedCheckpoint};
use indelible_proto::proof::LogProof;
use indelible_proto::time::UnixSeconds;

use super::super::console::{Console, Output, chain};
use super::super::exit::{Exit, Failure};
use super::super::inputs::{
    OpenState, PolicyFile, key_failure, read_failure, read_policy_file, save_evidence, state_dir,
    state_failure,
};
use super::args::{TrustArgs, check_keys};
use super::beside::{hash, read_proof};
use super::grace::ActiveGrace;
use super::knowledge::{GivenFile, Learning};
use super::memory::{last_known, recall, remember};
use super::report::{explain, report, report_policy_change};
use crate::channel::KnownChannel;
use crate::client_config::{ClientConfig, ClientConfigError, Grace};
use crate::files::ArtifactDigest;
use crate::keys::parse_record_vkey;
use crate::state::StateError;
use crate::verify::policy_change::PolicyChange;
use crate::verify::rules::ReviewRule;
use crate::verify::{LastKnown, Outcome, Request, Reviewers, Rules, TrustedTime, Verdict, verify};

/// Everything about the client that does not change from one artifact to the next.
#[derive(Debug)]
pub(in crate::cli) struct Judge {
    policy: PolicyFile,
    rules: Rules,
    grace: Option<ActiveGrace>,
    pub(super) config: Option<ClientConfig>,
    pub(super) keys: Vec<VerifierKey>,
    pub(super) channel: Option<String>,
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
        let policy = read_policy_file(policy.map_or(Path::new(""), PathBuf::as_path))?;
        let keys = args.keys.iter().map(|key| parse_record_vkey(key)).collect::<Result<Vec<_>, _>>();
        let keys = keys.map_err(|error| key_failure(&error))?;
        let grace = ActiveGrace::of(config.as_ref(), clock)?;
        let named = config.iter().flat_map(|config| &config.channel_files).chain(&args.channel_files);
        let files = named.map(|path| GivenFile::read(path)).collect::<Result<Vec<_>, _>>()?;
        let given = args.state.clone().or_else(|| config.as_ref().and_then(|config| config.state.clone()));
        let mut rules = config.as_ref().map(|config| config.rules.clone()).unwrap_or_default();
        rules.platform = args.platform.clone().or(rules.platform);
        if !keys.is_empty() {
            check_keys(config.as_ref(), &rules, &files)?;
        }
        Ok(Self {
            policy,
            rules,
            grace,
            config,
            keys,
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
        let change = self.policy_change(state);
        let judged =
            self.tell(artifact, &digest, &reached, change.as_ref().ok().and_then(Option::as_ref), state);
        let damage = change.err();
        self.conclude(judged, &reached, damage, state)
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
        let change = self.policy_change(Some(state)).map_err(|error| state_failure(&error))?;
        Ok(self.tell(artifact, digest, &reached, change.as_ref(), Some(state)))
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
        let strict = self.under(&self.policy.policy, &self.rules, &given);
        let strict = strict.map_err(|failure| match &self.grace {
            Some(grace) => grace.not_covered(failure),
            None => failure,
        })?;
        Ok(self.relaxed(&strict, &given)?.unwrap_or(strict))
    }

    /// How the policy differs from the one under which something was verified last.
    fn policy_change(&self, state: Option<&OpenState>) -> Result<Option<PolicyChange>, StateError> {
        let before = state.map(|state| state.state.policy()).transpose()?.flatten();
        Ok(before.and_then(|before| PolicyChange::since(&before, &self.policy.policy)))
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
        let own = &self.policy.policy;
        let mut learning = Learning { files, policy: own, state, time, note, ahead, learned };
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
        let vouched = verdict.vouched();
        Ok(Reached { verdict, learned: learning.learned, policy, vouched, grace: None })
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
        let reached = self.under(active.policy(&self.policy.policy), &active.rules(&self.rules), given)?;
        let verified = reached.verdict.outcome() == Outcome::Verified;
        // What fewer witnesses vouch for would outlive the exception.
        let vouched = strict.vouched;
        Ok(verified.then_some(Reached { grace: Some(&active.grace), vouched, ..reached }))
    }

    /// The verdict in words, and its evidence kept.
    fn tell(
        &self,
        path: &Path,
        artifact: &ArtifactDigest,
        reached: &Reached<'_>,
        change: Option<&PolicyChange>,
        state: Option<&OpenState>,
    ) -> Judged {
        let verdict = &reached.verdict;
        let mut output = report(path, verdict, artifact);
        if let Some(change) = change {
            output = report_policy_change(output, change);
        }
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

    /// Remembers what is to be remembered, unless there is `damage`.
    fn conclude(
        &self,
        mut judged: Judged,
        reached: &Reached<'_>,
        damage: Option<StateError>,
        state: Option<&OpenState>,
    ) -> Result<Judged, Failure> {
        let remember = |state| remember(state, reached, &self.keys, &self.policy);
        match damage.map_or_else(|| state.map_or(Ok(()), remember), Err) {
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
pub(super) struct Reached<'a> {
    pub(super) verdict: Verdict,
    pub(super) learned: Vec<(KnownChannel, VerifiedCheckpoint)>,
    pub(super) policy: &'a Policy,
    /// The time that a quorum of the client's own policy vouched for.
    pub(super) vouched: Option<UnixSeconds>,
    pub(super) grace: Option<&'a Grace>,
}

pub(in crate::cli) fn config_failure(error: &ClientConfigError) -> Failure {
    let next = "docs/config/client.toml shows every key and what it takes";
    match error {
        ClientConfigError::Read(error) => read_failure(error, "a client's file", next),
        _ => Failure::usage(error.code(), chain(error), next),
    }
}

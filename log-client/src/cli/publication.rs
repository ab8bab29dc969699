//! One publication on the command line, from its arguments, which are in [`args`], to what is written and remembered.

mod args;
mod audience;
mod failure;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indelible_proto::bundle_tree::BundleTree;
use indelible_proto::policy::Policy;
use indelible_proto::record::body::{Delta, RulesBody};
use indelible_proto::record::{Audience, ChannelName, Predicate, RecordId, SignedRecord, Statement};
use indelible_proto::sign::RecordSigner;
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

use super::console::{Console, Output, chain};
use super::exit::{Exit, Failure};
use super::inputs::{
    OpenState, key_failure, now, pinned_channel, read_policy, save_evidence, state_dir, state_failure,
    trusted_channel, write_failure,
};
use crate::durable::{self, Access};
use crate::http::{HttpClient, Timeouts};
use crate::keys::{Passphrase, read_record_signer};
use crate::log_submit::HttpLog;
use crate::publish::{
    Disagreement, Draft, KeptRules, Outbox, Pace, Prepared, PublishError, Published, Terms, adopt, conclude,
    conclude_many, prepare, send, send_many, statement,
};
use crate::state::{LastRecords, StateError};

pub(super) use args::{LogArgs, PublicationArgs};
pub(super) use report::{describe, report_witnesses};

use failure::reaction;
use report::is_from_older_record;

/// One publication from its arguments to its report.
pub(super) struct Publication {
    log: HttpLog,
    dir: PathBuf,
    policy: Policy,
    signers: Vec<RecordSigner>,
    args: PublicationArgs,
    /// What else programs are told of it.
    told: Map<String, Value>,
}

/// What is in the log and neither written nor remembered yet.
pub(super) struct Unwritten {
    published: Published,
    /// Held until then, so that another run finds it either as it was or done.
    outbox: Outbox,
}

impl Publication {
    /// Reads the policy and the keys, and finds the log.
    pub(super) fn open(
        args: PublicationArgs,
        keys: &[PathBuf],
        passphrase: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let policy = read_policy(&args.log.policy)?;
        let passphrase = Passphrase::from(passphrase);
        let signers = keys.iter().map(|key| read_record_signer(key, &passphrase)).collect::<Result<_, _>>();
        let signers = signers.map_err(|error| key_failure(&error))?;
        let log = log_at(args.log.log.as_deref(), &policy, args.log.wait)?;
        let dir = state_dir(args.log.state.clone())?;
        Ok(Self { log, dir, policy, signers, args, told: Map::new() })
    }

    pub(super) fn signers(&self) -> &[RecordSigner] {
        &self.signers
    }

    /// Whom the record is for.
    pub(super) fn audience(&self) -> Audience {
        self.args.audience.audience()
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The channel to publish on and, if that is known, the record that opened it.
    pub(super) fn channel(
        &self,
        proof: Option<&str>,
        name: Option<ChannelName>,
    ) -> Result<(ChannelName, Option<RecordId>), Failure> {
        let state = OpenState::open(&self.dir)?;
        match (proof, name) {
            (Some(proof), _) => {
                let trusted = trusted_channel(proof, &self.policy, Some(&state), |_| Ok(()))?;
                Ok((trusted.name().clone(), Some(trusted.genesis())))
            }
            (None, Some(name)) => {
                let pinned = pinned_channel(&state, &name, &self.policy)?;
                Ok((name, pinned.map(|pinned| pinned.genesis())))
            }
            (None, None) => {
                Err(Failure::usage("no-channel", "no channel is named", "pass --channel-name NAME"))
            }
        }
    }

    /// The withdrawal of a record, if one is known here: one that was published from here, or that `update-state` has
    /// heard of.
    pub(super) fn withdrawn_by(
        &self,
        channel: &ChannelName,
        record: RecordId,
    ) -> Result<Option<RecordId>, Failure> {
        let state = OpenState::open(&self.dir)?.state;
        let own = state.withdrawn_by(record).map_err(|error| state_failure(&error))?;
        if own.is_some() {
            return Ok(own);
        }
        let known = state.known_channel(channel).map_err(|error| state_failure(&error))?;
        let now = Some(now()?);
        Ok(known.and_then(|known| known.withdrawals(record, now).next().map(|withdrawal| withdrawal.id)))
    }

    /// What changed from the newest rules of the channel to `tree`, if that is known here; says why, if it is not. Keeps
    /// the listing for the record after this one, unless this one is only shown.
    pub(super) fn rules_delta(
        &mut self,
        channel: &ChannelName,
        tree: &BundleTree,
        count: bool,
        console: Console,
    ) -> Result<Option<Delta>, Failure> {
        let state = OpenState::open(&self.dir)?;
        let failure = |error: StateError| {
            let failure = state_failure(&error);
            let next = match error {
                StateError::Damaged { .. } => {
                    "pass --previous with the rules before and --from with their proof, or --no-delta; this publication \
                     then replaces the file"
                }
                _ => return failure,
            };
            Failure { next: next.to_owned(), ..failure }
        };
        let kept = KeptRules::open(&self.dir, &state.state, channel).map_err(failure)?;
        let delta = match count {
            true => Some(kept.delta(tree, &self.policy).map_err(failure)?),
            false => None,
        };
        if !self.args.dry_run {
            kept.keep(tree).map_err(failure)?;
        }
        Ok(match delta {
            Some(Ok(delta)) => Some(delta),
            Some(Err(missing)) => {
                console.remark(&format!(
                    "changes are not counted: {missing}; if there are rules before these, name them with --previous and \
                     their proof with --from, or say --no-delta"
                ));
                self.told.insert("noDelta".to_owned(), missing.code().into());
                None
            }
            None => None,
        })
    }

    /// Publishes the draft; `None` if it was only to be shown.
    pub(super) fn publish(
        &self,
        draft: &Draft,
        genesis: Option<RecordId>,
        console: Console,
    ) -> Result<Option<Unwritten>, Failure> {
        let remembered = self.remembered(&draft.channel)?;
        let terms = self.terms(genesis, &remembered)?;
        let runtime = runtime()?;
        if self.args.dry_run || self.args.prepare.is_some() {
            let statement = runtime.block_on(statement(&self.log, draft, &terms));
            let statement = statement.map_err(|error| self.failure(&error))?;
            remark_on_delta(&statement, console);
            console.result(Exit::Verified, self.show_or_write(&statement)?);
            return Ok(None);
        }
        let outbox = Outbox::open(&self.dir).map_err(|error| state_failure(&error))?;
        let published = runtime.block_on(async {
            let prepared = prepare(&self.log, draft, &outbox, &terms).await?;
            if prepared.resumed() {
                console.remark("this was signed by an earlier run; going on with the same record");
            }
            remark_on_delta(prepared.record().statement(), console);
            send(&self.log, &Clock(Instant::now()), prepared, &outbox, &terms).await
        });
        Ok(Some(Unwritten { published: self.stapled(published)?, outbox }))
    }

    /// Hands in a record that was signed elsewhere.
    pub(super) fn submit(&self, record: SignedRecord) -> Result<Unwritten, Failure> {
        let channel = record.statement().predicate.common().channel.clone();
        let (_, genesis) = self.channel(None, Some(channel.clone()))?;
        let remembered = self.remembered(&channel)?;
        let terms = self.terms(genesis, &remembered)?;
        let outbox = Outbox::open(&self.dir).map_err(|error| state_failure(&error))?;
        let published = runtime()?.block_on(async {
            let prepared = adopt(&self.log, record, &terms).await?;
            send(&self.log, &Clock(Instant::now()), prepared, &outbox, &terms).await
        });
        Ok(Unwritten { published: self.stapled(published)?, outbox })
    }

    /// What was published, with the proof as it goes with the artifact.
    fn stapled(&self, published: Result<Published, PublishError>) -> Result<Published, Failure> {
        let lighter = |published: Published| match self.args.log.all_cosignatures {
            true => Ok(published),
            false => published.lightened(&self.policy),
        };
        published.and_then(lighter).map_err(|error| self.failure(&error))
    }

    /// Gets records that were signed elsewhere ready to be handed in together. What opened a channel is asked for once.
    pub(super) fn adopt_all(&self, records: Vec<SignedRecord>) -> Result<Vec<Prepared>, Failure> {
        let mut known = BTreeMap::<ChannelName, RecordId>::new();
        let runtime = runtime()?;
        let (nothing, mut prepared) = (LastRecords::default(), Vec::with_capacity(records.len()));
        for record in records {
            let channel = record.statement().predicate.common().channel.clone();
            let genesis = match known.get(&channel) {
                Some(genesis) => Some(*genesis),
                None => {
                    let (_, pinned) = self.channel(None, Some(channel.clone()))?;
                    let remembered = self.remembered(&channel)?;
                    pinned.or(remembered.any().map(|remembered| remembered.genesis))
                }
            };
            let terms = self.terms(genesis, &nothing)?;
            let ready = runtime.block_on(adopt(&self.log, record, &terms));
            let ready = ready.map_err(|error| self.failure(&error))?;
            known.insert(channel, ready.genesis());
            prepared.push(ready);
        }
        Ok(prepared)
    }

    /// Hands in one batch of them; each ends on its own.
    pub(super) fn submit_batch(
        &self,
        records: Vec<Prepared>,
    ) -> Result<Vec<Result<Published, Failure>>, Failure> {
        let nothing = LastRecords::default();
        let terms = self.terms(None, &nothing)?;
        let outbox = Outbox::open(&self.dir).map_err(|error| state_failure(&error))?;
        let clock = Clock(Instant::now());
        let ends = runtime()?.block_on(send_many(&self.log, &clock, records, &outbox, &terms));
        let ends = ends.map_err(|error| self.failure(&error))?;
        Ok(ends.into_iter().map(|end| self.stapled(end)).collect())
    }

    /// Writes the proofs of a batch and remembers its newest records.
    pub(super) fn conclude_batch(&self, published: &[(Published, PathBuf)]) -> Result<(), Failure> {
        let state = OpenState::open(&self.dir)?;
        conclude_many(&state.state, published, &self.policy).map_err(|error| self.failure(&error))?;
        published.iter().try_for_each(|(published, _)| self.newest_rules(&state, published))
    }

    /// Takes rules for the newest of their channel, unless newer records of it were published from here.
    fn newest_rules(&self, state: &OpenState, published: &Published) -> Result<(), Failure> {
        let Predicate::Rules(common, body) = &published.record.statement().predicate else {
            return Ok(());
        };
        let channel = &common.channel;
        let last = state.state.last_records(channel).map_err(|error| state_failure(&error))?;
        if last.publish.is_some_and(|last| last.seq > common.seq) {
            return Ok(());
        }
        KeptRules::open(&self.dir, &state.state, channel)
            .and_then(|kept| kept.newest(published, &body.bundle))
            .map_err(|error| state_failure(&error))
    }

    fn remembered(&self, channel: &ChannelName) -> Result<LastRecords, Failure> {
        OpenState::open(&self.dir)?.state.last_records(channel).map_err(|error| state_failure(&error))
    }

    fn terms<'a>(
        &'a self,
        genesis: Option<RecordId>,
        remembered: &'a LastRecords,
    ) -> Result<Terms<'a>, Failure> {
        let disagreement =
            if self.args.accept_log_head { Disagreement::FollowLog } else { Disagreement::Refuse };
        Ok(Terms {
            signers: &self.signers,
            policy: &self.policy,
            genesis,
            remembered,
            disagreement,
            renew: self.args.renew,
            deadline: Duration::from_secs(self.args.log.wait),
            now: now()?,
        })
    }

    /// The statement as the result of this run, or the file it was written to.
    fn show_or_write(&self, statement: &Statement) -> Result<Output, Failure> {
        let statement = statement.encode();
        let text = String::from_utf8_lossy(&statement).into_owned();
        let Some(path) = &self.args.prepare else {
            return Ok(self.telling(Output::line(text.as_str()).with("statement", text.as_str())));
        };
        durable::create_new(path, &statement, Access::Public).map_err(|error| write_failure(&error))?;
        let mut output = Output::line(format!("prepared: {}", path.display()))
            .with("statement", text.as_str())
            .with("file", path.display().to_string());
        output.lines.push(format!("  next       sign it: indelible sign {} --key KEY", path.display()));
        Ok(self.telling(output))
    }

    /// The same with what else programs are told.
    fn telling(&self, mut output: Output) -> Output {
        output.fields.extend(self.told.clone());
        output
    }

    /// Writes the proofs and remembers the record; returns the state, still held.
    pub(super) fn conclude(
        &self,
        unwritten: Unwritten,
        proofs: &[PathBuf],
    ) -> Result<(Published, OpenState), Failure> {
        let Unwritten { published, outbox } = unwritten;
        let state = OpenState::open(&self.dir)?;
        conclude(&state.state, &published, &self.policy, proofs).map_err(|error| self.failure(&error))?;
        self.newest_rules(&state, &published)?;
        outbox.settle(&published.record).map_err(|error| state_failure(&error))?;
        Ok((published, state))
    }

    fn failure(&self, error: &PublishError) -> Failure {
        if let PublishError::Forked(evidence) = error {
            let saved = save_evidence(&self.dir.join("evidence"), evidence);
            let next = match saved {
                Ok(path) => format!("publish nothing more there; the evidence is in {}", path.display()),
                Err(failure) => {
                    format!("publish nothing more there; saving the evidence failed: {}", failure.message)
                }
            };
            return Failure { exit: Exit::Evidence, code: error.code(), message: chain(error), next };
        }
        let (exit, next) = reaction(error);
        Failure { exit, code: error.code(), message: chain(error), next: next.to_owned() }
    }
}

/// The log at a URL, or at that of the policy.
pub(super) fn log_at(url: Option<&str>, policy: &Policy, wait_s: u64) -> Result<HttpLog, Failure> {
    let in_policy = || policy.logs().iter().find_map(|log| log.url.as_deref());
    let Some(url) = url.or_else(in_policy) else {
        let next = "pass --log URL, or use a policy whose log line has one";
        return Err(Failure::usage("no-log-url", "nothing says where the log is", next));
    };
    let wait = Duration::from_secs(wait_s).saturating_add(CONNECT_TIMEOUT);
    let client = HttpClient::new(Timeouts {
        connect: CONNECT_TIMEOUT,
        total: SUBMIT_TIMEOUT.min(wait),
        ..Timeouts::default()
    });
    let client = client.map_err(|error| Failure::undecided(error.code(), chain(&error), ""))?;
    Ok(HttpLog::new(url, client))
}

/// What runs the requests of one command.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::undecided("runtime", error, "run the command again"))
}

/// Says that rules count from a record that need not be the one before them.
fn remark_on_delta(statement: &Statement, console: Console) {
    if let Predicate::Rules(_, RulesBody { delta: Some(delta), .. }) = &statement.predicate
        && is_from_older_record(statement)
    {
        console.remark(&format!(
            "changes are counted from record {}, and the channel has newer records; if there are newer rules among them, \
             name those with --previous and their proof with --from",
            delta.from
        ));
    }
}

/// The time since a publication started.
struct Clock(Instant);

impl Pace for Clock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A log holds a submission until its witnesses have answered.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(60);

//! The decisions: what a note, node hashes or entries mean for what is held about a log, and what to do
//! about it. No I/O and no clock: [`Watch::step`] takes an [`Event`] and returns the [`Action`]s whose
//! answers come back as events. Actions are to be carried out in order: evidence is saved before it is
//! reported, and reported before the watch moves on.

use std::collections::{BTreeMap, BTreeSet};

use indelible_proto::checkpoint::Origin;
use indelible_proto::entry_bundle::Entry;
use indelible_proto::evidence::ForkEvidence;
use indelible_proto::hash::{Hash, sha256};
use indelible_proto::note::SignedNote;
use indelible_proto::policy::{LogSigned, Policy};
use indelible_proto::size::TreeSize;

use super::alert::{Alert, Check, Finding, Report};
use super::compare::{Comparison, WrongTiles};
use super::event::{Action, Dispute, Event, Held, Pending, Question, Reason, Role, Vantage};
use super::scan::{Ahead, LogKind};

/// Follows one log.
#[derive(Debug)]
pub struct Watch {
    policy: Policy,
    origin: Origin,
    kind: LogKind,
    held: Held,
    ahead: Option<Ahead>,
    target: Option<(Vantage, LogSigned)>,
    known: BTreeMap<TreeSize, LogSigned>,
    disputed: BTreeSet<Hash>,
}

impl Watch {
    /// Goes on from what is held. `ahead`, if any, continues the held scan.
    pub fn new(policy: Policy, origin: Origin, kind: LogKind, held: Held, ahead: Option<Ahead>) -> Self {
        let known = held.checkpoint.iter().map(|signed| (signed.head().size, signed.clone())).collect();
        Self { policy, origin, kind, held, ahead, target: None, known, disputed: BTreeSet::new() }
    }

    /// Recalls a note kept by an earlier run, so that another root for its size is noticed.
    pub fn recall(&mut self, note: &[u8]) {
        if let Ok(signed) = self.judge(note) {
            self.remember(signed);
        }
    }

    /// Recalls a dispute whose evidence has been saved.
    pub fn recall_dispute(&mut self, checkpoint: Hash) {
        self.disputed.insert(checkpoint);
    }

    /// Forgets all disputes: one that is seen again is a new one.
    pub fn forget_disputes(&mut self) {
        self.disputed.clear();
    }

    /// What is held now.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// How far an unfinished reading has come.
    pub fn ahead(&self) -> Option<&Ahead> {
        self.ahead.as_ref()
    }

    /// Which log this follows.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What an event means and what to do about it, in this order.
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        match event {
            Event::Seen { from, note } => self.seen(from, note),
            Event::Unread { from, why } => vec![self.unread(&from, why)],
            Event::Absent { from } if from.role == Role::Witness => {
                vec![self.report(&from, Finding::Good(Check::NotSeen))]
            }
            Event::Absent { from } => {
                let message = format!("{} has no checkpoint", from.label);
                vec![self.unread(&from, Reason { code: "no-checkpoint", message })]
            }
            Event::Nodes { question, by, answer } => self.nodes(question, &by, answer),
            Event::NoNodes(question) => self.undecided(*question),
            Event::Entries(answer) => self.entries(answer),
            Event::Recheck => {
                let waiting = self.held.pending.clone();
                waiting.into_iter().flat_map(|Pending { from, seen }| self.weigh(from, seen)).collect()
            }
        }
    }

    fn seen(&mut self, from: Vantage, note: Vec<u8>) -> Vec<Action> {
        let signed = match self.judge(&note) {
            Ok(signed) => signed,
            Err(code) if from.role == Role::Log && SignedNote::parse(&note).is_ok() => {
                return vec![self.bad(&from, Alert::BadSignature { code, note })];
            }
            Err(code) => return vec![self.bad(&from, Alert::Unusable { code })],
        };
        let mut actions = Vec::new();
        // A new log publishes its empty tree before any witness knows it.
        let needs_quorum = from.role == Role::Log && !signed.head().size.is_zero();
        if needs_quorum && let Err(error) = self.policy.verify(signed.note()) {
            let alert = Alert::QuorumMissing { head: signed.head(), code: error.code() };
            actions.push(self.bad(&from, alert));
        }
        actions.extend(self.weigh(from, signed));
        actions
    }

    fn judge(&self, note: &[u8]) -> Result<LogSigned, &'static str> {
        let note = SignedNote::parse(note).map_err(|error| error.code())?;
        let signed = self.policy.verify_log_signature(&note).map_err(|error| error.code())?;
        if *signed.checkpoint().origin() == self.origin { Ok(signed) } else { Err("other-origin") }
    }

    /// Compares a checkpoint of this log with what is held and known.
    fn weigh(&mut self, from: Vantage, seen: LogSigned) -> Vec<Action> {
        if let Some(known) = self.known.get(&seen.head().size)
            && let Comparison::Contradict(evidence) = Comparison::of(known, &seen)
        {
            return self.contradiction(&from, &seen, evidence);
        }
        self.remember(seen.clone());
        let Some(held) = &self.held.checkpoint else {
            return if from.role == Role::Log {
                self.read(from, seen)
            } else {
                self.keep_pending(from, seen)
            };
        };
        match Comparison::of(held, &seen) {
            Comparison::Agree => self.agreed(from, seen),
            Comparison::Contradict(evidence) => self.contradiction(&from, &seen, evidence),
            Comparison::Open(comparison) => {
                let held = held.head();
                let (tried, failures) = (0, Vec::new());
                let question = Question { from, seen, held, comparison: *comparison, tried, failures };
                vec![Action::Ask(Box::new(question))]
            }
        }
    }

    fn nodes(
        &mut self,
        mut question: Box<Question>,
        by: &Vantage,
        answer: Result<Vec<Hash>, Reason>,
    ) -> Vec<Action> {
        question.tried = question.tried.saturating_add(1);
        let hashes = match answer {
            Ok(hashes) => hashes,
            Err(Reason { message, .. }) => {
                question.failures.push(message);
                return vec![Action::Ask(question)];
            }
        };
        match question.comparison.finish(&hashes) {
            Ok(None) => self.agreed(question.from, question.seen),
            Ok(Some(evidence)) => self.contradiction(&question.from, &question.seen, evidence),
            Err(WrongTiles { size, code }) => {
                let by_log = by.role == Role::Log;
                let report = self.bad(by, Alert::TilesMismatch { size, code, by_log });
                question.failures.push(format!("the tiles from {} are wrong ({code})", by.label));
                vec![report, Action::Ask(question)]
            }
        }
    }

    /// The checkpoint seen and the held one can both be true.
    fn agreed(&mut self, from: Vantage, seen: LogSigned) -> Vec<Action> {
        let held = self.held.checkpoint.as_ref().map(LogSigned::head);
        match held {
            Some(held) if from.role != Role::Log || seen.head().size <= held.size => {
                let check = Check::Consistent { seen: seen.head(), held };
                let report = self.report(&from, Finding::Good(check));
                [report].into_iter().chain(self.settled(&seen)).collect()
            }
            _ => self.read(from, seen),
        }
    }

    /// Nobody could tell whether the checkpoint seen and the held one contradict each other.
    fn undecided(&mut self, question: Question) -> Vec<Action> {
        let Question { from, seen, held, failures, .. } = question;
        // The entries decide as well: the held right edge grows to the new root or it does not.
        if from.role == Role::Log && seen.head().size > held.size {
            return self.read(from, seen);
        }
        let alert = Alert::Unproven { seen: seen.head(), held: Some(held), reasons: failures };
        self.wait(from, seen, alert)
    }

    fn keep_pending(&mut self, from: Vantage, seen: LogSigned) -> Vec<Action> {
        let alert = Alert::Unproven { seen: seen.head(), held: None, reasons: Vec::new() };
        self.wait(from, seen, alert)
    }

    fn wait(&mut self, from: Vantage, seen: LogSigned, unproven: Alert) -> Vec<Action> {
        let text = seen.note().text();
        if self.held.pending.iter().any(|pending| pending.seen.note().text() == text) {
            return vec![self.bad(&from, unproven)];
        }
        if self.held.pending.len() >= MAX_PENDING {
            return vec![self.bad(&from, Alert::TooManyUnproven { seen: seen.head() })];
        }
        let report = self.bad(&from, unproven);
        self.held.pending.push(Pending { from, seen });
        vec![report, Action::Save]
    }

    fn contradiction(
        &mut self,
        from: &Vantage,
        seen: &LogSigned,
        evidence: Box<ForkEvidence>,
    ) -> Vec<Action> {
        // Never accuse with what a stranger would not accept.
        let fork = match evidence.verify(seen.log_key()) {
            Ok(fork) => fork,
            Err(error) => return vec![self.bad(from, Alert::Unusable { code: error.code() })],
        };
        // The place of its size is for one that does not contradict what is held.
        let size = seen.head().size;
        if self.known.get(&size).is_some_and(|known| known.head() == seen.head()) {
            self.known.remove(&size);
        }
        let checkpoint = sha256(seen.note().text().as_bytes());
        let file = format!("fork-{size}-{}.evidence", short(&checkpoint));
        let (smaller, larger) = (fork.smaller(), fork.larger());
        let alert = Alert::Fork { evidence: evidence.clone(), file: file.clone(), smaller, larger };
        let report = self.bad(from, alert);
        let new = self.disputed.insert(checkpoint);
        let save = new.then_some(Action::SaveEvidence(Dispute { checkpoint, file, evidence }));
        save.into_iter().chain([report]).chain(self.settled(seen)).collect()
    }

    /// The checkpoint seen has been decided about and need not wait any longer.
    fn settled(&mut self, seen: &LogSigned) -> Option<Action> {
        let waiting = self.held.pending.len();
        self.held.pending.retain(|pending| pending.seen.note().text() != seen.note().text());
        (self.held.pending.len() < waiting).then_some(Action::Save)
    }

    /// Reads the entries up to a checkpoint of the log that is larger than the held one, or the first.
    fn read(&mut self, from: Vantage, target: LogSigned) -> Vec<Action> {
        let size = target.head().size;
        let ahead = self.ahead.take().filter(|ahead| ahead.frontier.size() <= size);
        let ahead = ahead.unwrap_or_else(|| self.held.scan.ahead());
        let read = ahead.frontier.size();
        self.ahead = Some(ahead);
        self.target = Some((from, target));
        if read == size { self.finish_reading() } else { vec![Action::Read { from: read, to: size }] }
    }

    fn entries(&mut self, answer: Result<Vec<Entry>, Reason>) -> Vec<Action> {
        let (Some((from, target)), Some(mut ahead)) = (self.target.clone(), self.ahead.take()) else {
            return Vec::new();
        };
        let mut actions = Vec::new();
        let entries = match answer {
            Ok(entries) if !entries.is_empty() => entries,
            answer => {
                let none = Reason { code: "no-entries", message: "no entries were delivered".to_owned() };
                actions.push(self.unread(&from, answer.err().unwrap_or(none)));
                actions.push(Action::SaveAhead);
                self.ahead = Some(ahead);
                self.target = None;
                return actions;
            }
        };
        let (before, to) = (ahead.frontier.size(), target.head().size);
        let wanted = usize::try_from(to.get().saturating_sub(before.get())).unwrap_or(usize::MAX);
        let entries = entries.into_iter().take(wanted).collect();
        for read in ahead.read(self.kind, &self.held.scan, entries) {
            let index = ahead.frontier.size().next_index();
            if let Err(code) = ahead.append(&self.held.scan, &read) {
                actions.push(self.bad(&from, Alert::RecordRefused { index, code, entry: read.entry }));
            }
        }
        let read = ahead.frontier.size();
        self.ahead = Some(ahead);
        if read == to {
            actions.extend(self.finish_reading());
            return actions;
        }
        if read.get() / SAVE_EVERY != before.get() / SAVE_EVERY {
            actions.push(Action::SaveAhead);
        }
        actions.push(Action::Read { from: read, to });
        actions
    }

    fn finish_reading(&mut self) -> Vec<Action> {
        let (Some((from, target)), Some(ahead)) = (self.target.take(), self.ahead.take()) else {
            return Vec::new();
        };
        let (computed, signed) = (ahead.head(), target.head());
        if computed != signed {
            // What was read is of no use; the next time starts at the held checkpoint again.
            let alert = Alert::EntriesMismatch { signed, computed: computed.root };
            return vec![self.bad(&from, alert), Action::SaveAhead];
        }
        let before = self.held.scan.size();
        self.held.scan.advance(ahead);
        self.held.checkpoint = Some(target);
        vec![
            self.report(&from, Finding::Good(Check::EntriesMatch { from: before, head: signed })),
            Action::Save,
        ]
    }

    fn remember(&mut self, seen: LogSigned) {
        self.known.entry(seen.head().size).or_insert(seen);
        if self.known.len() > MAX_KNOWN {
            self.known.pop_first();
        }
    }

    fn unread(&self, from: &Vantage, why: Reason) -> Action {
        self.bad(from, Alert::Unread { code: why.code, message: why.message })
    }

    fn bad(&self, from: &Vantage, alert: Alert) -> Action {
        self.report(from, Finding::Bad(alert))
    }

    fn report(&self, from: &Vantage, finding: Finding) -> Action {
        Action::Report(Report { origin: self.origin.clone(), source: from.label.clone(), finding })
    }
}

/// The first 16 digits of a hash, to tell files apart.
fn short(hash: &Hash) -> String {
    hash.to_hex().chars().take(16).collect()
}

/// Most checkpoints that are kept until there is tree data to compare them with.
const MAX_PENDING: usize = 64;

/// Most checkpoints by size that are remembered only to find two of one size.
const MAX_KNOWN: usize = 4096;

/// Entries after which an unfinished reading is saved, so that a restart does not begin it again.
const SAVE_EVERY: u64 = 65_536;

//! A policy that can be read: whether its quorum holds what a reader expects of it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Lines, LintFinding, LintOptions, Operator, Severity, default_monitor_quorum};
use crate::note::Algorithm;
use crate::policy::{Policy, Quorum, QuorumNumbers, tolerated};

pub(super) struct Checker<'a> {
    pub(super) policy: &'a Policy,
    pub(super) lines: &'a Lines,
    pub(super) options: &'a LintOptions,
    pub(super) findings: &'a mut Vec<LintFinding>,
}

impl Checker<'_> {
    pub(super) fn run(mut self) {
        self.logs();
        self.log_is_witness();
        if *self.policy.quorum() == Quorum::None {
            return self.add(
                Severity::Error,
                "policy-no-witnesses",
                self.lines.quorum,
                "the quorum asks for no witness".into(),
                "the log alone decides what everybody sees, and can show each another history",
                "name witnesses, and a quorum of them",
            );
        }
        let numbers = self.policy.quorum_by_witness().numbers();
        self.one_witness_twice();
        self.unused_witnesses();
        self.operators();
        self.split_view(&numbers);
        self.spare(&numbers);
        self.ed25519_only();
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        line: usize,
        message: String,
        why: &'static str,
        next: &'static str,
    ) {
        self.findings.push(LintFinding { severity, code, line, message, why, next });
    }

    fn logs(&mut self) {
        if self.policy.logs().is_empty() {
            self.add(
                Severity::Warning,
                "policy-no-logs",
                self.lines.quorum,
                "no log is named".into(),
                "no checkpoint is believed under this policy",
                "add the line of the log: log VKEY",
            );
        }
    }

    fn log_is_witness(&mut self) {
        for (place, witness) in self.policy.witnesses().iter().enumerate() {
            let same = |log: &&crate::policy::PolicyLog| {
                log.key.public_key_bytes() == witness.key.public_key_bytes()
            };
            if self.policy.logs().iter().any(|log| same(&log)) {
                self.add(
                    Severity::Error,
                    "policy-log-is-witness",
                    self.line_of(place),
                    format!("witness {} has the public key of a log", witness.name),
                    "a log that vouches for itself is no witness",
                    "leave it out of the quorum",
                );
            }
        }
    }

    /// Keys of one witness that do not stand in a group of their own.
    fn one_witness_twice(&mut self) {
        let places = self.policy.quorum_by_witness().places();
        for (at, place) in places.iter().enumerate() {
            let Some(witness) = self.policy.witnesses().get(*place) else { continue };
            let earlier = places.iter().take(at).filter_map(|other| self.policy.witnesses().get(*other));
            let same = earlier.clone().find(|other| other.is_same_as(witness));
            if let Some(same) = same {
                let message = format!("{} and {} look like two keys of one witness", same.name, witness.name);
                self.add(
                    Severity::Error,
                    "policy-witness-twice",
                    self.line_of(*place),
                    message,
                    "they have one key name or one address, so one witness counts twice",
                    "put its keys into a group of their own (any: one is enough, all: each must sign), and that into the quorum",
                );
            }
        }
    }

    fn unused_witnesses(&mut self) {
        let places = self.policy.quorum().places();
        for (place, witness) in self.policy.witnesses().iter().enumerate() {
            if places.binary_search(&place).is_err() {
                self.add(
                    Severity::Note,
                    "policy-witness-unused",
                    self.line_of(place),
                    format!("witness {} is not in the quorum", witness.name),
                    "its cosignatures are checked, and count for nothing",
                    "add it to the quorum, or leave it out",
                );
            }
        }
    }

    fn operators(&mut self) {
        for Operator { name, witnesses } in &self.options.operators {
            let mut places = Vec::new();
            for witness in witnesses {
                match self.policy.witnesses().iter().position(|known| known.name == *witness) {
                    Some(place) => places.push(place),
                    None => self.add(
                        Severity::Error,
                        "policy-operator-unknown-witness",
                        self.lines.quorum,
                        format!("operator {name}: there is no witness {witness}"),
                        "whom it stands for is not taken into account",
                        "name witnesses as the policy names them",
                    ),
                }
            }
            self.operator(name, &places);
        }
        let places = self.policy.quorum_by_witness().places();
        let alone: Vec<_> =
            places.into_iter().filter(|place| self.policy.quorum_met(&self.keys_of(*place))).collect();
        for place in alone {
            let name = self.policy.witnesses().get(place).map_or("", |witness| witness.name.as_str());
            self.add(
                Severity::Error,
                "policy-operator-quorum",
                self.lines.quorum,
                format!("witness {name} is enough alone"),
                "whoever holds its keys can vouch for a history that nobody else has seen",
                "ask for more witnesses than any one operator has",
            );
        }
        if self.options.operators.is_empty() {
            self.apparent_operators();
        }
    }

    fn operator(&mut self, name: &str, places: &[usize]) {
        if places.len() > 1 && self.policy.quorum_met(places) {
            self.add(
                Severity::Error,
                "policy-operator-quorum",
                self.lines.quorum,
                format!("the witnesses of operator {name} are enough alone"),
                "one operator, or who breaks into it, can vouch for a history that nobody else has seen",
                "ask for more witnesses than any one operator has, for example by a group for each operator",
            );
        }
        let others: Vec<usize> =
            (0..self.policy.witnesses().len()).filter(|place| !places.contains(place)).collect();
        if !places.is_empty() && !self.policy.quorum_met(&others) {
            self.add(
                Severity::Warning,
                "policy-operator-veto",
                self.lines.quorum,
                format!("without the witnesses of operator {name} the quorum cannot be met"),
                "an outage of that operator stops every update",
                "add witnesses of others, or lower a threshold",
            );
        }
    }

    /// Where nobody says who operates what, names of keys under one domain look like one hand.
    fn apparent_operators(&mut self) {
        let mut domains: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for place in self.policy.quorum().places() {
            let Some(witness) = self.policy.witnesses().get(place) else { continue };
            let name = witness.key.name().as_str();
            domains.entry(name.split('/').next().unwrap_or(name)).or_default().push(place);
        }
        let suspects =
            domains.into_iter().filter(|(_, places)| places.len() > 1 && self.policy.quorum_met(places));
        let messages: Vec<String> = suspects
            .map(|(domain, _)| format!("the witnesses whose keys are named {domain}/... are enough alone"))
            .collect();
        for message in messages {
            self.add(
                Severity::Warning,
                "policy-operator-apparent",
                self.lines.quorum,
                message,
                "they look like those of one operator, who could vouch for a history that nobody else has seen",
                "say who operates what with --operator or a comment: # lint: operator NAME WITNESS...",
            );
        }
        self.add(
            Severity::Note,
            "policy-operators-unknown",
            self.lines.quorum,
            "nobody says which witnesses are in one hand".into(),
            "whether one operator holds a quorum cannot be told",
            "say it with --operator or a comment: # lint: operator NAME WITNESS...",
        );
    }

    /// `k1 + k2 > n + f`.
    fn split_view(&mut self, numbers: &QuorumNumbers) {
        let (n, k1) = (numbers.witnesses, numbers.fewest);
        let k2 = self.options.monitor_quorum.unwrap_or_else(|| default_monitor_quorum(numbers));
        if k2 > n {
            return self.add(
                Severity::Error,
                "policy-monitor-quorum",
                self.lines.quorum,
                format!("a watchdog that waits for {k2} witnesses waits for ever, the quorum has {n}"),
                "it never sees the log that clients see",
                "choose a monitor quorum of at most all witnesses of the quorum",
            );
        }
        let holds = tolerated(numbers, k2);
        let f = self.options.bad_witnesses;
        let severity = match (holds, f) {
            (Some(holds), Some(f)) if f <= holds => return,
            (Some(1..), None) => return,
            (Some(_), None) => Severity::Warning,
            (_, Some(_)) | (None, None) => Severity::Error,
        };
        let message = match (holds, f) {
            (None, _) => format!("k1 + k2 = {k1} + {k2} is not above n = {n}"),
            (Some(holds), Some(f)) => {
                format!("k1 + k2 = {k1} + {k2} is not above n + f = {n} + {f}: it holds for f up to {holds}")
            }
            (Some(_), None) => {
                format!("k1 + k2 = {k1} + {k2} is above n = {n}, but no witness may be bad (f = 0)")
            }
        };
        self.add(
            severity,
            "policy-split-view",
            self.lines.quorum,
            message,
            "bad witnesses can give a client a quorum for a history, and a watchdog one for another, unnoticed",
            "raise the threshold (more than two thirds of the witnesses hold out longest), or have watchdogs wait for more",
        );
    }

    fn spare(&mut self, numbers: &QuorumNumbers) {
        if numbers.may_fail == 0 {
            self.add(
                Severity::Warning,
                "policy-no-spare",
                self.lines.quorum,
                "there is a witness without which the quorum cannot be met".into(),
                "when it fails, no update can be published or verified",
                "add a witness, or lower a threshold",
            );
        }
    }

    fn ed25519_only(&mut self) {
        let mut places = self.policy.quorum().places();
        let in_quorum = places.len();
        let algorithm = |place: usize| self.policy.witnesses().get(place).map(|known| known.key.algorithm());
        places.retain(|place| algorithm(*place) == Some(Algorithm::Ed25519));
        let (code, message, next) = match self.policy.quorum_met(&places) {
            true if places.len() == in_quorum => (
                "policy-ed25519-only",
                "all keys of the quorum are Ed25519 keys",
                "plan to add ML-DSA-44 keys of the same witnesses when they offer them",
            ),
            true => (
                "policy-ed25519-enough",
                "the quorum has ML-DSA-44 keys, and can be met by its Ed25519 keys alone",
                "once every witness signs with an ML-DSA-44 key, ask for those",
            ),
            false => return,
        };
        let why = "a large quantum computer could forge every one of them";
        self.add(Severity::Note, code, self.lines.quorum, message.into(), why, next);
    }

    /// The places of the keys of the witness that has the one at this place.
    fn keys_of(&self, place: usize) -> Vec<usize> {
        let witnesses = self.policy.witnesses();
        let is_same = |other: &usize| match (witnesses.get(place), witnesses.get(*other)) {
            (Some(one), Some(other)) => one.is_same_as(other),
            _ => false,
        };
        (0..witnesses.len()).filter(is_same).collect()
    }

    fn line_of(&self, place: usize) -> usize {
        self.lines.witnesses.get(place).copied().unwrap_or(self.lines.quorum)
    }
}

//! The policy of a new log, checked as every reader of it will.

use std::fmt::Write as _;

use indelible_proto::note::VerifierKey;
use indelible_proto::policy::Policy;

use super::{InitError, NewLog, NewWitness, Witnessing};

/// The group that holds all witnesses.
const WITNESS_GROUP: &str = "all-witnesses";

/// The text of the policy of `new`, whose key is `key`.
pub(super) fn text(new: &NewLog, key: &VerifierKey) -> Result<String, InitError> {
    let mut text =
        String::from("# This log, its witnesses, and how many of them must have seen a tree head.\n");
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        writeln!(text, "{arguments}").expect("invariant: writing to a string does not fail");
    };
    match public_url(new) {
        Some(url) => line(format_args!("log {key} {url}")),
        None => line(format_args!("log {key}")),
    }
    match &new.witnessing {
        Witnessing::None => line(format_args!("quorum none")),
        Witnessing::By { witnesses, quorum } => {
            let witnesses = by_witness(witnesses);
            if witnesses.is_empty() {
                return Err(InitError::NoWitnesses);
            }
            let majority = witnesses.len() / 2 + 1;
            let quorum = quorum.unwrap_or(majority);
            if quorum == 0 || quorum > witnesses.len() {
                return Err(InitError::Quorum { got: quorum, witnesses: witnesses.len() });
            }
            let mut names = Vec::new();
            for keys in &witnesses {
                names.push(write_witness(keys, &mut line));
            }
            line(format_args!("group {WITNESS_GROUP} {quorum} {}", names.join(" ")));
            line(format_args!("quorum {WITNESS_GROUP}"));
        }
    }
    Policy::parse(text.as_bytes()).map_err(InitError::Policy)?;
    Ok(text)
}

/// The keys by the witnesses they are of: one name or one address is one witness, which counts once.
fn by_witness(keys: &[NewWitness]) -> Vec<Vec<&NewWitness>> {
    let mut witnesses: Vec<Vec<&NewWitness>> = Vec::new();
    for key in keys {
        let is_same = |other: &&NewWitness| other.key.name() == key.key.name() || other.url == key.url;
        // One key may have the name of one witness and the address of another: then all are one.
        let (same, others) =
            witnesses.into_iter().partition::<Vec<_>, _>(|witness| witness.iter().any(is_same));
        witnesses = others;
        witnesses.push(same.into_iter().flatten().chain([key]).collect());
    }
    witnesses
}

/// Writes the lines of a witness, and returns its name for the quorum. One with several keys is a group of
/// them, any of which is enough.
fn write_witness(keys: &[&NewWitness], line: &mut impl FnMut(std::fmt::Arguments<'_>)) -> String {
    if let [NewWitness { key, url }] = keys {
        line(format_args!("witness {} {key} {url}", key.name()));
        return key.name().to_string();
    }
    let names: Vec<String> =
        keys.iter().map(|each| format!("{}+{}", each.key.name(), each.key.id())).collect();
    for (NewWitness { key, url }, name) in keys.iter().zip(&names) {
        line(format_args!("witness {name} {key} {url}"));
    }
    let group = keys.first().map_or_else(String::new, |first| first.key.name().to_string());
    line(format_args!("group {group} any {}", names.join(" ")));
    group
}

/// Where clients reach the log; unknown if the port is chosen only when it listens.
fn public_url(new: &NewLog) -> Option<String> {
    let listening = || (new.listen.port() != 0).then(|| format!("http://{}", new.listen));
    new.public_url.clone().or_else(listening)
}

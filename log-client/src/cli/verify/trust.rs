//! Whose signatures count for an artifact, and what is known of the channel it is of.
//!
//! What is known comes first: a channel that was named, pinned, or that the client's file names. Of a channel that is
//! pinned or remembered, given keys narrow down who may have signed; only of one of which nothing is known do they
//! count by themselves. So a key that is added makes nothing pass that was refused.

use indelible_proto::policy::Policy;
use indelible_proto::proof::LogProof;
use indelible_proto::record::{ChannelName, RecordId};

use super::super::console::chain;
use super::super::exit::Failure;
use super::super::inputs::{OpenState, pinned_channel, trusted_channel};
use super::judge::Judge;
use super::knowledge::Learning;
use crate::verify::{Knowledge, Trust, TrustedChannel, claimed_channel};

impl Judge {
    /// Whose signatures count: the channel that was named, or else the channel the record names, if that was pinned,
    /// or is one of the client's file and known; of no such channel, the keys that were given. With what is known of
    /// the channel.
    pub(super) fn trust(
        &self,
        proof: &LogProof,
        learning: &mut Learning<'_>,
    ) -> Result<(Trust, Knowledge), Failure> {
        let (policy, state) = (learning.policy, learning.state);
        let trusted = match &self.channel {
            Some(channel) => {
                Some(trusted_channel(channel, policy, state, |trusted| self.check_configured(trusted))?)
            }
            None => {
                let pinned = pinned(proof, policy, state)?;
                pinned.iter().try_for_each(|trusted| self.check_configured(trusted))?;
                pinned
            }
        };
        if let Some(trusted) = trusted {
            let known = learning.of(trusted.name(), trusted.genesis())?;
            return Ok((self.in_channel(trusted), known));
        }
        let Some((name, genesis)) = self.followed(proof, state)? else {
            return Ok((self.in_keys(), Knowledge::Nothing));
        };
        let known = learning.of(&name, genesis)?;
        let trust = match &known {
            Knowledge::Channel(channel) => match TrustedChannel::from_known(channel) {
                Ok(trusted) => self.in_channel(trusted),
                Err(error) => {
                    return Err(Failure::undecided(
                        error.code(),
                        error,
                        "pass --channel with the channel's proof",
                    ));
                }
            },
            Knowledge::Nothing => self.in_keys(),
            Knowledge::Damaged { code, message } => return Err(damaged(code, message)),
        };
        Ok((trust, known))
    }

    /// The channel the record names, with the record that opened it, if it is one of the client's file. For whoever
    /// gives keys instead, if it is one that is remembered.
    fn followed(
        &self,
        proof: &LogProof,
        state: Option<&OpenState>,
    ) -> Result<Option<(ChannelName, RecordId)>, Failure> {
        let Some(name) = claimed_channel(proof) else {
            return Ok(None);
        };
        let configured = self.config.as_ref().and_then(|config| config.channels.get(&name)).copied();
        let genesis = match (configured, state) {
            (None, Some(state)) if !self.keys.is_empty() => match state.state.known_channel(&name) {
                Ok(known) => known.map(|known| known.state().genesis()),
                Err(error) => return Err(damaged(error.code(), &chain(&error))),
            },
            (configured, _) => configured,
        };
        Ok(genesis.map(|genesis| (name, genesis)))
    }

    fn in_channel(&self, trusted: TrustedChannel) -> Trust {
        Trust::Channel(Box::new(trusted.only_signed_by(self.keys.clone())))
    }

    fn in_keys(&self) -> Trust {
        if self.keys.is_empty() { Trust::Nobody } else { Trust::Keys(self.keys.clone()) }
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
}

fn damaged(code: &'static str, message: &str) -> Failure {
    Failure::undecided(code, message, "restore the file, or delete it and run: indelible update-state")
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

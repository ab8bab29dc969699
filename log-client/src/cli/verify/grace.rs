//! The written exception of a client's file, for the days on which witnesses are down, and what it covers.
//!
//! It covers the proof beside an artifact: its quorum and its age. It does not cover what an artifact is compared with.
//! A pin and what is known of a channel outlive the exception, and whoever trusts a channel on first use under fewer
//! witnesses has nothing that would ever tell him that he was shown another one.

use indelible_proto::policy::Policy;
use indelible_proto::time::UnixSeconds;

use super::super::exit::{Exit, Failure};
use super::super::inputs::read_policy;
use crate::client_config::{ClientConfig, Grace};
use crate::verify::Rules;

/// The exception that counts now.
#[derive(Debug)]
pub(super) struct ActiveGrace {
    pub(super) grace: Grace,
    policy: Option<Policy>,
}

impl ActiveGrace {
    /// The exception of the client's file, if it counts by this machine's clock.
    pub(super) fn of(config: Option<&ClientConfig>, clock: UnixSeconds) -> Result<Option<Self>, Failure> {
        let grace = config.and_then(|config| config.grace.clone()).filter(|grace| grace.is_active(clock));
        let with_policy = |grace: Grace| {
            let policy = grace.policy.as_deref().map(read_policy).transpose()?;
            Ok(Self { grace, policy })
        };
        grace.map(with_policy).transpose()
    }

    /// The policy that counts meanwhile for an artifact's proof.
    pub(super) fn policy<'a>(&'a self, own: &'a Policy) -> &'a Policy {
        self.policy.as_ref().unwrap_or(own)
    }

    /// The rules that count meanwhile.
    pub(super) fn rules(&self, own: &Rules) -> Rules {
        Rules { max_age_s: self.grace.max_age_s.or(own.max_age_s), ..own.clone() }
    }

    /// A failure to trust a channel at all, said so that nobody counts on the exception for it.
    pub(super) fn not_covered(&self, failure: Failure) -> Failure {
        if self.policy.is_none() || (failure.exit, failure.code) != (Exit::Refused, "quorum-not-met") {
            return failure;
        }
        let message = format!(
            "{}; the grace in the client's file does not cover the first pin of a channel, nor a channel file",
            failure.message
        );
        let next = "get a proof of the channel, or a channel file, that the quorum of the client's own policy has \
                    cosigned; if there is none, wait until enough witnesses are back";
        Failure { message, next: next.to_owned(), ..failure }
    }
}

//! Who may open a channel in this log: configuration, not a rule of the format.
//!
//! The first label of a channel's name is a domain. For a domain that the settings name, one of its keys has to
//! sign the record that opens a channel; for any other, the settings say whether anyone may. Only the opening is
//! asked about: what follows is decided by the channel's own keys, whatever the settings say by then. Clients
//! pin the record that opened a channel, so a name taken by somebody else gains him nothing; this keeps the log
//! tidy, and its readers from being confused.

use std::collections::BTreeMap;

use indelible_proto::note::{KeyKind, VerifierKey};
use indelible_proto::record::{ChannelName, Predicate, SignedRecord};

/// The most keys of one domain: as many as a channel can have.
pub const MAX_OWNER_KEYS: usize = indelible_proto::record::KeySet::MAX_KEYS;

/// Who may open a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Openers {
    open: bool,
    owners: BTreeMap<String, Vec<VerifierKey>>,
}

/// Why a domain and its keys can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OwnerError {
    /// Not a domain that a channel's name can begin with.
    #[error("not a domain name in lower case, such as vendor.example")]
    Domain,
    /// No key, or more than [`MAX_OWNER_KEYS`].
    #[error("{got} keys, 1 to {MAX_OWNER_KEYS} are allowed")]
    Count {
        /// How many keys there are.
        got: usize,
    },
    /// Not a verifier key of the kind that signs records.
    #[error("key {position} is not a key that signs records; `indelible keygen` makes one")]
    Key {
        /// Which one, counted from 0.
        position: usize,
    },
}

/// Why a channel may not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// The log takes channels of the domains it names only, and this is none of them.
    #[error("this log has no owner for {domain}, and takes no channels of other domains")]
    Closed {
        /// The channel's domain.
        domain: String,
    },
    /// None of the domain's keys signed the record.
    #[error("none of the keys that this log has for {domain} signed the record")]
    NotOwner {
        /// The channel's domain.
        domain: String,
    },
}

impl OpeningError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "channel-domain-closed",
            Self::NotOwner { .. } => "channel-owner-unsigned",
        }
    }
}

impl Openers {
    /// Nobody may open a channel.
    pub fn nobody() -> Self {
        Self { open: false, owners: BTreeMap::new() }
    }

    /// Anyone may open any channel.
    pub fn anyone() -> Self {
        Self { open: true, owners: BTreeMap::new() }
    }

    /// The keys of each domain in `owners`, and whether `open` to all others. The error names the domain.
    ///
    /// # Errors
    /// [`OwnerError`] for the first domain that is none, or has a key that is none.
    pub fn new(open: bool, owners: &BTreeMap<String, Vec<String>>) -> Result<Self, (String, OwnerError)> {
        let owners = owners.iter().map(|(domain, keys)| match read_owner(domain, keys) {
            Ok(keys) => Ok((domain.clone(), keys)),
            Err(error) => Err((domain.clone(), error)),
        });
        Ok(Self { open, owners: owners.collect::<Result<_, _>>()? })
    }

    /// Whether `record`, which opens a channel and is signed by all the keys it names, may do so here.
    ///
    /// # Errors
    /// [`OpeningError`] if not.
    pub fn check(&self, record: &SignedRecord) -> Result<(), OpeningError> {
        let predicate = &record.statement().predicate;
        let domain = predicate.common().channel.owner_domain();
        let Some(owner) = self.owners.get(domain) else {
            let closed = OpeningError::Closed { domain: domain.to_owned() };
            return if self.open { Ok(()) } else { Err(closed) };
        };
        let signers = match predicate {
            Predicate::Channel(_, body) => body.signers.as_ref(),
            _ => None,
        };
        if signers.is_some_and(|signers| owner.iter().any(|key| signers.contains(key))) {
            return Ok(());
        }
        Err(OpeningError::NotOwner { domain: domain.to_owned() })
    }
}

fn read_owner(domain: &str, keys: &[String]) -> Result<Vec<VerifierKey>, OwnerError> {
    if domain.contains('/') || ChannelName::parse(domain).is_err() {
        return Err(OwnerError::Domain);
    }
    if keys.is_empty() || keys.len() > MAX_OWNER_KEYS {
        return Err(OwnerError::Count { got: keys.len() });
    }
    let keys = keys.iter().enumerate().map(|(position, key)| {
        let key = VerifierKey::parse(key).ok().filter(|key| key.kind() == KeyKind::Record);
        key.ok_or(OwnerError::Key { position })
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use indelible_proto::sign::Signer as _;

    use super::*;
    use crate::sequencer::tests::records::{chain, publisher};

    fn openers(open: bool, owners: &[(&str, &[String])]) -> Result<Openers, (String, OwnerError)> {
        let owners = owners.iter().map(|(domain, keys)| ((*domain).to_owned(), keys.to_vec()));
        Openers::new(open, &owners.collect())
    }

    fn genesis() -> SignedRecord {
        chain(0, 1).remove(0)
    }

    fn own() -> String {
        publisher().verifier().encode()
    }

    fn other() -> String {
        let name = indelible_proto::note::KeyName::parse("other").unwrap();
        let key = indelible_proto::sign::SecretKey::from_seed(KeyKind::Record, name, [99; 32]);
        key.verifier().encode()
    }

    #[test]
    fn anyone_opens_where_nothing_is_said() {
        assert_eq!(Openers::anyone().check(&genesis()), Ok(()));
        let others = openers(true, &[("other.example", &[other()])]).unwrap();
        assert_eq!(others.check(&genesis()), Ok(()));
    }

    #[test]
    fn a_closed_log_takes_only_named_domains() {
        let domain = genesis().statement().predicate.common().channel.owner_domain().to_owned();
        let closed = openers(false, &[("other.example", &[other()])]).unwrap();
        assert_eq!(closed.check(&genesis()), Err(OpeningError::Closed { domain: domain.clone() }));
        assert_eq!(openers(false, &[(&domain, &[own()])]).unwrap().check(&genesis()), Ok(()));
    }

    #[test]
    fn one_of_the_owners_keys_signs() {
        let domain = genesis().statement().predicate.common().channel.owner_domain().to_owned();
        assert_eq!(openers(true, &[(&domain, &[other(), own()])]).unwrap().check(&genesis()), Ok(()));
        let refused = openers(true, &[(&domain, &[other()])]).unwrap().check(&genesis());
        assert_eq!(refused, Err(OpeningError::NotOwner { domain: domain.clone() }));
        // A domain below it has its own owner.
        let below = openers(true, &[(&format!("sub.{domain}"), &[other()])]).unwrap();
        assert_eq!(below.check(&genesis()), Ok(()));
    }

    #[test]
    fn refuses_domains_and_keys_that_are_none() {
        for domain in ["vendor", "Vendor.example", "vendor.example/rules", "", "vendor..example"] {
            assert_eq!(openers(true, &[(domain, &[own()])]), Err((domain.to_owned(), OwnerError::Domain)));
        }
        let refused = |keys: &[String]| openers(true, &[("a.example", keys)]).map_err(|(_, error)| error);
        assert_eq!(refused(&[]), Err(OwnerError::Count { got: 0 }));
        let many = vec![own(); MAX_OWNER_KEYS + 1];
        assert_eq!(refused(&many), Err(OwnerError::Count { got: MAX_OWNER_KEYS + 1 }));
        assert!(refused(&many[1..]).is_ok());
        assert_eq!(refused(&[own(), "nonsense".into()]), Err(OwnerError::Key { position: 1 }));
        let name = indelible_proto::note::KeyName::parse("log.example").unwrap();
        let log = indelible_proto::sign::SecretKey::from_seed(KeyKind::Log, name, [1; 32]);
        assert_eq!(refused(&[log.verifier().encode()]), Err(OwnerError::Key { position: 0 }));
    }
}

//! The policy under which something was verified last, to see what changed in it.

use indelible_proto::policy::MAX_POLICY_BYTES;

use super::*;

impl StateDir {
    /// The policy file under which something was verified last, byte for byte.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if the file is not whole, [`StateError::File`].
    pub fn policy(&self) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.dir.join(POLICY);
        let Some(bytes) = read(&path, MAX_BYTES)? else {
            return Ok(None);
        };
        let body = unsealed(&bytes).and_then(|body| body.strip_prefix(HEADER).ok_or("header"));
        match body {
            Ok(policy) => Ok(Some(policy.to_vec())),
            Err(code) => Err(StateError::Damaged { path, code }),
        }
    }

    /// Remembers a policy file in place of the one before.
    ///
    /// # Errors
    /// As [`Self::policy`].
    pub fn remember_policy(&self, policy: &[u8]) -> Result<(), StateError> {
        if self.policy()?.is_some_and(|held| held == policy) {
            return Ok(());
        }
        Ok(durable::replace(&self.dir.join(POLICY), &sealed([HEADER, policy].concat()))?)
    }
}

const POLICY: &str = "policy";
const HEADER: &[u8] = b"indelible-policy/v1\n";
/// The largest policy, the header and the seal.
const MAX_BYTES: usize = MAX_POLICY_BYTES + HEADER.len() + SEAL_LEN;

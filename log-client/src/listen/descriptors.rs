//! How many connections fit into the number of files that the process may have open.
//!
//! A server that runs out of them fails where it can't go on: at its own files. So what it needs for those is set
//! aside, and only what is left goes to connections. The soft limit, which is small for the sake of old programs, is
//! raised to the hard one first.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// With room for fewer connections a server does not start: some of them are witnesses and watchdogs.
const MIN_CONNECTIONS: usize = 16;

/// What a server needs open files for.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// For itself, however many connections there are, with one that is accepted to be refused.
    pub own: usize,
    /// How many connections may need a second one at the same time, for a file that is read for them.
    pub with_file: usize,
}

/// There is not even room for what the server needs for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the limit of open files is {limit}, and {needed} are needed at least; raise LimitNOFILE= in the unit, or \
     `ulimit -Hn` before the start"
)]
pub struct TooFewDescriptors {
    /// The limit of the process.
    limit: u64,
    /// What there must be.
    needed: usize,
}

impl TooFewDescriptors {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        "too-few-descriptors"
    }
}

impl Needs {
    /// Raises the limit of open files as far as it goes; of `wanted` connections those that fit, with a warning if
    /// these are not all.
    ///
    /// # Errors
    /// [`TooFewDescriptors`] if the server's own files do not fit, or hardly anything beside them.
    pub fn connections(&self, wanted: usize) -> Result<usize, TooFewDescriptors> {
        let Some(limit) = raised_limit() else { return Ok(wanted) };
        let fit = self.fit(limit)?;
        if fit < wanted {
            tracing::warn!(
                limit,
                max_connections = wanted,
                "the limit of open files leaves room for {fit} connections at once, the rest is for the server's own \
                 files; raise LimitNOFILE= in the unit, or lower max_connections"
            );
        }
        Ok(wanted.min(fit))
    }

    fn fit(&self, limit: u64) -> Result<usize, TooFewDescriptors> {
        let with_files = self.with_file.saturating_mul(2);
        let left = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(self.own);
        let fit = if left < with_files { left / 2 } else { left - self.with_file };
        if fit < MIN_CONNECTIONS {
            let needed = self.own + MIN_CONNECTIONS + MIN_CONNECTIONS.min(self.with_file);
            return Err(TooFewDescriptors { limit, needed });
        }
        Ok(fit)
    }
}

/// How many files may be open, after raising that as far as it goes; `None` if any number may.
fn raised_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // A system that refuses keeps the limit that it had.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_needs_for_itself_is_never_given_to_connections() {
        let needs = Needs { own: 100, with_file: 50 };
        // Each of the first fifty may need two.
        for (limit, fit) in [(132, 16), (133, 16), (134, 17), (199, 49), (200, 50), (201, 51), (1024, 874)] {
            assert_eq!(needs.fit(limit).unwrap(), fit, "{limit}");
            assert!(fit + fit.min(50) + 100 <= usize::try_from(limit).unwrap());
        }
        assert_eq!(Needs { own: 10, with_file: 0 }.fit(26).unwrap(), 16);
    }

    #[test]
    fn a_limit_with_no_room_for_the_servers_own_files_is_refused() {
        let needs = Needs { own: 100, with_file: 50 };
        for limit in [0, 99, 100, 131] {
            let error = needs.fit(limit).unwrap_err();
            assert_eq!(error, TooFewDescriptors { limit, needed: 132 });
            assert!(error.to_string().contains("LimitNOFILE=") && error.to_string().contains("132"));
        }
        assert_eq!(Needs { own: 10, with_file: 0 }.fit(25).unwrap_err().needed, 26);
    }
}

//! What follows from a quorum, counted exactly: nested groups too, because no witness stands in one twice.

use alloc::vec;
use alloc::vec::Vec;

use super::Quorum;

/// The numbers of a quorum over its own witnesses; those outside it change nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuorumNumbers {
    /// How many witnesses stand in the quorum (`n`).
    pub witnesses: usize,
    /// The fewest that are enough (`k1`). So many must collude to vouch for what nobody else has seen.
    pub fewest: usize,
    /// How many may fail, whichever they are, and the others still are enough.
    pub may_fail: usize,
    /// How many witnesses any two sufficient sets have in common at least. If all of those are bad, two clients
    /// can be shown two logs, both with a quorum.
    pub overlap: usize,
}

impl Quorum {
    /// Counts the quorum; all zero for [`Quorum::None`].
    pub fn numbers(&self) -> QuorumNumbers {
        match self {
            Self::None => QuorumNumbers { witnesses: 0, fewest: 0, may_fail: 0, overlap: 0 },
            _ => {
                let Counted { witnesses, fewest, blocking, overlap, .. } = self.count();
                QuorumNumbers { witnesses, fewest, may_fail: blocking.saturating_sub(1), overlap }
            }
        }
    }

    /// How many smallest sufficient sets there are; `u128::MAX` stands for that or more.
    pub fn minimal_set_count(&self) -> u128 {
        match self {
            Self::None => 1,
            _ => self.count().minimal_sets,
        }
    }

    /// Sufficient sets none of whose witnesses can be missed, at most `limit` of them; each by places in
    /// [`super::Policy::witnesses`], rising.
    pub fn minimal_sets(&self, limit: usize) -> Vec<Vec<usize>> {
        let mut sets = self.some_minimal_sets(limit);
        sets.iter_mut().for_each(|set| set.sort_unstable());
        sets.sort();
        sets.truncate(limit);
        sets
    }

    /// The places of the witnesses that stand in the quorum, rising.
    pub fn places(&self) -> Vec<usize> {
        let mut places = Vec::new();
        let mut rules = vec![self];
        while let Some(rule) = rules.pop() {
            match rule {
                Self::None => {}
                Self::Witness(place) => places.push(*place),
                Self::Group { members, .. } => rules.extend(members),
            }
        }
        places.sort_unstable();
        places
    }

    fn count(&self) -> Counted {
        let Self::Group { threshold, members } = self else { return Counted::WITNESS };
        let counted: Vec<Counted> = members.iter().map(Self::count).collect();
        let cheapest = |of: fn(&Counted) -> usize, take: usize| {
            let mut values: Vec<usize> = counted.iter().map(of).collect();
            values.sort_unstable();
            values.iter().take(take).sum()
        };
        let left_out = members.len().saturating_sub(*threshold);
        Counted {
            witnesses: counted.iter().map(|member| member.witnesses).sum(),
            fewest: cheapest(|member| member.fewest, *threshold),
            // All but fewer than `threshold` members have to be blocked.
            blocking: cheapest(|member| member.blocking, left_out.saturating_add(1)),
            // Two sets of `threshold` members share so many of them, and in each shared one its own overlap.
            overlap: cheapest(|member| member.overlap, threshold.saturating_sub(left_out)),
            minimal_sets: sum_of_products(counted.iter().map(|member| member.minimal_sets), *threshold),
        }
    }

    fn some_minimal_sets(&self, limit: usize) -> Vec<Vec<usize>> {
        match self {
            Self::None => vec![Vec::new()],
            Self::Witness(place) => vec![vec![*place]],
            Self::Group { threshold, members } => {
                // By how many members are chosen so far: sets of witnesses.
                let mut chosen: Vec<Vec<Vec<usize>>> = vec![Vec::new(); threshold.saturating_add(1)];
                if let Some(none) = chosen.first_mut() {
                    none.push(Vec::new());
                }
                for member in members {
                    let sets = member.some_minimal_sets(limit);
                    for count in (0..*threshold).rev() {
                        let [fewer, more] = match chosen.get_disjoint_mut([count, count.saturating_add(1)]) {
                            Ok(pair) => pair,
                            Err(_) => continue,
                        };
                        let joined =
                            fewer.iter().flat_map(|few| sets.iter().map(|set| [&few[..], set].concat()));
                        more.extend(joined.take(limit.saturating_sub(more.len())));
                    }
                }
                chosen.pop().unwrap_or_default()
            }
        }
    }
}

/// What one rule comes to.
struct Counted {
    witnesses: usize,
    fewest: usize,
    /// The fewest whose absence makes the rule unmeetable.
    blocking: usize,
    overlap: usize,
    minimal_sets: u128,
}

impl Counted {
    const WITNESS: Self = Self { witnesses: 1, fewest: 1, blocking: 1, overlap: 1, minimal_sets: 1 };
}

/// The sum, over all ways to choose `take` of the factors, of their product.
fn sum_of_products(factors: impl Iterator<Item = u128>, take: usize) -> u128 {
    let mut sums = vec![0u128; take.saturating_add(1)];
    if let Some(empty) = sums.first_mut() {
        *empty = 1;
    }
    for factor in factors {
        for count in (0..take).rev() {
            let fewer = sums.get(count).copied().unwrap_or_default();
            if let Some(more) = sums.get_mut(count.saturating_add(1)) {
                *more = more.saturating_add(fewer.saturating_mul(factor));
            }
        }
    }
    sums.pop().unwrap_or_default()
}

/// How many witnesses a watchdog should wait for if nothing else is said: peers' `max(k1, n - floor(k1 / 2))`.
pub fn default_monitor_quorum(numbers: &QuorumNumbers) -> usize {
    numbers.fewest.max(numbers.witnesses.saturating_sub(numbers.fewest / 2))
}

/// The most bad witnesses with which no client can be shown a log that the watchdog does not see: the largest
/// `f` with `k1 + k2 > n + f`. `None` if not even honest ones are enough.
pub fn tolerated(numbers: &QuorumNumbers, monitor_quorum: usize) -> Option<usize> {
    numbers.fewest.saturating_add(monitor_quorum).checked_sub(numbers.witnesses.saturating_add(1))
}

#[cfg(test)]
mod tests;

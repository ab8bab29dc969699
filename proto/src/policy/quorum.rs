//! Which sets of witnesses are enough.

use alloc::vec::Vec;

/// A rule over the witnesses of one policy. No witness stands in it twice.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quorum {
    /// `quorum none`: no cosignature is needed.
    None,
    /// The witness at this place in [`super::Policy::witnesses`].
    Witness(usize),
    /// At least `threshold` of the members.
    Group {
        /// How many members are needed, from 1 to the number of members.
        threshold: usize,
        /// Witnesses and groups, never [`Quorum::None`]. Groups nest at most [`super::MAX_ITEMS`] deep.
        members: Vec<Quorum>,
    },
}

impl Quorum {
    /// Whether the witnesses at these places are enough; the order and repetitions do not matter.
    pub(super) fn is_met(&self, cosigners: &[usize]) -> bool {
        match self {
            Self::None => true,
            Self::Witness(place) => cosigners.contains(place),
            Self::Group { threshold, members } => {
                members.iter().filter(|member| member.is_met(cosigners)).count() >= *threshold
            }
        }
    }

    /// The rule over witnesses instead of their keys: a group that holds nothing but keys of one witness is that
    /// witness, and the first of them stands for it.
    pub(super) fn by_witness(&self, is_same: &impl Fn(usize, usize) -> bool) -> Self {
        let Self::Group { threshold, members } = self else { return self.clone() };
        if let [first, others @ ..] = self.places().as_slice()
            && others.iter().all(|other| is_same(*first, *other))
        {
            return Self::Witness(*first);
        }
        let members = members.iter().map(|member| member.by_witness(is_same)).collect();
        Self::Group { threshold: *threshold, members }
    }
}

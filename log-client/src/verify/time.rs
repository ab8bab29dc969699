//! What time it is, for someone whose clock may be wrong.
//!
//! Two sources: this machine's clock, and the *floor*, the newest time that a whole quorum of witnesses vouched
//! for in a checkpoint that was verified before. It cannot be earlier than the floor, so a clock set back, or
//! one that starts in 1970, does not make an expired update fresh. The floor is moved only by a quorum, and
//! never beyond what the clock makes plausible: fewer witnesses cannot move it, and nobody can move it far.

use indelible_proto::time::UnixSeconds;

/// How far a witness's time may be ahead of this machine's, in seconds: clocks drift by seconds, not more.
pub const MAX_AHEAD_S: u64 = 600;

/// The time, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedTime {
    clock: UnixSeconds,
    floor: Option<UnixSeconds>,
}

impl TrustedTime {
    /// From what the clock says and what a quorum has vouched for before.
    pub fn new(clock: UnixSeconds, floor: Option<UnixSeconds>) -> Self {
        Self { clock, floor }
    }

    /// What is taken for now: the clock, or the floor where the clock is behind it.
    pub fn now(self) -> UnixSeconds {
        self.floor.map_or(self.clock, |floor| floor.max(self.clock))
    }

    /// The latest time that a witness can have cosigned at: a little ahead of the clock, or the floor. Were it a
    /// little ahead of the floor, a lying quorum could move the floor on by small steps.
    pub fn latest_plausible(self) -> UnixSeconds {
        let ahead = plus(self.clock, MAX_AHEAD_S);
        self.floor.map_or(ahead, |floor| floor.max(ahead))
    }

    /// Where `now` comes from, in words.
    pub fn source(self) -> &'static str {
        if self.now() == self.clock {
            "this machine's clock"
        } else {
            "witnesses, as the clock is behind them"
        }
    }
}

/// `time` and some seconds more; the latest time there is, if that is less.
pub(crate) fn plus(time: UnixSeconds, seconds: u64) -> UnixSeconds {
    UnixSeconds::new(time.get().saturating_add(seconds)).unwrap_or(LATEST)
}

const LATEST: UnixSeconds = match UnixSeconds::new(u64::MAX >> 1) {
    Ok(latest) => latest,
    Err(_) => panic!("the largest value is one"),
};

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixSeconds {
        UnixSeconds::new(seconds).unwrap()
    }

    #[test]
    fn a_clock_set_back_is_not_believed() {
        let time = TrustedTime::new(at(10), Some(at(1000)));
        assert_eq!(time.now(), at(1000));
        assert_eq!(time.latest_plausible(), at(1000));
        assert!(time.source().starts_with("witnesses"));
    }

    #[test]
    fn a_clock_ahead_of_the_floor_is() {
        assert_eq!(TrustedTime::new(at(2000), Some(at(1000))).now(), at(2000));
        assert_eq!(TrustedTime::new(at(2000), None).now(), at(2000));
    }

    #[test]
    fn witnesses_cannot_move_the_floor_on_by_small_steps() {
        let mut floor = None;
        for _ in 0..100 {
            let time = TrustedTime::new(at(5000), floor);
            // Each time as far ahead as is believed.
            floor = Some(time.latest_plausible());
        }
        assert_eq!(floor, Some(at(5000 + MAX_AHEAD_S)));
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        let time = TrustedTime::new(LATEST, None);
        assert_eq!(time.latest_plausible(), LATEST);
    }
}

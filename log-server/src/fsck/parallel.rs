//! The same work on many things at once, in order.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// What `work` makes of every number of `range`, in their order, on `threads` threads.
pub(super) fn map<T: Send>(threads: usize, range: Range<u64>, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = AtomicU64::new(range.start);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < range.end);
    let some = || std::iter::from_fn(&take).map(|number| (number, work(number))).collect::<Vec<_>>();
    let mut done: Vec<(u64, T)> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(some)).collect();
        let mut done = some();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, made)| made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_none_is_missing() {
        for threads in [1, 2, 7] {
            let squares = map(threads, 3..1000, |number| number * number);
            assert_eq!(squares, (3..1000).map(|number| number * number).collect::<Vec<u64>>());
        }
        assert!(map(4, 5..5, |number| number).is_empty());
    }
}

//! Every number against all subsets of the witnesses.

use alloc::format;

use proptest::prelude::*;

use super::*;

fn group(threshold: usize, members: Vec<Quorum>) -> Quorum {
    Quorum::Group { threshold, members }
}

fn witnesses(places: core::ops::Range<usize>) -> Vec<Quorum> {
    places.map(Quorum::Witness).collect()
}

/// All sets of `n` witnesses that are enough, as bits.
fn sufficient(quorum: &Quorum, n: usize) -> Vec<u32> {
    let places = |set: u32| (0..n).filter(|place| set >> place & 1 == 1).collect::<Vec<_>>();
    (0..1u32 << n).filter(|set| quorum.is_met(&places(*set))).collect()
}

fn by_brute_force(quorum: &Quorum, n: usize) -> (QuorumNumbers, Vec<Vec<usize>>) {
    let enough = sufficient(quorum, n);
    let size = |set: u32| set.count_ones() as usize;
    let all = (1u32 << n) - 1;
    let fewest = enough.iter().map(|set| size(*set)).min().unwrap();
    let may_fail = (0..=n)
        .take_while(|gone| {
            (0..=all).filter(|set| size(*set) == *gone).all(|set| enough.contains(&(all & !set)))
        })
        .last()
        .unwrap();
    let overlap = enough.iter().flat_map(|a| enough.iter().map(move |b| size(a & b))).min().unwrap();
    let minimal =
        enough.iter().filter(|set| !enough.iter().any(|other| other != *set && other & *set == *other));
    let mut sets: Vec<Vec<usize>> =
        minimal.map(|set| (0..n).filter(|place| set >> place & 1 == 1).collect()).collect();
    sets.sort();
    (QuorumNumbers { witnesses: n, fewest, may_fail, overlap }, sets)
}

#[track_caller]
fn check(quorum: &Quorum, n: usize) {
    let (numbers, sets) = by_brute_force(quorum, n);
    assert_eq!(quorum.numbers(), numbers, "{quorum:?}");
    assert_eq!(quorum.minimal_sets(usize::MAX), sets, "{quorum:?}");
    assert_eq!(quorum.minimal_set_count(), sets.len() as u128, "{quorum:?}");
    assert_eq!(quorum.places(), (0..n).collect::<Vec<_>>());
}

#[test]
fn every_threshold_of_one_group_is_counted_as_by_hand() {
    for n in 1..=8 {
        for k in 1..=n {
            let quorum = group(k, witnesses(0..n));
            check(&quorum, n);
            let numbers = quorum.numbers();
            assert_eq!((numbers.fewest, numbers.may_fail), (k, n - k));
            assert_eq!(numbers.overlap, (2 * k).saturating_sub(n));
        }
    }
    check(&Quorum::Witness(0), 1);
}

#[test]
fn groups_of_groups_are_counted_as_by_brute_force() {
    let x = || group(2, witnesses(0..3));
    let y = || group(1, witnesses(3..6));
    for k in 1..=2 {
        check(&group(k, vec![x(), y()]), 6);
    }
    for k in 1..=3 {
        let z = group(3, witnesses(6..9));
        check(&group(k, vec![x(), y(), z]), 9);
        check(
            &group(
                k,
                vec![x(), Quorum::Witness(3), group(2, vec![Quorum::Witness(4), group(1, witnesses(5..7))])],
            ),
            7,
        );
    }
}

#[test]
fn a_quorum_that_asks_for_nobody_counts_nobody() {
    let numbers = Quorum::None.numbers();
    assert_eq!((numbers.witnesses, numbers.fewest, numbers.may_fail, numbers.overlap), (0, 0, 0, 0));
    assert_eq!(Quorum::None.minimal_sets(9), vec![Vec::<usize>::new()]);
}

#[test]
fn sets_are_counted_where_they_cannot_be_listed() {
    let quorum = group(128, witnesses(0..256));
    assert_eq!(quorum.minimal_set_count(), u128::MAX);
    assert_eq!(quorum.minimal_sets(10).len(), 10);
    assert!(quorum.minimal_sets(10).iter().all(|set| set.len() == 128 && quorum.is_met(set)));
    let pairs = (0..100).map(|pair| group(1, witnesses(2 * pair..2 * pair + 2))).collect();
    let quorum = group(100, pairs);
    assert_eq!(quorum.minimal_set_count(), 1 << 100);
    assert_eq!(quorum.minimal_sets(3).len(), 3);
    // As deep as a policy can be.
    let deep = (0..255).fold(Quorum::Witness(0), |inner, _| group(1, vec![inner]));
    assert_eq!(deep.numbers().fewest, 1);
}

/// `k1 + k2 > n + f` says exactly when any two such sets share an honest witness.
#[test]
fn what_is_tolerated_is_what_the_worst_choice_of_sets_leaves() {
    for n in 1..=7u32 {
        let sets = |k: usize| (0..1u32 << n).filter(move |set| set.count_ones() as usize == k);
        for k1 in 1..=n as usize {
            let numbers = group(k1, witnesses(0..n as usize)).numbers();
            for k2 in 0..=n as usize {
                let shared =
                    sets(k1).flat_map(|a| sets(k2).map(move |b| (a & b).count_ones() as usize)).min();
                assert_eq!(
                    tolerated(&numbers, k2),
                    shared.unwrap().checked_sub(1),
                    "n {n}, k1 {k1}, k2 {k2}"
                );
            }
            assert!((k1..=n as usize).contains(&default_monitor_quorum(&numbers)));
        }
    }
}

fn any_quorum() -> impl Strategy<Value = (Quorum, usize)> {
    // Shapes first, then witnesses in their order.
    let leaf = Just(Quorum::Witness(0)).boxed();
    let tree = leaf.prop_recursive(3, 9, 4, |inner| {
        (proptest::collection::vec(inner, 1..4), any::<prop::sample::Index>()).prop_map(
            |(members, threshold)| {
                let threshold = 1 + threshold.index(members.len());
                Quorum::Group { threshold, members }
            },
        )
    });
    tree.prop_map(|mut quorum| {
        let mut next = 0;
        number(&mut quorum, &mut next);
        (quorum, next)
    })
    .prop_filter("small enough for all subsets", |(_, n)| *n <= 9)
}

fn number(quorum: &mut Quorum, next: &mut usize) {
    match quorum {
        Quorum::None => {}
        Quorum::Witness(place) => {
            *place = *next;
            *next += 1;
        }
        Quorum::Group { members, .. } => members.iter_mut().for_each(|member| number(member, next)),
    }
}

proptest! {
    #[test]
    fn any_quorum_is_counted_as_by_brute_force((quorum, n) in any_quorum(), limit in 0usize..20) {
        let (numbers, sets) = by_brute_force(&quorum, n);
        prop_assert_eq!(quorum.numbers(), numbers);
        prop_assert_eq!(quorum.minimal_sets(usize::MAX), sets.clone());
        prop_assert_eq!(quorum.minimal_set_count(), sets.len() as u128);
        let some = quorum.minimal_sets(limit);
        prop_assert_eq!(some.len(), limit.min(sets.len()), "{}", format!("{quorum:?}"));
        prop_assert!(some.iter().all(|set| sets.contains(set)));
    }
}

//! The stored form of a channel's state.

use alloc::format;

use super::follow::Story;
use super::*;

/// A channel with both chains begun and, perhaps, frozen.
fn recovered(frozen: bool) -> ChannelState {
    let (publish, recovery) = (signer("a", 1), signer("r", 3));
    let genesis = with_recovery(channel(common(0), set(&[&publish], 1)), Some(set(&[&recovery], 1)));
    let record = SignedRecord::sign(&genesis, &[&publish]).unwrap();
    let state = may_follow(None, &record).unwrap();
    let place = state.next_place(Chain::Recovery).unwrap();
    let next = Common { keys: Some(place.keys), chain: Chain::Recovery, ..common(place.seq) };
    let mut statement = with_recovery(channel(next, set(&[&publish], 1)), Some(set(&[&recovery], 1)));
    if frozen && let Predicate::Channel(_, body) = &mut statement.predicate {
        body.signers = None;
    }
    let signers: &[&RecordSigner] = if frozen { &[&recovery] } else { &[&publish, &recovery] };
    may_follow(Some(&state), &SignedRecord::sign(&statement, signers).unwrap()).unwrap()
}

fn state() -> ChannelState {
    let (a, b) = (signer("a", 1), signer("b", 2));
    let mut story = Story::with(&[&a, &b], 2);
    let mut statement = channel(story.next(), set(&[&a, &b], 2));
    if let Predicate::Channel(_, body) = &mut statement.predicate {
        body.recovery = Some(set(&[&signer("r", 3), &signer("s", 4)], 1));
    }
    story.admit(&statement, &[&a, &b]);
    let statement = rules(story.next());
    story.admit(&statement, &[&a, &b]);
    story.state
}

fn code(text: &str) -> &'static str {
    ChannelState::parse(text.as_bytes()).map_or_else(|error| error.code(), |_| "accepted")
}

#[test]
fn reads_what_it_writes() {
    for state in [Story::begin().state, state(), recovered(true), recovered(false)] {
        let text = state.encode();
        assert_eq!(ChannelState::parse(text.as_bytes()), Ok(state));
    }
}

#[test]
fn has_the_documented_lines() {
    let state = Story::begin().state;
    let (id, key) = (state.head(), key("vendor.example/publish", 1));
    let expected = format!(
        "indelible-channel-state/v2\nchannel {CHANNEL}\ngenesis {id}\nhead {id}\nseq 0\nkeys {id}\n\
         cooldown 259200\nmax-age 259200\nsigners 1 of 1\n{}\nrecovery none\n",
        key.encode()
    );
    assert_eq!(state.encode(), expected);
}

#[test]
fn refuses_every_truncation_and_extra_byte() {
    for state in [Story::begin().state, state(), recovered(true), recovered(false)] {
        let text = state.encode();
        for end in 0..text.len() {
            assert_ne!(code(&text[..end]), "accepted", "{:?}", &text[..end]);
        }
        for extra in ["\n", " ", "a", "recovery none\n", "x\n"] {
            assert_eq!(code(&format!("{text}{extra}")), "trailing-bytes", "{extra:?}");
        }
    }
}

#[test]
fn refuses_other_spellings() {
    let text = state().encode();
    for (from, to) in [
        ("state/v2", "state/v1"),
        ("\ncooldown 259200", "\ncooldown 31622401"),
        ("\nmax-age 259200", "\nmax-age 0259200"),
        ("\nrecovery-head none", "\nrecovery-head None"),
        ("channel ", "channel  "),
        ("\nseq 2", "\nseq 02"),
        ("\nseq 2", "\nseq +2"),
        ("\nseq 2", "\nseq 9007199254740992"),
        ("\nsigners 2 of 2", "\nsigners 0 of 2"),
        ("\nsigners 2 of 2", "\nsigners 3 of 2"),
        ("\nsigners 2 of 2", "\nsigners 02 of 2"),
        ("\nsigners 2 of 2", "\nsigners 258 of 2"),
        ("\nsigners 2 of 2", "\nsigners 2 of 1"),
        ("\nsigners 2 of 2", "\nsigners 2 of 3"),
        ("\nsigners 2 of 2", "\nsigners 2 of 9223372036854775807"),
        ("\nsigners 2 of 2", "\nsigners 2  of 2"),
        ("\nsigners 2 of 2", "\nsigners 2"),
        ("\nrecovery 1 of 2", "\nrecovery 3 of 2"),
        ("\nrecovery 1 of 2", "\nrecovery none"),
        ("\nrecovery 1 of 2\n", "\nrecovery\n"),
        ("\n", "\r\n"),
        ("\nhead ", "\nhead A"),
        ("vendor.example", "vendor"),
    ] {
        assert!(text.contains(from), "{from:?}");
        assert_ne!(code(&text.replacen(from, to, 1)), "accepted", "{from:?} -> {to:?}");
    }
    let upper = text.replace(&state().head().to_string(), &state().head().to_string().to_uppercase());
    assert_eq!(code(&upper), "channel-state-record-id");
}

#[test]
fn refuses_keys_out_of_order_or_in_both_sets() {
    let text = state().encode();
    let line = |name: &str, seed| format!("{}\n", key(name, seed).encode());
    let both = [line("a", 1), line("b", 2)];
    let swapped = text.replace(&both.concat(), &[&*both[1], &*both[0]].concat());
    assert_eq!(code(&swapped), "channel-state-key-order");
    let shared = text.replace(&line("r", 3), &line("r", 1));
    assert_eq!(code(&shared), "channel-state-key-in-both-sets");
    let log = SecretKey::from_seed(KeyKind::Log, KeyName::parse("a").unwrap(), [1; 32]);
    let wrong_kind = text.replace(&line("a", 1), &format!("{}\n", log.verifier().encode()));
    assert_eq!(code(&wrong_kind), "key-set-kind");
}

#[test]
fn refuses_a_state_that_contradicts_itself() {
    // Only a genesis has seq 0, and it is head and channel record at once.
    let text = Story::begin().state.encode();
    assert_eq!(code(&text.replace("\nseq 0", "\nseq 1")), "channel-state-number");
    let text = state().encode();
    assert_eq!(code(&text.replace("\nseq 2", "\nseq 0")), "channel-state-number");
    // Only the recovery chain freezes, or names other keys while the genesis is the newest record.
    for frozen in [true, false] {
        let text = recovered(frozen).encode();
        let (lines, _) = text.split_once("recovery-head ").unwrap();
        assert_eq!(code(&format!("{lines}recovery-head none\n")), "channel-state-unreachable");
        let above = text.replace("recovery-seq 0", "recovery-seq 9007199254740992");
        assert_eq!(code(&above), "channel-state-number");
    }
}

#[test]
fn takes_the_largest_sets() {
    let long = |seed: u8| signer(&format!("{}{seed:02}", "n".repeat(330)), seed);
    let signers: Vec<_> = (0..16).map(long).collect();
    let statement = channel(common(0), set(&signers.iter().collect::<Vec<_>>(), 16));
    let record = SignedRecord::sign(&statement, &signers.iter().collect::<Vec<_>>()).unwrap();
    let state = may_follow(None, &record).unwrap();
    assert_eq!(ChannelState::parse(state.encode().as_bytes()), Ok(state));
}

#[test]
fn refuses_text_above_its_limit_before_reading_it() {
    let long = "a".repeat(ChannelState::MAX_BYTES + 1);
    assert_eq!(code(&long), "too-long");
}

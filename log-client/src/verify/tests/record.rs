//! The record is the one that was logged, and the vendor's: its bytes, its signers, its channel.

use super::*;

#[test]
fn a_tampered_leaf_is_not_in_the_log_and_nothing_it_says_is_read() {
    let world = World::new();
    let leaf = String::from_utf8(world.proof.extra().unwrap().to_vec()).unwrap();
    let tampered = leaf.replace(&sha256(CONTENT).to_hex(), &sha256(b"malware").to_hex());
    assert_ne!(leaf, tampered);
    let (index, path, note) = (world.proof.index(), world.proof.proof().clone(), world.proof.note().clone());
    let proof = LogProof::new(Some(tampered.into_bytes()), index, path, note).unwrap();
    let world = World { proof, artifact: file(b"malware"), ..world };
    let verdict = world.assert_only(CheckName::Inclusion, Outcome::Refused, "inclusion-root-mismatch");
    assert!(verdict.record().is_none());
    let unread = verdict
        .checks()
        .iter()
        .filter(|check| check.finding == Finding::NotRun { needs: CheckName::Inclusion });
    assert_eq!(unread.count(), 13);
}

#[test]
fn a_proof_without_a_record_proves_nothing() {
    // A checksum database once answered "yes" with no entry for what was asked, and clients let it pass.
    let world = World::new();
    let (index, path, note) = (world.proof.index(), world.proof.proof().clone(), world.proof.note().clone());
    let proof = LogProof::new(None, index, path, note).unwrap();
    World { proof, ..world }.assert_only(CheckName::Inclusion, Outcome::Refused, "proof-without-record");
}

#[test]
fn an_empty_inclusion_proof_is_refused() {
    let world = World::new();
    let extra = world.proof.extra().map(<[u8]>::to_vec);
    let path = InclusionProof::new(Vec::new()).unwrap();
    let proof = LogProof::new(extra, world.proof.index(), path, world.proof.note().clone()).unwrap();
    let verdict = World { proof, ..world }.verify();
    assert_eq!(verdict.outcome(), Outcome::Refused);
    assert!(verdict.logged().is_none());
}

#[test]
fn an_entry_that_is_no_record_is_refused() {
    let world = World::with_leaf(b"any bytes");
    world.assert_only(CheckName::Record, Outcome::Refused, "unexpected-word");
}

#[test]
fn a_record_signed_by_another_key_of_the_same_name_is_refused() {
    let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
    let record = sign(CHANNEL, release(), &genesis, &[&vendor(8)]);
    let world = World::with_leaf(&record.encode());
    world.assert_only(CheckName::Signers, Outcome::Refused, "record-not-signed");
}

#[test]
fn a_record_with_a_broken_signature_is_refused() {
    let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
    let good = sign(CHANNEL, release(), &genesis, &[&vendor(7)]);
    let bad = SignedRecord::new(good.statement(), vec![damaged(&good.signatures()[0])]).unwrap();
    let world = World::with_leaf(&bad.encode());
    world.assert_only(CheckName::Signers, Outcome::Refused, "record-signature-invalid");
}

#[test]
fn a_record_with_a_strangers_signature_beside_the_vendors_was_never_admitted() {
    let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
    let record = sign(CHANNEL, release(), &genesis, &[&vendor(7), &vendor(8)]);
    let mut world = World::with_leaf(&record.encode());
    world.assert_only(CheckName::Signers, Outcome::Refused, "signer-unknown");
    // Who names single keys does not say that no other may sign.
    world.trust = Trust::Keys(vec![vendor(7).verifier().clone()]);
    let verdict = world.verify();
    assert_eq!(verdict.outcome(), Outcome::Verified);
    let signers = verdict.checks().iter().find(|check| check.name == CheckName::Signers).unwrap();
    assert_eq!(signers.ignored.len(), 1);
}

#[test]
fn one_signature_is_too_few_where_the_channel_wants_two() {
    for (signers, outcome) in
        [(vec![vendor(7)], Outcome::Refused), (vec![vendor(7), vendor(8)], Outcome::Verified)]
    {
        let mut world = World::new();
        let genesis = open_channel(CHANNEL, &[vendor(7), vendor(8)], 2);
        world.log.entries[0] = genesis.encode();
        let signers: Vec<&RecordSigner> = signers.iter().collect();
        world.log.entries[1] = sign(CHANNEL, release(), &genesis, &signers).encode();
        world.trust = trust_in(&world.log, &world.policy);
        world.proof = world.log.proof(LeafIndex::new(1).unwrap());
        assert_eq!(world.verify().outcome(), outcome, "{:#?}", world.verify().checks());
    }
}

#[test]
fn a_record_of_another_channel_of_the_same_vendor_is_refused() {
    let genesis = open_channel(CHANNEL, &[vendor(7)], 1);
    let record = sign("vendor.example/agent/beta", release(), &genesis, &[&vendor(7)]);
    let world = World::with_leaf(&record.encode());
    world.assert_only(CheckName::Channel, Outcome::Refused, "record-other-channel");
}

#[test]
fn a_record_under_a_squatted_channel_of_the_same_name_is_refused() {
    let mut squatted = open_channel(CHANNEL, &[vendor(7)], 1);
    let mut statement = squatted.statement().clone();
    if let Predicate::Channel(common, _) = &mut statement.predicate {
        common.issued = seconds(1_790_000_001);
    }
    squatted = SignedRecord::sign(&statement, &[&vendor(7)]).unwrap();
    let record = sign(CHANNEL, release(), &squatted, &[&vendor(7)]);
    let world = World::with_leaf(&record.encode());
    world.assert_only(CheckName::Channel, Outcome::Refused, "record-other-keys");
}

#[test]
fn given_keys_need_no_channel() {
    let mut world = World::new();
    world.trust = Trust::Keys(vec![vendor(9).verifier().clone(), vendor(7).verifier().clone()]);
    assert_eq!(world.verify().outcome(), Outcome::Verified);
    world.trust = Trust::Keys(vec![vendor(9).verifier().clone()]);
    world.assert_only(CheckName::Signers, Outcome::Refused, "record-not-signed");
    world.trust = Trust::Keys(Vec::new());
    world.assert_only(CheckName::Signers, Outcome::Refused, "record-not-signed");
}

#[test]
fn keys_that_are_given_besides_a_channel_narrow_it_down() {
    let mut world = World::new();
    let with = |world: &World, seeds: &[u8]| {
        let keys = seeds.iter().map(|seed| vendor(*seed).verifier().clone()).collect();
        let Trust::Channel(trusted) = &world.trust else { panic!("the world trusts a channel") };
        Trust::Channel(Box::new(trusted.as_ref().clone().only_signed_by(keys)))
    };
    for (seeds, verified) in [(&[][..], true), (&[7], true), (&[9, 7], true), (&[9], false)] {
        world.trust = with(&world, seeds);
        if verified {
            assert_eq!(world.verify().outcome(), Outcome::Verified, "{seeds:?}");
        } else {
            world.assert_only(CheckName::Signers, Outcome::Refused, "record-not-signed");
        }
    }
    // Nor does one of the channel's keys make up for another that is missing.
    let genesis = open_channel(CHANNEL, &[vendor(7), vendor(8)], 2);
    world.log.entries[0] = genesis.encode();
    world.log.entries[1] = sign(CHANNEL, release(), &genesis, &[&vendor(7)]).encode();
    world.trust = trust_in(&world.log, &world.policy);
    world.trust = with(&world, &[7]);
    world.proof = world.log.proof(LeafIndex::new(1).unwrap());
    world.assert_only(CheckName::Signers, Outcome::Refused, "record-not-signed");
}

#[test]
fn without_anybody_to_trust_nothing_can_be_decided() {
    let mut world = World::new();
    world.trust = Trust::Nobody;
    world.assert_only(CheckName::Signers, Outcome::Undecided, "no-trusted-keys");
}

#[test]
fn a_channel_is_trusted_only_by_a_proof_of_its_first_record() {
    let world = World::new();
    let first = LeafIndex::new(0).unwrap();
    let code = |proof: &LogProof, policy: &Policy| {
        TrustedChannel::from_proof(proof, policy).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(code(&world.log.proof(first), &world.policy), Ok(()));
    assert_eq!(code(&world.proof, &world.policy), Err("channel-unknown"));
    let unseen = world.log.proof_with(first, world.log.note(2, 1));
    assert_eq!(code(&unseen, &world.policy), Err("quorum-not-met"));
    let swapped = {
        let proof = world.log.proof(first);
        let extra = world.proof.extra().map(<[u8]>::to_vec);
        LogProof::new(extra, first, proof.proof().clone(), proof.note().clone()).unwrap()
    };
    assert!(code(&swapped, &world.policy).is_err());
}

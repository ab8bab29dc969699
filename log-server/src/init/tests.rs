use std::os::unix::fs::PermissionsExt as _;

use indelible_proto::policy::{LintOptions, Policy, lint};
use tempfile::TempDir;

use super::*;
use crate::testing::{cosigner, origin};

fn witness(seed: u8) -> NewWitness {
    NewWitness::parse(&format!("{} http://w{seed}.example/prefix", cosigner(seed).verifier())).unwrap()
}

fn by(seeds: &[u8], quorum: Option<usize>) -> Witnessing {
    Witnessing::By { witnesses: seeds.iter().copied().map(witness).collect(), quorum }
}

fn new_log(dir: &TempDir, witnessing: Witnessing) -> NewLog {
    NewLog {
        dir: dir.path().join("log"),
        origin: origin(),
        algorithm: KeyAlgorithm::Ed25519,
        kind: LogKind::Records,
        listen: "127.0.0.1:7380".parse().unwrap(),
        public_url: None,
        witnessing,
    }
}

fn policy_of(new: &NewLog) -> String {
    std::fs::read_to_string(new.dir.join(POLICY_FILE)).unwrap()
}

#[test]
fn a_new_log_has_its_files_and_the_key_is_secret() {
    let dir = TempDir::new().unwrap();
    let new = new_log(&dir, by(&[2, 3], None));
    let key = init(&new).unwrap();
    let mode = |file: &str| new.dir.join(file).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(KEY_FILE), 0o600);
    assert_eq!(std::fs::read_to_string(new.dir.join(VERIFIER_KEY_FILE)).unwrap(), format!("{key}\n"));
    assert_eq!(
        Config::load(&new.dir).unwrap(),
        Config::new(origin().as_str().into(), LogKind::Records, new.listen)
    );
    assert_eq!(key.name().as_str(), origin().as_str());
}

#[test]
fn the_empty_tree_is_published_signed_by_the_new_key() {
    let dir = TempDir::new().unwrap();
    let new = new_log(&dir, by(&[2], None));
    init(&new).unwrap();
    let policy = Policy::parse(policy_of(&new).as_bytes()).unwrap();
    let note = std::fs::read(new.dir.join(DATA_DIR).join(CHECKPOINT_FILE)).unwrap();
    let signed = policy.verify_log_signature(&SignedNote::parse(&note).unwrap()).unwrap();
    assert_eq!(signed.head(), TreeHead::empty());
}

#[test]
fn two_logs_never_get_the_same_key() {
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let keys = dirs.each_ref().map(|dir| init(&new_log(dir, Witnessing::None)).unwrap());
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn nothing_that_exists_is_touched() {
    for file in [KEY_FILE, VERIFIER_KEY_FILE, POLICY_FILE, DATA_DIR, CONFIG_FILE] {
        let dir = TempDir::new().unwrap();
        let new = new_log(&dir, Witnessing::None);
        std::fs::create_dir(&new.dir).unwrap();
        std::fs::write(new.dir.join(file), "precious").unwrap();
        assert!(matches!(init(&new), Err(InitError::Exists { path }) if path == new.dir.join(file)));
        assert_eq!(new.dir.read_dir().unwrap().count(), 1, "{file}");
        assert_eq!(std::fs::read(new.dir.join(file)).unwrap(), b"precious");
    }
}

#[test]
fn a_second_init_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let new = new_log(&dir, Witnessing::None);
    init(&new).unwrap();
    let key = std::fs::read(new.dir.join(KEY_FILE)).unwrap();
    assert!(matches!(init(&new), Err(InitError::Exists { .. })));
    assert_eq!(std::fs::read(new.dir.join(KEY_FILE)).unwrap(), key);
}

#[test]
fn an_existing_empty_directory_will_do() {
    let dir = TempDir::new().unwrap();
    let new = NewLog { dir: dir.path().to_owned(), ..new_log(&dir, Witnessing::None) };
    init(&new).unwrap();
}

#[test]
fn the_policy_names_the_log_its_witnesses_and_a_majority() {
    for (seeds, majority) in [(&[2u8][..], 1), (&[2, 3], 2), (&[2, 3, 4], 2), (&[2, 3, 4, 5], 3)] {
        let dir = TempDir::new().unwrap();
        let new = new_log(&dir, by(seeds, None));
        let key = init(&new).unwrap();
        let policy = Policy::parse(policy_of(&new).as_bytes()).unwrap();
        assert_eq!(policy.logs()[0].key, key);
        assert_eq!(policy.logs()[0].url.as_deref(), Some("http://127.0.0.1:7380"));
        assert_eq!(policy.witnesses().len(), seeds.len());
        assert_eq!(policy.witnesses()[0].url.as_deref(), Some("http://w2.example/prefix"));
        let places: Vec<usize> = (0..majority).collect();
        assert!(policy.quorum_met(&places) && !policy.quorum_met(&places[1..]), "{majority}");
    }
}

#[test]
fn a_quorum_must_be_possible() {
    for (quorum, possible) in [(0, false), (1, true), (2, true), (3, false)] {
        let dir = TempDir::new().unwrap();
        let made = init(&new_log(&dir, by(&[2, 3], Some(quorum))));
        assert_eq!(made.is_ok(), possible, "{quorum}");
        assert_eq!(dir.path().join("log").exists(), possible, "a refused log leaves nothing behind");
    }
}

#[test]
fn a_log_without_witnesses_must_be_asked_for() {
    let dir = TempDir::new().unwrap();
    let refused = init(&new_log(&dir, by(&[], None))).unwrap_err();
    assert!(matches!(refused, InitError::NoWitnesses));
    assert!(refused.to_string().contains("--no-witnesses"));
    let new = new_log(&dir, Witnessing::None);
    init(&new).unwrap();
    assert!(policy_of(&new).ends_with("quorum none\n"));
}

#[test]
fn one_witness_named_twice_is_refused() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(init(&new_log(&dir, by(&[2, 2], None))), Err(InitError::Policy(_))));
    assert!(!dir.path().join("log").exists());
}

/// The keys of one witness, by name or by address, are enough for one place of the quorum and never for two.
#[test]
fn a_witness_with_two_keys_is_one_witness() {
    let ml_dsa = |name: &str, seed: u8| {
        let key = SecretKey::ml_dsa_from_seed(KeyName::parse(name).unwrap(), [seed; 32]).unwrap();
        key.verifier().encode()
    };
    let one =
        NewWitness::parse(&format!("{} http://w2.example/other", ml_dsa("witness.example/w2", 2))).unwrap();
    let other = NewWitness::parse(&format!("{} http://w3.example/prefix", ml_dsa("w3.example", 3))).unwrap();
    // Named as the one, reached as the other: then all of them are one.
    let both =
        NewWitness::parse(&format!("{} http://w3.example/prefix", ml_dsa("witness.example/w2", 4))).unwrap();
    let policy = |keys: &[&NewWitness]| {
        let dir = TempDir::new().unwrap();
        let witnesses = by(&[2, 3, 5], None);
        let Witnessing::By { mut witnesses, quorum } = witnesses else { unreachable!("made so") };
        witnesses.extend(keys.iter().copied().cloned());
        let new = new_log(&dir, Witnessing::By { witnesses, quorum });
        init(&new).unwrap();
        let text = policy_of(&new);
        let found = lint(text.as_bytes(), &LintOptions::default()).findings;
        (Policy::parse(text.as_bytes()).unwrap(), found)
    };
    let place = |policy: &Policy, key: &VerifierKey| {
        policy.witnesses().iter().position(|witness| witness.key == *key).unwrap()
    };
    let w = [2, 3, 5].map(|seed| cosigner(seed).verifier().clone());
    let (four, found) = policy(&[&one, &other]);
    assert!(!found.iter().any(|found| found.code == "policy-witness-twice"), "{found:?}");
    let met = |policy: &Policy, keys: &[&VerifierKey]| {
        policy.quorum_met(&keys.iter().map(|key| place(policy, key)).collect::<Vec<_>>())
    };
    assert_eq!(four.witnesses().len(), 5);
    assert!(!met(&four, &[&w[0], &one.key]) && !met(&four, &[&w[1], &other.key]));
    assert!(
        met(&four, &[&w[0], &w[1]]) && met(&four, &[&one.key, &other.key]) && met(&four, &[&w[2], &one.key])
    );
    let (merged, _) = policy(&[&one, &other, &both]);
    assert!(!met(&merged, &[&w[0], &w[1], &one.key, &other.key, &both.key]), "two of two witnesses");
    assert!(met(&merged, &[&w[2], &both.key]));
}

#[test]
fn a_public_address_takes_the_place_of_the_listening_one() {
    let dir = TempDir::new().unwrap();
    let url = Some("https://log.example/main".to_owned());
    let new = NewLog { public_url: url.clone(), ..new_log(&dir, Witnessing::None) };
    init(&new).unwrap();
    assert_eq!(Policy::parse(policy_of(&new).as_bytes()).unwrap().logs()[0].url, url);
}

#[test]
fn a_port_that_is_not_known_yet_is_not_published() {
    let dir = TempDir::new().unwrap();
    let new = NewLog { listen: "127.0.0.1:0".parse().unwrap(), ..new_log(&dir, Witnessing::None) };
    init(&new).unwrap();
    assert_eq!(Policy::parse(policy_of(&new).as_bytes()).unwrap().logs()[0].url, None);
}

#[test]
fn an_origin_that_cannot_name_a_key_is_refused() {
    let dir = TempDir::new().unwrap();
    let origin = Origin::parse("log example").unwrap();
    let new = NewLog { origin, ..new_log(&dir, Witnessing::None) };
    assert!(matches!(init(&new), Err(InitError::KeyName(_))));
}

#[test]
fn a_witness_is_a_cosigner_key_and_a_web_address() {
    let key = cosigner(2).verifier().encode();
    assert!(NewWitness::parse(&format!("{key} https://w.example/a/b")).is_ok());
    let log_key = crate::testing::log_signer();
    let log_key = log_key.verifier().encode();
    for refused in [
        key.clone(),
        format!("{key} "),
        format!("{key}  http://w.example"),
        format!("{key} ftp://w.example"),
        format!("{key} w.example"),
        format!("{key} /path"),
        format!("{key} http://w.example/?a=b"),
        format!("{key} http://w.example/ http://x.example/"),
        format!("{log_key} http://w.example"),
        "w http://w.example".to_owned(),
    ] {
        assert!(NewWitness::parse(&refused).is_err(), "{refused:?}");
    }
}

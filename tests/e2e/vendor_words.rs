//! Everything a record can say is said at the vendor's command line, or in a file in its place, and is read by the
//! client it is meant for.

use indelible_proto::hash::sha256;
use indelible_proto::record::{Audience, CohortReason, Predicate};
use indelible_tests::Finished;
use serde_json::Value;

use crate::exit::{REFUSED, USAGE, VERIFIED};
use crate::published::code;
use crate::vendor_life::{CHANNEL, Desk};

const VENDOR: [&str; 4] = ["--channel-name", CHANNEL, "--key", "publish.key"];

fn testers() -> String {
    sha256(b"testers").to_hex()
}

/// The verdict of a client whose `client.toml` names these cohorts, and who remembers nothing of the others.
fn verified_by(desk: &Desk, artifact: &str, cohorts: &[&str]) -> Finished {
    let name = format!("client-of-{}", cohorts.len());
    let lines = format!("policy = {:?}\nstate = {name:?}\ncohorts = {cohorts:?}\n", desk.world.policy());
    std::fs::write(desk.file("client.toml"), lines).unwrap();
    desk.run(&["verify", artifact, "--config", "client.toml", "--channel", "channel"])
}

/// That this client, and no other, takes it.
fn expect_for_testers(desk: &Desk, artifact: &str) {
    let (testers, others) = (testers(), sha256(b"others").to_hex());
    for cohorts in [&[&others, &testers][..], &[&testers]] {
        let cohorts: Vec<&str> = cohorts.iter().map(|cohort| cohort.as_str()).collect();
        verified_by(desk, artifact, &cohorts).expect(VERIFIED);
    }
    for cohorts in [&[][..], &[others.as_str()]] {
        let refused = verified_by(desk, artifact, cohorts).expect(REFUSED);
        assert_eq!(code(&refused), "audience-other", "{refused}");
        let told = refused.json();
        assert!(told["message"].as_str().unwrap().starts_with("not for me: "), "{refused}");
        let failed = told["checks"].as_array().unwrap().iter().filter(|check| check["result"] == "refused");
        assert_eq!(failed.map(|check| check["row"].as_u64().unwrap()).collect::<Vec<_>>(), [9], "{refused}");
    }
}

#[test]
fn a_release_for_a_cohort_is_for_its_members_only() {
    let desk = Desk::new();
    std::fs::write(desk.file("agent-beta"), "agent").unwrap();
    let release = |more: &[&str]| {
        let fixed = ["publish", "release", "agent-beta", "--version", "2"];
        desk.at_log(&[&fixed, VENDOR.as_slice(), more].concat())
    };
    let testers = testers();
    for wrong in [
        &["--cohort", &testers][..],
        &["--cohort-reason", "beta"],
        &["--cohort", &testers, "--cohort-reason", "Beta"],
        &["--cohort", &testers.to_uppercase(), "--cohort-reason", "beta"],
        &["--cohort", "testers", "--cohort-reason", "beta"],
    ] {
        release(wrong).expect(USAGE);
    }
    let cohort = ["--cohort", &testers, "--cohort-reason", "beta"];
    let told = release(&cohort).expect(VERIFIED).json();
    assert_eq!(told["audience"], serde_json::json!({ "cohort": testers, "reason": "beta" }));
    expect_for_testers(&desk, "agent-beta");
    // The same for everybody is another record, and again for the cohort yet another.
    let again = release(&cohort).expect(VERIFIED).json();
    assert_eq!((&again["record"], &again["resumed"]), (&told["record"], &true.into()));
    let public = release(&[]).expect(VERIFIED).json();
    assert_eq!((&public["seq"], public.get("audience")), (&2.into(), None));
    verified_by(&desk, "agent-beta", &[]).expect(VERIFIED);
}

#[test]
fn rules_are_published_from_a_file_for_a_cohort_and_with_their_tests() {
    let desk = Desk::new();
    std::fs::create_dir(desk.file("rules")).unwrap();
    std::fs::write(desk.file("rules/a.yml"), "title: a\n").unwrap();
    std::fs::write(desk.file("results.xml"), "<passed/>").unwrap();
    let fixed =
        format!("dir = \"rules\"\nversion = \"1\"\nformat = \"sigma\"\nchannel-name = \"{CHANNEL}\"\n");
    let cohort = format!("cohort = \"{}\"\ncohort-reason = \"hotfix\"\ntests = \"results.xml\"\n", testers());
    std::fs::write(desk.file("rules.toml"), format!("{fixed}{cohort}key = \"publish.key\"\n")).unwrap();
    desk.at_log(&["publish", "rules", "--from-file", "rules.toml"]).expect(VERIFIED);
    let record = desk.record("rules.tlog-proof");
    let Predicate::Rules(common, body) = &record.statement().predicate else { panic!("rules") };
    let audience = Audience::Cohort { cohort: sha256(b"testers"), reason: CohortReason::Hotfix };
    assert_eq!((common.audience, body.tests), (audience, Some(sha256(b"<passed/>"))));
    expect_for_testers(&desk, "rules");
    // A table is no value of an argument, and results that are not there are no results.
    std::fs::write(desk.file("rules.toml"), format!("{fixed}[audience]\ncohort = \"a\"\n")).unwrap();
    desk.at_log(&["publish", "rules", "--from-file", "rules.toml"]).expect(USAGE);
    std::fs::write(desk.file("rules.toml"), format!("{fixed}tests = \"none.xml\"\n")).unwrap();
    let missing = desk.at_log(&["publish", "rules", "--from-file", "rules.toml", "--dry-run"]).expect(USAGE);
    assert_eq!(code(&missing), "artifact-missing");
}

/// The statement that a command with `--dry-run` prints, without the moment it was made.
fn statement(dry: &Finished) -> Value {
    let told = dry.json();
    let mut statement: Value = serde_json::from_str(told["statement"].as_str().unwrap()).unwrap();
    for time in ["issued", "expires"] {
        statement["predicate"].as_object_mut().unwrap().remove(time);
    }
    statement
}

#[test]
fn a_record_of_every_kind_says_whom_it_is_for() {
    let desk = Desk::new();
    desk.release("agent-1", "publish.key").expect(VERIFIED);
    let testers = testers();
    let of_agent = ["--record", "agent-1.tlog-proof"];
    let commands: [&[&str]; 5] = [
        &["channel", "create", "vendor.example/other", "--owner", "Vendor", "--key", "publish.key"],
        &["channel", "rotate", CHANNEL, "--in-force", "channel", "--signer", "next.key.vkey", "--out", "x"],
        &[&["publish", "withdraw", "--reason", "defective"], &of_agent[..], &VENDOR].concat(),
        &[&["publish", "head", "--out", "head"], &of_agent[..], &VENDOR].concat(),
        &[
            &["publish", "review", "--kind", "rebuild", "--result", "pass", "--report", "agent-1"][..],
            &["--paid-by", "nobody", "--access", "source"],
            &of_agent[..],
            &VENDOR,
        ]
        .concat(),
    ];
    for command in commands {
        let cohort = ["--cohort", &testers, "--cohort-reason", "region", "--dry-run"];
        let said = statement(&desk.at_log(&[command, cohort.as_slice()].concat()).expect(VERIFIED));
        let audience = serde_json::json!({ "cohort": testers, "reason": "region" });
        assert_eq!(said["predicate"]["audience"], audience, "{command:?}");
        let said = statement(&desk.at_log(&[command, ["--dry-run"].as_slice()].concat()).expect(VERIFIED));
        assert_eq!(said["predicate"]["audience"], "public", "{command:?}");
    }
}

#[test]
fn a_channel_is_opened_and_changed_from_a_file() {
    let desk = Desk::new();
    let name = "vendor.example/filed";
    std::fs::create_dir(desk.file("files")).unwrap();
    let file = |file: &str, text: &str| std::fs::write(desk.file("files").join(file), text).unwrap();
    let run = |command: &str, file: &str, more: &[&str]| {
        desk.at_log(&[&["channel", command, "--from-file", file], more].concat())
    };
    file(
        "create.toml",
        &format!(
            "channel = \"{name}\"\nowner = \"Vendor\"\nkey = [\"../publish.key\", \"../next.key\"]\nthreshold = 2\n\
             recovery-key = \"../recovery.key.vkey\"\ncooldown = 60\nout = \"../filed\"\ncohort-reason = \"beta\"\n\
             cohort = \"{}\"\n",
            testers()
        ),
    );
    file(
        "create.json",
        &serde_json::json!({
            "channel": name, "owner": "Vendor", "key": ["../publish.key", "../next.key"], "threshold": 2,
            "recovery-key": ["../recovery.key.vkey"], "cooldown": 60, "out": "../filed", "cohort": testers(),
            "cohort-reason": "beta"
        })
        .to_string(),
    );
    let testers = testers();
    let flags = [
        &["channel", "create", name, "--owner", "Vendor", "--key", "publish.key", "--key", "next.key"][..],
        &["--threshold", "2", "--recovery-key", "recovery.key.vkey", "--cooldown", "60", "--out", "filed"],
        &["--cohort", &testers, "--cohort-reason", "beta", "--dry-run"],
    ];
    let said = statement(&desk.at_log(&flags.concat()).expect(VERIFIED));
    assert_eq!(said["predicate"]["threshold"], 2);
    for form in ["files/create.toml", "files/create.json"] {
        assert_eq!(statement(&run("create", form, &["--dry-run"]).expect(VERIFIED)), said, "{form}");
    }
    // The command line comes first.
    let other =
        statement(&run("create", "files/create.toml", &["--dry-run", "--cooldown", "5"]).expect(VERIFIED));
    assert_eq!(other["predicate"]["cooldown"], 5);
    run("create", "files/create.json", &[]).expect(VERIFIED);
    assert_eq!(desk.record("filed").statement().predicate.common().channel.as_str(), name);

    let rotate = "in-force = \"../filed\"\nsigner = \"../next.key.vkey\"\nout = \"../filed-2\"\n\
                  key = [\"../publish.key\", \"../next.key\"]\n";
    file("rotate.toml", &format!("channel = \"{name}\"\n{rotate}"));
    let flags = [
        &["channel", "rotate", name, "--in-force", "filed", "--signer", "next.key.vkey", "--out", "filed-2"]
            [..],
        &["--key", "publish.key", "--key", "next.key", "--dry-run"],
    ];
    let said = statement(&desk.at_log(&flags.concat()).expect(VERIFIED));
    assert_eq!(statement(&run("rotate", "files/rotate.toml", &["--dry-run"]).expect(VERIFIED)), said);
    run("rotate", "files/rotate.toml", &[]).expect(VERIFIED);
    let Predicate::Channel(common, body) = desk.record("filed-2").statement().predicate.clone() else {
        panic!("a channel record")
    };
    assert_eq!((common.seq, body.signers.unwrap().keys().len()), (1, 1));

    file("rotate.toml", &format!("channel = \"{name}\"\n{rotate}owner = \"Other\"\n"));
    let refused = run("rotate", "files/rotate.toml", &[]).expect(USAGE);
    assert_eq!(code(&refused), "from-file-key");
    assert!(refused.json()["message"].as_str().unwrap().contains("channel rotate"), "{refused}");
    file("create.toml", "[channel]\nowner = \"Vendor\"\n");
    assert_eq!(code(&run("create", "files/create.toml", &[]).expect(USAGE)), "from-file-parse");
}

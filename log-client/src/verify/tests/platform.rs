//! Row 9, platform: each passes, and each alone fails.

use indelible_proto::record::Platform;

use super::*;

fn platform(text: &str) -> Option<Platform> {
    Some(Platform::parse(text).unwrap())
}

/// A world whose release has its two files for these platforms; the artifact is the first.
fn world_of(platforms: [Option<&str>; 2]) -> World {
    let (mut subject, body) = release();
    for (subject, text) in subject.iter_mut().zip(platforms) {
        subject.platform = text.and_then(platform);
    }
    World::with((subject, body), file(CONTENT))
}

fn check_of(world: &World) -> Check {
    world.verify().checks().iter().find(|check| check.name == CheckName::Platform).unwrap().clone()
}

#[test]
fn an_artifact_is_for_its_platform_only() {
    let mut world = world_of([Some("linux/arm64"), Some("linux/amd64")]);
    for (ours, fits) in [
        ("linux/arm64", true),
        ("linux/arm64/v8", true),
        ("linux/amd64", false),
        ("linux/arm", false),
        ("darwin/arm64", false),
    ] {
        world.rules.platform = platform(ours);
        if fits {
            assert_eq!(world.verify().outcome(), Outcome::Verified, "{ours}");
            assert_eq!(
                check_of(&world).details,
                [("platform", ours.into()), ("wanted", "linux/arm64".into())]
            );
        } else {
            let verdict = world.assert_only(CheckName::Platform, Outcome::Refused, "platform-other");
            let message = &verdict.decisive().unwrap().message;
            assert!(
                message.starts_with("not for me")
                    && message.contains("linux/arm64")
                    && message.contains(ours)
            );
        }
    }
}

#[test]
fn an_artifact_for_a_variant_is_not_for_who_does_not_name_it() {
    let mut world = world_of([Some("linux/arm64/v8"), None]);
    for (ours, code) in [
        ("linux/arm64/v8", None),
        ("linux/arm64", Some("platform-other")),
        ("linux/arm64/v9", Some("platform-other")),
    ] {
        world.rules.platform = platform(ours);
        assert_eq!(world.verify().decisive().map(|reason| reason.code), code, "{ours}");
    }
}

#[test]
fn who_names_no_platform_is_asked_for_none_and_told_so() {
    let mut world = world_of([Some("linux/arm64"), None]);
    assert_eq!(world.verify().outcome(), Outcome::Verified);
    let check = check_of(&world);
    assert_eq!(check.finding, Finding::NotApplicable { why: "the client names no platform" });
    assert_eq!(check.details, [("wanted", "linux/arm64".into())]);
    // As for the engine, this is not one of the questions that only the channel file answers.
    world.rules.unknown = Unknown::Hold;
    assert!(check_of(&world).reason().is_none());
}

#[test]
fn an_artifact_without_a_platform_is_for_every_one() {
    let mut world = world_of([None, Some("windows/amd64")]);
    world.rules.platform = platform("linux/arm64");
    assert_eq!(world.verify().outcome(), Outcome::Verified);
    let why = "the record names no platform for the artifact";
    assert_eq!(check_of(&world).finding, Finding::NotApplicable { why });
}

#[test]
fn the_platform_of_another_artifact_of_the_record_counts_for_nothing() {
    let mut world = world_of([Some("linux/arm64"), Some("linux/amd64")]);
    world.rules.platform = platform("linux/amd64");
    let verdict = world.assert_only(CheckName::Platform, Outcome::Refused, "platform-other");
    assert_eq!(verdict.decisive().unwrap().next, "fetch agent-arm64, which the record has for this platform");
    world.rules.platform = platform("darwin/amd64");
    let verdict = world.assert_only(CheckName::Platform, Outcome::Refused, "platform-other");
    assert!(verdict.decisive().unwrap().next.starts_with("the record has nothing for this platform"));
    // The other one verifies where this one does not.
    world.artifact = file(b"arm");
    world.assert_only(CheckName::Platform, Outcome::Refused, "platform-other");
    world.rules.platform = platform("linux/amd64");
    assert_eq!(world.verify().outcome(), Outcome::Verified);
}

#[test]
fn of_one_file_under_two_names_either_platform_will_do() {
    let (mut subject, body) = release();
    subject[1].sha256 = subject[0].sha256;
    subject[0].platform = platform("darwin/amd64");
    subject[1].platform = platform("darwin/arm64");
    let mut world = World::with((subject.clone(), body.clone()), file(CONTENT));
    for ours in ["darwin/amd64", "darwin/arm64"] {
        world.rules.platform = platform(ours);
        assert_eq!(world.verify().outcome(), Outcome::Verified, "{ours}");
    }
    world.rules.platform = platform("linux/arm64");
    let verdict = world.assert_only(CheckName::Platform, Outcome::Refused, "platform-other");
    assert!(verdict.decisive().unwrap().message.contains("darwin/amd64, darwin/arm64"));
    // Under one name it is for every platform.
    subject[1].platform = None;
    let mut world = World::with((subject, body), file(CONTENT));
    world.rules.platform = platform("linux/arm64");
    assert_eq!(world.verify().outcome(), Outcome::Verified);
}

#[test]
fn rules_are_for_their_platform_as_a_directory_and_as_an_archive() {
    let tree = bundle(b"b");
    let (mut subject, body) = rules(&tree, tree.root());
    subject[0].platform = platform("windows/amd64");
    subject.push(Subject::of_file("rules.zip", sha256(b"zip")).on(platform("linux/amd64").unwrap()));
    let archive = |content: &[u8]| {
        let ArtifactDigest::File(file) = file(content) else { panic!("a file") };
        ArtifactDigest::Archive { file, tree: tree.clone() }
    };
    for (artifact, wanted) in [
        (ArtifactDigest::Directory(tree.clone()), "windows/amd64"),
        (archive(b"packed otherwise"), "windows/amd64"),
        // What is named by its own hash is that file, whatever is in it.
        (archive(b"zip"), "linux/amd64"),
    ] {
        let mut world = World::with((subject.clone(), body.clone()), artifact);
        for ours in ["windows/amd64", "linux/amd64"] {
            world.rules.platform = platform(ours);
            if ours == wanted {
                assert_eq!(world.verify().outcome(), Outcome::Verified, "{ours}");
            } else {
                world.assert_only(CheckName::Platform, Outcome::Refused, "platform-other");
            }
        }
    }
}

#[test]
fn the_platform_of_what_is_not_in_the_record_is_not_asked_for() {
    let mut world = world_of([Some("linux/arm64"), Some("linux/arm64")]);
    world.rules.platform = platform("linux/amd64");
    world.artifact = file(b"something else");
    world.assert_only(CheckName::Artifact, Outcome::Refused, "artifact-mismatch");
    assert_eq!(check_of(&world).finding, Finding::NotRun { needs: CheckName::Artifact });
}

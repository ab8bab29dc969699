use super::*;

const SAMPLE: &str = include_str!("../../../docs/config/client.toml");

fn load(text: &str) -> Result<ClientConfig, ClientConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.toml");
    std::fs::write(&path, text).unwrap();
    ClientConfig::load(&path)
}

fn code(text: &str) -> &'static str {
    load(text).map_or_else(|error| error.code(), |_| "ok")
}

/// The sample with one line in place of the one that begins with the same key.
fn sample_with(line: &str) -> String {
    let key = line.split(" = ").next().unwrap();
    let is_it = |old: &str| old.split(" = ").next() == Some(key);
    assert!(SAMPLE.lines().any(is_it), "the sample has no {key}");
    SAMPLE.lines().map(|old| format!("{}\n", if is_it(old) { line } else { old })).collect()
}

#[test]
fn the_sample_file_says_what_its_comments_say() {
    let config = load(SAMPLE).unwrap();
    assert!(config.policy.ends_with("policy.txt") && config.policy.is_absolute());
    assert_eq!(config.rules.max_age_s, Some(259_200));
    assert_eq!(config.rules.cohorts.len(), 1);
    assert_eq!(config.rules.platform.unwrap().as_str(), "linux/amd64");
    assert_eq!(config.rules.engine, Some(Engine { name: "sigma".into(), version: "2.1".into() }));
    assert_eq!(config.rules.unknown, Unknown::Pass);
    assert_eq!(config.channels.len(), 1);
    assert_eq!((config.channel_files.len(), config.rules.reviewers.len()), (0, 1));
    assert_eq!(config.rules.reviewers[0].channels().count(), 2);
    let grace = config.grace.unwrap();
    assert!(!grace.is_active(UnixSeconds::new(grace.from.get() - 1).unwrap()));
    assert!(grace.is_active(grace.from));
    assert!(!grace.is_active(grace.until));
}

#[test]
fn only_the_policy_is_required() {
    let config = load("policy = \"p\"\n").unwrap();
    assert_eq!((config.rules, config.grace, config.state), (Rules::default(), None, None));
    assert_eq!(code("max_age_s = 1\n"), "client-config-parse");
}

#[test]
fn refuses_an_unknown_key_in_every_table() {
    for table in ["", "[engine]\nname = \"a\"\nversion = \"1\"\n", "[grace]\n"] {
        assert_eq!(code(&format!("policy = \"p\"\n{table}maxage = 1\n")), "client-config-parse", "{table:?}");
    }
}

#[test]
fn a_grace_of_more_than_thirty_days_is_refused() {
    assert_eq!(code(&sample_with("until = \"2026-12-20T00:00:00Z\"")), "ok");
    for until in ["2026-12-20T00:00:01Z", "2026-11-20T00:00:00Z", "2026-11-19T00:00:00Z", "tomorrow"] {
        assert_eq!(code(&sample_with(&format!("until = \"{until}\""))), "client-config-value", "{until}");
    }
}

#[test]
fn a_grace_without_a_reason_or_an_effect_is_refused() {
    assert_eq!(code(&sample_with("reason = \" \"")), "client-config-value");
    let bare = "policy = \"p\"\n[grace]\nfrom = \"2026-11-20T00:00:00Z\"\nuntil = \"2026-11-21T00:00:00Z\"\nreason = \"r\"\n";
    assert_eq!(code(bare), "client-config-value");
    assert_eq!(code(&format!("{bare}max_age_s = 1\n")), "ok");
}

#[test]
fn an_age_outside_of_its_range_is_refused() {
    for (age, expected) in
        [(0, "client-config-value"), (1, "ok"), (31_622_400, "ok"), (31_622_401, "client-config-value")]
    {
        assert_eq!(code(&format!("policy = \"p\"\nmax_age_s = {age}\n")), expected, "{age}");
    }
}

#[test]
fn what_is_no_platform_is_refused_and_shown() {
    for text in ["", "linux", "Linux/amd64", "linux/amd64/v1/x", "linux/"] {
        let error = load(&format!("policy = \"p\"\nplatform = {text:?}\n")).unwrap_err();
        assert_eq!(error.code(), "client-config-value");
        assert!(error.to_string().contains(&format!("platform is {text:?}")), "{error}");
    }
    assert_eq!(code("policy = \"p\"\nplatform = \"linux/arm64/v8\"\n"), "ok");
    assert_eq!(code("policy = \"p\"\nplatform = [\"linux/arm64\"]\n"), "client-config-parse");
}

#[test]
fn what_is_no_hash_is_no_cohort_and_no_channel() {
    assert_eq!(code("policy = \"p\"\ncohorts = [\"AB\"]\n"), "client-config-value");
    assert_eq!(code("policy = \"p\"\n[channels]\n\"a.example/b\" = \"x\"\n"), "client-config-value");
    let id = "b7a16c7ba4d6783b817164b14588c22ed3bf3cf025d6d480e5b39dfd112cf0b8";
    assert_eq!(
        code(&format!("policy = \"p\"\n[channels]\n\"no channel\" = \"{id}\"\n")),
        "client-config-value"
    );
}

#[test]
fn a_missing_or_huge_file_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let missing = ClientConfig::load(&dir.path().join("none")).unwrap_err();
    assert_eq!(missing.code(), "client-config-missing");
    assert_eq!(code(&format!("policy = \"p\"\n#{}\n", "x".repeat(MAX_BYTES))), "file-too-large");
}

#[test]
fn reviewers_have_a_known_kind_a_first_record_and_a_number_that_can_be_reached() {
    let id = |digit: &str| digit.repeat(64);
    let with = |kind: &str, at_least: u64, rest: &str| {
        code(&format!("policy = \"p\"\n[[reviewers]]\nkind = \"{kind}\"\nat_least = {at_least}\n{rest}\n"))
    };
    let of = format!("of = {{ \"r.example/a\" = \"{}\" }}", id("0"));
    let no_fail = |digit| format!("no_fail_by = {{ \"r.example/a\" = \"{}\" }}", id(digit));
    assert_eq!(with("rebuild", 1, &of), "ok");
    assert_eq!(with("rebuild", 0, &no_fail("0")), "ok");
    assert_eq!(with("rebuild", 1, &format!("{of}\n{}", no_fail("0"))), "ok");
    assert_eq!(with("rebuild", 1, &format!("{of}\n{}", no_fail("1"))), "client-config-value");
    assert_eq!(with("guess", 1, &of), "client-config-value");
    assert_eq!(with("rebuild", 2, &of), "client-config-value");
    assert_eq!(with("rebuild", 0, &of), "client-config-value");
    assert_eq!(with("rebuild", 1, "of = { \"r.example/a\" = \"x\" }"), "client-config-value");
}

use super::*;

const SAMPLE: &str = include_str!("../../../docs/config/log.toml");

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new(CONFIG_FILE))
}

fn sample() -> Config {
    let mut config = Config::new("log.example/main".to_owned(), LogKind::Records, DEFAULT_LISTEN);
    config.cosign.witness_min_interval_s.insert("witness.example/slow".to_owned(), 60);
    config
}

#[test]
fn the_sample_file_is_what_init_writes_and_loads_as_the_defaults() {
    assert_eq!(sample().render(), SAMPLE);
    assert_eq!(parse(SAMPLE).unwrap(), sample());
}

#[test]
fn only_origin_and_kind_are_needed() {
    let config = parse("origin = \"log.example/a\"\nkind = \"raw\"\n").unwrap();
    assert_eq!(config, Config::new("log.example/a".to_owned(), LogKind::Raw, DEFAULT_LISTEN));
    assert_eq!(parse("kind = \"raw\"\n").unwrap_err().code(), "config-parse");
    assert_eq!(parse("origin = \"a\"\n").unwrap_err().code(), "config-parse");
}

#[test]
fn refuses_an_unknown_key_in_every_table() {
    let tables = ["", "[submit]\n", "[http]\n", "[cosign]\n", "[index]\n", "[refuse]\n", "[tls]\n"];
    for table in tables {
        let text = format!("origin = \"a\"\nkind = \"raw\"\n{table}wait_seconds = 1\n");
        assert_eq!(parse(&text).unwrap_err().code(), "config-parse", "{table:?}");
    }
}

#[test]
fn refuses_a_zero_that_would_mean_never() {
    for line in ["[submit]\nqueue_entries = 0", "[http]\nmax_connections = 0", "[cosign]\ndeadline_s = 0"] {
        let text = format!("origin = \"a\"\nkind = \"raw\"\n{line}\n");
        assert_eq!(parse(&text).unwrap_err().code(), "config-parse", "{line:?}");
    }
    assert!(parse("origin = \"a\"\nkind = \"raw\"\n[submit]\nwait_s = 0\n").is_ok());
}

#[test]
fn refuses_a_memory_too_small_to_give_up_anything_or_too_large_for_its_table() {
    let text =
        |entries: u64| format!("origin = \"a\"\nkind = \"raw\"\n[index]\nmemory_entries = {entries}\n");
    for (entries, verdict) in [(511, false), (512, true), (1 << 26, true), ((1 << 26) + 1, false)] {
        assert_eq!(parse(&text(entries)).is_ok(), verdict, "{entries}");
    }
    let error = parse(&text(7)).unwrap_err();
    assert_eq!(error.to_string(), "index.memory_entries is 7, it must be 512 to 67108864");
}

#[test]
fn refuses_a_wait_of_more_than_a_week() {
    let text = |seconds: u64| format!("origin = \"a\"\nkind = \"raw\"\n[submit]\nwait_s = {seconds}\n");
    assert!(parse(&text(604_800)).is_ok());
    assert_eq!(parse(&text(604_801)).unwrap_err().code(), "config-range");
    let named = "origin = \"a\"\nkind = \"raw\"\n[cosign.witness_min_interval_s]\nw = 604801\n";
    assert_eq!(parse(named).unwrap_err().code(), "config-range");
}

#[test]
fn owners_of_domains_are_checked_when_the_file_is_read() {
    let text = |owners: &str| {
        format!("origin = \"a\"\nkind = \"records\"\n[channels]\nopen = false\n[channels.owners]\n{owners}\n")
    };
    assert!(!parse(&text("")).unwrap().channels.open);
    let key = "vendor.example/publish+412b8c59+/2luZGVsaWJsZS9kc3NlLWVkMjU1MTmKiOPddAnxlf1S2y08ul1yymcJvx2UEhvzdIgBtA9vXA==";
    let config = parse(&text(&format!("\"vendor.example\" = [\"{key}\"]"))).unwrap();
    assert_eq!(parse(&config.render()).unwrap(), config);
    for owners in ["\"vendor.example\" = []", "\"vendor.example\" = [\"a\"]", "\"vendor\" = []"] {
        assert_eq!(parse(&text(owners)).unwrap_err().code(), "config-channel-owner", "{owners}");
    }
    assert_eq!(parse(&text("a = 1")).unwrap_err().code(), "config-parse");
}

#[test]
fn what_is_rendered_survives_awkward_names() {
    let mut config = Config::new("a\"b\\c # ünï".to_owned(), LogKind::Raw, DEFAULT_LISTEN);
    config.cosign.witness_min_interval_s.insert("w \"1\".2".to_owned(), 5);
    assert_eq!(parse(&config.render()).unwrap(), config);
}

#[test]
fn proxies_are_addresses_or_nets() {
    let text = |nets: &str| format!("origin = \"a\"\nkind = \"raw\"\n[http]\ntrusted_proxies = {nets}\n");
    let config = parse(&text("[\"127.0.0.1\", \"2001:db8::/32\"]")).unwrap();
    assert_eq!(config.http.trusted_proxies.len(), 2);
    assert_eq!(parse(&config.render()).unwrap(), config);
    for refused in ["[\"proxy.example\"]", "[\"10.0.0.0/33\"]", "[7]", "\"127.0.0.1\""] {
        assert_eq!(parse(&text(refused)).unwrap_err().code(), "config-parse", "{refused}");
    }
}

#[test]
fn a_witness_has_its_own_interval_or_the_common_one() {
    let mut cosign = CosignConfig { min_interval_s: 3, ..CosignConfig::default() };
    cosign.witness_min_interval_s.insert("w1".to_owned(), 60);
    assert_eq!(cosign.min_interval("w1"), Duration::from_secs(60));
    assert_eq!(cosign.min_interval("w2"), Duration::from_secs(3));
}

#[test]
fn sources_that_cannot_be_asked_are_refused() {
    let text = |urls: &str| format!("origin = \"a\"\nkind = \"raw\"\n[refuse]\ncheckpoints = [{urls}]\n");
    assert!(parse(&text("\"https://mirror.example/log/checkpoint\"")).is_ok());
    for url in
        ["\"mirror.example\"", "\"ftp://mirror.example/checkpoint\"", "\"https://a.example/?q\"", "\"\""]
    {
        assert_eq!(parse(&text(url)).unwrap_err().code(), "config-url", "{url}");
    }
    let many = |count: usize| text(&vec!["\"http://a.example/c\""; count].join(","));
    assert!(parse(&many(MAX_CHECKPOINT_URLS)).is_ok());
    assert_eq!(parse(&many(MAX_CHECKPOINT_URLS + 1)).unwrap_err().code(), "config-range");
}

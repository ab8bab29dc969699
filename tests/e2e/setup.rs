//! Making logs and witnesses: what `init` refuses to make, and who may read the keys.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use indelible_proto::note::{KeyKind, KeyName, VerifierKey};
use indelible_proto::sign::SecretKey;
use indelible_tests::world::{Kind, free_address};
use indelible_tests::{Finished, Running, World, http};

const FAILED: i32 = 1;
const USAGE: i32 = 2;

#[test]
fn a_log_gets_no_name_that_cannot_be_told_from_another() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("log.example/{}", "a".repeat(244));
    let names = [
        "",
        " ",
        "log example",
        "log.example\u{a0}x",
        "log.example\u{2003}x",
        "log.example\u{3000}x",
        "log.example+x",
        "log.example\nx",
        "log.example\r\nx: y",
        "log.example\tx",
        "log.example\u{1b}[2J",
        &long,
    ];
    for name in names {
        let log = dir.path().join("log");
        Finished::run(&mut init_log(&log, &["--origin", name, "--no-witnesses"])).expect(USAGE);
        assert!(!log.exists(), "{name:?}");
    }
    let longest = &long[..255];
    Finished::run(&mut init_log(&dir.path().join("log"), &["--origin", longest, "--no-witnesses"])).expect(0);
}

#[test]
fn a_name_is_shown_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let origin = "log.example/<script>alert('\u{202e}')</script>";
    let address = free_address();
    Finished::run(&mut init_log(&log, &["--origin", origin, "--no-witnesses", "--listen", &address]))
        .expect(0);
    let args = ["run".as_ref(), log.as_os_str()];
    let running = Running::start(&World::binaries().server, &args, &dir.path().join("out"));
    let page = http::get(running.address(), "/").expect(200).text();
    assert!(page.contains("&lt;script&gt;alert(&#39;\\u{202e}&#39;)"), "{page}");
    assert!(!page.contains("<script") && !page.contains('\u{202e}'), "{page}");
    let checkpoint = dir.path().join("checkpoint");
    fs::write(&checkpoint, http::get(running.address(), "/checkpoint").body).unwrap();
    let shown = Finished::run(World::client_command().arg("inspect").arg(&checkpoint)).expect(0);
    assert!(shown.stdout.contains("\\u{202e}") && !shown.stdout.contains('\u{202e}'), "{shown}");
}

#[test]
fn a_log_says_who_watches_it() {
    let dir = tempfile::tempdir().unwrap();
    let key = |kind, name: &str, seed| {
        SecretKey::from_seed(kind, KeyName::parse(name).unwrap(), [seed; 32]).verifier().encode()
    };
    let witness = format!("{} http://127.0.0.1:1", key(KeyKind::Cosigner, "witness.example/w", 1));
    let same_key = format!("{} http://127.0.0.1:1", key(KeyKind::Cosigner, "witness.example/v", 1));
    let no_witness = format!("{} http://127.0.0.1:1", key(KeyKind::Log, "log.example/l", 1));
    let no_url = key(KeyKind::Cosigner, "witness.example/w", 1);
    let file_url = format!("{no_url} file:///etc/passwd");
    let wrong: [&[&str]; 9] = [
        &[],
        &["--no-witnesses", "--witness", &witness],
        &["--no-witnesses", "--quorum", "1"],
        &["--witness", &witness, "--quorum", "0"],
        &["--witness", &witness, "--quorum", "2"],
        &["--witness", &no_url],
        &["--witness", &file_url],
        &["--witness", &no_witness],
        &["--witness", "nonsense"],
    ];
    for args in wrong {
        let log = dir.path().join("log");
        Finished::run(init_log(&log, &["--origin", "log.example/l"]).args(args)).expect(USAGE);
        assert!(!log.exists(), "{args:?}");
    }
    // One witness under two names would count twice.
    let twice = ["--origin", "log.example/l", "--witness", &witness, "--witness", &same_key];
    let refused = Finished::run(&mut init_log(&dir.path().join("log"), &twice));
    assert!([FAILED, USAGE].contains(&refused.code()), "{refused}");
    Finished::run(&mut init_log(
        &dir.path().join("good"),
        &["--origin", "log.example/l", "--witness", &witness],
    ))
    .expect(0);
}

#[test]
fn keys_are_for_their_owner_only() {
    let mut world = World::prepare(Kind::Raw, 1, 1);
    for key in [world.log_dir().join("log.key"), world.witness_dir(0).join("witness.key")] {
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600, "{}", key.display());
    }
    world.start_all();
    assert!(world.take_log().stop().success());
    let key = world.log_dir().join("log.key");
    for mode in [0o640, 0o604] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let refused = world.try_start_log().unwrap_err().expect(FAILED);
        assert!(refused.stderr.contains("chmod 600"), "{refused}");
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    world.start_log();
}

#[test]
fn no_two_logs_or_witnesses_have_one_key() {
    let worlds = [World::prepare(Kind::Raw, 1, 1), World::prepare(Kind::Raw, 1, 1)];
    let keys = worlds.each_ref().map(|world| [world.log_vkey(), world.witness_vkey(0)]);
    assert!(keys[0][0] != keys[1][0] && keys[0][1] != keys[1][1]);
    for [log, witness] in keys {
        assert_eq!(VerifierKey::parse(&log).unwrap().kind(), KeyKind::Log);
        assert_eq!(VerifierKey::parse(&witness).unwrap().kind(), KeyKind::Cosigner);
    }
}

#[test]
fn settings_nobody_knows_are_refused() {
    let mut world = World::prepare(Kind::Raw, 1, 1);
    for file in [world.log_dir().join("log.toml"), world.witness_dir(0).join("witness.toml")] {
        let good = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("unknown_setting = 1\n{good}")).unwrap();
        let (program, dir) = if file.ends_with("log.toml") {
            (&World::binaries().server, world.log_dir())
        } else {
            (&World::binaries().witness, world.witness_dir(0))
        };
        let args = ["run".as_ref(), dir.as_os_str()];
        let refused = Running::try_start(program, &args, &world.file("refused.out")).unwrap_err();
        assert_eq!(refused.code(), FAILED, "{refused}");
        assert!(refused.stderr.contains("unknown_setting"), "{refused}");
        fs::write(&file, good).unwrap();
    }
    world.start_all();
}

fn init_log(dir: &Path, args: &[&str]) -> Command {
    let mut init = Command::new(&World::binaries().server);
    init.arg("init").arg(dir).args(args);
    init
}

//! `indelible-server import`: a copy is the source's tree and nothing else becomes a log.

use std::fs;
use std::path::{Path, PathBuf};

use indelible_proto::entry_bundle::Entry;
use indelible_proto::log_api::{Lookup, LookupAnswer, LookupKey};
use indelible_tests::filling::fill;
use indelible_tests::site::Manner;
use indelible_tests::world::{Kind, ORIGIN, free_address};
use indelible_tests::{Finished, Publisher, Rogue, Running, Site, World, http};

use crate::REFUSES_TO_SIGN;

const IMPORTED: i32 = 0;
const REFUSED: i32 = 1;
const USAGE: i32 = 2;
const UNREAD: i32 = 40;

#[test]
fn another_logs_entries_go_on_under_a_new_name() {
    for size in [0, 1, 255, 256, 257, 700] {
        let source = Foreign::of(size);
        let imported =
            source.import("new", &["--origin", "log.example/new", "--no-witnesses"]).expect(IMPORTED);
        assert!(imported.stdout.contains("imported"), "{imported}");
        Finished::run(source.world.server().arg("fsck").arg(source.dir("new"))).expect(0);
        let log = run(&source.dir("new"));
        let policy = fs::read(source.dir("new").join("policy.txt")).unwrap();
        let policy = indelible_proto::policy::Policy::parse(&policy).unwrap();
        let reader = indelible_tests::Reader::new(log.url(), &policy);
        http::post(log.address(), "/add", b"the first of its own").expect(200);
        let head = reader.published(size + 1).head();
        let entries = reader.entries(&head);
        assert_eq!(entries.len() as u64, size + 1);
        let copied = usize::try_from(size).unwrap();
        assert!(entries.iter().take(copied).eq(source.rogue.entries()), "{size} entries");
        // What was there is known to be there.
        if size > 0 {
            let first = source.rogue.entries()[0].as_bytes();
            assert_eq!(http::post(log.address(), "/add", first).expect(200).text().trim(), "0");
        }
    }
}

/// Every entry comes five times or more, some of them in files of the index and some in memory.
#[test]
fn of_entries_that_came_again_the_first_place_is_answered_for_ever_and_all_are_found() {
    let mut source = Foreign::of(0);
    let entry = |n: u64| Entry::new(format!("dup {}", n % 520).into_bytes()).unwrap();
    source.rogue = Rogue::new(&source.world.log_dir().join("log.key"), (0..2_601).map(entry).collect());
    fs::remove_dir_all(&source.mirror).unwrap();
    source.rogue.write_mirror(&source.mirror);
    source.import("new", &["--origin", "log.example/new", "--no-witnesses"]).expect(IMPORTED);
    let settings = source.dir("new").join("log.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let few = text.lines().map(|line| match line.starts_with("memory_entries = ") {
        true => "memory_entries = 512\n".to_owned(),
        false => format!("{line}\n"),
    });
    fs::write(&settings, few.collect::<String>()).unwrap();
    for start in 0..3 {
        let log = run(&source.dir("new"));
        // Whatever was added since, which pushes older ones out of memory.
        for n in 0..300 {
            http::post(log.address(), "/add", format!("new {start} {n}").as_bytes()).expect(200);
        }
        for n in [0, 3, 519] {
            let answer = http::post(log.address(), "/add", entry(n).as_bytes()).expect(200);
            assert_eq!(answer.text().trim(), n.to_string(), "start {start}");
            let lookup = Lookup::all(LookupKey::Leaf(entry(n).leaf_hash()));
            let answer = http::get(log.address(), &lookup.path()).expect(200);
            let answer = LookupAnswer::parse(&answer.body).unwrap().entries;
            let answer: Vec<u64> = answer.iter().map(|entry| entry.index.get()).collect();
            let expected: Vec<u64> = (0..2_601).filter(|index| index % 520 == n).collect();
            assert_eq!(answer, expected, "start {start}");
        }
        assert!(log.stop().success());
    }
}

#[test]
fn every_file_is_the_sources_byte_for_byte() {
    let source = Foreign::of(66_000);
    source.import("new", &["--origin", "log.example/new", "--no-witnesses"]).expect(IMPORTED);
    let full = full_files(&source.mirror);
    assert!(
        full.iter().any(|path| path.ends_with("tile/1/000")),
        "the tree has no full tile above the leaves"
    );
    for path in &full {
        let copy = source.dir("new").join("data").join(path);
        assert!(
            fs::read(&copy).unwrap() == fs::read(source.mirror.join(path)).unwrap(),
            "{}",
            path.display()
        );
    }
    assert_eq!(full_files(&source.dir("new").join("data")), full);
}

#[test]
fn the_same_log_is_made_again_from_a_mirror_and_goes_on_with_its_witnesses() {
    let mut world = World::prepare(Kind::Raw, 2, 2);
    fill(&world.log_dir(), 600);
    world.start_all();
    http::post(world.log().address(), "/add", b"entry 600").expect(200);
    world.reader().published(601);
    let again = world.file("again");
    let import = |url: &str| {
        let mut command = world.server();
        command.args(["import", url]).arg(&again).args(["--kind", "raw", "--policy"]).arg(world.policy());
        Finished::run(command.arg("--key").arg(world.log_dir().join("log.key")))
    };
    import(world.url()).expect(IMPORTED);
    let checkpoint = fs::read(again.join("data/checkpoint")).unwrap();
    assert_eq!(checkpoint, http::get(world.log().address(), "/checkpoint").body, "cosignatures were lost");
    for file in ["log.vkey", "policy.txt", "log.key"] {
        assert!(
            fs::read(again.join(file)).unwrap() == fs::read(world.log_dir().join(file)).unwrap(),
            "{file}"
        );
    }
    // The disk is lost; its place is taken by the copy, which goes on.
    assert!(world.take_log().stop().success());
    let settings = fs::read(world.log_dir().join("log.toml")).unwrap();
    fs::remove_dir_all(world.log_dir()).unwrap();
    fs::rename(&again, world.log_dir()).unwrap();
    fs::write(world.log_dir().join("log.toml"), settings).unwrap();
    world.start_log();
    http::post(world.log().address(), "/add", b"entry 601").expect(200);
    let reader = world.reader();
    assert_eq!(reader.entries(&reader.published(602).head()).len(), 602);
}

#[test]
fn a_log_made_again_from_an_old_mirror_does_not_start() {
    let mut world = World::prepare(Kind::Raw, 1, 1);
    fill(&world.log_dir(), 300);
    world.start_all();
    world.reader().published(300);
    // The mirror stopped here.
    let mirror = mirror_of(&world, 300);
    http::post(world.log().address(), "/add", b"one more").expect(200);
    world.reader().published(301);
    let site = Site::serve(&mirror, Manner::Honest);
    let again = world.file("again");
    let mut command = world.server();
    command.args(["import", &site.url()]).arg(&again).args(["--kind", "raw", "--policy"]).arg(world.policy());
    Finished::run(command.arg("--key").arg(world.log_dir().join("log.key"))).expect(IMPORTED);
    assert!(world.take_log().stop().success());
    fs::remove_dir_all(world.log_dir()).unwrap();
    fs::rename(&again, world.log_dir()).unwrap();
    let refused = world.try_start_log().unwrap_err().expect(REFUSES_TO_SIGN);
    assert!(refused.stderr.contains("witness.example/w0"), "{refused}");
}

#[test]
fn records_are_imported_as_records_only_if_each_may_follow() {
    let mut world = World::start(Kind::Records, 0, 0);
    let mut publisher = Publisher::new("vendor.example/agent", 1);
    for number in 0..4 {
        let record = publisher.next(format!("release {number}").as_bytes());
        http::post(world.log().address(), "/submit", &record.encode()).expect(200);
        publisher.accepted(&record);
    }
    world.reader().published(4);
    let (new, url) = (world.file("new"), world.url().to_owned());
    let mut command = world.server();
    command.args(["import", &url]).arg(&new).args(["--kind", "records", "--log-key", &world.log_vkey()]);
    Finished::run(command.args(["--origin", "log.example/new", "--no-witnesses"])).expect(IMPORTED);
    let log = run(&new);
    let record = publisher.next(b"on the new log");
    http::post(log.address(), "/submit", &record.encode()).expect(200);
    drop(log);

    let key = world.log_dir().join("log.key");
    world.take_log().kill();
    publisher.accepted(&record);
    let orphan = publisher.next(b"without those before").to_entry();
    let mirror = world.file("mirror");
    Rogue::new(&key, vec![orphan]).write_mirror(&mirror);
    let site = Site::serve(&mirror, Manner::Honest);
    let import = |kind: &str, dir: &Path| {
        let mut command = world.server();
        command.args(["import", &site.url()]).arg(dir).args(["--kind", kind, "--log-key", &world.log_vkey()]);
        Finished::run(command.args(["--origin", "log.example/other", "--no-witnesses"]))
    };
    let refused = import("records", &world.file("other")).expect(REFUSED);
    assert!(
        refused.stdout.contains("entry 0") && refused.stdout.contains("record-may-not-follow"),
        "{refused}"
    );
    assert!(!world.file("other").join("log.toml").exists());
    import("raw", &world.file("other")).expect(IMPORTED);
}

#[test]
fn an_interrupted_import_goes_on_with_what_it_has() {
    let source = Foreign::of(2_000);
    let args = ["--origin", "log.example/new", "--no-witnesses"];
    source.site.set(Manner::Until(9));
    let broken = source.import("new", &args).expect(UNREAD);
    assert!(broken.stdout.contains("run the same command again"), "{broken}");
    let dir = source.dir("new");
    assert!(!dir.join("data").exists() && !dir.join("log.toml").exists(), "half a log has a log's name");
    Finished::run(source.world.server().arg("run").arg(&dir)).expect(1);
    // A bundle that was cut short when the machine lost power, and one with another byte.
    let left = full_files(&dir.join("data.importing"));
    let bundles: Vec<&PathBuf> = left.iter().filter(|path| path.starts_with("tile/entries")).collect();
    assert!(bundles.len() >= 3, "{left:?}");
    let damaged: Vec<PathBuf> =
        bundles[..2].iter().map(|path| dir.join("data.importing").join(path)).collect();
    let mut bytes = fs::read(&damaged[0]).unwrap();
    bytes.truncate(100);
    fs::write(&damaged[0], bytes).unwrap();
    let mut bytes = fs::read(&damaged[1]).unwrap();
    bytes[10] ^= 1;
    fs::write(&damaged[1], bytes).unwrap();
    source.site.set(Manner::Honest);
    let done = source.import("new", &args).expect(IMPORTED);
    assert!(done.stdout.contains(&format!("{} bundles were there", bundles.len() - 2)), "{done}");
    Finished::run(source.world.server().arg("fsck").arg(&dir)).expect(0);
}

#[test]
fn what_does_not_lead_to_the_signed_root_is_refused_and_named() {
    let source = Foreign::of(600);
    for (file, named) in [
        ("tile/entries/001", "entry 256"),
        ("tile/entries/002.p/88", "entry 512"),
        ("tile/0/000", "tile/0/000"),
        ("tile/0/002.p/88", "tile/0/002.p/88"),
        ("tile/1/000.p/2", "tile/1/000.p/2"),
    ] {
        let path = source.mirror.join(file);
        let bytes = fs::read(&path).unwrap();
        let mut damaged = bytes.clone();
        damaged[4] ^= 1;
        fs::write(&path, damaged).unwrap();
        let refused =
            source.import("new", &["--origin", "log.example/new", "--no-witnesses"]).expect(REFUSED);
        assert!(refused.stdout.contains(named), "{file}: {refused}");
        assert!(!source.dir("new").join("data").exists(), "{file}");
        fs::write(&path, bytes).unwrap();
    }
    // Sound tiles and bundles of another tree than the signed one.
    let mut other = source.rogue_of(600);
    other.replace(599, Entry::new(b"another".to_vec()).unwrap());
    fs::write(source.mirror.join("checkpoint"), other.checkpoint(other.size()).encode()).unwrap();
    let refused = source.import("new", &["--origin", "log.example/new", "--no-witnesses"]).expect(REFUSED);
    assert!(refused.stdout.contains("root-differs"), "{refused}");
}

#[test]
fn garbage_and_bodies_without_end_are_refused() {
    let source = Foreign::of(600);
    let args = ["--origin", "log.example/new", "--no-witnesses"];
    for manner in [Manner::Endless, Manner::WebPage] {
        source.site.set(manner);
        source.import("new", &args).expect(REFUSED);
        assert!(!source.dir("new").join("data").exists(), "{manner:?}");
    }
    source.site.set(Manner::Honest);
    source.import("new", &args).expect(IMPORTED);
}

#[test]
fn wrong_keys_and_places_are_refused_before_anything_is_made() {
    let source = Foreign::of(10);
    let other = World::prepare(Kind::Raw, 0, 0);
    let import = |args: &[&str]| {
        let mut command = source.world.server();
        Finished::run(command.args(["import", &source.site.url()]).arg(source.dir("new")).args(args))
    };
    let (key, other_key) = (source.world.log_vkey(), other.log_vkey());
    let anew = ["--origin", "log.example/new", "--no-witnesses"];
    import(&[&["--kind", "raw", "--log-key", &other_key][..], &anew].concat()).expect(REFUSED);
    import(&[&["--kind", "raw"][..], &anew].concat()).expect(USAGE);
    import(&[&["--log-key", &key][..], &anew].concat()).expect(USAGE);
    import(&["--kind", "raw", "--log-key", &key]).expect(USAGE);
    import(&["--kind", "raw", "--log-key", &key, "--origin", "log.example/new"]).expect(USAGE);
    // The key of another log of the same name, with its policy or with ours.
    let secret = other.log_dir().join("log.key").display().to_string();
    for world in [&other, &source.world] {
        let policy = world.policy().display().to_string();
        let refused = import(&["--kind", "raw", "--key", &secret, "--policy", &policy]);
        assert!([REFUSED, USAGE].contains(&refused.code()), "{refused}");
    }
    assert!(!source.dir("new").join("log.key").exists());
    // Never into a log.
    import(&[&["--kind", "raw", "--log-key", &key][..], &anew].concat()).expect(IMPORTED);
    let settings = fs::read(source.dir("new").join("log.toml")).unwrap();
    import(&[&["--kind", "raw", "--log-key", &key][..], &anew].concat()).expect(REFUSED);
    assert_eq!(fs::read(source.dir("new").join("log.toml")).unwrap(), settings);
}

/// A log of someone else, served as plain files.
struct Foreign {
    world: World,
    rogue: Rogue,
    mirror: PathBuf,
    site: Site,
}

impl Foreign {
    fn of(size: u64) -> Self {
        let world = World::prepare(Kind::Raw, 0, 0);
        let mirror = world.file("mirror");
        let rogue = rogue(&world, size);
        rogue.write_mirror(&mirror);
        let site = Site::serve(&mirror, Manner::Honest);
        Self { world, rogue, mirror, site }
    }

    fn rogue_of(&self, size: u64) -> Rogue {
        rogue(&self.world, size)
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.world.file(name)
    }

    fn import(&self, name: &str, args: &[&str]) -> Finished {
        let mut command = self.world.server();
        command.args(["import", &self.site.url()]).arg(self.dir(name));
        command.args(["--kind", "raw", "--log-key", &self.world.log_vkey()]);
        Finished::run(command.args(args).args(["--listen", &free_address()]))
    }
}

fn rogue(world: &World, size: u64) -> Rogue {
    let entries = (0..size).map(|n| Entry::new(format!("foreign entry {n}").into_bytes()).unwrap());
    Rogue::new(&world.log_dir().join("log.key"), entries.collect())
}

/// A mirror of what a running log of the world has published, as files.
fn mirror_of(world: &World, size: u64) -> PathBuf {
    use indelible_proto::size::TreeSize;
    use indelible_proto::tile::{BundleId, TileId};
    let dir = world.file("mirror");
    let size = TreeSize::new(size).unwrap();
    let tiles = (0..3).flat_map(|level| (0..).map_while(move |index| TileId::for_size(level, index, size)));
    let bundles = (0..).map_while(|index| BundleId::for_size(index, size));
    let paths = tiles.map(TileId::path).chain(bundles.map(BundleId::path)).chain(["checkpoint".to_owned()]);
    for path in paths {
        let body = http::get(world.log().address(), &format!("/{path}")).expect(200).body;
        let file = dir.join(&path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, body).unwrap();
    }
    dir
}

/// The full tiles and bundles below a folder, by their paths.
fn full_files(dir: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(dir.join("tile")).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = files.filter(|file| file.file_type().is_file());
    let paths = files.map(|file| file.path().strip_prefix(dir).unwrap().to_owned());
    paths.filter(|path| !path.display().to_string().contains(".p/")).collect()
}

fn run(dir: &Path) -> Running {
    let args: [&std::ffi::OsStr; 4] =
        ["run".as_ref(), dir.as_ref(), "--listen".as_ref(), "127.0.0.1:0".as_ref()];
    Running::start(&World::binaries().server, &args, &dir.join("log.out"))
}

/// The name is the same for all logs of the tests.
#[test]
fn the_tests_of_wrong_keys_use_logs_of_one_name() {
    let [one, other] = [World::prepare(Kind::Raw, 0, 0), World::prepare(Kind::Raw, 0, 0)];
    assert!(one.log_vkey().starts_with(ORIGIN) && other.log_vkey().starts_with(ORIGIN));
    assert_ne!(one.log_vkey(), other.log_vkey());
}

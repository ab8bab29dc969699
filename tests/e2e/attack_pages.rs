//! Row T9 of `docs/attacks.md`: a network that wants somebody to sign in first answers every request with its page and
//! status 200. No command takes the page for the log's word, so none of them accuses anybody.

use std::fs;

use indelible_proto::proof::LogProof;
use indelible_tests::{Between, Deed, Finished, World};

use crate::exit::{UNDECIDED, VERIFIED};
use crate::shop::{CHANNEL, Shop};

const PAGES: [&str; 2] = [
    "<!DOCTYPE html>\n<html><h1>Sign in to the network</h1></html>\n",
    "\u{feff}<?xml version=\"1.0\"?>\n<html xmlns=\"http://www.w3.org/1999/xhtml\"><p>Sign in</p></html>\n",
];

fn page(text: &str) -> Deed {
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", text.len());
    Deed::Raw([head.as_bytes(), text.as_bytes()].concat())
}

/// A command is told that nothing could be decided, in the name of what came, and to look at URL and network.
#[track_caller]
fn undecided(what: &str, told: &Finished) {
    assert_eq!(told.code(), UNDECIDED, "{what}: {told}");
    let last: serde_json::Value = serde_json::from_str(told.stdout.lines().last().unwrap()).unwrap();
    let told = told.to_string();
    assert!(!told.contains("\"accusesLog\":true"), "{what}: {told}");
    assert!(["web-page", "not-a-log"].contains(&last["code"].as_str().unwrap_or("none")), "{what}: {told}");
    let next = last["next"].as_str().unwrap_or("");
    assert!(!next.contains("operator") && !next.contains("witness"), "{what}: {told}");
}

/// A shop whose vendor has one release more, signed and not yet handed in: as one record, and as a folder of two.
fn shop() -> Shop {
    let shop = Shop::new("0");
    shop.release("agent-1", "publish");
    shop.update().expect(VERIFIED);
    fs::write(shop.file("agent-2"), "agent-2").unwrap();
    let prepare = ["publish", "release", "agent-2", "--version", "2", "--channel-name", CHANNEL];
    shop.at_log(&[&prepare[..], &["--prepare", "agent-2.statement"]].concat()).expect(VERIFIED);
    shop.run(&["sign", "agent-2.statement", "--key", "publish.key", "--out", "agent-2.leaf"])
        .expect(VERIFIED);
    fs::create_dir(shop.file("leaves")).unwrap();
    fs::copy(shop.file("agent-2.leaf"), shop.file("leaves/2.leaf")).unwrap();
    let proof = LogProof::parse(&fs::read(shop.file("agent-1.tlog-proof")).unwrap()).unwrap();
    fs::write(shop.file("leaves/1.leaf"), proof.extra().unwrap()).unwrap();
    shop
}

#[test]
fn a_network_that_answers_everything_with_its_page_accuses_nobody() {
    let shop = shop();
    let between = Between::start(shop.world.log().address());
    let url = between.url();
    let release = ["publish", "release", "agent-2", "--version", "2", "--key", "publish.key"];
    let at_log: [&[&str]; 7] = [
        &["lookup", "agent-1"],
        &["lookup", CHANNEL],
        &["submit", "agent-2.leaf"],
        &["submit", "leaves"],
        &["channel", "show", CHANNEL],
        &["channel", "create", "vendor.example/b", "--owner", "V", "--key", "publish.key", "--out", "b"],
        &[&release[..], &["--channel-name", CHANNEL]].concat(),
    ];
    let following: [&[&str]; 2] =
        [&["update-state"], &["carry", "export", "agent-1", "--out", "agent.carry"]];
    for text in PAGES {
        between.at("/", page(text));
        for args in at_log {
            undecided(&args.join(" "), &shop.at_log(&[args, &["--log", &url]].concat()));
        }
        for args in following {
            let from = ["--config", "client.toml", "--from", &url];
            undecided(&args.join(" "), &shop.run(&[args, &from].concat()));
        }
        let watched = shop.at_log(&["watch", "--once", "--state", "watchdog", "--log", &url]);
        assert_eq!(watched.code(), UNDECIDED, "watch: {watched}");
        assert!(!watched.stdout.contains("\"accusesLog\":true"), "watch: {watched}");
        server_reads_nothing(&shop.world, &url);
    }
    // Nothing was spoilt: with the network's leave the same commands do what they are for.
    between.honest();
    for args in at_log {
        shop.at_log(&[args, &["--log", &url]].concat()).expect(VERIFIED);
    }
}

/// The server's commands that read a log by its URL know nothing of it either.
fn server_reads_nothing(world: &World, url: &str) {
    let whose = ["--log-key", &world.log_vkey()];
    let fsck = Finished::run(world.server().args(["fsck", url, "--json"]).args(whose));
    assert_eq!((fsck.code(), &fsck.json()["code"]), (UNDECIDED, &"web-page".into()), "fsck: {fsck}");
    let mut import = world.server();
    import.args(["import", url, "copy", "--kind", "records", "--origin", "log.example/b", "--no-witnesses"]);
    let import = Finished::run(import.args(whose).arg("--json").current_dir(world.path()));
    assert_eq!((import.code(), &import.json()["code"]), (UNDECIDED, &"web-page".into()), "import: {import}");
}

#[test]
fn a_page_in_the_place_of_one_answer_accuses_nobody() {
    let shop = shop();
    let between = Between::start(shop.world.log().address());
    let url = between.url();
    let release = ["publish", "release", "agent-2", "--version", "2", "--key", "publish.key"];
    for (path, args) in [
        ("/checkpoint", vec!["lookup", "agent-1"]),
        ("/submit", vec!["submit", "agent-2.leaf"]),
        ("/submit", vec!["submit", "leaves"]),
        ("/submit", [&release[..], &["--channel-name", CHANNEL]].concat()),
    ] {
        between.at(path, page(PAGES[0]));
        undecided(&args.join(" "), &shop.at_log(&[&args[..], &["--log", &url]].concat()));
    }
    between.honest();
    between.at("/checkpoint", page(PAGES[0]));
    let export = ["carry", "export", "agent-1", "--config", "client.toml", "--out", "agent.carry"];
    undecided("carry export", &shop.run(&[&export[..], &["--from", &url]].concat()));
    assert!(!shop.file("agent.carry").exists());
}

//! Real input: a rule set that Debian ships, and the source packages that cargo has just built us from. Where
//! they cannot be had, generated ones from a seed, and the demo says so.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use walkdir::WalkDir;

use crate::stage::Stage;

/// Debian's package with rules for log analysis, some 180 files.
const RULES_PACKAGE: &str = "sagan-rules";
/// Which of our own dependencies are published as releases.
const RELEASES: [&str; 5] = ["sha2", "ed25519-dalek", "base64", "axum", "sled"];

/// A release: file, version, package URL.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) file: PathBuf,
    pub(crate) version: String,
    pub(crate) purl: String,
}

/// Puts a rule set into `dir` and says where it is from.
pub(crate) fn rules(stage: &Stage, dir: &Path, generated: bool) -> io::Result<()> {
    if !generated {
        match debian_rules(dir) {
            Ok(count) => {
                stage.say(&format!("Fetched a real rule set, Debian's {RULES_PACKAGE}: {count} files."));
                return Ok(());
            }
            Err(error) => stage.say(&format!("Debian's {RULES_PACKAGE} cannot be had here: {error}")),
        }
    }
    fs::create_dir_all(dir)?;
    for n in 0..181 {
        let rule = format!(
            "alert tcp any any -> any {} (msg:\"generated rule {n}\"; sid:{};)\n",
            1000 + n * 7,
            5_000_000 + n
        );
        fs::write(dir.join(format!("generated-{n:03}.rules")), rule)?;
    }
    stage.say("Generated 181 rule files in its place.");
    Ok(())
}

/// Downloads the package without root, into a folder of its own, and takes its rules.
fn debian_rules(dir: &Path) -> io::Result<usize> {
    let temp = tempfile::tempdir()?;
    let path = temp.path().to_str().ok_or_else(|| io::Error::other("the temporary folder is not UTF-8"))?;
    for folder in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(temp.path().join(folder))?;
    }
    let options = [
        format!("Dir::State={path}"),
        format!("Dir::State::Lists={path}/lists"),
        format!("Dir::Cache={path}/cache"),
        "Debug::NoLocking=1".to_owned(),
        "APT::Sandbox::User=".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::Retries=1".to_owned(),
        "Acquire::http::Timeout=10".to_owned(),
    ];
    let apt = |args: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.current_dir(temp.path()).arg("-qq");
        for option in &options {
            apt.args(["-o", option]);
        }
        succeed(apt.args(args))
    };
    apt(&["update"])?;
    apt(&["download", RULES_PACKAGE])?;
    let packages = fs::read_dir(temp.path())?.filter_map(Result::ok).map(|entry| entry.path());
    let package = packages.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "deb"));
    let package = package.ok_or_else(|| io::Error::other("apt-get downloaded nothing"))?;
    let unpacked = temp.path().join("unpacked");
    succeed(Command::new("dpkg-deb").arg("-x").arg(package).arg(&unpacked))?;
    fs::create_dir_all(dir)?;
    let mut count = 0;
    for file in WalkDir::new(unpacked.join("etc")).into_iter().filter_map(Result::ok) {
        if file.file_type().is_file() {
            fs::copy(file.path(), dir.join(file.file_name()))?;
            count += 1;
        }
    }
    if count == 0 { Err(io::Error::other("the package has no rules")) } else { Ok(count) }
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().last().unwrap_or("it says nothing");
    if output.status.success() { Ok(()) } else { Err(io::Error::other(last.to_owned())) }
}

/// Copies releases into `dir` and says where they are from.
pub(crate) fn releases(stage: &Stage, dir: &Path, generated: bool) -> io::Result<Vec<Release>> {
    fs::create_dir_all(dir)?;
    let found = if generated { Vec::new() } else { crates(dir)? };
    if !found.is_empty() {
        stage.say(&format!(
            "Took {} real releases: crates that cargo has downloaded to build this.",
            found.len()
        ));
        return Ok(found);
    }
    stage.say("No downloaded crates here: generated releases in their place.");
    let mut made = Vec::new();
    for name in RELEASES {
        let file = dir.join(format!("{name}-1.0.0.crate"));
        fs::write(&file, format!("generated release of {name}\n").repeat(1000))?;
        made.push(Release { file, version: "1.0.0".to_owned(), purl: format!("pkg:cargo/{name}@1.0.0") });
    }
    Ok(made)
}

fn crates(dir: &Path) -> io::Result<Vec<Release>> {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"))?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let Some(home) = home else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for name in RELEASES {
        let Some(version) = locked_version(&lock, name) else { continue };
        let wanted = format!("{name}-{version}.crate");
        let cache = WalkDir::new(home.join("registry/cache")).max_depth(2).into_iter().filter_map(Result::ok);
        if let Some(file) = cache.into_iter().find(|file| file.file_name() == wanted.as_str()) {
            let copy = dir.join(&wanted);
            fs::copy(file.path(), &copy)?;
            found.push(Release { file: copy, purl: format!("pkg:cargo/{name}@{version}"), version });
        }
    }
    Ok(found)
}

/// The version of `name` in a Cargo.lock; the newest if there are several.
fn locked_version(lock: &str, name: &str) -> Option<String> {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let after = lock.rmatch_indices(&entry).next().and_then(|(at, entry)| lock.get(at + entry.len()..))?;
    after.split('"').next().map(str::to_owned)
}

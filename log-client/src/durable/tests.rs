use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn replaces_a_file_and_leaves_nothing_else_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    replace(&path, b"old").unwrap();
    replace(&path, b"new").unwrap();
    assert_eq!(read(&path, 3).unwrap(), Some(b"new".to_vec()));
    assert_eq!(names(dir.path()), ["state"]);
}

#[test]
fn a_replacement_that_cannot_be_written_leaves_the_old_content() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("state");
    assert_eq!(replace(&path, b"x").unwrap_err().code(), "file-not-written");
    // A directory under the name: the rename fails, and a failed rename leaves doubt.
    let taken = dir.path().join("taken");
    fs::create_dir(&taken).unwrap();
    assert_eq!(replace(&taken, b"x").unwrap_err().code(), "file-indeterminate");
    assert_eq!(names(dir.path()), ["taken"]);
}

#[test]
fn writes_a_name_without_a_directory() {
    assert_eq!(parent(Path::new("state")), Path::new("."));
    assert_eq!(parent(Path::new("a/state")), Path::new("a"));
}

#[test]
fn creates_only_what_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    create_new(&path, b"one", Access::Secret).unwrap();
    assert_eq!(create_new(&path, b"two", Access::Secret).unwrap_err().code(), "file-exists");
    assert_eq!(read(&path, 10).unwrap(), Some(b"one".to_vec()));
    assert_eq!(names(dir.path()), ["key"]);
    let sub = dir.path().join("sub");
    create_dir(&sub).unwrap();
    assert_eq!(create_dir(&sub).unwrap_err().code(), "file-exists");
}

#[test]
fn a_secret_is_for_its_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    create_new(&path, b"seed", Access::Secret).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(read_secret(&path, 4).unwrap().as_slice(), b"seed");
    for mode in [0o640, 0o604, 0o620, 0o601, 0o644] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = read_secret(&path, 4).unwrap_err();
        assert_eq!(error.code(), "key-exposed", "{mode:o}");
        assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(read_secret(&path, 4).is_ok());
}

#[test]
fn a_read_stops_at_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    replace(&path, b"12345").unwrap();
    assert!(read(&path, 5).unwrap().is_some());
    assert_eq!(read(&path, 4).unwrap_err().code(), "file-too-large");
    assert_eq!(read(&dir.path().join("none"), 4).unwrap(), None);
    assert_eq!(read(dir.path(), 4).unwrap_err().code(), "file-unreadable");
    assert_eq!(read_secret(&dir.path().join("none"), 4).unwrap_err().code(), "file-unreadable");
}

#[test]
fn a_directory_has_one_holder() {
    let dir = tempfile::tempdir().unwrap();
    let held = DirLock::acquire(dir.path()).unwrap();
    let error = DirLock::acquire(dir.path()).unwrap_err();
    assert_eq!(error.code(), "directory-locked");
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    drop(held);
    DirLock::acquire(dir.path()).unwrap();
}

#[test]
fn a_whole_directory_has_one_holder_even_without_its_lock_file() {
    let dir = tempfile::tempdir().unwrap();
    let held = DirLock::acquire_whole(dir.path()).unwrap();
    fs::remove_file(dir.path().join(LOCK_FILE)).unwrap();
    assert_eq!(DirLock::acquire_whole(dir.path()).unwrap_err().code(), "directory-locked");
    // Who asks for less is not kept out by the directory, but by the file that was made again.
    drop(DirLock::acquire(dir.path()).unwrap());
    drop(held);
    let _held = DirLock::acquire_whole(dir.path()).unwrap();
    assert_eq!(DirLock::acquire(dir.path()).unwrap_err().code(), "directory-locked");
}

#[test]
fn removes_what_a_crash_left_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    for name in [".state.17.0.tmp", "state", "notes.tmp", ".hidden"] {
        fs::write(dir.path().join(name), b"x").unwrap();
    }
    remove_leftovers(dir.path()).unwrap();
    assert_eq!(names(dir.path()), [".hidden", "notes.tmp", "state"]);
}

#[test]
fn concurrent_replacements_never_mix() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let contents: Vec<Vec<u8>> = (0..8u8).map(|byte| vec![byte; 100_000]).collect();
    std::thread::scope(|scope| {
        for content in &contents {
            let path = &path;
            scope.spawn(move || replace(path, content).unwrap());
        }
    });
    let found = read(&path, 200_000).unwrap().unwrap();
    assert!(contents.contains(&found));
    assert_eq!(names(dir.path()), ["state"]);
}

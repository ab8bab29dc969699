use super::*;

fn quiet() -> impl FnMut(u64) {
    |_| {}
}

#[test]
fn a_file_that_is_written_to_while_it_is_read_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    std::fs::write(&path, vec![b'a'; 1 << 20]).unwrap();
    let found = walk(dir.path()).unwrap();
    let mut writes = 0;
    let error = hash_unchanged(&found[0], &mut |_| {
        writes += 1;
        std::fs::write(&path, vec![b'b'; (1 << 20) + 1]).unwrap();
    });
    assert_eq!(error.unwrap_err().code(), "artifact-changed");
    assert!(writes > 0);
}

#[test]
fn a_file_exchanged_after_the_walk_is_noticed() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 4] = [
        ("removed", |path| std::fs::remove_file(path).unwrap()),
        ("another file", |path| {
            std::fs::write(path.with_file_name("b"), "a").unwrap();
            std::fs::rename(path.with_file_name("b"), path).unwrap();
        }),
        ("a link", |path| {
            std::fs::rename(path, path.with_file_name("b")).unwrap();
            std::os::unix::fs::symlink("b", path).unwrap();
        }),
        ("longer", |path| std::fs::write(path, "ab").unwrap()),
    ];
    for (what, change) in changes {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "a").unwrap();
        let found = walk(dir.path()).unwrap();
        change(&path);
        let error = hash_all(&found, &mut quiet()).unwrap_err();
        assert_eq!(error.code(), "artifact-changed", "{what}");
    }
}

#[test]
fn files_that_come_or_go_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str| std::fs::write(dir.path().join(name), name).unwrap();
    ["a", "b"].into_iter().for_each(write);
    let found = walk(dir.path()).unwrap();
    assert!(check_unchanged(dir.path(), &found).is_ok());
    write("c");
    assert!(check_unchanged(dir.path(), &found).unwrap_err().to_string().contains("/c: changed"));
    std::fs::remove_file(dir.path().join("c")).unwrap();
    std::fs::remove_file(dir.path().join("b")).unwrap();
    assert!(check_unchanged(dir.path(), &found).unwrap_err().to_string().contains("/b: changed"));
}

#[test]
fn many_files_are_hashed_each_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..300 {
        std::fs::write(dir.path().join(format!("{number:03}")), number.to_string()).unwrap();
    }
    let mut bytes = 0;
    let tree = hash_directory(dir.path(), &mut |read| bytes += read).unwrap();
    assert_eq!((tree.files().len(), tree.bytes()), (300, bytes));
    for (number, file) in tree.files().iter().enumerate() {
        assert_eq!(file.sha256, indelible_proto::hash::sha256(number.to_string().as_bytes()));
    }
}

#[test]
fn of_several_failures_the_first_in_order_is_told() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..50 {
        std::fs::write(dir.path().join(format!("{number:02}")), "x").unwrap();
    }
    let found = walk(dir.path()).unwrap();
    std::fs::remove_file(dir.path().join("00")).unwrap();
    for _ in 0..20 {
        let error = hash_all(&found, &mut quiet()).unwrap_err();
        assert!(error.to_string().contains("/00: changed"), "{error}");
    }
}

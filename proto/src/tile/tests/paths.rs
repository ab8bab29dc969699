//! A path has one spelling, and what is not that spelling names nothing.

use alloc::string::{String, ToString};
use std::format;

use proptest::prelude::*;

use super::*;

fn tile(level: u8, index: u64, width: u16) -> ResourcePath {
    ResourcePath::Tile(tile_id(level, index, width))
}

fn bundle(index: u64, width: u16) -> ResourcePath {
    ResourcePath::Bundle(bundle_id(index, width))
}

/// Paths and what they name.
fn valid() -> Vec<(&'static str, ResourcePath)> {
    vec![
        ("tile/0/000", tile(0, 0, 256)),
        ("tile/0/000.p/1", tile(0, 0, 1)),
        ("tile/0/000.p/255", tile(0, 0, 255)),
        ("tile/0/x001/067", tile(0, 1067, 256)),
        ("tile/0/x001/x234/067", tile(0, 1_234_067, 256)),
        ("tile/1/x001/x234/067.p/20", tile(1, 1_234_067, 20)),
        ("tile/0/x001/000", tile(0, 1000, 256)),
        ("tile/0/x001/x000/000", tile(0, 1_000_000, 256)),
        ("tile/7/999", tile(7, 999, 256)),
        ("tile/63/000", tile(63, 0, 256)),
        ("tile/0/x036/x028/x797/x018/x963/967", tile(0, (1 << 55) - 1, 256)),
        ("tile/entries/000", bundle(0, 256)),
        ("tile/entries/x001/x234/067", bundle(1_234_067, 256)),
        ("tile/entries/273.p/112", bundle(273, 112)),
        ("tile/entries/x036/x028/x797/x018/x963/967.p/255", bundle((1 << 55) - 1, 255)),
    ]
}

#[test]
fn reads_and_writes_the_one_spelling() {
    for (path, resource) in valid() {
        assert_eq!(ResourcePath::parse(path), Ok(resource), "{path}");
        assert_eq!(resource.path(), path);
    }
}

#[test]
fn refuses_what_is_not_a_path_of_a_tile_or_bundle() {
    for path in [
        "",
        "/",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile//000",
        "tile/entries",
        "tile/entries/",
        "checkpoint",
        "/tile/0/000",
        "//tile/0/000",
        "tile//0/000",
        "tile/0//000",
        "tile/0/000/",
        "tile/0/000.p/5/",
        "Tile/0/000",
        // Numbers with another number of digits, or not only of digits.
        "tile/0/1",
        "tile/0/01",
        "tile/0/0001",
        "tile/0/x1/067",
        "tile/0/x0001/067",
        "tile/0/+01",
        "tile/0/-01",
        "tile/0/0x1",
        "tile/0/ 01",
        "tile/0/000 ",
        "tile/0/00a",
        "tile/0/\u{0660}\u{0660}\u{0660}",
        "tile/0/1e2",
        // Levels.
        "tile/00/000",
        "tile/01/000",
        "tile/+1/000",
        "tile/-1/000",
        "tile/x/000",
        "tile/data/000",
        "tile/8/0/000",
        "tile/99999999999999999999/000",
        "tile/Entries/000",
        // An `x` where none belongs, or none where one belongs.
        "tile/0/x001",
        "tile/0/001/067",
        "tile/0/x001/x067",
        "tile/0/X001/067",
        "tile/0/x001/x234/x067",
        "tile/0/xx01/067",
        "tile/0/x001/234/067",
        // Leading elements of zeros.
        "tile/0/x000/000",
        "tile/0/x000/067",
        "tile/0/x000/x001/067",
        "tile/entries/x000/000",
        // Widths.
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/007",
        "tile/0/000.p/01",
        "tile/0/000.p/+7",
        "tile/0/000.p/5.p/5",
        "tile/0/000.p//5",
        "tile/0/000.p/5/6",
        "tile/0/000.P/5",
        "tile/0/000.p/x05",
        "tile/0/x001.p/067",
        "tile/0/x001.p/5/067",
        "tile/0/.p/5",
        "tile/0/000.5",
        "tile/0/000p/5",
        "tile/.p/5/000",
        // Ways out of a folder.
        "..",
        "../tile/0/000",
        "tile/../tile/0/000",
        "tile/0/..",
        "tile/0/../000",
        "tile/0/x001/../067",
        "tile/0/x001/..",
        "tile/0/%2e%2e/000",
        "tile/0/..%2f000",
        "tile/0/..\\000",
        "tile\\0\\000",
        "tile/0/./000",
        "./tile/0/000",
        "tile/0/000\0",
        "tile/0/00\0",
        "tile/0/x001/\0",
        "tile/0/000.p/5\0",
        "tile/0/000?x",
        "tile/0/000#",
        "tile/0/%30%30%30",
        "tile/0/000\n",
        "\u{feff}tile/0/000",
        "file:///tile/0/000",
        "http://host/tile/0/000",
    ] {
        assert_eq!(ResourcePath::parse(path), Err(TileError::Path), "{path:?}");
    }
}

#[test]
fn refuses_numbers_out_of_range_by_name() {
    for (path, refused) in [
        ("tile/64/000", TileError::Level { got: 64 }),
        ("tile/255/000", TileError::Level { got: 255 }),
        ("tile/256/000", TileError::Level { got: 256 }),
        ("tile/9223372036854775807/000", TileError::Level { got: i64::MAX as u64 }),
        ("tile/0/000.p/0", TileError::Width { got: 0 }),
        ("tile/0/000.p/256", TileError::Width { got: 256 }),
        ("tile/0/000.p/257", TileError::Width { got: 257 }),
        ("tile/0/000.p/65537", TileError::Width { got: 65_537 }),
        ("tile/entries/000.p/256", TileError::Width { got: 256 }),
        ("tile/0/x036/x028/x797/x018/x963/968", TileError::Index { got: 1 << 55 }),
        ("tile/entries/x036/x028/x797/x018/x963/968", TileError::Index { got: 1 << 55 }),
    ] {
        assert_eq!(ResourcePath::parse(path), Err(refused), "{path}");
    }
    for elements in [7, 8, 20, 100_000] {
        let path = format!("tile/0/{}999", "x999/".repeat(elements - 1));
        assert_eq!(ResourcePath::parse(&path).map_err(|e| e.code()), Err("tile-index"));
    }
    assert_eq!(TileId::new(64, 0, TileWidth::FULL), Err(TileError::Level { got: 64 }));
    assert_eq!(TileId::new(0, 1 << 55, TileWidth::FULL), Err(TileError::Index { got: 1 << 55 }));
    assert_eq!(BundleId::new(u64::MAX, TileWidth::FULL), Err(TileError::Index { got: u64::MAX }));
}

#[test]
fn no_truncation_and_no_added_character_names_the_same() {
    for (path, resource) in valid() {
        let truncated = (0..path.len()).map(|end| path[..end].to_string());
        let added = (0..=path.len()).flat_map(|at| {
            "/.px0159% \\\n".chars().map(move |c| format!("{}{c}{}", &path[..at], &path[at..]))
        });
        for other in truncated.chain(added) {
            match ResourcePath::parse(&other) {
                Ok(named) => assert!(named != resource && named.path() == other, "{other}"),
                Err(error) => assert!(error.code().starts_with("tile-"), "{other}"),
            }
        }
    }
}

/// The path tlog_tiles gives the tile, which says the tile height too.
fn path_by_tlog_tiles(id: TileId) -> String {
    let theirs = tlog_tiles::Tile::new(8, id.level(), id.index(), u32::from(id.width().get()), false);
    theirs.path().replacen("tile/8/", "tile/", 1)
}

proptest! {
    #[test]
    fn every_name_survives_its_path(
        level in 0u8..=63, index in 0u64..1 << 55, shift in 0u32..55, count in 1u16..=256,
    ) {
        let index = index >> shift;
        let id = tile_id(level, index, count);
        prop_assert_eq!(ResourcePath::parse(&id.path()), Ok(ResourcePath::Tile(id)));
        prop_assert_eq!(id.path(), path_by_tlog_tiles(id));
        let id = bundle_id(index, count);
        prop_assert_eq!(ResourcePath::parse(&id.path()), Ok(ResourcePath::Bundle(id)));
    }

    #[test]
    fn what_is_accepted_is_what_would_be_written(path in "tile/(entries|[0-9]{1,2})(/x?[0-9]{3}){1,4}(\\.p/[0-9]{1,3})?") {
        if let Ok(resource) = ResourcePath::parse(&path) {
            prop_assert_eq!(resource.path(), path);
        }
    }

    #[test]
    fn no_text_panics(path in any::<String>()) {
        prop_assert!(ResourcePath::parse(&path).is_err());
    }
}

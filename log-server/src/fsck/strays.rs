//! Files in a data directory that should not be there.
//!
//! Names that begin with a dot are temporary files, which the next start deletes or writes over.

use std::path::Path;

use indelible_proto::size::TreeSize;
use indelible_proto::tile::ResourcePath;
use walkdir::WalkDir;

use super::finding::{Finding, Grade, Listener};

/// What a data directory has at its top.
const KNOWN: [&str; 7] = ["journal", "tile", "checkpoint", "heads", "index", "lock", "owner"];

/// Looks for files that no tree of `size` entries has.
pub(super) fn look(data_dir: &Path, size: TreeSize, running: bool, listener: &dyn Listener) {
    let stray = |place: &Path, code, what: String, todo: &str| {
        listener.find(Finding::damaged(code, place.display().to_string(), what).todo(todo));
    };
    let walk = WalkDir::new(data_dir).min_depth(1).into_iter().filter_entry(|entry| {
        let name = entry.file_name().to_string_lossy();
        let elsewhere = entry.depth() == 1 && (name == "journal" || name == "index");
        !elsewhere && !name.starts_with('.')
    });
    for entry in walk {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let place = error.path().unwrap_or(data_dir).display().to_string();
                listener.find(Finding::new(Grade::Unread, "unread", place, error.to_string()));
                continue;
            }
        };
        let path = entry.path();
        let name = entry.file_name().to_string_lossy();
        let below = path.strip_prefix(data_dir).unwrap_or(path).to_string_lossy().into_owned();
        if entry.depth() == 1 && KNOWN.contains(&name.as_ref()) || entry.file_type().is_dir() {
            continue;
        }
        let resource = ResourcePath::parse(&below).ok();
        let is_full = |resource: &ResourcePath| match resource {
            ResourcePath::Tile(tile) => tile.width().is_full(),
            ResourcePath::Bundle(bundle) => bundle.width().is_full(),
        };
        match resource.filter(is_full) {
            None => {
                let what = "it is no file of a log".to_owned();
                stray(path, "stray-file", what, "look what it is, then move it away");
            }
            Some(_) if running => {}
            Some(ResourcePath::Tile(tile)) if tile.within(size) => {}
            Some(ResourcePath::Bundle(bundle)) if bundle.within(size) => {}
            Some(_) => {
                let what = format!("it belongs to a larger tree than the journal's {size} entries");
                let todo = "the journal may have lost its end: compare with the newest checkpoint that clients \
                            and witnesses hold before anything is started";
                stray(path, "file-beyond-tree", what, todo);
            }
        }
    }
}
